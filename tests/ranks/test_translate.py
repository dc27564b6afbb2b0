"""A translation is the same bytes at every number of ranks, also when it was begun with another number and killed."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dist_stilts.tasks.rows_json import row_to_json
from dist_stilts.tasks.spec import PairRow

pytestmark = pytest.mark.timeout(400)
RunRanks = Callable[..., list[Any]]
ROWS = [
    PairRow(f"r{n}", f"g{n // 3}", f"premise {'very ' * n}long.", f"claim {'so ' * (n % 4)}", "y") for n in range(9)
]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data root with nine English rows."""
    folder = tmp_path_factory.mktemp("translations")
    (folder / "made-up").mkdir()
    (folder / "made-up" / "train.jsonl").write_text("".join(json.dumps(row_to_json(row)) + "\n" for row in ROWS))
    return folder


def files(out: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in out.glob("made-up/translated/*.jsonl")}


def lines(out: Path, name: str) -> list[str]:
    return [line for path in sorted(out.glob(f"{name}-*")) for line in path.read_text(encoding="utf-8").splitlines()]


@pytest.fixture(scope="module")
def translated(root: Path, run_ranks: RunRanks, tiny_translator: Path) -> dict[int, Path]:
    """Number of ranks to folder."""
    outs = {ranks: root / f"out-{ranks}" for ranks in (1, 2, 3)}
    for ranks, out in outs.items():
        out.mkdir()
        run_ranks("worker_translate.py", ranks, out, str(tiny_translator), "-1")
    return outs


def test_the_file_is_the_same_at_every_number_of_ranks(translated: dict[int, Path]) -> None:
    alone = files(translated[1])
    assert sorted(alone) == ["train-de.jsonl", "train-fr.jsonl"]
    assert alone["train-de.jsonl"] != alone["train-fr.jsonl"]
    assert files(translated[2]) == files(translated[3]) == alone


def test_every_batch_is_translated_once_and_every_rank_has_its_share(translated: dict[int, Path]) -> None:
    batches = len(lines(translated[1], "batches"))
    for ranks, out in translated.items():
        each = [len(path.read_text().splitlines()) for path in out.glob("batches-*")]
        assert len(each) == ranks
        assert sum(each) == batches
        assert max(each) - min(each) <= 2  # one per language


def test_every_rank_says_the_same(translated: dict[int, Path]) -> None:
    for ranks, out in translated.items():
        said = [(out / f"said-{rank}").read_text(encoding="utf-8") for rank in range(ranks)]
        assert len(set(said)) == 1
        assert said[0].count("True ") == 2


def test_no_thread_of_the_process_group_outlives_it(translated: dict[int, Path]) -> None:
    """One that did would sometimes abort a process that has done its work."""
    assert lines(translated[3], "threads")
    assert not [name for name in lines(translated[3], "threads") if "gloo" in name]


def test_what_two_ranks_began_three_ranks_end(
    translated: dict[int, Path], root: Path, run_ranks: RunRanks, tiny_translator: Path
) -> None:
    out = root / "killed"
    out.mkdir()
    ended = run_ranks("worker_translate.py", 2, out, str(tiny_translator), "3", check=False)
    assert all(rank.code for rank in ended)
    done = len(lines(out, "batches"))
    assert 0 < done < len(lines(translated[1], "batches"))
    assert files(out) == {}
    run_ranks("worker_translate.py", 3, out, str(tiny_translator), "-1")
    assert files(out) == files(translated[1])
    assert len(lines(out, "batches")) == len(lines(translated[1], "batches"))
    before = files(out)
    run_ranks("worker_translate.py", 2, out, str(tiny_translator), "0")
    assert files(out) == before
    assert set(lines(out, "said")[:2]) == {f"False nothing to do: {path} is there" for path in rows_of(out)}


def rows_of(out: Path) -> list[Path]:
    return sorted(out.glob("made-up/translated/*.jsonl"))
