"""The one error a user sees: what is wrong, where, and what to do, on one line; and the exit codes of the verbs.

Anything else that escapes is a bug of ours and keeps its traceback.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from pathlib import Path

EXIT_BAD_INPUT = 2
"""The user can mend it: a recipe, a file, a folder, a flag."""
EXIT_FAILED = 1
"""The work itself failed (a dead rank, a non-finite loss, a full disk)."""
EXIT_AGAIN = 75
"""Asked to stop (SIGTERM, SIGUSR1); saved. Start the same command again (sysexits.h calls it a temporary failure)."""
EXIT_INTERRUPTED = 130
"""Ctrl-C; what was saved resumes."""


class UserError(Exception):
    """Something the user can mend, said on one line.

    Args:
        what: what is wrong, without a full stop.
        where: file and, if known, line: ``data/xnli/dev-en.tsv`` or ``("recipe.yaml", 12)``.
        fix: what to do about it.
        code: the exit code of the program.
        everywhere: whether every rank meets this error at the same place, so that one of them need say it.
    """

    def __init__(
        self,
        what: str,
        *,
        where: str | Path | tuple[str | Path, int] | None = None,
        fix: str = "",
        code: int = EXIT_BAD_INPUT,
        everywhere: bool = True,
    ) -> None:
        place = f"{where[0]}:{where[1]}" if isinstance(where, tuple) else str(where) if where else ""
        self.what, self.place, self.fix, self.code, self.everywhere = what, place, fix, code, everywhere
        super().__init__(" ".join(f"{place + ': ' if place else ''}{what}{'. ' + fix if fix else ''}".split()))


def nearest(name: str, known: Iterable[str]) -> str:
    """Return ``did you mean 'x'?`` for the known name most like ``name``, or the list of known names."""
    known = sorted(known)
    match = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
    if match:
        return f"did you mean '{match[0]}'?"
    return f"known: {', '.join(known)}" if known else "nothing is known here"
