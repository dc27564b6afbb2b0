"""What a check found: a line for people that names the check, the hosts, what is so and how to mend it."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from dist_stilts.report.columns import aligned

State = Literal["ok", "warning", "FAIL"]
Facts = Mapping[str, Mapping[str, Any]]
"""What each host said, by the host's name; the first is the master."""


@dataclass(frozen=True)
class Finding:
    """One line of the report."""

    check: str
    state: State
    hosts: Sequence[str]
    what: str
    fix: str = ""


def ok(check: str, hosts: Iterable[str], what: str) -> Finding:
    """A check that passed."""
    return Finding(check, "ok", tuple(hosts), what)


def warning(check: str, hosts: Iterable[str], what: str, fix: str) -> Finding:
    """Something to know that stops no job."""
    return Finding(check, "warning", tuple(hosts), what, fix)


def fail(check: str, hosts: Iterable[str], what: str, fix: str) -> Finding:
    """Something that would stop a job, or make its results differ between hosts."""
    return Finding(check, "FAIL", tuple(hosts), what, fix)


def failed(findings: Iterable[Finding]) -> bool:
    """Whether any check failed; warnings pass."""
    return any(finding.state == "FAIL" for finding in findings)


def by_value(values: Mapping[str, Any]) -> dict[str, list[str]]:
    """Hosts by what they say, the most common value first; of equally common ones that of the earliest host."""
    groups: dict[str, list[str]] = {}
    for host, value in values.items():
        groups.setdefault(str(value), []).append(host)
    return dict(sorted(groups.items(), key=lambda group: -len(group[1])))


def listed(groups: Mapping[str, Sequence[str]]) -> str:
    """``2.13.0 on a, b; 2.12.0 on c``; a value that all share by itself."""
    if len(groups) == 1:
        return next(iter(groups))
    return "; ".join(f"{value} on {', '.join(hosts)}" for value, hosts in groups.items())


def odd_ones(groups: Mapping[str, Sequence[str]]) -> list[str]:
    """The hosts that do not say what most say."""
    return [host for hosts in list(groups.values())[1:] for host in hosts]


def summary(findings: Sequence[Finding]) -> str:
    """How many checks passed, warned and failed."""
    counts = {state: sum(finding.state == state for finding in findings) for state in ("ok", "warning", "FAIL")}
    return f"{counts['ok']} ok, {counts['warning']} warnings, {counts['FAIL']} failed"


def show(findings: Sequence[Finding], hosts: Sequence[str]) -> None:
    """Print a table on a terminal, else a line per finding; ``hosts`` are all there are, shown as ``all``."""
    if sys.stdout.isatty():
        _draw(findings, hosts)
    else:
        print("\n".join(lines(findings, hosts)))


def lines(findings: Sequence[Finding], hosts: Sequence[str]) -> list[str]:
    """One line per finding: state, check, hosts, what, how to mend it."""
    rows = [(each.state, each.check, _names(each, hosts), _said(each)) for each in findings]
    return aligned(rows, right=()).splitlines() if rows else []


def _names(finding: Finding, hosts: Sequence[str]) -> str:
    return "all" if len(hosts) > 1 and set(finding.hosts) == set(hosts) else ", ".join(finding.hosts)


def _said(finding: Finding) -> str:
    return " ".join(f"{finding.what}{'. ' + finding.fix if finding.fix else ''}".split())


def _draw(findings: Sequence[Finding], hosts: Sequence[str]) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    grid = Table("", "check", "hosts", "found, and how to mend it", box=box.SIMPLE_HEAD, pad_edge=False)
    colours = {"ok": "green", "warning": "yellow", "FAIL": "bold red"}
    for finding in findings:
        cells = (finding.check, _names(finding, hosts), _said(finding))
        grid.add_row(Text(finding.state, colours[finding.state]), *map(Text, cells))
    Console().print(grid)
