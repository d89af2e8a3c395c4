"""Whom the process's HTTP clients believe: one context of TLS with the system's certificates, as each holds 2 MB."""

import ssl
from functools import cache


@cache
def trusted() -> ssl.SSLContext:
    """Answer the context; made at its first use, and not to be changed.

    It verifies certificates and names, and speaks nothing but HTTP/1.1. `SSL_CERT_FILE` and `SSL_CERT_DIR` name others.
    """
    context = ssl.create_default_context()
    context.set_alpn_protocols(["http/1.1"])
    return context
