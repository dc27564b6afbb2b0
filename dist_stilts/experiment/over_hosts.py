"""The deepspeed launcher for several hosts, kept from handing their shells anything that they would read otherwise.

Its pdsh runner (0.19.8, ``launcher/multinode_runner.py``) puts into one line: variables in double quotes with nothing
in them escaped, ``cd`` to the current folder, the path of Python, the arguments. The arguments are packed
(:mod:`dist_stilts.parallel.packed`); the rest is made harmless here, before the launcher reads it. pdsh itself replaces
``%h`` and the like, and takes ``%%`` for ``%``.
"""

from __future__ import annotations

import os
import runpy
import shlex
import sys
from pathlib import Path

from dist_stilts.preflight.environment_file import environment_files, passed_on, read_environment

LAUNCHER = "deepspeed.launcher.runner"
NEUTRAL = "/"
"""The hosts' launchers start here: each rank goes to its folder by itself."""


def main() -> None:
    """Run the launcher; its arguments are this program's."""
    assignments: dict[str, str] = {}
    for path in environment_files(os.environ, Path.home(), Path.cwd()):
        assignments |= read_environment(path)[0]
    of_files = passed_on({}, assignments)
    for name, value in passed_on(os.environ, {}).items():
        os.environ[name] = _for_pdsh(value)
    # A file in memory, as the launcher takes variables from nowhere else; it is gone with this process.
    file = os.memfd_create("deepspeed_env", 0)
    os.write(file, "".join(f"{name}={_for_pdsh(value)}\n" for name, value in of_files.items()).encode())
    os.environ["DS_ENV_FILE"] = f"/proc/self/fd/{file}"
    sys.executable = _for_pdsh(shlex.quote(sys.executable))
    os.chdir(NEUTRAL)
    runpy.run_module(LAUNCHER, run_name="__main__", alter_sys=True)


def _for_pdsh(text: str) -> str:
    return text.replace("%", "%%")


if __name__ == "__main__":
    main()
