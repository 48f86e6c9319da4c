"""Training: from folders of DESI petals to a bundle that scoring can serve. Never served itself."""


class TrainingError(ValueError):
    """An error that the user can fix; the message names the thing, its value and the remedy."""
