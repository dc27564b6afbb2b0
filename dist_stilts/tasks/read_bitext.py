"""Reads retrieval sets into two sides to search: Tatoeba, BUCC 2018, and what else has one of their layouts.

Tatoeba comes row-aligned from LASER (``data/tatoeba/v1``). XTREME's preprocessing copies it to ``af-en.{af,en}`` and
sorts the English side, so that the alignment is lost: these files are read as two sides without gold. Official
predictions and labels follow that order, which :func:`xtreme_order` gives for LASER's files.

Promises: row n of a side is line n of its file. Hence nothing is left out, and a sentence that cannot be searched for
is a UserError with file and line. Pairs of the user's own are the exception: of these :func:`with_text` leaves out what
has no text, and counts it.
"""

from __future__ import annotations

from collections.abc import Container, Sequence
from dataclasses import replace
from itertools import compress
from pathlib import Path

from dist_stilts.conventions import ENGLISH, has_text
from dist_stilts.errors import UserError
from dist_stilts.tasks.files import Where, exists, locate, read_columns, read_lines, require_new, shown
from dist_stilts.tasks.spec import Bitext

_ISO_CODES = (
    "af:afr ar:ara bg:bul bn:ben de:deu el:ell es:spa et:est eu:eus fa:pes fi:fin fr:fra he:heb hi:hin hu:hun "
    "id:ind it:ita ja:jpn jv:jav ka:kat kk:kaz ko:kor ml:mal mr:mar nl:nld pt:por ru:rus sw:swh ta:tam te:tel "
    "th:tha tl:tgl tr:tur ur:urd vi:vie zh:cmn"
)
_ISO_639_3 = dict(pair.split(":") for pair in _ISO_CODES.split())
TATOEBA_LANGUAGES = tuple(_ISO_639_3)
"""XTREME's 36: its forty less en, ms, my and yo."""

_BUCC_NAMES = {"dev": ("dev", "sample"), "test": ("test", "training")}
"""XTREME's dev and test are the shared task's sample and training sets; the gold of its own test set is not public."""
LONGEST_SENTENCE = 100_000
"""A line of as many characters is no sentence: mostly a file whose line ends were lost."""


def iso_639_3(language: str) -> str:
    """Return the code that Tatoeba's file names use; those of simulated languages (qaa to qtz) stand for themselves."""
    return _ISO_639_3.get(language, language)


def find_tatoeba(folder: Path, _split: str, language: str) -> list[Path]:
    """``tatoeba.<iso3>-eng.{<iso3>,eng}`` (LASER), else ``<language>-en.{<language>,en}`` (XTREME)."""
    code = iso_639_3(language)
    laser = [locate(folder, f"tatoeba.{code}-eng.{side}") for side in (code, "eng")]
    xtreme = [locate(folder, f"{language}-en.{side}") for side in (language, ENGLISH)]
    return xtreme if all(map(exists, xtreme)) and not any(map(exists, laser)) else laser


def read_tatoeba(folder: Path, split: str, language: str) -> Bitext:
    """Read both sides; in LASER's files row n of one translates row n of the other, in XTREME's the gold is hidden.

    Raises:
        UserError: as for :func:`read_aligned`.
    """
    source_path, target_path = find_tatoeba(folder, split, language)
    bitext = read_aligned(source_path, target_path)
    return bitext if source_path.name.startswith("tatoeba.") else replace(bitext, gold=None)


def read_aligned(source_path: Path, target_path: Path, *, may_be_blank: bool = False) -> Bitext:
    """Read two files of one sentence a line, of which line n of one translates line n of the other; ids count from 0.

    Args:
        may_be_blank: whether lines may have no text.

    Raises:
        UserError: different numbers of lines, a line that is no sentence, or what :func:`read_lines` raises.
    """
    source, target = (_sentences(path, may_be_blank) for path in (source_path, target_path))
    if len(source) != len(target):
        shorter = min((len(source), source_path), (len(target), target_path))
        raise UserError(
            f"{source_path.name} has {len(source)} lines, {target_path.name} has {len(target)}",
            where=(shorter[1], shorter[0]),
            fix="The two sides must be row-aligned",
        )
    ids = tuple(str(row) for row in range(len(source)))
    return Bitext(source, target, ids, ids, gold=tuple(zip(ids, ids, strict=True)))


def read_sentences(path: Path) -> tuple[str, ...]:
    """Return the lines of a file, each of which must be a sentence.

    Raises:
        UserError: a blank line, one of :data:`LONGEST_SENTENCE` characters, or what :func:`read_lines` raises.
    """
    return _sentences(path, may_be_blank=False)


def _sentences(path: Path, may_be_blank: bool) -> tuple[str, ...]:
    return tuple(_sentence(line, (path, number), may_be_blank) for number, line in read_lines(path))


def _sentence(text: str, where: Where, may_be_blank: bool) -> str:
    if (not text or text.isspace()) and not may_be_blank:
        raise UserError(
            "an empty sentence cannot be searched for",
            where=where,
            fix="Take it out, on both sides where they are aligned",
        )
    if len(text) >= LONGEST_SENTENCE:
        raise UserError(
            f"{len(text):,} characters are no sentence", where=where, fix="Is it one sentence a line, ended by \\n?"
        )
    return text


def xtreme_order(target: Sequence[str]) -> list[int]:
    """Return the row of each English sentence, in the order into which XTREME's preprocessing sorts them.

    Official predictions have a line per English sentence in this order, the row of its nearest foreign sentence; the
    official labels are this list itself.
    """
    return sorted(range(len(target)), key=lambda row: target[row].strip())


def find_bucc2018(folder: Path, split: str, language: str) -> list[Path]:
    """``<language>-en.{dev,test}.{<language>,en}`` (XTREME), or the shared task's ``sample`` and ``training`` files,
    loose or in its archives; and the gold file, if it is there."""
    sides = [_bucc_file(folder, split, language, suffix) for suffix in (language, ENGLISH)]
    gold = _bucc_file(folder, split, language, "gold")
    return [*sides, gold] if exists(gold) else sides


def read_bucc2018(folder: Path, split: str, language: str) -> Bitext:
    """Read both sides and, if it is there, the gold; errors as for :func:`read_comparable`."""
    return read_comparable(*find_bucc2018(folder, split, language))


def read_comparable(
    source_path: Path, target_path: Path, gold_path: Path | None = None, *, may_be_blank: bool = False
) -> Bitext:
    """Read two sides of ``id, sentence`` in any order and number, and the gold pairs of ``source id, target id``.

    Args:
        may_be_blank: whether sentences may have no text.

    Raises:
        UserError: another number of columns, what is no sentence, an id or a gold pair that occurs twice, a gold id
            that is not on its side.
    """
    source_ids, source = _read_side(source_path, may_be_blank)
    target_ids, target = _read_side(target_path, may_be_blank)
    sides = ((source_path, set(source_ids)), (target_path, set(target_ids)))
    gold = read_gold(gold_path, sides) if gold_path else None
    return Bitext(source, target, source_ids, target_ids, gold)


def with_text(bitext: Bitext, *, aligned: bool) -> Bitext:
    """The sentences that have text, under the ids that they had, and the gold pairs of these; the others are counted.

    Args:
        aligned: whether a sentence goes with the one in its row.
    """
    there = [[has_text(text) for text in side] for side in (bitext.source, bitext.target)]
    if aligned:
        there = [[all(pair) for pair in zip(*there, strict=True)]] * 2
    source_ids, target_ids = (
        tuple(compress(ids, kept)) for ids, kept in zip((bitext.source_ids, bitext.target_ids), there, strict=True)
    )
    known = set(source_ids), set(target_ids)
    return Bitext(
        tuple(compress(bitext.source, there[0])),
        tuple(compress(bitext.target, there[1])),
        source_ids,
        target_ids,
        bitext.gold and tuple(pair for pair in bitext.gold if pair[0] in known[0] and pair[1] in known[1]),
        blank=sum(kept.count(False) for kept in there),
    )


def _bucc_file(folder: Path, split: str, language: str, suffix: str) -> Path:
    return locate(folder, *(f"{language}-en.{name}.{suffix}" for name in _BUCC_NAMES[split]))


def _read_side(path: Path, may_be_blank: bool) -> tuple[tuple[str, ...], tuple[str, ...]]:
    seen: set[str] = set()
    texts: list[str] = []
    ids: list[str] = []
    for where, (key, text) in read_columns(path, "id text"):
        require_new(seen, key, where)
        ids.append(key)
        texts.append(_sentence(text, where, may_be_blank))
    return tuple(ids), tuple(texts)


def read_gold(path: Path, sides: Sequence[tuple[Path, Container[str]]]) -> tuple[tuple[str, str], ...]:
    """Read the pairs of ``source id, target id``; ``sides`` are the files of both and the ids that these hold.

    Raises:
        UserError: another number of columns, an id that is not in its file, a pair that occurs twice.
    """
    gold: dict[tuple[str, str], None] = {}
    for where, (source, target) in read_columns(path, "source_id target_id"):
        for key, (side, ids) in zip((source, target), sides, strict=True):
            if key not in ids:
                raise UserError(
                    f"gold id {shown(key)} is not in {side.name}",
                    where=where,
                    fix="Take the pair out, or put the gold file beside its own texts",
                )
        if (source, target) in gold:
            raise UserError(f"gold pair {shown(source)}, {shown(target)} occurs twice", where=where)
        gold[source, target] = None
    return tuple(gold)
