"""Where ranks meet: given, asked of Slurm, or refused. MPI needs real ranks: tests/multinode."""

from __future__ import annotations

from pathlib import Path

import pytest

from dist_stilts.errors import UserError
from dist_stilts.parallel.master import master_of
from dist_stilts.parallel.network import LISTENING_PORTS

STEP = {"SLURM_JOB_ID": "41", "SLURM_STEP_ID": "0", "SLURM_STEP_NODELIST": "n[03-04]", "SLURM_STEP_NUM_NODES": "2"}


@pytest.fixture
def scontrol(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A program of this name that knows two nodes, of which the first has no host of its name."""
    program = tmp_path / "scontrol"
    program.write_text(
        "#!/bin/sh\n"
        'case "$2 $3" in\n'
        '"hostnames n[03-04]") echo n03.invalid; echo n04.invalid;;\n'
        '"node n03.invalid") echo "NodeName=n03.invalid Arch=x86_64"; echo "   NodeAddr=10.9.8.7 CPUs=2";;\n'
        '*) echo "slurm_load_jobs error: Invalid" >&2; exit 1;;\n'
        "esac\n"
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    return program


@pytest.mark.usefixtures("scontrol")
def test_slurm_names_the_first_node_and_its_address_where_the_name_is_no_host() -> None:
    address, port = master_of("Slurm", STEP)
    assert address == "10.9.8.7"
    assert port in LISTENING_PORTS


@pytest.mark.usefixtures("scontrol")
def test_what_is_given_is_kept_and_the_rest_found_out() -> None:
    assert master_of("Slurm", STEP | {"MASTER_PORT": "29511"}) == ("10.9.8.7", 29511)
    assert master_of("Slurm", STEP | {"MASTER_ADDR": "n03"})[0] == "n03"
    assert master_of("torchrun", {"MASTER_ADDR": "n03", "MASTER_PORT": "29511"}) == ("n03", 29511)


def test_the_port_is_the_same_in_all_tasks_of_a_step_and_another_in_the_next() -> None:
    alone = STEP | {"SLURM_STEP_NUM_NODES": "1"}
    found = [master_of("Slurm", alone | {"SLURM_STEP_ID": step})[1] for step in ("0", "0", "1")]
    assert found[0] == found[1] != found[2]
    assert master_of("Slurm", alone | {"SLURM_JOB_ID": "42"})[1] not in found


def test_a_step_on_one_node_asks_nobody_and_without_scontrol_the_user_is_told_what_to_set(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    alone = STEP | {"SLURM_STEP_NUM_NODES": "1"}
    assert master_of("Slurm", alone)[0] == "127.0.0.1"
    assert master_of("Slurm", alone | {"SLURM_STEP_RESV_PORTS": "12003-12004"})[1] == 12003
    with pytest.raises(UserError, match=r"scontrol does not say where the job runs.*MASTER_ADDR"):
        master_of("Slurm", STEP)


@pytest.mark.usefixtures("scontrol")
def test_what_scontrol_complains_of_is_passed_on() -> None:
    with pytest.raises(UserError, match="slurm_load_jobs error"):
        master_of("Slurm", STEP | {"SLURM_STEP_NODELIST": "n9"})
