"""The catalog as the router reads it: immutable, in memory, followed from the feed."""
