"""Hugging Face's own task models, whose encoder is elsewhere: heads over the hidden states of packed batches.

Several share one encoder in a mixture. Pooling, dropout and the shape of the head are the library's for each
architecture, so that what is exported computes there what it computes here (law 12). Every head gives fp32 logits.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from dist_stilts.conventions import sha256_of_text
from dist_stilts.errors import UserError
from dist_stilts.families.family import Batch, Family
from dist_stilts.families.kinds import family_of
from dist_stilts.model.labels import Match
from dist_stilts.model.packing import is_real, segments_of, to_grid
from dist_stilts.tasks.spec import TaskSpec

MLM = "mlm"
"""Name of the masked-language-model head."""
TRIAL = (3, 5, 2)
"""Lengths of the rows on which a head is tried."""
TOLERANCE = 1e-5
"""Greatest difference in the trial."""


def head_name(spec: TaskSpec) -> str:
    """The head that a task uses; labels are part of its name, so that other labels are another head."""
    name = spec.head or spec.name
    digest = sha256_of_text("\t".join(spec.labels))[:6]
    return f"{name}-{len(spec.labels)}-{digest}" if spec.labels else name


class ReadyStates(nn.Module):
    """Stands in a task model where its encoder was, and hands over hidden states that were made before.

    What the head reads of the encoder beside them is there: the pooler, which belongs to the head, and whatever else is
    asked for, which is the shared encoder's.
    """

    def __init__(self, encoder: Any, pooler: nn.Module | None, activation: Any) -> None:
        super().__init__()
        self.pooler = pooler
        # Not registered: the encoder's parameters are not the head's.
        object.__setattr__(self, "shared", encoder)
        object.__setattr__(self, "activation", activation)
        object.__setattr__(self, "states", None)

    def __getattr__(self, name: str) -> Any:
        try:
            return super().__getattr__(name)
        except AttributeError:
            return getattr(object.__getattribute__(self, "shared"), name)

    def forward(self, *unread: Any, **unread_too: Any) -> Any:
        """The states, and what the pooler makes of the first of each row."""
        from transformers.modeling_outputs import BaseModelOutputWithPoolingAndCrossAttentions

        states: torch.Tensor = object.__getattribute__(self, "states")
        pooled = None
        if isinstance(self.pooler, nn.Linear):  # ALBERT's: the activation stands beside it
            pooled = self.activation(self.pooler(states[:, 0]))
        elif self.pooler is not None:
            pooled = self.pooler(states)
        return BaseModelOutputWithPoolingAndCrossAttentions(last_hidden_state=states, pooler_output=pooled)


class Head(nn.Module):
    """A task model over the hidden states of packed batches.

    Args:
        task: a Hugging Face task model; its own encoder is taken out, and its pooler with it is kept.
        family: the kind of task.
        encoder: the one that is shared; None for the one that the task model has.

    Attributes:
        first_suffices: whether the head reads no more of a row than its first token, as was found by trying.
        names: of its outputs in id order; none where they have no names.
        order: for each output, the task model's own outputs whose probabilities it is the sum of; None = as they are.
    """

    def __init__(self, task: Any, family: Family, encoder: Any = None) -> None:
        super().__init__()
        self.family = family
        self.names = labels_of(task.config) if family.has_labels else ()
        self.order: tuple[tuple[int, ...], ...] | None = None
        self.task = task
        own = getattr(task, task.base_model_prefix)
        ready = ReadyStates(
            own if encoder is None else encoder, getattr(own, "pooler", None), getattr(own, "pooler_activation", None)
        )
        if ready.pooler is not None:
            own.pooler = None
        setattr(task, task.base_model_prefix, ready)
        self.first_suffices = True
        self.try_pooling()

    def try_pooling(self) -> None:
        """Find out whether the first token of a row suffices; nothing to be found while there are no weights."""
        if self.family.reads in ("rows", "choices") and not any(weight.is_meta for weight in self.parameters()):
            self.first_suffices = _first_suffices(self)

    def rename(self, matching: Match | None) -> None:
        """Give outputs in the order and by the names of a task's labels."""
        if matching is not None:
            self.names = matching.names
            self.order = None if matching.is_identity else matching.order

    @property
    def ready(self) -> Any:
        """What stands in the encoder's place."""
        return getattr(self.task, self.task.base_model_prefix)

    def forward(self, hidden: torch.Tensor, batch: Batch) -> torch.Tensor:
        """``[tokens, width]`` to logits, fp32; see :data:`dist_stilts.families.family.Reads` for their shapes."""
        logits = _READ[self.family.reads](self, hidden, batch)
        return logits if self.order is None else _reordered(logits, self.order)

    def run(self, states: torch.Tensor, mask: torch.Tensor | None = None, *, choices: bool = False) -> Any:
        """What the task model makes of ``[rows, length, width]``; of choices, all belong to one question.

        Args:
            mask: ``[rows, length]`` whether there is a token.
        """
        mask = torch.ones(states.shape[:2], device=states.device) if mask is None else mask
        ids = torch.zeros_like(mask, dtype=torch.long)
        object.__setattr__(self.ready, "states", states)
        try:
            if choices:
                return self.task(input_ids=ids[None], attention_mask=mask.long()[None])
            return self.task(input_ids=ids, attention_mask=mask.long())
        finally:
            object.__setattr__(self.ready, "states", None)


def fresh_head(spec: TaskSpec, encoder: Any) -> Head:
    """A head for the task with random weights, drawn as its library draws them; on the default device.

    Raises:
        UserError: transformers has no model of this kind for the encoder's architecture.
    """
    return new_head(family_of(spec), spec.labels, encoder)


def new_head(family: Family, labels: Sequence[str], encoder: Any) -> Head:
    """A head of a kind with random weights; see :func:`fresh_head`."""
    config = copy.deepcopy(encoder.config)
    for key, value in family.head_config(labels).items():
        setattr(config, key, value)
    with torch.device("meta"):
        task = task_class(family, config)._from_config(config)
    head = Head(task, family, encoder)
    tie(task, encoder)
    if torch.get_default_device().type != "meta":
        _materialise(head, task, encoder)
    return head


def task_class(family: Family, config: Any) -> Any:
    """The class of transformers for a kind of task and an architecture; UserError if it has none."""
    import transformers

    auto = getattr(transformers, family.auto_class)
    try:
        return auto._model_mapping[type(config)]
    except KeyError:
        raise UserError(
            f"transformers has no {family.auto_class.replace('AutoModel', 'model ')} of the architecture"
            f" '{config.model_type}'",
            fix="Use another encoder for tasks of this kind",
        ) from None


def labels_of(config: Any) -> tuple[str, ...]:
    """The names of a model's outputs in id order."""
    return tuple(str(config.id2label[number]) for number in sorted(config.id2label))


def _materialise(head: Head, task: Any, encoder: Any) -> None:
    """Give the head's parameters memory and values; the encoder's, where the head is tied to them, keep theirs."""
    for parameter in encoder.parameters():
        parameter._is_hf_initialized = True
    task._apply(lambda tensor: torch.empty_like(tensor, device="cpu") if tensor.is_meta else tensor)
    task.initialize_weights()
    tie(task, encoder)
    head.try_pooling()


def tie(task: Any, encoder: Any) -> None:
    """Let the task model share what its architecture says is shared: output and word embeddings, most often."""
    prefix = f"{task.base_model_prefix}."
    for target, source in task.all_tied_weights_keys.items():
        owner = encoder if source.startswith(prefix) else task
        place, _, leaf = target.rpartition(".")
        setattr(task.get_submodule(place), leaf, owner.get_parameter(source.removeprefix(prefix)))


def join(head: Head, encoder: Any) -> Any:
    """Make the whole Hugging Face task model of encoder and head, which is then a head no more."""
    ready = head.ready
    if ready.pooler is not None:
        encoder.pooler = ready.pooler
        if ready.activation is not None:
            encoder.pooler_activation = ready.activation
    setattr(head.task, head.task.base_model_prefix, encoder)
    return head.task


@contextmanager
def joined(head: Head, encoder: Any) -> Iterator[Any]:
    """The whole Hugging Face task model, encoder and head, for as long as the block lasts."""
    ready, task = head.ready, join(head, encoder)
    try:
        yield task
    finally:
        if ready.pooler is not None:
            encoder.pooler = None
        setattr(task, task.base_model_prefix, ready)


@torch.no_grad()
def _first_suffices(head: Head) -> bool:
    """Whether a row's logits follow from its first token; whoever pools late, or by a mean, needs all of them."""
    width, modes = head.task.config.hidden_size, [(module, module.training) for module in head.modules()]
    states = torch.randn(sum(TRIAL), width, generator=torch.Generator().manual_seed(0))
    lengths = torch.tensor(TRIAL)
    bounds = torch.cat([torch.zeros(1), lengths.cumsum(0)]).int()
    head.eval()
    batch = {"lengths": lengths, "bounds": bounds}
    try:
        head.first_suffices = True
        first = _pooled(head, states, batch)
        head.first_suffices = False
        whole = _pooled(head, states, batch)
    finally:
        for module, mode in modes:
            module.training = mode
    return torch.allclose(first, whole, atol=TOLERANCE)


def _pooled(head: Head, hidden: torch.Tensor, batch: Batch) -> torch.Tensor:
    """``[segments, outputs]``: one vector per segment, which the task model pools itself."""
    choices = head.family.reads == "choices"
    if head.first_suffices:
        out = head.run(hidden[batch["bounds"][:-1].long()][:, None], choices=choices)
    else:
        segments = segments_of(batch)
        out = head.run(to_grid(hidden, segments, 0.0), is_real(segments), choices=choices)
    logits: torch.Tensor = out.logits
    return (logits.T if choices else logits).float()


def _choices(head: Head, hidden: torch.Tensor, batch: Batch) -> torch.Tensor:
    """``[rows, choices]``."""
    absent = batch["segments"] < 0
    scores = _pooled(head, hidden, batch)[:, 0]
    return scores[batch["segments"].clamp(min=0)].masked_fill(absent, float("-inf"))


def _targets(head: Head, hidden: torch.Tensor, batch: Batch) -> torch.Tensor:
    """``[targets, outputs]``."""
    logits: torch.Tensor = head.run(hidden[batch["targets"]][None]).logits
    return logits[0].float()


def _spans(head: Head, hidden: torch.Tensor, batch: Batch) -> torch.Tensor:
    """``[rows, longest, 2]``."""
    out = head.run(hidden[None])
    scores = torch.stack([out.start_logits[0], out.end_logits[0]], -1).float()
    return to_grid(scores, segments_of(batch), float("-inf"))


def _reordered(logits: torch.Tensor, order: Sequence[Sequence[int]]) -> torch.Tensor:
    """Outputs in another order; of several that are one, the logarithm of their summed probabilities."""
    parts = [
        logits[..., list(own)].logsumexp(-1) if own else torch.full_like(logits[..., 0], float("-inf")) for own in order
    ]
    return torch.stack(parts, -1)


_READ: dict[str, Callable[[Head, torch.Tensor, Batch], torch.Tensor]] = {
    "rows": _pooled,
    "choices": _choices,
    "targets": _targets,
    "tokens": _spans,
}
