"""Run a recipe: start the ranks, watch them, end them; and inside a rank, do the runs one after another.

All runs of a recipe share one process group, because starting one costs seconds; each run builds and destroys its own
engine. Whether a run succeeded is what its ``status.json`` says: the launcher's exit code alone cannot be trusted.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from dist_stilts.errors import EXIT_AGAIN, EXIT_BAD_INPUT, EXIT_FAILED, EXIT_INTERRUPTED, UserError
from dist_stilts.experiment.plan import Run, expand, folder_of, select
from dist_stilts.experiment.run_config import Recipe
from dist_stilts.experiment.status import check_folder, is_done, read_status, write_status
from dist_stilts.experiment.training_data import data_root
from dist_stilts.layout import RunFolder, write_text
from dist_stilts.parallel.network import check_port, free_port
from dist_stilts.parallel.once import hold
from dist_stilts.report.monitor import say
from dist_stilts.tasks.registry import get_task
from dist_stilts.tasks.sources import hub_source
from dist_stilts.train.plan import derive

if TYPE_CHECKING:
    from dist_stilts.report.table import Table

KEEP_ALIVE = "-o ServerAliveInterval=15 -o ServerAliveCountMax=3"
"""Options by which ssh notices within a minute that a host has died; it would else take a quarter of an hour."""
SECONDS_TO_END = 60
"""How long ranks may take to save and end when asked, before they are killed; a second Ctrl-C does not wait."""


def pending(recipe: Recipe, wanted: str = "all") -> list[Run]:
    """The chosen runs that are not done, parents first; parents of chosen runs are included."""
    runs = expand(recipe)
    chosen = {run.name for run in select(runs, wanted)}
    needed = {ancestor.name for run in runs if run.name in chosen for ancestor in run.lineage()}
    return [
        run
        for run in runs
        if run.name in needed and not is_done(run, folder_of(recipe).run(run.name), recipe.evaluation)
    ]


def check_before_start(recipe: Recipe, runs: Sequence[Run], ranks: int) -> None:
    """Find what would stop the ranks while nothing is started yet.

    Raises:
        UserError: more ranks than rows in a batch, missing data, a folder of another recipe.
    """
    root = data_root(recipe)
    if root and not recipe.data.simulate and not root.is_dir():
        raise UserError("the data folder does not exist", where=root, fix="Set data.root=DIR")
    for run in runs:
        for name in [*run.tasks, *run.evaluate] if root is None else []:
            hub_source(get_task(name))
        if run.tasks:
            derive(run.train, [1] * len(run.tasks), ranks, run.shares)
        check_folder(run, folder_of(recipe).run(run.name))


def default_ranks(recipe: Recipe) -> int:
    """Processes to start: as the recipe says, else one per GPU, else two."""
    if recipe.ranks:
        return recipe.ranks
    import torch

    return torch.cuda.device_count() or 2


def launch_command(
    arguments: Sequence[str], ranks: int, port: int, devices: Sequence[str] = (), hostfile: Path | None = None
) -> list[str]:
    """The command that starts ``dist-stilts ARGUMENTS`` on the ranks of this host, or of those in a hostfile.

    Args:
        devices: numbers of the GPUs to use; none = as many as there are ranks, or no GPU.
        hostfile: its hosts are reached over ssh; the launcher asks the first one for its address, unless MASTER_ADDR
            is set.
    """
    where = ["--include", f"localhost:{','.join(devices)}"] if devices else ["--num_gpus", str(ranks)]
    address: str | None = "127.0.0.1"
    if hostfile:
        where, address = ["--hostfile", str(hostfile)], os.environ.get("MASTER_ADDR")
    launcher = [
        sys.executable,
        "-m",
        "deepspeed.launcher.runner",
        "--log_level",
        "critical",
        *where,
        *(["--master_addr", address] if address else []),
        "--master_port",
        str(port),
        "--no_local_rank",
        "--module",
    ]
    return [*launcher, "dist_stilts", *arguments]


def environment_of_ranks(ranks: int) -> dict[str, str]:
    """What the ranks of one start have in their environment: the cores of this host, shared out; no GPU, if none."""
    environment = {
        "OMP_NUM_THREADS": str(max(1, (os.cpu_count() or 1) // ranks)),
        "TOKENIZERS_PARALLELISM": "true",
        "PDSH_SSH_ARGS_APPEND": KEEP_ALIVE,
        **os.environ,
    }
    return environment if _has_gpu() else {**environment, "DS_ACCELERATOR": "cpu"}


def make_world(recipe: Recipe) -> None:
    """Write the simulated world, where the recipe has one and it is not there yet."""
    if recipe.data.simulate:
        from dist_stilts.simulate import write_world

        simulate, root = recipe.data.simulate, folder_of(recipe).world
        write_world(root, seed=simulate.seed, placebo=simulate.placebo, scale=simulate.scale, on_progress=say)


def prepare_data(recipe: Recipe, runs: Sequence[Run]) -> None:
    """Tokenise what the runs need, in this process, with a progress bar: ranks do not. Reports what was cut."""
    from dist_stilts.experiment.phases import bar, recipe_tokenizer
    from dist_stilts.experiment.training_data import prepare_all
    from dist_stilts.parallel.world import current
    from dist_stilts.report.lists import preparation

    done = list(prepare_all(runs, recipe, recipe_tokenizer(recipe), bar(current())).values())
    report = folder_of(recipe).data_report
    if done:
        write_text(report, preparation(done) + "\n")
        say(
            f"data: {sum(row['examples'] for row in done):,} examples, {sum(row['tokens'] for row in done):,} tokens, "
            f"{sum(row['truncated_rows'] for row in done):,} rows cut: {report}"
        )


def launch(
    recipe: Recipe,
    name: str,
    overrides: Sequence[str],
    ranks: int,
    port: int | None,
    wanted: str = "all",
    hostfile: Path | None = None,
) -> int:
    """Start the ranks through the deepspeed launcher and wait for them; every process ends with this call.

    Returns:
        0, or the exit code of a run that failed or was asked to stop (75, after Ctrl-C 130); its ranks have said why.

    Raises:
        UserError: the ranks ended without a word; what was saved resumes.
    """
    port = check_port(port) if port else free_port()
    command = launch_command(["train", name, "--phase", wanted, *overrides], ranks, port, hostfile=hostfile)
    process = subprocess.Popen(command, env=environment_of_ranks(ranks), start_new_session=True)
    stop_as_by_ctrl_c()
    try:
        code = process.wait()
    except KeyboardInterrupt as interrupt:
        try:
            end(process)
        except KeyboardInterrupt:  # once more: do not wait for the checkpoint
            end(process, patience=0)
        _await_hosts(recipe)
        code = EXIT_AGAIN if interrupt.args else EXIT_INTERRUPTED  # Ctrl-C comes without a signal's number
        if any(status.get("code") == EXIT_AGAIN for status in _statuses(recipe)):
            return code
        _mark_interrupted(recipe)
        fix = "The same command continues from the last checkpoint"
        raise UserError("interrupted", fix=fix, code=code) from None
    finally:
        end(process)
    left = pending(recipe, wanted)
    if not left:
        return 0
    if code == EXIT_BAD_INPUT:
        return code
    status = read_status(folder_of(recipe).run(left[0].name))
    if status.get("state") == "failed" or status.get("code") == EXIT_AGAIN:
        return int(status["code"])
    what = f"the ranks ended (launcher code {code}) before run '{left[0].name}' was done"
    write_status(folder_of(recipe).run(left[0].name), "failed", reason=what, code=EXIT_FAILED)
    raise UserError(
        what,
        code=EXIT_FAILED,
        fix="See the lines above; the same command continues from the last checkpoint",
    )


def _await_hosts(recipe: Recipe) -> None:
    """Ranks on other hosts save and end by themselves: wait until the run that they work at is free."""
    deadline = time.monotonic() + SECONDS_TO_END
    folders = [folder_of(recipe).run(run.name) for run in expand(recipe)]
    for folder in folders:
        while read_status(folder).get("state") == "running" and not _is_free(folder) and time.monotonic() < deadline:
            time.sleep(0.2)


def _is_free(folder: RunFolder) -> bool:
    lock = hold(folder.lock)
    if lock:
        lock.release()
    return lock is not None


def end(leader: subprocess.Popen[bytes], patience: float = SECONDS_TO_END) -> None:
    """End every process of the leader's session by its id: politely, then for good."""
    for number, seconds in ((signal.SIGTERM, patience), (signal.SIGKILL, 1)):
        deadline = time.monotonic() + seconds
        try:
            os.killpg(leader.pid, number)
            while time.monotonic() < deadline:
                leader.poll()  # a child that has ended counts as there until it is asked for
                os.killpg(leader.pid, 0)
                time.sleep(0.1)
        except ProcessLookupError:
            return


def finish(recipe: Recipe, command: str) -> tuple[list[Table], list[Path]]:
    """Write the table and the page of all runs; returns the tables and the files, none if the recipe scores nothing."""
    from dist_stilts.experiment.page import write_page
    from dist_stilts.report.table import pivot, render
    from dist_stilts.results.files import collect

    folder = folder_of(recipe)
    if not any(folder.run(run.name).results.exists() for run in expand(recipe)):
        return [], []
    records = collect([folder.path])
    distances = language_distances(recipe)
    tables = pivot(records, distances)
    write_text(folder.table, render(tables, "md"))
    page = write_page(folder.path, recipe.name, records, distances, [command])
    return tables, [folder.table, page]


def language_distances(recipe: Recipe) -> dict[str, float] | None:
    """Distance of each language from English, where the simulated world declares it."""
    if not recipe.data.simulate:
        return None
    languages = json.loads((folder_of(recipe).world / "world.json").read_text(encoding="utf-8"))["languages"]
    entries = languages if isinstance(languages, dict) else {entry["code"]: entry for entry in languages}
    return {code: entry["distance"] for code, entry in entries.items()}


def stop_as_by_ctrl_c() -> None:
    """Treat a polite request to end as Ctrl-C, so that no rank is left behind; the signal's number tells them apart."""

    def stop(number: int, _: object) -> NoReturn:
        raise KeyboardInterrupt(number)

    for number in (signal.SIGTERM, signal.SIGUSR1):
        signal.signal(number, stop)


def _statuses(recipe: Recipe) -> list[dict[str, Any]]:
    return [read_status(folder_of(recipe).run(run.name)) for run in expand(recipe)]


def _mark_interrupted(recipe: Recipe) -> None:
    for run in expand(recipe):
        folder = folder_of(recipe).run(run.name)
        if read_status(folder).get("state") == "running":
            write_status(folder, "queued", reason="interrupted")


def _has_gpu() -> bool:
    import torch

    return torch.cuda.is_available()
