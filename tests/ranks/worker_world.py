"""Everything that is compared between world sizes, in one start of each: argument 1 is the folder for the results."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import tiny

from dist_stilts.parallel.world import World, started

TRAININGS = [
    (f"zero2_{precision}", *case)
    for precision in ("fp32", "bf16")
    for case in [("xnli", 1), ("xnli", 2), ("xnli", 4), ("mlm", 2)]
]
MIXTURE = "xnli+mlm+squad_v1"
MORE_TRAININGS = {
    1: [("zero2_fp32", MIXTURE, 2)],
    2: [
        ("zero2_fp32", MIXTURE, 2),
        *[(f"{stage}_fp32", MIXTURE, 2) for stage in ("zero1", "zero2_offload", "zero3")],
        *[(f"{stage}_{p}", "xnli", 2) for stage in ("zero1", "zero2_offload", "zero3") for p in ("fp32", "bf16")],
    ],
    3: [("zero2_fp32", "xnli", 3), ("zero2_fp32", "mlm", 3)],
    4: [],
}


def main() -> None:
    out = Path(sys.argv[1])
    with started(timeout_seconds=90) as world:
        results: dict[str, Any] = {}
        if world.size <= 3:
            results |= exchanges_and_scores(world, out)
        if world.size in MORE_TRAININGS:
            from trainings import train_case

            cases = [*(TRAININGS if world.size != 3 else ()), *MORE_TRAININGS[world.size]]
            results["trained"] = {case: train_case(*case, world, out / "none") for case in cases}
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
    from trainings import FiniteLossNanGradient, NanOnce, failure, with_nan_weight

    return {
        "loss": failure(with_nan_weight(), "zero2_bf16", world, out / "nan-loss"),
        "gradient bf16": failure(FiniteLossNanGradient(), "zero2_bf16", world, out / "nan-gradient-bf16"),
        "always": failure(with_nan_weight(), "zero2_bf16", world, out / "nan-always", allowed=3),
        **{
            f"once {config}": failure(NanOnce(4, rank=1), config, world, out / f"nan-once-{config}", allowed=3)
            for config in ("zero2_fp32", "zero2_bf16", "zero1_bf16", "zero3_bf16", "zero2_offload_bf16")
        },
        "gradient fp32": failure(FiniteLossNanGradient(), "zero2_fp32", world, out / "nan-gradient-fp32"),
    }


if __name__ == "__main__":
    main()
