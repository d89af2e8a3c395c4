"""Sync owns runs and listings: it asks suppliers what they offer and hands the answer to the catalog."""
