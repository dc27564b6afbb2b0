"""Files that belong to a file by their names: the other splits beside it, and each of them in other languages.

train.csv   dev.csv   test.csv   test.de.csv   test.fr.csv        reviews-train.en.jsonl   reviews-valid.en.jsonl
en/train.txt   de/test.txt   fr/test.txt
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePath

from dist_stilts.conventions import ENGLISH
from dist_stilts.errors import UserError
from dist_stilts.tasks.archives import PACKED
from dist_stilts.tasks.languages import languages
from dist_stilts.tasks.own_pairs import LANGUAGE, UNDETERMINED

SPLITS = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("dev", "devel", "valid", "validation", "val"), "dev"),
    **dict.fromkeys(("test", "testing"), "test"),
}
"""Words for splits in names of files."""
ISO_639_1 = frozenset(
    languages(
        "aa ab ae af ak am an ar as av ay az ba be bg bh bi bm bn bo br bs ca ce ch co cr cs cu cv cy da de dv dz "
        "ee el en eo es et eu fa ff fi fj fo fr fy ga gd gl gn gu gv ha he hi ho hr ht hu hy hz ia id ie ig ii ik "
        "io is it iu ja jv ka kg ki kj kk kl km kn ko kr ks ku kv kw ky la lb lg li ln lo lt lu lv mg mh mi mk ml "
        "mn mr ms mt my na nb nd ne ng nl nn no nr nv ny oc oj om or os pa pi pl ps pt qu rm rn ro ru rw sa sc sd "
        "se sg si sk sl sm sn so sq sr ss st su sv sw ta te tg th ti tk tl tn to tr ts tt tw ty ug uk ur uz ve vi "
        "vo wa wo xh yi yo za zh zu"
    )
)
ENGLISHES = (ENGLISH, "eng", "eng_Latn")
_WORD = re.compile(r"[A-Za-z]{3}_[A-Z][a-z]{3}|[a-z]{2}-[A-Z][A-Za-z]{1,3}|[^._\-/]+")
_LONG_CODE = re.compile(r"[a-z]{3}_[A-Z][a-z]{3}|[a-z]{2}-[A-Z][A-Za-z]{1,3}|eng")

_SHORT = re.compile(r"[a-z]{2,3}|[a-z]{3}_[A-Z][a-z]{3}|[a-z]{2}-[A-Z][A-Za-z]{1,3}")
"""What may be a code where two names differ in nothing else."""


@dataclass(frozen=True)
class Reading:
    """One way to read a name.

    Attributes:
        split: that its words name, if they do; language: that they name, if they do.
        rest: its other words; pattern: the name with ``{lang}`` where the language stands.
    """

    split: str | None
    language: str | None
    rest: tuple[str, ...]
    pattern: str


def is_code(word: str) -> bool:
    """Whether a word of a name may be a language's code."""
    return word in ISO_639_1 or _LONG_CODE.fullmatch(word) is not None


def readings(name: str, code: Callable[[str], object] = is_code) -> Iterator[Reading]:
    """Every way to read a name: without a language, and with each that it may have, by what ``code`` takes for one."""
    words = list(_WORD.finditer(name))
    splits = [word for word in words if word[0].lower() in SPLITS]
    split = splits[-1] if splits else None
    others = [word for word in words if word is not split and f".{word[0]}" not in PACKED]
    kind = SPLITS[split[0].lower()] if split else None
    yield Reading(kind, None, tuple(word[0] for word in others), name)
    for word in others:
        if code(word[0]):
            rest = tuple(other[0] for other in others if other is not word)
            yield Reading(kind, word[0], rest, f"{name[: word.start()]}{LANGUAGE}{name[word.end() :]}")


def home(file: Path) -> Path:
    """The folder that names of a file and of its siblings are relative to: the one above a language's own folder."""
    return file.parent.parent if is_code(file.parent.name) and file.parent.name != "my" else file.parent


def read_as_english(name: str) -> Reading:
    """The reading of the file that is trained on: its words for English are its language; it has no other."""
    ways = list(readings(name))
    return next((way for way in ways if way.language in ENGLISHES), ways[0])


def siblings(file: Path) -> dict[str, dict[str, Reading]]:
    """Return split to language to the reading of a file beside ``file``, itself not among them."""
    folder, own = home(file), read_as_english(file.relative_to(home(file)).as_posix())
    found: dict[str, dict[str, Reading]] = {}
    for name in _names(folder, file):
        for way in readings(name):
            if way.rest == own.rest and way.split and way.split != own.split:
                language = ENGLISH if way.language in (None, *ENGLISHES) else str(way.language)
                found.setdefault(way.split, {}).setdefault(language, way)
    return found


def _names(folder: Path, file: Path) -> Iterator[str]:
    """Names of the readable files that may be siblings, below their folder."""
    for path in _alike(folder, file):
        if _suffix(path.name) == _suffix(file.name):
            yield path.relative_to(folder).as_posix()


def _suffix(name: str) -> str:
    path = PurePath(name)
    return PurePath(path.stem).suffix if path.suffix in PACKED else path.suffix


def one_name(files: Mapping[str, Reading]) -> tuple[str, list[str], list[str]]:
    """Return one name for a split's files in several languages, the languages, and the names that do not fit in.

    A name without ``{lang}`` is the English file, beside which ``NAME.CODE.ENDING`` is expected.
    """
    foreign = [way for language, way in files.items() if language != ENGLISH]
    english = files.get(ENGLISH)
    if not foreign:
        assert english
        return name_of(english), [ENGLISH], []
    pattern = foreign[0].pattern
    fitting = [way for way in foreign if way.pattern == pattern]
    left_out = [name_of(way) for way in foreign if way.pattern != pattern]
    codes = [str(way.language) for way in fitting]
    if english is None:
        return pattern, codes, left_out
    if name_of(english) == pattern.replace(LANGUAGE, ENGLISH):
        return pattern, [ENGLISH, *codes], left_out
    if english.language is None and pattern == _beside(name_of(english)):
        return name_of(english), [ENGLISH, *codes], left_out
    return pattern, codes, [*left_out, name_of(english)]


def name_of(way: Reading) -> str:
    """The name that was read."""
    return way.pattern.replace(LANGUAGE, way.language or "")


def _beside(name: str) -> str:
    stem, suffix, packed = name.rpartition(_suffix(name))
    return f"{stem}.{LANGUAGE}{suffix}{packed}"


def as_languages(names: Iterable[str], known: Iterable[str]) -> dict[str, Reading]:
    """Readings of the files of one split that somebody has named, by language; one whose name has none is English.

    Args:
        known: words that the name of the training file has, too: these are no language's.
    """
    found: dict[str, Reading] = {}
    for name in names:
        path = PurePath(name)
        above = path.parent.parent if is_code(path.parent.name) else path.parent  # folders further up are no language's
        ways = list(readings(path.relative_to(above).as_posix()))
        way = next((way for way in reversed(ways) if way.language and way.language not in known), ways[0])
        way = replace(way, pattern=(above / way.pattern).as_posix())
        found[ENGLISH if way.language in (None, *ENGLISHES) else str(way.language)] = way
    return found


def aligned(files: Sequence[Path]) -> tuple[str, str, list[str], list[str]]:
    """Return source and target of aligned files, the languages of the source, and what was guessed.

    Args:
        files: the two sides, or one, to which those are found whose names differ in a language alone.

    Raises:
        UserError: a file that is not there; no other side; more than two.
    """
    for file in files:
        if not file.is_file():
            raise UserError("no such file", where=file, fix="Give --data SOURCE --data TARGET")
    if len(files) > 2:
        raise UserError(f"{len(files)} files are no pair", fix="Give --data SOURCE --data TARGET")
    if len(files) == 2:
        return _two_sides(files[0], files[1])
    folder = home(files[0])
    names = [files[0].relative_to(folder).as_posix()]
    names += [path.relative_to(folder).as_posix() for path in _alike(folder, files[0])]
    found = _by_pattern(names)
    if ENGLISH not in found or len(found) < 2:
        fix = "Give both sides: --data SOURCE --data TARGET"
        raise UserError("no file beside it whose name differs in a language alone", where=files[0], fix=fix)
    codes = sorted(set(found) - {ENGLISH})
    pattern = found[codes[0]].pattern
    return pattern, name_of(found[ENGLISH]), codes, [f"{pattern} is in {', '.join(codes)}; the other side is English"]


def _two_sides(source: Path, target: Path) -> tuple[str, str, list[str], list[str]]:
    """The same of two files, of which the one in English is the target."""
    named = _language_beside(source.name, target.name)
    if named in ENGLISHES:
        source, target, named = target, source, _language_beside(target.name, source.name)
    notes = [f"{source.name} is in {named}"] if named else []
    if not named:
        notes.append(f"the language of {source.name} is not known: write its code in the place of {UNDETERMINED}")
    same = source.resolve().parent == target.resolve().parent
    names = (source.name, target.name) if same else (str(source.resolve()), str(target.resolve()))
    return *names, [named or UNDETERMINED], notes


def _language_beside(name: str, other: str) -> str | None:
    """The language that a name has where the other differs, else the last that it may have."""
    patterns = {way.pattern for way in readings(other, _SHORT.fullmatch) if way.language}
    differing = [way for way in readings(name, _SHORT.fullmatch) if way.language and way.pattern in patterns]
    possible = differing if differing and name != other else [way for way in readings(name) if way.language]
    return possible[-1].language if possible else None


def _alike(folder: Path, file: Path) -> Iterator[Path]:
    depth = len(file.relative_to(folder).parts)
    return (path for path in sorted(folder.glob("/".join("*" * depth))) if path.is_file() and path != file)


def _by_pattern(names: Sequence[str]) -> dict[str, Reading]:
    """The files that differ from the first in a language alone, by language; the first is among them."""
    best: dict[str, Reading] = {}
    every = [way for name in names for way in readings(name, _SHORT.fullmatch) if way.language]
    for own in readings(names[0], _SHORT.fullmatch):
        if own.language:
            alike = [way for way in every if way.pattern == own.pattern]
            found = {ENGLISH if way.language in ENGLISHES else str(way.language): way for way in alike}
            best = max(best, found, key=len)
    return best
