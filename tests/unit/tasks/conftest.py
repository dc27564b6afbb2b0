"""The Hub, without a network."""

from __future__ import annotations

import sys
import types
from collections.abc import Callable
from typing import Any

import pytest


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Callable[[list[Any] | Exception], list[Any]]:
    """Lets ``datasets`` load these rows, or fail with this error; returns what it is then asked for."""

    def hub_(answer: list[Any] | Exception) -> list[Any]:
        asked: list[Any] = []

        def load_dataset(*names: str, **settings: Any) -> list[Any]:
            asked.append((names, settings))
            if isinstance(answer, Exception):
                raise answer
            return answer

        module = types.ModuleType("datasets")
        module.load_dataset = load_dataset  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, "datasets", module)
        return asked

    return hub_
