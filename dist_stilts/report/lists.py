"""What verbs print: tables as the output allows, tasks, the scores of a predictions folder."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

from dist_stilts.report.table import Table, print_rich, render


def show(tables: Sequence[Table]) -> None:
    """Print tables: drawn on a terminal, Markdown elsewhere."""
    if sys.stdout.isatty():
        print_rich(tables)
    else:
        print(render(tables, "md"))


def task_rows(rows: Sequence[dict[str, Any]]) -> str:
    """One block per task: its name, then one indented line per known field."""
    blocks = []
    for row in rows:
        fields = [
            f"    {key:<11} {value:,}" if isinstance(value, int) else f"    {key:<11} {value}"
            for key, value in row.items()
            if key != "name" and value not in (None, "")
        ]
        blocks.append("\n".join([row["name"], *fields]))
    return "\n".join(blocks)


def score_lines(scores: dict[str, Any]) -> str:
    """Per task the averages over languages, then each language's scores, in percent."""
    lines = []
    for task, result in scores.items():
        languages = result["languages"]
        lines.append(f"{task}: {_metrics(result['average'])} (mean of {len(languages)} languages)")
        lines += [f"    {language:<4} {_metrics(values)}" for language, values in languages.items()]
    return "\n".join(lines)


def _metrics(values: dict[str, float]) -> str:
    return "  ".join(f"{name} {value:.2f}" for name, value in values.items())
