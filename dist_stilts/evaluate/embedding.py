"""Texts to embeddings on disk: computed once, sharded over the ranks, the same to the last bit at any number of them.

    texts -> part (4,096 texts) -> tokens -> batches of like length, dealt to the ranks -> chosen layers, pooled,
    normalised -> original order -> one file per layer

The texts alone say how they are cut into parts and batches, so every batch is the same arithmetic whoever does it
(law 3). After each part its rows are on the disk; a killed job goes on from there, at any number of ranks.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from dist_stilts.conventions import OnProgress, fingerprint, sha256_of
from dist_stilts.data.batches import plain, to_device
from dist_stilts.data.prepare import encode_texts
from dist_stilts.errors import UserError
from dist_stilts.evaluate.embedding_files import EmbeddingFiles
from dist_stilts.layout import EmbeddingFolder
from dist_stilts.model.fit import require_embeddings
from dist_stilts.model.hidden_states import hidden_states
from dist_stilts.model.packing import packs, segments_of, to_grid
from dist_stilts.model.pooling import POOLINGS, normalise, pool
from dist_stilts.once import hold
from dist_stilts.parallel import preemption
from dist_stilts.parallel.collectives import any_rank, barrier, broadcast_value, gather_values, sum_by_index
from dist_stilts.parallel.world import World
from dist_stilts.search.cpu_products import fast_linear

FORMAT = 2
"""Raise it when the same request would give other numbers."""
PART_TEXTS = 4_096
"""Texts between two savings: what a kill can lose."""
LIKE_LENGTH = 0.85
"""With padding, the shortest text of a batch against its longest: below that, another batch costs less."""
WAIT_SECONDS, LOOKS = 1.0, 10
"""How long a rank waits between looks for another program's, or another host's, file; looks before it gives up."""


@dataclass(frozen=True)
class Reading:
    """How an encoder is read.

    Attributes:
        layers: elements of hidden_states (0 = embeddings).
        pooling: ``mean`` or ``cls``.
        special_tokens: whether the mean is also of the tokens that the tokenizer puts around a text.
    """

    layers: tuple[int, ...]
    pooling: str = "mean"
    special_tokens: bool = True


class Tokens(NamedTuple):
    """Texts as token ids, one after another: ``flat`` ``[tokens]``, ``lengths`` and ``truncated`` ``[texts]``."""

    flat: np.ndarray
    lengths: np.ndarray
    truncated: np.ndarray


@dataclass(frozen=True)
class Embedder:
    """Texts to unit vectors; every rank calls it with the same texts.

    Attributes:
        model: a module whose ``encoder`` is a Hugging Face encoder, on the world's device.
        model_id: digest of weights and tokenizer.
        max_length: most tokens per text, special tokens included; what does not fit is cut off and counted.
        cache: folder of all embeddings, seen by every rank.
        batch_tokens: most places per forward pass, padding included where the encoder needs it.
        progress: called on rank 0.
    """

    model: Any
    model_id: str
    tokenizer: Any
    world: World
    reading: Reading
    max_length: int
    cache: Path
    batch_tokens: int
    progress: OnProgress | None = None

    def __call__(self, texts: Sequence[str], name: str = "texts") -> list[np.ndarray]:
        """Embed texts, or find them embedded.

        Args:
            name: what they are, for people.

        Returns:
            one read-only memory map ``[texts, width]`` fp32 per layer of the reading; rows have length one (or zero,
            where nothing was pooled) and the order of the texts.

        Raises:
            UserError: no such layer or pooling; embeddings with NaN; a cache that a rank cannot see.
        """
        self._check_reading()
        if not len(texts):
            return [np.empty((0, self._width), np.float32) for _ in self.reading.layers]
        files = self._files(texts)
        if self._missing(files):
            with self._alone_in(files.folder, name, len(texts)):
                if missing := self._missing(files):  # another program may have made them meanwhile
                    self._encode(texts, name, files, missing)
        return _opened(files, self.reading.layers)

    def truncated(self, texts: Sequence[str]) -> int:
        """How many of these texts, already embedded, did not fit and were cut."""
        files = self._files(texts)
        return broadcast_value(files.truncated(self.reading.layers[0]) if self.world.is_main else 0)

    @property
    def _width(self) -> int:
        return int(self.model.encoder.config.hidden_size)

    def _files(self, texts: Sequence[str]) -> EmbeddingFiles:
        made_of = broadcast_value(self._made_of(texts) if self.world.is_main else {})
        folder = EmbeddingFolder(self.cache / fingerprint(made_of))
        return EmbeddingFiles(folder, len(texts), self._width, made_of)

    def _check_reading(self) -> None:
        highest = self.model.encoder.config.num_hidden_layers
        for layer in self.reading.layers:
            if not 0 <= layer <= highest:
                raise UserError(
                    f"the encoder has no layer {layer}", fix=f"It has 0 (embeddings) to {highest} (the last block)"
                )
        if self.reading.pooling not in POOLINGS:
            raise UserError(f"unknown pooling '{self.reading.pooling}'", fix=f"Known: {', '.join(POOLINGS)}")

    def _made_of(self, texts: Sequence[str]) -> dict[str, Any]:
        """All that the embeddings depend on, but for the layer."""
        return {
            "model": self.model_id,
            "sha256": _digest(texts),
            "pooling": self.reading.pooling,
            "special_tokens": self.reading.special_tokens,
            "max_length": self.max_length,
            "dtype": str(next(self.model.encoder.parameters()).dtype).removeprefix("torch."),
            "format": FORMAT,
        }

    def _missing(self, files: EmbeddingFiles) -> list[int]:
        missing = [layer for layer in sorted({*self.reading.layers}) if not files.is_whole(layer)]
        return broadcast_value(missing if self.world.is_main else [])

    @contextmanager
    def _alone_in(self, folder: EmbeddingFolder, name: str, total: int) -> Iterator[None]:
        """Be the only program that writes here; the ranks wait together, and hear when they are to stop."""
        while True:
            held = hold(folder.lock) if self.world.is_main else None
            if broadcast_value(held is not None):
                break
            self._say(f"waiting for another program to encode {name}", 0, total)
            preemption.check()
            time.sleep(WAIT_SECONDS)
        try:
            yield
        finally:
            if held:
                held.release()

    def _say(self, what: str, done: int, total: int) -> None:
        if self.progress and self.world.is_main:
            self.progress(what, done, total)

    def _encode(self, texts: Sequence[str], name: str, files: EmbeddingFiles, layers: list[int]) -> None:
        done = broadcast_value({layer: files.done(layer) for layer in layers} if self.world.is_main else {})
        self.model.eval()
        for start in range(0, len(texts), PART_TEXTS):
            part = texts[start : start + PART_TEXTS]
            left = [layer for layer in layers if done[layer] < start + len(part)]
            if not left:
                continue
            tokens = self._tokenised(part)
            require_embeddings([tokens.flat], self.model.encoder)

            def say(encoded: int, before: int = start) -> None:
                self._say(f"encoding {name}", before + encoded, len(texts))

            rows, ids = self._own_rows(tokens, left, say)
            whole = [sum_by_index(rows[:, place], ids, len(part)) for place in range(len(left))]
            _refuse_non_finite(whole, start, name)
            if self.world.is_main:
                for layer, vectors in zip(left, whole, strict=True):
                    files.append(layer, start, vectors, int((tokens.truncated > 0).sum()))
        barrier()  # else a rank that comes first looks for a file that rank 0 has not yet named, and waits for nothing

    def _tokenised(self, texts: Sequence[str]) -> Tokens:
        """All ranks' tokens; each tokenises a share of the texts."""
        bounds = np.linspace(0, len(texts), self.world.size + 1).astype(int)
        own = texts[bounds[self.world.rank] : bounds[self.world.rank + 1]]
        parts = gather_values(_tokens(own, self.tokenizer, self.max_length))
        return Tokens(*(np.concatenate(column) for column in zip(*parts, strict=True)))

    def _own_rows(self, tokens: Tokens, layers: list[int], say: Callable[[int], None]) -> tuple[np.ndarray, np.ndarray]:
        """This rank's embeddings ``[own, layers, width]`` fp32 and the numbers of their texts ``[own]``."""
        batches = cut(tokens.lengths, self.batch_tokens, packs(self.model.encoder))
        shares = dealt([len(batch) * int(tokens.lengths[batch].max()) for batch in batches], self.world.size)
        own = shares[self.world.rank]
        width = self.model.encoder.config.hidden_size
        rows, ids = [np.empty((0, len(layers), width), np.float32)], [np.empty(0, np.int64)]
        starts, encoded = np.cumsum(tokens.lengths) - tokens.lengths, 0
        for turn in range(max(map(len, shares))):
            preemption.check()
            if turn < len(own):
                batch = batches[own[turn]]
                rows.append(self._forward(tokens, starts, batch, layers))
                ids.append(batch)
            encoded += sum(len(batches[share[turn]]) for share in shares if turn < len(share))
            say(encoded)
        preemption.check()
        return np.concatenate(rows), np.concatenate(ids)

    @torch.inference_mode()
    def _forward(self, tokens: Tokens, starts: np.ndarray, batch: np.ndarray, layers: list[int]) -> np.ndarray:
        """One batch: ``[texts, layers, width]`` fp32."""
        lengths = tokens.lengths[batch, None]
        place = np.arange(lengths.max())
        flat = tokens.flat[(starts[batch, None] + place)[place < lengths]]
        before, after = (0, 0) if self.reading.special_tokens else special_tokens_around(self.tokenizer)
        mask = torch.from_numpy((place >= before) & (place < lengths - after)).to(self.world.device)
        packed = to_device(plain(flat, lengths[:, 0]), self.world.device)
        with fast_linear(self.world.device):
            states = hidden_states(self.model.encoder, packed, layers)
        grids = (to_grid(state, segments_of(packed), 0.0) for state in states)
        vectors = torch.stack([normalise(pool(grid, mask, self.reading.pooling)) for grid in grids], 1)
        # No negative zeros: a sum over several ranks would turn them into positive ones, and the bits would differ.
        return (vectors + 0.0).cpu().numpy()


def cut(lengths: np.ndarray, batch_tokens: int, packed: bool) -> list[np.ndarray]:
    """Cut texts into batches, longest first, of no more places than ``batch_tokens``, and of like length if not packed.

    A text that is longer than that is a batch of its own.
    """
    order = np.argsort(-lengths, kind="stable")
    ascending = -lengths[order]
    ends = np.cumsum(lengths[order])
    batches, start = [], 0
    while start < len(order):
        if packed:
            end = int(np.searchsorted(ends, (ends[start - 1] if start else 0) + batch_tokens, side="right"))
        else:
            longest = -int(ascending[start])
            alike = int(np.searchsorted(ascending, -LIKE_LENGTH * longest, side="right"))
            end = min(alike, start + batch_tokens // longest)
        end = max(end, start + 1)
        batches.append(order[start:end])
        start = end
    return batches


def dealt(costs: Sequence[int], ranks: int) -> list[list[int]]:
    """Deal numbered batches so that the ranks finish together: the dearest first, each to who has least to do."""
    shares: list[list[int]] = [[] for _ in range(ranks)]
    load = [0] * ranks
    for number in sorted(range(len(costs)), key=lambda number: -costs[number]):
        rank = load.index(min(load))
        shares[rank].append(number)
        load[rank] += costs[number]
    return shares


def special_tokens_around(tokenizer: Any) -> tuple[int, int]:
    """How many tokens the tokenizer puts before and after a text. Unknown words are special by id, but are text."""
    added = tokenizer("a", return_special_tokens_mask=True)["special_tokens_mask"]
    return [*added, 0].index(0), [*reversed(added), 0].index(0)


def _tokens(texts: Sequence[str], tokenizer: Any, max_length: int) -> Tokens:
    if not len(texts):
        return Tokens(*(np.empty(0, np.int64) for _ in Tokens._fields))
    features = encode_texts(texts, tokenizer, max_length)
    flat = np.concatenate([features.input_ids[row] for row in range(len(features))])
    return Tokens(flat, features.tokens.astype(np.int64), features.truncated)


def _digest(texts: Sequence[str]) -> str:
    contents = (text.encode("utf-8", "surrogatepass") for text in texts)
    return sha256_of(len(content).to_bytes(8, "little") + content for content in contents)


def _refuse_non_finite(layers: list[np.ndarray], start: int, name: str) -> None:
    bad = ~np.all([np.isfinite(vectors).all(1) for vectors in layers], axis=0)
    if bad.any():
        raise UserError(
            f"{int(bad.sum())} of {len(bad)} embeddings of {name} hold NaN or infinity "
            f"(first: number {start + int(bad.argmax()) + 1})",
            fix="Encode in float32; if that is what was done, the model's weights are damaged",
        )


def _opened(files: EmbeddingFiles, layers: Sequence[int]) -> list[np.ndarray]:
    """The finished layers; network file systems show a new file to other hosts a little later."""
    for look in range(LOOKS):
        found = [files.open(layer) for layer in layers]
        if not any_rank(any(vectors is None for vectors in found)):
            return [vectors for vectors in found if vectors is not None]
        if look + 1 < LOOKS:
            time.sleep(WAIT_SECONDS)
    raise UserError(
        "not every rank can read the embeddings",
        where=files.folder.path,
        fix="Put the cache on a file system that all hosts share",
    )
