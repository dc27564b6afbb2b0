"""Compute ``dist_stilts/analysis/typology.tsv``: every language's typological distances from English out of URIEL+.

    python benchmarks/typology_table.py > dist_stilts/analysis/typology.tsv

Done once and kept, because URIEL+ (Khan et al., COLING 2025) cannot do it while a study is analysed: integrating its
databases takes half a minute and 2 GB, its imputation needs packages of its own, it writes into its own folder, and it
drops the rows of macrolanguages (``est``, ``msa``, ``zho``), where the observed features of many languages are. The
package is copied to a temporary folder, so that the installed one stays as it is.

What is done, on standard error with figures:

1. A two-letter code's row is that of its three-letter equivalent (ISO 639-2); where that is a macrolanguage, values
   that it lacks are those of its main member.
2. SAPHON, BDPROTO and Grambank are integrated; a feature is present if any source says so (URIEL+'s "union").
3. Missing typological values are imputed as URIEL was (Littell et al., EACL 2017, section 5): the rounded mean of the
   ten nearest languages that have the value, by the mean of genetic, geographic and featural distance.
4. Distances are angular as in URIEL+, 2 arccos(u.v / |u||v|) / pi, which lies in 0..1 for vectors without negative
   values. Two languages of which one has no relatives share no ancestor: genetic distance 1.
"""

from __future__ import annotations

import csv
import importlib
import importlib.util
import logging
import shutil
import sys
import tempfile
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

CODES = """
af afr, am amh, ar ara arb, as asm, az aze azj, be bel, bg bul, bn ben, br bre, bs bos, ca cat, cs ces, cy cym, da dan,
de deu, el ell, en eng, es spa, et est ekk, eu eus, fa fas pes, fi fin, fr fra, fy fry, ga gle, gd gla, gl glg, gu guj,
ha hau, he heb, hi hin, hr hrv, ht hat, hu hun, hy hye, id ind, is isl, it ita, ja jpn, jv jav, ka kat, kk kaz, km khm,
kn kan, ko kor, ku kur kmr, ky kir, lo lao, lt lit, lv lav lvs, mg mlg plt, mk mkd, ml mal, mn mon khk, mr mar,
ms msa zsm, my mya, ne nep npi, nl nld, no nor nob, om orm gaz, or ori ory, pa pan, pl pol, ps pus pst, pt por,
qu que quz, ro ron, ru rus, sd snd, si sin, sk slk, sl slv, so som, sq sqi als, sr srp, su sun, sv swe, sw swa swh,
ta tam, te tel, th tha, tl tgl, tr tur, ug uig, uk ukr, ur urd, uz uzb uzn, vi vie, wo wol, xh xho, yi yid ydd,
yo yor, zh zho cmn
"""
"""ISO 639-1, ISO 639-2 and, of macrolanguages, the main member (ISO 639-3): the living languages of XLM-R's corpus,
XTREME, XTREME-R and XCOPA."""
PREFIXES = {"syntactic": ("S_",), "phonological": ("P_",), "inventory": ("INV_",), "morphological": ("M_",),
            "featural": ("S_", "P_", "INV_", "M_")}  # fmt: skip
COLUMNS = ("syntactic", "phonological", "inventory", "morphological", "genetic", "geographic", "featural", "script")
NEIGHBOURS = 10
MISSING = -1


@dataclass(frozen=True)
class Language:
    """A row of the table and where URIEL+ has it."""

    code: str
    iso: str
    member: str
    glottocode: str


@dataclass(frozen=True)
class Base:
    """URIEL+ after integration: for each matrix [languages x features], -1 where unknown, rows in one order."""

    names: list[str]
    features: np.ndarray
    typology: np.ndarray
    family: np.ndarray
    places: np.ndarray
    scripts: dict[str, np.ndarray]


def languages(folder: Path) -> list[Language]:
    """The languages of :data:`CODES` with their Glottocodes."""
    with (folder / "database/urielplus_csvs/uriel_glottocode_map.csv").open(encoding="utf-8") as file:
        glottocodes = {row["iso_code"]: row["glottocode"] for row in csv.DictReader(file)}
    found = []
    for entry in CODES.replace("\n", " ").split(","):
        code, iso, *member = entry.split()
        main = member[0] if member else iso
        found.append(Language(code, iso, main, glottocodes[main]))
    return found


def copied_package(folder: Path) -> Path:
    """A copy of the installed package, first on the path."""
    spec = importlib.util.find_spec("urielplus")
    assert spec
    assert spec.submodule_search_locations
    copy = folder / "urielplus"
    shutil.copytree(spec.submodule_search_locations[0], copy)
    sys.path.insert(0, str(folder))
    importlib.invalidate_caches()
    return copy


def integrated(wanted: list[Language]) -> Base:
    """Load URIEL+, put the rows of macrolanguages where their members are, and integrate its databases."""
    base: Any = importlib.import_module("urielplus.urielplus").URIELPlus()
    logging.getLogger().setLevel(logging.ERROR)
    for matrix in (1, 3):
        row = {str(name): number for number, name in enumerate(base.langs[matrix])}
        data = base.data[matrix]
        for language in wanted:
            own, member = data[row[language.iso]], data[row[language.member]]
            known = (own != MISSING).any(axis=-1, keepdims=True)
            data[row[language.member]] = np.where(known, own, member)
    # Integration rebuilds the scripts from a table without the macrolanguages, so they are taken before it.
    scripts = {str(name): base.data[3][number, :, 0] for number, name in enumerate(base.langs[3])}
    base.integrate_custom_databases("UPDATED_SAPHON", "BDPROTO", "GRAMBANK")
    order = [str(name) for name in base.langs[1]]
    assert order == [str(name) for name in base.langs[0]] == [str(name) for name in base.langs[2]]
    return Base(
        order, base.feats[1].astype(str), base.data[1].max(axis=-1).astype(np.int8),
        base.data[0][:, :, 0].astype(np.float32), base.data[2][:, :, 0].astype(np.float32), scripts,
    )  # fmt: skip


def angular(ours: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Angular distances, 0..1 [ours x others]; 1 to a vector of zeros."""
    lengths = np.linalg.norm(ours, axis=1)[:, None] * np.linalg.norm(others, axis=1)[None, :]
    cosine = np.divide(ours @ others.T, lengths, out=np.zeros_like(lengths), where=lengths > 0)
    return 2 * np.arccos(np.clip(cosine, -1, 1)) / np.pi


def nearness(base: Base, rows: np.ndarray, typology: np.ndarray) -> np.ndarray:
    """Mean of genetic, geographic and featural distance [rows x all languages].

    The featural one is the share of disagreements among the values that both have, drawn towards 1/2 where these are
    few (Laplace); unknown family or place counts as far away.
    """
    genetic = angular(np.maximum(base.family[rows], 0), np.maximum(base.family, 0))
    places = np.where(base.places < 0, np.nan, base.places)
    geographic = np.nan_to_num(angular(places[rows], places), nan=1.0)
    known, one = (typology >= 0).astype(np.float32), (typology == 1).astype(np.float32)
    zero = (typology == 0).astype(np.float32)
    shared = known[rows] @ known.T
    differing = one[rows] @ zero.T + zero[rows] @ one.T
    return (genetic + geographic + (differing + 1) / (shared + 2)) / 3


def imputed(base: Base, rows: np.ndarray, typology: np.ndarray) -> np.ndarray:
    """The rows of ``typology`` with unknown values filled in from the nearest languages that have them."""
    distance = nearness(base, rows, typology)
    filled = typology[rows].copy()
    for place, row in enumerate(rows):
        order = np.argsort(distance[place], kind="stable")
        order = order[order != row]
        for feature in np.flatnonzero(filled[place] < 0):
            values = typology[order, feature]
            filled[place, feature] = values[values >= 0][:NEIGHBOURS].mean() >= 0.5
    return filled


def report_imputation(base: Base, rows: np.ndarray) -> None:
    """Say how often imputation restores values that were hidden from it."""
    for share in (0.2, 0.9):
        hidden = np.zeros_like(base.typology, dtype=bool)
        hidden[rows] = np.random.default_rng(0).random((len(rows), base.typology.shape[1])) < share
        hidden &= base.typology >= 0
        restored = imputed(base, rows, np.where(hidden, MISSING, base.typology).astype(np.int8))
        right = restored == base.typology[rows]
        columns = {name: np.char.startswith(base.features, PREFIXES[name]) for name in PREFIXES if name != "featural"}
        figures = ", ".join(f"{name} {right[:, c][hidden[rows][:, c]].mean():.3f}" for name, c in columns.items())
        print(f"{share:.0%} of the known values hidden, restored rightly: {figures}", file=sys.stderr)


def table(base: Base, wanted: list[Language]) -> list[dict[str, str]]:
    """The rows of the file."""
    number = {name: row for row, name in enumerate(base.names)}
    rows = np.array([number[language.glottocode] for language in wanted])
    report_imputation(base, rows)
    english = [language.code for language in wanted].index("en")
    filled, known = imputed(base, rows, base.typology).astype(np.float64), base.typology[rows] >= 0
    values: dict[str, tuple[np.ndarray, np.ndarray]] = {}
    for name, prefixes in PREFIXES.items():
        columns = np.logical_or.reduce([np.char.startswith(base.features, prefix) for prefix in prefixes])
        vectors, both = filled[:, columns], (known & known[english])[:, columns]
        values[name] = (angular(vectors, vectors[[english]])[:, 0], both.mean(axis=1))
    for name, matrix in (
        ("genetic", base.family[rows]),
        ("geographic", base.places[rows]),
        ("script", np.stack([base.scripts[language.member] for language in wanted])),
    ):
        both = (matrix >= 0) & (matrix >= 0)[english]
        vectors = np.where(both, matrix, 0).astype(np.float64)
        pairs = zip(vectors, np.where(both, vectors[english], 0), strict=True)
        distance = [angular(ours[None], theirs[None])[0, 0] for ours, theirs in pairs]
        values[name] = (np.where(both.any(axis=1), distance, np.nan), both.mean(axis=1))
    return [_row(language, place, values, place == english) for place, language in enumerate(wanted)]


def _row(
    language: Language, place: int, values: dict[str, tuple[np.ndarray, np.ndarray]], is_english: bool
) -> dict[str, str]:
    iso = language.iso if language.iso == language.member else f"{language.iso}+{language.member}"
    row = {"language": language.code, "iso": iso, "glottocode": language.glottocode}
    for name in COLUMNS:
        distance, observed = values[name][0][place], values[name][1][place]
        row[name] = "" if np.isnan(distance) else f"{0.0 if is_english else distance:.4f}"
        row[f"{name} observed"] = f"{observed:.3f}"
    return row


def main() -> None:
    """Print the file."""
    with tempfile.TemporaryDirectory() as folder:
        copy = copied_package(Path(folder))
        wanted = languages(copy)
        rows = table(integrated(wanted), wanted)
    print(
        f"# URIEL+ (urielplus {version('urielplus')}; Khan et al., COLING 2025), angular distances, 0 to 1; "
        "a feature that is not observed is that of most of the ten nearest languages that have it"
    )
    print("# 'observed': share of the features that are observed in both the language and English.")
    print("# iso: the row of URIEL, + the one that fills its holes. Made by benchmarks/typology_table.py.")
    print("# Licence of this file: CC BY-SA 4.0, as URIEL+'s; whose observations these are: see NOTICE.")
    writer = csv.DictWriter(sys.stdout, list(rows[0]), delimiter="\t", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)


if __name__ == "__main__":
    main()
