"""Covariates are measured as defined, on texts that mean the same, and are nan where they cannot be measured."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

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


def put(root: Path, files: Mapping[str, str]) -> Path:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return root


def tatoeba(code: str, own: str, english: str) -> dict[str, str]:
    stem = f"tatoeba/tatoeba.{code}-eng"
    return {f"{stem}.{code}": own, f"{stem}.eng": english}


def xnli(language: str, *pairs: str) -> dict[str, str]:
    return {f"xnli/dev-{language}.tsv": "".join(f"{pair}\tneutral\n" for pair in pairs)}


def values(table: pd.DataFrame, language: str) -> tuple[Any, ...]:
    return tuple(table.loc[language, ["fertility", "overlap", "same_script"]])


def test_fertility_is_tokens_for_what_english_says_in_one_token() -> None:
    table = measured(Words(), {"de": Texts(("a b c", "d"), ("e", "f"))})
    assert table.loc["de", "fertility"] == 4 / 2


def test_fertility_is_unknown_without_translations() -> None:
    table = measured(Words(), {"de": Texts(("a b c",), ("a",), parallel=False)})
    assert math.isnan(table.loc["de", "fertility"])
    assert table.loc["de", "overlap"] == pytest.approx(1 / 3)


def test_overlap_counts_occurrences_of_types_that_any_english_text_has() -> None:
    table = measured(Words(), {"de": Texts(("a b b q",), ("a",)), "fr": Texts(("a a q q",), ("b c",))})
    assert table.loc["de", "overlap"] == 3 / 4
    assert table.loc["fr", "overlap"] == 2 / 4


def test_unknown_tokens_overlap_with_nothing() -> None:
    table = measured(Words(), {"de": Texts(("a x1 x2 q",), ("a x3",))})
    assert table.loc["de", "overlap"] == 1 / 2


@pytest.mark.parametrize(
    ("text", "script", "same"),
    [("Ünïcode, 12", "LATIN", 1), ("Привет abc", "CYRILLIC", 0), ("日本 a", "CJK", 0), ("नमस्ते", "DEVANAGARI", 0)],
)
def test_the_main_script_is_that_of_most_letters(text: str, script: str, same: int) -> None:
    assert main_script([text]) == script
    assert measured(Words(), {"de": Texts((text,), ("a",))}).loc["de", "same_script"] == same


def test_no_letters_and_no_texts_are_unknown_not_zero() -> None:
    table = measured(Words(), {"de": Texts(("1 2",), ("3",)), "fr": Texts((), ())})
    assert math.isnan(table.loc["de", "same_script"])
    assert all(math.isnan(value) for value in values(table, "fr"))


def test_languages_come_as_asked_and_english_is_its_own_measure(tmp_path: Path) -> None:
    root = put(tmp_path, tatoeba("deu", "ja nein\n", "yes\n"))
    table = covariates(Words(), root, {"tatoeba": EvalTask()}, ["fr", "en", "de"])
    assert list(table.index) == ["fr", "en", "de"]
    assert values(table, "en") == (1, 1, 1)
    assert values(table, "de") == (2, 0, 1)
    assert all(math.isnan(value) for value in values(table, "fr"))
    pd.testing.assert_series_equal(table["pretraining"], pretraining(["fr", "en", "de"]))


def test_rows_are_paired_with_english_by_id_and_repeated_texts_count_once(tmp_path: Path) -> None:
    root = put(tmp_path, {**xnli("en", "p q\th", "p q\ti"), **xnli("de", "u v w z\th", "u v w z\ti j")})
    table = covariates(Words(), root, {"xnli": EvalTask(splits=["dev"])}, ["de"])
    assert table.loc["de", "fertility"] == (4 + 1 + 2) / (2 + 1 + 1)


def test_a_language_is_measured_on_the_parallel_target_that_has_most_languages(tmp_path: Path) -> None:
    files = {**tatoeba("deu", "a b c\n", "d\n"), **tatoeba("fra", "a b\n", "d\n")}
    tagged = "a\tX\nb\tX\n\n"
    files |= {**xnli("en", "p\th"), **xnli("de", "p\th")}
    files |= {f"udpos/dev-{code}.tsv": tagged for code in ("en", "de", "fr", "yo", "ta")}
    targets = {name: EvalTask(splits=["dev"]) for name in ("udpos", "xnli")} | {"tatoeba": EvalTask()}
    table = covariates(Words(), put(tmp_path, files), targets, ["de", "fr", "yo"])
    assert table["fertility"].iloc[:2].tolist() == [3, 2]
    assert math.isnan(table.loc["yo", "fertility"])
    assert table.loc["yo", "overlap"] == 1


def test_no_more_texts_are_looked_at_than_the_cap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_TEXTS", 5)
    root = put(tmp_path, tatoeba("deu", "".join(f"a{n} b\n" for n in range(9)), "".join(f"c{n}\n" for n in range(9))))
    tokenizer = Words()
    assert covariates(tokenizer, root, {"tatoeba": EvalTask()}, ["de"]).loc["de", "fertility"] == 2
    assert tokenizer.seen == 5 + 5
