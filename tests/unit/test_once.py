from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest
from rot import flip_bit

from dist_stilts.once import build
from dist_stilts.writing import COMPLETE, is_complete

RACER = """
import os, sys, time
from pathlib import Path
from dist_stilts.once import build

root = Path(sys.argv[1])

def make(folder):
    with (root / "log").open("a") as log:
        log.write(f"{os.getpid()}\\n")
    time.sleep(0.3)
    (folder / "data").write_text(str(os.getpid()))

(root / f"ready-{os.getpid()}").touch()
while not (root / "go").exists():
    time.sleep(0.005)
print(build(root / "shared" / "built", make), (root / "shared" / "built" / "data").read_text())
"""


def make_data(folder: Path) -> None:
    (folder / "data").write_text("made")


def test_processes_that_race_build_once_and_all_see_it(tmp_path: Path) -> None:
    racers = [
        subprocess.Popen([sys.executable, "-c", RACER, str(tmp_path)], stdout=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    try:
        deadline = time.monotonic() + 30
        while len(list(tmp_path.glob("ready-*"))) < len(racers) and time.monotonic() < deadline:
            time.sleep(0.01)
        (tmp_path / "go").touch()
        said = [racer.communicate(timeout=30)[0].split() for racer in racers]
    finally:
        for racer in racers:
            racer.kill()
    builders = (tmp_path / "log").read_text().split()
    assert len(builders) == 1
    assert sorted(did for did, _ in said) == ["False", "False", "True"]
    assert {data for _, data in said} == set(builders)


def test_a_complete_folder_is_not_built_again_one_without_marker_is_replaced_and_an_exception_leaves_nothing(
    tmp_path: Path,
) -> None:
    (tmp_path / "built").mkdir()
    (tmp_path / "built" / "stale").touch()
    assert build(tmp_path / "built", make_data) is True
    assert build(tmp_path / "built", lambda _: pytest.fail("built again")) is False
    assert sorted(file.name for file in (tmp_path / "built").iterdir()) == [COMPLETE, "data"]
    assert (tmp_path / "built" / "data").read_text() == "made"

    def fail(folder: Path) -> None:
        make_data(folder)
        raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        build(tmp_path / "next", fail)
    assert not (tmp_path / "next").exists()
    assert build(tmp_path / "next", make_data) is True


def test_what_a_killed_process_left_is_replaced(tmp_path: Path) -> None:
    killed = (
        "import os, signal, sys; from pathlib import Path; from dist_stilts.once import build\n"
        "def make(folder):\n    (folder / 'stale').touch(); os.kill(os.getpid(), signal.SIGKILL)\n"
        "build(Path(sys.argv[1]) / 'built', make)"
    )
    ended = subprocess.run([sys.executable, "-c", killed, str(tmp_path)], timeout=30, check=False)
    assert ended.returncode < 0
    assert not is_complete(tmp_path / "built")
    assert build(tmp_path / "built", make_data) is True
    assert sorted(file.name for file in (tmp_path / "built").iterdir()) == [COMPLETE, "data"]


@pytest.mark.parametrize("keep", [False, True])
@pytest.mark.parametrize("file", ["data", "below/more", COMPLETE])
def test_what_is_no_longer_what_was_built_is_built_again_with_one_line(
    file: str, keep: bool, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def make(folder: Path) -> None:
        make_data(folder)
        (folder / "below").mkdir()
        (folder / "below" / "more").write_text("more")

    built = tmp_path / "built"
    build(built, make)
    assert build(built, make, keep=keep) is False
    flip_bit(built / file)
    assert build(built, make, keep=keep) is True
    assert (built / "data").read_text() + (built / "below" / "more").read_text() == "mademore"
    said = [record.getMessage() for record in caplog.records]
    assert f"{built} is damaged" in said[0]
    assert [path.name for path in tmp_path.glob("built.*")] == (["built.damaged-1"] if keep else [])
    assert len(said) == 1
    assert ("what was there is kept in" in said[0]) == keep
    (built / COMPLETE).write_text("")  # as older versions have it
    assert build(built, make) is False
