"""A command's folder and arguments in one word that every shell takes as it stands.

The deepspeed launcher joins what it runs on other hosts to one line for their shells, and quotes next to nothing of it.
"""

from __future__ import annotations

import base64
import json
import os
import socket
import sys
from binascii import Error
from collections.abc import Sequence
from pathlib import Path

from dist_stilts.errors import EXIT_FAILED, UserError

PACKED = "--packed"


def pack(folder: Path, arguments: Sequence[str]) -> list[str]:
    """Arguments that mean ``arguments`` in ``folder``; the first, the verb, can still be read."""
    content = json.dumps([str(folder), *arguments]).encode()  # ASCII, with names that are no UTF-8 as lone surrogates
    return [arguments[0], PACKED, base64.urlsafe_b64encode(content).decode()]


def unpack(arguments: Sequence[str]) -> list[str]:
    """The arguments as they were typed, once this process has gone to the folder where they were; others as they are.

    Raises:
        UserError: the word is damaged; this host has no such folder; what was typed is no text.
    """
    if list(arguments[1:2]) != [PACKED]:
        return _text(arguments)
    try:
        folder, *typed = json.loads(base64.urlsafe_b64decode(arguments[2]))
    except (IndexError, ValueError, Error):
        raise UserError(f"what follows {PACKED} is damaged", fix="The launcher writes it; type the arguments") from None
    try:
        os.chdir(folder)
    except OSError as error:
        what = f"{socket.gethostname()}: the folder {folder} cannot be entered ({error.strerror})"
        fix = "Start in a folder that all hosts share"
        raise UserError(what, fix=fix, code=EXIT_FAILED, everywhere=False) from None
    return _text(typed)


def _text(arguments: Sequence[str]) -> list[str]:
    """The arguments; UserError for bytes that are no text in this locale, which Python hands on as lone surrogates."""
    for argument in arguments:
        if any("\ud800" <= sign <= "\udfff" for sign in argument):
            what = f"'{argument}' is no text in {sys.getfilesystemencoding()}, which this locale is said to use"
            raise UserError(what, fix="Set LC_ALL=C.UTF-8 and unset PYTHONUTF8, or rename what is not in UTF-8")
    return list(arguments)
