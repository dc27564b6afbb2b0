"""No print fails for want of a sign: who reads a terminal sees one like it, a program gets JSON's escape."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys

import pytest

PROGRAM = "from dist_stilts.report.terminal import write_in_any_encoding as w; w(); import sys; "
SIGNS = "a — b → ± é ✓ 𝄞"


def said(program: str, terminal: bool = False, **variables: str) -> bytes:
    """What a program writes to standard output: a pipe, or a terminal."""
    master, slave = pty.openpty()
    out = slave if terminal else subprocess.PIPE
    done = subprocess.run([sys.executable, "-c", PROGRAM + program], stdout=out, env=os.environ | variables, check=True)
    os.close(slave)
    text = os.read(master, 1000).replace(b"\r\n", b"\n") if terminal else done.stdout
    os.close(master)
    return text


@pytest.mark.parametrize(
    ("encoding", "seen"),
    [
        ("ascii", rb"a - b -> +/- \u00e9 \u2713 \ud834\udd1e"),
        ("latin-1", b"a - b -> \xb1 \xe9 \\u2713 \\ud834\\udd1e"),
        ("utf-8", SIGNS.encode()),
    ],
)
def test_a_terminal_shows_a_sign_like_the_one_that_it_lacks(encoding: str, seen: bytes) -> None:
    assert said(f"print({SIGNS!r})", terminal=True, PYTHONIOENCODING=encoding) == seen + b"\n"


def test_what_a_program_reads_is_escaped_as_in_json_and_a_name_that_is_no_text_can_be_said() -> None:
    signs = {"signs": SIGNS}
    printed = said(f"import json; print(json.dumps({signs}, ensure_ascii=False))", PYTHONIOENCODING="ascii")
    assert json.loads(printed) == signs
    assert said("print('a\\udcff')", PYTHONIOENCODING="utf-8") == b"a\\udcff\n"


@pytest.mark.parametrize(
    "locale", [{"PYTHONIOENCODING": "ascii"}, {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}]
)
def test_a_verb_speaks_in_any_locale(locale: dict[str, str]) -> None:
    environment = {name: value for name, value in os.environ.items() if name not in ("LANG", "LC_ALL", "PYTHONUTF8")}
    command = [sys.executable, "-m", "dist_stilts", "recipes", "keys"]
    done = subprocess.run(command, env=environment | locale, capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.isascii()
