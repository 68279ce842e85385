# Two commands do everything: `make demo` and `make test`. Rust, Go, make, git and a C compiler are
# all they need; the rest they get themselves, from the package registries.

CARGO ?= cargo
# Tools that are built once, each in a place with its version in the name.
TARGET := $(or $(CARGO_TARGET_DIR),target)
TOOLS := $(TARGET)/tools
CARGO_DENY_VERSION := 0.20.2
CARGO_DENY ?= $(TOOLS)/cargo-deny-$(CARGO_DENY_VERSION)/bin/cargo-deny
CARGO_MUTANTS_VERSION := 27.1.0
CARGO_MUTANTS ?= $(TOOLS)/cargo-mutants-$(CARGO_MUTANTS_VERSION)/bin/cargo-mutants
# As gungraun in Cargo.lock: they are of one version.
GUNGRAUN_VERSION := $(shell grep -A1 '^name = "gungraun"$$' Cargo.lock | sed -n 's/^version = "\(.*\)"$$/\1/p')
GUNGRAUN_RUNNER ?= $(TOOLS)/gungraun-runner-$(GUNGRAUN_VERSION)/bin/gungraun-runner
CARGO_CYCLONEDX_VERSION := 0.5.9
CARGO_CYCLONEDX ?= $(TOOLS)/cargo-cyclonedx-$(CARGO_CYCLONEDX_VERSION)/bin/cargo-cyclonedx
CARGO_FUZZ_VERSION := 0.13.2
CARGO_FUZZ ?= $(TOOLS)/cargo-fuzz-$(CARGO_FUZZ_VERSION)/bin/cargo-fuzz
CARGO_LLVM_COV_VERSION := 0.9.1
CARGO_LLVM_COV ?= $(TOOLS)/cargo-llvm-cov-$(CARGO_LLVM_COV_VERSION)/bin/cargo-llvm-cov
go_version = $(shell sed -n 's|^\t$(1) v\([^ ]*\).*|\1|p' $(2))
ACTIONLINT ?= $(TOOLS)/actionlint-$(call go_version,github.com/rhysd/actionlint,release/tools/actionlint/go.mod)
CRANE ?= $(TOOLS)/crane-$(call go_version,github.com/google/go-containerregistry,release/tools/crane/go.mod)

# Tests that run at once. Most of them wait: for a Lease, for a controller, for patience to end.
THREADS ?= 5

.PHONY: demo test build-tests lint unit integration docs gitops-check tools manifests pictures look release-dry-run cargo-cyclonedx bench bench-reviews bench-informers bench-profile chaos chaos-planted advisories sbom hardening soak mutants bench-micro fuzz fuzz-merge fuzz-coverage figures clean

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

lint: $(CARGO_DENY) $(ACTIONLINT)
	$(CARGO) fmt --all --check
	$(CARGO) clippy --locked --workspace --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --locked --workspace --no-deps --quiet --document-private-items --lib --examples
	$(CARGO_DENY) --locked check --hide-inclusion-graph bans licenses sources
	$(ACTIONLINT) -shellcheck= -pyflakes=

## advisories: the advisories of RustSec about what we depend on; ADVISORY_DB names a clone of its database, where there is no network
advisories: $(CARGO_DENY)
	$(if $(ADVISORY_DB),GIT_CONFIG_COUNT=1 GIT_CONFIG_KEY_0="url.file://$(abspath $(ADVISORY_DB)).insteadOf" GIT_CONFIG_VALUE_0=https://github.com/RustSec/advisory-db) \
	  $(CARGO_DENY) --locked check --hide-inclusion-graph advisories

## sbom: all that the program is compiled from, as CycloneDX, in target/sbom
sbom: $(CARGO_CYCLONEDX)
	$(CARGO) run --locked --quiet -p release -- sbom $(TARGET)/sbom --cyclonedx $(CARGO_CYCLONEDX)

# By the version in the name of its folder. Unoptimised: cargo-deny takes 100 s of CPU, and a check takes 2 s all the same.
$(CARGO_DENY) $(CARGO_CYCLONEDX) $(CARGO_MUTANTS) $(CARGO_FUZZ) $(CARGO_LLVM_COV) $(GUNGRAUN_RUNNER):
	CARGO_PROFILE_DEV_DEBUG=false $(CARGO) install --locked --quiet --debug \
	  --root $(@:/bin/$(@F)=) --version $(patsubst $(@F)-%,%,$(notdir $(@:/bin/$(@F)=))) $(@F)

# Each takes 10 s of CPU.
$(ACTIONLINT) $(CRANE): $(TOOLS)/%:
	cd release/tools/$(firstword $(subst -, ,$*)) && CGO_ENABLED=0 GOWORK=off \
	  go build -buildvcs=false -trimpath -mod=readonly -ldflags '-s -w' -o $(abspath $@) \
	  $$(sed -n 's/^tool //p' go.mod)

## unit: the tests that need no cluster
unit:
	$(CARGO) test --locked --workspace --no-fail-fast --lib --bins
	$(CARGO) test --locked --workspace --no-fail-fast --doc

## integration: the tests against real API servers
integration: tools
	$(CARGO) test --locked --workspace --no-fail-fast --test '*' -- --test-threads=$(THREADS)

## gitops-check: what docs/gitops.md says of Argo CD, by Argo CD's own packages, which are built once
gitops-check: tools
	$(CARGO) test --locked --workspace --test integration argo_cd -- --ignored --nocapture --test-threads=1

## tools: etcd, kube-apiserver, kube-controller-manager, kubectl, helm, kwok, Alertmanager, Prometheus and promtool, built once
tools:
	$(CARGO) run --locked --quiet -p test-tools

## docs: the documentation as a book, in target/book; what its pages show is run by the integration tests
docs:
	$(CARGO) run --locked --quiet -p docs-book -- target/book

## manifests: manifests/install.yaml, made from the chart
manifests: tools
	sed '/^---$$/,$$d' manifests/install.yaml > manifests/install.yaml.new
	$$(ls -t $(TARGET)/test-cluster/tools/*/helm | head -1) template linkerd-failover \
	  charts/linkerd-failover -n linkerd-failover --no-hooks >> manifests/install.yaml.new
	mv manifests/install.yaml.new manifests/install.yaml

## pictures: docs/images/*.svg, drawn anew; RECORD=1 first records the flip that one of them shows, on a test cluster
# With an example: its dev-dependencies keep the features, and nothing is compiled once more.
pictures: $(if $(RECORD),tools)
	$(CARGO) build --locked --workspace --bin linkerd-failover --bin pictures --example demo
	$(TARGET)/debug/pictures $(if $(RECORD),record,draw)

## look: every page of the book in headless Chromium, where there is one; screenshots are left in target/look
look:
	LOOK_SHOTS=1 $(CARGO) test --locked --workspace --test look -- --nocapture

cargo-cyclonedx: $(CARGO_CYCLONEDX)

## release-dry-run: what a release is made of, made here and installed on the test cluster; PROFILE=dev is quicker
release-dry-run: tools $(ACTIONLINT) $(CRANE) $(CARGO_CYCLONEDX)
	$(CARGO) build --locked --profile $(or $(PROFILE),release) --bin linkerd-failover
	$(CARGO) build --locked --workspace --example dry_run
	$(TARGET)/debug/examples/dry_run --profile $(or $(PROFILE),release) \
	  --actionlint $(ACTIONLINT) --crane $(CRANE) --cyclonedx $(CARGO_CYCLONEDX)

## bench: flips, the webhook, takeovers, memory and growth, in one table, and aims with their verdicts in target/proof; ONLY=fan-out,guard leaves the rest out
bench: tools
	BENCH_ONLY="$(ONLY)" BENCH_NAME="$(NAME)" BENCH_BEFORE="$(BEFORE)" $(CARGO) bench --locked --bench figures

# Where there is no valgrind, allocations are counted.
MICRO := $(if $(shell command -v valgrind),instructions,allocations)

## bench-micro: instructions of single steps (without valgrind: allocations), held against benches/micro/baseline.json; UPDATE_BASELINE=1 stores them, PLANTED=decide_2 does one twice
bench-micro: $(if $(filter instructions,$(MICRO)),$(GUNGRAUN_RUNNER))
	$(CARGO) build --locked --quiet -p bench-table --bin bench-micro
	mkdir -p $(TARGET)/bench
	MICRO_PLANTED="$(PLANTED)" GUNGRAUN_RUNNER=$(abspath $(GUNGRAUN_RUNNER)) \
	  $(CARGO) bench --locked --quiet --bench $(MICRO) $(if $(filter instructions,$(MICRO)),-- --output-format=json) \
	  > $(TARGET)/bench/micro.json
	$(TARGET)/debug/bench-micro $(MICRO) < $(TARGET)/bench/micro.json

## figures: docs/figures.md and its JSON, from what bench and bench-micro have left in target
figures:
	$(CARGO) run --locked --quiet -p bench-table --bin figures-page

## bench-reviews: the time of single reviews, without TLS and HTTP; CASE names some, REVIEWS repeats one for a profiler
bench-reviews:
	$(CARGO) test --locked --profile bench --lib webhook::cost -- --ignored --nocapture

## bench-informers: what an event of a watch costs, and what facts take; without an API server
bench-informers:
	$(CARGO) bench --locked --bench informers
	$(CARGO) bench --locked --bench informers -- facts

## bench-profile: where the CPU goes, of the program (perf) and of the API server (pprof), in fan-outs and in the webhook
bench-profile: tools
	CARGO_PROFILE_BENCH_STRIP=none BENCH_ONLY=cpu-profile $(CARGO) bench --locked --bench figures

# The program as it is shipped: without optimisation it is its own attacker. The rest with an example: its dev-dependencies
# keep the features, and nothing is compiled once more.
SHIPPED = $(TARGET)/release/linkerd-failover
BUILD_SHIPPED = $(CARGO) build --locked --release --bin linkerd-failover && $(CARGO) build --locked --workspace

## chaos: two replicas and two clusters under faults that CHAOS_SEED draws, for CHAOS_MINUTES (10), and an observer that keeps invariants
chaos: tools
	$(BUILD_SHIPPED) --bin chaos --example demo
	LINKERD_FAILOVER_BIN=$(abspath $(SHIPPED)) $(TARGET)/debug/chaos

## chaos-planted: shows that the observer of `make chaos` catches each defect that is built in; CHAOS_PLANTED=drops-event runs one
# The program with defects is built in the same folder, and copied beside the ordinary one.
chaos-planted: PLANTED := $(TARGET)/proof/bin/linkerd-failover-planted
chaos-planted: tools
	$(CARGO) build --locked --workspace --features linkerd-failover/planted-faults --bin linkerd-failover
	mkdir -p $(dir $(PLANTED))
	cp $(TARGET)/debug/linkerd-failover $(PLANTED)
	$(CARGO) build --locked --workspace --bin linkerd-failover --bin chaos-planted
	CHAOS_PLANTED_PROGRAM=$(abspath $(PLANTED)) $(TARGET)/debug/chaos-planted

## hardening: a webhook under attack, each attack alone and then all at once for HARDENING_MINUTES (5); target/proof/hardening.md
hardening: tools
	$(BUILD_SHIPPED) --bin hardening --example demo
	LINKERD_FAILOVER_BIN=$(abspath $(SHIPPED)) HARDENING_MINUTES=$(HARDENING_MINUTES) \
	  $(TARGET)/debug/hardening

## soak: SOAK_MINUTES (60) of applies, flips, restarts and rotations of certificates; target/proof/soak.md
soak: tools
	$(BUILD_SHIPPED) --bin soak --example demo
	LINKERD_FAILOVER_BIN=$(abspath $(SHIPPED)) SOAK_MINUTES=$(SOAK_MINUTES) \
	  $(TARGET)/debug/soak

## mutants: changes of engine, webhook-certs and admission that no unit test sees; MUTANTS_SHARD=0/8, MUTANTS_MINUTES=60, MUTANTS_ROOMS
mutants: $(CARGO_MUTANTS)
	$(CARGO) run --locked --quiet -p mutants -- --cargo-mutants $(abspath $(CARGO_MUTANTS))

FUZZ := $(abspath $(TARGET))/fuzz
FUZZ_PROGRAMS = $(FUZZ)/$(shell rustc -vV | sed -n 's/^host: //p')/release

## fuzz: every target of fuzz/ for FUZZ_SECONDS, 60 by default; ONLY=reviews,documents leaves the rest out. Needs a C++ compiler
# The code is built as it is shipped, without `--cfg fuzzing`, by which crates leave out what they check.
fuzz: $(CARGO_FUZZ)
	$(CARGO) metadata --locked --format-version 1 --manifest-path fuzz/Cargo.toml >/dev/null
	$(CARGO_FUZZ) build --sanitizer none --no-cfg-fuzzing --codegen-units 16 --target-dir $(FUZZ)
	$(CARGO) build --locked --workspace --example fuzz
	ONLY="$(ONLY)" $(TARGET)/debug/examples/fuzz --folder $(FUZZ) --programs $(FUZZ_PROGRAMS)

## fuzz-merge: adds to fuzz/corpus what `make fuzz` has found that reaches other code, as far as inputs of 512 bytes go
# The unit tests replay the corpora, which together stay under 1 MiB.
fuzz-merge:
	for corpus in fuzz/corpus/*; do \
	  target=$$(basename $$corpus); \
	  $(FUZZ_PROGRAMS)/$$target -set_cover_merge=1 -use_counters=0 -max_len=512 -artifact_prefix=$(FUZZ)/artifacts/$$target/ \
	    $$corpus $(FUZZ)/corpus/$$target || exit; \
	done

## fuzz-coverage: lines of engine, admission and kinds that the corpora in CORPUS (fuzz/corpus) reach. Needs rustup's llvm-tools
CORPUS ?= fuzz/corpus
COVERAGE = cd fuzz && CARGO_LLVM_COV_TARGET_DIR=$(FUZZ)/coverage $(abspath $(CARGO_LLVM_COV)) llvm-cov
fuzz-coverage: $(CARGO_LLVM_COV)
	$(COVERAGE) clean --profraw-only
	for target in $$(ls fuzz/corpus); do \
	  ($(COVERAGE) run --locked --no-report --dep-coverage linkerd-failover --bin $$target -- $(abspath $(CORPUS))/$$target/*) || exit; \
	done
	$(COVERAGE) report --no-default-ignore-filename-regex --lcov | awk -F: ' \
	  /^SF/ { room = match($$2, "/src/(engine|admission|kinds)/") ? substr($$2, RSTART + 5, RLENGTH - 6) : "" } \
	  room && /^LF/ { lines[room] += $$2 } \
	  room && /^LH/ { hit[room] += $$2 } \
	  END { for (room in lines) printf "%s: %d of %d lines, %.1f%%\n", room, hit[room], lines[room], 100 * hit[room] / lines[room] }'

clean:
	$(CARGO) clean
