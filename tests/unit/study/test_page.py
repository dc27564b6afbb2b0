from __future__ import annotations

import math
import re
from html import escape, unescape
from pathlib import Path
from typing import Any

import made_up
import pytest
from page_read import Page, check_self_contained

from dist_stilts.report.numbers import fine_points, p_value, plain, points, rounded_size, signed
from dist_stilts.study.numbers import show
from dist_stilts.study.page import StudyContent, write_study_page

ONE_DISTANCE = made_up.distances_of(("en", "aa", "bb", "ff"), ("syntactic",))
ONE_DISTANCE.observed.loc["aa"] = 0.3
SMALL: dict[str, Any] = {
    "languages": ("en", "aa", "bb", "ff"),
    "tasks": ("mnli", "ccg"),
    "effects": made_up.effects_of(("mnli", "ccg"), ("syntactic",)),
    "distances": ONE_DISTANCE,
}


def written(content: StudyContent, folder: Path) -> tuple[str, list[Path]]:
    page, *figures = write_study_page(content, folder / "page.html", folder / "figures")
    return page.read_text(encoding="utf-8"), figures


@pytest.fixture(scope="module")
def content() -> StudyContent:
    return made_up.content(**SMALL)


@pytest.fixture(scope="module")
def drawn(content: StudyContent, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, list[Path]]:
    return written(content, tmp_path_factory.mktemp("study"))


@pytest.fixture(scope="module")
def page(drawn: tuple[str, list[Path]]) -> Page:
    return Page(drawn[0])


@pytest.fixture
def no_pdf(monkeypatch: pytest.MonkeyPatch) -> None:
    """PDFs are slow, and one test looks at them."""
    monkeypatch.setattr("dist_stilts.study.figures.save_pages", lambda *_: None)


def test_the_page_needs_nothing_from_elsewhere_and_refers_only_to_its_own_parts_and_runs(
    drawn: tuple[str, list[Path]],
) -> None:
    check_self_contained(drawn[0])


def test_the_page_holds_every_number_of_every_curve(page: Page, content: StudyContent) -> None:
    for curve in content.curves:
        assert curve.chosen is not None
        parts = [show(curve.total_gain, points), show(curve.half_gain, rounded_size), show(curve.enough, rounded_size)]
        parts += [show(gain, fine_points) for gain in curve.per_doubling.values()]
        parts += [" ".join(plain(mean, 1) for mean in curve.means), curve.shape_note]
        parts += [f"{curve.chosen.form} {plain(curve.chosen.aicc, 1)} {plain(curve.chosen.held_out_error or 0)}"]
        assert [part for part in parts if part not in page.text] == []


def test_the_page_holds_every_effect_and_every_distance_and_marks_imputed_ones(
    page: Page, content: StudyContent
) -> None:
    for effect in content.effects:
        interval = f"[{signed(effect.low, 3)}, {signed(effect.high, 3)}]"
        line = [effect.distance, effect.intermediate, signed(effect.estimate, 3), interval, p_value(effect.p)]
        line += [p_value(effect.p_holm), signed(effect.standardised, 3), plain(effect.detectable, 3)]
        assert " ".join([*line, str(effect.languages), effect.note]) in page.text
    distances = content.distances
    assert distances is not None
    assert distances.notes
    for name, note in distances.notes.items():
        assert f"{name}: {note}" in page.text
    for name in distances.values:
        for value, share in zip(distances.values[name], distances.observed[name], strict=True):
            mark = "°" if share < 0.5 else ""
            assert ("-" if math.isnan(value) else f"{value:.2f}{mark} ({share:.0%})") in page.text
    assert "° (" in page.text


def test_the_page_lists_verdict_runs_tables_method_caveats_and_conditions(page: Page, content: StudyContent) -> None:
    order = [page.text.index(part) for part in (content.headline, content.sentences[0], "Total gain Points")]
    assert order == sorted(order), "the verdict comes first, its reasons before the figures"
    assert {run["folder"].replace("@", "%40") for run in content.runs} <= set(page.all("href"))
    for text in (
        *("out of memory <GPU 3>", "one class for everything", *content.method, *content.caveats),
        "Change by intermediate task after xnli mnli +3.2 ± 0.4",
        "dist-stilts study run demo",
        "torch 2.13.0",
        "runs done 23 of 24 1 failed, 1 degenerate",
        "Failed and in no number: 1 run;",
    ):
        assert text in page.text


def test_every_figure_says_what_is_seen_and_every_table_names_its_cells(page: Page) -> None:
    pictures = [attributes for tag, attributes in page.found if tag == "svg"]
    assert all(picture["role"] == "img" and len(picture["aria-label"]) > 40 for picture in pictures)
    assert all("scope" in attributes for tag, attributes in page.found if tag == "th")
    boxes = [attributes for _, attributes in page.found if attributes.get("class") == "scroll"]
    assert boxes
    assert all(box["tabindex"] == "0" and ("aria-label" in box or "aria-labelledby" in box) for box in boxes)


def test_every_figure_is_a_file_too_and_every_group_a_pdf(drawn: tuple[str, list[Path]]) -> None:
    html, figures = drawn
    assert len(figures) == html.count("<svg ") == 1 + 2 + 1 + 3 + 1
    assert all(figure.with_suffix(".png").read_bytes().startswith(b"\x89PNG") for figure in figures)
    pages = {
        file.stem: len(re.findall(rb"/Type /Page\b", file.read_bytes())) for file in figures[0].parent.glob("*.pdf")
    }
    assert sum(pages.values()) == len(figures)
    assert pages["curves-xnli"] == 2


def test_names_are_escaped(tmp_path: Path, no_pdf: None) -> None:
    odd = '<script>alert("x")</script>'
    runs = [{"name": odd, "state": odd, "reason": odd, "folder": 'javascript:alert("x")'}]
    made = made_up.content(("en", "<b>", "c&d"), (odd,), (odd,), runs=runs, headline=odd, records=[], title=odd)
    html, _ = written(made, tmp_path)
    assert [bad for bad in (odd, "<b>", "javascript:") if bad in html] == []
    assert html.count("<script>") == 1
    assert f"<h1>{escape(odd)}</h1>" in unescape(html).replace(odd, escape(odd))
    Page(html)


NOTHING: dict[str, Any] = {
    **{name: [] for name in ("curves", "effects", "records", "tables", "caveats")},
    **dict.fromkeys(("distances", "covariates")),
    "scores": made_up.scores_of([]),
    "runs": [{"name": "xnli@mnli-n100-s0", "state": "queued"}],
}
SCORES = made_up.scores_of(made_up.curves_of(("aa",), ("xnli",), ("mnli",)))
STUCK = SCORES.assign(degenerate=SCORES.index == SCORES.index[-1], reason="stuck at chance")
DRAWN = ["total-gain", "curves-xnli-mnli", "n-star-xnli"]


@pytest.mark.parametrize(
    ("languages", "fields", "said", "drawn"),
    [
        ("en aa", {"seeds": 1}, r"\+\d+\.\d \(one seed: no interval\).* 95 % intervals over nothing: one seed", DRAWN),
        ("en aa", {"covariates": None, "effects": []}, "No distances from English were given", DRAWN),
        ("en", {"effects": []}, "^(?!.*mean xx)", DRAWN[1:]),
        ("en", NOTHING, "0 of 1 .*No run has finished.* xnli@mnli-n100-s0", []),
        ("en", {"scores": STUCK}, r"degenerate: 1 of 15 scores, of 1 runs \(stuck at chance\)\.", DRAWN[1:]),
        ("en", {"scores": SCORES.assign(at_chance=True)}, "and of all smaller ones; kept: 15 runs", DRAWN[1:]),
    ],
    ids=["one seed", "no distances", "English alone", "nothing finished", "degenerate", "at chance"],
)
def test_what_is_missing_is_said_and_not_drawn(
    languages: str, fields: dict[str, Any], said: str, drawn: list[str], tmp_path: Path, no_pdf: None
) -> None:
    defaults: dict[str, Any] = {"tasks": ("mnli",), "records": [], "distances": None}
    html, files = written(made_up.content(languages.split(), **{**defaults, **fields}), tmp_path)
    assert re.search(said, Page(html).text)
    assert [file.stem for file in files] == drawn


def test_targets_of_one_panel_stand_in_one_grid_and_larger_figures_are_folded_but_for_the_first(
    tmp_path: Path, no_pdf: None
) -> None:
    targets = ("bucc2018", "panx", "tatoeba", "xnli")
    made = made_up.content(
        curves=made_up.curves_of(("en", "aa"), targets, ("mnli",)), effects=[], records=[], tables=[], distances=None
    )
    html, _ = written(made, tmp_path)
    assert re.findall(r"<details( open)?><summary>(\w+)</summary>", html)[:4] == [
        (" open" if target == "bucc2018" else "", target) for target in targets
    ], "n*, language by language"
    curves = html[html.index('<div class="panels">') : html.index("Where gains end</h2>")]
    assert curves.count("<svg ") == 4
    assert curves.count('<div class="panels">') == 1
