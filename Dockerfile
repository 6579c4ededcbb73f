# Two stages: the first builds an environment from the hash-pinned lock, the second holds nothing but that environment.
FROM python:3.12-slim-bookworm AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
RUN python -m venv /opt/pointsman
WORKDIR /src
COPY requirements.lock ./
RUN /opt/pointsman/bin/pip install --require-hashes --no-deps -r requirements.lock
COPY pyproject.toml README.md LICENSE ./
COPY registry_client registry_client
COPY serving serving
COPY configs/policies configs/policies
RUN /opt/pointsman/bin/pip install --no-deps .

FROM python:3.12-slim-bookworm
RUN useradd --system --uid 10001 --create-home --home-dir /var/lib/pointsman pointsman
COPY --from=build /opt/pointsman /opt/pointsman
ENV PATH=/opt/pointsman/bin:$PATH PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 \
    POINTSMAN_DATA=/var/lib/pointsman/data POINTSMAN_HOST=0.0.0.0 POINTSMAN_LOG_JSON=true
USER pointsman
WORKDIR /var/lib/pointsman
VOLUME /var/lib/pointsman/data
# Inference only: the admin API stays on the container's loopback; reach it with `docker exec ... pointsman`.
EXPOSE 8080
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=5s --timeout=3s --start-period=60s \
    CMD ["python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:8080/v2/health/live', timeout=2)"]
# Ray keeps its object store in shared memory: run with --shm-size=256m or more.
ENTRYPOINT ["pointsman"]
CMD ["serve"]
