"""Reads extractive question answering: SQuAD's JSON, as SQuAD, XQuAD, MLQA, TyDiQA-GoldP and XTREME publish it.

Gold answers are spans of their context, ``context[start : start + len(text)] == text`` in characters; what is not is
mended where the text stands nearby or only once, white space around it aside, and counted. If it cannot be mended the
file is refused, unless it is machine-translated: there the question is left out and counted.

XTREME takes the gold out of its test files by putting the empty text at 0 in place of every answer; a file in which
there is no other answer, or none at all, holds questions without gold (``answers=None``). A single empty answer among
others stays, as XTREME's scorer counts the question; it is left out of training files.

Groups (``Row.group``). Questions on one context share a group, a digest of that context. Where languages are parallel,
through question ids that they share, it is the English context's, looked up in the English file beside; a question
that this file does not have is a group of its own. MLQA's paragraphs are not quite parallel: about one in fifty holds
questions whose English paragraphs differ, and these questions follow English.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dist_stilts.conventions import ENGLISH, text_hash
from dist_stilts.tasks.files import exists, locate, shown
from dist_stilts.tasks.json_file import JsonFile, Keys
from dist_stilts.tasks.spec import Answer, Quirk, SpanRow

TYDIQA_NAMES = {
    "ar": "arabic",
    "bn": "bengali",
    "en": "english",
    "fi": "finnish",
    "id": "indonesian",
    "ko": "korean",
    "ru": "russian",
    "sw": "swahili",
    "te": "telugu",
}
"""With these TyDiQA's ids begin."""

_ALL_LANGUAGES = "tydiqa-goldp-v1.1-"
"""The files of all of TyDiQA's languages begin so, and no others."""
_NEARBY = 10
"""An answer that stands this many characters from where it should be is taken to be the one that is meant."""

_MOVED = Quirk("answer moved to where its text stands")
_TRIMMED = Quirk("white space around an answer taken off")
_EMPTY = Quirk("empty answer kept")
_NOT_TRAINABLE = Quirk("question left out: its answer is empty")
_NOT_TRANSLATED = Quirk("question left out: its answer is not in the translated context")
_NUMBERED = Quirk("id that repeats replaced by the row number")


@dataclass(frozen=True, slots=True)
class _File:
    """What to make of one file.

    Attributes:
        train: whether its rows are trained on, and so need gold.
        unanswerable: whether it may have questions that cannot be answered.
        translated: whether a machine translated it.
        ids: what the ids of the wanted questions begin with.
        numbers: what to put before the row number where ids repeat; nothing if they must not.
        groups: the group of each question id, instead of the context's.
    """

    path: Path
    train: bool = False
    unanswerable: bool = False
    translated: bool = False
    ids: str = ""
    numbers: str = ""
    groups: Mapping[str, str] | None = None


@dataclass(frozen=True, slots=True)
class _Question:
    """A question as the file has it, not checked beyond its id and context."""

    keys: Keys
    id: str
    context: str
    record: dict[str, Any]


def find_squad_v1(folder: Path, split: str, language: str) -> list[Path]:
    """``{train,dev}-v1.1.json``; XTREME's ``squad.translate.train.en-<language>.json``."""
    english = locate(folder, f"{split}-v1.1.json", f"{split}-v1.1.derived-from-v2.json")
    if language == ENGLISH:
        return [english]
    return _beside_english(locate(folder, f"squad.translate.{split}.en-{language}.json"), english)


def read_squad_v1(folder: Path, split: str, language: str) -> Iterator[SpanRow | Quirk]:
    """Yield SQuAD 1.1's questions, or XTREME's machine translation of them."""
    path, *english = find_squad_v1(folder, split, language)
    translated = language != ENGLISH
    groups = _groups(english) if translated else None
    yield from _read(_File(path, train=split == "train", translated=translated, groups=groups))


def find_squad_v2(folder: Path, split: str, _language: str) -> list[Path]:
    """``{train,dev}-v2.0.json``, English only."""
    return [locate(folder, f"{split}-v2.0.json")]


def read_squad_v2(folder: Path, split: str, language: str) -> Iterator[SpanRow | Quirk]:
    """Yield SQuAD 2.0's questions; those that cannot be answered have ``answers=()``."""
    (path,) = find_squad_v2(folder, split, language)
    yield from _read(_File(path, train=split == "train", unanswerable=True))


def find_xquad(folder: Path, _split: str, language: str) -> list[Path]:
    """``xquad.<language>.json``."""
    return _parallel(folder, language, "xquad.{}.json")


def read_xquad(folder: Path, split: str, language: str) -> Iterator[SpanRow | Quirk]:
    """Yield XQuAD's questions."""
    yield from _read_parallel(find_xquad(folder, split, language), language)


def find_mlqa(folder: Path, split: str, language: str) -> list[Path]:
    """``MLQA_V1/<split>/<split>-context-<language>-question-<language>.json``, also without the folders."""
    name = f"{split}-context-{{0}}-question-{{0}}.json"
    return _parallel(folder, language, f"MLQA_V1/{split}/{name}", f"{split}/{name}", name)


def read_mlqa(folder: Path, split: str, language: str) -> Iterator[SpanRow | Quirk]:
    """Yield MLQA's questions whose context and question are in one language."""
    yield from _read_parallel(find_mlqa(folder, split, language), language)


def find_tydiqa(folder: Path, split: str, language: str) -> list[Path]:
    """The publishers' files, whose ids are unique and which have gold, before XTREME's; native before translated.

    XTREME's test split is the publishers' dev set.
    """
    published = "dev" if split == "test" else split
    names = [f"tydiqa.goldp.{language}.{published}.json"]
    if language in TYDIQA_NAMES:
        whole = f"{_ALL_LANGUAGES}{published}.json"
        names = [whole, f"tydiqa-goldp-{published}-{TYDIQA_NAMES[language]}.json", *names]
    if language == ENGLISH or split != "train":
        return [locate(folder, *names)]
    path = locate(folder, *names, f"tydiqa.translate.train.en-{language}.json")
    return _beside_english(path, *find_tydiqa(folder, split, ENGLISH)) if _is_translated(path) else [path]


def read_tydiqa(folder: Path, split: str, language: str) -> Iterator[SpanRow | Quirk]:
    """Yield TyDiQA-GoldP's questions of one language, or XTREME's machine translation of the English ones.

    The file of all languages is filtered by the language's name in the ids. In XTREME's training files, one per
    language, only the passage number is left of the ids: there the row number takes its place.
    """
    path, *english = find_tydiqa(folder, split, language)
    translated = _is_translated(path)
    yield from _read(
        _File(
            path,
            train=split == "train",
            translated=translated,
            ids=f"{TYDIQA_NAMES[language]}-" if path.name.startswith(_ALL_LANGUAGES) else "",
            numbers=f"{split}-" if split == "train" and not translated else "",
            groups=_groups(english, f"{TYDIQA_NAMES[ENGLISH]}-") if translated else None,
        )
    )


def is_in_language(record: dict[str, Any], language: str) -> bool:
    """Whether a row of TyDiQA's one configuration for all languages is in this one: its id says so."""
    return str(record["id"]).startswith(f"{TYDIQA_NAMES[language]}-")


def squad_from_hub(_row: int, record: dict[str, Any], _split: str) -> SpanRow | None:
    """Turn a row of ``rajpurkar/squad`` or ``squad_v2`` into the one that the file's reader makes."""
    return _from_hub(record, text_hash(record["context"]).hex())


def parallel_from_hub(_row: int, record: dict[str, Any], _split: str) -> SpanRow | None:
    """Turn a row of ``google/xquad`` or MLQA into the one that the file's reader makes, but as a group of its own."""
    return _from_hub(record, record["id"])


def _from_hub(record: dict[str, Any], group: str) -> SpanRow | None:
    context, gold = record["context"], record["answers"]
    settled = [_settle(*answer, context)[0] for answer in zip(gold["text"], gold["answer_start"], strict=True)]
    answers = tuple(answer for answer in settled if answer)
    if settled and not answers:
        return None
    return SpanRow(record["id"], group, record["question"], context, answers)


def _parallel(folder: Path, language: str, *names: str) -> list[Path]:
    path, english = (locate(folder, *(name.format(code) for name in names)) for code in (language, ENGLISH))
    return [path] if language == ENGLISH else _beside_english(path, english)


def _beside_english(path: Path, english: Path) -> list[Path]:
    return [path, english] if exists(english) else [path]


def _is_translated(path: Path) -> bool:
    return ".translate." in path.name


def _read_parallel(files: list[Path], language: str) -> Iterator[SpanRow | Quirk]:
    path, *english = files
    yield from _read(_File(path, groups=None if language == ENGLISH else _groups(english)))


def _groups(files: list[Path], ids: str = "") -> dict[str, str]:
    """The group of each question of the files."""
    questions = (question for path in files for question in _questions(JsonFile(path), ids))
    digests: dict[str, str] = {}
    return {question.id: _group(question.context, digests) for question in questions}


def _read(file: _File) -> Iterator[SpanRow | Quirk]:
    document = JsonFile(file.path)
    questions = list(_questions(document, file.ids))
    withheld = _is_withheld(questions, file)
    if withheld and file.train:
        raise document.error("its gold answers were taken out", ("data",), fix="Train on the publishers' own file")
    seen: set[str] = set()
    digests: dict[str, str] = {}
    for number, question in enumerate(questions):
        key = question.id
        if file.numbers and key.isdigit():
            key = f"{file.numbers}{number}"
            yield _NUMBERED
        if key in seen:
            raise document.error(f"id {shown(key)} occurs twice", (*question.keys, "id"), fix="Ids must be unique")
        seen.add(key)
        text = document.field(question.record, "question", str, question.keys)
        answers, quirks = (None, []) if withheld else _gold(document, question, file)
        yield from quirks
        if answers is None and quirks:
            continue
        own = _group(question.context, digests) if file.groups is None else file.groups.get(key, key)
        yield SpanRow(key, own, text, question.context, answers)


def _questions(document: JsonFile, ids: str) -> Iterator[_Question]:
    """The questions whose ids begin with ``ids``; equal contexts are one string."""
    contexts: dict[str, str] = {}
    for a, article in enumerate(document.field(document.value, "data", list, ())):
        above: Keys = ("data", a)
        for p, paragraph in enumerate(document.field(article, "paragraphs", list, above)):
            keys = (*above, "paragraphs", p)
            context = document.field(paragraph, "context", str, keys)
            context = contexts.setdefault(context, context)
            for q, record in enumerate(document.field(paragraph, "qas", list, keys)):
                place = (*keys, "qas", q)
                key = document.field(record, "id", str, place)
                if key.startswith(ids):
                    yield _Question(place, key, context, record)


def _is_withheld(questions: list[_Question], file: _File) -> bool:
    """Whether all answers are the empty text; or there are none, where every question has one."""
    listed = [question.record.get("answers") for question in questions]
    answers = [answer for several in listed if isinstance(several, list) for answer in several]
    if not answers:
        return bool(listed) and all(several == [] for several in listed) and not (file.unanswerable or file.train)
    return all(isinstance(answer, dict) and answer.get("text") == "" for answer in answers)


def _gold(document: JsonFile, question: _Question, file: _File) -> tuple[tuple[Answer, ...] | None, list[Quirk]]:
    """The gold answers and what was mended; no answers but a quirk if the question is to be left out."""
    keys, record = question.keys, question.record
    if "answers" not in record and not file.train:
        return None, []
    listed = document.field(record, "answers", list, keys)
    impossible = record.get("is_impossible", not listed)
    if file.unanswerable and not isinstance(impossible, bool):
        raise document.error("'is_impossible' is neither true nor false", (*keys, "is_impossible"))
    if file.unanswerable and impossible and listed:
        raise document.error("a question with is_impossible has answers", (*keys, "answers"))
    if not listed:
        if file.unanswerable:
            return (), []
        raise document.error("a question without an answer", (*keys, "answers"), fix="Those belong to squad_v2")
    return _settled(document, question, listed, file)


def _settled(
    document: JsonFile, question: _Question, listed: list[Any], file: _File
) -> tuple[tuple[Answer, ...] | None, list[Quirk]]:
    answers: list[Answer] = []
    quirks: list[Quirk] = []
    for n, record in enumerate(listed):
        keys = (*question.keys, "answers", n)
        text = document.field(record, "text", str, keys)
        start = document.field(record, "answer_start", int, keys)
        answer, quirk = _settle(text, start, question.context)
        if answer is None and not file.translated:
            what = f"answer {shown(text)} is not in the context at {shown(start)}"
            raise document.error(what, keys, fix="Offsets count characters")
        if answer and (answer.text or not file.train):
            answers.append(answer)
            quirks += [quirk] if quirk else []
    if answers:
        return tuple(answers), quirks
    return None, [_NOT_TRANSLATED if any(record["text"] for record in listed) else _NOT_TRAINABLE]


def _settle(text: str, start: int, context: str) -> tuple[Answer | None, Quirk | None]:
    """The answer as it stands in the context, if it does, and what had to be mended."""
    if not text:
        return Answer("", 0), _EMPTY
    if start >= 0 and context.startswith(text, start):
        return Answer(text, start), None
    for candidate, quirk in ((text, _MOVED), (text.strip(), _TRIMMED)):
        place = _place(candidate, start, context) if candidate else None
        if place is not None:
            return Answer(candidate, place), quirk
    return None, None


def _place(text: str, start: int, context: str) -> int | None:
    """Where the text stands: the nearest place, if it is near enough or the only one."""
    places = [match.start() for match in re.finditer(f"(?={re.escape(text)})", context)]
    nearest = min(places, key=lambda place: abs(place - start), default=None)
    if nearest is not None and (len(places) == 1 or abs(nearest - start) <= _NEARBY):
        return nearest
    return None


def _group(context: str, digests: dict[str, str]) -> str:
    if context not in digests:
        digests[context] = text_hash(context).hex()
    return digests[context]
