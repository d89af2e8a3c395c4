"""Door of the administrator."""
