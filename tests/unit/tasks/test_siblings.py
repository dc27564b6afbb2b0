from __future__ import annotations

from pathlib import Path

import pytest

from dist_stilts.tasks.siblings import home, one_name, siblings


@pytest.mark.parametrize(
    ("file", "beside", "expected"),
    [
        (
            "train.csv",
            ["dev.csv", "test.de.csv", "test.fr.csv", "train.de.csv", "notes.csv", "test.de.txt"],
            {"dev": ("dev.csv", ["en"], []), "test": ("test.{lang}.csv", ["de", "fr"], [])},
        ),
        ("my.train.jsonl", ["my.test.jsonl", "my.test.de.jsonl"], {"test": ("my.test.jsonl", ["en", "de"], [])}),
        ("my.train.jsonl", ["your.test.jsonl"], {}),
        (
            "train-en.tsv.gz",
            ["dev-en.tsv", "test-en.tsv", "test-zh.tsv"],
            {"dev": ("dev-en.tsv", ["en"], []), "test": ("test-{lang}.tsv", ["en", "zh"], [])},
        ),
        ("train.csv", ["test.csv", "test_de.csv"], {"test": ("test_{lang}.csv", ["de"], ["test.csv"])}),
        (
            "en/train.txt",
            ["en/dev.txt", "en/test.txt", "sw/test.txt", "yo/test.txt"],
            {"dev": ("en/dev.txt", ["en"], []), "test": ("{lang}/test.txt", ["en", "sw", "yo"], [])},
        ),
        ("data.csv", ["data-val.csv"], {"dev": ("data-val.csv", ["en"], [])}),
    ],
)
def test_files_of_other_splits_and_languages_are_known_by_their_names(
    tmp_path: Path, file: str, beside: list[str], expected: dict[str, tuple[str, list[str], list[str]]]
) -> None:
    for name in (file, *beside):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert home(tmp_path / file) == tmp_path
    assert {split: one_name(files) for split, files in siblings(tmp_path / file).items()} == expected
