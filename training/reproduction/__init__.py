"""Reproduction: the results of Nicolaou et al. 2025, and what Outcrop finds in the same release."""
