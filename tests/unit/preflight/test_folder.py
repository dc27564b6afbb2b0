from __future__ import annotations

from pathlib import Path

import pytest

from dist_stilts.preflight import folder
from dist_stilts.preflight.folder import Token, read_tokens


def test_words_are_read_and_leave_nothing_behind_but_what_was_there_or_another_program_put(tmp_path: Path) -> None:
    out = tmp_path / "deep" / "runs"
    tokens = [Token(out, key, f"word of {key}") for key in "ab"]
    assert read_tokens(out, ["a", "b"]) == {"a": "word of a", "b": "word of b"}
    for token in [*tokens, *tokens]:
        token.remove()
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "there").mkdir()
    tokens = [Token(tmp_path / name, "a", "word") for name in ("there", "new")]
    (tmp_path / "new" / "results").touch()
    for token in [*tokens, *tokens]:
        token.remove()
    assert list((tmp_path / "there").iterdir()) == []
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["results"]


def test_a_word_that_does_not_appear_is_none_and_a_folder_that_cannot_be_made_the_systems_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folder, "READ_SECONDS", 0.2)
    Token(tmp_path, "a", "word")
    assert read_tokens(tmp_path, ["a", "b"]) == {"a": "word", "b": None}
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="directory"):
        Token(tmp_path / "file" / "runs", "a", "word")
