"""What nmap's probes are answered, as a golden page: a change of it is a change of how we look.

Write it anew with `python -m tests.nmap.test_golden`, and look at the difference.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from corten.endpoint.handler import Handler
from tests.nmap.probes import OPEN, Target, fingerprint

GOLDEN = Path(__file__).with_name("answers.txt")


def asked() -> str:
    target = Target()
    target.link.stack.listen(OPEN, Handler)
    return fingerprint(target)


@pytest.mark.requirement("RFC 9293 3.10.7.1", "RFC 9293 3.10.7.2", "RFC 1122 3.2.2.6",
                         "RFC 1122 3.2.2.1", "RFC 6528 3")  # fmt: skip
def test_answers() -> None:
    assert asked() == GOLDEN.read_text(encoding="ascii")


def test_the_page_says_what_the_texts_ask_for() -> None:
    """The golden file itself: a RST where one is due, silence where nothing is."""
    lines = dict(line.rstrip(")").split("(", 1) for line in GOLDEN.read_text().splitlines())
    values = {
        name: dict(part.split("=", 1) for part in text.split("%")) for name, text in lines.items()
    }
    assert values["SEQ"]["SP"] == values["SEQ"]["ISR"] == "GOOD" and values["SEQ"]["GCD"] == "1"
    assert values["SEQ"]["TI"] in ("Z", "RI")
    assert (values["T1"]["A"], values["T1"]["F"]) == ("S+", "AS")
    assert values["T2"]["R"] == "N"
    assert values["T3"]["R"] == "N"  # SYN with FIN: a scanner's
    for name in ("T4", "T6"):  # <SEQ=SEG.ACK><CTL=RST>
        assert (values[name]["S"], values[name]["F"], values[name]["A"]) == ("A", "R", "Z")
    for name in ("T5", "T7"):  # <SEQ=0><ACK=SEG.SEQ+SEG.LEN><CTL=RST,ACK>
        assert (values[name]["S"], values[name]["F"], values[name]["A"]) == ("Z", "AR", "S+")
    assert all(value["Q"] == "" for name, value in values.items() if "Q" in value)
    assert values["ECN"]["R"] == "Y"
    assert values["U1"]["R"] == values["IE"]["R"] == "Y"
    assert {values["U1"][name] for name in ("RIPL", "RID", "RIPCK", "RUCK", "RUD")} == {"G"}


if __name__ == "__main__":
    GOLDEN.write_text(asked(), encoding="ascii")
