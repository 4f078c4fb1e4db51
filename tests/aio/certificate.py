"""A certificate of one's own, made by openssl, and the contexts of both ends."""

from __future__ import annotations

import shutil
import ssl
import subprocess
from pathlib import Path

import pytest

NAME = "corten.test"


def certificate(folder: Path, *addresses: str) -> tuple[Path, Path]:
    """(certificate, key) for NAME and these addresses."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is missing: apt install openssl")
    crt, key = folder / "server.crt", folder / "server.key"
    names = ",".join([f"DNS:{NAME}", *(f"IP:{address}" for address in addresses)])
    words = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 30"
    subject = ("-subj", f"/CN={NAME}", "-addext", f"subjectAltName={names}")
    subprocess.run(
        [*words.split(), "-keyout", key, "-out", crt, *subject],
        check=True,
        capture_output=True,
    )
    return crt, key


def contexts(folder: Path, *addresses: str) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """(the server's, a client's that trusts it)."""
    crt, key = certificate(folder, *addresses)
    ours = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ours.load_cert_chain(crt, key)
    theirs = ssl.create_default_context(cafile=str(crt))
    return ours, theirs
