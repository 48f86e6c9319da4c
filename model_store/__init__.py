"""What a model is: bundles on disk, and the model store that keeps them."""
