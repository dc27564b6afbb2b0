from __future__ import annotations

from pathlib import Path

import pytest
from tokenizers import Tokenizer

from dist_stilts.simulate import Language
from dist_stilts.simulate.tokenizer import MASK, SPECIAL, WORD_START, vocabulary


@pytest.fixture(scope="module")
def tokenizer(root: Path) -> Tokenizer:
    return Tokenizer.from_file(str(root / "tokenizer" / "tokenizer.json"))


def test_special_tokens_and_pairs_are_those_of_xlm_r(tokenizer: Tokenizer) -> None:
    assert [tokenizer.token_to_id(token) for token in SPECIAL] == [0, 1, 2, 3]
    assert tokenizer.token_to_id(MASK) == tokenizer.get_vocab_size() - 1
    assert tokenizer.encode("dog", "cat").tokens == ["<s>", "▁dog", "</s>", "</s>", "▁cat", "</s>"]
    assert set(tokenizer.encode("dog", "cat").type_ids) == {0}


def test_every_written_text_survives_the_round_trip_without_unknown_pieces(tokenizer: Tokenizer, root: Path) -> None:
    for file in sorted((root / "mlm").glob("*.txt")):
        for line in file.read_text(encoding="utf-8").splitlines():
            encoding = tokenizer.encode(line)
            assert SPECIAL.index("<unk>") not in encoding.ids
            assert tokenizer.decode(encoding.ids) == line


def test_a_word_is_its_stem_and_its_endings_and_pieces_are_unique_and_few(
    tokenizer: Tokenizer, tongues: dict[str, Language]
) -> None:
    for language in tongues.values():
        lexicon = language.lexicon
        for concept in ("dog", "boat", "anna"):
            stem = WORD_START + lexicon.words[concept]
            pieces = tokenizer.encode(lexicon.words[concept] + lexicon.plural + lexicon.case, add_special_tokens=False)
            assert pieces.tokens == [stem, *(ending for ending in (lexicon.plural, lexicon.case) if ending)]
    pieces = [piece for piece, _ in vocabulary(list(tongues.values()))]
    assert len(set(pieces)) == len(pieces) < 2500


def test_transformers_loads_it_offline(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    transformers = pytest.importorskip("transformers")
    loaded = transformers.AutoTokenizer.from_pretrained(str(root / "tokenizer"))
    assert (loaded.bos_token_id, loaded.pad_token_id, loaded.eos_token_id, loaded.unk_token_id) == (0, 1, 2, 3)
    assert loaded.is_fast
    assert loaded.mask_token_id == len(loaded) - 1
    assert loaded("dog", "cat")["input_ids"] == loaded.backend_tokenizer.encode("dog", "cat").ids
    assert loaded(["dog", "."], is_split_into_words=True).word_ids() == [None, 0, 1, None]
