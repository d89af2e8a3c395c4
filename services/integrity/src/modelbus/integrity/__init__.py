"""Integrity owns the question which places of the configuration name something that is not available."""
