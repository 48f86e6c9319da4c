#!/bin/sh
# Runs a command of a release in its container, as any user.
set -eu

# numba ignores a cache that it cannot write to.
NUMBA_CACHE_DIR=$(mktemp -d)
export NUMBA_CACHE_DIR
cp -R "$(dirname "$0")/numba/." "$NUMBA_CACHE_DIR"

exec "$@"
