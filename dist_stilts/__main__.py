"""``dist-stilts``: the verbs by name, errors and exit codes; what a verb does is in :mod:`dist_stilts.verbs`.

Nothing heavy is imported before a verb needs it, so that ``--help`` answers at once.
"""

from __future__ import annotations

if __name__ == "__main__":
    from dist_stilts.import_path import leave_current_folder

    leave_current_folder()  # before anything is imported that it could hold

import errno
import os
import sys
import time
from typing import Annotated, NoReturn

import typer

from dist_stilts.errors import EXIT_BAD_INPUT, EXIT_FAILED, EXIT_INTERRUPTED, UserError
from dist_stilts.parallel.launchers import own_rank
from dist_stilts.parallel.packed import unpack
from dist_stilts.report.terminal import write_in_any_encoding
from dist_stilts.verbs import averaging, data, mining, predict, preflight, push, recipes, scoring, study, training
from dist_stilts.verbs.common import say, show_version

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""What the system says where there is no room for a file."""
OF_FILES = (
    *FULL,
    *(errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO, errno.ESTALE),
    *(errno.EISDIR, errno.ENOTDIR, errno.EEXIST, errno.ENOENT, errno.ELOOP, errno.ENAMETOOLONG, errno.ENOTEMPTY),
)
"""What it says where a file cannot be written, or what lies in its place is something else."""

app = typer.Typer(
    name="dist-stilts",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    help="Take a multilingual encoder through X-STILTs: English intermediate task, English target task, zero-shot "
    "evaluation in many languages, retrieval.\n\nStart with: `dist-stilts run quickstart`",
)


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=show_version, help="Show versions and exit.")
    ] = False,
) -> None:
    """What stands before the verb."""


VERBS = (
    data.tasks,
    data.simulate,
    data.prepare,
    data.translate,
    training.train,
    training.run,
    averaging.average,
    push.push,
    scoring.evaluate,
    predict.predict,
    mining.mine,
    scoring.score,
    scoring.table,
    preflight.preflight,
)
for verb in VERBS:
    app.command()(verb)
app.add_typer(recipes.recipes, name="recipes")
app.add_typer(study.study, name="study")


def main() -> NoReturn:
    """Run a verb: 0 done, 1 failed, 2 bad input, 75 start me again, 130 Ctrl-C; what a user can mend is one line."""
    write_in_any_encoding()
    rank = own_rank()
    try:
        sys.argv[1:] = unpack(sys.argv[1:])
        code = app(prog_name="dist-stilts", standalone_mode=False) or 0
    except UserError as error:
        if rank == 0 or not error.everywhere:
            say(f"error: {error}")
        else:  # all ranks meet the same error; leave rank 0 the time to say so before the launcher ends it
            time.sleep(2)
        code = error.code
    except OSError as error:
        if error.errno not in OF_FILES:
            raise
        fix = "Make room" if error.errno in FULL else "Mend that"
        say(f"error: {error.filename or 'the disk'}: {os.strerror(error.errno)}. {fix}; the same command continues")
        code = EXIT_BAD_INPUT if error.errno == errno.ENAMETOOLONG else EXIT_FAILED
    except KeyboardInterrupt:
        say("error: interrupted. The same command continues from the last checkpoint")
        code = EXIT_INTERRUPTED
    except Exception as error:
        if not hasattr(error, "show"):  # click's usage errors know how to show themselves
            raise
        error.show()
        code = EXIT_BAD_INPUT
    sys.exit(code)


if __name__ == "__main__":
    main()
