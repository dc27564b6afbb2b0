from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
from models_made import export_model

from dist_stilts.__main__ import main
from dist_stilts.model.encoder import new_encoder


def run(monkeypatch: pytest.MonkeyPatch, *args: object) -> object:
    monkeypatch.setattr(sys, "argv", ["dist-stilts", *map(str, args)])
    with pytest.raises(SystemExit) as exit_:
        main()
    return exit_.value.code


@pytest.fixture
def models(tiny_config: dict[str, Any], tokenizer: Any, tmp_path: Path) -> list[Path]:
    folders = [tmp_path / "a", tmp_path / "b"]
    for seed, folder in enumerate(folders):
        encoder = new_encoder(tiny_config, None, None, tokenizer, seed)
        export_model(folder, encoder, tokenizer, name=folder.name, origin="pretrained", start="start")
    return folders


def test_one_line_says_what_was_averaged_or_why_nothing_was_and_help_teaches_by_an_example(
    models: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, "average", *models, "--out", tmp_path / "out") == 0
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"{tmp_path / 'out'}: the average of 2 models, digest ")
    assert all(f"{model.name} (" in line for model in models)
    assert run(monkeypatch, "average", models[0], "--out", tmp_path / "other") == 2
    assert capsys.readouterr().err.splitlines() == ["error: one model has no average. Give two or more"]
    assert run(monkeypatch, "average", "--out", tmp_path / "other") == 2
    run(monkeypatch, "average", "--help")
    assert "dist-stilts average runs/seed0/xnli" in capsys.readouterr().out
