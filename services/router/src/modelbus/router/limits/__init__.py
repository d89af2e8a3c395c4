"""How much callers may use: requests, tokens, places and money."""
