from __future__ import annotations

import pytest

from dist_stilts.preflight.findings import by_value, fail, failed, lines, listed, odd_ones, ok, show, summary, warning

FINDINGS = [
    ok("connection", ["a", "b"], "ssh"),
    warning("clock", ["b"], "3 s off", "Set it"),
    fail("code", ["b"], "differs\non b", "Install it"),
]


def test_a_finding_is_one_line_with_hosts_and_how_to_mend_it_and_a_terminal_shows_the_same_cells(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    show(FINDINGS, ["a", "b"])
    assert capsys.readouterr().out.splitlines() == [
        "ok       connection  all  ssh",
        "warning  clock       b    3 s off. Set it",
        "FAIL     code        b    differs on b. Install it",
    ]
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "120")
    show([*FINDINGS, fail("x", ["a"], "[not markup]", "")], ["a", "b"])
    drawn = capsys.readouterr().out
    assert all(word in drawn for word in ("connection", "all", "3 s off. Set it", "FAIL", "[not markup]"))


def test_warnings_pass_one_failure_fails_and_hosts_are_grouped_by_what_they_say() -> None:
    assert not failed(FINDINGS[:2])
    assert failed(FINDINGS)
    assert summary(FINDINGS) == "1 ok, 1 warnings, 1 failed"
    groups = by_value({"a": 1, "b": 2, "c": 2})
    assert listed(groups) == "2 on b, c; 1 on a"
    assert odd_ones(groups) == ["a"]
    assert listed(by_value({"a": 1, "b": 1})) == "1"
    assert lines([ok("clock", ["a"], "well")], ["a"]) == ["ok  clock  a  well"]
