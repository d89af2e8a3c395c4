"""Protocols: what is spoken with callers and with suppliers, and how one is said in the words of the other."""
