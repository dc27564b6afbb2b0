"""Reads tagged words: part-of-speech files (Universal Dependencies) and named entities (PAN-X, also called WikiAnn).

Words are kept as published, zero-width joiners and empty words and all: what a tokenizer makes of them is not the
reader's business. Nor is it the reader's whether the tags of an entity begin with ``B-``; those of PAN-X do not always.

XTREME's preprocessing writes test files of words alone: they are read as sentences without gold (``tags=None``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from dist_stilts.conventions import text_hash
from dist_stilts.errors import UserError, nearest
from dist_stilts.tasks.files import Where, exists, locate, read_lines, shown
from dist_stilts.tasks.languages import languages
from dist_stilts.tasks.read_conllu import UPOS_TAGS, read_treebanks, treebank_files
from dist_stilts.tasks.spec import Quirk, TaggedRow

PANX_TAGS = ("O", "B-PER", "I-PER", "B-ORG", "I-ORG", "B-LOC", "I-LOC")
"""In the order of their ids on the Hub."""

UDPOS_LANGUAGES = languages(
    "en af ar bg de el es et eu fa fi fr he hi hu id it ja kk ko mr nl pt ru ta te th tl tr ur vi yo zh"
)
_HUB_NAMES = (
    "English Afrikaans Arabic Bulgarian German Greek Spanish Estonian Basque Persian Finnish French Hebrew Hindi "
    "Hungarian Indonesian Italian Japanese Kazakh Korean Marathi Dutch Portuguese Russian Tamil Telugu Thai Tagalog "
    "Turkish Urdu Vietnamese Yoruba Chinese"
)
UDPOS_HUB_NAMES = dict(zip(UDPOS_LANGUAGES, _HUB_NAMES.split(), strict=True))
"""What the configurations of ``google/xtreme`` call the languages: ``udpos.English``."""

_TREEBANKS = ("ud", "ud-treebanks-v2.5")
"""Folders beside the task's own in which treebanks may lie."""
_TRAIN_PERCENT, _DEV_PERCENT = 60, 20
"""Shares of a PAN-X file that has no official split; the rest is test."""


def find_udpos(folder: Path, split: str, language: str) -> list[Path]:
    """``<split>-<language>.tsv`` as XTREME writes it, else the treebanks that it is made of, here or in ``../ud``."""
    written = locate(folder, f"{split}-{language}.tsv")
    if exists(written):
        return [written]
    beside = [folder.parent / name for name in _TREEBANKS if name != folder.name]
    return treebank_files([folder, *beside], split, language) or [written]


def read_udpos(folder: Path, split: str, language: str) -> Iterator[TaggedRow | Quirk]:
    """Yield the sentences: of ``token, tag`` lines with blank lines between sentences, or of treebanks (CoNLL-U).

    Raises:
        UserError: another number of columns (only test may lack tags), an unknown tag, or what
            :func:`read_treebanks` raises.
    """
    paths = find_udpos(folder, split, language)
    if ".conllu" in paths[0].name:
        return read_treebanks(paths, split, language)
    return _numbered(_sentences(paths[0], UPOS_TAGS, str, may_lack_gold=split == "test"), split)


def udpos_from_hub(row: int, record: dict[str, Any], split: str) -> TaggedRow | None:
    """Turn a row of ``google/xtreme``, ``udpos.<English name>``, into ours.

    It is not the one that :func:`read_udpos` makes: the Hub's has the parts of fused forms in place of these.
    """
    return _hub_row(row, split, record["tokens"], [UPOS_TAGS[tag] for tag in record["pos_tags"]])


def find_panx(folder: Path, split: str, language: str) -> list[Path]:
    """``<split>-<language>.tsv`` (XTREME), ``<language>/<split>`` or ``<language>.tar.gz`` (the publishers' archives,
    unpacked or not), or ``<language>.tsv`` without an official split."""
    return [
        locate(
            folder,
            f"{split}-{language}.tsv",
            f"{language}/{split}",
            f"{language}-{split}",
            f"{language}.tar.gz/{split}",
            f"{language}.tsv",
        )
    ]


def read_panx(folder: Path, split: str, language: str) -> Iterator[TaggedRow]:
    """Yield the sentences of ``token, tag`` lines; in the publishers' files every token begins with ``<language>:``.

    A file without an official split is split 60 / 20 / 20 into train, dev and test by a hash of the sentence's words,
    so that a sentence that occurs twice is on one side; a row's id is then its number in the whole file.

    Raises:
        UserError: another number of columns (only a file of the test split may lack tags) or an unknown tag.
    """
    (path,) = find_panx(folder, split, language)
    name = path.name.partition(".tsv")[0]
    prefix = "" if ".tsv" in path.name else f"{language}:"
    is_whole = name == language
    may_lack_gold = split == "test" and not is_whole
    sentences = _sentences(path, PANX_TAGS, lambda token: token.removeprefix(prefix), may_lack_gold=may_lack_gold)
    rows = _numbered(sentences, split)
    return (row for row in rows if _part(row.words) == split) if is_whole else rows


def panx_from_hub(row: int, record: dict[str, Any], split: str) -> TaggedRow | None:
    """Turn a row of ``google/xtreme``, ``PAN-X.<language>``, into the one that :func:`read_panx` makes."""
    return _hub_row(row, split, record["tokens"], [PANX_TAGS[tag] for tag in record["ner_tags"]])


def _part(words: tuple[str, ...]) -> str:
    place = int.from_bytes(text_hash("\t".join(words)), "big") % 100
    if place < _TRAIN_PERCENT:
        return "train"
    return "dev" if place < _TRAIN_PERCENT + _DEV_PERCENT else "test"


def _hub_row(row: int, split: str, words: list[str], tags: list[str]) -> TaggedRow | None:
    key = f"{split}-{row}"
    return TaggedRow(key, key, tuple(words), tuple(tags)) if words else None


def _numbered(sentences: Iterator[list[list[str]]], split: str) -> Iterator[TaggedRow]:
    for number, sentence in enumerate(sentences):
        words, *tags = zip(*sentence, strict=True)
        key = f"{split}-{number}"
        yield TaggedRow(id=key, group=key, words=words, tags=tags[0] if tags else None)


def _sentences(
    path: Path, known: tuple[str, ...], token: Callable[[str], str], *, may_lack_gold: bool
) -> Iterator[list[list[str]]]:
    """Yield sentences of [word, tag]; of [word] where the first line, and so all, has no tag and need not have one."""
    sentence: list[list[str]] = []
    wanted = 0
    for number, line in read_lines(path):
        if line.strip(" ") and not line.startswith("-DOCSTART-"):
            word, *tags = line.split("\t")
            wanted = wanted or (1 if may_lack_gold and not tags else 2)
            _check_tags(tags, wanted, known, (path, number))
            sentence.append([token(word), *tags])
        elif sentence:
            yield sentence
            sentence = []
    if sentence:
        yield sentence


def _check_tags(tags: list[str], wanted: int, known: tuple[str, ...], where: Where) -> None:
    if 1 + len(tags) != wanted:
        above = "like the lines above, a token alone" if wanted == 1 else "tab-separated: token tag"
        raise UserError(f"{1 + len(tags)} columns", where=where, fix=f"Expected, {above}")
    if tags and tags[0] not in known:
        raise UserError(f"unknown tag {shown(tags[0])}", where=where, fix=nearest(tags[0][:40], known))
