"""What a model is: bundles on disk, and where they are kept."""
