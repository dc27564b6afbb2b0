from __future__ import annotations

import math
import re
from html import escape, unescape
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import made_up
import pandas as pd
import pytest

from dist_stilts.report.numbers import fine_points, p_value, plain, points, rounded_size, signed
from dist_stilts.study.numbers import show
from dist_stilts.study.page import StudyContent, write_study_page

VOID = {"meta", "br", "link", "img", "input", "hr", "col", "source", "wbr"}


class Page(HTMLParser):
    """Checks that elements close in order; collects attributes by element, and the text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.found: list[tuple[str, dict[str, str]]] = []
        self.words: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        assert self.open
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())

    def all(self, *names: str) -> list[str]:
        """The values of attributes."""
        return [attributes[name] for _, attributes in self.found for name in names if name in attributes]


SMALL: dict[str, Any] = {"languages": ("en", "aa", "bb", "ff"), "tasks": ("mnli", "ccg")}


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
def html(drawn: tuple[str, list[Path]]) -> str:
    return drawn[0]


@pytest.fixture(scope="module")
def page(html: str) -> Page:
    return Page(html)


@pytest.fixture
def no_pdf(monkeypatch: pytest.MonkeyPatch) -> None:
    """PDFs are slow, and one test looks at them."""
    monkeypatch.setattr("dist_stilts.study.figures.save_pages", lambda *_: None)


def test_the_page_is_well_formed(page: Page) -> None:
    assert page.open == []
    assert page.found[0] == ("html", {"lang": "en"})


def test_the_page_needs_nothing_from_elsewhere(html: str, page: Page) -> None:
    assert not {"link", "img", "iframe", "object"} & {tag for tag, _ in page.found}
    assert not page.all("src", "srcset", "action", "data")
    links = page.all("href", "xlink:href")
    assert all(re.match(r"#|\.\./|data:image/png", link) for link in links), "own parts and folders of runs only"
    assert "@import" not in html
    assert not re.search(r"url\((?!#)", html)


def test_every_id_is_unique_and_every_reference_has_one(html: str, page: Page) -> None:
    ids = page.all("id")
    assert len(ids) == len(set(ids))
    references = {link[1:] for link in page.all("href", "xlink:href") if link.startswith("#")}
    references |= set(re.findall(r"url\(#([^)]+)\)", html)) | set(page.all("aria-labelledby"))
    assert references
    assert references <= set(ids)


def test_the_verdict_comes_first_and_its_reasons_before_the_figures(page: Page, content: StudyContent) -> None:
    verdict, reason, figure = (
        page.text.index(part) for part in (content.headline, content.sentences[0], "Total gain Points")
    )
    assert verdict < reason < figure


def test_the_page_holds_every_number_of_every_curve(page: Page, content: StudyContent) -> None:
    for curve in content.curves:
        assert show(curve.total_gain, points) in page.text
        assert show(curve.half_gain, rounded_size) in page.text
        assert show(curve.enough, rounded_size) in page.text
        assert all(show(gain, fine_points) in page.text for gain in curve.per_doubling.values())
        assert " ".join(plain(mean, 1) for mean in curve.means) in page.text
        assert curve.shape_note in page.text
        assert curve.chosen is not None
        assert (
            f"{curve.chosen.form} {plain(curve.chosen.aicc, 1)} {plain(curve.chosen.held_out_error or 0)}" in page.text
        )


def test_the_page_holds_every_effect_with_interval_and_both_p_values(page: Page, content: StudyContent) -> None:
    for effect in content.effects:
        interval = f"[{signed(effect.low, 3)}, {signed(effect.high, 3)}]"
        line = [effect.distance, effect.intermediate, signed(effect.estimate, 3), interval, p_value(effect.p)]
        line += [p_value(effect.p_holm), signed(effect.standardised, 3), plain(effect.detectable, 3)]
        assert " ".join([*line, str(effect.languages), effect.note]) in page.text


def test_the_page_holds_every_distance_and_marks_what_rests_on_imputation(page: Page, content: StudyContent) -> None:
    distances = content.distances
    assert distances is not None
    for name in distances.values:
        for value, share in zip(distances.values[name], distances.observed[name], strict=True):
            mark = "°" if share < 0.5 else ""
            assert ("–" if math.isnan(value) else f"{value:.2f}{mark} ({share:.0%})") in page.text
    assert "° (" in page.text
    assert distances.notes
    assert all(f"{name}: {note}" in page.text for name, note in distances.notes.items())


def test_the_page_lists_runs_tables_method_caveats_and_conditions(html: str, page: Page, content: StudyContent) -> None:
    for run in content.runs:
        assert f'<a href="{run["folder"].replace("@", "%40")}">{run["name"]}</a>' in html
    for text in ("out of memory <GPU 3>", "one class for everything", *content.method, *content.caveats):
        assert text in page.text
    assert "Change by intermediate task after xnli mnli +3.2 ± 0.4" in page.text
    assert "dist-stilts study run demo" in page.text
    assert "torch 2.13.0" in page.text
    assert "runs done 23 of 24 1 failed, 1 degenerate" in page.text
    assert "Failed and in no number: 1 run;" in page.text


def test_every_figure_says_what_is_seen_and_every_table_names_its_cells(page: Page) -> None:
    pictures = [attributes for tag, attributes in page.found if tag == "svg"]
    assert all(picture["role"] == "img" and len(picture["aria-label"]) > 40 for picture in pictures)
    assert all("scope" in attributes for tag, attributes in page.found if tag == "th")
    boxes = [attributes for _, attributes in page.found if attributes.get("class") == "scroll"]
    assert boxes
    assert all(box["tabindex"] == "0" and ("aria-label" in box or "aria-labelledby" in box) for box in boxes)


def test_every_figure_is_a_file_too_and_every_group_a_pdf(html: str, drawn: tuple[str, list[Path]]) -> None:
    figures = drawn[1]
    assert len(figures) == html.count("<svg ") == 1 + 2 + 1 + 3 * 2 + 1
    assert all(figure.with_suffix(".png").read_bytes().startswith(b"\x89PNG") for figure in figures)
    pages = {
        file.stem: len(re.findall(rb"/Type /Page\b", file.read_bytes())) for file in figures[0].parent.glob("*.pdf")
    }
    assert sum(pages.values()) == len(figures)
    assert pages["gain-all"] == 2


def test_names_are_escaped(tmp_path: Path, no_pdf: None) -> None:
    odd = '<script>alert("x")</script>'
    runs = [{"name": odd, "state": odd, "reason": odd, "folder": 'javascript:alert("x")'}]
    made = made_up.content(("en", "<b>", "c&d"), (odd,), (odd,), runs=runs, headline=odd, records=[], title=odd)
    html, _ = written(made, tmp_path)
    assert odd not in html
    assert html.count("<script>") == 1
    assert "<b>" not in html
    assert "javascript:" not in html
    assert f"<h1>{escape(odd)}</h1>" in unescape(html).replace(odd, escape(odd))
    assert Page(html).open == []


def test_one_seed_has_no_interval_and_says_so(tmp_path: Path, no_pdf: None) -> None:
    page = Page(
        written(made_up.content(("en", "aa"), tasks=("mnli",), seeds=1, records=[], distances=None), tmp_path)[0]
    )
    assert re.search(r"\+\d+\.\d \(one seed: no interval\)", page.text)
    assert "1 run per size" in page.text
    assert "95 % intervals over nothing: one seed" in page.text


def test_without_distances_the_page_says_that_nothing_is_said_about_them(tmp_path: Path, no_pdf: None) -> None:
    made = made_up.content(("en", "aa"), tasks=("mnli",), distances=None, covariates=None, effects=[], records=[])
    html, figures = written(made, tmp_path)
    assert "No distances from English were given" in html
    assert not [figure for figure in figures if figure.name.startswith("gain-")]


def test_english_alone_has_a_curve_but_no_mean_and_no_distance(tmp_path: Path, no_pdf: None) -> None:
    html, figures = written(made_up.content(("en",), tasks=("mnli",), effects=[], records=[]), tmp_path)
    assert [figure.name for figure in figures] == ["curves-xnli-mnli.svg", "n-star-xnli.svg"]
    assert "mean xx" not in html


def test_without_finished_runs_there_is_a_page_that_lists_what_is_to_be_run(tmp_path: Path, no_pdf: None) -> None:
    runs = [{"name": "xnli@mnli-n100-s0", "state": "queued"}]
    nothing: dict[str, Any] = {name: [] for name in ("curves", "effects", "records", "tables", "caveats")}
    made = made_up.content(**nothing, distances=None, covariates=None, scores=made_up.scores_of([]), runs=runs)
    html, figures = written(made, tmp_path)
    assert figures == []
    assert "No run has finished" in html
    assert "xnli@mnli-n100-s0" in html
    assert "0 of 1" in html
    assert Page(html).open == []


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


def test_degenerate_scores_are_counted(tmp_path: Path, no_pdf: None) -> None:
    curves = made_up.curves_of(("aa",), ("xnli",), ("mnli",))
    scores: pd.DataFrame = made_up.scores_of(curves)
    scores.loc[scores.index[-1], ["degenerate", "reason"]] = [True, "stuck at chance"]
    made = made_up.content(("en", "aa"), curves=curves, scores=scores, effects=[], records=[], distances=None)
    html, _ = written(made, tmp_path)
    assert "Left out as degenerate: 1 of 15 scores, of 1 runs (stuck at chance)." in html
