"""What the catalog can do, one verb per function."""
