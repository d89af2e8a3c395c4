"""PostgreSQL: the index of the catalog, the findings and what is told of them; queries never commit."""
