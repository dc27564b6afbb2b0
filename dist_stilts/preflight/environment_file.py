"""``.deepspeed_env``: the variables that the deepspeed launcher sets on every host, one ``NAME=value`` a line.

The launcher (0.19.8, ``launcher/runner.py``) splits every line at its first ``=`` and has no notion of comments: a line
without ``=``, an empty one too, is an unpacking error, and ``# A=b`` becomes ``export # A=b; cd ...; python ...``, a
shell comment that swallows the whole command and exits with 0. A value in quotes is quoted once more, which splits it
at its blanks.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path

from dist_stilts.errors import UserError
from dist_stilts.preflight.findings import Finding, fail, ok

CHECK = "environment file"
EXPORTED = ("MLFLOW", "PYTHON", "MV2", "UCX", "NCCL")
"""Variables that start so are passed on by the launcher without any file."""
OWN_OF_SHELL = r'[\\"`]|\$(?![A-Za-z_]|\{[A-Za-z_]\w*\})'
"""What a shell would not leave as it is between double quotes, but for the variables in it."""


def environment_files(environment: Mapping[str, str], home: Path, here: Path) -> list[Path]:
    """The files that the launcher reads, in its order: a later one overrides; ``DS_ENV_FILE`` names another."""
    name = environment.get("DS_ENV_FILE", ".deepspeed_env")
    return [path for path in dict.fromkeys((home / name, here / name)) if path.is_file()]


def read_environment(path: Path) -> tuple[dict[str, str], list[Finding]]:
    """The assignments of one file, and a finding for each line that the launcher would trip over."""
    assignments: dict[str, str] = {}
    findings = []
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        return {}, [fail(CHECK, (), f"{path}: cannot be read ({error})", "Mend or remove it")]
    for number, line in enumerate(text.splitlines(), 1):
        name, equals, value = (part.strip() for part in line.partition("="))
        if trouble := _trouble(line, name, equals, value):
            findings.append(fail(CHECK, (), f"{path}:{number}: {trouble[0]}", trouble[1]))
        else:
            assignments[name] = value
    return assignments, findings or [ok(CHECK, (), f"{path}: sets {', '.join(assignments) or 'nothing'}")]


def check_environment(environment: Mapping[str, str], home: Path, here: Path) -> None:
    """Before a start: refuse files that would end the launcher, or make it start nothing.

    Raises:
        UserError: the first line that it would trip over.
    """
    for path in environment_files(environment, home, here):
        for finding in read_environment(path)[1]:
            if finding.state == "FAIL":
                raise UserError(finding.what, fix=finding.fix)


def _trouble(line: str, name: str, equals: str, value: str) -> tuple[str, str] | None:
    """What is wrong with a line and how to mend it, if anything is."""
    if not line.strip():
        return "a blank line ends the deepspeed launcher with a ValueError", "Delete the line"
    if line.lstrip().startswith("#") and equals:
        return "the deepspeed launcher reads a comment as a command, and then starts nothing", "Delete the line"
    if line.lstrip().startswith("#"):
        return "a comment ends the deepspeed launcher with a ValueError", "Delete the line"
    if not equals:
        return f"'{line.strip()}' has no '='", "Write NAME=value, or delete the line"
    if not re.fullmatch(r"[A-Za-z_]\w*", name, re.ASCII):
        return f"'{name}' is no name of a variable", "Write NAME=value, without export"
    if '"' in value or "'" in value:
        return f"{name} has quotes in its value; the deepspeed launcher adds its own", "Leave them out"
    return None


def passed_on(environment: Mapping[str, str], assignments: Mapping[str, str]) -> dict[str, str]:
    """The variables that every host gets: those that the launcher chooses, then those of the files.

    Args:
        environment: of this process; its values are taken as they stand.
        assignments: of the files; ``$NAME`` and ``${NAME}`` in them mean the host's own variables.

    Returns:
        By name, the value as it is to stand between double quotes in a command of the host's shell.
    """
    chosen = {name: value for name, value in environment.items() if name.startswith(EXPORTED)}
    if "PYTHONPATH" in chosen:  # the hosts' programs may start in another folder
        parts = chosen["PYTHONPATH"].split(os.pathsep)
        chosen["PYTHONPATH"] = os.pathsep.join(str(Path(part).absolute()) for part in parts if part)
    literal = {name: re.sub(r'([\\"`$])', r"\\\1", value) for name, value in chosen.items()}
    return literal | {name: re.sub(OWN_OF_SHELL, r"\\\g<0>", value) for name, value in assignments.items()}


def export_command(name: str, quoted: str) -> str:
    """A shell command that sets one of the variables that :func:`passed_on` returns."""
    return f'export {name}="{quoted}"'
