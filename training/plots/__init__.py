"""Figures of a model and the spectra it scored, as in Section 5 of Nicolaou et al. 2025."""
