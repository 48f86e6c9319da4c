#!/bin/sh
# Starts the service in its container; arguments are added to those of `bentoml serve`. With the first
# argument `review` it starts the review, with the others.
set -eu

# numba ignores a cache that it cannot write to.
mkdir -p "$NUMBA_CACHE_DIR"
cp -R "$(dirname "$0")/numba/." "$NUMBA_CACHE_DIR"

if [ "${1:-}" = review ]; then
    shift
    exec python -m review "$@"
fi

# A container that restarts in the same pod still has the drain file of the one before it.
rm -f "$OUTCROP_DRAIN_FILE"

exec bentoml serve service.app:OutlierService --host 0.0.0.0 --port 3000 "$@"
