"""Tutorials do what they say: each is followed as its reader does, with a tiny encoder in the place of the Hub's.

``DIST_STILTS_TUTORIAL_ENCODER`` names a folder with a real one, and ``DIST_STILTS_TUTORIAL_MODEL`` a fine-tuned
classifier of entailment; what the pages print is then printed by pytest's ``-s``, and has to be better than chance.
"""

from __future__ import annotations

import csv
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from models_made import save_checkpoint

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
TUTORIALS = Path(__file__).parents[2] / "docs" / "tutorials"
SECONDS = 800
REAL = {name: os.environ.get(f"DIST_STILTS_TUTORIAL_{name}") for name in ("ENCODER", "MODEL")}
BLOCK = re.compile(r"^```(bash|python)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
CHOICE = re.compile(r"^(ENCODER|MODEL)=\S+$", re.MULTILINE)
FOUND = {
    "classifier": ("tickets.yaml", "runs/tickets/page.html", "runs/tickets/data.txt", "predictions.csv"),
    "ner": ("names.yaml", "runs/names/page.html", "runs/names/names/predictions/names/test-tr.tsv", "tagged.jsonl"),
    "qa": ("questions.yaml", "runs/questions/page.html", "answers.jsonl"),
    "mining": ("pairs.tsv", "tuned.tsv", "tuned.curve.png", "sweep/results.jsonl"),
    "score": ("scores/results.jsonl", "scores/predictions/xnli/test-tr.tsv", "retrieval/results.jsonl"),
}
"""What a page promises to be there at its end."""


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """An encoder, whose words are those of the tutorials, and a model that tells entailment."""
    from transformers import XLMRobertaConfig, XLMRobertaModel, set_seed

    set_seed(0)
    folder, tokenizer = tmp_path_factory.mktemp("models"), make_tokenizer()
    sizes = {"num_hidden_layers": 2, "hidden_size": 256, "num_attention_heads": 4, "intermediate_size": 256}
    sizes |= {"initializer_range": 0.1, "type_vocab_size": 1, "max_position_embeddings": 402}
    XLMRobertaModel(XLMRobertaConfig(vocab_size=len(tokenizer), pad_token_id=1, **sizes)).save_pretrained(
        folder / "encoder"
    )
    tokenizer.save_pretrained(folder / "encoder")
    labels = ("contradiction", "Neutral", "ENTAILMENT")
    model = save_checkpoint(folder / "model", "sequence", {"model_type": "xlm-roberta", **sizes}, tokenizer, labels)
    return {"ENCODER": REAL["ENCODER"] or str(folder / "encoder"), "MODEL": REAL["MODEL"] or str(model)}


def make_tokenizer() -> Any:
    """XLM-R's kind, with the pieces that the tutorials' data are made of."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    backend = Tokenizer(models.BPE(unk_token="<unk>"))
    backend.pre_tokenizer, backend.decoder = pre_tokenizers.Metaspace(), decoders.Metaspace()
    trainer = trainers.BpeTrainer(vocab_size=3000, special_tokens=special, show_progress=False)
    backend.train([str(path) for path in sorted(TUTORIALS.glob("*/*")) if path.is_file()], trainer)
    backend.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", pair="<s> $A </s> </s> $B </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    names = {"bos": "<s>", "eos": "</s>", "cls": "<s>", "sep": "</s>", "pad": "<pad>", "unk": "<unk>", "mask": "<mask>"}
    return PreTrainedTokenizerFast(
        tokenizer_object=backend,
        model_input_names=["input_ids", "attention_mask"],
        **{f"{name}_token": token for name, token in names.items()},
    )


def script_of(page: str, models: dict[str, str]) -> str:
    """The blocks of a page in their order as one script, which says where it is; the line that chooses is replaced."""
    parts = ["set -euo pipefail"]
    for number, (language, block) in enumerate(BLOCK.findall(page), 1):
        body = block if language == "bash" else f"python - <<'BLOCK'\n{block}BLOCK\n"
        parts.append(f"echo '== block {number}' >&2\n{body}")
    script, chosen = CHOICE.subn(lambda line: f"{line[1]}={models[line[1]]}", "\n".join(parts))
    assert chosen == 1, f"{chosen} lines of the page choose the model"
    return script


@pytest.fixture
def follow(models: dict[str, str], tmp_path: Path, kill: Callable[[int], Any]) -> Callable[[str], str]:
    """``follow(name)``: run a page's blocks in a folder that has the clone's docs; returns what they print."""
    shutil.copytree(TUTORIALS, tmp_path / "docs" / "tutorials")
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}

    def follow_(name: str) -> str:
        script = script_of((TUTORIALS / f"{name}.md").read_text(encoding="utf-8"), models)
        pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
        job = subprocess.Popen(["bash", "-c", script], cwd=tmp_path, env=environment, start_new_session=True, **pipes)
        try:
            said, _ = job.communicate(timeout=SECONDS)
        finally:
            kill(job.pid)
        print(said)
        assert job.returncode == 0, said[-3000:]
        return str(said)

    return follow_


def scores(file: Path) -> dict[str, float]:
    """Language to value of the records of one task's main metric."""
    records = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    return {record["language"]: record["value"] for record in records if record["main"]}


@pytest.mark.parametrize("name", FOUND)
def test_a_tutorial_ends_well_and_leaves_what_it_promises(
    name: str, follow: Callable[[str], str], tmp_path: Path
) -> None:
    said = follow(name)
    assert not [file for file in FOUND[name] if not (tmp_path / file).is_file()]
    CHECKS[name](said, tmp_path)


def check_classifier(said: str, folder: Path) -> None:
    """Ten languages are scored; the pipeline says of each row what ``predict`` does."""
    from transformers import pipeline

    assert "| run | en | ar | de | es | fr | hi | ru | sw | tr | zh |" in said
    with (folder / "predictions.csv").open(encoding="utf-8") as lines:
        rows = list(csv.DictReader(lines))
    classify = pipeline("text-classification", model=str(folder / "runs/tickets/tickets/model"), top_k=None)
    found = classify([row["text"] for row in rows])
    assert len(rows) == 10
    for row, given in zip(rows, found, strict=True):
        ours = json.loads(row["probabilities"])
        assert given[0]["label"] == row["label"]
        assert {one["label"]: one["score"] for one in given} == pytest.approx(ours, abs=1e-4)
    if REAL["ENCODER"]:
        assert min(scores(folder / "runs/tickets/tickets/results.jsonl").values()) > 60


def check_ner(said: str, folder: Path) -> None:
    rows = [json.loads(line) for line in (folder / "tagged.jsonl").read_text(encoding="utf-8").splitlines()]
    texts = (folder / "docs/tutorials/names/new.txt").read_text(encoding="utf-8").splitlines()
    assert [row["words"] for row in rows] == [text.split() for text in texts]
    assert all(len(row["tags"]) == len(row["words"]) for row in rows)
    if REAL["ENCODER"]:
        assert min(scores(folder / "runs/names/names/results.jsonl").values()) > 60


def check_qa(said: str, folder: Path) -> None:
    rows = [json.loads(line) for line in (folder / "answers.jsonl").read_text(encoding="utf-8").splitlines()]
    assert len(rows) == 4
    assert all(row["context"][row["start"] : row["end"]] == row["answer"] for row in rows)
    if REAL["ENCODER"]:
        assert min(scores(folder / "runs/questions/questions/results.jsonl").values()) > 30


def check_mining(said: str, folder: Path) -> None:
    """Lines of the two files, best first; a higher threshold leaves the pairs above it."""
    pairs = [line.split("\t") for line in (folder / "pairs.tsv").read_text(encoding="utf-8").splitlines()]
    sides = [(folder / f"docs/tutorials/pages/{side}.txt").read_text(encoding="utf-8") for side in ("de", "en")]
    assert all(source in sides[0] and target in sides[1] for _, source, target in pairs)
    margins = [float(pair[0]) for pair in pairs]
    assert margins == sorted(margins, reverse=True)
    assert min(margins, default=2.0) >= 1.06
    if REAL["ENCODER"]:
        assert (folder / "tuned.tsv").read_text(encoding="utf-8").count("\n") == 24


def check_score(said: str, folder: Path) -> None:
    """XTREME's scorer finds in the predictions what was scored."""
    (languages, official) = re.search(r"^ +(en .*)\n +accuracy +(.*)$", said, re.MULTILINE).groups()  # type: ignore[union-attr]
    found = scores(folder / "scores/results.jsonl")
    assert languages.split() == list(found)
    assert [float(value) for value in official.split()] == pytest.approx(list(found.values()), abs=0.01)
    assert set(scores(folder / "retrieval/results.jsonl")) == {"de"}


CHECKS = {
    "classifier": check_classifier,
    "ner": check_ner,
    "qa": check_qa,
    "mining": check_mining,
    "score": check_score,
}
