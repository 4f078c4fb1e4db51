"""The names of numbers that scripts use in calls and in code, as Linux has them."""

from __future__ import annotations

import errno
import os
import socket

from corten.drill.error import ScriptError
from corten.drill.nodes import Alternatives, Expression, Number, Word

_OWN = {
    "O_RDONLY": 0, "O_WRONLY": 1, "O_RDWR": 2, "O_NONBLOCK": os.O_NONBLOCK,
    "SHUT_RD": 0, "SHUT_WR": 1, "SHUT_RDWR": 2, "NULL": 0, "TCP_NODELAY": 1,
    "POLLIN": 1, "POLLPRI": 2, "POLLOUT": 4, "POLLERR": 8, "POLLHUP": 0x10, "POLLNVAL": 0x20,
    "POLLRDNORM": 0x40, "POLLRDBAND": 0x80, "POLLWRNORM": 0x100, "POLLWRBAND": 0x200,
    "POLLRDHUP": 0x2000, "EPOLLIN": 1, "EPOLLPRI": 2, "EPOLLOUT": 4, "EPOLLERR": 8,
    "EPOLLHUP": 0x10, "EPOLLRDNORM": 0x40, "EPOLLRDBAND": 0x80, "EPOLLWRNORM": 0x100,
    "EPOLLWRBAND": 0x200, "EPOLLRDHUP": 0x2000, "EPOLLET": 1 << 31, "EPOLLONESHOT": 1 << 30,
    "EPOLLEXCLUSIVE": 1 << 28, "EPOLLWAKEUP": 1 << 29, "EPOLL_CTL_ADD": 1, "EPOLL_CTL_DEL": 2,
    "EPOLL_CTL_MOD": 3, "MSG_EOR": 0x80,
}  # fmt: skip
CODE_NAMES = {
    "TCP_ESTABLISHED": 1, "TCP_SYN_SENT": 2, "TCP_SYN_RECV": 3, "TCP_FIN_WAIT1": 4,
    "TCP_FIN_WAIT2": 5, "TCP_TIME_WAIT": 6, "TCP_CLOSE": 7, "TCP_CLOSE_WAIT": 8, "TCP_LAST_ACK": 9,
    "TCP_LISTEN": 10, "TCP_CLOSING": 11, "TCP_CA_Open": 0, "TCP_CA_Disorder": 1, "TCP_CA_CWR": 2,
    "TCP_CA_Recovery": 3, "TCP_CA_Loss": 4, "TCPI_OPT_TIMESTAMPS": 1, "TCPI_OPT_SACK": 2,
    "TCPI_OPT_WSCALE": 4, "TCPI_OPT_ECN": 8, "TCPI_OPT_ECN_SEEN": 16, "TCPI_OPT_SYN_DATA": 32,
    "TCP_INFINITE_SSTHRESH": 0x7FFFFFFF, "TCPI_CLOSED": 0, "TCPI_LISTEN": 1, "TCPI_SYN_SENT": 2,
    "TCPI_SYN_RECEIVED": 3, "TCPI_ESTABLISHED": 4, "TCPI_CLOSE_WAIT": 5, "TCPI_FIN_WAIT_1": 6,
    "TCPI_CLOSING": 7, "TCPI_LAST_ACK": 8, "TCPI_FIN_WAIT_2": 9, "TCPI_TIME_WAIT": 10,
}  # fmt: skip
_OWN |= {f"IPTOS_DSCP_CS{i}": i << 5 for i in range(8)}
_OWN |= {f"IPTOS_DSCP_AF{i}{k}": i << 5 | k << 3 for i in range(1, 5) for k in range(1, 4)}
_OWN |= {"IPTOS_DSCP_EF": 0xB8, "IPTOS_LOWDELAY": 0x10, "IPTOS_THROUGHPUT": 8}
_OWN |= {"IP_PMTUDISC_DONT": 0, "IP_PMTUDISC_WANT": 1, "IP_PMTUDISC_DO": 2, "IP_PMTUDISC_PROBE": 3}
_PREFIXES = ("AF_", "SOCK_", "SOL_", "IPPROTO_", "MSG_", "SO_", "TCP_", "IP_", "IPV6_")


def constant(name: str) -> int:
    """The number a name stands for. ScriptError for one that is not known."""
    if name in _OWN:
        return _OWN[name]
    if name.startswith("E") and hasattr(errno, name):
        return int(getattr(errno, name))
    if name.startswith(_PREFIXES) and hasattr(socket, name):
        return int(getattr(socket, name))
    if name in CODE_NAMES:
        return CODE_NAMES[name]
    raise ScriptError(f"no such constant: {name}")


def number_of(expression: Expression) -> int:
    """A number, a constant, or several joined by `|`."""
    if isinstance(expression, Number):
        return expression.value
    if isinstance(expression, Word):
        return constant(expression.name)
    if isinstance(expression, Alternatives):
        total = 0
        for part in expression.parts:
            total |= number_of(part)
        return total
    raise ScriptError("expected a number here")


def names_of(expression: Expression) -> set[str]:
    """The names in `A|B|C`; numbers stand for none."""
    if isinstance(expression, Word):
        return {expression.name}
    if isinstance(expression, Alternatives):
        return set().union(*(names_of(part) for part in expression.parts))
    return set()
