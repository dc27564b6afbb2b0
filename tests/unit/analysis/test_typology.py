"""Distances are in 0..1 with their coverage, agree with an independent computation, and say what they do not know."""

from __future__ import annotations

import csv
import json
import math
import sys
from importlib import resources
from pathlib import Path

import pandas as pd
import pytest
from scipy.stats import spearmanr

from dist_stilts.analysis.pretraining import pretraining
from dist_stilts.analysis.typology import Distances, from_table, from_world, missing, uriel
from dist_stilts.errors import UserError
from dist_stilts.simulate.languages import languages
from dist_stilts.simulate.world import describe
from dist_stilts.tasks.languages import TRANSLATABLE, XTREME_LANGUAGES

LANG2VEC = """
nl 0.076 de 0.097 bg 0.142 it 0.142 af 0.151 pt 0.158 es 0.178 fr 0.188 ru 0.188 el 0.217 et 0.227 he 0.249 id 0.273
fi 0.289 zh 0.289 ms 0.295 hu 0.306 ka 0.315 vi 0.340 ar 0.349 th 0.361 eu 0.377 hi 0.384 ur 0.384 tl 0.391 jv 0.399
yo 0.400 bn 0.417 mr 0.435 ko 0.447 ml 0.464 te 0.479 ta 0.486 tr 0.493 fa 0.500 ja 0.500 sw 0.541 kk 0.552 my 0.605
"""
"""1 - cosine to English of the imputed syntax vectors that lang2vec 1.1.2 ships: older data, another imputation."""
ALL = ("syntactic", "phonological", "inventory", "morphological", "genetic", "geographic", "featural", "script")


def written(folder: Path, text: str, name: str = "distances.csv") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def distances(values: dict[str, float], observed: dict[str, float] | None = None) -> Distances:
    shares = observed or dict.fromkeys(values, 1.0)
    return Distances(pd.DataFrame({"d": values}), pd.DataFrame({"d": shares}), "a test")


def world(folder: Path, *, placebo: bool = False) -> Path:
    described = [describe(language) for language in languages(placebo=placebo)]
    return written(folder, json.dumps({"seed": 0, "placebo": placebo, "languages": described}), "world.json")


def test_every_language_has_every_distance_between_0_and_1_english_at_0_and_in_the_order_asked_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "urielplus", None)  # nor is its package needed
    found = uriel(TRANSLATABLE)
    assert tuple(found.values.columns) == tuple(found.observed.columns) == ALL
    assert found.values.notna().all(axis=None)
    for table in (found.values, found.observed):
        assert ((table >= 0) & (table <= 1)).all(axis=None)
    assert (found.values.loc["en"] == 0).all()
    assert (found.values.drop(index="en")["syntactic"] > 0.1).all()
    found = uriel(["zh", "af", "zh"])
    assert list(found.values.index) == ["zh", "af"]
    assert missing(found, ["af", "zh"]) == {}


def test_syntax_ranks_languages_like_an_independent_computation() -> None:
    pairs = LANG2VEC.split()
    theirs = pd.Series(pairs[1::2], index=pairs[::2], dtype=float)
    assert set(theirs.index) == set(XTREME_LANGUAGES) - {"en"}
    assert spearmanr(uriel(theirs.index).values["syntactic"], theirs).statistic > 0.9


def test_imputed_languages_are_marked_and_named_and_rows_of_macrolanguages_are_not_lost() -> None:
    found = uriel(XTREME_LANGUAGES)
    macrolanguages = found.observed.loc[["et", "ms", "zh", "ar", "fa", "sw"]]
    assert (macrolanguages["syntactic"] > 0.8).all()
    assert (macrolanguages["script"] > 0.9).all()
    assert found.observed.loc["kk", "syntactic"] < 0.1
    assert found.observed.loc["ar", "script"] < 1
    assert "kk 5%" in found.notes["syntactic"]
    assert "on average 74%" in found.notes["syntactic"]
    assert "imputed" not in found.notes["genetic"]
    assert "script" not in found.notes


def test_notes_come_from_the_numbers_of_the_languages_asked_for_without_english() -> None:
    notes = uriel(["en", "de", "fr", "tr", "fi", "ja"]).notes
    assert "saturated: 1.00 for 3 of 5 languages" in notes["genetic"]
    assert "below 0.1 for 3 of 5 languages, which it hardly tells apart (de, fr, fi)" in notes["geographic"]
    assert "saturated" not in uriel(["en", "de", "fr", "nl", "tr"]).notes.get("genetic", "")
    few = distances({"en": 0.0, "de": 0.2, "fr": 0.5, "tr": 0.9}, {"en": 1.0, "de": 0.2, "fr": 1.0, "tr": 0.6})
    said = "on average 60% of its features are observed, the others imputed; less than half of them for "
    assert few.notes == {"d": f"{said}1 of 3 languages (de 20%)"}
    assert distances({"de": 0.2, "fr": 0.5}).notes == {}


@pytest.mark.parametrize(
    ("language", "hint"), [("deu", "'de'?"), ("zsm", "'ms'?"), ("enn", "'en'?"), ("qaa", "to zh.")]
)
def test_an_unknown_language_is_an_error_with_a_way_out(language: str, hint: str) -> None:
    with pytest.raises(UserError, match=f"'{language}'") as caught:
        uriel(["de", language])
    assert hint in str(caught.value)
    assert "study.distances: FILE" in str(caught.value)


@pytest.mark.parametrize("tab", [",", "\t"])
def test_a_table_of_ones_own_is_read(tmp_path: Path, tab: str) -> None:
    text = "# mine\nlanguage,iso,words,words observed,roads\n\nde,deu,0.25,0.5,\nxx,xxx,1,,0\n".replace(",", tab)
    found = from_table(written(tmp_path, text))
    assert found.values.loc["de", "words"] == 0.25
    assert found.observed.loc["de", "words"] == 0.5
    assert list(found.values.columns) == ["words", "roads"]
    assert pd.isna(found.values.loc["de", "roads"])
    assert found.observed["roads"].tolist() == [0.0, 1.0]
    assert found.notes["roads"].startswith("unknown for 1 of 2 languages (de)")
    assert missing(found, ["de", "fr", "xx"]) == {"words": ["fr"], "roads": ["de", "fr"]}


@pytest.mark.parametrize(
    ("text", "place", "what"),
    [
        ("language,a\nde,0.1\nfr,far\n", ":3", "'far' is no value of 'a'"),
        ("# x\nlanguage,a\nde,1.5\n", ":3", "'1.5'"),
        ("language,a\nde,-0.1\n", ":2", "'-0.1'"),
        ("language,a\nde,nan\n", ":2", "'nan'"),
        ("language,a\nde,0.1,0.2\n", ":2", "3 cells"),
        ("language,a\nde,0.1\nde,0.2\n", ":3", "twice"),
        ("language,a\n,0.1\n", ":2", "without a language"),
        ("language,a,a\nde,0.1,0.2\n", ":1", "'a'"),
        ("language,a,b observed\nde,0.1,0.2\n", ":1", "'b observed'"),
        ("code,a\nde,0.1\n", ":1", "'language'"),
        ("language,iso\nde,deu\n", ":1", "'language'"),
        ("language,a\n", "distances.csv", "no language"),
    ],
)
def test_a_bad_table_is_an_error_with_its_place(tmp_path: Path, text: str, place: str, what: str) -> None:
    with pytest.raises(UserError) as caught:
        from_table(written(tmp_path, text))
    assert caught.value.place.endswith(place)
    assert what in caught.value.what
    with pytest.raises(UserError, match=r"nowhere\.csv"):
        from_table(tmp_path / "nowhere.csv")


def test_a_simulated_world_gives_its_declared_distances_a_placebo_is_called_one_and_no_world_an_error(
    tmp_path: Path,
) -> None:
    found = from_world(world(tmp_path))
    assert found.values["grammar"].tolist() == [language.distance for language in languages()]
    assert found.values.loc[["en", "qaa", "qab"], "script"].tolist() == [0.0, 0.0, 1.0]
    assert (found.observed == 1).all(axis=None)
    assert found.source == "simulated world, seed 0"
    assert found.notes == {"script": "1 for 7 of 10 languages, 0 for 3, and nothing between"}
    assert "without a cause" in from_world(world(tmp_path, placebo=True)).source
    for text in ("{}", '{"languages": ["en"]}', '{"languages": [{"code": "de", "script": "Latn", "distance": 0}]}'):
        with pytest.raises(UserError, match="dist-stilts simulate"):
            from_world(written(tmp_path, text, "world.json"))


MBART = {
    "en": 300.8, "ru": 278.0, "vi": 137.3, "ja": 69.3, "de": 66.6, "ro": 61.4, "fr": 56.8, "fi": 54.3, "ko": 54.2,
    "es": 53.3, "it": 30.2, "nl": 29.3, "ar": 28.0, "tr": 20.9, "hi": 20.2, "cs": 16.3, "lt": 13.7, "lv": 8.8,
    "kk": 6.4, "et": 6.1, "ne": 3.8, "si": 3.6, "gu": 1.9,
}  # fmt: skip
"""Table 1 of the mBART paper (arXiv:2001.08210), which was trained on part of the same corpus."""
PRINTED_TOTAL = 2394
"""GiB to which the printed table adds up, by the account of the copy's keeper (mayhewsw.github.io, 20 Dec 2020)."""
LEFT_OUT = 12.1 + 3 * 0.5 + 2 * 0.3
"""Swedish as it was printed, and five romanised languages."""


def test_sizes_are_those_another_paper_prints_of_the_same_corpus_and_add_up_to_it() -> None:
    assert (10 ** pretraining(MBART)).to_dict() == pytest.approx(MBART)
    lines = (resources.files("dist_stilts.analysis") / "pretraining.csv").read_text(encoding="utf-8").splitlines()
    rows = list(csv.DictReader(line for line in lines if not line.startswith("#")))
    assert sum(float(row["gib"]) for row in rows) == pytest.approx(PRINTED_TOTAL - LEFT_OUT, abs=0.5)
    assert len({row["language"] for row in rows}) == len(rows)


def test_only_yoruba_of_xtreme_was_not_in_the_corpus() -> None:
    sizes = pretraining(XTREME_LANGUAGES)
    assert list(sizes.index) == list(XTREME_LANGUAGES)
    assert [code for code in sizes.index if math.isnan(sizes[code])] == ["yo"]
    assert sizes["zh"] == pytest.approx(math.log10(46.9 + 16.6))
