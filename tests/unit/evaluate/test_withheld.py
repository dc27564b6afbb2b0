"""Test files whose gold is withheld: every task predicts them, writes its submission file, and scores nothing."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from models_made import export_model
from task_files import write
from typer.testing import CliRunner

from dist_stilts.__main__ import app
from dist_stilts.model.encoder import new_encoder
from dist_stilts.tasks.sources import task


def lines(*records: dict[str, Any]) -> str:
    return "".join(json.dumps(record) + "\n" for record in records)


def squad(**question: Any) -> str:
    asked = [{"id": f"english-{number}", "question": "who ?", **question} for number in (1, 2)]
    return json.dumps({"data": [{"paragraphs": [{"context": "the cat lifted the lamp", "qas": asked}]}]})


TAKEN_OUT = [{"text": "", "answer_start": 0}]
XCOPA = {"premise": "a", "choice1": "b", "choice2": "c", "question": "cause"}
CSQA = {"question": {"stem": "why", "choices": [{"label": "A", "text": "b"}, {"label": "B", "text": "c"}]}}
COSMOS = {"context": "a", "question": "b", **{f"answer{number}": str(number) for number in range(4)}}
SWAG = {"source_id": "s", "ctx_a": "a", "ctx_b": "b", "endings": ["c", "d", "e", "f"]}
CASES = [
    ("xnli", "en", "xnli/test-en.tsv", "a\tb\nc\td\n"),
    ("xnli", "en", "xnli/test-en.tsv", "a\tb\t\nc\td\t\n"),
    ("pawsx", "de", "pawsx/test-de.tsv", "a\tb\nc\td\n"),
    ("qqp", "en", "qqp/test.tsv", "id\tquestion1\tquestion2\n0\ta\tb\n1\tc\td\n"),
    ("panx", "de", "panx/test-de.tsv", "the\ncat\n\nlifted\n"),
    ("panx", "de", "panx/de/test", "de:the\nde:cat\n\nde:lifted\n\n"),
    ("udpos", "en", "udpos/test-en.tsv", "the\r\ncat\r\n\r\nlifted\r\n"),
    ("ccg", "en", "ccg/ccg.test", "the cat\nlifted\n"),
    ("xcopa", "et", "xcopa/test.et.jsonl", lines({**XCOPA, "idx": 0}, {**XCOPA, "idx": 1})),
    ("xcopa", "et", "xcopa/test.et.jsonl", lines({**XCOPA, "idx": 0, "label": -1}, {**XCOPA, "idx": 1, "label": -1})),
    ("commonsenseqa", "en", "commonsenseqa/test.jsonl", lines({"id": "1", **CSQA}, {"id": "2", **CSQA})),
    (
        "commonsenseqa", "en", "commonsenseqa/test.jsonl",
        lines({"id": "1", **CSQA, "answerKey": ""}, {"id": "2", **CSQA, "answerKey": ""}),
    ),
    ("cosmosqa", "en", "cosmosqa/test.jsonl", lines({"id": "1", **COSMOS}, {"id": "2", **COSMOS, "label": None})),
    ("hellaswag", "en", "hellaswag/hellaswag_test.jsonl", lines({"ind": 1, **SWAG}, {"ind": 2, **SWAG, "label": None})),
    ("xquad", "en", "xquad/xquad.en.json", squad(answers=TAKEN_OUT)),
    ("xquad", "en", "xquad/xquad.en.json", squad(answers=[])),
    ("mlqa", "en", "mlqa/test-context-en-question-en.json", squad()),
    ("tydiqa", "en", "tydiqa/tydiqa.goldp.en.dev.json", squad(answers=[])),
]  # fmt: skip
SUPERTAGS = {"ccg/ccg.train": "the cat lifted\tNP/N N S\\NP\n"}


@pytest.fixture(scope="module")
def model(tokenizer: Any, tiny_config: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random encoder with a random head for every task."""
    folder = tmp_path_factory.mktemp("model")
    root = write(tmp_path_factory.mktemp("labels"), SUPERTAGS)
    specs = [task(name, root) for name in dict.fromkeys(case[0] for case in CASES)]
    export_model(folder, new_encoder(tiny_config, None, None, tokenizer, seed=0), tokenizer, specs)
    return folder


@pytest.mark.parametrize(("name", "language", "file", "text"), CASES)
def test_gold_that_is_withheld_is_predicted_and_not_scored(
    model: Path, tmp_path: Path, name: str, language: str, file: str, text: str
) -> None:
    root = write(tmp_path / "data", {**SUPERTAGS, file: text})
    out = tmp_path / "scores"
    command = ["evaluate", "--tasks", name, "--languages", language, "--max-length", "64", "--window", "64"]
    done = CliRunner().invoke(app, [*command, "--model", str(model), "--data", str(root), "--out", str(out)])
    assert done.exception is None, done.output
    records = [json.loads(line) for line in (out / "results.jsonl").read_text().splitlines()]
    assert [(record["metric"], record["value"], record["count"]) for record in records] == [
        (task(name, root).metric, None, 0)
    ]
    again = CliRunner().invoke(app, [*command, "--model", str(model), "--data", str(root), "--out", str(out)])
    scored = ["scoring: " in each.output for each in (done, again)]
    assert scored == [True, False], "what has no score is not scored again"
    (predictions,) = (out / "predictions" / name).glob(f"test-{language}.[tj]s*")
    if predictions.suffix == ".json":
        assert list(json.loads(predictions.read_text())) == ["english-1", "english-2"]
    else:
        rows = [True, True, False, True] if task(name, root).family == "token" else [True, True]
        assert [bool(line) for line in predictions.read_text().splitlines()] == rows


@pytest.mark.parametrize(
    ("split", "text", "message"),
    [
        ("dev", "the\ncat\n", r"dev-en\.tsv:1: 1 columns\. Expected, tab-separated: token tag"),
        ("test", "the\tDET\ncat\n", r"test-en\.tsv:2: 1 columns\. Expected, tab-separated: token tag"),
        ("test", "the\ncat\tNOUN\n", r"test-en\.tsv:2: 2 columns\. Expected, like the lines above, a token alone"),
    ],
)
def test_only_a_whole_test_file_may_lack_tags(model: Path, tmp_path: Path, split: str, text: str, message: str) -> None:
    root = write(tmp_path / "data", {f"udpos/{split}-en.tsv": text})
    command = ["evaluate", "--tasks", "udpos", "--languages", "en", "--split", split, "--model", str(model)]
    done = CliRunner().invoke(app, [*command, "--data", str(root), "--out", str(tmp_path / "scores")])
    assert done.exception is not None
    assert not (tmp_path / "scores/results.jsonl").exists()
    assert re.search(message, str(done.exception))
