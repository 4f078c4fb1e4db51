"""What a script consists of, after parsing: plain data. Times in nanoseconds, numbers as written.

`None` means «not written» everywhere; a `Sequence` or a number that the script leaves open (`...`)
says so with ANY.
"""

from __future__ import annotations

from dataclasses import dataclass, field

ANY = -1  # a number written `...`: whatever it is

# how a time is written
ABSOLUTE, RELATIVE, ANYTIME, RANGE, RELATIVE_RANGE = range(5)


@dataclass(slots=True)
class When:
    """The instant of an event, or the range of instants that an outbound packet may take."""

    kind: int
    start_ns: int = 0
    end_ns: int = 0


@dataclass(slots=True)
class IpInfo:
    """What a script says about the IP header; what is None is not compared."""

    ecn: str | None = None  # noecn, ect0, ect1, ce, ect01
    tos: int | None = None
    ttl: int | None = None
    flow_label: int | None = None


@dataclass(slots=True)
class Sequence:
    """`start:stop(length)`. `is_open`: `...(length)`. `is_absolute`: `!` follows."""

    start: int
    length: int
    is_open: bool = False
    is_absolute: bool = False


@dataclass(slots=True)
class Option:
    """One TCP option. `values`: its numbers, ANY where the script leaves one open; `blob`: octets.

    `name` is one of nop eol mss wscale sackOK sack TS md5 FO FOEXP AccECN unknown.
    """

    name: str
    values: list[int] = field(default_factory=list)
    blob: bytes = b""
    text: str = ""
    is_absolute: bool = False  # TS: `ecr N!`, an echo that is not mapped


@dataclass(slots=True)
class Tcp:
    """A TCP segment as written."""

    flags: int
    seq: Sequence
    ack: int | None = None
    ack_is_absolute: bool = False
    win: int | None = None
    urg: int | None = None
    options: list[Option] | None = None  # None: `<...>`, not compared; []: none at all
    ports: tuple[int, int] | None = None  # source, destination
    ace: int | None = None  # `S.5`: the AccECN counter in AE, CWR and ECE
    tunnel: tuple[int, int] | None = None  # `/ udp(source > destination)`


@dataclass(slots=True)
class Icmp:
    """An ICMP message: names as written."""

    type: str
    code: str = ""
    mtu: int | None = None
    id: int | None = None
    quote: Sequence | None = None
    quote_protocol: str = "tcp"
    length: int = 0


@dataclass(slots=True)
class Foreign:
    """A packet of a protocol that is parsed but not run: `what` names it."""

    what: str
    text: str = ""


@dataclass(slots=True)
class Mutation:
    """`{op header field value}`: rep, ins, trun."""

    op: str
    header: str
    place: str
    value: bytes


@dataclass(slots=True)
class Packet:
    """`<` or `>` and what follows."""

    is_inbound: bool
    body: Tcp | Icmp | Foreign
    ip: IpInfo = field(default_factory=IpInfo)
    tunnels: list[str] = field(default_factory=list)
    mutations: list[Mutation] = field(default_factory=list)


# -- expressions of calls


@dataclass(slots=True)
class Open:
    """`...`"""


@dataclass(slots=True)
class Number:
    value: int


@dataclass(slots=True)
class Word:
    name: str


@dataclass(slots=True)
class Text:
    value: str
    is_open: bool = False  # `"…"...`


@dataclass(slots=True)
class Alternatives:
    """a | b | c"""

    parts: list[Expression]


@dataclass(slots=True)
class Array:
    parts: list[Expression]


@dataclass(slots=True)
class Apply:
    """NAME(arguments): htons(80), inet_addr("…")"""

    name: str
    arguments: list[Expression]


@dataclass(slots=True)
class Member:
    """NAME = value, or NAME(arguments) = value, in a struct"""

    name: str
    arguments: list[Expression]
    value: Expression


@dataclass(slots=True)
class Struct:
    parts: list[Expression]

    def get(self, name: str) -> Expression | None:
        """The value of a member; None when there is none."""
        for part in self.parts:
            if isinstance(part, Member) and part.name == name:
                return part.value
        return None


Expression = Open | Number | Word | Text | Alternatives | Array | Apply | Member | Struct


@dataclass(slots=True)
class Call:
    """NAME(arguments) = result [ERRNO]. `end`: of a blocking call, when it must return."""

    name: str
    arguments: list[Expression]
    result: Expression
    errno: str = ""
    end_ns: int | None = None


@dataclass(slots=True)
class Command:
    """`…` in back quotes."""

    text: str


@dataclass(slots=True)
class Code:
    """%{ … }%"""

    text: str


Action = Packet | Call | Command | Code


@dataclass(slots=True)
class Event:
    when: When
    action: Action
    line: int  # from 1


@dataclass(slots=True)
class Script:
    """A whole file. `options`: name and value, in order; `marks`: `// requirement:` lines."""

    events: list[Event]
    options: list[tuple[str, str]] = field(default_factory=list)
    opening: str = ""  # the command before the first event
    closing: str = ""  # the one after the last
    marks: list[str] = field(default_factory=list)
    allows_trailing: bool = False
    lines: list[str] = field(default_factory=list)  # the text, for traces
