"""Rules of the catalog; the standard library only."""
