"""The table of all tasks: languages and sizes as XTREME (Hu et al. 2020) uses them; no two share a name or alias."""

from __future__ import annotations

from collections.abc import Iterable

from dist_stilts.errors import UserError, nearest
from dist_stilts.tasks.read_bitext import TATOEBA_LANGUAGES, find_bucc2018, find_tatoeba, read_bucc2018, read_tatoeba
from dist_stilts.tasks.read_choice import commonsenseqa_from_hub, find_commonsenseqa, read_commonsenseqa
from dist_stilts.tasks.read_nli import (
    NLI_LABELS,
    find_mnli,
    find_xnli,
    mnli_from_hub,
    read_mnli,
    read_xnli,
    xnli_from_hub,
)
from dist_stilts.tasks.read_tags import UPOS_TAGS, find_udpos, read_udpos
from dist_stilts.tasks.read_text import find_text, read_text
from dist_stilts.tasks.spec import HubSource, TaskSpec


def _codes(text: str) -> tuple[str, ...]:
    return tuple(text.split())


XTREME_LANGUAGES = _codes(
    "en af ar bg bn de el es et eu fa fi fr he hi hu id it ja jv ka kk ko ml mr ms my nl pt ru sw ta te th tl tr ur vi "
    "yo zh"
)

# The default branch: commit hashes belong here as soon as they can be read from the Hub and checked against the counts.
_REVISION = "main"

_SPECS = (
    TaskSpec(
        name="mlm",
        family="mlm",
        languages=XTREME_LANGUAGES,
        metric="loss",
        folder="mlm",
        find=find_text,
        read=read_text,
        splits=("train",),
        licence="that of the text you bring",
        citation="Conneau et al. 2020, Unsupervised Cross-lingual Representation Learning at Scale",
    ),
    TaskSpec(
        name="mnli",
        family="sequence",
        languages=("en",),
        metric="accuracy",
        folder="multinli_1.0",
        find=find_mnli,
        read=read_mnli,
        labels=NLI_LABELS,
        splits=("train", "dev"),
        train_size=392_702,
        hub=HubSource(
            path="nyu-mll/multi_nli",
            config=None,
            revision=_REVISION,
            splits={"train": "train", "dev": "validation_matched"},
            to_row=mnli_from_hub,
        ),
        licence="OANC and others, by genre",
        citation="Williams et al. 2018, A Broad-Coverage Challenge Corpus for Sentence Understanding through Inference",
        aliases=("multinli",),
    ),
    TaskSpec(
        name="xnli",
        family="sequence",
        languages=_codes("en ar bg de el es fr hi ru sw th tr ur vi zh"),
        metric="accuracy",
        folder="xnli",
        find=find_xnli,
        read=read_xnli,
        labels=NLI_LABELS,
        # Its English training set, train-en.tsv, is MultiNLI's.
        train_size=392_702,
        hub=HubSource(
            path="facebook/xnli",
            config="{lang}",
            revision=_REVISION,
            splits={"train": "train", "dev": "validation", "test": "test"},
            to_row=xnli_from_hub,
        ),
        licence="CC BY-NC 4.0",
        citation="Conneau et al. 2018, XNLI: Evaluating Cross-lingual Sentence Representations",
    ),
    TaskSpec(
        name="commonsenseqa",
        family="choice",
        languages=("en",),
        metric="accuracy",
        folder="commonsenseqa",
        find=find_commonsenseqa,
        read=read_commonsenseqa,
        train_size=9_741,
        hub=HubSource(
            path="tau/commonsense_qa",
            config=None,
            revision=_REVISION,
            splits={"train": "train", "dev": "validation", "test": "test"},
            to_row=commonsenseqa_from_hub,
        ),
        licence="not stated in the files",
        citation="Talmor et al. 2019, CommonsenseQA: A Question Answering Challenge Targeting Commonsense Knowledge",
        aliases=("csqa",),
    ),
    TaskSpec(
        name="udpos",
        family="token",
        languages=_codes(
            "en af ar bg de el es et eu fa fi fr he hi hu id it ja kk ko mr nl pt ru ta te th tl tr ur vi yo zh"
        ),
        metric="f1",
        folder="udpos",
        find=find_udpos,
        read=read_udpos,
        labels=UPOS_TAGS,
        train_size=21_253,
        licence="CC BY-SA, some treebanks non-commercial",
        citation="Nivre et al. 2020, Universal Dependencies v2 (release 2.5)",
        aliases=("pos",),
    ),
    TaskSpec(
        name="tatoeba",
        family="tatoeba",
        languages=TATOEBA_LANGUAGES,
        metric="accuracy",
        folder="tatoeba",
        find=find_tatoeba,
        read_bitext=read_tatoeba,
        splits=("test",),
        licence="CC BY 2.0 FR",
        citation="Artetxe and Schwenk 2019, Massively Multilingual Sentence Embeddings",
    ),
    TaskSpec(
        name="bucc2018",
        family="bucc",
        languages=("de", "fr", "ru", "zh"),
        metric="f1",
        folder="bucc2018",
        find=find_bucc2018,
        read_bitext=read_bucc2018,
        splits=("dev", "test"),
        licence="not stated in the files",
        citation="Zweigenbaum et al. 2018, Overview of the Third BUCC Shared Task",
        aliases=("bucc",),
    ),
)


def index_by_name(specs: Iterable[TaskSpec]) -> dict[str, TaskSpec]:
    """Map every name and alias to its task; raises ValueError if two tasks claim one."""
    index: dict[str, TaskSpec] = {}
    for spec in specs:
        for name in (spec.name, *spec.aliases):
            if name in index:
                raise ValueError(f"two tasks are called '{name}': {index[name].name} and {spec.name}")
            index[name] = spec
    return index


_BY_NAME = index_by_name(_SPECS)


def get_task(name: str) -> TaskSpec:
    """Return the task of that name or alias; raises UserError naming the nearest one."""
    if name not in _BY_NAME:
        raise UserError(f"unknown task '{name}'", fix=nearest(name, (spec.name for spec in _SPECS)))
    return _BY_NAME[name]


def all_tasks() -> tuple[TaskSpec, ...]:
    """Return every task, in the table's order."""
    return _SPECS
