"""The exported names, their documentation and the cost of the import."""

import ast
import doctest
import importlib
import inspect
import pkgutil
import re
import subprocess
import sys
import types
from pathlib import Path

import pytest

import outcrop

MODULES = sorted(module.name for module in pkgutil.walk_packages(outcrop.__path__, "outcrop."))
PUBLIC = [name for name in MODULES if not any(part.startswith("_") for part in name.split("."))]
README = Path(__file__).parents[2] / "clients" / "python" / "README.md"


def test_all_names_exactly_what_is_public() -> None:
    public = {
        name
        for name, value in vars(outcrop).items()
        if (name == "__version__" or not name.startswith("_"))
        and not isinstance(value, types.ModuleType)
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


def names_from_private_modules(tree: ast.Module) -> set[str]:
    return {
        alias.asname or alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module
        if any(part.startswith("_") for part in node.module.split("."))
        for alias in node.names
    }


def public_functions(owner: ast.Module | ast.ClassDef) -> list[ast.FunctionDef]:
    found: list[ast.FunctionDef] = []
    for node in owner.body:
        if not isinstance(node, ast.FunctionDef | ast.ClassDef):
            continue
        if node.name.startswith("_") and node.name != "__init__":
            continue
        found += public_functions(node) if isinstance(node, ast.ClassDef) else [node]
    return found


@pytest.mark.parametrize("name", PUBLIC)
def test_nothing_public_takes_or_returns_a_private_type(name: str) -> None:
    tree = ast.parse(inspect.getsource(importlib.import_module(name)))
    private = names_from_private_modules(tree)
    for function in public_functions(tree):
        arguments = (*function.args.args, *function.args.kwonlyargs)
        annotations = [each.annotation for each in arguments] + [function.returns]
        words = re.findall(r"\w+", " ".join(ast.unparse(each) for each in annotations if each))
        assert not [word for word in words if word in private or word.startswith("_")]


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_in_docstrings_work(name: str) -> None:
    assert doctest.testmod(importlib.import_module(name)).failed == 0


def test_the_docstrings_have_examples() -> None:
    finder = doctest.DocTestFinder(exclude_empty=True)
    modules = [importlib.import_module(name) for name in MODULES]
    assert sum(len(test.examples) > 0 for m in modules for test in finder.find(m)) >= 5


@pytest.mark.parametrize("name", MODULES)
def test_every_module_has_a_test_module(name: str) -> None:
    module = importlib.import_module(name)
    if hasattr(module, "__path__") or name in ("outcrop._constants", "outcrop._version"):
        return
    *packages, last = name.split(".")[1:]
    assert Path(__file__).parent.joinpath(*packages, f"test_{last.lstrip('_')}.py").is_file()


def test_importing_it_imports_no_server_library_and_no_astropy() -> None:
    script = "import sys, outcrop; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60
    )
    loaded = set(done.stdout.split())
    assert "outcrop.client" in loaded
    assert not loaded & {"astropy", "bentoml", "tensorflow", "onnxruntime", "numba", "pydantic"}


def test_the_package_is_marked_as_typed() -> None:
    assert (Path(outcrop.__file__).parent / "py.typed").is_file()


def test_the_python_in_the_readme_names_only_what_exists() -> None:
    example = README.read_text().split("```python\n")[1].split("```")[0]
    names = compile(example, "README.md", "exec").co_names
    assert "outcrop" in names
    used = {part.split("(")[0].split(".")[0] for part in example.split("outcrop.")[1:]}
    assert used <= set(outcrop.__all__)
