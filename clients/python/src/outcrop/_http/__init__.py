"""HTTP requests, their retries, and the answers to them."""
