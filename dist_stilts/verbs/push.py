"""The verb that publishes a model: ``push``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dist_stilts.errors import UserError
from dist_stilts.verbs.common import say

if TYPE_CHECKING:
    from dist_stilts.model.hub import Parcel


def push(
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="Folder of a run, or a model folder.")],
    repo: Annotated[str, typer.Argument(metavar="REPO", help="Repository of the Hub: OWNER/NAME, or NAME for yours.")],
    private: Annotated[bool, typer.Option("--private", help="Make the repository private.")] = False,
    branch: Annotated[
        str | None,
        typer.Option("--branch", "--revision", help="Made if it is not there; default: main.", show_default=False),
    ] = None,
    create_pr: Annotated[bool, typer.Option("--create-pr", help="Open a pull request; main stays as it is.")] = False,
    message: Annotated[str | None, typer.Option(help="Of the commit; default: the run's name.")] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print what would be sent, what not, and what the card lacks.")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Push even a model that has learned nothing.")] = False,
) -> None:
    """Publish a model on the Hugging Face Hub: weights, tokenizer, heads, provenance and model card.

    Optimizer states, checkpoints, logs and whatever else lies there are not sent. Needs a token: `hf auth login`.

    Exit codes: 0 done, or nothing new; 1 the network failed, try again; 2 something to mend.

    Example: `dist-stilts push runs/quickstart/xnli ada/xnli-multilingual --dry-run`
    """
    from dist_stilts.model.hub import check_name, pack
    from dist_stilts.model.hub import push as send

    parcel = pack(model)
    check_name(repo)
    if create_pr and branch:
        raise UserError("a pull request is opened against main", fix="Give --create-pr or --branch, not both")
    if dry_run:
        _print_parcel(parcel, repo, branch)
    for problem in parcel.problems:
        say(f"warning: {problem}")
    _refuse(parcel, force)
    if dry_run:
        return
    name = parcel.provenance.run if parcel.provenance else parcel.folder.name
    text = message or f"Upload {name} with dist-stilts"
    sent = send(parcel, repo, private=private, branch=branch, create_pr=create_pr, message=text)
    if sent.others:
        say(f"note: in the repository, not in the folder, and left alone: {', '.join(sent.others)}")
    nothing = "nothing to push: the repository has all of it already"
    say(f"pushed {len(parcel.files)} files" if sent.changed else nothing)
    print(sent.url)


def _print_parcel(parcel: Parcel, repo: str, branch: str | None) -> None:
    from dist_stilts.model.hub import listing

    rows = listing(parcel)
    width = max(len(size) for _, size in rows)
    print(f"from {parcel.folder} to {repo}{f', branch {branch}' if branch else ''}:")
    print("\n".join(f"  {size.rjust(width)}  {name}" for name, size in rows))
    if parcel.kept:
        print(f"not sent: {', '.join(parcel.kept)}")


def _refuse(parcel: Parcel, force: bool) -> None:
    """Refuse what the Hub would not take, and what nobody should use."""
    if parcel.broken:
        raise UserError("the Hub does not take such a card", where=parcel.folder, fix="Mend its README.md")
    why = parcel.provenance.degenerate if parcel.provenance else None
    if why and not force:
        raise UserError(f"this model has learned nothing: {why}", where=parcel.folder, fix="--force pushes it anyway")
