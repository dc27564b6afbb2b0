from __future__ import annotations

import pytest
import yaml

from dist_stilts.config import dump
from dist_stilts.redaction import HIDDEN, redact


def test_values_of_secret_variables_are_masked_by_name_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "HF_TOKEN": "hf_abcdefgh",
        "AWS_SECRET_ACCESS_KEY": "wJalrXUtnFEMI",
        "DB_PASSWORD": "true",  # a word of any text
        "TOKENIZERS_PARALLELISM": "paralleltrue",
        "HF_TOKEN_PATH": "/home/me/token",
    }.items():
        monkeypatch.setenv(name, value)
    said = redact("hf_abcdefgh wJalrXUtnFEMI true paralleltrue /home/me/token")
    assert said == "<HF_TOKEN> <AWS_SECRET_ACCESS_KEY> true paralleltrue /home/me/token"


def test_a_dumped_config_hides_secrets_and_leaves_special_tokens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_abcdefgh")
    shown = {"path": "of/hf_abcdefgh", "config": {"api_key": "0123456789", "pad_token": "<pad>", "pad_token_id": 1}}
    expected = {"path": "of/<HF_TOKEN>", "config": {"api_key": HIDDEN, "pad_token": "<pad>", "pad_token_id": 1}}
    assert yaml.safe_load(dump(shown)) == expected
