"""Settings that make no sense: each is refused before anything starts, on one line that says where it stands."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from outside import numeric_without_range, settings_outside

from dist_stilts.config import load
from dist_stilts.errors import UserError
from dist_stilts.experiment.check import check_settings
from dist_stilts.experiment.plan import expand
from dist_stilts.experiment.run_config import Recipe
from dist_stilts.verbs.common import load_recipe

RECIPE: dict[str, Any] = {
    "data": {"simulate": {"scale": 0.2}, "max_length": 48},
    "encoder": {
        "path": None,
        "tokenizer": "simulated",
        "config": {
            "model_type": "xlm-roberta",
            "num_hidden_layers": 1,
            "hidden_size": 32,
            "num_attention_heads": 2,
            "intermediate_size": 64,
            "max_position_embeddings": 66,
        },
    },
    "phases": {
        "mnli": {"role": "intermediate", "start": ["random"], "tasks": {"mnli": {}}, "sizes": [40, 80]},
        "xnli": {
            "start": ["mnli"],
            "tasks": {"xnli": {"split": "dev[:50%]"}},
            "train": {"epochs": 1},
            "evaluate": {"xnli": {}, "tatoeba": {}},
        },
    },
}
NAMES = {"phases": "xnli", "tasks": "xnli", "evaluate": "xnli", "own_tasks": "mine", "sizes_of": "mnli"}

NUMBERS = """
ranks=0 ranks=-1
seed=-1 seed=4294967296 seed=1e3 seed=1.5 seed=true seed=x head_seed=-1 subset_seed=-1
data.simulate.seed=-1 data.simulate.scale=0 data.simulate.scale=-1 data.simulate.scale=.inf data.simulate.scale=nan
data.simulate.placebo=5
data.max_length=-5 data.max_length=0 data.max_length=2 data.max_length=5 data.max_length=100
data.qa.max_length=0 data.qa.max_length=68 data.qa.stride=0 data.qa.stride=384 data.qa.stride=-1 data.qa.max_question=0
data.qa.max_question=400
encoder.dropout=2 encoder.dropout=1 encoder.dropout=-0.1 encoder.dropout=nan
train.batch_size=0 train.batch_size=-1 train.batch_size=99999999999999999999 train.batch_size=1.5 train.batch_size=1
train.max_micro_tokens=0 train.max_micro_tokens=automatic train.max_micro_tokens=1.5 train.max_micro_tokens=null
train.epochs=0 train.epochs=-1 train.epochs=nan train.epochs=.inf train.epochs=1e300
train.steps=0 train.steps=-1 train.steps=1e9 train.steps=1000000000000 train.max_steps=0
train.learning_rate=0 train.learning_rate=-1e-5 train.learning_rate=nan train.learning_rate=.inf
train.learning_rate=1e999 train.learning_rate=5 train.learning_rate=yes train.learning_rate=1:30
train.warmup=1.5 train.warmup=-0.1 train.warmup=nan
train.weight_decay=-1 train.weight_decay=nan train.weight_decay=.inf
train.betas=[] train.betas=[0.9] train.betas=[0.9,0.99,0.999] train.betas=[0.9,1] train.betas=[-0.1,0.9]
train.betas=[nan,0.9] train.betas=0.9 train.betas=[x,y] train.betas=null
train.eps=0 train.eps=-1 train.eps=nan train.max_grad_norm=-1 train.max_grad_norm=nan train.max_grad_norm=.inf
train.mlm_rate=-1 train.mlm_rate=0 train.mlm_rate=2 train.mlm_rate=nan
train.temperature=0 train.temperature=nan train.cap=0
train.log_every=0 train.save_every=-1 train.keep=0 train.evaluate_every=-1 train.averaged=0 train.patience=-1
train.max_skipped=-1 train.restarts=-1
phases.xnli.train.learning_rate=nan phases.xnli.train.save_every=-1 phases.xnli.train.betas=[1] phases.xnli.train.x=1
phases.xnli.tasks.xnli.sampling=nan phases.xnli.tasks.xnli.sampling=-1 phases.xnli.tasks.xnli.sampling=2
phases.xnli.tasks.xnli.share=0 phases.xnli.tasks.xnli.share=1 phases.xnli.tasks.xnli.share=nan
phases.mnli.sizes=[0] phases.mnli.sizes=[-3] phases.mnli.sizes=[all] phases.mnli.sizes=[9,...] phases.mnli.sizes=[9,9]
phases.mnli.branch=0 phases.mnli.branch=1.5 phases.mnli.branch=nan
evaluation.batch_size=0 evaluation.n_best=0 evaluation.longest_answer=0 evaluation.longest_answer=-1
evaluation.retrieval.neighbours=0 evaluation.retrieval.batch_tokens=0
study.delta=0 study.delta=-1 study.delta=nan study.draws=0 study.permutations=0 study.mfu=0 study.mfu=1.5
study.mfu=nan study.sizes=[-1] study.sizes_of={mnli:[-1]} study.seeds=[-1] study.subset_seeds=[1.5]
 encoder.config.hidden_size=31 encoder.config.hidden_size=-32 encoder.config.hidden_size=0
encoder.config.num_attention_heads=0 encoder.config.num_attention_heads=3 encoder.config.num_hidden_layers=-1
encoder.config.num_hidden_layers=1.5 encoder.config.num_hidden_layers=x
encoder.config.intermediate_size=0 encoder.config.vocab_size=10 encoder.config.vocab_size=-1
encoder.config.max_position_embeddings=0
encoder.config.hidden_dropout_prob=2 encoder.config.attention_probs_dropout_prob=nan
encoder.config.initializer_range=-1 encoder.config.layer_norm_eps=0 encoder.config.pad_token_id=99999
"""
OTHERS = """
train.schedule=polynomial train.select=bets train.task_sampling=unifrom train.deepspeed=zero2_bf1
train.deepspeed=none.json phases.xnli.role=targt phases.xnli.heads=resue phases.xnli.inputs=premise
phases.xnli.start=[] phases.xnli.start=[nowhere] phases.xnli.tasks.xnli.split=train[ phases.xnli.tasks.xnli.dev=x[9%:3%]
phases.xnli.evaluate.xnli.splits=[] phases.xnli.evaluate.xnli.splits=[dev[]
phases.xnli.evaluate.xnli.languages=[] phases.xnli.evaluate.xnli.languages=[""] phases.xnli.tasks.xnli.languages=[""]
phases.xnli.evaluate.xnli=[] phases.xnli=null phases=null phases.xnli.tasks.xnli=null train=null
evaluation.dtype=float64 evaluation.retrieval.layer=first evaluation.retrieval.layer=-1 evaluation.retrieval.layer=7,
evaluation.retrieval.layer=9
evaluation.retrieval.pooling=meam evaluation.retrieval.margin=ration evaluation.retrieval.candidates=all
evaluation.retrieval.duplicates=dropp evaluation.retrieval.memory=much evaluation.retrieval.memory=0
data.root= data.root=${nowhere} data.root=${ data.root=??? name= out= encoder.path= study.gpu= study.distances=
train.steps= phases.mnli.sizes= data.simulate= data.own_tasks.x.family=sequense
encoder.config.model_type=foo encoder.config.model_type=t5 encoder.config.hidden_act=foo encoder.config=3
encoder.config=[]
"""


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("recipe") / "mine.yaml"
    path.write_text(yaml.safe_dump({**RECIPE, "out": str(path.parent / "runs")}))
    return path


def tried(recipe: Path, *overrides: str) -> None:
    """All that a dry run looks at before it looks for files."""
    config = load_recipe(str(recipe), list(overrides))
    check_settings(config, expand(config), 2)


def test_the_recipe_itself_is_right(recipe: Path) -> None:
    tried(recipe)


@pytest.mark.parametrize("override", [*NUMBERS.split(), *OTHERS.split()])
def test_nonsense_is_refused_on_one_line_that_names_it(recipe: Path, override: str) -> None:
    with pytest.raises(UserError) as error:
        tried(recipe, override)
    said, key = str(error.value), override.partition("=")[0]
    assert error.value.code == 2
    assert len(said) < 500
    assert key.split(".")[-1] in said or key.split(".")[1] in said, said


def test_every_number_has_a_range_and_what_is_outside_a_range_is_refused(recipe: Path) -> None:
    assert list(numeric_without_range(Recipe)) == []
    settings = {setting.partition("=")[0]: setting for setting in settings_outside(Recipe, NAMES)}  # one for each key
    assert len(settings) > 70
    for setting in settings.values():
        with pytest.raises(UserError, match=r"override .*: (wrong value for|.* is empty)"):
            load(Recipe, recipe, [setting])


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (["train.warmup=nan"], "override train.warmup=nan: wrong value for 'train.warmup': nan. Allowed: 0 to 1"),
        (["train.warmup=7", "train.warmup=0.5"], None),
        (["train.steps=1_000_000_000"], "'train.steps': 1000000000. Allowed: 1 to 100,000,000"),
        (["train.max_micro_tokens=0"], "'train.max_micro_tokens': 0. Allowed: 1 or more, or auto"),
        (["train.betas=[0.9]"], "'train.betas': [0.9]. Allowed: 2 of them, each 0 or more, below 1"),
        (["train.log_every=9999999999"], "'train.log_every': 9999999999. Allowed: at most 1,000,000,000"),
        (["data.root="], "override data.root=: 'data.root' is empty. Give it a value, or null for none"),
        (["out="], "override out=: 'out' is empty. Give it a value"),
        (["train.steps="], "override train.steps=: 'train.steps' has no value. Write null for none"),
        (["data.qa.stride=384"], "override data.qa.stride=384: data.qa.stride: a stride of 384 tokens leaves gaps"),
        (["phases.xnli.train.eps=0"], "override phases.xnli.train.eps=0: wrong value for 'phases.xnli.train.eps': 0.0"),
        (["encoder.config.vocab_size=10"], "encoder.config: vocab_size is 10, but the tokenizer has"),
        (["data.max_length=65"], "data.max_length=65: the encoder reads 64 tokens at most"),
    ],
)
def test_a_wrong_setting_is_said_with_where_it_was_given_and_what_would_be_right(
    recipe: Path, overrides: list[str], said: str | None
) -> None:
    if said is None:  # what is wrong in one place may be put right in a later one
        tried(recipe, *overrides)
        return
    with pytest.raises(UserError) as error:
        tried(recipe, *overrides)
    assert said in str(error.value)
