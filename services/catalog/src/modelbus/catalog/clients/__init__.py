"""Whom the catalog calls."""
