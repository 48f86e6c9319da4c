"""The fits: from folders of DESI petals to a bundle that scoring can serve. Never served itself."""


class TrainingError(ValueError):
    """Something the user can put right; the message names it, its value and the remedy."""
