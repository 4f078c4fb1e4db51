"""The program that keeps the kernel silent, run by hand over packets."""

from __future__ import annotations

import struct

import pytest

from corten.driver.silence import program

DROP, NEXT, PASS = 2, -1, 0
OURS = ["10.9.0.2/24", "192.168.255.254/16", "fd00::2/64", "fe80::80ff:fffe:1/64"]


def run(code: bytes, packet: bytes) -> int:
    """As the kernel would: loads from the packet, comparisons, moves; what it returns."""
    registers, at = [0] * 11, 0
    while True:
        opcode, both, jump, value = struct.unpack_from("<BBhi", code, at * 8)
        to = both & 15
        at += 1
        if opcode & 7 == 0:  # from the packet, in host order
            length = {0x00: 4, 0x08: 2, 0x10: 1}[opcode & 0x18]
            if value + length > len(packet):
                return 0
            registers[0] = int.from_bytes(packet[value : value + length], "big")
        elif opcode == 0xBF:
            registers[to] = registers[both >> 4]
        elif opcode == 0xB7:
            registers[to] = value
        elif opcode == 0x77:
            registers[to] >>= value
        elif opcode == 0x05:
            at += jump
        elif opcode in (0x16, 0x56):  # ==, != on 32 bits
            if (registers[to] == value & 0xFFFFFFFF) == (opcode == 0x16):
                at += jump
        else:
            assert opcode == 0x95, hex(opcode)
            return registers[0]


def ipv4(target: str) -> bytes:
    return bytes(12) + b"\x08\0" + bytes(16) + bytes(map(int, target.split("."))) + bytes(20)


def arp(target: str) -> bytes:
    return bytes(12) + b"\x08\x06" + bytes(24) + bytes(map(int, target.split(".")))


def ipv6(target: bytes) -> bytes:
    return bytes(12) + b"\x86\xdd" + bytes(24) + target + bytes(20)


@pytest.mark.parametrize(
    ("packet", "result"),
    [
        (ipv4("10.9.0.2"), DROP),
        (ipv4("192.168.255.254"), DROP),
        (ipv4("10.9.0.3"), NEXT),
        (ipv4("0.0.0.2"), NEXT),
        (arp("10.9.0.2"), DROP),
        (arp("10.9.0.1"), NEXT),
        (ipv6(bytes.fromhex("fd000000000000000000000000000002")), DROP),
        (ipv6(bytes.fromhex("fe80000000000000000080fffffe0001")), DROP),
        (ipv6(bytes.fromhex("fe8000000000000080ff0000fffe0001")), NEXT),
        (ipv6(bytes.fromhex("fe80000000000000000080fffffe0002")), NEXT),
        (ipv6(bytes.fromhex("fd000000000000000000000000000003")), NEXT),
        (bytes(12) + b"\x88\xb5" + bytes(60), NEXT),
        (ipv4("10.9.0.2")[:32], PASS),
        (b"", PASS),
    ],
)
def test_what_is_ours_is_dropped(packet: bytes, result: int) -> None:
    assert run(program(OURS).octets(), packet) == result


def test_a_link_without_addresses_drops_nothing() -> None:
    code = program([]).octets()
    assert run(code, ipv4("10.9.0.2")) == run(code, arp("0.0.0.0")) == NEXT
    assert run(code, ipv6(bytes(16))) == NEXT


@pytest.mark.parametrize(
    ("packet", "result"),
    [
        (ipv4("10.9.0.0"), DROP),
        (ipv4("10.9.255.255"), DROP),
        (ipv4("10.8.255.255"), NEXT),
        (ipv4("10.10.0.0"), NEXT),
        (arp("10.9.7.7"), DROP),
        (arp("10.10.7.7"), NEXT),
        (ipv4("192.0.2.129"), DROP),
        (ipv4("192.0.2.127"), NEXT),
        (ipv4("10.0.0.2"), DROP),
        (ipv4("10.0.0.3"), NEXT),
        (ipv6(bytes.fromhex("fd0900000000000000000000ffff0002")), DROP),
        (ipv6(bytes.fromhex("fd0900000000000100000000ffff0002")), NEXT),
        (ipv6(bytes.fromhex("fd0afff0000000000000000000000002")), DROP),
        (ipv6(bytes.fromhex("fd0affef000000000000000000000002")), NEXT),
    ],
)
def test_so_is_what_is_for_a_prefix_of_ours(packet: bytes, result: int) -> None:
    prefixes = ["10.9.0.0/16", "192.0.2.128/25", "fd09::/64", "fd0a:fff0::/28"]
    assert run(program(["10.0.0.2/24"], prefixes).octets(), packet) == result
