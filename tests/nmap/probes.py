"""The sixteen probes that nmap sends to tell operating systems apart, and its way to write down
what came back: one page that shows how a stack looks to a stranger.

Six SYNs to an open port 100 ms apart (SEQ, OPS, WIN, T1), two echo requests (IE), a SYN that asks
for ECN, six odd segments (T2 to T4 to an open port, T5 to T7 to a closed one) and a datagram to a
closed UDP port (U1). Built here from what nmap's documentation says of them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.l2 import Ether
from scapy.packet import Packet, Raw

from tests.stack.link import OURS, PEER, Link
from tests.tcp.randomness import differences, predictability

OPEN, SHUT = 80, 81
SEQ, ACK = 0x1234_5678, 0x0BAD_CAFE
APART_MS = 100
LONG_AGO = ("Timestamp", (0xFFFFFFFF, 0))
NOP, EOL, SACK_OK = ("NOP", None), ("EOL", None), ("SAckOK", b"")
SIX = [
    (1, [("WScale", 10), NOP, ("MSS", 1460), LONG_AGO, SACK_OK]),
    (63, [("MSS", 1400), ("WScale", 0), SACK_OK, LONG_AGO, EOL]),
    (4, [LONG_AGO, NOP, NOP, ("WScale", 5), NOP, ("MSS", 640)]),
    (4, [SACK_OK, LONG_AGO, ("WScale", 10), EOL]),
    (16, [("MSS", 536), SACK_OK, LONG_AGO, ("WScale", 10), EOL]),
    (512, [("MSS", 265), SACK_OK, LONG_AGO]),
]
LAST = [("WScale", 10), NOP, ("MSS", 265), LONG_AGO, SACK_OK]
T7_OPTIONS = [("WScale", 15), NOP, ("MSS", 265), LONG_AGO, SACK_OK]
SINGLES = {  # name: flags, window, don't fragment, port
    "T2": ("", 128, True, OPEN),
    "T3": ("FSPU", 256, False, OPEN),
    "T4": ("A", 1024, True, OPEN),
    "T5": ("S", 31337, False, SHUT),
    "T6": ("A", 32768, True, SHUT),
    "T7": ("FPU", 65535, False, SHUT),
}
FLAGS = [(0x40, "E"), (0x20, "U"), (0x10, "A"), (0x08, "P"), (0x04, "R"), (0x02, "S"), (0x01, "F")]


@dataclass
class Target:
    """A stack with one open port, and the station that asks it."""

    link: Link = field(default_factory=Link)
    port: int = 33_000

    def ask(self, packet: Packet, after_ms: int = 0) -> Packet | None:
        """The one answer within a moment, or None. What is sent again to an older probe is no
        answer to this one."""
        heard = self.link.breath(Ether(src=PEER, dst=OURS) / packet, after=after_ms * 1_000_000)
        answers = [
            frame[IP]
            for frame in heard
            if TCP not in packet or (TCP in frame and frame[TCP].dport == packet[TCP].sport)
        ]
        if TCP not in packet:
            answers = [answer for answer in answers if ICMP in answer]
        assert len(answers) <= 1, answers
        return answers[0] if answers else None

    def tcp(
        self,
        flags: str,
        window: int,
        port: int,
        options: list[object],
        dont_fragment: bool = False,
        after_ms: int = 0,
        **more: object,
    ) -> Packet | None:
        """A segment from a port of its own."""
        self.port += 1
        segment = TCP(sport=self.port, dport=port, flags=flags, window=window, seq=SEQ, ack=ACK,
                      options=options, **more)  # fmt: skip
        return self.ask(self.ip(dont_fragment) / segment, after_ms)

    def ip(self, dont_fragment: bool = False, **more: object) -> Packet:
        return IP(src="10.0.0.1", dst="10.0.0.2", flags="DF" if dont_fragment else 0, **more)


def options_text(segment: Packet) -> str:
    """M5B4ST11NW7: what nmap calls O."""
    text = ""
    for name, value in segment[TCP].options:
        if name == "MSS":
            text += f"M{value:X}"
        elif name == "WScale":
            text += f"W{value:X}"
        elif name == "Timestamp":
            text += f"T{int(value[0] != 0)}{int(value[1] != 0)}"
        else:
            text += {"NOP": "N", "EOL": "L", "SAckOK": "S"}.get(name, "?")
    return text


def flags_text(segment: Packet) -> str:
    return "".join(letter for bit, letter in FLAGS if int(segment[TCP].flags) & bit)


def quirks(segment: Packet) -> str:
    """R: a reserved bit; U: an urgent pointer without URG."""
    tcp = segment[TCP]
    return "R" * bool(tcp.reserved) + "U" * bool(tcp.urgptr and not int(tcp.flags) & 0x20)


def line(name: str, answer: Packet | None, details: bool = True) -> str:
    """One test of a single segment."""
    if answer is None:
        return f"{name}(R=N)"
    tcp = answer[TCP]
    number = {0: "Z", ACK: "A", ACK + 1: "A+"}.get(tcp.seq, "O")
    acked = {0: "Z", SEQ: "S", SEQ + 1: "S+"}.get(tcp.ack, "O")
    parts = ["R=Y", f"DF={'Y' if answer.flags.DF else 'N'}", f"T={answer.ttl:X}"]
    if details:
        parts.append(f"W={tcp.window:X}")
    parts += [f"S={number}", f"A={acked}", f"F={flags_text(answer)}"]
    if details:
        parts.append(f"O={options_text(answer)}")
    parts += [f"RD={len(bytes(tcp.payload))}", f"Q={quirks(answer)}"]
    return f"{name}({'%'.join(parts)})"


def identifications(answers: list[Packet]) -> str:
    """Z: all zero; RI: at random; I: one after another."""
    ids = [answer.id for answer in answers]
    if not any(ids):
        return "Z"
    steps = [d % 65536 for d in differences(ids)]
    return "I" if max(steps) < 10 else "RI"


def clock(answers: list[Packet]) -> str:
    """TS: ticks a second as nmap classes them (A: 1000), U: none."""
    stamps = [dict(answer[TCP].options).get("Timestamp") for answer in answers]
    if not all(stamps):
        return "U"
    ticks = [d / (APART_MS / 1000) for d in differences([s[0] for s in stamps if s])]
    return f"{round(math.log2(sum(ticks) / len(ticks))):X}"


def first_six(target: Target) -> list[str]:
    """SEQ, OPS, WIN and T1."""
    answers = []
    for window, options in SIX:
        answer = target.tcp("S", window, OPEN, options, after_ms=APART_MS)
        assert answer is not None
        answers.append(answer)
    isns = [answer[TCP].seq for answer in answers]
    spread = predictability(isns, APART_MS / 1000)
    rate = sum(differences(isns)) / 5 / (APART_MS / 1000)
    sequence = [
        f"SP={'GOOD' if spread > 240 else f'{spread:.0f}'}",
        f"GCD={math.gcd(*differences(isns)):X}",
        f"ISR={'GOOD' if rate > 1e6 else f'{rate:.0f}'}",
        f"TI={identifications(answers)}",
        f"TS={clock(answers)}",
    ]
    options = [f"O{i}={options_text(answer)}" for i, answer in enumerate(answers, 1)]
    windows = [f"W{i}={answer[TCP].window:X}" for i, answer in enumerate(answers, 1)]
    return [
        f"SEQ({'%'.join(sequence)})",
        f"OPS({'%'.join(options)})",
        f"WIN({'%'.join(windows)})",
        line("T1", answers[0], details=False),
    ]


def capable(target: Target) -> str:
    """ECN: reserved bit, CWR, ECE and SYN, an urgent pointer, window 3."""
    options = [("WScale", 10), NOP, ("MSS", 1460), SACK_OK, NOP, NOP]
    answer = target.tcp("SEC", 3, OPEN, options, after_ms=APART_MS, reserved=4, urgptr=0xF7F5)
    if answer is None:
        return "ECN(R=N)"
    agreed = {0x40: "Y", 0: "N", 0xC0: "S"}.get(int(answer[TCP].flags) & 0xC0, "O")
    return (
        f"ECN(R=Y%DF={'Y' if answer.flags.DF else 'N'}%T={answer.ttl:X}%W={answer[TCP].window:X}"
        f"%O={options_text(answer)}%CC={agreed}%Q={quirks(answer)})"
    )


def echoes(target: Target) -> str:
    """IE: with DF, code 9 and 120 octets; without, type of service 4 and 150 octets."""
    sent = [
        target.ip(True) / ICMP(type=8, code=9, id=0x4242, seq=295) / Raw(bytes(120)),
        target.ip(tos=4) / ICMP(type=8, code=0, id=0x4243, seq=296) / Raw(bytes(150)),
    ]
    answers = [target.ask(packet, APART_MS) for packet in sent]
    if None in answers:
        return "IE(R=N)"
    first, second = (answer for answer in answers if answer is not None)
    for packet, answer in zip(sent, (first, second), strict=True):
        assert bytes(answer[ICMP].payload) == bytes(packet[ICMP].payload)
        assert (answer[ICMP].id, answer[ICMP].seq) == (packet[ICMP].id, packet[ICMP].seq)
    fragment = f"{'Y' if first.flags.DF else 'N'}{'Y' if second.flags.DF else 'N'}"
    codes = f"{first[ICMP].code:X}{second[ICMP].code:X}"
    ids = identifications([first, second])
    return f"IE(R=Y%DFI={fragment}%T={first.ttl:X}%CD={codes}%II={ids})"


def unreachable(target: Target) -> str:
    """U1: 300 octets of C to a closed port; what the error quotes of it."""
    sent = IP(bytes(target.ip(id=0x1042) / UDP(sport=33_333, dport=44_444) / Raw(b"C" * 300)))
    answer = target.ask(sent, APART_MS)
    if answer is None:
        return "U1(R=N)"
    quote = IP(bytes(answer[ICMP].payload))
    same = {
        "RIPL": quote.len == sent.len,
        "RID": quote.id == sent.id,
        "RIPCK": quote.chksum == sent.chksum,
        "RUCK": quote[UDP].chksum == sent[UDP].chksum,
        "RUD": set(bytes(quote[UDP].payload)) == {ord("C")},
    }
    told = "%".join(f"{name}={'G' if good else 'BAD'}" for name, good in same.items())
    unused = int.from_bytes(bytes(answer[ICMP])[4:8], "big")
    return (
        f"U1(R=Y%DF={'Y' if answer.flags.DF else 'N'}%T={answer.ttl:X}%IPL={answer.len:X}"
        f"%UN={unused:X}%{told})"
    )


def fingerprint(target: Target) -> str:
    """All of it, a line a test."""
    lines = [*first_six(target), capable(target)]
    for name, (flags, window, dont_fragment, port) in SINGLES.items():
        options = T7_OPTIONS if name == "T7" else LAST
        answer = target.tcp(flags, window, port, options, dont_fragment, APART_MS)
        lines.append(line(name, answer))
    lines += [unreachable(target), echoes(target)]
    return "\n".join(lines) + "\n"
