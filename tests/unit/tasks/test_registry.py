from __future__ import annotations

import re
from dataclasses import replace

import pytest

from dist_stilts.errors import UserError
from dist_stilts.tasks import registry
from dist_stilts.tasks.languages import XTREME_LANGUAGES
from dist_stilts.tasks.registry import INTERMEDIATE, all_tasks, get_task, index_by_name, register
from dist_stilts.tasks.spec import RETRIEVAL

XTREME_COUNTS = {"xnli": 15, "pawsx": 7, "udpos": 33, "panx": 40, "xquad": 11, "mlqa": 7, "tydiqa": 9}
XTREME_COUNTS |= {"bucc2018": 4, "tatoeba": 36}
"""Languages of each XTREME task (Hu et al. 2020, table 1 and its scorer); BUCC and Tatoeba against English."""


def test_every_task_has_the_languages_that_xtreme_uses() -> None:
    assert {name: len(get_task(name).languages) for name in XTREME_COUNTS} == XTREME_COUNTS
    for name in XTREME_COUNTS:
        assert set(get_task(name).languages) <= set(XTREME_LANGUAGES)
    assert all(len(set(spec.languages)) == len(spec.languages) for spec in all_tasks())
    assert set(XTREME_LANGUAGES) - set(get_task("tatoeba").languages) == {"en", "ms", "my", "yo"}
    assert all(spec.languages[0] == "en" for spec in all_tasks() if "en" in spec.languages)


def test_every_task_has_the_reader_of_its_family_and_a_provenance_and_those_of_one_head_are_of_one_kind() -> None:
    kinds: dict[str, set[tuple[object, ...]]] = {}
    for spec in all_tasks():
        assert [spec.read is not None, spec.read_bitext is not None, bool(spec.parts)].count(True) == 1
        assert (spec.read_bitext is not None) == (spec.family in RETRIEVAL)
        assert spec.licence
        assert spec.citation
        assert spec.layouts or spec.parts
        assert set(spec.sizes) <= set(spec.splits)
        assert spec.hub is None or set(spec.hub.splits) <= set(spec.splits)
        assert spec.hub is None or re.fullmatch("[0-9a-f]{40}", spec.hub.revision), "pinned to a commit"
        kinds.setdefault(spec.head or spec.name, set()).add((spec.family, spec.labels))
        for part in map(get_task, spec.parts):
            assert (part.family, part.labels, part.head) == (spec.family, spec.labels, spec.head)
            assert set(spec.splits) <= set(part.splits)
    assert all(len(found) == 1 for found in kinds.values())


def test_the_nine_intermediate_tasks_can_be_trained_on() -> None:
    assert len(INTERMEDIATE) == 9
    assert all("train" in get_task(name).splits and get_task(name).family not in RETRIEVAL for name in INTERMEDIATE)
    published = {"anli_plus": 1_104_934, "mnli": 392_702, "qqp": 363_846, "squad_v1": 87_599, "squad_v2": 130_319}
    assert {name: get_task(name).sizes["train"] for name in published} == published


def test_a_task_of_ones_own_joins_the_table_but_takes_no_name_from_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_BY_NAME", dict(registry._BY_NAME))
    own = replace(get_task("qqp"), name="my_pairs", aliases=())
    register(own)
    assert get_task("my_pairs") is own
    for taken in ("xnli", "csqa", "multi"):
        with pytest.raises(UserError, match="built-in"):
            register(replace(own, name=taken))
    with pytest.raises(ValueError, match="two tasks are called 'xnli'"):
        index_by_name([*all_tasks(), get_task("xnli")])


def test_an_alias_is_the_task_and_an_unknown_name_suggests_the_nearest_or_names_all_once() -> None:
    assert get_task("csqa") is get_task("commonsenseqa")
    for name, meant in (("xnlii", "xnli"), ("XNLI", "xnli"), ("wikian", "wikiann")):
        with pytest.raises(UserError, match=rf"unknown task '{name}'\. did you mean '{meant}'\?"):
            get_task(name)
    with pytest.raises(UserError, match=r"known: anli, anli_plus, bucc2018, ccg, .*, xquad$"):
        get_task("zzz")
