"""``status.json`` of a run: the one place that says whether it is done; a launcher's exit code is not."""

from __future__ import annotations

import json
import os
import socket
import time
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import yaml

from dist_stilts.config import differences, dump, plain
from dist_stilts.conventions import fingerprint
from dist_stilts.errors import UserError
from dist_stilts.evaluate.suite import EvaluationConfig
from dist_stilts.experiment.plan import Run
from dist_stilts.layout import RunFolder, write_text

PACKAGES = ("dist-stilts", "torch", "transformers", "deepspeed", "datasets", "numpy")


def read_status(folder: RunFolder) -> dict[str, Any]:
    """The run's status; empty if it was never started."""
    if not folder.status.exists():
        return {}
    status: dict[str, Any] = json.loads(folder.status.read_text(encoding="utf-8"))
    return status


def write_status(folder: RunFolder, state: str, **more: Any) -> None:
    """Set the state (``queued``, ``running``, ``done``, ``failed``) and keep what else is known."""
    content = {**read_status(folder), "reason": None, "code": None, **more, "state": state, "heartbeat": time.time()}
    write_text(folder.status, json.dumps(content, indent=2))


def is_done(run: Run, folder: RunFolder, scoring: EvaluationConfig) -> bool:
    """Whether the run, as it and its scoring are now described, was trained and scored to the end."""
    status = read_status(folder)
    return (
        status.get("state") == "done"
        and status.get("run_id") == run.id
        and status.get("evaluated") == evaluation_id(run, scoring)
    )


def evaluation_id(run: Run, scoring: EvaluationConfig) -> str:
    """Identity of what is scored after the run, and how."""
    return fingerprint([{name: plain(task) for name, task in run.evaluate.items()}, plain(scoring)])


def check_folder(run: Run, folder: RunFolder) -> None:
    """UserError if the folder holds another run."""
    if not folder.config.exists():
        return
    there = yaml.safe_load(folder.config.read_text(encoding="utf-8")) or {}
    if there.get("run_id") != run.id:
        changed = differences(there.get("run", {}), json.loads(json.dumps(run.content)))
        raise UserError(
            f"the folder holds another run ({'; '.join(changed[:3]) or 'other content'})",
            where=folder.path,
            fix="Choose another name=… or out=…, or delete the folder",
        )


def claim(run: Run, folder: RunFolder) -> None:
    """Write the run's config into its folder, once; UserError if the folder holds another run."""
    check_folder(run, folder)
    if not folder.config.exists():
        content = {"run_id": run.id, "name": run.name, "run": run.content, "versions": versions()}
        write_text(folder.config, dump(content))


def place() -> str:
    """Where this process runs, for whoever wants to look at it or end it."""
    return f"{socket.gethostname()}:{os.getpid()}"


def versions() -> dict[str, str]:
    """Versions of everything that could explain a difference."""
    found = {}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed"
    return found
