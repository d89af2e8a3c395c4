"""What is held for good is kept out of the way of full collections, each of which would stop every request."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager

MANY = 10_000
"""So many records that walking all of them is felt: about 10 ms; a hundred thousand take a tenth of a second."""


_YOUNG = 20_000
"""What a few hundred requests under way hold: with less, the collector would look at them again and again."""


def settle() -> None:
    """Collect once, and let collections pass over what is there now; it still goes when nobody refers to it.

    Later ones come seldom: nothing on the way of a request refers to itself in a circle, so there is little to find.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_YOUNG)


@contextmanager
def growing(count: int) -> Iterator[None]:
    """A block that makes so many records which are to stay; what is there then is passed over by collections.

    Nothing is collected meanwhile: each time it would look at all that was made so far and stop every thread for as
    long, a tenth of a second and more among a hundred thousand records, again and again while they come. Where there
    are few, or another such block is under way, it does nothing.
    """
    if count < MANY or not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
