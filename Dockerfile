# One image for every command: `gateway` (the default), `auth`, `migrate`, `healthcheck`.
# Python and Debian have the versions that the tests use. A release names the base image by digest too:
#   --build-arg PYTHON=python:3.11-slim-bookworm@sha256:…
ARG PYTHON=python:3.11-slim-bookworm

FROM ${PYTHON} AS build
WORKDIR /app
COPY requirements/runtime.txt requirements/
RUN python -m venv --without-pip .venv \
    && python -m pip --python .venv/bin/python install --no-cache-dir --root-user-action ignore \
        --only-binary :all: --require-hashes --requirement requirements/runtime.txt
COPY gateway gateway
COPY auth auth
COPY httpapi httpapi
COPY storage storage
COPY web web
COPY clients/js clients/js
# `chat-gateway --version` reads the version from it.
COPY pyproject.toml ./
# The software bill of materials: what is installed, with the hashes of the lock file; fails if anything else is.
COPY scripts/bill_of_materials.py scripts/
RUN .venv/bin/python scripts/bill_of_materials.py --installed >/sbom.cdx.json && rm -r scripts
# Compiled at build time, because the image runs on a read-only root; unchecked, because copying may change file times.
RUN python -m compileall -q --invalidation-mode unchecked-hash gateway auth httpapi storage \
    && printf '#!/app/.venv/bin/python\nimport sys\n\nfrom gateway.cli import main\n\nsys.exit(main())\n' \
        >.venv/bin/chat-gateway \
    && chmod 0755 .venv/bin/chat-gateway

FROM ${PYTHON}
# /project/static is the STATIC_PATH of seed 003.
RUN python -m pip uninstall --yes --quiet --root-user-action ignore pip setuptools wheel \
    && mkdir /project && ln -s /app/web /project/static
COPY --from=build /app /app
COPY --from=build /sbom.cdx.json /usr/share/chat-gateway/
COPY LICENSE /app/
LABEL org.opencontainers.image.title="chat-gateway" \
    org.opencontainers.image.licenses="MIT"
ENV PATH=/app/.venv/bin:$PATH \
    PYTHONPATH=/app \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
WORKDIR /app
USER 10001:10001
EXPOSE 8000 8001
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 CMD ["chat-gateway", "healthcheck"]
ENTRYPOINT ["chat-gateway"]
CMD ["gateway"]
