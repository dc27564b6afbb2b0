from __future__ import annotations

import csv
import io
import json
from typing import Any

import pandas as pd
import pytest

from dist_stilts.analysis.deltas import DeltaTable, delta_tables, render
from dist_stilts.analysis.scores import TYPES
from dist_stilts.errors import UserError

Score = dict[str, Any]


def run(target: str, values: dict[str, float], name: str = "", size: int = 0, **fields: Any) -> list[Score]:
    """One run's scores by language, after the intermediate phase ``name``."""
    plain = {"intermediate": name, "tasks": name, "size": size, "seed": 0, "subset_seed": 0, "trained": True}
    rest = {"metric": "accuracy", "count": 100, "degenerate": False, "reason": "", "dev": float("nan"), "run": "a"}
    return [
        {**plain, **rest, "target": target, "language": language, "value": value, **fields}
        for language, value in values.items()
    ]


def frame(*runs: list[Score]) -> pd.DataFrame:
    return pd.DataFrame([score for each in runs for score in each], columns=list(TYPES)).astype(TYPES)


def tables(*runs: list[Score]) -> list[DeltaTable]:
    return delta_tables(frame(*runs))


@pytest.fixture(scope="module")
def whole() -> list[DeltaTable]:
    """Two intermediate phases, two seeds, three targets; one of them retrieval, one run degenerate."""
    runs = []
    for seed in range(2):
        gain = 2.0 + seed
        runs += [
            run("xnli", {"en": 80.0, "de": 60.0}, seed=seed, dev=70.0),
            run("udpos", {"en": 90.0, "de": 70.0}, seed=seed, dev=95.0, metric="f1"),
            run("xnli", {"en": 80 + gain, "de": 60 + 2 * gain}, "mnli", 300, seed=seed, dev=75.0),
            run("udpos", {"en": 90 - gain, "de": 70.0}, "mnli", 300, seed=seed, dev=94.0, metric="f1"),
            run("tatoeba", {"de": 40 + gain}, "mnli", 300, seed=seed),
        ]
    ill = run("xnli", {"en": 33.0, "de": 33.0}, "mnli-mlm", 300, tasks="mnli,mlm", degenerate=True, reason="one class")
    return tables(*runs, run("tatoeba", {"de": 50.0}, trained=False), ill)


def line(table: DeltaTable, start: str) -> list[str]:
    return next(list(line) for line in table.lines if line[0].startswith(start))


def test_a_table_reads_as_the_papers_do(whole: list[DeltaTable]) -> None:
    table = whole[0]
    averages = ["average", "average without retrieval"]
    assert table.header == ["intermediate phase", "xnli", "udpos", "tatoeba", *averages]
    plain = ["no intermediate", "70.0 ± 0.0", "80.0 ± 0.0", "50.0", "66.7 ± 0.0", "75.0 ± 0.0"]
    assert line(table, "no intermediate") == plain
    changes = line(table, "mnli n=300")
    assert [change.split(" ± ")[0] for change in changes[1:]] == ["+3.8", "−1.2", "−7.5", "−1.7", "+1.2"]
    assert [row[0] for row in table.lines][2] == "mnli-mlm n=300"
    assert line(table, "mnli-mlm")[1:] == ["-†", "-", "-", "-", "-"]
    best = line(table, "best per target, chosen on English dev")
    assert best[1].startswith("+3.8 ± ")
    assert best[1].endswith(" (mnli n=300)")
    assert best[2:4] == ["0.0 (no intermediate)", "-"]
    assert {len(line) for table in whole for line in table.lines} == {6}


def test_the_second_table_leaves_english_out(whole: list[DeltaTable]) -> None:
    assert [table.variant for table in whole] == ["all languages", "zero-shot"]
    assert line(whole[1], "no intermediate")[1:4] == ["60.0 ± 0.0", "70.0 ± 0.0", "50.0"]
    assert line(whole[1], "mnli n=300")[1].startswith("+5.0 ± ")
    assert "English left out" in whole[1].caption
    assert [table.variant for table in tables(run("xnli", {"de": 60.0}))] == ["all languages"]


def test_notes_say_what_the_numbers_do_not_stand_on(whole: list[DeltaTable]) -> None:
    notes = "\n".join(whole[0].notes)
    assert "† mnli-mlm n=300, degenerate and left out: xnli 1 of 1 runs; one class (en, de)" in notes
    assert "the same tasks in several forms: mnli, mnli-mlm (with MLM)" in notes
    assert "tatoeba: no English dev to choose on, and nothing is chosen on test scores" in notes
    assert "tatoeba: nothing was trained for the baseline" in notes
    assert "metrics: xnli accuracy, udpos f1, tatoeba accuracy" in notes
    assert "best per target, chosen on English dev: average over 2 of 3 targets" in notes
    ill = [run("xnli", {"de": 33.0}, "mnli", 300, seed=seed, degenerate=True, reason=f"run {seed}") for seed in (0, 1)]
    found = tables(run("xnli", {"de": 60.0}), *ill)[0]
    assert "† mnli n=300, degenerate and left out: xnli 2 of 2 runs; run 0 (de); and 1 more" in found.notes
    layers = [run(f"tatoeba layer {layer}", {"de": 50.0}, trained=False) for layer in (1, 2)]
    assert any("settings of one task (tatoeba)" in note for note in tables(*layers)[0].notes)


def test_the_caption_says_how_many_seeds_there_are(whole: list[DeltaTable]) -> None:
    assert whole[0].caption.endswith("± 95 % half width over 2 seeds (paired by seed)")
    single = [run("xnli", {"de": 60.0}), run("xnli", {"de": 61.0}, "mnli", 300)]
    alone = tables(*single)[0]
    assert alone.caption.endswith("one seed: no intervals")
    assert not any("±" in cell for row in alone.lines for cell in row)
    ill = tables(run("xnli", {"de": 33.0}, degenerate=True, reason="one class"))[0]
    assert ill.caption.endswith("mean over languages; no intervals")
    mixed = tables(*single, run("xnli", {"de": 62.0}, seed=1))[0]
    assert mixed.caption.endswith("over 2 seeds; no ± where there is one seed")
    apart = [run("xnli", {"de": 61.0 + seed}, "mnli", 300, seed=seed) for seed in (5, 6, 7)]
    three = tables(run("xnli", {"de": 60.0}), run("xnli", {"de": 62.0}, seed=1), *apart)[0]
    assert three.caption.endswith("over 2 to 3 seeds (Welch's where seeds differ)")


def test_fewer_languages_than_were_scored_are_named_once_for_all_rows() -> None:
    phases = [run("xnli", {"de": 61.0, "tr": 30.0}, name, 300) for name in ("mnli", "qqp")]
    found = tables(run("xnli", {"de": 60.0, "sw": 40.0}), *phases)[0]
    about = [note for note in found.notes if "languages" in note]
    said = "xnli, mnli n=300, qqp n=300: over the 1 of 3 languages that all runs compared have, without tr, sw"
    assert about == [said]


def test_phases_without_the_size_asked_for_are_named_and_a_change_that_rounds_to_nothing_has_no_sign() -> None:
    plain, qqp = run("xnli", {"de": 60.0}), run("xnli", {"de": 61.0}, "qqp", 30)
    found = delta_tables(frame(plain, run("xnli", {"de": 61.0}, "mnli", 300), qqp), size=30)[0]
    assert [row[0] for row in found.lines][1] == "qqp n=30"
    assert "no run of n=30: mnli" in found.notes
    found = tables(plain, run("xnli", {"de": 59.99}, "mnli", 300))[0]
    assert line(found, "mnli")[1] == "0.0"
    assert delta_tables(frame()) == []


def test_csv_and_json_have_every_number_of_the_table_and_the_scores_behind(whole: list[DeltaTable]) -> None:
    read = list(csv.DictReader(io.StringIO(render(whole, "csv"))))
    assert len(read) == sum(len(table.lines) * 5 for table in whole)
    change = next(row for row in read if (row["row"], row["target"]) == ("mnli n=300", "xnli"))
    assert float(change["value"]) == 3.75
    about = [change[name] for name in ("seeds", "test", "languages", "metric")]
    assert about == ["2", "paired t", "en de", "accuracy"]
    ill = next(row for row in read if (row["row"], row["target"]) == ("mnli-mlm n=300", "xnli"))
    assert (ill["value"], ill["degenerate"]) == ("", "1")
    read = json.loads(render(whole, "json"))
    cell = read[0]["rows"][1]["cells"]["xnli"]
    assert cell["after"] == {"0": 73.0, "1": 74.5}
    assert cell["before"] == {"0": 70.0, "1": 70.0}
    assert read[1]["variant"] == "zero-shot"


def test_markdown_and_latex_hold_caption_lines_and_notes_and_an_unknown_format_suggests_one(
    whole: list[DeltaTable],
) -> None:
    for format, minus in (("md", "−1.2 ±"), ("latex", r"$-$1.2 $\pm$")):
        text = render(whole[:1], format)
        assert minus in text
        assert "one class" in text
        assert "Change by an English intermediate phase" in text
    with pytest.raises(UserError, match="did you mean 'latex'"):
        render(whole, "latx")
