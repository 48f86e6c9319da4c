"""Runbook: the entries of docs/runbook.md, as text for the annotations of the alerts.

An alert that carries its entry needs no address of this repository, and no access to it at night.
"""

import re
from functools import cache
from pathlib import Path

_PAGE = Path(__file__).parents[2] / "docs" / "runbook.md"
_LINK = re.compile(r"\[([^\]]*)\]\([^)]*\)")


@cache
def entries() -> dict[str, str]:
    """Return the entry of each alert by its name, without Markdown's links and emphasis."""
    _, *sections = re.split(r"^## ", _PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE)
    named = (section.split("\n", 1) for section in sections)
    return {name: _plain(text) for name, text in named}


def _plain(text: str) -> str:
    """Return Markdown as paragraphs, each one line."""
    text = _LINK.sub(r"\1", text).replace("**", "")
    paragraphs = re.split(r"\n\s*\n", text.strip())
    return "\n".join(" ".join(each.split()) for each in paragraphs)
