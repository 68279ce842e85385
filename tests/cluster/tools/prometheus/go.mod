module linkerd-failover.test/prometheus

go 1.26.8

// Built from a copy of its source, by its own go.mod.
require github.com/prometheus/prometheus v0.316.0
