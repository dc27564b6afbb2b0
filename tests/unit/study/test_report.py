"""The whole way from records to the page, on made-up records of a study whose runs were never trained."""

from __future__ import annotations

import math
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from random import Random

import pandas as pd
import pytest
import results_made

from dist_stilts.errors import UserError
from dist_stilts.experiment.plan import Run, folder_of
from dist_stilts.experiment.run_config import Recipe
from dist_stilts.experiment.status import evaluation_id, write_status
from dist_stilts.layout import StudyFolder
from dist_stilts.results.files import append
from dist_stilts.results.record import ResultRecord
from dist_stilts.study.design import study_runs
from dist_stilts.study.report import write_report

LANGUAGES = ("en", "de", "fr", "ru", "hi", "sw", "th", "tr", "zh")
ROWS = 400
Recipes = Callable[..., Recipe]


@pytest.fixture
def recipe_of(recipe_of: Recipes) -> Recipes:
    def recipe_of_(**study: object) -> Recipe:
        recipe = recipe_of(draws=60, permutations=60, **study)
        recipe.phases["mnli"].evaluate = {}
        return recipe

    return recipe_of_


def finish(recipe: Recipe, skip: tuple[str, ...] = (), degenerate: tuple[str, ...] = ()) -> None:
    """Write what the runs would have left behind: scores that rise with the size, more slowly from 300 rows on."""
    for run in study_runs(recipe):
        if run.name not in skip:
            folder = folder_of(recipe).run(run.name)
            done = {"run_id": run.id, "evaluated": evaluation_id(run, recipe.evaluation), "seconds": 5.0}
            write_status(folder, "done", **done)
            for language in LANGUAGES if run.evaluate else ():
                append(folder.results, [record(run, language, run.name in degenerate)])


def record(run: Run, language: str, degenerate: bool) -> ResultRecord:
    size = (run.parent.size if run.parent else 0) or 0
    noise = Random(f"{run.name} {language}").gauss(0, 0.4)
    value = 33.3 if degenerate else 50 + 4 * math.log2(1 + min(size, 300) / 100) + noise
    trained = run.parent is not None and run.parent.role == "intermediate"
    fields = {
        "collapsed": "at chance" if degenerate else None, "run": run.name, "run_id": run.id, "role": run.role,
        "train_tasks": ["xnli"], "train_size": 200, "seed": run.seed, "subset_seed": 0, "count": ROWS,
        "intermediate": "mnli" if trained else None, "intermediate_phase": "mnli" if trained else None,
        "intermediate_size": size if trained else 0, "dev": value, "versions": {"torch": "2"}, "model_id": run.name,
    }  # fmt: skip
    return results_made.record(language, value, **fields)


class Text(HTMLParser):
    """All text of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.parts: list[str] = []

    def handle_data(self, data: str) -> None:
        self.parts.append(data)


def text_of(page: Path) -> str:
    parser = Text()
    parser.feed(page.read_text(encoding="utf-8"))
    return " ".join(" ".join(parser.parts).split())


def test_a_finished_study_becomes_a_verdict_a_page_and_tables(recipe_of: Recipes) -> None:
    recipe = recipe_of(sizes=[0, 100, 300, 1000, 3000], seeds=[0, 1, 2])
    finish(recipe)
    said, files = write_report(recipe, "dist-stilts study report s")
    assert said.headline
    assert all(file.is_file() for file in files)
    text = text_of(files[0])
    assert said.headline in text
    assert "dist-stilts study report s" in text
    folder = StudyFolder(folder_of(recipe).path)
    curves = pd.read_csv(folder.table("curves")).set_index("language")
    assert set(curves.index) == {*LANGUAGES, "mean xx"}
    assert curves.loc["de", "total gain low"] < 8 < curves.loc["de", "total gain high"]
    assert len(pd.read_csv(folder.table("scores"))) == 5 * 3 * len(LANGUAGES)
    assert {"syntactic", "genetic"} <= set(pd.read_csv(folder.table("effects"))["distance"])
    assert "mnli" in folder.deltas("md").read_text(encoding="utf-8")


def test_half_a_study_is_reported_as_it_is(recipe_of: Recipes) -> None:
    recipe = recipe_of(sizes=[0, 100, 300], seeds=[0, 1])
    finish(recipe, skip=("xnli-n200@mnli-n300-s1", "mnli-n300-s1"))
    _, (page, *_) = write_report(recipe, "x")
    assert "xnli-n200@mnli-n300-s1" in text_of(page)


def test_a_degenerate_run_is_counted_and_in_no_mean(recipe_of: Recipes) -> None:
    recipe = recipe_of(sizes=[0, 100, 300, 1000], seeds=[0, 1, 2])
    finish(recipe, degenerate=("xnli-n200@mnli-n100-s2",))
    said, _ = write_report(recipe, "x")
    assert "degenerate" in " ".join(said.sentences)
    curves = pd.read_csv(StudyFolder(folder_of(recipe).path).table("curves")).set_index("language")
    assert curves.loc["de", "mean at 100"] == pytest.approx(54, abs=1.5)  # 47 with it
    assert curves.loc["de", "left_out"] == 1


def test_one_seed_makes_no_intervals_and_the_page_says_so(recipe_of: Recipes) -> None:
    recipe = recipe_of(sizes=[0, 100, 300, 1000])
    finish(recipe)
    said, (page, *_) = write_report(recipe, "x")
    curves = pd.read_csv(StudyFolder(folder_of(recipe).path).table("curves"))
    assert curves["total gain low"].isna().all()
    assert "one seed" in text_of(page).lower()
    assert "seed" in " ".join([said.headline, *said.sentences]).lower()


def test_without_a_finished_run_there_is_one_clear_line(recipe_of: Recipes) -> None:
    recipe = recipe_of(sizes=[0, 100])
    with pytest.raises(UserError, match="no run of the study that scores anything is done"):
        write_report(recipe, "x")


def test_runs_of_another_recipe_in_the_folder_are_not_the_studys(recipe_of: Recipes) -> None:
    recipe = recipe_of(sizes=[0, 100])
    finish(recipe)
    recipe.phases["xnli"].train = {"steps": 3}
    with pytest.raises(UserError, match="no run of the study"):
        write_report(recipe, "x")


def test_own_distances_take_the_place_of_uriels_and_missing_languages_are_named(
    recipe_of: Recipes, tmp_path: Path
) -> None:
    table = tmp_path / "distances.csv"
    rows = [f"{language},0.{number}" for number, language in enumerate(LANGUAGES[1:-1], start=1)]
    table.write_text("\n".join(["language,mine", *rows, ""]), encoding="utf-8")
    recipe = recipe_of(sizes=[0, 100, 300, 1000], seeds=[0, 1], distances=str(table))
    finish(recipe)
    _, (page, *_) = write_report(recipe, "x")
    effects = pd.read_csv(StudyFolder(folder_of(recipe).path).table("effects"))
    assert set(effects["distance"]) == {"mine"}
    assert "The mine distance is not known for zh" in text_of(page)
