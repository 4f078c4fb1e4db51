"""memif's shared memory: laid out by a client, looked at by a server before it uses it.

Rules. A region is a memfd sealed against shrinking, so that no access can fail, of at least the
size it is said to have, and of ordinary pages; an eventfd is an eventfd. Nothing of a peer's is
used before that was asked.
"""

from __future__ import annotations

import fcntl
import mmap
import os
import struct
from collections.abc import Callable

from corten.driver.eventfd import is_eventfd
from corten.driver.memif_control import Layout, Region, Ring
from corten.driver.memif_message import COOKIE, DESCRIPTOR_LEN, RING_HEADER_LEN


class Files:
    """What the server's machine asks about a client's descriptors (`memif_control.Witness`)."""

    def __init__(self, is_taken: Callable[[], bool]) -> None:
        self.is_taken = is_taken

    def region(self, fd: int, size: int) -> str:
        """Whether a worker can map it and never fail in it."""
        try:
            if not fcntl.fcntl(fd, fcntl.F_GET_SEALS) & fcntl.F_SEAL_SHRINK:
                return "Region not sealed against shrinking"
            if os.fstat(fd).st_size < size:
                return "Region file too small"
            if os.fstatvfs(fd).f_bsize != mmap.PAGESIZE:
                return "Region of huge pages"
            mmap.mmap(fd, size).close()
        except (OSError, ValueError):  # silent: the peer is told
            return "Region cannot be mapped"
        return ""

    def ring(self, region_fd: int, offset: int, fd: int) -> str:
        """Whether it begins as a ring does, and its descriptor is an eventfd."""
        try:
            if os.pread(region_fd, 4, offset) != struct.pack("=I", COOKIE):
                return "Wrong cookie"
        except OSError:  # silent: the peer is told
            return "Region cannot be read"
        return "" if is_eventfd(fd) else "Invalid interrupt fd"


def lay_out(rings: int, log2_size: int, buffer_len: int) -> Layout:
    """A client's memory: one region, all rings of one direction, of the other, then the buffers."""
    ring_len = RING_HEADER_LEN + (DESCRIPTOR_LEN << log2_size)
    size = 2 * rings * (ring_len + (buffer_len << log2_size))
    size = (size + mmap.PAGESIZE - 1) & ~(mmap.PAGESIZE - 1)
    layout = Layout()
    fd = os.memfd_create("corten-memif", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    layout.regions.append(Region(size, fd))
    os.ftruncate(fd, size)
    fcntl.fcntl(fd, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW)
    for place in range(2 * rings):
        offset = place * ring_len
        os.pwrite(fd, struct.pack("=I", COOKIE), offset)
        eventfd = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        ring = Ring(0, offset, log2_size, eventfd)
        (layout.c2s if place < rings else layout.s2c).append(ring)
    return layout


def arm(layout: Layout, buffer_len: int) -> None:
    """Lend the server every buffer of the rings that it fills: once it has said CONNECTED, for some
    servers set all indices to zero before they say so."""
    fd = layout.regions[0].fd
    buffers_at = sum(ring.length for ring in (*layout.c2s, *layout.s2c))
    for ring in layout.c2s:
        buffers_at += buffer_len << ring.log2_size
    for ring in layout.s2c:
        size = 1 << ring.log2_size
        slots = b"".join(
            struct.pack("=HHIII", 0, 0, buffer_len, buffers_at + i * buffer_len, 0)
            for i in range(size)
        )
        os.pwrite(fd, slots, ring.offset + RING_HEADER_LEN)
        os.pwrite(fd, struct.pack("=H", size), ring.offset + 6)
        buffers_at += size * buffer_len
