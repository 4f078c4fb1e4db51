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

from corten.driver.bpf import BPF_TCX_INGRESS, SCHED_CLS, Assembly, attach_link, load_program

_TYPE_AT = 12  # of Ethernet; a tag has been taken out already
_ARP_TARGET_AT = 38
_DESTINATION_AT = 30  # of IPv4
_DESTINATION_V6_AT = 38
_ARP, _IPV4, _IPV6 = 0x0806, 0x0800, 0x86DD
_DROP = 2
_NEXT = -1  # whatever else hangs there has its turn


def program(addresses: Iterable[str]) -> Assembly:
    """Drop ARP that asks for, and IP that goes to, one of the addresses ("10.0.2.2/24")."""
    ours = [ipaddress.ip_interface(text).ip for text in addresses]
    four = [int(ip) for ip in ours if ip.version == 4]
    six = [int(ip) for ip in ours if ip.version == 6]
    code = Assembly()
    code.combine("mov", 6, 1)
    code.load_packet(_TYPE_AT, 2)
    code.jump_if("eq", 0, _IPV4, "ipv4")
    code.jump_if("eq", 0, _ARP, "arp")
    code.jump_if("eq", 0, _IPV6, "ipv6")
    code.jump("next")
    for label, at in (("ipv4", _DESTINATION_AT), ("arp", _ARP_TARGET_AT)):
        code.label(label)
        code.load_packet(at, 4)
        for number in four:
            code.jump_if("eq", 0, number, "drop")
        code.jump("next")
    code.label("ipv6")
    for i, number in enumerate(six):
        for word in range(4):
            code.load_packet(_DESTINATION_V6_AT + 4 * word, 4)
            code.jump_if("ne", 0, number >> (96 - 32 * word) & 0xFFFF_FFFF, f"not {i}")
        code.jump("drop")
        code.label(f"not {i}")
    code.label("next")
    code.set("mov", 0, _NEXT)
    code.leave()
    code.label("drop")
    code.set("mov", 0, _DROP)
    code.leave()
    return code


def load(addresses: Iterable[str]) -> int:
    """The program's descriptor; of one address at the least. OSError where it may not be;
    CortenError on an unknown machine."""
    return load_program(SCHED_CLS, program(addresses), "corten_silence", attach=BPF_TCX_INGRESS)


def attach(index: int, addresses: Iterable[str]) -> int:
    """Hang it on the device of that index: a descriptor with which it goes. Errors as `load`."""
    fd = load(addresses)
    try:
        return attach_link(fd, index, BPF_TCX_INGRESS)
    finally:
        os.close(fd)
