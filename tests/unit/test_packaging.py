"""What is installed, said and cited agrees with the code: requirements, version, citation."""

from __future__ import annotations

import ast
import configparser
import re
import sys
from collections.abc import Callable
from importlib.metadata import packages_distributions
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[2]
SETUP = configparser.ConfigParser()
SETUP.read(ROOT / "setup.cfg")
NOT_IMPORTED = {"sentencepiece", "protobuf"}
"""What transformers makes a fast tokenizer with, of a model that has no tokenizer.json."""


def plain(name: str) -> str:
    """A distribution's name as PyPI compares names."""
    return re.sub(r"[-_.]+", "-", name).lower()


def required(lines: str) -> set[str]:
    """Names of the distributions in a list of requirements."""
    return {plain(re.split(r"[<>=!~\[; ]", line)[0]) for line in lines.split("\n") if line.strip()}


def imported() -> set[str]:
    """Distributions that the package imports anywhere, also inside functions."""
    names = set()
    for path in (ROOT / "dist_stilts").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                names |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
                names.add(node.module.partition(".")[0])
    known = packages_distributions()
    return {plain(known[name][0]) for name in names - sys.stdlib_module_names - {"dist_stilts"} if name in known} | {
        f"{name} (not installed)" for name in names - sys.stdlib_module_names - {"dist_stilts"} if name not in known
    }


def test_a_plain_install_has_everything_that_the_package_imports() -> None:
    """What adapters need is an extra, as its module says in one line where it is missing."""
    optional = required(SETUP["options.extras_require"]["peft"])
    assert imported() - required(SETUP["options"]["install_requires"]) == optional


def test_everything_that_is_installed_is_used() -> None:
    assert required(SETUP["options"]["install_requires"]) - imported() == NOT_IMPORTED


def test_every_requirement_is_pinned() -> None:
    extras = SETUP["options.extras_require"]
    wanted = required(SETUP["options"]["install_requires"]).union(*(required(extras[extra]) for extra in extras))
    pinned = required((ROOT / "constraints.txt").read_text(encoding="utf-8"))
    assert wanted - pinned == {"torch"}


def test_version_changelog_and_citation_agree() -> None:
    """Between releases the changelog's first heading is that of the coming one, marked as unreleased."""
    version = SETUP["metadata"]["version"]
    headings = re.findall(r"^## (\S+)( \(unreleased\))?$", (ROOT / "CHANGELOG.md").read_text("utf-8"), re.MULTILINE)
    released = [name for name, unreleased in headings if not unreleased]
    assert released[0] == version
    assert headings.index((version, "")) <= 1
    assert [tuple(map(int, name.split("."))) for name, _ in headings] == sorted(
        (tuple(map(int, name.split("."))) for name, _ in headings), reverse=True
    )
    assert yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))["version"] == version


def test_citation_is_valid(complaints: Callable[..., str]) -> None:
    schema = ("--builtin-schema", "vendor.citation-file-format")
    assert complaints("check-jsonschema", "check-jsonschema", *schema, ROOT / "CITATION.cff") == ""
