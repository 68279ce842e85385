module linkerd-failover.test/gateway-api

go 1.26.8

// Only read from: its CRDs are what a test installs.
require sigs.k8s.io/gateway-api v1.6.3
