from __future__ import annotations

from pathlib import Path
from typing import Any

from results_made import record

from dist_stilts.report.pages import LISTED, conditions, inline_svg


def torch(version: str) -> dict[str, Any]:
    return {"versions": {"torch": version}}


def test_conditions_list_every_different_value_skip_unknown_ones_and_cut_and_count_a_long_list() -> None:
    found = dict(conditions([record(seed=0, **torch("2.13.0")), record(seed=1, model_id="xlm-r", **torch("2.14.0"))]))
    assert found["seed"] == "0, 1"
    assert found["versions"] == "torch 2.13.0 / 2.14.0"
    assert found["rows per score"] == "100"
    assert found["model id"] == "xlm-r"
    assert "dtype" not in found
    found = dict(conditions([record(model_id=f"model {i}") for i in range(LISTED + 30)]))
    assert found["model id"].endswith(f"model {LISTED - 1} and 30 more")


def test_figure_ids_carry_the_name_of_the_figure_and_a_description_is_what_a_screen_reader_says(tmp_path: Path) -> None:
    figure = tmp_path / "a b.svg"
    figure.write_text('<?xml?><svg width="8pt" height="5pt"><g id="x" style="clip: url(#x)"/><use href="#x"/></svg>')
    inside = 'height="5pt"><g id="a-b-x" style="clip: url(#a-b-x)"/><use href="#a-b-x"/></svg>'
    assert inline_svg(figure) == f'<svg role="img" aria-label="a-b" {inside}'
    described = inline_svg(figure, 'rises < "much"')
    assert described == f'<svg role="img" aria-label="rises &lt; &quot;much&quot;" {inside}'
