"""Does every task learn? Trains each on a few hundred real examples and compares with the majority baseline.

    python benchmarks/every_task.py --data DIR --model MODEL [--out runs] [KEY=VALUE]...

DIR holds small real samples in the layouts of ``dist-stilts tasks`` (anli, snli and mnli for ANLI+); MODEL is a small
Hugging Face encoder with a fast tokenizer, such as intfloat/multilingual-e5-small. About an hour on two CPU cores; run
again, it goes on where it was. Claim: on each task the training loss falls and the score is above that of always giving
the most frequent answer (questions: of always giving the empty answer). Prints one table, in Markdown.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

from dist_stilts.results import files, jsonl
from dist_stilts.tasks.sources import load_rows, task
from dist_stilts.tasks.spec import ChoiceRow, PairRow, SpanRow, TaggedRow

RECIPE = Path(__file__).with_suffix(".yaml")


def main() -> None:
    """Run the recipe, then print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--model", required=True)
    parser.add_argument("--out", type=Path, default=Path("runs"))
    parser.add_argument("overrides", nargs="*", metavar="KEY=VALUE")
    given = parser.parse_args()
    overrides = [f"data.root={given.data}", f"encoder.path={given.model}", f"out={given.out}", *given.overrides]
    subprocess.run([sys.executable, "-m", "dist_stilts", "run", str(RECIPE), *overrides], check=True)
    print("| task | language | trained on | loss | metric | score | majority | scored rows |")
    print("|---|---|---|---|---|---|---|---|")
    for folder in sorted((given.out / "every_task").iterdir()):
        if (folder / "metrics.jsonl").is_file():
            print_run(folder, given.data)


def print_run(folder: Path, root: Path) -> None:
    """One line per score of a run; the loss is the first and the last logged one."""
    losses = [
        event["loss"]
        for event in (line for _, line in jsonl.read(folder / "metrics.jsonl"))
        if event["event"] == "train"
    ]
    fall = f"{losses[0]:.2f} to {losses[-1]:.2f}"
    records = files.read(folder / "results.jsonl") if (folder / "results.jsonl").is_file() else []
    if not records:
        print(f"| {folder.name} | | | {fall} | | | | |")
    for record in records:
        if record.main:
            rows = load_rows(task(record.task, root), root, record.split, record.language)
            cells = [record.task, record.language, f"{record.training.train_size:,}", fall, record.metric]
            numbers = [f"{record.value:.1f}", f"{100 * majority(rows, record.metric):.1f}", f"{record.count:,}"]
            print(f"| {' | '.join([*cells, *numbers])} |")


def majority(rows: list[Any], metric: str) -> float:
    """The score of always giving the answer that is most frequent in the scored rows themselves, 0..1."""
    first = rows[0]
    if isinstance(first, SpanRow):
        return sum(row.answers == () for row in rows) / len(rows)
    if isinstance(first, TaggedRow):
        from dist_stilts.scoring.tagging import span_f1, token_accuracy

        top = Counter(tag for row in rows for tag in row.tags).most_common(1)[0][0]
        gold, constant = [row.tags for row in rows], [[top] * len(row.tags) for row in rows]
        return span_f1(constant, gold) if metric == "f1" else token_accuracy(constant, gold)
    assert isinstance(first, PairRow | ChoiceRow)
    return max(Counter(row.label for row in rows).values()) / len(rows)


if __name__ == "__main__":
    main()
