"""Choosing: which sources serve a request, in which turn, and with which credential."""
