"""Templates escape HTML, keep Markdown as it is, and refuse to leave out a value."""

from pathlib import Path

import pytest
from jinja2 import UndefinedError

from training.templates import render


@pytest.mark.parametrize(
    ("name", "expected"), [("a.html.jinja", "&lt;b&gt; &amp;"), ("a.md.jinja", "<b> &")]
)
def test_values_are_escaped_in_html_only(tmp_path: Path, name: str, expected: str) -> None:
    (tmp_path / name).write_text("{{ value }}")
    assert render(tmp_path / name, value="<b> &") == expected


def test_a_missing_value_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "a.md.jinja").write_text("{{ values }}")
    with pytest.raises(UndefinedError, match="'values' is undefined"):
        render(tmp_path / "a.md.jinja", value=1)


def test_a_table_has_a_head_a_rule_and_its_rows(tmp_path: Path) -> None:
    template = tmp_path / "a.md.jinja"
    template.write_text('{% from "macros.md.jinja" import table %}\n{{ table(head, rows) }}')
    text = render(template, head=["a", ""], rows=[("1", 2), ("3", "x")])
    assert text == "| a |  |\n|---|---|\n| 1 | 2 |\n| 3 | x |\n"
