"""Attacks on the program, made of rules rather than written down: what may be wrong, where, and the verb that meets it.

An attack is a command in a folder of its own, with a finished run, a model and texts in it, of which one thing is
spoilt. Whatever comes of it, :func:`faults` says what the program owes its user: no traceback, one line, a documented
exit code, and nothing written elsewhere.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path
from typing import Any

from damage import of_file
from rot import flip_bit

from dist_stilts.errors import EXIT_AGAIN, EXIT_BAD_INPUT, EXIT_FAILED, EXIT_INTERRUPTED

DOCUMENTED = {0, EXIT_FAILED, EXIT_BAD_INPUT, EXIT_AGAIN, EXIT_INTERRUPTED}
TINY = Path(__file__).with_name("tiny.yaml")
DONE = "tiny"
"""Name of the finished recipe's folder."""


@dataclass(frozen=True)
class Place:
    """Where an attack happens: only what is below ``out`` may change."""

    folder: Path

    @property
    def out(self) -> Path:
        """The folder that the verb is told to write to."""
        return self.folder / "out"

    @property
    def run(self) -> Path:
        """The finished run."""
        return self.out / DONE / "xnli"

    @cached_property
    def words(self) -> dict[str, str]:
        """What stands for what in an attack's arguments."""
        paths = {name: self.folder / f"{name}.txt" for name in ("source", "target")}
        paths |= {"out": self.out, "run": self.run, "model": self.run / "model", "recipe": TINY}
        paths |= {"world": self.out / DONE / "world", "texts": self.folder / "texts.jsonl", "here": self.folder}
        paths |= {"encoder": self.out / DONE / "pretrain" / "model", "predictions": self.run / "predictions"}
        return {name: str(path) for name, path in paths.items()}

    def make(self, finished: Path) -> None:
        """Lay it out."""
        shutil.copytree(finished.parent, self.out, symlinks=True)
        (self.folder / "source.txt").write_text("ab cd\nef gh\n")
        (self.folder / "target.txt").write_text("ab cd\nij kl\n")
        (self.folder / "texts.jsonl").write_text('{"text_a": "ab cd", "text_b": "ef"}\n')

    def elsewhere(self) -> dict[str, bytes | None]:
        """All that lies beside ``out``, with its content."""
        found = [*self.folder.iterdir(), *self.folder.parent.iterdir()]
        return {
            str(path): path.read_bytes() if path.is_file() and not path.is_symlink() else None
            for path in found
            if path != self.out
        }


@dataclass(frozen=True)
class Attack:
    """One command.

    Attributes:
        arguments: those of ``dist-stilts``; ``{out}`` and so on stand for what the place has.
        spoil: what is done to the place before.
        codes: exit codes that are right.
    """

    name: str
    arguments: tuple[str, ...]
    spoil: Callable[[Place], object] = field(default=lambda place: None)
    codes: frozenset[int] = frozenset(DOCUMENTED)

    def command(self, place: Place) -> list[str]:
        """The arguments with this place's paths."""
        return [
            re.sub(r"\{(\w+)\}", lambda found: place.words.get(found[1], found[0]), part) for part in self.arguments
        ]


def faults(attack: Attack, done: subprocess.CompletedProcess[str], before: dict[str, Any], place: Place) -> list[str]:
    """What the program owes its user and did not give."""
    said = f"{done.stdout}\n{done.stderr}"
    errors = [line for line in done.stderr.splitlines() if line.startswith("error:")]
    # The library that reads the command line says it in its own way.
    usage = any(line.lstrip().startswith(("Usage:", "Error: ")) for line in done.stderr.splitlines())
    found = []
    if "Traceback (most recent call last)" in said:
        found.append("a traceback")
    if done.returncode not in attack.codes:
        found.append(f"exit code {done.returncode}")
    if done.returncode in (EXIT_FAILED, EXIT_BAD_INPUT) and len(errors) + usage != 1:
        found.append(f"{len(errors)} lines of error")
    if any(not line.isprintable() for line in errors):
        found.append("an error that no terminal can print")
    if place.elsewhere() != before:
        changed = {path for path, content in place.elsewhere().items() if before.get(path, "") != content}
        found.append(f"written elsewhere: {changed or 'something was deleted'}")
    return found


# Settings and options

COMMANDS: dict[tuple[str, ...], tuple[str, ...]] = {
    ("tasks",): (),
    ("simulate",): ("--out", "{out}/new", "--scale", "0.1"),
    ("prepare",): ("{recipe}", "out={out}"),
    ("translate",): ("mnli", "--to", "de", "--model", "{model}", "--data", "{world}", "--out", "{out}/translated"),
    ("train",): ("{recipe}", "out={out}", "--phase", "xnli"),
    ("run",): ("{recipe}", "out={out}", "--dry-run"),
    ("average",): ("{model}", "{encoder}", "--out", "{out}/average"),
    ("push",): ("{model}", "me/mine", "--dry-run"),
    ("evaluate",): (
        *("--model", "{model}", "--tasks", "xnli", "--split", "dev[90%:]", "--data", "{world}"),
        *("--languages", "en", "--max-length", "48", "--out", "{out}/scores"),
    ),
    ("predict",): ("{texts}", "--model", "{model}", "--out", "{out}/predicted.jsonl", "--max-length", "48"),
    ("mine",): (
        *("{source}", "{target}", "--model", "{encoder}", "--out", "{out}/pairs.tsv", "--threshold", "0"),
        *("--max-length", "48"),
    ),
    ("score",): ("--predictions", "{predictions}", "--labels", "{world}"),
    ("table",): ("{run}",),
    ("recipes", "show"): ("{recipe}",),
    ("recipes", "keys"): (),
    ("recipes", "new"): ("sequence", "--data", "{texts}", "--out", "{out}/new.yaml"),
    ("study", "plan"): ("{recipe}", "out={out}"),
    ("study", "status"): ("{recipe}", "out={out}"),
    ("study", "report"): ("{recipe}", "out={out}"),
    ("study", "run"): ("{recipe}", "out={out}", "--dry-run"),
}
"""Each verb as it is used. Some end with a line as they stand: the recipe is no study, the model no translator."""
BAD_VALUES = (
    "",
    "-1",
    "0",
    "nan",
    "1e999",
    "9" * 25,
    "x/../../y",
    "/nowhere/at/all",
    "a\nb",
    "$(touch hit)",
    "é" * 300,
)


def option_attacks() -> Iterator[Attack]:
    """Every option of every verb with every bad value; some are good for it."""
    for verb, arguments in COMMANDS.items():
        for option in sorted(options(verb) - {"--out", "--cache"}):  # where to write: see below
            for value in BAD_VALUES:
                yield Attack(f"{' '.join(verb)} {option} {value[:12]!r}", (*verb, *arguments, option, value))


def verbs(command: Any = None, above: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every verb of the program, and its command."""
    from typer.main import get_command

    from dist_stilts.__main__ import app

    command = command or get_command(app)
    below = getattr(command, "commands", None)
    if below is None:
        yield above, command
    for name, inner in (below or {}).items():
        yield from verbs(inner, (*above, name))


def options(verb: tuple[str, ...]) -> set[str]:
    """The names of a verb's options."""
    named = {param.opts[0] for param in dict(verbs())[verb].params}
    return {name for name in named if name.startswith("--")} - {"--help"}


BAD_SETTINGS = ("", "nan", "x", "[]", "[1, x]", "{a: b}", "${nowhere}", "'")
NAMES = {"own_tasks": "mine", "phases": "xnli", "tasks": "xnli", "evaluate": "xnli", "sizes_of": "mnli"}
"""Section of names that users give to the name that stands there."""


def setting_attacks() -> Iterator[Attack]:
    """Every key of a recipe with every bad value, and with those just outside its range, in a rehearsal."""
    from outside import settings_outside

    from dist_stilts.experiment.run_config import Recipe

    rehearsal = ("run", "{recipe}", "out={out}", "--dry-run")
    outside = list(settings_outside(Recipe, NAMES))
    for setting in outside:
        yield Attack(f"{setting[:50]}, outside", (*rehearsal, setting), codes=frozenset({EXIT_BAD_INPUT}))
    for key in dict.fromkeys(setting.partition("=")[0] for setting in outside):
        for value in BAD_SETTINGS:
            yield Attack(f"{key}={value}", (*rehearsal, f"{key}={value}"))


# Names

BAD_NAMES = (
    "",
    ".",
    "..",
    "../x",
    "../../x",
    "/tmp/x",
    "a/b",
    "-x",
    "--help",
    "a b",
    "a\nb",
    "~",
    "$(touch hit)",
    "x" * 300,
)


def name_attacks() -> Iterator[Attack]:
    """What users name, named as nothing may be."""
    refused = frozenset({EXIT_BAD_INPUT})
    for name in BAD_NAMES:
        for verb in ("prepare", "train", "run"):
            yield Attack(f"{verb}, recipe {name[:9]!r}", (verb, "{recipe}", f"name={name}", "out={out}"), codes=refused)
            yield Attack(
                f"{verb}, phase {name[:9]!r}", (verb, "{here}/bad.yaml", "out={out}"), partial(_phase, name), refused
            )
            yield Attack(
                f"{verb}, task {name[:9]!r}", (verb, "{here}/bad.yaml", "out={out}"), partial(_task, name), refused
            )


def _phase(name: str, place: Place) -> None:
    _with(place, phases={name: {"start": ["random"], "tasks": {"xnli": {}}}})


def _task(name: str, place: Place) -> None:
    own = {name: {"family": "sequence", "files": {"train": str(place.folder / "texts.jsonl")}}}
    _with(place, phases={"a": {"start": ["random"], "tasks": {name: {}}}}, own_tasks=own)


def _with(place: Place, phases: dict[str, Any], own_tasks: dict[str, Any] | None = None) -> None:
    import yaml

    recipe = yaml.safe_load(TINY.read_text())
    recipe["phases"] = phases
    recipe["data"]["own_tasks"] = own_tasks or {}
    (place.folder / "bad.yaml").write_text(yaml.safe_dump(recipe, sort_keys=False))


# Files


FLIPPED, ABSENT = "one bit flipped", "absent"
DAMAGE = (*(damage.name for damage in of_file(b"{}")), FLIPPED, ABSENT)
STATE = (
    *("xnli/status.json", "xnli/config.yaml", "xnli/results.jsonl", "xnli/metrics.jsonl", "xnli/deepspeed.json"),
    *("xnli/model/COMPLETE", "mnli-n40/status.json", "mnli-n40/model/provenance.json", "world/world.json"),
    *("world/xnli/dev-en.tsv", "../prepared/*/meta.json", "../prepared/*/*.arrow", "../prepared/*/COMPLETE"),
    "xnli/predictions/xnli/dev_70--en.tsv",
)
"""Files of a run, below the recipe's folder."""
MODEL = (
    "config.json",
    "model.safetensors",
    "provenance.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "modules.json",
)
READERS = {
    "state": ("prepare", "train", "run", "table", "score", "study status", "study report"),
    "model": ("evaluate", "predict", "mine", "average", "push", "translate", "table"),
}


def damage_attacks() -> Iterator[Attack]:
    """Each file that is kept, hurt in each way, before each verb that reads it."""
    for verbs, files in ((READERS["state"], STATE), (READERS["model"], tuple(f"xnli/model/{name}" for name in MODEL))):
        for file in files:
            for kind in DAMAGE:
                for verb in verbs:
                    refused = kind == FLIPPED and file.endswith("model.safetensors") and verb != "table"
                    codes = frozenset({EXIT_BAD_INPUT} if refused else DOCUMENTED)
                    yield Attack(f"{verb}, {file} {kind}", _command(verb), partial(_hurt, file, kind), codes)


def _command(verb: str) -> tuple[str, ...]:
    words = tuple(verb.split())
    arguments = COMMANDS[words]
    if verb == "run":  # whole: all is done, and it says so
        arguments = ("{recipe}", "out={out}")
    if verb == "mine":
        arguments = tuple("{model}" if part == "{encoder}" else part for part in arguments)
    return (*words, *arguments)


def _hurt(file: str, kind: str, place: Place) -> None:
    for path in sorted((place.out / DONE).glob(file)):
        if kind == FLIPPED:
            flip_bit(path)
        elif kind == ABSENT:
            path.unlink()
        else:
            next(damage for damage in of_file(path.read_bytes()) if damage.name == kind).do(path)


# Where output goes


def _pipe(path: Path) -> None:
    import os

    os.mkfifo(path)


def _locked(path: Path) -> None:
    path.parent.joinpath("nobody").write_text("")
    path.symlink_to(path.parent / "nobody" / "below")


TARGETS: dict[str, Callable[[Path], object]] = {
    "a pipe": _pipe,
    "a folder": Path.mkdir,
    "a file": lambda path: path.write_text("mine"),
    "a link to nowhere": lambda path: path.symlink_to(path.parent / "nowhere" / "at" / "all"),
    "below a file": _locked,
}
WRITERS = {
    "simulate": "{out}/target", "translate": "{out}/target", "average": "{out}/target", "evaluate": "{out}/target",
    "predict": "{out}/target.jsonl", "mine": "{out}/target.tsv", "recipes new": "{out}/target.yaml",
}  # fmt: skip


def output_attacks() -> Iterator[Attack]:
    """Each verb told to write where something of another kind is."""
    for verb, target in WRITERS.items():
        for kind in TARGETS:
            words = tuple(verb.split())
            yield Attack(f"{verb} to {kind}", (*words, *COMMANDS[words], "--out", target), partial(_put, target, kind))


def _put(target: str, kind: str, place: Place) -> None:
    TARGETS[kind](Path(target.replace("{out}", str(place.out))))


def all_attacks() -> list[Attack]:
    """Every attack."""
    made = (option_attacks(), setting_attacks(), name_attacks(), damage_attacks(), output_attacks())
    return [attack for attacks in made for attack in attacks]
