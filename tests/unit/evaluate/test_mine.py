from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from models_made import export_model
from torch import nn

from dist_stilts.errors import UserError
from dist_stilts.evaluate.mine import (
    Known,
    Request,
    Sentences,
    choose_threshold,
    gold_pairs,
    mine_files,
    outcome,
    pair_lines,
)
from dist_stilts.evaluate.retrieval import RetrievalConfig
from dist_stilts.parallel.world import current
from dist_stilts.report.mining import summary_lines
from dist_stilts.scoring.duplicates import unique_texts
from dist_stilts.scoring.mining import Candidates
from dist_stilts.tasks.read_sides import Side


def side(texts: str, ids: str = "", blank: int = 0) -> Sentences:
    words = tuple(texts.split())
    numbers = tuple(str(n) for n, _ in enumerate(words, start=1))
    named = Side(Path("file"), tuple(ids.split()) or numbers, words, blank, bool(ids))
    return Sentences(named, unique_texts(words))


@pytest.fixture
def request_(tmp_path: Path) -> Request:
    return Request(tmp_path / "source", tmp_path / "target", str(tmp_path / "model"), tmp_path / "out" / "pairs.tsv")


FOUND = Candidates(np.array([1, 0, 2]), np.array([0, 1, 2]), np.array([1.2, 1.1, 0.9]))
KNOWN = Known(2, np.array([True, False, False]))


def test_a_given_threshold_goes_before_one_tuned_on_gold_before_the_margins_own(request_: Request) -> None:
    assert choose_threshold(replace(request_, threshold=1.5), FOUND, KNOWN) == (1.5, "given")
    tuned, origin = choose_threshold(request_, FOUND, KNOWN)
    assert 1.1 < tuned < 1.2
    assert "gold" in origin
    assert choose_threshold(request_, FOUND, None)[0] == 1.0
    assert choose_threshold(replace(request_, retrieval=RetrievalConfig(margin="distance")), FOUND, None)[0] == 0.0


@pytest.mark.parametrize(
    ("options", "changes", "said"),
    [
        ({"neighbours": 0}, {}, "'neighbours': 0"),
        ({"layer": "7,14"}, {}, "layer: 7,14 is several"),
        ({"margin": "absolute"}, {}, "Give --threshold"),
        ({}, {"threshold": math.nan}, "not a number"),
    ],
)
def test_a_request_that_makes_no_sense_is_refused(
    request_: Request, options: dict[str, Any], changes: dict[str, Any], said: str
) -> None:
    with pytest.raises(UserError, match=said):
        replace(request_, retrieval=RetrievalConfig(**options), **changes)
    for enough in ({"threshold": -math.inf}, {"gold": Path("gold")}):
        replace(request_, retrieval=RetrievalConfig(margin="absolute"), **enough)
    request_.source.write_text("a file, not a folder")
    with pytest.raises(UserError, match="source: cannot be made a folder"):
        replace(request_, out=request_.source / "pairs.tsv")


def test_gold_pairs_of_copies_are_one_pair_of_the_sentence_that_is_searched(tmp_path: Path) -> None:
    gold = tmp_path / "gold"
    gold.write_text("1\t2\n3\t2\n2\t1\n")
    assert gold_pairs(gold, side("a b a"), side("b a")).tolist() == [[0, 1], [1, 0]]


def test_what_is_said_of_gold_counts_the_pairs_that_are_no_candidates() -> None:
    facts = outcome(FOUND, 1.0, "given", KNOWN)
    assert (facts["pairs"], facts["gold"], facts["candidate_pairs"]) == (2, 2, 3)
    assert (facts["precision"], facts["recall"], facts["f1"]) == (0.5, 0.5, 0.5)
    assert facts["average_precision"] == 0.5
    assert outcome(FOUND, 1.0, "given", None)["gold"] is None
    json.dumps(outcome(FOUND, -math.inf, "given", None), allow_nan=False)


def test_pairs_are_written_as_they_first_stand_with_ids_where_the_files_have_them() -> None:
    source, target = side("x y x z", "s1 s2 s3 s4"), side("X X Y Z", "t1 t2 t3 t4")
    lines = ["1.200000\ts2\tt1\ty\tX\n", "1.100000\ts1\tt3\tx\tY\n", "0.900000\ts4\tt4\tz\tZ\n"]
    assert pair_lines(FOUND, 3, source, target) == "".join(lines)
    assert pair_lines(FOUND, 1, side("x y x z"), side("X X Y Z")) == "1.200000\ty\tX\n"
    assert pair_lines(FOUND, 0, source, target) == ""


@pytest.fixture
def files(request_: Request, tiny_encoder: Any, tokenizer: Any, world: Path) -> Request:
    """Six sentences, in the other file backwards, with an encoder of random weights."""
    nn.init.normal_(tiny_encoder.get_input_embeddings().weight)
    export_model(Path(request_.model), tiny_encoder, tokenizer)
    lines = (world / "tatoeba" / "tatoeba.qaa-eng.eng").read_text(encoding="utf-8").splitlines()[:6]
    request_.source.write_text("\n".join([*lines, "", lines[0]]) + "\n", encoding="utf-8")
    request_.target.write_text("\n".join(reversed(lines)) + "\n", encoding="utf-8")
    return request_


def pairs(request: Request) -> list[list[str]]:
    return [line.split("\t") for line in request.out.read_text(encoding="utf-8").splitlines()]


@pytest.mark.parametrize("centre", [False, True])
@pytest.mark.parametrize("margin", ["ratio", "distance", "csls", "absolute"])
def test_every_sentence_is_found_once_and_the_best_pair_stands_first(files: Request, margin: str, centre: bool) -> None:
    wanted = replace(files, retrieval=RetrievalConfig(margin=margin, neighbours=2, centre=centre), threshold=-math.inf)
    summary = mine_files(wanted, current())
    lines = files.target.read_text(encoding="utf-8").splitlines()
    assert sorted((s, t) for _, s, t in pairs(files)) == sorted((line, line) for line in lines)
    scores = [float(score) for score, _, _ in pairs(files)]
    assert scores == sorted(scores, reverse=True)
    assert max(scores) <= {"absolute": 1.0, "distance": 1.0, "csls": 2.0, "ratio": math.inf}[margin] + 1e-6
    source = {key: summary["source"][key] for key in ("lines", "blank", "repeated", "sentences")}
    assert source == {"lines": 8, "blank": 1, "repeated": 1, "sentences": 6}
    assert summary["pairs"] == 6


def test_the_summary_says_that_a_threshold_is_optimistic_if_it_was_tuned(files: Request, tmp_path: Path) -> None:
    gold = tmp_path / "gold"
    gold.write_text("1\t6\n2\t5\n8\t6\n")
    tuned = mine_files(replace(files, gold=gold), current())
    assert tuned["gold"] == 2  # line 8 is a copy of line 1
    assert any("optimistic" in line for line in summary_lines(tuned))
    given = mine_files(replace(files, gold=gold, threshold=1.0), current())
    assert not any("optimistic" in line for line in summary_lines(given))
    points = (files.out.parent / "pairs.curve.tsv").read_text().splitlines()
    assert len(points) == 1 + given["candidate_pairs"]


def test_forward_gives_every_source_sentence_a_pair(files: Request) -> None:
    with files.source.open("a") as file:
        file.write("the sailor\nthe lamp\n")
    pairs_by_selection = {
        how: mine_files(replace(files, retrieval=RetrievalConfig(candidates=how), threshold=-math.inf), current())[
            "pairs"
        ]
        for how in ("forward", "backward", "max")
    }
    assert pairs_by_selection == {"forward": 8, "backward": 6, "max": 6}


def test_one_sentence_a_side_is_a_pair(files: Request) -> None:
    for path in (files.source, files.target):
        path.write_text("the cat\n")
    assert mine_files(files, current())["pairs"] == 1
    assert pairs(files) == [["1.000000", "the cat", "the cat"]]
