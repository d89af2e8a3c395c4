"""What sync can do, one verb per function."""
