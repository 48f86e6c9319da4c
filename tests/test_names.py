"""Classes have names of their own, and long functions have paragraphs."""

import ast
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.test_words import PACKAGES, ROOT, modules

LONGEST_PARAGRAPH = 24
"""Lines of a body without a blank line."""


def without_paragraphs(source: str) -> Iterator[tuple[int, str]]:
    """Yield line and name of each long function whose body has no blank line."""
    lines = source.splitlines()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            body = node.body[ast.get_docstring(node) is not None :]
            if not body:
                continue

            written = lines[body[0].lineno - 1 : body[-1].end_lineno]
            if len(written) > LONGEST_PARAGRAPH and all(line.strip() for line in written):
                yield node.lineno, node.name


def function(lines: int, blank: int) -> str:
    """Return a function with a docstring, some lines, and blank ones after the first."""
    body = ["    x = 0", *[""] * blank, *["    x += 1"] * (lines - 1)]
    return "\n".join(["def long():", '    """Count.', "", '    Slowly."""', *body])


def test_two_classes_never_share_a_name() -> None:
    places: dict[str, list[str]] = defaultdict(list)
    for file, module in modules():
        for node in ast.walk(module):
            if isinstance(node, ast.ClassDef):
                places[node.name].append(f"{file}:{node.lineno}")

    shared = [f"{name}: {', '.join(found)}" for name, found in places.items() if len(found) > 1]
    assert not shared, "\n".join(shared)


@pytest.mark.parametrize("package", PACKAGES)
def test_long_functions_have_paragraphs(package: str) -> None:
    found = [
        f"{path.relative_to(ROOT)}:{line}: {name}"
        for path in sorted((ROOT / package).rglob("*.py"))
        for line, name in without_paragraphs(path.read_text())
    ]
    assert not found, "no blank line between the steps of\n" + "\n".join(found)


@pytest.mark.parametrize(
    ("lines", "blank", "found"),
    [
        (LONGEST_PARAGRAPH, 0, []),
        (LONGEST_PARAGRAPH + 1, 0, [(1, "long")]),
        (LONGEST_PARAGRAPH + 1, 1, []),
    ],
)
def test_a_long_body_needs_a_blank_line(
    lines: int, blank: int, found: list[tuple[int, str]]
) -> None:
    assert list(without_paragraphs(function(lines, blank))) == found


def test_every_package_is_scanned() -> None:
    scanned = {Path(file).parts[0] for file, _ in modules()}
    assert scanned == {Path(package).parts[0] for package in PACKAGES}
