from __future__ import annotations

import os
import signal

import pytest

from dist_stilts.parallel.preemption import Preempted, check, listening, requested


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2, signal.SIGINT])
def test_whatever_signal_a_cluster_sends_is_noted_and_obeyed_at_the_next_check(number: signal.Signals) -> None:
    before = signal.getsignal(number)
    with listening():
        check()
        os.kill(os.getpid(), number)
        assert requested()
        with pytest.raises(Preempted):
            check()
    assert not requested()
    assert signal.getsignal(number) == before
