"""Why a connection came to nothing: what ICMP reported, or that nobody answered.

A soft error (RFC 9293 3.9.2.2: network or host unreachable, and the like) ends nothing. It is kept
in `Tcb.error`, told to a handler that has an `on_trouble` (MUST-47, SHLD-20), and becomes the cause
when a timer ends the connection. The mapping is `ip/cause`'s, but for protocol unreachable, which
is told as port unreachable: both mean that nobody is there.
"""

from __future__ import annotations

import errno

import cython
from cython.cimports.corten.endpoint.doors import Doors
from cython.cimports.corten.ip.cause import cause_of
from cython.cimports.corten.tcp.host import TcpHost
from cython.cimports.corten.tcp.state import EVENT_TROUBLE, SYNCHRONIZED
from cython.cimports.corten.tcp.tcb import Tcb
from cython.cimports.corten.wire.icmpv4 import ICMP_PROTOCOL_UNREACHABLE, ICMP_UNREACHABLE

# codes of RFC 792 and RFC 1122 3.2.2.1 that end an open
HARD = frozenset((2, 3, 6, 7, 8, 9, 10, 13, 14, 15))


@cython.cfunc
def icmp_cause(type: cython.uint, code: cython.uint) -> OSError:
    """The exception that an ICMPv4 error stands for."""
    if type == ICMP_UNREACHABLE and code == ICMP_PROTOCOL_UNREACHABLE:
        return OSError(errno.ECONNREFUSED, "protocol unreachable")
    return cause_of(type, code)


@cython.cfunc
def ends_an_open(type: cython.uint, code: cython.uint) -> cython.bint:
    """Whether it is a hard error while a connection is being opened (RFC 5461 4.1 on why none is
    afterwards)."""
    return type == ICMP_UNREACHABLE and code in HARD


@cython.cfunc
def timed_out(host: TcpHost, tcb: Tcb, text: str) -> cython.void:
    """A timer ends the connection: by what the network last said of it, if it said anything."""
    error: object = tcb.error
    if error is None and tcb.path.neighbour.mac == 0 and tcb.state & SYNCHRONIZED == 0:
        error = OSError(errno.EHOSTUNREACH, "its neighbour does not answer")
    host.finish(tcb, TimeoutError(text) if error is None else error)


@cython.cfunc
def report_trouble(host: TcpHost, tcb: Tcb) -> cython.void:
    """Tell a handler that wants to know: `Tcb.error`, or that nothing is acknowledged (SHLD-9)."""
    doors: Doors | None = tcb.doors
    if doors is not None and doors.wants_trouble:
        tcb.events |= EVENT_TROUBLE
        host.mark(tcb)
