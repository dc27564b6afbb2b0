from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from models_made import export_model, features_of
from task_files import write

from dist_stilts.errors import UserError
from dist_stilts.evaluate import suite
from dist_stilts.evaluate.conditions import training_of
from dist_stilts.evaluate.retrieval import RetrievalConfig
from dist_stilts.evaluate.submission import score_folder
from dist_stilts.evaluate.suite import (
    EvalTask,
    EvaluationConfig,
    Job,
    Unit,
    evaluate,
    refuse_trained_rows,
    units,
)
from dist_stilts.families.features import Features
from dist_stilts.families.kinds import family_of
from dist_stilts.families.score import Score
from dist_stilts.layout import layer_folder
from dist_stilts.model.encoder import new_encoder
from dist_stilts.model.provenance import PROVENANCE, Provenance, weights_digest
from dist_stilts.parallel.world import current
from dist_stilts.results.lines import to_line
from dist_stilts.results.record import Training
from dist_stilts.tasks.own_pairs import pair_spec
from dist_stilts.tasks.registry import get_task, register
from dist_stilts.tasks.spec import PairRow, TaggedRow, TaskSpec

XNLI, UDPOS = get_task("xnli"), get_task("udpos")
TRAINING = Training(
    run="xnli@mnli-n300",
    run_id="0123456789ab",
    train_tasks=("xnli",),
    train_size=30,
    intermediate="mnli",
    intermediate_size=300,
    seed=3,
)
VERSIONS = {"torch": torch.__version__}


def pairs(labels: list[str | None]) -> list[PairRow]:
    return [PairRow(str(row), str(row), "the cat", "a lamp", label) for row, label in enumerate(labels)]


def scored(spec: TaskSpec, features: Features, predicted: Any) -> Score:
    return family_of(spec).score(spec, "en", features, np.array(predicted), list)


def test_a_classifier_is_scored_by_accuracy_writes_class_names_and_is_labelled_where_it_is_stuck(
    tokenizer: Any,
) -> None:
    features = features_of(XNLI, pairs([XNLI.labels[label] for label in (0, 1, 2, 0)]), tokenizer)
    score = scored(XNLI, features, [0, 1, 0, 0])
    assert score.values == {"accuracy": 0.75}
    assert score.predictions == [XNLI.labels[label] for label in (0, 1, 0, 0)]
    assert (score.count, score.degenerate) == (4, None)
    features = features_of(XNLI, pairs([XNLI.labels[row % 3] for row in range(30)]), tokenizer)
    assert "class 1 of 3" in str(scored(XNLI, features, [1] * 30).degenerate)
    features = features_of(XNLI, pairs([XNLI.labels[0], None]), tokenizer)
    with pytest.raises(UserError, match="2 predictions but 1 gold labels"):
        scored(XNLI, features, [0, 1])


SENTENCES = [
    TaggedRow(
        "0", "0",
        ("the", "cat", "lifted", "the", "lamp", "and", "the", "hot", "cat"),
        ("DET", "NOUN", "VERB", "DET", "NOUN", "CCONJ", "DET", "ADJ", "NOUN"),
    ),
    TaggedRow("1", "1", ("cat",), ("NOUN",)),
    TaggedRow("2", "2", ("hot", "lamp", "the"), ("ADJ", "NOUN", "DET")),
]  # fmt: skip


@pytest.mark.parametrize("max_length", [64, 5])
def test_tags_are_scored_by_sentence_however_these_were_cut(tokenizer: Any, max_length: int) -> None:
    features = features_of(UDPOS, SENTENCES, tokenizer, max_length)
    assert len(features) == 3 if max_length == 64 else len(features) > 3
    gold = [tag for sentence in SENTENCES for tag in sentence.tags]
    predicted = ["VERB" if place in (0, 12) else tag for place, tag in enumerate(gold)]
    score = scored(UDPOS, features, [UDPOS.labels.index(tag) for tag in predicted])
    assert score.count == 13
    assert score.values["accuracy"] == pytest.approx(11 / 13)
    # Spans over plain tags: neighbours of one tag would merge, and none do; 11 of 13 on both sides.
    assert score.values["f1"] == pytest.approx(11 / 13)
    assert score.predictions == [*predicted[:9], "", predicted[9], "", *predicted[10:]]


def trained(split: str, task: str = "xnli") -> Provenance:
    return Provenance("run", "id", "pretrained", "0" * 64, [{"phase": "a", "task": task, "split": split}])


@pytest.mark.parametrize(
    ("seen", "scored"),
    [("dev", "dev"), ("dev[:60%]", "dev"), ("dev", "dev[60%:]"), ("dev[:60%]", "dev[59%:]"), ("dev[40%:50%]", "dev")],
)
def test_rows_that_were_trained_on_are_scored_in_no_language(seen: str, scored: str) -> None:
    for language in ("en", "de"):
        with pytest.raises(UserError, match=r"xnli dev.* holds rows that phase 'a' trained on"):
            refuse_trained_rows(Unit(XNLI, scored, language), trained(seen))


@pytest.mark.parametrize(
    ("seen", "scored", "task"),
    [
        ("dev[:60%]", "dev[60%:]", "xnli"),
        ("dev[60%:]", "dev[:60%]", "xnli"),
        ("train", "test", "xnli"),
        ("dev", "dev", "udpos"),
        ("dev", "dev", "my_own_task"),  # which is no longer known
    ],
)
def test_rows_that_were_not_trained_on_may_be_scored(seen: str, scored: str, task: str) -> None:
    refuse_trained_rows(Unit(XNLI, scored, "de"), trained(seen, task))
    refuse_trained_rows(Unit(XNLI, scored, "de"), None)


@pytest.mark.parametrize(("seen", "scored"), [("anli_plus", "snli"), ("snli", "anli_plus")])
def test_rows_of_a_part_are_rows_of_the_whole(seen: str, scored: str) -> None:
    with pytest.raises(UserError, match="holds rows that phase 'a' trained on"):
        refuse_trained_rows(Unit(get_task(scored), "dev[:50%]", "en"), trained("dev[40%:60%]", seen))
    refuse_trained_rows(Unit(get_task(scored), "dev[:40%]", "en"), trained("dev[40%:60%]", seen))


@pytest.mark.parametrize("seen", ["dev", "dev[:60%]", "dev[60%:]"])
def test_the_slice_that_a_refusal_suggests_is_a_slice_that_is_allowed(seen: str) -> None:
    with pytest.raises(UserError) as error:
        refuse_trained_rows(Unit(XNLI, "dev", "de"), trained(seen))
    suggestions = re.findall(r"dev\[[\d%:]+\]", error.value.fix)
    assert bool(suggestions) == (seen != "dev")
    for suggested in suggestions:
        refuse_trained_rows(Unit(XNLI, suggested, "de"), trained(seen))


@pytest.fixture(scope="module")
def model(world: Path, tokenizer: Any, tiny_config: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random encoder with random heads that says it was trained on half of XNLI's English dev."""
    folder = tmp_path_factory.mktemp("model")
    seen = [{"phase": "half", "role": "target", "task": "xnli", "split": "dev[:50%]", "languages": ["en"]}]
    encoder = new_encoder(tiny_config, None, None, tokenizer, seed=0)
    export_model(folder, encoder, tokenizer, [XNLI, UDPOS], trained_on=seen)
    return folder


@pytest.fixture
def job(model: Path, world: Path, tmp_path: Path) -> Job:
    tasks = {
        "xnli": EvalTask(languages=["en", "qaa"]),
        "udpos": EvalTask(languages=["en", "qaa"]),
        "tatoeba": EvalTask(languages=["qaa"]),
        "bucc2018": EvalTask(languages=["qaa"]),
    }
    return Job(
        str(model),
        tasks,
        EvaluationConfig(batch_size=8, retrieval=RetrievalConfig(layer="1")),
        world,
        tmp_path / "prepared",
        64,
        tmp_path / "results.jsonl",
        tmp_path / "predictions",
        tmp_path / "embeddings",
        training=TRAINING,
        versions=VERSIONS,
    )


def only(job: Job, **tasks: EvalTask) -> Job:
    return dataclasses.replace(job, tasks=tasks)


def test_no_score_is_without_its_conditions(job: Job, world: Path) -> None:
    records = evaluate(job, current())
    assert [json.loads(line) for line in job.results.read_text().splitlines()] == [to_line(r) for r in records]
    for record in records:
        assert record.value is not None
        assert (record.model.origin, record.scoring.world_size, record.reading.dtype) == ("random", 1, "float32")
        assert (record.model.name, record.model.path) == ("random", job.model)
        assert (record.training, record.scoring.versions) == (TRAINING, VERSIONS)
        assert record.data_revision
        assert record.unit == ("threshold" if record.metric == "threshold" else "percent")
    by_key = {(r.task, r.language, r.metric): r for r in records}
    rows = len((world / "xnli" / "test-en.tsv").read_text().splitlines())
    words = sum(bool(line) for line in (world / "udpos" / "test-qaa.tsv").read_text().splitlines())
    assert by_key["xnli", "en", "accuracy"].count == rows
    assert by_key["udpos", "qaa", "f1"].count == words
    assert {(r.task, r.metric) for r in records} >= {
        ("xnli", "accuracy"), ("udpos", "f1"), ("udpos", "accuracy"), ("tatoeba", "accuracy"),
        ("bucc2018", "f1"), ("bucc2018", "precision"), ("bucc2018", "recall"), ("bucc2018", "threshold"),
    }  # fmt: skip
    assert {r.task: (r.reading.layer, r.reading.pooling) for r in records} == {
        "xnli": (None, ""), "udpos": (None, ""), "tatoeba": (1, "mean"), "bucc2018": (1, "mean"),
    }  # fmt: skip
    for record in (record for record in records if record.task == "bucc2018"):
        assert -1 <= record.health["source_mean_cosine"] <= 1
        assert record.health["target_effective_rank"] >= 1
        assert record.reading.mining == "ratio margin, k=4, max, duplicates: drop"


def test_a_model_that_no_run_speaks_for_is_told_by_its_provenance(job: Job) -> None:
    """What `evaluate` scores: the label of a model must not claim that it saw no intermediate task."""
    seen = [
        {"phase": phase, "role": role, "task": task, "split": "train", "examples": examples}
        for phase, role, task, examples in (
            ("start", "pretrain", "mlm", 9),
            *(("mix", "intermediate", task, 40) for task in ("mnli", "mlm")),
            *(("xnli", "target", task, 20) for task in ("xnli", "udpos")),
        )
    ]
    told = training_of(Provenance("xnli@mix", "id", "pretrained", "0" * 64, seen, degenerate="stuck"))
    assert (told.run, told.run_id, told.phase, told.role) == ("xnli@mix", "", "xnli", "target")
    assert (told.train_tasks, told.train_size) == (("xnli", "udpos"), 40)
    assert (told.intermediate, told.intermediate_phase, told.intermediate_size) == ("mnli,mlm", "mix", 40)
    records = evaluate(dataclasses.replace(only(job, tatoeba=job.tasks["tatoeba"]), training=None), current())
    assert {(record.training.run, record.training.run_id) for record in records} == {("random", "")}
    assert (training_of(None), told.collapsed) == (Training(), "stuck")


def test_scores_are_those_of_the_written_predictions(job: Job, world: Path) -> None:
    records = evaluate(job, current())
    scored = score_folder(job.predictions, world / "labels")["tasks"]
    checked = 0
    for record in records:
        official = scored[record.task]["languages"][record.language]
        if record.metric in official:
            assert record.value == pytest.approx(official[record.metric]), record
            checked += 1
    assert checked == 2 + 4 + 1 + 3  # average precision and threshold are not the scorer's


def test_what_is_scored_is_not_scored_again_and_only_the_missing_language_is_added(
    job: Job, world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = only(job, xnli=EvalTask(languages=["en"]), tatoeba=EvalTask(languages=["qaa"]))
    first = evaluate(small, current())
    written = small.results.read_bytes()
    with monkeypatch.context() as patch:
        patch.setattr(suite, "load_model", lambda *_: pytest.fail("the model was loaded again"))
        assert evaluate(small, current()) == first
    assert small.results.read_bytes() == written
    gone = dataclasses.replace(small, root=write(tmp_path / "gone", {"world.json": (world / "world.json").read_text()}))
    assert evaluate(gone, current()) == first, "where nothing is missing, no texts are needed"
    both = evaluate(only(job, **small.tasks | {"xnli": EvalTask(languages=["en", "qab"])}), current())
    assert [record for record in both if record in first] == first
    assert [(record.task, record.language) for record in both if record not in first] == [("xnli", "qab")]


def test_a_unit_whose_records_were_only_half_written_is_scored_again(job: Job) -> None:
    tagging = only(job, udpos=EvalTask(languages=["en"]))
    evaluate(tagging, current())
    first_line = job.results.read_text().splitlines(keepends=True)[0]
    job.results.write_text(first_line)
    assert [record.metric for record in evaluate(tagging, current())] == ["accuracy", "f1"]
    assert job.results.read_text().startswith(first_line)
    assert len(job.results.read_text().splitlines()) == 2, "what was there is not written again"


def test_a_score_of_another_layer_or_model_is_not_passed_off_as_this_one(
    job: Job, tiny_config: dict[str, Any], tokenizer: Any, tmp_path: Path
) -> None:
    tatoeba = only(job, tatoeba=EvalTask(languages=["qaa"]))
    evaluate(tatoeba, current())
    other = dataclasses.replace(tatoeba, config=EvaluationConfig(retrieval=RetrievalConfig(layer="2")))
    assert {record.reading.layer for record in evaluate(other, current())} == {1, 2}
    encoder = new_encoder(tiny_config, None, None, tokenizer, seed=1)
    export_model(tmp_path / "other", encoder, tokenizer)
    records = evaluate(dataclasses.replace(tatoeba, model=str(tmp_path / "other")), current())
    assert weights_digest(encoder)[:12] in {record.model.id for record in records}


def test_foreign_weights_are_known_by_what_they_are_wherever_they_lie_and_whatever_they_are_called(
    job: Job, tiny_config: dict[str, Any], tokenizer: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def foreign(folder: Path, seed: int) -> None:
        export_model(folder, new_encoder(tiny_config, None, None, tokenizer, seed=seed), tokenizer)
        (folder / PROVENANCE).unlink()

    relative = dataclasses.replace(only(job, tatoeba=EvalTask(languages=["qaa"])), model="model", training=None)
    ids = []
    for name, seed in (("one", 0), ("other", 1), ("copy", 0)):
        foreign(tmp_path / name / "model", seed)
        monkeypatch.chdir(tmp_path / name)
        ids.append([record.model.id for record in evaluate(relative, current())])
    assert [len(found) for found in ids] == [2, 4, 4], "the copy is scored, by the first of its name"
    assert len(set(ids[2])) == 2
    foreign(tmp_path / "copy" / "model", 2)
    assert len({record.model.id for record in evaluate(relative, current())}) == 3, "overwritten where it lies"


def test_texts_that_changed_are_scored_again(job: Job, tmp_path: Path) -> None:
    for side in ("de", "en"):
        (tmp_path / f"own.{side}").write_text("the cat\nthe hot lamp\n", encoding="utf-8")
    spec = pair_spec(tmp_path / "own.de", tmp_path / "own.en")
    register(spec)
    pairs = dataclasses.replace(only(job, **{spec.name: EvalTask()}), root=tmp_path)
    assert {record.value for record in evaluate(pairs, current())} == {100.0}
    (tmp_path / "own.en").write_text("the hot lamp\nthe cat\n", encoding="utf-8")
    assert [record.value for record in evaluate(pairs, current())] == [0.0, 0.0]


def test_a_sweep_reads_every_layer_from_one_pass_and_keeps_the_predictions_apart(
    job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    tatoeba = only(job, tatoeba=EvalTask(languages=["qaa"]))
    one = evaluate(tatoeba, current())
    every = dataclasses.replace(
        tatoeba,
        config=EvaluationConfig(retrieval=RetrievalConfig(layer="all")),
        results=job.results.with_name("sweep.jsonl"),
    )
    asked = []
    original = suite.open_embedder
    monkeypatch.setattr(suite, "open_embedder", lambda *given: asked.append(given[2]) or original(*given))
    records = evaluate(every, current())
    assert asked == [(0, 1, 2)]
    assert [r.reading.layer for r in records if r.metric == "accuracy"] == [0, 1, 2]
    assert [r.value for r in records if r.reading.layer == 1] == [r.value for r in one]
    for layer in range(3):
        assert (layer_folder(job.predictions, layer) / "tatoeba" / "test-qaa.tsv").is_file()


def test_a_model_that_saw_half_of_dev_is_scored_on_the_other_half_only(job: Job) -> None:
    with pytest.raises(UserError, match=r"xnli dev holds rows that phase 'half' trained on"):
        evaluate(only(job, xnli=EvalTask(splits=["dev"], languages=["qaa"])), current())
    assert not job.results.exists()
    records = evaluate(only(job, xnli=EvalTask(splits=["dev[50%:]"], languages=["qaa"])), current())
    assert records[0].split == "dev[50%:]"
    assert (job.predictions / "xnli" / "dev_50--qaa.tsv").is_file()


def test_all_is_every_language_that_the_data_has(job: Job) -> None:
    found = [unit.language for unit in units(only(job, xnli=EvalTask(), tatoeba=EvalTask()))]
    simulated = [f"qa{letter}" for letter in "abcdefghij"]
    assert found == ["en", *simulated, *simulated]


def test_what_cannot_be_scored_is_refused_before_any_model_is_loaded(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match="no trained head for 'commonsenseqa'"):
        evaluate(only(job, commonsenseqa=EvalTask(splits=["dev"])), current())
    monkeypatch.setattr(suite, "load_model", lambda *_: pytest.fail("a model was loaded"))
    for task, settings, said in (
        ("mlm", EvalTask(), "mlm has no score"),
        ("xnl", EvalTask(), r"unknown task 'xnl'.*'xnli'"),
        ("xnli", EvalTask(languages=["qaz"]), r"xnli has no language 'qaz'"),
    ):
        with pytest.raises(UserError, match=said):
            evaluate(only(job, **{task: settings}), current())
