"""The program that spreads a TAP's or TUN's packets over its queues, as `corten.ip.spread` says.

Why. By itself the device learns from what we write which queue a flow belongs to, 4096 flows at the
most, and forgets one that was silent for 3 s. With a program it asks nobody: a flow's queue is a
function of its addresses and ports, under keys that its peers do not know, and the workers can
compute it too.

What is neither IPv4 nor IPv6 goes to the first queue: ARP news are told to the others anyway. So
does a packet that ends before its ports.
"""

from __future__ import annotations

import errno
import os
import struct

from corten.driver.bpf import SOCKET_FILTER, Assembly, load_program
from corten.endpoint.error import CortenError
from corten.ip.spread import PORTS_KEY, SPREAD_KEYS

_ETHERTYPE_IPV4, _ETHERTYPE_VLAN, _ETHERTYPE_IPV6 = 0x0800, 0x8100, 0x86DD
_TCP, _UDP = 6, 17
_SUM, _IP_AT = 8, 7  # registers that outlive a load: the sum, and where the IP header lies


def make_keys() -> list[int]:
    """Keys by chance, one set a device: the workers get them with their queues."""
    return list(struct.unpack(f"{SPREAD_KEYS}Q", os.urandom(8 * SPREAD_KEYS)))


def write_program(keys: list[int], queues: int, ethernet: bool) -> Assembly:
    """The program for so many queues, for packets with an Ethernet header or without."""
    code = Assembly()
    code.combine("mov", 6, 1)
    code.load_number(_SUM, keys[0])
    _find_ip(code, ethernet)
    code.label("four")
    for i, at in enumerate((12, 16)):
        _add_word(code, at, keys[1 + i])
    code.load_packet(6, 2, _IP_AT)
    code.jump_if("set", 0, 0x3FFF, "done")  # a fragment, the first one too
    code.load_packet(9, 1, _IP_AT)
    code.jump_if("eq", 0, _TCP, "ports of four")
    code.jump_if("ne", 0, _UDP, "done")
    code.label("ports of four")
    code.load_packet(0, 1, _IP_AT)
    code.set("and", 0, 15)
    code.set("lsh", 0, 2)
    code.combine("add", _IP_AT, 0)
    code.jump("ports")
    code.label("six")
    for i in range(8):
        _add_word(code, 8 + 4 * i, keys[1 + i])
    code.load_packet(6, 1, _IP_AT)
    code.jump_if("eq", 0, _TCP, "ports of six")
    code.jump_if("ne", 0, _UDP, "done")
    code.label("ports of six")
    code.set("add", _IP_AT, 40)
    code.label("ports")
    _add_word(code, 0, keys[PORTS_KEY])
    code.label("done")
    code.combine("mov", 0, _SUM)
    code.set("rsh", 0, 32)
    code.set("mul", 0, queues)
    code.set("rsh", 0, 32)
    code.leave()
    code.label("first")
    code.set("mov", 0, 0)
    code.leave()
    return code


def _find_ip(code: Assembly, ethernet: bool) -> None:
    """Let `_IP_AT` be where the IP header lies, and go where its version wants."""
    if not ethernet:
        code.set("mov", _IP_AT, 0)
        code.load_packet(0, 1)
        code.set("rsh", 0, 4)
        code.jump_if("eq", 0, 6, "six")
        code.jump_if("ne", 0, 4, "first")
        return
    code.set("mov", _IP_AT, 14)
    code.load_packet(12, 2)
    code.jump_if("ne", 0, _ETHERTYPE_VLAN, "typed")
    code.set("mov", _IP_AT, 18)
    code.load_packet(16, 2)
    code.label("typed")
    code.jump_if("eq", 0, _ETHERTYPE_IPV6, "six")
    code.jump_if("ne", 0, _ETHERTYPE_IPV4, "first")


def _add_word(code: Assembly, at: int, key: int) -> None:
    """sum += key * the 32 bits at `at` of the IP header."""
    code.load_packet(at, 4, _IP_AT)
    code.load_number(1, key)
    code.combine("mul", 0, 1)
    code.combine("add", _SUM, 0)


def load(keys: list[int], queues: int, ethernet: bool) -> int:
    """Give the program to the kernel; its descriptor. CortenError where that may not be."""
    try:
        return load_program(SOCKET_FILTER, write_program(keys, queues, ethernet), "corten_steer")
    except OSError as error:
        if error.errno in (errno.EPERM, errno.EACCES):
            raise CortenError(
                "steering=program needs CAP_BPF: run as root outside a user namespace, "
                "or use steering=learnt"
            ) from error
        raise CortenError(
            f"steering=program is not to be had from this kernel ({error.strerror}): "
            "use steering=learnt"
        ) from error
