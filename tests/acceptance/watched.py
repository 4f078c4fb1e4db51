"""The `corten` command with a window into its workers: `python -m tests.acceptance.watched MS …`.

The words after MS are the command's own. Every 0.2 s a worker prints, as a line of JSON, how many
connections it has. MS is how long TIME-WAIT lasts, in milliseconds; 0: as it is by default.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any

from corten import cli
from corten.tcp.config import Config
from corten.worker import serve as module

_EVERY_S = 0.2


def tell(worker: Any) -> None:
    host = worker.stack.host
    counts = {
        "live": host.live,
        "time_wait": host.time_wait_live,
        "half_open": len(host.half_open),
        "table": len(host.table),
    }
    os.write(1, json.dumps(counts).encode() + b"\n")
    worker.call_later(_EVERY_S, tell, worker)


def main() -> None:
    config = Config()
    if milliseconds := int(sys.argv[1]):
        config.time_wait_ns = milliseconds * 1_000_000
    original = module.serve

    def serve(*arguments: Any, **options: Any) -> int:
        return original(*arguments, setup=tell, config=config, **options)

    module.serve = serve
    cli.main(sys.argv[2:])


if __name__ == "__main__":
    main()
