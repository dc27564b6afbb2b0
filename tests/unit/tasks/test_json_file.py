from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from task_files import refusal

from dist_stilts.errors import UserError
from dist_stilts.tasks.json_file import JsonFile

TEXT = """{
  "version": 1,
  "data": [
    {"title": "a, }]\\" b",
     "rows": [1, {"x": null},
       true ]},
    []
  ]
}"""


def line(document: JsonFile, *keys: str | int) -> int:
    return int(document.error("wrong", keys).place.rsplit(":", 1)[1])


def write(folder: Path, text: str) -> Path:
    path = folder / "file.json"
    path.write_bytes(text.encode())
    return path


@pytest.mark.parametrize("text", [TEXT, "\ufeff" + TEXT.replace("\n", "\r\n")], ids=["plain", "windows"])
def test_each_value_is_traced_to_its_line_and_a_missing_one_to_what_should_hold_it(tmp_path: Path, text: str) -> None:
    document = JsonFile(write(tmp_path, text))
    there = {(): 1, ("version",): 2, ("data",): 3, ("data", 0): 4, ("data", 1): 7, ("data", 0, "rows", 2): 6}
    missing = {("data", 0, "answers", 3): 4, ("data", 9): 3, ("version", "deeper"): 2}
    for keys, number in {**there, ("data", 0, "rows", 1, "x"): 5, **missing}.items():
        assert line(document, *keys) == number


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"a": 1,\n"b": }', "file.json:2: invalid JSON (Expecting value)"),
        ('{"a":\n\n"cut', "file.json:3: invalid JSON (Unterminated string starting at)"),
        ("[" * 200_000, "file.json: invalid JSON"),
        ("1" * 5000, "file.json: invalid JSON"),
        ("", "file.json: file is empty"),
    ],
)
def test_what_is_not_json_names_its_line(tmp_path: Path, text: str, message: str) -> None:
    assert message in refusal(JsonFile, write(tmp_path, text))


def test_a_field_is_there_and_of_its_kind(tmp_path: Path) -> None:
    document = JsonFile(write(tmp_path, '{"text": "x", "number": 3,\n"truth": true, "half": "\\ud800", "real": 1.5}'))
    assert document.field(document.value, "text", str, ()) == "x"
    assert document.field(document.value, "number", int, ()) == 3
    for key, kind, message in (
        ("absent", str, ":1: no text under the key 'absent'"),
        ("text", list, ":1: no list under the key 'text'"),
        ("truth", int, ":2: no whole number under the key 'truth'"),
        ("real", int, ":2: no whole number under the key 'real'"),
        ("half", str, ":2: 'half' holds half a surrogate pair"),
    ):
        with pytest.raises(UserError, match=message):
            document.field(document.value, key, kind, ())
    with pytest.raises(UserError, match="no object under the key 'x'"):
        document.field([], "x", dict, ())


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=12,
)


@given(value=VALUES, data=st.data())
def test_every_value_is_found_in_any_document(tmp_path: Path, value: Any, data: st.DataObject) -> None:
    path = write(tmp_path, json.dumps(value, indent=data.draw(st.sampled_from([None, 1])), ensure_ascii=False))
    document, keys, inner = JsonFile(path), [], value
    while isinstance(inner, list | dict) and inner:
        key = data.draw(st.sampled_from(list(inner) if isinstance(inner, dict) else range(len(inner))))
        keys, inner = [*keys, key], inner[key]
    number = line(document, *keys)
    first = json.dumps(inner, ensure_ascii=False).splitlines()[0]
    assert first in path.read_text().split("\n")[number - 1]
