"""Whole runs with a name: `play` drives conversations to their end and says what must be true then.

A scenario is a function of a seed (and, for enumerated faults, of the faults) that raises when
anything is wrong. `python -m corten.sim --scenario NAME --seed N` runs one again.

What must be true of every run: both ends are told how it ended; every octet that was sent arrived
in order, or both ends know of an error that the run explains; and some time after, no stack holds a
timer, a buffer or a connection.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from errno import EHOSTUNREACH
from typing import Any

from corten.core.chance import Chance
from corten.sim.application import Peer, Plan, Side, Talk
from corten.sim.fault import Fault, Weather
from corten.sim.host import Host
from corten.sim.network import Network
from corten.sim.rules import Limits

SECOND_MS = 1000
PATIENCE_MS = 3600 * SECOND_MS
AFTERMATH_MS = 400 * SECOND_MS  # longer than any timer of a connection that is over
PORT = 7000
# what a segment that waited for an address may break
WAITING = {"syn_spacing", "reset", "owed", "owed_at_once", "silence", "back_off"}
ADDRESSES = ("10.0.0.1", "10.0.0.2")
ADDRESSES_V6 = ("fd00::1", "fd00::2")
MTU_MIN_V6 = 1280
MACS = ("02:00:00:00:00:01", "02:00:00:00:00:02")
CLEAN_ERRORS = (ConnectionError, TimeoutError)


@dataclass(frozen=True)
class Setting:
    """Everything that a run is made of, except chance."""

    talks: tuple[tuple[Plan, Plan], ...]
    a_config: dict[str, Any] = field(default_factory=dict)
    b_config: dict[str, Any] = field(default_factory=dict)
    link: dict[str, Any] = field(default_factory=dict)
    a_offload: bool = False
    b_offload: bool = False
    mtu: int = 1500
    quantum_ns: int = 0
    stagger_ms: float = 0.0
    dynamic_arp: bool = False
    wrap: str = ""  # "a_iss", "b_iss", "a_ts", "b_ts": start the clock so that this one wraps
    weather_may_kill: bool = False
    ipv6: bool = False
    excused: frozenset[str] = frozenset()  # rules of the checker that this run may break

    @property
    def addresses(self) -> tuple[str, str]:
        """Of a and b."""
        return ADDRESSES_V6 if self.ipv6 else ADDRESSES


def build(setting: Setting, seed: int, title: str, start_ns: int = 0) -> tuple[Network, Host, Host]:
    """Two hosts on a link, as the setting says."""
    from corten.tcp.config import Config

    floor = min(Config(**config).rto_min_ns for config in (setting.a_config, setting.b_config))
    limits = Limits(rto_floor_ns=floor, mtu=setting.mtu)
    network = Network(seed, limits, title, start_ns)
    wire = network.link(**setting.link)
    a = network.host("a", Config(**setting.a_config), quantum_ns=setting.quantum_ns)
    b = network.host("b", Config(**setting.b_config), quantum_ns=setting.quantum_ns)
    known = dict(zip(setting.addresses, MACS, strict=True))
    network.checker.excused |= setting.excused
    if setting.dynamic_arp:
        known = {}
        network.checker.excused |= WAITING
    for host, i, offload in ((a, 0, setting.a_offload), (b, 1, setting.b_offload)):
        own = f"{setting.addresses[i]}/24"
        host.attach(wire, own, MACS[i], setting.mtu, offload, neighbours=known or None)
    return network, a, b


def play(setting: Setting, seed: int, title: str, start_ns: int = 0) -> Network:
    """Run every talk of a setting to its end, and check what must be true of it."""
    if setting.wrap and not start_ns:
        start_ns = wrap_time(setting, seed, title)
    network, a, b = build(setting, seed, title, start_ns)
    talks = [Talk(i, *plans, network=network) for i, plans in enumerate(setting.talks)]
    peers: list[Peer] = []
    for i, talk in enumerate(talks):
        _start(network, a, b, talk, i, setting, peers)
    network.run_until(lambda: all(map(_settled, talks)), PATIENCE_MS)
    network.run(until_ms=_elapsed_ms(network) + AFTERMATH_MS)
    for peer in peers:
        _let_go(network, peer)
    network.run(until_ms=_elapsed_ms(network) + AFTERMATH_MS)
    for talk in talks:
        _verify(network, talk, setting)
    leaks = network.leaks()
    if leaks:
        network.fail("left behind: " + "; ".join(leaks))
    return network


def _elapsed_ms(network: Network) -> float:
    return (network.now - network.start) / 1e6


def _start(
    network: Network, a: Host, b: Host, talk: Talk, i: int, setting: Setting, peers: list[Peer]
) -> None:
    def accept() -> Peer:
        peers.append(Peer(talk.b, network, "b"))
        return peers[-1]

    def begin() -> Peer:
        peers.append(Peer(talk.a, network, "a"))
        return peers[-1]

    b.listen(PORT + i, accept)
    there = setting.addresses[1]
    network.after(i * setting.stagger_ms, lambda: a.connect(there, PORT + i, begin))


def _settled(talk: Talk) -> bool:
    if any(side.failures for side in (talk.a, talk.b)):
        return True
    return talk.over() or (talk.broken() and (talk.a.closed or talk.b.closed))


def _let_go(network: Network, peer: Peer) -> None:
    """The other end is gone and its RST was lost: only the application can end this one."""
    side = peer.side
    if side.opened and not side.closed and side.other is not None and side.other.closed:
        if not side.other.broke and side.other.error is None:
            network.fail("one end closed in good order, the other was not told")
        network.checker.allow_reset(peer.host)
        peer.connection.abort()
        network.wake_all()


def _verify(network: Network, talk: Talk, setting: Setting) -> None:
    for side in (talk.a, talk.b):
        for failure in side.failures:
            network.fail(failure)
    if talk.complete():
        return
    for name, side in (("a", talk.a), ("b", talk.b)):
        if side.opened and not side.closed:
            network.fail(f"{name} was never told that it is over")
        if not _is_explained(side, setting):
            network.fail(f"{name} ended with {side.error!r}")
    planned = talk.a.broke or talk.b.broke
    if not planned and not setting.weather_may_kill:
        network.fail(f"not complete: a {_figures(talk.a)}; b {_figures(talk.b)}")


def _is_explained(side: Side, setting: Setting) -> bool:
    """Whether an end's error is one that a network may cause."""
    if side.error is None or side.broke or isinstance(side.error, CLEAN_ERRORS):
        return True
    # every request for the neighbour's address was lost
    unreachable = isinstance(side.error, OSError) and side.error.errno == EHOSTUNREACH
    return unreachable and setting.dynamic_arp and setting.weather_may_kill


def _figures(side: Side) -> str:
    return (
        f"sent {side.sent}/{side.plan.send} received {side.received}"
        f" eof {side.eof} closed {side.closed} error {side.error!r}"
    )


def wrap_time(setting: Setting, seed: int, title: str) -> int:
    """When to start the clock so that the setting's counter wraps early in the run: the ISNs and
    timestamps of a first run at time 0 tell, for they go with the clock (RFC 6528, RFC 7323)."""
    network, a, b = build(setting, seed, title)
    talk = Talk(0, *setting.talks[0], network=network)
    _start(network, a, b, talk, 0, setting, [])
    network.run(until_ms=5000)
    who, what = setting.wrap.split("_")
    for (host, _), end in network.checker.ends.items():
        if host != who or end.iss is None:
            continue
        if what == "iss":
            return ((-end.iss - 2000) % (1 << 32)) * 4000
        if end.first_tsval is not None:
            return max(0, ((-end.first_tsval - 30) % (1 << 32)) * 1_000_000)
    return 0


# -- the scenarios --------------------------------------------------------------------------

# the ways that the enumerated session is held: settings of both ends, and what the link does
VARIANTS: dict[str, tuple[dict[str, Any], bool]] = {
    "sack": ({}, False),
    "newreno": ({"sack": False, "timestamps": False, "window_scale": False}, False),
    "reno": ({"congestion": "reno", "sack": False, "nagle": True}, False),
    "offload": ({"receive_buffer": 65535}, True),
    "ipv6": ({}, False),
    "ipv6 offload": ({"receive_buffer": 65535}, True),
}


def session(
    seed: int,
    faults: Iterable[Fault] = (),
    octets: int = 10_000,
    may_fail: bool = False,
    variant: str = "sack",
) -> Network:
    """Connect, about 10 kB each way, close: the run that faults are enumerated over. `may_fail`: an
    error that both ends are told of is an end too."""
    plan = Plan(send=octets)
    faults = tuple(faults)
    config, offload = VARIANTS[variant]
    config = {"receive_buffer": 8192, **config}
    over_ipv6 = variant.startswith("ipv6")
    setting = Setting(
        ((plan, plan),),
        link={"delay_ms": 5, "faults": faults},
        a_config=config,
        b_config=config,
        a_offload=offload,
        b_offload=offload,
        dynamic_arp=not over_ipv6,
        weather_may_kill=may_fail,
        ipv6=over_ipv6,
        # an acknowledgement of a FIN may ride on an old segment, which is not acceptable: a tail
        # probe (RFC 8985 7) repeats that FIN, and `silence` does not know better
        excused=frozenset({"silence"} if over_ipv6 else ()),
    )
    what = ", ".join(map(str, faults))
    return play(setting, seed, f"session({seed}) of {variant}, faults: {what}")


def any_of(chance: Chance, *choices: Any) -> Any:
    return choices[chance.below(len(choices))]


def random_config(chance: Chance) -> dict[str, Any]:
    """One end's settings."""
    return {
        "sack": chance.below(4) > 0,
        "timestamps": chance.below(4) > 0,
        "window_scale": chance.below(4) > 0,
        "nagle": chance.below(2) > 0,
        "congestion": any_of(chance, "cubic", "reno"),
        "receive_buffer": any_of(chance, 2048, 4096, 8192, 65535, 256 * 1024, 1 << 20),
        "delayed_ack_ns": any_of(chance, 1, 40, 200, 499) * 1_000_000,
        "initial_window": any_of(chance, 1, 2, 10),
        "send_high_water": any_of(chance, 4096, 64 * 1024, 512 * 1024),
        "send_low_water": any_of(chance, 0, 1024, 4096),
        "ecn": any_of(chance, "passive", "passive", "on", "off"),
        "pacing": chance.below(4) == 0,
        "syn_cookies": any_of(chance, "auto", "auto", "always", "off"),
        "keepalive_ns": any_of(chance, 0, 0, 0, 200, 5000) * 1_000_000,
        "keepalive_interval_ns": any_of(chance, 300, 2000) * 1_000_000,
        "rfc1337": chance.below(2) > 0,
        **random_growth(chance),
    }


def random_growth(chance: Chance) -> dict[str, Any]:
    """Buffers that grow by themselves; half the ends have none."""
    if chance.below(2):
        return {}
    return {
        "receive_buffer_max": any_of(chance, 1, 4) << 20,
        "send_buffer_max": any_of(chance, 1, 4) << 20,
        "buffer_memory": any_of(chance, 0, 1 << 20, 256 << 20),
    }


def random_plan(chance: Chance) -> Plan:
    octets = any_of(chance, 0, 1, 100, 1460, 5000, 20_000, 60_000)
    close = any_of(chance, "sent", "sent", "eof", "both", "both", "abort")
    if chance.below(40) == 0:
        close = "raise"
    pause = any_of(chance, 0, 0, 500, 8000)
    return Plan(
        send=octets,
        chunk=any_of(chance, 1 << 20, 7, 536, 1460, 4000) if octets < 5000 else 3000,
        mutable=chance.below(2) > 0,
        start=any_of(chance, "open", "open", "open", "data"),
        gap_ms=any_of(chance, 0, 0, 0.5, 30),
        pause_every=pause,
        pause_ms=any_of(chance, 1, 50, 700) if pause else 0,
        close=close,
        abort_at=chance.below(octets + 1) + 1 if close in ("abort", "raise") else 0,
    )


def random_talk(chance: Chance) -> tuple[Plan, Plan]:
    """Two plans that end: not both wait for the other."""
    a, b = random_plan(chance), random_plan(chance)
    if a.start == "data" and (b.start == "data" or b.send == 0):
        a = _but(a, start="open")
    if b.start == "data" and a.send == 0:
        b = _but(b, start="open")
    if a.close == "eof" and b.close in ("eof", "both"):
        a = _but(a, close="sent")
    if a.close == "both" and b.close in ("eof", "both"):
        b = _but(b, close="sent")
    return a, b


def _but(plan: Plan, **changes: Any) -> Plan:
    return replace(plan, **changes)


def random_weather(chance: Chance) -> Weather:
    kind = chance.below(4)
    if kind == 0:
        return Weather()
    return Weather(
        loss=any_of(chance, 0, 0, 0.01, 0.05, 0.2),
        duplication=any_of(chance, 0, 0, 0.02, 0.1),
        reordering=any_of(chance, 0, 0, 0.05, 0.2),
        corruption=any_of(chance, 0, 0, 0.02),
        reordering_ns=any_of(chance, 1, 5, 50) * 1_000_000,
        until_ns=None,
    )


def _has_ghosts(talks: tuple[tuple[Plan, Plan], ...], weather: Weather) -> bool:
    """Whether the first ACK of a connection may come again after its end: to a listener that keeps
    no state it opens another one (RFC 4987 3.6)."""
    ends = {plan.close for talk in talks for plan in talk}
    return weather != Weather() or bool(ends & {"abort", "raise"})


def random_setting(chance: Chance) -> Setting:
    """A network and its conversations by chance."""
    talks = tuple(random_talk(chance) for _ in range(any_of(chance, 1, 1, 1, 2, 5)))
    weather = random_weather(chance)
    a_config, b_config = random_config(chance), random_config(chance)
    a_config["mss"] = b_config["mss"] = any_of(chance, 0, 0, 0, 536, 200)
    if _has_ghosts(talks, weather) and b_config["syn_cookies"] == "always":
        b_config["syn_cookies"] = "auto"
    found = Setting(
        talks,
        a_config,
        b_config,
        {
            "delay_ms": any_of(chance, 0.01, 1, 10, 80),
            "rate": any_of(chance, 0, 0, 1_000_000, 10_000_000, 1_000_000_000),
            "queue_len": any_of(chance, 10_000, 100_000),
            "weather": weather,
        },
        a_offload=chance.below(2) > 0,
        b_offload=chance.below(2) > 0,
        mtu=any_of(chance, 1500, 1500, 576, 128, 9000),
        quantum_ns=any_of(chance, 0, 0, 50_000, 3_000_000),
        stagger_ms=any_of(chance, 0, 3, 200),
        wrap=any_of(chance, "", "", "", "a_iss", "b_iss", "a_ts", "b_ts"),
        dynamic_arp=chance.below(4) == 0,
        weather_may_kill=weather.loss >= 0.2,
    )
    if found.mtu >= MTU_MIN_V6 and chance.below(2) > 0:
        return replace(found, ipv6=True, dynamic_arp=False)
    return found


def random(seed: int) -> Network:
    """Anything: settings, plans and weather from the seed."""
    return play(random_setting(Chance(seed)), seed, f"--scenario random --seed {seed}")


def clear(seed: int) -> Network:
    """One short session on a good link."""
    return session(seed)


SCENARIOS: dict[str, Callable[[int], Network]] = {"random": random, "session": clear}
