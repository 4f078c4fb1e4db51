"""What names were found to be, and how long that may be believed (RFC 1035 7.4, RFC 2308).

Bounded: the entry that was made first gives way. An empty list says that the name has no addresses
of that type, or does not exist.
"""

from __future__ import annotations

from dataclasses import dataclass

ENTRIES_MAX = 1024
TTL_MAX_S = 86_400.0
NEGATIVE_MAX_S = 300.0


@dataclass(frozen=True, slots=True)
class Entry:
    """Addresses as text; `missing`: the name itself does not exist."""

    until: float
    addresses: list[str]
    missing: bool = False


class Cache:
    """By (name in lower case, type). Times are seconds on the loop's clock."""

    def __init__(self) -> None:
        self._entries: dict[tuple[str, int], Entry] = {}

    def __len__(self) -> int:
        return len(self._entries)

    def find(self, name: str, kind: int, now: float) -> Entry | None:
        """What is known and still holds."""
        key = (name.lower(), kind)
        entry = self._entries.get(key)
        if entry is not None and entry.until <= now:
            del self._entries[key]
            return None
        return entry

    def keep(
        self, name: str, kind: int, addresses: list[str], ttl: float, now: float, missing: bool
    ) -> None:
        """Remember for `ttl` seconds, within bounds; 0 is not remembered at all."""
        ttl = min(ttl, TTL_MAX_S if addresses else NEGATIVE_MAX_S)
        if ttl <= 0:
            return
        key = (name.lower(), kind)
        self._entries.pop(key, None)
        while len(self._entries) >= ENTRIES_MAX:
            del self._entries[next(iter(self._entries))]
        self._entries[key] = Entry(now + ttl, list(addresses), missing)

    def clear(self) -> None:
        self._entries.clear()
