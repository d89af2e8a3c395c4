# syntax=docker/dockerfile:1
# One recipe for every part: docker build --build-arg SERVICE=catalog . (or router, sync, integrity, chassis, simulator)
ARG PYTHON=3.13
ARG NATS=2-alpine

# The bus: who may do what on it is part of the image, the passwords come from its environment.
FROM nats:${NATS} AS nats
COPY deploy/nats /etc/modelbus
RUN addgroup -g 10001 modelbus && adduser -D -H -u 10001 -G modelbus modelbus && install -d -o modelbus -g modelbus -m 0700 /data
USER 10001:10001
ENTRYPOINT ["nats-server"]
CMD ["--config", "/etc/modelbus/nats.conf"]

FROM python:${PYTHON}-slim AS build
WORKDIR /build
# What builds and installs stays in this stage.
COPY deploy/requirements.build.lock ./
RUN python -m venv /opt/tools && /opt/tools/bin/pip install --quiet --no-cache-dir --require-hashes -r requirements.build.lock
# Dependencies are the same for every part, so that all images share this layer.
COPY deploy/requirements.serve.lock ./
RUN /opt/tools/bin/uv venv --quiet --python /opt/tools/bin/python /opt/modelbus \
    && /opt/tools/bin/uv pip install --quiet --python /opt/modelbus --link-mode copy --compile-bytecode \
       --require-hashes -r requirements.serve.lock
COPY libs ./libs
RUN for each in contracts chassis; do \
         (cd "libs/$each" && /opt/tools/bin/hatchling build -t wheel -d /build/wheels/shared) || exit 1; done \
    && /opt/tools/bin/uv pip install --quiet --python /opt/modelbus --link-mode copy --compile-bytecode --no-deps --offline \
       /build/wheels/shared/*.whl
COPY services ./services
ARG SERVICE
RUN case "$SERVICE" in chassis) part= ;; simulator) part=libs/simulator ;; *) part="services/$SERVICE" ;; esac \
    && if [ -n "$part" ]; then \
         (cd "$part" && /opt/tools/bin/hatchling build -t wheel -d "/build/wheels/$SERVICE") \
         && /opt/tools/bin/uv pip install --quiet --python /opt/modelbus --link-mode copy --compile-bytecode --no-deps --offline \
            "/build/wheels/$SERVICE"/*.whl || exit 1; fi \
    && /opt/tools/bin/uv pip check --quiet --python /opt/modelbus

FROM python:${PYTHON}-slim
ARG SERVICE
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="modelbus-${SERVICE}" \
      org.opencontainers.image.description="Modelbus: manages and serves an organisation's large language models" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
RUN groupadd --gid 10001 modelbus && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /var/lib/modelbus modelbus \
    && install -d -o modelbus -g modelbus -m 0700 /var/lib/modelbus
COPY --from=build /opt/modelbus /opt/modelbus
ENV PATH=/opt/modelbus/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    MODELBUS_PART=modelbus.${SERVICE} \
    MODELBUS_HOST=0.0.0.0 \
    MODELBUS_PORT=8000 \
    MODELBUS_STATE_DIR=/var/lib/modelbus
USER 10001:10001
WORKDIR /var/lib/modelbus
EXPOSE 8000
# Ready, or not yet: what is missing is in its answer. SIGTERM ends a service once its requests have ended.
HEALTHCHECK --interval=5s --timeout=3s --start-period=30s --retries=3 CMD ["python", "-m", "modelbus.chassis.asking"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["/bin/sh", "-c", "exec python -m \"$MODELBUS_PART\" \"$@\"", "modelbus"]
CMD ["serve"]
