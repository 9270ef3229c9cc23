# One image for every part: `gateway` (the default), `auth`, `migrate`, `healthcheck`.
# The Python and the Debian are those that the tests run on.
ARG PYTHON=python:3.11-slim-bookworm

FROM ${PYTHON} AS build
WORKDIR /app
COPY requirements/runtime.txt requirements/
RUN python -m venv --without-pip .venv \
    && python -m pip --python .venv/bin/python install --no-cache-dir --root-user-action ignore \
        --only-binary :all: --require-hashes --requirement requirements/runtime.txt
COPY gateway gateway
COPY auth auth
COPY storage storage
COPY web web
# For the version that the program says it is.
COPY pyproject.toml ./
# Compiled here, as nothing can be written there; by content, as copying may change times.
RUN python -m compileall -q --invalidation-mode unchecked-hash gateway auth storage \
    && printf '#!/app/.venv/bin/python\nimport sys\n\nfrom gateway.cli import main\n\nsys.exit(main())\n' \
        >.venv/bin/chat-gateway \
    && chmod 0755 .venv/bin/chat-gateway

FROM ${PYTHON}
# The second line: where seed 003's STATIC_PATH looks for the page.
RUN python -m pip uninstall --yes --quiet --root-user-action ignore pip setuptools wheel \
    && mkdir /project && ln -s /app/web /project/static
COPY --from=build /app /app
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
