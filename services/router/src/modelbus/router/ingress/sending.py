"""Sending a reply to its caller in as few steps as its connection takes now, and no faster than the caller reads."""

from collections.abc import Callable

from starlette.types import Send

from modelbus.router.ingress.watch import Caller
from modelbus.router.journey.reply import Pieces, Reply

_OK = 200


async def send_whole(caller: Caller, send: Send, reply: Reply, body: bytes) -> None:
    """Send a reply whose body is there."""
    reply.headers.append((b"content-length", b"%d" % len(body)))
    if reply.status == _OK and caller.answer(_OK, reply.headers, body):
        return
    await _begin(send, reply)
    await send({"type": "http.response.body", "body": body})


async def send_pieces(caller: Caller, send: Send, reply: Reply, body: Pieces, before_last: Callable[[], None]) -> None:
    """Send a reply as its pieces come; `before_last` is called when the last one is there and has not been sent."""
    has_begun = False
    async for piece in body:
        unsent = piece
        if body.is_over:
            before_last()
        if not has_begun:
            has_begun = True
            if caller.begin(reply.status, reply.headers, piece):
                unsent = b""
            else:
                await _begin(send, reply)
        if body.is_over and body.is_spent and caller.finish(unsent):
            return
        if unsent and not caller.pass_on(unsent):
            await send({"type": "http.response.body", "body": unsent, "more_body": True})
        await body.pour(caller.pass_on)
    await send({"type": "http.response.body"})


async def _begin(send: Send, reply: Reply) -> None:
    await send({"type": "http.response.start", "status": reply.status, "headers": reply.headers})
