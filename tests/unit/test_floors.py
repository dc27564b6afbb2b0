"""The architecture as executable rules: who may import whom, where heavy things may be used, how long code may be.

A rule is a pure function from one parsed file to the violations in it (``path:line: what``). Every rule is tried on the
package and on a planted violation, so a rule that has gone blind fails too. Imports inside functions and under
``TYPE_CHECKING`` count.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

PACKAGE = "dist_stilts"
ROOT = Path(__file__).parents[2]

FLOORS = {
    0: {
        "checksums",
        "config",
        "conventions",
        "errors",
        "import_path",
        "layout",
        "names",
        "once",
        "private_names",
        "ranges",
        "recipe_file",
        "recipe_keys",
        "redaction",
        "state_files",
        "writing",
    },
    1: {"parallel", "tasks", "simulate"},
    2: {"results"},
    3: {"report"},
    4: {"scoring", "search", "analysis", "preflight"},
    5: {"families"},
    6: {"data", "model"},
    7: {"train", "evaluate", "translate"},
    8: {"experiment", "apply"},
    9: {"study"},
    10: {"verbs"},
}
"""Floor -> rooms. Any other module at the package's top level (``__main__``) stands on the roof."""
ROOF = 11
NO_CODE = {"recipes"}
"""Folders of data files."""
NETWORK = {"huggingface_hub", "requests", "urllib", "http", "httpx", "aiohttp"}
NO_NETWORK = {"huggingface_hub.ModelCardData", "huggingface_hub.EvalResult"}
"""Plain records of a network library."""
MAX_FILE_LINES = 350
MAX_FUNCTION_LINES = 80

Node = ast.stmt | ast.expr


@dataclass(frozen=True, eq=False)
class Source:
    """One parsed file; ``parts`` is its module path below the package without ``__init__``: ``("train", "engine")``."""

    path: str
    parts: tuple[str, ...]
    is_package: bool
    text: str
    tree: ast.Module

    def at(self, node: Node, what: str) -> str:
        """A violation at ``node``."""
        return f"{self.path}:{node.lineno}: {what}"


def parse(path: str, text: str) -> Source:
    """Parse a file of the package; its path begins with the package's name."""
    parts = Path(path).with_suffix("").parts[1:]
    is_package = parts[-1] == "__init__"
    return Source(path, parts[:-1] if is_package else parts, is_package, text, ast.parse(text))


@cache
def package() -> list[Source]:
    """Every Python file of the package, parsed once for all rules."""
    paths = sorted((ROOT / PACKAGE).rglob("*.py"))
    return [parse(path.relative_to(ROOT).as_posix(), path.read_text(encoding="utf-8")) for path in paths]


@cache
def nodes(source: Source) -> list[ast.AST]:
    return list(ast.walk(source.tree))


def resolve(source: Source, node: ast.ImportFrom) -> str:
    """The absolute module that a from-import names, relative imports included."""
    if not node.level:
        return node.module or ""
    package = (PACKAGE, *source.parts)[: None if source.is_package else -1]
    base = package[: len(package) - (node.level - 1)]
    return ".".join([*base, *([node.module] if node.module else [])])


@cache
def imports(source: Source) -> list[tuple[Node, str]]:
    """Every imported dotted name: ``from a import b`` gives ``a.b``, ``import_module("a.b")`` gives ``a.b``."""
    found: list[tuple[Node, str]] = []
    for node in nodes(source):
        if isinstance(node, ast.Import):
            found += ((node, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            found += ((node, f"{resolve(source, node)}.{alias.name}") for alias in node.names)
        elif isinstance(node, ast.Call) and dotted(node.func).rpartition(".")[2] in {"import_module", "__import__"}:
            first = node.args[0] if node.args else None
            if isinstance(first, ast.Constant) and isinstance(first.value, str):
                found.append((node, first.value))
    return found


def dotted(node: ast.AST) -> str:
    """``a.b.c`` for an attribute chain on a name, else an empty string."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute) and (base := dotted(node.value)):
        return f"{base}.{node.attr}"
    return ""


def is_under(name: str, module: str) -> bool:
    """Whether the dotted ``name`` is ``module`` or lies in it."""
    return name == module or name.startswith(module + ".")


def place(parts: tuple[str, ...]) -> tuple[int, str]:
    """Floor and room of a module path below the package; floor 0 is one room, and so is the roof."""
    for floor, rooms in FLOORS.items():
        if parts[0] in rooms:
            return floor, parts[0] if floor else "ground"
    return ROOF, "roof"


def imports_point_down(source: Source) -> list[str]:
    """A room imports itself and the floors below it; the package's own ``__init__`` imports no room."""
    floor, room = place(source.parts) if source.parts else (-1, "__init__")
    found = []
    for node, name in imports(source):
        parts = tuple(name.split(".")[1:])
        if not is_under(name, PACKAGE) or not parts or parts[0].startswith("__version"):
            continue
        target_floor, target_room = place(parts)
        if target_room != room and target_floor >= floor:
            found.append(source.at(node, f"{room} (floor {floor}) imports {target_room} (floor {target_floor})"))
    return found


def torch_distributed_only_in_parallel(source: Source) -> list[str]:
    """Only ``parallel/`` imports ``torch.distributed`` or reaches it as an attribute (no import, no alias)."""
    if source.parts[:1] == ("parallel",):
        return []
    names = [*imports(source), *((node, dotted(node)) for node in nodes(source) if isinstance(node, ast.Attribute))]
    lines = {node.lineno: node for node, name in names if is_under(name, "torch.distributed")}
    return [source.at(node, "torch.distributed outside parallel/") for node in lines.values()]


def deepspeed_only_in_engine(source: Source) -> list[str]:
    """Only ``train/engine.py`` imports ``deepspeed``."""
    return importers(source, {"deepspeed"}, "deepspeed outside train/engine.py", allowed=("train", "engine"))


def network_only_in_hubs(source: Source) -> list[str]:
    """Only ``tasks/hub.py``, which fetches, and ``model/hub.py``, which publishes, import network libraries; only
    the former names ``load_dataset``. Any module may have huggingface_hub's records of a card: they ask nobody."""
    fetches = source.parts == ("tasks", "hub")
    attributes = [node for node in nodes(source) if isinstance(node, ast.Attribute) and node.attr == "load_dataset"]
    named = [node for node, name in imports(source) if name == "datasets.load_dataset"]
    libraries = (
        [] if source.parts == ("model", "hub") else importers(source, NETWORK, "network library", but=NO_NETWORK)
    )
    found = [source.at(node, "load_dataset outside tasks/hub.py") for node in [*attributes, *named]]
    return [] if fetches else found + libraries


def hashlib_only_in_conventions(source: Source) -> list[str]:
    """Only ``conventions.py`` hashes by itself."""
    return importers(source, {"hashlib"}, "hashlib outside conventions.py", allowed=("conventions",))


def english_has_a_name(source: Source) -> list[str]:
    """English is ``conventions.ENGLISH``; a literal "en" stands only among other literals, in a table of languages."""
    literals, tabled = [], set()
    for node in nodes(source):
        entries = getattr(node, "keys", None) or getattr(node, "elts", None) or []
        if len(entries) > 1 and all(isinstance(entry, ast.Constant) for entry in entries):
            tabled |= set(entries)
        if isinstance(node, ast.Constant) and node.value == "en" and source.parts != ("conventions",):
            literals.append(node)
    return [source.at(node, 'a literal "en", not ENGLISH') for node in literals if node not in tabled]


def importers(
    source: Source, modules: set[str], what: str, *, allowed: tuple[str, ...] = (), but: Collection[str] = ()
) -> list[str]:
    """Imports of ``modules``, but not of the names ``but``, in any file but the module ``allowed``."""
    if source.parts == allowed:
        return []
    found = [(node, name) for node, name in imports(source) if name.partition(".")[0] in modules and name not in but]
    return [source.at(node, f"{what} ({name})") for node, name in found]


def pure_rooms_import_no_torch(source: Source) -> list[str]:
    """``tasks/``, ``simulate/``, ``results/``, ``report/`` and ``analysis/`` do not import torch."""
    if source.parts[:1] not in {("tasks",), ("simulate",), ("results",), ("report",), ("analysis",)}:
        return []
    there = f"torch in {source.parts[0]}/"
    return [source.at(node, there) for node, name in imports(source) if is_under(name, "torch")]


def no_logging_set_up_at_import(source: Source) -> list[str]:
    """No module sets up the ``logging`` module when it is imported: that is the program's business."""
    calls = (node for node in run_at_import(source.tree) if isinstance(node, ast.Call))
    set_up = {"basicConfig", "dictConfig", "fileConfig"}
    return [
        source.at(node, "sets up logging at import") for node in calls if dotted(node.func).split(".")[-1] in set_up
    ]


def run_at_import(node: ast.AST) -> Iterator[ast.AST]:
    """The nodes below ``node`` that are not inside a function."""
    for child in ast.iter_child_nodes(node):
        if not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            yield child
            yield from run_at_import(child)


def files_are_short(source: Source) -> list[str]:
    """A file has at most 350 lines."""
    count = len(source.text.splitlines())
    return [f"{source.path}: {count} lines, at most {MAX_FILE_LINES}"] if count > MAX_FILE_LINES else []


def functions_are_short(source: Source) -> list[str]:
    """A function has at most 80 lines, docstring included."""
    found = []
    for node in nodes(source):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            count = (node.end_lineno or node.lineno) - node.lineno + 1
            if count > MAX_FUNCTION_LINES:
                found.append(source.at(node, f"{node.name} has {count} lines, at most {MAX_FUNCTION_LINES}"))
    return found


Rule = Callable[[Source], list[str]]
RULES: list[Rule] = [
    imports_point_down,
    torch_distributed_only_in_parallel,
    deepspeed_only_in_engine,
    network_only_in_hubs,
    hashlib_only_in_conventions,
    english_has_a_name,
    pure_rooms_import_no_torch,
    no_logging_set_up_at_import,
    files_are_short,
    functions_are_short,
]
LONG_FUNCTION = "def f():\n" + "    pass\n" * MAX_FUNCTION_LINES

VIOLATIONS: list[tuple[Rule, str, str]] = [
    (imports_point_down, "scoring/tagging.py", "from dist_stilts.train import loop"),
    (imports_point_down, "scoring/tagging.py", "def f():\n    import dist_stilts.evaluate.suite"),
    (imports_point_down, "scoring/tagging.py", "from dist_stilts.search.neighbours import search"),
    (imports_point_down, "scoring/tagging.py", "from ..model import heads"),
    (imports_point_down, "scoring/__init__.py", "from ..model import heads"),
    (imports_point_down, "simulate/world.py", "from dist_stilts import tasks"),
    (imports_point_down, "errors.py", "from importlib import import_module\nimport_module('dist_stilts.tasks.spec')"),
    (imports_point_down, "experiment/plan.py", "from dist_stilts.study import design"),
    (imports_point_down, "study/design.py", "from dist_stilts.__main__ import main"),
    (imports_point_down, "__init__.py", "from dist_stilts import errors"),
    (torch_distributed_only_in_parallel, "train/loop.py", "import torch.distributed as dist"),
    (torch_distributed_only_in_parallel, "train/loop.py", "from torch import distributed"),
    (torch_distributed_only_in_parallel, "train/loop.py", "def f():\n    from torch.distributed import barrier"),
    (torch_distributed_only_in_parallel, "train/loop.py", "import torch\ndef f():\n    torch.distributed.barrier()"),
    (deepspeed_only_in_engine, "train/loop.py", "def f():\n    import deepspeed.comm"),
    (network_only_in_hubs, "tasks/read_nli.py", "from huggingface_hub import snapshot_download"),
    (network_only_in_hubs, "data/prepare.py", "import urllib.request"),
    (network_only_in_hubs, "model/card.py", "from huggingface_hub import EvalResult, HfApi"),
    (network_only_in_hubs, "model/hub.py", "from datasets import load_dataset"),
    (network_only_in_hubs, "data/prepare.py", "from datasets import load_dataset"),
    (network_only_in_hubs, "data/prepare.py", "import datasets as d\nd.load_dataset('xnli')"),
    (hashlib_only_in_conventions, "tasks/files.py", "from hashlib import sha256"),
    (english_has_a_name, "report/table.py", "english = language == 'en'"),
    (english_has_a_name, "report/table.py", "def f(languages=('en',)):\n    pass"),
    (english_has_a_name, "report/table.py", "for code in (language, 'en'):\n    pass"),
    (pure_rooms_import_no_torch, "report/table.py", "def f():\n    from torch.nn import Module"),
    (pure_rooms_import_no_torch, "simulate/world.py", "import torch"),
    (no_logging_set_up_at_import, "data/prepare.py", "import logging\nlogging.basicConfig()"),
    (
        no_logging_set_up_at_import,
        "data/prepare.py",
        "if True:\n    from logging import basicConfig\n    basicConfig()",
    ),
    (files_are_short, "data/prepare.py", "x = 1\n" * (MAX_FILE_LINES + 1)),
    (functions_are_short, "data/prepare.py", LONG_FUNCTION),
    (functions_are_short, "data/prepare.py", "class C:\n    async " + LONG_FUNCTION.replace("\n", "\n    ")),
]

ALLOWED: list[tuple[str, str]] = [
    ("scoring/tagging.py", "from dist_stilts.tasks.spec import Row\nfrom dist_stilts.errors import UserError"),
    ("scoring/tagging.py", "from . import classify\nfrom .classify import accuracy"),
    ("config.py", "from dist_stilts.errors import UserError"),
    ("__main__.py", "from dist_stilts.experiment import plan\nimport dist_stilts.verbs"),
    ("parallel/world.py", "import torch.distributed as dist\ndist.barrier()"),
    ("train/engine.py", "import deepspeed"),
    ("tasks/hub.py", "from huggingface_hub import snapshot_download\nfrom datasets import load_dataset"),
    ("model/hub.py", "from huggingface_hub import HfApi"),
    ("model/card_metadata.py", "from huggingface_hub import EvalResult, ModelCardData"),
    ("conventions.py", "import hashlib\nENGLISH = 'en'"),
    ("tasks/read_qa.py", "NAMES = {'ar': 'arabic', 'en': 'english'}\nCODES = ('en', 'ar')"),
    ("data/prepare.py", "from datasets import Dataset\nimport torch\nimport torch_other"),
    ("__main__.py", "import logging\ndef main():\n    logging.basicConfig()"),
    ("data/prepare.py", LONG_FUNCTION.removesuffix("    pass\n")),
]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_package_obeys(rule: Rule) -> None:
    assert not [violation for source in package() for violation in rule(source)]


@pytest.mark.parametrize(("rule", "relative", "code"), VIOLATIONS)
def test_planted_violation_is_caught_where_it_is(rule: Rule, relative: str, code: str) -> None:
    (violation,) = rule(parse(f"{PACKAGE}/{relative}", code))
    assert violation.startswith(f"{PACKAGE}/{relative}:")


@pytest.mark.parametrize(("relative", "code"), ALLOWED)
def test_allowed_code_passes_every_rule(relative: str, code: str) -> None:
    assert not [violation for rule in RULES for violation in rule(parse(f"{PACKAGE}/{relative}", code))]


def test_every_room_of_the_package_has_a_floor() -> None:
    rooms = {path.parent.name for path in (ROOT / PACKAGE).glob("*/*.py")}
    assert rooms - NO_CODE == set.union(*FLOORS.values()) - FLOORS[0]


def test_every_rule_has_a_planted_violation() -> None:
    assert {rule for rule, _, _ in VIOLATIONS} == set(RULES)
