"""The site holds what lies in ROOT, under the names it has there, and nothing else."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from corten.app import site as site_module
from corten.app.content_type import content_type_of
from corten.app.site import DISK, FORBIDDEN, MOVED, RESIDENT, Entry, Site, encode_path, load
from corten.core.arena import Memory
from corten.endpoint.error import CortenError
from tests.app.site_tree import FILES, MODIFIED, SECRET, make


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make(tmp_path_factory.mktemp("site"))


@pytest.fixture(scope="module")
def site(root: Path) -> Site:
    return load(str(root))


def content(site: Site, entry: Entry) -> bytes:
    return site.memory.octets(entry.at, entry.length)


def found(site: Site, target: bytes) -> Entry:
    entry = site.resolve(target)
    assert isinstance(entry, Entry)
    return entry


@pytest.mark.parametrize("name", FILES)
def test_every_file_under_its_name(site: Site, name: str) -> None:
    target = b"/" + encode_path(os.fsencode(name))
    assert re.fullmatch(rb"[!-~]+", target)
    entry = found(site, target)
    assert (entry.kind, entry.length) == (RESIDENT, len(FILES[name]))
    assert content(site, entry) == FILES[name]
    assert entry.modified == MODIFIED
    everything = b"/" + b"".join(b"%%%02x" % o if o != 47 else b"/" for o in os.fsencode(name))
    assert site.resolve(everything) is entry
    assert site.resolve(target + b"?query=/../%zz") is entry


def test_directories(site: Site) -> None:
    assert content(site, found(site, b"/")) == FILES["index.html"]
    assert content(site, found(site, b"")) == FILES["index.html"]
    assert content(site, found(site, b"?x")) == FILES["index.html"]
    assert found(site, b"/docs/") is found(site, b"/docs/index.html")
    moved = found(site, b"/docs")
    assert (moved.kind, moved.path) == (MOVED, b"/docs/")
    assert found(site, b"/sp%20ace").path == b"/sp%20ace/"
    for target in (b"/void/", b"/plain/"):
        assert found(site, target).kind == FORBIDDEN


def test_links_within_the_root_are_followed(site: Site) -> None:
    assert found(site, b"/link-in.htm") is found(site, b"/small.htm")
    assert content(site, found(site, b"/link-dir/deep/er/x.json")) == b"{}"
    assert found(site, b"/link-dir").kind == MOVED


@pytest.mark.parametrize(
    "target",
    [
        b"/link-out.txt", b"/link-out-absolute.txt", b"/link-twin.txt", b"/link-dir-out",
        b"/link-dir-out/secret.txt", b"/link-up/", b"/link-up/outside/secret.txt", b"/link-broken",
        b"/link-self", b"/passwd", b"/fifo", b"/docs/loop", b"/docs/loop/small.htm", b"/nothing",
        b"/small.htm/", b"/small.htm/x", b"//small.htm", b"//", b"/docs//index.html", b"/docs/deep",
        b"/%5c..%5coutside%5csecret.txt", b"/..\\outside\\secret.txt", b"/docs%2findex.html",
        b"/%2e%2e%2foutside%2fsecret.txt", b"/..%2foutside%2fsecret.txt", b"/%252e%252e/outside",
        b"/...", b"/.../x", b"/..;/outside", b"/\xc0\xae\xc0\xae/outside", b"/%c0%ae%c0%ae/outside",
        b"/small.htm%20", b"/SMALL.HTM", b"/small.htm.",
    ],
)  # fmt: skip
def test_what_is_not_there(site: Site, target: bytes) -> None:
    entry = site.resolve(target)
    assert entry == 404 or (isinstance(entry, Entry) and entry.kind in (MOVED, FORBIDDEN))


@pytest.mark.parametrize(
    "target",
    [
        b"/..", b"/../outside/secret.txt", b"/docs/../../outside/secret.txt",
        b"/%2e%2e/outside/secret.txt",
        b"/.%2e/outside", b"/%2E./outside", b"/docs/..", b"/./small.htm", b"/docs/%2e",
        b"/../root/small.htm",
        b"/small.htm%00", b"/%00", b"/small.htm%00.html", b"/%", b"/%4", b"/%zz", b"/%u002e",
        b"/a%2",
        b"/../../../../etc/passwd", b"/..%00/", b"/%2e%2e/%2e%2e/etc/passwd",
    ],
)  # fmt: skip
def test_what_no_honest_client_sends(site: Site, target: bytes) -> None:
    assert site.resolve(target) == 400


def test_nothing_outside_is_in_memory(site: Site) -> None:
    assert SECRET not in site.memory.octets()
    assert all(b".." not in path.split(b"/") for path in site.entries)


def test_no_path_of_an_escape_corpus_leads_out(site: Site) -> None:
    dots = [
        b"..",
        b"%2e%2e",
        b".%2E",
        b"%252e%252e",
        b"..;",
        b"...",
        b"..%00",
        b"%c0%ae%c0%ae",
        b"\\..",
    ]
    slashes = [b"/", b"%2f", b"%5c", b"\\", b"//", b"/./", b"%252f"]
    ends = [b"outside/secret.txt", b"root-twin/secret.txt", b"etc/passwd", b"root/small.htm"]
    for dot in dots:
        for slash in slashes:
            for end in ends:
                for depth in range(1, 5):
                    for start in (b"/", b"/docs/", b"/link-dir/"):
                        entry = site.resolve(start + (dot + slash) * depth + end)
                        assert entry in (400, 404)


def test_the_memory_is_shared_and_sealed(site: Site) -> None:
    with open("/proc/self/maps", encoding="utf-8") as maps:
        lines = [line for line in maps if "corten-site" in line]
    assert lines
    assert all(line.split()[1] == "r--s" for line in lines)


def test_a_file_of_two_names_is_held_once(site: Site) -> None:
    assert site.resident_len == sum(len(data) for data in FILES.values())


def test_tags_differ_and_fields_say_what_it_is(site: Site) -> None:
    tags = {found(site, b"/" + encode_path(os.fsencode(name))).etag for name in FILES}
    lengths = {len(data) for data in FILES.values()}
    assert len(tags) == len(lengths)  # all have one time of modification here
    fields = found(site, b"/small.htm").fields
    assert b"Content-Type: text/html; charset=utf-8\r\n" in fields
    assert b"Last-Modified: Tue, 14 Nov 2023 22:13:20 GMT\r\n" in fields


def test_above_the_limit_files_stay_on_disk(root: Path) -> None:
    site = load(str(root), memory_max=2000)
    assert found(site, b"/small.htm").kind == RESIDENT
    large = found(site, b"/large.htm")
    assert (large.kind, large.length) == (DISK, len(FILES["large.htm"]))
    assert site.disk_len >= large.length
    fd = site.open_disk(large)
    try:
        assert os.pread(fd, 1 << 20, 0) == FILES["large.htm"]
    finally:
        os.close(fd)
    assert all(
        e.kind in (DISK, FORBIDDEN, MOVED) for e in load(str(root), 0).entries.values() if e.length
    )


def test_a_file_on_disk_is_looked_at_again(tmp_path: Path) -> None:
    root = make(tmp_path)
    site = load(str(root), memory_max=0)
    entry = found(site, b"/large.htm")
    before = entry.etag
    (root / "large.htm").write_bytes(b"changed")
    os.close(site.open_disk(entry))
    assert entry.length == 7
    assert entry.etag != before
    (root / "large.htm").unlink()
    with pytest.raises(FileNotFoundError):
        site.open_disk(entry)
    (root / "large.htm").symlink_to("../outside/secret.txt")
    with pytest.raises(OSError, match="link"):
        site.open_disk(entry)


def test_a_directory_swapped_for_a_link_does_not_lead_out(tmp_path: Path) -> None:
    root = make(tmp_path)
    (tmp_path / "outside" / "a.css").write_bytes(SECRET)
    site = load(str(root), memory_max=0)
    (root / "plain").rename(tmp_path / "was-plain")
    (root / "plain").symlink_to("../outside")
    with pytest.raises(FileNotFoundError):
        site.open_disk(found(site, b"/plain/a.css"))


def test_prefix_sums_on_request(root: Path) -> None:
    site = load(str(root), sums=True)
    assert site.memory.has_sums
    assert not load(str(root)).memory.has_sums


def test_an_empty_root(tmp_path: Path) -> None:
    site = load(str(tmp_path), sums=True)
    assert found(site, b"/").kind == FORBIDDEN
    assert isinstance(site.memory, Memory)


@pytest.mark.parametrize("name", ["nowhere", "file"])
def test_a_root_that_is_none(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").write_bytes(b"x")
    with pytest.raises(CortenError, match="no such directory"):
        load(str(tmp_path / name))


def test_what_may_not_be_read_is_forbidden(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.htm").write_bytes(b"x")
    (tmp_path / "b.htm").write_bytes(b"y")
    really = os.open

    def refuse(path: bytes, *rest: int) -> int:
        if bytes(path).endswith(b"a.htm"):
            raise PermissionError(13, "no")
        return really(path, *rest)

    monkeypatch.setattr(os, "open", refuse)
    site = load(str(tmp_path))
    assert found(site, b"/a.htm").kind == FORBIDDEN
    assert found(site, b"/b.htm").kind == RESIDENT


def test_encoding_of_paths() -> None:
    assert encode_path(b"/a b/%\xff?#") == b"/a%20b/%25%FF%3F%23"
    kept = b"-._~!$&'()*+,;=:@Az09/"
    assert encode_path(kept) == kept


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("a.html", "text/html; charset=utf-8"), ("A.HTM", "text/html; charset=utf-8"),
        ("a.b.css", "text/css; charset=utf-8"), ("x.js", "text/javascript; charset=utf-8"),
        ("x.png", "image/png"), ("x", "application/octet-stream"),
        (".html", "application/octet-stream"),
        ("x.unknown", "application/octet-stream"), ("a.tar.gz", "application/gzip"),
        ("x.", "application/octet-stream"),
    ],
)  # fmt: skip
def test_content_types(name: str, kind: str) -> None:
    assert content_type_of(name) == kind


def test_a_tree_that_is_too_large_is_refused(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert site_module.ENTRIES_MAX >= 100_000
