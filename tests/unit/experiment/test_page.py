from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import results_made
from page_read import check_self_contained

from dist_stilts.experiment.page import caveats, write_page
from dist_stilts.report.table import pivot
from dist_stilts.results.record import ResultRecord

DISTANCES = {"aa": 0.1, "bb": 0.4, "cc": 0.8}


def record(language: str, value: float, size: int, **fields: Any) -> ResultRecord:
    of_run = {"run": f"xnli@mnli-n{size}", "intermediate": "mnli" if size else None, "intermediate_size": size}
    conditions = {"seed": 0, "world_size": 2, "versions": {"torch": "2.13.0"}}
    return results_made.record(language, value, **of_run | conditions | fields)


def study(**fields: Any) -> list[ResultRecord]:
    return [
        record(lang, 40 + 10 * step + 3 * i, size, **fields)
        for step, size in enumerate((0, 300))
        for i, lang in enumerate(("en", *DISTANCES))
    ]


@pytest.fixture(scope="module")
def html(tmp_path_factory: pytest.TempPathFactory) -> str:
    records = [*study(), record("cc", 33.0, 300, task="mnli", collapsed="one class"), record("cc", 9, 0, task="mnli")]
    commands = ["dist-stilts run demo", "dist-stilts study report <out>"]
    page = write_page(tmp_path_factory.mktemp("page"), "Sizes & languages", records, DISTANCES, commands)
    assert page.name == "page.html"
    return page.read_text(encoding="utf-8")


def test_page_needs_nothing_from_elsewhere_and_refers_only_to_its_own_parts(html: str) -> None:
    page = check_self_contained(html)
    assert "script" not in {tag for tag, _ in page.found}
    assert all(link.startswith(("#", "data:")) for link in page.all("href", "xlink:href"))


def test_page_shows_runs_tables_figures_conditions_commands_and_what_was_degenerate(html: str) -> None:
    for said in (
        *("<h1>Sizes &amp; languages</h1>", "dist-stilts study report &lt;out&gt;", "xnli@mnli-n300"),
        *("xnli test: accuracy", "torch 2.13.0", "<dt>world size</dt><dd>2</dd>"),
        "<li>mnli accuracy: † mnli n=300, cc: one class (kept in the mean)</li>",
    ):
        assert said in html
    assert html.count("<svg") == 4  # curves and gain, of xnli and of mnli


def test_one_seed_is_a_caveat_and_so_is_a_missing_control() -> None:
    records = study()
    text = " ".join(caveats(records, pivot(records)))
    assert "One seed: the intervals cover test sampling only" in text
    assert "Not run: random encoder and hypothesis only." in text
    assert "No run was degenerate" in text
    records += [*study(seed=1), record("en", 1, 0, origin="random"), record("en", 1, 0, inputs="hypothesis")]
    text = " ".join(caveats(records, pivot(records)))
    assert "2 seeds" in text
    assert "Not run" not in text


def test_a_page_without_scores_is_still_a_page(tmp_path: Path) -> None:
    html = write_page(tmp_path, "Empty", [], None, []).read_text(encoding="utf-8")
    assert "No scores." in html
    assert "<svg" not in html
