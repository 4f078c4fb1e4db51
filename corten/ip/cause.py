"""What an ICMP error says to an application: an OSError by the errno that programs know from
Linux. Types and codes are ICMPv4's (RFC 792, RFC 1122 3.2.2.1); IPv6's are told as these."""

from __future__ import annotations

import errno

import cython
from cython.cimports.corten.wire.icmpv4 import ICMP_TIME_EXCEEDED, ICMP_UNREACHABLE

UNREACHABLE = {
    0: (errno.ENETUNREACH, "network unreachable"),
    1: (errno.EHOSTUNREACH, "host unreachable"),
    2: (errno.ENOPROTOOPT, "protocol unreachable"),
    3: (errno.ECONNREFUSED, "port unreachable"),
    4: (errno.EMSGSIZE, "larger than the path takes"),
    5: (errno.EOPNOTSUPP, "source route failed"),
    6: (errno.ENETUNREACH, "network unknown"),
    7: (errno.EHOSTDOWN, "host unknown"),
    8: (errno.ENONET, "source host isolated"),
    9: (errno.ENETUNREACH, "network prohibited"),
    10: (errno.EHOSTUNREACH, "host prohibited"),
    11: (errno.ENETUNREACH, "network unreachable for this type of service"),
    12: (errno.EHOSTUNREACH, "host unreachable for this type of service"),
    13: (errno.EHOSTUNREACH, "prohibited by a router"),
    14: (errno.EHOSTUNREACH, "host precedence violation"),
    15: (errno.EHOSTUNREACH, "precedence cutoff in effect"),
}


@cython.cfunc
def cause_of(type: cython.uint, code: cython.uint) -> OSError:
    """The exception of an ICMP error."""
    if type == ICMP_UNREACHABLE:
        known: tuple = UNREACHABLE.get(code, UNREACHABLE[1])
        return OSError(known[0], known[1])
    if type == ICMP_TIME_EXCEEDED:
        return OSError(errno.EHOSTUNREACH, "time exceeded on the way")
    return OSError(errno.EPROTO, "parameter problem")
