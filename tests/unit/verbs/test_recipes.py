"""``dist-stilts recipes``: what ships is listed and shown; a starter for one's own files says its guesses, and fits."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from dist_stilts.__main__ import app
from dist_stilts.config import find_recipe, shipped_recipes
from dist_stilts.errors import UserError
from dist_stilts.experiment.missing import find_missing
from dist_stilts.experiment.plan import expand
from dist_stilts.experiment.run_config import Recipe
from dist_stilts.verbs.common import load_recipe


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def said(*arguments: str) -> str:
    done = CliRunner().invoke(app, ["recipes", *arguments])
    if done.exception:
        raise done.exception
    return done.output


def table(name: str, header: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    Path(name).parent.mkdir(exist_ok=True)
    with Path(name).open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([header, *rows])


def records(name: str, rows: Iterable[dict[str, Any]]) -> None:
    Path(name).write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def letters(number: int = 40) -> list[tuple[str, str]]:
    return [(f"Text number {n} of them", ("no", "yes", "1")[n % 3]) for n in range(number)]


def entry(name: str) -> tuple[Recipe, dict[str, Any]]:
    """The recipe that was written, of which nothing but the encoder may be missing, and its task as plain values."""
    recipe = load_recipe(f"{name}.yaml", None)
    assert find_missing(recipe, expand(recipe), 1).missing == []
    return recipe, yaml.safe_load(Path(f"{name}.yaml").read_text())["data"]["own_tasks"][name]


def test_what_ships_is_listed_with_the_first_line_of_its_file_and_shown_whole() -> None:
    lines = said("list").splitlines()
    assert lines == said().splitlines()
    for name in shipped_recipes():
        text = find_recipe(name).read_text(encoding="utf-8")
        assert said("show", name) == text
        (line,) = (line for line in lines if line.startswith(f"{name} "))
        assert line.split(maxsplit=1)[1] == text.splitlines()[0].removeprefix("# ")
        assert line.endswith(".")


def test_keys_are_printed_with_their_meaning_also_below_a_name_of_ones_own() -> None:
    everything = said("keys")
    part = said("keys", "phases.mine.tasks")
    assert "train.learning_rate  (number; above 0, at most 1; default 1e-05)\n    Peak learning rate." in everything
    assert set(part.splitlines()) <= set(everything.splitlines())
    assert {line.split()[0] for line in part.splitlines()[2::2]} == {
        f"phases.NAME.tasks.NAME.{key}" for key in ("split", "languages", "dev", "sampling", "share")
    }
    with pytest.raises(UserError, match="no key 'trian'"):
        said("keys", "trian")


def test_a_classifier_is_trained_on_the_file_and_scored_in_the_languages_beside_it() -> None:
    table("mail-train.csv", ("text", "topic"), letters())
    for split in ("valid", "test.en", "test.de", "test.zh"):
        table(f"mail-{split}.csv", ("text", "topic"), letters(6))
    table("other-test.fr.csv", ("text", "topic"), letters(6))
    output = said("new", "classify", "--data", "mail-train.csv")
    recipe, own = entry("mail")
    assert own == {
        "family": "sequence",
        "files": {"train": "mail-train.csv", "dev": "mail-valid.csv", "test": "mail-test.{lang}.csv"},
        "columns": {"text_a": "text", "label": "topic"},
        "languages": ["en", "de", "zh"],
        "labels": ["1", "no", "yes"],
    }
    assert recipe.phases["mail"].tasks["mail"].split == "train"
    assert recipe.encoder.path == "FacebookAI/xlm-roberta-base"
    for guess in ("text_a: the column text", "label: the column topic", "1 (13), no (14), yes (13)"):
        assert guess in output
        assert f"#   - {guess}"[-20:] in Path("mail.yaml").read_text()
    with pytest.raises(UserError, match=r"mail\.yaml: is there already, and is not overwritten"):
        said("new", "classify", "--data", "mail-train.csv")


def test_a_file_alone_is_cut_into_training_and_dev_rows_and_what_is_said_goes_before_guesses() -> None:
    table("data/train.csv", ("a", "b", "kind"), [(text, text * 3, label) for text, label in letters()])
    table("far.csv", ("a", "b", "kind"), [(text, text * 3, label) for text, label in letters(6)])
    options = ("--column", "text_a=a", "--out", "mine.yaml", "--encoder", "some/model", "--test", "far.csv")
    said("new", "classify", "--data", "data/train.csv", *options)
    recipe, own = entry("mine")
    assert own["columns"] == {"text_a": "a", "label": "kind"}
    assert own["files"]["test"] == str(Path("far.csv").resolve())
    task = recipe.phases["mine"].tasks["mine"]
    assert (task.split, task.dev, recipe.encoder.path) == ("train[:90%]", "train[90%:]", "some/model")


def test_other_kinds_find_their_columns() -> None:
    tagged = [{"tokens": ["Anna", "ran"], "ner_tags": ["B-PER", "O"]}] * 30
    records("ner.jsonl", tagged)
    context = "Anna lives in Rome."
    asked = [
        {"question": f"Where {n}?", "context": f"{n} {context}", "answers": {"text": ["Rome"], "answer_start": [start]}}
        for n, start in ((n, len(f"{n} ") + context.index("Rome")) for n in range(30))
    ]
    records("squad.jsonl", [*asked, {**asked[0], "answers": {"text": [], "answer_start": []}}])
    table("pick.csv", ("premise", "choice1", "choice2", "label"), [(f"It {n}", "so", "or", n % 2) for n in range(30)])
    table("pair.csv", ("label", "hypothesis", "premise"), [(label, text, text) for text, label in letters()])
    expected: dict[tuple[str, str], dict[str, Any]] = {
        ("tagging", "ner.jsonl"): {"words": "tokens", "tags": "ner_tags"},
        ("qa", "squad.jsonl"): {"question": "question", "context": "context", "answers": "answers"},
        ("choice", "pick.csv"): {"prompt": "premise", "choices": ["choice1", "choice2"], "label": "label"},
        ("classify", "pair.csv"): {"text_a": "premise", "text_b": "hypothesis", "label": "label"},
    }
    for (kind, file), columns in expected.items():
        said("new", kind, "--data", file, "--out", f"a-{kind}.yaml")
        recipe, own = entry(f"a-{kind}")
        assert own["columns"] == columns
        assert recipe.phases[f"a-{kind}"].evaluate[f"a-{kind}"].splits[0].startswith("train[")
        assert own.get("no_answer", False) == (kind == "qa")


def test_a_conll_file_has_numbers_for_columns_or_none_and_its_siblings_are_found() -> None:
    for name in ("train.conll", "dev.conll", "test.de.conll"):
        Path(name).write_text("Anna\tB-PER\nran\tO\n\n" * 5)
    expected: tuple[tuple[tuple[str, ...], dict[str, int] | None], ...] = (
        ((), None),
        (("--column", "words=0", "--column", "tags=1"), {"words": 0, "tags": 1}),
    )
    for number, (options, columns) in enumerate(expected):
        said("new", "tagging", "--data", "train.conll", "--out", f"c{number}.yaml", *options)
        _, own = entry(f"c{number}")
        assert (own["files"]["test"], own.get("columns")) == ("test.{lang}.conll", columns)
    with pytest.raises(UserError, match=r"no column 'word'.*have numbers: --column words=0"):
        said("new", "tagging", "--data", "train.conll", "--out", "c.yaml", "--column", "words=word")


def test_pairs_are_found_by_their_names_or_given() -> None:
    for language in ("de", "fi", "en"):
        Path(f"talk.{language}.txt").write_text(f"one {language}\ntwo {language}\n")
    said("new", "pairs", "--data", "talk.en.txt")
    recipe, own = entry("talk")
    assert own["files"] == {"test": ["talk.{lang}.txt", "talk.en.txt"]}
    assert own["languages"] == ["de", "fi"]
    assert [phase.tasks for phase in recipe.phases.values()] == [{}]
    said("new", "pairs", "--data", "talk.en.txt", "--data", "talk.fi.txt", "--out", "two.yaml")
    _, own = entry("two")
    assert (own["files"]["test"], own["languages"]) == (["talk.fi.txt", "talk.en.txt"], ["fi"])
    Path("lonely.txt").write_text("one\n")
    with pytest.raises(UserError, match=r"lonely\.txt: no file beside it whose name differs in a language alone"):
        said("new", "pairs", "--data", "lonely.txt", "--out", "three.yaml")


@pytest.mark.parametrize(
    ("rows", "options", "message"),
    [
        (
            [("a text", 1000 + n) for n in range(300)],
            (),
            "300 different values of 'topic' are no classes.*regression",
        ),
        ([("a text", "one")] * 20, (), "nothing to learn: the only value of 'topic' is one"),
        ([("a text", "one"), ("b", "")], (), r"train\.csv:3: no label"),
        ([], (), r"train\.csv: no rows"),
        (letters(), ("--column", "label=nothing"), "no column 'nothing' for label"),
        (letters(), ("--column", "tags=topic"), "sequence has no field 'tags'"),
        (letters(), ("--column", "topic"), "is not FIELD=NAME"),
        (letters(), ("--out", "mine.txt"), r"mine\.txt is no name of a recipe"),
        (letters(), ("--test", "none.csv"), r"none\.csv: no such file"),
        (letters(), ("--data", "train.csv"), "2 training files"),
    ],
)
def test_a_file_that_does_not_fit_is_refused_and_nothing_written(
    rows: list[Any], options: tuple[str, ...], message: str, here: Path
) -> None:
    table("train.csv", ("text", "topic"), rows)
    with pytest.raises(UserError, match=message):
        said("new", "classify", "--data", "train.csv", *options)
    assert not list(here.glob("*.yaml"))


def test_a_column_that_looks_like_none_is_asked_for() -> None:
    records("tags.jsonl", [{"one": ["a"], "two": ["b"]}] * 5)
    with pytest.raises(UserError, match=r"no column looks like words\. Say which it is: --column words=NAME"):
        said("new", "tagging", "--data", "tags.jsonl")
