"""One example of a task as a model reads it: its feature row, decoded."""

from __future__ import annotations

from collections import Counter
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from dist_stilts.data.prepare import encode_texts, in_memory
from dist_stilts.families.encoding import Encoding
from dist_stilts.families.features import Features
from dist_stilts.families.kinds import family_of
from dist_stilts.tasks.sources import available_languages, load_bitext, stream_rows, task
from dist_stilts.tasks.spec import RETRIEVAL

MAX_LENGTH = 256


def example(name: str, root: Path, split: str | None, language: str | None, tokenizer: Any) -> list[str]:
    """Describe the first example of a split: what it is, its tokens, and what its labels point to.

    Args:
        split: ``dev`` by default, or the task's last split if it has no dev; language: the first that is on disk.
    """
    spec = task(name, root)
    split = split or ("dev" if "dev" in spec.splits else spec.splits[-1])
    language = language or next(iter(available_languages(spec, root, split)), spec.languages[0])
    if spec.family in RETRIEVAL:
        bitext = load_bitext(spec, root, split, language)
        features, title = (
            encode_texts([bitext.source[0], bitext.target[0]], tokenizer, MAX_LENGTH),
            "first of each side",
        )
    else:
        first = list(islice(stream_rows(spec, root, split, language, Counter()), 1))
        rows = family_of(spec).encode(first, tokenizer, Encoding(spec.labels, MAX_LENGTH))
        features, title = in_memory(rows), f"id {first[0].id}"
    lines = [f"example ({split} {language}, {title}): {len(features)} rows, {int(features.tokens.sum())} tokens"]
    for row in range(len(features)):
        lines += _segments(features, row, tokenizer)
        lines += [] if spec.family in RETRIEVAL else family_of(spec).gold_lines(spec, features, row, tokenizer)
    return lines


def _segments(features: Features, row: int, tokenizer: Any) -> list[str]:
    ends = np.cumsum(features.lengths[row])[:-1]
    return [f"    text    {tokenizer.decode(part)}" for part in np.split(features.input_ids[row], ends)]
