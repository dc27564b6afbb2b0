from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from models_made import features_of

from dist_stilts.errors import UserError
from dist_stilts.evaluate.suite import EvalTask
from dist_stilts.experiment.execute import check_before_start
from dist_stilts.experiment.plan import expand
from dist_stilts.experiment.run_config import PhaseConfig, Recipe, TrainTask
from dist_stilts.experiment.training_data import chosen_examples, load_training_data, nothing_to_learn, prepare_all
from dist_stilts.families.encoding import QaLengths
from dist_stilts.families.features import Features, concatenated
from dist_stilts.families.kinds import family_of
from dist_stilts.report.lists import preparation
from dist_stilts.tasks.read_own import OwnTask, own_spec
from dist_stilts.tasks.registry import get_task, register
from dist_stilts.tasks.spec import Answer, PairRow, SpanRow, TaggedRow

LONG = "a bad lamp and a good cat " * 6
LAST = Answer("cat", LONG.rindex("cat"))


@pytest.fixture(scope="module")
def questions(tokenizer: Any) -> Features:
    """Long contexts, several windows each: every third question has no answer, the others' is in the last window."""
    rows = [SpanRow(f"q{n}", f"q{n}", "the cat", LONG, () if n % 3 == 0 else (LAST,)) for n in range(60)]
    return features_of(get_task("squad_v2"), rows, tokenizer, qa=QaLengths(max_length=24, stride=8, max_question=8))


def test_questions_are_classed_by_whether_any_window_holds_the_answer(questions: Features) -> None:
    _, first_row = np.unique(questions.example, return_index=True)
    assert not any(questions.labels[row].any() for row in first_row)  # the first window alone would tell nothing
    assert family_of(get_task("squad_v2")).strata(questions) == [int(n % 3 > 0) for n in range(60)]


@pytest.mark.parametrize("size", [3, 15, 30])
def test_a_subset_has_its_share_of_unanswerable_questions(questions: Features, size: int) -> None:
    phase = PhaseConfig(tasks={"squad_v2": TrainTask()}, sizes=[size])
    chosen = chosen_examples(questions, expand(Recipe(phases={"qa": phase}))[0], get_task("squad_v2"))
    assert sum(number % 3 == 0 for number in chosen.tolist()) == size // 3
    assert len(chosen) == size


def test_classes_are_labels_and_right_choices_where_there_is_one(tokenizer: Any) -> None:
    spec = get_task("xnli")
    found = family_of(spec).strata(features_of(spec, PAIRS, tokenizer))
    assert found == [spec.labels.index("neutral"), 0]


WORDS = [TaggedRow(str(n), str(n), ("a", "cat"), tags) for n, tags in enumerate((("DET", "NOUN"), None))]
PAIRS = [PairRow(str(n), str(n), "the cat", "a lamp", label) for n, label in enumerate(("neutral", None))]


@pytest.mark.parametrize(("task", "rows"), [("udpos", WORDS), ("xnli", PAIRS)])
def test_rows_without_gold_are_known(tokenizer: Any, task: str, rows: list[Any]) -> None:
    spec = get_task(task)
    known, withheld = (features_of(spec, [row], tokenizer) for row in rows)
    lacks = family_of(spec).lacks_gold
    assert (lacks(known), lacks(withheld), lacks(concatenated([known, known, withheld]))) == (False, True, True)


def test_rows_without_gold_are_not_trained_on(tokenizer: Any, tmp_path: Path) -> None:
    (tmp_path / "data/udpos").mkdir(parents=True)
    (tmp_path / "data/udpos/test-en.tsv").write_text("a\ncat\n")
    phase = PhaseConfig(tasks={"udpos": TrainTask(split="test", dev=None)})
    recipe = Recipe(out=str(tmp_path / "runs"), phases={"tag": phase})
    recipe.data.root = str(tmp_path / "data")
    recipe.encoder.path = "nowhere"
    (run,) = expand(recipe)
    with pytest.raises(UserError, match="udpos test en has rows without gold"):
        load_training_data(run, recipe, tokenizer)


def test_rows_that_teach_nothing_and_labels_that_training_lacks_are_remarked_on(tokenizer: Any, tmp_path: Path) -> None:
    rows = {"train": ["yes"] * 3, "dev": ["Yes", "yes", "yes "], "test": ["-", "yes", "yes"]}
    for split, labels in rows.items():
        (tmp_path / f"{split}.csv").write_text("text_a,label\n" + "".join(f"the cat,{label}\n" for label in labels))
    files = {split: f"{split}.csv" for split in rows}
    register(own_spec("mine", OwnTask("sequence", files)))
    phase = PhaseConfig(tasks={"mine": TrainTask()}, evaluate={"mine": EvalTask(splits=["train", "test"])})
    recipe = Recipe(out=str(tmp_path / "runs"), phases={"a": phase})
    recipe.data.root = str(tmp_path)
    recipe.encoder.path = "nowhere"
    runs = expand(recipe)
    done = list(prepare_all(runs, recipe, tokenizer).values())
    same = "the only label of its training rows is 'yes'"
    assert [(split["classes"], split["alike"]) for split in done] == [
        ({"yes": 3}, same),
        ({"yes": 1}, None),
        ({"yes": 2}, None),
    ]
    lines = preparation(done).splitlines()
    assert "mine train en: yes 3" in lines
    assert f"mine train en: nothing can be learned: {same}" in lines
    assert "mine train en: 'yes ' 3" in preparation([done[0] | {"classes": {"yes ": 3}}])
    assert "mine dev en: 1 x label 'yes ', which no training row has (is 'yes' meant?)" in lines
    assert "mine test en: 1 x label '-', which no training row has" in lines
    assert nothing_to_learn(load_training_data(runs[0], recipe, tokenizer)) == {"mine": same}


def test_without_a_data_folder_the_hub_must_have_each_task_or_all_its_parts(tmp_path: Path) -> None:
    def check(task: str, *scored: str) -> None:
        phase = PhaseConfig(tasks={task: TrainTask()}, evaluate={name: EvalTask() for name in scored})
        recipe = Recipe(out=str(tmp_path), phases={"a": phase})
        check_before_start(recipe, expand(recipe), 2)

    check("anli_plus", "xnli")
    with pytest.raises(UserError, match="tatoeba is read from local files only"):
        check("anli_plus", "tatoeba")
