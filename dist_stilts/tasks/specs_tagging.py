"""Tagging words: parts of speech, named entities, supertags. Each task has a head of its own."""

from __future__ import annotations

from dist_stilts.tasks.languages import XTREME_LANGUAGES, languages
from dist_stilts.tasks.read_ccg import find_ccg, read_ccg
from dist_stilts.tasks.read_conllu import UPOS_TAGS
from dist_stilts.tasks.read_tags import (
    PANX_TAGS,
    UDPOS_HUB_NAMES,
    UDPOS_LANGUAGES,
    find_panx,
    find_udpos,
    panx_from_hub,
    read_panx,
    read_udpos,
    udpos_from_hub,
)
from dist_stilts.tasks.spec import HubSource, TaskSpec

SPECS = (
    TaskSpec(
        name="udpos",
        family="token",
        languages=UDPOS_LANGUAGES,
        metric="f1",
        folders=("udpos", "ud", "ud-treebanks-v2.5"),
        find=find_udpos,
        read=read_udpos,
        layouts=(
            "{train,dev,test}-<language>.tsv: token, tag (test: or none); blank lines between sentences (XTREME)",
            "<language>_<treebank>-ud-{train,dev,test}.conllu at any depth, here or in ud/ beside this folder "
            "(release 2.5; kk, th, tl and yo have no dev)",
        ),
        labels=UPOS_TAGS,
        sizes={"train": 21_253, "dev": 3_974},
        # Its rows hold the parts of fused forms, the files above the fused forms themselves.
        hub=HubSource(
            path="google/xtreme",
            config="udpos.{lang}",
            revision="ec5f1f46e9af79639a90684a7a70a956c4998f04",
            splits={"train": "train", "dev": "validation", "test": "test"},
            to_row=udpos_from_hub,
            codes=UDPOS_HUB_NAMES,
        ),
        licence="CC BY-SA, some treebanks non-commercial",
        citation="Nivre et al. 2020, Universal Dependencies v2 (release 2.5)",
        aliases=("pos",),
    ),
    TaskSpec(
        name="panx",
        family="token",
        languages=XTREME_LANGUAGES,
        metric="f1",
        folders=("panx", "panx_dataset"),
        find=find_panx,
        read=read_panx,
        layouts=(
            "{train,dev,test}-<language>.tsv: token, tag (test: or none); blank lines between sentences (XTREME)",
            "AmazonPhotos.zip, <language>.tar.gz or <language>/{train,dev,test}: <language>:token, tag",
            "<language>.tsv without official split: 60 / 20 / 20 % into train, dev, test by a hash of the words",
        ),
        labels=PANX_TAGS,
        sizes={"train": 20_000, "dev": 10_000, "test": 10_000},
        hub=HubSource(
            path="google/xtreme",
            config="PAN-X.{lang}",
            # The default branch: no commit hash is known that was checked against the counts.
            revision="ec5f1f46e9af79639a90684a7a70a956c4998f04",
            splits={"train": "train", "dev": "validation", "test": "test"},
            to_row=panx_from_hub,
        ),
        licence="not stated (text of Wikipedia, CC BY-SA)",
        citation="Pan et al. 2017, Cross-lingual Name Tagging and Linking for 282 Languages",
        aliases=("wikiann", "ner"),
    ),
    TaskSpec(
        name="ccg",
        family="token",
        languages=languages("en de it nl"),
        metric="accuracy",
        folders=("ccg", "pmb-4.0.0"),
        find=find_ccg,
        read=read_ccg,
        layouts=(
            "<language>/gold/{train,dev,test}.conll (Parallel Meaning Bank 4.0.0; eval.conll is not used)",
            "English: ccg.{train,dev,test} or {train,dev,test}.tsv: tokens, supertags, each parted by spaces (CCGbank)",
        ),
        open_labels=True,
        # Those of the Parallel Meaning Bank, which is free; CCGbank is licensed by the LDC.
        sizes={"train": 7_745, "dev": 1_174, "test": 1_053},
        licence="free to download (Parallel Meaning Bank)",
        citation="Abzianidze et al. 2017, The Parallel Meaning Bank; Hockenmaier and Steedman 2007, CCGbank",
    ),
)
