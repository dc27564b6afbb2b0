"""Models that somebody else made: scored as transformers alone would, or refused in one line."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from seqeval.metrics import f1_score
from transformers import AutoModelForSequenceClassification, AutoModelForTokenClassification

from dist_stilts.errors import UserError
from dist_stilts.evaluate.suite import EvalTask, EvaluationConfig, Job, evaluate, prepare_job
from dist_stilts.parallel.world import current
from dist_stilts.results.record import ResultRecord
from dist_stilts.tasks.registry import get_task
from dist_stilts.tasks.sources import load_rows

NLI = ("NEUTRAL", "Contradiction", "ENTAILMENT")
TAGS = ("I-PER", "O", "B-DATE", "B-LOC", "I-LOC", "B-PER")
SIZES = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
SIZES |= {"initializer_range": 0.2, "max_position_embeddings": 130}
Make = Callable[..., str]


@pytest.fixture
def make(tokenizer: Any, tmp_path: Path) -> Make:
    """``make(architecture, kind, labels)`` writes a random model of transformers' with a tokenizer; its folder."""

    def write(
        architecture: str,
        kind: str,
        labels: tuple[str, ...] = (),
        words: Any = tokenizer,
        *,
        whole: bool = True,
        **more: Any,
    ) -> str:
        named = {"id2label": dict(enumerate(labels)), "label2id": {name: id for id, name in enumerate(labels)}}
        config = getattr(transformers, f"{architecture}Config")(
            vocab_size=len(words), pad_token_id=words.pad_token_id, **SIZES, **(named if labels else {}), **more
        )
        torch.manual_seed(2)
        folder = tmp_path / f"{architecture}{kind}"
        getattr(transformers, f"{architecture}{kind}")(config).save_pretrained(folder)
        if whole:
            words.save_pretrained(folder)
        return str(folder)

    return write


def job(model: str, tasks: str, world: Path, out: Path, **more: Any) -> Job:
    wanted = {name: EvalTask(["test" if name == "xquad" else "dev"], ["en", "qaa"]) for name in tasks.split(",")}
    places = (out / "prepared", 64, out / "results.jsonl", out / "predictions", out / "embeddings")
    return Job(model, wanted, EvaluationConfig(8), world, *places, **more)


def records(model: str, tasks: str, world: Path, out: Path, **more: Any) -> list[ResultRecord]:
    return evaluate(job(model, tasks, world, out, **more), current())


def predicted(out: Path, task: str, language: str) -> list[str]:
    return (out / "predictions" / task / f"dev-{language}.tsv").read_text(encoding="utf-8").splitlines()


@pytest.mark.parametrize(("architecture", "words"), [("XLMRoberta", "tokenizer"), ("Bert", "bert_tokenizer")])
@torch.no_grad()
def test_a_classifier_with_labels_in_another_order_predicts_what_transformers_does(
    architecture: str, words: str, make: Make, world: Path, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    tokenizer = request.getfixturevalue(words)  # of which BERT's gives types to the tokens of a pair
    folder = make(architecture, "ForSequenceClassification", NLI, tokenizer)
    theirs = AutoModelForSequenceClassification.from_pretrained(folder).eval()
    rows: dict[str, list[Any]] = {code: load_rows(get_task("xnli"), world, "dev", code) for code in ("en", "qaa")}
    texts = {code: [[row.text_a for row in own], [row.text_b for row in own]] for code, own in rows.items()}
    batches = {code: tokenizer(*pair, padding=True, return_tensors="pt") for code, pair in texts.items()}
    output = getattr(theirs.classifier, "out_proj", theirs.classifier)
    # So that it predicts not one class alone.
    output.bias -= torch.cat([theirs(**batch).logits for batch in batches.values()]).mean(0)
    theirs.save_pretrained(folder)
    seen: set[str] = set()
    for record in records(folder, "xnli", world, tmp_path):
        expected = [NLI[label].lower() for label in theirs(**batches[record.language]).logits.argmax(-1)]
        assert predicted(tmp_path, "xnli", record.language) == expected
        right = [label == row.label for label, row in zip(expected, rows[record.language], strict=True)]
        assert record.value == pytest.approx(100 * sum(right) / len(right))
        seen |= set(expected)
        assert record.reading.labels == "neutral,contradiction,entailment"
        assert (record.model.path, record.model.origin) == (folder, "pretrained")
    assert len(seen) > 1


def test_other_meanings_of_the_outputs_are_another_score(make: Make, world: Path, tmp_path: Path) -> None:
    folder = make("XLMRoberta", "ForSequenceClassification", num_labels=3)
    with pytest.raises(UserError, match=r"They have no names: .* --labels LABEL_0=…"):
        records(folder, "xnli", world, tmp_path)
    first = records(folder, "xnli", world, tmp_path, labels="entailment,neutral,contradiction")
    same = "LABEL_2=contradiction,LABEL_1=neutral,LABEL_0=entailment"
    assert records(folder, "xnli", world, tmp_path, labels=same) == first, "said otherwise, it is the same"
    ours = predicted(tmp_path, "xnli", "en")
    both = records(folder, "xnli", world, tmp_path, labels="contradiction,neutral,entailment")
    assert both[: len(first)] == first
    assert len({record.identity for record in both}) == 2 * len(first)
    swapped = {"entailment": "contradiction", "contradiction": "entailment", "neutral": "neutral"}
    assert predicted(tmp_path, "xnli", "en") == [swapped[label] for label in ours]


@torch.no_grad()
def test_a_tagger_with_other_tags_is_scored_on_what_it_shares_and_the_rest_is_said(
    make: Make, world: Path, tokenizer: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = make("Bert", "ForTokenClassification", TAGS)
    found = {(record.language, record.metric): record for record in records(folder, "panx", world, tmp_path)}
    theirs = AutoModelForTokenClassification.from_pretrained(folder).eval()
    dates = words = 0
    for language in ("en", "qaa"):
        rows: list[Any] = load_rows(get_task("panx"), world, "dev", language)
        tags = []
        for row in rows:
            encoded = tokenizer(list(row.words), is_split_into_words=True, return_tensors="pt")
            best = theirs(**encoded).logits[0].argmax(-1)
            places = encoded.word_ids()
            tags.append([TAGS[best[places.index(word)]] for word in range(len(row.words))])
        lines = [line for sentence in tags for line in [*sentence, ""]][:-1]
        assert predicted(tmp_path, "panx", language) == lines
        assert found[language, "f1"].value == pytest.approx(100 * f1_score([list(row.tags) for row in rows], tags))
        dates, words = dates + lines.count("B-DATE"), words + len(lines) - lines.count("")
    assert dates
    said = capsys.readouterr().err
    assert f"panx: the model also predicts B-DATE, never right here: {dates} of {words} predictions" in said
    assert "panx: the model never predicts B-ORG, I-ORG: " in said


def test_texts_are_cut_to_what_the_model_can_read(
    make: Make, world: Path, tokenizer: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = make("XLMRoberta", "ForSequenceClassification", NLI)
    asked = replace(job(folder, "xnli", world, tmp_path), max_length=500)
    record, *_ = evaluate(asked, current())
    positions = 130 - tokenizer.pad_token_id - 1
    assert record.reading.max_length == positions
    assert f"cut to {positions} tokens, not 500" in capsys.readouterr().err
    config = Path(folder, "tokenizer_config.json")
    config.write_text(json.dumps({**json.loads(config.read_text(encoding="utf-8")), "model_max_length": 20}))
    assert {record.reading.max_length for record in evaluate(asked, current())} == {positions, 20}


REFUSED = [
    ("XLMRoberta", "Model", "xnli", "the model has no trained head for 'xnli' .heads: none"),
    ("XLMRoberta", "ForMaskedLM", "xnli", "a XLMRobertaForMaskedLM .mlm. cannot be scored on 'xnli'"),
    ("XLMRoberta", "ForTokenClassification", "xnli", "a XLMRobertaForTokenClassification .token. cannot be scored on"),
    ("XLMRoberta", "ForQuestionAnswering", "xquad,panx,xnli", "cannot be scored on 'panx', 'xnli'. Leave them out"),
    ("GPT2", "LMHeadModel", "xnli", "a GPT2LMHeadModel generates text"),
    ("T5", "ForConditionalGeneration", "xnli", "a T5ForConditionalGeneration is an encoder and a decoder"),
    ("GPT2", "ForSequenceClassification", "xnli", "a GPT2ForSequenceClassification reads its tokens in a way that"),
    ("Bart", "ForSequenceClassification", "xnli", "a BartForSequenceClassification is an encoder and a decoder"),
    ("Longformer", "ForSequenceClassification", "xnli", "a LongformerForSequenceClassification reads its tokens in a"),
]


@pytest.mark.parametrize(("architecture", "kind", "tasks", "message"), REFUSED)
def test_models_that_cannot_be_scored_are_refused(
    architecture: str, kind: str, tasks: str, message: str, make: Make, world: Path, tmp_path: Path
) -> None:
    labels = NLI if kind == "ForSequenceClassification" else ()
    with pytest.raises(UserError, match=message) as refused:
        records(make(architecture, kind, labels), tasks, world, tmp_path)
    assert "\n" not in str(refused.value)
    assert refused.value.code == 2


def test_a_head_that_only_the_configuration_has_is_refused(make: Make, world: Path, tmp_path: Path) -> None:
    folder = Path(make("XLMRoberta", "Model", NLI))
    said = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    said["architectures"] = ["XLMRobertaForSequenceClassification"]
    (folder / "config.json").write_text(json.dumps(said))
    with pytest.raises(UserError, match=r"4 tensors are not in the file .*would be random"):
        records(str(folder), "xnli", world, tmp_path)


def test_a_model_without_a_tokenizer_is_refused(make: Make, world: Path, tmp_path: Path) -> None:
    folder = make("XLMRoberta", "ForSequenceClassification", NLI, whole=False)
    with pytest.raises(UserError, match="no tokenizer"):
        records(folder, "xnli", world, tmp_path)
    with pytest.raises(UserError, match="no tokenizer"):
        prepare_job(job(folder, "xnli", world, tmp_path))


def test_code_that_comes_with_a_model_is_not_run(make: Make, world: Path, tmp_path: Path) -> None:
    folder = Path(make("XLMRoberta", "ForSequenceClassification", NLI))
    said = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    own = {"model_type": "of_its_own", "auto_map": {"AutoConfig": "code.Config"}}
    (folder / "config.json").write_text(json.dumps(said | own))
    (folder / "code.py").write_text("raise SystemExit('it ran')\n")
    with pytest.raises(UserError, match=r"brings its own code \(auto_map in config.json\), which is not run"):
        records(str(folder), "xnli", world, tmp_path)
