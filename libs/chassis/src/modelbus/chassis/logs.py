"""Structured logs on standard output: one JSON object a line, or readable lines; request and event ids in each."""

import logging
import sys
from typing import Literal

import structlog
from structlog.dev import plain_traceback
from structlog.tracebacks import ExceptionDictTransformer

Format = Literal["json", "pretty"]


def configure_logs(service: str, level: str, style: Format) -> None:
    """Send structlog's and the standard library's records through one chain; called once, by the entry point."""
    shared: list[structlog.types.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
    ]
    # Without local variables: a frame may hold a caller's key, a prompt, or a secret that was just opened.
    tracebacks = structlog.processors.ExceptionRenderer(ExceptionDictTransformer(show_locals=False))
    renderer: list[structlog.types.Processor] = (
        [tracebacks, structlog.processors.JSONRenderer()]
        if style == "json"
        else [structlog.dev.ConsoleRenderer(colors=sys.stdout.isatty(), exception_formatter=plain_traceback)]
    )
    structlog.configure(
        # First of all: what the level leaves out must cost next to nothing.
        processors=[structlog.stdlib.filter_by_level, *shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *renderer],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level.upper())
    # These tell each request or each reconnect attempt at info level; warnings of theirs still pass.
    for noisy in ("httpx", "httpcore", "nats", "faststream", "alembic"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    structlog.contextvars.bind_contextvars(service=service)


def logger(name: str) -> structlog.stdlib.BoundLogger:
    """Answer the logger of a module; bound at first use, after `configure_logs`."""
    bound: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger(name)
    return bound
