"""Typed recipes: a YAML file and dotted overrides on top of dataclasses; a wrong key or type is one clear line.

Order of precedence: dataclass defaults, then the file, then ``key=value`` overrides, later over earlier.
This module knows no field of any recipe: each config dataclass lives beside the code that uses it. It knows what other
programs call some of them, and answers with the field if there is one.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, fields, is_dataclass
from importlib import resources
from pathlib import Path
from textwrap import shorten
from typing import Any, TypeVar

import yaml
from omegaconf import OmegaConf
from omegaconf.errors import ConfigKeyError, OmegaConfBaseException

from dist_stilts.conventions import KIB
from dist_stilts.errors import UserError, near, nearest
from dist_stilts.ranges import at_home, changed_config, violations
from dist_stilts.recipe_file import Reader, read_override, read_text
from dist_stilts.recipe_keys import NAME, Key, keys_of, sections
from dist_stilts.redaction import redact, without_secrets

T = TypeVar("T")
Where = Callable[[str], tuple[Path, int] | str]
"""Where a dotted key was given."""
SHIPPED = "dist_stilts.recipes"
FEW, SHOWN, REASON, ELLIPSIS = 6, 90, 200, "…"
"""Keys that a message explains one by one; characters of what it says of each, and of why a value is wrong; what stands
for the rest."""
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
        if path.is_dir():
            raise UserError("is a folder, not a recipe", where=path, fix="Give the file of a recipe")
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
        UserError: broken YAML, unknown key (the nearest is named), wrong type, outside its range; with file and line.
    """
    reader = Reader(read_text(path), path)
    given, keys = reader.read(schema) or {}, list[tuple[str, str]]()
    for text in overrides:
        place = f"override {text}"
        names, value = read_override(text, schema, place, given)
        keys.append((place, ".".join(names)))
        for name in reversed(names):
            value = {name: value}
        given = _laid_over(given, value)

    def where(key: str) -> tuple[Path, int] | str:
        """The last override that has a say in a key, else the key's line."""
        for override, own in reversed(keys):
            if own == key or own.startswith((f"{key}.", f"{key}[")) or key.startswith((f"{own}.", f"{own}[")):
                return override
        return path, reader.line_of(key)

    loaded: T = _merged(schema(**defaults), given, where)
    for key, changes, changed in _changes(loaded):
        _merged(changed(), changes, where, f"{key}.")
    return at_home(loaded)


def merge_into(base: T, changes: Mapping[str, Any], where: str) -> T:
    """Return a copy of the dataclass ``base`` with ``changes`` applied, checked like a recipe; ``where`` names them."""
    return at_home(_merged(base, changes, lambda key: where))


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


def _merged(base: T, changes: Mapping[str, Any], where: Where, above: str = "") -> T:
    """Lay changes over a copy of a config; ``above``: what stands before the config's keys where they are named."""
    try:
        laid = OmegaConf.unsafe_merge(OmegaConf.structured(base), OmegaConf.create(dict(changes)))
        merged: Any = OmegaConf.to_object(laid)
    except ConfigKeyError as error:
        key = str(error.full_key or error.key)
        hint = _known_key(key, error.object_type, type(base))
        raise UserError(f"unknown key '{above}{key}'", where=where(above + key), fix=hint) from None
    except OmegaConfBaseException as error:
        key = f"{above}{error.full_key or ''}"
        reason = shorten(str(error.msg or error).splitlines()[0], REASON, placeholder=ELLIPSIS)
        raise UserError(f"wrong value for '{key}': {reason}", where=where(key)) from None
    for key, wrong in violations(merged, above.removesuffix(".")):
        raise UserError(wrong.what, where=where(key), fix=wrong.fix)
    found: T = merged
    return found


def _laid_over(below: Any, value: Any) -> Any:
    """Keys and values with others laid over them, section by section."""
    if not isinstance(below, dict) or not isinstance(value, dict):
        return value
    return {**below, **{name: _laid_over(below.get(name), item) for name, item in value.items()}}


def _changes(config: Any, above: str = "") -> Iterator[tuple[str, Mapping[str, Any], type]]:
    """Key, changes and changed config of all that is laid over another config."""
    for declared in fields(config):
        value, key = getattr(config, declared.name), f"{above}{declared.name}"
        if (changed := changed_config(declared)) and value:
            yield key, value, changed
        elif is_dataclass(value):
            yield from _changes(value, f"{key}.")
        elif isinstance(value, dict):
            for name, item in value.items():
                yield from _changes(item, f"{key}.{name}.") if is_dataclass(item) else ()


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
