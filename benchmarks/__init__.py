"""How fast scoring and serving are, beside a reference implementation and other servers."""
