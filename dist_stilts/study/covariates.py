"""What else may explain why a language gains: its share of pretraining, and how the tokenizer treats it.

Promises: measured on the test texts of the study's own targets with the encoder's own tokenizer; the same texts give
the same numbers; what cannot be measured is nan, never a guess.
"""

from __future__ import annotations

import math
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from dist_stilts.analysis.pretraining import pretraining
from dist_stilts.conventions import ENGLISH
from dist_stilts.evaluate.suite import EvalTask
from dist_stilts.families.kinds import family_of
from dist_stilts.tasks import sources
from dist_stilts.tasks.spec import RETRIEVAL, TaskSpec

MOST_TEXTS = 1000
"""Different texts per language that are looked at: the first ones of its target."""
PARALLEL = ("xnli", "pawsx", "xquad", "mlqa")
"""Tasks in which rows of one id are translations of each other in all languages. Retrieval has English beside it."""


@dataclass(frozen=True)
class Texts:
    """Texts of a language and English ones to compare them with.

    Attributes:
        parallel: whether text n of one side translates text n of the other.
    """

    own: tuple[str, ...]
    english: tuple[str, ...]
    parallel: bool = True


def covariates(
    tokenizer: Any, root: Path | None, targets: Mapping[str, EvalTask], languages: Iterable[str]
) -> pd.DataFrame:
    """Return one row per language: ``pretraining`` and, as :func:`measured` defines them, the tokenizer's columns.

    A language is measured on one target: of those that have it, a parallel one before any other, and then the one with
    the most of the languages, so that most are measured on texts of one kind.

    Args:
        tokenizer: the encoder's.
        root: the data folder; None asks the Hub, which has no retrieval.
        targets: target -> what is scored on it; its first split is read.
        languages: ISO 639-1 codes, or those of a simulated world.

    Raises:
        UserError: unknown task or split, bad files. A language without files is no error.
    """
    wanted = list(dict.fromkeys(languages))
    found = _gather(root, targets, [language for language in wanted if language != ENGLISH])
    table = measured(tokenizer, found).reindex(wanted)
    if ENGLISH in wanted:
        table.loc[ENGLISH] = 1.0
    table.insert(0, "pretraining", pretraining(wanted))
    return table


def measured(tokenizer: Any, texts: Mapping[str, Texts]) -> pd.DataFrame:
    """Return what the texts of each language say of it; special tokens are never counted.

    Returns:
        fertility: tokens of the language's texts over tokens of their English translations (the premium of Petrov et
            al., NeurIPS 2023): how many times as much a language needs to say the same. Not tokens per word, which has
            no meaning where words are not set apart (Chinese, Japanese, Thai). nan unless the texts are parallel.
        overlap: share of the token occurrences in the language's texts whose type occurs in the English texts, all
            those of ``texts`` together, so that the reference is one for all languages. Digits, punctuation and the
            bare word mark are types like any other; the unknown token is left out.
        same_script: 1 where the texts are mostly in Latin letters, else 0.
    """
    counts = {code: (_counts(tokenizer, entry.own), _counts(tokenizer, entry.english)) for code, entry in texts.items()}
    special = set(tokenizer.all_special_ids)
    reference = {token for _, english in counts.values() for token in english}
    rows = {}
    for language, (own, english) in counts.items():
        plain = {token: count for token, count in own.items() if token not in special}
        rows[language] = {
            "fertility": _share(own.total(), english.total()) if texts[language].parallel else math.nan,
            "overlap": _share(sum(count for token, count in plain.items() if token in reference), sum(plain.values())),
            "same_script": _is_latin(texts[language].own),
        }
    return pd.DataFrame.from_dict(rows, orient="index", columns=["fertility", "overlap", "same_script"], dtype=float)


def _counts(tokenizer: Any, texts: Sequence[str]) -> Counter[int]:
    """How often each token occurs in the texts; the tokenizer adds none of its own."""
    encoded = tokenizer(list(texts), add_special_tokens=False)["input_ids"] if texts else []
    return Counter(token for ids in encoded for token in ids)


def _share(part: int, whole: int) -> float:
    return part / whole if whole else math.nan


def _is_latin(texts: Iterable[str]) -> float:
    script = main_script(texts)
    return float(script == "LATIN") if script else math.nan


def main_script(texts: Iterable[str]) -> str:
    """Return the script of most letters as the first word of their Unicode names (``LATIN``, ``CYRILLIC``, ``CJK``);
    empty if there is no letter."""
    scripts: Counter[str] = Counter()
    for character, count in Counter("".join(texts)).items():
        if character.isalpha():
            scripts[unicodedata.name(character, "UNKNOWN").partition(" ")[0]] += count
    return scripts.most_common(1)[0][0] if scripts else ""


def _gather(root: Path | None, targets: Mapping[str, EvalTask], languages: Sequence[str]) -> dict[str, Texts]:
    """Every language's texts, from the target that :func:`covariates` describes."""
    choices = []
    for name, target in targets.items():
        spec, split = sources.task(name, root), target.splits[0]
        have = [language for language in languages if _is_there(spec, root, split, language)]
        parallel = spec.family in RETRIEVAL or (spec.name in PARALLEL and _is_there(spec, root, split, ENGLISH))
        choices.append((not parallel, -len(have), spec, split, have))
    choices.sort(key=lambda choice: choice[:2])
    found: dict[str, Texts] = {}
    for other, _, spec, split, have in choices:
        for language in have:
            if language not in found:
                texts = _read(spec, root, split, language, parallel=not other)
                if texts.own:
                    found[language] = texts
    return found


def _is_there(spec: TaskSpec, root: Path | None, split: str, language: str) -> bool:
    if language not in sources.known_languages(spec, root):
        return False
    if root is None:
        return spec.hub is not None
    return sources.is_available(spec, root, sources.parse_split(split).name, language)


def _read(spec: TaskSpec, root: Path | None, split: str, language: str, *, parallel: bool) -> Texts:
    if spec.family in RETRIEVAL:
        return _translations(sources.load_bitext(spec, root, split, language))
    rows = sources.load_rows(spec, root, split, language)
    english = sources.load_rows(spec, root, split, ENGLISH) if _is_there(spec, root, split, ENGLISH) else []
    texts_of = family_of(spec).texts
    if not parallel:
        return Texts(_first(map(texts_of, rows)), _first(map(texts_of, english)), parallel=False)
    by_id = {row.id: row for row in english}
    pairs = (zip(texts_of(row), texts_of(by_id[row.id]), strict=True) for row in rows if row.id in by_id)
    return _paired(pair for row in pairs for pair in row)


def _translations(bitext: Any) -> Texts:
    """The gold pairs of a retrieval set; none where gold is withheld."""
    own = dict(zip(bitext.source_ids, bitext.source, strict=True))
    english = dict(zip(bitext.target_ids, bitext.target, strict=True))
    return _paired((own[source], english[target]) for source, target in bitext.gold or ())


def _paired(pairs: Iterable[tuple[str, str]]) -> Texts:
    """The first :data:`MOST_TEXTS` different pairs: a premise or a passage is repeated in several rows."""
    kept = list(dict.fromkeys(pairs))[:MOST_TEXTS]
    return Texts(tuple(own for own, _ in kept), tuple(english for _, english in kept))


def _first(rows: Iterable[Sequence[str]]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(text for row in rows for text in row))[:MOST_TEXTS]
