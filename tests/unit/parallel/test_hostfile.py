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


@pytest.mark.parametrize(
    ("content", "said"),
    [(b"", "no host"), (b"\n\n", "no host"), (b"# node-1 slots=2\n", "no host"), (b"\xff\xfe\x00", ""), (None, "")],
)
def test_a_file_that_cannot_be_read_or_names_no_host_is_one_line(
    content: bytes | None, said: str, tmp_path: Path
) -> None:
    path = tmp_path / "hosts"
    if content is not None:
        path.write_bytes(content)
    for each, words in ((path, f"hosts.*{said}"), (tmp_path, tmp_path.name)):
        with pytest.raises(UserError, match=words):
            read_hostfile(each)
