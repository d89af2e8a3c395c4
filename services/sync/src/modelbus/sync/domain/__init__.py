"""Rules of sync; the standard library only."""
