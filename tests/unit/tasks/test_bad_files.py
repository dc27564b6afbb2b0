"""What a reader cannot read it names: one short line with file, line and what was expected. Whatever the files hold, it
gives rows or such a line; any other exception is a bug."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from task_files import (
    COSMOS,
    ENDINGS,
    GOOD,
    HELLASWAG,
    Good,
    anli,
    bucc,
    ccg_word,
    commonsenseqa,
    conllu,
    encoded,
    hellaswag,
    mnli,
    refusal,
    tatoeba,
    write,
    xcopa,
)

from dist_stilts.errors import UserError
from dist_stilts.tasks.read_bitext import LONGEST_SENTENCE
from dist_stilts.tasks.registry import all_tasks, get_task
from dist_stilts.tasks.sources import load_bitext, load_rows
from dist_stilts.tasks.spec import Bitext, ChoiceRow, TaggedRow


def load(task: str, root: Path, split: str, language: str) -> Any:
    """The rows or the bitext."""
    spec = get_task(task)
    return (load_rows if spec.read else load_bitext)(spec, root, split, language)


def below(task: str, files: dict[str, Any]) -> dict[str, Any]:
    """The files in the task's folder."""
    return {f"{get_task(task).folders[0]}/{name}": content for name, content in files.items()}


def cosmos(**changes: str) -> str:
    return ",".join((COSMOS | {"context": "One line.", "id": "b2"} | changes).values())


Q = commonsenseqa("q2")["question"]
LONG = "a" * LONGEST_SENTENCE
BAD_LINES: dict[str, list[tuple[Any, str]]] = {
    "commonsenseqa": [
        (commonsenseqa("q1"), "id 'q1' occurs twice"),
        (commonsenseqa("q2", answer="C"), "answerKey 'C' is no choice. Expected one of A, B"),
        (commonsenseqa("q2", answer=["A"]), "no text under the key 'answerKey'"),
        ({"id": "q2", "question": Q}, "no text under the key 'answerKey'"),  # which the test split alone may lack
        (commonsenseqa("q2", names="AA", answer="A"), "two choices have one label"),
        (commonsenseqa("q2", names="A", texts=("red",)), "no list of choices"),
        (commonsenseqa("q2", names="ABC", texts=("red", "blue", "grey")), "3 choices, 2 before"),
        (commonsenseqa("q2", texts=("red", 5)), "no text under the key 'text'"),
        ({"id": "q2", "question": "The sky is?"}, "no object under the key 'question'"),
        ({"id": "q2", "question": {"choices": ["red", "blue"]}}, "no list of choices"),
        ({"id": "q2", "answerKey": "A", "question": {"choices": Q["choices"]}}, "no text under the key 'stem'"),
    ],
    "cosmosqa": [
        (cosmos(label="4"), "label '4' is no choice"),
        (cosmos(label="one"), "label 'one' is no choice"),
        (cosmos(label=""), "label '' is no choice"),
        (cosmos(id="b1##q1"), "id 'b1##q1' occurs twice"),
    ],
    "hellaswag": [
        (hellaswag(), "id 'dev-24' occurs twice"),
        (hellaswag(ind="25"), "no number under the key 'ind'"),
        (hellaswag(ind=25, label=4), "label 4 is no choice. Expected 0 to 3"),
        (hellaswag(ind=25, label=True), "label True is no choice"),
        (hellaswag(ind=25, label=None), "label None is no choice"),
        (hellaswag(ind=25, endings=ENDINGS[:3]), "not 4 endings"),
        (hellaswag(ind=25, endings=[*ENDINGS[:3], None]), "no text under the key 'endings'"),
        (hellaswag(ind=25, ctx_b=None), "no text under the key 'ctx_b'"),
    ],
    "xcopa": [
        (xcopa(), "id '0' occurs twice"),
        (xcopa(idx=1, question="why"), "unknown question 'why'. known: cause, effect"),
        (xcopa(idx=1, label=2), "label 2 is no choice. Expected 0 to 1"),
        (xcopa(idx=1, label=None), "label None is no choice"),
        (xcopa(idx=1, choice2=None), "no text under the key 'choice2'"),
        (xcopa(idx="1"), "no number of an item under the key 'idx'. Expected 0 to 99"),
        (xcopa(idx=100), "no number of an item under the key 'idx'. Expected 0 to 99"),
        (xcopa(idx=True), "no number of an item under the key 'idx'"),
    ],
    "mnli": [
        (mnli(pairID="2", gold_label="neutrl"), "unknown label 'neutrl'. did you mean 'neutral'?"),
        (mnli(pairID="2", sentence2=None), "no text under the key 'sentence2'"),
        (mnli(pairID="2", sentence1="half \ud83d"), "'sentence1' holds half a surrogate pair"),
        (mnli(pairID="2", promptID=7), "no text under the key 'promptID'"),
        (mnli(), "id '31193n' occurs twice"),
    ],
    "anli": [
        (anli("r1"), "id 'r1' occurs twice"),
        (anli("z", label="x"), "unknown label 'x'. known: c, e, n"),
        (anli("z", hypothesis=None), "no text under the key 'hypothesis'"),
        (anli("z", context=3), "no text under the key 'context'"),
    ],
    "qqp": [
        ("7\t1\t2\ta\tb\t0\n", "id '7' occurs twice"),
        ("8\t1\t2\ta\tb\tyes\n", "unknown label 'yes'. known: 0, 1"),
        ("8\t1\t2\ta\tb\t0\tx\n", "7 columns, 6 in the header"),
    ],
    "pawsx": [("1\tc\td\t0\n", "id '1' occurs twice"), ("2\ta\tb\t0\tx\n", "5 columns, 4 in the header")],
    "pawsx, plain": [
        ("a\tb\n", "2 columns. Expected, tab-separated: sentence sentence label"),
        ("a\tb\t2\n", "unknown label '2'. known: 0, 1"),
        ("\n", "a blank line"),
    ],
    "xnli": [
        ("P\tH\n", "2 columns. Expected, tab-separated: sentence sentence label"),
        ("\n", "a blank line"),
        ("P\tH\tNeutral\n", "unknown label 'Neutral'. did you mean 'neutral'?"),
    ],
    "xnli, test": [("P\tH\tneutral\n", "3 columns")],
    "xnli, translated": [("P\tH\n", "2 columns, 3 in the header"), ("P\tH\tx\n", "unknown label 'x'")],
    "xnli, parallel": [("P\tH\tneutral\n", "3 columns. Expected, tab-separated: english_premise")],
    "ccg": [
        ("Ja\tJa\tja\tn\n", "4 columns. Expected, tab-separated: token token symbol"),
        (ccg_word("Ja", ""), "no category for 'Ja'"),
        (ccg_word("Ja", "n p"), "no category for 'Ja'"),
        ("#Ja\n", "1 columns"),
    ],
    "ccg, plain": [
        ("The end\tNP", "2 tokens, 1 supertags. Part both by one space"),
        ("The  end\tNP/N N", "3 tokens, 2 supertags"),
        ("\t", "1 tokens, 1 supertags"),
        ("The end", "1 columns. Expected, tab-separated: tokens supertags"),
    ],
    "treebank": [
        ("2\tword\tNOUN\n", "3 columns. Expected, tab-separated: ID FORM LEMMA UPOS"),
        *((conllu(key, "b", "X"), f"ID '{key}', expected 2") for key in ("3", "x", "")),
        (conllu("2-1", "b", "X"), "ID '2-1' ends before it starts"),
        (conllu("2", "b", "NOUNS"), "unknown tag 'NOUNS'. did you mean 'NOUN'?"),
        (conllu("2-3", "b", "_"), "a fused form spans words that the sentence above does not have"),
    ],
    "udpos": [
        ("word", "1 columns. Expected, tab-separated: token tag"),
        ("\t", "unknown tag ''"),
        ("word\tNOUN\tmore", "3 columns"),
        ("word\tNOUNS", "unknown tag 'NOUNS'. did you mean 'NOUN'?"),
        ("word\t", "unknown tag ''. known: ADJ, ADP"),
        ("word\t" + "x" * 10_000, "unknown tag 'xxxx"),
    ],
    "panx": [("af:x\tB-MISC", "unknown tag 'B-MISC'"), ("af:x", "1 columns"), ("af:x\tO\tO", "3 columns")],
    "bucc": [
        ("zh-1\tb\n", "id 'zh-1' occurs twice"),
        ("zh-2\n", "1 columns. Expected, tab-separated: id text"),
        ("\n", "a blank line"),
        ("zh-2\t \n", "an empty sentence cannot be searched for"),
        (f"zh-2\t{LONG}\n", "100,000 characters are no sentence"),
    ],
}


@pytest.mark.parametrize(("good", "bad", "said"), [(good, *case) for good, some in BAD_LINES.items() for case in some])
def test_a_bad_line_is_named_with_its_number(tmp_path: Path, good: str, bad: Any, said: str) -> None:
    task, split, language, files = GOOD[good]
    name = next(iter(files))
    content = encoded(files[name])
    write(tmp_path, below(task, files | {name: content + encoded([bad] if isinstance(bad, dict) else bad)}))
    number = len(content.decode().split("\n"))
    assert f"/{name}:{number}: {said}" in refusal(load, task, tmp_path, split, language)


GERMAN = ("tatoeba", "test", "de")
XNLI = ("xnli", "test", "en")
OVERLAPPING = conllu("1-2", "ab", "_") + conllu("1", "a", "X") + conllu("2-3", "bc", "_") + conllu("2", "b", "X", "1")
OVERLAPPING += conllu("3", "c", "X", "1")
BAD_FILES: list[tuple[Good, str]] = [
    *(
        (Good(*GERMAN, tatoeba("x\ny\n", "x\ny\n") | {f"tatoeba.deu-eng.{side}": content}), said)
        for side in ("deu", "eng")
        for content, said in (
            ("", f".{side}: file is empty"),
            ("a\n\n", f".{side}:2: an empty sentence cannot be searched for"),
            ("a\n \u3000\nb\n", f".{side}:2: an empty sentence cannot be searched for"),
            (f"a\n{LONG}", f".{side}:2: 100,000 characters are no sentence"),
            ("a\nb\nc\n", ":2: tatoeba.deu-eng.deu has"),
        )
    ),
    (Good(*GERMAN, tatoeba("x\n", "x\ny\n")), "deu:1: tatoeba.deu-eng.deu has 1 lines, tatoeba.deu-eng.eng has 2"),
    *(
        (Good("bucc2018", "dev", "zh", bucc(source, gold=gold)), said)
        for source, gold, said in (
            ("zh-1\ta\n", "zh-1\ten-9\nzh-2\ten-9\n", "dev.gold:2: gold id 'zh-2' is not in zh-en.dev.zh"),
            ("zh-1\ta\n", "zh-1\ten-8\n", "dev.gold:1: gold id 'en-8' is not in zh-en.dev.en"),
            ("zh-1\ta\n", "zh-1\ten-9\nzh-1\ten-9\n", "dev.gold:2: gold pair 'zh-1', 'en-9' occurs twice"),
            ("zh-1\ta\n", "", "zh-en.dev.gold: file is empty"),
            ("", "zh-1\ten-9\n", "zh-en.dev.zh: file is empty"),
        )
    ),
    (
        Good("cosmosqa", "train", "en", {"train.jsonl": [COSMOS | {"label": None}]}),
        "train.jsonl:1: label None is no choice. Expected 0 to 3",
    ),
    *(
        (Good("hellaswag", "dev", "en", {"hellaswag_val_full.txt": text}), f"hellaswag_val_full.txt:{said}")
        for text, said in (
            (HELLASWAG + "Roof work: A man.\n1\n", "8: the last item is cut off"),
            (HELLASWAG + HELLASWAG.replace("3\n", "four\n"), "8: label 'four' is no choice"),
            (HELLASWAG + HELLASWAG.replace("Roof work: ", ""), "7: no context in 'A man is on a roof."),
            (HELLASWAG.replace("\n3\n", "\n"), "5: the last item is cut off"),
        )
    ),
    (
        Good("snli", "dev", "en", {"s1.dev": "P\nP\n", "s2.dev": "H\n", "labels.dev": "neutral\n"}),
        "s2.dev:1: s1.dev has 2 lines, s2.dev has 1 lines, labels.dev",
    ),
    (
        Good("snli", "dev", "en", {"s1.dev": "P\n", "s2.dev": "H\n", "labels.dev": "no\n"}),
        "labels.dev:1: unknown label 'no'",
    ),
    (
        Good("pawsx", "dev", "de", {"x-final/de/dev_2k.tsv": "1\ta\tb\t0\n"}),
        "dev_2k.tsv:1: no column 'id' in the header",
    ),
    *(
        (Good(*XNLI, {"test-en.tsv": text, "test.labels.txt": labels}), said)
        for text, labels, said in (
            ("P\tH\nP\tH\n", "neutral\n", "test.labels.txt:1: 1 labels for the 2 rows of test-en.tsv"),
            ("P\tH\n", "maybe\n", "test.labels.txt:1: unknown label 'maybe'. known: contradiction"),
            ("P\tH\tneutral\n", "entailment\n", "test-en.tsv:1: label 'neutral' here, 'entailment' in the file of"),
        )
    ),
    (Good("udpos", "dev", "de", {"de_x-ud-dev.conllu": OVERLAPPING}), "a fused form spans words"),
]


@pytest.mark.parametrize(("files", "said"), BAD_FILES)
def test_files_that_do_not_hold_what_they_should_are_named(tmp_path: Path, files: Good, said: str) -> None:
    write(tmp_path, below(files.task, files.files))
    assert said in refusal(load, files.task, tmp_path, files.split, files.language)


def told(task: str, root: Path, split: str, language: str) -> str:
    """What the user is told, if anything; every other exception goes through, and no row is less than whole."""
    try:
        found = load(task, root, split, language)
    except UserError as error:
        return str(error)
    if isinstance(found, Bitext):
        assert all(a in found.source_ids and b in found.target_ids for a, b in found.gold or ())
        return ""
    for row in found:
        if isinstance(row, TaggedRow):
            assert row.words
            assert (row.tags is None and split == "test") or len(row.words) == len(row.tags or ())
        elif isinstance(row, ChoiceRow):
            assert row.label is None or row.label in range(len(row.choices))
    return ""


# Cells, keys and first lines that let a case get past the first checks now and then.
CELLS = st.sampled_from(["", "a", "b", "neutral", "entailment", "0", "1", "-", "NOUN", "zh-1", "en-1"])
CELLS |= st.text(max_size=5)
HEADERS = ["gold_label sentence1 sentence2 promptID pairID captionID language", "premise hypo label"]
HEADERS += ["id sentence1 sentence2 label", "id qid1 qid2 question1 question2 is_duplicate"]
HEADER = st.sampled_from(["", *(header.replace(" ", "\t") + "\n" for header in HEADERS)])
TABLE = st.builds(str.__add__, HEADER, st.lists(st.lists(CELLS, max_size=7).map("\t".join), max_size=6).map("\n".join))
KEYS = "gold_label sentence1 sentence2 pairID promptID uid context hypothesis language id answerKey question stem"
KEYS += " choices label text premise choice1 choice2 endings data paragraphs qas answers answer_start is_impossible"
KEY = st.sampled_from(KEYS.split())
VALUES = st.recursive(
    st.none() | st.integers() | st.booleans() | CELLS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEY, inner, max_size=4),
    max_leaves=12,
)
RECORDS = st.lists(st.dictionaries(KEY, VALUES, max_size=6).map(json.dumps), max_size=4).map("\n".join)
CONTENT = st.binary(max_size=60) | (TABLE | RECORDS).map(lambda text: text.encode("utf-8", "surrogatepass"))


@pytest.mark.parametrize("good", GOOD)
@given(data=st.data())
def test_a_mutated_file_gives_rows_or_names_itself(tmp_path: Path, good: str, data: st.DataObject) -> None:
    task, split, language, files = GOOD[good]
    name = data.draw(st.sampled_from(list(files)))
    content, lines = bytearray(encoded(files[name])), encoded(files[name]).decode().splitlines(keepends=True)
    how = data.draw(st.sampled_from(["bytes", "lines", "values"] if name.endswith(".jsonl") else ["bytes", "lines"]))
    if how == "bytes":
        for place in data.draw(st.lists(st.integers(0, len(content) - 1), min_size=1, max_size=6)):
            content[place] = data.draw(st.sampled_from(b'\t\n\r #~",.-:_0129Oa\x00\xff'))
        del content[data.draw(st.integers(1, len(content))) :]
    elif how == "lines":
        content = "".join(data.draw(st.lists(st.sampled_from([*lines, "0\n", "\n", "a: b\n"]), max_size=14))).encode()
    else:
        record = json.loads(lines[0])
        changes = data.draw(st.dictionaries(st.sampled_from(sorted(record)), VALUES, min_size=1, max_size=3))
        content = encoded([record | changes])
    write(tmp_path, below(task, files | {name: bytes(content)}))
    said = told(task, tmp_path, split, language)
    assert len(said) < 1000
    assert not said or any(f"{name}:" in said for name in files) or "holds no example" in said


READABLE = [spec for spec in all_tasks() if spec.read or spec.read_bitext]
EXPECTED: list[tuple[str, str, str, tuple[str, ...]]] = [
    (spec.name, split, language, ())
    for spec in READABLE
    for split in spec.splits
    for language in dict.fromkeys((spec.languages[0], spec.languages[-1]))
]
"""The files that a task asks for when none is there; those of the other layouts follow."""
OTHER_LAYOUTS = [
    ("mnli", "train", "en", ("multinli_1.0_train.txt",)),
    ("mnli", "dev", "en", ("MNLI/dev_matched.tsv",)),
    ("snli", "dev", "en", ("s1.dev", "s2.dev", "labels.dev")),
    ("snli", "dev", "en", ("snli_1.0_dev.txt",)),
    ("xnli", "test", "de", ("test-de.tsv", "test.labels.txt")),
    ("xnli", "test", "de", ("XNLI-1.0/xnli.test.tsv",)),
    ("xnli", "dev", "de", ("xnli.dev.jsonl",)),
    ("xnli", "train", "de", ("multinli.train.de.tsv",)),
    ("xnli", "train", "de", ("translate-train/en-de-translated.tsv",)),
    ("pawsx", "test", "de", ("test-de.tsv", "test-de.labels.txt")),
    ("pawsx", "dev", "de", ("de/dev_2k.tsv",)),
    ("pawsx", "train", "de", ("en-de-translated.tsv",)),
    ("bucc2018", "dev", "zh", ("zh-en.dev.zh", "zh-en.dev.en", "zh-en.dev.gold")),
]


@pytest.mark.parametrize("task", [spec.name for spec in READABLE])
@given(data=st.data())
def test_rubbish_gives_rows_or_a_user_error(tmp_path: Path, data: st.DataObject, task: str) -> None:
    spec = get_task(task)
    layouts = [layout for layout in EXPECTED + OTHER_LAYOUTS if layout[0] == task]
    _, split, language, names = data.draw(st.sampled_from(layouts))
    folder = tmp_path / spec.folders[0]
    shutil.rmtree(folder, ignore_errors=True)  # another layout may be there
    paths = [folder / name for name in names] or spec.find(folder, split, language)
    write(tmp_path, {str(path.relative_to(tmp_path)): data.draw(CONTENT) for path in paths})
    assert set(paths) <= set(spec.find(folder, split, language))
    assert len(told(task, tmp_path, split, language)) < 1000
