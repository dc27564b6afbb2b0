"""The verb that finds translations in two texts: ``mine``."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from dist_stilts.verbs.common import Json, check_options, say

_encoding = partial(typer.Option, rich_help_panel="Encoding")
_search = partial(typer.Option, rich_help_panel="Search")

Source = Annotated[Path, typer.Argument(help="Text file, one sentence per line; may be .gz, .bz2, .xz or .zst.")]
Target = Annotated[Path, typer.Argument(help="Text file in the other language, of any length.")]
Model = Annotated[str, typer.Option(help="Any encoder: a Hugging Face folder or Hub name.")]
Out = Annotated[Path, typer.Option(help="File of pairs: margin, source, target; best first.")]
THRESHOLD = """Lowest margin written. Default: tuned on --gold; else 1 for ratio (1.04 to 1.06 is usual for web text), 0
for distance and csls."""
Threshold = Annotated[float | None, typer.Option(help=THRESHOLD, show_default=False)]
GOLD = "Known pairs: source id, tab, target id; line numbers from 1 where the files have no ids."
Gold = Annotated[Path | None, typer.Option(help=GOLD)]
IDS = """Whether lines are id, tab, sentence; pairs are then written as margin, ids, sentences. Default: if all lines of
both files look like it."""
Ids = Annotated[bool | None, typer.Option("--ids/--no-ids", help=IDS, show_default=False)]
Layer = Annotated[str, _encoding(help="Hidden states that are read: last, or 0 (embeddings) upwards.")]
Pooling = Annotated[str, _encoding(help="From tokens to a sentence: mean or cls.")]
SpecialTokens = Annotated[
    bool, _encoding("--special-tokens/--no-special-tokens", help="Whether the mean takes in the special tokens.")
]
MaxLength = Annotated[int, _encoding(help="Most tokens per sentence; the rest is not read.")]
BATCH_TOKENS = "Tokens per rank and forward pass. Default: 2048 on a CPU, 16384 on a GPU."
BatchTokens = Annotated[int | None, _encoding(help=BATCH_TOKENS, show_default=False)]
Dtype = Annotated[str, _encoding(help="float32, bfloat16 or auto: bfloat16 on GPUs.")]
Cache = Annotated[Path | None, _encoding(help="Folder of embeddings. Default: beside the pairs.", show_default=False)]
MARGIN = "A pair's cosine against those of its neighbours: ratio, distance, csls; or by itself: absolute."
Margin = Annotated[str, _search(help=MARGIN)]
CANDIDATES = """Whose best neighbours become pairs: forward (of sources), backward (of targets), max (of either, each
sentence used once), intersection (of both), mutual (of both, by cosine)."""
CandidatePairs = Annotated[str, _search(help=CANDIDATES)]
Neighbours = Annotated[int, _search("--neighbours", "-k", help="Neighbours that a margin looks at.")]
Centre = Annotated[bool, _search("--centre", help="Subtract each side's mean embedding first.")]
Memory = Annotated[str, _search(help="Working memory of the search, such as 1.5G.")]


def mine(
    source: Source,
    target: Target,
    model: Model,
    out: Out,
    threshold: Threshold = None,
    gold: Gold = None,
    ids: Ids = None,
    layer: Layer = "last",
    pooling: Pooling = "mean",
    special_tokens: SpecialTokens = True,
    max_length: MaxLength = 256,
    batch_tokens: BatchTokens = None,
    dtype: Dtype = "auto",
    cache: Cache = None,
    margin: Margin = "ratio",
    candidates: CandidatePairs = "max",
    neighbours: Neighbours = 4,
    centre: Centre = False,
    memory: Memory = "512M",
    as_json: Json = False,
) -> None:
    """Find translations of each other in two text files.

    The same command again goes on with the encoding where it stopped; other margins or thresholds re-use it. Lines
    without text are passed over; a sentence that stands in a file more than once is used once.

    Example: `dist-stilts mine de.txt en.txt --model intfloat/multilingual-e5-small --threshold 1.05 --out pairs.tsv`
    """
    from dist_stilts.evaluate.mine import Request, mine_files
    from dist_stilts.evaluate.retrieval import RetrievalConfig
    from dist_stilts.evaluate.suite import EvaluationConfig
    from dist_stilts.experiment.run_config import DataConfig
    from dist_stilts.parallel import preemption
    from dist_stilts.parallel.world import started
    from dist_stilts.report.mining import summary_lines
    from dist_stilts.report.progress import bar

    retrieval = RetrievalConfig(
        layer,
        pooling,
        special_tokens,
        centre,
        neighbours,
        margin,
        candidates,
        duplicates="first",
        batch_tokens=batch_tokens,
        memory=memory,
    )
    check_options(DataConfig(max_length=max_length), EvaluationConfig(dtype=dtype, retrieval=retrieval))
    request = Request(source, target, model, out, gold, ids, threshold, retrieval, max_length, dtype, cache)
    with started() as world, preemption.listening():
        summary = mine_files(request, world, bar(not world.is_main))
    if world.is_main:
        say("\n".join(summary_lines(summary)))
        if as_json:
            print(json.dumps(summary, indent=2, ensure_ascii=False))
