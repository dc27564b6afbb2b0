from __future__ import annotations

import bz2
import gzip
import lzma
import os
import zipfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from task_files import refusal, tarred, write, zipped

from dist_stilts.errors import UserError
from dist_stilts.tasks import archives
from dist_stilts.tasks.files import digest, exists, locate, read_lines, read_whole

FILES = {"top.txt": b"top\n", "a/dev.txt": b"dev of a\n", "a/b/deep.txt.gz": gzip.compress(b"deep\n", mtime=0)}


KINDS: dict[str, Callable[[dict[str, bytes]], bytes]] = {
    "x.zip": zipped,
    "x.tar": lambda files: tarred(files, "w:"),
    "x.tar.gz": tarred,
    "x.tgz": tarred,
    "x.tar.bz2": lambda files: tarred(files, "w:bz2"),
    "x.tar.xz": lambda files: tarred(files, "w:xz"),
}

# Made once: archives hold the time at which they are made.
VALID = {kind: pack({"a/f": b"a line\n" * 20, "i.tar.gz": tarred({"g": b"x\n"})}) for kind, pack in KINDS.items()}


@pytest.mark.parametrize("kind", KINDS)
def test_member_is_found_and_read_by_the_end_of_its_name(tmp_path: Path, kind: str) -> None:
    (tmp_path / kind).write_bytes(KINDS[kind](FILES))
    for name, where, text in [
        ("top.txt", "top.txt", "top"),
        ("dev.txt", "a/dev.txt", "dev of a"),
        ("a/dev.txt", "a/dev.txt", "dev of a"),
        ("b/deep.txt", "a/b/deep.txt.gz", "deep"),
    ]:
        path = locate(tmp_path, "absent.txt", name)
        assert path == tmp_path / kind / where
        assert exists(path)
        assert read_whole(path) == text
    assert locate(tmp_path, "op.txt", "txt") == tmp_path / "op.txt"
    assert not exists(tmp_path / kind / "a")
    assert not exists(tmp_path / kind / "a/absent")
    assert "no such file" in refusal(read_lines, tmp_path / kind / "absent")


@pytest.mark.parametrize("outer", KINDS)
@pytest.mark.parametrize("inner", ["af.tar.gz", "af.zip"])
def test_name_may_go_through_an_archive_in_the_archive(tmp_path: Path, outer: str, inner: str) -> None:
    pack = zipped if inner.endswith(".zip") else tarred
    (tmp_path / outer).write_bytes(KINDS[outer]({f"panx/{inner}": pack({"./dev": b"af:a\tO\n"})}))
    path = locate(tmp_path, f"{inner}/dev")
    assert path == tmp_path / outer / f"panx/{inner}/dev"
    assert exists(path)
    assert read_whole(path) == "af:a\tO"
    assert not exists(locate(tmp_path, f"{inner}/test"))


def test_same_name_finds_the_inner_archive_lying_unpacked_and_a_folder_called_like_an_archive(tmp_path: Path) -> None:
    for place in ("near/af.tar.gz", "far/deeper/af.tar.gz"):
        root = write(tmp_path, {place: tarred({"af/dev": b"x\n"})}) / place.split("/")[0]
        assert locate(root, "af.tar.gz/dev") == tmp_path / place / "af/dev"
    path = "dummy_data/XNLI-1.0.zip/XNLI-1.0/xnli.dev.tsv"
    write(tmp_path, {f"folder/{path}": b"x\n", "packed/d.zip": zipped({"dummy_data/af.tar.gz/dev": b"y\n"})})
    assert locate(tmp_path / "folder", "XNLI-1.0/xnli.dev.tsv") == tmp_path / "folder" / path
    assert read_whole(locate(tmp_path / "packed", "af.tar.gz/dev")) == "y"


def test_nearest_place_wins_and_the_folder_of_a_language_is_searched_only_by_name(tmp_path: Path) -> None:
    for place in ("x.zip", "one/two/f", "one/f", "another/f.gz", "f"):
        write(tmp_path, {place: zipped({"f": b"in the archive\n"}) if place == "x.zip" else b"x"})
        assert locate(tmp_path, "f") == tmp_path / (place if place != "x.zip" else "x.zip/f")
    write(tmp_path, {"de/train.tsv": b"x\n", "en/train.tsv": b"x\n"})
    assert locate(tmp_path, "train.tsv") == tmp_path / "en/train.tsv"
    assert locate(tmp_path, "de/train.tsv") == tmp_path / "de/train.tsv"


def test_hidden_files_and_members_that_climb_out_of_their_archive_are_never_found(tmp_path: Path) -> None:
    write(tmp_path, {"x.zip": zipped({"__MACOSX/a/dev.txt": b"x", ".git/dev.txt": b"x"}), ".cache/dev.txt": b"x"})
    assert locate(tmp_path, "dev.txt") == tmp_path / "dev.txt"
    write(tmp_path, {"x.tar": tarred({"../dev.txt": b"x\n", "/etc/dev.txt": b"y\n"}, "w:")})
    assert read_whole(locate(tmp_path, "dev.txt")) == "y"


def test_listing_is_read_once_until_the_archive_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "x.zip"
    path.write_bytes(zipped({"a": b"1"}))
    changed = zipped({"b": b"12"})
    opened: list[object] = []
    original = zipfile.ZipFile
    monkeypatch.setattr(archives.zipfile, "ZipFile", lambda *args: opened.append(args) or original(*args))
    for _ in range(5):
        assert exists(locate(tmp_path, "a"))
    assert len(opened) == 1
    path.write_bytes(changed)
    os.utime(path, ns=(1, 1))
    assert not exists(locate(tmp_path, "a"))
    assert exists(locate(tmp_path, "b"))
    assert len(opened) == 2


def test_digest_tells_members_and_archives_apart(tmp_path: Path) -> None:
    for name, content in (("x.zip", b"1"), ("y.zip", b"2")):
        (tmp_path / name).write_bytes(zipped({"a": content, "b": content}))
    digests = {digest(tmp_path / path) for path in ("x.zip/a", "x.zip/b", "y.zip/a", "x.zip")}
    assert len(digests) == 4
    before = digest(tmp_path / "x.zip/a")
    (tmp_path / "x.zip").rename(tmp_path / "moved.zip")
    assert digest(tmp_path / "moved.zip/a") == before


@pytest.mark.parametrize("kind", KINDS)
def test_archive_cut_off_is_one_line_that_names_it(tmp_path: Path, kind: str) -> None:
    content = KINDS[kind]({"a.txt": os.urandom(9000), "b.txt": b"line\n", "c.txt": os.urandom(9000)})
    for part in (0.1, 0.45, 0.6):
        write(tmp_path, {kind: content[: int(len(content) * part)]})
        said = refusal(lambda: list(read_lines(locate(tmp_path, "c.txt"))))
        assert said == f"{tmp_path / kind}: damaged or cut off. Fetch it again"


def spoilt(content: bytes, *changes: tuple[int, int]) -> bytes:
    """With bits flipped: (place, bits)."""
    spoiled = bytearray(content)
    for place, bits in changes:
        spoiled[place] ^= bits
    return bytes(spoiled)


PLAIN = zipped({"a.txt": b"line\n" * 50}, zipfile.ZIP_STORED)


@pytest.mark.parametrize(
    ("content", "name", "said"),
    [
        (
            zipped({"af.tar.gz": tarred({"dev": os.urandom(5000)})[:-2000]}),
            "af.tar.gz/dev",
            "x.zip: damaged or cut off",
        ),
        (spoilt(PLAIN, (100, 0xFF)), "a.txt", "x.zip/a.txt"),
        # The flag of encryption, in the local header and in the directory.
        (
            spoilt(PLAIN, (6, 1), (PLAIN.index(b"PK\x01\x02") + 8, 1)),
            "a.txt",
            "x.zip/a.txt: encrypted, or compressed in a way unknown here",
        ),
    ],
    ids=["nested", "flipped", "encrypted"],
)
def test_a_damaged_or_encrypted_member_is_named(tmp_path: Path, content: bytes, name: str, said: str) -> None:
    write(tmp_path, {"x.zip": content})
    assert said in refusal(lambda: list(read_lines(locate(tmp_path, name))))


@given(kind=st.sampled_from(list(KINDS)), data=st.data())
def test_mutated_archive_gives_lines_or_a_user_error(tmp_path: Path, kind: str, data: st.DataObject) -> None:
    content = bytearray(VALID[kind])
    for _ in range(data.draw(st.integers(0, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(content)))
    (tmp_path / kind).write_bytes(data.draw(st.sampled_from([content, content[:cut], content[cut:]])))
    for name in ("f", "i.tar.gz/g"):
        with suppress(UserError):
            path = locate(tmp_path, name)
            if exists(path):
                list(read_lines(path))
    (tmp_path / kind).unlink()


@pytest.mark.parametrize(("suffix", "pack"), [(".gz", gzip.compress), (".bz2", bz2.compress), (".xz", lzma.compress)])
@given(cut=st.integers(0, 200), place=st.integers(0, 10_000), value=st.integers(0, 255))
def test_mutated_packed_file_gives_lines_or_a_user_error(
    tmp_path: Path, suffix: str, pack: Callable[[bytes], bytes], cut: int, place: int, value: int
) -> None:
    content = bytearray(pack(b"some line\nother line\n"))
    content[place % len(content)] = value
    (tmp_path / f"f{suffix}").write_bytes(content[:cut])
    with suppress(UserError):
        list(read_lines(tmp_path / "f"))
