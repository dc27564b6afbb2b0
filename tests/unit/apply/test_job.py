"""Anybody's model on anybody's files: what transformers and evaluation say of the same rows, in order, and resumed."""

from __future__ import annotations

import contextlib
import csv
import json
import os
import signal
from collections.abc import Callable
from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from models_made import features_of, save_checkpoint
from rot import flip_bit

from dist_stilts.apply.job import Request, predict_files
from dist_stilts.apply.predictions import Wish
from dist_stilts.errors import UserError
from dist_stilts.evaluate.predict import predict
from dist_stilts.families.encoding import QaLengths
from dist_stilts.model.fine_tuned import load_model, open_model
from dist_stilts.parallel import preemption
from dist_stilts.parallel.world import ALONE
from dist_stilts.tasks.sources import load_rows, task

LABELS = {
    "sequence": ("contradiction", "entailment", "neutral"),
    "multilabel": ("a", "b"),
    "token": ("O", "B-X", "I-X"),
}
Predicted = Callable[..., list[dict[str, Any]]]


@pytest.fixture(scope="session")
def checkpoint(tiny_config: dict[str, Any], tokenizer: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """``checkpoint(family)``: the folder of a model of that kind, as transformers writes it."""

    @cache
    def make(family: str) -> str:
        folder = tmp_path_factory.mktemp(family)
        return str(save_checkpoint(folder, family, tiny_config, tokenizer, LABELS.get(family, ())))

    return make


@pytest.fixture
def predicted(checkpoint: Any, tmp_path: Path) -> Predicted:
    """``predicted(family, rows)``: what is written for rows that are given as JSON lines."""

    def run(family: str, rows: list[dict[str, Any]], out: str = "out.jsonl", **how: Any) -> Any:
        path = tmp_path / "in.jsonl"
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
        said: list[str] = how.pop("said", [])
        predict_files(request(checkpoint(family), [path], tmp_path / out, **how), ALONE, said.append)
        if out.endswith(".jsonl"):
            return [json.loads(line) for line in (tmp_path / out).read_text(encoding="utf-8").splitlines()]
        return tmp_path / out

    return run


def request(model: str, inputs: list[Path], out: Path | str, **how: Any) -> Request:
    return Request(model, list(map(str, inputs)), str(out), partial(open_model, model), **how)


@pytest.fixture(scope="session")
def pairs(world: Path) -> list[dict[str, Any]]:
    """English rows with their gold."""
    rows = load_rows(task("mnli", world), world, "train", "en")[:150]
    return [{"premise": row.text_a, "hypothesis": row.text_b, "label": row.label} for row in rows]


def test_pairs_get_what_the_pipeline_of_transformers_says(predicted: Predicted, checkpoint: Any, pairs: Any) -> None:
    from transformers import pipeline

    said: list[str] = []
    found = predicted("sequence", pairs, said=said)
    theirs = pipeline("text-classification", model=checkpoint("sequence"), device="cpu")
    texts = [{"text": pair["premise"], "text_pair": pair["hypothesis"]} for pair in pairs]
    assert len({row["predicted_label"] for row in found}) > 1
    for pair, row, scores in zip(pairs, found, theirs(texts, top_k=None), strict=True):
        assert {name: row[name] for name in pair} == pair, "columns of the input are as they were"
        assert row["predicted_label"] == scores[0]["label"]
        assert row["probabilities"] == pytest.approx({one["label"]: one["score"] for one in scores}, abs=1e-5)
    assert said[:2] == [
        "reading 'premise' as text_a, 'hypothesis' as text_b",
        "the input has a column 'label': ours is 'predicted_label'",
    ]


def test_single_texts_several_labels_and_numbers_are_those_of_transformers(
    predicted: Predicted, checkpoint: Any, pairs: Any
) -> None:
    from transformers import pipeline

    texts = [pair["premise"] for pair in pairs[:40]]
    rows = [{"text": text} for text in texts]
    several = pipeline("text-classification", model=checkpoint("multilabel"), device="cpu")(texts, top_k=None)
    for row, scores in zip(predicted("multilabel", rows, "several.jsonl"), several, strict=True):
        assert row["probabilities"] == pytest.approx({one["label"]: one["score"] for one in scores}, abs=1e-5)
        assert set(row["labels"]) == {one["label"] for one in scores if one["score"] >= 0.5}
    numbers = pipeline("text-classification", model=checkpoint("regression"), device="cpu")(
        texts, function_to_apply="none"
    )
    for row, score in zip(predicted("regression", rows, "numbers.jsonl"), numbers, strict=True):
        assert row["value"] == pytest.approx(score["score"], abs=1e-5)


@pytest.mark.parametrize(("name", "family"), [("mnli", "sequence"), ("panx", "token")])
def test_predictions_are_those_of_evaluation(
    name: str, family: str, world: Path, checkpoint: Any, predicted: Predicted, tokenizer: Any
) -> None:
    spec = task(name, world)
    rows = load_rows(spec, world, "train", "en")[:60]
    found = open_model(checkpoint(family))
    features = features_of(spec, rows, tokenizer, 20)
    model = _Named(found)
    expected = [found.labels[number] for number in predict(model, spec, features, ALONE, 7)]
    if family == "sequence":
        made = predicted(family, [{"text_a": row.text_a, "text_b": row.text_b} for row in rows], max_length=20)
        assert [row["label"] for row in made] == expected
    else:
        made = predicted(family, [{"words": row.words, "tags": row.tags} for row in rows], max_length=20)
        assert [tag for row in made for tag in row["predicted_tags"]] == expected
        assert [len(row["predicted_tags"]) for row in made] == [len(row.words) for row in rows]
    assert len(set(expected)) > 1


class _Named:
    """A model under whichever name a task has for its head."""

    def __init__(self, found: Any) -> None:
        self.found, self.eval = found, found.model.eval

    def logits(self, _: str, batch: Any) -> Any:
        return self.found.model.logits(self.found.head, batch)


def test_answers_have_their_place_in_contexts_of_any_length(predicted: Predicted, world: Path) -> None:
    rows = load_rows(task("xquad", world), world, "test", "en")[:12]
    questions = [{"question": row.question, "context": " ".join([row.context] * 8)} for row in rows]
    made = predicted("span", questions, max_length=100, stride=10, wish=Wish(top=3))
    for question, row in zip(questions, made, strict=True):
        assert len(row["answers"]) == 3
        assert row["answers"][0] == {name: row[name] for name in ("answer", "score", "start", "end")}
        assert [answer["score"] for answer in row["answers"]] == sorted(
            (a["score"] for a in row["answers"]), reverse=True
        )
        assert all(question["context"][one["start"] : one["end"]] == one["answer"] for one in row["answers"])
    empty = predicted("span", [{"question": "who", "context": ""}], "empty.jsonl", wish=Wish(no_answer=True))
    assert (empty[0]["answer"], empty[0]["start"]) == ("", None)


def test_choices_of_different_number_are_scored_as_transformers_does(
    predicted: Predicted, checkpoint: Any, tokenizer: Any, pairs: Any
) -> None:
    from transformers import AutoModelForMultipleChoice

    texts = [pair["hypothesis"] for pair in pairs]
    rows = [{"prompt": texts[n], "choices": texts[n + 1 : n + 3 + n % 3]} for n in range(0, 60, 5)]
    theirs = AutoModelForMultipleChoice.from_pretrained(checkpoint("choice")).eval()
    for row, made in zip(rows, predicted("choice", rows), strict=True):
        count = len(row["choices"])
        inputs = tokenizer([row["prompt"]] * count, row["choices"], padding=True, return_tensors="pt")
        with torch.no_grad():
            expected = theirs(**{name: values[None] for name, values in inputs.items()}).logits[0].softmax(-1)
        assert made["probabilities"] == pytest.approx(expected.tolist(), abs=1e-5)
        assert made["choice_text"] == row["choices"][int(expected.argmax())]


def test_texts_that_are_empty_or_far_too_long_are_predicted_and_counted(predicted: Predicted, tmp_path: Path) -> None:
    said: list[str] = []
    long = " ".join(["w"] * 50_000)
    rows = predicted("sequence", [{"text": ""}, {"text": long}, {"text": "a"}], said=said)
    assert [len(row["text"]) for row in rows] == [0, len(long), 1]
    assert "1 rows have no text; they are predicted, for what it is worth" in said
    assert json.loads((tmp_path / "out.jsonl.json").read_text(encoding="utf-8"))["cut"] == 1
    tagged = predicted("token", [{"text": ""}, {"text": long}, {"text": "a b"}], "tags.jsonl")
    assert [len(row["tags"]) for row in tagged] == [0, 50_000, 2]
    assert tagged[2]["words"] == ["a", "b"]


def test_tables_hold_the_same_as_json_lines(predicted: Predicted, pairs: Any) -> None:
    lines = predicted("sequence", pairs)
    with predicted("sequence", pairs, "out.csv").open(encoding="utf-8", newline="") as file:  # type: ignore[attr-defined]
        cells = list(csv.DictReader(file))
    read = [{**row, "probability": float(row["probability"])} for row in cells]
    assert [{**row, "probabilities": json.loads(row["probabilities"])} for row in read] == lines
    assert pq.read_table(predicted("sequence", pairs, "out.parquet")).to_pylist() == lines  # type: ignore[arg-type]


def test_batches_of_any_size_give_the_same_up_to_rounding(predicted: Predicted, pairs: Any) -> None:
    usual = predicted("sequence", pairs)
    for number, how in enumerate(({"batch_tokens": 30}, {"batch_size": 3})):
        other = predicted("sequence", pairs, f"{number}.jsonl", **how)
        np.testing.assert_allclose(*[[row["probability"] for row in rows] for rows in (usual, other)], atol=1e-5)


def test_what_was_stopped_goes_on_and_ends_with_the_same_bytes(checkpoint: Any, pairs: Any, tmp_path: Path) -> None:
    (tmp_path / "in.csv").write_text("text\n" + "".join(f"{pair['premise']}\n" for pair in pairs * 9), encoding="utf-8")
    files = [tmp_path / "in.csv", tmp_path / "in.csv"]
    predict_files(request(checkpoint("sequence"), files, tmp_path / "whole.csv"), ALONE, lambda _: None)
    stopped, said = request(checkpoint("sequence"), files, tmp_path / "out.csv"), list[str]()

    def stop(_: str, done: int, total: int) -> None:
        if done > total / 2:
            os.kill(os.getpid(), signal.SIGTERM)

    with pytest.raises(preemption.Preempted), preemption.listening():
        predict_files(stopped, ALONE, said.append, stop)
    assert not (tmp_path / "out.csv").exists()
    record = predict_files(stopped, ALONE, said.append)
    assert "going on after 1024 of 2700 rows" in said
    assert (record["rows"], record["predicted_now"]) == (2700, 2700 - 1024)
    assert (tmp_path / "out.csv").read_bytes() == (tmp_path / "whole.csv").read_bytes()
    assert [path.name for path in tmp_path.glob(".out*")] == []
    assert predict_files(stopped, ALONE, said.append)["made"] is False


@pytest.mark.parametrize("file", ["rows", "state.json", "out.csv"])
def test_rotten_predictions_are_made_again_and_finished_ones_refused(
    file: str, checkpoint: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "in.csv").write_text("text\n" + "".join(f"text {n}\n" for n in range(1500)), encoding="utf-8")
    wanted = request(checkpoint("sequence"), [tmp_path / "in.csv"], tmp_path / "out.csv")

    def stop(what: str, done: int, total: int) -> None:
        if what == "predicting" and done > total / 2 and file != "out.csv":
            os.kill(os.getpid(), signal.SIGTERM)

    with contextlib.suppress(preemption.Preempted), preemption.listening():
        predict_files(wanted, ALONE, lambda _: None, stop)
    if file == "out.csv":
        flip_bit(tmp_path / file)
        with pytest.raises(UserError, match=r"out\.csv: is no longer what was written\. Name another with --out"):
            predict_files(wanted, ALONE, lambda _: None)
        return
    damaged = tmp_path / ".out.csv.partial" / file
    flip_bit(damaged)
    record = predict_files(wanted, ALONE, lambda _: None)
    assert [record["rows"], record["predicted_now"]] == [1500, 1500]
    assert len((tmp_path / "out.csv").read_text(encoding="utf-8").splitlines()) == 1501
    assert [
        str(damaged) in line.getMessage() and "predicted again" in line.getMessage() for line in caplog.records
    ] in ([True], [])


def test_other_inputs_or_another_model_are_not_mixed_with_what_is_there(
    checkpoint: Any, tiny_config: Any, tokenizer: Any, tmp_path: Path
) -> None:
    path, out = tmp_path / "in.txt", tmp_path / "out.jsonl"
    path.write_text("a\nb\n", encoding="utf-8")
    out.write_text("mine", encoding="utf-8")
    out.with_name("out.jsonl.json").write_text("[]", encoding="utf-8")  # somebody's
    with pytest.raises(UserError, match="there is a file already"):
        predict_files(request(checkpoint("sequence"), [path], out), ALONE, lambda _: None)
    out.unlink()
    with pytest.raises(UserError, match=r"out.jsonl.json: is no record of predictions"):
        predict_files(request(checkpoint("sequence"), [path], out), ALONE, lambda _: None)
    out.with_name("out.jsonl.json").unlink()
    predict_files(request(checkpoint("sequence"), [path], out), ALONE, lambda _: None)
    other = str(save_checkpoint(tmp_path / "other", "sequence", tiny_config, tokenizer, LABELS["sequence"], spread=0.3))
    with pytest.raises(UserError, match=r"out.jsonl: holds other predictions \(model: "):
        predict_files(request(other, [path], out), ALONE, lambda _: None)
    path.write_text("a\nc\n", encoding="utf-8")
    with pytest.raises(UserError, match=r"holds other predictions \(content of input 1: .*--overwrite"):
        predict_files(request(checkpoint("sequence"), [path], out), ALONE, lambda _: None)
    predict_files(request(checkpoint("sequence"), [path], out, overwrite=True), ALONE, lambda _: None)
    assert [json.loads(line)["text"] for line in out.read_text(encoding="utf-8").splitlines()] == ["a", "c"]


def test_a_beginning_that_was_overwritten_is_not_gone_on_with(checkpoint: Any, tmp_path: Path) -> None:
    """Else its rows would be those that are no more: zero bytes."""
    path, out = tmp_path / "in.txt", tmp_path / "out.jsonl"
    path.write_text("".join(f"text {number}\n" for number in range(1500)), encoding="utf-8")

    def stopped_after(share: float, **how: Any) -> None:
        def stop(what: str, done: int, total: int) -> None:
            if what == "predicting" and done >= share * total:
                os.kill(os.getpid(), signal.SIGTERM)

        with pytest.raises(preemption.Preempted), preemption.listening():
            predict_files(request(checkpoint("sequence"), [path], out, **how), ALONE, lambda _: None, stop)

    stopped_after(0.5)
    stopped_after(0, batch_size=7, overwrite=True)
    record = predict_files(request(checkpoint("sequence"), [path], out), ALONE, lambda _: None)
    assert record["predicted_now"] == 1500
    lines = out.read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["text"] for line in lines] == path.read_text(encoding="utf-8").splitlines()


def test_a_model_of_several_numbers_gives_them_by_name(
    checkpoint: Any, tiny_config: Any, tokenizer: Any, tmp_path: Path
) -> None:
    import transformers
    from transformers import AutoConfig

    config = AutoConfig.from_pretrained(checkpoint("regression"), num_labels=3, problem_type="regression")
    transformers.AutoModelForSequenceClassification.from_config(config).save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    (tmp_path / "in.txt").write_text("a\nb\n", encoding="utf-8")
    predict_files(request(str(tmp_path), [tmp_path / "in.txt"], tmp_path / "out.parquet"), ALONE, lambda _: None)
    values = pq.read_table(tmp_path / "out.parquet")["value"].to_pylist()
    assert [list(value) for value in values] == 2 * [["LABEL_0", "LABEL_1", "LABEL_2"]]
    spec = replace(task("mnli", None), name="number", family="regression", labels=())
    with pytest.raises(UserError, match=r"gives 3 numbers \(LABEL_0, LABEL_1, LABEL_2\), and number has one"):
        load_model(str(tmp_path), [spec])


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ({"max_length": 500}, "--max-length: the encoder reads 128 tokens at most"),
        ({"out": "in.jsonl", "inputs": ["in.jsonl"]}, "in.jsonl: is an input"),
        ({"out": "in.jsonl", "inputs": ["in.jsonl.json"]}, "in.jsonl.json: is an input"),
        ({"out": "out.xlsx"}, "does not say what to write"),
        ({"columns": ["words=text"]}, "unknown field 'words'"),
    ],
)
def test_requests_that_cannot_be_met_are_refused(
    how: dict[str, Any], said: str, checkpoint: Any, tmp_path: Path
) -> None:
    how, names = dict(how), ("in.txt", "in.jsonl", "in.jsonl.json")
    for name in names:
        (tmp_path / name).write_text("{}\n", encoding="utf-8")
    inputs = [tmp_path / name for name in how.pop("inputs", ["in.txt"])]
    out = tmp_path / how.pop("out", "out.jsonl")
    with pytest.raises(UserError, match=said):
        predict_files(request(checkpoint("sequence"), inputs, out, **how), ALONE, lambda _: None)


def test_a_tokenizer_of_another_model_is_refused(tiny_config: Any, tokenizer: Any, tmp_path: Path) -> None:
    model = save_checkpoint(tmp_path, "sequence", {**tiny_config, "vocab_size": 5}, tokenizer, LABELS["sequence"])
    (tmp_path / "in.txt").write_text("abc\n", encoding="utf-8")
    with pytest.raises(UserError, match=r"the tokenizer gives token \d+, and the encoder has 5 embeddings"):
        predict_files(request(str(model), [tmp_path / "in.txt"], tmp_path / "out.csv"), ALONE, lambda _: None)


def test_windows_need_room_beside_the_question(checkpoint: Any, tmp_path: Path) -> None:
    assert QaLengths().max_question == 64
    (tmp_path / "in.jsonl").write_text('{"question": "a", "context": "b"}\n', encoding="utf-8")
    with pytest.raises(UserError, match="--max-length: windows need room beside questions of 64 tokens"):
        predict_files(
            request(checkpoint("span"), [tmp_path / "in.jsonl"], tmp_path / "out.jsonl", max_length=70), ALONE, print
        )
