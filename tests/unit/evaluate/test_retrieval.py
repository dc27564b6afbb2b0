from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest

from dist_stilts.errors import UserError
from dist_stilts.evaluate.retrieval import RetrievalConfig, score_bucc, score_tatoeba, wanted_layers
from dist_stilts.families.score import Score
from dist_stilts.parallel.world import current
from dist_stilts.ranges import check
from dist_stilts.tasks.spec import Bitext

DEGREES = {"eins": 0, "zwei": 40, "drei": 80, "one": 2, "two": 41, "three": 83, "far": 175, "weit": 260}


class Known:
    """Embeds a word as a direction in the plane and remembers what it was asked for."""

    def __init__(self, degrees: Mapping[str, float] = DEGREES) -> None:
        self.degrees = degrees
        self.asked: list[tuple[str, ...]] = []

    def __call__(self, texts: Sequence[str], _side: str) -> np.ndarray:
        self.asked.append(tuple(texts))
        angles = np.radians([self.degrees[text] for text in texts])
        return np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)


def tatoeba(bitext: Bitext, embed: Any = None, **settings: Any) -> Score:
    return score_tatoeba(bitext, embed or Known(), RetrievalConfig(**settings), current())


def bucc(bitext: Bitext, dev: Bitext, embed: Any = None, **settings: Any) -> Score:
    return score_bucc(bitext, dev, embed or Known(), RetrievalConfig(**settings), current())


def aligned(source: list[str], target: list[str]) -> Bitext:
    ids = tuple(str(row) for row in range(len(source)))
    return Bitext(tuple(source), tuple(target), ids, ids, tuple(zip(ids, ids, strict=True)))


def comparable(source: list[str], target: list[str], gold: list[tuple[int, int]] | None) -> Bitext:
    ids = [tuple(f"{side}-{row}" for row in range(len(texts))) for side, texts in (("de", source), ("en", target))]
    pairs = None if gold is None else tuple((f"de-{s}", f"en-{t}") for s, t in gold)
    return Bitext(tuple(source), tuple(target), ids[0], ids[1], pairs)


@pytest.mark.parametrize(
    ("bitext", "predicted", "accuracy", "from_foreign"),
    [
        (aligned(["eins", "zwei", "drei"], ["one", "two", "three"]), "021", 1.0, 1.0),  # one, three, two
        (aligned(["a", "b"], ["A", "B"]), "11", 0.5, 1.0),  # A's nearest is b; a's nearest is A and b's is B
        (aligned(["eins", "eins", "drei"], ["one", "one", "three"]), "002", 2 / 3, 2 / 3),  # the first of equals
        (Bitext(("drei", "eins"), ("one", "three"), ("0", "1"), ("0", "1"), (("1", "0"), ("0", "1"))), "10", 1.0, 1.0),
    ],
    ids=["sorted", "directions", "equals", "gold by id"],
)
def test_tatoeba_asks_for_each_english_sentence_its_nearest_foreign_one_and_the_other_way_round(
    bitext: Bitext, predicted: str, accuracy: float, from_foreign: float
) -> None:
    score = tatoeba(bitext, Known({**DEGREES, "a": 0, "b": 50, "A": 30, "B": 60}))
    assert score.values == pytest.approx({"accuracy": accuracy, "accuracy_from_foreign": from_foreign})
    assert (score.predictions, score.count, score.degenerate) == ([*predicted], len(predicted), None)


def test_a_collapsed_encoder_is_labelled_also_where_centring_hides_it() -> None:
    bitext = aligned(["eins", "zwei", "drei"], ["one", "two", "three"])
    near = Known({text: degrees / 100 for text, degrees in DEGREES.items()})
    for centre in (False, True):
        assert "collapsed" in str(tatoeba(bitext, near, centre=centre).degenerate)
        assert tatoeba(bitext, centre=centre).degenerate is None


def test_centring_takes_out_what_a_language_has_in_common() -> None:
    # Foreign sentences lean so far towards one axis that the English one that lies on it is the nearest of all.
    def leaning(texts: Sequence[str], side: str) -> np.ndarray:
        rows = np.eye(3, dtype=np.float32)[[int(text[-1]) for text in texts]]
        rows += np.float32([3, 0, 0]) * (side == "foreign")
        return rows / np.linalg.norm(rows, axis=1, keepdims=True)

    bitext = aligned(["satz 0", "satz 1", "satz 2"], ["sentence 0", "sentence 1", "sentence 2"])
    assert tatoeba(bitext, leaning).values["accuracy_from_foreign"] == pytest.approx(1 / 3)
    assert tatoeba(bitext, leaning, centre=True).values["accuracy_from_foreign"] == 1.0


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"neighbours": 0}, "'neighbours': 0. Allowed: 1 or more"),
        ({"memory": "0"}, "'memory': '0'. Allowed: an amount such as 256M"),
        ({"layer": "first"}, "'layer': 'first'. Allowed: last, all, or numbers such as 7,14"),
        ({"margin": "ration"}, "'margin': 'ration'. did you mean 'ratio'"),
        ({"candidates": "intersect"}, "'candidates': 'intersect'. did you mean 'intersection'"),
        ({"duplicates": "dropp"}, "'duplicates': 'dropp'. did you mean 'drop'"),
        ({"pooling": "meam"}, "'pooling': 'meam'. did you mean 'mean'"),
    ],
)
def test_settings_that_make_no_sense_are_refused_with_the_nearest_that_do(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(UserError, match=said):
        check(RetrievalConfig(**settings))
    check(RetrievalConfig())


def test_layers_are_named_by_number_last_or_all_and_are_those_that_the_encoder_has() -> None:
    found = {wanted: wanted_layers(wanted, 3) for wanted in ("last", "all", "2", "3, 0", "1,1")}
    assert found == {"last": (3,), "all": (0, 1, 2, 3), "2": (2,), "3, 0": (0, 3), "1,1": (1,)}
    for wanted in ("4", "-1", "", "first", "1,x"):
        with pytest.raises(UserError, match=r"has no layer .*0 \(embeddings\) to 3"):
            wanted_layers(wanted, 3)


DEV = comparable(["eins", "zwei", "drei", "weit"], ["three", "far", "one", "two"], [(0, 2), (1, 3), (2, 0)])


def test_bucc_mines_the_gold_pairs_of_dev_in_one_go_and_keeps_the_curve_beside_them() -> None:
    embedder = Known()
    score = bucc(DEV, DEV, embedder)
    assert embedder.asked == [DEV.source, DEV.target]
    assert (score.values["f1"], score.values["precision"], score.values["recall"]) == (1.0, 1.0, 1.0)
    assert (sorted(score.predictions), score.count) == (["de-0\ten-2", "de-1\ten-3", "de-2\ten-0"], 3)
    head, *points = score.beside["curve.tsv"].splitlines()
    assert head.split("\t") == ["threshold", "precision", "recall", "f1"]
    assert max(float(point.split("\t")[3]) for point in points) == 1.0


def test_bucc_tunes_on_dev_and_applies_the_threshold_to_test() -> None:
    test = comparable(["zwei", "weit"], ["far", "two"], [(0, 1), (1, 0)])
    tuned = bucc(DEV, DEV).threshold
    score = bucc(test, DEV)
    assert score.threshold == tuned
    assert score.predictions == ["de-0\ten-1"]
    assert (score.values["precision"], score.values["recall"]) == (1.0, 0.5)


TWICE = comparable(
    ["eins", "zwei", "eins", "drei", "weit"], ["three", "one", "far", "one", "two"], [(0, 1), (1, 4), (3, 0)]
)


@pytest.mark.parametrize(
    ("duplicates", "found", "recall"),
    [
        ("drop", ["de-1\ten-4", "de-3\ten-0"], 2 / 3),
        ("all_ids", ["de-0\ten-1", "de-0\ten-3", "de-1\ten-4", "de-2\ten-1", "de-2\ten-3", "de-3\ten-0"], 1.0),
    ],
)
def test_a_text_that_repeats_is_searched_once_and_then_counts_for_none_or_all_of_its_ids(
    duplicates: str, found: list[str], recall: float
) -> None:
    embedder = Known()
    score = bucc(TWICE, TWICE, embedder, duplicates=duplicates)
    assert embedder.asked == [("eins", "zwei", "drei", "weit"), ("three", "one", "far", "two")]
    assert sorted(score.predictions) == found
    assert score.values["recall"] == pytest.approx(recall)


def test_bucc_whose_test_gold_is_withheld_is_mined_and_not_scored_but_that_of_dev_is_needed() -> None:
    unknown = comparable(["zwei", "weit"], ["far", "two"], None)
    score = bucc(unknown, DEV)
    assert (score.predictions, set(score.values.values()), score.count) == (["de-0\ten-1"], {None}, 0)
    with pytest.raises(UserError, match=r"needs the gold pairs of dev.*dist-stilts mine"):
        bucc(unknown, unknown)
