"""What exact bidirectional search costs: time against faiss and the bare product, memory, work per rank.

    python benchmarks/search.py                          # 40,000 x 40,000 x 1024, top 4 of both sides
    python benchmarks/search.py --rows 12000 --repeats 5
    python benchmarks/search.py --device cuda --rows 400000 --repeats 1 --budget 8192
    python benchmarks/search.py --memory                 # 400,000 x 400,000 on a narrow width, from files
    python benchmarks/search.py --ranks 4                # work per rank at 1, 2 and 4 ranks

Sides are made-up embeddings: rows of length 1 around a common direction (as XLM-R's are), in pairs. All contenders
run in turn, ``--repeats`` times, with torch's default number of threads; times are medians, ratios are of one run. Two
faiss flat searches do what one pass of ours does. "Our product" is oneDNN's on a CPU, torch.mm on a GPU. Claims: ours
takes at most 1.15 times the bare product of torch.mm, faiss at least 1.6 times ours; memory stays within the budget;
work is even. Prints one table, in Markdown.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from dist_stilts.parallel.collectives import gather_values
from dist_stilts.parallel.network import free_port
from dist_stilts.parallel.world import started
from dist_stilts.report.monitor import say
from dist_stilts.search import sharded
from dist_stilts.search.cpu_products import inner_products
from dist_stilts.search.neighbours import Found, both_directions, full_fp32
from dist_stilts.search.shares import Share
from dist_stilts.search.sides import Side, spans
from dist_stilts.search.tiles import cell_rows

K = 4
NARROW = 16
BARE, OUR_BARE = "bare product, fp32, torch.mm", "bare product, fp32, ours"
BYTES_PER_RESULT = 2 * (8 + 4 + 8)
"""One neighbour of both directions: the key it was kept as, its score, its id."""


def main() -> None:
    """Choose the question."""
    given = parse()
    if given.memory:
        peak_memory(given.rows or 400_000, given.width or NARROW, given.budget << 20)
    elif given.ranks:
        work_per_rank(given)
    else:
        times(given, made_up(given.rows or 40_000, given.width or 1024))


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, help="of each side (default 40,000; with --memory 400,000)")
    parser.add_argument("--width", type=int, help=f"of the embeddings (default 1024; with --memory {NARROW})")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--budget", type=int, default=512, help="working memory of our searches, MiB (default 512)")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--memory", action="store_true", help="peak memory of a search over memory-mapped files")
    parser.add_argument("--ranks", type=int, default=0, help="work per rank at 1, 2, 4 ... up to so many ranks")
    return parser.parse_args()


def made_up(rows: int, width: int) -> tuple[Tensor, Tensor]:
    """Two sides, row by row translations of each other: cosine near 0.9 within pairs, 0.8 between others."""
    generator = torch.Generator().manual_seed(0)
    source = torch.randn(rows, width, generator=generator)
    source[:, 0] += 2 * width**0.5
    noise = torch.randn(rows, width, generator=generator)
    return tuple(torch.nn.functional.normalize(side, dim=1) for side in (source, source + noise))  # type: ignore[return-value]


# --- time ---------------------------------------------------------------------------------------------------------


def times(given: argparse.Namespace, sides: tuple[Tensor, Tensor]) -> None:
    """All contenders in turn, and how their neighbours differ from those of our fp32 search."""
    source, target = (side.to(given.device) for side in sides)
    budget = given.budget << 20
    contenders: dict[str, Callable[[], Any]] = {
        BARE: lambda: bare(source, target, torch.float32, multiply),
        OUR_BARE: lambda: bare(source, target, torch.float32, inner_products),
        "ours, fp32": lambda: both_directions(source, target, K, budget, precision="fp32"),
        "ours, bf16 proved": lambda: both_directions(source, target, K, budget, precision="bf16"),
        "bare product, bf16": lambda: bare(source, target, torch.bfloat16, multiply),
    }
    if (faiss := faiss_search(given.device)) is not None:
        contenders["faiss flat, twice"] = lambda: (faiss(*sides), faiss(*sides[::-1]))
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    found: dict[str, Any] = {}
    for repeat in range(given.repeats):
        for name, contender in contenders.items():
            seconds[name].append(clock(lambda run=contender, of=name: found.update({of: run()}), given.device))
            say(f"{repeat + 1} of {given.repeats}: {name} {seconds[name][-1]:.2f} s")
    print_times(source, target, {name: statistics.median(all_) for name, all_ in seconds.items()}, found)


def clock(run: Callable[[], None], device: str) -> float:
    synchronise = torch.cuda.synchronize if device.startswith("cuda") else lambda: None
    synchronise()
    start = time.perf_counter()
    run()
    synchronise()
    return time.perf_counter() - start


def multiply(left: Tensor, right: Tensor, out: Tensor) -> None:
    torch.mm(left, right.T, out=out)


def bare(source: Tensor, target: Tensor, dtype: torch.dtype, product: Callable[..., None]) -> None:
    """Every similarity, cell by cell, each overwriting the last."""
    cell = cell_rows(source.device)
    source, target = source.to(dtype), target.to(dtype)
    out = torch.empty(cell, cell, dtype=dtype, device=source.device)
    with full_fp32(source.device.type):
        for rows in spans(len(source), cell):
            for columns in spans(len(target), cell):
                a, b = source[rows], target[columns]
                product(a, b, out[: len(a), : len(b)])


def faiss_search(device: str) -> Callable[[Tensor, Tensor], tuple[np.ndarray, np.ndarray]] | None:
    """Top k of queries among rows by faiss' exact index, on the device; None where faiss is not installed for it."""
    try:
        import faiss
    except ImportError:
        return None
    if device.startswith("cuda") and not hasattr(faiss, "StandardGpuResources"):
        return None
    faiss.omp_set_num_threads(torch.get_num_threads())

    def search(queries: Tensor, rows: Tensor) -> tuple[np.ndarray, np.ndarray]:
        index = faiss.IndexFlatIP(rows.shape[1])
        if device.startswith("cuda"):
            index = faiss.index_cpu_to_gpu(faiss.StandardGpuResources(), 0, index)
        index.add(rows.numpy())
        scores, ids = index.search(queries.numpy(), K)
        return scores, ids

    return search


def print_times(source: Tensor, target: Tensor, medians: dict[str, float], found: dict[str, Any]) -> None:
    (rows, width), columns = source.shape, len(target)
    print(f"{rows:,} x {columns:,} x {width}, top {K}, {source.device}, {torch.get_num_threads()} threads\n")
    print(
        "| search | seconds | TFLOPS | / torch.mm | / our product | faiss / it | equal ids | off by at most | again |"
    )
    print("|---|---:|---:|---:|---:|---:|---:|---:|---:|")
    ours, flops = found["ours, fp32"], 2 * rows * columns * width
    for name, seconds in medians.items():
        faiss = medians.get("faiss flat, twice")
        ratio = f"{faiss / seconds:.2f}" if faiss else ""
        cells = [
            name,
            f"{seconds:.2f}",
            f"{flops / seconds / 1e12:.2f}",
            f"{seconds / medians[BARE]:.2f}",
            f"{seconds / medians[OUR_BARE]:.2f}",
        ]
        print(f"| {' | '.join([*cells, ratio, *compared(found[name], ours)])} |")


def compared(found: Any, ours: Found) -> list[str]:
    """Share of equal neighbours, largest difference of scores, rows searched again."""
    if found is None:
        return ["", "", ""]
    again = f"{found.searched_again:,}" if isinstance(found, Found) else ""
    pairs = [(side.scores.cpu(), side.ids.cpu()) for side in found[:2]] if isinstance(found, Found) else found
    equal, total, difference = 0, 0, 0.0
    for (scores, ids), wanted in zip(pairs, ours[:2], strict=True):
        equal += int((torch.as_tensor(ids) == wanted.ids.cpu()).sum())
        total += wanted.ids.numel()
        difference = max(difference, float((torch.as_tensor(scores) - wanted.scores.cpu()).abs().max()))
    return [f"{100 * equal / total:.3f} %", f"{difference:.1e}", again]


# --- memory -------------------------------------------------------------------------------------------------------


def peak_memory(rows: int, width: int, budget: int) -> None:
    """Anonymous memory (what is not a mapped file) at its peak, above that before the search."""
    with tempfile.TemporaryDirectory() as folder:
        sides = [on_disk(Path(folder) / f"{n}.npy", side) for n, side in enumerate(made_up(rows, width))]
        warm = sides[0][:2000]
        both_directions(warm, warm, K, precision="fp32")  # libraries take their own memory at first use
        peak, done = [anonymous_bytes()], threading.Event()
        before = peak[0]
        watcher = threading.Thread(target=watch, args=(peak, done))
        watcher.start()
        start = time.perf_counter()
        both_directions(*sides, K, budget, precision="fp32", progress=report_tiles)
        seconds = time.perf_counter() - start
        done.set()
        watcher.join()
    results = K * rows * BYTES_PER_RESULT
    print("| sides | width | input MiB | results MiB | budget MiB | peak beside results, MiB | seconds |")
    print("|---|---:|---:|---:|---:|---:|---:|")
    sizes = [2 * rows * width * 4, results, budget, peak[0] - before - results]
    print(f"| {rows:,} x {rows:,} | {width} | {' | '.join(f'{s / 2**20:.0f}' for s in sizes)} | {seconds:.0f} |")


def on_disk(path: Path, rows: Tensor) -> np.ndarray:
    np.save(path, rows.numpy())
    return np.load(path, mmap_mode="r")


def anonymous_bytes() -> int:
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return 1024 * int(status.split("RssAnon:")[1].split()[0])


def watch(peak: list[int], done: threading.Event) -> None:
    while not done.wait(0.01):
        peak[0] = max(peak[0], anonymous_bytes())


def report_tiles(done: int, total: int) -> None:
    if done * 10 // total > (done - 1) * 10 // total:
        say(f"tile {done:,} of {total:,}")


# --- ranks --------------------------------------------------------------------------------------------------------


def work_per_rank(given: argparse.Namespace) -> None:
    """Start the same search at 1, 2, 4 ... ranks with one thread each; as a rank, take part in it."""
    if "RANK" in os.environ:
        with started() as world:
            torch.set_num_threads(1)
            source, target = made_up(given.rows or 8192, given.width or 1024)
            start = time.process_time()
            sharded.both_directions(source, target, K, world, given.budget << 20, precision="fp32")
            seconds = gather_values(time.process_time() - start)
            if world.is_main:
                print_shares(len(source), source.shape[1], seconds)
        return
    print(
        "| rows a side | ranks | multiply-adds of each rank, 1e9 | largest x ranks / all | CPU seconds of each rank |"
    )
    print("|---:|---:|---|---:|---|", flush=True)
    ranks = 1
    while ranks <= given.ranks:
        start_ranks(ranks)
        ranks *= 2


def start_ranks(ranks: int) -> None:
    port = free_port()
    shared = {"WORLD_SIZE": str(ranks), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "OMP_NUM_THREADS": "1"}
    each = [{**os.environ, **shared, "RANK": str(rank), "LOCAL_RANK": str(rank)} for rank in range(ranks)]
    processes = [subprocess.Popen([sys.executable, *sys.argv], env=environment) for environment in each]
    codes = [process.wait(3600) for process in processes]
    if any(codes):
        sys.exit(1)


def print_shares(rows: int, width: int, seconds: list[float]) -> None:
    """One line, from the borders that the search itself uses."""
    ranks = len(seconds)
    side = Side(torch.empty(rows, 0), "source", torch.device("cpu"))
    borders = [Share(rank, ranks).of(side) for rank in range(ranks)]
    work = [(border.stop - border.start) * rows * width / 1e9 for border in borders]
    cells = [
        f"{rows:,}",
        str(ranks),
        ", ".join(f"{part:.1f}" for part in work),
        f"{max(work) * ranks / sum(work):.2f}",
        ", ".join(f"{second:.1f}" for second in seconds),
    ]
    print(f"| {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
