"""The science: raw DESI spectra to scores. No HTTP, no fitting."""

import os

# By default the KD-tree's idle OpenMP threads spin and slow down the networks' threads: scoring one
# spectrum then takes five times as long. OpenMP reads this setting when it is first used.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
