"""All trials, by name."""

from __future__ import annotations

from bench.bulk import BULK, BULK_AIO
from bench.pace import CONNECTIONS, OVERLOAD
from bench.packet import PACKET
from bench.round_trip import LATENCY
from bench.start import START

_ALL = (LATENCY, BULK, BULK_AIO, CONNECTIONS, OVERLOAD, START, PACKET)
TRIALS = {trial.name: trial for trial in _ALL}
