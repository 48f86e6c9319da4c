"""The command line and the README agree."""

import re

from tests.conftest import ROOT, run

README = (ROOT / "README.md").read_text()


def test_the_readme_names_every_command() -> None:
    usage = run("-m", "training", "--help").stdout
    commands = re.search(r"\{([a-z,]+)\}", usage)
    assert commands, usage
    missing = [
        name
        for name in commands[1].split(",")
        if f"python -m training {name} " not in README and f"| `{name} " not in README
    ]
    assert not missing
