"""Secrets do not show: what the environment or a recipe holds under the name of one is masked in text that goes out."""

from __future__ import annotations

import os
import re
from typing import Any

SECRET = re.compile(r"(?:^|_)(?:token|secret|password|passwd|credentials?|(?:api|access|private)_?key)(?:_|$)", re.I)
"""Part of a variable's or key's name by which its value is a secret."""
LEAST_CHARACTERS = 8
"""Shorter ones are words (`true`, `<s>`) and would take half of a text with them."""
HIDDEN = "<hidden>"


def redact(text: str) -> str:
    """The text with the name of a variable in the place of each secret of the environment: ``<HF_TOKEN>``."""
    for name, value in os.environ.items():
        if value in text and _is_secret(name, value):
            text = text.replace(value, f"<{name}>")
    return text


def without_secrets(value: Any, name: str = "") -> Any:
    """A plain config of which what stands under the name of a secret is hidden."""
    if isinstance(value, dict):
        return {key: without_secrets(below, str(key)) for key, below in value.items()}
    if isinstance(value, list):
        return [without_secrets(below, name) for below in value]
    return HIDDEN if isinstance(value, str) and _is_secret(name, value) else value


def _is_secret(name: str, value: str) -> bool:
    # What is a path leads to a secret, and is none.
    return len(value) >= LEAST_CHARACTERS and not value.startswith("/") and bool(SECRET.search(name))
