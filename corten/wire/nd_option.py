"""What a router's name server options say: RDNSS and DNSSL (RFC 8106, 5).

Rules. `NdMessage` has checked that the option lies in the message and has a length that fits. A
search list that is not as it should be is none: names are not compressed, and end in the option.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from corten.core.arena import Memory

NAME_LEN_MAX = 253  # RFC 1035 2.3.4, as text
LABEL_LEN_MAX = 63


def servers(memory: Memory, at: int) -> list[tuple[int, int]]:
    """(high, low) of every name server of the option at `at` that is one host's address."""
    length = memory.octets(at + 1, 1)[0] * 8
    octets = memory.octets(at + 8, length - 8)
    found = []
    for i in range(0, len(octets), 16):
        high = int.from_bytes(octets[i : i + 8], "big")
        low = int.from_bytes(octets[i + 8 : i + 16], "big")
        if high >> 56 != 0xFF and (high, low) not in ((0, 0), (0, 1)):
            found.append((high, low))
    return found


def search_names(memory: Memory, at: int) -> list[str]:
    """The domain names of the option at `at`; none when one of them is wrong."""
    length = memory.octets(at + 1, 1)[0] * 8
    octets = memory.octets(at + 8, length - 8)
    found: list[str] = []
    labels: list[str] = []
    i = 0
    while i < len(octets):
        size = octets[i]
        label = octets[i + 1 : i + 1 + size]
        if size == 0:
            if labels:
                found.append(".".join(labels))
            labels = []
        elif size > LABEL_LEN_MAX or len(label) < size or not _is_plain(label):
            return []
        else:
            labels.append(label.decode("ascii").lower())
        i += 1 + size
    if labels or any(len(name) > NAME_LEN_MAX for name in found):
        return []
    return found


def _is_plain(label: bytes) -> bool:
    """Letters, digits, hyphens and underscores: nothing that means something elsewhere."""
    return all(octet in b"-_" or chr(octet).isalnum() for octet in label) and label.isascii()
