"""Collect: one catalogue of the score tables of a release, as Parquet and as FITS."""

from .command import add_parser

__all__ = ["add_parser"]
