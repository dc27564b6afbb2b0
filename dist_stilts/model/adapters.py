"""Adapters (peft): a base model and the small file that changes it, merged into a model folder like any other.

    adapter_config.json + adapter_model.safetensors --(base, merge_and_unload)--> ~/.cache/dist-stilts/merged/<key>/

Whoever wants a model's folder asks :func:`model_folder` for it, so adapters are taken wherever models are. The head is
the adapter's, or the base's; one that is in neither is refused (law 8).
"""

from __future__ import annotations

import os
import shutil
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch

from dist_stilts.conventions import fingerprint
from dist_stilts.errors import UserError, refused
from dist_stilts.model.folders import (
    GENERATORS,
    TOKENIZER_FILES,
    architectures,
    examine,
    located,
    not_loaded,
    read_json,
)
from dist_stilts.once import build
from dist_stilts.tasks.hub import fetch_model

CONFIG = "adapter_config.json"
CLASSES = {
    "SEQ_CLS": "AutoModelForSequenceClassification",
    "TOKEN_CLS": "AutoModelForTokenClassification",
    "QUESTION_ANS": "AutoModelForQuestionAnswering",
    "FEATURE_EXTRACTION": "AutoModel",
}
"""peft's types of task to the classes of transformers; other types generate text."""
LABELLED = ("ForSequenceClassification", "ForTokenClassification")
TOKENIZER = ("tokenizer*.json", "special_tokens_map.json", "added_tokens.json", "*.model", "vocab.*", "merges.txt")
PREFIX = "base_model.model."
"""How the names of an adapter's tensors begin."""
UNLIKELY = 7_919
"""A number of labels that no other size of a model is."""
FORMAT = 1
"""Raise it when the same files would be merged into another model."""


def model_folder(path: str, revision: str | None = None, check: Callable[[Path], object] = examine) -> Path:
    """The folder of a model, as :func:`dist_stilts.tasks.hub.fetch_model` gives it; of an adapter, what it and its
    base make together, which is kept in the user's cache.

    Args:
        check: what must be whole of it: the model, unless only its architecture or tokenizer is wanted.

    Raises:
        UserError: no model, or one that cannot be read; an adapter that cannot be merged, or without its base, its head
            or the library for it.
    """
    folder = located(fetch_model(path, revision))
    if not is_adapter(folder):
        check(folder)
        return folder
    examine(folder)
    adapter = read_adapter(folder)
    base = located(fetch_model(adapter.base_model_name_or_path, adapter.revision))
    examine(base)
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "dist-stilts" / "merged"
    merged = cache / fingerprint([FORMAT, *_files(folder), *_files(base)])

    def make(out: Path) -> None:
        try:
            _merge(folder, base, adapter, out)
        except UserError:
            raise
        except Exception as error:  # of three libraries, dozens of types: one fact to the user
            raise not_loaded("the adapter cannot be merged into its base", folder, error) from None

    build(merged, make)
    return merged


def _files(folder: Path) -> Iterator[tuple[str, int, int]]:
    """What tells whether a folder's files have changed, without reading gigabytes."""
    for file in sorted(folder.iterdir()):
        if file.is_file():
            state = file.stat()
            yield str(file.resolve()), state.st_size, state.st_mtime_ns


def is_adapter(folder: Path) -> bool:
    """Whether a folder holds an adapter."""
    return (folder / CONFIG).is_file()


def read_adapter(folder: Path) -> Any:
    """What an adapter says of itself, as peft reads it.

    Raises:
        UserError: no peft, or an adapter that cannot be merged or does not name its base.
    """
    try:
        from peft import PeftConfig
    except ImportError:
        raise UserError(
            "an adapter, and peft is not installed", where=folder, fix="Run pip install 'dist-stilts[peft]'"
        ) from None
    try:
        adapter = PeftConfig.from_pretrained(str(folder))
    except Exception as error:
        raise refused("not an adapter that the installed peft knows", folder / CONFIG, error) from None
    if adapter.is_prompt_learning:
        raise UserError(
            f"a {adapter.peft_type.value} adapter cannot be merged: it changes what is read, and no weights",
            where=folder,
            fix="Give one that changes weights, such as LoRA",
        )
    if not adapter.base_model_name_or_path:
        raise UserError(
            "the adapter does not say what its base model is",
            where=folder / CONFIG,
            fix='Write the model\'s name or folder there: "base_model_name_or_path"',
        )
    return adapter


def _merge(folder: Path, base: Path, adapter: Any, out: Path) -> None:
    """Write the merged model, fp32, with the adapter's tokenizer or else its base's."""
    from peft import PeftModel, get_peft_model_state_dict
    from peft.utils import load_peft_weights

    tensors = load_peft_weights(str(folder), device="cpu")
    given = {name.removeprefix(PREFIX) for name in tensors}
    model, fresh = _base_model(folder, base, adapter, tensors)
    if lacking := sorted(fresh - given):
        raise UserError(
            f"{len(lacking)} tensors are neither in the adapter nor in its base (first: {lacking[0]}) and would be"
            " random",
            where=folder,
            fix="Give an adapter that was saved with its head (modules_to_save)",
        )
    own = set(model.state_dict())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what peft warns of is refused below
        whole: Any = PeftModel.from_pretrained(model, str(folder))
    placed = {name.removeprefix(PREFIX) for name in get_peft_model_state_dict(whole, save_embedding_layers=False)}
    left = {name for name in given - placed - own if ".pooler." not in name and not name.startswith("pooler.")}
    if wrong := sorted((placed - given) | left):
        raise UserError(
            f"the adapter is not of its base: {len(wrong)} tensors have no counterpart (first: {wrong[0]})",
            where=folder,
            fix='See "base_model_name_or_path" in adapter_config.json',
        )
    whole.merge_and_unload().save_pretrained(str(out))
    source = folder if any((folder / name).is_file() for name in TOKENIZER_FILES) else base
    for file in (file for pattern in TOKENIZER for file in source.glob(pattern)):
        shutil.copyfile(file, out / file.name)


def _base_model(folder: Path, base: Path, adapter: Any, tensors: dict[str, torch.Tensor]) -> tuple[Any, set[str]]:
    """The base as a model of the adapter's class, and which of its tensors its file does not have."""
    from transformers import AutoConfig

    config = AutoConfig.from_pretrained(str(base), trust_remote_code=False)
    model_class = _class(folder, config, adapter)
    if model_class.__name__.endswith(LABELLED):
        _set_labels(config, folder, model_class, tensors)
    options = {"config": config, "dtype": torch.float32, "ignore_mismatched_sizes": True, "output_loading_info": True}
    model, info = model_class.from_pretrained(str(base), trust_remote_code=False, **options)
    missing = {*info["missing_keys"], *(key[0] for key in info["mismatched_keys"])}
    if adapter.task_type == "FEATURE_EXTRACTION":  # of an encoder alone, nobody reads the pooler
        missing = {name for name in missing if not name.startswith("pooler.")}
    return model, missing


def _class(folder: Path, config: Any, adapter: Any) -> Any:
    """The class of transformers that the adapter was trained with."""
    import transformers

    named = (adapter.auto_mapping or {}).get("base_model_class") or next(iter(architectures(config)), "")
    name: str = (CLASSES.get(adapter.task_type) if adapter.task_type else named) or ""
    found = getattr(transformers, name, None)
    if found is None or not hasattr(found, "from_pretrained") or name.endswith(GENERATORS):
        raise UserError(
            f"an adapter for {adapter.task_type or name or 'nothing that is known'} is no encoder's",
            where=folder / CONFIG,
            fix="Give an adapter of an encoder",
        )
    return found._model_mapping[type(config)] if hasattr(found, "_model_mapping") else found


def _set_labels(config: Any, folder: Path, model_class: Any, tensors: dict[str, torch.Tensor]) -> None:
    """As many labels as the adapter's head has, by the names in a ``config.json`` beside it, or else in the base's."""
    from transformers import PreTrainedConfig

    # Of whatever class, it is the names of its labels that are read.
    there = (folder / "config.json").is_file()
    beside = [PreTrainedConfig.from_dict(read_json(folder / "config.json"))] if there else []
    count = _outputs(config, model_class, tensors)
    named = next((one for one in (*beside, config) if one.num_labels == count), None)
    if named is None:
        config.num_labels = count  # which names them LABEL_0, LABEL_1, ...
    else:
        config.id2label, config.label2id = dict(named.id2label), dict(named.label2id)
    config.problem_type = (beside or [config])[0].problem_type


def _outputs(config: Any, model_class: Any, tensors: dict[str, torch.Tensor]) -> int:
    """How many outputs the adapter's head has; those of the base if it has none of its own."""
    before = dict(config.id2label), dict(config.label2id)
    config.num_labels = UNLIKELY
    with torch.device("meta"):
        sized = model_class(config).state_dict()
    config.id2label, config.label2id = before
    names = [f"{PREFIX}{name}" for name, tensor in sized.items() if tensor.shape[:1] == (UNLIKELY,)]
    return next((len(tensors[name]) for name in names if name in tensors), len(before[0]))
