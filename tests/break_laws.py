#!/usr/bin/env python3
"""Breaks each law of CONTRIBUTING.md on purpose, in a copy of the clone, and sees whether its witness notices.

Usage: python tests/break_laws.py [LAW...]      all laws, or those with these numbers

For each entry of BREAKS the witness must pass as the code is, and fail once one line is broken; a break that nobody
notices means that the law has no guard. Prints a table; exit code 1 if a break was not caught, or an entry no longer
fits the code. Needs what the tests need, and some minutes; tests/unit/test_laws.py looks only that the entries still
fit, so that the table cannot rot.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
FOLDERS = ("dist_stilts", "tests", "ds_configs", "launch_scripts", "benchmarks", "docker")
"""What is copied, beside the files at the top."""
SECONDS = 600
"""After so long a witness has failed, too: a broken law may make ranks wait for each other."""


@dataclass(frozen=True)
class Break:
    """One way to break a law.

    Attributes:
        what: what is then wrong, in a few words.
        file: of the clone; old: text that stands in it once; new: what is put there instead.
        witness: node id of a test of the default tier.
    """

    law: int
    what: str
    file: str
    old: str
    new: str
    witness: str


BREAKS = [
    Break(
        1,
        "the loss is not scaled for the mean over ranks",
        "dist_stilts/train/loop.py",
        "engine.backward(loss_sum * (world.size / batch.targets))",
        "engine.backward(loss_sum * (1 / batch.targets))",
        "tests/ranks/test_zero_is_plain_training.py::test_losses_gradient_norms_and_weights_are_those_of_plain_training",
    ),
    Break(
        1,
        "gradients are accumulated in bf16",
        "ds_configs/zero2_bf16.json",
        '"grad_accum_dtype": "fp32"',
        '"grad_accum_dtype": "bf16"',
        "tests/unit/train/test_engine.py::test_every_shipped_config_is_filled_in_of_the_stage_it_names_and_adds_up_in_fp32",
    ),
    Break(
        2,
        "dropout is seeded at the start of the program only",
        "dist_stilts/train/loop.py",
        "    seed_dropout(work.seed, state.step, world.rank)\n",
        "    if state.step == 0:\n        seed_dropout(work.seed, state.step, world.rank)\n",
        "tests/ranks/test_resume.py::test_a_resumed_run_ends_with_the_bits_of_the_uninterrupted_run",
    ),
    Break(
        2,
        "the optimiser's count is not restored",
        "dist_stilts/train/shards.py",
        "        count.fill_(steps)\n",
        "        count.fill_(0)\n",
        "tests/unit/train/test_checkpoint.py::test_a_checkpoint_brings_back_state_weights_and_moments",
    ),
    Break(
        3,
        "batches to score overlap between ranks",
        "dist_stilts/data/batches.py",
        "range(0, len(by_length), ranks * batch_size)",
        "range(0, len(by_length), max(1, ranks - 1) * batch_size)",
        "tests/unit/data/test_batches.py::test_scoring_batches_are_the_same_at_any_number_of_ranks_longest_rows_first",
    ),
    Break(
        3,
        "a row that is scored twice is not noticed",
        "dist_stilts/parallel/collectives.py",
        "    if (seen != 1).any():\n",
        "    if (seen == 0).any():\n",
        "tests/ranks/test_collectives.py::test_a_row_that_is_there_twice_or_never_is_an_error_on_every_rank",
    ),
    Break(
        4,
        "a row of padding takes part at the end of a tile",
        "dist_stilts/search/tiles.py",
        "            cell[:, right.rows :] = -torch.inf\n",
        "            cell[:, right.rows + 1 :] = -torch.inf\n",
        "tests/unit/search/test_neighbours.py::test_search_equals_exhaustive_float64_up_to_ties",
    ),
    Break(
        4,
        "what bf16 found is believed without its proof",
        "dist_stilts/search/certified.py",
        "            nearest[~sure] = EMPTY\n",
        "            pass\n",
        "tests/unit/search/test_certified.py::test_rows_that_bf16_cannot_tell_apart_are_searched_again_and_would_be_wrong_without_the_proof",
    ),
    Break(
        5,
        "seqeval averages over types",
        "dist_stilts/scoring/tagging.py",
        'average="micro"',
        'average="macro"',
        "tests/golden/test_xtreme_scores.py::test_every_task_scores_what_was_worked_out_by_hand",
    ),
    Break(
        5,
        "articles count in answers",
        "dist_stilts/scoring/spans.py",
        '"en": "a|an|the",',
        '"en": "a|an",',
        "tests/unit/scoring/test_spans.py::test_squad_takes_out_ascii_punctuation_and_english_articles_only",
    ),
    Break(
        6,
        "rows are drawn by their place in the file",
        "dist_stilts/data/subsets.py",
        "[_draw(seed, row_id) for row_id in ids]",
        "[_draw(seed, str(row)) for row in range(len(ids))]",
        "tests/unit/data/test_subsets.py::test_file_order_has_no_part_in_the_choice",
    ),
    Break(
        7,
        "rows that were trained on are scored",
        "dist_stilts/evaluate/suite.py",
        "        if same and other.name == part.name",
        "        if not same and other.name == part.name",
        "tests/unit/evaluate/test_suite.py::test_rows_that_were_trained_on_are_scored_in_no_language",
    ),
    Break(
        8,
        "an encoder that lacks a tensor is taken as it is",
        "dist_stilts/model/encoder.py",
        "    if fresh:\n        raise UserError(",
        "    if len(fresh) > 1:\n        raise UserError(",
        "tests/unit/model/test_encoder.py::test_an_encoder_that_lacks_a_tensor_of_its_shape_is_refused",
    ),
    Break(
        8,
        "a fresh head is reported as loaded",
        "dist_stilts/model/carry_over.py",
        "return HeadReport(list(loaded), fresh,",
        "return HeadReport([*loaded, *fresh], [],",
        "tests/unit/model/test_carry_over.py::test_task_heads_are_fresh_and_the_language_model_goes_on",
    ),
    Break(
        9,
        "checksums are not compared",
        "dist_stilts/checksums.py",
        "return None if found == expected else",
        "return None if found else",
        "tests/unit/train/test_checkpoint.py::test_a_damaged_checkpoint_is_named_and_the_one_before_is_used",
    ),
    Break(
        9,
        "files are written in place",
        "dist_stilts/writing.py",
        'temporary = beside(target, f"{os.getpid()}.tmp")',
        "temporary = target",
        "tests/unit/test_writing.py::test_old_file_is_intact_if_writing_fails",
    ),
    Break(
        10,
        "what one rank cannot read it does not tell the others",
        "dist_stilts/evaluate/embedding.py",
        "if not any_rank(any(vectors is None for vectors in found)):",
        "if not any(vectors is None for vectors in found):",
        "tests/ranks/test_embedding.py::test_what_one_rank_cannot_read_all_ranks_refuse",
    ),
    Break(
        10,
        "weights that are no numbers are saved",
        "dist_stilts/train/checkpoint.py",
        "    refuse_not_finite(state.step, gather_values(first_not_finite(engine, chosen, own=True)))\n",
        "",
        "tests/unit/train/test_checkpoint.py::test_weights_that_are_no_numbers_are_not_saved",
    ),
    Break(
        10,
        "a flag stays on the rank that set it",
        "dist_stilts/parallel/collectives.py",
        "    return sum_values(float(flag))[0] > 0\n",
        "    return flag\n",
        "tests/ranks/test_collectives.py::test_a_flag_on_one_rank_is_seen_by_all",
    ),
    Break(
        11,
        "collapsed runs leave a mean uncounted",
        "dist_stilts/analysis/delta_rows.py",
        "degenerate=own.degenerate",
        "degenerate=0",
        "tests/unit/analysis/test_deltas.py::test_a_degenerate_run_is_left_out_and_counted",
    ),
    Break(
        11,
        "records do not say in which precision they were made",
        "dist_stilts/evaluate/conditions.py",
        "job.max_length, dtype=dtype, labels=labels)",
        "job.max_length, labels=labels)",
        "tests/unit/evaluate/test_suite.py::test_no_score_is_without_its_conditions",
    ),
    Break(
        12,
        "the model is exported in bf16",
        "dist_stilts/model/export.py",
        "            task.save_pretrained(str(folder), max_shard_size=ONE_FILE)\n    elif places:",
        "            weights = {name: tensor.bfloat16() for name, tensor in task.state_dict().items()}\n"
        "            task.save_pretrained(str(folder), state_dict=weights)\n    elif places:",
        "tests/unit/model/test_encoder.py::test_export_loads_in_transformers_with_equal_outputs",
    ),
    Break(
        12,
        "a head that pools a whole text is given its first token",
        "dist_stilts/model/heads.py",
        "self.first_suffices = _first_suffices(self)",
        "self.first_suffices = True",
        "tests/unit/model/test_law_12.py::test_the_exports_logits_are_ours_and_the_librarys",
    ),
    Break(
        13,
        "p values are not corrected for their number",
        "dist_stilts/analysis/permutation.py",
        "min(1.0, (len(known) - rank) * p)",
        "min(1.0, p)",
        "tests/unit/analysis/test_effects.py::test_holm_corrects_over_the_distances_of_one_outcome_that_were_tested",
    ),
    Break(
        13,
        "a two-sided p value counts one side",
        "dist_stilts/analysis/permutation.py",
        "extreme = np.abs(shuffled @ direction) >=",
        "extreme = shuffled @ direction >=",
        "tests/unit/analysis/test_permutation.py::"
        "test_false_alarms_are_as_many_as_promised_with_and_without_covariates",
    ),
]


def misfit(entry: Break, root: Path = ROOT) -> str:
    """Why an entry no longer fits the code; empty if it does."""
    path, test = root / entry.file, entry.witness.partition("::")
    if not path.is_file():
        return f"no file {entry.file}"
    if (count := path.read_text(encoding="utf-8").count(entry.old)) != 1:
        return f"{entry.file} has {count} times, not once: {entry.old.strip()}"
    if not (root / test[0]).is_file():
        return f"no file {test[0]}"
    name = test[2].partition("[")[0]
    if name and f"def {name}(" not in (root / test[0]).read_text(encoding="utf-8"):
        return f"no test {entry.witness}"
    return ""


def copy_clone(to: Path) -> None:
    """Copy what the tests need; links stay links, since the package's configurations are one."""
    without = shutil.ignore_patterns("__pycache__", ".*_cache")
    for name in FOLDERS:
        shutil.copytree(ROOT / name, to / name, symlinks=True, ignore=without)
    for path in ROOT.iterdir():
        if path.is_file() and not path.is_symlink():
            shutil.copy(path, to)


def run(witness: str, clone: Path) -> tuple[str, float]:
    """Run a test in a copy of the clone: ``passed``, ``failed`` or what else happened, and the seconds it took."""
    environment = {**os.environ, "PYTHONPATH": str(clone), "OMP_NUM_THREADS": "1"}
    # Spelt in this way the slow tests stay out although one is named: a law's witness is of the default tier.
    command = [sys.executable, "-m", "pytest", "-m", "not (slow)", "-x", "-q", "-p", "no:cacheprovider", witness]
    started = time.monotonic()
    try:
        done = subprocess.run(command, cwd=clone, env=environment, capture_output=True, text=True, timeout=SECONDS)
    except subprocess.TimeoutExpired:
        return "failed", SECONDS
    seconds = time.monotonic() - started
    passed = done.returncode == 0 and re.search(r"\d+ passed", done.stdout)
    last = (done.stdout.strip().splitlines() or [done.stderr.strip()])[-1]
    return "passed" if passed else "failed" if done.returncode == 1 else last, seconds


def try_out(entry: Break, clone: Path) -> tuple[bool, str]:
    """Run the witness on the code as it is, break the law, run it again, and mend it; whether it was caught, a row."""
    why, seconds = misfit(entry), 0.0
    if not why:
        before, seconds = run(entry.witness, clone)
        why = "" if before == "passed" else f"unbroken: {before}"
    if not why:
        path = clone / entry.file
        text = path.read_text(encoding="utf-8")
        path.write_text(text.replace(entry.old, entry.new), encoding="utf-8")
        after, seconds = run(entry.witness, clone)
        path.write_text(text, encoding="utf-8")
        why = "" if after == "failed" else f"broken: {after}"
    caught = "yes" if not why else f"no ({why})"
    return not why, f"{entry.law:>3} | {entry.what} | {entry.witness} | {seconds:.1f} | {caught}"


def main() -> int:
    """Break the laws; returns the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("laws", nargs="*", type=int, help="numbers of laws; default: all")
    wanted = parser.parse_args().laws
    chosen = [entry for entry in BREAKS if not wanted or entry.law in wanted]
    if unknown := set(wanted) - {entry.law for entry in BREAKS}:
        parser.error(f"no such law: {', '.join(map(str, sorted(unknown)))}")
    print("law | what was broken | witness | seconds | caught")
    print("--: | --- | --- | --: | ---")
    with tempfile.TemporaryDirectory() as folder:
        copy_clone(Path(folder))
        results = []
        for entry in chosen:
            caught, row = try_out(entry, Path(folder))
            print(row, flush=True)
            results.append(caught)
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main())
