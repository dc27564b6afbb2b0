"""Multiple choice. One head, a score per candidate, serves all of these tasks."""

from __future__ import annotations

from dist_stilts.conventions import ENGLISH
from dist_stilts.tasks.read_choice import (
    commonsenseqa_from_hub,
    cosmosqa_from_hub,
    find_commonsenseqa,
    find_cosmosqa,
    read_commonsenseqa,
    read_cosmosqa,
)
from dist_stilts.tasks.read_hellaswag import find_hellaswag, hellaswag_from_hub, read_hellaswag
from dist_stilts.tasks.read_xcopa import XCOPA_LANGUAGES, find_xcopa, read_xcopa, xcopa_from_hub
from dist_stilts.tasks.spec import HubSource, TaskSpec

_SPLITS = {"train": "train", "dev": "validation", "test": "test"}

SPECS = (
    TaskSpec(
        name="commonsenseqa",
        family="choice",
        languages=(ENGLISH,),
        metric="accuracy",
        folders=("commonsenseqa", "commonsense_qa"),
        head="choice",
        find=find_commonsenseqa,
        read=read_commonsenseqa,
        layouts=(
            "train_rand_split.jsonl, dev_rand_split.jsonl, test_rand_split_no_answers.jsonl",
            "train.jsonl, {valid,dev}.jsonl, test.jsonl",
        ),
        sizes={"train": 9_741, "dev": 1_221, "test": 1_140},
        hub=HubSource(
            path="tau/commonsense_qa",
            config=None,
            revision="94630fe30dad47192a8546eb75f094926d47e155",
            splits=_SPLITS,
            to_row=commonsenseqa_from_hub,
        ),
        licence="not stated in the files",
        citation="Talmor et al. 2019, CommonsenseQA: A Question Answering Challenge Targeting Commonsense Knowledge",
        aliases=("csqa", "commonsense_qa"),
    ),
    TaskSpec(
        name="hellaswag",
        family="choice",
        languages=(ENGLISH,),
        metric="accuracy",
        folders=("hellaswag",),
        head="choice",
        find=find_hellaswag,
        read=read_hellaswag,
        layouts=(
            "hellaswag_{train,val,test}.jsonl",
            "hellaswag_{train,val}_full.txt: six lines an item (activity: context, label, four endings)",
        ),
        sizes={"train": 39_905, "dev": 10_042, "test": 10_003},
        hub=HubSource(
            path="Rowan/hellaswag",
            config=None,
            revision="218ec52e09a7e7462a5400043bb9a69a41d06b76",
            splits=_SPLITS,
            to_row=hellaswag_from_hub,
        ),
        licence="MIT",
        citation="Zellers et al. 2019, HellaSwag: Can a Machine Really Finish Your Sentence?",
    ),
    TaskSpec(
        name="cosmosqa",
        family="choice",
        languages=(ENGLISH,),
        metric="accuracy",
        folders=("cosmosqa", "cosmos_qa"),
        head="choice",
        find=find_cosmosqa,
        read=read_cosmosqa,
        layouts=("{train,valid}.csv, test.jsonl", "{train,valid,test}.jsonl"),
        sizes={"train": 25_262, "dev": 2_985, "test": 6_963},
        hub=HubSource(
            path="allenai/cosmos_qa",
            config="default",
            # The Hub's own conversion to Parquet; the default branch is a loading script.
            revision="ed50fe83db62b355759053b1cd5eef344ee371e0",
            splits=_SPLITS,
            to_row=cosmosqa_from_hub,
        ),
        licence="CC BY 4.0",
        citation="Huang et al. 2019, Cosmos QA: Machine Reading Comprehension with Contextual Commonsense Reasoning",
        aliases=("cosmos_qa", "cosmos"),
    ),
    TaskSpec(
        name="xcopa",
        family="choice",
        # Its English part is COPA, which alone has a train split.
        languages=(ENGLISH, *XCOPA_LANGUAGES),
        metric="accuracy",
        folders=("xcopa",),
        head="choice",
        find=find_xcopa,
        read=read_xcopa,
        layouts=(
            "data/<language>/{val,test}.<language>.jsonl",
            "{val,test}.<language>.jsonl",
            "English: COPA/{train,val,test}.jsonl (SuperGLUE) or {train,val,test}.en.jsonl",
        ),
        sizes={"train": 400, "dev": 100, "test": 500},
        hub=HubSource(
            path="cambridgeltl/xcopa",
            config="{lang}",
            revision="042f78955ba48e6404616762fa6e05e839c3907a",
            splits={"dev": "validation", "test": "test"},
            to_row=xcopa_from_hub,
            lacks=(ENGLISH,),
        ),
        licence="CC BY 4.0 (English COPA: BSD 2-clause)",
        citation="Ponti et al. 2020, XCOPA: A Multilingual Dataset for Causal Commonsense Reasoning",
    ),
)
