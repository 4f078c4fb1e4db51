"""A capture's file: bounded, whole, and nobody else's file."""

from __future__ import annotations

import errno
import io
import logging
import os
from pathlib import Path
from typing import Any

import pytest

from corten.driver.recording import Recording
from corten.endpoint.error import CortenError
from corten.wire.pcapng import ETHERNET, packet, read

BLOCK = packet(1, bytes(956))  # 1,000 octets with what is around them


def test_it_is_readable_at_every_instant(tmp_path: Path) -> None:
    path = tmp_path / "a.pcapng"
    recording = Recording(path, ETHERNET, "tap0")
    assert read(path.read_bytes()) == []
    for count in (1, 2, 3):
        recording.write([packet(count, b"frame")])
        assert len(read(path.read_bytes())) == count
    assert path.stat().st_mode & 0o777 == 0o600
    recording.close()
    recording.close()
    recording.write([BLOCK])
    assert len(read(path.read_bytes())) == 3


def test_the_latest_stays_within_the_limit(tmp_path: Path) -> None:
    path = tmp_path / "a.pcapng"
    old = tmp_path / "a.old.pcapng"
    recording = Recording(path, ETHERNET, limit=20_000)
    for number in range(100):
        recording.write([packet(2 * number, bytes(956)), packet(2 * number + 1, bytes(956))])
        sizes = [each.stat().st_size for each in tmp_path.iterdir()]
        assert sum(sizes) <= 20_000
    times = [each.time_ns for file in (old, path) for each in read(file.read_bytes())]
    assert times == list(range(200 - len(times), 200))
    assert len(times) >= 9
    assert sorted(os.listdir(tmp_path)) == ["a.old.pcapng", "a.pcapng"]


def test_a_burst_larger_than_the_limit_goes_over_files(tmp_path: Path) -> None:
    recording = Recording(tmp_path / "a", ETHERNET, limit=5000)
    recording.write([BLOCK] * 50)
    assert (tmp_path / "a").stat().st_size <= 2500
    recording = Recording(tmp_path / "b", ETHERNET, limit=1)  # a file has one packet at the least
    recording.write([BLOCK] * 3)
    assert len(read((tmp_path / "b").read_bytes())) == 1


def test_an_older_capture_is_kept_once(tmp_path: Path) -> None:
    path = tmp_path / "a.pcapng"
    for name in (b"first", b"second", b"third"):
        recording = Recording(path, ETHERNET)
        recording.write([packet(1, name)])
        recording.close()
    assert read(path.read_bytes())[0].frame == b"third"
    assert read((tmp_path / "a.old.pcapng").read_bytes())[0].frame == b"second"


def test_no_other_file_is_touched(tmp_path: Path) -> None:
    text = tmp_path / "text"
    text.write_bytes(b"my thesis")
    link = tmp_path / "link"
    link.symlink_to(text)
    for path, says in (
        (text, "no capture"),
        (link, "no file"),
        (tmp_path, "no file"),
        (tmp_path / "none" / "a", "No such file"),
    ):
        with pytest.raises(CortenError, match=says) as caught:
            Recording(path, ETHERNET)
        assert "\n" not in str(caught.value)
    assert text.read_bytes() == b"my thesis"
    (tmp_path / "empty").touch()
    Recording(tmp_path / "empty", ETHERNET).close()


def test_a_full_disk_ends_the_recording_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    recording = Recording(tmp_path / "a", ETHERNET)

    def full(fd: int, data: Any) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch, caplog.at_level(logging.WARNING, "corten"):
        patch.setattr(os, "write", full)
        recording.write([BLOCK])
        recording.write([BLOCK])
    assert [record.getMessage() for record in caplog.records] == [
        f"capture {tmp_path / 'a'} ends here: [Errno 28] No space left on device"
    ]


def test_a_file_of_somebody_elses_is_neither_bounded_nor_closed() -> None:
    file = io.BytesIO()
    recording = Recording(file, ETHERNET, limit=1)
    recording.write([BLOCK, BLOCK])
    recording.close()
    recording.write([BLOCK])
    assert len(read(file.getvalue())) == 2
