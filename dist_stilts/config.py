"""Typed recipes: a YAML file and dotted overrides on top of dataclasses; a wrong key or type is one clear line.

Order of precedence: dataclass defaults, then the file, then ``key=value`` overrides, later over earlier.
This module knows no field of any recipe: each config dataclass lives beside the code that uses it. It knows what other
programs call some of them, and answers with the field if there is one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, is_dataclass
from importlib import resources
from pathlib import Path
from types import UnionType
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

import yaml
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import ConfigKeyError, OmegaConfBaseException

from dist_stilts.conventions import KIB
from dist_stilts.errors import UserError, near, nearest

T = TypeVar("T")
SHIPPED = "dist_stilts.recipes"
OTHER_NAMES = {
    **dict.fromkeys(("model", "model_name", "model_name_or_path"), "path"),
    **dict.fromkeys(("dir", "folder", "data_dir"), "root"),
    **dict.fromkeys(("output", "output_dir", "run_name"), "out"),
    **dict.fromkeys(("gpus", "n_gpu", "nproc_per_node", "num_processes"), "ranks"),
    **dict.fromkeys(("max_seq_length", "max_seq_len", "seq_len"), "max_length"),
    **dict.fromkeys(("per_device_train_batch_size", "train_batch_size", "per_device_eval_batch_size"), "batch_size"),
    **dict.fromkeys(("accumulation", "gradient_accumulation_steps", "micro_batch_size"), "max_micro_tokens"),
    **dict.fromkeys(("num_train_epochs", "num_epochs"), "epochs"),
    **dict.fromkeys(("lr_scheduler", "lr_scheduler_type", "scheduler"), "schedule"),
    **dict.fromkeys(("clip", "grad_clip", "clip_grad_norm", "gradient_clipping"), "max_grad_norm"),
    **dict.fromkeys(("logging_steps", "log_steps"), "log_every"),
    **dict.fromkeys(("save_steps", "checkpoint_every"), "save_every"),
    **dict.fromkeys(("eval_steps", "eval_every"), "evaluate_every"),
    "save_total_limit": "keep",
    "gradient_checkpointing": "checkpoint_activations",
    "mlm_probability": "mlm_rate",
    "adam_epsilon": "eps",
    "epsilon": "eps",
    "k": "neighbours",
}
"""What the Hugging Face Trainer, DeepSpeed, jiant and habit call a setting, to what a recipe calls it."""


def shipped_recipes() -> list[str]:
    """Names of the recipes that come with the package."""
    return sorted(p.name.removesuffix(".yaml") for p in resources.files(SHIPPED).iterdir() if p.name.endswith(".yaml"))


def find_recipe(name_or_path: str) -> Path:
    """Return the file of a shipped recipe name or of a YAML path; UserError if there is neither."""
    path = Path(name_or_path)
    if path.suffix in (".yaml", ".yml"):
        if not path.is_file():
            raise UserError("no such recipe file", where=path, fix=f"Shipped recipes: {', '.join(shipped_recipes())}")
        return path
    if name_or_path not in shipped_recipes():
        raise UserError(
            f"unknown recipe '{name_or_path}'",
            fix=f"{nearest(name_or_path, shipped_recipes())} A file of your own needs the ending .yaml",
        )
    return Path(str(resources.files(SHIPPED) / f"{name_or_path}.yaml"))


def load(schema: type[T], path: Path, overrides: Sequence[str] = (), **defaults: Any) -> T:
    """Read ``path`` into ``schema`` and apply ``key=value`` overrides.

    Args:
        defaults: in the place of the schema's own.

    Raises:
        UserError: broken YAML, unknown key (the nearest is named), wrong type; with file and line.
    """
    text = path.read_text(encoding="utf-8")
    try:
        given = OmegaConf.create(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        raise UserError(
            f"not valid YAML: {getattr(error, 'problem', error)}", where=(path, mark.line + 1) if mark else path
        ) from None
    if not isinstance(given, DictConfig):
        raise UserError(
            "a recipe is a mapping of keys to values", where=path, fix="See a shipped recipe for an example"
        )
    merged = _merge(OmegaConf.structured(schema(**defaults)), given, lambda key: (path, _line_of(text, key)))
    for override in overrides:
        if "=" not in override or override.startswith("="):
            raise UserError(
                f"'{override}' is not an override", fix="Write key=value, for example train.learning_rate=1e-5"
            )
        merged = _merge(merged, OmegaConf.from_dotlist([override]), lambda key, given=override: f"override {given}")
    return _to_object(merged, path)


def merge_into(base: T, changes: Mapping[str, Any], where: str) -> T:
    """Return a copy of the dataclass ``base`` with ``changes`` applied, checked like a recipe; ``where`` names them."""
    merged = _merge(OmegaConf.structured(base), OmegaConf.create(dict(changes)), lambda key: where)
    result: T = _to_object(merged, where)
    return result


def dump(config: Any) -> str:
    """The resolved config as YAML text."""
    return yaml.safe_dump(plain(config), sort_keys=False, allow_unicode=True, width=120)


def plain(config: Any) -> Any:
    """The config as plain dictionaries, lists and scalars."""
    return asdict(config) if is_dataclass(config) and not isinstance(config, type) else config


def differences(old: Any, new: Any, prefix: str = "") -> list[str]:
    """List what differs between two plain configs, as ``key: old -> new``."""
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        keys = [*new, *(key for key in old if key not in new)]
        return [line for key in keys for line in differences(old.get(key), new.get(key), f"{prefix}{key}.")]
    return [] if old == new else [f"{prefix.rstrip('.')}: {old} -> {new}"]


def _merge(base: Any, changes: Any, where: Any) -> Any:
    try:
        return OmegaConf.merge(base, changes)
    except ConfigKeyError as error:
        key = str(error.full_key or error.key)
        hint = _known_key(key.rpartition(".")[2], error.object_type, OmegaConf.get_type(base))
        raise UserError(f"unknown key '{key}'", where=where(key), fix=hint) from None
    except OmegaConfBaseException as error:
        key = str(error.full_key or "")
        reason = str(error.msg or error).splitlines()[0]
        raise UserError(f"wrong value for '{key}': {reason}", where=where(key)) from None
    except yaml.YAMLError as error:
        raise UserError(f"not a value: {error}", where=where("")) from None


def _known_key(name: str, section: Any, schema: Any) -> str:
    """The key of the section that is meant, else one of another section, else all that the section has."""
    known = list(get_type_hints(section)) if is_dataclass(section) else []
    meant = OTHER_NAMES.get(name.lower(), name)
    elsewhere = {path.rpartition(".")[2]: path for path in reversed(list(_paths(schema)))}
    if not near(meant, known) and (found := near(meant, elsewhere)):
        return f"did you mean '{elsewhere[found[0]]}'?"
    return nearest(meant, known)


def _paths(schema: Any, above: str = "") -> Iterator[str]:
    """The dotted key of every field of a config dataclass and of those below it that need no name of the user's."""
    for name, kind in get_type_hints(schema).items() if is_dataclass(schema) else ():
        yield above + name
        for part in get_args(kind) if get_origin(kind) is UnionType else [kind]:
            yield from _paths(part, f"{above}{name}.")


def _to_object(merged: Any, where: Path | str) -> Any:
    try:
        return OmegaConf.to_object(merged)
    except OmegaConfBaseException as error:
        raise UserError(str(error.msg or error).splitlines()[0], where=where) from None


def _line_of(text: str, dotted: str) -> int:
    """The line on which the dotted key stands in YAML text; that of its deepest parent found, else 1."""
    node, line = yaml.compose(text, Loader=yaml.SafeLoader), 1
    for part in dotted.split("."):
        if not isinstance(node, yaml.MappingNode):
            break
        for key, value in node.value:
            if key.value == part:
                node, line = value, key.start_mark.line + 1
                break
        else:
            break
    return line


def number_of_bytes(text: str) -> int:
    """Bytes in ``256M``, ``1.5GiB`` or ``1000000``; a K is 1,024.

    Raises:
        UserError: not an amount of memory, or none.
    """
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([KMGT]?)(?:i?B)?", text.strip(), re.IGNORECASE)
    size = int(float(match[1]) * KIB ** " KMGT".index(match[2].upper() or " ")) if match else 0
    if size < 1:
        raise UserError(f"'{text}' is no amount of memory", fix="Write it as 256M or 1.5GiB")
    return size
