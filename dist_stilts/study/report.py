"""From the records of a study's runs to its page: the way of the data, from top to bottom.

    records + outcomes of test rows -> scores -> curves -> effects of distance -> verdict -> tables, figures, page

Everything is computed from what the runs have written, from however many of them are done.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dist_stilts.analysis.curves import curves
from dist_stilts.analysis.deltas import delta_tables
from dist_stilts.analysis.effects import effects
from dist_stilts.analysis.outcomes import load
from dist_stilts.analysis.scores import frame
from dist_stilts.analysis.typology import Distances, from_table, from_world, typology_notes, uriel
from dist_stilts.analysis.verdict import verdict
from dist_stilts.errors import UserError
from dist_stilts.experiment.phases import recipe_tokenizer
from dist_stilts.experiment.plan import Run, folder_of
from dist_stilts.experiment.run_config import Recipe
from dist_stilts.experiment.training_data import data_root
from dist_stilts.layout import StudyFolder, write_text
from dist_stilts.report import records as result_records
from dist_stilts.report.records import Record
from dist_stilts.study.covariates import covariates
from dist_stilts.study.design import study_runs
from dist_stilts.study.page import StudyContent, write_study_page
from dist_stilts.study.progress import DONE, Standing, look

if TYPE_CHECKING:
    import pandas as pd


def write_report(recipe: Recipe, command: str) -> tuple[str, list[Path]]:
    """Analyse what is done of a study, and write its page and tables.

    Returns:
        The verdict's headline, and the files, the page first.

    Raises:
        UserError: no run is done; distances that cannot be read.
    """
    runs = study_runs(recipe)
    standings = look(runs, recipe)
    records = finished_records(recipe, runs, standings)
