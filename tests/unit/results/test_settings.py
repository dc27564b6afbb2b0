from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
from results_made import record

from dist_stilts.results.order import intermediate_place, languages, natural, target_place
from dist_stilts.results.settings import OF_TARGET, described, label, tell_apart


@pytest.mark.parametrize(
    ("fields", "name"),
    [
        ({}, "no intermediate"),
        ({"intermediate": None, "intermediate_size": 0, "origin": "pretrained", "inputs": "full"}, "no intermediate"),
        ({"intermediate": "mnli", "intermediate_size": 300}, "mnli n=300"),
        ({"intermediate": "mnli,mlm", "intermediate_size": 300}, "mnli + mlm n=300"),
        ({"origin": "random"}, "random encoder"),
        ({"inputs": "hypothesis"}, "hypothesis only"),
        ({"origin": "random", "intermediate": "mnli", "intermediate_size": 30}, "random encoder, mnli n=30"),
        ({"origin": "random", "inputs": "hypothesis"}, "random encoder, hypothesis only"),
    ],
)
def test_a_model_is_named_by_what_it_is(fields: dict[str, Any], name: str) -> None:
    assert label(record(**fields)) == name
    assert record(**fields).controls == tuple(part for part in name.split(", ") if part.endswith(("encoder", "only")))


def test_names_get_the_first_settings_that_tell_them_apart_and_no_others() -> None:
    records = [record(seed=0, layer=1), record(seed=0, layer=2, pooling="cls"), record(seed=1, layer=2)]
    assert tell_apart(["a", "a", "b"], records, ("seed", "layer", "pooling")) == ["a, layer 1", "a, layer 2", "b"]
    assert tell_apart(["a", "a", "a"], records, ("layer", "pooling"), " ") == [
        "a layer 1",
        "a layer 2 cls pooling",
        "a layer 2",
    ]
    target = {"role": "target", "train_tasks": ["xnli"], "train_size": 50}
    others = [record(**target), record(**target | {"role": "intermediate"}), record(**target | {"train_size": 9})]
    assert tell_apart(["a"] * 3, others, ("after", "rows"), " ") == ["a after xnli n=50", "a", "a after xnli n=9"]


def test_whatever_is_no_part_of_a_target_is_of_the_run_that_is_scored() -> None:
    settings = {"seed": 1, "run": "b", "run_id": "y", "model_id": "m2", "model": "n", "model_path": "p"}
    assert tell_apart(["a", "a"], [record(), record(**settings)], OF_TARGET) == ["a", "a"]
    for setting in ({"split": "dev"}, {"layer": 2}, {"pooling": "cls"}, {"mining": "k=4"}, {"dtype": "bfloat16"}):
        assert len(set(tell_apart(["a", "a"], [record(), record(**setting)], OF_TARGET))) == 2


def test_the_usual_split_is_not_named_in_a_subtitle_and_what_a_test_split_is() -> None:
    settings = ("split", "layer", "pooling")
    assert described(record(layer=7, pooling="mean"), settings) == "layer 7, mean pooling"
    assert described(record(split="test[50%:]"), settings) == "test[50%:]"
    splits = {"test": True, "test[50%:]": True, "dev": False, "testimony": False}
    assert {split: record(split=split).is_test for split in splits} == splits


def test_english_comes_first_then_distance_then_name() -> None:
    codes = ["tr", "de", "en", "xx", "ar", "de"]
    assert languages(codes) == ["en", "ar", "de", "tr", "xx"]
    assert languages(codes, {"de": 0.1, "tr": 0.3, "ar": 0.2}) == ["en", "de", "ar", "tr", "xx"]


def test_numbers_in_names_sort_as_numbers() -> None:
    names = ["seed 10", "seed 2", "seed", "n=300-s1", "n=30", ""]
    assert sorted(names, key=natural) == ["", "n=30", "n=300-s1", "seed", "seed 2", "seed 10"]


def test_tasks_stand_as_in_the_papers_and_others_after_them() -> None:
    assert sorted(["mine", "tatoeba", "xnli", "udpos"], key=target_place) == ["xnli", "udpos", "tatoeba", "mine"]
    assert sorted(["mine", "ccg", "anli_plus"], key=intermediate_place) == ["anli_plus", "ccg", "mine"]


def test_records_and_tables_need_no_torch_and_no_numpy() -> None:
    imported = "import sys, dist_stilts.results.files, dist_stilts.report.table"
    code = f"{imported}; sys.exit(bool({{'torch', 'numpy', 'rich'}} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
