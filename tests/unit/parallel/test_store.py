from __future__ import annotations

import socket
import time

import pytest

from dist_stilts.errors import EXIT_FAILED, UserError
from dist_stilts.parallel.launchers import Launch
from dist_stilts.parallel.meeting import start_seconds
from dist_stilts.parallel.network import free_port
from dist_stilts.parallel.store import open_store


def test_a_port_that_another_program_holds_is_named() -> None:
    with socket.socket() as other:
        other.bind(("", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(UserError, match=f"cannot listen at 127.0.0.1:{port}: another program holds it") as caught:
            open_store(Launch("torchrun", 0, 2, 0, "127.0.0.1", port), 2)
    assert caught.value.code == EXIT_FAILED


@pytest.mark.parametrize("listens", [False, True], ids=["nobody listens", "another program says nothing"])
def test_a_master_that_does_not_answer_is_named_in_time(listens: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dist_stilts.parallel.store.SECONDS_TO_REPORT", 0.5)
    with socket.socket() as other:
        other.bind(("127.0.0.1", free_port()))
        if listens:
            other.listen()
        port, began = other.getsockname()[1], time.monotonic()
        with pytest.raises(UserError, match=f"rank 1 on .* got no answer from 127.0.0.1:{port} within 1 s"):
            open_store(Launch("torchrun", 1, 2, 1, "127.0.0.1", port), 1)
        assert time.monotonic() - began < 10


def test_one_process_needs_no_port_and_a_time_that_is_no_number_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    assert open_store(Launch("none", 0, 1, 0, "no-such-host.invalid", 1), 1)
    monkeypatch.setenv("DIST_STILTS_START_SECONDS", "soon")
    with pytest.raises(UserError, match="DIST_STILTS_START_SECONDS=soon is no whole number"):
        start_seconds()
