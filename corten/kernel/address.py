"""Addresses as the kernel writes them, and as Python does."""

from __future__ import annotations

import socket
import struct


def sockaddr_of(address: tuple[str, int]) -> bytes:
    """An (address, port) as the kernel writes it. IPv6 has a colon."""
    host, port = address[0], address[1]
    if ":" in host:
        packed = socket.inet_pton(socket.AF_INET6, host)
        return struct.pack("=HHI16sI", socket.AF_INET6, socket.htons(port), 0, packed, 0)
    return struct.pack("=HH4s20x", socket.AF_INET, socket.htons(port), socket.inet_aton(host))


def address_of(sockaddr: bytes) -> tuple[str, int]:
    """The (address, port) of a sockaddr_in or sockaddr_in6."""
    family, port = struct.unpack_from("=HH", sockaddr)
    if family == socket.AF_INET6:
        return socket.inet_ntop(family, sockaddr[8:24]), socket.ntohs(port)
    return socket.inet_ntoa(sockaddr[4:8]), socket.ntohs(port)
