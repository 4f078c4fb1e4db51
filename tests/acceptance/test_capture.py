"""A served TAP, recorded, with faults around it: what tshark says of it, and what clients get."""

from __future__ import annotations

import hashlib
import subprocess
from pathlib import Path

import pytest

from bench.client import site_pages
from bench.namespace import Namespace
from bench.process import Process, ProcessError
from corten.core.arena import checksum_of
from corten.wire.pcapng import INBOUND, OUTBOUND, Packet, read
from tests.acceptance.serving import ADDRESS, LINK, URL, Httpd

pytestmark = [pytest.mark.e2e, pytest.mark.slow]
CURL = ["curl", "-sS", "--fail", "--noproxy", "*", "--max-time", "60"]


def shown(path: Path, *names: str) -> list[list[str]]:
    """Fields of every packet, as Wireshark sees them."""
    words = ["tshark", "-r", str(path), "-o", "tcp.check_checksum:TRUE", "-T", "fields"]
    words += [word for name in names for word in ("-e", name)]
    done = subprocess.run(words, capture_output=True, text=True, check=True, timeout=60)
    return [line.split("\t") for line in done.stdout.splitlines()]


def send_raw(space: Namespace, device: str, mac: str) -> None:
    """A SYN whose checksum is wrong, straight onto the TAP's wire."""
    tcp = bytes.fromhex("04d2005000000001000000005002ffff00010000")
    ip = bytearray.fromhex("4500002800010000400600000a0900010a090002")
    ip[10:12] = checksum_of(bytes(ip)).to_bytes(2, "big")
    frame = bytes.fromhex(mac.replace(":", "")) + bytes.fromhex("020000000001") + b"\x08\x00"
    script = (
        "import socket\n"
        "with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as s:\n"
        f"    s.bind(({device!r}, 0))\n"
        f"    s.send(bytes.fromhex({(frame + bytes(ip) + tcp).hex()!r}))\n"
    )
    space.command(["python3", "-c", script])


@pytest.mark.parametrize("workers", [1, 2])
def test_wireshark_shows_the_handshake_and_the_drop(
    space: Namespace, site: Path, tmp_path: Path, workers: int
) -> None:
    file = tmp_path / "served.pcapng"
    page = site_pages(str(site))[0]
    with Httpd(space, site, workers=workers, link=f"{LINK},capture={file}"):
        for _ in range(4):
            space.command([*CURL, "-o", "/dev/null", URL + page])
        mac = space.ip("neigh", "show", ADDRESS).partition("lladdr ")[2].split()[0]
        send_raw(space, "corten0", mac)
        space.command(["ping", "-c", "1", "-W", "2", ADDRESS])
    names = ["served.pcapng"] if workers == 1 else ["served.0.pcapng", "served.1.pcapng"]
    files = [tmp_path / name for name in names]
    assert sorted(tmp_path.iterdir()) == files
    syns, answers, pings = 0, 0, 0
    comments: list[str] = []
    fields = ("frame.packet_flags_direction", "tcp.flags", "icmp.type", "frame.comment")
    for each in files:
        for way, flags, icmp, comment, checksum in shown(each, *fields, "tcp.checksum.status"):
            syns += (int(way, 16), flags[-3:]) == (INBOUND, "002")
            answers += (int(way, 16), flags[-3:]) == (OUTBOUND, "012")
            pings += icmp == "0"
            comments += [comment] if flags and comment else []
            assert checksum in ("", "1") or comment, "a wrong checksum that nobody has dropped"
    assert (syns, answers, pings) == (5, 4, 1)
    assert comments == ["dropped: tcp_bad_checksum: checksum wrong"]


def test_a_lossy_link_still_serves_every_octet(
    space: Namespace, site: Path, tmp_path: Path
) -> None:
    pages = site_pages(str(site))[:60]
    config = tmp_path / "config"
    lines = [f'url = "{URL}{page}"\noutput = "{tmp_path / page}"\n' for page in pages]
    config.write_text("".join(lines), encoding="ascii")
    faults = "drop=1%,duplicate=1%,corrupt=0.5%,reorder=1%,delay=1ms,jitter=1ms,seed=3"
    with Httpd(space, site, link=f"{LINK},{faults}"):
        words = [*CURL, "--parallel", "--parallel-max", "8", "-K", str(config)]
        client = Process(words, space, None)
        try:
            client.wait(60)
        finally:
            client.stop()
    for page in pages:
        expected = hashlib.sha256((site / page).read_bytes()).hexdigest()
        assert hashlib.sha256((tmp_path / page).read_bytes()).hexdigest() == expected


def test_a_delay_is_a_delay(space: Namespace, site: Path) -> None:
    with Httpd(space, site, link=f"{LINK},delay=30ms"):
        said = space.command(["ping", "-c", "3", "-i", "0.1", "-W", "2", ADDRESS])
        times = said.rpartition("= ")[2].split("/")
        assert float(times[0]) >= 60.0


def test_a_capture_is_played_to_another_stack(space: Namespace, site: Path, tmp_path: Path) -> None:
    """What one server recorded is played to a fresh one: the same frames come in, and what does
    not depend on a connection is dropped for the same reasons."""
    first, second = tmp_path / "first.pcapng", tmp_path / "second.pcapng"
    page = site_pages(str(site))[0]
    with Httpd(space, site, link=f"{LINK},capture={first},corrupt-in=20%"):
        for _ in range(3):
            space.command([*CURL, "-o", "/dev/null", URL + page])
    link = f"replay:{first},address={ADDRESS}/24,speed=fast,capture={second}"
    with Httpd(space, site, link=link) as server:
        server.process.expect("ready")
    played = [each for each in read(first.read_bytes()) if each.direction == INBOUND]
    again = [each for each in read(second.read_bytes()) if each.direction == INBOUND]
    assert len(played) > 10
    assert [each.frame for each in again] == [each.frame for each in played]
    assert dropped(again) == dropped(played)
    assert any(each is not None for each in dropped(played))


def dropped(packets: list[Packet]) -> list[str | None]:
    """Why frames were dropped whatever connection they are of."""
    known = ("checksum", "ethernet", "ipv4")
    return [
        each.comment if any(word in each.comment for word in known) else None for each in packets
    ]


def test_what_cannot_be_written_is_one_line(space: Namespace, site: Path, tmp_path: Path) -> None:
    text = tmp_path / "text"
    text.write_text("my thesis")
    with pytest.raises(ProcessError, match=r"corten: capture=.*is there and no capture"):
        Httpd(space, site, link=f"{LINK},capture={text}")
    assert text.read_text() == "my thesis"
