"""The whole way from records to the page, on made-up records of a study whose runs were never trained."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from html import unescape
from pathlib import Path
from random import Random

import pandas as pd
import pytest
import results_made

from dist_stilts.errors import UserError
from dist_stilts.experiment.plan import Run, folder_of
from dist_stilts.experiment.run_config import Recipe
from dist_stilts.experiment.status import RunStatus, State, evaluation_id, write_status
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
            scored = evaluation_id(run, recipe.evaluation)
            write_status(folder, RunStatus(State.DONE, run_id=run.id, evaluated=scored, seconds=5.0))
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


def text_of(page: Path) -> str:
    words = re.sub(r"<(style|script|svg).*?</\1>|<[^>]+>", " ", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    return " ".join(unescape(words).split())


def test_a_study_becomes_a_verdict_a_page_and_tables_of_what_is_done(recipe_of: Recipes, tmp_path: Path) -> None:
    table = tmp_path / "distances.csv"
    rows = [f"{language},0.{number}" for number, language in enumerate(LANGUAGES[1:-1], start=1)]
    table.write_text("\n".join(["language,mine", *rows, ""]), encoding="utf-8")
    recipe = recipe_of(sizes=[0, 100, 300, 1000, 3000], seeds=[0, 1, 2], distances=str(table))
    missing, degenerate = "xnli-n200@mnli-n300-s1", "xnli-n200@mnli-n100-s2"
    finish(recipe, skip=(missing, "mnli-n300-s1"), degenerate=(degenerate,))
    said, files = write_report(recipe, "dist-stilts study report s")
    assert all(file.is_file() for file in files)
    text, folder = text_of(files[0]), StudyFolder(folder_of(recipe).path)
    assert [part for part in (said.headline, "dist-stilts study report s", missing) if part not in text] == []
    assert "9 scores of 1 run are degenerate" in " ".join(said.sentences)
    curves = pd.read_csv(folder.table("curves")).set_index("language")
    assert set(curves.index) == {*LANGUAGES, "mean xx"}
    assert curves.index[curves["is_mean"]].tolist() == ["mean xx"]
    assert curves.loc["de", "total gain low"] < 8 < curves.loc["de", "total gain high"]
    assert curves.loc["de", "mean at 100"] == pytest.approx(54, abs=1.5), "47 with the degenerate run"
    assert curves.loc["de", "left_out"] == 1
    reached = curves["enough reached"].dropna().astype(bool)
    assert reached.tolist() == curves.loc[reached.index, "enough"].notna().tolist() != []
    assert len(pd.read_csv(folder.table("scores"))) == (5 * 3 - 1) * len(LANGUAGES)
    effects = pd.read_csv(folder.table("effects")).set_index("outcome")
    assert set(effects["distance"]) == {"mine"}, "they take the place of URIEL's"
    assert effects.loc["total gain", "unadjusted"] == "pretraining", "with seven languages nothing is"
    assert "The mine distance is not known for zh" in text
    assert "mnli" in folder.deltas("md").read_text(encoding="utf-8")


def test_one_seed_makes_no_intervals_and_is_said(recipe_of: Recipes) -> None:
    recipe = recipe_of(sizes=[0, 100, 300, 1000])
    finish(recipe)
    said, (page, *_) = write_report(recipe, "x")
    folder = StudyFolder(folder_of(recipe).path)
    assert pd.read_csv(folder.table("curves"))["total gain low"].isna().all()
    assert {"syntactic", "genetic"} <= set(pd.read_csv(folder.table("effects"))["distance"])
    assert "one seed" in text_of(page).lower()
    assert "one seed" in " ".join(said.sentences)


def test_without_a_finished_run_of_this_recipe_there_is_one_clear_line(recipe_of: Recipes) -> None:
    recipe = recipe_of(sizes=[0, 100])
    with pytest.raises(UserError, match="no run of the study that scores anything is done"):
        write_report(recipe, "x")
    finish(recipe)
    recipe.phases["xnli"].train = {"steps": 3}  # what is in the folder is another recipe's
    with pytest.raises(UserError, match="no run of the study"):
        write_report(recipe, "x")


def test_a_damaged_run_is_named_on_the_page_and_below_the_changes_and_the_others_are_analysed(
    recipe_of: Recipes, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe = recipe_of(sizes=[0, 100, 300, 1000])
    finish(recipe)
    out, study = folder_of(recipe), StudyFolder(folder_of(recipe).path)
    results, status = out.run("xnli-n200@mnli-n100").results, out.run("xnli-n200@mnli-n300").status
    results.write_text("null\n" + results.read_text())
    status.write_text("{")
    write_report(recipe, "x")
    scores = pd.read_csv(study.table("scores"))
    assert set(scores["run"]) == {"xnli-n200@pretrain", "xnli-n200@mnli-n1000"}
    page, deltas, said = text_of(study.page), study.deltas("md").read_text(), capsys.readouterr().err
    for file in (f"{results}:1", f"{status}"):
        assert [where for where in (page, deltas, said) if f"left out: {file}: not " not in where] == []
    for run in study_runs(recipe):
        out.run(run.name).status.write_text("{")
    with pytest.raises(UserError, match=r"left out: .*status\.json"):
        write_report(recipe, "x")
