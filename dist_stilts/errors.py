"""The one error a user sees: what is wrong, where, and what to do, on one line; and the exit codes of the verbs.

Anything else that escapes is a bug of ours and keeps its traceback.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
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


NO_MEMORY = ("can't allocate memory", "cannot allocate memory", "out of memory", "failed to map segment", "bad_alloc")
NO_FILES = ("too many open files",)
NO_THREADS = ("can't start new thread", "resource temporarily unavailable", "pthread_create failed")
RAN_OUT = (
    (NO_MEMORY, "out of memory", "Use smaller batches or fewer ranks, or allow more memory (ulimit -v, a container's)"),
    (NO_FILES, "out of open files", "Allow more: ulimit -n 4096"),
    (NO_THREADS, "out of processes or threads", "Allow more: ulimit -u"),
)
"""What libraries say when the system refuses them something, what that is, how to mend it."""


def exhausted(error: BaseException) -> UserError | None:
    """What the machine has run out of, by an error of Python, of torch (GPUs too) or of the system; None: another."""
    said = f"{type(error).__name__}: {' '.join(str(error).split())[:200]}".rstrip(": ")
    kind = "out of memory" if is_out_of_memory(error) else said.lower()
    for signs, what, fix in RAN_OUT if isinstance(error, (MemoryError, OSError, RuntimeError, ImportError)) else ():
        if any(sign in kind for sign in signs):
            return UserError(f"{what} ({said})", fix=fix, code=EXIT_FAILED, everywhere=False)
    return None


@contextmanager
def naming_what_ran_out() -> Iterator[None]:
    """Raise the :func:`exhausted` of what is raised in the block, where there is one."""
    try:
        yield
    except Exception as error:
        if (short := exhausted(error)) is None:
            raise
        raise short from error


def refused(what: str, where: str | Path, error: Exception) -> UserError:
    """What a library finds wrong with a model, in one line: it raises many types, one fact to the user."""
    if short := exhausted(error):
        return short
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
