"""A library that lacks a private name is refused at the start, by that name and the version that is wanted."""

from __future__ import annotations

import ast
import configparser
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from dist_stilts import private_names as names
from dist_stilts.errors import UserError

ROOT = Path(__file__).parents[2]
DOCUMENTED = {"backward", "destroy", "device", "module", "step", "train"}
"""What DeepSpeed's manual names of an engine."""
STAGES = [(1, False), (2, False), (2, True), (3, False)]


def having(attributes: tuple[str, ...], **values: Any) -> SimpleNamespace:
    """An object with these attributes and no other."""
    return SimpleNamespace(**{**dict.fromkeys(attributes), **values})


def engine_of(stage: int, offload: bool) -> SimpleNamespace:
    """An engine that has exactly the names that are asked of that stage."""
    three = stage == 3
    zero = having((*names.ZERO, *(names.STAGE_3 if three else (*names.STAGES_1_2, *names.OFFLOAD))))
    parameters = [
        having(names.PARAMETER_3, requires_grad=True)
        if three
        else having((), requires_grad=True, _hp_mapping=having(names.MAPPING)),
        having((), requires_grad=False),
    ]
    return having(
        names.ENGINE,
        optimizer=zero,
        zero_optimization_stage=lambda: stage,
        zero_cpu_offload=lambda: offload,
        module=SimpleNamespace(parameters=lambda: parameters),
    )


def parts(engine: SimpleNamespace) -> list[SimpleNamespace]:
    """The objects of an engine of which names are asked."""
    parameter = engine.module.parameters()[0]
    mapping = getattr(parameter, "_hp_mapping", None)
    return [engine, engine.optimizer, parameter, *([mapping] if mapping else [])]


@pytest.mark.parametrize(("stage", "offload"), STAGES)
def test_each_missing_name_is_said_with_the_wanted_version(stage: int, offload: bool) -> None:
    names.require_engine(engine_of(stage, offload))
    count = 0
    for place, part in enumerate(parts(engine_of(stage, offload))):
        for name in set(vars(part)) - {"module", "requires_grad"}:
            engine = engine_of(stage, offload)
            delattr(parts(engine)[place], name)
            if name == "averaged_gradients" and not offload:
                names.require_engine(engine)
                continue
            with pytest.raises(UserError, match=rf"^deepspeed \S+ lacks .*{name}.*pip install 'deepspeed>=0\.19\.3,<0"):
                names.require_engine(engine)
            count += 1
    assert count >= 15


@pytest.mark.parametrize("lacking", [*names.OPS, *names.GROUPS])
def test_a_module_that_lacks_a_name_is_refused(lacking: str) -> None:
    ops, groups = having(names.OPS), having(names.GROUPS)
    names.require_modules(ops, groups)
    for module in (ops, groups):
        vars(module).pop(lacking, None)
    with pytest.raises(UserError, match=lacking):
        names.require_modules(ops, groups)


def test_the_wanted_versions_are_those_that_are_installed_with_the_package() -> None:
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg")
    assert set(names.WANTED.values()) <= set(config["options"]["install_requires"].split())


def test_every_name_that_is_read_of_an_engine_is_checked_at_start() -> None:
    listed = {name for value in vars(names).values() if isinstance(value, tuple) for name in value}
    read = set()
    for name in ("engine", "loop", "owned_state"):
        for node in ast.walk(ast.parse((ROOT / "dist_stilts" / "train" / f"{name}.py").read_text(encoding="utf-8"))):
            if isinstance(node, ast.Attribute) and ast.unparse(node.value) in {"engine", "engine.optimizer", "zero"}:
                read.add(node.attr)
    assert len(read) > 15
    assert read <= listed | DOCUMENTED
