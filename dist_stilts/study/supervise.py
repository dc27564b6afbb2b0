"""Run a study on this host: start workers, watch them, start another where one has ended, end them all.

Each worker is one or several ranks that do run after run (:mod:`dist_stilts.study.work`). What is done, and by whom, is
decided through the runs' folders, so the same study may be worked on from other hosts at the same time.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from typing import IO

from dist_stilts.errors import EXIT_AGAIN, EXIT_FAILED, EXIT_INTERRUPTED, UserError
from dist_stilts.experiment.launch import end, environment_of_ranks, gpus, launch_command, stop_as_by_ctrl_c
from dist_stilts.experiment.plan import Run, folder_of
from dist_stilts.experiment.run_config import Recipe
from dist_stilts.layout import StudyFolder
from dist_stilts.parallel.network import free_port
from dist_stilts.report.progress import Progress, duration, say
from dist_stilts.study.progress import DONE, FAILED, READY, RUNNING, WAITING, Standing, line, look, seconds_left

SECONDS_BETWEEN_LOOKS = 1.0
ALONE = {"RANK": "0", "WORLD_SIZE": "1", "LOCAL_RANK": "0", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "0"}
"""A worker of one rank is told so: what started this program, Slurm say, may have left it other numbers."""
MOST_IDLE_STARTS = 2
"""A worker that ends so often in a row before it has begun a run will not do better the next time."""


@dataclass
class Worker:
    """One worker and what it runs on.

    Attributes:
        name: of its log.
        devices: its GPUs; empty on a host without.
        idle_starts: starts in a row after which no run had come any further.
        seen: how far the runs were when it was last started.
    """

    name: str
    ranks: int
    devices: Sequence[str]
    process: subprocess.Popen[bytes] | None = None
    idle_starts: int = 0
    seen: object = None

    def start(self, arguments: Sequence[str], log: IO[bytes], workers: int) -> None:
        """Start its ranks; one rank needs no launcher."""
        environment = environment_of_ranks(self.ranks * workers)
        if self.ranks > 1:
            command = launch_command(arguments, self.ranks, free_port(), self.devices)
        else:
            command = [sys.executable, "-m", "dist_stilts", *arguments]
            environment |= ALONE | ({"CUDA_VISIBLE_DEVICES": ",".join(self.devices)} if self.devices else {})
        self.process = subprocess.Popen(command, env=environment, stdout=log, stderr=log, start_new_session=True)


def default_workers(ranks: int) -> int:
    """As many as the GPUs of this host are enough for; without GPUs, its cores."""
    return max(1, (len(gpus()) or os.cpu_count() or 1) // ranks)


def workers_on(number: int, ranks: int) -> list[Worker]:
    """Workers with GPUs of their own, where there are any.

    Raises:
        UserError: more than there are GPUs for.
    """
    devices = gpus()
    if devices and number * ranks > len(devices):
        raise UserError(
            f"{number} workers of {ranks} ranks need {number * ranks} GPUs, there are {len(devices)}",
            fix="Lower --workers or --ranks",
        )
    return [Worker(str(place), ranks, devices[place * ranks : (place + 1) * ranks]) for place in range(number)]


@dataclass
class Supervisor:
    """The workers of one study on this host.

    Attributes:
        arguments: of ``dist-stilts``, by which a worker is started.
    """

    runs: Sequence[Run]
    recipe: Recipe
    workers: Sequence[Worker]
    arguments: Sequence[str]
    said: set[str] = field(default_factory=set)

    def run(self) -> int:
        """Work until nothing is left that could be done; every process has ended with this call.

        Returns:
            0; 1 if a run failed; 75 if the workers were asked to stop.

        Raises:
            UserError: interrupted; workers that end before they have done anything.
        """
        study = StudyFolder(folder_of(self.recipe).path)
        study.path.mkdir(parents=True, exist_ok=True)
        self.said = {name for name, standing in self.look().items() if standing.state == DONE}
        stop_as_by_ctrl_c()
        with ExitStack() as stack:
            logs = [stack.enter_context(study.log(worker.name).open("ab")) for worker in self.workers]
            bar = stack.enter_context(Progress("study", len(self.runs), len(self.said)))
            try:
                return self._watch(logs, bar)
            except KeyboardInterrupt as interrupt:
                code = EXIT_AGAIN if interrupt.args else EXIT_INTERRUPTED
                raise UserError("interrupted", fix="The same command continues", code=code) from None
            finally:
                self.end()

    def look(self) -> dict[str, Standing]:
        """Where every run stands."""
        return look(self.runs, self.recipe)

    def _watch(self, logs: Sequence[IO[bytes]], bar: Progress) -> int:
        standings = self.look()
        for worker, log in zip(self.workers, logs, strict=True):
            self._start(worker, log, standings)
        while True:
            time.sleep(SECONDS_BETWEEN_LOOKS)
            standings = look(self.runs, self.recipe, standings)
            self.tell(standings, bar)
            living = 0
            for worker, log in zip(self.workers, logs, strict=True):
                code = worker.process.poll() if worker.process else 0
                if code is None:
                    living += 1
                elif code == EXIT_AGAIN:
                    return EXIT_AGAIN
                elif code != 0 and _is_open(standings):
                    self._start(worker, log, standings)
                    living += 1
            if not living:
                self.tell(self.look(), bar)
                return EXIT_FAILED if FAILED in {standing.state for standing in self.look().values()} else 0

    def _start(self, worker: Worker, log: IO[bytes], standings: Mapping[str, Standing]) -> None:
        """Start a worker, or give up on one that never begins a run."""
        seen = [(standing.state, standing.status.starts) for standing in standings.values()]
        worker.idle_starts = worker.idle_starts + 1 if worker.process and seen == worker.seen else 0
        worker.seen = seen
        if worker.idle_starts >= MOST_IDLE_STARTS:
            raise UserError(
                f"worker {worker.name} ends before it has begun a run", where=log.name, fix="See its last lines"
            )
        worker.start(self.arguments, log, len(self.workers))

    def tell(self, standings: Mapping[str, Standing], bar: Progress) -> None:
        """A line for every run that has ended since the last one, and the bar."""
        for name, standing in standings.items():
            if standing.state in (DONE, FAILED) and name not in self.said:
                self.said.add(name)
                took = duration(standing.status.seconds) if standing.status.seconds else ""
                what = f"failed: {standing.reason}" if standing.state == FAILED else f"done in {took}"
                say(f"{name}: {what}" + (f"; degenerate: {standing.degenerate}" if standing.degenerate else ""))
        left = seconds_left(self.runs, standings, len(self.workers))
        running = ", ".join(name for name, standing in standings.items() if standing.state == RUNNING)
        done = sum(standing.state == DONE for standing in standings.values())
        bar.update(done, running, left)

    def end(self) -> None:
        """Ask all to stop at once, then wait for each."""
        living = [worker.process for worker in self.workers if worker.process and worker.process.poll() is None]
        for process in living:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGTERM)
        for process in living:
            end(process)


def _is_open(standings: Mapping[str, Standing]) -> bool:
    """Whether there is, or may yet be, something to do."""
    states = {standing.state for standing in standings.values()}
    return READY in states or (RUNNING in states and WAITING in states)


def summary(runs: Sequence[Run], standings: Mapping[str, Standing]) -> str:
    """The study in one line, and a line for each run that failed."""
    failed = [f"  {name}: {standing.reason}" for name, standing in standings.items() if standing.state == FAILED]
    again = ["`dist-stilts study run` with the same arguments tries these again"] if failed else []
    return "\n".join([line(runs, standings), *failed, *again])
