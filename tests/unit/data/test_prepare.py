from __future__ import annotations

import gc
import json
import shutil
import weakref
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dist_stilts.data import parallel_map
from dist_stilts.data import prepare as module
from dist_stilts.data.prepare import NotPrepared, Wanted, encode_texts, prepare, tokenizer_digest
from dist_stilts.errors import UserError
from dist_stilts.families.encoding import Encoding
from dist_stilts.families.features import Features, concatenated
from dist_stilts.families.kinds import family_of
from dist_stilts.model.encoder import load_tokenizer
from dist_stilts.tasks.registry import get_task
from dist_stilts.tasks.sources import load_rows

XNLI, UDPOS, CHOICE, MLM, SQUAD = (get_task(name) for name in ("xnli", "udpos", "commonsenseqa", "mlm", "squad_v1"))


def wanted(root: Path, **changes: Any) -> Wanted:
    return Wanted(**{"spec": XNLI, "root": root, "split": "dev", "language": "en", "max_length": 64, **changes})


def assert_equal(one: Features, other: Features) -> None:
    assert len(one) == len(other)
    for name in ("input_ids", "lengths", "labels"):
        for mine, theirs in zip(getattr(one, name), getattr(other, name), strict=True):
            assert mine.tolist() == theirs.tolist()
    for name in ("example", "first_word", "truncated"):
        assert (getattr(one, name) == getattr(other, name)).all()
    assert (one.ids, one.groups) == (other.ids, other.groups)


@pytest.mark.parametrize("spec", [XNLI, UDPOS, CHOICE, MLM, SQUAD], ids=lambda spec: spec.family)
def test_what_is_read_back_is_what_was_tokenised(spec: Any, world: Path, tokenizer: Any, tmp_path: Path) -> None:
    found = prepare(wanted(world, spec=spec, split="train", max_length=10), tokenizer, tmp_path)
    examples = load_rows(spec, world, "train", "en")
    rows = list(family_of(spec).encode(examples, tokenizer, Encoding(spec.labels, 10)))
    features = found.features
    for name in ("input_ids", "lengths", "second", "labels", "values", "offsets"):
        assert [list(part) for part in getattr(features, name)] == [list(row[name]) for row in rows]
    for name in ("example", "first_word", "truncated"):
        assert getattr(features, name).tolist() == [row[name] for row in rows]
    assert features.ids == [row["id"] for row in rows]
    assert features.groups == [row["group"] for row in rows]
    assert features.tokens.tolist() == [len(row["input_ids"]) for row in rows]
    counts = {"examples": len(examples), "rows": len(rows), "tokens": features.tokens.sum(), "quirks": {}}
    counts |= {"truncated_tokens": features.truncated.sum()}
    assert {name: asdict(found.meta)[name] for name in counts} == counts
    assert features.examples == len(examples)


@pytest.mark.parametrize("spec", [UDPOS, CHOICE], ids=lambda spec: spec.family)
def test_neither_chunks_nor_processes_leave_a_trace(
    spec: Any, world: Path, tokenizer: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = wanted(world, spec=spec, split="train", max_length=8)
    whole = prepare(job, tokenizer, tmp_path / "whole")
    assert whole.features.examples >= parallel_map.FEWEST_CHUNKS
    for chunk, cores in ((4, {0}), (1, {0, 1})):
        monkeypatch.setattr(module, "EXAMPLES_PER_CHUNK", chunk)
        monkeypatch.setattr(parallel_map.os, "sched_getaffinity", lambda _, cores=cores: cores)
        chunked = prepare(job, tokenizer, tmp_path / str(chunk))
        assert_equal(whole.features, chunked.features)
        for different in ("bytes", "seconds"):  # an Arrow file has a header per chunk
            chunked = replace(chunked, meta=replace(chunked.meta, **{different: getattr(whole.meta, different)}))
        assert whole.meta == chunked.meta


def test_numbers_of_words_and_of_rows_of_several_languages_run_on_without_a_gap(
    world: Path, tokenizer: Any, tmp_path: Path
) -> None:
    features = prepare(wanted(world, spec=UDPOS, max_length=6), tokenizer, tmp_path).features
    counts = np.array([(labels >= 0).sum() for labels in features.labels])
    assert len(features) > features.examples
    assert features.first_word.tolist() == (np.cumsum(counts) - counts).tolist()
    lines = (world / "udpos" / "dev-en.tsv").read_text(encoding="utf-8").splitlines()
    assert family_of(UDPOS).predictions(features) == counts.sum() == len([line for line in lines if line])
    parts = [prepare(wanted(world, language=lang), tokenizer, tmp_path).features for lang in ("en", "qaa", "qab")]
    joined = concatenated(parts)
    assert len(joined) == sum(map(len, parts))
    assert joined.example.tolist() == list(range(joined.examples))
    expected = [ids.tolist() for part in parts for ids in part.input_ids]
    assert [ids.tolist() for ids in joined.input_ids] == expected
    assert joined.tokens.tolist() == [len(ids) for ids in expected]


def test_what_is_prepared_is_not_prepared_again_and_the_same_data_elsewhere_are_the_same_data(
    world: Path, tokenizer: Any, tmp_path: Path
) -> None:
    (tmp_path / "copy" / "xnli").mkdir(parents=True)
    shutil.copy(world / "xnli" / "dev-en.tsv", tmp_path / "copy" / "xnli")
    first = prepare(wanted(world), tokenizer, tmp_path / "prepared")
    (written,) = (tmp_path / "prepared").glob("*/data.arrow")
    before = written.stat().st_mtime_ns
    for root in (world, tmp_path / "copy"):
        again = prepare(wanted(root), tokenizer, tmp_path / "prepared")
        assert_equal(first.features, again.features)
        assert (first.revision, first.meta) == (again.revision, again.meta)
    assert [path.stat().st_mtime_ns for path in (tmp_path / "prepared").glob("*/data.arrow")] == [before]


def test_whatever_changes_the_rows_changes_the_folder(
    world: Path, tokenizer: Any, bert_tokenizer: Any, tmp_path: Path
) -> None:
    changed = tmp_path / "changed" / "xnli"
    changed.mkdir(parents=True)
    text = (world / "xnli" / "dev-en.tsv").read_text(encoding="utf-8")
    (changed / "dev-en.tsv").write_text(text.replace("the", "a", 1), encoding="utf-8")
    jobs = [
        wanted(world),
        wanted(world, max_length=63),
        wanted(world, inputs="hypothesis"),
        wanted(world, split="dev[:60%]"),
        wanted(world, language="qaa"),
        wanted(tmp_path / "changed"),
    ]
    for job in jobs:
        prepare(job, tokenizer, tmp_path / "prepared")
    prepare(wanted(world), bert_tokenizer, tmp_path / "prepared")
    folders = [path.name for path in (tmp_path / "prepared").iterdir() if path.is_dir()]
    assert len(folders) == len(jobs) + 1
    assert all(name.startswith("xnli-dev") for name in folders)


def test_a_tokenizer_that_was_used_and_saved_is_the_same_and_one_that_nobody_uses_is_let_go(
    world: Path, tmp_path: Path
) -> None:
    tokenizer = load_tokenizer(str(world / "tokenizer"))
    before = tokenizer_digest(tokenizer)
    list(family_of(XNLI).encode(load_rows(XNLI, world, "dev", "en"), tokenizer, Encoding(XNLI.labels, 8)))
    tokenizer.save_pretrained(str(tmp_path))
    assert tokenizer_digest(load_tokenizer(str(tmp_path))) == before
    tokenizers = [load_tokenizer(str(world / "tokenizer")) for _ in range(3)]
    assert len({tokenizer_digest(tokenizer) for tokenizer in tokenizers}) == 1
    watched = [weakref.ref(tokenizer) for tokenizer in tokenizers]
    del tokenizers
    gc.collect()
    assert [watch() for watch in watched] == [None] * 3


def test_a_bad_row_is_named_and_leaves_no_folder(tokenizer: Any, tmp_path: Path) -> None:
    (tmp_path / "data" / "xnli").mkdir(parents=True)
    (tmp_path / "data" / "xnli" / "dev-en.tsv").write_text("a\tb\tneutral\na\tb\tperhaps\n")
    with pytest.raises(UserError, match=r"dev-en\.tsv:2: .*perhaps"):
        prepare(wanted(tmp_path / "data"), tokenizer, tmp_path / "prepared")
    assert list((tmp_path / "prepared").glob("[!.]*")) == []


@pytest.mark.parametrize("damage", ["nothing there", "no marker", "cut off"])
def test_where_nothing_may_be_built_what_is_not_whole_is_refused_by_name(
    damage: str, world: Path, tokenizer: Any, tmp_path: Path
) -> None:
    whole = prepare(wanted(world), tokenizer, tmp_path).features
    (folder,) = (path for path in tmp_path.iterdir() if path.is_dir())
    if damage == "nothing there":
        shutil.rmtree(folder)
    elif damage == "no marker":
        (folder / "COMPLETE").unlink()
    else:
        (folder / "data.arrow").write_bytes((folder / "data.arrow").read_bytes()[:-8])
    with pytest.raises(NotPrepared, match="xnli dev en is"):
        prepare(wanted(world), tokenizer, tmp_path, may_build=False)
    assert_equal(prepare(wanted(world), tokenizer, tmp_path).features, whole)  # one process mends it
    assert_equal(prepare(wanted(world), tokenizer, tmp_path, may_build=False).features, whole)


def test_quirks_of_the_files_are_counted(tokenizer: Any, tmp_path: Path) -> None:
    (tmp_path / "data" / "mnli").mkdir(parents=True)
    rows = [
        {"gold_label": label, "sentence1": "a", "sentence2": "b", "pairID": str(number)}
        for number, label in enumerate(["neutral", "-", "entailment", "-"])
    ]
    text = "\n".join(json.dumps(row) for row in rows)
    (tmp_path / "data" / "mnli" / "multinli_1.0_dev_matched.jsonl").write_text(text)
    found = prepare(wanted(tmp_path / "data", spec=get_task("mnli")), tokenizer, tmp_path / "prepared")
    assert found.meta.examples == 2
    assert list(found.meta.quirks.values()) == [2]


@pytest.mark.parametrize("spec", [XNLI, MLM], ids=["rows", "text"])
def test_progress_ends_at_the_number_of_examples_which_is_not_known_before_of_text_that_is_streamed(
    spec: Any, world: Path, tokenizer: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "EXAMPLES_PER_CHUNK", 4)
    told: list[tuple[int, int]] = []
    job = wanted(world, spec=spec, split="train" if spec is MLM else "dev")
    count = prepare(job, tokenizer, tmp_path, lambda _, done, total: told.append((done, total))).features.examples
    if spec is XNLI:
        assert [done for done, _ in told] == [min(done, count) for done in range(4, count + 4, 4)]
    assert {total for _, total in told[:-1]} == {0 if spec is MLM else count}
    assert told[-1] == (count, count)


def test_texts_are_encoded_as_a_line_of_the_file_would_be(tokenizer: Any) -> None:
    texts = ("the cat", "", "the cat", "a lamp")
    features = encode_texts(texts, tokenizer, 64)
    assert [ids.tolist() for ids in features.input_ids] == [tokenizer(text)["input_ids"] for text in texts]
    assert features.example.tolist() == [0, 1, 2, 3]
