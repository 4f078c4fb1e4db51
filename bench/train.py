"""`python -m bench.train`: play what a profiled build is compiled for (`tools.profiled`).

All scenarios of the path without a device, and the static server and the load client at the two
ends of a memif link, each on a core of its own. Nothing is measured.
"""

from __future__ import annotations

import os
import sys
import tempfile

from bench import machine
from bench.memory import BODY_LEN, Setting, run
from bench.packet import cost
from bench.path import SCENARIOS
from bench.process import ProcessError

_REQUESTS = 6400
_FEW = {"bulk": 640}
_CONNECTIONS = 64
_SECONDS = 3.0


def main() -> int:
    if reason := machine.missing(["taskset"]):
        print(reason)
        return 2
    for scenario in SCENARIOS:
        cost(scenario, _FEW.get(scenario, _REQUESTS))
    with tempfile.TemporaryDirectory(prefix="corten-train-") as work:
        os.mkdir(os.path.join(work, "site"))
        with open(os.path.join(work, "site", "a.htm"), "wb") as file:
            file.write(b"x" * BODY_LEN)
        try:
            run("memif", Setting(work, _SECONDS, ()), _CONNECTIONS)
        except ProcessError as error:
            print(f"the two ends of a memif link could not be played: {error}")
            return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
