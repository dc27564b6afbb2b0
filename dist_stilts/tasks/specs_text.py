"""Plain text for masked language modelling, and the two retrieval tasks."""

from __future__ import annotations

from dist_stilts.tasks.languages import XTREME_LANGUAGES
from dist_stilts.tasks.read_bitext import TATOEBA_LANGUAGES, find_bucc2018, find_tatoeba, read_bucc2018, read_tatoeba
from dist_stilts.tasks.read_text import find_text, read_text
from dist_stilts.tasks.spec import TaskSpec

PLAIN_TEXT = "mlm"
"""The task of plain text, which has no labels: no English task data."""
SPECS = (
    TaskSpec(
        name=PLAIN_TEXT,
        family="mlm",
        languages=XTREME_LANGUAGES,
        metric="loss",
        folders=("mlm", "text", "udhr"),
        head="mlm",
        find=find_text,
        read=read_text,
        layouts=("<language>.txt", "<anything>.<language>.txt, one or several"),
        splits=("train",),
        licence="that of the text you bring",
        citation="Conneau et al. 2020, Unsupervised Cross-lingual Representation Learning at Scale",
    ),
    TaskSpec(
        name="tatoeba",
        family="tatoeba",
        languages=TATOEBA_LANGUAGES,
        metric="accuracy",
        folders=("tatoeba",),
        find=find_tatoeba,
        read_bitext=read_tatoeba,
        layouts=(
            "tatoeba.<iso3>-eng.{<iso3>,eng}, row-aligned (LASER, data/tatoeba/v1)",
            "<language>-en.{<language>,en}, English sorted, hence without gold (XTREME)",
        ),
        splits=("test",),
        licence="CC BY 2.0 FR",
        citation="Artetxe and Schwenk 2019, Massively Multilingual Sentence Embeddings",
    ),
    TaskSpec(
        name="bucc2018",
        family="bucc",
        languages=("de", "fr", "ru", "zh"),
        metric="f1",
        folders=("bucc2018",),
        find=find_bucc2018,
        read_bitext=read_bucc2018,
        layouts=(
            "<language>-en.{dev,test}.{<language>,en,gold} (XTREME)",
            "<language>-en.{sample,training}.{<language>,en,gold}, loose or in bucc2018-<language>-en.*.tar.bz2",
        ),
        splits=("dev", "test"),
        licence="not stated in the files",
        citation="Zweigenbaum et al. 2018, Overview of the Third BUCC Shared Task",
        aliases=("bucc",),
    ),
)
