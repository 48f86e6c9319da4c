"""What a simulated sky is made of: templates, targets, anomalies, noise and files."""
