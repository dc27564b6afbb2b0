"""Scores of prediction files in XTREME's folder layout, as its published scorer defines them.

    predictions/<task>/test-<language>.tsv   and   labels/<task>/test-<language>.tsv

One label per line (xnli; tatoeba: row numbers), one tag per line with blank lines between sentences (udpos; of several
tab-separated columns the last counts), or ``source id <TAB> English id`` (bucc2018). Percent, averaged over languages.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from dist_stilts.errors import UserError
from dist_stilts.scoring.classify import accuracy
from dist_stilts.scoring.tagging import span_f1, token_accuracy
from dist_stilts.tasks.files import read_lines

SCORED = ("xnli", "udpos", "tatoeba", "bucc2018")


def score_folder(predictions: Path, labels: Path) -> dict[str, Any]:
    """Score every task and language that both folders hold.

    Returns:
        ``{task: {"languages": {language: {metric: percent}}, "average": {metric: percent}}}``.

    Raises:
        UserError: nothing in common; a prediction file without its label file, or of another length.
    """
    result: dict[str, Any] = {}
    for task in SCORED:
        files = sorted((predictions / task).glob("test-*.tsv"))
        if not files or not (labels / task).is_dir():
            continue
        languages = {}
        for file in files:
            gold = labels / task / file.name
            if not gold.is_file():
                raise UserError("no labels for these predictions", where=file, fix=f"Expected {gold}")
            languages[file.stem.removeprefix("test-")] = score_files(task, file, gold)
        metrics = next(iter(languages.values()))
        average = {metric: sum(scores[metric] for scores in languages.values()) / len(languages) for metric in metrics}
        result[task] = {"languages": languages, "average": average}
    if not result:
        raise UserError(
            f"no task in common (known: {', '.join(SCORED)})",
            where=predictions,
            fix="Both folders need <task>/test-<language>.tsv",
        )
    return result


def score_files(task: str, predictions: Path, labels: Path) -> dict[str, float]:
    """Score one language of one task, in percent."""
    if task == "udpos":
        predicted, gold = _sentences(predictions), _sentences(labels)
        _same_length(predicted, gold, predictions, "sentences")
        for number, (p, g) in enumerate(zip(predicted, gold, strict=True), 1):
            if len(p) != len(g):
                raise UserError(f"sentence {number} has {len(p)} tags, its labels have {len(g)}", where=predictions)
        return {"f1": 100 * span_f1(predicted, gold), "accuracy": 100 * token_accuracy(predicted, gold)}
    lines = {path: [line.strip() for _, line in read_lines(path)] for path in (predictions, labels)}
    if task == "bucc2018":
        return _pair_scores(set(filter(None, lines[predictions])), set(filter(None, lines[labels])))
    _same_length(lines[predictions], lines[labels], predictions, "lines")
    return {"accuracy": 100 * accuracy(lines[predictions], lines[labels])}


def _pair_scores(predicted: set[str], gold: set[str]) -> dict[str, float]:
    right = len(predicted & gold)
    precision, recall = (right / len(predicted), right / len(gold)) if right else (0.0, 0.0)
    f1 = 2 * precision * recall / (precision + recall) if right else 0.0
    return {"f1": 100 * f1, "precision": 100 * precision, "recall": 100 * recall}


def _sentences(path: Path) -> list[list[str]]:
    sentences: list[list[str]] = [[]]
    for _, line in read_lines(path):
        if line.strip():
            sentences[-1].append(line.strip().split("\t")[-1])
        elif sentences[-1]:
            sentences.append([])
    return sentences if sentences[-1] else sentences[:-1]


def _same_length(predicted: list[Any], gold: list[Any], path: Path, what: str) -> None:
    if len(predicted) != len(gold):
        raise UserError(
            f"{len(predicted)} {what}, but its labels have {len(gold)}", where=path, fix="Predict every row, in order"
        )
