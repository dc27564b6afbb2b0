"""TensorBoard's event files, through its own writer: neither torch nor TensorFlow is needed.

A run's events lie in one folder, which TensorBoard shows as one run, however often it was interrupted and continued:

- Scalars have the optimiser step as their x-axis. Whoever continues a run first declares the later steps void.
- The HPARAMS tab shows a run's hyperparameters beside the last value of every scalar. Of what it learns about a run it
  keeps the *first* thing it reads, so a verdict (finished, failed) is written to a file of its own, and a process that
  continues the run takes the old verdict away. No list of columns is written: TensorBoard would take one run's for all.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

FINISHED, FAILED = "STATUS_SUCCESS", "STATUS_FAILURE"
"""Verdicts on a run, in TensorBoard's words."""
VERDICT = ".verdict"
"""Suffix of the event file that holds one."""
SECONDS_BETWEEN_FLUSHES = 10
"""What a killed process can lose; ``metrics.jsonl`` loses nothing."""


class EventFile:
    """A new event file in a run's folder.

    Args:
        folder: the run's events; made if need be.
        suffix: end of the file's name.
    """

    def __init__(self, folder: Path, suffix: str = "") -> None:
        from tensorboard.compat.proto.event_pb2 import Event
        from tensorboard.summary.writer.event_file_writer import EventFileWriter

        folder.mkdir(parents=True, exist_ok=True)
        self._event = Event
        self._writer = EventFileWriter(str(folder), flush_secs=SECONDS_BETWEEN_FLUSHES, filename_suffix=suffix)

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """Add one value per tag, after ``step`` optimiser steps."""
        from tensorboard.compat.proto.summary_pb2 import Summary

        found = [Summary.Value(tag=tag, simple_value=value) for tag, value in values.items()]
        self._add(step, summary=Summary(value=found))

    def restart(self, step: int) -> None:
        """Declare everything void that another process wrote about later steps than ``step``."""
        from tensorboard.compat.proto.event_pb2 import SessionLog

        self._add(step + 1, session_log=SessionLog(status=SessionLog.START))

    def hyperparameters(self, values: Mapping[str, object]) -> None:
        """Say what the run was told to do: numbers and truth values as such, anything else in words."""
        from tensorboard.plugins.hparams.metadata import SESSION_START_INFO_TAG
        from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData, SessionStartInfo

        start = SessionStartInfo(start_time_secs=time.time())
        for name, value in values.items():
            if isinstance(value, bool):  # which is an int, too
                start.hparams[name].bool_value = value
            elif isinstance(value, int | float):
                start.hparams[name].number_value = value
            else:
                start.hparams[name].string_value = str(value)
        self._session(SESSION_START_INFO_TAG, HParamsPluginData(session_start_info=start))

    def verdict(self, verdict: str) -> None:
        """Say how the run ended; use :func:`write_verdict`."""
        from tensorboard.plugins.hparams.api_pb2 import Status
        from tensorboard.plugins.hparams.metadata import SESSION_END_INFO_TAG
        from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData, SessionEndInfo

        end = SessionEndInfo(status=Status.Value(verdict), end_time_secs=time.time())
        self._session(SESSION_END_INFO_TAG, HParamsPluginData(session_end_info=end))

    def _session(self, tag: str, content: Any) -> None:
        from tensorboard.compat.proto.summary_pb2 import Summary
        from tensorboard.plugins.hparams.metadata import NULL_TENSOR, create_summary_metadata

        value = Summary.Value(tag=tag, tensor=NULL_TENSOR, metadata=create_summary_metadata(content))
        self._add(0, summary=Summary(value=[value]))
        self._writer.flush()

    def _add(self, step: int, **content: Any) -> None:
        self._writer.add_event(self._event(step=step, wall_time=time.time(), **content))

    def __enter__(self) -> EventFile:
        return self

    def __exit__(self, *error: object) -> None:
        self._writer.close()


def write_verdict(folder: Path, verdict: str) -> None:
    """Say how the run ended: :data:`FINISHED` or :data:`FAILED`."""
    with EventFile(folder, VERDICT) as events:
        events.verdict(verdict)


def withdraw_verdict(folder: Path) -> None:
    """The run goes on."""
    for file in folder.glob(f"*{VERDICT}"):
        file.unlink()
