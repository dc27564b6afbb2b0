from __future__ import annotations

import gzip
import sys
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from task_files import refusal, write
from task_files import tatoeba as tatoeba_files

from dist_stilts.errors import UserError
from dist_stilts.tasks.languages import in_order
from dist_stilts.tasks.registry import get_task
from dist_stilts.tasks.sources import (
    Split,
    available_languages,
    check_language,
    file_digests,
    in_slice,
    known_languages,
    load_bitext,
    load_rows,
    parse_split,
)

Hub = Callable[[Any], list[Any]]
XNLI = get_task("xnli")
LABELS = ("neutral", "contradiction", "entailment")


def test_english_comes_first_then_distance_then_name() -> None:
    codes = ["tr", "de", "en", "xx", "ar", "de"]
    assert in_order(codes) == ["en", "ar", "de", "tr", "xx"]
    assert in_order(codes, {"de": 0.1, "tr": 0.3, "ar": 0.2}) == ["en", "de", "ar", "tr", "xx"]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """XNLI dev in en, de and a simulated language (120 premises each), one Tatoeba pair, a world file."""
    write(tmp_path / "tatoeba", tatoeba_files("a\n", "a\n"))
    for language in ("en", "de", "qaa"):
        lines = [f"{language} {row // 3}\t{row}\t{LABELS[row % 3]}\n" for row in range(360)]
        write(tmp_path, {f"xnli/dev-{language}.tsv.gz": gzip.compress("".join(lines).encode(), mtime=0)})
    return write(tmp_path, {"world.json": {"languages": {"en": {}, "qaa": {"distance": 0.1}}}})


def test_slices_are_written_as_datasets_writes_them_and_anything_else_is_refused() -> None:
    right = {
        "dev": (0, 100),
        "dev[:]": (0, 100),
        "dev[:60%]": (0, 60),
        "dev[60%:]": (60, 100),
        "dev[50%:60%]": (50, 60),
    }
    assert {text: parse_split(text) for text in right} == {text: Split("dev", *cut) for text, cut in right.items()}
    wrong = ("", "dev[", "dev[:100]", "dev[-5%:]", "dev[60%:60%]", "dev[:0%]", "dev[:101%]", "dev[:60%]x")
    for text in wrong:
        with pytest.raises(UserError, match=r"bad split .*Write dev, dev\[:60%\]"):
            parse_split(text)


@given(st.text(), st.text(), st.lists(st.integers(1, 99), unique=True))
def test_slices_that_meet_partition_the_groups_and_a_larger_one_holds_the_smaller(
    task: str, group: str, cuts: list[int]
) -> None:
    edges = [0, *sorted(cuts), 100]
    parts = [Split("dev", lo, hi) for lo, hi in pairwise(edges)]
    assert sum(in_slice(task, group, part) for part in parts) == 1
    below = [in_slice(task, group, Split("dev", 0, hi)) for hi in edges[1:]]
    assert below == sorted(below)


def test_a_slice_holds_about_its_share_depends_on_the_task_and_never_changes_between_versions() -> None:
    def kept(task: str, part: int = 60) -> list[int]:
        return [number for number in range(10_000) if in_slice(task, f"dev-{number}", Split("dev", 0, part))]

    assert len(kept("xnli")) == pytest.approx(6_000, abs=200)
    assert kept("xnli") != kept("pawsx")
    assert kept("xnli", 50)[:8] == [0, 5, 7, 9, 12, 13, 16, 17]


def test_a_group_falls_on_the_same_side_in_every_language(root: Path) -> None:
    below = {lang: {row.group for row in load_rows(XNLI, root, "dev[:60%]", lang)} for lang in ("en", "de", "qaa")}
    above = {lang: {row.group for row in load_rows(XNLI, root, "dev[60%:]", lang)} for lang in below}
    assert below["en"] == below["de"] == below["qaa"]
    assert above["en"] == above["de"] == above["qaa"]
    assert not below["en"] & above["en"]
    assert len(below["en"] | above["en"]) == 120


def test_simulated_languages_are_known_where_a_world_declares_them_in_a_file_that_can_be_read(root: Path) -> None:
    assert known_languages(XNLI, root) == (*XNLI.languages, "qaa")
    assert known_languages(XNLI, None) == XNLI.languages
    assert known_languages(get_task("mnli"), root) == ("en",)
    assert known_languages(get_task("bucc2018"), root) == ("de", "fr", "ru", "zh", "qaa")
    (root / "world.json").write_text('{"languages": [{"code": "qab"}]}')
    assert known_languages(XNLI, root) == (*XNLI.languages, "qab")
    for text in ("", "[]", "{}", '{"languages": 3}', '{"languages": [{}]}', '{"languages": [["en"]]}'):
        (root / "world.json").write_text(text)
        with pytest.raises(UserError, match=r"world\.json"):
            known_languages(XNLI, root)


def test_available_languages_are_those_on_disk_english_first(root: Path) -> None:
    assert available_languages(XNLI, root, "dev") == ["en", "de", "qaa"]
    assert available_languages(XNLI, root, "test") == []
    assert available_languages(get_task("tatoeba"), root, "test") == ["de"]


def test_what_there_is_not_is_refused_with_what_there_is(root: Path) -> None:
    tatoeba = get_task("tatoeba")
    assert load_bitext(tatoeba, root, "test", "de").gold == (("0", "0"),)
    for read, arguments, said in (
        (check_language, (XNLI, root, "qa"), "xnli has no language 'qa'. did you mean 'qaa'"),
        (load_rows, (XNLI, root, "tests", "en"), "xnli has no split 'tests'. did you mean 'test'"),
        (load_bitext, (tatoeba, root, "test", "en"), "tatoeba has no language 'en'"),
        (load_rows, (XNLI, root, "dev", "sw"), f"expected {root}/xnli/dev-sw.tsv (or compressed, or in an archive)"),
        (load_rows, (XNLI, root, "dev", "sw"), "data.root=DIR; languages on disk: en, de, qaa"),
        (load_bitext, (tatoeba, root, "test[:50%]", "de"), "cannot be sliced"),
        (load_rows, (tatoeba, root, "test", "de"), "retrieval task"),
        (load_bitext, (XNLI, root, "dev", "en"), "not a retrieval task"),
        (load_bitext, (tatoeba, None, "test", "de"), "local files only. Set data.root=DIR"),
        (load_rows, (get_task("ccg"), None, "dev", "en"), "ccg is read from local files only"),
    ):
        assert said in refusal(read, *arguments)


def test_a_folder_may_have_another_name_but_not_be_empty_of_examples(tmp_path: Path) -> None:
    record = {"gold_label": "neutral", "sentence1": "P", "sentence2": "H"}
    write(tmp_path, {"mnli/multinli_1.0_dev_matched.jsonl": [record], "mlm/en.txt": "\n\n"})
    assert len(load_rows(get_task("mnli"), tmp_path, "dev", "en")) == 1
    assert "mlm train for 'en' holds no example" in refusal(load_rows, get_task("mlm"), tmp_path, "train", "en")


def test_digests_name_every_file_the_rows_come_from(root: Path) -> None:
    digests = file_digests(get_task("tatoeba"), root, "test", "de")
    assert sorted(digests) == ["tatoeba/tatoeba.deu-eng.deu", "tatoeba/tatoeba.deu-eng.eng"]
    assert len(set(digests.values())) == 1
    assert list(file_digests(XNLI, root, "dev[:60%]", "en")) == ["xnli/dev-en.tsv.gz"]
    assert file_digests(XNLI, None, "dev", "de") == {"facebook/xnli/de/dev": XNLI.hub and XNLI.hub.revision}


def test_hub_is_asked_by_repository_configuration_and_revision(hub: Hub) -> None:
    asked = hub([{"premise": "P", "hypothesis": str(row), "label": 0} for row in range(6)])
    rows = load_rows(XNLI, None, "dev", "de")
    assert asked == [(("facebook/xnli", "de"), {"split": "validation", "revision": XNLI.hub and XNLI.hub.revision})]
    assert [row.group for row in rows] == ["dev-0"] * 3 + ["dev-1"] * 3


@pytest.mark.parametrize("error", [ConnectionError("no route\nto host"), FileNotFoundError("gone"), KeyError("label")])
def test_hub_out_of_reach_or_datasets_not_installed_is_one_line_with_a_way_out(
    hub: Hub, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    hub(error)
    said = refusal(load_rows, XNLI, None, "dev", "de")
    assert "Hub repository facebook/xnli" in said
    assert "Set data.root=DIR" in said
    monkeypatch.setitem(sys.modules, "datasets", None)
    said = refusal(load_rows, get_task("mnli"), None, "train", "en")
    assert said.startswith("cannot load mnli train for 'en' from the Hub repository nyu-mll/multi_nli")
    assert "Set data.root=DIR" in said
