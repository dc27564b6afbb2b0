from __future__ import annotations

import csv
import io
import json
from typing import Any

import pandas as pd
import pytest

from dist_stilts.analysis.delta_rows import AVERAGE, WITHOUT_RETRIEVAL, Row, rows_of
from dist_stilts.analysis.deltas import DeltaTable, delta_tables, render
from dist_stilts.analysis.differences import difference, mean
from dist_stilts.analysis.scores import TYPES
from dist_stilts.errors import UserError

Score = dict[str, Any]


def run(values: dict[str, float], **fields: Any) -> list[Score]:
    """One run's scores by language; without an intermediate phase unless the test says so."""
    plain = {"intermediate": "", "tasks": "", "size": 0, "seed": 0, "subset_seed": 0, "trained": True, "reason": ""}
    rest = {"target": "xnli", "metric": "accuracy", "count": 100, "degenerate": False, "dev": float("nan")}
    fields.setdefault("run", f"{fields.get('target')}@{fields.get('intermediate')}-{fields.get('seed')}")
    return [{**plain, **rest, "language": language, "value": value, **fields} for language, value in values.items()]


def mnli(values: dict[str, float], **fields: Any) -> list[Score]:
    return run(values, **{"intermediate": "mnli", "tasks": "mnli", "size": 300, **fields})


def frame(*runs: list[Score]) -> pd.DataFrame:
    return pd.DataFrame([score for each in runs for score in each], columns=list(TYPES)).astype(TYPES)


def rows(*runs: list[Score], size: int | None = None) -> dict[str, Row]:
    return {row.label: row for row in rows_of(frame(*runs), size)}


def seeds(values: list[float], **fields: Any) -> list[Score]:
    """One run per value, in one language."""
    return [score for seed, value in enumerate(values) for score in run({"de": value}, seed=seed, **fields)]


MNLI = {"intermediate": "mnli", "tasks": "mnli", "size": 300}
BEST = "best per target, chosen on English dev"


def test_a_targets_score_is_the_mean_over_its_languages_and_a_change_over_those_that_both_have() -> None:
    found = rows(run({"en": 80, "de": 60, "sw": 40}), mnli({"en": 81, "de": 63, "sw": 42}))
    assert found["no intermediate"].cells["xnli"].value == 60.0
    assert found["mnli n=300"].cells["xnli"].value == pytest.approx(2.0)
    cell = rows(run({"en": 80, "de": 60}), mnli({"de": 63, "sw": 0}))["mnli n=300"].cells["xnli"]
    assert (cell.value, cell.languages, cell.missing) == (3.0, ("de",), ("sw", "en"))
    cell = rows(run({"en": 80}), mnli({"sw": 40}))["mnli n=300"].cells["xnli"]
    assert (cell.value, cell.half_width, cell.missing) == (None, None, ("sw", "en"))


def test_of_several_sizes_the_largest_is_shown_or_the_one_asked_for_if_there_is_one() -> None:
    scores = [run({"de": 60}), mnli({"de": 61}), mnli({"de": 69}, size=3000, run="more")]
    assert list(rows(*scores)) == ["no intermediate", "mnli n=3000", BEST]
    assert rows(*scores, size=300)["mnli n=300"].cells["xnli"].value == 1.0
    with pytest.raises(UserError, match="300, 3000"):
        rows(*scores, size=30)


def test_targets_stand_in_the_order_of_xtreme_and_others_after_them() -> None:
    names = ["own", "tatoeba layer 2", "tatoeba layer 10", "bucc2018", "tydiqa", "panx", "xnli"]
    found = rows(*(run({"de": 1}, target=name) for name in names))["no intermediate"]
    order = ["xnli", "panx", "tydiqa", "bucc2018", "tatoeba layer 2", "tatoeba layer 10", "own"]
    assert list(found.cells)[:-2] == order


def test_variants_stand_beside_their_plain_phase_and_several_tasks_at_once_come_last() -> None:
    phases = {"multi": "anli_plus,mnli", "mnli-translated": "mnli", "qqp": "qqp", "mnli-mlm": "mnli,mlm"}
    phases |= {"own": "own", "mnli": "mnli", "anli": "anli_plus"}
    found = rows(run({"de": 1}), *(mnli({"de": 1}, intermediate=name, tasks=of) for name, of in phases.items()))
    order = ["anli", "mnli", "mnli-translated", "mnli-mlm", "qqp", "own", "multi"]
    assert [row.intermediate for row in found.values()][1:-1] == order


def test_intervals_are_over_seeds() -> None:
    before, after = [60.0, 61.0, 59.0], [62.0, 64.0, 60.0]
    found = rows(seeds(before), seeds(after, **MNLI))
    expected = difference(dict(enumerate(after)), dict(enumerate(before)))
    assert found["no intermediate"].cells["xnli"].half_width == mean(dict(enumerate(before))).half_width
    cell = found["mnli n=300"].cells["xnli"]
    assert (cell.value, cell.half_width, cell.seeds) == (expected.value, expected.half_width, 3)


def test_choices_of_rows_are_averaged_within_a_seed() -> None:
    """The interval is over training seeds; six runs of two seeds are two observations."""
    scores = [
        mnli({"de": 60 + seed + 3 * choice}, seed=seed, subset_seed=choice, run=f"{seed}-{choice}")
        for seed in range(2)
        for choice in range(3)
    ]
    cell = rows(seeds([60.0, 60.0]), *scores)["mnli n=300"].cells["xnli"]
    assert (cell.after, cell.seeds, cell.value) == ({0: 63.0, 1: 64.0}, 2, 3.5)


def test_an_encoder_that_nothing_was_trained_on_does_not_vary() -> None:
    plain = run({"de": 50}, target="tatoeba", trained=False)
    found = rows(plain, seeds([40.0, 44.0], **MNLI, target="tatoeba"))
    cell = found["mnli n=300"].cells["tatoeba"]
    assert cell.fixed
    assert (cell.value, cell.half_width) == (-8.0, mean({0: 40.0, 1: 44.0}).half_width)
    assert found["no intermediate"].cells["tatoeba"].half_width is None


def test_a_degenerate_run_is_left_out_and_counted() -> None:
    bad = mnli({"en": 33, "de": 33}, degenerate=True, reason="one class", seed=1)
    found = rows(run({"en": 80, "de": 60}), mnli({"en": 82, "de": 62}), bad)
    cell = found["mnli n=300"].cells["xnli"]
    assert (cell.value, cell.seeds, cell.runs, cell.degenerate) == (2.0, 1, 2, 1)
    assert cell.reasons == ("one class (en, de)",)
    cell = rows(run({"de": 60}), bad)["mnli n=300"].cells["xnli"]
    assert (cell.value, cell.degenerate) == (None, 1), "with all runs degenerate nothing is said but that"


def test_a_language_that_is_degenerate_in_one_run_is_compared_in_none() -> None:
    """Else the mean of one seed would be over other languages than that of the next."""
    plain = {"en": 80.0, "de": 60.0, "sw": 50.0}
    bad = [{**score, "degenerate": score["language"] == "sw"} for score in mnli({**plain, "sw": 0.0}, seed=1)]
    found = rows(run(plain), run(plain, seed=1), mnli({"en": 81, "de": 61, "sw": 90}), bad)
    cell = found["mnli n=300"].cells["xnli"]
    assert (cell.languages, cell.missing, cell.degenerate) == (("en", "de"), ("sw",), 1)
    assert cell.after == {0: 71.0, 1: 70.0}
    assert cell.value == 0.5


def test_a_run_that_has_collapsed_in_most_languages_takes_none_from_the_others() -> None:
    bad = [{**score, "degenerate": score["language"] != "en"} for score in mnli({"en": 82, "de": 33, "sw": 33}, seed=1)]
    plain = {"en": 80.0, "de": 60.0, "sw": 50.0}
    cell = rows(run(plain), mnli({"en": 81, "de": 61, "sw": 51}), bad)["mnli n=300"].cells["xnli"]
    assert cell.value == pytest.approx(1.0)
    assert (cell.languages, cell.seeds, cell.degenerate) == (("en", "de", "sw"), 1, 1)


def test_averages_are_over_targets_with_and_without_retrieval_settings_of_one_task_count_as_one() -> None:
    before = [run({"de": 60}), run({"de": 50}, target="panx"), run({"de": 10}, target="tatoeba", trained=False)]
    after = [mnli({"de": 61}), mnli({"de": 53}, target="panx"), mnli({"de": 40}, target="tatoeba")]
    found = rows(*before, *after)
    assert found["no intermediate"].cells[AVERAGE].value == pytest.approx(40.0)
    assert found["mnli n=300"].cells[AVERAGE].value == pytest.approx((1 + 3 + 30) / 3)
    assert found["mnli n=300"].cells[WITHOUT_RETRIEVAL].value == pytest.approx(2.0)
    layers = [run({"de": 10.0 * layer}, target=f"tatoeba layer {layer}", trained=False) for layer in (1, 2, 3)]
    assert rows(run({"de": 60}), *layers)["no intermediate"].cells[AVERAGE].value == pytest.approx((60 + 20) / 2)


def test_the_interval_of_an_average_knows_which_seeds_its_targets_share() -> None:
    """Two targets that move together with the seed vary as one does; a fixed baseline adds nothing."""
    before, after = [60.0, 61.0, 59.0], [62.0, 65.0, 60.0]
    pair = [*seeds(before), *seeds(before, target="panx")]
    changed = [*seeds(after, **MNLI), *seeds(after, **MNLI, target="panx")]
    found = rows(pair, changed)["mnli n=300"]
    assert found.cells[AVERAGE].half_width == pytest.approx(found.cells["xnli"].half_width)
    fixed = run({"de": 50}, target="tatoeba", trained=False)
    mixed = rows(seeds(before), fixed, seeds(after, **MNLI), seeds(after, **MNLI, target="tatoeba"))["mnli n=300"]
    change = {seed: (after[seed] - before[seed] + after[seed] - 50) / 2 for seed in range(3)}
    assert (mixed.cells[AVERAGE].value, mixed.cells[AVERAGE].half_width) == pytest.approx(
        (mean(change).value, mean(change).half_width)
    )
    apart = [{**score, "seed": score["seed"] + 10} for score in seeds([50.0, 51.0], target="panx")]
    cell = rows(seeds([60.0, 61.0]), apart)["no intermediate"].cells[AVERAGE]
    assert (cell.value, cell.half_width) == (55.5, None)


def test_the_best_is_chosen_on_dev_never_on_test_and_may_be_the_baseline() -> None:
    plain = run({"de": 60}, dev=70.0)
    qqp = mnli({"de": 90}, intermediate="qqp", tasks="qqp", dev=71.0)
    found = rows(plain, mnli({"de": 65}, dev=72.0), qqp)
    assert (found[BEST].cells["xnli"].chosen, found[BEST].cells["xnli"].value) == ("mnli n=300", 5.0)
    cell = rows(plain, mnli({"de": 65}, dev=69.0))[BEST].cells["xnli"]
    assert (cell.chosen, cell.value, cell.half_width) == ("no intermediate", 0.0, None)
    lucky = mnli({"de": 33}, dev=99.0, seed=1, degenerate=True, reason="one class")
    assert rows(plain, mnli({"de": 65}, dev=69.0), lucky)[BEST].cells["xnli"].chosen == "no intermediate"
    many = [mnli({"de": 65}, dev=dev, seed=seed) for seed, dev in enumerate([90.0, 40.0])]
    assert rows(plain, *many)[BEST].cells["xnli"].chosen == "no intermediate"


def test_nothing_is_chosen_for_retrieval_without_dev_or_without_a_baseline() -> None:
    found = rows(run({"de": 60}, dev=70.0, target="tatoeba"), mnli({"de": 65}, dev=72.0, target="tatoeba"))
    assert found[BEST].cells["tatoeba"].value is None
    assert rows(run({"de": 60}), mnli({"de": 65}))[BEST].cells["xnli"].value is None
    found = rows(mnli({"de": 65}, dev=72.0))
    assert [found[label].cells["xnli"].value for label in found] == [None, None, None]
    assert list(rows(run({"de": 60}))) == ["no intermediate"]


def scored(target: str, values: dict[str, float], name: str = "", size: int = 0, **fields: Any) -> list[Score]:
    """One run's scores by language, after the intermediate phase ``name``."""
    return run(values, **{"run": "a", "target": target, "intermediate": name, "tasks": name, "size": size, **fields})


def tables(*runs: list[Score]) -> list[DeltaTable]:
    return delta_tables(frame(*runs))


@pytest.fixture(scope="module")
def whole() -> list[DeltaTable]:
    """Two intermediate phases, two seeds, three targets; one of them retrieval, one run degenerate."""
    runs = []
    for seed in range(2):
        gain = 2.0 + seed
        runs += [
            scored("xnli", {"en": 80.0, "de": 60.0}, seed=seed, dev=70.0),
            scored("udpos", {"en": 90.0, "de": 70.0}, seed=seed, dev=95.0, metric="f1"),
            scored("xnli", {"en": 80 + gain, "de": 60 + 2 * gain}, "mnli", 300, seed=seed, dev=75.0),
            scored("udpos", {"en": 90 - gain, "de": 70.0}, "mnli", 300, seed=seed, dev=94.0, metric="f1"),
            scored("tatoeba", {"de": 40 + gain}, "mnli", 300, seed=seed),
        ]
    ill = scored(
        "xnli", {"en": 33.0, "de": 33.0}, "mnli-mlm", 300, tasks="mnli,mlm", degenerate=True, reason="one class"
    )
    return tables(*runs, scored("tatoeba", {"de": 50.0}, trained=False), ill)


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
    assert [table.variant for table in tables(scored("xnli", {"de": 60.0}))] == ["all languages"]


def test_notes_say_what_the_numbers_do_not_stand_on(whole: list[DeltaTable]) -> None:
    notes = "\n".join(whole[0].notes)
    assert "† mnli-mlm n=300, degenerate and left out: xnli 1 of 1 runs; one class (en, de)" in notes
    assert "the same tasks in several forms: mnli, mnli-mlm (with MLM)" in notes
    assert "tatoeba: no English dev to choose on, and nothing is chosen on test scores" in notes
    assert "tatoeba: nothing was trained for the baseline" in notes
    assert "metrics: xnli accuracy, udpos f1, tatoeba accuracy" in notes
    assert "best per target, chosen on English dev: average over 2 of 3 targets" in notes
    ill = [
        scored("xnli", {"de": 33.0}, "mnli", 300, seed=seed, degenerate=True, reason=f"run {seed}") for seed in (0, 1)
    ]
    found = tables(scored("xnli", {"de": 60.0}), *ill)[0]
    assert "† mnli n=300, degenerate and left out: xnli 2 of 2 runs; run 0 (de); and 1 more" in found.notes
    layers = [scored(f"tatoeba layer {layer}", {"de": 50.0}, trained=False) for layer in (1, 2)]
    assert any("settings of one task (tatoeba)" in note for note in tables(*layers)[0].notes)


def test_the_caption_says_how_many_seeds_there_are(whole: list[DeltaTable]) -> None:
    assert whole[0].caption.endswith("± 95 % half width over 2 seeds (paired by seed)")
    single = [scored("xnli", {"de": 60.0}), scored("xnli", {"de": 61.0}, "mnli", 300)]
    alone = tables(*single)[0]
    assert alone.caption.endswith("one seed: no intervals")
    assert not any("±" in cell for row in alone.lines for cell in row)
    ill = tables(scored("xnli", {"de": 33.0}, degenerate=True, reason="one class"))[0]
    assert ill.caption.endswith("mean over languages; no intervals")
    mixed = tables(*single, scored("xnli", {"de": 62.0}, seed=1))[0]
    assert mixed.caption.endswith("over 2 seeds; no ± where there is one seed")
    apart = [scored("xnli", {"de": 61.0 + seed}, "mnli", 300, seed=seed) for seed in (5, 6, 7)]
    three = tables(scored("xnli", {"de": 60.0}), scored("xnli", {"de": 62.0}, seed=1), *apart)[0]
    assert three.caption.endswith("over 2 to 3 seeds (Welch's where seeds differ)")


def test_fewer_languages_than_were_scored_are_named_once_for_all_rows() -> None:
    phases = [scored("xnli", {"de": 61.0, "tr": 30.0}, name, 300) for name in ("mnli", "qqp")]
    found = tables(scored("xnli", {"de": 60.0, "sw": 40.0}), *phases)[0]
    about = [note for note in found.notes if "languages" in note]
    said = "xnli, mnli n=300, qqp n=300: over the 1 of 3 languages that all runs compared have, without tr, sw"
    assert about == [said]


def test_phases_without_the_size_asked_for_are_named_and_a_change_that_rounds_to_nothing_has_no_sign() -> None:
    plain, qqp = scored("xnli", {"de": 60.0}), scored("xnli", {"de": 61.0}, "qqp", 30)
    found = delta_tables(frame(plain, scored("xnli", {"de": 61.0}, "mnli", 300), qqp), size=30)[0]
    assert [row[0] for row in found.lines][1] == "qqp n=30"
    assert "no run of n=30: mnli" in found.notes
    found = tables(plain, scored("xnli", {"de": 59.99}, "mnli", 300))[0]
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
