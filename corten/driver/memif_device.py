"""memif as its owner sees it: the socket, the handshake, the shared memory, the peer's coming and
going.

Strategy. A server listens, a client connects and tries again while nobody listens, both on a
SOCK_SEQPACKET socket whose name is a path or, with @ in front, abstract. The machines of
`corten.driver.memif_control` say what to send; here are the descriptors. When a peer is there, or
gone, `changed` has each worker go on with its share: ring r is that of the worker at r modulo the
workers. A client's memory is new at each connection.

Rules. A peer that is slow to say all of it gives way to the next. The memory is open to whoever may
connect: a socket at a path is its owner's alone (0600).
"""

from __future__ import annotations

import ctypes
import errno
import hashlib
import logging
import os
import select
import socket
import stat
import struct
from contextlib import suppress
from functools import partial

from corten.driver.device import Device, Keeper, Queue, Wanted
from corten.driver.memif_control import Client, Control, Identity, Layout, Ring, Server
from corten.driver.memif_memory import Files, arm, lay_out
from corten.driver.memif_message import MESSAGE_LEN
from corten.endpoint.error import CortenError

logger = logging.getLogger("corten")

MTU = 1500
RING_LOG2 = 13  # as many frames as wait for a TAP: a thousand connections answer at once
BUFFER_LEN = 2048
PENDING_MAX = 4  # clients that have not said all yet
RETRY_NS = 200_000_000  # between two attempts of a client
PATIENCE_TURNS = 10  # of those, for a server to answer
FIRST_SECONDS = 1.0  # how long opening a client's link waits for a server that listens
_MESSAGES_A_TURN = 256
_PATH_MAX = 107
_FDS_MAX = 8
_CLOCK_MONOTONIC = 1
_TFD_FLAGS = 0o4000 | 0o2000000  # TFD_NONBLOCK, TFD_CLOEXEC


def address_of(name: str) -> str:
    """The socket's address of a link's name."""
    return "\0" + name[1:] if name.startswith("@") else name


class Peer:
    """A connection to the other side, its handshake, and what that has laid out."""

    def __init__(self, end: socket.socket, control: Control) -> None:
        self.end = end
        self.control = control
        self.turns = 0  # of waiting for an answer
        end.setblocking(False)

    def flush(self) -> None:
        """Send what the machine has to say. A peer that does not read is one that is gone."""
        for data, fds in self.control.outgoing:
            try:
                socket.send_fds(self.end, [data], fds)
            except OSError as error:
                self.control.is_over = True
                self.control.reason = self.control.reason or f"{error.strerror}"
        self.control.outgoing.clear()

    def hear(self) -> None:
        """Take in what has come, and answer."""
        for _ in range(_MESSAGES_A_TURN):
            try:
                data, fds, _, _ = socket.recv_fds(self.end, MESSAGE_LEN + 1, _FDS_MAX)
            except BlockingIOError:  # silent: that was all
                return
            except OSError:  # silent: gone, as below
                data, fds = b"", []
            if not data:
                self.control.is_over = True
                self.control.reason = self.control.reason or "the peer has gone"
                return
            try:
                self.control.receive(data, fds)
            finally:
                for fd in fds:
                    os.close(fd)
            self.flush()
            if self.control.is_over:
                return

    def queue(self, name: str, place: int, workers: int, is_client: bool, buffer_len: int) -> Queue:
        """The share of the worker at `place`."""
        layout = self.control.layout
        incoming, outgoing = (layout.s2c, layout.c2s) if is_client else (layout.c2s, layout.s2c)
        receiving, sending = incoming[place::workers], outgoing[place::workers]
        first_buffer = sum(ring.length for ring in (*layout.c2s, *layout.s2c))
        at = {}
        for ring in (*layout.c2s, *layout.s2c):
            at[id(ring)] = first_buffer if is_client else 0
            first_buffer += buffer_len << ring.log2_size

        def places(rings: list[Ring]) -> list[list[int]]:
            return [[ring.region, ring.offset, ring.log2_size, at[id(ring)]] for ring in rings]

        values = {
            "client": is_client,
            "offload": self.control.offload,
            "buffer": buffer_len,
            "regions": [region.size for region in layout.regions],
            "receiving": places(receiving),
            "sending": places(sending),
        }
        fds = [region.fd for region in layout.regions]
        fds += [ring.fd for ring in (*receiving, *sending)]
        return Queue("memif", name, values, fds)

    def close(self) -> None:
        """The other side learns of it even if a child still has a copy of the descriptor."""
        with suppress(OSError):  # silent: it may be closed on the other side
            self.end.shutdown(socket.SHUT_RDWR)
        self.end.close()
        for fd in self.control.layout.fds():
            with suppress(OSError):  # silent: closed is closed
                os.close(fd)
        self.control.layout = Layout()


class MemifDevice(Device):
    """What both roles have in common: at most one peer whose handshake is done."""

    is_client = False

    def __init__(self, wanted: Wanted) -> None:
        options = wanted.options
        self.name = wanted.name
        self.mtu = wanted.mtu
        self._workers = wanted.queues
        self._buffer_len = (options.get("buffer", BUFFER_LEN) + 63) & ~63
        self.identity = Identity(
            options.get("id", 0),
            options.get("secret", "").encode(),
            wanted.queues,
            wanted.offload,
        )
        # of both ends the link's name is the same: who is who makes the addresses differ
        about = f"{wanted.name} {'client' if self.is_client else 'server'} {wanted.ours}"
        digest = hashlib.blake2s(about.encode()).digest()
        self.mac = ":".join(f"{octet:02x}" for octet in b"\x02" + digest[:5])
        self._keeper: Keeper | None = None
        self._peer: Peer | None = None
        self._said = ""  # the last complaint, which is not repeated

    def queue(self, place: int) -> Queue:
        if self._peer is None or not self._peer.control.is_connected:
            values = {"client": self.is_client, "offload": False, "buffer": 0}
            empty: dict[str, list[int]] = {"regions": [], "receiving": [], "sending": []}
            return Queue("memif", self.name, {**values, **empty})
        return self._peer.queue(self.name, place, self._workers, self.is_client, self._buffer_len)

    def attend(self, keeper: Keeper) -> None:
        self._keeper = keeper
        if self._peer is not None:
            self._watch(self._peer)

    def _watch(self, peer: Peer) -> None:
        if self._keeper is not None:
            self._keeper.watch(peer.end.fileno(), partial(self._heard, peer))

    def _heard(self, peer: Peer) -> None:
        """Something came from `peer`, or it is gone."""
        if peer.end.fileno() < 0:
            return  # it was dropped in this very round
        was_connected = peer.control.is_connected
        peer.hear()
        if peer.control.is_over:
            self._complain(peer.control.reason, was_connected)
            self._drop(peer)
        elif peer.control.is_connected and not was_connected:
            self._said = ""
            self._connected(peer)

    def _connected(self, peer: Peer) -> None:
        self._peer = peer
        logger.info("link memif:%s: connected", self.name)
        self.changed()

    def _drop(self, peer: Peer) -> None:
        """Forget a peer; if it was the connected one the link is down."""
        if self._keeper is not None:
            self._keeper.watch(peer.end.fileno(), None)
        peer.close()
        if self._peer is peer:
            self._peer = None
            self.changed()

    def _complain(self, why: str, was_connected: bool) -> None:
        if was_connected:
            logger.info("link memif:%s: %s", self.name, why)
        elif why != self._said:
            self._said = why
            logger.warning("link memif:%s: no connection: %s", self.name, why)

    def close(self) -> None:
        if self._peer is not None:
            self._peer.control.refuse("closed")
            self._peer.flush()
            self._peer.close()
            self._peer = None


class MemifServer(MemifDevice):
    """Listens for clients, of which one is connected at a time."""

    def __init__(self, wanted: Wanted) -> None:
        super().__init__(wanted)
        self._witness = Files(lambda: self._peer is not None)
        self._pending: list[Peer] = []
        self._file: tuple[int, int] | None = None
        self._listener = _listen(self.name)
        if not self.name.startswith("@"):
            made = os.stat(self.name)
            self._file = (made.st_dev, made.st_ino)

    def attend(self, keeper: Keeper) -> None:
        super().attend(keeper)
        keeper.watch(self._listener.fileno(), self._accept)

    def _accept(self) -> None:
        try:
            end, _ = self._listener.accept()
        except OSError:  # silent: it has gone again
            return
        if len(self._pending) >= PENDING_MAX:
            self._drop(self._pending[0])
        peer = Peer(end, Server(self.identity, self._witness))
        self._pending.append(peer)
        peer.flush()
        self._watch(peer)

    def _connected(self, peer: Peer) -> None:
        self._pending.remove(peer)
        super()._connected(peer)

    def _drop(self, peer: Peer) -> None:
        if peer in self._pending:
            self._pending.remove(peer)
        super()._drop(peer)

    def close(self) -> None:
        super().close()
        for peer in self._pending:
            peer.close()
        self._pending = []
        self._listener.close()
        if self._file is not None:
            with suppress(OSError):  # silent: somebody else has taken it away
                found = os.stat(self.name)
                if (found.st_dev, found.st_ino) == self._file:
                    os.unlink(self.name)
            self._file = None


def _listen(name: str) -> socket.socket:
    """A socket that listens under `name`; one that a dead server has left there is replaced."""
    end = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_NONBLOCK)
    mask = os.umask(0o177)
    try:
        try:
            end.bind(address_of(name))
        except OSError as error:
            if error.errno != errno.EADDRINUSE or not _is_left_over(name):
                raise
            os.unlink(name)
            end.bind(address_of(name))
        end.listen(PENDING_MAX)
    except OSError as error:
        end.close()
        raise CortenError(_advice(name, error)) from error
    finally:
        os.umask(mask)
    return end


def _is_left_over(name: str) -> bool:
    """Whether a socket of that name is there and nobody listens on it."""
    if name.startswith("@") or not stat.S_ISSOCK(os.stat(name).st_mode):
        return False
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_NONBLOCK) as probe:
        return probe.connect_ex(name) == errno.ECONNREFUSED


def _advice(name: str, error: OSError) -> str:
    """One line that says what to do."""
    folder = os.path.dirname(name) or "."
    if error.errno == errno.EADDRINUSE and not name.startswith("@") and not _is_socket(name):
        return f"memif:{name} is there and is no socket: choose another name"
    if error.errno == errno.EADDRINUSE:
        return f"memif:{name} is in use by another program: stop it or choose another name"
    if error.errno == errno.ENOENT:
        return f"memif:{name}: no directory {folder}: make it, or choose another name"
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return (
            f"memif:{name} needs the right to write in {folder}: run as its owner or root, or "
            "choose another name (memif:@NAME is in no directory)"
        )
    return f"memif:{name} cannot be listened on: {error.strerror}"


def _is_socket(name: str) -> bool:
    try:
        return stat.S_ISSOCK(os.stat(name).st_mode)
    except OSError:  # silent: nothing is there
        return False


class MemifClient(MemifDevice):
    """Connects, lays out the memory, and connects again when the server has gone."""

    is_client = True

    def __init__(self, wanted: Wanted) -> None:
        super().__init__(wanted)
        self._rings: int = wanted.options.get("rings", 0)
        self._log2_size: int = wanted.options.get("size", RING_LOG2)
        self._trying: Peer | None = None
        self._timer = _timer()
        self._connect(must=True)
        if self._trying is not None:
            self._finish()

    def _finish(self) -> None:
        """Somebody listens: most likely the link can be up before the first frame."""
        peer = self._trying
        assert peer is not None
        poll = select.poll()
        poll.register(peer.end, select.POLLIN)
        turns = 0
        while self._trying is peer and not peer.control.is_connected and turns < 256:
            turns += 1
            if not poll.poll(FIRST_SECONDS * 1000):
                return
            self._heard(peer)

    def attend(self, keeper: Keeper) -> None:
        super().attend(keeper)
        if self._trying is not None:
            self._watch(self._trying)
        keeper.watch(self._timer, self._tick)

    def _tick(self) -> None:
        """Some time has passed."""
        with suppress(OSError):  # silent: read already
            os.read(self._timer, 8)
        if self._trying is not None:
            self._trying.turns += 1
            if self._trying.turns > PATIENCE_TURNS:
                self._complain("the server does not answer", False)
                self._drop(self._trying)
        elif self._peer is None:
            self._connect()

    def _connect(self, must: bool = False) -> None:
        """Try once. `must`: what will not be cured by waiting is an error."""
        end = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_NONBLOCK)
        try:
            end.connect(address_of(self.name))
        except OSError as error:
            end.close()
            if must and error.errno in (errno.EACCES, errno.EPERM):
                raise CortenError(
                    f"memif:{self.name} may not be opened: run as the server's user or root, or "
                    f"have it say `chmod 666 {self.name}`"
                ) from error
            if must and os.path.exists(self.name) and not _is_socket(self.name):
                raise CortenError(
                    f"memif:{self.name} is there and is no socket: choose another name"
                ) from error
            if error.errno == errno.EPROTOTYPE:
                self._complain("who listens there does not speak memif", False)
            return
        control = Client(self.identity, self._rings, self._log2_size, self._buffer_len, lay_out)
        self._trying = Peer(end, control)
        self._watch(self._trying)

    def _connected(self, peer: Peer) -> None:
        self._trying = None
        arm(peer.control.layout, self._buffer_len)
        super()._connected(peer)

    def _drop(self, peer: Peer) -> None:
        if self._trying is peer:
            self._trying = None
        super()._drop(peer)

    def close(self) -> None:
        super().close()
        if self._trying is not None:
            self._trying.close()
            self._trying = None
        if self._timer >= 0:
            os.close(self._timer)
            self._timer = -1


def _timer() -> int:
    """A descriptor that is readable every RETRY_NS (timerfd_create(2), which Python 3.13 has)."""
    libc = ctypes.CDLL(None, use_errno=True)
    fd: int = libc.timerfd_create(_CLOCK_MONOTONIC, _TFD_FLAGS)
    if fd < 0:
        raise CortenError(f"no timer for the link: {os.strerror(ctypes.get_errno())}")
    spec = struct.pack("=qqqq", 0, RETRY_NS, 0, RETRY_NS)
    libc.timerfd_settime(fd, 0, spec, None)
    return fd


def open_device(wanted: Wanted) -> MemifDevice:
    """Listen, or begin to connect."""
    is_client = wanted.options.get("role") == "client"
    length = len(os.fsencode(wanted.name))
    if length > _PATH_MAX:
        raise CortenError(
            f"memif:{wanted.name}: the name of a socket has at most {_PATH_MAX} octets"
        )
    if not is_client and (given := {"rings", "size", "buffer"} & set(wanted.options)):
        raise CortenError(
            f"memif:{wanted.name}: {min(given)}= is for role=client: the client lays out the memory"
        )
    return MemifClient(wanted) if is_client else MemifServer(wanted)
