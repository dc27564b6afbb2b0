"""Classification of sentence pairs: natural language inference and paraphrase."""

from __future__ import annotations

from pathlib import Path

from dist_stilts.conventions import ENGLISH
from dist_stilts.tasks import read_nli, read_pairs, read_xnli
from dist_stilts.tasks.languages import languages
from dist_stilts.tasks.read_nli import NLI_LABELS
from dist_stilts.tasks.read_pairs import PARAPHRASE_LABELS
from dist_stilts.tasks.spec import HubSource, TaskSpec


def _of_its_parts(_folder: Path, _split: str, _language: str) -> list[Path]:
    return []


_INFERENCE = (
    TaskSpec(
        name="mnli",
        family="sequence",
        languages=(ENGLISH,),
        metric="accuracy",
        folders=("multinli_1.0", "mnli", "multinli", "MNLI", "glue/MNLI"),
        head="nli",
        find=read_nli.find_mnli,
        read=read_nli.read_mnli,
        layouts=(
            "multinli_1.0_{train,dev_matched}.jsonl (or .txt)",
            "GLUE: MNLI/{train,dev_matched}.tsv",
            "multinli_1.0.zip or MNLI.zip as published",
        ),
        labels=NLI_LABELS,
        splits=("train", "dev"),
        sizes={"train": 392_702, "dev": 9_815},
        hub=HubSource(
            path="nyu-mll/multi_nli",
            config=None,
            revision="da70db2af9d09693783c3320c4249840212ee221",
            splits={"train": "train", "dev": "validation_matched"},
            to_row=read_nli.mnli_from_hub,
        ),
        licence="OANC and others, by genre",
        citation="Williams et al. 2018, A Broad-Coverage Challenge Corpus for Sentence Understanding through Inference",
        aliases=("multinli",),
    ),
    TaskSpec(
        name="snli",
        family="sequence",
        languages=(ENGLISH,),
        metric="accuracy",
        folders=("snli_1.0", "snli", "SNLI"),
        head="nli",
        find=read_nli.find_snli,
        read=read_nli.read_snli,
        layouts=(
            "snli_1.0_{train,dev,test}.jsonl (or .txt)",
            "row-aligned s1.{train,dev,test}, s2.*, labels.*",
            "snli_1.0.zip as published",
        ),
        labels=NLI_LABELS,
        sizes={"train": 549_367, "dev": 9_842, "test": 9_824},
        hub=HubSource(
            path="stanfordnlp/snli",
            config="plain_text",
            revision="cdb5c3d5eed6ead6e5a341c8e56e669bb666725b",
            splits={"train": "train", "dev": "validation", "test": "test"},
            to_row=read_nli.snli_from_hub,
        ),
        licence="CC BY-SA 4.0",
        citation="Bowman et al. 2015, A large annotated corpus for learning natural language inference",
    ),
    TaskSpec(
        name="anli",
        family="sequence",
        languages=(ENGLISH,),
        metric="accuracy",
        folders=("anli_v0.1", "anli", "anli_v1.0", "ANLI"),
        head="nli",
        find=read_nli.find_anli,
        read=read_nli.read_anli,
        layouts=("R{1,2,3}/{train,dev,test}.jsonl", "anli_v0.1.zip as published"),
        labels=NLI_LABELS,
        sizes={"train": 162_865, "dev": 3_200, "test": 3_200},
        hub=HubSource(
            path="facebook/anli",
            config="plain_text",
            revision="8e4813d81f46d313dac7892e1c28076917cfcdf9",
            splits={
                split: "+".join(f"{split}_r{number}" for number in (1, 2, 3)) for split in ("train", "dev", "test")
            },
            to_row=read_nli.anli_from_hub,
        ),
        licence="CC BY-NC 4.0",
        citation="Nie et al. 2020, Adversarial NLI: A New Benchmark for Natural Language Understanding",
    ),
    TaskSpec(
        name="anli_plus",
        family="sequence",
        languages=(ENGLISH,),
        metric="accuracy",
        folders=("anli_plus",),
        head="nli",
        find=_of_its_parts,
        parts=("snli", "mnli", "anli"),
        labels=NLI_LABELS,
        splits=("train", "dev"),
        sizes={"train": 1_104_934},
        licence="those of SNLI, MultiNLI and ANLI",
        citation="Phang et al. 2020, English Intermediate-Task Training Improves Zero-Shot Cross-Lingual Transfer Too",
        aliases=("anli+", "anliplus"),
    ),
    TaskSpec(
        name="xnli",
        family="sequence",
        languages=languages("en ar bg de el es fr hi ru sw th tr ur vi zh"),
        metric="accuracy",
        folders=("xnli", "XNLI", "XNLI-1.0"),
        head="nli",
        find=read_xnli.find_xnli,
        read=read_xnli.read_xnli,
        layouts=(
            "XTREME: {train,dev,test}-{lang}.tsv, with test.labels.txt or test-{lang}.labels.txt",
            "XNLI-1.0/xnli.{dev,test}.tsv (or .jsonl), all languages in one file",
            "train: XNLI-MT-1.0/multinli/multinli.train.{lang}.tsv",
            "train: XTREME's translate-train/en-{lang}-translated.tsv",
            "XNLI-1.0.zip and XNLI-MT-1.0.zip as published",
        ),
        labels=NLI_LABELS,
        # Its English training set is MultiNLI's.
        sizes={"train": 392_702, "dev": 2_490, "test": 5_010},
        hub=HubSource(
            path="facebook/xnli",
            config="{lang}",
            revision="b8dd5d7af51114dbda02c0e3f6133f332186418e",
            splits={"train": "train", "dev": "validation", "test": "test"},
            to_row=read_xnli.xnli_from_hub,
        ),
        licence="CC BY-NC 4.0",
        citation="Conneau et al. 2018, XNLI: Evaluating Cross-lingual Sentence Representations",
    ),
)

_PARAPHRASE = (
    TaskSpec(
        name="qqp",
        family="sequence",
        languages=(ENGLISH,),
        metric="acc_and_f1",
        folders=("QQP", "qqp", "glue/QQP"),
        find=read_pairs.find_qqp,
        read=read_pairs.read_qqp,
        layouts=("GLUE: QQP/{train,dev,test}.tsv", "QQP.zip or QQP-clean.zip as GLUE publishes it"),
        labels=PARAPHRASE_LABELS,
        sizes={"train": 363_846, "dev": 40_430, "test": 390_965},
        hub=HubSource(
            path="nyu-mll/glue",
            config="qqp",
            revision="bcdcba79d07bc864c1c254ccfcedcce55bcc9a8c",
            splits={"train": "train", "dev": "validation", "test": "test"},
            to_row=read_pairs.qqp_from_hub,
        ),
        licence="Quora's terms of service",
        citation="Wang et al. 2019, GLUE: A Multi-Task Benchmark and Analysis Platform for NLU",
    ),
    TaskSpec(
        name="pawsx",
        family="sequence",
        languages=languages("en de es fr ja ko zh"),
        metric="accuracy",
        folders=("pawsx", "x-final", "paws-x", "PAWSX"),
        find=read_pairs.find_pawsx,
        read=read_pairs.read_pawsx,
        layouts=(
            "XTREME: {train,dev,test}-{lang}.tsv, with test-{lang}.labels.txt",
            "x-final/{lang}/{train,translated_train,dev_2k,test_2k}.tsv",
            "train: XTREME's translate-train/en-{lang}-translated.tsv",
            "x-final.tar.gz as published",
        ),
        labels=PARAPHRASE_LABELS,
        sizes={"train": 49_401, "dev": 2_000, "test": 2_000},
        hub=HubSource(
            path="google-research-datasets/paws-x",
            config="{lang}",
            revision="4cd8187c404bda33cb1f62b49b001115862acf37",
            splits={"train": "train", "dev": "validation", "test": "test"},
            to_row=read_pairs.pawsx_from_hub,
        ),
        licence="free for any purpose, with credit to Google",
        citation="Yang et al. 2019, PAWS-X: A Cross-lingual Adversarial Dataset for Paraphrase Identification",
        aliases=("paws-x", "paws_x"),
    ),
)

SPECS = (*_INFERENCE, *_PARAPHRASE)
