"""A subword tokenizer built from the lexicons: XLM-R's kind (Unigram, Metaspace) and special tokens, nothing trained.

Trained on so few words, Unigram would cut stems apart and BPE would glue endings to them. Here each word is one piece
and so is each ending. Single characters, at a low score, spell everything else that is written in the same letters.
"""

from __future__ import annotations

import json
import string
from collections.abc import Sequence
from pathlib import Path

from dist_stilts.simulate.languages import Language

SPECIAL = ("<s>", "<pad>", "</s>", "<unk>")
"""Ids 0 to 3, as in XLM-R; ``<mask>`` comes last."""
MASK = "<mask>"
WORD_START = "\u2581"
MAX_LENGTH = 128
_WORD, _ENDING, _LETTER = -9.0, -7.0, -25.0


def write_tokenizer(folder: Path, languages: Sequence[Language]) -> None:
    """Write ``tokenizer.json`` and ``tokenizer_config.json``, as ``AutoTokenizer.from_pretrained`` expects them."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

    pieces = vocabulary(languages)
    tokenizer = Tokenizer(models.Unigram(pieces, unk_id=SPECIAL.index("<unk>"), byte_fallback=False))
    tokenizer.normalizer = normalizers.NFKC()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace(WORD_START, prepend_scheme="always")]
    )
    tokenizer.decoder = decoders.Metaspace(WORD_START, prepend_scheme="always")
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", pair="<s> $A </s> </s> $B </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    tokenizer.add_special_tokens([*SPECIAL, AddedToken(MASK, lstrip=True)])
    folder.mkdir(parents=True)
    tokenizer.save(str(folder / "tokenizer.json"))
    (folder / "tokenizer_config.json").write_text(json.dumps(_config(), indent=2) + "\n", encoding="utf-8")


def vocabulary(languages: Sequence[Language]) -> list[tuple[str, float]]:
    """(piece, log score) in id order: special tokens, words, endings, letters, mask."""
    words = dict.fromkeys(WORD_START + word for language in languages for word in language.lexicon.words.values())
    endings = dict.fromkeys(e for language in languages for e in (language.lexicon.plural, language.lexicon.case) if e)
    letters = dict.fromkeys([WORD_START, *string.ascii_letters, *string.digits, *string.punctuation])
    letters |= dict.fromkeys(letter for word in words for letter in word)
    scored = dict.fromkeys(letters, _LETTER) | dict.fromkeys(endings, _ENDING) | dict.fromkeys(words, _WORD)
    ordered = [
        *words,
        *(e for e in endings if e not in words),
        *(c for c in letters if c not in words and c not in endings),
    ]
    return [*((token, 0.0) for token in SPECIAL), *((piece, scored[piece]) for piece in ordered), (MASK, 0.0)]


def _config() -> dict[str, object]:
    return {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": "<s>", "cls_token": "<s>", "eos_token": "</s>", "sep_token": "</s>",
        "pad_token": "<pad>", "unk_token": "<unk>", "mask_token": MASK,
        "model_max_length": MAX_LENGTH, "padding_side": "right", "clean_up_tokenization_spaces": False,
    }  # fmt: skip
