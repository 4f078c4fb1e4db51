"""All trials, by name."""

from __future__ import annotations

from bench.bulk import BULK
from bench.pace import CONNECTIONS, OVERLOAD
from bench.packet import PACKET
from bench.round_trip import LATENCY
from bench.start import START

TRIALS = {trial.name: trial for trial in (LATENCY, BULK, CONNECTIONS, OVERLOAD, START, PACKET)}
