"""What has been computed is kept."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import TypeVar, cast

T = TypeVar("T")


class Memo:
    """What has been computed, by key: the `most` entries that were used last."""

    def __init__(self, most: int = 512) -> None:
        self._most = most
        self._entries: OrderedDict[Hashable, object] = OrderedDict()

    def once(self, key: Hashable, compute: Callable[[], T]) -> T:
        """The value that `compute` gave the first time for this key."""
        if key not in self._entries:
            self._entries[key] = compute()
        self._entries.move_to_end(key)
        while len(self._entries) > self._most:
            self._entries.popitem(last=False)
        return cast("T", self._entries[key])

    def __contains__(self, key: Hashable) -> bool:
        return key in self._entries
