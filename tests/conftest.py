"""Fixtures for the whole test suite."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import pytest

SLOWEST = ("multinode", "end_to_end", "ranks")
"""Folders whose tests go first, so that pytest in parallel ends with what is shared out in small parts."""
IN_TURN = ("multinode", "ranks")
"""Folders whose tests share hosts, or have more processes than there are cores."""


if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A shell that starts this in the background says so, and all that the tests start would be deaf to Ctrl-C.
    signal.signal(signal.SIGINT, signal.default_int_handler)


def folder(nodeid: str) -> str:
    """The folder below ``tests`` that a test is in."""
    return nodeid.split("::")[0].split("/")[1]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Sort; within a folder the order stays."""
    items.sort(key=lambda item: [*SLOWEST, folder(item.nodeid)].index(folder(item.nodeid)))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Where pytest itself runs in parallel, tests of :data:`IN_TURN` stay one after another.

    Marks of pytest-xdist (3.8) would say so in fewer words, but pytest 9.2 does not let it see them.
    """
    from xdist.scheduler import LoadScopeScheduling

    class InTurn(LoadScopeScheduling):
        """One worker for each of these folders; the other tests are shared out by file."""

        def _split_scope(self, nodeid: str) -> str:
            return folder(nodeid) if folder(nodeid) in IN_TURN else nodeid.split("::")[0]

    return InTurn(config, log)


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder with the public data sets; tests that need it are skipped where it is absent."""
    default = Path(__file__).resolve().parents[2] / "shared" / "data"
    folder = Path(os.environ.get("DIST_STILTS_TEST_DATA") or default)
    if not folder.is_dir():
        pytest.skip("no real data sets: set DIST_STILTS_TEST_DATA to the folder that holds them")
    return folder


@pytest.fixture(scope="session")
def tiny_translator(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a translation model of NLLB's type with random weights: it spells, and knows en, de and fr."""
    import torch
    from transformers import M2M100Config, M2M100ForConditionalGeneration, NllbTokenizer

    folder = tmp_path_factory.mktemp("tiny-translator")
    symbols = ["<s>", "<pad>", "</s>", "<unk>", "▁", *"abcdefghijklmnopqrstuvwxyz.,?'"]
    codes = ["eng_Latn", "deu_Latn", "fra_Latn"]
    tokenizer = NllbTokenizer(
        vocab={symbol: number for number, symbol in enumerate(symbols)}, merges=[], extra_special_tokens=codes
    )
    sizes = {"layers": 1, "attention_heads": 2, "ffn_dim": 16}
    config = M2M100Config(
        vocab_size=len(tokenizer),
        d_model=16,
        max_position_embeddings=64,
        init_std=0.5,
        tie_word_embeddings=False,
        decoder_start_token_id=2,
        **{f"{side}_{what}": size for side in ("encoder", "decoder") for what, size in sizes.items()},
    )
    torch.manual_seed(0)
    model = M2M100ForConditionalGeneration(config)
    with torch.no_grad():  # else most of what it says are special tokens
        model.lm_head.weight[[0, 1, 3, *range(len(symbols), len(tokenizer))]] = 0
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder
