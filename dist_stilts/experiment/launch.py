"""Start the ranks of a recipe through the deepspeed launcher, watch them, end them; and the same for other programs.

Whether a run succeeded is what its ``status.json`` says: the launcher's exit code alone cannot be trusted.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NoReturn

from dist_stilts.errors import EXIT_AGAIN, EXIT_BAD_INPUT, EXIT_FAILED, EXIT_INTERRUPTED, UserError
from dist_stilts.experiment import over_hosts
from dist_stilts.experiment.execute import pending
from dist_stilts.experiment.plan import expand, folder_of
from dist_stilts.experiment.run_config import Recipe
from dist_stilts.experiment.status import RunStatus, State, read_status, set_state, statuses
from dist_stilts.import_path import of_children
from dist_stilts.once import is_held
from dist_stilts.parallel.hostfile import read_hostfile
from dist_stilts.parallel.master import given_address
from dist_stilts.parallel.network import LOOPBACK, check_port, free_port
from dist_stilts.parallel.packed import pack

KEEP_ALIVE = "-o ServerAliveInterval=15 -o ServerAliveCountMax=3"
"""Options by which ssh notices within a minute that a host has died; it would else take a quarter of an hour."""
SECONDS_TO_END = 60
"""How long ranks may take to save and end when asked, before they are killed; a second Ctrl-C does not wait."""


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
    address: str | None = LOOPBACK
    runner = over_hosts.LAUNCHER
    if hostfile:
        where, address = ["--hostfile", str(hostfile.absolute())], given_address(os.environ)
        if len(read_hostfile(hostfile)) > 1:
            runner, arguments = over_hosts.__name__, pack(Path.cwd(), arguments)
    launcher = [
        sys.executable,
        "-m",
        runner,
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
        **of_children(),
    }
    return environment if gpus() else {**environment, "DS_ACCELERATOR": "cpu"}


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
    arguments = ["train", "--phase", wanted, "--", name, *overrides]
    command = launch_command(arguments, ranks, port, [] if hostfile else _chosen(ranks), hostfile)
    before = statuses(expand(recipe), recipe)
    process = subprocess.Popen(command, env=environment_of_ranks(ranks), start_new_session=True)
    stop_as_by_ctrl_c()
    try:
        code = process.wait()
    except KeyboardInterrupt as interrupt:  # Ctrl-C comes without a signal's number
        return _stop(process, recipe, before, EXIT_AGAIN if interrupt.args else EXIT_INTERRUPTED)
    finally:
        end(process)
    return _outcome(recipe, wanted, before, code)


def _stop(process: subprocess.Popen[bytes], recipe: Recipe, before: Mapping[str, RunStatus], code: int) -> int:
    """Have the ranks save and end; returns the code if they did, and raises it as a UserError if they could not."""
    try:
        end(process)
    except KeyboardInterrupt:  # once more: do not wait for the checkpoint
        end(process, patience=0)
    _await_hosts(recipe)
    known = statuses(expand(recipe), recipe)
    if any(status.code == EXIT_AGAIN and _is_news(status, before[name]) for name, status in known.items()):
        return code
    for name in (name for name, status in known.items() if status.state == State.RUNNING):
        set_state(folder_of(recipe).run(name), State.QUEUED, "interrupted")
    raise UserError("interrupted", fix="The same command continues from the last checkpoint", code=code) from None


def _is_news(status: RunStatus, before: RunStatus) -> bool:
    """Whether these ranks wrote it and not an earlier start; no hour is compared, as the clocks of hosts differ."""
    return status.heartbeat != before.heartbeat


def _outcome(recipe: Recipe, wanted: str, before: Mapping[str, RunStatus], code: int) -> int:
    """The exit code that follows from the launcher's and from what the ranks have left behind."""
    left = pending(recipe, wanted)
    if not left:
        return 0
    if code == EXIT_BAD_INPUT:
        return code
    folder = folder_of(recipe).run(left[0].name)
    status = read_status(folder)
    if status.code is not None and _is_news(status, before[left[0].name]):
        return status.code
    what = f"the ranks ended (launcher code {code}) before run '{left[0].name}' was done"
    set_state(folder, State.FAILED, what, code=EXIT_FAILED)
    fix = "See the lines above; the same command continues from the last checkpoint"
    raise UserError(what, code=EXIT_FAILED, fix=fix)


def _await_hosts(recipe: Recipe) -> None:
    """Ranks on other hosts save and end by themselves: wait until the run that they work at is free."""
    deadline = time.monotonic() + SECONDS_TO_END
    for folder in (folder_of(recipe).run(run.name) for run in expand(recipe)):
        while read_status(folder).state == State.RUNNING and is_held(folder.lock) and time.monotonic() < deadline:
            time.sleep(0.2)


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


def stop_as_by_ctrl_c() -> None:
    """Treat a polite request to end as Ctrl-C, so that no rank is left behind; the signal's number tells them apart."""

    def stop(number: int, _: object) -> NoReturn:
        raise KeyboardInterrupt(number)

    for number in (signal.SIGTERM, signal.SIGUSR1):
        signal.signal(number, stop)


def gpus() -> list[str]:
    """The GPUs of this host that may be used, by number or as CUDA_VISIBLE_DEVICES names them."""
    import torch

    names = [name.strip() for name in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if name.strip()]
    seen = torch.cuda.device_count() if torch.cuda.is_available() else 0
    return names[:seen] or list(map(str, range(seen)))  # CUDA stops at the first that is not there


def _chosen(ranks: int) -> list[str]:
    """The GPUs to use where CUDA_VISIBLE_DEVICES chooses some: the launcher by itself would take the first of the host.

    Raises:
        UserError: it chooses too few, or by other names than numbers, which are all that the launcher takes.
    """
    name = "CUDA_VISIBLE_DEVICES"
    if name not in os.environ or not (devices := gpus()):
        return []
    if not all(device.isdecimal() for device in devices):
        fix = "Give numbers, or start with torchrun"
        raise UserError(f"{name}={os.environ[name]}: the deepspeed launcher takes only numbers", fix=fix)
    if ranks > len(devices):
        fix = f"Lower the number of ranks, or change {name}"
        raise UserError(f"{ranks} ranks, but {name} leaves {len(devices)} GPUs", fix=fix)
    return devices[:ranks]
