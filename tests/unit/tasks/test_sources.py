from __future__ import annotations

import gzip
import json
import sys
import types
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dist_stilts.errors import UserError
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

XNLI = get_task("xnli")
LABELS = ("neutral", "contradiction", "entailment")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """XNLI dev in en, de and a simulated language (120 premises each), one Tatoeba pair, a world file."""
    for folder in ("xnli", "tatoeba"):
        (tmp_path / folder).mkdir()
    for language in ("en", "de", "qaa"):
        lines = [f"{language} {row // 3}\t{row}\t{LABELS[row % 3]}\n" for row in range(360)]
        (tmp_path / f"xnli/dev-{language}.tsv.gz").write_bytes(gzip.compress("".join(lines).encode(), mtime=0))
    for side in ("deu", "eng"):
        (tmp_path / f"tatoeba/tatoeba.deu-eng.{side}").write_text("a\n")
    (tmp_path / "world.json").write_text('{"languages": {"en": {}, "qaa": {"distance": 0.1}}}')
    return tmp_path


@pytest.mark.parametrize(
    ("text", "split"),
    [
        ("dev", Split("dev", 0, 100)),
        ("dev[:]", Split("dev", 0, 100)),
        ("dev[:60%]", Split("dev", 0, 60)),
        ("dev[60%:]", Split("dev", 60, 100)),
        ("train[50%:60%]", Split("train", 50, 60)),
    ],
)
def test_slices_are_written_as_datasets_writes_them(text: str, split: Split) -> None:
    assert parse_split(text) == split


@pytest.mark.parametrize(
    "text", ["", "dev[", "dev[:100]", "dev[-5%:]", "dev[60%:60%]", "dev[:0%]", "dev[:101%]", "dev[:60%]x"]
)
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(UserError, match=r"bad split .*Write dev, dev\[:60%\]"):
        parse_split(text)


@given(st.text(), st.text(), st.lists(st.integers(1, 99), unique=True))
def test_slices_that_meet_partition_the_groups(task: str, group: str, cuts: list[int]) -> None:
    edges = [0, *sorted(cuts), 100]
    parts = [Split("dev", lo, hi) for lo, hi in pairwise(edges)]
    assert sum(in_slice(task, group, part) for part in parts) == 1


@given(st.integers(1, 98), st.integers(0, 10**6))
def test_a_larger_slice_holds_the_smaller(hi: int, number: int) -> None:
    group = f"dev-{number}"
    assert in_slice("xnli", group, Split("dev", 0, hi)) <= in_slice("xnli", group, Split("dev", 0, hi + 1))


def test_a_slice_holds_about_its_share_and_depends_on_the_task() -> None:
    def kept(task: str) -> list[bool]:
        return [in_slice(task, f"dev-{number}", Split("dev", 0, 60)) for number in range(10_000)]

    assert sum(kept("xnli")) == pytest.approx(6_000, abs=200)
    assert kept("xnli") != kept("pawsx")


def test_membership_never_changes_between_versions() -> None:
    inside = [number for number in range(20) if in_slice("xnli", f"dev-{number}", Split("dev", 0, 50))]
    assert inside == [0, 5, 7, 9, 12, 13, 16, 17]


def test_a_group_falls_on_the_same_side_in_every_language(root: Path) -> None:
    below = {lang: {row.group for row in load_rows(XNLI, root, "dev[:60%]", lang)} for lang in ("en", "de", "qaa")}
    above = {lang: {row.group for row in load_rows(XNLI, root, "dev[60%:]", lang)} for lang in below}
    assert below["en"] == below["de"] == below["qaa"]
    assert above["en"] == above["de"] == above["qaa"]
    assert not below["en"] & above["en"]
    assert len(below["en"] | above["en"]) == 120


def test_simulated_languages_are_known_where_a_world_declares_them(root: Path, tmp_path: Path) -> None:
    assert known_languages(XNLI, root) == (*XNLI.languages, "qaa")
    assert known_languages(XNLI, None) == XNLI.languages
    assert known_languages(get_task("mnli"), root) == ("en",)
    assert known_languages(get_task("bucc2018"), root) == ("de", "fr", "ru", "zh", "qaa")
    (root / "world.json").write_text('{"languages": [{"code": "qab"}]}')
    assert known_languages(XNLI, root) == (*XNLI.languages, "qab")


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"languages": 3}', '{"languages": [{}]}', '{"languages": [["en"]]}'])
def test_bad_world_file_is_a_user_error(root: Path, text: str) -> None:
    (root / "world.json").write_text(text)
    with pytest.raises(UserError, match=r"world\.json"):
        known_languages(XNLI, root)


def test_available_languages_are_those_on_disk_english_first(root: Path) -> None:
    assert available_languages(XNLI, root, "dev") == ["en", "de", "qaa"]
    assert available_languages(XNLI, root, "test") == []
    assert available_languages(get_task("tatoeba"), root, "test") == ["de"]


def test_unknown_language_or_split_suggests_the_nearest(root: Path) -> None:
    with pytest.raises(UserError, match=r"xnli has no language 'qa'\. did you mean 'qaa'"):
        check_language(XNLI, root, "qa")
    with pytest.raises(UserError, match=r"xnli has no split 'tests'\. did you mean 'test'"):
        load_rows(XNLI, root, "tests", "en")
    with pytest.raises(UserError, match="tatoeba has no language 'en'"):
        load_bitext(get_task("tatoeba"), root, "test", "en")


def test_missing_file_says_what_was_expected_and_what_is_there(root: Path) -> None:
    with pytest.raises(UserError) as caught:
        load_rows(XNLI, root, "dev", "sw")
    assert f"expected {root / 'xnli' / 'dev-sw.tsv'} (or compressed, or in an archive)" in str(caught.value)
    assert "data.root=DIR; languages on disk: en, de, qaa" in str(caught.value)


def test_mnli_is_also_found_under_its_task_name(tmp_path: Path) -> None:
    (tmp_path / "mnli").mkdir()
    record = {"gold_label": "neutral", "sentence1": "P", "sentence2": "H"}
    (tmp_path / "mnli/multinli_1.0_dev_matched.jsonl").write_text(json.dumps(record))
    assert len(load_rows(get_task("mnli"), tmp_path, "dev", "en")) == 1


def test_split_or_slice_without_examples_is_refused(tmp_path: Path) -> None:
    (tmp_path / "mlm").mkdir()
    (tmp_path / "mlm/en.txt").write_text("\n\n")
    with pytest.raises(UserError, match="mlm train for 'en' holds no example"):
        load_rows(get_task("mlm"), tmp_path, "train", "en")


def test_bitext_is_neither_sliced_nor_a_training_set(root: Path) -> None:
    tatoeba = get_task("tatoeba")
    assert load_bitext(tatoeba, root, "test", "de").gold == (("0", "0"),)
    with pytest.raises(UserError, match="cannot be sliced"):
        load_bitext(tatoeba, root, "test[:50%]", "de")
    with pytest.raises(UserError, match="retrieval task"):
        load_rows(tatoeba, root, "test", "de")
    with pytest.raises(UserError, match="not a retrieval task"):
        load_bitext(XNLI, root, "dev", "en")
    with pytest.raises(UserError, match=r"local files only\. Set data\.root=DIR"):
        load_bitext(tatoeba, None, "test", "de")


def test_digests_name_every_file_the_rows_come_from(root: Path) -> None:
    digests = file_digests(get_task("tatoeba"), root, "test", "de")
    assert sorted(digests) == ["tatoeba/tatoeba.deu-eng.deu", "tatoeba/tatoeba.deu-eng.eng"]
    assert len(set(digests.values())) == 1
    assert list(file_digests(XNLI, root, "dev[:60%]", "en")) == ["xnli/dev-en.tsv.gz"]
    assert file_digests(XNLI, None, "dev", "de") == {"facebook/xnli/de/dev": XNLI.hub and XNLI.hub.revision}


def fake_hub(monkeypatch: pytest.MonkeyPatch, load_dataset: Any) -> None:
    module = types.ModuleType("datasets")
    module.load_dataset = load_dataset  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "datasets", module)


def test_hub_is_asked_by_repository_configuration_and_revision(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []

    def load_dataset(*args: Any, **kwargs: Any) -> list[dict[str, Any]]:
        asked.append((args, kwargs))
        return [{"premise": "P", "hypothesis": str(row), "label": 0} for row in range(6)]

    fake_hub(monkeypatch, load_dataset)
    rows = load_rows(XNLI, None, "dev", "de")
    assert asked == [(("facebook/xnli", "de"), {"split": "validation", "revision": XNLI.hub and XNLI.hub.revision})]
    assert [row.group for row in rows] == ["dev-0"] * 3 + ["dev-1"] * 3


@pytest.mark.parametrize("error", [ConnectionError("no route\nto host"), FileNotFoundError("gone"), KeyError("label")])
def test_hub_out_of_reach_is_one_line_with_a_way_out(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    def load_dataset(*_: Any, **__: Any) -> None:
        raise error

    fake_hub(monkeypatch, load_dataset)
    with pytest.raises(UserError) as caught:
        load_rows(XNLI, None, "dev", "de")
    assert "Hub repository facebook/xnli" in str(caught.value)
    assert "Set data.root=DIR" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_datasets_not_installed_is_the_same_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(UserError, match=r"cannot load mnli train .* nyu-mll/multi_nli .*Set data\.root=DIR"):
        load_rows(get_task("mnli"), None, "train", "en")


def test_task_without_a_repository_needs_local_files() -> None:
    with pytest.raises(UserError, match="ccg is read from local files only"):
        load_rows(get_task("ccg"), None, "dev", "en")
