"""The live suite: `healthcheck` against a real Prometheus and a real Kubernetes API. See ../README.md."""
