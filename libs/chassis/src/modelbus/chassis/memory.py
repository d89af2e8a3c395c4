"""What is held for good is kept out of the way of full collections, each of which would stop every request."""

import gc

MANY = 10_000
"""So many records that walking all of them is felt: about 10 ms; a hundred thousand take a tenth of a second."""


def settle() -> None:
    """Collect once, and let collections pass over what is there now; it still goes when nobody refers to it."""
    gc.collect()
    gc.freeze()
