"""The verbs that score: models and prediction files; and the one that prints what was scored."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dist_stilts.errors import UserError
from dist_stilts.ranges import MOST
from dist_stilts.verbs import complete
from dist_stilts.verbs.common import Json, check_options, completed_by, say

if TYPE_CHECKING:
    from dist_stilts.layout import RunFolder, ScoresFolder
    from dist_stilts.results.files import LeftOut
    from dist_stilts.results.record import ResultRecord


def _retrieval(text: str) -> Any:
    return typer.Option(help=text, rich_help_panel="Retrieval")


Tasks = Annotated[
    str | None, typer.Option(help="Comma-separated tasks.", show_default=False, autocompletion=complete.several_tasks)
]
Revision = Annotated[str | None, typer.Option(help="Commit, branch or tag of a model of the Hub.", show_default=False)]
Labels = Annotated[
    str | None,
    typer.Option(
        help="What the model's outputs are, where their names do not tell: LABEL_0=entailment,LABEL_1=neutral,… or all"
        " labels in the model's order; NAME= leaves one out.",
        show_default=False,
    ),
]


def evaluate(
    model: Annotated[str, typer.Option(help="Model folder, or a model's name on the Hub.")],
    out: Annotated[Path, typer.Option(help="Folder for results.jsonl, predictions and pictures.")],
    tasks: Tasks = None,
    data: Annotated[Path | None, typer.Option(help="Data folder; default: the Hub.", show_default=False)] = None,
    languages: Annotated[str, typer.Option(help="Comma-separated codes, or all that the data has.")] = "all",
    split: Annotated[str, typer.Option(help="Split or slice, such as dev[60%:].")] = "test",
    max_length: Annotated[int, typer.Option(help="Most tokens per text or pair.")] = 256,
    window: Annotated[int, typer.Option(help="Question answering: most tokens per window.")] = 384,
    stride: Annotated[int, typer.Option(help="Question answering: tokens from window to window.")] = 128,
    batch_size: Annotated[int, typer.Option(help="Rows per rank and forward pass.")] = 64,
    dtype: Annotated[str, typer.Option(help="auto, float32 or bfloat16.")] = "auto",
    revision: Revision = None,
    labels: Labels = None,
    prepare_only: Annotated[bool, typer.Option("--prepare-only", help="Tokenise the data, score nothing.")] = False,
    pairs: Annotated[tuple[Path, Path] | None, _retrieval("Two aligned files to score as Tatoeba's are.")] = None,
    layer: Annotated[str, _retrieval("0 (embeddings) and up, several (7,14), last, or all: a sweep.")] = "last",
    pooling: Annotated[str, _retrieval("mean or cls.")] = "mean",
    special_tokens: Annotated[bool, _retrieval("Whether the mean takes in the special tokens.")] = True,
    centre: Annotated[bool, _retrieval("Subtract each language's mean.")] = False,
    neighbours: Annotated[int, _retrieval("BUCC: k of the margin.")] = 4,
    margin: Annotated[str, _retrieval("BUCC: ratio, distance, absolute or csls.")] = "ratio",
    candidates: Annotated[str, _retrieval("BUCC: max, intersection, mutual, forward or backward.")] = "max",
    duplicates: Annotated[str, _retrieval("BUCC: texts that repeat: drop (XTREME), all_ids (jiant), first.")] = "drop",
    memory: Annotated[str, _retrieval("Working memory of the search, such as 1.5G.")] = "512M",
    as_json: Json = False,
) -> None:
    """Score a model on tasks: one that was trained here or, its labels matched by name, anybody's.

    Example: `dist-stilts evaluate --model runs/quickstart/pretrain/model --tasks tatoeba
    --data runs/quickstart/world --layer all --out scores`

    Example: `dist-stilts evaluate --model joeddav/xlm-roberta-large-xnli --tasks xnli --data DATA --out scores`
    """
    from dist_stilts.evaluate.retrieval import RetrievalConfig
    from dist_stilts.evaluate.suite import EvalTask, EvaluationConfig, Job, prepare_job
    from dist_stilts.evaluate.suite import evaluate as score_all
    from dist_stilts.experiment.run_config import DataConfig
    from dist_stilts.experiment.status import versions
    from dist_stilts.families.encoding import QaLengths
    from dist_stilts.layout import ScoresFolder
    from dist_stilts.parallel import preemption
    from dist_stilts.parallel.world import started
    from dist_stilts.report.lists import preparation
    from dist_stilts.report.progress import bar
    from dist_stilts.writing import require_room

    names = _names(tasks, pairs)
    how = EvalTask() if pairs else EvalTask([split], languages.split(","))
    data = _folder(pairs[0].parent if pairs else data)
    retrieval = RetrievalConfig(
        layer, pooling, special_tokens, centre, neighbours, margin, candidates, duplicates, memory=memory
    )
    scoring, qa = EvaluationConfig(batch_size, dtype=dtype, retrieval=retrieval), QaLengths(window, stride)
    each = QaLengths(
        window, min(stride, window - 1), 1
    )  # a stride and questions that windows are too short for are cut
    check_options(DataConfig(max_length=max_length, qa=each), how, scoring, qa_max_length="window", splits="split")
    folder = ScoresFolder(out)
    require_room(folder)
    job = Job(
        model,
        dict.fromkeys(names, how),
        scoring,
        data,
        folder.prepared,
        max_length,
        folder.results,
        folder.predictions,
        folder.embeddings,
        qa=qa,
        versions=versions(),
        revision=revision,
        labels=labels or "",
    )
    if prepare_only:
        print(preparation(prepare_job(job, bar())))
        return
    prepare = shlex.join(["dist-stilts", *sys.argv[1:], "--prepare-only"])
    with completed_by(prepare), started() as world, preemption.listening():
        records = score_all(job, world, bar(not world.is_main))
    if world.is_main:
        _present(records, folder, as_json)


def _folder(data: Path | None) -> Path | None:
    """The data folder, if one is named; UserError if it is not there."""
    if data and not data.is_dir():
        raise UserError("the data folder does not exist", where=data)
    return data


def _names(tasks: str | None, pairs: tuple[Path, Path] | None) -> list[str]:
    """The tasks to score; UserError if there are none."""
    if not pairs and not tasks:
        fix = "Give --tasks (with --data, or they are read from the Hub), or two aligned files with --pairs"
        raise UserError("nothing to score", fix=fix)
    return [_own_pairs(*pairs)] if pairs else (tasks or "").split(",")


def _own_pairs(source: Path, target: Path) -> str:
    """The name of the task that two aligned files are, known from now on."""
    from dist_stilts.tasks.own_pairs import pair_spec
    from dist_stilts.tasks.registry import register

    spec = pair_spec(source, target)
    register(spec)
    return spec.name


def _present(records: list[ResultRecord], folder: ScoresFolder, as_json: bool) -> None:
    """Print the scores, draw what is better looked at, and say where it is."""
    from dist_stilts.evaluate.pictures import draw, sweeps
    from dist_stilts.report.lists import health_table, show
    from dist_stilts.report.sweeps import sweep_table
    from dist_stilts.report.table import pivot
    from dist_stilts.results.lines import to_line

    swept = sweeps(records)
    if as_json:
        print(json.dumps([to_line(record) for record in records], indent=2))
    else:
        show(pivot(record for record in records if record.task not in swept))
        print(sweep_table(record for record in records if record.task in swept), end="")
        print(health_table([record for record in records if record.task not in swept]))
    for picture in draw(records, folder):
        say(f"picture: {picture}")


def score(
    predictions: Annotated[Path, typer.Option(help="Folder with `<task>/test-<language>.tsv`, `.json` for questions.")],
    labels: Annotated[Path, typer.Option(help="Folder of the same layout with gold labels.")],
    as_json: Json = False,
) -> None:
    """Score prediction files in XTREME's layout.

    Example: `dist-stilts score --predictions runs/quickstart/udpos@pretrain/predictions --labels labels`
    """
    from dist_stilts.evaluate.submission import score_folder
    from dist_stilts.report.lists import score_lines

    scores = score_folder(predictions, labels)
    print(json.dumps(scores, indent=2) if as_json else score_lines(scores))
    if refused := scores["refused"]:
        more = f" (and {len(refused) - 1} more)" if len(refused) > 1 else ""
        raise UserError(f"not scored: {refused[0]}{more}")


def table(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN...", help="Folders of runs or of recipes.")],
    format: Annotated[
        str | None, typer.Option(help="md, csv, latex or json; default: drawn on a terminal, md elsewhere.")
    ] = None,
    deltas: Annotated[
        bool, typer.Option("--deltas", help="What each intermediate phase changes about each target.")
    ] = False,
    zero_shot: Annotated[bool, typer.Option("--zero-shot", help="Deltas: leave English out of the means.")] = False,
    size: Annotated[
        int | None,
        typer.Option(min=0, max=MOST, help="Deltas: examples of the intermediate phases; default: the most."),
    ] = None,
) -> None:
    """Print the scores of runs as tables.

    A run whose files are damaged is named, on standard error and below the tables, and left out; exit code 2 if no
    other is left.

    Example: `dist-stilts table runs/quickstart --format latex`
    """
    from dist_stilts.report.lists import show
    from dist_stilts.report.table import pivot, render
    from dist_stilts.results.files import gather

    if (zero_shot or size is not None) and not deltas:
        raise UserError("--zero-shot and --size are of tables of changes", fix="Add --deltas")
    if deltas:
        _print_deltas(runs, zero_shot, size, format)
        return
    records, damaged = gather(runs)
    tables, remarks = pivot(records), _warned(damaged)
    if format:
        print(render(tables, format, remarks))
    else:
        show(tables, remarks)


def _print_deltas(runs: list[Path], zero_shot: bool, size: int | None, format: str | None) -> None:
    """Print the changes that finished runs show; standard error says which runs and scores are left out."""
    from dist_stilts.analysis.deltas import delta_tables, render
    from dist_stilts.analysis.scores import frame, without_value
    from dist_stilts.report.lists import show_sheets

    records, remarks = _finished(runs)
    if empty := without_value(records):
        say(f"left out: {empty} scores on test rows without labels")
    tables = delta_tables(frame(records), size)
    if not tables:
        raise UserError("no scores of finished runs", where=runs[0], fix="Wait for one, or name other runs")
    chosen = [tables[-1] if zero_shot else tables[0]]
    if format:
        print(render(chosen, format, remarks))
    else:
        show_sheets(chosen, remarks)


def _warned(damaged: Sequence[LeftOut]) -> list[str]:
    """Say which folders are damaged; the same lines go below the tables."""
    lines = list(map(str, damaged))
    for line in lines:
        say(f"warning: {line}")
    return lines


def _finished(runs: list[Path]) -> tuple[list[ResultRecord], list[str]]:
    """The records of runs that are done, and a line for each that cannot be read; folders without a status are no runs
    and count as done."""
    from dist_stilts.experiment.status import read_status
    from dist_stilts.results.files import collect, scored_runs, sound

    def state_of(folder: RunFolder) -> tuple[Path, str]:
        return folder.path, read_status(folder).state.value if folder.status.exists() else "done"

    states, unknown = sound(scored_runs(runs), state_of, lambda folder: folder.path)
    for path, state in states:
        if state != "done":
            say(f"left out: {path} is not finished ({state})")
    records, damaged = collect([path for path, state in states if state == "done"])
    return records, _warned([*unknown, *damaged])
