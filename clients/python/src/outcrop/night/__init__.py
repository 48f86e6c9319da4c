"""Night: score every petal of a night, sum it up, list the most anomalous spectra."""

from .run import Night

__all__ = ["Night"]
