from __future__ import annotations

import json
from importlib import resources
from pathlib import Path
from typing import Any

import pytest

from dist_stilts.errors import UserError
from dist_stilts.train.engine import CONFIGS, deepspeed_config
from dist_stilts.train.plan import TrainConfig, derive

CONFIG = TrainConfig(batch_size=32, max_micro_tokens=400, max_grad_norm=0.5)
PLAN = derive(CONFIG, [1000], 2)
SHIPPED = sorted(
    file.name.removesuffix(".json") for file in resources.files(CONFIGS).iterdir() if file.name.endswith(".json")
)


def config_of(tmp_path: Path, settings: Any) -> str:
    path = tmp_path / "mine.json"
    path.write_text(settings if isinstance(settings, str) else json.dumps(settings))
    return str(path)


@pytest.mark.parametrize("name", SHIPPED)
def test_every_shipped_config_is_filled_in_of_the_stage_it_names_and_adds_up_in_fp32(name: str) -> None:
    settings = deepspeed_config(name, CONFIG, PLAN)
    assert settings["train_batch_size"] == 32
    assert settings["train_micro_batch_size_per_gpu"] == 16
    assert settings["gradient_accumulation_steps"] == 1
    assert settings["gradient_clipping"] == 0.5
    assert "auto" not in json.dumps(settings)
    assert settings["zero_optimization"]["stage"] == int(name.removeprefix("zero")[0])
    assert settings["zero_optimization"]["overlap_comm"] is False
    assert settings["data_types"]["grad_accum_dtype"] == settings["communication_data_type"] == "fp32"


def test_default_is_bf16_what_the_recipe_does_not_decide_is_kept_and_uneven_batches_are_rounded_up(
    tmp_path: Path,
) -> None:
    assert deepspeed_config(TrainConfig().deepspeed, CONFIG, PLAN)["bf16"] == {"enabled": True}
    own = {"zero_optimization": {"stage": 1}, "train_batch_size": 32, "wall_clock_breakdown": True}
    settings = deepspeed_config(config_of(tmp_path, own), CONFIG, PLAN)
    assert own.items() <= settings.items()
    assert deepspeed_config("zero2_bf16", CONFIG, derive(CONFIG, [1000], 3))["train_batch_size"] == 33


STAGE = {"zero_optimization": {"stage": 2}}


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        *(
            ({**STAGE, key: value}, rf"mine\.json: '{key}' is {value} here, but the recipe leads to")
            for key, value in (("train_batch_size", 64), ("train_micro_batch_size_per_gpu", 8))
        ),
        ({**STAGE, "gradient_accumulation_steps": 4}, r"mine\.json: 'gradient_accumulation_steps' is 4 here, but the"),
        ({**STAGE, "gradient_clipping": 1.0}, r"mine\.json: 'gradient_clipping' is 1\.0 here, but the recipe leads to"),
        ("{", r"mine\.json: train\.deepspeed: cannot read this config"),
        ("[" * 100_000, r"mine\.json: train\.deepspeed: cannot read this config"),
        ("[]", r"mine\.json: a DeepSpeed config is an object"),
        *(
            (wrong, r"mine\.json: 'zero_optimization' has no stage of 1, 2 or 3")
            for wrong in ({}, {"zero_optimization": 2}, {"zero_optimization": {"stage": 0}})
        ),
        ({**STAGE, "optimizer": {"type": "Adam"}}, r"mine\.json: 'optimizer' is decided by the recipe's `train`"),
        ({**STAGE, "scheduler": {"type": "WarmupLR"}}, r"mine\.json: 'scheduler' is decided by the recipe's `train`"),
        ({**STAGE, "bf16": {"enabled": "perhaps"}}, r"mine\.json: DeepSpeed does not take this config .*bool"),
        ({"zero_optimization": {"stage": 2, "stages": 3}}, r"mine\.json: DeepSpeed does not take .*stages"),
    ],
)
def test_a_config_that_contradicts_the_recipe_or_cannot_be_read_is_refused(
    tmp_path: Path, settings: Any, said: str
) -> None:
    with pytest.raises(UserError, match=said):
        deepspeed_config(config_of(tmp_path, settings), CONFIG, PLAN)
    with pytest.raises(UserError, match=r"none\.json: train\.deepspeed: cannot read this config"):
        deepspeed_config(str(tmp_path / "none.json"), CONFIG, PLAN)
    with pytest.raises(UserError, match=r"unknown train\.deepspeed 'zero2_bf1'.*'zero2_bf16'\?"):
        deepspeed_config("zero2_bf1", CONFIG, PLAN)
