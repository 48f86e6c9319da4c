"""Review: the page on which a night's outliers are looked at, labelled and learned from."""
