"""What ranks send each other is read as data: nothing in a message is run."""

from __future__ import annotations

import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dist_stilts.errors import UserError
from dist_stilts.experiment.status import RunStatus, State
from dist_stilts.parallel.hostfile import Host
from dist_stilts.parallel.messages import read, write


class Calls:
    """Pickles as a call of some function."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.call = (function, arguments)

    def __reduce__(self) -> tuple[Any, ...]:
        return self.call


@pytest.mark.parametrize(
    "value",
    [
        {"a": [1, 2.5, None, True, "é", b"x", (1, {2})], 3: {}},
        Host("node", 2),
        RunStatus(State("running")),
        Path("a/b"),
        float("inf"),
    ],
)
def test_records_and_plain_values_come_as_they_went(value: object) -> None:
    assert read(write(value)) == value


def test_arrays_and_errors_come_as_they_went() -> None:
    array = np.arange(6, dtype=np.float32).reshape(2, 3)
    assert (read(write({"a": array}))["a"] == array).all()
    assert read(write(np.float64(1.5))) == 1.5
    error = read(write(UserError("what", where="here", fix="Do it", code=75)))
    assert (str(error), error.code) == (str(UserError("what", where="here", fix="Do it")), 75)


@pytest.mark.parametrize("function", [os.system, eval, getattr, os.rmdir, pickle.loads, np.load, write])
def test_a_message_that_calls_something_is_refused(function: Any, tmp_path: Path) -> None:
    message = pickle.dumps(["harmless", Calls(function, str(tmp_path))])
    with pytest.raises(pickle.UnpicklingError, match="names"):
        read(message)
    assert tmp_path.exists()
