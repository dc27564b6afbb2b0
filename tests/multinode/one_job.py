"""One small job that any launcher may start, and what it leaves."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path

RECIPE = Path(__file__).with_name("recipe.yaml")
BIN = Path(sys.executable).parent
SECONDS = 200.0


def environment(**more: str) -> dict[str, str]:
    """Small and without a network; launchers are found beside this Python."""
    return {
        **os.environ,
        "PATH": f"{BIN}:{os.environ['PATH']}:/usr/sbin",
        "OMP_NUM_THREADS": "1",
        "HF_HUB_OFFLINE": "1",
        "DS_ACCELERATOR": "cpu",
        "PYTHONWARNINGS": "ignore",
        **more,
    }


@dataclass(frozen=True)
class Job:
    """The recipe in an output folder of its own, whose data are prepared."""

    out: Path
    steps: int = 30

    @property
    def arguments(self) -> list[str]:
        """Those of ``dist-stilts train``."""
        return ["train", str(RECIPE), "--phase", "all", f"out={self.out}", f"train.steps={self.steps}"]

    @property
    def folder(self) -> Path:
        """The run's."""
        return self.out / RECIPE.stem / "pretrain"

    @property
    def status(self) -> dict:
        """What the run says of itself."""
        file = self.folder / "status.json"
        return json.loads(file.read_text()) if file.exists() else {}

    def left(self) -> dict[str, object]:
        """Weights, predictions and scores: what must not depend on who started the ranks."""
        files = {"model.safetensors": (self.folder / "model" / "model.safetensors").read_bytes()}
        told = sorted(path for path in (self.folder / "predictions").rglob("*") if path.is_file())
        records = [json.loads(line) for line in (self.folder / "results.jsonl").read_text().splitlines()]
        return {
            **files,
            **{str(path.relative_to(self.folder)): path.read_bytes() for path in told},
            "scores": [(record["task"], record["metric"], record["value"]) for record in records],
        }
