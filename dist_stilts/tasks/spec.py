"""What a task is (:class:`TaskSpec`) and what its rows look like (the example records).

A reader turns a public file into examples; everything after it sees only these records.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from dist_stilts.conventions import ENGLISH, JsonObject

Family = Literal["mlm", "sequence", "regression", "multilabel", "choice", "token", "span", "tatoeba", "bucc"]
IGNORED = -100
"""The label id of a token that is not predicted; cross-entropy skips it."""
UNSEEN = -1
"""The label id of a gold tag that the training data do not have: predicted, never rightly; never trained on."""
WITHHELD = -2
"""The label id of a word whose tag is withheld: predicted, and not scored; never trained on."""
RETRIEVAL: tuple[Family, ...] = ("tatoeba", "bucc")


@dataclass(frozen=True, slots=True)
class Row:
    """What every example carries.

    Attributes:
        id: stable and unique within (task, split, language); made from the file's own id or its row number.
        group: rows that must stay on one side of any split share it, **in every language**: translations of one
            row have the same group, and so have the hypotheses of one premise.
    """

    id: str
    group: str


@dataclass(frozen=True, slots=True)
class TextRow(Row):
    """One line of plain text (family ``mlm``)."""

    text: str


@dataclass(frozen=True, slots=True)
class PairRow(Row):
    """Two texts and a label (family ``sequence``); ``label`` is ``None`` where gold is withheld."""

    text_a: str
    text_b: str
    label: str | None


@dataclass(frozen=True, slots=True)
class RegressionRow(Row):
    """One or two texts and a number (family ``regression``); ``value`` is ``None`` where gold is withheld."""

    text_a: str
    text_b: str
    value: float | None


@dataclass(frozen=True, slots=True)
class MultiLabelRow(Row):
    """One or two texts and any number of labels (family ``multilabel``); ``None`` where gold is withheld."""

    text_a: str
    text_b: str
    labels: tuple[str, ...] | None


@dataclass(frozen=True, slots=True)
class ChoiceRow(Row):
    """A prompt, its candidate answers and the index of the right one (family ``choice``)."""

    prompt: str
    choices: tuple[str, ...]
    label: int | None


@dataclass(frozen=True, slots=True)
class TaggedRow(Row):
    """Words with one tag each (family ``token``); ``tags`` is ``None`` where gold is withheld."""

    words: tuple[str, ...]
    tags: tuple[str, ...] | None


@dataclass(frozen=True, slots=True)
class Answer:
    """A gold answer: ``context[start : start + len(text)] == text``, counted in characters."""

    text: str
    start: int


@dataclass(frozen=True, slots=True)
class SpanRow(Row):
    """A question and the text that may answer it (family ``span``).

    Attributes:
        answers: gold answers, several where annotators differ; none = unanswerable; ``None`` where gold is withheld.
    """

    question: str
    context: str
    answers: tuple[Answer, ...] | None


@dataclass(frozen=True, slots=True)
class Quirk:
    """Something in a published file that its reader mended or left out. Readers yield it among the rows: it is counted
    under ``what`` and reported, never hidden."""

    what: str


@dataclass(frozen=True, slots=True)
class Bitext:
    """Two sides to search (families ``tatoeba`` and ``bucc``).

    Attributes:
        source, target: the foreign and the English (or other target) texts, in file order.
        source_ids, target_ids: their ids, row by row.
        gold: pairs of (source id, target id); ``None`` where it is withheld.
        blank: sentences without text that were passed over, each with its pair.
    """

    source: tuple[str, ...]
    target: tuple[str, ...]
    source_ids: tuple[str, ...]
    target_ids: tuple[str, ...]
    gold: tuple[tuple[str, str], ...] | None
    blank: int = 0


Reader = Callable[[Path, str, str], Iterator[Row | Quirk]]
"""``reader(folder, split, language)`` yields examples and quirks; raises UserError (file:line) on a bad row."""


@dataclass(frozen=True, slots=True)
class HubSource:
    """Where ``datasets`` finds the task.

    Attributes:
        path: the repository; config: its configuration, ``{lang}`` is filled in; revision: the commit.
        splits: our split names to theirs.
        to_row: ``to_row(row number, their row, our split)``; None for a row that the publishers left without gold.
        codes: their names of languages in ``config`` where these are not ours.
        keeps: whether a row is in a language, for configurations that hold several.
        lacks: languages of the task that are not there.
    """

    path: str
    config: str | None
    revision: str
    splits: Mapping[str, str]
    to_row: Callable[[int, dict[str, Any], str], Row | None]
    codes: Mapping[str, str] = field(default_factory=dict)
    keeps: Callable[[dict[str, Any], str], bool] | None = None
    lacks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class HubTable:
    """A split of a user's task that is a data set of the Hub.

    Attributes:
        path: the repository; config: its configuration, ``{lang}`` is filled in, or that of each language; split: its
            own name of the split; revision: the commit, None for the newest; language: what it is in, if config does
            not tell.
    """

    path: str
    config: str | Mapping[str, str] | None
    split: str
    revision: str | None = None
    language: str = ENGLISH

    def config_of(self, lang: str) -> str | None:
        """The configuration that has a language, if the data set has any."""
        return self.config.replace("{lang}", lang) if isinstance(self.config, str) else (self.config or {}).get(lang)

    def has(self, lang: str) -> bool:
        """Whether a language is in the data set, as far as the recipe tells."""
        if isinstance(self.config, Mapping):
            return lang in self.config
        return lang == self.language or "{lang}" in (self.config or "")


Records = Iterable[tuple[tuple[Path, int], JsonObject]]
"""Where a row of a table is, and what its columns hold."""


@dataclass(frozen=True, slots=True)
class TaskSpec:
    """One task, as pure data.

    Attributes:
        family: its kind (:mod:`dist_stilts.families`), or the way in which it searches.
        languages: the languages that its publishers offer (ISO 639-1), English first where it has it.
        metric: the main score's name, as the field writes it.
        folders: the names that its folder below the data root may have; the first is the one messages ask for.
        find: which file(s) hold (split, language), a missing one under its expected name; used to list languages and
            to key caches.
        read: the reader; ``read_bitext`` instead for the retrieval families.
        layouts: for people: the files that ``find`` knows, one layout per entry.
        parts: a task made of the rows of other tasks, which have its family and labels, has these instead of a reader.
        labels: the classes or tags, in id order; empty for ``mlm``, ``choice``, ``span``, retrieval, and while unread.
        no_answer: questions may have no answer in their context.
        open_labels: the labels are those of the source language's training rows (see
            :func:`dist_stilts.tasks.sources.task`).
        source: the language that is trained on unless a phase says otherwise, and that dev is in.
        head: tasks with the same head train and use one; by default a task's own.
        trained_on: the task whose English ``train`` split is this one's training source, if it has none itself.
        sizes: published numbers of English rows per split, where they are published.
        rootless: its files are named by whole paths, or come from the Hub: it needs no data root.
        tables: splits that are data sets of the Hub, whether there is a data root or not; ``read_table``, given a
            split's records and its name, makes their rows.
        hub, licence, citation: provenance.
    """

    name: str
    family: str
    languages: tuple[str, ...]
    metric: str
    folders: tuple[str, ...]
    find: Callable[[Path, str, str], list[Path]]
    read: Reader | None = None
    read_bitext: Callable[[Path, str, str], Bitext] | None = None
    layouts: tuple[str, ...] = ()
    parts: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    open_labels: bool = False
    source: str = ENGLISH
    no_answer: bool = False
    head: str = ""
    splits: tuple[str, ...] = ("train", "dev", "test")
    trained_on: str = ""
    sizes: Mapping[str, int] = field(default_factory=dict)
    rootless: bool = False
    tables: Mapping[str, HubTable] = field(default_factory=dict)
    read_table: Callable[[Records, str], Iterator[Row | Quirk]] | None = None
    hub: HubSource | None = None
    licence: str = ""
    citation: str = ""
    aliases: tuple[str, ...] = ()

    @property
    def is_own(self) -> bool:
        """Whether it is one of the user's own, whose files lie in the data root itself."""
        return self.folders[:1] == (".",)
