"""Scores of a folder of predictions in XTREME's layout, averaged as its published scorer averages them.

    predictions/<task>/test-<language>.tsv   and   labels/<task>/test-<language>.tsv   (question answering: .json)

Per metric the mean over the task's languages; a task's score is its mean F1, else accuracy, for question answering the
mean of exact match and F1; a group's and the overall score are means over tasks. Where files are missing or cannot be
scored the official scorer stops; here the others are scored, and every mean over fewer languages says so.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from dist_stilts.errors import UserError, near
from dist_stilts.evaluate.official import GROUPS, LANGUAGES, score_files, suffix
from dist_stilts.results.order import XTREME
from dist_stilts.tasks.intact import require_intact
from dist_stilts.tasks.registry import all_tasks, get_task

WITHOUT_RETRIEVAL = tuple(task for task in XTREME if task not in GROUPS["retrieval"])


def score_folder(predictions: Path, labels: Path) -> dict[str, Any]:
    """Score every task and language for which there are predictions.

    Returns:
        ``tasks``: per task ``languages`` {language: {metric: percent}}, ``average`` {metric: percent} and ``score``
        over those of its languages in XTREME that are there (``None`` without any), ``missing``: those that are not,
        ``extra``: languages that XTREME's task does not have, in no average, and ``notes``: what was counted.
        ``groups``, ``overall``, ``without_retrieval``: percent, ``None`` unless all their tasks are there.
        ``incomplete``: the tasks that lack languages, and how many they have. ``skipped``: folders and files not
        scored, and why. ``refused``: of these the files that are there and cannot be scored, or have no labels.

    Raises:
        UserError: nothing to score; a folder that looks like a misspelt task.
    """
    for folder in (predictions, labels):
        if not folder.is_dir():
            raise UserError("no such folder", where=folder)
    skipped: list[str] = []
    refused: list[str] = []
    tasks: dict[str, Any] = {}
    for task in _task_folders(predictions, skipped):
        files = _files(predictions / task, task)
        if not (labels / task).is_dir():
            skipped.append(f"{task}: no folder {labels / task}")
        elif not files:
            skipped.append(f"{task}: no test-<language>{suffix(task)}")
        else:
            tasks[task] = _score_task(task, files, labels / task, refused)
    if not tasks:
        raise UserError(
            f"no task in common (known: {', '.join(LANGUAGES)})",
            where=predictions,
            fix="Both folders need <task>/test-<language>.tsv (.json for question answering)",
        )
    scores = {task: result["score"] for task, result in tasks.items()}
    return {
        "tasks": tasks,
        "groups": {group: _mean_of_tasks(scores, members) for group, members in GROUPS.items()},
        "overall": _mean_of_tasks(scores, XTREME),
        "without_retrieval": _mean_of_tasks(scores, WITHOUT_RETRIEVAL),
        "incomplete": {task: _languages_there(task, result) for task, result in tasks.items() if result["missing"]},
        "skipped": [*skipped, *refused],
        "refused": refused,
    }


def _task_folders(predictions: Path, skipped: list[str]) -> list[str]:
    """The tasks that have a folder, in XTREME's order; other folders join ``skipped``, misspelt ones are refused."""
    names = {path.name for path in predictions.iterdir() if path.is_dir() and not path.name.startswith(".")}
    others = {spec.name for spec in all_tasks()} - LANGUAGES.keys()
    for name in sorted(names - LANGUAGES.keys()):
        meant = near(name, LANGUAGES)
        if name not in others and meant:
            raise UserError(
                f"'{name}' is no task of XTREME", where=predictions / name, fix=f"did you mean '{meant[0]}'?"
            )
        skipped.append(f"{name}: no task of XTREME")
    return [task for task in LANGUAGES if task in names]


def _files(folder: Path, task: str) -> dict[str, Path]:
    """The folder's test files by language, as they are or packed."""
    pattern = re.compile(rf"test-([^.]+){re.escape(suffix(task))}(\.gz|\.bz2|\.xz|\.zst)?")
    found = ((pattern.fullmatch(path.name), path) for path in sorted(folder.iterdir(), reverse=True))
    return {match[1]: path for match, path in found if match}


def _score_task(task: str, files: dict[str, Path], folder: Path, refused: list[str]) -> dict[str, Any]:
    """Score the languages one by one, by the folder's labels: what keeps one from being scored joins ``refused``."""
    labels = _files(folder, task)
    languages, notes = {}, []
    for language in sorted(files, key=lambda code: ((*LANGUAGES[task], code).index(code), code)):
        if language not in labels:
            refused.append(f"{task} {language}: no labels for {files[language]} in {folder}")
            continue
        try:
            require_intact([labels[language]], folder.parents[1])
            scored = score_files(task, language, files[language], labels[language])
        except UserError as error:
            refused.append(f"{task} {language}: {error}")
            continue
        languages[language] = scored.values
        notes += [f"{language}: {note}" for note in scored.notes]
    official = [language for language in LANGUAGES[task] if language in languages]
    metrics = languages[official[0]] if official else {}
    average = {metric: sum(languages[code][metric] for code in official) / len(official) for metric in metrics}
    return {
        "languages": languages,
        "average": average,
        "score": _task_score(task, average),
        "missing": [language for language in LANGUAGES[task] if language not in languages],
        "extra": [language for language in languages if language not in official],
        "notes": notes,
    }


def _task_score(task: str, average: dict[str, float]) -> float | None:
    if task in GROUPS["qa"] and average:
        return (average["exact_match"] + average["f1"]) / 2
    return average.get(get_task(task).metric)


def _mean_of_tasks(scores: dict[str, float | None], tasks: tuple[str, ...]) -> float | None:
    found = [score for task in tasks if (score := scores.get(task)) is not None]
    return sum(found) / len(tasks) if len(found) == len(tasks) else None


def _languages_there(task: str, result: dict[str, Any]) -> str:
    total = len(LANGUAGES[task])
    return f"{total - len(result['missing'])} of {total} languages"
