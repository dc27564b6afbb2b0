"""A real sequence-to-sequence model translates alike every time; what is no such model is one clear error."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from dist_stilts.errors import UserError
from dist_stilts.tasks.languages import XTREME_LANGUAGES
from dist_stilts.translate.languages import FLORES, known, require_known
from dist_stilts.translate.translator import Translator, load_translator

CPU = torch.device("cpu")
TEXTS = ["hello there.", "so it goes", "a"]


@pytest.fixture(scope="module")
def translator(tiny_translator: Path) -> Translator:
    return load_translator(tiny_translator, 1, 48, CPU)


def test_translations_depend_on_language_and_beams_and_not_on_the_generation_config(
    translator: Translator, tiny_translator: Path
) -> None:
    german = translator(TEXTS, "de")
    again, beams = (load_translator(tiny_translator, beams, 48, CPU) for beams in (1, 3))
    assert german == translator(TEXTS, "de") == again(TEXTS, "de")
    config = again.model.generation_config
    config.do_sample, config.temperature, config.max_length = True, 9.0, 3
    assert again(TEXTS, "de") == german
    for other in (translator(TEXTS, "fr"), beams(TEXTS, "de")):
        assert [one.text for one in other] != [one.text for one in german]


def test_no_special_token_is_left_and_what_did_not_end_is_marked(translator: Translator) -> None:
    results = translator(TEXTS, "de")
    assert {one.cut for one in results} == {True, False}
    longest = 2 * translator.length(TEXTS[0]) + 32
    for one in results:
        assert not {"<", "_"} & set(one.text)
        # spaces are tokens, too, and those at the ends are gone: what was stopped is never longer than the limit
        assert len(one.text) <= longest


def test_lengths_count_special_tokens_and_no_piece_may_be_longer_than_the_model_can_take(
    translator: Translator, tiny_translator: Path
) -> None:
    assert translator.length("so it goes") == len("_so_it_goes") + 2
    assert (translator.limit, translator.dtype) == (48, "float32")
    assert load_translator(tiny_translator, 1, 1000, CPU).limit == 64
    with pytest.raises(UserError, match=r"the model has no language 'zh'\. known: de, en, fr"):
        translator.require("zh")


def copied(folder: Path, to: Path, **changes: Any) -> Path:
    shutil.copytree(folder, to)
    config = json.loads((to / "config.json").read_text())
    (to / "config.json").write_text(json.dumps(config | changes))
    return to


def test_what_is_no_whole_sequence_to_sequence_model_with_languages_is_refused(
    tiny_translator: Path, tmp_path: Path
) -> None:
    (tmp_path / "empty").mkdir()
    cut_off = copied(tiny_translator, tmp_path / "cut off")
    (cut_off / "model.safetensors").write_bytes((cut_off / "model.safetensors").read_bytes()[:1000])
    encoder = {"model_type": "xlm-roberta", "architectures": ["XLMRobertaModel"]}
    mute = copied(tiny_translator, tmp_path / "mute")
    config = json.loads((mute / "tokenizer_config.json").read_text())
    del config["extra_special_tokens"]
    (mute / "tokenizer_config.json").write_text(json.dumps(config | {"tokenizer_class": "PreTrainedTokenizerFast"}))
    no_model = "cannot load a sequence-to-sequence model"
    for folder, said in (
        (tmp_path / "empty", "this is no model: it has no config.json"),
        (cut_off, r"model\.safetensors: damaged"),
        (mute, "no language codes"),
        (copied(tiny_translator, tmp_path / "encoder", **encoder), f"{no_model}: .*nllb-200-distilled-600M"),
        (copied(tiny_translator, tmp_path / "deeper", encoder_layers=2), "tensors of the model are not in the file"),
    ):
        with pytest.raises(UserError, match=said):
            load_translator(folder, 1, 48, CPU)


def test_a_model_of_m2m100_s_own_kind_translates(tiny_translator: Path, tmp_path: Path) -> None:
    """Its tokenizer is another: SentencePiece, and languages by ISO 639-1."""
    sentencepiece = pytest.importorskip("sentencepiece")
    from transformers import M2M100Config, M2M100ForConditionalGeneration, M2M100Tokenizer

    letters = "abcdefghijklmnopqrstuvwxyz"
    (tmp_path / "text").write_text("".join(f"{a}{b} " for a in letters for b in letters) + "\n")
    sentencepiece.SentencePieceTrainer.train(
        input=str(tmp_path / "text"), model_prefix=str(tmp_path / "spm"), vocab_size=50, minloglevel=2
    )
    spm = sentencepiece.SentencePieceProcessor(str(tmp_path / "spm.model"))
    symbols = ["<s>", "<pad>", "</s>", "<unk>", *(spm.id_to_piece(number) for number in range(3, 50))]
    (tmp_path / "vocab.json").write_text(json.dumps({symbol: number for number, symbol in enumerate(symbols)}))
    tokenizer = M2M100Tokenizer(str(tmp_path / "vocab.json"), str(tmp_path / "spm.model"))
    sizes = {"layers": 1, "attention_heads": 2, "ffn_dim": 16}
    shape = {f"{side}_{what}": size for side in ("encoder", "decoder") for what, size in sizes.items()}
    torch.manual_seed(0)
    config = M2M100Config(vocab_size=200, d_model=16, decoder_start_token_id=2, **shape)
    M2M100ForConditionalGeneration(config).save_pretrained(tmp_path / "m")
    tokenizer.save_pretrained(tmp_path / "m")
    translator = load_translator(tmp_path / "m", 1, 48, CPU)
    translator.require("sw")
    with pytest.raises(UserError, match=r"'eu'\. known: af, ar"):
        translator.require("eu")
    assert len(translator(["ab cd", "ef"], "de")) == 2
    generated: Any = translator._generate(translator.tokenizer(["ab"], return_tensors="pt"), "de", 5)
    assert tokenizer.convert_ids_to_tokens(int(generated[0, 1])) == "__de__"


class Tokenizer(SimpleNamespace):
    """Knows some tokens."""

    src_lang = "?"
    unk_token_id = 3

    def convert_tokens_to_ids(self, token: str) -> int:
        return self.tokens.get(token, 3)


def test_the_codes_are_those_of_nllb_m2m100_lacks_three_of_our_languages_and_other_tokenizers_know_none() -> None:
    from transformers.models.m2m_100 import tokenization_m2m_100 as m2m100
    from transformers.models.nllb import tokenization_nllb as nllb

    assert set(FLORES.values()) <= set(nllb.FAIRSEQ_LANGUAGE_CODES)
    assert {*XTREME_LANGUAGES, "ht", "qu", "it"} <= set(FLORES)
    tokens = {f"__{code}__": 10 + number for number, code in enumerate(m2m100.FAIRSEQ_LANGUAGE_CODES["m2m100"])}
    languages = known(Tokenizer(tokens=tokens))
    assert set(FLORES) - set(languages) == {"eu", "qu", "te"}
    assert languages["de"] == ("de", tokens["__de__"])
    languages = known(Tokenizer(tokens={"eng_Latn": 7, "deu_Latn": 8}))
    assert languages == {"en": ("eng_Latn", 7), "de": ("deu_Latn", 8)}
    with pytest.raises(UserError, match="no language 'dr'"):
        require_known("dr", languages)
    plain: Any = SimpleNamespace(unk_token_id=0, convert_tokens_to_ids=lambda token: 1)
    assert known(plain) == {}
