"""One rank of ``dist-stilts preflight`` in a launcher's group: what it printed and its exit code go to argument 1.

Argument 2 is a port for the ranks to meet at a second time.
"""

from __future__ import annotations

import contextlib
import io
import os
import sys
from pathlib import Path
from typing import Any
from unittest import mock

import tiny

from dist_stilts.__main__ import main
from dist_stilts.parallel.bandwidth import measure
from dist_stilts.parallel.world import started


def preflight(out: Path) -> dict[str, Any]:
    said, arguments = io.StringIO(), ["dist-stilts", "preflight", "--json", "--out", str(out / "runs")]
    with contextlib.redirect_stdout(said), mock.patch.object(sys, "argv", arguments):
        try:
            main()
        except SystemExit as end:
            return {"code": end.code, "said": said.getvalue()}


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    results = preflight(folder)
    os.environ["MASTER_PORT"] = sys.argv[2]
    with started(timeout_seconds=60) as world:
        results["figures"] = measure(sizes=(1024, 2**16))
        tiny.save_for(world.rank, results)
