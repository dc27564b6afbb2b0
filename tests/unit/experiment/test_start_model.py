from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
import torch
from models_made import export_model
from transformers import XLMRobertaConfig, XLMRobertaForMaskedLM

from dist_stilts.experiment.plan import Run, expand
from dist_stilts.experiment.run_config import DataConfig, PhaseConfig, Recipe, TrainTask
from dist_stilts.experiment.start import provenance_of, start_model
from dist_stilts.experiment.training_data import TrainingData
from dist_stilts.model.encoder import EncoderConfig, load_encoder, new_encoder
from dist_stilts.model.heads import head_name
from dist_stilts.model.multitask import MultiTaskModel
from dist_stilts.model.provenance import Provenance, weights_digest
from dist_stilts.parallel.world import World
from dist_stilts.tasks.registry import get_task

MNLI = head_name(get_task("mnli"))


def begin(
    recipe: Recipe, tokenizer: Any, rank: int = 0, size: int = 1
) -> tuple[Run, TrainingData, MultiTaskModel, Provenance]:
    (run,) = expand(recipe)
    specs = [get_task(name) for name in run.tasks]
    data = TrainingData(specs, [], [], [10] * len(specs), {}, "", {})
    world = World(rank, size, rank, torch.device("cpu"))
    return run, data, *start_model(run, recipe, tokenizer, data, world)


def recipe_of(out: Path, encoder: EncoderConfig, *tasks: str, start: str = "encoder", **more: Any) -> Recipe:
    settings = {key: more.pop(key) for key in ("seed", "head_seed") if key in more}
    phase = PhaseConfig(start=[start], tasks={task: TrainTask() for task in tasks}, **more)
    return Recipe(out=str(out), encoder=encoder, data=DataConfig(max_length=64), phases={"a": phase}, **settings)


@pytest.fixture
def random_start(tiny_config: dict[str, Any], tmp_path: Path) -> Any:
    def make(**more: Any) -> Recipe:
        return recipe_of(tmp_path, EncoderConfig(path=None, config=tiny_config), "xnli", "mlm", start="random", **more)

    return make


def test_every_rank_of_any_number_draws_the_same_fresh_heads_and_seeds_with_one_head_seed_do_too(
    random_start: Any, tokenizer: Any
) -> None:
    for head_seed in (None, 4):
        digests = set()
        for noise, (rank, size) in enumerate([(0, 1), (0, 2), (1, 2), (2, 3), (7, 8)]):
            torch.manual_seed(noise)
            _, _, model, known = begin(random_start(head_seed=head_seed), tokenizer, rank, size)
            digests.add((weights_digest(model), known.start_heads))
        assert len(digests) == 1
    same = [begin(random_start(seed=seed, head_seed=9), tokenizer)[3] for seed in (0, 1)]
    apart = [begin(random_start(seed=seed), tokenizer)[3] for seed in (0, 1)]
    assert len({known.start_heads for known in same}) == 1
    assert len({known.start for known in same}) == len({known.start_heads for known in apart}) == 2, "other encoders"


def test_what_was_loaded_is_said_and_stays_in_status_and_provenance(
    tokenizer: Any, tiny_config: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sizes = {key: value for key, value in tiny_config.items() if key != "model_type"}
    XLMRobertaForMaskedLM(XLMRobertaConfig(vocab_size=len(tokenizer), **sizes)).save_pretrained(tmp_path / "start")
    recipe = recipe_of(tmp_path, EncoderConfig(path=str(tmp_path / "start")), "mlm", "xnli")
    run, data, model, known = begin(recipe, tokenizer)
    line = capsys.readouterr().err
    heads = {"loaded": ["mlm"], "fresh": [head_name(get_task("xnli"))], "dropped": []}
    assert f"0 fresh, 0 dropped; heads: 1 (mlm) loaded, 1 ({heads['fresh'][0]}) fresh, 0 dropped" in line
    assert known.carried == heads
    made = provenance_of(run, data, known, "digest")
    assert made.carried == heads
    assert made.start == weights_digest(load_encoder(str(tmp_path / "start"))[0]) == weights_digest(model.encoder)
    assert (made.run, made.run_id, made.origin, made.digest) == (run.name, run.id, "pretrained", "digest")


def test_a_reused_head_remembers_every_task_that_trained_it(
    tokenizer: Any, tiny_config: dict[str, Any], tmp_path: Path
) -> None:
    encoder = new_encoder(tiny_config, None, None, tokenizer, 0)
    before = {"origin": "pretrained", "trained_on": [{"phase": "mnli", "task": "mnli", "split": "train"}]}
    start = export_model(tmp_path / "start", encoder, tokenizer, [get_task("mnli")], **before)
    for heads, trained in (("reuse", ["mnli", "xnli"]), ("fresh", ["xnli"])):
        recipe = recipe_of(tmp_path, EncoderConfig(path=str(tmp_path / "start")), "xnli", heads=heads)
        run, data, model, known = begin(recipe, tokenizer)
        made = provenance_of(run, data, known, "digest")
        assert made.heads == {MNLI: trained}
        assert made.start == weights_digest(start.encoder)
        assert [entry["phase"] for entry in made.trained_on] == ["mnli", "a"]
        assert (weights_digest(model.heads) == weights_digest(start.heads)) == (heads == "reuse")
        assert asdict(known)["carried"]["loaded"] == ([MNLI] if heads == "reuse" else [])
