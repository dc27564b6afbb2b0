"""Records as lines: what is written is read, lines of earlier versions are, and nothing else is guessed at."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dist_stilts.errors import UserError
from dist_stilts.results.files import append, read
from dist_stilts.results.lines import from_lines, to_line
from dist_stilts.results.record import Model, Reading, ResultRecord, Scoring, Training

OLD = Path(__file__).with_name("version1.jsonl")
"""Lines that release 0.7.0 wrote: a run's own scores (pretrain, xnli, udpos), and two of `evaluate`."""

texts, numbers = st.text(max_size=8), st.floats(0, 100)
counts, some = st.integers(0, 10**6), st.integers(0, 99) | st.none()
reasons = st.none() | st.text(min_size=1, max_size=8)
records = st.builds(
    ResultRecord,
    *(texts, texts, texts, texts, numbers | st.none(), counts, st.sampled_from(["percent", "threshold"])),
    *(st.booleans(), reasons, texts, st.dictionaries(texts, numbers, max_size=2)),
    st.builds(Model, texts, texts, texts, texts, texts),
    st.builds(
        Training,
        *(texts, texts, texts, texts, st.lists(texts, max_size=2).map(tuple), some, texts, texts, counts),
        *(st.booleans(), some, some, some, counts, numbers | st.none(), reasons, st.just({"select": "last"})),
    ),
    st.builds(Reading, texts, some, texts, texts, some, some, texts, texts),
    st.builds(Scoring, st.dictionaries(texts, texts, max_size=2), counts, numbers, numbers),
)


@settings(max_examples=25)
@given(records)
def test_what_is_written_is_read(record: ResultRecord) -> None:
    line = json.loads(json.dumps(to_line(record)))
    (found,) = from_lines([(7, line)], Path("results.jsonl"))
    assert found == record
    assert str(found.place) == "results.jsonl:7"
    assert next(iter(line)) == "version"


def test_lines_that_an_earlier_release_wrote_are_read_in_full() -> None:
    found = read(OLD)
    assert len(found) == len(OLD.read_text().splitlines())
    by_key = {(record.training.run, record.task, record.language, record.metric): record for record in found}
    score = by_key["xnli", "xnli", "en", "accuracy"]
    assert (score.value, score.count, score.unit, score.split) == (pytest.approx(100 / 3), 30, "percent", "dev[70%:]")
    assert score.collapsed == "class 1 of 3 is 100.0% of 30 predictions"
    assert score.training.train_tasks == ("xnli",)
    assert (score.training.after, score.training.intermediate) == ("mnli", "mnli,commonsenseqa")
    assert (score.training.intermediate_size, score.training.seed, score.training.dev) == (
        80,
        3,
        pytest.approx(100 / 3),
    )
    assert score.training.train["learning_rate"] == 0.001
    assert (score.model.id, score.model.origin, score.reading.dtype) == ("cd3be48e41a3", "pretrained", "float32")
    assert score.scoring.versions["dist-stilts"] == "0.7.0"
    assert by_key["udpos", "udpos", "qaa", "f1"].main
    assert not by_key["udpos", "udpos", "qaa", "accuracy"].main
    mined = [record for record in found if record.task == "bucc2018" and record.training.run == "pretrain"]
    assert {record.metric for record in mined if record.unit == "threshold"} == {"threshold"}
    assert [record.metric for record in mined if record.main] == ["f1"]
    assert {record.reading.mining for record in mined} == {"ratio margin, k=4, max, duplicates: drop"}
    assert mined[0].health["hubness"] > 0
    own = [record for record in found if not record.training.run_id]  # of `evaluate`, known by its digest alone
    assert len({record.model.id for record in own}) == 2
    assert {(record.training.run, record.model.called) for record in own} == {("", "")}


def test_a_file_may_have_lines_of_both_versions(tmp_path: Path) -> None:
    path = tmp_path / "results.jsonl"
    path.write_text(OLD.read_text())
    old = read(path)
    append(path, [replace(old[0], language="qab")])
    assert read(path) == [*old, replace(old[0], language="qab")]


GOOD = {"version": 2, "task": "xnli", "language": "en", "split": "test", "metric": "accuracy", "value": 50.0}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"version": 3}, "a result of version 3, which is not known here"),
        ({"task": None}, "no result: it has no task"),
        ({"metric": 3}, "no result: it has no metric"),
        ({"value": "50"}, "no result: 'value' is \"50\""),
        ({"count": True}, "no result: 'count' is true"),
        ({"layer": "last"}, "no result: 'layer' is \"last\""),
        ({"train_tasks": "xnli"}, "no result: 'train_tasks' is \"xnli\""),
        ({"versions": []}, "no result: 'versions' is []"),
        ({"collapsed": False}, "no result: 'collapsed' is false"),
    ],
)
def test_what_is_no_record_is_refused_in_one_line_with_its_place(change: dict[str, Any], said: str) -> None:
    with pytest.raises(UserError) as error:
        from_lines([(1, GOOD), (4, GOOD | change)], Path("results.jsonl"))
    assert str(error.value).startswith(f"results.jsonl:4: {said}")
    assert "\n" not in str(error.value)


def test_null_is_as_good_as_absent_and_what_nobody_reads_may_stay() -> None:
    (found,) = from_lines([(1, GOOD | {"seed": None, "count": None, "mining": None, "note": "mine"})], Path("r"))
    assert (found.training.seed, found.count, found.reading.mining) == (None, 0, "")
