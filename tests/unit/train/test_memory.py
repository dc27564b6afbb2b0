from __future__ import annotations

from pathlib import Path
from typing import Any

import psutil
import pytest
import torch

from dist_stilts.parallel.world import World
from dist_stilts.train.memory import engine_bytes, free_bytes, left_in_control_groups, training_dtype

CPU, GPU = torch.device("cpu"), torch.device("cuda")
SIZES = [600, 300, 100]
P, BUCKET = 1000, 800


def bytes_of(stage: int, ranks: int = 4, device: torch.device = GPU, bf16: bool = True, **zero: Any) -> int:
    zero = {"stage": stage, "reduce_bucket_size": BUCKET, "overlap_comm": False, **zero}
    return engine_bytes(SIZES, ranks, {"bf16": {"enabled": bf16}, "zero_optimization": zero}, device)


ON_CPU, OFF = {"offload_optimizer": {"device": "cpu"}}, {"offload_optimizer": {"device": "none"}}
STAGE_2 = 12 * P / 4 + 4 * P / 4


@pytest.mark.parametrize(
    ("stage", "settings", "expected"),
    [
        (0, {}, 12 * P + 4 * P + 2 * P + 2 * 2 * BUCKET),  # each stage shards one thing more
        (1, {}, 12 * P / 4 + 4 * P + 2 * P + 2 * 2 * BUCKET),
        (2, {}, STAGE_2 + 2 * 2 * BUCKET),
        (3, {}, STAGE_2 + 2 * P / 4 + 2 * 2 * BUCKET),
        (1, {"ranks": 1, "bf16": False}, 16 * P + 2 * 4 * BUCKET),  # master weights are there in fp32 training too
        (2, {"ranks": 1, "bf16": False}, 16 * P + 2 * 4 * BUCKET),
        (2, {"overlap_comm": True}, STAGE_2 + 3 * 2 * BUCKET),
        (2, {"reduce_bucket_size": 10}, STAGE_2 + 2 * 2 * 600),  # a bucket holds the largest parameter
        (2, ON_CPU, 2 * 2 * BUCKET),  # offloading frees a GPU
        (2, ON_CPU | {"device": CPU}, STAGE_2 + 2 * 2 * BUCKET),  # and moves nothing on a CPU
        (2, {"device": CPU}, STAGE_2 + 2 * 2 * BUCKET),
        (2, OFF, STAGE_2 + 2 * 2 * BUCKET),
        (3, {"offload_param": {"device": "cpu"}}, STAGE_2 + 2 * 2 * BUCKET),
    ],
)
def test_an_engine_takes_what_its_stage_does_not_shard_or_offload(
    stage: int, settings: dict[str, Any], expected: float
) -> None:
    assert bytes_of(stage, **settings) == expected


def test_type_of_the_parameters_is_the_configs() -> None:
    assert training_dtype({"bf16": {"enabled": True}}) is torch.bfloat16
    assert training_dtype({"fp16": {"enabled": True}, "bf16": {"enabled": False}}) is torch.float16
    assert training_dtype({"bf16": {"enabled": False}}) is training_dtype({}) is torch.float32


def group(folder: Path, most: str, taken: int, files: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "memory.max").write_text(f"{most}\n")
    (folder / "memory.current").write_text(f"{taken}\n")
    (folder / "memory.stat").write_text(f"anon 5\nactive_file 7\ninactive_file {files}\nslab 3\n")


def test_every_control_group_above_this_process_limits_it_and_no_other(tmp_path: Path) -> None:
    root, membership = tmp_path / "cgroup", tmp_path / "membership"
    membership.write_text("0::/job/step\n")
    group(root / "job" / "step", "max", 10, 0)
    group(root / "job", "1000", 700, 200)
    group(root, "5000", 5200, 100)
    group(root / "other", "7", 0, 0)
    assert sorted(left_in_control_groups(root, membership)) == [0, 500]
    assert list(left_in_control_groups(tmp_path, tmp_path / "absent")) == [], "only the host limits"
    (tmp_path / "version-1").write_text("5:memory:/job\n1:name=systemd:/job\n")
    assert list(left_in_control_groups(tmp_path, tmp_path / "version-1")) == []


def test_free_is_what_the_host_has_available_or_less() -> None:
    assert 0 < free_bytes(World(0, 1, 0, CPU)) <= psutil.virtual_memory().total
