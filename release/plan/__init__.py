"""Plan: which coadds of a release are to be scored, of its redshift catalogue or its files."""

from .command import add_parser

__all__ = ["add_parser"]
