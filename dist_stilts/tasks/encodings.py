"""Lines of text in an encoding that a file itself shows: UTF-8, or UTF-16 behind a byte-order mark, as Excel ("Unicode
text") and PowerShell write it. Promises: anything else is a UserError naming file and line, never a wrong letter."""

from __future__ import annotations

import codecs
import io
from collections.abc import Iterator
from pathlib import Path

from dist_stilts.errors import UserError

_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_FIX = "Convert the file to UTF-8, such as by: iconv -f latin1 -t utf-8 FILE > NEW"


def decoded_lines(stream: io.BufferedReader, path: Path) -> Iterator[tuple[int, str]]:
    """Yield (1-based number, line without its end); lines end at ``\\n`` alone, and a byte-order mark is left out.

    Raises:
        UserError: bytes that are not of the encoding; a first line with zero bytes, which no text has.
    """
    wide = stream.peek(2)[:2] in _UTF16
    for number, line in _utf16(stream, path) if wide else _utf8(stream, path):
        if number == 1 and "\0" in line:
            fix = "Is it text? Save it as UTF-8; UTF-16 is known by its byte-order mark"
            raise UserError("zero bytes are no text", where=(path, 1), fix=fix)
        yield number, line


def _utf8(stream: io.BufferedReader, path: Path) -> Iterator[tuple[int, str]]:
    for number, raw in enumerate(stream, start=1):
        if number == 1:
            raw = raw.removeprefix(codecs.BOM_UTF8)
        try:
            yield number, raw.rstrip(b"\r\n").decode("utf-8")
        except UnicodeDecodeError as error:
            fault = f"byte {error.start + 1} of the line is not UTF-8"
            raise UserError(fault, where=(path, number), fix=_FIX) from error


def _utf16(stream: io.BufferedReader, path: Path) -> Iterator[tuple[int, str]]:
    number = 0
    # The decoder works ahead of the lines, so that it may not be the one to refuse half a pair.
    text = io.TextIOWrapper(stream, encoding="utf-16", errors="surrogatepass", newline="\n")
    try:
        for number, line in enumerate(text, start=1):
            line.encode()
            yield number, line.rstrip("\r\n")
    except UnicodeError as error:
        line_number = number if isinstance(error, UnicodeEncodeError) else number + 1
        fault = "begins as UTF-16, but is not throughout"
        raise UserError(fault, where=(path, line_number), fix="Save it as UTF-8") from error
