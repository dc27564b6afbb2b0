"""Law 1 on a GPU: the product's training on the device, and the plain reference on the CPU."""

from __future__ import annotations

import sys
from pathlib import Path

import plain
import tiny
from trainings import train_case

from dist_stilts.parallel.world import started


def main() -> None:
    with started(timeout_seconds=90) as world:
        out = Path(sys.argv[1]) / "none"
        trained = {
            config: train_case(config, "xnli", 2, world, out) for config in ("zero2_fp32", "zero2_bf16", "zero3_bf16")
        }
        for result in trained.values():
            result["weights"] = {name: weight.cpu() for name, weight in result["weights"].items()}
            del result["module"]
        tiny.save_for(world.rank, {"trained": trained, "plain": plain.train(["xnli"]), "device": world.device.type})


if __name__ == "__main__":
    main()
