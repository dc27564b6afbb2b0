"""A model folder on its way to the Hugging Face Hub: what is sent, what is not, and what the Hub says to it.

Only files that a model is made of are sent, by their names: optimizer states, checkpoints, logs and whatever else lies
in the folder stay at home.
"""

from __future__ import annotations

import glob
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

from dist_stilts.errors import EXIT_FAILED, UserError
from dist_stilts.layout import RunFolder
from dist_stilts.model.card import CARD
from dist_stilts.model.folders import check_tokenizer, examine, read_tokenizer
from dist_stilts.model.pooling_files import MODULE_WEIGHTS
from dist_stilts.model.provenance import PROVENANCE, Provenance, read_provenance, require_intact

CONFIG = "config.json"
WEIGHTS = ("*.safetensors", "*.safetensors.index.json")
SENT = (
    CARD,
    "LICENSE*",
    CONFIG,
    "generation_config.json",
    *WEIGHTS,
    *("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json", "chat_template.jinja"),
    *("*.model", "vocab.txt", "vocab.json", "merges.txt"),
    *("modules.json", "config_sentence_transformers.json", "sentence_bert_config.json"),
    "adapter_config.json",
    PROVENANCE,
)
"""Names of the files that a model is made of, in its folder and in that of each head."""
WANTED = ("language", "license", "pipeline_tag")
"""Metadata without which people do not find a model, or may not use it."""
BUSY = (408, 429)
"""What the Hub answers, beside 5xx, where the same again may do."""


@dataclass(frozen=True)
class Parcel:
    """What would be sent.

    Attributes:
        files: names in the folder, and so in the repository, with sizes in bytes; kept: names that stay at home.
        problems: what is wrong with the card's metadata; broken: whether the Hub would not take them at all.
        provenance: of an export of ours.
    """

    folder: Path
    files: dict[str, int]
    kept: list[str]
    problems: list[str]
    broken: bool
    provenance: Provenance | None

    @property
    def size(self) -> int:
        """Bytes in all."""
        return sum(self.files.values())


@dataclass(frozen=True)
class Sent:
    """What became of it: where it is now, whether anything was new, and which files of the repository are no part of
    the folder and were left alone."""

    url: str
    changed: bool
    others: list[str]


def pack(model: Path) -> Parcel:
    """Find out what of a model folder, or of a run's, is sent.

    Raises:
        UserError: it is no folder of a model, or a damaged one.
    """
    folder = model_folder(model)
    provenance = read_provenance(folder)
    require_intact(folder, provenance)
    names = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    files = {name: (folder / name).stat().st_size for name in names if _is_sent(name)}
    for part in {folder, *((folder / name).parent for name in files if fnmatch(name, f"heads/*/{CONFIG}"))}:
        _see_whole(part)
    problems, broken = card_problems(folder)
    return Parcel(folder, files, [name for name in names if name not in files], problems, broken, provenance)


def _see_whole(folder: Path) -> None:
    examine(folder, translates=True)
    check_tokenizer(folder)
    read_tokenizer(folder)


def model_folder(path: Path) -> Path:
    """The model's folder: ``path`` itself, or the one of the run that it is.

    Raises:
        UserError: neither.
    """
    if not path.is_dir():
        raise UserError("no such folder", where=path, fix="Give a run's folder, or its model folder")
    for folder in (path, RunFolder(path).model):
        if any((folder / name).is_file() for name in (CONFIG, "adapter_config.json")):
            if not any(folder.glob(WEIGHTS[0])):
                raise UserError("the model has no weights (*.safetensors)", where=folder, fix="Export it again")
            return folder
    runs = sorted(config.parents[1].name for config in path.glob(f"*/model/{CONFIG}"))
    fix = f"Give one of its runs: {', '.join(runs)}" if runs else "Give a run's folder, or its model folder"
    raise UserError("this is no model: it has no config.json, nor has model/ in it", where=path, fix=fix)


def _is_sent(name: str) -> bool:
    folder, _, file = name.rpartition("/")
    in_module = bool(re.fullmatch(r"[0-9]+_[^/]+", folder)) and file in (CONFIG, MODULE_WEIGHTS)
    in_model = not folder or bool(re.fullmatch(r"heads/[^/.][^/]*", folder))
    return in_module or (in_model and not file.startswith(".") and any(fnmatch(file, pattern) for pattern in SENT))


def card_problems(folder: Path) -> tuple[list[str], bool]:
    """What is wrong with the card, a line each, and whether the Hub would refuse it; asked without the network."""
    from huggingface_hub import ModelCard

    path = folder / CARD
    if not path.is_file():
        return [f"no {CARD}: nobody will know what the model is"], False
    try:
        data = ModelCard.load(path).data.to_dict()
    except Exception as error:  # YAML's errors and the library's own: one fact
        return [f"{CARD}: the metadata cannot be read ({' '.join(str(error).split())[:150]})"], True
    problems = [f"{CARD}: no '{name}' in the metadata" for name in WANTED if not data.get(name)]
    languages = data.get("language") or []
    codes = [languages] if isinstance(languages, str) else languages
    wrong = [code for code in codes if not re.fullmatch("[a-z]{2,3}|multilingual|code", str(code))]
    return problems + [f"{CARD}: language '{code}' is no ISO 639 code" for code in wrong], False


def push(parcel: Parcel, repo: str, *, private: bool, branch: str | None, create_pr: bool, message: str) -> Sent:
    """Send a model to a repository of the Hub, which is made if it is not there; progress is huggingface_hub's own.

    Args:
        repo: ``owner/name``, or a name among the user's own.
        private: make the repository private. One that is there already and public is refused.
        branch: made if it is not there; default: main.
        create_pr: open a pull request instead of writing to main.

    Raises:
        UserError: the Hub refuses, or cannot be reached.
    """
    from huggingface_hub import HfApi
    from huggingface_hub.utils import logging

    logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    check_name(repo)
    with explained(repo):
        api = HfApi(library_name="dist-stilts")
        there = api.create_repo(repo, private=private or None, exist_ok=True).repo_id
        if private and not api.model_info(there).private:
            raise UserError(f"{there} is there already, and public", fix="Make it private in its settings first")
        if branch and not branch.startswith("refs/"):
            api.create_branch(there, branch=branch, exist_ok=True)
        before = api.model_info(there, revision=branch)
        made = api.upload_folder(
            repo_id=there,
            folder_path=parcel.folder,
            allow_patterns=[glob.escape(name) for name in parcel.files],
            commit_message=message,
            revision=branch,
            create_pr=create_pr,
        )
    others = [file.rfilename for file in before.siblings or [] if file.rfilename not in parcel.files]
    return Sent(
        made.pr_url or f"{api.endpoint}/{there}" + (f"/tree/{branch}" if branch else ""),
        made.oid != before.sha,
        [name for name in others if name != ".gitattributes"],
    )


def check_name(repo: str) -> None:
    """Raise UserError if no repository can be called so."""
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils import validate_repo_id  # type: ignore[attr-defined]

    try:
        validate_repo_id(repo)
    except HFValidationError as error:
        said = " ".join(str(error).split()).rstrip(".")
        raise UserError(f"bad name of a repository ({said})", fix="Write owner/name, such as ada/xnli-xlmr") from None


@contextmanager
def explained(repo: str) -> Iterator[None]:
    """Turn what the Hub or the network says into one line: the library and those below it raise dozens of types."""
    from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled

    try:
        yield
    except UserError:
        raise
    except Exception as error:
        chain = list(_causes(error))
        if any(isinstance(cause, OfflineModeIsEnabled) for cause in chain):
            raise UserError("HF_HUB_OFFLINE is set, and a push needs the network", fix="Unset it") from None
        for cause in chain:
            if isinstance(cause, HfHubHTTPError):
                raise _refusal(repo, cause.response.status_code, cause.server_message or "") from None
        if not any(_is_of_network(cause) for cause in chain):
            raise
        said = " ".join(str(chain[-1]).split())[:150]
        raise UserError(
            f"cannot reach the Hub ({type(chain[-1]).__name__}: {said})",
            fix="The same command tries again, and sends what is missing",
            code=EXIT_FAILED,
        ) from None


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """An exception and what it was raised from, outermost first; of what an HTTP library wraps, its own wrapping."""
    while error is not None:
        yield error
        error = error.__cause__


def _is_of_network(error: BaseException) -> bool:
    """Whether it comes from a library of the network or, as an error of the system that is of no file, from below."""
    if isinstance(error, OSError):
        return error.filename is None
    return type(error).__module__.partition(".")[0] in ("httpx", "httpx2", "httpcore", "httpcore2", "hf_xet")


def _refusal(repo: str, code: int, said: str) -> UserError:
    """What the Hub's answer means to the user, and what to do."""
    from huggingface_hub import get_token

    said = " ".join(said.split())[:150]
    if code == 401 and not get_token():
        return UserError("not logged in to the Hub", fix="Run `hf auth login`, or set HF_TOKEN")
    if code == 401:
        return UserError("the Hub does not accept your token", fix="Run `hf auth login` with a token that may write")
    if code == 403:
        return UserError(
            f"your token may not write to {repo}",
            fix="Give a repository of yours or a token that may write (`hf auth login`), or propose with --create-pr",
        )
    if code == 404:
        return UserError(f"the Hub has no {repo}, or none that you may see", fix="Check its name and your token")
    if code in BUSY or code >= 500:
        return UserError(f"the Hub is busy ({code})", fix="The same command tries again", code=EXIT_FAILED)
    return UserError(f"the Hub refuses this ({code}{f': {said}' if said else ''})", fix="Mend it and push again")


def listing(parcel: Parcel) -> Sequence[tuple[str, str]]:
    """The files that are sent and their sizes, the total last."""
    rows = [(name, bytes_text(size)) for name, size in parcel.files.items()]
    return [*rows, (f"{len(rows)} files", bytes_text(parcel.size))]


def bytes_text(count: float) -> str:
    """``512 B``, ``1.5 MB``: units of 1000, as the Hub's pages have them."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 999.5 or unit == "GB":
            return f"{count:.0f} {unit}" if unit == "B" or count >= 100 else f"{count:.3g} {unit}"
        count /= 1000
    raise AssertionError
