from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from task_files import write

from dist_stilts.errors import UserError
from dist_stilts.evaluate.official import LANGUAGES, score_files, suffix
from dist_stilts.evaluate.submission import score_folder

XNLI_MISSING = [language for language in LANGUAGES["xnli"] if language not in ("en", "de")]


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    predictions = {"xnli/test-en.tsv": "neutral\nentailment\n", "xnli/test-de.tsv": "neutral\nneutral\n"}
    labels = {"xnli/test-en.tsv": "neutral\nentailment\n", "xnli/test-de.tsv": "neutral\nentailment\n"}
    return write(tmp_path / "predictions", predictions), write(tmp_path / "labels", labels)


def scored_files(tmp_path: Path, task: str, predicted: str, gold: str, language: str = "de") -> Any:
    names = [f"{side}{suffix(task)}" for side in ("predicted", "gold")]
    write(tmp_path, dict(zip(names, (predicted, gold), strict=True)))
    return score_files(task, language, *(tmp_path / name for name in names))


def test_a_mean_over_fewer_languages_is_marked_and_none_is_given_over_fewer_tasks(folders: tuple[Path, Path]) -> None:
    scores = score_folder(*folders)
    assert scores["tasks"]["xnli"] == {
        "languages": {"en": {"accuracy": 100.0}, "de": {"accuracy": 50.0}},
        "average": {"accuracy": 75.0},
        "score": 75.0,
        "missing": XNLI_MISSING,
        "extra": [],
        "notes": [],
    }
    assert scores["incomplete"] == {"xnli": "2 of 15 languages"}
    assert set(scores["groups"].values()) == {scores["overall"], scores["without_retrieval"]} == {None}
    path = folders[1] / "xnli" / "test-de.tsv"
    path.with_name(path.name + ".gz").write_bytes(gzip.compress(path.read_bytes()))
    path.unlink()
    assert score_folder(*folders) == scores, "packed files are read too"


def test_a_language_outside_the_task_is_scored_but_in_no_mean(folders: tuple[Path, Path]) -> None:
    for folder in folders:
        write(folder, {"xnli/test-qaa.tsv": "neutral\n", "tatoeba/test-qaa.tsv": "0\n"})
    scores = score_folder(*folders)["tasks"]
    assert scores["xnli"]["languages"]["qaa"] == {"accuracy": 100.0}
    assert (scores["xnli"]["extra"], scores["xnli"]["average"]) == (["qaa"], {"accuracy": 75.0})
    assert (scores["tatoeba"]["average"], scores["tatoeba"]["score"]) == ({}, None)


def test_a_task_without_labels_is_skipped_and_named(folders: tuple[Path, Path]) -> None:
    write(folders[0], {"tatoeba/test-de.tsv": "0\n", "mnli/test-en.tsv": "neutral\n", "pawsx/dev-en.tsv": "0\n"})
    write(folders[1], {"pawsx/test-en.tsv": "0\n"})
    scores = score_folder(*folders)
    assert list(scores["tasks"]) == ["xnli"]
    assert scores["skipped"] == [
        "mnli: no task of XTREME",
        "pawsx: no test-<language>.tsv",
        f"tatoeba: no folder {folders[1] / 'tatoeba'}",
    ]


@pytest.mark.parametrize(("folder", "meant"), [("xnil", "xnli"), ("bucc", "bucc2018"), ("tydi_qa", "tydiqa")])
def test_a_folder_that_looks_like_a_misspelt_task_and_folders_without_a_common_task_are_refused(
    folders: tuple[Path, Path], folder: str, meant: str
) -> None:
    (folders[0] / folder).mkdir()
    with pytest.raises(UserError, match=rf"'{folder}' is no task of XTREME\. did you mean '{meant}'\?"):
        score_folder(*folders)
    with pytest.raises(UserError, match="no task in common"):
        score_folder(folders[0].parent, folders[0].parent)
    with pytest.raises(UserError, match="no such folder"):
        score_folder(folders[0] / "nowhere", folders[0])


def test_predictions_without_their_label_file_stop_no_other_and_are_refused(folders: tuple[Path, Path]) -> None:
    (folders[1] / "xnli" / "test-de.tsv").unlink()
    scores = score_folder(*folders)
    refused = [f"xnli de: no labels for {folders[0] / 'xnli/test-de.tsv'} in {folders[1] / 'xnli'}"]
    assert (scores["skipped"], scores["refused"]) == (refused, refused)
    assert scores["tasks"]["xnli"]["average"] == {"accuracy": 100.0}
    assert scores["incomplete"] == {"xnli": "1 of 15 languages"}


EMPTY = "file is empty"
ONE_QUESTION = '{"data": [{"paragraphs": [{"qas": [{"id": "1", "answers": [{"text": "cat"}]}]}]}]}'


@pytest.mark.parametrize(
    ("task", "gold", "predicted", "reason"),
    [
        ("pawsx", "0\n", "", EMPTY),
        ("tatoeba", "0\n", "", EMPTY),
        ("xcopa", "0\n", "0\n1\n", "2 lines, but its labels have 1"),
        ("panx", "B-LOC\n", "", EMPTY),
        ("udpos", "NOUN\n", "X\nX\n", "sentence 1 has 2 tags, its labels have 1"),
        ("xquad", ONE_QUESTION, "", EMPTY),
        ("mlqa", ONE_QUESTION, "[]", "not a JSON object"),
    ],
)
def test_a_file_that_cannot_be_scored_stops_no_other_and_is_named(
    folders: tuple[Path, Path], task: str, gold: str, predicted: str, reason: str
) -> None:
    languages = LANGUAGES[task][:2]
    name = f"{task}/test-{{}}{suffix(task)}"
    write(folders[1], {name.format(language): gold for language in languages})
    right = '{"1": "cat"}' if gold == ONE_QUESTION else gold
    write(folders[0], dict(zip((name.format(language) for language in languages), (right, predicted), strict=True)))
    scores = score_folder(*folders)
    assert scores["tasks"]["xnli"]["score"] == 75.0
    assert (scores["tasks"][task]["score"], list(scores["tasks"][task]["languages"])) == (100.0, [languages[0]])
    (named,) = scores["refused"]
    assert named.startswith(f"{task} {languages[1]}: {folders[0] / name.format(languages[1])}")
    assert reason in named
    assert named in scores["skipped"]
    assert scores["incomplete"][task] == f"1 of {len(LANGUAGES[task])} languages"


def squad(*questions: dict[str, Any]) -> str:
    return json.dumps({"data": [{"paragraphs": [{"qas": list(questions)}]}]}, indent=1)


CAT = {"id": "1", "answers": [{"text": "cat"}]}
DOG = {"id": "2", "answers": [{"text": "dog"}]}
INNER = json.dumps(json.loads(squad(CAT))["data"])
NO_PAIRS = "2 lines are not 'source id <TAB> English id' and count as wrong pairs"
WORDS = "one file has words beside its tags: the tags were compared, the official scorer takes whole lines"
COUNTED = "1 of 2 questions have no prediction and count as wrong"
IGNORED = "2 predictions are for unknown questions and are ignored"


@pytest.mark.parametrize(
    ("task", "predicted", "gold", "values", "notes"),
    [
        ("xnli", "\ufeff neutral\r\nentailment\t\r\n", "neutral\nentailment", {"accuracy": 100}, ""),
        ("xnli", "a\n\n", "a\nb\n", {"accuracy": 50}, ""),  # a blank line is a row
        # The end of the file may end a sentence; every further blank line is an empty one.
        *(("udpos", f"DET\n\nNOUN{end}", "DET\n\nNOUN\n\n", {"f1": 100}, "") for end in ("", "\n", "\n\n")),
        ("panx", "\nB-LOC\n\n\n", "\nB-LOC\n\n\n", {"f1": 100}, ""),
        ("udpos", "der\tDET\nHund\tNOUN\n", "der\tDET\nMops\tNOUN\n", {"accuracy": 50}, ""),  # tags are whole lines
        ("udpos", "DET\nNOUN\n", "der\tDET\nHund\tNOUN\n", {"f1": 100, "accuracy": 100}, WORDS),
        (
            *("bucc2018", "a\tb\na\tb\nc\td\n", "c\td\n e\tf\n"),
            *({"f1": 50, "precision": 50, "recall": 50}, "1 repeated lines count once"),
        ),
        ("bucc2018", "a\tb\n\nc d\n", "a\tb\n", {"precision": 100 / 3}, NO_PAIRS),
        ("bucc2018", "", "a\tb\n", {"f1": 0, "precision": 0, "recall": 0}, "no pair was predicted"),
        ("bucc2018", "\n", "a\tb\n", {"f1": 0, "precision": 0, "recall": 0}, "no pair was predicted"),
        (
            *("xquad", '{"1": "cat", "3": "hen", "4": "owl"}', squad(CAT, DOG)),
            *({"exact_match": 50, "f1": 50}, f"{COUNTED}; {IGNORED}"),
        ),
        ("tydiqa", '{"1": "cat", "2": ""}', squad(CAT, CAT, DOG), {"exact_match": 200 / 3}, ""),  # counts twice
        ("xquad", '{"data": {"1": "cat"}}', INNER, {"f1": 100}, ""),
    ],
)
def test_files_are_read_as_the_official_scorers_read_them(
    tmp_path: Path, task: str, predicted: str, gold: str, values: dict[str, float], notes: str
) -> None:
    scored = scored_files(tmp_path, task, predicted, gold)
    assert {key: scored.values[key] for key in values} == pytest.approx(values)
    assert "; ".join(scored.notes) == notes


@pytest.mark.parametrize(
    ("task", "predicted", "gold", "message"),
    [
        ("xnli", "neutral\n", "neutral\nneutral\n", "predicted.tsv:1: 1 lines, but its labels have 2"),
        ("tatoeba", "0\n1\n2\n", "0\n1\n", "predicted.tsv:3: 3 lines, but its labels have 2"),
        ("xnli", "a\nb\n\n", "a\nb\n", "3 lines, but its labels have 2"),
        ("panx", "B-LOC\n\n\n", "B-LOC\n\n", "2 sentences, but its labels have 1"),
        ("xnli", "", "neutral\n", "predicted.tsv: file is empty"),
        ("udpos", "DET\n", "", "gold.tsv: file is empty"),
        ("bucc2018", "a\tb\n", "", "gold.tsv: file is empty"),
        ("udpos", "\n", "\n", "gold.tsv: no tags"),
        ("udpos", "DET\n", "DET\n\nNOUN\n", "predicted.tsv:1: 1 sentences, but its labels have 2"),
        ("panx", "O\n\nO\nO\n", "O\n\nO\n", "predicted.tsv:3: sentence 2 has 2 tags, its labels have 1"),
        ("xquad", "{\n'1': 2}", squad(CAT), "predicted.json:2: invalid JSON"),
        ("xquad", "[]", squad(CAT), "predicted.json:1: not a JSON object"),
        ("xquad", '{"0": "x",\n"1": ["cat"]}', squad(CAT), "predicted.json:2: no text under the key '1'"),
        ("xquad", "{}", "{}", "gold.json:1: no list of articles"),
        ("xquad", "{}", "[{}]", "gold.json:1: no list under the key 'paragraphs'"),
        ("xquad", "{}", '[{"paragraphs": [\n{}]}]', "gold.json:2: no list under the key 'qas'"),
        ("xquad", "{}", "[]", "gold.json: no questions"),
        ("xquad", "{}", squad({"id": "1", "answers": []}), "a question without a gold answer"),
        ("xquad", "{}", squad({"answers": [{"text": "x"}]}), "no text under the key 'id'"),
        ("xquad", "{}", squad({"id": "1", "answers": [{"text": 1}]}), "no text under the key 'text'"),
    ],
)
def test_bad_files_are_named_with_their_line(
    tmp_path: Path, task: str, predicted: str, gold: str, message: str
) -> None:
    with pytest.raises(UserError) as error:
        scored_files(tmp_path, task, predicted, gold)
    assert message in str(error.value)
    assert str(tmp_path) in str(error.value)


def test_mlqa_has_no_other_languages(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="MLQA's scorer has no language 'fr'"):
        scored_files(tmp_path, "mlqa", "{}", squad(CAT), "fr")


LINES = st.lists(st.sampled_from(["", "O", "B-LOC", "I-LOC", "a\tb", "\t", " ", "\u2028", "0", "-"]), max_size=5)
TEXTS = LINES.map("\n".join) | LINES.map("\r\n".join)
JSON = st.recursive(
    st.sampled_from([None, True, 1, "1", "cat"]),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(st.sampled_from(["data", "paragraphs", "qas", "id", "answers", "text"]), inner, max_size=4)
    ),
    max_leaves=10,
)
CONTENT = TEXTS.map(str.encode) | st.binary(max_size=30) | JSON.map(json.dumps).map(str.encode)


@pytest.mark.parametrize("task", LANGUAGES)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(predicted=CONTENT, gold=CONTENT)
def test_rubbish_gives_scores_or_a_user_error(tmp_path: Path, task: str, predicted: bytes, gold: bytes) -> None:
    for name, content in (("p", predicted), ("l", gold)):
        (tmp_path / f"{name}{suffix(task)}").write_bytes(content)
    message = ""
    try:
        scored = score_files(task, "zh", tmp_path / f"p{suffix(task)}", tmp_path / f"l{suffix(task)}")
    except UserError as error:
        message = str(error)
    else:
        assert all(0 <= value <= 100 for value in scored.values.values())
    assert "\n" not in message
