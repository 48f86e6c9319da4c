"""Cache: folders of arrays that are made once, named after everything they depend on.

A folder appears under its name only when it is complete, so an interrupted writer leaves nothing
that could be mistaken for a result.
"""

import hashlib
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from types import ModuleType


def cache_root() -> Path:
    """Return the folder of the caches: OUTCROP_CACHE, or .cache/training in the repository."""
    default = Path(__file__).parents[2] / ".cache" / "training"
    return Path(os.environ.get("OUTCROP_CACHE", default))


def key_of(*parts: object) -> str:
    """Return a name for what depends on the given values, bytes, or modules' source code."""
    digest = hashlib.sha256()
    for part in parts:
        if isinstance(part, ModuleType):
            digest.update(Path(str(part.__file__)).read_bytes())
        else:
            digest.update(part if isinstance(part, bytes) else repr(part).encode())
        digest.update(b"\0")
    return digest.hexdigest()[:32]


def cached(folder: Path, write: Callable[[Path], None]) -> Path:
    """Return the folder, filled by `write` unless it is there already."""
    if folder.is_dir():
        return folder
    temporary = folder.with_name(f".{folder.name}.{os.getpid()}")
    temporary.mkdir(parents=True)
    try:
        write(temporary)
        temporary.rename(folder)
    except OSError:
        # Another process may have been faster with the very same content.
        if not folder.is_dir():
            raise
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return folder
