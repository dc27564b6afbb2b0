"""What a model of each kind is to the Hub and to people, and the few lines of Python that apply it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Use:
    """What a kind of model is, to the Hub and to people.

    Attributes:
        tag: the Hub's ``pipeline_tag``; tags: further ones.
        noun: what the model is; purpose: what it is for.
        code: lines of Python that apply it, with the model's name in ``MODEL``.
        labelled: whether people labelled what it was trained on.
    """

    tag: str
    noun: str
    purpose: str
    code: str
    tags: tuple[str, ...] = ()
    labelled: bool = True


_AUTO = (
    "import torch\n"
    "from transformers import {auto}, AutoTokenizer\n"
    'MODEL = "..."  # this folder, or its name on the Hub\n'
    "tokenizer, model = AutoTokenizer.from_pretrained(MODEL), {auto}.from_pretrained(MODEL).eval()\n"
)
_PIPELINE = 'from transformers import pipeline\nMODEL = "..."  # this folder, or its name on the Hub\n'
_CLASSIFIER = _PIPELINE + 'classifier = pipeline("text-classification", model=MODEL, {options})\n'
_PAIR = 'print(classifier({"text": "Es regnet.", "text_pair": "Das Wetter ist gut."}))  # one text: without text_pair'

USES: Mapping[str, Use] = {
    "sequence": Use(
        "text-classification",
        "classifier of texts or of pairs of texts",
        "giving a text, or a pair of texts, one of the labels that it was trained with",
        _CLASSIFIER.format(options="top_k=None") + _PAIR,
    ),
    "regression": Use(
        "text-classification",
        "model that gives a text, or a pair of texts, a number",
        "giving a text, or a pair of texts, a number on the scale that it was trained with",
        _CLASSIFIER.format(options='function_to_apply="none"') + _PAIR,
        ("regression",),
    ),
    "multilabel": Use(
        "text-classification",
        "classifier that gives a text, or a pair of texts, any number of labels",
        "giving a text, or a pair of texts, those of the labels that hold, each by itself",
        _CLASSIFIER.format(options='top_k=None, function_to_apply="sigmoid"') + _PAIR,
        ("multi-label-classification",),
    ),
    "token": Use(
        "token-classification",
        "tagger of words",
        "giving each word of a sentence one of the tags that it was trained with",
        _PIPELINE + 'tagger = pipeline("token-classification", model=MODEL, aggregation_strategy="first")\n'
        'print(tagger("Ada Lovelace wohnte in London."))',
    ),
    "span": Use(
        "question-answering",
        "model that finds the answer to a question in a text",
        "finding the words of a text that answer a question; it never writes an answer of its own",
        _AUTO.format(auto="AutoModelForQuestionAnswering")
        + 'inputs = tokenizer("Wo wohnte Ada?", "Ada wohnte in London.", return_tensors="pt")\n'
        "with torch.no_grad():\n    answer = model(**inputs)\n"
        "first, last = answer.start_logits.argmax(), answer.end_logits.argmax()\n"
        'print(tokenizer.decode(inputs["input_ids"][0, first : last + 1]))',
    ),
    "choice": Use(
        "multiple-choice",
        "model that chooses among possible continuations or answers",
        "choosing the likeliest of a few given answers",
        _AUTO.format(auto="AutoModelForMultipleChoice")
        + 'prompt, choices = "Es regnet.", ["Die Straße wird nass.", "Die Straße wird trocken."]\n'
        'inputs = tokenizer([prompt] * len(choices), choices, return_tensors="pt", padding=True)\n'
        "with torch.no_grad():\n"
        "    logits = model(**{name: values[None] for name, values in inputs.items()}).logits\n"
        "print(choices[logits.argmax()])",
    ),
    "mlm": Use(
        "fill-mask",
        "masked language model",
        "filling masked words, and as the start of further training",
        _PIPELINE + 'fill = pipeline("fill-mask", model=MODEL)\n'
        'print(fill(f"London {fill.tokenizer.mask_token} eine Stadt."))',
        labelled=False,
    ),
}
"""By kind; a model of a kind that is not here is told of as the encoder that it also is."""
ENCODER = Use(
    "feature-extraction",
    "encoder of texts",
    "turning texts into vectors, and as the start of further training",
    _PIPELINE + 'extract = pipeline("feature-extraction", model=MODEL)\n'
    'print(extract("Guten Tag."))  # a vector per token, of the last layer',
)
