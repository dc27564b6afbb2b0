from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from rot import flip_bit

from dist_stilts.errors import UserError
from dist_stilts.simulate import Language, write_world
from dist_stilts.simulate.world import MANIFEST
from dist_stilts.writing import COMPLETE

TINY = 0.01


def digests(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").splitlines()


def test_the_same_seed_gives_the_same_bytes_whatever_the_hash_seed_and_another_other_texts(
    tmp_path: Path, root: Path
) -> None:
    code = "import sys; from pathlib import Path; from dist_stilts.simulate import write_world\n"
    code += f"write_world(Path(sys.argv[1]), scale={TINY})"
    for hash_seed in ("1", "2"):
        environment = {**os.environ, "PYTHONHASHSEED": hash_seed}
        subprocess.run([sys.executable, "-c", code, str(tmp_path / hash_seed)], check=True, env=environment)
    assert digests(tmp_path / "1") == digests(tmp_path / "2")
    other = write_world(tmp_path / "other", seed=1, scale=TINY)
    assert lines(other / "mlm" / "en.txt") != lines(root / "mlm" / "en.txt")
    assert lines(other / "mlm" / "qaa.txt") != lines(root / "mlm" / "qaa.txt")


def test_a_second_call_touches_nothing_and_another_world_in_the_folder_is_refused(tmp_path: Path) -> None:
    out = write_world(tmp_path / "world", scale=TINY)
    before, said = digests(out), list[str]()
    assert write_world(out, scale=TINY, on_progress=said.append) == out
    assert said == []
    with pytest.raises(UserError, match="seed 0, not 1"):
        write_world(out, seed=1, scale=TINY)
    assert digests(out) == before
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("keep me", encoding="utf-8")
    with pytest.raises(UserError, match="no simulated world"):
        write_world(tmp_path / "mine", scale=TINY)
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["notes.txt"]


@pytest.mark.parametrize("harm", ["rotten", "cut short", "half made", "without manifest", "without files", "old"])
def test_a_world_that_is_not_what_was_made_is_made_again_and_what_was_there_is_kept(harm: str, tmp_path: Path) -> None:
    out = write_world(tmp_path / "world", scale=TINY)
    expected = digests(out)
    marker = out / COMPLETE
    if harm in ("rotten", "old"):
        flip_bit(out / "mlm" / "en.txt")
    if harm == "cut short":
        (out / MANIFEST).write_bytes((out / MANIFEST).read_bytes()[:-9])
    if harm in ("half made", "without manifest"):
        marker.unlink()
    if harm in ("without manifest", "without files"):
        (out / (MANIFEST if harm == "without manifest" else "xnli/dev-en.tsv")).unlink()
    if harm in ("without files", "old"):
        marker.write_text("")  # as older versions have it, even where two of them had made one world at once
    left = digests(out)
    write_world(out, scale=TINY, own=harm == "without manifest")
    if harm == "old":  # it is taken as it is
        assert digests(out).keys() == left.keys()
        assert {name for name, digest in digests(out).items() if digest != left[name]} == {COMPLETE}
        flip_bit(out / "mlm" / "en.txt")
        write_world(out, scale=TINY)
    assert digests(out) == expected
    kept = tmp_path / "world.damaged-1"
    assert (digests(kept).keys() == left.keys()) if harm == "old" else (digests(kept) == left)


def test_a_world_that_fails_half_way_is_absent(tmp_path: Path) -> None:
    def fail(message: str) -> None:
        if "tatoeba" in message:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_world(tmp_path / "world", scale=TINY, on_progress=fail)
    assert not (tmp_path / "world").exists()
    assert (write_world(tmp_path / "world", scale=TINY) / MANIFEST).is_file()


def test_the_manifest_declares_languages_and_rows(root: Path, tongues: dict[str, Language]) -> None:
    manifest = json.loads((root / MANIFEST).read_text(encoding="utf-8"))
    assert [entry["code"] for entry in manifest["languages"]] == list(tongues)
    assert all(entry["distance"] == tongues[entry["code"]].distance for entry in manifest["languages"])
    assert manifest["rows"]["tatoeba"] == len(lines(root / "tatoeba" / "tatoeba.qaa-eng.qaa"))
    assert (manifest["placebo"], manifest["seed"]) == (False, 0)


def test_the_placebo_says_english_sentences_with_other_words(tmp_path: Path) -> None:
    out = write_world(tmp_path / "placebo", placebo=True, scale=TINY)
    assert json.loads((out / MANIFEST).read_text(encoding="utf-8"))["placebo"] is True
    english = lines(out / "udpos" / "test-en.tsv")
    for code in ("qac", "qaj"):
        foreign = lines(out / "udpos" / f"test-{code}.tsv")
        assert [line.partition("\t")[2] for line in foreign] == [line.partition("\t")[2] for line in english]
        assert foreign != english


def test_xnli_is_parallel_balanced_and_three_rows_to_a_premise(root: Path, tongues: dict[str, Language]) -> None:
    for split in ("dev", "test"):
        gold = [line.split("\t")[2] for line in lines(root / "xnli" / f"{split}-en.tsv")]
        assert all(len(set(gold[i : i + 3])) == 3 for i in range(0, len(gold), 3))
        for code in tongues:
            rows = [line.split("\t") for line in lines(root / "xnli" / f"{split}-{code}.tsv")]
            assert [row[2] for row in rows] == gold
            assert all(len({row[0] for row in rows[i : i + 3]}) == 1 for i in range(0, len(rows), 3))
    assert lines(root / "labels" / "xnli" / "test-qaa.tsv") == gold


def test_no_premise_is_in_two_splits_and_no_pair_twice(root: Path) -> None:
    files = {}
    for name in ("train", "dev", "test"):
        files[name] = [tuple(line.split("\t")[:2]) for line in lines(root / "xnli" / f"{name}-en.tsv")]
    for name in ("train", "dev_matched"):
        records = map(json.loads, lines(root / "multinli_1.0" / f"multinli_1.0_{name}.jsonl"))
        files[f"mnli {name}"] = [(record["sentence1"], record["sentence2"]) for record in records]
    pairs = [pair for rows in files.values() for pair in rows]
    assert len(set(pairs)) == len(pairs)
    premises = [{premise for premise, _ in rows} for rows in files.values()]
    assert sum(map(len, premises)) == len(set().union(*premises)) == len(pairs) / 3


def test_tatoeba_is_aligned_and_unique_and_the_gold_of_bucc_names_rows_that_exist(
    root: Path, tongues: dict[str, Language]
) -> None:
    for code in list(tongues)[1:]:
        english = lines(root / "tatoeba" / f"tatoeba.{code}-eng.eng")
        foreign = lines(root / "tatoeba" / f"tatoeba.{code}-eng.{code}")
        assert len(set(english)) == len(english) == len(set(foreign)) == len(foreign)
        order = map(str, sorted(range(len(english)), key=lambda row: english[row]))
        assert lines(root / "labels" / "tatoeba" / f"test-{code}.tsv") == list(order)
        for split in ("dev", "test"):
            stem = root / "bucc2018" / f"{code}-en.{split}"
            ids = [{line.split("\t")[0] for line in lines(Path(f"{stem}.{side}"))} for side in (code, "en")]
            gold = [line.split("\t") for line in lines(Path(f"{stem}.gold"))]
            assert gold
            assert all(a in ids[0] and b in ids[1] for a, b in gold)
        assert lines(root / "labels" / "bucc2018" / f"test-{code}.tsv") == lines(Path(f"{stem}.gold"))


def test_tagged_files_are_parallel_and_only_english_has_training_files_for_labelled_tasks(
    root: Path, tongues: dict[str, Language]
) -> None:
    sentences = {lines(root / "udpos" / f"test-{code}.tsv").count("") for code in tongues}
    assert len(sentences) == 1
    for code in tongues:
        assert lines(root / "labels" / "udpos" / f"test-{code}.tsv") == lines(root / "udpos" / f"test-{code}.tsv")
        assert all(x.startswith(f"{code}:") for x in lines(root / "panx" / code / "test") if x)
    assert [path.name for path in (root / "udpos").glob("train-*")] == ["train-en.tsv"]
    assert [path.name for path in (root / "xnli").glob("train-*")] == ["train-en.tsv"]
    assert [path.parent.name for path in (root / "panx").glob("*/train")] == ["en"]
