"""Calling suppliers over HTTP."""
