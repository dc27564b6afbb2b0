"""What an exported model was made from and trained on: ``provenance.json`` beside its weights (law 8).

It carries a digest of the encoder's weights, so that the next phase can check that it starts from these weights and no
others.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict

from dist_stilts import checksums
from dist_stilts.conventions import sha256_of
from dist_stilts.errors import UserError
from dist_stilts.state_files import Count, read_state
from dist_stilts.writing import write_text

if TYPE_CHECKING:
    from torch import nn

PROVENANCE = "provenance.json"


class _Seen(TypedDict):
    phase: str
    task: str
    split: str


class Seen(_Seen, total=False):
    """What one phase has trained on of one task."""

    role: str
    languages: list[str]
    examples: Count
    steps: Count


class Averaged(TypedDict):
    """One of the models that another is the average of."""

    run: str
    run_id: str
    digest: str


@dataclass(frozen=True)
class Provenance:
    """What an exported model is.

    Attributes:
        origin: ``pretrained`` (loaded, or trained here from random weights by masked language modelling) or ``random``.
        digest: SHA-256 over the encoder's fp32 tensors.
        trained_on: one entry per phase and task, oldest first.
        heads: head name to the tasks that trained it.
        start: digest of the encoder before the first step of the last phase; empty if nobody noted it.
        start_heads: digest of the heads at that time: models whose heads began apart do not average well.
        carried: names of the heads that were then loaded, fresh and dropped.
        degenerate: why the run was labelled so (stuck at chance, one predicted class), if it was.
        averaged_from: the models that this one is the average of.
        files: files of weights, by their names in the folder, to their checksums; none in older versions.
    """

    run: str
    run_id: str
    origin: str
    digest: str
    trained_on: list[Seen] = field(default_factory=list)
    heads: dict[str, list[str]] = field(default_factory=dict)
    start: str = ""
    start_heads: str = ""
    carried: dict[str, list[str]] = field(default_factory=dict)
    degenerate: str | None = None
    averaged_from: list[Averaged] = field(default_factory=list)
    files: dict[str, str] = field(default_factory=dict)


def weights_digest(module: nn.Module, apart_from: nn.Module | None = None) -> str:
    """SHA-256 over all tensors of an encoder, or of heads, in order of name, as fp32.

    Args:
        apart_from: whose tensors do not count where the module shares them, as output embeddings are an encoder's.
    """
    shared = {tensor.data_ptr() for tensor in apart_from.state_dict().values()} if apart_from else set()
    named = sorted(pair for pair in module.state_dict().items() if pair[1].data_ptr() not in shared)
    return sha256_of(
        part
        for name, tensor in named
        for part in (name.encode(), tensor.detach().float().cpu().contiguous().numpy().tobytes())
    )


def read_provenance(folder: Path) -> Provenance | None:
    """The provenance of an export of ours; None for anyone else's model.

    Raises:
        Damaged: a file of that name that says something else.
    """
    fix = "Make the model anew (delete its folder, and run its recipe), or copy the whole folder again"
    return read_state(Provenance, folder / PROVENANCE, "the provenance of a model", fix)


def write_provenance(folder: Path, provenance: Provenance) -> None:
    """Write the provenance of an export."""
    write_text(folder / PROVENANCE, json.dumps(asdict(provenance), indent=2))


def checksums_of_weights(folder: Path) -> dict[str, str]:
    """What the provenance of an export says of its files."""
    return checksums.of_folder(folder, "*.safetensors")


def require_intact(folder: Path, provenance: Provenance | None) -> None:
    """UserError if a file of an export's weights is not the one that was written; one that is not there is left to
    whoever looks for it, and anyone else's model is as it is."""
    for name, expected in sorted(provenance.files.items()) if provenance else ():
        if (folder / name).exists() and (wrong := checksums.damage(folder / name, expected)):
            raise UserError(
                f"damaged, or changed since it was exported ({wrong})",
                where=folder / name,
                fix="Copy it again or delete the model's folder and run its recipe again; if you changed it on purpose,"
                f' take its line out of "files" in {PROVENANCE}',
            )
