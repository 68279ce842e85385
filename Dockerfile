# docker build -t registry.example.com/linkerd-failover:0.2.0 .
#
# The bases are named by their digests, which Dependabot renews with their tags; docs/releases.md says how a release
# sees that they are what they seem. No platform is named: an image is built on a machine of its platform.
FROM docker.io/library/rust:1.95-bookworm@sha256:6258907abe69656e41cd992e0b705cdcfabcbbe3db374f92ed2d47121282d4a1 AS build
WORKDIR /src

# The manifests alone, with empty sources: the dependencies are a layer, and are compiled again when a manifest
# changes and not when the program does.
COPY Cargo.toml Cargo.lock ./
COPY webhook-certs/Cargo.toml webhook-certs/
COPY pictures/Cargo.toml pictures/
COPY release/Cargo.toml release/
COPY tests/cluster/Cargo.toml tests/cluster/
COPY tests/cluster/tools/Cargo.toml tests/cluster/tools/
COPY tests/chaos/Cargo.toml tests/chaos/
COPY tests/docs/Cargo.toml tests/docs/
COPY tests/docs/book/Cargo.toml tests/docs/book/
COPY tests/endurance/Cargo.toml tests/endurance/
COPY tests/look/Cargo.toml tests/look/
COPY benches/table/Cargo.toml benches/table/
COPY tests/mutants/Cargo.toml tests/mutants/
RUN --mount=type=cache,target=/usr/local/cargo/registry,sharing=locked \
    for folder in src webhook-certs/src pictures/src release/src tests/chaos/src tests/cluster/src tests/cluster/tools/src \
      tests/docs/src tests/docs/book/src tests/look/src benches/table/src tests/endurance/src \
      tests/mutants/src ; do \
      mkdir -p "$folder" && touch "$folder/lib.rs" || exit 1; \
    done \
    && mkdir benches/figures \
    && for file in src/main.rs pictures/src/main.rs release/src/main.rs tests/chaos/src/main.rs tests/docs/book/src/main.rs \
      tests/mutants/src/main.rs \
      benches/figures/main.rs benches/informers.rs benches/instructions.rs benches/allocations.rs; do \
      echo 'fn main() {}' >"$file" || exit 1; \
    done \
    && cargo build --locked --release --bin linkerd-failover

COPY . .
# The sources are older than what was built without them, and cargo goes by the time.
RUN --mount=type=cache,target=/usr/local/cargo/registry,sharing=locked \
    touch src/lib.rs src/main.rs webhook-certs/src/lib.rs \
    && cargo build --locked --release --bin linkerd-failover

# glibc, libgcc and the CAs that receivers of notifications are trusted by, where `notifications.ca` names none. No
# shell, no package manager.
FROM gcr.io/distroless/cc-debian13:nonroot@sha256:e792ab3d241a468a4fd7519ddbbebe66b49b5f365771716ea688ad40b6c6f1c2
ARG VERSION=0.2.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="linkerd-failover" \
      org.opencontainers.image.description="Failover for Linkerd: an admission webhook and the controller that flips the weights" \
      org.opencontainers.image.version="$VERSION" \
      org.opencontainers.image.revision="$REVISION" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.vendor="Linkerd authors" \
      org.opencontainers.image.source="https://github.com/linkerd/linkerd-failover" \
      org.opencontainers.image.url="https://linkerd.io" \
      org.opencontainers.image.documentation="https://github.com/linkerd/linkerd-failover/blob/main/README.md"
COPY --from=build /src/target/release/linkerd-failover /usr/local/bin/linkerd-failover
# The chart's `podSecurityContext.runAsUser`, as a number: Kubernetes cannot tell of a name that it is not root.
USER 2103:2103
ENTRYPOINT ["/usr/local/bin/linkerd-failover"]
