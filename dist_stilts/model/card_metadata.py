"""The metadata of a model card, as the Hugging Face Hub reads them: what a search finds, and scores."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dist_stilts.conventions import ENGLISH
from dist_stilts.model.card_uses import USES, Use
from dist_stilts.results.record import PERCENT, ResultRecord
from dist_stilts.results.settings import SETTINGS
from dist_stilts.tasks.registry import find_task
from dist_stilts.tasks.spec import RETRIEVAL, TaskSpec

if TYPE_CHECKING:
    from huggingface_hub import EvalResult, ModelCardData

    from dist_stilts.model.provenance import Provenance

LIBRARY_TAGS = ("dist_stilts", "cross-lingual-transfer")
LICENCE_NAME = "that-of-the-training-data-and-of-the-base-model"
"""The Hub's ``license_name`` beside ``license: other``: no identifier of its list says that."""


@dataclass(frozen=True)
class Card:
    """All that a card is made of; arguments of :func:`write_card`, and what follows from them.

    Attributes:
        shown: records of this very model; left_out: how many were of other weights.
        specs: the tasks of the training, each once, those of a composite task instead of it.
        labels: the names of the labels, as ``config.json`` has them.
    """

    provenance: Provenance
    use: Use
    base_model: str | None
    command: str
    versions: Mapping[str, str]
    shown: Sequence[ResultRecord] = ()
    left_out: int = 0
    specs: Sequence[TaskSpec] = ()
    labels: Sequence[str] = ()

    @property
    def hub_base(self) -> str | None:
        """The start's name on the Hub, if it has one."""
        return self.base_model if self.base_model and _is_hub_name(self.base_model) else None


def _is_hub_name(path: str) -> bool:
    return not path.startswith((".", "/", "~")) and path.count("/") <= 1 and not Path(path).is_dir()


def labelled_languages(provenance: Provenance) -> list[str]:
    """Languages in which the model saw labels."""
    entries = [entry for entry in provenance.trained_on if _is_labelled(entry["task"])]
    return list(dict.fromkeys(code for entry in entries for code in entry.get("languages") or ()))


def _is_labelled(task: str) -> bool:
    spec = find_task(task)
    return spec is None or spec.family not in USES or USES[spec.family].labelled


def metadata(card: Card) -> ModelCardData:
    """What stands in YAML above the text; nothing is asked of the network."""
    from huggingface_hub import ModelCardData

    results = eval_results(card.shown, card.use)
    labelled, degenerate = labelled_languages(card.provenance), card.provenance.degenerate is not None
    tags = [*LIBRARY_TAGS, *(["zero-shot"] if len(labelled) == 1 else []), *card.use.tags]
    relation: Any = {"base_model_relation": "finetune"} if card.hub_base and card.provenance.trained_on else {}
    return ModelCardData(
        language=hub_languages(card) or None,
        license="other",
        license_name=LICENCE_NAME,
        library_name="transformers",
        pipeline_tag=card.use.tag,
        base_model=card.hub_base,
        **relation,
        datasets=list(dict.fromkeys(spec.hub.path for spec in card.specs if spec.hub)) or None,
        tags=[*tags, *(["degenerate"] if degenerate else [])],
        metrics=list(dict.fromkeys(record.metric for record in card.shown if record.main)) or None,
        model_name=card.provenance.run if results else None,
        eval_results=results or None,
    )


def hub_languages(card: Card) -> list[str]:
    """Languages of the training data, then those scored, as the Hub writes them: ISO 639 codes; without the codes that
    ISO reserves for private use, which are those of simulated languages."""
    trained = [code for entry in card.provenance.trained_on for code in entry.get("languages") or ()]
    scored = sorted(record.language for record in card.shown if record.value is not None)
    pivot_side = [ENGLISH for record in card.shown if _is_retrieval(record.task)]
    codes = [re.split("[-_]", code)[0] for code in (*trained, *pivot_side, *scored)]
    return list(dict.fromkeys(code for code in codes if re.fullmatch("[a-z]{2,3}", code) and not _private(code)))


def _private(code: str) -> bool:
    return "qaa" <= code <= "qtz" and len(code) == 3


def _is_retrieval(task: str) -> bool:
    return (spec := find_task(task)) is not None and spec.family in RETRIEVAL


def eval_results(records: Iterable[ResultRecord], use: Use) -> list[EvalResult]:
    """The scores in the Hub's form (``model-index``), one per task, language and metric; of a sweep over layers those
    of the last. A score of a collapsed model or of a control says so in its name, and none is said to be verified."""
    from huggingface_hub import EvalResult

    kept: dict[tuple[str, ...], ResultRecord] = {}
    for record in sorted(records, key=lambda record: record.reading.layer or 0):
        if record.value is not None:
            reading = record.reading
            about = (record.task, record.language, record.split, record.metric, reading.inputs, reading.pooling)
            kept[about] = record
    return [
        EvalResult(
            task_type=_task_type(record, use),
            dataset_type=_dataset(record.task),
            dataset_name=f"{record.task} ({record.language})",
            dataset_config=record.language,
            dataset_split=record.split,
            metric_type=record.metric,
            metric_value=record.number,
            metric_name=_metric_name(record),
            verified=False,
        )
        for record in sorted(kept.values(), key=lambda record: (record.task, record.split, record.language))
    ]


def _task_type(record: ResultRecord, use: Use) -> str:
    spec = find_task(record.task)
    if spec and spec.family in RETRIEVAL:
        return "sentence-similarity"
    return USES.get(spec.family, use).tag if spec else use.tag


def _dataset(task: str) -> str:
    spec = find_task(task)
    return spec.hub.path if spec and spec.hub else task


def _metric_name(record: ResultRecord) -> str:
    unit = "percent" if record.unit == PERCENT else record.unit
    settings = [text for name in ("layer", "pooling", "mining") if (text := SETTINGS[name](record))]
    collapsed = [f"collapsed: {record.collapsed}"] if record.collapsed else []
    rows = f"of {record.count}" if record.count else ""
    return ", ".join(filter(None, [f"{record.metric} ({unit})", rows, *settings, *record.controls, *collapsed]))
