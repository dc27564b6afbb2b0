from __future__ import annotations

import csv
import gzip
import io
import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from omegaconf import OmegaConf

from dist_stilts.errors import UserError
from dist_stilts.tasks.read_own import OwnTask, own_spec
from dist_stilts.tasks.spec import Answer, ChoiceRow, PairRow, Quirk, Row, SpanRow, TaggedRow, TextRow

Records = list[dict[str, Any]]


def to_json_lines(records: Records) -> bytes:
    return "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records).encode()


def to_csv(records: Records) -> bytes:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(records[0]), lineterminator="\r\n")
    writer.writeheader()
    writer.writerows(records)
    return text.getvalue().encode()


def to_tsv(records: Records) -> bytes:
    lines = ["\t".join(records[0]), *("\t".join(map(str, record.values())) for record in records)]
    return ("\n".join(lines) + "\n").encode()


def to_parquet(records: Records) -> bytes:
    import pyarrow
    import pyarrow.parquet

    sink = io.BytesIO()
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(records), sink)
    return sink.getvalue()


WRITERS: dict[str, Callable[[Records], bytes]] = {
    ".jsonl": to_json_lines,
    ".json": to_json_lines,
    ".csv": to_csv,
    ".tsv": to_tsv,
    ".parquet": to_parquet,
    ".csv.gz": lambda records: gzip.compress(to_csv(records)),
}
NESTED = [".jsonl", ".parquet"]
"""Formats whose cells can hold lists."""


def read(root: Path, own: OwnTask, split: str = "train", language: str = "en") -> list[Row | Quirk]:
    spec = own_spec("mine", own)
    assert spec.read
    return list(spec.read(root, split, language))


def read_one(root: Path, family: str, record: dict[str, Any], split: str = "train", **entry: Any) -> Row | Quirk:
    (root / "rows.jsonl").write_text(json.dumps(record))
    return read(root, OwnTask(family, {split: "rows.jsonl"}, **entry), split)[0]


PAIRS = [
    {"premise": "a cat, asleep", "the hypothesis": 'it "sleeps"', "gold": "yes", "nr": "q1"},
    {"premise": "ein Hund — «da»", "the hypothesis": "er schläft", "gold": "no", "nr": "q2"},
]
PAIR_COLUMNS = {"text_a": "premise", "text_b": "the hypothesis", "label": "gold", "id": "nr"}


@pytest.mark.parametrize("suffix", WRITERS)
def test_every_format_gives_the_same_pairs(tmp_path: Path, suffix: str) -> None:
    (tmp_path / f"my{suffix}").write_bytes(WRITERS[suffix](PAIRS))
    own = OwnTask("sequence", {"train": f"my{suffix}"}, PAIR_COLUMNS, ["no", "yes"])
    assert read(tmp_path, own) == [
        PairRow("q1", "q1", "a cat, asleep", 'it "sleeps"', "yes"),
        PairRow("q2", "q2", "ein Hund — «da»", "er schläft", "no"),
    ]


def test_a_quoted_cell_may_hold_a_line_end(tmp_path: Path) -> None:
    (tmp_path / "my.csv").write_bytes(to_csv([{"text_a": "one\ntwo", "label": "x"}, {"text_a": "b", "label": "y"}]))
    assert read(tmp_path, OwnTask("sequence", {"train": "my.csv"})) == [
        PairRow("train-0", "train-0", "one\ntwo", "", "x"),
        PairRow("train-1", "train-1", "b", "", "y"),
    ]


@pytest.mark.parametrize("suffix", NESTED)
def test_choices_may_be_a_list(tmp_path: Path, suffix: str) -> None:
    records = [
        {"prompt": "2 + 2", "choices": ["4", "5"], "label": 1},
        {"prompt": "up", "choices": ["x", "y"], "label": 0},
    ]
    (tmp_path / f"my{suffix}").write_bytes(WRITERS[suffix](records))
    assert read(tmp_path, OwnTask("choice", {"train": f"my{suffix}"})) == [
        ChoiceRow("train-0", "train-0", "2 + 2", ("4", "5"), 1),
        ChoiceRow("train-1", "train-1", "up", ("x", "y"), 0),
    ]


@pytest.mark.parametrize("suffix", WRITERS)
@pytest.mark.parametrize("label", ["B", "1", "down"])
def test_choices_may_be_columns_and_labels_indices_letters_or_texts(tmp_path: Path, suffix: str, label: str) -> None:
    records = [{"prompt": "p", "answer0": "up", "answer1": "down", "label": label, "group": "g"}]
    (tmp_path / f"my{suffix}").write_bytes(WRITERS[suffix](records))
    own = OwnTask("choice", {"train": f"my{suffix}"}, {"choices": ["answer0", "answer1"]})
    assert read(tmp_path, own) == [ChoiceRow("train-0", "g", "p", ("up", "down"), 1)]


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
    with pytest.raises(UserError, match=fault):
        read_one(tmp_path, "choice", {"prompt": "p", "choices": choices, "label": label})


@pytest.mark.parametrize("suffix", NESTED)
def test_words_may_be_lists(tmp_path: Path, suffix: str) -> None:
    (tmp_path / f"my{suffix}").write_bytes(WRITERS[suffix]([{"tokens": ["a b", "c"], "ner_tags": [0, 3]}]))
    own = OwnTask("token", {"train": f"my{suffix}"}, {"words": "tokens", "tags": "ner_tags"})
    assert read(tmp_path, own) == [TaggedRow("train-0", "train-0", ("a b", "c"), ("0", "3"))]


@pytest.mark.parametrize("suffix", WRITERS)
def test_words_may_be_text_with_spaces_between(tmp_path: Path, suffix: str) -> None:
    (tmp_path / f"my{suffix}").write_bytes(WRITERS[suffix]([{"words": "the  cat", "tags": "DET NOUN"}]))
    own = OwnTask("token", {"train": f"my{suffix}"}, labels=["NOUN", "DET"])
    assert read(tmp_path, own) == [TaggedRow("train-0", "train-0", ("the", "cat"), ("DET", "NOUN"))]


ANSWERS = [
    {"text": ["cat", "the cat"], "answer_start": [4, 0]},
    [{"text": "cat", "start": 4}, {"text": "the cat", "start": 0}],
    [{"text": "cat", "answer_start": 4}, {"text": "the cat", "answer_start": 0}],
]


@pytest.mark.parametrize("answers", ANSWERS)
@pytest.mark.parametrize("suffix", NESTED)
def test_answers_may_be_written_as_on_the_hub_or_as_objects(tmp_path: Path, suffix: str, answers: Any) -> None:
    (tmp_path / f"my{suffix}").write_bytes(
        WRITERS[suffix]([{"id": 7, "question": "who?", "context": "the cat", "answers": answers}])
    )
    row = SpanRow("7", "7", "who?", "the cat", (Answer("cat", 4), Answer("the cat", 0)))
    assert read(tmp_path, OwnTask("span", {"train": f"my{suffix}"})) == [row]


def test_a_cell_of_text_may_hold_lists_as_json(tmp_path: Path) -> None:
    record = {"question": "q", "context": "the cat", "answers": json.dumps(ANSWERS[0])}
    (tmp_path / "my.csv").write_bytes(to_csv([record]))
    row = read(tmp_path, OwnTask("span", {"train": "my.csv"}))[0]
    assert isinstance(row, SpanRow)
    assert row.answers == (Answer("cat", 4), Answer("the cat", 0))


def test_questions_on_one_context_share_a_group_that_a_translation_has_too(tmp_path: Path) -> None:
    for language, contexts in (("en", ["one", "two", "one"]), ("de", ["eins", "zwei", "eins"])):
        records = [{"question": "q", "context": c, "answers": [{"text": c, "start": 0}]} for c in contexts]
        (tmp_path / f"my-{language}.jsonl").write_bytes(to_json_lines(records))
    own = OwnTask("span", {"train": "my-{lang}.jsonl"})
    for language in ("en", "de"):
        rows = read(tmp_path, own, language=language)
        assert [row.group for row in rows if isinstance(row, Row)] == ["train-0", "train-1", "train-0"]


def test_unanswerable_questions_are_announced_in_the_recipe(tmp_path: Path) -> None:
    record = {"question": "q", "context": "c", "answers": {"text": [], "answer_start": []}}
    with pytest.raises(UserError, match="a question without an answer"):
        read_one(tmp_path, "span", record)
    assert read_one(tmp_path, "span", record, no_answer=True) == SpanRow("train-0", "train-0", "q", "c", ())


def test_text_is_read_and_blank_rows_are_counted(tmp_path: Path) -> None:
    (tmp_path / "my.jsonl").write_bytes(to_json_lines([{"text": "a"}, {"text": " "}, {"text": "b"}]))
    assert read(tmp_path, OwnTask("mlm", {"train": "my.jsonl"})) == [
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


def test_a_test_file_may_lack_the_column_of_gold_that_the_entry_names(tmp_path: Path) -> None:
    row = read_one(tmp_path, "sequence", {"premise": "a"}, "test", columns={"text_a": "premise", "label": "gold"})
    assert row == PairRow("test-0", "test-0", "a", "", None)
    with pytest.raises(UserError, match=r"rows\.jsonl:1: no column 'pair'"):
        read_one(tmp_path, "sequence", {"text_a": "a"}, "test", columns={"text_b": "pair"})


def test_labels_may_be_numbers_or_truth_values(tmp_path: Path) -> None:
    rows = [read_one(tmp_path, "sequence", {"text_a": "a", "label": label}) for label in (0, -1, True)]
    assert [row.label for row in rows if isinstance(row, PairRow)] == ["0", "-1", "true"]


def test_a_name_without_a_language_is_the_english_file(tmp_path: Path) -> None:
    spec = own_spec("mine", OwnTask("mlm", {"train": "a/my.csv.gz", "dev": str(tmp_path / "x.jsonl")}))
    assert spec.find(tmp_path, "train", "en") == [tmp_path / "a/my.csv.gz"]
    assert spec.find(tmp_path, "train", "de") == [tmp_path / "a/my.de.csv.gz"]
    assert spec.find(Path("/elsewhere"), "dev", "en") == [tmp_path / "x.jsonl"]
    (tmp_path / "x.jsonl.gz").touch()
    assert spec.find(Path("/elsewhere"), "dev", "en") == [tmp_path / "x.jsonl.gz"]
    assert spec.languages == ("en",)


def test_an_entry_may_say_its_languages() -> None:
    assert own_spec("mine", OwnTask("mlm", {"train": "{lang}.csv"}, languages=["sr_Latn"])).languages == ("sr_Latn",)


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
    assert (spec.name, spec.family, spec.metric, spec.open_labels, spec.head) == (
        "mine",
        family,
        metric,
        open_labels,
        head,
    )
    assert spec.splits == ("train", "test")
    assert "de" in spec.languages
    again = pickle.loads(pickle.dumps(spec))
    assert again.find(Path(), "test", "de") == spec.find(Path(), "test", "de") == [Path("de.tsv")]


def test_given_labels_are_the_classes_in_id_order() -> None:
    spec = own_spec("mine", OwnTask("sequence", {"train": "t.tsv"}, labels=["yes", "no"]))
    assert (spec.labels, spec.open_labels) == (("yes", "no"), False)


def test_an_entry_of_a_recipe_becomes_a_task() -> None:
    text = "{family: choice, files: {train: t.csv}, columns: {choices: [a, b], prompt: p}}"
    own = OmegaConf.to_object(OmegaConf.merge(OmegaConf.structured(OwnTask), OmegaConf.create(text)))
    assert own == OwnTask("choice", {"train": "t.csv"}, {"choices": ["a", "b"], "prompt": "p"})
    assert own_spec("mine", own).layouts == ("t.csv",)


@pytest.mark.parametrize(
    ("own", "message"),
    [
        (
            OwnTask("sequense", {"train": "t.csv"}),
            "own_tasks.mine: unknown family 'sequense'. did you mean 'sequence'?",
        ),
        (OwnTask("mlm"), "own_tasks.mine: no files"),
        (OwnTask("mlm", {"valid": "t.csv"}), "own_tasks.mine.files: unknown split 'valid'"),
        (OwnTask("mlm", {"train": "t.xlsx"}), "no way to read 't.xlsx'"),
        (OwnTask("mlm", {"train": "t.parquet.gz"}), "no way to read 't.parquet.gz'"),
        (OwnTask("mlm", {"train": "t"}), "no way to read 't'"),
        (OwnTask("sequence", {"train": "t.csv"}, {"text_1": "a"}), "unknown field 'text_1'"),
        (OwnTask("sequence", {"train": "t.csv"}, {"text_a": ["a", "b"]}), "'text_a' is no column's name"),
        (OwnTask("choice", {"train": "t.csv"}, {"choices": [1, 2]}), "'choices' is no column's name"),
        (OwnTask("choice", {"train": "t.csv"}, labels=["a"]), "the family choice has no labels"),
        (OwnTask("token", {"train": "t.csv"}, labels=["a", "a"]), "a label occurs twice"),
    ],
)
def test_a_mistake_in_the_entry_is_named(own: OwnTask, message: str) -> None:
    with pytest.raises(UserError) as error:
        own_spec("mine", own)
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("family", "record", "message"),
    [
        ("sequence", {"txt_a": "a", "label": "x"}, "rows.jsonl:1: no column 'text_a'. did you mean 'txt_a'?"),
        ("sequence", {"text_a": 3, "label": "x"}, "rows.jsonl:1: text_a is no text (3)"),
        ("sequence", {"text_a": "a", "text_b": None, "label": 1.5}, "label is no text (1.5)"),
        ("sequence", {"text_a": "\ud800", "label": "x"}, "'text_a' holds half a surrogate pair"),
        ("sequence", {"id": "", "text_a": "a", "label": "x"}, "id is empty"),
        ("choice", {"prompt": "p", "choices": "x y", "label": 0}, "choices is neither a list nor JSON ('x y')"),
        ("choice", {"prompt": "p", "choices": ["x"], "label": 0}, "1 choices"),
        ("choice", {"prompt": "p", "choices": ["x", 2], "label": 0}, "a choice is no text (2)"),
        ("token", {"words": ["a"], "tags": ["X", "Y"]}, "1 words, but 2 tags"),
        ("token", {"words": "", "tags": ""}, "no words"),
        ("token", {"words": {"a": 1}, "tags": []}, "words is no list"),
        ("span", {"question": "q", "context": "c", "answers": "c"}, "answers is neither a list nor JSON ('c')"),
        ("span", {"question": "q", "context": "c", "answers": ["c"]}, "answers cannot be read"),
        ("span", {"question": "q", "context": "c", "answers": {"text": ["c"]}}, "answers cannot be read"),
        ("span", {"question": "q", "context": "c", "answers": [{"text": "c", "start": 1}]}, "is not at character 1"),
        ("span", {"question": "q", "context": "c", "answers": [{"text": "c"}]}, "an answer's start is no whole number"),
        ("mlm", {"text": ["a"]}, "text is no text"),
    ],
)
def test_what_cannot_be_read_is_named_with_its_line(
    tmp_path: Path, family: str, record: dict[str, Any], message: str
) -> None:
    with pytest.raises(UserError) as error:
        read_one(tmp_path, family, record)
    assert message in str(error.value)
    assert "rows.jsonl:1: " in str(error.value)


def test_an_unknown_label_is_named_and_bare_yaml_truth_values_are_explained(tmp_path: Path) -> None:
    record = {"text_a": "a", "label": "yess"}
    with pytest.raises(UserError, match=r"unknown label 'yess'\. did you mean 'yes'\?"):
        read_one(tmp_path, "sequence", record, labels=["no", "yes"])
    with pytest.raises(UserError, match="Quote the labels"):
        read_one(tmp_path, "sequence", record, labels=["False", "True"])
    with pytest.raises(UserError, match="unknown tag 'X'"):
        read_one(tmp_path, "token", {"words": "a", "tags": "X"}, labels=["Y"])


@pytest.mark.parametrize(
    ("second", "message"),
    [
        ({"id": "1", "text_a": "b", "label": "x"}, "id '1' occurs twice"),
        ({"text_a": "b", "label": "x"}, "no column 'id'"),
        ({"id": "2", "text_a": "b", "text_b": "c", "label": "x"}, "column 'text_b' is not in the rows above"),
    ],
)
def test_rows_that_do_not_go_together_are_named_with_their_line(
    tmp_path: Path, second: dict[str, Any], message: str
) -> None:
    (tmp_path / "my.jsonl").write_bytes(to_json_lines([{"id": "1", "text_a": "a", "label": "x"}, second]))
    with pytest.raises(UserError) as error:
        read(tmp_path, OwnTask("sequence", {"train": "my.jsonl"}))
    assert str(error.value).startswith(f"{tmp_path / 'my.jsonl'}:2: {message}")


def test_another_number_of_choices_is_named_with_its_line(tmp_path: Path) -> None:
    records = [{"prompt": "p", "choices": list("xyz")[:n], "label": 0} for n in (2, 3)]
    (tmp_path / "my.jsonl").write_bytes(to_json_lines(records))
    with pytest.raises(UserError, match=r"my\.jsonl:2: 3 choices, 2 before"):
        read(tmp_path, OwnTask("choice", {"train": "my.jsonl"}))


def test_a_parquet_file_names_the_row(tmp_path: Path) -> None:
    (tmp_path / "my.parquet").write_bytes(to_parquet([{"text_a": "a", "label": "x"}, {"text_a": "b", "label": None}]))
    with pytest.raises(UserError, match=r"my\.parquet:2: no label"):
        read(tmp_path, OwnTask("sequence", {"train": "my.parquet"}))


@pytest.mark.parametrize("suffix", WRITERS)
def test_a_missing_file_is_a_user_error(tmp_path: Path, suffix: str) -> None:
    with pytest.raises(UserError, match="no such file"):
        read(tmp_path, OwnTask("mlm", {"train": f"my{suffix}"}))


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
RECORDS = st.lists(
    st.dictionaries(st.sampled_from([*FIELD_NAMES, "question", "context", "answers"]), VALUES, max_size=6), max_size=3
)
TABLES = st.lists(st.lists(st.sampled_from([*FIELD_NAMES, '"', "a", "a b", "0"]), max_size=4), max_size=4)


def outcome(root: Path, family: str, suffix: str, split: str) -> str:
    """What the user is told, if anything; every other exception goes through."""
    try:
        read(root, OwnTask(family, {split: f"my{suffix}"}), split)
    except UserError as error:
        return str(error)
    return ""


@pytest.mark.parametrize("family", ["sequence", "choice", "token", "span", "mlm"])
@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_rubbish_gives_rows_or_a_user_error(tmp_path: Path, family: str, data: st.DataObject) -> None:
    suffix = data.draw(st.sampled_from(list(WRITERS)))
    if suffix in (".jsonl", ".json"):
        content = to_json_lines(data.draw(RECORDS)) if data.draw(st.booleans()) else data.draw(st.binary(max_size=60))
    elif suffix == ".parquet":
        content = to_parquet(PAIRS)
        cut, flipped = data.draw(st.integers(0, len(content))), data.draw(st.binary(max_size=8))
        content = content[:cut] + flipped + content[cut + len(flipped) :]
    else:
        separator = "\t" if suffix == ".tsv" else ","
        content = "\n".join(separator.join(row) for row in data.draw(TABLES)).encode()
        content = gzip.compress(content)[: data.draw(st.integers(5, 99))] if suffix.endswith(".gz") else content
    (tmp_path / f"my{suffix}").write_bytes(content)
    message = outcome(tmp_path, family, suffix, data.draw(st.sampled_from(["train", "test"])))
    assert "\n" not in message
    assert len(message) < 1000


def test_json_as_deep_as_it_can_be_parsed_is_a_user_error(tmp_path: Path) -> None:
    for depth in (500, 900, 930, 940, 950, 960, 970, 5000):
        (tmp_path / "my.jsonl").write_text(f'{{"text": {"[" * depth}{"]" * depth}}}\n')
        assert "my.jsonl:1: " in outcome(tmp_path, "mlm", ".jsonl", "train")
