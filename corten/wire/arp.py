"""Address Resolution Protocol for IPv4 over Ethernet: parse and emit (RFC 826, RFC 5227).

One layout is spoken, hardware and protocol addresses of 6 and 4 octets:

    0        2        4     5     6         8            14          18           24
    | htype  | ptype  | hlen| plen| oper    | sender MAC | sender IP | target MAC | target IP |
"""

from __future__ import annotations

import cython
from cython.cimports.corten.core.arena import Arena, Memory
from cython.cimports.corten.core.field import get16, get32, put16, put32
from cython.cimports.corten.wire.address import is_host_v4
from cython.cimports.corten.wire.mac_field import get48, is_group_mac, put48
from cython.cimports.corten.wire.reason import ACCEPTED, ARP_BAD_SENDER, ARP_MALFORMED

if not cython.compiled:
    ARP_LEN = 28
    REQUEST = 1
    REPLY = 2
    # what the first six octets of every ARP message of this kind are
    ARP_HARDWARE_ETHERNET_PROTOCOL_IPV4 = 0x0001_0800
    ARP_HARDWARE_LEN_6_PROTOCOL_LEN_4 = 0x0604


@cython.final
@cython.cclass
class Arp:
    """One ARP message. Parsed into again and again, or filled and emitted."""

    operation: cython.uint
    sender_mac: cython.ulonglong
    sender_ip: cython.uint
    target_mac: cython.ulonglong
    target_ip: cython.uint

    def __init__(self) -> None:
        self.operation = 0
        self.sender_mac = 0
        self.sender_ip = 0
        self.target_mac = 0
        self.target_ip = 0

    @cython.ccall
    def parse(self, memory: Memory, at: cython.Py_ssize_t, length: cython.Py_ssize_t) -> cython.int:
        """Fill from memory[at : at + length], which may be padded; a reason.

        A request from 0.0.0.0 is a probe (RFC 5227, 2.1.1) and fine.
        """
        if length < ARP_LEN or get32(memory, at) != ARP_HARDWARE_ETHERNET_PROTOCOL_IPV4:
            return ARP_MALFORMED
        if get16(memory, at + 4) != ARP_HARDWARE_LEN_6_PROTOCOL_LEN_4:
            return ARP_MALFORMED
        self.operation = get16(memory, at + 6)
        if self.operation not in (REQUEST, REPLY):
            return ARP_MALFORMED
        self.sender_mac = get48(memory, at + 8)
        self.sender_ip = get32(memory, at + 14)
        self.target_mac = get48(memory, at + 18)
        self.target_ip = get32(memory, at + 24)
        if self.sender_mac == 0 or is_group_mac(self.sender_mac):
            return ARP_BAD_SENDER
        is_probe: cython.bint = self.sender_ip == 0 and self.operation == REQUEST
        if not is_probe and not is_host_v4(self.sender_ip):
            return ARP_BAD_SENDER
        return ACCEPTED

    @cython.ccall
    def fill(
        self,
        operation: cython.uint,
        sender_mac: cython.ulonglong,
        sender_ip: cython.uint,
        target_mac: cython.ulonglong,
        target_ip: cython.uint,
    ) -> cython.void:
        """Set every field, for `emit`."""
        self.operation = operation
        self.sender_mac = sender_mac
        self.sender_ip = sender_ip
        self.target_mac = target_mac
        self.target_ip = target_ip

    @cython.ccall
    def emit(self, arena: Arena, at: cython.Py_ssize_t) -> cython.Py_ssize_t:
        """Write the message at `at`; its length."""
        put32(arena, at, ARP_HARDWARE_ETHERNET_PROTOCOL_IPV4)
        put16(arena, at + 4, ARP_HARDWARE_LEN_6_PROTOCOL_LEN_4)
        put16(arena, at + 6, self.operation)
        put48(arena, at + 8, self.sender_mac)
        put32(arena, at + 14, self.sender_ip)
        put48(arena, at + 18, self.target_mac)
        put32(arena, at + 24, self.target_ip)
        return ARP_LEN
