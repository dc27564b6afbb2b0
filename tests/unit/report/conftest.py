"""TensorBoard's own eyes: event files read back as its pages read them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Curves = dict[str, list[tuple[int, float]]]


@pytest.fixture
def curves() -> Callable[[Path], Curves]:
    """The scalars of a run's events: tag to (step, value), as the SCALARS tab draws them."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    def read(folder: Path) -> Curves:
        events = EventAccumulator(str(folder)).Reload()
        return {tag: [(event.step, event.value) for event in events.Scalars(tag)] for tag in events.Tags()["scalars"]}

    return read


@pytest.fixture
def sessions() -> Callable[[Path], dict[str, Any]]:
    """The rows of the HPARAMS tab over all runs in a folder: name to (status, hyperparameters, metrics)."""
    from tensorboard.backend.event_processing.data_provider import MultiplexerDataProvider
    from tensorboard.backend.event_processing.plugin_event_multiplexer import EventMultiplexer
    from tensorboard.context import RequestContext
    from tensorboard.plugins.base_plugin import TBContext
    from tensorboard.plugins.hparams import api_pb2
    from tensorboard.plugins.hparams.backend_context import Context
    from tensorboard.plugins.hparams.list_session_groups import Handler

    def read(folder: Path) -> dict[str, Any]:
        runs = EventMultiplexer().AddRunsFromDirectory(str(folder)).Reload()
        context = Context(TBContext(data_provider=MultiplexerDataProvider(runs, str(folder))))
        request = api_pb2.ListSessionGroupsRequest(
            slice_size=100, allowed_statuses=[status for _, status in api_pb2.Status.items()]
        )
        rows = Handler(RequestContext(), context, "", request).run().session_groups
        return {row.name: _row(row) for row in rows}

    def _row(row: Any) -> tuple[str, dict[str, Any], dict[str, float]]:
        (session,) = row.sessions
        told = {name: getattr(value, value.WhichOneof("kind")) for name, value in row.hparams.items()}
        metrics = {f"{value.name.group}{value.name.tag}": round(value.value, 3) for value in row.metric_values}
        return api_pb2.Status.Name(session.status), told, metrics

    return read
