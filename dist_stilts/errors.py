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


def refused(what: str, where: str | Path, error: Exception) -> UserError:
    """What a library finds wrong with a model, in one line: it raises many types, one fact to the user."""
    return UserError(f"{what} ({type(error).__name__}: {' '.join(str(error).split())[:200]})", where=where)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether memory was lacking, on the host or on a device; torch says the former in words alone."""
    return (
        isinstance(error, MemoryError)
        or type(error).__name__ == "OutOfMemoryError"
        or "can't allocate memory" in str(error)
    )


def near(name: str, known: Iterable[str]) -> list[str]:
    """Return the known names that ``name`` may stand for, best first: whose initials it is (``lr``: ``learning_rate``),
    then those spelt much like it, whatever the case."""
    names = sorted(set(known))
    wanted = name.lower()
    abbreviated = [known for known in names if "_" in known and wanted == _initials(known)]
    spelt = {known.lower(): known for known in names}
    alike = [spelt[match] for match in difflib.get_close_matches(wanted, spelt, n=3, cutoff=0.6)]
    return list(dict.fromkeys([*abbreviated, *alike]))


def nearest(name: str, known: Iterable[str]) -> str:
    """Return ``did you mean 'x'?`` for the known name most like ``name``, or the list of known names."""
    names = sorted(set(known))
    if found := near(name, names):
        return f"did you mean '{found[0]}'?"
    return f"known: {', '.join(names)}" if names else "nothing is known here"


def _initials(name: str) -> str:
    return "".join(part[:1] for part in name.lower().split("_"))
