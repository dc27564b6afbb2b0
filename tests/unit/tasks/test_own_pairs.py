from __future__ import annotations

import gzip
import pickle
from pathlib import Path
from typing import Any

import pytest
from task_files import refusal, tatoeba, write

from dist_stilts.config import load
from dist_stilts.experiment.run_config import Recipe
from dist_stilts.tasks.own_pairs import pair_spec
from dist_stilts.tasks.read_bitext import read_bucc2018, read_tatoeba
from dist_stilts.tasks.read_own import OwnTask, own_spec
from dist_stilts.tasks.sources import available_languages, data_revision, load_bitext

ALIGNED = OwnTask("tatoeba", {"test": ["my.{lang}.txt", "my.en.txt"]}, languages=["de", "fi"])
MINED = OwnTask("bucc", {"dev": ["dev.de", "dev.en", "dev.gold"], "test": ["t.de", "t.en", "t.gold"]}, languages=["de"])


def entry(family: str = "tatoeba", **changes: Any) -> OwnTask:
    """An entry that is right but for the changes."""
    right: dict[str, Any] = {"files": {"test": ["my.txt", "my.en.txt"]}, "languages": ["de"]}
    return OwnTask(family, **{**right, **changes})


def test_two_aligned_files_are_read_as_tatoeba_is(tmp_path: Path) -> None:
    sides = ("Ja.\nNein.\n", "Yes.\nNo.\n")
    write(tmp_path, {**tatoeba(*sides), **dict(zip(("my.de.txt", "my.en.txt"), sides, strict=True))})
    spec = own_spec("my_pairs", ALIGNED)
    assert (spec.family, spec.metric, spec.splits) == ("tatoeba", "accuracy", ("test",))
    assert load_bitext(spec, tmp_path, "test", "de") == read_tatoeba(tmp_path, "test", "de")
    assert available_languages(spec, tmp_path, "test") == ["de"]


def test_two_sides_and_gold_are_read_as_bucc_is(tmp_path: Path) -> None:
    sides = {"de": "d1\tja\nd2\tnein\n", "en": "e9\tyes\n", "gold": "d1\te9\n"}
    for name in ("dev", "t", "de-en.dev"):
        write(tmp_path, {f"{name}.{suffix}": text for suffix, text in sides.items()})
    spec = own_spec("my_corpora", MINED)
    assert (spec.family, spec.metric, spec.splits) == ("bucc", "f1", ("dev", "test"))
    for split in spec.splits:
        assert load_bitext(spec, tmp_path, split, "de") == read_bucc2018(tmp_path, "dev", "de")


def test_files_may_be_packed_or_elsewhere_and_their_content_is_the_revision(tmp_path: Path) -> None:
    write(tmp_path, {"root/other": "", "my.de.txt.gz": gzip.compress(b"ja\n"), "my.en.txt": "yes\n"})
    files = {"test": [str(tmp_path / "my.{lang}.txt"), str(tmp_path / "my.en.txt")]}
    spec = own_spec("my_pairs", OwnTask("tatoeba", files))
    assert load_bitext(spec, tmp_path / "root", "test", "de").source == ("ja",)
    before = data_revision(spec, tmp_path / "root", "test", "de")
    (tmp_path / "my.en.txt").write_text("yea\n")
    assert data_revision(spec, tmp_path / "root", "test", "de") != before


def test_files_without_a_language_in_their_names_are_of_one_language_only(tmp_path: Path) -> None:
    write(tmp_path, {"world.json": {"languages": {"en": {}, "qaa": {}}}, "my.txt": "ja\n", "my.en.txt": "yes\n"})
    assert available_languages(own_spec("my_pairs", entry()), tmp_path, "test") == ["de"]


def test_the_example_of_the_documentation_is_an_entry(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text(
        "data:\n  own_tasks:\n    my_pairs:\n      family: tatoeba\n"
        '      files: {test: ["my.{lang}.txt", my.en.txt]}\n      languages: [de, fi]\n'
    )
    own = load(Recipe, tmp_path / "mine.yaml").data.own_tasks["my_pairs"]
    assert own == ALIGNED
    spec = own_spec("my_pairs", own)
    assert (spec.languages, spec.layouts) == (("de", "fi"), ("my.{lang}.txt + my.en.txt",))
    again = pickle.loads(pickle.dumps(spec))
    assert again.find(Path(), "test", "fi") == [Path("my.fi.txt"), Path("my.en.txt")]


@pytest.mark.parametrize(
    ("own", "message"),
    [
        (entry(files={}), "own_tasks.mine: no files. Give files: {test: [SOURCE, TARGET]}"),
        (entry(files={"tset": ["a", "b"]}), "own_tasks.mine.files: retrieval has no split 'tset'. did you mean 'test'"),
        (entry(files={"train": ["a", "b"]}), "retrieval has no split 'train'. known: dev, test"),
        (entry(files={"test": "a"}), "own_tasks.mine.files.test: tatoeba reads 2 files. Give [SOURCE, TARGET]"),
        (entry("bucc", files={"dev": ["a", "b"]}), "bucc reads 3 files. Give [SOURCE, TARGET, GOLD]"),
        (entry("bucc", files={"test": ["a", "b", "c"]}), "no dev files to tune the threshold on. Give dev: [SOURCE"),
        (entry(files={"test": [{"a": None}, "b"]}), "{'a': None} is no file"),
        (entry(files={"test": ["{language}.txt", "b"]}), "'{language}' stands for nothing. Write {lang}"),
        (entry(languages=[]), "own_tasks.mine.languages: no language. Give that of the source, such as [de]"),
        (entry(languages=["de", "fi"]), "one source file for 2 languages. Write {lang}"),
        (entry(languages=["de", "de"]), "own_tasks.mine.languages: a language occurs twice"),
        (entry(languages=["../de"]), "'../de' is no language. Write codes such as de"),
        (entry(columns={"text": "a"}), "own_tasks.mine.columns: the family tatoeba has no columns. Leave it out"),
        (entry(labels=["a"]), "the family tatoeba has no labels"),
        (OwnTask("mlm", {"train": ["a.csv", 3]}), "own_tasks.mine.files.train: ['a.csv', 3] is no file"),
    ],
)
def test_a_mistake_in_the_entry_is_named(own: OwnTask, message: str) -> None:
    assert message in refusal(own_spec, "mine", own)


def test_sentences_without_text_are_passed_over_with_their_pairs_and_counted(tmp_path: Path) -> None:
    write(tmp_path, {"my.de.txt": "\u200b\nja\n\nnein\n", "my.en.txt": "no\nyes\n\xad\n \n"})
    found = load_bitext(own_spec("my_pairs", ALIGNED), tmp_path, "test", "de")
    assert (found.source, found.target, found.gold, found.blank) == (("ja",), ("yes",), (("1", "1"),), 6)
    write(tmp_path, {"dev.de": "d1\tja\nd2\t\ufeff\n", "dev.en": "e1\tyes\ne2\tno\n", "dev.gold": "d1\te1\nd2\te2\n"})
    found = load_bitext(own_spec("mine", MINED), tmp_path, "dev", "de")
    assert (found.source_ids, found.target_ids, found.gold, found.blank) == (("d1",), ("e1", "e2"), (("d1", "e1"),), 1)
    write(tmp_path, {"my.fi.txt": "\n\n\n\u200b\n"})
    assert "no sentence has text" in refusal(load_bitext, own_spec("my_pairs", ALIGNED), tmp_path, "test", "fi")


def test_a_mistake_in_a_file_is_named_with_its_line(tmp_path: Path) -> None:
    write(tmp_path, {"my.de.txt": "ja\n\nnein\n", "my.en.txt": "yes\n"})
    for language, said in (
        ("de", "my.en.txt:1: my.de.txt has 3 lines, my.en.txt has 1"),
        ("fr", "my_pairs has no language 'fr'. known: de, fi"),
        ("fi", f"expected {tmp_path / 'my.fi.txt'}"),
    ):
        assert said in refusal(load_bitext, own_spec("my_pairs", ALIGNED), tmp_path, "test", language)


def test_two_paths_are_a_task_without_a_recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, {"news.de": "ja\nnein\n", "news.en": "yes\nno\n"})
    monkeypatch.chdir(tmp_path)
    spec = pair_spec(Path("news.de"), Path("news.en"))
    assert (spec.name, spec.languages) == ("news.de+news.en", ("und",))
    assert load_bitext(spec, Path("/elsewhere"), "test", "und").source == ("ja", "nein")
    assert load_bitext(pair_spec(Path("news.de"), Path("news.en"), "de"), Path(), "test", "de").target == ("yes", "no")
    assert "news.fr: no such file" in refusal(pair_spec, Path("news.de"), tmp_path / "news.fr")
