"""CONTRIBUTING.md has every law that the code cites, and every law has a guard that can be broken on purpose."""

from __future__ import annotations

import ast
import re
import runpy
from pathlib import Path

import pytest
from break_laws import BREAKS, Break, misfit

from dist_stilts.families.kinds import KINDS

ROOT = Path(__file__).parents[2]
CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
LAWS = {int(number) for number in re.findall(r"^(\d+)\. \*\*", CONTRIBUTING, re.MULTILINE)}


@pytest.mark.parametrize("entry", BREAKS, ids=lambda entry: f"{entry.law}: {entry.what}")
def test_what_breaks_a_law_still_fits_the_code(entry: Break) -> None:
    assert misfit(entry) == ""


def test_an_entry_that_does_not_fit_is_told(tmp_path: Path) -> None:
    (tmp_path / "code.py").write_text("twice, twice\n")
    (tmp_path / "test.py").write_text("def test_it() -> None: ...\n")

    def why(file: str, old: str, witness: str) -> str:
        return misfit(Break(1, "", file, old, "", witness), tmp_path)

    assert why("code.py", "twice,", "test.py::test_it[case]") == ""
    assert why("none.py", "twice,", "test.py::test_it") == "no file none.py"
    assert why("code.py", "twice", "test.py::test_it") == "code.py has 2 times, not once: twice"
    assert why("code.py", "once", "test.py::test_it") == "code.py has 0 times, not once: once"
    assert why("code.py", "twice,", "none.py::test_it") == "no file none.py"
    assert why("code.py", "twice,", "test.py::test_other") == "no test test.py::test_other"


def test_every_law_is_broken_on_purpose_and_names_its_guard() -> None:
    assert sorted(LAWS) == list(range(1, len(LAWS) + 1))
    assert {entry.law for entry in BREAKS} == LAWS
    for entry in BREAKS:
        assert f"`{entry.witness}`" in CONTRIBUTING, entry.witness


def test_every_law_that_the_code_cites_is_written_down() -> None:
    cited = {
        int(number)
        for folder in ("dist_stilts", "tests", "benchmarks", "launch_scripts", "docker")
        for path in (ROOT / folder).rglob("*.*")
        if path.suffix in {".py", ".sh", ".md"}
        for group in re.findall(r"\blaws? ((?:\d+(?:, | and )?)+)", path.read_text(encoding="utf-8"), re.IGNORECASE)
        for number in re.findall(r"\d+", group)
    }
    assert len(cited) > 5
    assert cited <= LAWS


def test_files_and_tests_that_the_guide_names_exist() -> None:
    named = set(
        re.findall(r"`((?:tests|dist_stilts|docs|launch_scripts|benchmarks)/[\w/.-]*)(?:::(\w+))?`", CONTRIBUTING)
    )
    assert len(named) > 20
    for path, test in sorted(named):
        assert (ROOT / path).exists(), path
        assert not test or f"def {test}(" in (ROOT / path).read_text(encoding="utf-8"), test


def test_the_guide_has_every_room_on_its_floor() -> None:
    floors = runpy.run_path(str(ROOT / "tests" / "unit" / "test_floors.py"))["FLOORS"]
    table = {int(floor): rooms for floor, rooms in re.findall(r"^\| (\d+) \| (.*?) \|", CONTRIBUTING, re.MULTILINE)}
    for floor, rooms in floors.items():
        assert {name.removesuffix(".py") for name in re.findall(r"`([\w.]+)/?`", table[floor])} == rooms


def names_a_kind(path: Path) -> bool:
    """Whether the code has the name of a kind of task, which it needs to treat one unlike others."""
    found = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
    return any(isinstance(node, ast.Constant) and node.value in KINDS for node in found)


def test_a_kind_of_task_is_known_in_its_room_and_in_the_few_files_that_the_guide_lists() -> None:
    """Beside the tasks themselves, and the simulated world's, which are of known kinds."""
    assert "token" in KINDS, "no kind is known: the test has gone blind"
    free = ("dist_stilts/families/", "dist_stilts/tasks/specs_", "dist_stilts/simulate/")
    known = {path.relative_to(ROOT).as_posix() for path in (ROOT / "dist_stilts").rglob("*.py") if names_a_kind(path)}
    section = CONTRIBUTING[CONTRIBUTING.index("a kind of task.**") : CONTRIBUTING.index("a launcher.**")]
    listed = set(re.findall(r"`(dist_stilts/(?!families/)[\w/]+\.py)`", section))
    assert {name for name in known if not name.startswith(free)} == listed


def test_a_file_that_names_a_kind_is_seen(tmp_path: Path) -> None:
    file = tmp_path / "code.py"
    for code, seen in (('if spec.family == "span":\n    pass\n', True), ("span = kind.windowed\n", False)):
        file.write_text(code)
        assert names_a_kind(file) == seen
