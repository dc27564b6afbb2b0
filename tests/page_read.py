"""Reading a page that the product wrote: is it well formed, and does it need nothing from elsewhere?"""

from __future__ import annotations

import re
from html.parser import HTMLParser

VOID = {"meta", "br", "link", "img", "input", "hr", "col", "source", "wbr"}


class Page(HTMLParser):
    """Checks that elements close in order; collects attributes by element, and the text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.found: list[tuple[str, dict[str, str]]] = []
        self.words: list[str] = []
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_startendtag(tag, attrs)
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())

    def all(self, *names: str) -> list[str]:
        """The values of attributes."""
        return [attributes[name] for _, attributes in self.found for name in names if name in attributes]


def check_self_contained(html: str) -> Page:
    """Nothing is loaded, every id is unique, and every reference is to a part of the page, a run or a picture in it."""
    page = Page(html)
    assert page.found[0] == ("html", {"lang": "en"})
    assert not {"link", "img", "iframe", "object"} & {tag for tag, _ in page.found}
    assert not page.all("src", "srcset", "action", "data")
    assert "@import" not in html
    assert not re.search(r"url\((?!#)", html)
    links, ids = page.all("href", "xlink:href"), page.all("id")
    assert all(re.match(r"#|\.\./|data:image/png", link) for link in links)
    references = {link[1:] for link in links if link.startswith("#")} | set(re.findall(r"url\(#([^)]+)\)", html))
    references |= set(page.all("aria-labelledby"))
    assert len(ids) == len(set(ids))
    assert references
    assert references <= set(ids)
    return page
