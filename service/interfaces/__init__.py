"""Interfaces: scoring as JSON and as the Open Inference Protocol v2."""
