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
    "revision": _named("revision", lambda record: record.model.revision),
    "digest": _named("digest", lambda record: record.model.id),
    "max_length": _named("max_length", lambda record: record.reading.max_length),
    "stride": _named("stride", lambda record: record.reading.stride),
    "dtype": lambda record: record.reading.dtype,
    "labels": _named("labels", lambda record: record.reading.labels),
    "run_id": _named("run_id", lambda record: record.training.run_id),
    "folder": _named("in", lambda record: record.place.file.parent if record.place else None),
}
"""What may tell two scores apart, as people read it, in the order in which it is named."""


def all_but(*names: str) -> tuple[str, ...]:
    """The other settings, in their order."""
    return tuple(name for name in SETTINGS if name not in names)


OF_TARGET = all_but("labels", "seed", "run", "model", "path", "revision", "digest", "run_id", "folder")
"""Settings that make two scores of one task two targets: in means and curves only scores that agree in them meet. The
others say which run it is that is scored, and what its outputs are."""


def described(record: ResultRecord, settings: Iterable[str]) -> str:
    """Some settings of a score, as a figure's subtitle has them; the split is named where it is not test itself."""
    texts = [SETTINGS[name](record) for name in settings if name != "split" or record.split != "test"]
    return ", ".join(filter(None, texts))


def by_setting(
    records: Sequence[ResultRecord], named: Sequence[str], besides: Sequence[str] = ()
) -> dict[tuple[str, str, str], list[ResultRecord]]:
    """Records by task, metric and setting: only those that agree in all that makes a target stand together.

    Args:
        named: settings that are named always; others where they tell records apart.
        besides: settings in which those of a group may differ.
    """
    fixed = [described(record, named) for record in records]
    names = [f"{record.task} {record.metric} {text}" for record, text in zip(records, fixed, strict=True)]
    others = differences(names, records, [name for name in OF_TARGET if name not in (*named, *besides)])
    groups: dict[tuple[str, str, str], list[ResultRecord]] = {}
    for record, text, more in zip(records, fixed, others, strict=True):
        setting = ", ".join(filter(None, (text, *more)))
        groups.setdefault((record.task, record.metric, setting), []).append(record)
    return groups


def label(record: ResultRecord) -> str:
    """Name a model by what it is: ``no intermediate``, ``mnli n=300``, ``random encoder``, ``hypothesis only``; one
    that came with its head, and of which no more is known, by its path."""
    training = record.training
    trained = training.intermediate.replace(",", " + ")
    size = f" n={training.intermediate_size}" if training.intermediate_size else ""
    parts = [*record.controls, *([trained + size] if trained else [])]
    is_foreign = record.reading.layer is None and not (record.model.name or training.run)
    return ", ".join(parts) or (is_foreign and record.model.path) or "no intermediate"


def tell_apart(
    names: Sequence[str], records: Sequence[ResultRecord], settings: Iterable[str], separator: str = ", "
) -> list[str]:
    """Add to names that several records share the first settings that tell those apart.

    Args:
        names, records, settings: see :func:`differences`.
    """
    found = differences(names, records, settings)
    return [separator.join((name, *texts)) for name, texts in zip(names, found, strict=True)]


def differences(
    names: Sequence[str], records: Sequence[ResultRecord], settings: Iterable[str]
) -> list[tuple[str, ...]]:
    """The first settings that tell records of the same name apart; none where the name does.

    Args:
        names: one for each record.
        settings: names in :data:`SETTINGS`, in the order in which they are tried.
    """
    keys: list[tuple[str, ...]] = [(name,) for name in names]
    for setting in settings:
        texts = [SETTINGS[setting](record) for record in records]
        values: dict[tuple[str, ...], set[str]] = {}
        for key, text in zip(keys, texts, strict=True):
            values.setdefault(key, set()).add(text)
        keys = [(*key, text) if text and len(values[key]) > 1 else key for key, text in zip(keys, texts, strict=True)]
    return [key[1:] for key in keys]
