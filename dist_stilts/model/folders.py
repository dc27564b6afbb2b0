"""A model's folder before anything of it is loaded: where in it the model is, and whether it can be read as it is.

Only the beginnings of files are read. What is damaged, is of no encoder, or would have to run code of the model's own,
is one line that names the file. Nobody's code is run: weights that are pickles are read as tensors alone, by
transformers (``weights_only``), and whatever else they would do is refused there.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from pickle import UnpicklingError
from typing import Any
from zipfile import is_zipfile

from dist_stilts.errors import EXIT_FAILED, UserError, is_out_of_memory, refused
from dist_stilts.names import shown

CONFIG, ADAPTER, MODULES = "config.json", "adapter_config.json", "modules.json"
TOKENIZER, TOKENIZER_CONFIG = "tokenizer.json", "tokenizer_config.json"
TOKENIZER_FILES = (
    TOKENIZER,
    *("sentencepiece.bpe.model", "sentencepiece.model", "spiece.model", "spm.model", "tokenizer.model"),
    *("vocab.txt", "vocab.json"),
)
"""Files of which one is a tokenizer; transformers makes a fast one of each."""
WEIGHTS, INDEX = "model.safetensors", "model.safetensors.index.json"
PICKLED = ("pytorch_model.bin", "pytorch_model.bin.index.json")
GENERATORS = ("ForCausalLM", "ForConditionalGeneration", "LMHeadModel")
"""How the names of classes end whose models write text."""
OWN_CODE = "brings its own code ({}), which is not run"
RUNS_CODE = "a pickle of more than tensors, which would run code"
LEAST = 64
"""Bytes of the smallest pickle of a tensor."""
WHOLE = "Copy or download it again"
OTHER = "Give a model whose architecture is transformers' own, such as XLM-R"


def located(folder: Path) -> Path:
    """Where in a folder the model is: in it, or where an old model of sentence-transformers has it, in
    ``0_Transformer``."""
    if (folder / CONFIG).is_file() and "model_type" in read_json(folder / CONFIG):
        return folder
    if (folder / MODULES).is_file():
        modules = read_json(folder / MODULES, list)
        first = modules[0].get("path") if modules and isinstance(modules[0], dict) else None
        if isinstance(first, str) and (folder / first / CONFIG).is_file() and _is_below(folder / first, folder):
            return folder / first
    return folder


def _is_below(inner: Path, folder: Path) -> bool:
    return inner.resolve().is_relative_to(folder.resolve())


def examine(folder: Path, *, translates: bool = False) -> None:
    """See that a folder holds a model that can be read, as far as that is known without reading its weights.

    Args:
        translates: whether it is to be an encoder and a decoder; else it must be an encoder.

    Raises:
        UserError: it does not, or would have to run code.
    """
    if (folder / ADAPTER).is_file():
        read_json(folder / ADAPTER)
        for file in folder.glob("adapter_model.safetensors"):
            check_tensors(file)
        return
    check_config(folder, translates=translates)
    for file in files_of_weights(folder):
        (check_tensors if file.suffix == ".safetensors" else check_pickle)(file)


def check_config(folder: Path, *, translates: bool = False) -> dict[str, Any]:
    """What a model's ``config.json`` says; UserError as :func:`examine` has it."""
    if not (folder / CONFIG).is_file():
        raise UserError("this is no model: it has no config.json", where=folder, fix=what_there_is(folder))
    config = read_json(folder / CONFIG)
    _check_architecture(config, folder)
    _check_labels(config.get("id2label"), folder / CONFIG)
    if config.get("is_encoder_decoder") and not translates:
        raise UserError(
            f"a {_class(config)} is an encoder and a decoder: it generates text",
            where=folder,
            fix="Give an encoder's model, such as XLM-R",
        )
    return config


def _check_architecture(config: dict[str, Any], folder: Path) -> None:
    from transformers import CONFIG_MAPPING

    kind = config.get("model_type")
    if kind in CONFIG_MAPPING:
        return
    if "auto_map" in config:
        raise UserError(
            f"the model {OWN_CODE.format(f'auto_map in {CONFIG}')}: transformers has no model_type '{kind}'",
            where=folder,
            fix=OTHER,
        )
    raise UserError(
        f"no model of transformers: unknown model_type '{kind}'" if kind else "no model of transformers: no model_type",
        where=folder / CONFIG,
        fix=OTHER if kind else what_there_is(folder) or OTHER,
    )


def _check_labels(names: Any, file: Path) -> None:
    """UserError unless outputs, if they have names, have one each: a head would take one for another's."""
    if names is None:
        return
    numbers = {str(number) for number in range(len(names))} if isinstance(names, dict) else set()
    if set(map(str, names)) != numbers or not all(isinstance(name, str | int) for name in names.values()):
        raise UserError("'id2label' does not name outputs 0, 1, 2 and so on, each by a text", where=file, fix=WHOLE)


def _class(config: dict[str, Any]) -> str:
    return next(iter(architectures(config)), str(config.get("model_type")))


def architectures(config: Any) -> tuple[str, ...]:
    """The classes that a configuration, as it was read or as transformers has it, says it is of."""
    found = config.get("architectures") if isinstance(config, dict) else getattr(config, "architectures", None)
    return (found,) if isinstance(found, str) else tuple(found or ())


def what_there_is(folder: Path) -> str:
    """What to do about a folder without a model."""
    return what_is_below(folder) or "Give a folder with config.json, weights and tokenizer"


def what_is_below(folder: Path) -> str:
    """Which folder in a folder without a model is one, if any."""
    below = sorted(file.parent for name in (ADAPTER, CONFIG) for file in folder.glob(f"*/{name}"))
    below = [inner for inner in below if (inner / ADAPTER).is_file() or "model_type" in read_json(inner / CONFIG)]
    if below:
        kind = "An adapter" if (below[0] / ADAPTER).is_file() else "A model"
        return f"{kind} is in {below[0]}: give that folder"
    return ""


def files_of_weights(folder: Path) -> list[Path]:
    """The files that transformers reads a model's weights from.

    Raises:
        UserError: no weights; an index that names files that are not there.
    """
    if (folder / WEIGHTS).is_file():
        return [folder / WEIGHTS]
    for name in (INDEX, PICKLED[1]):
        if (folder / name).is_file():
            return _shards(folder, name)
    if not (folder / PICKLED[0]).is_file():
        raise UserError(f"the model has no weights ({WEIGHTS})", where=folder, fix="Give a whole model")
    return [folder / PICKLED[0]]


def _shards(folder: Path, name: str) -> list[Path]:
    names = read_json(folder / name).get("weight_map")
    if not isinstance(names, dict) or not all(isinstance(file, str) for file in names.values()):
        raise UserError("damaged: it does not say which file a tensor is in", where=folder / name, fix=WHOLE)
    shards = sorted({folder / file for file in names.values()})
    if lost := [shard.name for shard in shards if not shard.is_file()]:
        raise UserError(f"it names files that are not there: {', '.join(lost[:3])}", where=folder / name, fix=WHOLE)
    return shards


def check_tensors(file: Path) -> None:
    """See by its header that a safetensors file is whole; UserError if it is not."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(file, "np"):
            pass
    except (OSError, SafetensorError, ValueError) as error:
        raise UserError(f"damaged ({' '.join(str(error).split())[:150]})", where=file, fix=WHOLE) from None


def check_pickle(file: Path) -> None:
    """See what pickled weights would call, without calling it; UserError if that is more than tensors need."""
    from torch.serialization import get_unsafe_globals_in_checkpoint

    if file.stat().st_size < LEAST:
        raise UserError("damaged: it holds no tensors", where=file, fix=WHOLE)
    if not is_zipfile(file):
        return  # of torch before 1.6, or cut off: loading it tells, as tensors alone
    try:
        called = get_unsafe_globals_in_checkpoint(str(file))
    except Exception as error:
        raise refused("damaged", file, error) from None
    if called:
        raise UserError(f"{RUNS_CODE} ({', '.join(called[:3])})", where=file, fix="Give the weights as safetensors")


def check_tokenizer(folder: Path) -> None:
    """See that a folder's tokenizer, if it has one, runs no code and that its files are no ruins."""
    if (file := folder / TOKENIZER_CONFIG).is_file():
        told = read_json(file)
        if _brings_code(told):
            raise UserError(f"the tokenizer {OWN_CODE.format('auto_map')}", where=file, fix=OTHER)
        if not isinstance(longest := told.get("model_max_length") or 0, int | float):
            raise UserError(f"'model_max_length' is no number: {shown(str(longest))}", where=file, fix=WHOLE)
    for name in TOKENIZER_FILES:
        if (file := folder / name).is_file():
            _check_ends(file)


def _brings_code(told: dict[str, Any]) -> bool:
    """Whether a tokenizer is of a class that only its own code has."""
    import transformers

    mapped, name = told.get("auto_map"), told.get("tokenizer_class")
    return bool(mapped) and not (isinstance(name, str) and hasattr(transformers, name))


def _check_ends(file: Path) -> None:
    """An empty file, or JSON that begins or ends in the middle."""
    with file.open("rb") as content:
        first = content.read(64).strip()
        content.seek(max(0, file.stat().st_size - 64))
        last = content.read().strip()
    if not first or (file.suffix == ".json" and (first[:1], last[-1:]) != (b"{", b"}")):
        raise UserError("damaged: it is empty or cut off", where=file, fix=WHOLE)


def read_tokenizer(folder: Path, most_bytes: int = sys.maxsize) -> tuple[int, Any]:
    """How many tokens a tokenizer of a ``tokenizer.json`` has, and its ``model_max_length``; 0 where that is not there.

    Args:
        most_bytes: of a ``tokenizer.json`` that is read.

    Raises:
        UserError: it is damaged.
    """
    told = read_json(folder / TOKENIZER_CONFIG) if (folder / TOKENIZER_CONFIG).is_file() else {}
    if not (folder / TOKENIZER).is_file() or (folder / TOKENIZER).stat().st_size > most_bytes:
        return 0, told.get("model_max_length")
    found = read_json(folder / TOKENIZER)
    words = found["model"].get("vocab") if isinstance(found.get("model"), dict) else None
    if not isinstance(words, list | dict) or not isinstance(found.get("added_tokens"), list):
        raise UserError("damaged: it holds no tokens", where=folder / TOKENIZER, fix=WHOLE)
    return len(words), told.get("model_max_length")


def read_json(file: Path, kind: type = dict) -> Any:
    """A model's small JSON file; UserError if it is none, or of another kind than ``kind``."""
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(f"damaged ({' '.join(str(error).split())[:150]})", where=file, fix=WHOLE) from None
    if not isinstance(found, kind):
        raise UserError(f"damaged: no JSON {'object' if kind is dict else 'list'}", where=file, fix=WHOLE)
    return found


def not_loaded(what: str, folder: Path | str, error: BaseException) -> UserError:
    """What transformers says to a model that it cannot load, in one line."""
    for cause in _causes(error):
        if isinstance(cause, UserError):
            return cause
        if is_out_of_memory(cause):
            return UserError(f"{what}: there is not enough memory", where=folder, code=EXIT_FAILED, everywhere=False)
        if isinstance(cause, UnpicklingError):
            return UserError(
                f"the weights are damaged, or {RUNS_CODE}",
                where=folder,
                fix="Give them as safetensors",
            )
        if isinstance(cause, ImportError):
            return UserError(f"{what}: {' '.join(str(cause).split())[:200]}", where=folder)
    assert isinstance(error, Exception)
    return refused(what, folder, error)


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__
