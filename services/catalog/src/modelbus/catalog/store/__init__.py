"""PostgreSQL of the catalog: tables, queries, migrations."""
