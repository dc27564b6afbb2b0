"""A dry run on one screen: phases with their runs and steps, memory, time, and what is missing; 40 lines at most."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace

from dist_stilts.conventions import GIB
from dist_stilts.errors import UserError
from dist_stilts.experiment.estimate import most_memory
from dist_stilts.experiment.forecast import Cost, Counts, cost, hours, rows_of, uncounted
from dist_stilts.experiment.missing import Findings, find_missing
from dist_stilts.experiment.plan import Run, folder_of
from dist_stilts.experiment.run_config import Recipe
from dist_stilts.experiment.status import is_done, statuses
from dist_stilts.model.flops import peak_flops
from dist_stilts.report.columns import aligned
from dist_stilts.report.numbers import ABSENT, short_size
from dist_stilts.report.progress import duration
from dist_stilts.train.plan import derive

MOST_PHASES, MOST_NOTES, MOST_MISSING = 17, 2, 8
"""Lines of each part; the rest is counted."""
MOST_CHARACTERS = 30
"""Of a cell of the table."""
ARCHITECTURE = {
    True: "no encoder of this kind has a known cost",
    False: "nothing here gives the encoder's architecture",
}
"""Why hours are not known, by whether the encoder is on this host."""


def screen(recipe: Recipe, runs: Sequence[Run], command: str, ranks: int) -> tuple[str, Findings]:
    """The plan on one screen, and what was found missing.

    Args:
        command: the one that starts the runs.
    """
    done = {run.name for run in runs if is_done(run, folder_of(recipe).run(run.name), recipe.evaluation)}
    left = [run for run in runs if run.name not in done]
    counts = uncounted(runs, recipe)
    found = find_missing(recipe, left, ranks)
    steps = {run.name: _steps(run, recipe, ranks, counts, found) for run in runs}
    costs = {run.name: _cost(run, recipe, ranks, counts) for run in left}
    state = f" ({len(done)} done)" if done else ""
    phases = len({run.phase for run in runs})
    lines = [
        f"{recipe.name}: {_number(phases, 'phase')}, {_number(len(runs), 'run')}{state} on {_number(ranks, 'rank')}, "
        f"in {folder_of(recipe).path}",
        "",
        *_table(runs, steps, recipe, counts),
        "",
        f"steps    {_total_steps(steps)}",
        f"memory   {_memory(recipe, runs, ranks, found)}",
        f"time     {_time(recipe, runs, costs, ranks, found)}",
        *([f"fetched  from the Hub or its cache: {'; '.join(found.fetched)}"] if found.fetched else []),
        *_some(found.notes, MOST_NOTES, "note     "),
        *_missing(found.missing),
        "",
        f"start    {command}",
        "more     --verbose: every run, memory part by part, the resolved recipe, commands for other launchers",
    ]
    return "\n".join(lines), found


def _number(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def _steps(run: Run, recipe: Recipe, ranks: int, counts: Counts, found: Findings) -> int | None:
    """Steps of a run; None where they follow from rows that are not known."""
    if not run.tasks:
        return 0
    sizes = [rows_of(run, recipe, task, counts) for task in run.tasks]
    counted = [size for size, share in zip(sizes, run.shares, strict=True) if share is None] or sizes
    if None in counted and not run.train.steps:
        return None
    steps: list[int] = []
    found.tried(lambda: steps.append(derive(run.train, [size or 1 for size in sizes], ranks, run.shares).steps))
    return steps[0] if steps else None


def _cost(run: Run, recipe: Recipe, ranks: int, counts: Counts) -> Cost:
    try:
        return cost(run, recipe, ranks, counts)
    except UserError:  # it is among what is missing
        return Cost(None, None, 0.0, None)


def _table(runs: Sequence[Run], steps: Mapping[str, int | None], recipe: Recipe, counts: Counts) -> list[str]:
    """One line per phase, the last of too many a count of the rest."""
    phases: dict[str, list[Run]] = {}
    for run in runs:
        phases.setdefault(run.phase, []).append(run)
    shown = list(phases.items())[: MOST_PHASES if len(phases) <= MOST_PHASES else MOST_PHASES - 1]
    header = ["phase", "role", "runs", "starts from", "trains on", "rows", "steps", "scores"]
    lines = [_phase(name, members, steps, recipe, counts) for name, members in shown]
    rest = [members for name, members in phases.items() if name not in dict(shown)]
    text = aligned([header, *lines], right=(2, 5, 6)).splitlines()
    return text + ([f"… and {len(rest)} more phases with {sum(map(len, rest))} runs"] if rest else [])


def _phase(
    name: str, runs: Sequence[Run], steps: Mapping[str, int | None], recipe: Recipe, counts: Counts
) -> list[str]:
    first = runs[0]
    trained = {run.name: [rows_of(run, recipe, task, counts) for task in run.tasks] for run in runs}
    totals = [None if None in sizes else sum(size or 0 for size in sizes) for sizes in trained.values()]
    return [
        _short([name]),
        Counter(run.role for run in runs).most_common(1)[0][0],
        str(len(runs)),
        _short(list(dict.fromkeys(run.start for run in runs))),
        _short(list(first.tasks)) if first.tasks else ABSENT,
        _range(totals) if first.tasks else ABSENT,
        _range([steps[run.name] for run in runs]) if first.tasks else ABSENT,
        _short(list(first.evaluate)) if first.evaluate else ABSENT,
    ]


def _short(names: Sequence[str]) -> str:
    """As many names as a cell has room for, and how many more there are."""
    shown = [names[0]]
    for name in names[1:]:
        if len(", ".join([*shown, name])) > MOST_CHARACTERS - 5:
            break
        shown.append(name)
    rest = len(names) - len(shown)
    text = ", ".join(shown)
    text = text if len(text) <= MOST_CHARACTERS else f"{text[: MOST_CHARACTERS - 1]}…"
    return f"{text} +{rest}" if rest else text


def _range(numbers: Sequence[int | None]) -> str:
    """``300 – 3,000``, or the one number that all have; ``?`` for what is not known."""
    known = sorted({number for number in numbers if number is not None})
    if not known or None in numbers:
        return f"{known[0]:,} – ?" if known else "?"
    return f"{known[0]:,}" if len(known) == 1 else f"{known[0]:,} – {known[-1]:,}"


def _total_steps(steps: Mapping[str, int | None]) -> str:
    known = sum(number for number in steps.values() if number is not None)
    unknown = sum(number is None for number in steps.values())
    more = f", and those of {_number(unknown, 'run')} whose rows are not known here" if unknown else ""
    return f"{known:,} in all{more}"


def _memory(recipe: Recipe, runs: Sequence[Run], ranks: int, found: Findings) -> str:
    try:
        most = most_memory(recipe, runs, ranks)
    except UserError as error:
        return f"not known: {error}" if found.model_is_here else "not known before the model is fetched"
    if most is None:
        return "nothing is trained"
    run, parameters, parts = most
    of = f"{parameters / 1e6:,.4g} M parameters, {run.train.deepspeed}"
    return f"about {sum(parts.values()) / GIB:.2f} GiB per GPU at most, in {run.name} ({of}; without CUDA's own)"


def _time(recipe: Recipe, runs: Sequence[Run], costs: Mapping[str, Cost], ranks: int, found: Findings) -> str:
    """Hours, with what they are based on: runs that are done, else a device's peak; or what is lacking for that."""
    if not costs:
        return "nothing is left to do"
    unknown = [name for name, needed in costs.items() if needed.training is None]
    if unknown:
        return f"not known: it follows from the rows of {_number(len(unknown), 'run')}, such as {unknown[0]}"
    tokens = sum(needed.training or 0 for needed in costs.values())
    trained = f"{short_size(tokens)} tokens to train on"
    figures = [
        status.closing
        for status in statuses(runs, recipe).values()
        if status.closing and status.closing.training_seconds
    ]
    if figures:
        pace = sum(figure.tokens for figure in figures) / sum(figure.training_seconds for figure in figures)
        return (
            f"about {duration(tokens / pace)} of training at the {pace:,.0f} tokens/s of runs that are done ({trained})"
        )
    return f"{_by_peak(recipe, costs, ranks, found)}; {trained}"


def _by_peak(recipe: Recipe, costs: Mapping[str, Cost], ranks: int, found: Findings) -> str:
    import torch

    here = torch.cuda.get_device_name() if torch.cuda.is_available() else None
    device = here if here and peak_flops(here) else recipe.study.gpu
    try:
        needed = hours(costs, replace(recipe, study=replace(recipe.study, gpu=device)))
    except UserError as error:
        return f"not known: {error}"
    if recipe.data.simulate or needed is None:
        why = "a simulated world" if recipe.data.simulate else ARCHITECTURE[found.model_is_here]
        return f"not known before a first run is done: {why}"
    assumed = f"{device} at {recipe.study.mfu:.0%} of its peak (assumed: study.gpu, study.mfu)"
    there = "" if here else "; not known for this host, which has no GPU, before a first run is done"
    return f"about {duration(3600 * needed / ranks)} on {ranks} x {assumed}{there}"


def _missing(missing: Sequence[str]) -> list[str]:
    if not missing:
        return ["missing  nothing: it can start"]
    return [f"missing  {_number(len(missing), 'thing')}: it cannot start", *_some(missing, MOST_MISSING, "  - ")]


def _some(texts: Sequence[str], most: int, mark: str) -> list[str]:
    """The first of the texts, and how many more there are."""
    shown = texts if len(texts) <= most else texts[: most - 1]
    rest = len(texts) - len(shown)
    return [f"{mark}{text}" for text in shown] + ([f"{mark}and {rest} more: --verbose"] if rest else [])
