from __future__ import annotations

import gzip
import json
import shutil
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from task_files import CONTEXT, refusal, write

from dist_stilts.errors import UserError
from dist_stilts.tasks.files import exists
from dist_stilts.tasks.read_qa import (
    find_squad_v1,
    find_tydiqa,
    parallel_from_hub,
    read_mlqa,
    read_squad_v1,
    read_squad_v2,
    read_tydiqa,
    read_xquad,
    squad_from_hub,
)
from dist_stilts.tasks.spec import Answer, Quirk, SpanRow
from dist_stilts.tasks.specs_qa import SPECS

Reader = Callable[[Path, str, str], Iterator[SpanRow | Quirk]]
GERMAN = "Rom ist alt. Paris ist in Frankreich."
SQUAD_DE, TYDIQA = "squad.translate.train.en-de.json", "tydiqa.goldp.en.train.json"
WITHHELD = ("", 0)
ROME = ("Rome", 0)


def qa(key: str, *answers: tuple[Any, Any], **more: Any) -> dict[str, Any]:
    listed = [{"text": text, "answer_start": start} for text, start in answers]
    return {"id": key, "question": f"{key}?", "answers": listed, **more}


def squad(*paragraphs: tuple[str, list[Any]]) -> dict[str, Any]:
    """A file of one article."""
    return {"version": "1.1", "data": [{"paragraphs": [{"context": text, "qas": qas} for text, qas in paragraphs]}]}


def split_quirks(items: Iterable[SpanRow | Quirk]) -> tuple[list[SpanRow], list[str]]:
    items = list(items)
    rows = [item for item in items if isinstance(item, SpanRow)]
    return rows, [item.what for item in items if isinstance(item, Quirk)]


def rows_of(items: Iterable[SpanRow | Quirk]) -> list[SpanRow]:
    rows, quirks = split_quirks(items)
    assert not quirks
    return rows


@pytest.mark.parametrize(
    ("read", "split", "language", "names"),
    [
        (read_squad_v1, "train", "en", "train-v1.1.json"),
        (read_squad_v1, "dev", "en", "dev-v1.1.json dev-v1.1.derived-from-v2.json"),
        (read_squad_v1, "train", "de", f"{SQUAD_DE} translate-train/{SQUAD_DE}"),
        (read_squad_v2, "train", "en", "train-v2.0.json"),
        (read_squad_v2, "dev", "en", "dev-v2.0.json"),
        (read_xquad, "test", "de", "xquad.de.json"),
        (read_mlqa, "dev", "de", "MLQA_V1/dev/dev-context-de-question-de.json"),
        (read_mlqa, "test", "zh", "MLQA_V1/test/test-context-zh-question-zh.json"),
        (read_mlqa, "test", "en", "test/test-context-en-question-en.json"),
        (read_tydiqa, "train", "en", f"tydiqa-goldp-v1.1-train/{TYDIQA} train/{TYDIQA}"),
        (read_tydiqa, "test", "fi", "tydiqa-goldp-v1.1-dev/tydiqa.goldp.fi.dev.json dev/tydiqa.goldp.fi.dev.json"),
        (read_tydiqa, "test", "fi", "tydiqa-goldp-v1.1-dev/tydiqa-goldp-dev-finnish.json tydiqa-goldp-v1.1-dev.json"),
        (read_tydiqa, "train", "fi", "tydiqa-goldp-v1.1-train/tydiqa-goldp-v1.1-train.json"),
        (read_tydiqa, "train", "te", "tydiqa.translate.train.en-te.json"),
    ],
)
def test_a_question_is_read_under_every_published_name_packed_or_not(
    tmp_path: Path, read: Reader, split: str, language: str, names: str
) -> None:
    value = squad((CONTEXT, [qa("finnish-1", ("Paris", 13), ("France", 25))]))
    for number, name in enumerate(names.split()):
        write(tmp_path / f"{number}", {name: value})
        write(tmp_path / f"{number} packed", {f"{name}.gz": gzip.compress(json.dumps(value).encode())})
        for folder in (f"{number}", f"{number} packed"):
            (row,) = rows_of(read(tmp_path / folder, split, language))
            assert (row.id, row.question, row.context) == ("finnish-1", "finnish-1?", CONTEXT)
            assert row.answers == (Answer("Paris", 13), Answer("France", 25))


def test_offsets_count_characters_and_a_mark_inside_the_context_is_one(tmp_path: Path) -> None:
    context = "\ufeff😀 Αθήνα e\u0301t\u200cé"
    write(tmp_path, {"xquad.el.json": squad((context, [qa("q", ("Αθήνα", 3), ("é", 13))]))})
    (row,) = rows_of(read_xquad(tmp_path, "test", "el"))
    assert row.context == context
    assert [context[answer.start :][: len(answer.text)] for answer in row.answers or ()] == ["Αθήνα", "é"]


def test_contexts_are_shared_and_questions_on_one_share_a_group(tmp_path: Path) -> None:
    value = squad((CONTEXT, [qa("a", ROME), qa("b", ROME)]), ("x", [qa("c", ("x", 0))]))
    value["data"] += squad((CONTEXT, [qa("d", ROME)]))["data"]
    a, b, c, d = rows_of(read_squad_v1(write(tmp_path, {"train-v1.1.json": value}), "train", "en"))
    assert a.group == b.group == d.group != c.group
    assert a.context is b.context is d.context


@pytest.mark.parametrize(
    ("read", "split", "english_name", "german_name"),
    [
        (read_squad_v1, "train", "train-v1.1.json", "squad.translate.train.en-de.json"),
        (read_xquad, "test", "xquad.en.json", "xquad.de.json"),
        (read_mlqa, "dev", "dev-context-en-question-en.json", "dev-context-de-question-de.json"),
    ],
)
def test_groups_of_parallel_languages_are_those_of_english_if_it_is_there(
    tmp_path: Path, read: Reader, split: str, english_name: str, german_name: str
) -> None:
    english = squad((CONTEXT, [qa("a", ROME), qa("b", ROME)]), ("x", [qa("c", ("x", 0))]))
    german = squad(("y", [qa("c", ("y", 0))]), (GERMAN, [qa("b", ("Rom", 0)), qa("new", ("Rom", 0))]))
    alone = rows_of(read(write(tmp_path / "alone", {german_name: german}), split, "de"))
    assert [row.group for row in alone] == ["c", "b", "new"]
    write(tmp_path, {english_name: english, german_name: german})
    group = {row.id: row.group for row in rows_of(read(tmp_path, split, "en"))}
    translated = {row.id: row.group for row in rows_of(read(tmp_path, split, "de"))}
    assert translated == {"c": group["c"], "b": group["b"], "new": "new"}


def test_squad_v2_questions_may_have_no_answer(tmp_path: Path) -> None:
    plausible = [{"text": "Rome", "answer_start": 0}]
    questions = [qa("yes", ROME, is_impossible=False), qa("no", is_impossible=True, plausible_answers=plausible)]
    write(tmp_path, {"dev-v2.0.json": squad((CONTEXT, [*questions, qa("old")]))})
    assert [row.answers for row in rows_of(read_squad_v2(tmp_path, "dev", "en"))] == [(Answer(*ROME),), (), ()]


def test_gold_may_be_withheld_outside_training_by_xtreme_with_empty_answers(tmp_path: Path) -> None:
    value = squad((CONTEXT, [{"id": "q", "question": "?"}]))
    write(tmp_path, {"dev-v1.1.json": value, "train-v1.1.json": value})
    assert rows_of(read_squad_v1(tmp_path, "dev", "en"))[0].answers is None
    assert "train-v1.1.json:1: no list under the key 'answers'" in refusal(read_squad_v1, tmp_path, "train", "en")
    names = ("dev/tydiqa.goldp.en.dev.json", "train/tydiqa.goldp.en.train.json")
    taken_out = squad((CONTEXT, [qa("english-1-0", WITHHELD)]), ("x", [qa("english-2-0", WITHHELD)]))
    write(tmp_path, dict.fromkeys(names, taken_out))
    assert [row.answers for row in rows_of(read_tydiqa(tmp_path, "test", "en"))] == [None, None]
    assert "train.json:1: its gold answers were taken out" in refusal(read_tydiqa, tmp_path, "train", "en")
    # One empty answer among others is scored, but not trained on.
    write(tmp_path, dict.fromkeys(names, squad((CONTEXT, [qa("english-1", ROME), qa("english-2", WITHHELD)]))))
    rows, quirks = split_quirks(read_tydiqa(tmp_path, "test", "en"))
    assert [row.answers for row in rows] == [(Answer(*ROME),), (Answer("", 0),)]
    assert quirks == ["empty answer kept"]
    rows, quirks = split_quirks(read_tydiqa(tmp_path, "train", "en"))
    assert [row.id for row in rows] == ["english-1"]
    assert quirks == ["question left out: its answer is empty"]


MOVED = "answer moved to where its text stands"


@pytest.mark.parametrize(
    ("given", "mended", "quirk"),
    [
        (("Paris", 9), ("Paris", 13), MOVED),
        (("Paris", -5), ("Paris", 13), MOVED),
        (("France", 10**30), ("France", 25), MOVED),
        ((" Paris\n", 12), ("Paris", 13), "white space around an answer taken off"),
        (("is", 18), ("is", 19), MOVED),  # two places: the near one is meant, or none
    ],
)
def test_an_answer_is_moved_to_where_it_stands(
    tmp_path: Path, given: tuple[str, int], mended: tuple[str, int], quirk: str
) -> None:
    write(tmp_path, {"dev-v1.1.json": squad((CONTEXT, [qa("q", given)]))})
    rows, quirks = split_quirks(read_squad_v1(tmp_path, "dev", "en"))
    assert rows[0].answers == (Answer(*mended),)
    assert quirks == [quirk]


@pytest.mark.parametrize("answer", [("Berlin", 0), ("is", 50), ("\t\t", 200)])
def test_an_answer_that_is_not_in_the_context_names_its_line(tmp_path: Path, answer: tuple[str, int]) -> None:
    text = json.dumps(squad((CONTEXT, [qa("p", ROME), qa("q", ROME, answer)])), indent=1)
    said = refusal(read_squad_v1, write(tmp_path, {"dev-v1.1.json": text}), "dev", "en")
    number = int(said.split("dev-v1.1.json:")[1].split(":")[0])
    assert f"answer {answer[0]!r} is not in the context at {answer[1]}" in said
    assert json.loads(text.split("\n")[number].split(": ", 1)[1].rstrip(",")) == answer[0]


def test_a_translated_question_whose_answer_was_not_found_is_left_out(tmp_path: Path) -> None:
    questions = [qa("a", ("Rom", 0)), qa("b", ("Berlin", 3)), qa("c", ("Paris", 0)), qa("d", ("", 0))]
    write(tmp_path, {"squad.translate.train.en-de.json": squad((GERMAN, questions))})
    rows, quirks = split_quirks(read_squad_v1(tmp_path, "train", "de"))
    assert {row.id: row.answers for row in rows} == {"a": (Answer("Rom", 0),), "c": (Answer("Paris", 13),)}
    left_out = "question left out: its answer is"
    assert sorted(quirks) == [MOVED, f"{left_out} empty", f"{left_out} not in the translated context"]


def test_tydiqa_in_one_file_is_filtered_by_language_and_ids_that_xtreme_cut_are_row_numbers(tmp_path: Path) -> None:
    keys = ["english-1-0", "english--5-1", "finnish-1-0", "indonesian-1-0"]
    write(tmp_path, {"tydiqa-goldp-v1.1-train.json": squad((CONTEXT, [qa(key, ROME) for key in keys]))})
    for language, found in (("en", keys[:2]), ("fi", keys[2:3]), ("id", keys[3:]), ("sw", [])):
        assert [row.id for row in rows_of(read_tydiqa(tmp_path, "train", language))] == found
    cut = write(tmp_path / "cut", {TYDIQA: squad((CONTEXT, [qa("0", ROME)]), ("x", [qa("0", ("x", 0))]))})
    rows, quirks = split_quirks(read_tydiqa(cut, "train", "en"))
    assert [row.id for row in rows] == ["train-0", "train-1"]
    assert quirks == ["id that repeats replaced by the row number"] * 2


def test_tydiqa_groups_are_the_same_in_the_publishers_and_in_xtremes_files(tmp_path: Path) -> None:
    groups = []
    for name, start in (("tydiqa-goldp-v1.1-train.json", "english-1-"), ("tydiqa.goldp.en.train.json", "")):
        contexts = enumerate([CONTEXT, "x", CONTEXT, "y"])
        paragraphs = [(text, [qa(f"{start}{n}", (text[:1], 0))]) for n, text in contexts]
        rows, _ = split_quirks(read_tydiqa(write(tmp_path / name, {name: squad(*paragraphs)}), "train", "en"))
        groups.append([row.group for row in rows])
    assert groups[0] == groups[1]
    assert groups[0][0] == groups[0][2]


def test_translated_tydiqa_has_the_groups_of_english(tmp_path: Path) -> None:
    english = squad((CONTEXT, [qa("english-1", ROME)]), ("x", [qa("english-2", ("x", 0))]))
    translated = squad(("y", [qa("english-2", ("y", 0))]), (GERMAN, [qa("english-1", ("Rom", 0))]))
    write(tmp_path, {"tydiqa-goldp-v1.1-train.json": english, "tydiqa.translate.train.en-qaa.json": translated})
    groups = {row.id: row.group for row in rows_of(read_tydiqa(tmp_path, "train", "en"))}
    assert {row.id: row.group for row in rows_of(read_tydiqa(tmp_path, "train", "qaa"))} == groups


def test_missing_files_go_by_the_publishers_name_and_tydiqa_prefers_them_and_native_to_translated(
    tmp_path: Path,
) -> None:
    paths = [path for spec in SPECS for path in spec.find(tmp_path, spec.splits[-1], "en")]
    names = "dev-v1.1.json dev-v2.0.json xquad.en.json test-context-en-question-en.json tydiqa-goldp-v1.1-dev.json"
    assert [path.name for path in paths] == names.split()
    assert not any(map(exists, paths))
    assert [path.name for path in find_squad_v1(tmp_path, "train", "de")] == ["squad.translate.train.en-de.json"]
    for name in ("tydiqa.translate.train.en-fi", "tydiqa.goldp.fi.train", "tydiqa-goldp-v1.1-train"):
        write(tmp_path, {f"{name}.json": {}})
        assert find_tydiqa(tmp_path, "train", "fi")[0].stem == name


def replaced(value: Any, keys: tuple[str | int, ...], new: Any) -> Any:
    """The value with the one at ``keys`` replaced, or taken out."""
    value = json.loads(json.dumps(value))
    inner = value
    for key in keys[:-1]:
        inner = inner[key]
    if new is ...:
        del inner[keys[-1]]
    else:
        inner[keys[-1]] = new
    return value


PARAGRAPH = ("data", 0, "paragraphs", 0)
QUESTION = (*PARAGRAPH, "qas", 1)
GOOD = squad((CONTEXT, [qa("a", ROME), qa("b", ROME)]))


@pytest.mark.parametrize(
    ("keys", "new", "said"),
    [
        (("data",), {}, "3: no list under the key 'data'"),
        (("data",), ..., "1: no list under the key 'data'"),
        (("data", 0), 7, "4: no list under the key 'paragraphs'"),
        ((*PARAGRAPH, "context"), None, "7: no text under the key 'context'"),
        ((*PARAGRAPH, "qas"), ..., "6: no list under the key 'qas'"),
        ((*QUESTION, "id"), 5, "20: no text under the key 'id'"),
        ((*QUESTION, "id"), "a", "20: id 'a' occurs twice"),
        ((*QUESTION, "question"), ..., "19: no text under the key 'question'"),
        ((*QUESTION, "question"), "\ud800", "21: 'question' holds half a surrogate pair"),
        ((*QUESTION, "answers"), "Rome", "22: no list under the key 'answers'"),
        ((*QUESTION, "answers"), [], "22: a question without an answer. Those belong to squad_v2"),
        ((*QUESTION, "answers", 0), "Rome", "23: no text under the key 'text'"),
        ((*QUESTION, "answers", 0, "answer_start"), "0", "25: no whole number under the key 'answer_start'"),
        ((*QUESTION, "answers", 0, "answer_start"), True, "25: no whole number under the key 'answer_start'"),
    ],
)
def test_what_is_missing_or_of_a_wrong_kind_names_its_line(
    tmp_path: Path, keys: tuple[str | int, ...], new: Any, said: str
) -> None:
    write(tmp_path, {"dev-v1.1.json": json.dumps(replaced(GOOD, keys, new), indent=1)})
    assert f"dev-v1.1.json:{said}" in refusal(read_squad_v1, tmp_path, "dev", "en")


@pytest.mark.parametrize(
    ("read", "name", "content", "said"),
    [
        (read_squad_v1, "dev-v1.1.json", json.dumps(GOOD)[:-9], ":1: invalid JSON"),
        (read_squad_v1, "dev-v1.1.json", b"[]", ":1: no list under the key 'data'"),
        (
            read_squad_v1,
            "dev-v1.1.json.gz",
            gzip.compress(json.dumps(GOOD).encode(), mtime=0)[:-12],
            ": damaged or cut off",
        ),
        *(
            (read_squad_v2, "dev-v2.0.json", squad((CONTEXT, [question])), said)
            for question, said in (
                (qa("q", ROME, is_impossible=True), ":1: a question with is_impossible has answers"),
                (qa("q", is_impossible="yes"), ":1: 'is_impossible' is neither true nor false"),
            )
        ),
    ],
)
def test_a_broken_or_contradictory_file_names_its_line(
    tmp_path: Path, read: Reader, name: str, content: Any, said: str
) -> None:
    assert f"{name}{said}" in refusal(read, write(tmp_path, {name: content}), "dev", "en")


def hub_record(row: SpanRow) -> dict[str, Any]:
    answers = row.answers or ()
    gold = {"text": [answer.text for answer in answers], "answer_start": [answer.start for answer in answers]}
    return {"id": row.id, "title": "", "context": row.context, "question": row.question, "answers": gold}


def test_hub_rows_equal_the_rows_of_the_published_files_and_those_of_parallel_tasks_stand_alone(tmp_path: Path) -> None:
    questions = [qa("a", ROME, ("Paris", 13)), qa("b", is_impossible=True)]
    write(tmp_path, {"dev-v2.0.json": squad((CONTEXT, questions))})
    for row in rows_of(read_squad_v2(tmp_path, "dev", "en")):
        assert squad_from_hub(0, hub_record(row), "dev") == row
    row = SpanRow("a", "a", "?", CONTEXT, (Answer(*ROME),))
    assert parallel_from_hub(7, hub_record(row), "test") == row
    assert squad_from_hub(0, hub_record(SpanRow("a", "a", "?", CONTEXT, (Answer("Oslo", 0),))), "train") is None


def test_original_archives_are_read_as_they_are(tmp_path: Path, real_data: Path) -> None:
    for name in ("squad", "squad_v2", "mlqa.en.en", "tydiqa_goldp"):
        (tmp_path / name).mkdir()
        shutil.copy(real_data / "hf_dummy" / f"{name}.zip", tmp_path / name)
    assert len(rows_of(read_squad_v2(tmp_path / "squad_v2", "train", "en"))) == 2
    assert len(rows_of(read_mlqa(tmp_path / "mlqa.en.en", "dev", "en"))) == 1
    assert len(rows_of(read_tydiqa(tmp_path / "tydiqa_goldp", "train", "fi"))) == 2
    assert len(rows_of(read_tydiqa(tmp_path / "tydiqa_goldp", "test", "ar"))) == 1
    # The specimen of SQuAD 1.1 is made up, and its answer is not in its context.
    said = refusal(read_squad_v1, tmp_path / "squad", "dev", "en")
    assert "dev-v1.1.json:10: answer 'This is a test text' is not" in said


NEW = (
    st.none()
    | st.booleans()
    | st.integers(-5, 40)
    | st.sampled_from(["", "Rome", "a", "\ud800", CONTEXT, [], {}, [{}], ...])
    | st.lists(st.text(max_size=2), max_size=2)
)
READERS: list[tuple[Reader, str, str, str]] = [
    (read_squad_v1, "train", "en", "train-v1.1.json"),
    (read_squad_v1, "train", "de", "squad.translate.train.en-de.json"),
    (read_squad_v2, "dev", "en", "dev-v2.0.json"),
    (read_tydiqa, "train", "fi", "tydiqa.goldp.fi.train.json"),
]


def places(value: Any, keys: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    if keys:
        yield keys
    for key in value if isinstance(value, dict) else range(len(value) if isinstance(value, list) else 0):
        yield from places(value[key], (*keys, key))


@given(keys=st.sampled_from(list(places(GOOD))), new=NEW, cut=st.none() | st.integers(0, 300))
def test_a_mutated_file_gives_rows_or_one_line(
    tmp_path: Path, keys: tuple[str | int, ...], new: Any, cut: int | None
) -> None:
    for read, split, language, name in READERS:
        write(tmp_path, {name: json.dumps(replaced(GOOD, keys, new)).encode()[:cut]})
        said = ""
        try:
            rows, _ = split_quirks(read(tmp_path, split, language))
            assert all(row.context[a.start :].startswith(a.text) for row in rows for a in row.answers or ())
        except UserError as error:
            said = str(error)
        assert len(said) < 1000
