"""Scores of extractive question answering: exact match and token F1, as the official scorers give them.

Three of them, all reproduced with what is odd about them, since published numbers hold it:

* SQuAD 1.1 (``evaluate-v1.1.py``; XTREME's ``third_party/evaluate_squad.py`` is the same) for SQuAD v1.1, XQuAD and
  TyDiQA. It takes out English articles and ASCII punctuation in every language, and tokens are what white space
  separates: in Thai or Chinese F1 is close to exact match. Texts without a token have an F1 of 0, even with each other:
  an answer that is all articles or punctuation can be matched exactly but never has an F1.
* MLQA (``mlqa_evaluation_v1.py``; XTREME's ``third_party/evaluate_mlqa.py``): all of Unicode's punctuation, the
  articles of the answer's language, Chinese by characters. Its pattern for the Arabic article matches those two
  letters anywhere in a word. Any other language than MLQA's seven is an error.
* SQuAD 2.0 (``evaluate-v2.0.py``): no answer is the empty text; texts without a token match each other in F1 too, so
  "the" is as good as no answer.

One difference: the 2.0 script leaves questions without a prediction out of its averages; here they count 0 everywhere.
"""

from __future__ import annotations

import re
import string
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial

from dist_stilts.conventions import ENGLISH

Normaliser = Callable[[str], str]
"""Turns an answer into lower-case tokens separated by single spaces."""

_ARTICLES = {
    "en": "a|an|the",
    "es": "un|una|unos|unas|el|la|los|las",
    "vi": "của|là|cái|chiếc|những",
    "de": "ein|eine|einen|einem|eines|einer|der|die|das|den|dem|des",
}
_AS_WORDS = {language: re.compile(rf"\b({articles})\b") for language, articles in _ARTICLES.items()}
_ARABIC_ARTICLE = "ال"
MLQA_LANGUAGES = ("en", "ar", "de", "es", "hi", "vi", "zh")
_HAN = re.compile("([一-龥])")
"""U+4E00 to U+9FA5: each a token of its own."""


def normalise_squad(text: str) -> str:
    """Lower case, without ASCII punctuation and English articles, single spaces: SQuAD's way, for every language."""
    bare = "".join(char for char in text.lower() if char not in string.punctuation)
    return " ".join(_AS_WORDS[ENGLISH].sub(" ", bare).split())


def normalise_mlqa(text: str, language: str) -> str:
    """Lower case, without punctuation and the language's articles, tokens separated by single spaces: MLQA's way.

    Args:
        language: that of the answer, one of MLQA's seven.

    Raises:
        ValueError: any other language.
    """
    if language not in MLQA_LANGUAGES:
        raise ValueError(f"MLQA's scorer knows {', '.join(MLQA_LANGUAGES)}, not '{language}'")
    bare = "".join(char for char in text.lower() if not _is_punctuation(char))
    if language in _AS_WORDS:
        bare = _AS_WORDS[language].sub(" ", bare)
    elif language == "ar":
        bare = bare.replace(_ARABIC_ARTICLE, " ")
    elif language == "zh":
        bare = _HAN.sub(r" \1 ", bare)
    return " ".join(bare.split())


def exact_match(prediction: str, gold: str, normalise: Normaliser = normalise_squad) -> float:
    """1.0 if the two are equal once normalised, else 0.0."""
    return float(normalise(prediction) == normalise(gold))


def token_f1(prediction: str, gold: str, normalise: Normaliser = normalise_squad, *, nothing: float = 0.0) -> float:
    """Harmonic mean of precision and recall over the tokens, counted with multiplicity, 0..1.

    Args:
        nothing: the score if neither side has a token: 0 in SQuAD 1.1 and MLQA, 1 in SQuAD 2.0.
    """
    predicted, expected = normalise(prediction).split(), normalise(gold).split()
    if not predicted and not expected:
        return nothing
    common = (Counter(predicted) & Counter(expected)).total()
    return 2 * common / (len(predicted) + len(expected))


def squad_scores(
    predictions: Mapping[str, str], gold: Mapping[str, Sequence[str]], language: str | None = None
) -> dict[str, float]:
    """Score answers as SQuAD 1.1 does or, with a language, as MLQA does.

    Args:
        predictions: question id to answer; ids that gold does not have are ignored, missing ones count 0.
        gold: question id to the answers that are right; the best match counts, for each measure by itself.
        language: that of MLQA's answers; ``None`` scores SQuAD v1.1, XQuAD and TyDiQA.

    Returns:
        ``exact_match`` and ``f1``, means over all questions, 0..1.

    Raises:
        ValueError: no questions, a question without a gold answer, or a language that MLQA does not have.
    """
    unanswered = [key for key, texts in gold.items() if not texts]
    if unanswered:
        raise ValueError(f"question '{unanswered[0]}' has no gold answer")
    normalise: Normaliser = partial(normalise_mlqa, language=language) if language else normalise_squad
    return _means([_best(predictions.get(key), texts, normalise, 0.0) for key, texts in gold.items()])


def squad_v2_scores(predictions: Mapping[str, str], gold: Mapping[str, Sequence[str]]) -> dict[str, float]:
    """Score answers as SQuAD 2.0 does, at its default threshold: the answer given is taken as it is.

    Args:
        predictions: question id to answer, "" for none; ids that gold does not have are ignored, missing ones count 0.
        gold: question id to the answers that are right, none for a question that cannot be answered.

    Returns:
        ``exact_match`` and ``f1`` over all questions, 0..1, and the same of either kind of question that there is, as
        ``has_answer_exact_match``, ``has_answer_f1``, ``no_answer_exact_match``, ``no_answer_f1``.

    Raises:
        ValueError: no questions.
    """
    scores = {
        # Gold answers that normalise to nothing are dropped; the one right answer is then none.
        key: _best(predictions.get(key), list(filter(normalise_squad, texts)) or [""], normalise_squad, 1.0)
        for key, texts in gold.items()
    }
    parts = {
        "has_answer_": [score for key, score in scores.items() if gold[key]],
        "no_answer_": [score for key, score in scores.items() if not gold[key]],
    }
    result = _means(scores.values())
    for name, part in parts.items():
        if part:
            result |= {name + measure: mean for measure, mean in _means(part).items()}
    return result


def _is_punctuation(char: str) -> bool:
    return char in string.punctuation or unicodedata.category(char).startswith("P")


def _best(prediction: str | None, texts: Iterable[str], normalise: Normaliser, nothing: float) -> tuple[float, float]:
    """Exact match and F1 of one question, each the best over its gold answers."""
    if prediction is None:
        return 0.0, 0.0
    pairs = [
        (exact_match(prediction, text, normalise), token_f1(prediction, text, normalise, nothing=nothing))
        for text in texts
    ]
    return max(exact for exact, _ in pairs), max(f1 for _, f1 in pairs)


def _means(scores: Iterable[tuple[float, float]]) -> dict[str, float]:
    scores = list(scores)
    if not scores:
        raise ValueError("no questions to score")
    exact, f1 = (sum(column) / len(scores) for column in zip(*scores, strict=True))
    return {"exact_match": exact, "f1": f1}
