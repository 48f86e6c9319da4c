"""HTTP requests, their retries, and the reading of their responses."""
