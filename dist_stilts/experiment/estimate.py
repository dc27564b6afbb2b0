"""How much memory training takes on a GPU, before anything is there but the description of the encoder.

The encoder is built without storage, from its architecture; what DeepSpeed makes of its parameters is the formula by
which training itself reserves memory (:mod:`dist_stilts.train.memory`).
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from dist_stilts.conventions import GIB
from dist_stilts.errors import UserError
from dist_stilts.experiment.plan import Run
from dist_stilts.experiment.run_config import FROM_RANDOM, Recipe
from dist_stilts.experiment.training_data import tokenizer_name
from dist_stilts.families.family import Family
from dist_stilts.families.kinds import family_of
from dist_stilts.model.encoder import architecture, build, load_tokenizer, read_architecture
from dist_stilts.model.heads import fresh_head, head_name
from dist_stilts.tasks.registry import get_task
from dist_stilts.train.engine import deepspeed_config
from dist_stilts.train.memory import engine_parts, training_dtype
from dist_stilts.train.plan import AUTO, BatchPlan, derive

ACTIVATIONS = 17
"""Numbers kept for the backward pass per token, layer and hidden unit, with fused attention: Korthikanti et al. 2022,
eq. 1 without its last term, which says 34 bytes in 16 bit."""
BYTES_PER_SCORE = 12
"""Of a word's score for a masked token: its logarithm, kept in fp32, and the gradients before and after it."""
GPU = torch.device("cuda")


def describe_memory(recipe: Recipe, runs: Sequence[Run], ranks: int) -> list[str]:
    """What the run that takes most takes, part by part; one line if the encoder is not known here."""
    try:
        most = most_memory(recipe, runs, ranks)
    except UserError as error:
        return [f"not known: {error}"]
    if most is None:
        return ["nothing is trained"]
    run, parameters, parts = most
    return [
        f"{parameters / 1e6:,.4g} M parameters in the encoder; most memory is taken by {run.name}:",
        *(f"{size / GIB:7.2f} GiB  {part}" for part, size in parts.items()),
        f"{sum(parts.values()) / GIB:7.2f} GiB  together, all word embeddings trained; without CUDA's own",
    ]


def most_memory(recipe: Recipe, runs: Sequence[Run], ranks: int) -> tuple[Run, int, dict[str, float]] | None:
    """The run that takes most memory, the parameters of its encoder and its parts in bytes; None if nothing is trained.

    Raises:
        UserError: nothing on this host says what the encoder is.
    """
    # Runs of one phase train alike, whatever their size and seed: the first stands for all.
    trained = list({(run.phase, _is_fresh(run)): run for run in reversed(runs) if run.tasks}.values())[::-1]
    encoders = {start: unfilled_encoder(recipe, start) for start in {_is_fresh(run) for run in trained}}
    estimates = {run.name: memory(run, recipe, encoders[_is_fresh(run)], ranks) for run in trained}
    if not estimates:
        return None
    most = max(trained, key=lambda run: sum(estimates[run.name].values()))
    return most, sum(_sizes(encoders[_is_fresh(most)])), estimates[most.name]


def memory(run: Run, recipe: Recipe, encoder: Any, ranks: int) -> dict[str, float]:
    """Bytes that training takes on each of the ranks' GPUs, by what they are for."""
    plan = derive(run.train, [1] * len(run.tasks), ranks, run.shares)
    settings = deepspeed_config(run.train.deepspeed, run.train, plan)
    dtype, config = training_dtype(settings), encoder.config
    with torch.device("meta"), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Initializing zero-element tensors")  # tags are not known before the data are
        specs = {head_name(spec): spec for spec in map(get_task, run.tasks)}
        whole = nn.ModuleList([encoder, *(fresh_head(spec, encoder) for spec in specs.values())])
    sizes = _sizes(whole)
    gathered = ", gathered" if settings.get("zero_optimization", {}).get("stage") == 3 else ""
    tokens, again = most_tokens(plan, longest(run, recipe)), run.train.checkpoint_activations
    kept = config.num_hidden_layers + ACTIVATIONS if again else config.num_hidden_layers * ACTIVATIONS
    return {
        f"{str(dtype).removeprefix('torch.')} parameters{gathered}": dtype.itemsize * sum(sizes),
        **engine_parts(sizes, ranks, settings, GPU),
        f"activations of at most {tokens:,} tokens{', most computed again' if again else ''}": (
            tokens * config.hidden_size * kept * dtype.itemsize
        ),
        **_scores(round(tokens * run.train.mlm_rate) if _predicts_words(run) else 0, config.vocab_size),
    }


def _scores(masked: int, words: int) -> dict[str, float]:
    """What the output layer of masked language modelling takes, if any tokens are masked."""
    return {f"scores of every word for {masked:,} masked tokens": BYTES_PER_SCORE * masked * words} if masked else {}


def longest(run: Run, recipe: Recipe) -> int:
    """Most tokens of a text that the run trains on."""
    windowed = any(kind.windowed for kind in _kinds(run))
    return max(recipe.data.max_length, recipe.data.qa.max_length if windowed else 0)


def _predicts_words(run: Run) -> bool:
    return any(kind.predicts_words for kind in _kinds(run))


def _kinds(run: Run) -> list[Family]:
    return [family_of(get_task(task)) for task in run.tasks]


def most_tokens(plan: BatchPlan, length: int) -> int:
    """What one rank may take through the model at once, if every text is as long as it may be."""
    share = plan.rows_per_rank * length
    return share if plan.micro_tokens == AUTO else max(length, min(share, int(plan.micro_tokens)))


def unfilled_encoder(recipe: Recipe, fresh: bool, words: int | None = None) -> Any:
    """The encoder that runs start from, without storage for its parameters.

    Args:
        fresh: whether it is a new one, of the recipe's architecture if there is one.
        words: size of its vocabulary, where the recipe does not say; None for that of its tokenizer.

    Raises:
        UserError: nothing on this host says what it is.
    """
    wanted = recipe.encoder
    if wanted.path and (wanted.config is None or (Path(wanted.path).is_dir() and not fresh)):
        made = read_architecture(wanted.path, wanted.revision)
    elif wanted.config is None:
        raise UserError("nothing says what the encoder is", fix="Set encoder.path or encoder.config")
    else:
        missing = {} if "vocab_size" in wanted.config else {"vocab_size": words or tokenizer_words(recipe)}
        made = architecture({**missing, **wanted.config})
    with torch.device("meta"):
        return build(made)


def tokenizer_words(recipe: Recipe) -> int:
    """Words of the recipe's tokenizer; UserError if they are not known without fetching it."""
    if recipe.encoder.tokenizer == "simulated" and (simulate := recipe.data.simulate):
        from dist_stilts.simulate.languages import languages
        from dist_stilts.simulate.tokenizer import vocabulary

        return len(vocabulary(languages(seed=simulate.seed, placebo=simulate.placebo)))
    name = tokenizer_name(recipe)
    if not Path(name).is_dir():
        raise UserError("encoder.config has no vocab_size, and the tokenizer is not on this host", fix="Set it")
    return len(load_tokenizer(name))


def _is_fresh(run: Run) -> bool:
    return run.lineage()[0].start == FROM_RANDOM


def _sizes(module: nn.Module) -> list[int]:
    return [parameter.numel() for parameter in module.parameters()]
