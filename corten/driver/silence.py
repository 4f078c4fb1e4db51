"""Keep the kernel from having a say about our addresses on a device that it uses too.

An address that no interface of the kernel has is not answered by it; but a kernel that forwards
would look for a way to it, and every kernel looks at each packet before it drops it. So, where that
may be loaded, a program at the device's ingress drops what is for our addresses before the kernel's
own stack sees it. Packet sockets have had their copy by then. The program goes with its descriptor.
"""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Iterable
from typing import Any

from corten.driver.bpf import BPF_TCX_INGRESS, SCHED_CLS, Assembly, attach_link, load_program

_TYPE_AT = 12  # of Ethernet; a tag has been taken out already
_ARP_TARGET_AT = 38
_DESTINATION_AT = 30  # of IPv4
_DESTINATION_V6_AT = 38
_ARP, _IPV4, _IPV6 = 0x0806, 0x0800, 0x86DD
_DROP = 2
_NEXT = -1  # whatever else hangs there has its turn


def program(addresses: Iterable[str], prefixes: Iterable[str] = ()) -> Assembly:
    """Drop ARP that asks for, and IP that goes to, one of the addresses ("10.0.2.2/24") or any of a
    prefix ("10.9.0.0/16")."""
    ours: list[Any] = [ipaddress.ip_network(ipaddress.ip_interface(text).ip) for text in addresses]
    ours += [ipaddress.ip_network(text) for text in prefixes]
    four = [network for network in ours if network.version == 4]
    six = [network for network in ours if network.version == 6]
    code = Assembly()
    code.combine("mov", 6, 1)
    code.load_packet(_TYPE_AT, 2)
    code.jump_if("eq", 0, _IPV4, "ipv4")
    code.jump_if("eq", 0, _ARP, "arp")
    code.jump_if("eq", 0, _IPV6, "ipv6")
    code.jump("next")
    for label, at in (("ipv4", _DESTINATION_AT), ("arp", _ARP_TARGET_AT)):
        code.label(label)
        for i, network in enumerate(four):
            _drop_if_in(code, network, at, f"{label} not {i}")
        code.jump("next")
    code.label("ipv6")
    for i, network in enumerate(six):
        _drop_if_in(code, network, _DESTINATION_V6_AT, f"not {i}")
    code.label("next")
    code.set("mov", 0, _NEXT)
    code.leave()
    code.label("drop")
    code.set("mov", 0, _DROP)
    code.leave()
    return code


def _drop_if_in(code: Assembly, network: Any, at: int, label: str) -> None:
    """Word by word, as many bits as the network has; on to `label` where one differs."""
    number, bits = int(network.network_address), network.prefixlen
    for word in range(0, bits, 32):
        beyond = max(0, word + 32 - bits)  # bits of this word that may be anything
        code.load_packet(at + word // 8, 4)
        if beyond:
            code.set("rsh", 0, beyond)
        wanted = number >> (network.max_prefixlen - 32 - word) & 0xFFFF_FFFF
        code.jump_if("ne", 0, wanted >> beyond, label)
    code.jump("drop")
    code.label(label)


def load(addresses: Iterable[str], prefixes: Iterable[str] = ()) -> int:
    """The program's descriptor; of one address at the least. OSError where it may not be;
    CortenError on an unknown machine."""
    return load_program(
        SCHED_CLS, program(addresses, prefixes), "corten_silence", attach=BPF_TCX_INGRESS
    )


def attach(index: int, addresses: Iterable[str], prefixes: Iterable[str] = ()) -> int:
    """Hang it on the device of that index: a descriptor with which it goes. Errors as `load`."""
    fd = load(addresses, prefixes)
    try:
        return attach_link(fd, index, BPF_TCX_INGRESS)
    finally:
        os.close(fd)
