"""A tree of files to serve, with the traps that a real one may hold."""

from __future__ import annotations

import os
from pathlib import Path

SECRET = b"outside of the root\n"
MODIFIED = 1_700_000_000  # Tue, 14 Nov 2023 22:13:20 GMT

FILES = {
    "index.html": b"<p>home</p>",
    "small.htm": b"s" * 100,
    "joined.htm": b"j" * 1024,
    "large.htm": bytes(range(256)) * 300,
    "empty.txt": b"",
    "plain/a.css": b"a{}",
    "docs/index.html": b"<p>docs</p>",
    "docs/deep/er/x.json": b"{}",
    "sp ace/é ü.html": "<p>é</p>".encode(),
    "odd/a%2Fb#?&'+;.txt": b"odd",
    "odd/back\\slash.txt": b"back",
    "odd/..dots": b"dots",
    "odd/.hidden": b"hidden",
    "noending": b"n",
}


def make(base: Path) -> Path:
    """Make the tree under `base`; its root."""
    root = base / "root"
    outside = base / "outside"
    outside.mkdir(parents=True)
    (outside / "secret.txt").write_bytes(SECRET)
    (base / "root-twin").mkdir()
    (base / "root-twin" / "secret.txt").write_bytes(SECRET)
    for name, data in FILES.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        os.utime(path, (MODIFIED, MODIFIED))
    (root / "void").mkdir()
    links = {
        "link-in.htm": "small.htm",
        "link-out.txt": "../outside/secret.txt",
        "link-out-absolute.txt": str(outside / "secret.txt"),
        "link-twin.txt": "../root-twin/secret.txt",
        "link-dir": "docs",
        "link-dir-out": "../outside",
        "link-up": "..",
        "link-broken": "nowhere",
        "docs/loop": "..",
        "link-self": "link-self",
        "passwd": "/etc/passwd",
    }
    for name, target in links.items():
        (root / name).symlink_to(target)
    os.mkfifo(root / "fifo")
    return root
