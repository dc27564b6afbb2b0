from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from dist_stilts.errors import EXIT_BAD_INPUT, UserError
from dist_stilts.preflight import environment_file
from dist_stilts.preflight.environment_file import check_environment, environment_files, passed_on, read_environment


def write(folder: Path, text: str) -> Path:
    path = folder / ".deepspeed_env"
    path.write_text(text, encoding="utf-8")
    return path


def test_assignments_are_read_and_the_check_passes(tmp_path: Path) -> None:
    path = write(tmp_path, "HF_HOME=/shared/hf\nPATH=/env/bin:$PATH\nA = b=c d\nEMPTY=\n")
    sets, findings = read_environment(path)
    assert sets == {"HF_HOME": "/shared/hf", "PATH": "/env/bin:$PATH", "A": "b=c d", "EMPTY": ""}
    assert [finding.state for finding in findings] == ["ok"]
    check_environment({}, tmp_path, tmp_path)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("", "blank line"),
        ("   ", "blank line"),
        ("# about paths", "a comment ends"),
        ("# HF_HOME=/x", "reads a comment as a command"),
        ("HF_HOME", "no '='"),
        ("export HF_HOME=/x", "'export HF_HOME' is no name"),
        ("2A=b", "'2A' is no name"),
        ('A="b c"', "quotes"),
    ],
)
def test_a_line_that_the_launcher_trips_over_is_named_and_left_out_and_refused_at_start(
    line: str, said: str, tmp_path: Path
) -> None:
    path = write(tmp_path, f"A=1\n{line}\nB=2\n")
    sets, [finding] = read_environment(path)
    assert sets == {"A": "1", "B": "2"}
    assert finding.state == "FAIL"
    assert finding.what.startswith(f"{path}:2: ")
    assert said in finding.what
    assert finding.fix
    with pytest.raises(UserError) as caught:  # and a start is refused
        check_environment({}, tmp_path, tmp_path)
    assert str(caught.value).startswith(finding.what)
    assert caught.value.code == EXIT_BAD_INPUT


def test_the_file_of_the_folder_overrides_that_of_the_home(tmp_path: Path) -> None:
    home, here = tmp_path / "home", tmp_path / "here"
    for folder in (home, here):
        folder.mkdir()
        write(folder, "A=1\n")
    assert environment_files({}, home, here) == [home / ".deepspeed_env", here / ".deepspeed_env"]
    assert environment_files({}, home, home) == [home / ".deepspeed_env"]
    assert environment_files({"DS_ENV_FILE": "none"}, home, here) == []
    assert environment_files({"DS_ENV_FILE": str(home / ".deepspeed_env")}, here, here) == [home / ".deepspeed_env"]


def test_hosts_get_what_the_launcher_passes_on() -> None:
    given = {"PYTHONPATH": "/x::y", "NCCL_DEBUG": "INFO", "HF_HOME": "/hf", "OMP_NUM_THREADS": "1"}
    found = passed_on(given, {"OMP_NUM_THREADS": "4"})
    assert found == {"PYTHONPATH": f"/x:{Path.cwd()}/y", "NCCL_DEBUG": "INFO", "OMP_NUM_THREADS": "4"}


COMMANDS = "$(echo x)`echo x`$'x'"


@pytest.mark.parametrize(
    ("value", "there"),
    [
        ("a b;c", "a b;c"),
        ("$HERE/x", "/host/x"),
        ("${HERE}x", "/hostx"),
        ('a"b', 'a"b'),
        ("a\\b", "a\\b"),
        (COMMANDS, COMMANDS),
    ],
)
def test_a_host_sees_the_value_with_its_own_variables_in_it_and_runs_nothing(value: str, there: str) -> None:
    def seen(quoted: dict[str, str]) -> str:
        command = f'{environment_file.export_command("NCCL_A", quoted["NCCL_A"])}; printf %s "$NCCL_A"'
        done = subprocess.run(["sh", "-c", command], env={"HERE": "/host"}, capture_output=True, text=True, check=True)
        return done.stdout

    assert seen(passed_on({}, {"NCCL_A": value})) == there
    assert seen(passed_on({"NCCL_A": value}, {})) == value
