"""Keep models: add bundles to the model store, list them, take them out, verify them."""

import argparse
import sys
from collections.abc import Sequence

from . import registry
from .bundle import Bundle, BundleError

_EXAMPLE = """example:
  python -m model_store add demo/model
  python -m model_store list
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit status."""
    options = _parser().parse_args(arguments)
    try:
        if options.command == "add":
            print(registry.add(options.bundle))
        elif options.command == "list":
            _list()
        elif options.command == "verify":
            _verify(options.bundle)
        else:
            print(registry.export(options.tag, options.folder))
    except BundleError as error:
        print(f"outcrop: error: {error}", file=sys.stderr)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m model_store",
        description=f"{__doc__} The store is {registry.place()}; BENTOML_HOME moves it.",
        epilog=_EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", required=True)

    add = commands.add_parser("add", help="verify a bundle and copy it into the store")
    add.add_argument("bundle")

    commands.add_parser("list", help="tag, sample and creation time of every stored model")

    verify = commands.add_parser("verify", help="check every file's sha256")
    verify.add_argument("bundle", metavar="BUNDLE_OR_TAG")

    export = commands.add_parser("export", help="copy a stored bundle to a folder")
    export.add_argument("tag")
    export.add_argument("folder", metavar="DIR")

    return parser


def _list() -> None:
    stored = registry.bundles()
    if not stored:
        print(f"outcrop: no model is stored in {registry.place()}", file=sys.stderr)
    for tag, path in stored:
        manifest = Bundle.open(path).manifest
        print(f"{tag}\t{manifest.sample.label}\t{manifest.created:%Y-%m-%d %H:%M}")


def _verify(bundle: str) -> None:
    opened = Bundle.open(registry.resolve(bundle))
    manifest = opened.manifest
    print(
        f"{manifest.name} {manifest.version} ({manifest.sample.label}): "
        f"{len(manifest.files)} files match, sha256 {opened.sha256}"
    )


if __name__ == "__main__":
    sys.exit(main())
