"""The literal rules of the metric checks, worked out from the real Prometheus by plain PromQL, independently of the
program under test. A finding that a rule really says is no false alarm, even on a workload that the model calls
healthy: memory that sits flat at 83 % of its limit is above 70 % all the same.
"""
GIB = 2**30
SLACK = 0.97  # the program aggregates by steps of its own; a value within 3 % of a threshold may fall on either side
REAL = 'container!="",container!="POD"'
MEMORY = f"max by (namespace,pod,container) (container_memory_working_set_bytes{{{REAL}}})"
CPU = f"sum by (namespace,pod,container) (rate(container_cpu_usage_seconds_total{{{REAL}}}[5m]))"


class Rules:
    """Measured values of every container, and what the rules say about a finding."""

    def __init__(self, world):
        self.truth = {(d["namespace"], d["deployment"]): d for d in world.truth}
        ask = lambda query: {(m["namespace"], m["pod"], m["container"]): v for m, v in world.prometheus_query(query)}  # noqa: E731
        self.now = ask(f"quantile_over_time(0.5, ({MEMORY})[30m:1m])")
        self.memory_p95 = ask(f"quantile_over_time(0.95, ({MEMORY})[7d:5m])")
        self.memory_mean = ask(f"avg_over_time(({MEMORY})[7d:5m])")
        self.cpu_p95 = ask(f"quantile_over_time(0.95, ({CPU})[7d:5m])")
        self.cpu_mean = ask(f"avg_over_time(({CPU})[7d:5m])")

    def values(self, table, workload, container):
        pods = set(workload["pods"])
        return [v for (ns, pod, c), v in table.items() if ns == workload["namespace"] and pod in pods and c == container]

    def says(self, finding):
        """Whether the rule of the finding's check, taken literally, gives at least the finding's severity."""
        subject, check, severity = finding["subject"], finding["check"], finding["severity"]
        workload = self.truth.get((subject["namespace"], subject["name"]))
        if workload is None:
            return False
        container = subject.get("container") or "app"
        get = lambda table: self.values(table, workload, container)  # noqa: E731
        memory_limit, cpu_limit = workload["mem_limit"], workload["cpu_limit"]
        memory_request, cpu_request = workload["mem_request"], workload["cpu_request"]
        if container == "istio-proxy":  # the sidecar of the model: requests and no limits
            memory_limit, cpu_limit, memory_request, cpu_request = None, None, 64 * 2**20, 0.05
        pods = len(workload["pods"])
        if check == "memory-usage" and memory_limit:
            share = max(get(self.now), default=0) / memory_limit
            return share > (0.85 if severity == "critical" else 0.70) * SLACK
        if check == "memory-underprovisioned":
            above_limit = memory_limit and max(get(self.memory_p95), default=0) > 0.85 * memory_limit * SLACK
            low_request = memory_request and memory_request < 0.5 * max(get(self.memory_p95), default=0) / SLACK
            return bool(above_limit or low_request)
        if check == "cpu-underprovisioned" and cpu_limit:
            return max(get(self.cpu_p95), default=0) > 0.85 * cpu_limit * SLACK
        if check == "memory-overprovisioned" and memory_request:
            used = get(self.memory_mean)
            free = sum(memory_request - v for v in used)
            return bool(used) and min(used) < 0.5 * memory_request / SLACK and (severity == "info" or free >= 2 * GIB * SLACK)
        if check == "cpu-overprovisioned" and cpu_request:
            used = get(self.cpu_mean)
            free = sum(cpu_request - v for v in used)
            return bool(used) and min(used) < 0.5 * cpu_request / SLACK and (severity == "info" or free >= SLACK)
        if check == "requests-missing":
            return not (memory_request and memory_limit and cpu_request)
        if check == "hpa-under-scaled":
            busy = cpu_request and max(get(self.cpu_mean), default=0) > 0.7 * cpu_request * SLACK
            return bool(workload["hpa"]) and pods <= 2 and bool(busy)
        return False
