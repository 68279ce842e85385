module linkerd-failover.test/alertmanager

go 1.26.8

// Built from a copy of its source, by its own go.mod.
require github.com/prometheus/alertmanager v0.35.0
