"""The two tiers, how tests are shared out among workers, and fixtures for the whole test suite."""

from __future__ import annotations

import os
import signal
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

LONGEST_FIRST = (
    ("end_to_end/test_faults.py", "end_to_end/test_kills.py"),
    tuple(f"end_to_end/test_{name}.py" for name in ("pipeline", "bad_input", "retrieval", "own_pairs")),
    ("multinode/test_two_hosts.py", "multinode/test_same_by_every_launcher.py"),
    tuple(f"ranks/test_{name}.py" for name in ("collectives", "scores")),
)
"""Files of tests that share a costly fixture, the longest group first. Others are shared out one by one after them."""
ALLOWED_SECONDS, ALLOWED_SHARED_SECONDS = 10.0, 30.0
"""Processor time that a test of the default tier may take with all that it starts, and a fixture that several share."""
SLACK = 3.0
"""Processors differ, and a busy one is slower by its clock too: so many times what is allowed is refused, less is
warned of."""
BEGAN, SHARED = pytest.StashKey[float](), pytest.StashKey[float]()


if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A shell that starts this in the background says so, and all that the tests start would be deaf to Ctrl-C.
    signal.signal(signal.SIGINT, signal.default_int_handler)


# The two tiers


def pytest_configure(config: pytest.Config) -> None:
    """A test that is named by its id runs, slow or not."""
    config.stash[SHARED] = 0.0
    config.pluginmanager.register(SharedFixtures())
    if config.option.markexpr == "not slow" and any("::" in argument for argument in config.args):
        config.option.markexpr = ""


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup(item: pytest.Item) -> Iterator[None]:
    """Begin to count."""
    item.stash[BEGAN], item.config.stash[SHARED] = processor_seconds(), 0.0
    return (yield)


class SharedFixtures:
    """A plugin, since pytest asks no conftest below the root about a session's fixtures."""

    @pytest.hookimpl(wrapper=True)
    def pytest_fixture_setup(self, fixturedef: Any, request: pytest.FixtureRequest) -> Iterator[None]:
        """Count what several tests share apart: which of them pays for it is chance."""
        if fixturedef.scope == "function":
            return (yield)
        before = processor_seconds()
        value = yield
        used = processor_seconds() - before
        request.config.stash[SHARED] += used
        if not slow_tier(request.node):
            refuse_beyond(ALLOWED_SHARED_SECONDS, used, f"the fixture {fixturedef.argname}")
        return value


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Iterator[None]:
    """Refuse a test that is too slow for the default tier."""
    outcome = yield
    used = processor_seconds() - item.stash[BEGAN] - item.config.stash[SHARED]
    item.user_properties.append(("processor_seconds", round(used, 2)))
    item.user_properties.append(("shared_seconds", round(item.config.stash[SHARED], 2)))
    marker = item.get_closest_marker("allowed_seconds")
    if not slow_tier(item):
        seconds, _reason = marker.args if marker else (ALLOWED_SECONDS, "")
        refuse_beyond(seconds, used, "this test")
    return outcome


def slow_tier(node: Any) -> bool:
    """Whether time does not count: of a slow test, of a session's fixture in a run of slow tests, under coverage."""
    return bool(
        node.get_closest_marker("slow") if isinstance(node, pytest.Item) else node.config.option.markexpr != "not slow"
    ) or ("COVERAGE_PROCESS_START" in os.environ)


def refuse_beyond(allowed: float, used: float, what: str) -> None:
    """The clock of the processor counts and not that on the wall, so that a busy machine fails no test."""
    said = (
        f"{what} took {used:.0f} s of processor time; {allowed:g} s are allowed in the default tier: make it faster, "
        "mark it slow, or allow a test more with a reason: @pytest.mark.allowed_seconds(SECONDS, WHY)"
    )
    if used > SLACK * allowed:
        pytest.fail(said, pytrace=False)
    if used > allowed:
        warnings.warn(said, stacklevel=1)


def processor_seconds() -> float:
    """What this process and all that it has started have used; of grandchildren, those that have ended (Linux)."""
    children = " ".join(_read(path) for path in Path("/proc/self/task").glob("*/children"))
    return sum(os.times()[:4]) + sum(map(_seconds_of, children.split()))


def _seconds_of(pid: str) -> float:
    """Of a running child and the children that it has waited for."""
    after_name = _read(Path("/proc", pid, "stat")).rpartition(")")[2].split()
    return sum(map(int, after_name[11:15])) / os.sysconf("SC_CLK_TCK")


def _read(path: Path) -> str:
    """What the kernel says of a thread or process; nothing of one that has just ended."""
    try:
        return path.read_text()
    except OSError:
        return ""


# Sharing out


def scope(nodeid: str) -> str:
    """What stays on one worker: a group of files, or a file."""
    file = nodeid.split("::")[0].removeprefix("tests/")
    return next((group[0] for group in LONGEST_FIRST if file in group), file)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Groups first, then folders with several processes to a test; within each the order stays."""
    groups = [group[0] for group in LONGEST_FIRST]

    def place(item: pytest.Item) -> tuple[int, str, bool]:
        of = scope(item.nodeid)
        return (groups.index(of), "", False) if of in groups else (len(groups), "", of.startswith("unit/"))

    items.sort(key=place)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Share tests out by :func:`scope`, in the order in which they were collected.

    Marks of pytest-xdist (3.8) would say so in fewer words, but pytest 9.2 does not let it see them.
    """
    from xdist.scheduler import LoadScopeScheduling

    class ByScope(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return scope(nodeid)

    config.option.loadscopereorder = False
    return ByScope(config, log)


# Fixtures


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder with the public data sets; tests that need it are skipped where it is absent."""
    default = Path(__file__).resolve().parents[2] / "shared" / "data"
    folder = Path(os.environ.get("DIST_STILTS_TEST_DATA") or default)
    if not folder.is_dir():
        pytest.skip("no real data sets: set DIST_STILTS_TEST_DATA to the folder that holds them")
    return folder


@pytest.fixture(scope="session")
def tiny_translator(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a translation model of NLLB's type with random weights: it spells, and knows en, de and fr."""
    import torch
    from transformers import M2M100Config, M2M100ForConditionalGeneration, NllbTokenizer

    folder = tmp_path_factory.mktemp("tiny-translator")
    symbols = ["<s>", "<pad>", "</s>", "<unk>", "▁", *"abcdefghijklmnopqrstuvwxyz.,?'"]
    codes = ["eng_Latn", "deu_Latn", "fra_Latn"]
    tokenizer = NllbTokenizer(
        vocab={symbol: number for number, symbol in enumerate(symbols)}, merges=[], extra_special_tokens=codes
    )
    sizes = {"layers": 1, "attention_heads": 2, "ffn_dim": 16}
    config = M2M100Config(
        vocab_size=len(tokenizer),
        d_model=16,
        max_position_embeddings=64,
        init_std=0.5,
        tie_word_embeddings=False,
        decoder_start_token_id=2,
        **{f"{side}_{what}": size for side in ("encoder", "decoder") for what, size in sizes.items()},
    )
    torch.manual_seed(0)
    model = M2M100ForConditionalGeneration(config)
    with torch.no_grad():  # else most of what it says are special tokens
        model.lm_head.weight[[0, 1, 3, *range(len(symbols), len(tokenizer))]] = 0
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder
