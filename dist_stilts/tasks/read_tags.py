"""Reads tagged words: Universal Dependencies part-of-speech files as XTREME's preprocessing writes them.

Words are kept as published, zero-width joiners and all: what a tokenizer makes of them is not the reader's business.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from dist_stilts.errors import UserError, nearest
from dist_stilts.tasks.files import locate, read_lines, shown
from dist_stilts.tasks.spec import TaggedRow

# fmt: off
UPOS_TAGS = (
    "ADJ", "ADP", "ADV", "AUX", "CCONJ", "DET", "INTJ", "NOUN", "NUM",
    "PART", "PRON", "PROPN", "PUNCT", "SCONJ", "SYM", "VERB", "X",
)
# fmt: on


def find_udpos(folder: Path, split: str, language: str) -> list[Path]:
    """``<split>-<language>.tsv``."""
    return [locate(folder, f"{split}-{language}.tsv")]


def read_udpos(folder: Path, split: str, language: str) -> Iterator[TaggedRow]:
    """Yield the sentences of ``token, tag`` lines; blank lines, one or several, part them."""
    for number, sentence in enumerate(_sentences(*find_udpos(folder, split, language))):
        words, tags = zip(*sentence, strict=True)
        key = f"{split}-{number}"
        yield TaggedRow(id=key, group=key, words=words, tags=tags)


def _sentences(path: Path) -> Iterator[list[tuple[str, str]]]:
    sentence: list[tuple[str, str]] = []
    for number, line in read_lines(path):
        if line:
            sentence.append(_word_and_tag(line, (path, number)))
        elif sentence:
            yield sentence
            sentence = []
    if sentence:
        yield sentence


def _word_and_tag(line: str, where: tuple[Path, int]) -> tuple[str, str]:
    word, *tags = line.split("\t")
    if len(tags) != 1:
        raise UserError(f"{1 + len(tags)} columns", where=where, fix="Expected, tab-separated: token tag")
    if tags[0] not in UPOS_TAGS:
        raise UserError(f"unknown tag {shown(tags[0])}", where=where, fix=nearest(tags[0][:40], UPOS_TAGS))
    return word, tags[0]
