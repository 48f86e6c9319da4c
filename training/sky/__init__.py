"""What a made-up sky is made of: templates, targets, anomalies, noise and files."""
