"""What there is on this host: versions, code, addresses, GPUs, room, tools and limits, as plain values.

Nothing is judged here, and nothing that is missing is an error: what cannot be found out is None.
"""

from __future__ import annotations

import os
import platform
import resource
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import psutil

import dist_stilts
from dist_stilts.conventions import sha256_of

PACKAGES = ("torch", "deepspeed", "transformers", "datasets", "mpi4py", "numpy")
VARIABLES = (
    *("CUDA_VISIBLE_DEVICES", "DS_ACCELERATOR", "GLOO_SOCKET_IFNAME", "HF_HOME", "HF_HUB_OFFLINE", "LD_LIBRARY_PATH"),
    *("DIST_STILTS_SILENCE_SECONDS", "DIST_STILTS_START_SECONDS", "NCCL_SOCKET_IFNAME", "OMP_NUM_THREADS"),
)
"""Variables that change how a job runs."""
TOOL_SECONDS = 20
"""How long another program may take to answer."""


def collect(out: Path) -> dict[str, Any]:
    """Everything about this host; ``out`` is where runs go, and need not exist yet."""
    return {
        "host": socket.gethostname(),
        "python": platform.python_version(),
        "executable": sys.executable,
        "packages": {package: _version(package) for package in PACKAGES},
        **_torch(),
        "code": code_digest(Path(dist_stilts.__file__).parent),
        "addresses": addresses(),
        "listed_addresses": _listed_addresses(),
        "own_name": _resolved(socket.gethostname()),
        "gpus": gpus(),
        "driver": _driver(),
        "infiniband": Path("/sys/class/infiniband").is_dir() and any(Path("/sys/class/infiniband").iterdir()),
        "disk_free": _free(out),
        "shm_free": _free(Path("/dev/shm")),
        "compiler": shutil.which(os.environ.get("CXX", "c++")),
        "ninja": shutil.which("ninja"),
        "locks": list(_locks(_extensions_folder(), time.time())),
        "open_files": _limit(resource.RLIMIT_NOFILE),
        "locked_memory": _limit(resource.RLIMIT_MEMLOCK),
        "variables": {name: os.environ.get(name) for name in VARIABLES},
    }


def code_digest(package: Path) -> str:
    """12 digits that differ wherever a file of the package does; caches of compiled code do not count."""
    files = (path for path in sorted(package.rglob("*")) if path.is_file() and "__pycache__" not in path.parts)
    return sha256_of(
        part
        for path in files
        for part in (f"{path.relative_to(package)}\0{path.stat().st_size}\0".encode(), path.read_bytes())
    )[:12]


def addresses() -> dict[str, list[str]]:
    """The addresses of each interface that is up, IPv4 before IPv6."""
    internet = (socket.AF_INET, socket.AF_INET6)
    up = {name for name, state in psutil.net_if_stats().items() if state.isup}
    return {
        name: [entry.address for entry in sorted(entries, key=lambda entry: entry.family) if entry.family in internet]
        for name, entries in psutil.net_if_addrs().items()
        if name in up
    }


def gpus() -> list[dict[str, Any]]:
    """The GPUs that torch sees: name, identity, memory in bytes."""
    try:
        import torch

        found = [torch.cuda.get_device_properties(number) for number in range(torch.cuda.device_count())]
    except (ImportError, RuntimeError, AssertionError):
        return []
    return [
        {"name": gpu.name, "id": str(getattr(gpu, "uuid", number)), "memory": gpu.total_memory}
        for number, gpu in enumerate(found)
    ]


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _torch() -> dict[str, Any]:
    """CUDA and NCCL that torch was built with, and why it cannot be imported, if so."""
    try:
        import torch

        nccl = ".".join(map(str, torch.cuda.nccl.version())) if torch.version.cuda else None
        return {"cuda": torch.version.cuda, "nccl": nccl, "torch_error": None}
    except Exception as error:  # a broken installation fails in any way, a shared library in most
        return {"cuda": None, "nccl": None, "torch_error": f"{type(error).__name__}: {error}"}


def _output(*command: str) -> str | None:
    """What another program prints; None where it is not there, fails or does not answer."""
    try:
        done = subprocess.run(
            command, capture_output=True, encoding="utf-8", errors="replace", timeout=TOOL_SECONDS, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout


def _driver() -> dict[str, Any] | None:
    """NVIDIA's driver and how many GPUs it has, whatever torch sees."""
    answer = _output("nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader")
    versions = answer.split() if answer else []
    return {"version": versions[0], "gpus": len(versions)} if versions else None


def _listed_addresses() -> list[str]:
    """What ``hostname -I`` lists; the deepspeed launcher takes the first one of the first host as master."""
    answer = _output("hostname", "-I")
    if answer is not None:
        return answer.split()
    return [found for name, all_ in addresses().items() if name != "lo" for found in all_ if ":" not in found]


def _resolved(name: str) -> str | None:
    try:
        return socket.gethostbyname(name)
    except OSError:
        return None


def _free(folder: Path) -> int | None:
    """Free bytes where a folder lies or would lie."""
    for place in (folder.absolute(), *folder.absolute().parents):
        with suppress(OSError):
            return shutil.disk_usage(place).free
    return None


def _extensions_folder() -> Path:
    """Where torch keeps operators that it has compiled (torch.utils.cpp_extension)."""
    given = os.environ.get("TORCH_EXTENSIONS_DIR")
    return Path(given) if given else Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "torch_extensions"


def _locks(folder: Path, now: float) -> Iterator[dict[str, Any]]:
    """Files by which a process that compiles an operator keeps others waiting; a killed one leaves its own behind."""
    for path in [*folder.glob("*/lock"), *folder.glob("*/*/lock")]:
        try:
            yield {"path": str(path), "age": now - path.stat().st_mtime}
        except OSError:  # gone meanwhile: somebody has compiled to the end
            continue


def _limit(kind: int) -> int | None:
    """A soft limit of this process; None where there is none."""
    soft = resource.getrlimit(kind)[0]
    return None if soft == resource.RLIM_INFINITY else soft
