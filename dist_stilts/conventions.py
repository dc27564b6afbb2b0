"""What every room agrees on, said once: the source language, units of memory, kinds of callbacks, which texts
have anything to read, how things are hashed, and which version of a package is there.

Digests name caches, runs, subsets and slices on the disks of users: the same content must hash alike for ever.
"""

from __future__ import annotations

import hashlib
import json
import unicodedata
from collections.abc import Callable, Iterable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

ENGLISH = "en"
"""The language of the training labels, and of one side of every bitext."""

KIB, MIB, GIB = 2**10, 2**20, 2**30
"""Bytes."""

OnProgress = Callable[[str, int, int], None]
"""Called as ``progress(what, done, total)``; a total of 0 is not known."""
OnCount = Callable[[int, int], None]
"""Called as ``progress(done, total)``, where there is one thing to count."""

JsonObject = dict[str, Any]
"""An object of a JSON file or a row of a table: name to value."""


_UNSEEN = frozenset(["Cc", "Cf", "Mn", "Me", "Zl", "Zp", "Zs"])
"""Categories of Unicode that show nothing by themselves: controls, formats (zero-width, bidirectional, soft hyphens,
byte order marks), marks without a letter (variation selectors, accents), separators."""
_FILLERS = frozenset("\u115f\u1160\u2800\u3164\uffa0")
"""Letters and symbols by category that are blank: fillers of Hangul, the empty Braille pattern."""


def has_text(text: str) -> bool:
    """Whether a text holds a character that shows. One that holds none is a text without text, however long."""
    return any(unicodedata.category(one) not in _UNSEEN and one not in _FILLERS for one in text)


def sha256_of(parts: Iterable[bytes]) -> str:
    """SHA-256, in hexadecimal, of the parts as one stretch of bytes."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part)
    return digest.hexdigest()


def sha256_of_text(text: str) -> str:
    """SHA-256, in hexadecimal, of the text in UTF-8."""
    return sha256_of([text.encode()])


def sha256_of_file(path: Path) -> str:
    """SHA-256, in hexadecimal, of what a file holds; OSError if it cannot be read."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def fingerprint(content: Any) -> str:
    """12 hexadecimal digits for plain content (see ``config.plain``): equal content, equal digits, on every machine."""
    return sha256_of_text(json.dumps(content, sort_keys=True, ensure_ascii=False, default=str))[:12]


def text_hash(text: str, size: int = 8) -> bytes:
    """BLAKE2b of a text in UTF-8, ``size`` bytes: what decides by chance, but alike everywhere, where a row falls."""
    return hashlib.blake2b(text.encode(), digest_size=size).digest()


def installed_version(package: str) -> str:
    """The version of a package as its metadata give it, or ``not installed``; the package is not imported."""
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"
