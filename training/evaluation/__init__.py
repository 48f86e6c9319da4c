"""Evaluation: how well a bundle finds injected anomalies, beside simpler methods."""
