"""What the objects of a namespace do to each other: budgets that share pods, ports that lead nowhere, load balancers that nobody makes, Jobs that
do not end."""
import datetime as dt

from .case import scenario

NAMESPACE = "lab-objects"


def plant(world):
    """Two pods with two budgets and a Service of which one port leads nowhere; a load balancer and a Job that hangs."""
    world.namespace(NAMESPACE)
    labels = {"app": "api", "tier": "web"}
    container = {"name": "api", "image": "img.lab.example/api:1.0", "ports": [{"containerPort": 8080, "name": "http"}]}
    core = f"/api/v1/namespaces/{NAMESPACE}"
    world.api.post(f"/apis/apps/v1/namespaces/{NAMESPACE}/statefulsets", {
        "apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": "api"},
        "spec": {"serviceName": "api", "replicas": 2, "selector": {"matchLabels": labels},
                 "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}}}})
    selectors = {
        "chart": {"matchLabels": {"app": "api"}},
        "operator": {"matchExpressions": [{"key": "tier", "operator": "In", "values": ["web", "edge"]}, {"key": "job", "operator": "DoesNotExist"}]},
        "others": {"matchLabels": {"app": "api", "tier": "edge"}},
    }
    for name, selector in selectors.items():
        world.api.post(f"/apis/policy/v1/namespaces/{NAMESPACE}/poddisruptionbudgets", {
            "apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": {"name": name}, "spec": {"maxUnavailable": 1, "selector": selector}})
    ports = [{"name": "http", "port": 80, "targetPort": "http"}, {"name": "metrics", "port": 9090, "targetPort": "prometheus"},
             {"name": "plain", "port": 9091, "targetPort": 9091}]
    world.api.post(f"{core}/services", {
        "apiVersion": "v1", "kind": "Service", "metadata": {"name": "api"}, "spec": {"selector": labels, "ports": ports}})
    for name, load_balancer_class in (("front", None), ("mesh", "lab.example/mesh")):
        world.api.post(f"{core}/services", {
            "apiVersion": "v1", "kind": "Service", "metadata": {"name": name},
            "spec": {"type": "LoadBalancer", "selector": labels, "ports": ports[:1], "loadBalancerClass": load_balancer_class}})
    now = dt.datetime.now(dt.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    world.api.post(f"{core}/events", {
        "apiVersion": "v1", "kind": "Event", "metadata": {"name": "front.lab"}, "type": "Warning", "reason": "SyncLoadBalancerFailed",
        "message": "no quota", "count": 4, "firstTimestamp": now, "lastTimestamp": now,
        "involvedObject": {"apiVersion": "v1", "kind": "Service", "namespace": NAMESPACE, "name": "front"}})
    # its pod keeps the status that it was made with
    hangs = {"metadata": {"labels": {"lab/status": "custom"}}, "spec": {
        "restartPolicy": "Never", "containers": [{"name": "load", "image": "img.lab.example/load:1.0"}]}}
    for name, spec in (("load", {}), ("later", {"suspend": True}), ("done", None)):
        template = hangs if spec is not None else {"spec": hangs["spec"]}
        world.api.post(f"/apis/batch/v1/namespaces/{NAMESPACE}/jobs", {
            "apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": name}, "spec": {"template": template, "activeDeadlineSeconds": 86400, **(spec or {})}})
    world.wait_for_pods(NAMESPACE, 2)
    for pod, ip in (("api-0", "10.200.77.1"), ("api-1", "10.200.77.2")):  # without an address they are no endpoints
        world.api.status(f"{core}/pods/{pod}", {"status": {"podIP": ip, "podIPs": [{"ip": ip}]}})
    world.wait_for(lambda: settled(world), "endpoints, budgets and Jobs of the namespace")


def settled(world):
    of = lambda group, kind: world.api.get(f"/{group}/namespaces/{NAMESPACE}/{kind}")["items"]  # noqa: E731
    ready = [e for s in of("apis/discovery.k8s.io/v1", "endpointslices") for e in s["endpoints"] or () if e["conditions"].get("ready")]
    budgets = [b["status"].get("expectedPods") for b in of("apis/policy/v1", "poddisruptionbudgets")]
    jobs = {j["metadata"]["name"]: j["status"] for j in of("apis/batch/v1", "jobs")}
    return len(ready) >= 6 and sorted(budgets, key=str) == [0, 2, 2] and jobs["load"].get("active") and jobs["done"].get("completionTime")


@scenario
def objects(world, case):
    """Two budgets for one pod, a port that leads to no container, a load balancer that is pending and a Job that hangs are told."""
    try:
        plant(world)
        judge(world, case)
    finally:
        world.api.do("DELETE", f"/api/v1/namespaces/{NAMESPACE}")


def judge(world, case):
    told = lambda only, *args: {  # noqa: E731
        f["subject"]["name"]: (f["severity"], f["summary"])
        for f in world.product.check("--only", only, "--kubeconfig", world.kubeconfig, "-n", NAMESPACE, *args).report.findings}

    # what the eviction API itself says of such a pod
    eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": "api-0", "namespace": NAMESPACE}}
    answer = world.api.do("POST", f"/api/v1/namespaces/{NAMESPACE}/pods/api-0/eviction", eviction, ok=(201, 500))
    case.contains(str(answer.get("message")), "more than one PodDisruptionBudget", "what the eviction API says")

    budgets = told("disruption-budget-blocking", "--set", "disruption-budget-blocking.min-age=0s")
    case.equal({name: severity for name, (severity, _) in budgets.items()}, {"chart": "warning", "others": "info"}, "budgets")
    case.contains(budgets["chart"][1], "shares api-0 of StatefulSet api and 1 more with operator", "what is told of two budgets")

    ports = told("service-without-endpoints", "--set", "service-without-endpoints.min-age=0s")
    case.equal({name: severity for name, (severity, _) in ports.items()}, {"api": "warning"}, "Services with a port that leads nowhere")
    case.contains(ports["api"][1], "port metrics leads to `prometheus`, and no container of its 2 ready pods", "what is told of the port")

    pending = told("load-balancer-pending", "--set", "load-balancer-pending.grace=0s")
    case.equal(set(pending), {"front", "mesh"}, "Services without a load balancer")
    case.contains(pending["front"][1], "SyncLoadBalancerFailed", "the event that says why")
    case.contains(pending["mesh"][1], "the controller of class lab.example/mesh has to make", "who has to make it")

    jobs = told("job-unfinished", "--set", "job-unfinished.after=0s")
    case.equal({name: severity for name, (severity, _) in jobs.items()}, {"load": "warning"}, "Jobs that do not end")
    for only in ("load-balancer-pending", "job-unfinished"):
        case.equal(told(only), {}, f"{only} within its grace")
