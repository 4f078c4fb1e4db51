"""What the suite needs of a backend: the loop under test, and a far end that is a mere peer.

A backend that wants to be tested implements `Backend`, `Peer` and `FarListener`, and adds itself to
`conftest.BACKENDS`. The suite moves time and octets only through `Backend.run`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from corten.endpoint.handler import Handler


class Peer:
    """The far end of one connection, without manners of its own: it does what the test says."""

    received: bytes = b""  # as far as it reads
    is_open: bool = False  # the handshake is done
    saw_eof: bool = False  # the near side has finished sending
    saw_reset: bool = False

    def send(self, data: bytes) -> None:
        """Send, as far as the near side takes it now; the rest follows in `run`."""
        raise NotImplementedError

    @property
    def unsent_len(self) -> int:
        """Octets that the near side has not let go out."""
        raise NotImplementedError

    def finish(self) -> None:
        """Send FIN after what was sent; reading goes on."""
        raise NotImplementedError

    def reset(self) -> None:
        """Send RST."""
        raise NotImplementedError

    def stop_reading(self) -> None:
        """Read no more, so that the near side's queue fills."""
        raise NotImplementedError

    def start_reading(self) -> None:
        raise NotImplementedError


class FarListener:
    """A far end that accepts: for what the near side opens."""

    port: int
    peers: list[Peer]


class Backend:
    """The loop under test and its surroundings."""

    name: str
    loop: Any  # the Loop under test
    address: str  # the near side's address
    far_address: str
    can_watch: bool  # whether the loop watches descriptors
    nobody: tuple[str, int]  # an address and a port where no SYN is answered
    patience: float  # seconds of the loop's clock that are "a while" for timer tests

    def listen(self, factory: Callable[[], Handler]) -> int:
        """The loop under test accepts connections; the port."""
        raise NotImplementedError

    def dial(self, port: int) -> Peer:
        """The far end connects to `port`; `is_open` once it stands."""
        raise NotImplementedError

    def far_listen(self) -> FarListener:
        raise NotImplementedError

    def run(self, until: Callable[[], object], seconds: float = 20.0) -> None:
        """Let everything run until `until()` is true. AssertionError after `seconds`."""
        raise NotImplementedError

    def pass_time(self, seconds: float) -> None:
        """Let everything run for so long."""
        raise NotImplementedError

    def close(self) -> None:
        """End, and see that nothing is left behind (AssertionError)."""
        raise NotImplementedError
