"""The pictures: what a model makes of spectra, as in Section 5 of Nicolaou et al. 2025."""
