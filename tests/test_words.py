"""Names and texts use the terms of docs/glossary.md, and none of the words below.

Scanned are the documentation, all strings of the packages (messages, help, docstrings) and the
names of their modules, classes and functions. The words of a name are compared as text:
`StrangeSky` is "strange sky".

Not scanned are names that users have stored, which stay: fields of a recipe (`patience`), arrays of
a bundle (`coherence_4`), settings (`OUTCROP_MAX_IN_WORK`), metrics (`outcrop:judged_spectra`). In
texts, the underscore keeps them apart from the words. Earlier releases in CHANGELOG.md, tests and
comments are not scanned either.
"""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = (
    "clients/python/src",
    "explanation",
    "scoring",
    "model_store",
    "training",
    "service",
    "review",
    "release",
    "benchmarks",
    "deploy",
)
NAMED = ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
DOCUMENTATION = ("*.md", "docs/*.md", "*/README.md", "clients/python/*.md", "training/**/*.jinja")


@dataclass(frozen=True)
class Word:
    """A word that is not used.

    Attributes
    ----------
    example : str
        A use of the word, which the pattern matches.
    pattern : str
        Regular expression without regard to case; a space stands for any white space.
    replacement : str
    under : str
        Folder in which the word is not used; elsewhere it has another meaning.
    """

    example: str
    pattern: str
    replacement: str
    under: str = ""

    def __str__(self) -> str:
        return self.example


WORDS = (
    Word("fibres", r"\bfibres?\b", "fiber"),
    Word("made-up sky", r"\bmade[- ]up\b", "simulated"),
    Word("planted", r"\bplant(s|ed|ing)?\b", "injected"),
    Word("ordinary", r"\bordinary\b", "inlier"),
    Word("strange", r"\bstrang(e|er|ers|est|ely|eness)\b", "anomalous, anomaly score"),
    Word("oddity", r"\boddit(y|ies)\b", "anomaly"),
    Word("coherence", r"\bcoherences?\b", "boxcar significance"),
    Word("stopwatch", r"\bstopwatch(es)?\b", "stage timer"),
    Word("patience", r"\bpatien(ce|t)\b", "retries, retrying client"),
    Word("stamp", r"\bstamps?\b", "file fingerprint"),
    Word("trial", r"\btrials?\b", "preflight"),
    Word("door", r"\bdoors?\b", "app"),
    Word("exchange", r"\bexchanges?\b", "request context, client request"),
    Word("judge", r"\bjudg(e|es|ed|ing)\b", "scorer; evaluate"),
    Word("rival", r"\brivals?\b", "baseline"),
    Word("plain way", r"\bplain way\b", "reference implementation"),
    Word("petals in work", r"\bpetals? in work\b", "petals in progress"),
    Word("let in", r"\blet(s|ting)? in\b", "allow, reject"),
    Word("nobody", r"\b(no|some)body\b", "the subject: client, operator, user"),
    Word("told", r"\btold\b", "reported, given, logged"),
    Word("speaks", r"\bspeaks?\b", "uses, implements"),
    Word("what comes of it", r"\bwhat (comes|came|becomes) of\b", "result"),
    Word("stands still", r"\bstands? still\b", "does not change"),
    Word("cannot be looked at", r"\bcannot be looked at\b", "cannot stat"),
    Word("Who may ask", r"\bwho may ask\b", "Authentication"),
    Word("## Bounds", r"^#+ Bounds$", "Limits"),
    Word("a spectrum's way", r"\bspectrum's way\b", "data flow"),
    Word("page", r"^page$", "get route", under="service"),
    Word("job", r"^job$", "post route", under="service"),
    Word("table", r"^table$", "router", under="service"),
    Word("watch", r"^watch$", "canary monitor", under="service"),
    Word("documents", r"^documents$", "json models", under="service"),
    Word("protocol", r"^protocol$", "oip", under="service"),
    Word("science", r"^science$", "score metrics", under="service"),
    Word("answers", r"^answers$", "response models", under="service"),
    Word("places", r"^places$", "fiber observations", under="clients"),
    Word("toplist", r"^toplist$", "top list", under="clients"),
    Word("measure", r"^measure$", "petal scores", under="training"),
    Word("evaluation table", r"^evaluation table$", "tables", under="training"),
    Word("material", r"^material$", "workload", under="benchmarks"),
    Word("sizes", r"^sizes$", "request sizes", under="benchmarks"),
    Word("growth", r"^growth$", "scaling", under="benchmarks"),
    Word("plain", r"^plain$", "reference", under="benchmarks"),
    Word("peers", r"^peers$", "competitors", under="benchmarks"),
    Word("page", r"^page$", "report", under="benchmarks"),
)


@dataclass(frozen=True)
class Text:
    """A text of the project, with the place where it starts."""

    file: str
    line: int
    content: str

    def find(self, pattern: str) -> Iterator[str]:
        """Yield the place of each match and what was matched."""
        spaced = pattern.replace(" ", r"\s+")
        for match in re.finditer(spaced, self.content, re.IGNORECASE | re.MULTILINE):
            line = self.line + self.content.count("\n", 0, match.start())
            yield f"{self.file}:{line}: {' '.join(match[0].split())!r}"


def words_of(name: str) -> str:
    """Return the words of an identifier, in lower case."""
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", name).replace("_", " ")
    return " ".join(spaced.split()).lower()


@cache
def documentation() -> tuple[Text, ...]:
    files = sorted({path for pattern in DOCUMENTATION for path in ROOT.glob(pattern)})
    texts: list[Text] = []
    for path in files:
        content = path.read_text()
        if path.name == "CHANGELOG.md":
            content = re.split(r"^## (?!Unreleased)", content, flags=re.MULTILINE)[0]
        texts.append(Text(path.relative_to(ROOT).as_posix(), 1, content))
    return tuple(texts)


@cache
def modules() -> tuple[tuple[str, ast.Module], ...]:
    paths = [path for folder in PACKAGES for path in sorted((ROOT / folder).rglob("*.py"))]
    return tuple((path.relative_to(ROOT).as_posix(), ast.parse(path.read_text())) for path in paths)


@cache
def strings() -> tuple[Text, ...]:
    return tuple(
        Text(file, node.lineno, node.value)
        for file, module in modules()
        for node in ast.walk(module)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    )


@cache
def names() -> tuple[Text, ...]:
    found: list[Text] = []
    for file, module in modules():
        found.append(Text(file, 1, words_of(Path(file).stem)))
        for node in ast.walk(module):
            if isinstance(node, NAMED):
                found += [Text(file, node.lineno, words_of(node.name))]
    return tuple(found)


def uses_of(word: Word) -> list[str]:
    """Return the places of a word."""
    # Under a folder only its names are scanned: the word is correct in other texts.
    texts = names() if word.under else (*documentation(), *strings(), *names())
    return [
        use for text in texts if text.file.startswith(word.under) for use in text.find(word.pattern)
    ]


@pytest.mark.parametrize("word", WORDS, ids=str)
def test_the_word_is_not_used(word: Word) -> None:
    uses = uses_of(word)
    assert not uses, f"write {word.replacement} instead:\n" + "\n".join(uses)


@pytest.mark.parametrize("word", WORDS, ids=str)
def test_the_pattern_matches_its_example(word: Word) -> None:
    assert list(Text("example", 1, word.example).find(word.pattern))


@pytest.mark.parametrize(
    ("name", "words"),
    [("_StrangeSky", "strange sky"), ("made_up", "made up"), ("OnnxVAE", "onnx vae")],
)
def test_names_are_split_into_words(name: str, words: str) -> None:
    assert words_of(name) == words


def test_all_kinds_of_text_are_scanned() -> None:
    files = {text.file for text in documentation()}
    assert {"README.md", "CHANGELOG.md", "docs/glossary.md", "model_store/README.md"} <= files
    assert any(text.content == "scorer" for text in names())
    assert any("Score spectra" in text.content for text in strings())


def test_the_line_of_a_match_is_that_of_its_first_word() -> None:
    text = Text("file", 5, "one\na made\nup sky")
    assert list(text.find(r"\bmade[- ]up\b")) == ["file:6: 'made up'"]
