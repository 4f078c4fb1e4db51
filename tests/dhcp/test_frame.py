"""The frame of a host without an address, as scapy reads it."""

from __future__ import annotations

import pytest
from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import Dot1Q, Ether

from corten.dhcp.frame import broadcast_frame, copied_frame

MAC = 0x0200_0000_0001


@pytest.mark.parametrize("vlan", [0, 42])
@pytest.mark.parametrize("length", [0, 1, 300])
def test_as_scapy_reads_it(vlan: int, length: int) -> None:
    seen = Ether(broadcast_frame(MAC, vlan, bytes(range(256))[:length] * 2))
    assert (seen.dst, seen.src) == ("ff:ff:ff:ff:ff:ff", "02:00:00:00:00:01")
    assert (seen[Dot1Q].vlan if vlan else None) == (vlan or None)
    assert (seen[IP].src, seen[IP].dst) == ("0.0.0.0", "255.255.255.255")
    assert (seen[UDP].sport, seen[UDP].dport) == (68, 67)
    sums = seen[IP].chksum, seen[UDP].chksum
    del seen[IP].chksum, seen[UDP].chksum
    again = Ether(bytes(seen))
    assert (again[IP].chksum, again[UDP].chksum) == sums


def test_a_copy_goes_to_the_client() -> None:
    seen = Ether(copied_frame(MAC, 0, b"x", "10.0.0.1"))
    assert (seen[IP].src, seen[UDP].sport, seen[UDP].dport) == ("10.0.0.1", 69, 68)
