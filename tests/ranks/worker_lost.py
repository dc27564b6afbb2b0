"""Ranks of which one is lost in a way that argument 2 names; the others write down how long they then took to end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import torch
import torch.distributed as dist

from dist_stilts.errors import UserError
from dist_stilts.parallel.preemption import listening, requested
from dist_stilts.parallel.watch import last_words
from dist_stilts.parallel.world import started

OUT, HOW = Path(sys.argv[1]), sys.argv[2]
RANK = int(os.environ["RANK"])
LAST = int(os.environ["WORLD_SIZE"]) - 1
LOST = int(sys.argv[3]) if len(sys.argv) > 3 else LAST


def lose() -> None:
    """A rank comes to grief; one that is frozen thaws when the others have gone."""
    if HOW == "suspended":
        subprocess.Popen(["sh", "-c", f"sleep 8; kill -CONT {os.getpid()}"], start_new_session=True)
        os.kill(os.getpid(), signal.SIGSTOP)
    elif HOW == "frozen":
        others = [(OUT / f"works-{rank}").read_text() for rank in range(LAST + 1) if rank != LOST]
        there = " || ".join(f"kill -0 {pid}" for pid in others)
        thaw = f"while {there}; do sleep 0.2; done 2>/dev/null; sleep 0.5; kill -CONT {os.getpid()}"
        subprocess.Popen(["sh", "-c", thaw], start_new_session=True)
        os.kill(os.getpid(), signal.SIGSTOP)
    elif HOW == "killed":
        os.kill(os.getpid(), signal.SIGKILL)


def work() -> None:
    """An exchange after another, for ever."""
    with started(), listening(), last_words(lambda reason: (OUT / f"reason-{RANK}").write_text(reason)):
        if HOW == "unequal":
            dist.barrier()  # all have met each other
            time.sleep(1 + RANK)
            return
        (OUT / f"works-{RANK}").write_text(str(os.getpid()))
        for step in range(10_000):
            asked = torch.tensor(float(requested()))
            dist.all_reduce(asked)
            if step == 20 and (RANK == LOST or HOW == "suspended"):
                lose()
            if step == 40 and HOW == "suspended":
                return
            if int(asked) == dist.get_world_size():  # none leaves before all have heard of it
                (OUT / f"asked-{RANK}").touch()
                return
            time.sleep(0.05)


if HOW == "absent" and RANK == LAST:
    sys.exit(0)
if HOW == "gone first" and RANK == 0:
    from dist_stilts.parallel.launchers import detect
    from dist_stilts.parallel.store import open_store

    store = open_store(detect(), 10)
    time.sleep(3)
    os._exit(0)
try:
    work()
except UserError as error:
    print(f"error: {error}", file=sys.stderr)
    sys.exit(error.code)
