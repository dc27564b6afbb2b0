"""The one place where this room meets the model: opened, rows encoded, forward passes, outputs by row of the input.

Batches are cut from one chunk of the input by its own lengths, so they are the same arithmetic at any number of ranks.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from dist_stilts.apply.columns import FIELDS
from dist_stilts.conventions import fingerprint
from dist_stilts.data.batches import collate, to_device
from dist_stilts.data.prepare import in_memory, tokenizer_digest
from dist_stilts.errors import UserError
from dist_stilts.evaluate.embedding import cut
from dist_stilts.evaluate.predict import evaluation_dtype
from dist_stilts.families.encoding import Encoding, QaLengths
from dist_stilts.families.family import Family
from dist_stilts.families.features import Features
from dist_stilts.families.kinds import KINDS
from dist_stilts.families.score import Decoding
from dist_stilts.model.encoder import most_tokens
from dist_stilts.model.fit import NO_LIMIT, allowed_tokens, require_embeddings
from dist_stilts.model.packing import packs
from dist_stilts.model.provenance import weights_digest
from dist_stilts.parallel.world import World
from dist_stilts.search.cpu_products import fast_linear
from dist_stilts.tasks.spec import IGNORED, Row

BATCH_TOKENS = {"cpu": 2048, "cuda": 16384}
"""Tokens per forward pass, unless another number is asked for."""
ROOM_FOR_CONTEXT = 16
"""Fewest tokens of a window beside the longest question, special tokens included."""
USUAL_LENGTH = 512
"""Most tokens per row where neither the encoder nor its tokenizer has a limit."""


@dataclass(frozen=True)
class Applied:
    """A model on its device, and how it reads rows.

    Attributes:
        found: the opened model (see :func:`dist_stilts.model.fine_tuned.open_model`).
        max_length: most tokens per row; of questions, per window, the next of which starts ``stride`` tokens on.
        batch_tokens, batch_size: most tokens, and rows, per forward pass.
    """

    found: Any
    device: torch.device
    max_length: int
    stride: int
    batch_tokens: int
    batch_size: int | None

    @property
    def kind(self) -> Family:
        """The kind of task."""
        return KINDS[self.found.family]

    def digest(self) -> str:
        """Of all that decides the outputs, wherever the model was loaded from."""
        return fingerprint(
            [
                weights_digest(self.found.model),
                tokenizer_digest(self.found.tokenizer),
                self.found.head,
                self.found.labels,
                str(next(self.found.model.parameters()).dtype),
            ]
        )

    def encode(self, rows: Sequence[Row]) -> Features:
        """Rows as the model reads them; a long one may be several feature rows.

        Raises:
            UserError: the tokenizer is another model's.
        """
        how = Encoding(self.found.labels, self.max_length, qa=QaLengths(self.max_length, self.stride))
        features = in_memory(self.kind.encode(rows, self.found.tokenizer, how))
        require_embeddings(features.input_ids.flat, self.found.model.encoder)
        return features

    @torch.inference_mode()
    def outputs(self, features: Features, on_batch: Callable[[int], bool]) -> list[np.ndarray] | None:
        """The outputs of every row of the input, see :meth:`dist_stilts.apply.predictions.Shape.row`.

        Args:
            on_batch: told the number of feature rows done; None is returned if it says that it is enough.
        """
        found: list[torch.Tensor] = []
        batches = self._batches(features)
        done = 0
        with fast_linear(self.device):
            for rows in batches:
                found.append(self._forward(features, rows))
                done += len(rows)
                if on_batch(done):
                    return None
        parts: list[np.ndarray] = [np.empty(0)] * len(features)
        for rows, values in zip(batches, found, strict=True):
            for row, part in zip(rows, self._by_row(features, rows, values), strict=True):
                parts[row] = part
        return self._by_example(features, parts)

    def _batches(self, features: Features) -> list[np.ndarray]:
        packed = packs(self.found.model.encoder)
        longest = [int(lengths.max()) * len(lengths) for lengths in features.lengths]
        places = features.tokens if packed else np.array(longest)
        batches = cut(places.astype(np.int64), self.batch_tokens, packed)
        size = self.batch_size or max(map(len, batches))
        return [batch[start : start + size] for batch in batches for start in range(0, len(batch), size)]

    def _forward(self, features: Features, rows: np.ndarray) -> torch.Tensor:
        batch = to_device(collate(features, rows, self.kind), self.device)
        logits: torch.Tensor = self.found.model.logits(self.found.head, batch)
        return logits

    def _by_row(self, features: Features, rows: np.ndarray, logits: torch.Tensor) -> list[np.ndarray]:
        """A batch's outputs, feature row by feature row; of windows, their best answers."""
        if self.kind.reads == "tokens":
            return list(self.kind.decode(logits, features, rows, Decoding()))
        values = logits.cpu().numpy()
        if self.kind.reads == "targets":
            words = [int((features.labels[row] != IGNORED).sum()) for row in rows]
            return np.split(values, np.cumsum(words)[:-1])
        if self.kind.reads == "choices":
            return [one[: len(features.lengths[row])] for one, row in zip(values, rows, strict=True)]
        return list(values)

    def _by_example(self, features: Features, parts: list[np.ndarray]) -> list[np.ndarray]:
        """Stretches of one sentence, or windows of one context, one behind another; they follow each other."""
        if self.kind.reads not in ("targets", "tokens"):
            return parts
        ends = np.cumsum(np.bincount(features.example, minlength=features.examples))
        starts = [0, *ends[:-1].tolist()]
        joined = np.concatenate if self.kind.reads == "targets" else np.stack
        return [joined(parts[start:end]) for start, end in zip(starts, ends.tolist(), strict=True)]


def usual_length(found: Any) -> int:
    """Most tokens that the model was made for: positions of the encoder, or the tokenizer's limit."""
    if KINDS[found.family].windowed:
        return QaLengths().max_length
    least = min(most_tokens(found.model.encoder), allowed_tokens(found.tokenizer.model_max_length))
    return least if least < NO_LIMIT else USUAL_LENGTH


def opened(
    found: Any,
    world: World,
    dtype: str,
    max_length: int | None,
    stride: int,
    batch_tokens: int | None,
    batch_size: int | None,
) -> Applied:
    """Put a model on this rank's device, ready to read.

    Raises:
        UserError: a kind of model that predicts nothing of rows; an unknown dtype;
            a length that the encoder has no positions for.
    """
    if found.family not in FIELDS:
        fix = "Classification, regression, several labels, tagging, questions and choices are"
        raise UserError(f"a model of kind '{found.family}' is not applied to files", fix=fix)
    most = most_tokens(found.model.encoder)
    length = max_length or min(usual_length(found), most)
    if length > most:
        raise UserError(f"--max-length: the encoder reads {most} tokens at most", fix=f"Give {most} or fewer")
    if KINDS[found.family].windowed and length < QaLengths().max_question + ROOM_FOR_CONTEXT:
        least = QaLengths().max_question + ROOM_FOR_CONTEXT
        raise UserError(
            f"--max-length: windows need room beside questions of {QaLengths().max_question} tokens",
            fix=f"Give {least} or more",
        )
    found.model.to(world.device, evaluation_dtype(dtype, world.device)).eval()
    tokens = batch_tokens or BATCH_TOKENS.get(world.device.type, BATCH_TOKENS["cpu"])
    return Applied(found, world.device, length, stride, tokens, batch_size)
