"""The study's page: one HTML file that says what was found, shows it, and holds every number and its conditions.

    content -> figures (files) + tables -> page

From the top: the verdict and what it stands on, figures, tables, runs, method, caveats, conditions. Nothing is loaded
from elsewhere, and nothing needs a script: the one there is sorts the table of runs and unfolds what is folded when the
page is printed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dist_stilts.report.pages import conditions, inline_svg, write_html
from dist_stilts.report.render import Sheet
from dist_stilts.results.record import ResultRecord
from dist_stilts.study import tables
from dist_stilts.study.facts import facts, left_out
from dist_stilts.study.figures import Picture
from dist_stilts.study.gallery import colouring, draw

if TYPE_CHECKING:
    import pandas as pd

    from dist_stilts.analysis.curves import Curve
    from dist_stilts.analysis.effects import Effect
    from dist_stilts.analysis.typology import Distances

OPEN_TARGETS = 3
"""So many targets' figures are seen at once; of more, all but the first are folded."""
PIXELS_PER_INCH = 96


@dataclass(frozen=True)
class StudyContent:
    """All that a page is made of.

    Attributes:
        commands: the command lines that made the results, in order.
        headline, sentences: the verdict.
        scores: the frame of :mod:`dist_stilts.analysis.scores`.
        records: result records: layers and conditions are read from them.
        tables: further ones, such as those of changes per intermediate task and target.
        runs: name, state (done | failed | degenerate | queued ...), intermediate, size, seed, subset_seed, scores,
            reason and folder, a link relative to the page; what is missing is left blank.
        method, caveats: one statement per entry.
    """

    title: str
    commands: Sequence[str]
    headline: str
    sentences: Sequence[str]
    curves: Sequence[Curve]
    effects: Sequence[Effect]
    distances: Distances | None
    covariates: pd.DataFrame | None
    scores: pd.DataFrame
    records: Sequence[ResultRecord]
    tables: Sequence[Sheet]
    runs: Sequence[Mapping[str, Any]]
    method: Sequence[str]
    caveats: Sequence[str]


def write_study_page(content: StudyContent, page: Path, figures: Path) -> list[Path]:
    """Write the page and its figures, each as SVG, PDF and PNG.

    Args:
        page: the file; figures: the folder; both are made where needed.

    Returns:
        The page, then the SVG of every figure.
    """
    gallery = draw(content.curves, content.scores, content.effects, content.distances, content.records, figures)
    write_html(
        page,
        "study",
        "page.html.j2",
        title=content.title,
        content=content,
        facts=facts(content.runs, content.curves, content.effects),
        gallery=gallery,
        curve_panels=_by_target(gallery.curves),
        scale=colouring(content.distances),
        fold=len(gallery.curves) > OPEN_TARGETS,
        curve_tables=curve_tables(content.curves),
        effect_tables=tables.effect_tables(content.effects),
        typology=tables.typology(content.distances) if content.distances is not None else None,
        covariates=tables.covariates(content.covariates) if content.covariates is not None else None,
        caveats=[*content.caveats, *left_out(content.scores, content.runs)],
        conditions=conditions(content.records) if content.records else [],
        cell=_cell,
        inline=_inline,
        width=_width,
    )
    return [page, *gallery.files]


def curve_tables(curves: Sequence[Curve]) -> dict[str, list[Sheet]]:
    """By target: what the curves say, what was measured, what every doubling brings, per intermediate task."""
    found: dict[str, list[Sheet]] = {}
    for (target, _), group in tables.by_pair(curves).items():
        sheets = (tables.quantities(group), tables.measured(group), tables.doublings(group))
        found.setdefault(target, []).extend(sheets)
    return found


def _by_target(pictures: Mapping[str, Sequence[Picture]]) -> Mapping[str, Sequence[Picture]]:
    """Panels under their target's name, or all in one group without a name where each target has only one."""
    if all(len(own) == 1 for own in pictures.values()) and len(pictures) > 1:
        return {"": [own[0] for own in pictures.values()]}
    return pictures


def _cell(run: Mapping[str, Any], key: str) -> str:
    value = run.get(key)
    if value is None:
        return ""
    return f"{value:,}" if isinstance(value, int) else str(value)


def _inline(picture: Picture) -> str:
    return inline_svg(picture.svg, picture.description)


def _width(picture: Picture) -> int:
    """Pixels that the picture needs to be read."""
    return round(picture.inches * PIXELS_PER_INCH)
