"""Where things that have versions are, by the kind of thing."""

PATHS = {
    "supplier": "/suppliers/{thing}",
    "credential": "/credentials/{thing}",
    "model": "/models/{thing:path}",
    "source": "/sources/{thing}",
    "price": "/prices/{thing}",
    "chain": "/fallback-chains/{thing}",
    "split": "/splits/{thing}",
    "complexity": "/complexity-routing/{thing}",
    "strategy": "/cost-strategies/{thing}",
    "scope": "/scopes/{thing}",
    "capability": "/capabilities/{thing}",
    "category": "/categories/{thing}",
    "tag": "/tags/{thing}",
    "consumer": "/consumers/{thing}",
    "access_key": "/access-keys/{thing}",
    "user": "/users/{thing}",
}
"""Where things of each kind are."""
FOR_ADMINS = frozenset({"user"})
"""Kinds whose history is no viewer's."""
