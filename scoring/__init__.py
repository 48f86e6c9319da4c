"""The science: raw DESI spectra to scores. No HTTP, no fitting."""
