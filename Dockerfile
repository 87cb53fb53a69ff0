# The server's image. Both stages are of one release of Debian: it runs with the libraries that it was linked with.
FROM debian:bookworm-slim AS build
WORKDIR /backlog
COPY dev .
RUN ./dev install build
COPY . .
RUN ./dev build release

FROM debian:bookworm-slim
# The libraries that the program is linked with, the authorities that it trusts, and Kerberos (sasl: gssapi).
RUN apt-get update && apt-get install -y --no-install-recommends \
        libcurl4 libevent-core-2.1-7 libevent-extra-2.1-7 libgrpc29 libhiredis0.14 libjansson4 libnats3.4 \
        libnghttp2-14 libpq5 libprotobuf-c1 librabbitmq4 librdkafka1 libssl3 libyaml-0-2 zlib1g \
        ca-certificates libsasl2-modules-gssapi-mit \
    && rm -rf /var/lib/apt/lists/*
COPY --from=build /backlog/build/release/backlog /usr/local/bin/
# Says so now if a library is missing.
RUN backlog --version
USER 65532:65532
EXPOSE 9090 9091
ENTRYPOINT ["backlog"]
CMD ["serve"]
