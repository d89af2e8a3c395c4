"""Whom sync calls: suppliers; and what the catalog has told about them."""
