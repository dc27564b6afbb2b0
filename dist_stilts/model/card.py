"""The model card of an export: ``README.md``, with the metadata that the Hugging Face Hub reads and text for people.

    provenance, tasks, records, command -> ModelCardData -> YAML above, Markdown (card.md.j2) below

Pure: what is written follows from the arguments and from ``config.json``, without the network and without the hour, so
a card is made at export and made again once the model is scored. The Hub checks metadata itself when they are pushed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dist_stilts.conventions import installed_version
from dist_stilts.model.card_metadata import Card, labelled_languages, metadata
from dist_stilts.model.card_uses import ENCODER, USES
from dist_stilts.redaction import redact
from dist_stilts.report.render import grid
from dist_stilts.report.table import Table, header, lines, pivot
from dist_stilts.results.record import ResultRecord
from dist_stilts.tasks.registry import find_task
from dist_stilts.tasks.spec import Family, TaskSpec
from dist_stilts.writing import write_text

if TYPE_CHECKING:
    from dist_stilts.model.provenance import Provenance

CARD = "README.md"
VERSIONS = ("dist-stilts", "torch", "transformers", "deepspeed", "datasets", "tokenizers")
MOST_LABELS = 60
"""So many names of labels are listed; of more, how many there are."""
WORKS = (
    "Phang et al. 2020, English Intermediate-Task Training Improves Zero-Shot Cross-Lingual Transfer Too (X-STILTs), "
    "https://aclanthology.org/2020.aacl-main.56",
    "Hu et al. 2020, XTREME: A Massively Multilingual Multi-task Benchmark for Evaluating Cross-lingual "
    "Generalisation, https://proceedings.mlr.press/v119/hu20b.html",
)


def write_card(
    folder: Path,
    provenance: Provenance,
    *,
    kind: Family | None,
    base_model: str | None,
    command: str,
    records: Iterable[ResultRecord] = (),
    versions: Mapping[str, str] | None = None,
    embedding: str = "",
) -> None:
    """Write the card of an exported model, or write it anew once there are scores.

    Args:
        folder: the export.
        kind: of the model's one head; None for an encoder, whether or not heads lie in folders of their own.
        base_model: what the first phase started from: a name on the Hub or a folder; None if from random weights.
        command: the command line that made the model.
        records: its scores, no two contradicting each other; those of other weights are counted and not shown.
        versions: by package, of what made the model; default: what is installed now.
        embedding: what sentence-transformers makes of a text, in a sentence.
    """
    found = list(records)
    shown = [record for record in found if record.model.id and provenance.digest.startswith(record.model.id)]
    card = Card(
        provenance,
        USES.get(kind, ENCODER) if kind else ENCODER,
        base_model,
        command,
        versions or {name: installed_version(name) for name in VERSIONS},
        shown,
        len(found) - len(shown),
        _trained_specs(provenance),
        _labels(folder),
    )
    write_text(folder / CARD, f"---\n{metadata(card).to_yaml()}\n---\n\n{_text(card, _heads(folder), embedding)}")


# What follows from the arguments


def _trained_specs(provenance: Provenance) -> list[TaskSpec]:
    found: dict[str, TaskSpec] = {}
    for entry in provenance.trained_on:
        for spec in _parts(find_task(entry["task"])):
            found.setdefault(spec.name, spec)
    return list(found.values())


def _parts(spec: TaskSpec | None) -> list[TaskSpec]:
    if spec is None:
        return []
    return [part for name in spec.parts for part in _parts(find_task(name))] or [spec]


def _labels(folder: Path) -> list[str]:
    """The names of labels in ``config.json``, if it has any but transformers' own ``LABEL_0``."""
    path = folder / "config.json"
    names = json.loads(path.read_text(encoding="utf-8")).get("id2label", {}) if path.is_file() else {}
    named = [names[key] for key in sorted(names, key=int)]
    return [] if all(re.fullmatch(r"LABEL_\d+", name) for name in named) else named


def _heads(folder: Path) -> list[str]:
    """What is to be said of the folders of heads, if there are several."""
    names = sorted(path.parent.name for path in folder.glob("heads/*/config.json"))
    shown = _listed([f"`heads/{name}`" for name in names])
    return [f"The folder itself holds the shared encoder; {shown} hold it with one head each."] if names else []


# Text


def _text(card: Card, heads: Sequence[str], embedding: str) -> str:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("dist_stilts.model", ""),
        autoescape=False,  # it is Markdown
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    tables = [table for table in pivot(card.shown) if table.is_read]
    text = environment.get_template("card.md.j2").render(
        name=card.provenance.run,
        warnings=_warnings(card),
        summary=_summary(card),
        phases=_phases(card.provenance),
        facts=[*_facts(card.provenance), *heads],
        limits=_limits(card),
        usage=card.use.code,
        embedding=embedding,
        tables=[_score_table(table) for table in tables],
        score_notes=_score_notes(card),
        command=card.command,
        provenance=card.provenance,
        versions=", ".join(f"{name} {version}" for name, version in card.versions.items()),
        data=_data(card.specs),
        citations=[*WORKS, *dict.fromkeys(spec.citation for spec in card.specs if spec.citation)],
    )
    return redact(re.sub(r"\n{3,}", "\n\n", text).strip() + "\n")


def _warnings(card: Card) -> list[str]:
    """What a reader must see first (law 11)."""
    found = []
    if card.provenance.degenerate:
        found.append(f"**This model has learned nothing: {card.provenance.degenerate}.** Do not use it.")
    if card.provenance.origin == "random":
        found.append("**Its encoder never saw text: random weights, a control.** Do not use it.")
    reasons: dict[str, list[str]] = {}
    for record in card.shown:
        if record.collapsed and record.main:
            reasons.setdefault(record.collapsed, []).append(f"{record.task} {record.language}")
    for reason, where in reasons.items():
        found.append(f"**Collapsed in {', '.join(dict.fromkeys(where))}: {reason}.** These are scores of no model.")
    return found


def _summary(card: Card) -> str:
    start = f"from `{Path(card.base_model).name}`, a local model" if card.base_model else "from random weights"
    if card.hub_base:
        start = f"from [{card.hub_base}](https://huggingface.co/{card.hub_base})"
    labelled = labelled_languages(card.provenance)
    seen = f", trained on labels in {_listed(labelled)}" if labelled else ""
    scored = sorted({record.language for record in card.shown if record.value is not None})
    measured = f", scored in {len(scored)} languages ({_listed(scored)})" if scored else ""
    article = "An" if card.use.noun[0] in "aeiou" else "A"
    return f"{article} {card.use.noun}, made {start}{seen}{measured}."


def _listed(names: Sequence[str]) -> str:
    """``en``, ``en and de``, ``en, de and zh``."""
    return " and ".join(filter(None, [", ".join(names[:-1]), *names[-1:]]))


def _phases(provenance: Provenance) -> str:
    columns = ("phase", "role", "task", "split", "languages", "examples", "steps")
    known = [name for name in columns if any(entry.get(name) is not None for entry in provenance.trained_on)]
    rows = [[_cell(entry.get(name)) for name in known] for entry in provenance.trained_on]
    return grid([known, *rows], others="---") if rows else ""


def _cell(value: Any) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value))
    return f"{value:,}" if isinstance(value, int) else "-" if value is None else str(value)


def _facts(provenance: Provenance) -> list[str]:
    facts = [f"A head that was trained on {_listed(tasks)}." for tasks in provenance.heads.values()]
    for name, said in (("loaded", "taken over"), ("fresh", "new, random"), ("dropped", "left behind")):
        if heads := provenance.carried.get(name):
            names = [f"that of {_listed(provenance.heads.get(head) or [head])}" for head in heads]
            facts.append(f"Heads at the start of the last phase, {said}: {'; '.join(names)}.")
    if provenance.averaged_from:
        parts = ", ".join(f"{part['run']} ({part['digest'][:12]})" for part in provenance.averaged_from)
        facts.append(f"The mean of the weights of {len(provenance.averaged_from)} models: {parts}.")
    return facts


def _limits(card: Card) -> list[str]:
    found = [f"For {card.use.purpose}, in the languages of its base model."]
    labelled = labelled_languages(card.provenance)
    if len(labelled) == 1:
        found.append(
            f"Zero-shot: it has seen labels in {labelled[0]} only. In every other language it rests on what the base "
            "model knows of that language. Scores fall with distance from the language of the labels and with the "
            "share of a language in pretraining: score it on labelled texts of yours before you rely on it."
        )
    if not any(record.is_test and record.main for record in card.shown):
        found.append("Nothing is known yet of how well it does: no test set was scored.")
    if card.labels and len(card.labels) <= MOST_LABELS:
        found.append(f"Its {len(card.labels)} labels: {', '.join(f'`{name}`' for name in card.labels)}; no others.")
    elif card.labels:
        found.append(f"It has {len(card.labels)} labels, which `config.json` names.")
    found.append("It has the biases of its base model and of its data; decisions about people need more than a score.")
    return found


def _score_table(table: Table) -> dict[str, Any]:
    """Languages down; one column, or one for each way in which the model was read."""
    columns = [header(table), *lines(table)]
    names = ["language", *([table.metric] if len(table.rows) == 1 else [row.label for row in table.rows])]
    rows = [list(row) for row in zip(*columns, strict=True)][1:]
    return {"caption": table.caption, "grid": grid([names, *rows]), "notes": table.notes}


def _score_notes(card: Card) -> list[str]:
    found = []
    if len({record.reading.layer for record in card.shown if record.reading.layer is not None}) > 1:
        found.append("Several layers were scored; the metadata of this card have the last of them.")
    if card.left_out:
        found.append(f"Left out, since other weights scored them: {card.left_out}.")
    return found


def _data(specs: Sequence[TaskSpec]) -> str:
    rows = [[spec.name, _link(spec), spec.licence or "not known", spec.citation or "-"] for spec in specs]
    return grid([["data", "on the Hub", "licence", "described in"], *rows], others="---") if rows else ""


def _link(spec: TaskSpec) -> str:
    return f"[{spec.hub.path}](https://huggingface.co/datasets/{spec.hub.path})" if spec.hub else "-"
