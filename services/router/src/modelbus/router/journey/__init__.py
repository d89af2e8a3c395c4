"""One request's way over attempts to an answer."""
