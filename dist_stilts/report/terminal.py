"""What a terminal that is not in UTF-8 is shown in place of signs that it lacks; files are UTF-8 everywhere."""

from __future__ import annotations

import codecs
import io
import sys

LIKE = {"—": "-", "–": "-", "−": "-", "…": "...", "→": "->", "←": "<-", "×": "x", "±": "+/-", "≥": ">=", "≤": "<="} | {
    "≈": "~", "·": "-", "•": "-", "†": "+", "‘": "'", "’": "'", "“": '"', "”": '"', "Δ": "delta"
}  # fmt: skip
"""What looks like it in ASCII, for the signs of our own messages."""
FOR_PEOPLE, FOR_PROGRAMS = "dist_stilts.look_alike", "dist_stilts.escape"


def write_in_any_encoding() -> None:
    """From now on no print fails for want of a sign: people see one like it, programs ``\\uXXXX`` as JSON has it."""
    codecs.register_error(FOR_PEOPLE, _look_alike)
    codecs.register_error(FOR_PROGRAMS, _escape)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            people = stream is sys.stderr or stream.isatty()
            stream.reconfigure(errors=FOR_PEOPLE if people else FOR_PROGRAMS)


def _look_alike(error: UnicodeError) -> tuple[str, int]:
    assert isinstance(error, UnicodeEncodeError)
    signs = error.object[error.start : error.end]
    return "".join(LIKE.get(sign) or _escaped(sign) for sign in signs), error.end


def _escape(error: UnicodeError) -> tuple[str, int]:
    assert isinstance(error, UnicodeEncodeError)
    return "".join(map(_escaped, error.object[error.start : error.end])), error.end


def _escaped(sign: str) -> str:
    units = sign.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[at]:02x}{units[at + 1]:02x}" for at in range(0, len(units), 2))
