# The server's image: the program, what it loads, and nothing else (no shell, no package manager).
#
#   docker build --tag backlog .
#   DOCKER_BUILDKIT=1 docker build --target sbom --output . .     # backlog.spdx.json; without BuildKit there is none
# The digest of 13-slim (trixie-20261005) for all architectures: a tag can be moved.
ARG BASE=debian:13-slim@sha256:a29215f6a35e51e22adffa17f89e9d2ef06214e64a2bad10d765c46aea49f11f

FROM ${BASE} AS build
ARG VERSION=0.1.0
# Behind a proxy that inspects TLS: a file of the base with its authority; not /etc/ssl/certs/ca-certificates.crt,
# which the image gets.
ARG PIP_CERT
ARG NPM_CONFIG_CAFILE
WORKDIR /backlog
COPY dev .
COPY tools/dev tools/dev
COPY tools/image/requirements.txt tools/image/
RUN ./dev install build run python npm
RUN python3 -m venv /opt/sbom && /opt/sbom/bin/pip install --quiet --require-hashes --only-binary :all: \
    --requirement tools/image/requirements.txt
COPY . .
ARG REVISION=unknown
RUN ./dev build image "-DBACKLOG_COMMIT=$REVISION"
RUN tools/image/root build/image /image
RUN PATH=/opt/sbom/bin:$PATH tools/image/sbom /image "$VERSION"

FROM scratch AS sbom
COPY --from=build /image/usr/share/sbom/backlog.spdx.json /

FROM scratch
ARG VERSION=0.1.0
ARG REVISION=unknown
ARG CREATED=1970-01-01T00:00:00Z
ARG SOURCE=unknown
LABEL org.opencontainers.image.title="Backlog" \
      org.opencontainers.image.description="A KEDA external scaler that measures how much work waits" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.vendor="The Backlog maintainers" \
      org.opencontainers.image.base.name="scratch" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.created="${CREATED}" \
      org.opencontainers.image.source="${SOURCE}" \
      org.opencontainers.image.url="${SOURCE}" \
      org.opencontainers.image.documentation="${SOURCE}"
COPY --from=build /image /
USER 65532:65532
EXPOSE 9090 9091
ENTRYPOINT ["/usr/local/bin/backlog"]
CMD ["serve"]
