"""The science: raw DESI spectra to scores. No HTTP, no fitting."""

import os

# Idle OpenMP threads of the KD-tree would spin, at the cost of the networks' threads: measured,
# one spectrum then takes five times as long. OpenMP reads this once, when it is first used.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
