"""Nothing above `wire/` assumes 32 bits: flow key, pseudo-header and table with IPv6 addresses."""

from __future__ import annotations

from scapy.layers.inet import TCP
from scapy.layers.inet6 import IPv6

from corten.core.arena import Memory
from corten.core.siphash import Siphash
from corten.core.table import FlowTable
from corten.wire.address import parse_address
from corten.wire.checksum import pseudo_sum
from corten.wire.tcp import Segment, verify_checksum


def test_flow_key_pseudo_header_and_table_hold_128_bits() -> None:
    remote = parse_address("2001:db8::1")
    local = parse_address("2001:db8:ffff::2")
    packet = IPv6(bytes(IPv6(src="2001:db8::1", dst="2001:db8:ffff::2") / TCP(sport=9, dport=80)))
    octets = bytes(packet[TCP])
    segment = Segment()
    assert segment.parse(Memory(octets), 0, len(octets)) == 0
    assert verify_checksum(segment, pseudo_sum(*remote, *local, 6))
    assert not verify_checksum(segment, pseudo_sum(*local, *local, 6))

    key = Siphash(b"0123456789abcdef")
    seen = set()
    table = FlowTable(16)
    for i in range(1000):
        # addresses that differ only above the low 32 bits, in either half
        flow = key.flow(remote[0] + (i << 40), remote[1] + (i << 33), *local, 9 << 16 | 80)
        seen.add(flow)
        table.insert(flow, i)
    assert len(seen) == 1000 and len(table) == 1000
    for i in range(1000):
        flow = key.flow(remote[0] + (i << 40), remote[1] + (i << 33), *local, 9 << 16 | 80)
        assert table.value_at(table.first(flow)) == i
