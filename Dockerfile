# docker build -t <registry>/linkerd-failover:0.2.0 .
FROM rust:1.95-bookworm AS build
WORKDIR /src
COPY . .
# The tests' cluster is a member of the workspace, but no part of the program.
RUN cargo build --locked --release --bin linkerd-failover

FROM debian:bookworm-slim
# The CAs that receivers of notifications are trusted by, where `notifications.ca` names none.
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build /src/target/release/linkerd-failover /usr/local/bin/linkerd-failover
USER 2103
ENTRYPOINT ["/usr/local/bin/linkerd-failover"]
