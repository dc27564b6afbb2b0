from __future__ import annotations

from pathlib import Path

import pytest

from dist_stilts.errors import UserError
from dist_stilts.parallel.hostfile import Host, read_hostfile


def write(folder: Path, text: str) -> Path:
    path = folder / "hostfile"
    path.write_text(text, encoding="utf-8")
    return path


def test_hosts_come_in_the_order_of_the_file_whatever_stands_between(tmp_path: Path) -> None:
    text = "# two nodes\n\nnode-b slots=8\n  10.0.0.2   slots=4  # the small one\n\t\nme@node-c slots=1"
    assert read_hostfile(write(tmp_path, text)) == [Host("node-b", 8), Host("10.0.0.2", 4), Host("me@node-c", 1)]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("node-2 slots=0", "slots='0'"),
        ("node-2 slots=-1", "slots='-1'"),
        ("node-2 slots=", "slots=''"),
        ("node-2 slots=two", "slots='two'"),
        ("node-2 slots=²", "slots='²'"),
        ("node-2", "no slots"),
        ("node-2 gpus=2", "unknown word 'gpus=2'"),
        ("node-2 slots=2 max-slots=4", "unknown word 'max-slots=4'"),
        ("node-2 slots = 2", "slots=''"),
        ("-oProxyCommand=x slots=2", "no name of a host"),
        ("NODE-1 slots=2", "host 'NODE-1' is here twice. Its first line is 2"),
    ],
)
def test_a_bad_line_is_named_with_its_number_and_how_to_write_it(line: str, said: str, tmp_path: Path) -> None:
    path = write(tmp_path, f"# hosts\nnode-1 slots=2\n\n{line}\n")
    with pytest.raises(UserError) as caught:
        read_hostfile(path)
    assert str(caught.value).startswith(f"{path}:4: ")
    assert said in str(caught.value)
    assert caught.value.fix


@pytest.mark.parametrize("text", ["", "\n\n", "# node-1 slots=2\n"])
def test_a_file_without_a_host_is_an_error(text: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="names no host"):
        read_hostfile(write(tmp_path, text))


def test_a_file_that_cannot_be_read_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    for path in (tmp_path / "none", tmp_path, tmp_path / "binary"):
        with pytest.raises(UserError, match=path.name):
            read_hostfile(path)
