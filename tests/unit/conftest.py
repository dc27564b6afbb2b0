"""Fixtures of the unit tests: a small simulated world, tokenizers, a tiny encoder, validators of other formats."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from dist_stilts.simulate import write_world

# Folders that tests write to are of one test, not of one example: a property's examples may find each other's files.
# Slow is the machine, not the property: a busy one must not fail a test.
settings.register_profile(
    "unit",
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
settings.load_profile("unit")


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data root in the public file formats: English and simulated languages, a few dozen rows per file."""
    return write_world(tmp_path_factory.mktemp("simulated") / "world", seed=0, scale=0.05)


@pytest.fixture(scope="session")
def tokenizer(world: Path) -> Any:
    """The simulated world's tokenizer: XLM-R's kind, pairs are ``<s> a </s></s> b </s>``."""
    from dist_stilts.model.encoder import load_tokenizer

    return load_tokenizer(str(world / "tokenizer"))


@pytest.fixture(scope="session")
def bert_tokenizer() -> Any:
    """A word-level tokenizer that adds special tokens and token types as BERT does: ``[CLS] a [SEP] b [SEP]``."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    words += ["the", "a", "hot", "sailor", "never", "lifted", "lamp", "good", "bad", "cat"]
    backend = Tokenizer(models.WordLevel({word: number for number, word in enumerate(words)}, unk_token="[UNK]"))
    backend.pre_tokenizer = pre_tokenizers.Whitespace()
    backend.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    names = {f"{name}_token": f"[{name.upper()}]" for name in ("pad", "unk", "cls", "sep", "mask")}
    inputs = ["input_ids", "token_type_ids", "attention_mask"]
    return PreTrainedTokenizerFast(tokenizer_object=backend, model_input_names=inputs, **names)


@pytest.fixture(scope="session")
def tiny_config() -> dict[str, Any]:
    """The architecture of a two-layer XLM-R of width 16."""
    sizes = {"num_hidden_layers": 2, "hidden_size": 16, "num_attention_heads": 2, "intermediate_size": 32}
    positions = {"max_position_embeddings": 130, "type_vocab_size": 1}
    return {"model_type": "xlm-roberta", "initializer_range": 0.1, **sizes, **positions}


@pytest.fixture
def tiny_encoder(tiny_config: dict[str, Any], tokenizer: Any) -> Any:
    """A fresh encoder of :func:`tiny_config`, in evaluation mode."""
    from dist_stilts.model.encoder import new_encoder

    return new_encoder(tiny_config, None, None, tokenizer, seed=0).eval()


@pytest.fixture(scope="session")
def complaints() -> Callable[..., str]:
    """Runs a validator on files: ``complaints(package, program, *arguments)`` is what it says, empty if all is well.

    The test is skipped where the program is neither beside this Python nor on PATH.
    """

    def run(package: str, program: str, *arguments: str | Path) -> str:
        found = shutil.which(program, path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
        if found is None:
            pytest.skip(f"needs {program}: pip install {package}")
        done = subprocess.run([found, *map(str, arguments)], capture_output=True, text=True, check=False)
        return "" if done.returncode == 0 else done.stdout + done.stderr

    return run
