"""The catalog owns the truth: suppliers, credentials, models, sources, and the configuration that routes to them."""
