from __future__ import annotations

import re
import socket
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from transformers import XLMRobertaConfig

from dist_stilts.config import find_recipe, load, shipped_recipes
from dist_stilts.errors import UserError
from dist_stilts.experiment.dry_run import describe
from dist_stilts.experiment.estimate import describe_memory, memory, unfilled_encoder
from dist_stilts.experiment.plan import expand, select
from dist_stilts.experiment.run_config import Recipe


@pytest.fixture(autouse=True)
def offline(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No network, and a folder without data."""

    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("a dry run asked the network")

    monkeypatch.setattr(socket, "create_connection", refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.chdir(tmp_path)


def described(name: str, *overrides: str, ranks: int = 8) -> str:
    return describe(load(Recipe, find_recipe(name), overrides), name, overrides, ranks)


@pytest.mark.parametrize("name", shipped_recipes())
def test_every_shipped_recipe_is_described_without_data_or_network(name: str, tmp_path: Path) -> None:
    text = described(name, ranks=2)
    for run in expand(load(Recipe, find_recipe(name))):
        assert f"\n{run.name}: {run.role}, from {run.start}\n" in text
    assert list(tmp_path.iterdir()) == []


def test_the_large_recipe_takes_the_steps_of_the_paper_and_resolves_phases_and_what_they_score() -> None:
    text = described("xstilts_large")
    assert text.count("24544 steps (2455 warm-up) of 32 rows on 8 ranks, at most 16,384 tokens per pass") >= 2
    for said in ("mnli (392,702 rows)", "mnli: intermediate, from encoder", "xnli@mnli: target, from mnli"):
        assert said in text
    assert re.search(r"xnli@mnli: .*\n(?:    .*\n)*    scores xnli test in all\n", text)
    assert "learning_rate: 1.0e-05" in text


def test_the_large_recipe_fits_a_gpu_and_says_why() -> None:
    recipe = load(Recipe, find_recipe("xstilts_large"))
    said, *lines = describe_memory(recipe, select(expand(recipe), "multi"), 8)
    # 250,002 words + 514 positions, 24 layers of 12.6 M: 559 M parameters, as published; 3 M in nine heads.
    assert said == "558.8 M parameters in the encoder; most memory is taken by multi:"
    expected = {
        "bfloat16 parameters": 2 * 562e6,
        "fp32 master weights and two moments, 1/8 of them": 12 * 562e6 / 8,
        "fp32 sums of gradients, 1/8 of them": 4 * 562e6 / 8,
        "buckets for gradients": 2 * 4 * 250_002 * 1024,
        "activations of at most 1,536 tokens": 34 * 1536 * 1024 * 24,
        "together, all word embeddings trained; without CUDA's own": 5.2 * 2**30,
    }
    found = {what: float(size) for size, what in (line.split(" GiB  ") for line in lines)}
    assert found == {what: pytest.approx(size / 2**30, abs=0.011) for what, size in expected.items()}


def test_every_deepspeed_config_takes_what_it_takes_and_more_ranks_take_less_each() -> None:
    recipe = load(Recipe, find_recipe("xstilts_large"))
    run, encoder = select(expand(recipe), "mnli")[0], unfilled_encoder(recipe, fresh=False)

    def parts(ranks: int = 8, **train: Any) -> dict[str, float]:
        return memory(replace(run, train=replace(run.train, **train)), recipe, encoder, ranks)

    names = ("zero2_offload_bf16", "zero2_bf16", "zero3_bf16", "zero2_fp32", "zero1_bf16")
    eight, one = ([sum(parts(ranks, deepspeed=name).values()) for name in names] for ranks in (8, 1))
    assert eight == sorted(set(eight))
    assert all(less < more for less, more in zip(eight, one, strict=True))
    assert "bfloat16 shards of the parameters, 1/8 of them" in parts(deepspeed="zero3_bf16")
    assert parts(deepspeed="zero2_offload_bf16")["fp32 master weights and two moments, offloaded (cpu)"] == 0
    again = parts(checkpoint_activations=True)["activations of at most 1,024 tokens, most computed again"]
    assert again < 0.2 * parts()["activations of at most 1,024 tokens"]


def test_masked_language_modelling_takes_the_logits_of_the_masked_tokens_too(tmp_path: Path) -> None:
    (tmp_path / "own.yaml").write_text("phases: {a: {tasks: {mlm: {}, xnli: {}}}, b: {tasks: {xnli: {}}}}")
    recipe = load(Recipe, tmp_path / "own.yaml", ["encoder.config={vocab_size: 250002}"])
    recipe.encoder.path = None
    with_mlm, without = (memory(run, recipe, unfilled_encoder(recipe, fresh=True), 8) for run in expand(recipe))
    # Two numbers in fp32 and one's gradient for each word, of 15 % of 4 rows of 256 tokens.
    assert with_mlm["scores of every word for 154 masked tokens"] == 3 * 4 * 250_002 * 154
    assert not any("masked" in part for part in without)


def test_the_headline_names_the_encoder_of_the_run_that_takes_most(tmp_path: Path) -> None:
    sizes = {"hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 256}
    for name, words in (("small", 1000), ("large", 100_000)):
        XLMRobertaConfig(vocab_size=words, max_position_embeddings=66, **sizes).save_pretrained(tmp_path / name)
    config = f"{{vocab_size: 100000, max_position_embeddings: 66, {str(sizes)[1:-1]}}}".replace("'", "")

    def headline(*starts: str) -> str:
        phases = ", ".join(f"{start}-run: {{tasks: {{xnli: {{}}}}, start: [{start}]}}" for start in starts)
        (tmp_path / "own.yaml").write_text(f"phases: {{{phases}}}\nencoder: {{path: {tmp_path}/small}}")
        recipe = load(Recipe, tmp_path / "own.yaml", [f"encoder.config={config}"])
        return describe_memory(recipe, expand(recipe), 1)[0]

    assert headline("encoder", "random") == headline("random", "encoder") == headline("random")
    assert headline("random").endswith("most memory is taken by random-run:")


def test_the_architecture_is_that_of_the_encoder_that_is_trained(tmp_path: Path, world: Path) -> None:
    def parameters(start: str, *overrides: str) -> str:
        phases = f"{{xnli: {{tasks: {{xnli: {{}}}}, start: [{start}]}}}}"
        (tmp_path / "own.yaml").write_text(f"encoder: {{path: {tmp_path}/encoder}}\nphases: {phases}\n")
        text = described(f"{tmp_path}/own.yaml", *overrides)
        return text[text.index("# memory") : text.index("# commands")].splitlines()[1]

    (tmp_path / "encoder").mkdir()
    assert "not known: " in parameters("encoder")
    sizes = {"hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 256}
    XLMRobertaConfig(vocab_size=1000, max_position_embeddings=66, **sizes).save_pretrained(tmp_path / "encoder")
    local = (1000 + 66 + 2 + 2) * 64 + 2 * (4 * 64 * 64 + 2 * 64 * 256 + 9 * 64 + 256)
    assert parameters("encoder").startswith(f"{local / 1e6:.4g} M parameters")
    other = f"encoder.config={{vocab_size: 500, {str(sizes)[1:-1]}}}".replace("'", "")
    assert parameters("encoder", other) == parameters("encoder") != parameters("random", other)
    assert parameters("random", other, "encoder.path=null").startswith("0.165 M parameters")
    assert parameters("encoder", "encoder.path=none/of-ours") == (
        "not known: 'none/of-ours' is not on this host. Set encoder.config to its architecture"
    )
    wrong = other.replace("heads: 4", "heads: 7")
    assert parameters("random", wrong).startswith("not known: encoder.config: no encoder can be made of this")
    wordless = other.replace("vocab_size: 500, ", "")
    simulated = ("random", wordless, "encoder.tokenizer=simulated")
    assert parameters(*simulated, "data.simulate={}") == parameters(*simulated, f"data.root={world}")
    assert "the tokenizer is not on this host" in parameters("encoder", wordless, "encoder.path=none/of-ours")


def test_commands_carry_recipe_ranks_and_overrides() -> None:
    text = described("xstilts_large", "train.learning_rate=3e-5", ranks=4)
    commands = text[text.index("# commands") :].splitlines()[1:]
    assert commands[0] == "dist-stilts run xstilts_large --ranks 4 train.learning_rate=3e-5"
    assert len(commands) == 3
    assert all("xstilts_large" in command and command.endswith("train.learning_rate=3e-5") for command in commands)
    assert "--nproc-per-node=4" in commands[2]
    assert "learning_rate: 3.0e-05" in text


def test_any_number_of_ranks_up_to_the_batch_is_planned_and_an_auto_micro_batch_is_shown_as_such() -> None:
    assert "of 32 rows on 3 ranks, at most 16,384 tokens per pass" in described("xstilts_large", ranks=3)
    text = described("xstilts_large", "train.max_micro_tokens=auto", ranks=2)
    assert "of 32 rows on 2 ranks, as many tokens as fit per pass" in text
    assert "activations of at most 6,144 tokens" in text
    assert "activations of at most 1,024 tokens" in described("xstilts_large", "train.max_micro_tokens=1024", ranks=2)
    with pytest.raises(UserError, match="leaves some of 33 ranks without a row"):
        described("xstilts_large", ranks=33)
    with pytest.raises(UserError, match=r"unknown train\.deepspeed 'zero3'"):
        described("xstilts_large", "train.deepspeed=zero3")


def test_a_task_with_a_share_adds_steps_whatever_its_rows_and_without_one_its_rows_must_be_known(
    tmp_path: Path,
) -> None:
    def with_mlm(mlm: str) -> str:
        """A recipe of MNLI with MLM, whose rows nobody publishes."""
        path = tmp_path / "mixed.yaml"
        path.write_text(f"phases: {{mixed: {{tasks: {{mnli: {{}}, mlm: {mlm}}}}}}}")
        return described(str(path))

    text = with_mlm("{share: 0.2}")
    assert "trains on mnli (392,702 rows, 80.0% of the steps), mlm (unknown rows, 20.0% of the steps)" in text
    assert f"{-(-392_702 * 2 * 5 // (32 * 4))} steps" in text
    assert "trains on mnli, mlm; steps follow from the rows of mlm, not known here" in with_mlm("{}")


def test_rows_on_disk_are_counted(world: Path) -> None:
    text = described("xstilts_large", f"data.root={world}", ranks=2)
    rows = len((world / "xnli" / "train-en.tsv").read_text().splitlines())
    assert f"trains on xnli ({rows} rows)" in text
