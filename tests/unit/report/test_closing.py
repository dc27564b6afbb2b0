"""The closing report adds up, and says which kind of memory and of hours it means."""

from __future__ import annotations

import json
from dataclasses import asdict, replace

from dist_stilts.report.closing import Figures, summary

CPU = Figures(
    steps=500,
    examples=9_741,
    tokens=2_400_000,
    padding_share=0.123,
    skipped_steps=1,
    restarts=0,
    wall_seconds=250.0,
    training_seconds=200.0,
    saving_seconds=10.0,
    scoring_seconds=30.0,
    peak_memory_gib=(3.1, 3.4),
    on_gpu=False,
)
GPU = replace(CPU, wall_seconds=5400.0, peak_memory_gib=(21.0,) * 4, on_gpu=True, mfu=0.412)


def test_report_of_a_phase_on_two_cpu_ranks() -> None:
    assert summary(CPU).splitlines() == [
        "work   500 steps, 9,741 examples, 2,400,000 real tokens (padding 12.3%), 1 step skipped, 0 restarts",
        "time   4 min 10 s: training 3 min 20 s (80.0%), saving 10 s (4.0%), dev scoring 30 s (12.0%), "
        "other 10 s (4.0%)",
        "speed  6.0k real tokens/s per rank on 2 ranks, peak memory (RSS) 3.10 to 3.40 GiB per rank",
    ]
    nothing = replace(CPU, steps=0, tokens=0, wall_seconds=0.0, training_seconds=0.0, saving_seconds=0.0)
    assert "0 real tokens/s per rank" in summary(replace(nothing, scoring_seconds=0.0)), "a phase without a step"


def test_on_gpus_the_report_has_their_memory_their_hours_and_mfu_and_comes_back_from_json() -> None:
    speed = summary(GPU).splitlines()[2]
    assert "on 4 ranks, MFU 41.2%, peak GPU memory 21.00 GiB per rank, 6.00 GPU-hours" in speed
    assert GPU.gpu_hours == 4 * 1.5
    assert CPU.gpu_hours is None
    assert summary(Figures(**json.loads(json.dumps(asdict(GPU))))) == summary(GPU)
