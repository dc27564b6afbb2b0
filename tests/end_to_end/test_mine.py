"""``mine`` as a user runs it: two text files in, pairs out; what is wrong is one line."""

from __future__ import annotations

import json
import random
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn
from warm_ranks import Ranks

from dist_stilts import checksums


def export_encoder(folder: Path, spoil: Callable[[nn.Module], None] = lambda encoder: None) -> Path:
    """Write the folder of a new encoder of one layer, which tells sentences apart by their words and little else."""
    from dist_stilts.model.encoder import load_tokenizer, new_encoder
    from dist_stilts.model.export import export
    from dist_stilts.model.multitask import MultiTaskModel
    from dist_stilts.model.provenance import Provenance, weights_digest
    from dist_stilts.simulate.languages import languages
    from dist_stilts.simulate.tokenizer import write_tokenizer

    write_tokenizer(folder / "tokenizer", languages(seed=0))
    tokenizer = load_tokenizer(str(folder / "tokenizer"))
    sizes = {"num_hidden_layers": 1, "hidden_size": 32, "num_attention_heads": 2, "intermediate_size": 32}
    config = {"model_type": "xlm-roberta", **sizes, "max_position_embeddings": 66}
    encoder = new_encoder(config, None, None, tokenizer, seed=0)
    nn.init.normal_(encoder.get_input_embeddings().weight)  # type: ignore[operator]
    spoil(encoder)
    provenance = Provenance("r", "i", "random", weights_digest(encoder))
    export(folder / "model", MultiTaskModel(encoder, []), tokenizer, provenance)
    return folder / "model"


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that any program could have saved an encoder in."""
    return export_encoder(tmp_path_factory.mktemp("encoder"))


def sentences(count: int, seed: int) -> list[str]:
    """Different sentences of the simulated English."""
    from dist_stilts.simulate.languages import languages

    words = sorted(languages(seed=0)[0].lexicon.words.values())
    chance = random.Random(seed)
    return list(dict.fromkeys(" ".join(chance.sample(words, 6)) for _ in range(count)))


SHARED, LEFT, RIGHT = sentences(30, 0), sentences(20, 1), sentences(25, 2)


@pytest.fixture
def corpus(tmp_path: Path) -> dict[str, Path]:
    """Two comparable files with ids that have thirty sentences in common, and the gold pairs of these."""
    source, target = [*LEFT, *SHARED], [*RIGHT[:10], *reversed(SHARED), *RIGHT[10:]]
    files = {
        "source": [f"s-{n}\t{text}" for n, text in enumerate(source)],
        "target": [f"t-{n}\t{text}" for n, text in enumerate(target)],
        "gold": [f"s-{source.index(text)}\tt-{target.index(text)}" for text in SHARED],
    }
    for name, lines in files.items():
        (tmp_path / name).write_text("\n".join(lines) + "\n", encoding="utf-8")
    return {name: tmp_path / name for name in files}


@pytest.fixture
def mine(cli: Callable[..., Any], model: Path, tmp_path: Path) -> Callable[..., Any]:
    """Mine the files ``source`` and ``target`` into ``pairs.tsv``; options may repeat, the last one counts."""

    def mine_(*options: str, ranks: int = 0) -> Any:
        places = ["--model", str(model), "--out", str(tmp_path / "pairs.tsv")]
        return cli("mine", str(tmp_path / "source"), str(tmp_path / "target"), *places, *options, ranks=ranks)

    return mine_


def rows(path: Path) -> list[list[str]]:
    return [line.split("\t") for line in path.read_text(encoding="utf-8").splitlines()]


def test_what_two_files_have_in_common_is_found_with_a_threshold_tuned_on_gold(
    mine: Callable[..., Any], corpus: dict[str, Path], tmp_path: Path
) -> None:
    done = mine("--gold", str(corpus["gold"]), "--json")
    assert done.returncode == 0, done.stderr
    pairs = rows(tmp_path / "pairs.tsv")
    assert {tuple(row[1:3]) for row in pairs} == {tuple(row) for row in rows(corpus["gold"])}
    assert {row[3] for row in pairs} == {row[4] for row in pairs} == set(SHARED)
    margins = [float(row[0]) for row in pairs]
    assert margins == sorted(margins, reverse=True)
    summary = json.loads(done.stdout)
    assert (summary["pairs"], summary["gold"], summary["f1"]) == (30, 30, 1.0)
    assert summary["threshold"] <= margins[-1]
    assert "30 gold pairs: f1 100.00" in done.stderr
    assert "tuned on these very pairs" in done.stderr
    curve = rows(tmp_path / "pairs.curve.tsv")
    assert curve[0] == ["threshold", "precision", "recall", "f1"]
    assert max(float(row[3]) for row in curve[1:]) == 1.0


def test_the_number_of_ranks_does_not_change_a_byte(
    mine: Callable[..., Any], corpus: dict[str, Path], tmp_path: Path
) -> None:
    """Law 3, with nothing kept from the first run."""
    found = []
    for ranks in (1, 2):
        done = mine("--cache", str(tmp_path / f"cache-{ranks}"), ranks=ranks)
        assert done.returncode == 0, done.stderr
        found.append((tmp_path / "pairs.tsv").read_bytes())
        (tmp_path / "pairs.tsv").unlink()
    assert found[0] == found[1] != b""


def test_another_threshold_re_uses_the_embeddings(
    mine: Callable[..., Any], corpus: dict[str, Path], tmp_path: Path
) -> None:
    def kept() -> dict[Path, int]:
        return {path: path.stat().st_mtime_ns for path in (tmp_path / "pairs.embeddings").rglob("*.npy")}

    assert mine("--threshold", "1.0").returncode == 0
    before, all_pairs = kept(), rows(tmp_path / "pairs.tsv")
    done = mine("--threshold", "1.3")
    assert done.returncode == 0, done.stderr
    assert before == kept() != {}
    assert rows(tmp_path / "pairs.tsv") == [row for row in all_pairs if float(row[0]) >= 1.3]
    assert 0 < len(rows(tmp_path / "pairs.tsv")) < len(all_pairs)


def test_a_killed_run_goes_on_where_it_stopped(cli: Callable[..., Any], model: Path, tmp_path: Path) -> None:
    """What was encoded before the kill is not encoded again: a row that is changed meanwhile stays changed."""
    (tmp_path / "source").write_text("\n".join([*sentences(24_000, 3), *SHARED]), encoding="utf-8")
    (tmp_path / "target").write_text("\n".join(SHARED), encoding="utf-8")
    files = (str(tmp_path / "source"), str(tmp_path / "target"))
    command = ("mine", *files, "--model", str(model), "--out", str(tmp_path / "pairs.tsv"))
    process = Ranks(list(command), tmp_path / "logs", size=1)
    try:
        deadline = time.monotonic() + 80
        while not (records := list((tmp_path / "pairs.embeddings").glob("*/*.json"))):
            assert time.monotonic() < deadline
            assert process.running
            time.sleep(0.01)
    finally:
        process.kill()
    record = json.loads(records[0].read_text())
    assert 0 < record["done"] < record["texts"]
    (unfinished,) = records[0].parent.glob(".*.partial")
    marked = np.eye(1, 32, dtype=np.float32).tobytes()
    with unfinished.open("r+b") as file:
        file.readline()  # NumPy's header
        file.seek(file.tell())
        file.write(marked)
    del record["parts"]  # else the change would be noticed
    records[0].write_text(json.dumps(checksums.sealed(record)))
    done = cli(*command)
    assert done.returncode == 0, done.stderr
    assert np.load(records[0].with_suffix(".npy"))[0].tobytes() == marked
    found = {row[1]: row[2] for row in rows(tmp_path / "pairs.tsv")}
    assert {text: found[text] for text in SHARED} == {text: text for text in SHARED}


def test_plain_lines_blank_ones_copies_and_one_of_100_000_characters(mine: Callable[..., Any], tmp_path: Path) -> None:
    endless = " ".join(SHARED[:1] * 3000)
    (tmp_path / "source").write_text("\n".join(["", *SHARED, SHARED[0], "\t", endless]), encoding="utf-8")
    (tmp_path / "target").write_text("\n".join([*reversed(SHARED), "a\ttab"]), encoding="utf-8")
    done = mine("--json", "--threshold", "1.1")
    assert done.returncode == 0, done.stderr
    found = {row[1]: row[2] for row in rows(tmp_path / "pairs.tsv")}
    assert {text: found[text] for text in SHARED[1:]} == {text: text for text in SHARED[1:]}
    counts = {"lines": 34, "blank": 2, "repeated": 1, "sentences": 31, "cut": 1}
    assert {key: json.loads(done.stdout)["source"][key] for key in counts} == counts
    assert json.loads(done.stdout)["max_length"] == 64  # the encoder has no more positions
    assert "34 lines, 2 without text, 1 repeated, 1 cut" in done.stderr


def test_a_collapsed_encoder_is_named(cli: Callable[..., Any], corpus: dict[str, Path], tmp_path: Path) -> None:
    def flatten(encoder: nn.Module) -> None:
        for name, parameter in encoder.named_parameters():
            if "LayerNorm.weight" in name:
                nn.init.constant_(parameter, 1e-3)
            elif "LayerNorm.bias" in name:
                nn.init.constant_(parameter, 1.0)

    model = export_encoder(tmp_path / "flat", flatten)
    out = str(tmp_path / "pairs.tsv")
    done = cli("mine", str(corpus["source"]), str(corpus["target"]), "--model", str(model), "--out", out)
    assert done.returncode == 0, done.stderr
    assert "side: collapsed encoder" in done.stderr


def refused(done: Any) -> str:
    """The one line of an error that the user can mend."""
    errors = [line for line in done.stderr.splitlines() if line.startswith("error:")]
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    assert len(errors) == 1, done.stderr
    return errors[0]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["-k", "0"], "'--neighbours': 0. Allowed: 1 or more"),
        (["--margin", "ration"], "'--margin': 'ration'. did you mean 'ratio'?"),
        (["--layer", "9"], "no layer 9"),
        (["--model", "/nowhere/at/all"], "no such model folder"),
        (["--out", "source/pairs.tsv"], "source: cannot be made a folder"),
    ],
)
def test_a_bad_option_is_one_line(
    mine: Callable[..., Any],
    corpus: dict[str, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    options: list[str],
    said: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert said in refused(mine(*options))
    assert not (tmp_path / "pairs.tsv").exists()


@pytest.mark.parametrize(
    ("file", "content", "said"),
    [
        ("target", b"\n \n\t\n", "target: no text in 3 lines"),
        ("target", b"t-1\tyes\nt-2\tn\xe9\n", "target:2: byte 6 of the line is not UTF-8"),
        ("gold", b"s-1\tt-1\ns-1\tt-99\n", "gold:2: gold id 't-99' is not in target"),
    ],
)
def test_a_bad_file_is_one_line_with_its_place(
    mine: Callable[..., Any], corpus: dict[str, Path], file: str, content: bytes, said: str
) -> None:
    corpus[file].write_bytes(content)
    assert said in refused(mine("--gold", str(corpus["gold"])))


def test_a_folder_that_is_no_encoder_is_named(
    mine: Callable[..., Any], corpus: dict[str, Path], model: Path, tmp_path: Path
) -> None:
    (tmp_path / "empty").mkdir()
    assert "empty: " in refused(mine("--model", str(tmp_path / "empty")))


def test_embeddings_that_are_no_numbers_are_refused(
    mine: Callable[..., Any], corpus: dict[str, Path], model: Path, tmp_path: Path
) -> None:
    spoilt = shutil.copytree(model, tmp_path / "spoilt")
    (spoilt / "provenance.json").unlink()  # it would be no longer what was exported
    tensors = load_file(spoilt / "model.safetensors")
    nothing = {name: torch.full_like(tensor, torch.nan) for name, tensor in tensors.items()}
    save_file(nothing, spoilt / "model.safetensors", {"format": "pt"})
    assert f"{spoilt}: " in (said := refused(mine("--model", str(spoilt))))
    assert "hold NaN" in said
