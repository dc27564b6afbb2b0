"""A translation is whole or absent, goes on where it was killed, and is made once; nothing is used for another."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import damage
import pytest
import torch
from rot import flip_bit

from dist_stilts.errors import EXIT_BAD_INPUT, UserError
from dist_stilts.once import hold
from dist_stilts.parallel.world import current
from dist_stilts.tasks import registry
from dist_stilts.tasks.registry import get_task
from dist_stilts.tasks.rows_json import read_rows, row_to_json
from dist_stilts.tasks.sources import load_rows
from dist_stilts.tasks.spec import Answer, PairRow, Row, SpanRow, TaskSpec
from dist_stilts.translate.job import Outcome, Request, translate
from dist_stilts.translate.languages import require_known
from dist_stilts.translate.parts import Translation, appending, read


class Backwards:
    """Writes every word backwards, and remembers what it was asked. Dies after ``lives`` batches."""

    limit, dtype = 40, "float32"

    def __init__(self, lives: int = 1000) -> None:
        self.lives, self.seen = lives, []

    def require(self, language: str) -> None:
        require_known(language, {"de": ("", 1), "fr": ("", 2)})

    def length(self, text: str) -> int:
        return len(text)

    def __call__(self, texts: Sequence[str], language: str) -> list[Translation]:
        if not self.lives:
            raise KeyboardInterrupt
        self.lives -= 1
        self.seen.extend(texts)
        return [Translation(f"{language} " + " ".join(word[::-1] for word in text.split())) for text in texts]


def spec(family: Any, name: str = "made-up") -> TaskSpec:
    files: dict[str, Any] = {"find": lambda folder, split, language: [folder / f"{split}.jsonl"]}
    files |= {"read": lambda folder, split, language: read_rows(folder / f"{split}.jsonl"), "folders": (name,)}
    return TaskSpec(name=name, family=family, languages=("en",), metric="accuracy", **files)


def write(root: Path, rows: Sequence[Row], name: str = "made-up") -> None:
    (root / name).mkdir(parents=True, exist_ok=True)
    (root / name / "train.jsonl").write_text("".join(json.dumps(row_to_json(row)) + "\n" for row in rows))


def pairs(count: int) -> list[PairRow]:
    return [PairRow(f"r{n}", f"g{n // 3}", f"premise number {n // 3}", f"claim {n}", "yes") for n in range(count)]


@pytest.fixture
def request_(tmp_path: Path) -> Request:
    """To translate twenty pairs, four texts at a time, with a model of one file."""
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "config.json").write_text("{}")
    write(tmp_path / "data", pairs(20))
    data, out, model = tmp_path / "data", tmp_path / "out", str(tmp_path / "model")
    return Request(spec("sequence"), data, out, "train", ["de"], model, batch_size=4)


def run(request: Request, translator: Backwards | None = None) -> list[Outcome]:
    """Translate; without a translator, it must do without."""

    def load(folder: Path, beams: int, max_length: int, device: torch.device) -> Any:
        assert translator is not None, "the model was loaded for nothing"
        return translator

    return translate(request, current(), load=load)


def files(out: Path) -> list[str]:
    return sorted(path.relative_to(out).as_posix() for path in out.rglob("*"))


def test_rows_keep_order_ids_groups_and_labels_and_the_record_says_what_made_the_file(request_: Request) -> None:
    [outcome] = run(replace(request_, beams=3), Backwards())
    rows = list(read_rows(outcome.path))
    assert rows[4] == PairRow("r4", "g1", "de esimerp rebmun 1", "de mialc 4", "yes")
    assert [(row.id, row.group) for row in rows] == [(row.id, row.group) for row in pairs(20)]
    folder = "made-up/translated"
    assert files(request_.out)[1:] == [folder, f"{folder}/train-de.json", f"{folder}/train-de.jsonl"]
    assert outcome.made
    assert "20 rows in" in outcome.line()
    record = json.loads(outcome.path.with_suffix(".json").read_text())
    assert record == outcome.record
    assert (record["model"], record["beams"], record["limit"]) == (request_.model, 3, request_.limit)
    assert record["date"][:2] == "20"
    counts = {"English rows": 20, "rows written": 20, "different texts": 27}
    assert record["counts"] == {**counts, "texts translated in pieces": 0, "pieces that the model did not end": 0}


def test_repeated_texts_are_translated_once_and_long_ones_in_pieces(request_: Request) -> None:
    sentence = "A rather long sentence of words. "
    write(request_.data, [*pairs(20), PairRow("x", "x", sentence * 3, sentence, None)])
    translator = Backwards()
    [outcome] = run(request_, translator)
    assert len(translator.seen) == len(set(translator.seen)) == 7 + 20 + 1
    last = list(read_rows(outcome.path))[-1]
    assert last.text_a == " ".join([last.text_b] * 3)
    assert outcome.record["counts"]["texts translated in pieces"] == 1


def test_spans_of_the_file_are_where_they_say_lost_rows_are_counted_and_nothing_but_those_is_not_written(
    request_: Request,
) -> None:
    context = "the Normans came in the tenth century"
    rows = [
        SpanRow("0", "p", "who came", context, (Answer("Normans", 4),)),
        SpanRow("1", "p", "when", context, (Answer("tenth century", 24),)),
        SpanRow("2", "p", "why", context, ()),
    ]
    write(request_.data, rows)

    class Loses(Backwards):
        def __call__(self, texts: Sequence[str], language: str) -> list[Translation]:
            if language == "fr":
                return [Translation("") for _ in texts]
            return [Translation("X" if text == "Normans" else text.upper()) for text in texts]

    request = replace(request_, spec=spec("span"))
    [outcome] = run(request, Loses())
    assert list(read_rows(outcome.path)) == [
        SpanRow("1", "p", "WHEN", context.upper(), (Answer("TENTH CENTURY", 24),)),
        SpanRow("2", "p", "WHY", context.upper(), ()),
    ]
    assert outcome.record["counts"]["dropped: no answer is in the translated context"] == 1
    with pytest.raises(UserError, match="none of 3 rows came through"):
        run(replace(request, languages=["fr"]), Loses())
    assert not list(request_.out.rglob("train-fr.json*"))


def test_a_killed_run_goes_on_where_it_was(request_: Request, tmp_path: Path) -> None:
    [whole] = run(replace(request_, out=tmp_path / "whole"), Backwards())
    first, second = Backwards(lives=3), Backwards()
    with pytest.raises(KeyboardInterrupt):
        run(request_, first)
    assert not list(request_.out.rglob("train-de.json*"))
    [part] = request_.out.rglob("rank-0.jsonl")
    with part.open("ab") as file:
        file.write(b'{"batch": 99, "tran')
    [outcome] = run(request_, second)
    assert (len(first.seen), len(second.seen)) == (12, 27 - 12)
    assert outcome.path.read_bytes() == whole.path.read_bytes()
    assert not list(request_.out.rglob("*.parts"))


@pytest.mark.parametrize("share", [0.01, 0.3, 0.5, 0.99])
def test_a_batch_that_is_no_longer_what_was_written_is_translated_again(
    request_: Request, tmp_path: Path, share: float, caplog: pytest.LogCaptureFixture
) -> None:
    [whole] = run(replace(request_, out=tmp_path / "whole"), Backwards())
    with pytest.raises(KeyboardInterrupt):
        run(request_, Backwards(lives=3))
    [part] = request_.out.rglob("rank-0.jsonl")
    flip_bit(part, share)
    again = Backwards()
    [outcome] = run(request_, again)
    assert len(again.seen) == 27 - 12 + 4
    assert outcome.path.read_bytes() == whole.path.read_bytes()
    assert [f"{part} is damaged" in record.getMessage() for record in caplog.records] == [True]


def test_a_rotten_or_edited_translation_is_refused_until_its_record_says_nothing_of_it(request_: Request) -> None:
    [made] = run(replace(request_, out=request_.data), Backwards())
    flip_bit(made.path)
    record = made.path.with_suffix(".json")
    said = rf"train-de.jsonl: damaged, or changed since it was translated .* take \"content\" out of {record}"
    with pytest.raises(UserError, match=said):
        run(replace(request_, out=request_.data))
    with pytest.raises(UserError, match=said):
        load_rows(request_.spec, request_.data, "train", "de")
    content = json.loads(record.read_text())
    record.write_text(json.dumps({key: value for key, value in content.items() if key != "content"}))
    made.path.write_text(made.path.read_text(encoding="latin-1").replace("!", " "))
    assert len(load_rows(request_.spec, request_.data, "train", "de")) == 20


@pytest.mark.parametrize("what", ["beams", "max_length", "batch_size", "weights", "english", "language"])
def test_parts_of_another_model_setting_or_text_are_not_used(request_: Request, what: str) -> None:
    with pytest.raises(KeyboardInterrupt):
        run(request_, Backwards(lives=5))
    changed = request_
    if what == "weights":
        (Path(request_.model) / "config.json").write_text('{"other": 1}')
    elif what == "english":
        write(request_.data, [*pairs(19), PairRow("r19", "g6", "premise number 6", "another", "yes")])
    elif what == "language":
        changed = replace(request_, languages=["fr"])
    else:
        changed = replace(request_, **{what: getattr(request_, what) + 1})
    translator = Backwards()
    run(changed, translator)
    assert len(translator.seen) == 27


def test_a_finished_translation_is_not_made_again_only_what_is_missing_is_and_another_not_overwritten(
    request_: Request,
) -> None:
    [first] = run(request_, Backwards())
    before = first.path.stat().st_mtime_ns
    [again] = run(replace(request_, batch_size=5))
    assert not again.made
    assert again.record == first.record
    assert again.line() == f"nothing to do: {first.path} is there"
    translator = Backwards()
    outcomes = run(replace(request_, languages=["de", "fr", "de"]), translator)
    assert [outcome.made for outcome in outcomes] == [False, True]
    assert len(translator.seen) == 27
    with pytest.raises(UserError, match=r"train-de.jsonl: holds another translation \(beams: 1 -> 2.*Delete it"):
        run(replace(request_, beams=2))
    first.path.with_suffix(".json").unlink()
    with pytest.raises(UserError, match="no record of what made it"):
        run(request_)
    assert first.path.stat().st_mtime_ns == before


def test_a_damaged_record_of_a_translation_is_named_and_the_rows_are_left_alone(request_: Request) -> None:
    [first] = run(request_, Backwards())
    rows, record = first.path.read_bytes(), first.path.with_suffix(".json")
    good = record.read_bytes()
    for harm in (*damage.of_file(good), *damage.of_fields(good)):
        harm.do(record)
        said = ""
        try:
            assert run(request_)[0].line().startswith("nothing to do"), harm.name
        except UserError as error:
            said = str(error)
        assert not said or (str(first.path.with_suffix("")) in said and "\n" not in said), (harm.name, said)
        assert said or harm.name not in {each.name for each in damage.of_file(good)}
        record.rmdir() if record.is_dir() else record.unlink()
        record.write_bytes(good)
    assert first.path.read_bytes() == rows


def test_two_programs_do_not_work_on_one_file_and_progress_counts_what_was_done_before(request_: Request) -> None:
    with pytest.raises(KeyboardInterrupt):
        run(request_, Backwards(lives=3))
    [parts] = request_.out.rglob("*.parts")
    held = hold(parts / ".lock")
    assert held is not None
    with pytest.raises(UserError, match="another program"):
        run(request_, Backwards())
    held.release()
    seen: list[tuple[str, int, int]] = []
    translate(request_, current(), lambda *said: seen.append(said), load=lambda *_: Backwards())
    assert seen == [("translating made-up train de", 7, 7)]


def test_what_another_program_has_ended_meanwhile_is_not_made_again(request_: Request) -> None:
    first, second = Backwards(), Backwards()

    def load(*_: Any) -> Any:
        run(request_, first)
        return second

    [outcome] = translate(request_, current(), load=load)
    assert (len(first.seen), second.seen) == (27, [])
    assert outcome.record["counts"]["rows written"] == 20
    assert len(list(read_rows(outcome.path))) == 20


def test_slices_are_parallel_to_the_english_ones(request_: Request) -> None:
    [outcome] = run(replace(request_, split="train[:50%]"), Backwards())
    assert outcome.path.name == "train-de.jsonl"
    english = load_rows(request_.spec, request_.data, "train[:50%]", "en")
    assert 0 < len(english) < 20
    assert [row.id for row in read_rows(outcome.path)] == [row.id for row in english]


def test_a_composite_task_is_translated_part_by_part(request_: Request, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("one", "two"):
        monkeypatch.setitem(registry._BY_NAME, name, spec("sequence", name))
        write(request_.data, pairs(4), name)
    both = replace(spec("sequence", "both"), parts=("one", "two"), read=None)
    outcomes = run(replace(request_, spec=both), Backwards())
    made = [outcome.path.relative_to(request_.out).as_posix() for outcome in outcomes]
    assert made == [f"{name}/translated/train-de.jsonl" for name in ("one", "two")]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"spec": spec("token")}, "cannot be translated: its tags are of words"),
        ({"spec": spec("tatoeba")}, "retrieval task"),
        ({"languages": ["en"]}, "--to de,fr"),
        ({"languages": [""]}, "--to de,fr"),
        ({"languages": ["de", "fx"]}, "no language 'fx'"),
        ({"model": "/no/such/folder"}, "no such model folder"),
        ({"split": "tset"}, "no split 'tset'"),
    ],
)
def test_bad_requests_are_one_line_and_leave_nothing(request_: Request, change: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message) as raised:
        run(replace(request_, **change), Backwards())
    assert raised.value.code == EXIT_BAD_INPUT
    assert "\n" not in str(raised.value)
    assert not request_.out.exists()


def test_a_real_model_s_translation_of_a_real_task_is_read_back(
    world: Path, tiny_translator: Path, tmp_path: Path
) -> None:
    task = get_task("commonsenseqa")
    request = Request(task, world, tmp_path, "dev", ["de", "fr"], str(tiny_translator), limit=5, max_length=32)
    outcomes = translate(request, current())
    english = load_rows(task, world, "dev", "en")[:5]
    for outcome, language in zip(outcomes, ("de", "fr"), strict=True):
        rows = load_rows(task, tmp_path, "dev", language)
        assert list(read_rows(outcome.path)) == rows
        assert {row.id for row in rows} <= {row.id for row in english}
        assert not {row.prompt for row in rows} & {row.prompt for row in english}  # type: ignore[attr-defined]
        assert outcome.record["counts"]["pieces that the model did not end"] > 0
    assert outcomes[0].path.read_text() != outcomes[1].path.read_text()


ONE, TWO = [Translation("eins\nzwei", True), Translation("„drei“")], [Translation("vier")]
SIZES = (2, 1, 1, 2)


def test_what_ranks_appended_is_read_by_its_numbers(tmp_path: Path) -> None:
    with appending(tmp_path, 0) as first, appending(tmp_path, 5) as other:
        first(3, ONE)
        other(1, TWO)
        assert read(tmp_path, SIZES) == {3: ONE, 1: TWO}
    damaged = (
        "null",
        "[]",
        "{",
        '{"batch": 0}',
        '{"batch": -1, "translations": []}',
        '{"batch": 9, "translations": []}',
    )
    others = ('{"batch": 0, "translations": [["a", false]]}', '{"batch": 2, "translations": [[1, false]]}', "\udcff")
    text = "".join(f"{line}\n" for line in (*damaged, *others))
    (tmp_path / "rank-7.jsonl").write_bytes(text.encode(errors="surrogateescape"))
    assert read(tmp_path, SIZES) == {3: ONE, 1: TWO}, "a damaged line is translated again"
    assert read(tmp_path / "none", SIZES) == {}


@pytest.mark.parametrize("lost", [1, 5, 20])
def test_a_torn_last_line_is_dropped_and_written_again(tmp_path: Path, lost: int) -> None:
    with appending(tmp_path, 0) as append:
        append(0, ONE)
        append(1, TWO)
    path = tmp_path / "rank-0.jsonl"
    path.write_bytes(path.read_bytes()[:-lost])
    assert read(tmp_path, SIZES) == {0: ONE}
    with appending(tmp_path, 0) as append:
        append(1, TWO)
    assert read(tmp_path, SIZES) == {0: ONE, 1: TWO}
