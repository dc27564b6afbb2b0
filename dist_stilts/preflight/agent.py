"""A host's side of a preflight: answers questions about itself, does small things, and undoes them at the end.

Over ssh it is a process that reads questions as JSON lines and answers in kind, until its input ends: however the
asking side dies, the files, the listener and the processes of this side go.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from dist_stilts.preflight import network
from dist_stilts.preflight.facts import collect
from dist_stilts.preflight.folder import Token, read_tokens
from dist_stilts.preflight.ranks import run_ranks

ANSWER = "answer of this host: "
"""How a line starts that is an answer; a shell's start-up files may print lines of their own."""
Question = dict[str, Any]
Answer = dict[str, Any]


class Agent:
    """Answers questions ``{"what": NAME, ...}`` by the method of that name; holds what it must undo."""

    def __init__(self) -> None:
        self._token: Token | None = None
        self._listener: network.Listener | None = None
        self._known: dict[str, Callable[..., Answer]] = {
            method.__name__: method
            for method in (self.facts, self.clock, self.leave, self.read, self.route, self.listen, self.reach)
        } | {"remove": self.remove, "hush": self.hush, "ranks": run_ranks}

    def answer(self, question: Question) -> Answer:
        """The answer; what the system refuses is in ``error``."""
        rest = {name: value for name, value in question.items() if name != "what"}
        try:
            return self._known[question["what"]](**rest)
        except OSError as error:
            return {"error": error.strerror or str(error)}

    def facts(self, out: str) -> Answer:
        """Everything about this host."""
        return collect(Path(out))

    def clock(self) -> Answer:
        """Seconds since 1970, by this host."""
        return {"now": time.time()}

    def leave(self, out: str, key: str, word: str) -> Answer:
        """Leave a word in the folder where runs go."""
        self._token = Token(Path(out), key, word)
        return {"error": None}

    def read(self, out: str, keys: list[str]) -> Answer:
        """The words that hosts have left there."""
        return {"words": read_tokens(Path(out), keys)}

    def remove(self) -> Answer:
        """Take the word back."""
        if self._token:
            self._token.remove()
        return {}

    def route(self, address: str) -> Answer:
        """The interface that leads to the address."""
        return network.route_to(address)

    def listen(self, addresses: list[str], port: int, greeting: str) -> Answer:
        """Listen on a port of these addresses until :meth:`hush`; the answer says who else does, if somebody does."""
        try:
            self._listener = network.Listener(addresses, port, greeting)
        except OSError as error:
            return {"error": error.strerror or str(error), "holder": network.holder(port)}
        return {"error": None, "holder": None}

    def reach(self, addresses: list[str], port: int, greeting: str) -> Answer:
        """For each address why the listener there cannot be reached, or None."""
        return {"errors": {address: network.reach(address, port, greeting) for address in addresses}}

    def hush(self) -> Answer:
        """Free the port."""
        if self._listener:
            self._listener.close()
        return {}

    def close(self) -> None:
        """Undo what is not yet undone."""
        self.hush()
        self.remove()


def serve() -> None:
    """Answer the questions on standard input until it ends; everything but answers goes to standard error."""
    with os.fdopen(os.dup(1), "w", encoding="utf-8", buffering=1) as answers:
        os.dup2(2, 1)
        agent = Agent()
        try:
            for line in sys.stdin:
                print(ANSWER + json.dumps(agent.answer(json.loads(line))), file=answers, flush=True)
        except BrokenPipeError:  # who asked is gone
            pass
        finally:
            agent.close()
