"""PostgreSQL of sync: tables, queries, migrations."""
