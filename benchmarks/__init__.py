"""How fast scoring and serving are, beside the plain way, a floor and other servers."""
