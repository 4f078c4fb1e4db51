"""A veth pair between two namespaces, as the tests of drivers that share a device want it."""

from __future__ import annotations

from bench.namespace import Namespace

NAME = "wire"  # of the device at both ends
HOST, PEER = "10.9.0.1", "10.9.0.3"  # the kernel's addresses: on our side, and on the client's
HOST6, PEER6 = "fd09::1", "fd09::3"


def lay(ours: Namespace, theirs: Namespace, queues: int = 1, mtu: int = 1500) -> None:
    """Both ends up, with `queues` each way, and the kernel's addresses on them."""
    count = ["numrxqueues", str(queues), "numtxqueues", str(queues)]
    words = ["link", "add", NAME, "mtu", str(mtu), *count, "type", "veth"]
    ours.ip(*words, "peer", "name", NAME, "mtu", str(mtu), *count, "netns", theirs.path)
    for side, address in ((ours, HOST), (theirs, PEER)):
        side.ip("address", "add", f"{address}/24", "dev", NAME)
        side.ip("link", "set", NAME, "up")


def lay_ipv6(ours: Namespace, theirs: Namespace) -> None:
    """The kernels speak IPv6 over the wire too. OSError where there is none."""
    for side, address in ((ours, HOST6), (theirs, PEER6)):
        side.speak_ipv6()
        side.ip("address", "add", f"{address}/64", "dev", NAME, "nodad")


def has_program(space: Namespace) -> bool:
    """Whether an XDP program hangs on our end."""
    return "xdp" in space.ip("-details", "link", "show", "dev", NAME)
