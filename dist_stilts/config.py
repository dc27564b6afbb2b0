"""Typed recipes: a YAML file and dotted overrides on top of dataclasses; a wrong key or type is one clear line.

Order of precedence: dataclass defaults, then the file, then ``key=value`` overrides, later over earlier.
This module knows no field of any recipe: each config dataclass lives beside the code that uses it. It knows what other
programs call some of them, and answers with the field if there is one.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, is_dataclass
from importlib import resources
from pathlib import Path
from textwrap import shorten
from typing import Any, TypeVar

import yaml
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import ConfigKeyError, OmegaConfBaseException

from dist_stilts.conventions import KIB
from dist_stilts.errors import UserError, near, nearest
from dist_stilts.recipe_keys import NAME, Key, keys_of, sections
from dist_stilts.redaction import redact, without_secrets

T = TypeVar("T")
SHIPPED = "dist_stilts.recipes"
FEW, SHOWN, ELLIPSIS = 6, 90, "…"
"""Keys that a message explains one by one; characters of what it says of each; what stands for the rest."""
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
    """The resolved config as YAML text, in which secrets are masked."""
    return redact(yaml.safe_dump(without_secrets(plain(config)), sort_keys=False, allow_unicode=True, width=120))


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
        hint = _known_key(key, error.object_type, OmegaConf.get_type(base))
        raise UserError(f"unknown key '{key}'", where=where(key), fix=hint) from None
    except OmegaConfBaseException as error:
        key = str(error.full_key or "")
        reason = str(error.msg or error).splitlines()[0]
        raise UserError(f"wrong value for '{key}': {reason}", where=where(key)) from None
    except TypeError:  # the library's only word on a list in a mapping's place, or the other way round
        key = _misfit(base, changes)
        raise UserError(f"wrong value for '{key}': a list and a mapping are two things", where=where(key)) from None
    except yaml.YAMLError as error:
        raise UserError(f"not a value: {error}", where=where("")) from None


def _misfit(base: Any, changes: Any, above: tuple[str, ...] = ()) -> str:
    """The dotted key of the first list in a mapping's place, or the other way round: the one that alone fails, too."""
    for key, value in changes.items():
        alone = {key: value}
        for parent in reversed(above):
            alone = {parent: alone}
        try:
            OmegaConf.merge(base, alone)
        except TypeError:
            place = (*above, str(key))
            return (isinstance(value, DictConfig) and _misfit(base, value, place)) or ".".join(place)
        except OmegaConfBaseException:
            continue  # wrong otherwise
    return ""


def _known_key(key: str, section: Any, schema: Any) -> str:
    """What may be meant, and what it means: a key of the section, else of another one; else all that the section has.

    Args:
        key: as it was given, with the sections that it is in; section: the dataclass of the last of these.
        schema: the dataclass of the whole.
    """
    above, _, name = key.rpartition(".")
    known = {found.path.rpartition(".")[2]: found for found in _keys(section, above)}
    meant = OTHER_NAMES.get(name.lower(), name)
    for place in (known, {found.path.rpartition(".")[2]: found for found in reversed(_all_keys(schema))}):
        if found := near(meant, place):
            return f"did you mean {_explained(place[found[0]])}?"
    if len(known) > FEW:
        part = f"recipes keys {above}".strip()
        return f"{nearest(meant, known)}; `dist-stilts {part}` says what each means"
    return f"known: {', '.join(map(_explained, known.values()))}" if known else nearest(meant, known)


def _keys(section: Any, above: str) -> list[Key]:
    return keys_of(section, above) if is_dataclass(section) and isinstance(section, type) else []


def _all_keys(schema: Any) -> list[Key]:
    """Every key of a config dataclass and of those below it, as far as they need no name of the user's."""
    if not (is_dataclass(schema) and isinstance(schema, type)):
        return []
    return [key for path, _, keys in sections(schema) if NAME not in path.split(".") for key in keys]


def _explained(key: Key) -> str:
    """The key and the beginning of what it means."""
    meaning = re.split(r"[.;:] | \(|\.$", key.meaning)[0]  # up to the first stop, or what stands in brackets
    return f"'{key.path}'{f' ({shorten(meaning, SHOWN, placeholder=ELLIPSIS)})' if meaning else ''}"


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
