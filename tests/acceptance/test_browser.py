"""A browser loads a page with images and a script, over IPv4 and over IPv6."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import pytest

from bench.machine import find
from bench.namespace import Namespace
from bench.process import Process
from tests.acceptance.serving import ADDRESS, Httpd

pytestmark = [pytest.mark.e2e, pytest.mark.slow]
V6 = "fd00:9::2"
IMAGES = 12
PAGE = """<!DOCTYPE html>
<html><head><title>page</title></head><body onload="report()">
{images}
<p id="said">nothing yet</p>
<script src="report.js"></script>
</body></html>
"""
SCRIPT = """
function report() {
  const sizes = Array.from(document.images, i => i.naturalWidth + "x" + i.naturalHeight);
  document.getElementById("said").textContent = sizes.join(" ");
}
"""


def png(width: int, height: int) -> bytes:
    """An image without two equal rows, so that it is as long as it looks."""
    rows = b"".join(
        b"\0" + bytes((x * y * 37 + x * x) & 0xFF for x in range(3 * width)) for y in range(height)
    )

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack("!I", len(data)) + kind + data + struct.pack("!I", zlib.crc32(kind + data))
        )

    head = struct.pack("!IIBBBBB", width, height, 8, 2, 0, 0, 0)
    body = chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows, 0)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


@pytest.fixture
def page(tmp_path: Path) -> Path:
    root = tmp_path / "page"
    root.mkdir()
    names = [f"image{i}.png" for i in range(IMAGES)]
    for i, name in enumerate(names):
        (root / name).write_bytes(png(100 + i, 50))
    images = "\n".join(f'<img src="{name}">' for name in names)
    (root / "index.html").write_text(PAGE.format(images=images), "utf-8")
    (root / "report.js").write_text(SCRIPT, "utf-8")
    return root


@pytest.mark.parametrize("host", [ADDRESS, f"[{V6}]"], ids=["IPv4", "IPv6"])
def test_chromium_loads_a_page_with_images(
    dual: Namespace, page: Path, tmp_path: Path, host: str
) -> None:
    chromium = find("chromium")
    if chromium is None:
        pytest.skip("no chromium")
    link = f"tap,address={ADDRESS}/24,address={V6}/64"
    with Httpd(dual, page, link=link):
        words = [chromium, "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run"]
        words += ["--disable-dev-shm-usage", "--disable-extensions", "--no-proxy-server"]
        words += ["--disable-background-networking", f"--user-data-dir={tmp_path / 'profile'}"]
        words += ["--timeout=30000", "--dump-dom", f"http://{host}/index.html"]
        browser = Process(words, dual, None)
        try:
            text = browser.wait(60)
        finally:
            browser.stop()
    sizes = " ".join(f"{100 + i}x50" for i in range(IMAGES))
    assert f'<p id="said">{sizes}</p>' in text
