"""Cache: folders of arrays, named by a hash of everything they depend on.

A folder gets its name only when it is complete, so an interrupted writer leaves no partial result.
"""

import hashlib
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from types import ModuleType


def cache_root() -> Path:
    """Return the folder of all caches: OUTCROP_CACHE, or .cache/training in the repository."""
    default = Path(__file__).parents[2] / ".cache" / "training"
    return Path(os.environ.get("OUTCROP_CACHE", default))


def key_of(*parts: object) -> str:
    """Return a hash of the given values, bytes, or source code of modules."""
    digest = hashlib.sha256()
    for part in parts:
        if isinstance(part, ModuleType):
            digest.update(Path(str(part.__file__)).read_bytes())
        else:
            digest.update(part if isinstance(part, bytes) else repr(part).encode())
        digest.update(b"\0")
    return digest.hexdigest()[:32]


def cached(folder: Path, write: Callable[[Path], None]) -> Path:
    """Return the folder; `write` fills it if it does not exist."""
    if folder.is_dir():
        return folder

    temporary = folder.with_name(f".{folder.name}.{os.getpid()}")
    temporary.mkdir(parents=True)
    try:
        write(temporary)
        temporary.rename(folder)
    except OSError:
        # Another process may have written the same content first.
        if not folder.is_dir():
            raise
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return folder
