"""Night: score every petal of a night, sum it up, list what stands out."""

from .run import Night

__all__ = ["Night"]
