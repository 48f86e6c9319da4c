"""The simulated sky: templates, targets, anomalies, noise and files."""
