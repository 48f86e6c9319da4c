#!/bin/sh
# Starts the service in its container; arguments are added to those of `bentoml serve`.
set -eu

# numba uses only a cache that it could also write to.
mkdir -p "$NUMBA_CACHE_DIR"
cp -R "$(dirname "$0")/numba/." "$NUMBA_CACHE_DIR"

# A container that is started again in the same pod finds the flag that stopped its predecessor.
rm -f "$OUTCROP_DRAIN_FILE"

exec bentoml serve service.app:OutlierService --host 0.0.0.0 --port 3000 "$@"
