#!/usr/bin/env python3
"""``torchrun`` that ends with the exit code of the rank that failed first; torchrun itself says 1 whatever a rank said.

Whoever restarts a job has to tell 75 (asked to stop, start me again) and 2 (bad input, do not) from all else. A rank
that a signal ended gives 128 + signal, as in a shell. Told to stop itself, torchrun passes that on to its ranks, which
save within --shutdown-timeout seconds; that is 75 too.
"""

from __future__ import annotations

import sys

from torch.distributed.elastic.multiprocessing import SignalException
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
from torch.distributed.run import parse_args, run

START_ME_AGAIN = 75


def main(arguments: list[str]) -> int:
    """Run the ranks of this host; returns their common exit code."""
    try:
        run(parse_args(arguments))
    except SignalException:
        return START_ME_AGAIN
    except ChildFailedError as error:
        print(error, file=sys.stderr)
        code = error.get_first_failure()[1].exitcode
        return 128 - code if code < 0 else code
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
