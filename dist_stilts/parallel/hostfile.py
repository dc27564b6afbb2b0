"""Hostfiles: which hosts a job runs on and how many processes each takes, in the form that DeepSpeed reads.

One host a line, ``NAME slots=N``; blank lines, a byte-order mark and what follows a ``#`` mean nothing. What the
deepspeed launcher would drop without a word (anything after the slots, a host without a slot) is an error here,
with its line.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from dist_stilts.errors import UserError

EXAMPLE = "Write one host a line, such as: node-1 slots=8"
NAME = re.compile(r"\w[\w.@:-]*")


@dataclass(frozen=True)
class Host:
    """A host by the name that ssh knows it by, and the number of processes it takes."""

    name: str
    slots: int


def read_hostfile(path: Path) -> list[Host]:
    """The hosts in the file's order; the first is the master.

    Raises:
        UserError: no such file, a line in another form, no slots, a host that stands there twice, no host at all.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except OSError as error:
        raise UserError(f"cannot be read ({error.strerror})", where=path, fix="Name a hostfile") from None
    except UnicodeDecodeError:
        raise UserError("is no text in UTF-8", where=path, fix=EXAMPLE) from None
    hosts: dict[str, tuple[Host, int]] = {}
    for number, line in enumerate(lines, 1):
        words = line.partition("#")[0].split()
        if not words:
            continue
        host = _host(words, (path, number))
        if (known := hosts.get(host.name.lower())) is not None:
            fix = f"Its first line is {known[1]}; leave one of the two, with the sum of the slots"
            raise UserError(f"host '{host.name}' is here twice", where=(path, number), fix=fix)
        hosts[host.name.lower()] = (host, number)
    if not hosts:
        raise UserError("names no host", where=path, fix=EXAMPLE)
    return [host for host, _ in hosts.values()]


def _host(words: list[str], where: tuple[Path, int]) -> Host:
    """One line's host; its words are the name and the slots."""
    name, *rest = words
    if not NAME.fullmatch(name):
        raise UserError(f"'{name}' is no name of a host", where=where, fix=EXAMPLE)
    if not rest:
        raise UserError(f"host '{name}' has no slots", where=where, fix=f"Write: {name} slots=N")
    key, _, value = rest[0].partition("=")
    if key != "slots":
        raise UserError(f"unknown word '{rest[0]}'", where=where, fix=f"Write: {name} slots=N")
    if not re.fullmatch("[0-9]{1,4}", value) or int(value) < 1:
        fix = "Give the number of processes that the host takes, 1 to 9999, or leave the host out"
        raise UserError(f"host '{name}' has slots='{value}'", where=where, fix=fix)
    if len(rest) > 1:
        raise UserError(f"unknown word '{rest[1]}'", where=where, fix=f"Write: {name} slots={value}")
    return Host(name, int(value))
