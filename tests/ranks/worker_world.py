"""What ranks say to each other and what they score, in one start of each number of them: argument 1 is the folder."""

from __future__ import annotations

import sys
from pathlib import Path

import tiny
from exchanges import exchange, numbers, table
from scores import one_by_one, score

from dist_stilts.parallel.world import started

if __name__ == "__main__":
    with started(timeout_seconds=180) as world:
        results = {
            "exchanged": exchange(world, Path(sys.argv[1])),
            "table": table(),
            "numbers": numbers(),
            "scored": score(world),
            "one by one": one_by_one() if world.size == 1 else None,
        }
        tiny.save_for(world.rank, results)
