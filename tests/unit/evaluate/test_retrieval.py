from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import pytest
import torch

from dist_stilts.data.batches import Vocabulary
from dist_stilts.errors import UserError
from dist_stilts.evaluate.retrieval import (
    Embedded,
    Embedder,
    first_occurrences,
    score_bucc,
    score_tatoeba,
)
from dist_stilts.model.multitask import MultiTaskModel
from dist_stilts.parallel.world import current
from dist_stilts.tasks.spec import Bitext

DEGREES = {"eins": 0, "zwei": 40, "drei": 80, "one": 2, "two": 41, "three": 83, "far": 175, "weit": 260}


class Known:
    """Embeds a word as a direction in the plane and remembers what it was asked for."""

    def __init__(self, degrees: Mapping[str, float] = DEGREES, mean_cosine: float = 0.0) -> None:
        self.degrees, self.mean_cosine = degrees, mean_cosine
        self.asked: list[tuple[str, ...]] = []

    def __call__(self, texts: tuple[str, ...]) -> Embedded:
        self.asked.append(texts)
        angles = [math.radians(self.degrees[text]) for text in texts]
        return Embedded(torch.tensor([[math.cos(a), math.sin(a)] for a in angles]), self.mean_cosine)


def aligned(source: list[str], target: list[str]) -> Bitext:
    ids = tuple(str(row) for row in range(len(source)))
    return Bitext(tuple(source), tuple(target), ids, ids, tuple(zip(ids, ids, strict=True)))


def comparable(source: list[str], target: list[str], gold: list[tuple[int, int]] | None) -> Bitext:
    ids = [tuple(f"{side}-{row}" for row in range(len(texts))) for side, texts in (("de", source), ("en", target))]
    pairs = None if gold is None else tuple((f"de-{s}", f"en-{t}") for s, t in gold)
    return Bitext(tuple(source), tuple(target), ids[0], ids[1], pairs)


def test_tatoeba_asks_for_each_english_sentence_its_nearest_foreign_one() -> None:
    bitext = aligned(["eins", "zwei", "drei"], ["one", "two", "three"])
    score = score_tatoeba(bitext, Known())
    assert score.values == {"accuracy": 1.0, "accuracy_from_foreign": 1.0}
    assert (score.predictions, score.count, score.degenerate) == (["0", "2", "1"], 3, None)  # one, three, two


def test_the_two_directions_of_tatoeba_are_kept_apart() -> None:
    degrees = {"a": 0, "b": 50, "A": 30, "B": 60}  # A's nearest is b; a's nearest is A and b's is B
    score = score_tatoeba(aligned(["a", "b"], ["A", "B"]), Known(degrees))
    assert score.predictions == ["1", "1"]
    assert score.values == {"accuracy": 0.5, "accuracy_from_foreign": 1.0}


def test_tatoeba_takes_the_first_of_equal_sentences() -> None:
    score = score_tatoeba(aligned(["eins", "eins", "drei"], ["one", "one", "three"]), Known())
    assert score.predictions == ["0", "0", "2"]
    assert score.values["accuracy"] == pytest.approx(2 / 3)


def test_tatoeba_reads_gold_by_id() -> None:
    bitext = Bitext(("drei", "eins"), ("one", "three"), ("0", "1"), ("0", "1"), (("1", "0"), ("0", "1")))
    score = score_tatoeba(bitext, Known())
    assert score.predictions == ["1", "0"]
    assert score.values == {"accuracy": 1.0, "accuracy_from_foreign": 1.0}


def test_a_collapsed_encoder_is_labelled() -> None:
    bitext = aligned(["eins", "zwei"], ["one", "two"])
    assert "collapsed encoder" in str(score_tatoeba(bitext, Known(mean_cosine=0.9995)).degenerate)
    assert score_tatoeba(bitext, Known(mean_cosine=0.99)).degenerate is None


DEV = comparable(["eins", "zwei", "drei", "weit"], ["three", "far", "one", "two"], [(0, 2), (1, 3), (2, 0)])


def test_bucc_mines_the_gold_pairs_and_leaves_the_rest() -> None:
    score = score_bucc(DEV, DEV, Known())
    assert (score.values["f1"], score.values["precision"], score.values["recall"]) == (1.0, 1.0, 1.0)
    assert sorted(score.predictions) == ["de-0\ten-2", "de-1\ten-3", "de-2\ten-0"]
    assert score.count == 3


def test_bucc_tunes_on_dev_and_applies_the_threshold_to_test() -> None:
    test = comparable(["zwei", "weit"], ["far", "two"], [(0, 1), (1, 0)])
    tuned = score_bucc(DEV, DEV, Known()).values["threshold"]
    score = score_bucc(test, DEV, Known())
    assert score.values["threshold"] == tuned
    assert score.predictions == ["de-0\ten-1"]
    assert (score.values["precision"], score.values["recall"]) == (1.0, 0.5)


def test_scoring_dev_itself_embeds_it_once() -> None:
    embedder = Known()
    score_bucc(DEV, DEV, embedder)
    assert embedder.asked == [DEV.source, DEV.target]


def test_bucc_uses_a_text_that_stands_twice_once_and_by_its_first_id() -> None:
    twice = comparable(
        ["eins", "zwei", "eins", "drei", "weit"], ["three", "one", "far", "one", "two"], [(0, 1), (1, 4), (3, 0)]
    )
    embedder = Known()
    score = score_bucc(twice, twice, embedder)
    assert embedder.asked == [("eins", "zwei", "drei", "weit"), ("three", "one", "far", "two")]
    assert sorted(score.predictions) == ["de-0\ten-1", "de-1\ten-4", "de-3\ten-0"]
    assert score.values["f1"] == 1.0


def test_bucc_without_gold_says_what_to_do() -> None:
    with pytest.raises(UserError, match=r"needs gold pairs.*dist-stilts mine"):
        score_bucc(comparable(["eins"], ["one"], None), DEV, Known())


def test_first_occurrences_are_in_file_order() -> None:
    assert first_occurrences(("b", "a", "b", "c", "a")).tolist() == [0, 1, 3]


@pytest.fixture
def embed(tiny_encoder: Any, tokenizer: Any) -> Any:
    def make(batch_size: int = 2, layer: int | None = None, centre: bool = False) -> Embedder:
        vocabulary, model = Vocabulary.of(tokenizer), MultiTaskModel(tiny_encoder, [])
        return Embedder(model, tokenizer, vocabulary, current(), batch_size, 64, layer, centre)

    return make


TEXTS = ("the cat lifted the lamp", "cat", "the hot sailor", "cat", "a lamp never lifted the cows .")


def test_embeddings_have_length_one_and_do_not_depend_on_the_batch(embed: Any) -> None:
    small, large = (embed(batch_size=size)(TEXTS).vectors for size in (1, 100))
    torch.testing.assert_close(small, large)
    torch.testing.assert_close(large.norm(dim=-1), torch.ones(5))
    torch.testing.assert_close(large[1], large[3])


def test_layers_differ(embed: Any) -> None:
    assert not torch.allclose(embed(layer=1)(TEXTS).vectors, embed(layer=2)(TEXTS).vectors)
    torch.testing.assert_close(embed(layer=2)(TEXTS).vectors, embed()(TEXTS).vectors)


def test_centring_leaves_the_health_of_the_encoder_as_it_is(embed: Any) -> None:
    plain, centred = embed()(TEXTS), embed(centre=True)(TEXTS)
    assert centred.mean_cosine == plain.mean_cosine
    cosines = plain.vectors @ plain.vectors.T
    assert plain.mean_cosine == pytest.approx(float((cosines.sum() - 5) / 20), abs=1e-5)
    assert not torch.allclose(plain.vectors, centred.vectors)


def test_a_layer_that_the_encoder_does_not_have_is_refused(embed: Any) -> None:
    with pytest.raises(UserError, match="layer"):
        embed(layer=14)(TEXTS)
