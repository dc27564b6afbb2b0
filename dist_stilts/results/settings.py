"""What people call a score: what its model is (``mnli n=300``), and the settings that tell it from others."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from dist_stilts.results.record import ResultRecord

Setting = Callable[[ResultRecord], str]


def _named(name: str, read: Callable[[ResultRecord], object]) -> Setting:
    """``layer 14``; "" where the setting does not apply."""

    def text(record: ResultRecord) -> str:
        value = read(record)
        return "" if value in (None, "") else f"{name} {value}"

    return text


SETTINGS: dict[str, Setting] = {
    "seed": _named("seed", lambda record: record.training.seed),
    "split": lambda record: record.split,
    "layer": _named("layer", lambda record: record.reading.layer),
    "pooling": lambda record: f"{record.reading.pooling} pooling" if record.reading.pooling else "",
    "mining": lambda record: record.reading.mining,
    "after": lambda record: "after " + "+".join(record.training.train_tasks) if record.training.is_for_target else "",
    "rows": lambda record: (
        f"n={rows}" if (rows := record.training.train_size) and record.training.is_for_target else ""
    ),
    "run": _named("run", lambda record: record.training.run),
    "model": _named("model", lambda record: record.model.called),
    "path": _named("from", lambda record: record.model.path),
    "digest": _named("digest", lambda record: record.model.id),
    "max_length": _named("max_length", lambda record: record.reading.max_length),
    "stride": _named("stride", lambda record: record.reading.stride),
    "dtype": lambda record: record.reading.dtype,
    "run_id": _named("run_id", lambda record: record.training.run_id),
    "folder": _named("in", lambda record: record.place.file.parent if record.place else None),
}
"""What may tell two scores apart, as people read it."""


def described(record: ResultRecord, settings: Iterable[str]) -> str:
    """Some settings of a score, as a figure's subtitle has them; the split is named where it is not test itself."""
    texts = [SETTINGS[name](record) for name in settings if name != "split" or record.split != "test"]
    return ", ".join(filter(None, texts))


def label(record: ResultRecord) -> str:
    """Name a model by what it is: ``no intermediate``, ``mnli n=300``, ``random encoder``, ``hypothesis only``."""
    training = record.training
    trained = training.intermediate.replace(",", " + ")
    size = f" n={training.intermediate_size}" if training.intermediate_size else ""
    parts = [*record.controls, *([trained + size] if trained else [])]
    return ", ".join(parts) or "no intermediate"


def tell_apart(
    names: Sequence[str], records: Sequence[ResultRecord], settings: Iterable[str], separator: str = ", "
) -> list[str]:
    """Add to names that several records share the first settings that tell those apart.

    Args:
        names: one for each record.
        settings: names in :data:`SETTINGS`, in the order in which they are tried.
    """
    told = list(names)
    for setting in settings:
        texts = [SETTINGS[setting](record) for record in records]
        values: dict[str, set[str]] = {}
        for name, text in zip(told, texts, strict=True):
            values.setdefault(name, set()).add(text)
        told = [
            f"{name}{separator}{text}" if text and len(values[name]) > 1 else name
            for name, text in zip(told, texts, strict=True)
        ]
    return told
