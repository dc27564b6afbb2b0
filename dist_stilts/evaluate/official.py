"""One language of one task, scored from files as XTREME's published scorer (``evaluate.py``) scores it.

    xnli pawsx tatoeba xcopa   one label a line (tatoeba: row numbers): accuracy
    udpos panx                 one tag a line, a blank line after a sentence: seqeval's F1 over the lines as they are
    bucc2018                   ``source id <TAB> English id`` a line: F1 of the set of lines; no line, an F1 of 0
    xquad tydiqa mlqa          predictions {question id: answer}, labels SQuAD's JSON: exact match and F1

Protocol: Hu et al. 2020. Lines are stripped, and blank ones count: of two label files of which one ends with a blank
line, the official scorer says that they differ, and so does this one. What it passes over in silence is counted here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dist_stilts.conventions import ENGLISH
from dist_stilts.errors import UserError
from dist_stilts.scoring.classify import accuracy
from dist_stilts.scoring.spans import MLQA_LANGUAGES, squad_scores
from dist_stilts.scoring.tagging import span_scores, token_accuracy
from dist_stilts.tasks.files import read_lines
from dist_stilts.tasks.json_file import JsonFile, Keys
from dist_stilts.tasks.registry import get_task

GROUPS = {
    "classification": ("xnli", "pawsx"),
    "tagging": ("udpos", "panx"),
    "qa": ("xquad", "mlqa", "tydiqa"),
    "retrieval": ("bucc2018", "tatoeba"),
}
"""XTREME's nine tasks; XCOPA came with XTREME-R and belongs to none."""

LANGUAGES = {
    **{task: get_task(task).languages for group in GROUPS.values() for task in group},
    "xcopa": tuple(language for language in get_task("xcopa").languages if language != ENGLISH),
}
"""The languages that a task's average is over; English only where the task has it."""

_ENGLISH_SIDE = "source id <TAB> English id"


@dataclass(frozen=True)
class FileScore:
    """Scores of one language in percent, and what its files have that the scores do not show."""

    values: dict[str, float]
    notes: tuple[str, ...] = ()


def suffix(task: str) -> str:
    """Return the ending of the task's files: ``.json`` or ``.tsv``."""
    return ".json" if task in GROUPS["qa"] else ".tsv"


def score_files(task: str, language: str, predictions: Path, labels: Path) -> FileScore:
    """Score one language of one task.

    Raises:
        UserError: the two files do not have as many lines, sentences or tags; an empty file; for question answering,
            invalid JSON, another structure, an answer that is no text. Names file and line.
    """
    if task in GROUPS["qa"]:
        return _question_answering(predictions, labels, _mlqa_language(language, labels) if task == "mlqa" else None)
    scorers: dict[str, Callable[[Path, Path], FileScore]] = {
        "udpos": _tagging,
        "panx": _tagging,
        "bucc2018": _pairs,
    }
    return scorers.get(task, _labels)(predictions, labels)


def _percent(values: dict[str, float]) -> dict[str, float]:
    return {metric: 100 * value for metric, value in values.items()}


def _lines(path: Path) -> list[str]:
    return [line.strip() for _, line in read_lines(path)]


def _labels(predictions: Path, labels: Path) -> FileScore:
    predicted, gold = _lines(predictions), _lines(labels)
    if len(predicted) != len(gold):
        raise UserError(
            f"{len(predicted)} lines, but its labels have {len(gold)}",
            where=(predictions, len(predicted)),
            fix="Predict every row, in order; blank lines count",
        )
    right = [line == expected for line, expected in zip(predicted, gold, strict=True)]
    return FileScore(_percent({"accuracy": accuracy(right, [True] * len(gold))}))


def _pairs(predictions: Path, labels: Path) -> FileScore:
    lines = [line.strip() for _, line in read_lines(predictions, may_be_empty=True)]
    predicted, gold = set(lines), set(_lines(labels))
    right = len(predicted & gold)
    precision, recall = (right / len(predicted), right / len(gold)) if right else (0.0, 0.0)
    f1 = 2 * precision * recall / (precision + recall) if right else 0.0
    no_pairs = sum(len(line.split("\t")) != 2 for line in predicted - gold)
    if not any(predicted):
        return FileScore(_percent({"f1": f1, "precision": precision, "recall": recall}), ("no pair was predicted",))
    notes = _notes(
        (len(lines) - len(predicted), "repeated lines count once"),
        (no_pairs, f"lines are not '{_ENGLISH_SIDE}' and count as wrong pairs"),
    )
    return FileScore(_percent({"f1": f1, "precision": precision, "recall": recall}), notes)


def _tagging(predictions: Path, labels: Path) -> FileScore:
    predicted, gold = _sentences(predictions), _sentences(labels)
    _require_same_shape(predicted, gold, predictions)
    tags, gold_tags = ([sentence for _, sentence in sentences] for sentences in (predicted, gold))
    if not any(gold_tags):
        raise UserError("no tags", where=labels)
    notes: tuple[str, ...] = ()
    if _has_columns(tags) != _has_columns(gold_tags):
        tags, gold_tags = _last_columns(tags), _last_columns(gold_tags)
        notes = ("one file has words beside its tags: the tags were compared, the official scorer takes whole lines",)
    scores = {**span_scores(tags, gold_tags), "accuracy": token_accuracy(tags, gold_tags)}
    return FileScore(_percent(scores), notes)


def _sentences(path: Path) -> list[tuple[int, list[str]]]:
    """First line and tags of each sentence; every blank line ends one, be it empty; the end of the file need not."""
    sentences, tags, first = [], [], 1
    for number, line in read_lines(path):
        if tag := line.strip():
            tags.append(tag)
        else:
            sentences.append((first, tags))
            tags, first = [], number + 1
    return [*sentences, (first, tags)] if tags else sentences


def _require_same_shape(predicted: list[tuple[int, list[str]]], gold: list[tuple[int, list[str]]], path: Path) -> None:
    fix = "Predict every word, in order, with the labels' blank lines"
    for number, ((first, tags), (_, expected)) in enumerate(zip(predicted, gold, strict=False), start=1):
        if len(tags) != len(expected):
            raise UserError(
                f"sentence {number} has {len(tags)} tags, its labels have {len(expected)}", where=(path, first), fix=fix
            )
    if len(predicted) != len(gold):
        last = predicted[-1][0] if predicted else 1
        raise UserError(f"{len(predicted)} sentences, but its labels have {len(gold)}", where=(path, last), fix=fix)


def _has_columns(sentences: list[list[str]]) -> bool:
    return any("\t" in line for sentence in sentences for line in sentence)


def _last_columns(sentences: list[list[str]]) -> list[list[str]]:
    return [[line.split("\t")[-1] for line in sentence] for sentence in sentences]


def _question_answering(predictions: Path, labels: Path, language: str | None) -> FileScore:
    answers, questions = _answers(predictions), list(_questions(labels))
    if not questions:
        raise UserError("no questions", where=labels)
    # Numbered, since a question that the labels hold twice counts twice.
    gold = {str(number): texts for number, (_, texts) in enumerate(questions)}
    given = {str(number): answers[key] for number, (key, _) in enumerate(questions) if key in answers}
    notes = _notes(
        (len(gold) - len(given), f"of {len(gold)} questions have no prediction and count as wrong"),
        (len(answers.keys() - {key for key, _ in questions}), "predictions are for unknown questions and are ignored"),
    )
    return FileScore(_percent(squad_scores(given, gold, language)), notes)


def _mlqa_language(language: str, path: Path) -> str:
    if language not in MLQA_LANGUAGES:
        raise UserError(f"MLQA's scorer has no language '{language}'", where=path, fix=", ".join(MLQA_LANGUAGES))
    return language


def _answers(path: Path) -> dict[str, str]:
    file, keys = _unwrapped(path)
    answers = file.value["data"] if keys else file.value
    if not isinstance(answers, dict):
        raise file.error("not a JSON object", keys, fix="Expected {question id: answer}")
    return {key: file.field(answers, key, str, keys) for key in answers}


def _questions(path: Path) -> Iterator[tuple[str, list[str]]]:
    """Id and right answers of every question of SQuAD's JSON, of which the official reader takes the inner list too."""
    file, keys = _unwrapped(path)
    articles = file.value["data"] if keys else file.value
    if not isinstance(articles, list):
        raise file.error("no list of articles", keys, fix='Expected {"data": [{"paragraphs": [...]}, ...]}')
    for number, article in enumerate(articles):
        at_article = (*keys, number, "paragraphs")
        for paragraph_number, paragraph in enumerate(file.field(article, "paragraphs", list, (*keys, number))):
            at_paragraph = (*at_article, paragraph_number)
            for question_number, question in enumerate(file.field(paragraph, "qas", list, at_paragraph)):
                at = (*at_paragraph, "qas", question_number)
                yield file.field(question, "id", str, at), _gold_texts(file, question, at)


def _gold_texts(file: JsonFile, question: Any, at: Keys) -> list[str]:
    answers = file.field(question, "answers", list, at)
    if not answers:
        raise file.error("a question without a gold answer", (*at, "answers"))
    return [file.field(answer, "text", str, (*at, "answers", number)) for number, answer in enumerate(answers)]


def _unwrapped(path: Path) -> tuple[JsonFile, Keys]:
    """The file, and where its content stands: at the top or under the key ``data``."""
    file = JsonFile(path)
    return file, ("data",) if isinstance(file.value, dict) and "data" in file.value else ()


def _notes(*counted: tuple[int, str]) -> tuple[str, ...]:
    return tuple(f"{count:,} {what}" for count, what in counted if count)
