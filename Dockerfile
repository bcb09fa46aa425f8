# syntax=docker/dockerfile:1
FROM python:3.11-slim-bookworm AS build

ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
# For codepush/domain/_rollout.c; its version does not matter.
# hadolint ignore=DL3008
RUN apt-get update && apt-get install --yes --no-install-recommends gcc libc6-dev \
    && rm -rf /var/lib/apt/lists/*
RUN python -m venv /opt/codepush
WORKDIR /build
# First what changes seldom.
COPY requirements.txt ./
RUN sed '/^\.$/d' requirements.txt > pinned.txt \
    && /opt/codepush/bin/pip install --requirement pinned.txt
COPY setup.cfg setup.py pyproject.toml README.md wsgi.py ./
COPY codepush ./codepush
COPY config ./config
COPY plugins ./plugins
RUN /opt/codepush/bin/pip install --no-deps .

FROM python:3.11-slim-bookworm

RUN useradd --uid 10001 --user-group --no-create-home --home-dir /data codepush \
    && install --directory --owner=codepush --group=codepush --mode=0700 /data
COPY --from=build /opt/codepush /opt/codepush
COPY config/gunicorn.conf.py wsgi.py /srv/codepush/
ENV PATH=/opt/codepush/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    CODEPUSH_ENV=production \
    MALLOC_ARENA_MAX=2 \
    DATA_DIR=/data
WORKDIR /srv/codepush
USER 10001:10001
VOLUME /data
EXPOSE 3000
HEALTHCHECK --interval=30s --timeout=5s --start-period=20s --retries=3 \
    CMD ["python", "-c", "import os, urllib.request; urllib.request.urlopen(f\"http://127.0.0.1:{os.environ.get('PORT', '3000')}/health/live\", timeout=4)"]
# Store, web server and worker; with REDIS_URL, without the store.
CMD ["codepush", "serve"]
