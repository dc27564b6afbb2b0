from __future__ import annotations

from pathlib import Path

import pytest

from dist_stilts.errors import UserError
from dist_stilts.evaluate.submission import score_files, score_folder


def write(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text, encoding="utf-8")
    return root


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    predictions = write(
        tmp_path / "predictions",
        {
            "xnli/test-en.tsv": "neutral\nentailment\n",
            "xnli/test-de.tsv": "neutral\nneutral\n",
            "udpos/test-en.tsv": "DET\nNOUN\n\nVERB\nNOUN\n",
            "tatoeba/test-de.tsv": "0\n0\n2\n1\n",
            "bucc2018/test-de.tsv": "de-1\ten-1\nde-2\ten-9\n",
        },
    )
    labels = write(
        tmp_path / "labels",
        {
            "xnli/test-en.tsv": "neutral\nentailment\n",
            "xnli/test-de.tsv": "neutral\nentailment\n",
            "udpos/test-en.tsv": "the\tDET\ncat\tNOUN\n\nlift\tVERB\nit\tPRON\n\n",
            "tatoeba/test-de.tsv": "0\n1\n2\n3\n",
            "bucc2018/test-de.tsv": "de-1\ten-1\nde-2\ten-2\nde-3\ten-3\n",
        },
    )
    return predictions, labels


def test_every_task_is_scored_and_averaged_over_its_languages(folders: tuple[Path, Path]) -> None:
    scores = score_folder(*folders)
    assert scores["xnli"] == {
        "languages": {"de": {"accuracy": 50.0}, "en": {"accuracy": 100.0}},
        "average": {"accuracy": 75.0},
    }
    assert scores["udpos"]["average"] == {"f1": 75.0, "accuracy": 75.0}
    assert scores["tatoeba"]["average"] == {"accuracy": 50.0}
    assert scores["bucc2018"]["average"] == pytest.approx({"f1": 40.0, "precision": 50.0, "recall": 100 / 3})


def test_no_pair_found_is_a_score_of_zero(folders: tuple[Path, Path]) -> None:
    (folders[0] / "bucc2018" / "test-de.tsv").write_text("\n")
    assert score_folder(*folders)["bucc2018"]["average"] == {"f1": 0.0, "precision": 0.0, "recall": 0.0}


def test_a_task_without_labels_is_left_out(folders: tuple[Path, Path]) -> None:
    for file in (folders[1] / "tatoeba").iterdir():
        file.unlink()
    (folders[1] / "tatoeba").rmdir()
    assert sorted(score_folder(*folders)) == ["bucc2018", "udpos", "xnli"]


def test_predictions_without_their_label_file_are_refused(folders: tuple[Path, Path]) -> None:
    (folders[1] / "xnli" / "test-de.tsv").unlink()
    with pytest.raises(UserError, match=r"xnli/test-de\.tsv: no labels for these predictions"):
        score_folder(*folders)


def test_folders_without_a_common_task_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no task in common"):
        score_folder(tmp_path, tmp_path)


@pytest.mark.parametrize(
    ("task", "predicted", "gold", "message"),
    [
        ("xnli", "neutral\n", "neutral\nneutral\n", "1 lines, but its labels have 2"),
        ("tatoeba", "0\n1\n2\n", "0\n1\n", "3 lines, but its labels have 2"),
        ("udpos", "DET\n", "DET\n\nNOUN\n", "1 sentences, but its labels have 2"),
        ("udpos", "DET\n\nNOUN\nVERB\n", "DET\n\nNOUN\n", "sentence 2 has 2 tags, its labels have 1"),
    ],
)
def test_predictions_of_another_length_are_refused(
    tmp_path: Path, task: str, predicted: str, gold: str, message: str
) -> None:
    write(tmp_path, {"predicted.tsv": predicted, "gold.tsv": gold})
    with pytest.raises(UserError, match=message):
        score_files(task, tmp_path / "predicted.tsv", tmp_path / "gold.tsv")
