"""Reads CCG supertags: the gold files of the Parallel Meaning Bank, and CCGbank as lines of tokens and tags.

The tag set is open: it is that of the English training rows.

In the Parallel Meaning Bank a document has one id in all of its languages, so that ``Row.group`` is that id. Its parts
(train, dev, test) are other documents in each language: some German test sentences are translations of English
training ones. Its ``~`` stands for a space inside a word, and is read as one.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from pathlib import Path

from dist_stilts.conventions import ENGLISH
from dist_stilts.errors import UserError
from dist_stilts.tasks.files import Where, locate, read_columns, read_lines, shown
from dist_stilts.tasks.spec import TaggedRow

_COLUMNS = "token token symbol semantic-tag category sense roles"
_TOKEN, _CATEGORY = 0, 4
_DOCUMENT = "# newdoc id = "


def find_ccg(folder: Path, split: str, language: str) -> list[Path]:
    """``<language>/gold/<split>.conll`` (Parallel Meaning Bank); English only: ``ccg.<split>`` or ``<split>.tsv``."""
    lines = (f"ccg.{split}", f"{split}.tsv") if language == ENGLISH else ()
    return [locate(folder, f"{language}/gold/{split}.conll", *lines)]


def read_ccg(folder: Path, split: str, language: str) -> Iterator[TaggedRow]:
    """Yield the sentences.

    Raises:
        UserError: another number of columns; a word without a category; more tokens than tags, or fewer.
    """
    (path,) = find_ccg(folder, split, language)
    return _meaning_bank(path, split) if ".conll" in path.name else _lines(path, split)


def _meaning_bank(path: Path, split: str) -> Iterator[TaggedRow]:
    document, rows = "", 0
    sentence: list[tuple[str, str]] = []
    for number, line in chain(read_lines(path), [(0, "")]):
        if line.startswith(_DOCUMENT):
            document = line.removeprefix(_DOCUMENT).strip()
        if line and not _is_comment(line):
            sentence.append(_word_and_category(line, (path, number)))
        elif not line and sentence:
            words, tags = zip(*sentence, strict=True)
            key = f"{split}-{rows}"
            yield TaggedRow(key, document or key, words, tags)
            sentence, rows = [], rows + 1


def _is_comment(line: str) -> bool:
    # A token may be "#", but none has a space or is longer.
    return line.startswith(("# ", "###"))


def _word_and_category(line: str, where: Where) -> tuple[str, str]:
    columns = line.split("\t")
    if len(columns) != len(_COLUMNS.split()):
        raise UserError(f"{len(columns)} columns", where=where, fix=f"Expected, tab-separated: {_COLUMNS}")
    word, category = columns[_TOKEN], columns[_CATEGORY]
    if not category or " " in category:
        raise UserError(f"no category for {shown(word)}", where=where)
    return word.replace("~", " "), category


def _lines(path: Path, split: str) -> Iterator[TaggedRow]:
    for where, columns in read_columns(path, "tokens supertags", optional_last=split == "test"):
        words, *tags = (tuple(column.split(" ")) for column in columns)
        if any(len(words) != len(part) for part in tags) or any("" in part for part in (words, *tags)):
            numbers = f"{len(words)} tokens{''.join(f', {len(part)} supertags' for part in tags)}"
            raise UserError(numbers, where=where, fix="Part both by one space")
        key = f"{split}-{where[1] - 1}"
        yield TaggedRow(key, key, words, tags[0] if tags else None)
