"""Fixtures of the golden tests: a tiny file of each task, a tokenizer whose tokens are words, a model that says what it
is told, and the way from the files to features and scores."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn.functional import one_hot

from dist_stilts.data.prepare import encode_texts, prepare
from dist_stilts.evaluate.embedding import Reading
from dist_stilts.evaluate.outputs import Tally
from dist_stilts.evaluate.retrieval import RetrievalConfig
from dist_stilts.evaluate.suite import EvaluationConfig, Job, Unit, rows_of, score
from dist_stilts.families.features import Features
from dist_stilts.parallel.world import current
from dist_stilts.tasks.sources import load_bitext, task, task_folder
from dist_stilts.tasks.spec import RETRIEVAL

FILES = Path(__file__).parent / "files"
"""A data root: a file or two of each task, hand-made, in the layout in which its publishers have it."""
Segments = tuple[str, ...]
"""The tokens of a feature row, which read as words; one text for each segment."""
DIRECTIONS = 16
"""Width of the embeddings that a scripted model gives."""
LAYER = 1


@pytest.fixture(scope="session")
def word_tokenizer() -> Any:
    """Knows every word of the golden files, parts them at punctuation and Chinese characters, and marks pairs as XLM-R
    does: ``<s> a </s></s> b </s>``."""
    from tokenizers import Regex, Tokenizer, models, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    backend = Tokenizer(models.WordLevel(unk_token="<unk>"))
    backend.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.WhitespaceSplit(),
            pre_tokenizers.Punctuation(),
            pre_tokenizers.Split(Regex(r"\p{Han}"), "isolated"),
        ]
    )
    texts = [path.read_text(encoding="utf-8") for path in sorted(FILES.rglob("*")) if path.is_file()]
    special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    backend.train_from_iterator(texts, trainers.WordLevelTrainer(special_tokens=special, show_progress=False))
    backend.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", pair="<s> $A </s> </s> $B </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    roles = {"cls_token": "<s>", "sep_token": "</s>", "bos_token": "<s>", "eos_token": "</s>"}
    return PreTrainedTokenizerFast(
        tokenizer_object=backend, pad_token="<pad>", unk_token="<unk>", mask_token="<mask>", **roles
    )


class Scripted:
    """A model that looks up under a row's tokens what to say about it: the class or choice, the tags of its words, the
    first and last token of an answer (0 0 for none), or the direction in which a sentence points."""

    def __init__(self, tokenizer: Any, script: Mapping[Segments, list[int]]) -> None:
        self.tokenizer, self.script = tokenizer, script
        words = SimpleNamespace(num_embeddings=len(tokenizer))
        self.encoder = SimpleNamespace(get_input_embeddings=lambda: words)
        self.heads = defaultdict(lambda: SimpleNamespace(names=()))  # of whatever task, with the task's own labels

    def eval(self) -> None:
        """Nothing to switch."""

    def logits(self, _: str, batch: dict[str, torch.Tensor]) -> torch.Tensor:
        said = self._said(batch)
        if batch["labels"].ndim == 1:
            return one_hot(torch.tensor([label for row in said for label in row])).float()
        logits = torch.zeros(len(said), int(batch["lengths"].max()), 2)
        for row, (first, last) in enumerate(said):
            # Surer that there is no answer than of any: what one window holds must prevail over the others.
            logits[row, first, 0] = logits[row, last, 1] = 5.0 if last else 6.0
        return logits

    def _said(self, batch: dict[str, torch.Tensor]) -> list[list[int]]:
        segments = batch["input_ids"].split(batch["lengths"].tolist())
        texts = [_words(self.tokenizer, ids.tolist()) for ids in segments]
        rows = batch["segments"].tolist() if "segments" in batch else [[place] for place in range(len(texts))]
        return [self.script[tuple(texts[segment] for segment in row if segment >= 0)] for row in rows]


class ScriptedEmbedder:
    """Looks up under a sentence's tokens the direction in which it points."""

    reading = Reading((LAYER,))

    def __init__(self, tokenizer: Any, script: Mapping[Segments, list[int]], max_length: int) -> None:
        self.tokenizer, self.script, self.max_length = tokenizer, script, max_length

    def __call__(self, texts: Sequence[str], _: str) -> list[np.ndarray]:
        features = encode_texts(texts, self.tokenizer, self.max_length)
        said = [self.script[(_words(self.tokenizer, ids.tolist()),)] for ids in features.input_ids]
        return [np.eye(DIRECTIONS, dtype=np.float32)[[direction for (direction,) in said]]]


class Golden:
    """The way of a split of the golden files through tokenising and scoring, with the product's own functions."""

    def __init__(self, tokenizer: Any, folder: Path) -> None:
        self.tokenizer, self.predictions, self.labels = tokenizer, folder / "predictions", folder / "labels"
        self._folder = folder

    def features(self, name: str, case: Any) -> tuple[list[Segments], Features, dict[str, Any]]:
        """Tokens, labels and counts of a split; of retrieval both sides (of BUCC also the dev set's), uncounted."""
        unit = Unit(task(name, FILES), case.split, case.language)
        if unit.spec.family in RETRIEVAL:
            splits = dict.fromkeys((case.split, *unit.spec.splits[:1]))
            bitexts = [load_bitext(unit.spec, FILES, split, case.language) for split in splits]
            texts = [text for bitext in bitexts for text in (*bitext.source, *bitext.target)]
            features, meta = encode_texts(texts, self.tokenizer, case.max_length), {}
        else:
            prepared = prepare(rows_of(unit, self._job(case)), self.tokenizer, self._folder / "prepared")
            features, meta = prepared.features, asdict(prepared.meta)
        return [self._segments(features, row) for row in range(len(features))], features, meta

    def records(self, name: str, case: Any, script: Mapping[Segments, list[int]]) -> dict[str, float]:
        """Score what a scripted model says; writes the prediction file. Metric to value, as the records have them."""
        spec = task(name, FILES)
        unit = Unit(spec, case.split, case.language, LAYER if spec.family in RETRIEVAL else None)
        model, embedder = (
            Scripted(self.tokenizer, script),
            ScriptedEmbedder(self.tokenizer, script, case.max_length),
        )
        records = score(unit, self._job(case), model, self.tokenizer, embedder, current(), Tally())
        return {record.metric: record.value for record in records}

    def text_of(self, name: str, path: str) -> str:
        """What one of the task's files holds."""
        return (task_folder(task(name, FILES), FILES) / path).read_text(encoding="utf-8")

    def _job(self, case: Any) -> Job:
        return Job(
            "scripted",
            {},
            EvaluationConfig(batch_size=2, retrieval=RetrievalConfig(layer=str(LAYER))),
            FILES,
            self._folder / "prepared",
            case.max_length,
            self._folder / "results.jsonl",
            self.predictions,
            self._folder / "embeddings",
            qa=case.qa,
        )

    def _segments(self, features: Features, row: int) -> Segments:
        ids, ends = features.input_ids[row].tolist(), features.lengths[row].cumsum().tolist()
        return tuple(_words(self.tokenizer, ids[start:end]) for start, end in zip([0, *ends[:-1]], ends, strict=True))


def _words(tokenizer: Any, ids: list[int]) -> str:
    return " ".join(tokenizer.convert_ids_to_tokens(ids))


@pytest.fixture
def golden(word_tokenizer: Any, tmp_path: Path) -> Golden:
    """The golden files, and an empty folder for what is made of them."""
    return Golden(word_tokenizer, tmp_path)
