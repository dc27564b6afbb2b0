"""Data sets of the Hub that a user names: as files would hold them, at one commit."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest
from task_files import refusal, write

from dist_stilts.tasks.read_own import OwnTask, own_spec
from dist_stilts.tasks.registry import register
from dist_stilts.tasks.sources import (
    available_languages,
    check_source,
    data_revision,
    file_digests,
    load_rows,
    stream_rows,
    task,
)
from dist_stilts.tasks.spec import PairRow, TaggedRow

Hub = Callable[[Any], list[Any]]
TABLE = {"hub": "owner/topics", "config": {"en": "eng_Latn", "de": "deu_Latn"}, "revision": "abc"}


class Rows(list[dict[str, Any]]):
    """Rows with the features that ``datasets`` gives columns of classes."""

    features: ClassVar = {
        "category": SimpleNamespace(int2str=["economy", "sports"].__getitem__),
        "tags": SimpleNamespace(feature=SimpleNamespace(int2str=["O", "B-PER"].__getitem__)),
        "text": SimpleNamespace(dtype="string"),
    }


def topics(name: str = "topics", **files: Any) -> OwnTask:
    return OwnTask("sequence", {"train": TABLE, **files}, {"text_a": "text", "label": "category"})


def test_classes_have_their_names_and_withheld_ones_none(hub: Hub) -> None:
    asked = hub(Rows([{"text": "a", "category": 1}, {"text": "b", "category": 0}]))
    spec = own_spec("topics", topics(test={**TABLE, "split": "test[:50%]"}))
    rows = load_rows(spec, None, "train", "de")
    assert rows == [
        PairRow("train-0", "train-0", "a", "", "sports"),
        PairRow("train-1", "train-1", "b", "", "economy"),
    ]
    assert asked == [(("owner/topics", "deu_Latn"), {"split": "train", "revision": "abc"})]
    hub(Rows([{"text": "a", "category": -1}]))
    assert load_rows(spec, None, "test", "en") == [PairRow("test-0", "test-0", "a", "", None)]
    assert "owner/topics/eng_Latn/train:1: no label" in refusal(load_rows, spec, None, "train", "en")
    hub(Rows([{"words": ["Jean"], "tags": [1]}]))
    tagging = own_spec("names", OwnTask("token", {"train": {"hub": "owner/names", "revision": "abc"}}))
    assert load_rows(tagging, None, "train", "en") == [TaggedRow("train-0", "train-0", ("Jean",), ("B-PER",))]


def test_a_data_set_is_there_with_a_data_root_or_without_one(hub: Hub, tmp_path: Path) -> None:
    hub(Rows([{"text": "a", "category": 1}]))
    write(tmp_path, {"t.en.csv": "text,category\na,sports\n"})
    spec = own_spec("topics", topics(test="t.{lang}.csv"))
    assert load_rows(spec, tmp_path, "train", "en")
    assert available_languages(spec, tmp_path, "train") == ["en", "de"]
    assert available_languages(spec, tmp_path, "test") == ["en"]
    assert file_digests(spec, tmp_path, "train", "de") == {"owner/topics/deu_Latn/train": "abc"}
    assert "data.root" in refusal(lambda: check_source(spec, None)), "its test file is below one"
    listed = topics()
    listed.languages = ["en", "de", "fr"]
    said = refusal(load_rows, own_spec("topics", listed), None, "train", "fr")
    assert "topics train has no config for 'fr' of owner/topics" in said
    assert "languages there: en, de" in said


def test_the_newest_commit_is_what_a_recipe_without_a_revision_reads(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from huggingface_hub import constants

    hub(Rows([{"text": "a", "category": 1}]))
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    write(tmp_path, {"datasets--owner--cached/refs/main": "0123abc\n"})
    known, unknown = (
        own_spec("topics", topics(train={"hub": f"owner/{name}"})) for name in ("cached", "neither-here-nor-there")
    )
    assert file_digests(known, None, "train", "en") == {"owner/cached/default/train": "0123abc"}
    assert "cannot ask the Hub for the newest revision" in refusal(data_revision, unknown, None, "train", "en")


def test_a_hub_out_of_reach_is_one_line(hub: Hub) -> None:
    hub(ConnectionError("no route\nto host"))
    said = refusal(load_rows, own_spec("topics", topics()), None, "train", "en")
    assert "cannot load topics train for 'en' from the Hub repository owner/topics (ConnectionError: no route)" in said


def test_whole_paths_need_no_data_root_and_labels_are_those_of_the_source_language(tmp_path: Path) -> None:
    write(tmp_path, {"t.csv": "text_a,label\na,x\nb,y\n", "test.en.csv": "text_a,label\na,z\nb,x\n"})
    own = OwnTask("sequence", {"train": str(tmp_path / "t.csv"), "test": str(tmp_path / "test.{lang}.csv")})
    own.languages = ["de", "en"]
    register(own_spec("from_german", own))
    spec = task("from_german", None)
    check_source(spec, None)
    assert (spec.source, spec.labels) == ("de", ("x", "y"))
    assert available_languages(spec, None, "train") == ["de"]
    quirks = Counter[str]()
    assert len(list(stream_rows(spec, None, "test", "en", quirks))) == 2
    assert quirks == {"label 'z', which no training row has": 1}
    said = refusal(load_rows, spec, None, "test", "de")
    assert f"expected {tmp_path}/test.de.csv" in said
    assert "data.root" not in said
    relative = own_spec("mine", OwnTask("mlm", {"train": "t.csv"}))
    assert "name them by their whole paths" in refusal(load_rows, relative, None, "train", "en")
