"""The administrative REST API, and the listings that the catalog reads."""
