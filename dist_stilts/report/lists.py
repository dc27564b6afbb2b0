"""What verbs print: tables as the output allows, tasks, the scores of a predictions folder."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from typing import Any

from dist_stilts.report.columns import aligned
from dist_stilts.report.numbers import ABSENT, score
from dist_stilts.report.render import Sheet, markdown, print_rich
from dist_stilts.report.table import Table, sheets
from dist_stilts.results.record import ResultRecord
from dist_stilts.results.settings import all_but, tell_apart

READERS = all_but("split", "layer", "after", "rows")
"""Settings that tell apart lines about the embeddings of the same texts in the same layer."""
_SPLITS = ("train", "dev", "test")
_CLASSES_NAMED = 12
"""Classes of a task that are listed; there may be hundreds."""


def show(tables: Sequence[Table], remarks: Sequence[str] = ()) -> None:
    """Print tables, and remarks below them: drawn on a terminal, Markdown elsewhere."""
    show_sheets(sheets(tables), remarks)


def show_sheets(found: Sequence[Sheet], remarks: Sequence[str] = ()) -> None:
    """Print sheets, and remarks below them: drawn on a terminal, Markdown elsewhere."""
    if sys.stdout.isatty():
        print_rich(found)
    else:
        print(markdown(found))
    for line in remarks:
        print(f"- {line}")


def task_table(tasks: Sequence[dict[str, Any]]) -> str:
    """One line per task: what one chooses by."""
    header = ("task", "family", "metric", "languages", "English rows: train / dev / test", "Hub", "licence")
    rows = [
        (
            task["name"],
            task["family"],
            task["metric"],
            str(len(task["languages"])),
            " / ".join(f"{task['sizes'][split]:,}" if split in task["sizes"] else ABSENT for split in _SPLITS),
            "yes" if task["hub"] else "no",
            task["licence"],
        )
        for task in tasks
    ]
    return aligned([header, *rows])


def task_block(task: dict[str, Any]) -> str:
    """Everything known of one task, one indented line per field."""
    lines = [task["name"]]
    for key, value in task.items():
        if key == "name" or value in (None, "", [], {}):
            continue
        if key == "files":
            lines += [f"    {'files' if not number else '':<13} {layout}" for number, layout in enumerate(value)]
            continue
        if isinstance(value, dict):
            value = ", ".join(f"{name} {number:,}" for name, number in value.items())
        lines.append(f"    {key:<13} {' '.join(value) if isinstance(value, list) else value}")
    return "\n".join(lines)


def health_table(records: Iterable[ResultRecord]) -> str:
    """What the embeddings of retrieval are like, a line per task, language and layer; empty without retrieval."""
    columns = ("source_mean_cosine", "target_mean_cosine", "source_effective_rank", "target_effective_rank", "hubness")
    header = (
        "embeddings",
        "layer",
        "mean cosine",
        "of the other side",
        "effective rank",
        "of the other side",
        "hubness",
    )
    units = list({record.identity._replace(metric=""): record for record in records if record.health}.values())
    names = [f"{record.task} {record.split} {record.language}" for record in units]
    rows = [
        (name, str(unit.reading.layer), *(_short(unit.health.get(column)) for column in columns))
        for name, unit in zip(tell_apart(names, units, READERS), units, strict=True)
    ]
    return aligned([header, *rows]) if rows else ""


def _short(value: float | None) -> str:
    return ABSENT if value is None else f"{value:.3g}"


def preparation(splits: Sequence[dict[str, Any]]) -> str:
    """What tokenising did: one line per task, split and language; classes of own tasks; and what is to be remarked."""
    header = ("task", "split", "language", "examples", "rows", "tokens", "rows cut", "tokens cut", "seconds")
    rows = [
        (
            *(split[key] for key in ("task", "split", "language")),
            *(f"{split[key]:,}" for key in ("examples", "rows", "tokens", "truncated_rows", "truncated_tokens")),
            f"{split['seconds']:.1f}",
        )
        for split in splits
    ]
    return "\n".join([aligned([header, *rows]), *_classes(splits), *remarks(splits)])


def remarks(splits: Sequence[dict[str, Any]]) -> list[str]:
    """One line per kind of quirk of the files, and per split that teaches nothing."""
    found = []
    for split in splits:
        title = f"{split['task']} {split['split']} {split['language']}"
        found += [f"{title}: {count:,} x {what}" for what, count in split["quirks"].items()]
        found += [f"{title}: nothing can be learned: {split['alike']}"] if split.get("alike") else []
    return found


def _classes(splits: Sequence[dict[str, Any]]) -> list[str]:
    """How often each class is gold, one line per task and split, of languages that differ one each."""
    languages: dict[str, list[str]] = {}
    for split in splits:
        counts = sorted(split.get("classes", {}).items(), key=lambda item: -item[1])
        if counts:
            named = ", ".join(f"{_visible(label)} {count:,}" for label, count in counts[:_CLASSES_NAMED])
            others = len(counts) - _CLASSES_NAMED
            line = f"{named}{f', and {others:,} others' if others > 0 else ''}"
            languages.setdefault(f"{split['task']} {split['split']}\n{line}", []).append(split["language"])
    return [": ".join(key.replace("\n", f" {', '.join(codes)}\n").split("\n")) for key, codes in languages.items()]


def _visible(label: str) -> str:
    """A label as it is, or quoted where blanks at its ends would not be seen."""
    return label if label == label.strip() else repr(label)


def score_lines(scores: dict[str, Any]) -> str:
    """Per task its score and each language's, languages across; then groups and overall, in percent.

    Args:
        scores: as :func:`dist_stilts.evaluate.submission.score_folder` returns them.
    """
    blocks = [_task_block(task, result, scores["incomplete"].get(task, "")) for task, result in scores["tasks"].items()]
    lacking = ", ".join(f"{task} {there}" for task, there in scores["incomplete"].items())
    totals = {**scores["groups"], "without retrieval": scores["without_retrieval"], "overall": scores["overall"]}
    blocks.append("\n".join(f"{name:<18} {_percent(value)}" for name, value in totals.items()))
    if None in totals.values():
        blocks[-1] += "\n-: not all of its tasks are here"
    if lacking:
        blocks[-1] += f"\nINCOMPLETE, not comparable with published numbers: {lacking}"
    if scores["skipped"]:
        blocks.append("\n".join(f"not scored: {reason}" for reason in scores["skipped"]))
    return "\n\n".join(blocks)


_LANGUAGES_ACROSS = 12


def _task_block(task: str, result: dict[str, Any], incomplete: str) -> str:
    languages, average = result["languages"], result["average"]
    over = (
        f"INCOMPLETE: mean of {incomplete}"
        if incomplete
        else f"mean of {len(languages) - len(result['extra'])} languages"
    )
    means = ", ".join(f"{metric} {value:.2f}" for metric, value in average.items())
    lines = [f"{task} {_percent(result['score']).strip()} ({over}{'; ' if means else ''}{means})"]
    codes = list(languages)
    for start in range(0, len(codes), _LANGUAGES_ACROSS):
        part = codes[start : start + _LANGUAGES_ACROSS]
        lines.append(" " * 14 + "".join(f"{code:>7}" for code in part))
        lines += [
            f"  {metric:<12}" + "".join(_percent(languages[code][metric]) for code in part)
            for metric in languages[codes[0]]
        ]
    if result["missing"]:
        lines.append(f"  missing: {' '.join(result['missing'])}")
    if result["extra"]:
        lines.append(f"  no language of XTREME's task, in no mean: {' '.join(result['extra'])}")
    return "\n".join([*lines, *(f"  {note}" for note in result["notes"])])


def _percent(value: float | None) -> str:
    return score(value, digits=2, width=7)
