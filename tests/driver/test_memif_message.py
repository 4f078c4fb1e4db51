"""memif's messages against octets written down from the C headers' layout, and against anything."""

from __future__ import annotations

import random

import pytest

from corten.driver import memif_message as m

ROWS: list[tuple[m.Message, bytes]] = [
    (m.Ack(), b"\1\0"),
    (
        m.Hello(b"DPDK", 0x200, 0x200, 0xFF, 0xFE, 0xFD, 14),
        b"\2\0DPDK" + bytes(28) + b"\0\2\0\2\xff\0\xfe\0\xfd\0\x0e",
    ),
    (
        m.Init(0x200, 0x01020304, 0, b"secret", b"name"),
        b"\3\0\0\2\4\3\2\1\0secret" + bytes(18) + b"name",
    ),
    (m.AddRegion(3, 0x1_0000_0002), b"\4\0\3\0\2\0\0\0\1\0\0\0"),
    (m.AddRing(1, 2, 3, 0x1080, 8, 0), b"\5\0\1\0\2\0\3\0\x80\x10\0\0\x08\0\0"),
    (m.Connect(b"memif0"), b"\6\0memif0"),
    (m.Connected(b"memif1"), b"\7\0memif1"),
    (m.Disconnect(7, b"why"), b"\x08\0\7\0\0\0why"),
]


@pytest.mark.parametrize(("message", "octets"), ROWS)
def test_each_message_has_its_octets(message: m.Message, octets: bytes) -> None:
    data = octets.ljust(128, b"\0")
    assert m.pack(message) == data
    assert m.unpack(data) == message


@pytest.mark.parametrize("length", [0, 1, 2, 127, 129])
def test_another_length_is_no_message(length: int) -> None:
    with pytest.raises(m.MessageError, match=f"{length} octets"):
        m.unpack(b"\1".ljust(length, b"\0")[:length])


@pytest.mark.parametrize("number", [0, 9, 0xFFFF])
def test_another_type_is_no_message(number: int) -> None:
    with pytest.raises(m.MessageError, match="unknown type"):
        m.unpack(number.to_bytes(2, "little").ljust(128, b"\0"))


def test_texts_are_cut_to_their_fields() -> None:
    found = m.unpack(m.pack(m.Disconnect(0, b"x" * 200)))
    assert found == m.Disconnect(0, b"x" * 96)


def test_anything_is_a_message_or_none() -> None:
    chance = random.Random(1)
    for _ in range(5000):
        data = bytearray(chance.randbytes(128))
        data[0:2] = chance.randrange(12).to_bytes(2, "little")
        try:
            message = m.unpack(bytes(data))
        except m.MessageError:
            continue
        assert m.unpack(m.pack(message)) == message
