"""Whatever the files hold, a reader gives rows or a UserError of one short line; any other exception is a bug."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dist_stilts.errors import UserError
from dist_stilts.tasks.registry import get_task
from dist_stilts.tasks.sources import load_bitext, load_rows

CASES = [
    ("mlm", "train", "de", ["mlm/de.txt"]),
    ("mnli", "train", "en", ["multinli_1.0/multinli_1.0_train.jsonl"]),
    ("xnli", "dev", "de", ["xnli/dev-de.tsv"]),
    ("xnli", "test", "de", ["xnli/test-de.tsv", "xnli/test.labels.txt"]),
    ("commonsenseqa", "test", "en", ["commonsenseqa/test.jsonl"]),
    ("udpos", "dev", "de", ["udpos/dev-de.tsv"]),
    ("tatoeba", "test", "de", ["tatoeba/tatoeba.deu-eng.deu", "tatoeba/tatoeba.deu-eng.eng"]),
    ("bucc2018", "dev", "zh", ["bucc2018/zh-en.dev.zh", "bucc2018/zh-en.dev.en", "bucc2018/zh-en.dev.gold"]),
]

# Cells that let a case get past the first check now and then.
CELLS = st.sampled_from(["", "a", "b", "neutral", "entailment", "NOUN", "zh-1", "en-1"]) | st.text(max_size=5)
TABLE = st.lists(st.lists(CELLS, max_size=4).map("\t".join), max_size=6).map("\n".join)
QUESTION_KEYS = ["id", "answerKey", "question", "stem", "choices", "label", "text"]
KEYS = st.sampled_from(["gold_label", "sentence1", "sentence2", "pairID", "promptID", *QUESTION_KEYS])
VALUES = st.recursive(
    st.none() | st.integers() | CELLS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=12,
)
RECORDS = st.lists(st.dictionaries(KEYS, VALUES, max_size=5).map(json.dumps), max_size=4).map("\n".join)
CONTENT = st.binary(max_size=60) | (TABLE | RECORDS).map(lambda text: text.encode("utf-8", "surrogatepass"))


def message(read: Callable[..., Any], *args: Any) -> str:
    """What the user is told, if anything; every other exception goes through."""
    try:
        read(*args)
    except UserError as error:
        return str(error)
    return ""


def is_one_short_line(text: str) -> bool:
    return "\n" not in text and len(text) < 1000


@pytest.mark.parametrize(("task", "split", "language", "names"), CASES, ids=lambda value: str(value)[:12])
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_rubbish_gives_rows_or_a_user_error(
    tmp_path: Path, data: st.DataObject, task: str, split: str, language: str, names: list[str]
) -> None:
    for name in names:
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(data.draw(CONTENT))
    spec = get_task(task)
    read = load_rows if spec.read else load_bitext
    assert is_one_short_line(message(read, spec, tmp_path, split, language))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.binary(max_size=80), cut=st.integers(0, 120), packed=st.booleans())
def test_rubbish_gzip_gives_rows_or_a_user_error(tmp_path: Path, content: bytes, cut: int, packed: bool) -> None:
    (tmp_path / "mlm").mkdir(exist_ok=True)
    (tmp_path / "mlm/de.txt.gz").write_bytes((gzip.compress(content) if packed else content)[:cut])
    assert is_one_short_line(message(load_rows, get_task("mlm"), tmp_path, "train", "de"))
