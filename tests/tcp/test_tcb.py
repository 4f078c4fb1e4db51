"""What a connection costs while it does nothing, and that its small fields hold what they must."""

from __future__ import annotations

from functools import reduce
from operator import or_

import pytest

from corten.app.httpd import Httpd
from corten.tcp import ecn, emit, state
from corten.tcp.connection import TcpConnection
from corten.tcp.cubic import Cubic
from corten.tcp.reno import Reno
from tests.plain import IS_PLAIN

HAVE_GC = 1 << 14  # Py_TPFLAGS_HAVE_GC

if not IS_PLAIN:

    @pytest.mark.parametrize("kind, most", [(TcpConnection, 648), (Httpd, 104), (Cubic, 144)])
    def test_an_idle_connection_holds_no_more_than_this(kind: type, most: int) -> None:
        """With what their allocators add these three are 944 of the 1,024 octets allowed."""
        assert kind.__basicsize__ <= most

    @pytest.mark.parametrize("kind", [Cubic, Reno])
    def test_congestion_control_is_none_of_the_collectors(kind: type) -> None:
        assert not kind.__flags__ & HAVE_GC


@pytest.mark.parametrize(
    "module, prefix, most",
    [
        (state, "EVENT_", 0xFF),
        (state, "SYNCHRONIZED", 0xFFFF),  # every state from ESTABLISHED on
        (emit, "NO_SHIFT", 0xFF),
        (ecn, "ECN_", 0xFFFF),
    ],
)
def test_the_small_fields_of_a_tcb_are_wide_enough(module: object, prefix: str, most: int) -> None:
    """C would cut what does not fit, and say nothing."""
    values = [value for name, value in vars(module).items() if name.startswith(prefix)]
    assert values
    assert reduce(or_, values) <= most
