"""Door of the callers: bare ASGI, because every request passes here."""
