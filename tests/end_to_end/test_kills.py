"""Law 2: a run that is killed time after time, at whatever moment, ends with the bits of one that was left alone.

Two ranks, dropout, several tasks, and each way to choose the weights. A longer version is benchmarks/kills.py.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from faults import RECIPE, Job, Kill, Outcome, torment

from dist_stilts.errors import EXIT_AGAIN

pytestmark = pytest.mark.timeout(600)
FEW = {"average": [("SIGKILL all", "save"), ("SIGTERM all", "evaluation"), ("SIGKILL one", "any")]}
MORE = {
    "best": [("SIGTERM all", "start"), ("SIGUSR1 one", "evaluation"), ("SIGKILL one", "scoring")],
    "mixture": [("SIGUSR1 one", "save"), ("SIGKILL all", "start")],
}
"""Phase to kills, each a kind and a moment; together every kind and every moment."""
SEED = 1
SECONDS_TO_STOP = 30  # "within one step", on a machine that may be busy


@dataclass
class Story:
    """What happened to all runs: kills, and how each finished run differed from the one left alone."""

    kills: list[Kill] = field(default_factory=list)
    differences: list[list[str]] = field(default_factory=list)

    @property
    def asked(self) -> list[Kill]:
        """The polite ones, after the start."""
        return [kill for kill in self.kills if not kill.kind.startswith("SIGKILL") and kill.during != "start"]


@pytest.fixture(
    scope="module", params=[pytest.param(FEW, id="three kills"), pytest.param(MORE, id="more", marks=pytest.mark.slow)]
)
def story(request: pytest.FixtureRequest, faults_out: Path, whole: Callable[[str], Outcome]) -> Story:
    story = Story()
    for phase, kills in request.param.items():
        for happened in torment(Job(RECIPE, phase, faults_out), kills, whole(phase), SEED):
            (story.kills if isinstance(happened, Kill) else story.differences).append(happened)  # type: ignore[attr-defined]
    assert {aim for kills in request.param.values() for _, aim in kills} - {"any"} <= {k.during for k in story.kills}
    return story


def test_every_run_ends_with_losses_scores_and_weights_of_the_one_left_alone(story: Story) -> None:
    assert story.differences == [[]] * len(story.differences) != []


def test_ranks_that_are_asked_to_stop_lose_nothing_and_end_with_the_code_that_says_start_me_again(story: Story) -> None:
    assert story.asked
    for kill in story.asked:
        assert kill.exported or kill.resumed == kill.logged, kill
        assert kill.codes == [EXIT_AGAIN] * 2, kill
        assert kill.status["state"] == "queued", kill
        assert kill.status["reason"], kill
        assert kill.seconds < SECONDS_TO_STOP, kill
        assert "Traceback" not in kill.said, kill


def test_a_killed_run_goes_on_from_its_newest_checkpoint_which_is_whole(story: Story) -> None:
    for kill in story.kills:
        assert kill.exported or kill.resumed == kill.kept, kill
        assert all(code != 0 for code in kill.codes), kill
        assert "damaged" not in kill.said_next, kill
