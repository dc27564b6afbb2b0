from __future__ import annotations

import io

import pytest
from rich.console import Console

from dist_stilts.report.render import Sheet, latex, markdown, print_rich


def sheet(*lines: list[str], notes: tuple[str, ...] = (), header: tuple[str, ...] = ("run", "en", "de")) -> Sheet:
    return Sheet("scores", header, lines, notes)


def test_latex_is_escaped_and_has_a_column_for_each_cell() -> None:
    text = latex([sheet(["my_task%", "80.0 ± 1.0†", "−2.0"], ["b", "3", "4"], notes=("50% & {x} \\ ~",))])
    assert r"my\_task\% & 80.0 $\pm$ 1.0$^\dagger$ & $-$2.0 \\" in text
    assert r"50\% \& \{x\} \textbackslash{} \textasciitilde{}" in text
    assert text.count(r"\toprule") == text.count(r"\bottomrule") == 1
    assert r"\begin{tabular}{lrr}" in text
    assert {line.count("&") for line in text.splitlines() if line.endswith(r"\\")} == {2}


def test_markdown_is_a_rectangle_with_its_notes_below() -> None:
    text = markdown([sheet(["a|b", "1", "2"], notes=("first", "second"))])
    rows = [line.replace("\\|", "") for line in text.splitlines() if line.startswith("|")]
    assert len(rows) == 3
    assert {line.count("|") for line in rows} == {4}
    assert text.endswith("\n- first\n- second\n")


@pytest.mark.parametrize("width", [40, 80, 200])
def test_terminal_table_is_never_cut_and_brackets_are_printed_as_they_stand(width: int) -> None:
    languages = [f"l{i}" for i in range(40)]
    text = io.StringIO()
    whole = sheet(["no [bold]", *["12.3"] * 40], header=("run", *languages), notes=("[red]",))
    print_rich([whole], Console(file=text, width=width))
    printed = text.getvalue()
    assert "…" not in printed
    assert printed.count("12.3") == 40
    assert all(said in printed for said in (*languages, "[bold]", "[red]"))
    assert max(map(len, printed.splitlines())) <= width
