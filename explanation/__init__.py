"""Explanation: why a spectrum stands out, from the residual of its robust reconstruction."""
