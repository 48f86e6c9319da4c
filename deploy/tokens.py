"""Tokens: make and rotate the bearer tokens in a file, one a line, the newest last.

``add`` writes a new token below the present one, ``retire`` removes the older one. Between the two
the service accepts both. Clients use one: the last line. docs/deploy.md shows the whole rotation.
"""

import argparse
import os
import secrets
import sys
from collections.abc import Sequence
from pathlib import Path

_BYTES = 32


class TokensError(ValueError):
    """The file does not allow this step; the message says what to do first."""


def add(file: Path) -> None:
    """Write a new token as the last line of a file that has at most one.

    Raises
    ------
    TokensError
        If the file has two tokens.
    """
    tokens = _read(file)
    if len(tokens) > 1:
        raise TokensError(
            f"{file} has {len(tokens)} tokens already; retire the older one when no client uses it"
        )
    _write(file, [*tokens, secrets.token_hex(_BYTES)])


def retire(file: Path) -> None:
    """Keep only the newest token of a file.

    Raises
    ------
    TokensError
        If the file has no older token.
    """
    tokens = _read(file)
    if len(tokens) < 2:
        raise TokensError(f"{file} has {len(tokens)} tokens, none to retire; add a new one first")
    _write(file, tokens[-1:])


def _read(file: Path) -> list[str]:
    if not file.exists():
        return []
    return [line.strip() for line in file.read_text().splitlines() if line.strip()]


def _write(file: Path, tokens: Sequence[str]) -> None:
    # Renamed when complete: a service that reads the file never sees half of it.
    temporary = file.with_name(f".{file.name}.part")
    temporary.unlink(missing_ok=True)
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as output:
        output.writelines(f"{token}\n" for token in tokens)
    temporary.replace(file)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit status."""
    parser = argparse.ArgumentParser(prog="python3 -m deploy.tokens", description=__doc__)
    commands = {"add": add, "retire": retire}
    parser.add_argument("command", choices=commands)
    parser.add_argument("--file", type=Path, default=Path("tokens"), help="default: tokens")
    options = parser.parse_args(arguments)

    try:
        commands[options.command](options.file)
    except (TokensError, OSError, UnicodeDecodeError) as error:
        print(f"outcrop: error: {error}", file=sys.stderr)
        return 1
    print(f"{options.file}: {len(_read(options.file))} of at most 2 tokens; clients use the last")
    return 0


if __name__ == "__main__":
    sys.exit(main())
