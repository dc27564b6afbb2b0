"""Models and tokenizers as people have them: damage × place where a model is asked for, in one line; nobody's code."""

from __future__ import annotations

import json
import shutil
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from models_made import export_model, features_of, save_checkpoint
from safetensors.torch import load_file, save_file

from dist_stilts.apply.job import Request as ApplyRequest
from dist_stilts.apply.job import predict_files
from dist_stilts.apply.predictions import Wish
from dist_stilts.errors import EXIT_FAILED, UserError
from dist_stilts.evaluate.mine import Request as MineRequest
from dist_stilts.evaluate.mine import mine_files
from dist_stilts.evaluate.suite import EvalTask, EvaluationConfig, Job, evaluate
from dist_stilts.experiment.missing import find_missing
from dist_stilts.experiment.plan import expand
from dist_stilts.experiment.run_config import DataConfig, PhaseConfig, Recipe, TrainTask
from dist_stilts.experiment.start import start_model
from dist_stilts.experiment.training_data import TrainingData, recipe_tokenizer
from dist_stilts.families.encoding import Marks
from dist_stilts.model.averaging import average
from dist_stilts.model.encoder import EncoderConfig, load_encoder, load_tokenizer, most_tokens
from dist_stilts.model.fine_tuned import open_model
from dist_stilts.model.folders import not_loaded
from dist_stilts.model.hub import pack
from dist_stilts.model.provenance import weights_digest
from dist_stilts.model.trained_rows import train_only
from dist_stilts.parallel.world import current
from dist_stilts.tasks.registry import get_task
from dist_stilts.tasks.spec import ChoiceRow, PairRow, SpanRow, TaggedRow, TextRow
from dist_stilts.translate.translator import load_translator

WEIGHTS, INDEX, PICKLED = "model.safetensors", "model.safetensors.index.json", "pytorch_model.bin"
CPU = torch.device("cpu")
XNLI = get_task("xnli")


# Places where a model is asked for


def recipe_of(model: Path, world: Path, out: Path, task: str = "xnli", **encoder: Any) -> Recipe:
    phase = PhaseConfig(tasks={task: TrainTask()})
    data = DataConfig(root=str(world), max_length=64)
    return Recipe(out=str(out), encoder=EncoderConfig(path=str(model), **encoder), data=data, phases={"a": phase})


def training(model: Path, world: Path, out: Path, task: str = "xnli", rows: Any = None, **encoder: Any) -> None:
    """As far as the first step."""
    recipe = recipe_of(model, world, out, task, **encoder)
    tokenizer, (run,) = recipe_tokenizer(recipe), expand(recipe)
    spec = get_task(task)
    default = {"xnli": PairRow("0", "", "the cat", "a lamp", "neutral"), "mlm": TextRow("0", "", "the cat")}
    features = features_of(spec, rows or [default[task]], tokenizer)
    start_model(run, recipe, tokenizer, TrainingData([spec], [features], [], [1], {}, "", {}), current())


def scoring(model: Path, world: Path, out: Path) -> None:
    places = (out / "prepared", 64, out / "results.jsonl", out / "predictions", out / "embeddings")
    evaluate(Job(str(model), {"xnli": EvalTask(["test"], ["en"])}, EvaluationConfig(), world, *places), current())


def searching(model: Path, world: Path, out: Path) -> None:
    places = (out / "prepared", 64, out / "results.jsonl", out / "predictions", out / "embeddings")
    evaluate(Job(str(model), {"tatoeba": EvalTask(["test"], ["qaa"])}, EvaluationConfig(), world, *places), current())


def applying(model: Path, world: Path, out: Path) -> None:
    (out / "in.tsv").write_text("text_a\ttext_b\nthe cat\ta lamp\n")
    opened = partial(open_model, str(model))
    request = ApplyRequest(str(model), [str(out / "in.tsv")], str(out / "out.jsonl"), opened, wish=Wish())
    predict_files(request, current(), print)


def mining(model: Path, world: Path, out: Path) -> None:
    for name in ("a", "b"):
        (out / name).write_text("the cat\na lamp\n")
    mine_files(MineRequest(out / "a", out / "b", str(model), out / "pairs.tsv"), current())


def averaging(model: Path, world: Path, out: Path) -> None:
    shutil.copytree(model, out / "other")
    average([model, out / "other"], out / "mean")


def rehearsing(model: Path, world: Path, out: Path) -> None:
    recipe = recipe_of(model, world, out)
    if missing := find_missing(recipe, expand(recipe), 1).missing:
        raise UserError(missing[0])


def pushing(model: Path, world: Path, out: Path) -> None:
    pack(model)


def translating(model: Path, world: Path, out: Path) -> None:
    load_translator(model, 1, 48, CPU)


LOADING = (training, scoring, searching, applying, mining)
EVERYWHERE = (*LOADING, averaging, rehearsing, pushing, translating)


# Damage


def configured(folder: Path, **changes: Any) -> None:
    file = folder / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text(encoding="utf-8")) | changes))


def cut(name: str, size: int, folder: Path) -> None:
    (folder / name).write_bytes((folder / name).read_bytes()[:size])


def written(name: str, content: str, folder: Path) -> None:
    (folder / name).write_text(content)


def lying(folder: Path) -> None:
    """A header that says it is a terabyte."""
    content = (folder / WEIGHTS).read_bytes()
    (folder / WEIGHTS).write_bytes((10**12).to_bytes(8, "little") + content[8:])


def in_shards(folder: Path, lost: int = 0) -> None:
    tensors = load_file(folder / WEIGHTS)
    (folder / WEIGHTS).unlink()
    half = len(tensors) // 2
    parts = {"one.safetensors": list(tensors)[:half], "two.safetensors": list(tensors)[half:]}
    for file, names in list(parts.items())[lost:]:
        save_file({name: tensors[name] for name in names}, folder / file, {"format": "pt"})
    files = {name: file for file, names in parts.items() for name in names}
    (folder / INDEX).write_text(json.dumps({"metadata": {}, "weight_map": files}))


class Calls:
    """What pickle calls when it is read."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> Any:
        return exec, (f"open({str(self.marker)!r}, 'w')",)


def pickled(folder: Path, legacy: bool) -> None:
    (folder / WEIGHTS).unlink()
    torch.save({"x": Calls(marker(folder))}, folder / PICKLED, _use_new_zipfile_serialization=not legacy)


def marker(folder: Path) -> Path:
    return folder.parent / "it ran"


def with_code(folder: Path) -> str:
    (folder / "code.py").write_text(f"open({str(marker(folder))!r}, 'w')\n")
    return "code"


def own_model(folder: Path) -> None:
    code = with_code(folder)
    classes = ("Config", "Model", "ModelForSequenceClassification", "ModelForSeq2SeqLM")
    configured(folder, model_type="of_its_own", auto_map={f"Auto{name}": f"{code}.{name}" for name in classes})


def own_tokenizer(folder: Path) -> None:
    code = with_code(folder)
    (folder / "tokenizer_config.json").write_text(
        json.dumps({"tokenizer_class": "Own", "auto_map": {"AutoTokenizer": [f"{code}.Own", f"{code}.Own"]}})
    )


DAMAGE = {
    "config cut off": (partial(cut, "config.json", 40), r"config\.json: damaged", EVERYWHERE),
    "config empty": (partial(cut, "config.json", 0), r"config\.json: damaged", EVERYWHERE),
    "config a list": (partial(written, "config.json", "[]"), r"config\.json: damaged: no JSON object", EVERYWHERE),
    "config unknown": (lambda folder: configured(folder, model_type="x"), "unknown model_type 'x'", EVERYWHERE),
    "weights cut off": (partial(cut, WEIGHTS, 1000), rf"{WEIGHTS}: damaged", EVERYWHERE),
    "weights of 2 bytes": (partial(cut, WEIGHTS, 2), rf"{WEIGHTS}: damaged", EVERYWHERE),
    "weights that lie": (lying, rf"{WEIGHTS}: damaged", EVERYWHERE),
    "a lost shard": (partial(in_shards, lost=1), rf"{INDEX}: it names files .*one\.safetensors", EVERYWHERE),
    "own code": (own_model, r"brings its own code \(auto_map in config\.json\), which is not run", EVERYWHERE),
    "own tokenizer": (own_tokenizer, r"tokenizer brings its own code \(auto_map\), which is not run", EVERYWHERE),
    "a pickle that calls": (partial(pickled, legacy=False), r"would run code|no weights", EVERYWHERE),
    "an old pickle that calls": (partial(pickled, legacy=True), r"would run code|no weights", (*LOADING, averaging)),
    "tokenizer cut off": (partial(cut, "tokenizer.json", 300), r"tokenizer\.json: damaged", EVERYWHERE),
    "tokenizer empty": (partial(cut, "tokenizer.json", 0), r"tokenizer\.json: damaged", EVERYWHERE),
    "tokenizer without words": (partial(written, "tokenizer.json", "{}"), "tokenizer", (*LOADING, rehearsing, pushing)),
    "decoder, too": (
        lambda folder: configured(folder, model_type="bart", is_encoder_decoder=True),
        "is an encoder and a decoder",
        (*LOADING, rehearsing),
    ),
}


@pytest.fixture
def whole(tokenizer: Any, tiny_config: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A classifier as its trainer has it."""
    monkeypatch.setattr("builtins.input", lambda *_: "y")  # who is asked, says yes
    return save_checkpoint(tmp_path / "model", "sequence", tiny_config, tokenizer, XNLI.labels)


@pytest.mark.parametrize("damage", DAMAGE)
def test_what_cannot_be_read_is_one_line_wherever_a_model_is_asked_for(
    damage: str, whole: Path, world: Path, tiny_encoder: Any, tokenizer: Any, tmp_path: Path
) -> None:
    spoil, said, places = DAMAGE[damage]
    ours = tmp_path / "ours"
    export_model(ours, tiny_encoder, tokenizer, [XNLI], start="x")
    for folder in (whole, ours):
        spoil(folder)
    for number, place in enumerate(places):
        out = tmp_path / str(number)
        out.mkdir()
        with pytest.raises(UserError, match=said) as error:
            place(ours if place is averaging else whole, world, out)
        assert "\n" not in str(error.value), place
        assert not marker(whole).exists(), place


def test_a_model_in_shards_is_one(whole: Path, world: Path, tmp_path: Path) -> None:
    before = weights_digest(open_model(str(whole)).model)
    in_shards(whole)
    for place in (training, applying, rehearsing, pushing):
        place(whole, world, tmp_path)
    assert weights_digest(open_model(str(whole)).model) == before


@pytest.mark.parametrize("said", [None, "XLMRobertaForSequenceClassification"])
def test_a_model_may_say_its_class_in_a_string_and_is_told_to_where_it_says_nothing(said: Any, whole: Path) -> None:
    configured(whole, architectures=said)
    if said:
        assert open_model(str(whole)).family == "sequence"
        return
    with pytest.raises(UserError, match=r'does not say what it is: add "architectures"'):
        open_model(str(whole))


def test_a_model_of_sentence_transformers_of_old_is_found_and_what_is_elsewhere_is_named(
    whole: Path, tmp_path: Path
) -> None:
    old = tmp_path / "old"
    shutil.copytree(whole, old / "0_Transformer")
    with pytest.raises(UserError, match=r"has no config\.json\. A model is in .*0_Transformer: give that folder"):
        load_encoder(str(old))
    with pytest.raises(UserError, match=r"no tokenizer\. A model is in .*0_Transformer: give that folder"):
        load_tokenizer(str(old))
    (old / "modules.json").write_text(json.dumps([{"idx": 0, "path": "0_Transformer", "type": "os.system"}]))
    assert weights_digest(load_encoder(str(old))[0]) == weights_digest(load_encoder(str(whole))[0])
    assert len(load_tokenizer(str(old))) == len(load_tokenizer(str(whole)))
    (old / "modules.json").write_text(json.dumps([{"idx": 0, "path": "../model", "type": "x"}]))
    with pytest.raises(UserError, match="this is no model"):
        load_encoder(str(old))


def test_lack_of_memory_is_no_fault_of_the_model() -> None:
    error = not_loaded("cannot load", "folder", RuntimeError("DefaultCPUAllocator: can't allocate memory"))
    assert (error.code, str(error)) == (EXIT_FAILED, "folder: cannot load: there is not enough memory")


def test_a_decoder_is_embedded_by_and_trained_on_never(tokenizer: Any, world: Path, tmp_path: Path) -> None:
    from transformers import GPT2Config, GPT2Model

    GPT2Model(GPT2Config(vocab_size=len(tokenizer), n_embd=16, n_layer=1, n_head=2)).save_pretrained(tmp_path / "gpt")
    tokenizer.save_pretrained(tmp_path / "gpt")
    mining(tmp_path / "gpt", world, tmp_path)
    with pytest.raises(UserError, match="a GPT2Model reads its tokens in a way that cannot be reproduced here"):
        training(tmp_path / "gpt", world, tmp_path)


# Tokenizers


TEXT = "the hot sailor never lifted a good lamp while the cat saw nothing bad in the old house by the sea"


@pytest.fixture(scope="module")
def sentencepiece(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sentencepiece model with the special tokens of ALBERT's kind."""
    import sentencepiece as library

    folder = tmp_path_factory.mktemp("spm")
    (folder / "text").write_text("".join(f"{TEXT[start:]}\n" for start in range(60)))
    ids = {"pad_id": 0, "pad_piece": "<pad>", "unk_id": 1, "unk_piece": "<unk>", "bos_id": 2, "bos_piece": "[CLS]"}
    ids |= {"eos_id": 3, "eos_piece": "[SEP]", "user_defined_symbols": ["[MASK]"]}
    library.SentencePieceTrainer.train(
        input=str(folder / "text"), model_prefix=str(folder / "m"), vocab_size=40, minloglevel=2, **ids
    )
    return folder / "m.model"


@pytest.mark.parametrize(
    ("architecture", "file"),
    [
        ("deberta-v2", "spm.model"),
        ("rembert", "sentencepiece.model"),
        ("albert", "spiece.model"),
        ("xlm-roberta", "sentencepiece.bpe.model"),
    ],
)
def test_a_sentencepiece_model_is_a_tokenizer_of_the_same_pieces_with_special_tokens_around(
    architecture: str, file: str, sentencepiece: Path, tiny_config: dict[str, Any], world: Path, tmp_path: Path
) -> None:
    from sentencepiece import SentencePieceProcessor
    from transformers import AutoConfig, AutoModel, AutoTokenizer

    sizes = {key: value for key, value in tiny_config.items() if key != "model_type"} | {"vocab_size": 80}
    folder = tmp_path / "model"
    AutoModel.from_config(AutoConfig.for_model(architecture, **sizes, embedding_size=16)).save_pretrained(folder)
    shutil.copy(sentencepiece, folder / file)
    tokenizer = load_tokenizer(str(folder))
    pieces = SentencePieceProcessor(str(sentencepiece)).encode(TEXT, out_type=str)
    assert tokenizer.convert_ids_to_tokens(tokenizer(TEXT, add_special_tokens=False)["input_ids"]) == pieces
    one, two = tokenizer("cat")["input_ids"], tokenizer("cat", "lamp")["input_ids"]
    assert (one[0], one[-1]) == (tokenizer.cls_token_id, tokenizer.sep_token_id)
    assert two.count(tokenizer.sep_token_id) == (3 if architecture == "xlm-roberta" else 2)
    training(folder, world, tmp_path)
    mining(folder, world, tmp_path)
    tokenizer.save_pretrained(tmp_path / "saved")
    assert AutoTokenizer.from_pretrained(tmp_path / "saved")("cat", "lamp")["input_ids"] == two


def test_files_that_the_tokenizers_class_does_not_read_are_no_tokenizer(
    sentencepiece: Path, whole: Path, tmp_path: Path
) -> None:
    for file in whole.glob("tokenizer*"):
        file.unlink()
    shutil.copy(sentencepiece, whole / "spm.model")
    with pytest.raises(UserError, match="a XLMRobertaTokenizer finds no words in the tokenizer's files"):
        load_tokenizer(str(whole))


def begun(template: str | None, pair: str | None, **roles: str) -> Any:
    """A tokenizer of words that puts around texts what the templates say."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    words = ["[PAD]", "[UNK]", "<b>", "<e>", "[MASK]", *dict.fromkeys(["a", "b", *TEXT.split()])]
    backend = Tokenizer(models.WordLevel({word: number for number, word in enumerate(words)}, unk_token="[UNK]"))
    backend.pre_tokenizer = pre_tokenizers.Whitespace()
    if template:
        backend.post_processor = processors.TemplateProcessing(
            single=template, pair=pair, special_tokens=[("<b>", 2), ("<e>", 3)]
        )
    return PreTrainedTokenizerFast(tokenizer_object=backend, unk_token="[UNK]", **roles)


@pytest.mark.parametrize(
    ("template", "pair", "single", "double"),
    [
        ("<b> $A <e>", "<b> $A <e> $B <e>", ([2], [3]), ([2], [3], [3])),
        ("<b> $A", "<b> $A $B", ([2], []), ([2], [], [])),
        ("$A <e>", "$A <e> <e> $B <e>", ([], [3]), ([], [3, 3], [3])),
        (None, None, ([], []), ([], [], [])),
    ],
)
def test_texts_are_framed_as_their_tokenizer_does_whatever_it_calls_its_special_tokens(
    template: str | None, pair: str | None, single: Any, double: Any
) -> None:
    """No cls and no sep token, no end, or nothing at all: every kind gives what the tokenizer gives, and the places of
    words and answers are right."""
    tokenizer = begun(template, pair, bos_token="<b>", eos_token="<e>")
    assert Marks.of(tokenizer) == Marks(single, double, typed=False)
    ids = tokenizer("hot sailor", "the lamp")["input_ids"]
    rows = {
        "xnli": PairRow("0", "", "hot sailor", "the lamp", "neutral"),
        "commonsenseqa": ChoiceRow("0", "", "hot sailor", ("the lamp", "cat"), 0),
        "squad_v1": SpanRow("0", "", "hot sailor", "the lamp", None),
    }
    for task, row in rows.items():
        features = features_of(get_task(task), [row], tokenizer)
        assert list(features.input_ids[0][: len(ids)]) == ids, task
    answers = features_of(get_task("squad_v1"), [rows["squad_v1"]], tokenizer).offsets[0].reshape(-1, 2)
    found = [tokenizer.decode([token]) for token, (start, _) in zip(ids, answers, strict=True) if start >= 0]
    assert found == ["the", "lamp"]
    tagged = features_of(get_task("udpos"), [TaggedRow("0", "", ("hot", "sailor"), ("ADJ", "NOUN"))], tokenizer)
    words = [token for token, tag in zip(tagged.input_ids[0], tagged.labels[0], strict=True) if tag >= 0]
    assert tokenizer.convert_ids_to_tokens(words) == ["hot", "sailor"]
    assert list(tagged.input_ids[0]) == tokenizer("hot sailor")["input_ids"]


def test_a_tokenizer_without_padding_will_do_and_one_without_a_mask_masks_nothing(
    tiny_config: dict[str, Any], world: Path, tmp_path: Path
) -> None:
    tokenizer = begun("<b> $A <e>", "<b> $A <e> $B <e>", bos_token="<b>", eos_token="<e>")
    folder = tmp_path / "model"
    save_checkpoint(folder, "mlm", tiny_config | {"vocab_size": 40, "pad_token_id": 0}, tokenizer)
    training(folder, world, tmp_path)
    with pytest.raises(UserError, match="the tokenizer has no mask token, and words are to be masked"):
        training(folder, world, tmp_path, "mlm")


# Texts and encoders


def test_a_tokenizer_with_more_tokens_than_embeddings_is_refused_at_the_start(
    tokenizer: Any, tiny_config: dict[str, Any], world: Path, tmp_path: Path
) -> None:
    folder = save_checkpoint(tmp_path / "few", "sequence", tiny_config | {"vocab_size": 20}, tokenizer, XNLI.labels)
    for place in (training, scoring, searching, applying, mining):
        with pytest.raises(UserError, match=r"the tokenizer gives token \d+, and the encoder has 20 embeddings"):
            place(folder, world, tmp_path)
    recipe = recipe_of(folder, world, tmp_path)
    assert any("and the encoder 20 embeddings" in note for note in find_missing(recipe, expand(recipe), 1).notes)
    encoder, _ = load_encoder(str(folder))
    train_only(encoder, torch.arange(20) < 3)
    assert encoder.get_input_embeddings().num_embeddings == 20, "while it is trained, too"


@pytest.mark.parametrize(
    ("task", "key"), [("xnli", "data.max_length"), ("mlm", "data.max_length"), ("squad_v1", "data.qa.max_length")]
)
def test_texts_longer_than_an_encoder_can_read_are_refused_at_the_start_and_by_a_dry_run(
    task: str, key: str, tokenizer: Any, tiny_config: dict[str, Any], world: Path, tmp_path: Path
) -> None:
    positions = {"max_position_embeddings": 42}
    folder = save_checkpoint(tmp_path / "short", "mlm", tiny_config | positions, tokenizer)
    recipe = recipe_of(folder, world, tmp_path, task)
    recipe.data.qa.max_length = 64
    (line,) = [line for line in find_missing(recipe, expand(recipe), 1).missing if key in line]
    assert line == f"{key}=64: the encoder reads 40 tokens at most. Set {key}=40"
    if task != "squad_v1":
        with pytest.raises(UserError, match=f"^{key}=64: the encoder reads 40 tokens at most"):
            training(folder, world, tmp_path, task)


def test_texts_longer_than_a_tokenizer_is_made_for_are_noted(
    tokenizer: Any, tiny_config: dict[str, Any], world: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = save_checkpoint(tmp_path / "model", "mlm", tiny_config, tokenizer)
    said = json.loads((folder / "tokenizer_config.json").read_text())
    (folder / "tokenizer_config.json").write_text(json.dumps(said | {"model_max_length": 32}))
    expected = "data.max_length=64 is more than the 32 tokens that the tokenizer is made for"
    recipe = recipe_of(folder, world, tmp_path)
    found = find_missing(recipe, expand(recipe), 1)
    assert (found.missing, found.notes) == ([], [expected])
    training(folder, world, tmp_path)
    assert expected in capsys.readouterr().err


@pytest.mark.parametrize("architecture", ["xlm-roberta", "bert", "distilbert", "albert", "rembert", "mpnet", "electra"])
def test_an_encoder_reads_as_many_tokens_as_it_is_said_to_and_no_more(
    architecture: str, tiny_config: dict[str, Any]
) -> None:
    from transformers import AutoConfig, AutoModel

    sizes = {key: value for key, value in tiny_config.items() if key != "model_type"}
    sizes |= {"dim": 16, "n_layers": 1, "n_heads": 2, "hidden_dim": 16, "embedding_size": 16, "vocab_size": 9}
    encoder = AutoModel.from_config(AutoConfig.for_model(architecture, **sizes))
    most = most_tokens(encoder)
    encoder(torch.full((1, most), 5))
    with pytest.raises((IndexError, RuntimeError)):
        encoder(torch.full((1, most + 1), 5))
