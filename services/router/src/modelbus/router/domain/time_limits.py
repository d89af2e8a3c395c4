"""The time limits of a request, and the names by which models and callers set their own."""

LIMITS = ("connect", "first_byte", "first_token", "stall", "total")
PARAMETER_PREFIX = "modelbus_timeout_"
"""Parameters of a model so named are time limits in seconds, and go to no supplier."""
HEADER_PREFIX = "x-modelbus-timeout-"
