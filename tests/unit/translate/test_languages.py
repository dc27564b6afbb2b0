"""Every language of ours has the name by which each kind of translation model knows it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from dist_stilts.errors import UserError
from dist_stilts.tasks.languages import XTREME_LANGUAGES
from dist_stilts.translate.languages import FLORES, known, require_known


class Tokenizer(SimpleNamespace):
    """Knows some tokens."""

    src_lang = "?"
    unk_token_id = 3

    def convert_tokens_to_ids(self, token: str) -> int:
        return self.tokens.get(token, 3)


def test_the_codes_are_those_of_nllb() -> None:
    from transformers.models.nllb.tokenization_nllb import FAIRSEQ_LANGUAGE_CODES

    assert set(FLORES.values()) <= set(FAIRSEQ_LANGUAGE_CODES)
    assert {*XTREME_LANGUAGES, "ht", "qu", "it"} <= set(FLORES)


def test_m2m100_lacks_three_of_our_languages() -> None:
    from transformers.models.m2m_100.tokenization_m2m_100 import FAIRSEQ_LANGUAGE_CODES

    tokens = {f"__{code}__": 10 + number for number, code in enumerate(FAIRSEQ_LANGUAGE_CODES["m2m100"])}
    languages = known(Tokenizer(tokens=tokens))
    assert set(FLORES) - set(languages) == {"eu", "qu", "te"}
    assert languages["de"] == ("de", tokens["__de__"])


def test_nllb_knows_its_own_names_and_a_tokenizer_that_translates_nothing_none() -> None:
    languages = known(Tokenizer(tokens={"eng_Latn": 7, "deu_Latn": 8}))
    assert languages == {"en": ("eng_Latn", 7), "de": ("deu_Latn", 8)}
    with pytest.raises(UserError, match="no language 'dr'"):
        require_known("dr", languages)
    plain: Any = SimpleNamespace(unk_token_id=0, convert_tokens_to_ids=lambda token: 1)
    assert known(plain) == {}
