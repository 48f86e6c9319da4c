"""Hypotheses: one module for each known cause, each a small model of what it does to a spectrum."""
