"""What mining found, in lines for people, from the summary that ``mine --json`` prints."""

from __future__ import annotations

from typing import Any

from dist_stilts.report.progress import duration

Summary = dict[str, Any]
HEALTH = {
    "source_mean_cosine": "mean cosine of sources",
    "target_mean_cosine": "of targets",
    "source_effective_rank": "effective rank of sources",
    "target_effective_rank": "of targets",
    "hubness": "hubness",
}
REST = {"blank": "without text", "repeated": "repeated", "cut": "cut to the longest that is read"}


def summary_lines(summary: Summary) -> list[str]:
    """The summary of :func:`dist_stilts.evaluate.mine.mine_files`, a line per topic; a warning comes first."""
    lines = [f"warning: {summary['degenerate']}"] if summary["degenerate"] else []
    lines += [_side(summary[side]) for side in ("source", "target")]
    lines += [_embeddings(summary), _margins(summary)]
    threshold = "none" if summary["threshold"] is None else f"{summary['threshold']:.6g}"
    lines.append(f"threshold: {threshold} ({summary['threshold_from']})")
    if summary["gold"] is not None:
        lines.append(_on_gold(summary))
    if "picture" in summary:
        lines.append(f"picture: {summary['picture']}")
    lines.append(f"time: {', '.join(f'{part} {duration(took)}' for part, took in summary['seconds'].items())}")
    lines.append(f"{summary['pairs']:,} pairs in {summary['out']}; embeddings kept in {summary['embeddings']}")
    return lines


def _side(side: Summary) -> str:
    rest = [f"{side[key]:,} {what}" for key, what in REST.items() if side[key]]
    counts = [f"{side['lines']:,} lines", *rest, f"{side['sentences']:,} sentences searched"]
    return f"{side['file']}: {', '.join(counts)}"


def _embeddings(summary: Summary) -> str:
    parts = [f"{name} {summary[key]:.3g}" for key, name in HEALTH.items() if key in summary]
    return (
        f"embeddings, layer {summary['layer']}, {summary['pooling']} pooling: {', '.join(parts) or 'too few to judge'}"
    )


def _margins(summary: Summary) -> str:
    quantiles = ", ".join(f"{name[1:]}% {value:.4f}" for name, value in summary["margins"].items() if name[0] == "q")
    return f"{summary['candidate_pairs']:,} candidates, {summary['margin']} margin by quantile: {quantiles or 'none'}"


def _on_gold(summary: Summary) -> str:
    scores = ", ".join(f"{name} {100 * summary[name]:.2f}" for name in ("f1", "precision", "recall"))
    flattering = " (optimistic: tuned on these very pairs)" if summary["threshold_tuned"] else ""
    return f"{summary['gold']:,} gold pairs: {scores}{flattering}"
