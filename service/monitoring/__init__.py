"""Monitoring: metrics, health, logs and the canary."""
