"""The administrative REST API and the feed."""
