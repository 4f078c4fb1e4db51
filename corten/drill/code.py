"""Code in a script: Python over variables `tcpi_…`, as TCP_INFO names them, from
`Connection.info()`.

Rules. All snippets of a script share one set of names. A variable that `info()` has nothing for is
absent, so that code which needs it fails by name instead of passing on a guess.
"""

from __future__ import annotations

import re
from typing import Any

from corten.drill.constant import CODE_NAMES
from corten.drill.error import Differs
from corten.drill.stream import STATES, Stream

_CA_STATES = {"open": 0, "disorder": 1, "cwr": 2, "fast": 3, "recovery": 3, "loss": 4}
# tcpi name: (key of info(), what one of it is worth): seconds become microseconds
_PLAIN = {
    "tcpi_rto": ("rto", 1e6), "tcpi_rtt": ("srtt", 1e6), "tcpi_rttvar": ("rttvar", 1e6),
    "tcpi_min_rtt": ("min_rtt", 1e6), "tcpi_snd_mss": ("mss", 1), "tcpi_rcv_mss": ("rcv_mss", 1),
    "tcpi_retransmits": ("retries", 1), "tcpi_backoff": ("retries", 1),
    "tcpi_reordering": ("reordering", 1),
    "tcpi_delivery_rate": ("delivery_rate", 1), "tcpi_pacing_rate": ("pacing_rate", 1),
    "tcpi_busy_time": ("busy", 1e6), "tcpi_rwnd_limited": ("rwnd_limited", 1e6),
    "tcpi_sndbuf_limited": ("sndbuf_limited", 1e6), "tcpi_rcv_space": ("rcv_wnd", 1),
    "tcpi_snd_wnd": ("snd_wnd", 1), "tcpi_rcv_wnd": ("rcv_wnd", 1),
    "tcpi_advmss": ("advertised_mss", 1), "tcpi_pmtu": ("path_mtu", 1),
    "tcpi_last_data_sent": ("last_sent", 1e3), "tcpi_last_data_recv": ("last_received", 1e3),
    "tcpi_segs_in": ("segments_in", 1), "tcpi_segs_out": ("segments_out", 1),
    "tcpi_notsent_bytes": ("unsent", 1), "tcpi_probes": ("probes", 1),
    "tcpi_dsack_dups": ("dsacks", 1),
    "tcpi_reord_seen": ("reordering_seen", 1), "tcpi_bytes_acked": ("acked_octets", 1),
    "tcpi_bytes_received": ("received", 1), "tcpi_delivered_ce": ("delivered_ce", 1),
}  # fmt: skip
# the same, counted in segments by the kernel and in octets by us
_SEGMENTS = {
    "tcpi_snd_cwnd": "cwnd", "tcpi_snd_ssthresh": "ssthresh", "tcpi_unacked": "in_flight",
    "tcpi_sacked": "sacked", "tcpi_lost": "lost", "tcpi_retrans": "retransmitted_out",
    "tcpi_delivered": "delivered", "tcpi_total_retrans": "retransmitted",
}  # fmt: skip
_SSTHRESH_INFINITE = 0x7FFFFFFF


def variables(
    stream: Stream | None, is_bsd: bool = False, is_listening: bool = False
) -> dict[str, Any]:
    """What TCP_INFO would say of a connection. `is_bsd`: the dialect whose states count otherwise
    and whose windows are octets."""
    if stream is None or stream.connection is None:
        state = "LISTEN" if is_listening else "CLOSED"
        return {"tcpi_state": CODE_NAMES[f"TCPI_{state}"] if is_bsd else STATES[state]}
    names: dict[str, Any] = {}
    info = stream.connection.info()
    names["tcpi_state"] = _state(stream, is_bsd)
    names["tcpi_ca_state"] = _CA_STATES.get(str(info.get("recovery")), 0)
    for name, (key, worth) in _PLAIN.items():
        if key in info and info[key] is not None:
            names[name] = int(info[key] * worth)
    mss = max(1, int(info.get("mss") or 1))
    for name, key in _SEGMENTS.items():
        if key in info and info[key] is not None:
            octets = int(info[key])
            names[name] = octets if is_bsd else -(-octets // mss)
    if int(info.get("ssthresh") or 0) >= _SSTHRESH_INFINITE // 2:
        names["tcpi_snd_ssthresh"] = _SSTHRESH_INFINITE
    names["tcpi_options"] = _options(info)
    shifts = info.get("window_shift") or (0, 0)
    names["tcpi_snd_wscale"], names["tcpi_rcv_wscale"] = shifts
    return names


def _state(stream: Stream, is_bsd: bool) -> int:
    if not is_bsd:
        return stream.state_number()
    name = stream.state().replace("-", "_")
    number = CODE_NAMES.get(f"TCPI_{name}")
    return CODE_NAMES["TCPI_CLOSED"] if number is None else number


def _options(info: dict[str, Any]) -> int:
    bits = 0
    if info.get("timestamps"):
        bits |= 1
    if info.get("sack"):
        bits |= 2
    shifts = info.get("window_shift") or (0, 0)
    if any(0 < shift <= 14 for shift in shifts):
        bits |= 4
    if info.get("ecn"):
        bits |= 8
    return bits


class Codes:
    """The snippets of one script."""

    def __init__(self) -> None:
        self.names: dict[str, Any] = dict(CODE_NAMES)

    def run(self, text: str, values: dict[str, Any]) -> None:
        """One snippet. Differs when an assertion in it fails, or it fails otherwise."""
        self.names.update(values)
        code = re.sub(r"\\\s*\n\s*", " ", text).strip()
        try:
            exec(compile(code, "<code of the script>", "exec"), self.names)
        except AssertionError as error:
            shown = code if len(code) < 120 else code[:117] + "..."
            raise Differs(f"assertion failed: {shown} ({error})") from None
        except Exception as error:
            raise Differs(f"code failed: {type(error).__name__}: {error}") from None
