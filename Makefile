# Two commands do everything: `make demo` and `make test`. Rust, Go, make, git and a C compiler are
# all they need; the rest they get themselves, from the package registries.

CARGO ?= cargo
CARGO_DENY_VERSION := 0.20.2
CARGO_DENY ?= $(or $(CARGO_TARGET_DIR),target)/tools/cargo-deny-$(CARGO_DENY_VERSION)/bin/cargo-deny

# Tests that run at once. Most of them wait: for a Lease, for a controller, for patience to end.
THREADS ?= 5

.PHONY: demo test build-tests lint unit integration tools manifests bench bench-admission bench-reviews bench-heavy bench-guard bench-profiles clean

## demo: the main job on two real Kubernetes API servers; ROUTE=http tells it with an HTTPRoute, KEEP=1 leaves it running
demo: tools
	$(CARGO) build --locked --bin linkerd-failover --example demo
	KEEP=$(KEEP) ROUTE=$(ROUTE) $(CARGO) run --locked --quiet --example demo

## test: everything, and how long each part took
test:
	CARGO="$(CARGO)" THREADS=$(THREADS) tests/run.sh

# Every command below is about the whole workspace with its dev-dependencies: with those of one
# package alone cargo gives tokio other features, and compiles all that is above it once more.
build-tests:
	$(CARGO) test --locked --workspace --no-run

lint: $(CARGO_DENY)
	$(CARGO) fmt --all --check
	$(CARGO) clippy --locked --workspace --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --locked --workspace --no-deps --quiet --document-private-items --lib --examples
	$(CARGO_DENY) --locked check --hide-inclusion-graph bans licenses sources

# Built once, unoptimised: that takes 100 s of CPU, and a check takes 2 s all the same.
$(CARGO_DENY):
	CARGO_PROFILE_DEV_DEBUG=false $(CARGO) install --locked --quiet --debug \
	  --root $(@:/bin/cargo-deny=) --version $(CARGO_DENY_VERSION) cargo-deny

## unit: the tests that need no cluster
unit:
	$(CARGO) test --locked --workspace --no-fail-fast --lib --bins
	$(CARGO) test --locked --workspace --no-fail-fast --doc

## integration: the tests against real API servers
integration: tools
	$(CARGO) test --locked --workspace --no-fail-fast --test '*' -- --test-threads=$(THREADS)

## tools: etcd, kube-apiserver, kube-controller-manager, kubectl, helm and kwok, built once
tools:
	$(CARGO) run --locked --quiet -p test-tools

## manifests: manifests/install.yaml, made from the chart
manifests: tools
	sed '/^---$$/,$$d' manifests/install.yaml > manifests/install.yaml.new
	$$(ls -t $(or $(CARGO_TARGET_DIR),target)/test-cluster/tools/*/helm | head -1) template linkerd-failover \
	  charts/linkerd-failover -n linkerd-failover --no-hooks >> manifests/install.yaml.new
	mv manifests/install.yaml.new manifests/install.yaml

## bench: one flip, and 1,000 and 10,000 splits on one primary, beside a bare client; takeovers
bench: tools
	$(CARGO) bench --locked --bench flips --bench takeovers

## bench-admission: the webhook at 200 requests a second, beside a handler that answers without looking
bench-admission: tools
	$(CARGO) bench --locked --bench admission

## bench-reviews: the time of single reviews, without TLS and HTTP; CASE names some, REVIEWS repeats one for a profiler
bench-reviews:
	$(CARGO) test --locked --profile bench --lib webhook::cost -- --ignored --nocapture

## bench-heavy: one flip while reviews of huge splits arrive at 50 a second
bench-heavy: tools
	$(CARGO) bench --locked --bench flips_beside_reviews

## bench-guard: how long deletions of pods are held up, beside a handler that answers without looking
bench-guard: tools
	$(CARGO) bench --locked --bench deletion_guard

## bench-profiles: 1,000 splits on one primary to the last ServiceProfile
bench-profiles: tools
	$(CARGO) bench --locked --bench service_profiles

clean:
	$(CARGO) clean
