"""What a shell completes beside verbs and options: recipes and tasks. Nothing heavy is imported: TAB is quick."""

from __future__ import annotations

from pathlib import Path


def recipes(incomplete: str) -> list[str]:
    """Shipped recipes, and YAML files of the folder that is being typed."""
    from dist_stilts.config import shipped_recipes

    typed = incomplete[: incomplete.rfind("/") + 1]
    found = sorted(path.name for ending in ("yaml", "yml") for path in Path(typed).glob(f"[!.]*.{ending}"))
    files = [f"{typed}{name}" for name in found]
    return [name for name in (*shipped_recipes(), *files) if name.startswith(incomplete)]


def tasks(incomplete: str) -> list[str]:
    """The tasks, by their first names."""
    from dist_stilts.tasks.registry import all_tasks

    return [spec.name for spec in all_tasks() if spec.name.startswith(incomplete)]


def several_tasks(incomplete: str) -> list[str]:
    """The same for a list with commas: what stands before the last one stays."""
    before, comma, last = incomplete.rpartition(",")
    return [f"{before}{comma}{name}" for name in tasks(last) if name not in before.split(",")]
