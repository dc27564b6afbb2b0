from __future__ import annotations

import pytest

from dist_stilts.errors import UserError
from dist_stilts.names import check_name


@pytest.mark.parametrize("name", ["xnli", "a-n100@mnli+qqp", "v1.2", "_x", "7", "größe"])
def test_letters_digits_and_a_few_signs_make_a_name(name: str) -> None:
    assert check_name(name, "phases") == name


@pytest.mark.parametrize(
    "name",
    [
        "",
        ".",
        "..",
        ".hidden",
        "-rf",
        "--help",
        "a/b",
        "/tmp",
        "a\\b",
        "~",
        "a b",
        "a\nb",
        "$HOME",
        "a;b",
        "a*",
        "=1+1",
        "\0",
    ],
)
def test_what_could_be_a_path_an_option_or_more_than_a_word_is_none(name: str) -> None:
    with pytest.raises(UserError, match=r"^phases: '.*' is no name\. Use letters, digits and") as caught:
        check_name(name, "phases")
    assert str(caught.value).isprintable()


def test_long_and_taken_names_are_refused() -> None:
    with pytest.raises(UserError, match=r"phases: 'a+…' has over 100 bytes"):
        check_name("a" * 101, "phases")
    with pytest.raises(UserError, match="phases: 'all' is every phase"):
        check_name("all", "phases", {"all": "every phase"})
