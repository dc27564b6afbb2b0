"""The verb that applies a model to anyone's files: ``predict``."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from dist_stilts.errors import UserError
from dist_stilts.ranges import MOST
from dist_stilts.verbs.common import Json, check_options, say
from dist_stilts.writing import stream_of

_reading = partial(typer.Option, rich_help_panel="Reading")
_writing = partial(typer.Option, rich_help_panel="Writing")

INPUTS = """Files: .csv, .tsv, .jsonl, .parquet, .txt (a text per line), .conll, .conllu; all but Parquet may be .gz,
.bz2, .xz or .zst. - is standard input, which is read to its end first."""
Inputs = Annotated[list[str], typer.Argument(metavar="INPUT...", help=INPUTS, show_default=False)]
MODEL = "Folder or Hub name of any fine-tuned model: of `dist-stilts` or of anyone."
Model = Annotated[str, typer.Option(help=MODEL)]
Out = Annotated[
    str, typer.Option(help="File to write: .jsonl, .csv, .tsv or .parquet; - is standard output, JSON lines.")
]
Revision = Annotated[str | None, typer.Option(help="Hub commit, branch or tag.", show_default=False)]
Head = Annotated[str | None, typer.Option(help="Which head, where the model has several.", show_default=False)]
COLUMNS = """Columns that the model reads, where their names do not tell: `text_a=premise,text_b=hypothesis`,
`words=tokens`, `question=q,context=page`, `prompt=stem,choices=A+B+C`. A + joins columns."""
ColumnNames = Annotated[list[str] | None, _reading("--columns", help=COLUMNS, show_default=False)]
FORMAT = "csv, tsv, jsonl, parquet, text, conll or conllu, where the name does not tell."
Format = Annotated[str | None, _reading("--format", help=FORMAT, show_default=False)]
MAX_LENGTH = "Most tokens per row. Default: what the model was made for; of questions, 384 per window."
MaxLength = Annotated[int | None, _reading(min=8, max=MOST, help=MAX_LENGTH, show_default=False)]
Stride = Annotated[int, _reading(min=1, max=MOST, help="Question answering: tokens from window to window.")]
TOP = "Only the K likeliest labels, best first; of questions, K answers. Default: all labels, one answer."
Top = Annotated[int | None, _writing(metavar="K", min=1, max=MOST, help=TOP, show_default=False)]
Logits = Annotated[bool, _writing("--logits", help="The raw outputs, too.")]
Threshold = Annotated[
    float,
    _writing(min=0, max=1, help="Several labels per row: least probability of one that is given."),
]
NoAnswer = Annotated[bool, _writing("--no-answer", help="Questions may have no answer in their context.")]
Overwrite = Annotated[bool, _writing("--overwrite", help="Overwrite a file of other predictions.")]
BATCH_TOKENS = "Tokens per rank and forward pass. Default: 2048 on a CPU, 16384 on a GPU."
BatchTokens = Annotated[int | None, typer.Option(min=1, max=MOST, help=BATCH_TOKENS, show_default=False)]
BATCH_SIZE = "Most rows per rank and forward pass. Default: as many as --batch-tokens lets in."
BatchSize = Annotated[int | None, typer.Option(min=1, max=MOST, help=BATCH_SIZE, show_default=False)]
Dtype = Annotated[str, typer.Option(help="float32, bfloat16 or auto: bfloat16 on GPUs.")]


def predict(
    inputs: Inputs,
    model: Model,
    out: Out,
    revision: Revision = None,
    head: Head = None,
    columns: ColumnNames = None,
    input_format: Format = None,
    max_length: MaxLength = None,
    stride: Stride = 128,
    top: Top = None,
    logits: Logits = False,
    threshold: Threshold = 0.5,
    no_answer: NoAnswer = False,
    overwrite: Overwrite = False,
    batch_tokens: BatchTokens = None,
    batch_size: BatchSize = None,
    dtype: Dtype = "auto",
    as_json: Json = False,
) -> None:
    """Apply a fine-tuned model to files: each row gets its label and probabilities, its tags, its answer or its choice.

    All columns of the input are kept, and the order of the rows. The same command again goes on where it stopped. A
    launcher may start any number of ranks: the file is the same.

    Example: `dist-stilts predict reviews.csv --model runs/mine/target/model --out predictions.csv`
    """
    from dist_stilts.apply.job import Request, predict_files
    from dist_stilts.apply.predictions import Wish
    from dist_stilts.evaluate.suite import EvaluationConfig
    from dist_stilts.model.fine_tuned import open_model
    from dist_stilts.parallel import preemption
    from dist_stilts.parallel.world import started
    from dist_stilts.report.progress import bar

    if stream_of(out) == 1 and as_json:
        raise UserError("--json: standard output has the predictions", fix="Leave it out, or name a file with --out")
    check_options(EvaluationConfig(dtype=dtype))
    request = Request(
        model,
        inputs,
        out,
        partial(open_model, model, revision, head=head),
        input_format,
        columns or [],
        Wish(top, logits, threshold, no_answer),
        overwrite,
        max_length,
        stride,
        batch_tokens,
        batch_size,
        dtype,
    )
    with started() as world, preemption.listening():
        record = predict_files(request, world, say, bar(not world.is_main))
    if world.is_main:
        say(_summary(record, out))
        if as_json:
            print(json.dumps(record, indent=2, ensure_ascii=False))


def _summary(record: dict[str, Any], out: str) -> str:
    """What was done, in a line."""
    if not record["made"]:
        return f"nothing to do: {out} holds these predictions of {record['rows']} rows"
    cut = f", {record['cut']} cut to {record['max_length']} tokens" if record["cut"] else ""
    pace = record["predicted_now"] / max(1e-9, record["seconds"])
    where = "" if stream_of(out) is not None else f" in {Path(out)}"
    return f"{record['rows']} rows{where}{cut}; {record['seconds']:.1f} s, {pace:.1f} rows a second"
