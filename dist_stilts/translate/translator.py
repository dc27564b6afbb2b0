"""A Hugging Face sequence-to-sequence model of many languages (NLLB or M2M100 type) as a translator from English.

Promises: no sampling, so the same batch gives the same translations; bf16 on a GPU, fp32 on a CPU.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch

from dist_stilts.conventions import ENGLISH
from dist_stilts.errors import EXIT_FAILED, UserError
from dist_stilts.model.folders import check_tokenizer, examine
from dist_stilts.translate.languages import known, require_known
from dist_stilts.translate.parts import Translation

_GROWTH, _SPARE = 2, 32
"""A translation may have this many times its source's tokens and this many more; one that would have more is a loop."""


class Translator(Protocol):
    """What translates."""

    limit: int
    """The most tokens of a piece of text."""
    dtype: str

    def require(self, language: str) -> None:
        """Raise UserError for a language that it does not have."""

    def length(self, text: str) -> int:
        """Number of tokens, special tokens included."""

    def __call__(self, texts: Sequence[str], language: str) -> list[Translation]:
        """Translate one batch."""


@dataclass
class Seq2Seq:
    """The model as a :class:`Translator`."""

    model: Any
    tokenizer: Any
    beams: int
    limit: int

    def __post_init__(self) -> None:
        self.languages = known(self.tokenizer)
        self.dtype = str(self.model.dtype).removeprefix("torch.")
        self.tokenizer.src_lang = self.languages[ENGLISH][0]

    def require(self, language: str) -> None:
        """Raise UserError for a language that the model does not have."""
        require_known(language, self.languages)

    def length(self, text: str) -> int:
        """Number of tokens, special tokens included."""
        return len(self.tokenizer(text)["input_ids"])

    def __call__(self, texts: Sequence[str], language: str) -> list[Translation]:
        """Translate one batch."""
        inputs = self.tokenizer(list(texts), padding=True, return_tensors="pt").to(self.model.device)
        most = _GROWTH * inputs["input_ids"].shape[1] + _SPARE
        output = self._generate(inputs, language, min(most, _positions(self.model) - 1))
        texts = self.tokenizer.batch_decode(output, skip_special_tokens=True, clean_up_tokenization_spaces=False)
        # The first token starts the decoder and may be the one that ends texts, too.
        ended = (output[:, 1:] == self.tokenizer.eos_token_id).any(dim=1).tolist()
        return [Translation(text.strip(), not end) for text, end in zip(texts, ended, strict=True)]

    def _generate(self, inputs: Any, language: str, most: int) -> torch.Tensor:
        try:
            return self.model.generate(
                **inputs,
                forced_bos_token_id=self.languages[language][1],
                forced_eos_token_id=None,
                num_beams=self.beams,
                do_sample=False,
                early_stopping=False,
                max_new_tokens=most,
            )
        except torch.OutOfMemoryError as error:
            raise UserError(
                "the device has not enough memory for a batch of translations",
                fix="Lower --batch-size, --beams or --max-length",
                code=EXIT_FAILED,
                everywhere=False,
            ) from error


def load_translator(folder: Path, beams: int, max_length: int, device: torch.device) -> Translator:
    """Load model and tokenizer from a local folder.

    Raises:
        UserError: not a sequence-to-sequence model, incomplete, or its tokenizer knows no languages.
    """
    from transformers import AutoModelForSeq2SeqLM, AutoTokenizer
    from transformers.utils import logging

    logging.set_verbosity_error()
    logging.disable_progress_bar()
    dtype = torch.bfloat16 if device.type == "cuda" else torch.float32
    # transformers raises many types for what is wrong in a folder; to the user they are one fact with one remedy.
    examine(folder, translates=True)
    check_tokenizer(folder)
    try:
        tokenizer = AutoTokenizer.from_pretrained(str(folder), trust_remote_code=False)
        model, info = AutoModelForSeq2SeqLM.from_pretrained(
            str(folder), trust_remote_code=False, dtype=dtype, output_loading_info=True
        )
    except Exception as error:
        reason = next(iter(str(error).strip().splitlines()), type(error).__name__)
        raise UserError(
            f"cannot load a sequence-to-sequence model: {reason[:200]}",
            where=folder,
            fix="Give one such as facebook/nllb-200-distilled-600M or facebook/m2m100_418M",
        ) from error
    if missing := sorted({*info["missing_keys"], *(key[0] for key in info["mismatched_keys"])}):
        raise UserError(f"{len(missing)} tensors of the model are not in the file (first: {missing[0]})", where=folder)
    if ENGLISH not in known(tokenizer):
        raise UserError(
            "the model's tokenizer has no language codes", where=folder, fix="Give a model of NLLB's or M2M100's type"
        )
    return Seq2Seq(model.to(device).eval(), tokenizer, beams, min(max_length, _positions(model)))


def _positions(model: Any) -> int:
    return int(getattr(model.config, "max_position_embeddings", None) or 1024)
