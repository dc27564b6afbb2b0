"""The encoder: loaded, or made afresh; and always known which of these it is (law 8)."""

from __future__ import annotations

import inspect
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from tokenizers.processors import TemplateProcessing
from torch import nn

from dist_stilts.errors import UserError, refused
from dist_stilts.model.adapters import model_folder
from dist_stilts.model.finite import require_finite
from dist_stilts.model.folders import CONFIG, TOKENIZER_FILES, check_config, check_tokenizer, not_loaded, what_is_below
from dist_stilts.model.provenance import weights_digest
from dist_stilts.ranges import A_PATH, Range, above, at_least, between, key, refusal

NO_ENCODER = "no encoder can be made of this"
SIZES = (
    *("hidden_size", "num_hidden_layers", "num_attention_heads", "num_key_value_heads", "intermediate_size"),
    *("vocab_size", "max_position_embeddings", "embedding_size", "head_dim"),
)
SCALES = ("initializer_range", "layer_norm_eps", "norm_eps", "rms_norm_eps", "rope_theta")
COUNT, RATE, POSITIVE = at_least(1), between(0, 1, below=True), above(0)


@dataclass
class EncoderConfig:
    """Which encoder the recipe starts from."""

    path: str | None = key("FacebookAI/xlm-roberta-large", A_PATH)
    """Hub name or local folder; null to make a new one from ``config``. Code that comes with a model is never run."""
    revision: str | None = None
    """Hub commit, branch or tag."""
    labels: str | None = None
    """What the outputs of the head of ``path`` are, where their names do not tell and it is scored, or trained on with
    `heads: reuse`: `LABEL_0=entailment,LABEL_1=neutral,…` or all labels in its order."""
    tokenizer: str | None = key(None, A_PATH)
    """Hub name or local folder, where it is not the encoder's own; `simulated` is the simulated world's."""
    config: dict[str, Any] | None = key(None, Range(empty=True))
    """Architecture of a new encoder, as in a Hugging Face config.json (`model_type` included)."""
    dropout: float | None = key(None, between(0, 1, below=True))
    """Overrides every dropout of the encoder."""


@dataclass(frozen=True)
class LoadReport:
    """Names of the tensors that were loaded, made afresh, or left unread in the file."""

    loaded: list[str]
    fresh: list[str]
    dropped: list[str]

    def line(self) -> str:
        """The report as one line."""
        return (
            f"encoder tensors: {len(self.loaded)} loaded, {len(self.fresh)} fresh{_some(self.fresh)}, "
            f"{len(self.dropped)} dropped{_some(self.dropped)}"
        )


def _some(names: list[str]) -> str:
    return f" ({', '.join(names[:3])}{', …' if len(names) > 3 else ''})" if names else ""


def load_tokenizer(path: str, revision: str | None = None) -> Any:
    """Load a fast tokenizer.

    Raises:
        UserError: no tokenizer there, or a broken one, or one without a fast implementation, or of other files than
            its class reads.
    """
    from transformers import AutoTokenizer

    quiet_transformers()  # it warns of long texts, which we cut, or split, and count
    folder = model_folder(path, revision, check_tokenizer)
    if not any((folder / name).is_file() for name in TOKENIZER_FILES):
        elsewhere = "" if (folder / CONFIG).is_file() else what_is_below(folder)
        raise UserError(
            "the model folder has no tokenizer",
            where=folder,
            fix=elsewhere or "Copy its tokenizer files there, or set encoder.tokenizer",
        )
    try:
        tokenizer = AutoTokenizer.from_pretrained(str(folder), trust_remote_code=False)
    except Exception as error:
        raise not_loaded("cannot load the tokenizer", folder, error) from None
    _frame(tokenizer)
    if not tokenizer.is_fast:
        raise UserError("the tokenizer has no fast implementation", where=folder, fix="Convert it to tokenizer.json")
    if len(tokenizer) <= len(tokenizer.all_special_ids) + 1:  # its class reads files of other names
        raise UserError(
            f"a {type(tokenizer).__name__} finds no words in the tokenizer's files",
            where=folder,
            fix="See tokenizer_class in tokenizer_config.json, or convert it to tokenizer.json",
        )
    return tokenizer


def _frame(tokenizer: Any) -> None:
    """Give a RemBERT tokenizer that was made of its sentencepiece model the special tokens around texts: transformers 5
    loses them, as its converter had them (``RemBertConverter.post_processor``)."""
    if type(tokenizer).__name__ == "RemBertTokenizer" and not tokenizer.num_special_tokens_to_add():
        first, last = tokenizer.cls_token, tokenizer.sep_token
        tokenizer.backend_tokenizer.post_processor = TemplateProcessing(
            single=f"{first} $A {last}",
            pair=f"{first} $A {last} $B:1 {last}:1",
            special_tokens=[(first, tokenizer.cls_token_id), (last, tokenizer.sep_token_id)],
        )


def number_of_layers(path: str, revision: str | None = None) -> int:
    """The number of the encoder's last layer: that of its blocks.

    Raises:
        UserError: no model there.
    """
    from transformers import AutoConfig

    folder = model_folder(path, revision)
    try:
        return int(AutoConfig.from_pretrained(str(folder), trust_remote_code=False).num_hidden_layers)
    except Exception as error:
        raise refused("cannot load an encoder", folder, error) from None


def most_tokens(encoder: nn.Module) -> int:
    """Most tokens that the encoder has learnt positions for; RoBERTa's kind counts them from behind the padding's."""
    tables = [module for name, module in encoder.named_modules() if name.endswith("position_embeddings")]
    if not tables or not isinstance(tables[0], nn.Embedding):
        return sys.maxsize
    padding = tables[0].padding_idx
    return tables[0].num_embeddings - (0 if padding is None else padding + 1)


def load_encoder(
    path: str, revision: str | None = None, expected_digest: str | None = None
) -> tuple[nn.Module, LoadReport]:
    """Load a pretrained encoder in fp32, without pooler or language-model head.

    Raises:
        UserError: nothing loadable there; tensors that would stay random or are not finite; weights that are not
            ``expected_digest``'s.
    """
    from transformers import AutoConfig, AutoModel
    from transformers.models.auto.modeling_auto import MODEL_MAPPING

    quiet_transformers()
    folder = model_folder(path, revision)
    try:
        config = AutoConfig.from_pretrained(str(folder), trust_remote_code=False)
        architecture: Any = MODEL_MAPPING[type(config)]
        without_pooler = "add_pooling_layer" in inspect.signature(architecture).parameters
        extra = {"add_pooling_layer": False} if without_pooler else {}
        encoder, info = AutoModel.from_pretrained(
            str(folder),
            config=config,
            trust_remote_code=False,
            dtype=torch.float32,
            output_loading_info=True,
            ignore_mismatched_sizes=True,  # they are reported, and refused below
            **extra,
        )
    except Exception as error:
        raise not_loaded("cannot load an encoder", folder, error) from None
    fresh = sorted([*info["missing_keys"], *(key[0] for key in info["mismatched_keys"])])
    report = LoadReport(sorted(set(encoder.state_dict()) - set(fresh)), fresh, sorted(info["unexpected_keys"]))
    if fresh:
        raise UserError(
            f"{len(fresh)} encoder tensors are not in the file (first: {fresh[0]}) and would be random",
            where=folder,
            fix="Give a complete encoder of this architecture",
        )
    require_finite(encoder, folder)
    if expected_digest is not None and (found := weights_digest(encoder)) != expected_digest:
        raise UserError(
            f"these are not the parent's weights (digest {found[:12]}, expected {expected_digest[:12]})",
            where=folder,
            fix="Delete the parent's run folder and run it again",
        )
    return encoder, report


def new_encoder(
    config: dict[str, Any] | None, template: str | None, revision: str | None, vocabulary: Any, seed: int
) -> nn.Module:
    """Make an encoder with random weights, of the given architecture or of ``template``'s.

    Args:
        vocabulary: the tokenizer; its size and special ids complete ``config``.
    """
    if config is None:
        if template is None:
            raise UserError("nothing says what the encoder is", fix="Set encoder.path, or encoder.config for a new one")
        made = read_architecture(str(model_folder(template, revision, check_config)))
    else:
        ids = {
            "vocab_size": len(vocabulary),
            "pad_token_id": vocabulary.pad_token_id,
            "bos_token_id": vocabulary.bos_token_id if vocabulary.cls_token is None else vocabulary.cls_token_id,
            "eos_token_id": vocabulary.eos_token_id if vocabulary.sep_token is None else vocabulary.sep_token_id,
        }
        made = architecture({**ids, **config})
    torch.manual_seed(seed)
    return build(made)


def architecture(config: dict[str, Any]) -> Any:
    """The Hugging Face config that a recipe's ``encoder.config`` stands for; UserError if it is none."""
    from transformers import AutoConfig

    _check_sizes(config)
    rest = {key: value for key, value in config.items() if key != "model_type"}
    try:
        made = AutoConfig.for_model(config.get("model_type", "xlm-roberta"), **rest)
    except Exception as error:
        raise refused(NO_ENCODER, "encoder.config", error) from None
    if made.is_encoder_decoder:
        raise UserError(f"encoder.config: a {made.model_type} is an encoder and a decoder", fix="Choose an encoder")
    if getattr(made, "is_decoder", False):
        raise UserError("encoder.config: is_decoder makes a decoder of it, which reads no text to its end")
    return made


def _check_sizes(config: dict[str, Any]) -> None:
    """UserError for sizes and rates that no library looks at before it computes with them."""
    for name, value in config.items():
        limits = COUNT if name in SIZES else RATE if name.endswith(("dropout", "dropout_prob")) else POSITIVE
        named = limits is not POSITIVE or name in SCALES
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if named and value is not None and not (number and limits.allows(value)):
            raise refusal(f"encoder.config.{name}", value, limits)


def read_architecture(path: str, revision: str | None = None) -> Any:
    """The Hugging Face config of a folder or, if it is on this host, of a model of the Hub.

    Raises:
        UserError: neither.
    """
    from transformers import AutoConfig

    if Path(path).is_dir():
        path = str(model_folder(path, None, check_config))
    try:
        return AutoConfig.from_pretrained(path, revision=revision, local_files_only=True, trust_remote_code=False)
    except Exception as error:
        if Path(path).is_dir():
            raise refused("cannot read the architecture", path, error) from None
        raise UserError(f"'{path}' is not on this host", fix="Set encoder.config to its architecture") from None


def build(made: Any) -> nn.Module:
    """An encoder with random weights, without pooler; on the default device.

    Raises:
        UserError: none has such sizes.
    """
    from transformers import AutoModel

    try:
        try:
            return AutoModel.from_config(made, trust_remote_code=False, add_pooling_layer=False)
        except TypeError:  # architectures without a pooler
            return AutoModel.from_config(made, trust_remote_code=False)
    except Exception as error:
        raise refused(NO_ENCODER, made.name_or_path or "encoder.config", error) from None


def set_dropout(encoder: nn.Module, rate: float) -> None:
    """Set every dropout of a built encoder, and what its config says of it."""
    for module in encoder.modules():
        if isinstance(module, nn.Dropout):
            module.p = rate
        elif isinstance(getattr(module, "dropout_prob", None), float):
            module.dropout_prob = rate  # type: ignore[assignment]
    for name in ("hidden_dropout_prob", "attention_probs_dropout_prob"):
        if hasattr(encoder.config, name):
            setattr(encoder.config, name, rate)


def checkpoint_activations(encoder: Any) -> None:
    """Have an encoder in training compute each block's activations again in the backward pass (Chen et al. 2016).

    Raises:
        UserError: its code does not offer it.
    """
    enable = getattr(encoder, "activation_checkpointing_enable", None) or encoder.gradient_checkpointing_enable
    try:
        # The check would ask jagged tensors, by which attention is packed on a GPU, for a shape that they do not have.
        enable({"use_reentrant": False, "determinism_check": "none"})
    except ValueError:
        raise UserError(
            f"a {encoder.config.model_type} encoder cannot compute its activations again",
            fix="Set train.checkpoint_activations=false",
        ) from None


def quiet_transformers() -> None:
    """Its load report is our :class:`LoadReport`; its bars last milliseconds; its warnings are about what we handle."""
    from transformers.utils import logging

    logging.set_verbosity_error()
    logging.disable_progress_bar()
