"""An immutable mapping in shards, so that a new version of a large one copies a small part of it."""

from collections.abc import Hashable, Iterable, Iterator, Mapping

_COUNT = 1024
_MASK = _COUNT - 1


class Shards[K: Hashable, V](Mapping[K, V]):
    """A mapping that is never changed, only replaced by `with_changes`, at the price of the shards concerned."""

    __slots__ = ("_shards", "_size")

    def __init__(self) -> None:
        nothing: dict[K, V] = {}
        self._shards: tuple[dict[K, V], ...] = (nothing,) * _COUNT
        self._size = 0

    def __getitem__(self, key: K) -> V:
        return self._shards[hash(key) & _MASK][key]

    def get(self, key: K, default: V | None = None) -> V | None:  # type: ignore[override]
        """Answer the value, or the default; shorter than the inherited way over an exception."""
        return self._shards[hash(key) & _MASK].get(key, default)

    def __iter__(self) -> Iterator[K]:
        for shard in self._shards:
            yield from shard

    def __len__(self) -> int:
        return self._size

    def with_changes(self, changed: Mapping[K, V], gone: Iterable[K]) -> "Shards[K, V]":
        """Answer a mapping with these entries set and those removed; keys that are not there are ignored."""
        shards = list(self._shards)
        fresh: dict[int, dict[K, V]] = {}
        size = self._size

        def own(key: K) -> dict[K, V]:
            place = hash(key) & _MASK
            shard = fresh.get(place)
            if shard is None:
                shard = fresh[place] = shards[place] = shards[place].copy()
            return shard

        for key in gone:
            size -= own(key).pop(key, None) is not None
        for key, value in changed.items():
            shard = own(key)
            size += key not in shard
            shard[key] = value
        after = Shards[K, V]()
        after._shards, after._size = tuple(shards), size
        return after
