"""Law 2: a run that is killed time after time, at whatever moment, ends with the bits of one that was left alone.

Two ranks, dropout, several tasks, and each way to choose the weights. A longer version is benchmarks/kills.py.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import pytest
from faults import PHASES, RECIPE, Job, Kill, Outcome, plans, torment

from dist_stilts.errors import EXIT_AGAIN

pytestmark = pytest.mark.timeout(900)
KILLS = 22  # each kind at each moment
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


@pytest.fixture(scope="module")
def story(faults_out: Path, whole: dict[str, Outcome]) -> Story:
    story = Story()
    for number, (phase, kills) in enumerate(plans(KILLS, SEED).items()):
        for happened in torment(Job(RECIPE, phase, faults_out), kills, whole[phase], SEED + number):
            if isinstance(happened, Kill):
                story.kills.append(happened)
            else:
                story.differences.append(happened)
    return story


def test_kills_met_saves_evaluations_and_plain_steps(story: Story) -> None:
    assert len(story.kills) == KILLS >= 20
    met = [kill.during for kill in story.kills]
    assert min(met.count(during) for during in ("save", "evaluation", "scoring", "start", "training")) >= 1, [
        (kill.aim, kill.during) for kill in story.kills
    ]


def test_every_run_ends_with_losses_scores_and_weights_of_the_one_left_alone(story: Story) -> None:
    assert len(story.differences) >= len(PHASES)
    assert story.differences == [[]] * len(story.differences)


def test_ranks_that_are_asked_to_stop_all_end_with_the_code_that_says_start_me_again(story: Story) -> None:
    assert story.asked
    for kill in story.asked:
        assert kill.codes == [EXIT_AGAIN] * 2, kill
        assert kill.status["state"] == "queued", kill
        assert kill.status["reason"], kill
        assert kill.seconds < SECONDS_TO_STOP, kill
        assert "Traceback" not in kill.said, kill


def test_ranks_that_are_asked_to_stop_lose_nothing(story: Story) -> None:
    for kill in story.asked:
        assert kill.exported or kill.resumed == kill.logged, kill


def test_a_killed_run_goes_on_from_its_newest_checkpoint(story: Story) -> None:
    for kill in story.kills:
        assert kill.exported or kill.resumed == kill.kept, kill
        assert all(code != 0 for code in kill.codes), kill


def test_no_kill_leaves_a_damaged_checkpoint_that_looks_finished(story: Story) -> None:
    assert [kill for kill in story.kills if "damaged" in kill.said_next] == []
