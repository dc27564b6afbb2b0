from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest

from dist_stilts.errors import UserError
from dist_stilts.evaluate.retrieval import RetrievalConfig, score_bucc, score_tatoeba, wanted_layers
from dist_stilts.evaluate.scores import Score
from dist_stilts.parallel.world import current
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


def test_tatoeba_asks_for_each_english_sentence_its_nearest_foreign_one() -> None:
    bitext = aligned(["eins", "zwei", "drei"], ["one", "two", "three"])
    score = tatoeba(bitext)
    assert score.values == {"accuracy": 1.0, "accuracy_from_foreign": 1.0}
    assert (score.predictions, score.count, score.degenerate) == (["0", "2", "1"], 3, None)  # one, three, two


def test_the_two_directions_of_tatoeba_are_kept_apart() -> None:
    degrees = {"a": 0, "b": 50, "A": 30, "B": 60}  # A's nearest is b; a's nearest is A and b's is B
    score = tatoeba(aligned(["a", "b"], ["A", "B"]), Known(degrees))
    assert score.predictions == ["1", "1"]
    assert score.values == {"accuracy": 0.5, "accuracy_from_foreign": 1.0}


def test_tatoeba_takes_the_first_of_equal_sentences() -> None:
    score = tatoeba(aligned(["eins", "eins", "drei"], ["one", "one", "three"]))
    assert score.predictions == ["0", "0", "2"]
    assert score.values["accuracy"] == pytest.approx(2 / 3)


def test_tatoeba_reads_gold_by_id() -> None:
    bitext = Bitext(("drei", "eins"), ("one", "three"), ("0", "1"), ("0", "1"), (("1", "0"), ("0", "1")))
    score = tatoeba(bitext)
    assert score.predictions == ["1", "0"]
    assert score.values == {"accuracy": 1.0, "accuracy_from_foreign": 1.0}


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
        ({"neighbours": 0}, "neighbours: 0 is less than 1"),
        ({"memory": "0"}, "no amount of memory"),
        ({"memory": "lots"}, "no amount of memory"),
        ({"margin": "ration"}, "margin: unknown 'ration'.*'ratio'"),
        ({"candidates": "intersect"}, "candidates: unknown 'intersect'.*'intersection'"),
        ({"duplicates": "dropp"}, "duplicates: unknown 'dropp'.*'drop'"),
        ({"pooling": "meam"}, "pooling: unknown 'meam'.*'mean'"),
    ],
)
def test_settings_that_make_no_sense_are_refused_with_the_nearest_that_do(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(UserError, match=said):
        RetrievalConfig(**settings).check()
    RetrievalConfig().check()


@pytest.mark.parametrize(
    ("wanted", "layers"), [("last", (3,)), ("all", (0, 1, 2, 3)), ("2", (2,)), ("3, 0", (0, 3)), ("1,1", (1,))]
)
def test_layers_are_named_by_number_last_or_all(wanted: str, layers: tuple[int, ...]) -> None:
    assert wanted_layers(wanted, 3) == layers


@pytest.mark.parametrize("wanted", ["4", "-1", "", "first", "1,x"])
def test_a_layer_that_the_encoder_does_not_have_is_refused(wanted: str) -> None:
    with pytest.raises(UserError, match=r"has no layer .*0 \(embeddings\) to 3"):
        wanted_layers(wanted, 3)


DEV = comparable(["eins", "zwei", "drei", "weit"], ["three", "far", "one", "two"], [(0, 2), (1, 3), (2, 0)])


def test_bucc_mines_the_gold_pairs_and_leaves_the_rest() -> None:
    score = bucc(DEV, DEV)
    assert (score.values["f1"], score.values["precision"], score.values["recall"]) == (1.0, 1.0, 1.0)
    assert sorted(score.predictions) == ["de-0\ten-2", "de-1\ten-3", "de-2\ten-0"]
    assert score.count == 3


def test_bucc_tunes_on_dev_and_applies_the_threshold_to_test() -> None:
    test = comparable(["zwei", "weit"], ["far", "two"], [(0, 1), (1, 0)])
    tuned = bucc(DEV, DEV).threshold
    score = bucc(test, DEV)
    assert score.threshold == tuned
    assert score.predictions == ["de-0\ten-1"]
    assert (score.values["precision"], score.values["recall"]) == (1.0, 0.5)


def test_scoring_dev_itself_embeds_it_once() -> None:
    embedder = Known()
    bucc(DEV, DEV, embedder)
    assert embedder.asked == [DEV.source, DEV.target]


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


def test_the_curve_stands_beside_the_predictions() -> None:
    head, *points = bucc(DEV, DEV).beside["curve.tsv"].splitlines()
    assert head.split("\t") == ["threshold", "precision", "recall", "f1"]
    assert max(float(point.split("\t")[3]) for point in points) == 1.0


def test_bucc_whose_test_gold_is_withheld_is_mined_and_not_scored() -> None:
    score = bucc(comparable(["zwei", "weit"], ["far", "two"], None), DEV)
    assert score.predictions == ["de-0\ten-1"]
    assert set(score.values.values()) == {None}
    assert score.count == 0


def test_bucc_without_dev_gold_says_what_to_do() -> None:
    unknown = comparable(["eins"], ["one"], None)
    with pytest.raises(UserError, match=r"needs the gold pairs of dev.*dist-stilts mine"):
        bucc(unknown, unknown)
