"""AF_XDP sockets straight on the system calls: open, register memory, map rings, bind.

A worker opens a socket for each of its queues. The first registers the packet memory (UMEM); the
others share it, each with a fill and a completion ring of its own, as the kernel wants it for
different queues. Only the first transmits. Everything here happens once, while a worker begins; the
rings are run by `corten.driver.xdp`.

Rules. The kernel lets go of a queue some milliseconds after its last socket and mapping are gone: a
worker that takes a dead one's place waits for that, but not for ever. What cannot be is one line.
"""

from __future__ import annotations

import ctypes
import errno
import mmap
import os
import resource
import socket
import struct
import time
from contextlib import suppress
from dataclasses import dataclass

from corten.driver import bpf
from corten.driver.xdp_filter import RIGHTS
from corten.endpoint.error import CortenError

AF_XDP = 44
SOL_XDP = 283
CHUNK_LEN = 4096  # of packet memory: what one descriptor can point into
METADATA_LEN = 24  # struct xsk_tx_metadata, right before a frame to send
MTU_ONE_CHUNK = 3826  # 4096 less the kernel's headroom of 256 and the Ethernet header
COMPLETION_MIN = 64  # entries of the rings of a socket that does not transmit
PATIENCE_S = 2.0  # for a dead worker's queue
_PAUSE_S = 0.005
_SNDBUFFORCE = 32  # SO_SNDBUFFORCE

UMEM = 4  # the option that registers packet memory
_OFFSETS, _RX, _TX, _FILL, _COMPLETION, _OPTIONS, _BUDGET = 1, 2, 3, 5, 6, 8, 9
_PLACES = {_RX: 0, _TX: 0x80000000, _FILL: 0x100000000, _COMPLETION: 0x180000000}
_SHARED, _COPY, _ZEROCOPY, _NEED_WAKEUP, _FRAGMENTS = 1, 2, 4, 8, 16
_COPYING = {"auto": 0, "on": _COPY, "zero": _ZEROCOPY}
_HAS_METADATA = 4  # XDP_UMEM_TX_METADATA_LEN
_IS_ZEROCOPY = 1


@dataclass(frozen=True)
class RingMap:
    """A ring in this process's memory: where its parts lie."""

    memory: mmap.mmap
    producer_at: int
    consumer_at: int
    flags_at: int
    entries_at: int
    size: int
    entry_len: int  # octets


class XdpSocket:
    """A socket with its rings. Its queue is free when all of it is gone."""

    def __init__(self, name: str) -> None:
        self.name = name
        try:
            self.socket = socket.socket(AF_XDP, socket.SOCK_RAW)
        except OSError as error:
            if error.errno == errno.EPERM:
                raise CortenError(f"driver xdp {RIGHTS}") from error
            raise CortenError(
                f"driver xdp: this kernel has no AF_XDP sockets ({error.strerror}): use tap"
            ) from error

        self.socket.setblocking(False)  # a call that sends answers EOPNOTSUPP where it might wait

    def register(self, memory: mmap.mmap, length: int, metadata: bool) -> bool:
        """Make the first `length` octets the UMEM; whether frames may carry requests to the device
        (`metadata` asks for it; Linux 6.8)."""
        _raise_memory_limit()
        try:
            self.socket.setsockopt(SOL_XDP, UMEM, umem_request(memory, length, metadata))
        except OSError as error:
            if error.errno == errno.EINVAL and metadata:
                return self.register(memory, length, False)
            raise CortenError(self._memory_advice(error, length)) from error
        return metadata

    def _memory_advice(self, error: OSError, length: int) -> str:
        if error.errno in (errno.ENOBUFS, errno.ENOMEM):
            return (
                f"xdp:{self.name}: {length >> 20} MiB of memory cannot be pinned: raise the limit "
                "(`ulimit -l`), give CAP_IPC_LOCK, or use a smaller ring="
            )
        return f"xdp:{self.name}: packet memory cannot be registered: {error.strerror}"

    def make_rings(
        self, receive: int, fill: int, completion: int, transmit: int
    ) -> dict[str, RingMap]:
        """Rings of so many entries each; `transmit` 0: it does not."""
        sizes = {_RX: receive, _FILL: fill, _COMPLETION: completion}
        if transmit:
            sizes[_TX] = transmit
        for option, size in sizes.items():
            self.socket.setsockopt(SOL_XDP, option, size)
        offsets = struct.unpack("=16Q", self.socket.getsockopt(SOL_XDP, _OFFSETS, 128))
        names = {_RX: "receive", _TX: "transmit", _FILL: "fill", _COMPLETION: "completion"}
        return {names[option]: self._map(option, size, offsets) for option, size in sizes.items()}

    def _map(self, option: int, size: int, offsets: tuple[int, ...]) -> RingMap:
        first = 4 * (_RX, _TX, _FILL, _COMPLETION).index(option)
        producer, consumer, entries, flags = offsets[first : first + 4]
        entry_len = 16 if option in (_RX, _TX) else 8
        memory = mmap.mmap(
            self.socket.fileno(),
            entries + size * entry_len,
            mmap.MAP_SHARED | mmap.MAP_POPULATE,
            mmap.PROT_READ | mmap.PROT_WRITE,
            offset=_PLACES[option],
        )
        return RingMap(memory, producer, consumer, flags, entries, size, entry_len)

    def bind(self, index: int, queue: int, copying: str, fragments: bool) -> bool:
        """Take a queue of the device; whether frames may have several pieces."""
        flags = _NEED_WAKEUP | _COPYING[copying]
        code = self._bind(index, queue, flags | (_FRAGMENTS if fragments else 0))
        if code == errno.EINVAL and fragments:  # before Linux 6.6
            fragments = False
            code = self._bind(index, queue, flags)
        if code:
            raise CortenError(self._bind_advice(code, queue))
        return fragments

    def bind_sharing(self, index: int, queue: int, other: XdpSocket) -> None:
        """Take a queue, with the other socket's memory and settings."""
        code = self._bind(index, queue, _SHARED, other.socket.fileno())
        if code:
            raise CortenError(self._bind_advice(code, queue))

    def _bind(self, index: int, queue: int, flags: int, shared: int = 0) -> int:
        """0, or the error number; a queue that is taken is waited for."""
        address = struct.pack("=HHIII", AF_XDP, flags, index, queue, shared)
        library = ctypes.CDLL(None, use_errno=True)
        until = time.monotonic() + PATIENCE_S
        while library.bind(self.socket.fileno(), address, len(address)) != 0:
            code = ctypes.get_errno()
            if code != errno.EBUSY or time.monotonic() >= until:
                return code
            time.sleep(_PAUSE_S)
        return 0

    def _bind_advice(self, code: int, queue: int) -> str:
        said = {
            errno.EBUSY: "is another program's: stop it, or use another device",
            errno.EOPNOTSUPP: "cannot do zero-copy: use copy=auto",
            errno.ENODEV: "is gone: the device was removed",
            errno.ENETDOWN: f"is down: `ip link set dev {self.name} up`",
            errno.EPERM: RIGHTS,
        }.get(code, f"cannot be taken: {os.strerror(code)}")
        return f"xdp:{self.name} queue {queue} {said}"

    def is_zero_copy(self) -> bool:
        """Whether the device itself reads and writes the packet memory."""
        (options,) = struct.unpack("=I", self.socket.getsockopt(SOL_XDP, _OPTIONS, 4))
        return bool(options & _IS_ZEROCOPY)

    def send_many(self, most: int) -> None:
        """Let `most` frames be on their way, and leave with one system call instead of with one for
        32 of them, where the kernel can (6.17)."""
        with suppress(OSError):  # silent: then fewer are at a time
            self.socket.setsockopt(socket.SOL_SOCKET, _SNDBUFFORCE, most * CHUNK_LEN)
        with suppress(OSError):  # silent: then it takes more calls
            self.socket.setsockopt(SOL_XDP, _BUDGET, most)

    def enter(self, sockets: int, queue: int) -> None:
        """From now on the filter sends the queue's frames here."""
        try:
            bpf.update_map(
                sockets, struct.pack("=I", queue), struct.pack("=I", self.socket.fileno())
            )
        except OSError as error:
            raise CortenError(f"xdp:{self.name} queue {queue}: {error.strerror}") from error

    def failure(self) -> int:
        """The error number that the kernel left on the socket; 0: it works."""
        return self.socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)


def umem_request(memory: mmap.mmap, length: int, metadata: bool) -> bytes:
    """A struct xdp_umem_reg for the first `length` octets of `memory`."""
    address = ctypes.addressof(ctypes.c_char.from_buffer(memory))
    more = (_HAS_METADATA, METADATA_LEN) if metadata else (0, 0)
    return struct.pack("=QQIIII", address, length, CHUNK_LEN, 0, *more)


def _raise_memory_limit() -> None:
    """Use what the limit on pinned memory leaves."""
    soft, hard = resource.getrlimit(resource.RLIMIT_MEMLOCK)
    if soft != hard:
        with suppress(OSError, ValueError):  # silent: registering says what is missing
            resource.setrlimit(resource.RLIMIT_MEMLOCK, (hard, hard))
