"""Covariates are measured as defined, on texts that mean the same, and are nan where they cannot be measured."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from task_files import write

from dist_stilts.analysis.pretraining import pretraining
from dist_stilts.evaluate.suite import EvalTask
from dist_stilts.study import covariates as module
from dist_stilts.study.covariates import Texts, covariates, main_script, measured

UNKNOWN, START = 0, 1


class Words:
    """A tokenizer of words: those with an x are unknown; unless told otherwise it puts a start token first."""

    all_special_ids = (UNKNOWN, START)

    def __init__(self) -> None:
        self.ids: dict[str, int] = {}
        self.seen = 0

    def __call__(self, texts: list[str], add_special_tokens: bool = True) -> dict[str, list[list[int]]]:
        self.seen += len(texts)
        return {"input_ids": [[START] * add_special_tokens + [self._id(word) for word in t.split()] for t in texts]}

    def _id(self, word: str) -> int:
        return UNKNOWN if "x" in word else self.ids.setdefault(word, len(self.ids) + 2)


def tatoeba(code: str, own: str, english: str) -> dict[str, str]:
    stem = f"tatoeba/tatoeba.{code}-eng"
    return {f"{stem}.{code}": own, f"{stem}.eng": english}


def xnli(language: str, *pairs: str) -> dict[str, str]:
    return {f"xnli/dev-{language}.tsv": "".join(f"{pair}\tneutral\n" for pair in pairs)}


def values(table: pd.DataFrame, language: str) -> tuple[Any, ...]:
    return tuple(table.loc[language, ["fertility", "overlap", "same_script"]])


@pytest.mark.parametrize(
    ("texts", "fertility", "overlap"),
    [
        (Texts(("a b c", "d"), ("e", "f")), 4 / 2, 0),  # tokens for what English says in one token
        (Texts(("a b c",), ("a",), parallel=False), math.nan, 1 / 3),  # unknown without translations
        (Texts(("a y y q",), ("a",)), 4, 3 / 4),  # occurrences of types that any English text has
        (Texts(("a x1 x2 q",), ("a x3",)), 4 / 2, 1 / 2),  # unknown tokens overlap with nothing
        (Texts((), ()), math.nan, math.nan),
    ],
)
def test_fertility_and_overlap_are_measured_as_defined(texts: Texts, fertility: float, overlap: float) -> None:
    table = measured(Words(), {"de": texts, "fr": Texts(("u",), ("y z",))})
    assert table.loc["de", ["fertility", "overlap"]].tolist() == pytest.approx([fertility, overlap], nan_ok=True)


@pytest.mark.parametrize(
    ("text", "script", "same"),
    [
        ("Ünïcode, 12", "LATIN", 1),
        ("Привет abc", "CYRILLIC", 0),
        ("日本 a", "CJK", 0),
        ("नमस्ते", "DEVANAGARI", 0),
        ("1 2", "", math.nan),
    ],
)
def test_the_main_script_is_that_of_most_letters(text: str, script: str, same: float) -> None:
    assert main_script([text]) == script
    found = measured(Words(), {"de": Texts((text,), ("a",))}).loc["de", "same_script"]
    assert found == pytest.approx(same, nan_ok=True)


def test_languages_come_as_asked_and_english_is_its_own_measure(tmp_path: Path) -> None:
    root = write(tmp_path, tatoeba("deu", "ja nein\n", "yes\n"))
    table = covariates(Words(), root, {"tatoeba": EvalTask()}, ["fr", "en", "de"])
    assert list(table.index) == ["fr", "en", "de"]
    assert values(table, "en") == (1, 1, 1)
    assert values(table, "de") == (2, 0, 1)
    assert all(math.isnan(value) for value in values(table, "fr"))
    pd.testing.assert_series_equal(table["pretraining"], pretraining(["fr", "en", "de"]))


def test_rows_are_paired_with_english_by_id_on_the_parallel_target_that_has_most_languages(tmp_path: Path) -> None:
    files = {**tatoeba("deu", "a b c\n", "d\n"), **tatoeba("fra", "a b\n", "d\n")}
    files |= {**xnli("en", "p q\th", "p q\ti"), **xnli("de", "u v w z\th", "u v w z\ti j")}
    files |= {f"udpos/dev-{code}.tsv": "a\tX\nb\tX\n\n" for code in ("en", "de", "fr", "yo", "ta")}
    rows = EvalTask(splits=["dev"])
    root = write(tmp_path, files)
    paired = covariates(Words(), root, {"xnli": rows}, ["de"])
    assert paired.loc["de", "fertility"] == (4 + 1 + 2) / (2 + 1 + 1), "repeated texts count once"
    table = covariates(Words(), root, {"udpos": rows, "xnli": rows, "tatoeba": EvalTask()}, ["de", "fr", "yo"])
    assert table["fertility"].tolist() == pytest.approx([3, 2, math.nan], nan_ok=True)
    assert table.loc["yo", "overlap"] == 1


def test_no_more_texts_are_looked_at_than_the_cap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_TEXTS", 5)
    root = write(tmp_path, tatoeba("deu", "".join(f"a{n} b\n" for n in range(9)), "".join(f"c{n}\n" for n in range(9))))
    tokenizer = Words()
    assert covariates(tokenizer, root, {"tatoeba": EvalTask()}, ["de"]).loc["de", "fertility"] == 2
    assert tokenizer.seen == 5 + 5
