"""From the records of a study's runs to its page: the way of the data, from top to bottom.

    records + outcomes of test rows -> scores -> curves -> effects of distance -> verdict -> tables, figures, page

Everything is computed from what the runs have written, from however many of them are done.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dist_stilts.analysis.curves import Curve, curves
from dist_stilts.analysis.deltas import delta_tables, render
from dist_stilts.analysis.effects import Effect, effects
from dist_stilts.analysis.estimate import Estimate
from dist_stilts.analysis.outcomes import load
from dist_stilts.analysis.pretraining import pretraining
from dist_stilts.analysis.scores import frame
from dist_stilts.analysis.typology import Distances, from_table, from_world, missing, uriel
from dist_stilts.analysis.verdict import Verdict, verdict
from dist_stilts.conventions import ENGLISH
from dist_stilts.errors import UserError
from dist_stilts.evaluate.suite import EvalTask
from dist_stilts.experiment.plan import Run, folder_of
from dist_stilts.experiment.run_config import Recipe
from dist_stilts.experiment.training_data import data_root, recipe_tokenizer
from dist_stilts.layout import DELTAS, StudyFolder, world_file
from dist_stilts.report.progress import bar, say
from dist_stilts.report.spreadsheet import harmless
from dist_stilts.results.files import scores_of, sound
from dist_stilts.results.record import ResultRecord
from dist_stilts.study.covariates import covariates
from dist_stilts.study.design import study_runs
from dist_stilts.study.method import caveats, method
from dist_stilts.study.page import StudyContent, write_study_page
from dist_stilts.study.progress import DONE, Standing, look
from dist_stilts.writing import write_text

if TYPE_CHECKING:
    import pandas as pd


def write_report(recipe: Recipe, command: str) -> tuple[Verdict, list[Path]]:
    """Analyse what is done of a study, and write its page and tables.

    Returns:
        The verdict, and the files: page and tables.

    Raises:
        UserError: no run that scores anything is done; distances that cannot be read.
    """
    runs = study_runs(recipe)
    standings = look(runs, recipe)
    records, damaged = finished_records(recipe, runs, standings)
    study = StudyFolder(folder_of(recipe).path)

    scores = frame(records)
    outcomes = load(records, folder_of(recipe).run)
    progress = partial(bar(), "curves")
    found = curves(scores, outcomes, delta=recipe.study.delta, draws=recipe.study.draws, progress=progress)
    distances = distances_of(recipe, sorted(set(scores["language"]) - {ENGLISH}))
    known = covariates_of(recipe, scores)
    effect = effects(scores, found, distances, known, permutations=recipe.study.permutations)
    said = verdict(found, effect, scores, delta=recipe.study.delta)

    deltas = delta_tables(scores)
    content = StudyContent(
        title=f"{recipe.name}: what more English data bring, and to whom",
        commands=[command],
        headline=said.headline,
        sentences=said.sentences,
        curves=found,
        effects=effect,
        distances=distances,
        covariates=known,
        scores=scores,
        records=records,
        tables=deltas,
        runs=[_row(run, standings[run.name], recipe, scores, study.page) for run in runs],
        method=method(recipe),
        caveats=[*damaged, *caveats(recipe, missing(distances, known.index))],
    )
    page, *_ = write_study_page(content, study.page, study.figures)
    tables = {"scores": scores, "curves": _curve_table(found), "effects": _table(effect)}
    tables |= {"typology": distances.values.join(distances.observed.add_suffix(" observed")).join(known, how="outer")}
    for name, table in tables.items():
        safe = table.map(harmless).rename(index=harmless)
        write_text(study.table(name), safe.to_csv(index=name == "typology", index_label="language"))
    for suffix, format in DELTAS.items():
        write_text(study.deltas(suffix), render(deltas, format, damaged))
    for line in damaged:
        say(f"warning: {line}")
    return said, [page, *map(study.table, tables), *map(study.deltas, DELTAS)]


def finished_records(
    recipe: Recipe, runs: Sequence[Run], standings: Mapping[str, Standing]
) -> tuple[list[ResultRecord], list[str]]:
    """The scores of the runs that are done, and a line for each run that cannot be read; scores of other runs in the
    folder are not the study's."""
    done = [run for run in runs if standings[run.name].state == DONE and run.evaluate]
    unread = [f"left out: {standings[run.name].reason}" for run in runs if standings[run.name].damaged]

    def of_run(run: Run) -> list[ResultRecord]:
        return [one for one in scores_of(folder_of(recipe).run(run.name)) if one.training.run_id == run.id]

    found, damaged = sound(done, of_run, lambda run: folder_of(recipe).run(run.name).path)
    records = [record for run in found for record in run]
    if unread and not records:
        raise UserError(unread[0])
    if not records:
        raise UserError(
            "no run of the study that scores anything is done",
            where=folder_of(recipe).path,
            fix="Start it with `dist-stilts study run`; `dist-stilts study status` says how far it is",
        )
    return records, [*unread, *map(str, damaged)]


def distances_of(recipe: Recipe, languages: Sequence[str]) -> Distances:
    """Distances from English: the user's table, the simulated world's, or URIEL+."""
    if recipe.study.distances:
        return from_table(Path(recipe.study.distances))
    root = data_root(recipe)
    if root and world_file(root).is_file():
        return from_world(world_file(root))
    return uriel(languages)


def covariates_of(recipe: Recipe, scores: pd.DataFrame) -> pd.DataFrame:
    """What else may explain a language's gains, measured on the texts that the study scores.

    Where a report is made far from the encoder or the data, what is known without them.
    """
    targets: dict[str, EvalTask] = {}
    for phase in recipe.phases.values():
        targets |= {name: wanted for name, wanted in phase.evaluate.items() if name not in targets}
    languages = sorted(set(scores["language"]) - {ENGLISH})
    try:
        return covariates(recipe_tokenizer(recipe), data_root(recipe), targets, languages)
    except UserError as error:
        say(f"fertility, overlap and script are left out: {error}")
        return pretraining(languages).to_frame("pretraining")


def _row(run: Run, standing: Standing, recipe: Recipe, scores: pd.DataFrame, page: Path) -> dict[str, Any]:
    """A run as the page lists it."""
    own = scores[scores["run"] == run.name]
    means = own.groupby("target")["value"].mean()
    lineage = [ancestor for ancestor in run.lineage() if ancestor.role == "intermediate"]
    folder = folder_of(recipe).run(run.name).path
    state = "degenerate" if standing.state == DONE and standing.degenerate else standing.state
    return {
        "name": run.name,
        "state": state,
        "intermediate": lineage[-1].phase if lineage else "",
        "size": int(own["size"].iloc[0]) if len(own) else lineage[-1].size if lineage else 0,
        "seed": run.seed,
        "subset_seed": lineage[-1].subset_seed if lineage else None,
        "scores": ", ".join(f"{target} {mean:.1f}" for target, mean in means.items()),
        "reason": standing.reason or standing.degenerate or "",
        "folder": os.path.relpath(folder, page.parent),
    }


def _curve_table(found: Sequence[Curve]) -> pd.DataFrame:
    """One row per curve: what the page says of it, with every interval's ends."""
    import pandas as pd

    rows = []
    for curve in found:
        row = {name: getattr(curve, name) for name in ("intermediate", "target", "metric", "language", "count")}
        row |= {"is_mean": curve.is_mean, "left_out": curve.left_out, "intervals_over": curve.intervals_over}
        row |= {"shape": curve.shape, "shape_note": curve.shape_note, "form": curve.chosen.form if curve.chosen else ""}
        for fit in curve.fits:
            row |= {f"{fit.form} AICc": fit.aicc, f"{fit.form} held-out error": fit.held_out_error}
        row |= {f"mean at {size}": mean for size, mean in zip(curve.sizes, curve.means, strict=True)}
        estimates: dict[str, Estimate] = {"total gain": curve.total_gain, "half gain": curve.half_gain}
        estimates |= {"enough": curve.enough}
        estimates |= {f"doubling at {size}": estimate for size, estimate in curve.per_doubling.items()}
        for name, estimate in estimates.items():
            row |= {name: estimate.value, f"{name} low": estimate.low, f"{name} high": estimate.high}
            row |= {f"{name} note": estimate.note}
        row["enough reached"] = curve.enough.reached
        rows.append(row)
    return pd.DataFrame(rows)


def _table(found: Sequence[Effect]) -> pd.DataFrame:
    import pandas as pd

    rows = [asdict(effect) for effect in found]
    for row, effect in zip(rows, found, strict=True):
        row["unadjusted"] = " ".join(name for part in effect.unadjusted for name in part.covariates)
    return pd.DataFrame(rows)
