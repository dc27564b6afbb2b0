"""What the program imports, here and in what it starts, is never found in the folder where somebody works.

``python -m`` puts that folder first on the search path, and torchrun and the deepspeed launcher start their ranks so: a
``json.py`` or ``typer.py`` of the user's would be executed in every rank. A checkout that is started in its own folder
finds itself, behind everything else. Only built-in and frozen modules may be imported here.
"""

from __future__ import annotations

import os
import sys


def leave_current_folder() -> None:
    """Take the current folder off the search path of this process, and of all that it starts."""
    first, own = os.path.abspath(sys.path[0]), os.path.dirname(os.path.dirname(os.path.abspath(__file__)))  # noqa: PTH100, PTH120
    if not sys.flags.safe_path and first == os.getcwd():  # noqa: PTH109 (pathlib is no built-in module)
        del sys.path[0]
        if first == own and own not in sys.path:
            sys.path.append(own)
            os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, (os.environ.get("PYTHONPATH"), own)))
    before, here = os.environ.get("PYTHONPATH", ""), os.getcwd()  # noqa: PTH109
    os.environ.update(of_children())
    named = os.environ.get("PYTHONPATH", "")
    if named != before and here in sys.path and here not in (own, *named.split(os.pathsep)):
        sys.path.remove(here)


def of_children() -> dict[str, str]:
    """The environment of a Python started by this one, which is to find nothing in its current folder either.

    That is what an empty entry of PYTHONPATH means as well, as `PYTHONPATH=$PYTHONPATH:MORE` leaves one.
    """
    entries = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    named = {"PYTHONPATH": os.pathsep.join(entry for entry in entries if entry not in ("", "."))}
    return {**os.environ, **(named if "PYTHONPATH" in os.environ else {}), "PYTHONSAFEPATH": "1"}
