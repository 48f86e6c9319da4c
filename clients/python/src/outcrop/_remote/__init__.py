"""Files that are elsewhere: addresses, requests, the copy of what is needed, the cache."""
