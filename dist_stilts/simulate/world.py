"""Write a whole simulated world below one folder, in the file formats that the real data sets are published in.

The folder is a data root: every reader of the package takes it for real data. The same seed gives the same bytes on any
machine. The folder appears whole or not at all, and a second call finds it and returns.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import asdict
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from dist_stilts import checksums
from dist_stilts.errors import UserError
from dist_stilts.once import build, damage, noted
from dist_stilts.simulate import choice, corpora, nli, tasks
from dist_stilts.simulate.frames import ConceptWorld, Frame
from dist_stilts.simulate.grammar import sentence
from dist_stilts.simulate.languages import Language, languages
from dist_stilts.simulate.tokenizer import write_tokenizer
from dist_stilts.state_files import Damaged, read_state
from dist_stilts.writing import COMPLETE, is_complete, write_text

FORMAT = 3
"""Version of the generator: raised whenever the same seed gives other files."""
MANIFEST = "world.json"
IDENTITY = ("format", "seed", "placebo", "scale")
"""What of the manifest says which world it is."""
ROWS: dict[str, int] = {
    "mlm": 9000,
    "mnli train premises": 2000, "mnli dev premises": 134,
    "xnli train premises": 200, "xnli dev premises": 100, "xnli test premises": 167,
    "udpos train": 300, "udpos dev": 100, "udpos test": 200,
    "panx train": 300, "panx dev": 100, "panx test": 200,
    "squad train passages": 200, "squad dev passages": 40, "xquad passages": 50,
    "commonsenseqa train": 1500, "commonsenseqa valid": 300,
    "tatoeba": 300,
    "bucc source": 400, "bucc english": 500, "bucc gold": 120,
}  # fmt: skip
"""Rows per file at scale 1; three NLI pairs per premise, three questions per passage."""


def write_world(
    out: Path,
    *,
    seed: int = 0,
    placebo: bool = False,
    scale: float = 1.0,
    on_progress: Callable[[str], None] | None = None,
    own: bool = False,
) -> Path:
    """Write the world of ``seed`` to ``out``, or do nothing if it is there already; safe from many processes at once.

    Args:
        placebo: the world in which distance is a mere label; see :func:`languages`.
        scale: multiplies all numbers of rows (tests use small worlds).
        on_progress: told what is being written.
        own: whether nothing but this world is ever in ``out``; what is then no whole world is made again.

    Returns:
        ``out``, a data root with ``world.json``, ``tokenizer/``, ``labels/`` and one folder per task.

    Raises:
        UserError: ``out`` holds something else.
    """
    identity = dict(zip(IDENTITY, (FORMAT, seed, placebo, scale), strict=True))
    if not scale > 0:
        raise UserError(f"scale must be above 0, not {scale}")

    def write(folder: Path) -> None:
        _Writer(folder, seed, placebo, scale, on_progress or (lambda _: None)).write_all(identity)

    build(out, write, lambda folder: _is_there(folder, identity, own), keep=True)
    return out


def _is_there(out: Path, identity: dict[str, Any], own: bool) -> bool:
    """Whether ``out`` is all of this very world; UserError if it is anything but that, a part of it, or empty."""
    if not out.exists() or (out.is_dir() and not any(out.iterdir())):
        return False
    found, checksum = _manifest(out), noted(out).get(MANIFEST)
    if not found and not own and not checksum:
        raise UserError("is in use and is no simulated world", where=out, fix="Name another folder or remove it")
    if checksum and checksums.damage(out / MANIFEST, checksum):
        return False
    differing = [f"{key} {found.get(key)}, not {value}" for key, value in identity.items() if found.get(key) != value]
    if found and differing:
        what = f"holds another simulated world ({', '.join(differing)})"
        raise UserError(what, where=out, fix="Name another folder or remove it")
    if not found or not is_complete(out) or damage(out):
        return False
    return bool(checksum) or _adopted(out, identity)


def _manifest(out: Path) -> dict[str, Any]:
    """What a folder says that it is; nothing if it is no simulated world."""
    try:
        found = read_state(dict[str, Any], out / MANIFEST, "the description of a simulated world", "") or {}
    except Damaged:
        return {}
    return found if {*IDENTITY} <= found.keys() else {}


def _adopted(out: Path, identity: dict[str, Any]) -> bool:
    """Whether a world of an older version, which noted no checksums, has all files; it gets checksums as it is."""
    with TemporaryDirectory() as small:  # a world's files have the same names at any scale
        _Writer(Path(small), identity["seed"], identity["placebo"], 0.0, lambda _: None).write_all({})
        if any(not (out / name).is_file() for name in checksums.of_folder(Path(small))):
            return False
    with suppress(OSError):  # somebody else's, to be read only
        write_text(out / COMPLETE, json.dumps(checksums.of_folder(out)))
    return True


class _Writer:
    """Writes the files of one world; every file draws from a random stream of its own, named after it."""

    def __init__(self, root: Path, seed: int, placebo: bool, scale: float, tell: Callable[[str], None]) -> None:
        self._root, self._seed, self._scale, self._tell = root, seed, scale, tell
        self._languages = languages(seed=seed, placebo=placebo)
        self._english = self._languages[0]
        self._world = ConceptWorld(seed)

    def write_all(self, identity: dict[str, Any]) -> None:
        """All tasks, then the manifest."""
        for name, write in (
            ("mlm", self._mlm),
            ("nli", self._nli),
            ("udpos", self._udpos),
            ("panx", self._panx),
            ("question answering", self._question_answering),
            ("choice", self._choice),
            ("tatoeba", self._tatoeba),
            ("bucc", self._bucc),
        ):
            self._tell(f"simulating {name}")
            write()
        write_tokenizer(self._root / "tokenizer", self._languages)
        rows = {name: self._rows(name) for name in ROWS}
        described = [describe(language) for language in self._languages]
        self._json(MANIFEST, {**identity, "languages": described, "rows": rows})

    def _rows(self, name: str) -> int:
        return max(4, round(ROWS[name] * self._scale))

    def _stream(self, name: str) -> random.Random:
        return random.Random(f"{self._seed}:{name}")

    def _lines(self, path: str, lines: Iterable[str]) -> None:
        file = self._root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8", newline="\n")

    def _json(self, path: str, value: object) -> None:
        self._lines(path, [json.dumps(value, ensure_ascii=False, indent=1)])

    def _mlm(self) -> None:
        for language in self._languages:
            rng = self._stream(f"mlm:{language.code}")
            self._lines(f"mlm/{language.code}.txt", corpora.documents(self._world, language, rng, self._rows("mlm")))

    def _nli(self) -> None:
        source = nli.items(self._world, self._stream("nli"))
        # One stream for all splits, so that no premise is in two of them.
        for task, split in (("xnli", "test"), ("xnli", "dev"), ("mnli", "dev"), ("xnli", "train"), ("mnli", "train")):
            count = self._rows(f"{task} {split} premises")
            pairs = self._shuffled_pairs(list(islice(source, count)), f"{task}:{split}")
            if task == "mnli":
                file = f"multinli_1.0_{'dev_matched' if split == 'dev' else split}.jsonl"
                self._lines(f"multinli_1.0/{file}", self._mnli_records(pairs, split))
            else:
                self._xnli(pairs, split)

    def _shuffled_pairs(self, items: Sequence[nli.Item], name: str) -> list[tuple[Frame, Frame, str]]:
        """(premise, hypothesis, label) with the three hypotheses of a premise in consecutive rows, in random order."""
        rng = self._stream(f"nli order:{name}")
        return [(item.premise, item.hypotheses[label], label) for item in items for label in rng.sample(nli.LABELS, 3)]

    def _mnli_records(self, pairs: Sequence[tuple[Frame, Frame, str]], split: str) -> Iterable[str]:
        for row, (premise, hypothesis, label) in enumerate(pairs):
            first, second = sentence(premise, self._english), sentence(hypothesis, self._english)
            prompt = f"{split}-{row // 3:06d}"
            yield json.dumps({"annotator_labels": [label], "genre": "simulated", "gold_label": label,
                              "pairID": f"{prompt}{label[0]}", "promptID": prompt,
                              "sentence1": first, "sentence2": second})  # fmt: skip

    def _xnli(self, pairs: Sequence[tuple[Frame, Frame, str]], split: str) -> None:
        for language in self._languages if split != "train" else (self._english,):
            rows = (f"{sentence(a, language)}\t{sentence(b, language)}\t{label}" for a, b, label in pairs)
            self._lines(f"xnli/{split}-{language.code}.tsv", rows)
            if split == "test":
                self._lines(f"labels/xnli/test-{language.code}.tsv", (label for _, _, label in pairs))

    def _udpos(self) -> None:
        for split, frames in self._tagged_splits("udpos", with_name=False):
            for language in self._languages if split != "train" else (self._english,):
                lines = list(_blocks(tasks.pos_rows(frame, language) for frame in frames))
                self._lines(f"udpos/{split}-{language.code}.tsv", lines)
                if split == "test":
                    self._lines(f"labels/udpos/test-{language.code}.tsv", lines)

    def _panx(self) -> None:
        for split, frames in self._tagged_splits("panx", with_name=True):
            for language in self._languages if split != "train" else (self._english,):
                rows = (
                    [(f"{language.code}:{token}", tag) for token, tag in tasks.entity_rows(frame, language)]
                    for frame in frames
                )
                self._lines(f"panx/{language.code}/{split}", _blocks(rows))

    def _tagged_splits(self, task: str, *, with_name: bool) -> Iterable[tuple[str, list[Frame]]]:
        """Train, dev and test sentences, all different."""
        sizes = {split: self._rows(f"{task} {split}") for split in ("train", "dev", "test")}
        frames = iter(tasks.sentences(self._world, self._stream(task), sum(sizes.values()), with_name=with_name))
        return [(split, list(islice(frames, size))) for split, size in sizes.items()]

    def _question_answering(self) -> None:
        for name, file in (("squad train", "train-v1.1.json"), ("squad dev", "dev-v1.1.json")):
            passages = list(tasks.passages(self._world, self._stream(name), self._rows(f"{name} passages")))
            self._json(f"squad/{file}", tasks.squad(passages, self._english, name.replace(" ", "-")))
        passages = list(tasks.passages(self._world, self._stream("xquad"), self._rows("xquad passages")))
        for language in self._languages:
            self._json(f"xquad/xquad.{language.code}.json", tasks.squad(passages, language, "xquad"))

    def _choice(self) -> None:
        for split in ("train", "valid"):
            rows = choice.records(self._world, self._stream(f"choice:{split}"), self._english, f"simulated-{split}")
            rows = islice(rows, self._rows(f"commonsenseqa {split}"))
            self._lines(f"commonsenseqa/{split}.jsonl", (json.dumps(row) for row in rows))

    def _tatoeba(self) -> None:
        frames = corpora.distinct_events(self._world, self._stream("tatoeba"), self._rows("tatoeba"))
        english = [sentence(frame, self._english) for frame in frames]
        # XTREME asks for the English sentences in alphabetical order, so that the rows do not give the answer away.
        order = sorted(range(len(english)), key=english.__getitem__)
        for language in self._languages[1:]:
            stem = f"tatoeba/tatoeba.{language.iso3}-eng"
            self._lines(f"{stem}.{language.iso3}", (sentence(frame, language) for frame in frames))
            self._lines(f"{stem}.eng", english)
            self._lines(f"labels/tatoeba/test-{language.code}.tsv", map(str, order))

    def _bucc(self) -> None:
        sizes = (self._rows("bucc source"), self._rows("bucc english"), self._rows("bucc gold"))
        for language in self._languages[1:]:
            for split in ("dev", "test"):
                rng = self._stream(f"bucc:{language.code}:{split}")
                rows = corpora.comparable(self._world, (language, self._english), rng, sizes)
                stem = f"bucc2018/{language.code}-en.{split}"
                self._lines(f"{stem}.{language.code}", rows.source)
                self._lines(f"{stem}.en", rows.english)
                self._lines(f"{stem}.gold", rows.gold)
                if split == "test":
                    self._lines(f"labels/bucc2018/test-{language.code}.tsv", rows.gold)


def describe(language: Language) -> dict[str, Any]:
    """A language as ``world.json`` declares it."""
    return {
        "code": language.code, "name": language.name, "iso3": language.iso3, "script": language.script,
        "distance": language.distance, "typology": asdict(language.typology),
    }  # fmt: skip


def _blocks(sentences: Iterable[Sequence[tuple[str, str]]]) -> Iterable[str]:
    """``token \\t tag`` lines with a blank line after each sentence."""
    for rows in sentences:
        yield from (f"{token}\t{tag}" for token, tag in rows)
        yield ""
