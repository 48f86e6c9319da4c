"""Model: from petals to a bundle: cuts, fit, density, calibration, export."""
