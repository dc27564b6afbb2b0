"""Does a run that is killed again and again end with the same bits? A longer tests/end_to_end/test_kills.py.

    python benchmarks/kills.py [--kills 100] [--seed 0] [--out DIR]

Trains three phases of a tiny simulated world on two ranks (CPU), each undisturbed first and then under kills: SIGKILL
to all ranks or to one, SIGTERM to all, SIGUSR1 to one; while starting, at random moments, in saves, in evaluations on
dev, in the final scoring. Claim: losses, scores and exported weights are bit-identical to those of the undisturbed run,
and ranks that are asked to stop lose no step and exit with 75. Prints one table, in Markdown; exit code 1 if the claim
does not hold. About five seconds for a kill on two cores.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from random import Random

sys.path.extend(str(Path(__file__).resolve().parents[1] / folder) for folder in ("tests", "tests/end_to_end"))

from faults import KINDS, PHASES, RECIPE, Job, Kill, reference, torment

from dist_stilts.errors import EXIT_AGAIN
from dist_stilts.report.monitor import say

COLUMNS = ("start", "training", "save", "evaluation", "scoring")
AIMS = {
    "start": ("SIGKILL all", "SIGTERM all"),
    **{aim: tuple(KINDS) for aim in ("any", "save", "evaluation", "scoring")},
}
"""Moments and what may happen then: before the first step of this start (where a rank that is left alone would wait for
its peers as long as for any slow starter), a random one after it, in a save, in an evaluation on dev, in the final
scoring."""


def main() -> None:
    """Kill, then print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, help="folder to work in; default: a temporary one")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        kills = list(all_kills((given.out or Path(temporary)).resolve(), given.kills, given.seed))
    print(f"| kind | kills | {' | '.join(f'during {column}' for column in COLUMNS)} | resumed | bit-identical |")
    print("|---|" + "---:|" * (len(COLUMNS) + 3))
    for kind in (*KINDS, "all"):
        print_row(kind, [found for found in kills if kind in ("all", found[0].kind)])
    sys.exit(0 if all(well and not differences for _, well, differences in kills) else 1)


def all_kills(out: Path, count: int, seed: int) -> Iterator[tuple[Kill, bool, list[str]]]:
    """Each kill, whether the next start went on where it should, and how the run that it hit differs in the end."""
    Job(RECIPE, PHASES[0], out).prepare()
    for number, (phase, kills) in enumerate(plans(count, seed).items()):
        job = Job(RECIPE, phase, out)
        job.clear()
        survived: list[Kill] = []
        for happened in torment(job, kills, reference(job), seed + number):
            if isinstance(happened, Kill):
                survived.append(happened)
                say(f"{phase}: {happened.kind} during {happened.during}, codes {happened.codes}")
                if not went_on(happened):
                    say(f"not as it should be: {happened}")
                continue
            say(f"{phase}: finished after {len(survived)} kills, differs in {happened or 'nothing'}")
            for kill in survived:
                yield kill, went_on(kill), happened
            survived = []


def plans(kills: int, seed: int) -> dict[str, list[tuple[str, str]]]:
    """Deal out kills to the phases: every kind at every moment in turn, random ones twice as often, scoring last."""
    rounds = [(kind, aim) for aim in (*AIMS, "any") for kind in AIMS[aim]]
    random = Random(seed)
    dealt = [pair for _ in range(-(-kills // len(rounds))) for pair in random.sample(rounds, len(rounds))][:kills]
    return {
        phase: sorted(dealt[number :: len(PHASES)], key=lambda pair: pair[1] == "scoring")
        for number, phase in enumerate(PHASES)
    }


def went_on(kill: Kill) -> bool:
    """Whether the next start took up all that was saved, and that was all there was if the ranks were asked to stop."""
    asked = not kill.kind.startswith("SIGKILL") and kill.during != "start"
    if asked and kill.codes != [EXIT_AGAIN] * len(kill.codes):
        return False
    expected = kill.logged if asked else kill.kept
    return "damaged" not in kill.said_next and (kill.exported or kill.resumed == expected)


def print_row(kind: str, kills: list[tuple[Kill, bool, list[str]]]) -> None:
    """One line of the table."""
    during = [sum(kill.during == column for kill, _, _ in kills) for column in COLUMNS]
    resumed = sum(well for _, well, _ in kills)
    identical = sum(not differences for _, _, differences in kills)
    print(f"| {kind} | {' | '.join(map(str, (len(kills), *during, resumed, identical)))} |")


if __name__ == "__main__":
    main()
