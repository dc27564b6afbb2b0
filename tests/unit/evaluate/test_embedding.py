from __future__ import annotations

import copy
import itertools
import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from models_made import export_model
from rot import flip_bit
from tokenizers import processors

from dist_stilts.errors import UserError
from dist_stilts.evaluate import embedding, embedding_files
from dist_stilts.evaluate.embedding import Embedder, Reading, cut, dealt, special_tokens_around
from dist_stilts.model.multitask import MultiTaskModel
from dist_stilts.once import hold
from dist_stilts.parallel.world import current

TEXTS = (
    "the cat lifted the lamp",
    "cat",
    "",
    "the hot sailor",
    "cat",
    "a lamp never lifted the cows .",
    "the " * 12,
    "the lamp",
    "sailor " * 30,
    "a hot lamp lifted a cat",
)
Make = Callable[..., Embedder]


@pytest.fixture
def model(tiny_encoder: Any) -> MultiTaskModel:
    return MultiTaskModel(tiny_encoder, [])


@pytest.fixture
def passes(model: MultiTaskModel) -> list[int]:
    """The number of texts in every forward pass."""
    seen: list[int] = []
    model.encoder.register_forward_pre_hook(
        lambda _, args, kwargs: seen.append(len(kwargs["packed"].lengths)), with_kwargs=True
    )
    return seen


@pytest.fixture
def make(model: MultiTaskModel, tokenizer: Any, tmp_path: Path) -> Make:
    def make_embedder(*layers: int, pooling: str = "mean", special_tokens: bool = True, **other: Any) -> Embedder:
        reading = Reading(layers or (2,), pooling, special_tokens)
        settings = {"max_length": 64, "cache": tmp_path, "batch_tokens": 40, "model_id": "m", **other}
        return Embedder(model=model, tokenizer=tokenizer, world=current(), reading=reading, **settings)

    return make_embedder


def by_hand(model: MultiTaskModel, tokenizer: Any, texts: Sequence[str], layer: int, inner: bool = False) -> np.ndarray:
    """Text by text, without padding; ``inner`` leaves out the special tokens at both ends."""
    rows = []
    for text in texts:
        with torch.no_grad():
            ids = torch.tensor([tokenizer(text)["input_ids"]])
            states = model.encoder(ids, output_hidden_states=True).hidden_states[layer][0]
        rows.append((states[1:-1] if inner else states).mean(0))
    return torch.nn.functional.normalize(torch.stack(rows)).numpy()


@pytest.mark.parametrize("batch_tokens", [1, 40, 100_000])
def test_rows_are_unit_means_in_the_order_of_the_texts_whatever_the_batches(
    make: Make, model: MultiTaskModel, tokenizer: Any, batch_tokens: int
) -> None:
    (found,) = make(batch_tokens=batch_tokens)(TEXTS)
    assert isinstance(found, np.memmap)
    assert not found.flags.writeable
    assert (found.dtype, found.shape) == (np.float32, (len(TEXTS), 16))
    np.testing.assert_allclose(found, by_hand(model, tokenizer, TEXTS, 2), atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, atol=1e-6)


def test_special_tokens_are_left_out_where_asked_but_not_unknown_words(
    make: Make, model: MultiTaskModel, tokenizer: Any
) -> None:
    assert tokenizer.unk_token_id in tokenizer("\u2603 cat")["input_ids"][1:-1]
    texts = [*(text for text in TEXTS if text), "\u2603 cat"]
    found, empty = np.split(make(special_tokens=False)([*texts, ""])[0], [len(texts)])
    np.testing.assert_allclose(found, by_hand(model, tokenizer, texts, 2, inner=True), atol=1e-5)
    assert np.abs(found - by_hand(model, tokenizer, texts, 2)).max() > 0.01
    assert not empty.any(), "a text without a token of its own is zero, not nan"


def test_no_zero_is_negative(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """A sum over ranks would make it positive, and the bits would differ from those of one rank."""
    states = torch.tensor([-0.0, 1.0]).repeat(1, 8)
    monkeypatch.setattr(embedding, "hidden_states", lambda _, batch, __: [states.repeat(len(batch["input_ids"]), 1)])
    (found,) = make(pooling="cls")(["cat"])
    assert (found == 0).sum() == 8
    assert not np.signbit(found).any()


def test_special_tokens_are_those_that_the_tokenizer_adds(bert_tokenizer: Any, tokenizer: Any) -> None:
    bare = copy.deepcopy(bert_tokenizer)
    bare.backend_tokenizer.post_processor = processors.TemplateProcessing(single="$A", special_tokens=[])
    assert [special_tokens_around(some) for some in (bert_tokenizer, tokenizer, bare)] == [(1, 1), (1, 1), (0, 0)]


def test_cls_is_the_first_token(make: Make, model: MultiTaskModel, tokenizer: Any) -> None:
    (found,) = make(pooling="cls")(TEXTS[:1])
    with torch.no_grad():
        first = model.encoder(torch.tensor([tokenizer(TEXTS[0])["input_ids"]])).last_hidden_state[:, 0]
    np.testing.assert_allclose(found, torch.nn.functional.normalize(first), atol=1e-5)


def test_all_layers_of_one_pass_are_those_of_single_passes(make: Make, passes: list[int], tmp_path: Path) -> None:
    together = make(2, 0, 1)(TEXTS)
    once = len(passes)
    alone = [make(layer, cache=tmp_path / "other")(TEXTS)[0] for layer in (2, 0, 1)]
    assert len(passes) == 4 * once
    for one, other in zip(together, alone, strict=True):
        np.testing.assert_array_equal(one, other)
    assert len({vectors.tobytes() for vectors in together}) == 3


def test_what_is_cached_is_not_computed_again_and_only_missing_layers_are(make: Make, passes: list[int]) -> None:
    (first,) = make(1)(TEXTS)
    done, written = len(passes), Path(first.filename).stat().st_mtime_ns  # type: ignore[attr-defined]
    (again,) = make(1)(list(TEXTS))
    assert len(passes) == done > 0
    np.testing.assert_array_equal(first, again)
    both = make(1, 2)(TEXTS)
    assert len(passes) > done
    assert Path(both[0].filename).stat().st_mtime_ns == written  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("change", "texts"),
    [
        *(({key: value}, TEXTS) for key, value in (("model_id", "other"), ("pooling", "cls"), ("max_length", 10))),
        ({"special_tokens": False}, TEXTS),
        *(
            ({}, other)
            for other in (TEXTS[:-1], (*TEXTS[1:], TEXTS[0]), ("the cat lifted the lampcat", "", *TEXTS[2:]))
        ),
        ({"dtype": torch.bfloat16}, TEXTS),
    ],
)
def test_another_request_or_model_and_other_texts_are_computed(
    make: Make, passes: list[int], model: MultiTaskModel, change: dict[str, Any], texts: tuple[str, ...]
) -> None:
    make()(TEXTS)
    done = len(passes)
    model.to(change.pop("dtype", torch.float32))
    (found,) = make(**change)(texts)
    assert len(passes) > done
    assert (len(found), found.dtype) == (len(texts), np.float32)


@pytest.mark.parametrize("damage", ["short", "no record", "broken record"])
def test_a_damaged_file_is_noticed_and_made_again(make: Make, passes: list[int], damage: str) -> None:
    (vectors,) = make()(TEXTS)
    whole, file = np.array(vectors), Path(vectors.filename)  # type: ignore[attr-defined]
    if damage == "short":
        file.write_bytes(file.read_bytes()[:-1])
    elif damage == "no record":
        file.with_suffix(".json").unlink()
    else:
        file.with_suffix(".json").write_text('{"done": ', encoding="utf-8")
    done = len(passes)
    np.testing.assert_array_equal(make()(TEXTS)[0], whole)
    assert len(passes) == 2 * done


class Killed(Exception):
    """Stands for the end of the process."""


MOMENTS: dict[str, tuple[Any, str, int]] = {
    "between parts": (embedding_files.EmbeddingFiles, "append", 3),
    "while a part is written": (os, "fsync", 3),  # file, record, file
    "before the part is noted": (embedding_files, "write_text", 2),
}


@pytest.mark.parametrize("when", MOMENTS)
def test_a_killed_job_goes_on_after_the_last_whole_part(
    make: Make, passes: list[int], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, when: str
) -> None:
    monkeypatch.setattr(embedding, "PART_TEXTS", 3)
    expected = np.array(make(cache=tmp_path / "uninterrupted")(TEXTS)[0])
    whole, before = sum(passes), sorted(path.name for path in tmp_path.iterdir())
    die_at_second(monkeypatch, when)
    with pytest.raises(Killed):
        make()(TEXTS)
    assert not list((tmp_path).glob("[0-9a-f]*/layer-*.npy"))
    monkeypatch.undo()
    monkeypatch.setattr(embedding, "PART_TEXTS", 3)
    passes.clear()
    (found,) = make()(TEXTS)
    assert found.tobytes() == expected.tobytes()
    assert sum(passes) == whole - 3 * (2 if when == "between parts" else 1)
    assert len(list(tmp_path.iterdir())) == len(before) + 1


@pytest.mark.parametrize("share", [0.0, 0.06, 0.2, 0.5, 0.999])
@pytest.mark.parametrize("killed", [True, False], ids=["unfinished", "finished"])
def test_rotten_embeddings_are_computed_again_from_there_on_with_one_line(
    make: Make, passes: list[int], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, share: float, killed: bool,
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    monkeypatch.setattr(embedding, "PART_TEXTS", 3)
    expected = np.array(make(cache=tmp_path / "uninterrupted")(TEXTS)[0])
    if killed:
        with monkeypatch.context() as patch:
            die_at_second(patch, "between parts")
            with pytest.raises(Killed):
                make(cache=tmp_path / "rotten")(TEXTS)
    else:
        make(cache=tmp_path / "rotten")(TEXTS)
    [file] = tmp_path.glob("rotten/*/*.npy*") if not killed else tmp_path.glob("rotten/*/.*.npy.partial")
    os.utime(file, (0, 0))
    flip_bit(file, share)
    passes.clear()
    (found,) = make(cache=tmp_path / "rotten")(TEXTS)
    assert found.tobytes() == expected.tobytes()
    good = 3 if killed and share > 0.9 else 0  # the first part
    assert sum(passes) == len(TEXTS) - good
    assert [f"{file} is damaged behind row" in record.getMessage() for record in caplog.records] == [True]


@pytest.mark.parametrize("change", [("truncated", 1), ("done", 9), ("parts", [])])
def test_a_record_of_embeddings_that_was_changed_is_not_believed(
    make: Make, passes: list[int], tmp_path: Path, change: tuple[str, Any]
) -> None:
    (found,) = make()(TEXTS)
    whole, record = sum(passes), Path(found.filename).with_suffix(".json")  # type: ignore[attr-defined]
    record.write_text(json.dumps(json.loads(record.read_text()) | dict([change])))
    make()(TEXTS)
    assert sum(passes) == 2 * whole
    assert make().truncated(TEXTS) == 0


def die_at_second(monkeypatch: pytest.MonkeyPatch, when: str) -> None:
    """Let the second part's writing fail at this point; `between parts` is after the second part."""
    owner, name, at = MOMENTS[when]
    real, calls = getattr(owner, name), itertools.count(1)

    def dying(*args: Any) -> Any:
        if next(calls) == at:
            raise Killed
        return real(*args)

    monkeypatch.setattr(owner, name, dying)


def test_layers_that_were_killed_apart_are_ended_together(
    make: Make, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(embedding, "PART_TEXTS", 3)
    expected = [np.array(vectors) for vectors in make(1, 2, cache=tmp_path / "uninterrupted")(TEXTS)]
    with monkeypatch.context() as patch:
        die_at_second(patch, "between parts")
        with pytest.raises(Killed):
            make(1)(TEXTS)
    for vectors, same in zip(make(1, 2)(TEXTS), expected, strict=True):
        assert vectors.tobytes() == same.tobytes()


def test_texts_that_do_not_fit_are_cut_and_counted_over_all_parts(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    def record(vectors: Any) -> dict[str, Any]:
        return dict(json.loads(Path(vectors.filename).with_suffix(".json").read_text()))

    texts = ["sailor " * 20_000, "cat", "sailor " * 40_000]
    (found,) = make()(texts)
    assert make().truncated(texts) == 2
    np.testing.assert_array_equal(found[0], found[2])
    assert {"truncated": 2, "done": 3, "texts": 3}.items() <= record(found).items()
    monkeypatch.setattr(embedding, "PART_TEXTS", 3)
    (found,) = make(max_length=5)(TEXTS)
    assert record(found)["truncated"] == make(max_length=5).truncated(TEXTS) == 5


def test_no_texts_are_no_rows(make: Make, passes: list[int], tmp_path: Path) -> None:
    assert [vectors.shape for vectors in make(0, 1)([])] == [(0, 16), (0, 16)]
    assert not passes
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("damage", [float("nan"), float("inf")])
def test_embeddings_that_are_no_numbers_are_refused_with_the_first_line(
    make: Make, model: MultiTaskModel, tokenizer: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, damage: float
) -> None:
    monkeypatch.setattr(embedding, "PART_TEXTS", 3)
    (word,) = tokenizer("sailor", add_special_tokens=False)["input_ids"][:1]
    texts = ["cat", "the cat", "cat", "the", "sailor", "sailor"]
    with torch.no_grad():
        model.encoder.get_input_embeddings().weight[word] = damage
    with pytest.raises(UserError, match=r"2 of 3 embeddings of corpus hold NaN.*first: number 5.*float32"):
        make()(texts, "corpus")
    assert not list(tmp_path.glob("*/layer-*.npy"))


@pytest.mark.parametrize(
    ("layer", "pooling", "said"),
    [
        (-1, "mean", r"no layer -1\. .*0 \(embeddings\) to 2"),
        (3, "mean", r"no layer 3\. .*0 \(embeddings\) to 2"),
        (2, "max", "unknown pooling 'max'"),
    ],
)
def test_a_layer_that_the_encoder_does_not_have_and_an_unknown_pooling_are_refused(
    make: Make, layer: int, pooling: str, said: str
) -> None:
    with pytest.raises(UserError, match=said):
        make(layer, pooling=pooling)(TEXTS)


def test_a_cache_that_cannot_be_read_is_one_clear_error(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedding, "WAIT_SECONDS", 0)
    monkeypatch.setattr(np, "load", lambda *_, **__: (_ for _ in ()).throw(FileNotFoundError()))
    with pytest.raises(UserError, match="file system that all hosts share"):
        make()(TEXTS)


def test_a_second_program_waits_for_the_first_and_uses_what_it_made(
    make: Make, passes: list[int], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    make()(TEXTS)
    (folder,) = (path for path in tmp_path.iterdir())
    made = {path: path.read_bytes() for path in folder.glob("layer-*")}
    for path in made:
        path.unlink()
    held = hold(folder / ".lock")
    assert held is not None

    def first_program_ends(_: float) -> None:
        for path, content in made.items():
            path.write_bytes(content)
        held.release()

    monkeypatch.setattr(embedding.time, "sleep", first_program_ends)
    said: list[str] = []
    passes.clear()
    make(progress=lambda what, *_: said.append(what))(TEXTS, "corpus")
    assert said == ["waiting for another program to encode corpus"]
    assert not passes


def test_progress_ends_at_the_number_of_texts(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedding, "PART_TEXTS", 4)
    said: list[tuple[str, int, int]] = []
    make(progress=lambda *what: said.append(what))(TEXTS, "corpus")
    assert {(what, total) for what, _, total in said} == {("encoding corpus", len(TEXTS))}
    done = [count for _, count, _ in said]
    assert done == sorted(set(done))
    assert done[-1] == len(TEXTS)


def test_dropout_is_off(make: Make, model: MultiTaskModel, tmp_path: Path) -> None:
    (quiet,) = make()(TEXTS)
    model.train()
    (found,) = make(cache=tmp_path / "other")(TEXTS)
    np.testing.assert_array_equal(found, quiet)


@pytest.mark.parametrize("packed", [True, False])
def test_batches_hold_every_text_once_longest_first_and_keep_to_their_bounds(packed: bool) -> None:
    lengths = np.random.default_rng(0).integers(2, 300, 500)
    batches = cut(lengths, 1000, packed)
    assert sorted(np.concatenate(batches)) == list(range(500))
    assert (np.diff(lengths[np.concatenate(batches)]) <= 0).all()
    for batch in batches:
        longest = lengths[batch].max()
        places = lengths[batch].sum() if packed else len(batch) * longest
        assert len(batch) == 1 or places <= 1000
        assert packed or lengths[batch].min() >= embedding.LIKE_LENGTH * longest
    assert len(batches) < 1.2 * lengths.sum() / 1000 + (0 if packed else 20)
    alone = cut(np.array([5, 50, 5, 50]), 20, packed)
    assert [batch.tolist() for batch in alone] == [[1], [3], [0, 2]], "a text longer than a batch is one by itself"


@pytest.mark.parametrize("ranks", [1, 2, 3, 7])
def test_ranks_get_like_shares_of_the_work(ranks: int) -> None:
    costs = np.random.default_rng(0).integers(100, 4000, 60).tolist()
    shares = dealt(costs, ranks)
    assert sorted(number for share in shares for number in share) == list(range(60))
    loads = [sum(costs[number] for number in share) for share in shares]
    assert max(loads) - min(loads) <= min(costs) + 100


def test_vectors_are_those_of_sentence_transformers(
    make: Make, model: MultiTaskModel, tokenizer: Any, tmp_path: Path
) -> None:
    peer = pytest.importorskip("sentence_transformers")
    export_model(tmp_path / "model", model.encoder, tokenizer)
    theirs = peer.SentenceTransformer(str(tmp_path / "model"), device="cpu").encode(
        list(TEXTS), normalize_embeddings=True
    )
    np.testing.assert_allclose(make()(TEXTS)[0], theirs, atol=1e-5)
