"""What is hashed hashes alike for ever: the digests below name runs, caches and subsets on disks of users."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dist_stilts.conventions import fingerprint, has_text, sha256_of, sha256_of_file, sha256_of_text, text_hash

PLAIN = st.dictionaries(st.text(), st.integers() | st.floats(allow_nan=False) | st.text() | st.none())


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ({"a": 1, "b": [0.5, None, "ё"]}, "03d2b8fea25d"),
        ([Path("a/b"), float("inf"), True], "f1b5ed7635b0"),
    ],
)
def test_fingerprint_is_the_same_on_every_machine(content: Any, expected: str) -> None:
    assert fingerprint(content) == expected


@given(PLAIN)
def test_fingerprint_does_not_depend_on_order(content: dict[str, Any]) -> None:
    assert fingerprint(content) == fingerprint(dict(reversed(content.items())))


@given(PLAIN, PLAIN)
def test_other_content_has_another_fingerprint(one: dict[str, Any], other: dict[str, Any]) -> None:
    assert (fingerprint(one) == fingerprint(other)) == (repr(sorted(one.items())) == repr(sorted(other.items())))


@pytest.mark.parametrize(("size", "expected"), [(8, "416fa5f692f80ad8"), (16, "2554633eef8e05257990f4f8d9ec5d5f")])
def test_text_hash_is_the_same_on_every_machine(size: int, expected: str) -> None:
    assert text_hash("mnli\0ё", size).hex() == expected


@given(st.lists(st.binary()))
def test_parts_text_and_file_of_the_same_bytes_have_one_sha256(tmp_path_factory: Any, parts: list[bytes]) -> None:
    whole = b"".join(parts)
    file = tmp_path_factory.mktemp("hashed") / "file"
    file.write_bytes(whole)
    expected = hashlib.sha256(whole).hexdigest()
    assert sha256_of(parts) == sha256_of_file(file) == expected
    assert sha256_of_text(whole.decode("latin-1")) == hashlib.sha256(whole.decode("latin-1").encode()).hexdigest()


@pytest.mark.parametrize("text", ["a", "\u200bа", "é", "e\u0301", "☺\ufe0f", "กำ", "हि", ".", "0"])
def test_what_shows_is_text(text: str) -> None:
    assert has_text(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        " \t\u3000\xa0",
        "\u200b",
        "\u200d\u200c",
        "\ufe0f",
        "\xad",
        "\ufeff",
        "\u2060",
        "\u202e\u2069",
        "\u0301",
        "\u3164",
    ],
)
def test_what_does_not_show_is_none(text: str) -> None:
    assert not has_text(text)
