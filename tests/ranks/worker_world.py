"""Everything that is compared between world sizes, in one start of each: argument 1 is the folder for the results."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import tiny

from dist_stilts.parallel.world import World, started

FEW_TRAININGS = [
    ("zero2_fp32", "xnli", 1),
    ("zero2_fp32", "xnli", 2),
    ("zero2_fp32", "mlm", 2),
    ("zero2_bf16", "xnli", 2),
]
ALL_TRAININGS = [
    *FEW_TRAININGS,
    ("zero2_fp32", "xnli+mlm+squad_v1", 2),
    ("zero2_bf16", "xnli", 1),
    ("zero2_bf16", "mlm", 2),
]
UNEVEN_TRAININGS = [("zero2_fp32", "xnli", 3), ("zero2_fp32", "mlm", 3)]  # 24 rows in nine cells
TRAININGS = {1: ALL_TRAININGS, 2: ALL_TRAININGS, 3: UNEVEN_TRAININGS, 4: FEW_TRAININGS, 5: FEW_TRAININGS[:1]}


def main() -> None:
    out = Path(sys.argv[1])
    with started(timeout_seconds=90) as world:
        results: dict[str, Any] = {}
        if world.size <= 3:
            results |= exchanges_and_scores(world, out)
        if TRAININGS[world.size]:
            from trainings import train_case

            results["trained"] = {case: train_case(*case, world, out / "none") for case in TRAININGS[world.size]}
        if world.size == 1:
            import plain

            results["plain"] = {tasks: plain.train(tasks.split("+")) for tasks in ("xnli", "mlm", "xnli+mlm+squad_v1")}
        if world.size == 2:
            results["failed"] = failures(world, out)
        tiny.save_for(world.rank, results)


def exchanges_and_scores(world: World, out: Path) -> dict[str, Any]:
    from exchanges import exchange, numbers, table
    from scores import one_by_one, score

    return {
        "exchanged": exchange(world, out),
        "table": table(),
        "numbers": numbers(),
        "scored": score(world),
        "one by one": one_by_one() if world.size == 1 else None,
    }


def failures(world: World, out: Path) -> dict[str, Any]:
    from trainings import FiniteLossNanGradient, failure, with_nan_weight

    return {
        "loss": failure(with_nan_weight(), "zero2_bf16", world, out / "nan-loss"),
        "gradient bf16": failure(FiniteLossNanGradient(), "zero2_bf16", world, out / "nan-gradient-bf16"),
        "gradient fp32": failure(FiniteLossNanGradient(), "zero2_fp32", world, out / "nan-gradient-fp32"),
    }


if __name__ == "__main__":
    main()
