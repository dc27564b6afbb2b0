"""Files and folders are whole or absent, links are written through, and what cannot be written is refused at once."""

from __future__ import annotations

import contextlib
import os
import socket
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from dist_stilts.errors import UserError
from dist_stilts.layout import RunFolder
from dist_stilts.writing import (
    COMPLETE,
    check_file,
    check_folder,
    check_room,
    is_complete,
    naming,
    publish,
    require_file,
    require_folder,
    stream_of,
    whole_folder,
    write_text,
)


def test_write_text_replaces_the_file_and_leaves_nothing_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "new" / "status.json"
    write_text(path, "old")
    write_text(path, "новый")
    assert path.read_text(encoding="utf-8") == "новый"
    assert [file.name for file in path.parent.iterdir()] == ["status.json"]


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_old_file_is_intact_if_writing_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    path = tmp_path / "status.json"
    write_text(path, "old")

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os if step == "fsync" else Path, step, fail)
    with pytest.raises(OSError, match="No space left"):
        write_text(path, "new")
    assert path.read_text() == "old"


def test_folder_is_invisible_until_its_block_ends_and_absent_after_an_exception(tmp_path: Path) -> None:
    def attempt(name: str) -> None:
        with whole_folder(tmp_path / "model") as folder:
            (folder / name).write_text("all")
            assert not (tmp_path / "model").exists()
            if name == "first":
                raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        attempt("first")
    assert not (tmp_path / "model").exists()
    attempt("second")
    assert is_complete(tmp_path / "model")
    assert sorted(file.name for file in (tmp_path / "model").iterdir()) == [COMPLETE, "second"]
    assert (tmp_path / "model" / "second").read_text() == "all"


def test_marker_is_written_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "partial"
    folder.mkdir()
    (folder / "a").touch()
    (folder / "b").touch()

    def fail(_: int) -> None:
        raise OSError

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match=r"^$"):
        publish(folder, tmp_path / "whole")
    assert not is_complete(folder)
    assert not (tmp_path / "whole").exists()


def test_publishing_replaces_an_unfinished_folder_and_keeps_the_note(tmp_path: Path) -> None:
    for name in ("partial", "whole"):
        (tmp_path / name).mkdir()
        (tmp_path / name / name).touch()
    assert not is_complete(tmp_path / "whole")
    publish(tmp_path / "partial", tmp_path / "whole", "note")
    assert sorted(file.name for file in (tmp_path / "whole").iterdir()) == [COMPLETE, "partial"]
    assert (tmp_path / "whole" / COMPLETE).read_text() == "note"


@pytest.fixture
def immutable(tmp_path: Path) -> Iterator[Path]:
    """A folder that nobody can write to, whatever their permissions."""
    folder = tmp_path / "immutable"
    folder.mkdir()
    if subprocess.run(["chattr", "+i", folder], capture_output=True, check=False).returncode:
        folder.chmod(0o555)
        if os.access(folder, os.W_OK):
            pytest.skip("no file system here refuses this user anything")
    yield folder
    subprocess.run(["chattr", "-i", folder], capture_output=True, check=False)


def occupied(place: Path, kind: str) -> Path:
    """A place where something else lies already."""
    if kind == "pipe":
        os.mkfifo(place)
    elif kind == "socket":
        with socket.socket(socket.AF_UNIX) as opened, contextlib.chdir(place.parent):
            opened.bind(place.name)
    elif kind == "loop":
        place.symlink_to(place.name)
    elif kind == "link to a pipe":
        place.symlink_to(occupied(place.with_name("pipe"), "pipe"))
    elif kind == "long name":
        return place.with_name("n" * 300)
    elif kind == "below a file":
        place.write_text("mine")
        return place / "below"
    return place


SPECIAL = ("pipe", "socket", "loop", "link to a pipe", "long name", "below a file")


@pytest.mark.parametrize("kind", SPECIAL)
def test_what_is_no_file_and_no_folder_is_refused_before_the_work_and_stays(tmp_path: Path, kind: str) -> None:
    place = occupied(tmp_path / "place", kind)
    before = sorted(os.lstat(path).st_mode for path in tmp_path.iterdir())
    for check in (require_file, check_file, require_folder, check_folder):
        if (check, kind) == (check_folder, "long name"):
            continue  # nothing is there; it is refused when it is made
        with pytest.raises(UserError, match=r"/(n+|place|pipe|below): (is|cannot be) ") as refused:
            check(place)
        assert "\n" not in str(refused.value)
    if kind in ("pipe", "socket", "link to a pipe"):
        with pytest.raises(UserError, match="and no file"):
            write_text(place, "text")
    assert sorted(os.lstat(path).st_mode for path in tmp_path.iterdir()) == before


def test_a_folder_that_takes_nothing_is_refused_before_the_work(immutable: Path) -> None:
    for check in (require_file, check_folder, require_folder):
        with pytest.raises(UserError, match=r"immutable.*cannot be"):
            check(immutable / "new" / "file" if check is require_file else immutable)


@pytest.mark.parametrize("name", ["-", "/dev/stdout", "/dev/stderr", "/dev/fd/1", "/proc/self/fd/7"])
def test_a_stream_is_no_file(name: str) -> None:
    assert stream_of(name) == {"-": 1, "/dev/stderr": 2, "/proc/self/fd/7": 7}.get(name, 1)
    with pytest.raises(UserError, match="is a stream and no file"):
        require_file(Path(name))
    assert stream_of("/dev/null") is stream_of("./-") is stream_of("/dev/fd/x") is None


def test_links_stay_links_and_what_they_point_to_is_written(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    for before in ("old", None):
        target, link = tmp_path / "elsewhere" / f"{before}.txt", tmp_path / f"{before}-link"
        if before:
            target.write_text(before)
        link.symlink_to(target)
        require_file(link)
        write_text(link, "new")
        assert (link.is_symlink(), target.read_text()) == (True, "new")
    folder, link = tmp_path / "elsewhere" / "model", tmp_path / "model"
    link.symlink_to(folder)
    for content in ("a", "b"):
        with whole_folder(link) as inside:
            (inside / "file").write_text(content)
        assert (link.is_symlink(), (folder / "file").read_text(), is_complete(link)) == (True, content, True)
    link = tmp_path / "runs"
    link.symlink_to(tmp_path / "elsewhere" / "runs")
    require_folder(link)
    assert (tmp_path / "elsewhere" / "runs").is_dir()
    assert sorted(path.name for path in (tmp_path / "elsewhere").iterdir()) == ["None.txt", "model", "old.txt", "runs"]


def test_a_file_in_a_folders_place_is_neither_replaced_nor_worked_for(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    check_room(run)
    for place in (*run.folders, *run.files):
        write_text(place, "mine") if place in run.folders else place.mkdir()
        with pytest.raises(UserError, match=rf"{place.name}: is (no|a) folder"):
            check_room(run)
        with pytest.raises(UserError, match=rf"{place.name}: is (no|a) folder"), contextlib.ExitStack() as stack:
            stack.enter_context(whole_folder(place)) if place in run.folders else write_text(place, "text")
        place.unlink() if place in run.folders else place.rmdir()


@pytest.mark.parametrize("mask", [0o022, 0o027])
def test_files_that_a_library_wrote_for_its_user_alone_can_be_read_by_whom_the_umask_lets(
    tmp_path: Path, mask: int
) -> None:
    before = os.umask(mask)
    try:
        with whole_folder(tmp_path / "model") as folder:
            (folder / "below").mkdir()
            for file in (folder / "mine", folder / "below" / "mine"):
                file.touch(0o600)
    finally:
        os.umask(before)
    files = [path for path in (tmp_path / "model").rglob("*") if path.is_file()]
    assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o666 & ~mask}


def test_a_full_disk_is_told_by_the_name_of_the_file_also_by_a_library_that_wraps_it(tmp_path: Path) -> None:
    for error in (OSError(28, "full"), ValueError("Error while serializing: No space left on device (os error 28)")):
        with pytest.raises(OSError, match=r"No space|full") as told, naming(tmp_path / "file"):
            raise error
        assert (told.value.errno, told.value.filename) == (28, str(tmp_path / "file"))


def test_a_file_that_cannot_be_written_is_refused_before_the_work(tmp_path: Path) -> None:
    require_file(tmp_path / "new" / "pairs.tsv")
    assert (tmp_path / "new").is_dir()
    with pytest.raises(UserError, match="new: is a folder"):
        require_file(tmp_path / "new")
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="file: cannot be made a folder"):
        require_file(tmp_path / "file" / "pairs.tsv")
