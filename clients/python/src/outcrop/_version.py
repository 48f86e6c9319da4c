"""The version of the SDK; the only place where it is stated."""

__version__ = "0.1.0"
