from __future__ import annotations

import gzip
import io
import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from omegaconf import OmegaConf
from task_files import encoded, refusal, to_csv, write

from dist_stilts.errors import UserError
from dist_stilts.tasks.read_own import OwnTask, own_spec
from dist_stilts.tasks.spec import (
    Answer,
    ChoiceRow,
    HubTable,
    MultiLabelRow,
    PairRow,
    Quirk,
    RegressionRow,
    Row,
    SpanRow,
    TaggedRow,
    TextRow,
)

Records = list[dict[str, Any]]


def to_parquet(records: Records) -> bytes:
    import pyarrow
    import pyarrow.parquet

    sink = io.BytesIO()
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(records), sink)
    return sink.getvalue()


def to_tsv(records: Records) -> str:
    lines = ["\t".join(records[0]), *("\t".join(map(str, record.values())) for record in records)]
    return "\n".join(lines) + "\n"


WRITERS: dict[str, Callable[[Records], Any]] = {
    ".jsonl": list,
    ".json": list,
    ".csv": lambda records: to_csv(*records),
    ".tsv": to_tsv,
    ".parquet": to_parquet,
    ".csv.gz": lambda records: gzip.compress(to_csv(*records).encode()),
}
NESTED = [".jsonl", ".parquet"]
"""Formats whose cells can hold lists."""


def read(root: Path, own: OwnTask, split: str = "train", language: str = "en") -> list[Row | Quirk]:
    spec = own_spec("mine", own)
    assert spec.read
    return list(spec.read(root, split, language))


def read_as(root: Path, family: str, suffix: str, records: Records, *entry: Any, **more: Any) -> list[Row | Quirk]:
    """The training rows of a file of this format."""
    write(root, {f"my{suffix}": WRITERS[suffix](records)})
    return read(root, OwnTask(family, {"train": f"my{suffix}"}, *entry, **more))


def read_one(root: Path, family: str, record: dict[str, Any], split: str = "train", **entry: Any) -> Row | Quirk:
    write(root, {"rows.jsonl": [record]})
    return read(root, OwnTask(family, {split: "rows.jsonl"}, **entry), split)[0]


PAIRS = [
    {"premise": "a cat, asleep", "the hypothesis": 'it "sleeps"', "gold": "yes", "nr": "q1"},
    {"premise": "ein Hund — «da»", "the hypothesis": "er schläft", "gold": "no", "nr": "q2"},
]
LABELLED = {"text_a": "a", "label": "x"}
CHOICE = {"prompt": "p", "label": 0}
QUESTION = {"question": "q", "context": "c"}
PAIR_COLUMNS = {"text_a": "premise", "text_b": "the hypothesis", "label": "gold", "id": "nr"}


@pytest.mark.parametrize("suffix", WRITERS)
def test_every_format_gives_the_same_rows_and_a_missing_file_is_a_user_error(tmp_path: Path, suffix: str) -> None:
    assert "no such file" in refusal(read, tmp_path, OwnTask("mlm", {"train": f"my{suffix}"}))
    assert read_as(tmp_path, "sequence", suffix, PAIRS, PAIR_COLUMNS, ["no", "yes"]) == [
        PairRow("q1", "q1", "a cat, asleep", 'it "sleeps"', "yes"),
        PairRow("q2", "q2", "ein Hund — «da»", "er schläft", "no"),
    ]
    words = [{"words": "the  cat", "tags": "DET NOUN"}]
    tagged = TaggedRow("train-0", "train-0", ("the", "cat"), ("DET", "NOUN"))
    assert read_as(tmp_path, "token", suffix, words, labels=["NOUN", "DET"]) == [tagged]
    for label in ("B", "1", "down"):
        choices = [{"prompt": "p", "answer0": "up", "answer1": "down", "label": label, "group": "g"}]
        row = ChoiceRow("train-0", "g", "p", ("up", "down"), 1)
        assert read_as(tmp_path, "choice", suffix, choices, {"choices": ["answer0", "answer1"]}) == [row]


def test_a_cell_of_text_may_hold_a_line_end_or_lists_as_json(tmp_path: Path) -> None:
    records = [{"text_a": "one\ntwo", "label": "x"}, {"text_a": "b", "label": "y"}]
    assert read_as(tmp_path, "sequence", ".csv", records) == [
        PairRow("train-0", "train-0", "one\ntwo", "", "x"),
        PairRow("train-1", "train-1", "b", "", "y"),
    ]
    record = {"question": "q", "context": "the cat", "answers": json.dumps(ANSWERS[0])}
    assert read_as(tmp_path, "span", ".csv", [record]) == [SpanRow("train-0", "train-0", "q", "the cat", FOUND)]


ANSWERS: list[Any] = [
    {"text": ["cat", "the cat"], "answer_start": [4, 0]},
    [{"text": "cat", "start": 4}, {"text": "the cat", "start": 0}],
    [{"text": "cat", "answer_start": 4}, {"text": "the cat", "answer_start": 0}],
]
FOUND = (Answer("cat", 4), Answer("the cat", 0))


@pytest.mark.parametrize("suffix", NESTED)
def test_cells_may_hold_lists_and_answers_be_written_as_on_the_hub_or_as_objects(tmp_path: Path, suffix: str) -> None:
    choices = [CHOICE | {"choices": ["4", "5"], "label": 1}, CHOICE | {"choices": ["x", "y"]}]
    assert read_as(tmp_path, "choice", suffix, choices) == [
        ChoiceRow("train-0", "train-0", "p", ("4", "5"), 1),
        ChoiceRow("train-1", "train-1", "p", ("x", "y"), 0),
    ]
    words, columns = [{"tokens": ["a b", "c"], "ner_tags": [0, 3]}], {"words": "tokens", "tags": "ner_tags"}
    tagged = TaggedRow("train-0", "train-0", ("a b", "c"), ("0", "3"))
    assert read_as(tmp_path, "token", suffix, words, columns) == [tagged]
    for answers in ANSWERS:
        question = {"id": 7, "question": "who?", "context": "the cat", "answers": answers}
        assert read_as(tmp_path, "span", suffix, [question]) == [SpanRow("7", "7", "who?", "the cat", FOUND)]


@pytest.mark.parametrize(
    ("choices", "label", "fault"),
    [
        (["1", "0"], "1", "may mean several choices"),
        (["B", "A"], "A", "may mean several choices"),
        (["x", "x"], "x", "may mean several choices"),
        (["x", "y"], "z", "is no choice"),
        (["x", "y"], "C", "is no choice"),
        (["x", "y"], "2", "is no choice"),
        (["x", "y"], "²", "is no choice"),
        (["x", "y"], 2, "is no choice"),
        (["x", "y"], -1, "is no choice"),
        (["x", "y"], True, "is no whole number"),
        (["x", "y"], [0], "is no whole number"),
    ],
)
def test_a_label_that_is_no_choice_or_several_is_refused(
    tmp_path: Path, choices: list[str], label: Any, fault: str
) -> None:
    assert fault in refusal(read_one, tmp_path, "choice", CHOICE | {"choices": choices, "label": label})


@pytest.mark.parametrize(
    ("words", "tags"),
    [
        ('["New", "d\'Or", "[", "O"]', '["B", "I", "O", "O"]'),
        ("['New', \"d'Or\", '[', 'O']", "['B', 'I', 'O', 'O']"),
        ("['New' \"d'Or\" '['\n 'O']", "['B' 'I' 'O' 'O']"),
        ("array(['New', \"d'Or\", '[', 'O'], dtype=object)", "list(['B', 'I', 'O', 'O'])"),
        ("('New', \"d'Or\", '[', 'O')", "('B', 'I', 'O', 'O')"),
        ("New d'Or [ O", "['B' 'I' 'O' 'O']"),
    ],
    ids=["JSON", "Python", "NumPy", "array", "tuple", "text"],
)
def test_lists_in_cells_are_read_as_programs_print_them(tmp_path: Path, words: str, tags: str) -> None:
    row = TaggedRow("train-0", "train-0", ("New", "d'Or", "[", "O"), ("B", "I", "O", "O"))
    assert read_as(tmp_path, "token", ".csv", [{"words": words, "tags": tags}]) == [row]
    numbers = read_as(tmp_path, "token", ".csv", [{"words": "[ Music ]", "tags": "[0 1 0]"}])
    assert numbers == [TaggedRow("train-0", "train-0", ("[", "Music", "]"), ("0", "1", "0"))]


def test_questions_may_have_choices_of_different_number(tmp_path: Path) -> None:
    rows = [ChoiceRow(f"train-{row}", f"train-{row}", "p", tuple("xyz"[: 2 + row]), row + 1) for row in (0, 1)]
    lists = [{"prompt": "p", "choices": list(row.choices), "label": row.label} for row in rows]
    assert read_as(tmp_path, "choice", ".jsonl", lists) == rows
    columns = [{"prompt": "p", "a": "x", "b": "y", "c": c, "label": label} for c, label in (("", "1"), ("z", "2"))]
    assert read_as(tmp_path, "choice", ".csv", columns, {"choices": ["a", "b", "c"]}) == rows


def test_questions_on_one_context_share_a_group_that_a_translation_has_too(tmp_path: Path) -> None:
    for language, contexts in (("en", ["one", "two", "one"]), ("de", ["eins", "zwei", "eins"])):
        records = [{"question": "q", "context": c, "answers": [{"text": c, "start": 0}]} for c in contexts]
        write(tmp_path, {f"my-{language}.jsonl": records})
        rows = read(tmp_path, OwnTask("span", {"train": "my-{lang}.jsonl"}), language=language)
        assert [row.group for row in rows if isinstance(row, Row)] == ["train-0", "train-1", "train-0"]


def test_unanswerable_questions_are_announced_in_the_recipe(tmp_path: Path) -> None:
    record = {"question": "q", "context": "c", "answers": {"text": [], "answer_start": []}}
    assert "a question without an answer" in refusal(read_one, tmp_path, "span", record)
    assert read_one(tmp_path, "span", record, no_answer=True) == SpanRow("train-0", "train-0", "q", "c", ())


def test_text_is_read_and_blank_rows_are_counted(tmp_path: Path) -> None:
    assert read_as(tmp_path, "mlm", ".jsonl", [{"text": "a"}, {"text": " "}, {"text": "b"}]) == [
        TextRow("train-0", "train-0", "a"),
        Quirk("blank text left out"),
        TextRow("train-2", "train-2", "b"),
    ]


@pytest.mark.parametrize(
    ("family", "record"),
    [
        ("sequence", {"text_a": "a"}),
        ("sequence", {"text_a": "a", "label": None}),
        ("sequence", {"text_a": "a", "label": ""}),
        ("choice", {"prompt": "p", "choices": ["x", "y"]}),
        ("span", {"question": "q", "context": "c"}),
        ("token", {"words": ["a", "b"]}),
        ("token", {"words": "a b", "tags": None}),
    ],
)
def test_only_the_test_split_may_lack_gold(tmp_path: Path, family: str, record: dict[str, Any]) -> None:
    row = read_one(tmp_path, family, record, "test")
    gold = {SpanRow: "answers", TaggedRow: "tags"}.get(type(row), "label")
    assert getattr(row, gold) is None
    with pytest.raises(UserError, match=rf"rows\.jsonl:1: no ({gold}|column '{gold}')"):
        read_one(tmp_path, family, record, "dev")
    row = read_one(tmp_path, "sequence", {"premise": "a"}, "test", columns={"text_a": "premise", "label": "gold"})
    assert row == PairRow("test-0", "test-0", "a", "", None), "the column that the entry names"
    with pytest.raises(UserError, match=r"rows\.jsonl:1: no column 'pair'"):
        read_one(tmp_path, "sequence", {"text_a": "a"}, "test", columns={"text_b": "pair"})


def test_labels_may_be_numbers_or_truth_values(tmp_path: Path) -> None:
    rows = [read_one(tmp_path, "sequence", {"text_a": "a", "label": label}) for label in (0, -1, True)]
    assert [row.label for row in rows if isinstance(row, PairRow)] == ["0", "-1", "true"]


def test_whole_numbers_are_classes_and_fractions_too_where_they_are_listed(tmp_path: Path) -> None:
    for label, entry in ((3, {}), ("3", {}), ("4.0", {}), ("1.5", {"labels": ["1.5", "2.5"]}), ("1.2.3", {})):
        row = read_one(tmp_path, "sequence", {"text_a": "a", "label": label}, **entry)
        assert isinstance(row, PairRow)
        assert row.label == str(label)


@pytest.mark.parametrize("suffix", WRITERS)
def test_a_number_is_read_from_every_format(tmp_path: Path, suffix: str) -> None:
    records = [{"text_a": "a", "value": value} for value in (0.25, -3.0, 1e-3)]
    rows = read_as(tmp_path, "regression", suffix, records)
    assert rows == [RegressionRow(f"train-{n}", f"train-{n}", "a", "", r["value"]) for n, r in enumerate(records)]
    for value in (None, ""):
        row = read_one(tmp_path, "regression", {"text_a": "a", "value": value}, "test")
        assert row == RegressionRow("test-0", "test-0", "a", "", None)


def test_labels_are_a_list_or_text_with_what_the_entry_says_between(tmp_path: Path) -> None:
    for cell, entry in (
        (["x", "y"], {}),
        ('["x", "y"]', {}),
        ("x | y", {"separator": "|"}),
        ("x, y", {"separator": ","}),
    ):
        row = read_one(tmp_path, "multilabel", {"text_a": "a", "labels": cell}, **entry)
        assert row == MultiLabelRow("train-0", "train-0", "a", "", ("x", "y"))
    for cell in ("", "[]", []):
        row = read_one(tmp_path, "multilabel", {"text_a": "a", "labels": cell}, separator="|")
        assert row == MultiLabelRow("train-0", "train-0", "a", "", ())
    withheld = MultiLabelRow("test-0", "test-0", "a", "", None)
    assert read_one(tmp_path, "multilabel", {"text_a": "a"}, "test") == withheld
    assert read_one(tmp_path, "multilabel", {"text_a": "a", "labels": None}, "test") == withheld
    said = refusal(lambda: read_one(tmp_path, "multilabel", {"text_a": "a", "labels": ""}, "test", separator="|"))
    assert "rows.jsonl:1: labels is empty. Write []" in said


def test_texts_may_stand_in_several_columns(tmp_path: Path) -> None:
    record = {"title": "t", "body": "b", "note": None, "label": "x"}
    row = read_one(tmp_path, "sequence", record, columns={"text_a": ["title", "note", "body"]})
    assert row == PairRow("train-0", "train-0", "t b", "", "x")
    record = {"context": "It rained.", "question": "Why?", "choices": ["x", "y"], "label": 1}
    row = read_one(tmp_path, "choice", record, columns={"prompt": ["context", "question"]})
    assert row == ChoiceRow("train-0", "train-0", "It rained. Why?", ("x", "y"), 1)
    assert "no column 'titel'. did you mean 'title'?" in refusal(
        lambda: read_one(tmp_path, "sequence", {"title": "t", "label": "x"}, columns={"text_a": ["titel", "title"]})
    )


def test_a_file_without_rows_is_named(tmp_path: Path) -> None:
    for suffix, content in ((".csv", "text_a,label\n"), (".tsv", "text_a\tlabel\n"), (".jsonl", "\n\n")):
        write(tmp_path, {f"my{suffix}": content})
        assert f"my{suffix}:1: no rows" in refusal(read, tmp_path, OwnTask("sequence", {"train": f"my{suffix}"}))


@pytest.mark.parametrize(
    ("files", "languages", "source"),
    [
        ({"train": "t.csv"}, [], "en"),
        ({"train": "t.csv"}, ["de"], "de"),
        ({"train": "t.csv"}, ["en", "de"], "en"),
        ({"train": "t.csv"}, ["de", "en"], "de"),
        ({"train": "{lang}.csv"}, ["de", "en"], "en"),
        ({"train": "{lang}.csv"}, ["de", "fr"], "de"),
        ({"test": "t.csv"}, ["de", "en"], "de"),
        ({"train": {"hub": "a/b", "config": {"fr": "x"}}}, ["de", "fr"], "fr"),
        ({"train": {"hub": "a/b", "config": "x"}}, ["de", "en"], "de"),
    ],
)
def test_the_source_language_is_english_or_the_first_that_the_files_have(
    files: dict[str, Any], languages: list[str], source: str
) -> None:
    assert own_spec("mine", OwnTask("mlm", files, languages=languages)).source == source


def test_a_name_without_a_language_is_the_source_languages_file(tmp_path: Path) -> None:
    spec = own_spec("mine", OwnTask("mlm", {"train": "my.csv", "dev": "my.dev.csv"}, languages=["de", "en"]))
    assert spec.find(tmp_path, "train", "de") == [tmp_path / "my.csv"]
    assert spec.find(tmp_path, "train", "en") == [tmp_path / "my.en.csv"]


def test_data_sets_of_the_hub_are_splits_by_config_and_language() -> None:
    files = {
        "train": {"hub": "a/b", "config": "{lang}_x", "revision": "abc", "split": "train[:50%]"},
        "dev": {"hub": "a/b", "config": {"en": "eng", "de": "deu"}},
        "test": {"hub": "c"},
    }
    spec = own_spec("mine", OwnTask("sequence", files))
    assert spec.rootless
    assert spec.languages[:2] == ("en", "af")
    assert spec.tables["train"] == HubTable("a/b", "{lang}_x", "train[:50%]", "abc")
    assert spec.tables["train"].config_of("fr") == "fr_x"
    assert (spec.tables["dev"].split, spec.tables["dev"].config_of("de")) == ("validation", "deu")
    assert [spec.tables["dev"].has(code) for code in ("de", "fr")] == [True, False]
    assert [spec.tables["test"].has(code) for code in ("en", "de")] == [True, False]


def test_a_name_without_a_language_is_the_english_file(tmp_path: Path) -> None:
    spec = own_spec("mine", OwnTask("mlm", {"train": "a/my.csv.gz", "dev": str(tmp_path / "x.jsonl")}))
    assert spec.find(tmp_path, "train", "en") == [tmp_path / "a/my.csv.gz"]
    assert spec.find(tmp_path, "train", "de") == [tmp_path / "a/my.de.csv.gz"]
    assert spec.find(Path("/elsewhere"), "dev", "en") == [tmp_path / "x.jsonl"]
    (tmp_path / "x.jsonl.gz").touch()
    assert spec.find(Path("/elsewhere"), "dev", "en") == [tmp_path / "x.jsonl.gz"]
    assert spec.languages == ("en",)


@pytest.mark.parametrize(
    ("family", "metric", "open_labels", "head"),
    [
        ("sequence", "accuracy", True, ""),
        ("choice", "accuracy", False, "choice"),
        ("token", "f1", True, ""),
        ("span", "em_and_f1", False, ""),
        ("mlm", "loss", False, "mlm"),
    ],
)
def test_a_family_settles_metric_labels_and_head(family: str, metric: str, open_labels: bool, head: str) -> None:
    spec = own_spec("mine", OwnTask(family, {"test": "{lang}.tsv", "train": "t.tsv"}))
    assert (spec.name, spec.family, spec.metric) == ("mine", family, metric)
    assert (spec.open_labels, spec.head, spec.splits) == (open_labels, head, ("train", "test"))
    assert "de" in spec.languages
    again = pickle.loads(pickle.dumps(spec))
    assert again.find(Path(), "test", "de") == spec.find(Path(), "test", "de") == [Path("de.tsv")]


def test_an_entry_of_a_recipe_becomes_a_task_and_may_say_labels_and_languages() -> None:
    text = "{family: choice, files: {train: t.csv}, columns: {choices: [a, b], prompt: p}}"
    own = OmegaConf.to_object(OmegaConf.merge(OmegaConf.structured(OwnTask), OmegaConf.create(text)))
    assert own == OwnTask("choice", {"train": "t.csv"}, {"choices": ["a", "b"], "prompt": "p"})
    assert own_spec("mine", own).layouts == ("t.csv",)
    assert own_spec("mine", OwnTask("mlm", {"train": "{lang}.csv"}, languages=["sr_Latn"])).languages == ("sr_Latn",)
    spec = own_spec("mine", OwnTask("sequence", {"train": "t.tsv"}, labels=["yes", "no"]))
    assert (spec.labels, spec.open_labels) == (("yes", "no"), False)


@pytest.mark.parametrize(
    ("own", "message"),
    [
        (OwnTask("mlm"), "own_tasks.mine: no files"),
        (OwnTask("mlm", {"valid": "t.csv"}), "own_tasks.mine.files: unknown split 'valid'"),
        (OwnTask("mlm", {"train": "t.xlsx"}), "no way to read 't.xlsx'"),
        (OwnTask("mlm", {"train": "t.parquet.gz"}), "no way to read 't.parquet.gz'"),
        (OwnTask("mlm", {"train": ["t.csv", "t.doc"]}), "no way to read 't.doc'"),
        (OwnTask("mlm", {"train": []}), "files.train: [] is no file. Give train: FILE, [FILE, FILE], or {hub:"),
        (OwnTask("sequence", {"train": "t.csv"}, {"text_1": "a"}), "unknown field 'text_1'"),
        (OwnTask("sequence", {"train": "t.csv"}, {"label": ["a", "b"]}), "'label' is no column's name"),
        (OwnTask("sequence", {"train": "t.csv"}, {"text_a": []}), "'text_a' is no column's name"),
        (OwnTask("sequence", {"train": "t.csv"}, {"text_a": 0}), "'text_a' is no column's name (0)"),
        (OwnTask("span", {"train": "t.csv"}, {"context": ["a", "b"]}), "'context' is no column's name"),
        (OwnTask("sequence", {"train": "t.conll"}), "no way to read 't.conll'"),
        (OwnTask("regression", {"train": "t.csv"}, labels=["a"]), "the family regression has no labels"),
        (OwnTask("sequence", {"train": "t.csv"}, separator="|"), "the family sequence has no separator"),
        (OwnTask("mlm", {"train": {"hub": "a/b", "name": "c"}}), "files.train: unknown key 'name'"),
        (OwnTask("mlm", {"train": {"config": "c"}}), "files.train: None is no data set of the Hub. Give hub"),
        (OwnTask("mlm", {"train": {"hub": "/data/x"}}), "'/data/x' is no data set of the Hub"),
        (OwnTask("mlm", {"train": {"hub": "a/b", "config": {"en": 3}}}), "train.config: {'en': 3} is no config"),
        (OwnTask("mlm", {"train": {"hub": "a/b", "revision": 1234567}}), "revision: 1234567 is no revision"),
        (OwnTask("token", {"train": {"hub": "a/b"}}, {"tags": 3}), "columns by number are for files"),
        (OwnTask("choice", {"train": "t.csv"}, {"choices": [1, 2]}), "'choices' is no column's name"),
        (OwnTask("choice", {"train": "t.csv"}, labels=["a"]), "the family choice has no labels"),
        (OwnTask("token", {"train": "t.csv"}, labels=["a", "a"]), "a label occurs twice"),
    ],
)
def test_a_mistake_in_the_entry_is_named(own: OwnTask, message: str) -> None:
    assert message in refusal(own_spec, "mine", own)


@pytest.mark.parametrize(
    ("family", "record", "entry", "message"),
    [
        ("sequence", {"txt_a": "a", "label": "x"}, {}, "no column 'text_a'. did you mean 'txt_a'?"),
        ("sequence", {"text_a": 3, "label": "x"}, {}, "text_a is no text (3)"),
        ("sequence", {"text_a": "a", "text_b": None, "label": 1.5}, {}, "label 1.5 is a number, not a class"),
        ("sequence", {"text_a": "a", "label": "0.25"}, {}, "predicted by family: regression"),
        ("sequence", {"text_a": "a", "label": float("nan")}, {}, "no label"),
        ("sequence", {"text_a": "a", "label": 1.0}, {}, "pandas makes 1.0 of 1"),
        ("regression", {"text_a": "a", "value": float("nan")}, {}, "no value"),
        ("regression", {"text_a": "a", "value": "inf"}, {}, "value is no finite number ('inf')"),
        ("regression", {"text_a": "a", "value": "high"}, {}, "value is no finite number ('high')"),
        ("regression", {"text_a": "a", "value": True}, {}, "value is no finite number (True)"),
        ("regression", {"text_a": "a", "value": 10**400}, {}, "value is no finite number"),
        ("regression", {"text_a": "a", "value": ""}, {}, "no value"),
        ("multilabel", {"text_a": "a", "labels": "x|y"}, {}, "Say what stands between labels: separator"),
        ("multilabel", {"text_a": "a", "labels": ["x", "x"]}, {}, "label 'x' stands there twice"),
        ("multilabel", {"text_a": "a", "labels": "x||y"}, {"separator": "|"}, "a label is empty"),
        ("multilabel", {"text_a": "a", "labels": ["z"]}, {"labels": ["x", "y"]}, "unknown label 'z'"),
        ("multilabel", {"text_a": "a", "labels": None}, {}, "no labels"),
        ("multilabel", {"text_a": "a", "labels": {"x": 1}}, {}, "labels is no list"),
        ("sequence", {"text_a": "\ud800", "label": "x"}, {}, "'text_a' holds half a surrogate pair"),
        ("sequence", {"id": "", "text_a": "a", "label": "x"}, {}, "id is empty"),
        ("sequence", {"text_a": "a", "label": "no"}, {"labels": ["noo", "yes"]}, "label 'no'. did you mean 'noo'?"),
        ("sequence", {"text_a": "a", "label": "yess"}, {"labels": ["False", "True"]}, "Quote the labels"),
        ("choice", {"prompt": "p", "choices": "x y", "label": 0}, {}, "choices is neither a list nor JSON ('x y')"),
        ("choice", {"prompt": "p", "choices": ["x"], "label": 0}, {}, "1 choices"),
        ("choice", {"prompt": "p", "choices": ["x", 2], "label": 0}, {}, "a choice is no text (2)"),
        ("token", {"words": ["a"], "tags": ["X", "Y"]}, {}, "1 words, but 2 tags"),
        ("token", {"words": "", "tags": ""}, {}, "no words"),
        ("token", {"words": {"a": 1}, "tags": []}, {}, "words is no list"),
        ("token", {"words": "a", "tags": "X"}, {"labels": ["Y"]}, "unknown tag 'X'"),
        ("token", {"words": "['a', b", "tags": "X"}, {}, "words begins like a list, but is none"),
        ("token", {"words": "[a, b]", "tags": "X X"}, {}, "words begins like a list, but is none"),
        ("token", {"words": "['a' ... 'b']", "tags": "X"}, {}, "words begins like a list, but is none"),
        ("span", QUESTION | {"answers": "c"}, {}, "answers is neither a list nor JSON ('c')"),
        ("span", QUESTION | {"answers": ["c"]}, {}, "answers cannot be read"),
        ("span", QUESTION | {"answers": {"text": ["c"]}}, {}, "answers cannot be read"),
        ("span", QUESTION | {"answers": [{"text": "c", "start": 1}]}, {}, "is not at character 1"),
        ("span", QUESTION | {"answers": [{"text": "c"}]}, {}, "an answer's start is no whole number"),
        ("mlm", {"text": ["a"]}, {}, "text is no text"),
    ],
)
def test_what_cannot_be_read_is_named_with_its_line(
    tmp_path: Path, family: str, record: dict[str, Any], entry: dict[str, Any], message: str
) -> None:
    said = refusal(lambda: read_one(tmp_path, family, record, **entry))
    assert "rows.jsonl:1: " in said
    assert message in said


@pytest.mark.parametrize(
    ("family", "suffix", "records", "message"),
    [
        ("sequence", ".jsonl", [LABELLED | {"id": "1"}] * 2, "id '1' occurs twice"),
        ("sequence", ".jsonl", [LABELLED | {"id": "1"}, LABELLED], "no column 'id'"),
        ("sequence", ".jsonl", [LABELLED, LABELLED | {"text_b": "c"}], "column 'text_b' is not in the rows above"),
        ("sequence", ".parquet", [LABELLED, LABELLED | {"label": None}], "no label"),
    ],
)
def test_rows_that_do_not_go_together_are_named_with_their_line(
    tmp_path: Path, family: str, suffix: str, records: Records, message: str
) -> None:
    assert f"my{suffix}:2: {message}" in refusal(read_as, tmp_path, family, suffix, records)


CELLS = st.none() | st.booleans() | st.integers(-1, 3) | st.sampled_from(["", "a", "A", "0", "[]", '["a", "b"]', "a b"])
VALUES = st.recursive(
    CELLS | st.text(max_size=4) | st.floats(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["text", "start", "answer_start"]), inner, max_size=3)
    ),
    max_leaves=8,
)
FIELD_NAMES = ["id", "group", "text_a", "text_b", "label", "prompt", "choices", "words", "tags", "text"]
FIELD = st.sampled_from([*FIELD_NAMES, "question", "context", "answers"])
RECORDS = st.lists(st.dictionaries(FIELD, VALUES, max_size=6), max_size=3)
TABLES = st.lists(st.lists(st.sampled_from([*FIELD_NAMES, '"', "a", "a b", "0"]), max_size=4), max_size=4)


def outcome(root: Path, family: str, suffix: str, split: str) -> str:
    """What the user is told, if anything; every other exception goes through."""
    try:
        read(root, OwnTask(family, {split: f"my{suffix}"}), split)
    except UserError as error:
        return str(error)
    return ""


@pytest.mark.parametrize("family", ["sequence", "choice", "token", "span", "mlm"])
@given(data=st.data())
def test_rubbish_gives_rows_or_a_user_error(tmp_path: Path, family: str, data: st.DataObject) -> None:
    suffix = data.draw(st.sampled_from(list(WRITERS)))
    if suffix in (".jsonl", ".json"):
        content = data.draw(RECORDS.map(encoded) | st.binary(max_size=60))
    elif suffix == ".parquet":
        content = to_parquet(PAIRS)
        cut, flipped = data.draw(st.integers(0, len(content))), data.draw(st.binary(max_size=8))
        content = content[:cut] + flipped + content[cut + len(flipped) :]
    else:
        separator = "\t" if suffix == ".tsv" else ","
        content = "\n".join(separator.join(row) for row in data.draw(TABLES)).encode()
        content = gzip.compress(content)[: data.draw(st.integers(5, 99))] if suffix.endswith(".gz") else content
    write(tmp_path, {f"my{suffix}": content})
    assert len(outcome(tmp_path, family, suffix, data.draw(st.sampled_from(["train", "test"])))) < 1000


def test_json_as_deep_as_it_can_be_parsed_is_a_user_error(tmp_path: Path) -> None:
    for depth in (500, 900, 930, 940, 950, 960, 970, 5000):
        write(tmp_path, {"my.jsonl": f'{{"text": {"[" * depth}{"]" * depth}}}\n'})
        assert "my.jsonl:1: " in outcome(tmp_path, "mlm", ".jsonl", "train")
