"""Whether hosts share a folder: each leaves a word in a file of its own, and reads those of the others."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from dist_stilts.layout import preflight_token

READ_SECONDS = 10.0
"""How long a file of another host may take to appear (NFS keeps what it knows of a folder for some seconds)."""


class Token:
    """A host's word in a folder; :meth:`remove` leaves the folder as it was."""

    def __init__(self, out: Path, key: str, word: str) -> None:
        """OSError: the folder cannot be made, or not written to."""
        self._file = preflight_token(out, key)
        self._made = [folder for folder in (out, *out.parents) if not folder.is_dir()]
        out.mkdir(parents=True, exist_ok=True)
        with self._file.open("w", encoding="utf-8") as file:
            file.write(word)
            file.flush()
            os.fsync(file.fileno())

    def remove(self) -> None:
        """Delete the file, and the folders made for it that are empty: once more when all hosts' files are gone."""
        self._file.unlink(missing_ok=True)
        with suppress(OSError):
            for folder in self._made:
                folder.rmdir()


def read_tokens(out: Path, keys: Sequence[str]) -> dict[str, str | None]:
    """The words that are in the folder, waited for a while; None for each that does not appear."""
    found: dict[str, str | None] = dict.fromkeys(keys)
    deadline = time.monotonic() + READ_SECONDS
    while True:
        with suppress(OSError):
            list(out.iterdir())  # makes NFS look again
        for key in keys:
            with suppress(OSError):
                found[key] = preflight_token(out, key).read_text(encoding="utf-8")
        if all(found.values()) or time.monotonic() > deadline:
            return found
        time.sleep(0.5)
