"""The public door, its documentation and what importing it costs."""

import doctest
import importlib
import inspect
import pkgutil
import subprocess
import sys
import types
from pathlib import Path

import pytest

import outcrop

MODULES = sorted(module.name for module in pkgutil.iter_modules(outcrop.__path__))
README = Path(__file__).parents[2] / "clients" / "python" / "README.md"


def test_all_names_exactly_what_is_public() -> None:
    public = {
        name
        for name, value in vars(outcrop).items()
        if not name.startswith("_") and not isinstance(value, types.ModuleType)
    }
    assert set(outcrop.__all__) == public


def test_the_names_that_the_documentation_promises_are_there() -> None:
    promised = {
        *("Spectra", "Scores", "Status", "read_spectra", "write_scores", "find_petals"),
        *("Client", "AsyncClient", "Band", "Model", "OutcropError", "InputError"),
    }
    assert promised <= set(outcrop.__all__)


@pytest.mark.parametrize("name", outcrop.__all__)
def test_everything_public_is_documented(name: str) -> None:
    value = getattr(outcrop, name)
    if inspect.isclass(value) or inspect.isfunction(value):
        assert inspect.getdoc(value)


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_in_docstrings_work(name: str) -> None:
    module = importlib.import_module(f"outcrop.{name}")
    assert doctest.testmod(module).failed == 0


def test_the_docstrings_have_examples() -> None:
    finder = doctest.DocTestFinder(exclude_empty=True)
    modules = [importlib.import_module(f"outcrop.{name}") for name in MODULES]
    assert sum(len(test.examples) > 0 for m in modules for test in finder.find(m)) >= 5


def test_importing_it_imports_no_server_library_and_no_astropy() -> None:
    script = "import sys, outcrop; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60
    )
    loaded = set(done.stdout.split())
    assert "outcrop.client" in loaded
    assert not loaded & {"astropy", "bentoml", "tensorflow", "onnxruntime", "numba", "pydantic"}


def test_the_package_says_that_it_is_typed() -> None:
    assert (Path(outcrop.__file__).parent / "py.typed").is_file()


def test_the_python_in_the_readme_names_only_what_exists() -> None:
    example = README.read_text().split("```python\n")[1].split("```")[0]
    names = compile(example, "README.md", "exec").co_names
    assert "outcrop" in names
    used = {part.split("(")[0].split(".")[0] for part in example.split("outcrop.")[1:]}
    assert used <= set(outcrop.__all__)
