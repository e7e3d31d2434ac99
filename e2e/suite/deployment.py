"""Scenarios of running in a cluster: rights, manifests, a CronJob that fires, shards."""
import base64
import contextlib
import json
import os
import re
import shutil
import subprocess

from .case import scenario, shorten
from .gateway import Answer, Arms, Gateway
from .product import CLEAN, Report
from .scenarios import MOVING, SERVICE_ACCOUNT, ran, same_findings

ROOT = os.path.join(os.path.dirname(__file__), "..", "..")
DEPLOY = os.path.join(ROOT, "deploy")
CHART = os.path.join(DEPLOY, "helm", "healthcheck")
NAMESPACE = "healthcheck"
# What an account that only looks must never be allowed: verb, group, resource, subresource.
FORBIDDEN = [
    ("get", "", "secrets", ""), ("list", "", "secrets", ""), ("watch", "", "pods", ""), ("create", "", "pods", ""),
    ("delete", "", "pods", ""), ("create", "", "pods", "exec"), ("patch", "apps", "deployments", ""),
    ("update", "apps", "deployments", "scale"), ("update", "", "configmaps", ""), ("get", "", "nodes", "proxy"),
    ("impersonate", "", "users", ""), ("create", "", "serviceaccounts", "token"),
    ("create", "rbac.authorization.k8s.io", "clusterrolebindings", ""), ("delete", "", "namespaces", ""),
]


def tool(name):
    return shutil.which(name) or os.path.join(os.environ.get("LAB_CACHE", ""), "bin", name)


def call(*command, stdin=None, timeout=120):
    """Standard output of a program of the machine; an exception with its words when it fails."""
    done = subprocess.run([str(c) for c in command], input=stdin, capture_output=True, text=True, timeout=timeout)
    if done.returncode:
        raise RuntimeError(f"{' '.join(map(str, command[:6]))}: exit {done.returncode}: {done.stderr[-800:]}")
    return done.stdout


def kubectl(world, *args, stdin=None):
    return call(tool("kubectl"), "--kubeconfig", world.kubeconfig, *args, stdin=stdin)


def may(world, account, verb, group, resource, subresource="", namespace=None, name=""):
    """What the API server says of a ServiceAccount (`namespace/name`), as `kubectl auth can-i` asks."""
    attributes = {"verb": verb, "group": group, "resource": resource, "subresource": subresource, "name": name}
    if namespace:
        attributes["namespace"] = namespace
    own, name = account.split("/")
    review = {"apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview", "spec": {
        "user": f"system:serviceaccount:{account.replace('/', ':')}", "resourceAttributes": attributes,
        "groups": ["system:serviceaccounts", f"system:serviceaccounts:{own}", "system:authenticated"]}}
    return world.api.post("/apis/authorization.k8s.io/v1/subjectaccessreviews", review)["status"].get("allowed", False)


def account(world, name, *args):
    """A ServiceAccount with exactly the printed rights, and a kubeconfig with its token."""
    world.namespace("rights")
    printed = world.product.run("rbac", "--all", "--account", f"rights/{name}", "--name", f"rights-{name}", *args)
    if printed.code:
        raise RuntimeError(f"rbac: exit {printed.code}: {printed.err}")
    kubectl(world, "apply", "-f", "-", stdin=printed.out)
    return printed.out, world.kubeconfig_for(name, world.token(name, "rights"))


@scenario
def rights(world, case):
    """An account with exactly the printed rights: each is granted, none is missing in a run, and nothing else is allowed."""
    own, other = world.namespaces[:2]
    source = ("--prometheus", world.prometheus, "--at", world.at)

    _, kubeconfig = account(world, "whole", "--secrets")
    table = world.product.run("rbac", "--check", "--secrets", "--kubeconfig", kubeconfig)
    case.equal(table.code, CLEAN, "rbac --check: exit code")
    wanted = re.search(r"(\d+) wanted, (\d+) granted, 0 refused", table.out)
    case.expect(wanted and wanted[1] == wanted[2] and int(wanted[1]) > 15, f"rbac --check: {shorten(table.out)}")
    case.note(wanted[0] if wanted else "no table")
    run = world.product.check(*source, "--kubeconfig", kubeconfig, "-A")
    if ran(case, run, "the whole cluster"):
        case.equal(run.report.gaps, world.whole().report.gaps, "gaps of an account with the printed rights")
        same_findings(case, run.report, world.whole().report, "the printed rights against an administrator")

    printed, kubeconfig = account(world, "plain")
    case.contains(printed, "# Left out: list secrets", "what is said of Secrets")
    run = world.product.check(*source, "--kubeconfig", kubeconfig, "-A")
    if ran(case, run, "without Secrets"):
        denied = {g["scope"].rsplit("/", 1)[-1] for g in run.report.gaps if g["cause"] == "access-denied"}
        case.equal(denied, {"secrets"}, "lists that are denied without --secrets")
    allowed = [" ".join(filter(None, what)) for what in FORBIDDEN if may(world, "rights/plain", *what)]
    case.equal(allowed, [], "allowed and must not be")

    printed, kubeconfig = account(world, "narrow", "--scope", "namespace", "-n", own, "--secrets")
    case.contains(printed, "# Left out: list nodes", "what is said of nodes")
    run = world.product.check(*source, "--kubeconfig", kubeconfig, "-n", own)
    if ran(case, run, "one namespace"):
        denied = {g["scope"].rsplit("/", 1)[-1] for g in run.report.gaps if g["cause"] == "access-denied"}
        of_cluster = {"nodes", "persistentvolumes", "namespaces", "apiservices.apiregistration.k8s.io"}
        case.equal(denied, of_cluster, "lists that are denied to a Role")
    case.expect(may(world, "rights/narrow", "list", "", "pods", namespace=own), "pods of its own namespace are refused")
    case.expect(not may(world, "rights/narrow", "list", "", "pods", namespace=other), "pods of another namespace are allowed")
    allowed = [" ".join(filter(None, what)) for what in FORBIDDEN if what[2] != "secrets" and may(world, "rights/narrow", *what, namespace=own)]
    case.equal(allowed, [], "allowed in its namespace and must not be")

    # `leader-election` runs with these.
    account(world, "elected", "--lease", "rights/doctor")
    leases = [(verb, name) for verb in ("get", "create", "update", "list", "watch", "patch", "delete") for name in ("doctor", "another")
              if may(world, "rights/elected", verb, "coordination.k8s.io", "leases", namespace="rights", name=name)]
    # RBAC cannot say of what is not there yet how it is to be named.
    case.equal(leases, [("get", "doctor"), ("create", "doctor"), ("create", "another"), ("update", "doctor")], "allowed of leases")

    table = world.product.run("rbac", "--check", "--secrets", "--kubeconfig", kubeconfig)
    case.expect(table.code == 1 and "refused  list nodes" in table.out, f"a table with refusals: exit {table.code}: {shorten(table.out)}")


def monitoring_kinds(world):
    """The kinds of the Prometheus operator that the manifests use, without its rules."""
    for plural, kind in (("servicemonitors", "ServiceMonitor"), ("prometheusrules", "PrometheusRule")):
        schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
        world.api.post("/apis/apiextensions.k8s.io/v1/customresourcedefinitions", {
            "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
            "metadata": {"name": f"{plural}.monitoring.coreos.com"},
            "spec": {"group": "monitoring.coreos.com", "scope": "Namespaced", "names": {"plural": plural, "kind": kind, "singular": kind.lower()},
                     "versions": [{"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}]}})
        kubectl(world, "wait", "--for=condition=Established", f"customresourcedefinition/{plural}.monitoring.coreos.com", "--timeout=60s")


def without_monitoring_kinds(world):
    """A cluster as it is before anyone installs the Prometheus operator."""
    names = [f"customresourcedefinition/{plural}.monitoring.coreos.com" for plural in ("servicemonitors", "prometheusrules")]
    kubectl(world, "delete", *names, "--ignore-not-found", "--timeout=60s")


def overlay(world, name, config, *components, patches=()):
    """A kustomization like `overlays/dev` for the lab; the folder."""
    folder = world.path(f"kustomize-{name}")
    os.makedirs(folder, exist_ok=True)
    up = os.path.relpath(os.path.join(DEPLOY, "kustomize"), os.path.realpath(folder))
    with open(os.path.join(folder, "healthcheck.yaml"), "w") as f:
        json.dump(config, f)  # JSON is YAML
    with open(os.path.join(folder, "kustomization.yaml"), "w") as f:
        json.dump({
            "apiVersion": "kustomize.config.k8s.io/v1beta1", "kind": "Kustomization", "resources": [f"{up}/overlays/dev"],
            "components": [f"{up}/components/{c}" for c in components], "patches": list(patches),
            "configMapGenerator": [{"name": "healthcheck", "namespace": NAMESPACE, "behavior": "replace", "files": ["healthcheck.yaml"]}],
        }, f)
    return folder


# Sets of manifests that need the Prometheus operator.
MONITORED = {"alerts", "serve and serve-monitoring", "large chart", "serving chart"}
# Values of the chart that nobody means, and a part of what is said of them.
TYPOS = [
    (["serve.enabled=true"], "set cron.enabled: false"),
    (["prometheusrule.enabled=true"], "prometheusrule"),
    (["cron.shedule=0 9 * * *"], "shedule"),
    (["cron.schedule=61 * * * *"], "cron.schedule: expected five fields in cron notation such as `0 9 * * *`, got `61 * * * *`"),
    (["cron.schedule=0 0 30 2 *"], "cron.schedule: `0 0 30 2 *` is never due"),
    (["cron.enabled=false"], "cron.enabled and serve.enabled are both false, so nothing would run"),
    (["cron.mergeSchedule=9:30"], "cron.mergeSchedule: expected five fields"),
    (["cron.timeZone=Asia/Tapei"], "cron.timeZone: expected a time zone of the IANA database such as `Asia/Taipei`, got `Asia/Tapei`"),
    (["cron.enabled=false", "serve.enabled=true", "serve.timeZone=Taipei"], "serve.timeZone: expected a time zone"),
    (["config.histroy.location=/reports/history"], "histroy"),
    (["rbac.scope=pod"], "scope"),
    (["persistence.size=20GB"], "size"),
]


@scenario
def manifests(world, case):
    """Every overlay, component and size of the chart is taken by the real API server, and the chart passes helm lint and refuses typos."""
    world.namespace(NAMESPACE)
    folder = world.path("kustomize")
    shutil.copytree(os.path.join(DEPLOY, "kustomize"), folder)
    texts = {}
    for name in ("dev", "prod", "exchange"):
        # As DEPLOYMENT.md tells.
        edit(os.path.join(folder, "overlays", name, "kustomization.yaml"), ("newTag: 0.1.0}", "newName: registry.internal/ops/healthcheck, newTag: v9.9.1}"))
        texts[name] = kubectl(world, "kustomize", os.path.join(folder, "overlays", name))
        case.lacks(texts[name], "registry.example", f"{name}: an image of our example")
    config = {"clusters": [{"name": "lab", "kubernetes": {}, "prometheus": {"url": world.prometheus}}]}
    for components in (["serve"], ["shards"], ["digest"], ["alerts"], ["serve", "serve-monitoring"]):
        name = " and ".join(components)
        texts[name] = kubectl(world, "kustomize", overlay(world, "-".join(components), config, *components))
    with open(os.path.join(DEPLOY, "reader.yaml"), encoding="utf-8") as f:
        reader = f.read()
    helm = tool("helm")
    lint = call(helm, "lint", "--strict", CHART)
    case.contains(lint, "0 chart(s) failed", "helm lint")
    large = ["cron.shards=4", "prometheusRule.enabled=true", "imagePullSecrets={registry}"]
    large += ["digest.enabled=true", "config.deliver[0].type=slack", "config.deliver[0].what=digest"]
    serving = ["cron.enabled=false", "serve.enabled=true", "serviceMonitor.enabled=true", "prometheusRule.enabled=true"]
    small = ["rbac.scope=namespace", f"rbac.namespaces={{{','.join(world.namespaces[:2])}}}", "rbac.secrets=true", "persistence.enabled=false", "networkPolicy.enabled=false"]
    for name, values in (("chart", []), ("large chart", large), ("serving chart", serving), ("small chart", small)):
        sets = [part for value in values for part in ("--set", value)]
        texts[name] = call(helm, "template", "healthcheck", CHART, "--kube-version", "1.35.0", "-n", NAMESPACE, *sets)
    filled = world.path("filled.json")
    with open(filled, "w") as f:
        json.dump({"rbac": {"rules": [{"apiGroups": [""], "resources": ["pods"], "verbs": ["list"]}]}, "configFiles": {"queries.yaml": "memory_usage: up\n"},
                   "extraVolumes": [{"name": "kubeconfigs", "secret": {"secretName": "kubeconfigs"}}],
                   "extraVolumeMounts": [{"name": "kubeconfigs", "mountPath": "/kubeconfigs", "readOnly": True}]}, f)
    texts["filled chart"] = call(helm, "template", "healthcheck", CHART, "--kube-version", "1.35.0", "-n", NAMESPACE, "-f", filled)
    case.lacks(texts["filled chart"], "replicasets", "rules that were replaced")
    for part in ("queries.yaml: |", "mountPath: /kubeconfigs", "secretName: kubeconfigs"):
        case.contains(texts["filled chart"], part, "the filled chart")
    for values, words in TYPOS:
        sets = [part for value in values for part in ("--set", value)]
        done = subprocess.run([helm, "template", "healthcheck", CHART, "--kube-version", "1.35.0", *sets], capture_output=True, text=True, timeout=120)
        case.expect(done.returncode != 0 and words in done.stderr, f"{values}: exit {done.returncode}, expected {words!r}: {shorten(done.stderr)}")
    # Objects of the chart name no namespace, but for the roles of others; -n would refuse those.
    own = shutil.copy(world.kubeconfig, world.path("own.kubeconfig"))
    call(tool("kubectl"), "--kubeconfig", own, "config", "set-context", "--current", f"--namespace={NAMESPACE}")
    # What needs no kinds of the Prometheus operator is taken where there are none.
    count = 0
    for has_kinds, prepare in ((False, without_monitoring_kinds), (True, monitoring_kinds)):
        prepare(world)
        for name, text in [*texts.items(), ("reader", reader)]:
            if ("monitoring.coreos.com" in text) != has_kinds:
                continue
            case.expect(has_kinds == (name in MONITORED), f"{name}: kinds of the Prometheus operator: {has_kinds}")
            try:
                said = call(tool("kubectl"), "--kubeconfig", own, "apply", "--dry-run=server", "-f", "-", stdin=text)
                count += said.count("(server dry run)")
            except RuntimeError as error:
                case.fail(f"{name}: {error}")
    for name, text in texts.items():
        pods = text.count("serviceAccountName: ")
        case.equal((pods > 0, text.count("kubernetes.io/arch: amd64")), (True, pods), f"{name}: pods, each with the architecture of its node")
        images = re.findall(r"image: (\S+)", text)
        told = re.findall(r"name: HEALTHCHECK_IMAGE\s+value: (\S+)", text)
        case.equal((len(images), told), (pods, images), f"{name}: images, and those that the program is told of")
    case.note(f"{count} objects of {len(texts)} sets taken")
    # The configurations are such that the program takes them.
    for name in ("prod", "dev"):
        text = texts[name]
        case.lacks(text, "password:", f"{name}: a value of a secret")


def cronjob(name="healthcheck"):
    return f'{{namespace="{NAMESPACE}",cronjob="{name}"}}'


CRONJOB = cronjob()
MERGE = cronjob("healthcheck-merge")
DIGEST = cronjob("healthcheck-digest")
POD = f'{{namespace="{NAMESPACE}",pod="a"}}'
DAY = 24 * 6  # steps of ten minutes
LATE = "The daily health check has not succeeded for 1d 3h 0m 0s."
NEVER = "The daily health check has never succeeded."
OF_CRONJOB = "The CronJob healthcheck of the daily health check has"
OF_MERGE = "The CronJob healthcheck-merge of the daily health check has"
NO_DIGEST = "The CronJob healthcheck-digest has sent no digest of the week for"
DOWN = "No pod of healthcheck serve answers Prometheus, so nothing is known of the daily health check."
# What happens, in steps of ten minutes from the start of unix time; the alert and its words; when it is quiet, and when it fires.
ALERTS = [
    ("one success", {f"kube_cronjob_status_last_successful_time{CRONJOB}": "0x200"}, "HealthcheckNoSuccess",
     f"{OF_CRONJOB} not succeeded for 1d 3h 0m 0s.", "26h", "27h"),
    ("a success a day", {f"kube_cronjob_status_last_successful_time{CRONJOB}": f"0x{DAY - 1} 86400x200"}, "HealthcheckNoSuccess", "", "27h", None),
    ("shards, and no merge", {f"kube_cronjob_status_last_successful_time{CRONJOB}": f"0x{DAY - 1} 86400x200", f"kube_cronjob_status_last_successful_time{MERGE}": "0x200"},
     "HealthcheckNoSuccess", f"{OF_MERGE} not succeeded for 1d 3h 0m 0s.", "26h", "27h"),
    ("no success ever", {f"kube_cronjob_created{CRONJOB}": "0x200"}, "HealthcheckNeverSucceeded", f"{OF_CRONJOB} never succeeded.", "26h", "27h"),
    ("shards, and no merge ever", {f"kube_cronjob_created{CRONJOB}": "0x200", f"kube_cronjob_created{MERGE}": "0x200", f"kube_cronjob_status_last_successful_time{CRONJOB}": "0x200"},
     "HealthcheckNeverSucceeded", f"{OF_MERGE} never succeeded.", "26h", "27h"),
    ("a first success", {f"kube_cronjob_created{CRONJOB}": "0x200", f"kube_cronjob_status_last_successful_time{CRONJOB}": f"_x{DAY} 86400x200"},
     "HealthcheckNeverSucceeded", "", "27h", None),
    ("suspended", {f"kube_cronjob_spec_suspend{CRONJOB}": "1x200"}, "HealthcheckSuspended",
     "The CronJob healthcheck has been suspended for more than a day.", "25h", "27h"),
    ("the merge is suspended", {f"kube_cronjob_spec_suspend{CRONJOB}": "0x200", f"kube_cronjob_spec_suspend{MERGE}": "1x200"}, "HealthcheckSuspended",
     "The CronJob healthcheck-merge has been suspended for more than a day.", "25h", "27h"),
    ("the digest is suspended", {f"kube_cronjob_spec_suspend{DIGEST}": "1x200"}, "HealthcheckSuspended",
     "The CronJob healthcheck-digest has been suspended for more than a day.", "25h", "27h"),
    ("one digest", {f"kube_cronjob_created{DIGEST}": "0x1300", f"kube_cronjob_status_last_successful_time{DIGEST}": "0x1300"}, "HealthcheckNoDigest",
     f"{NO_DIGEST} 8d 1h 0m 0s.", "192h", "193h"),
    ("no digest ever", {f"kube_cronjob_created{DIGEST}": "0x1300"}, "HealthcheckNoDigest", f"{NO_DIGEST} 8d 1h 0m 0s.", "192h", "193h"),
    ("a first digest", {f"kube_cronjob_created{DIGEST}": "0x1300", f"kube_cronjob_status_last_successful_time{DIGEST}": "_x1000 600000x300"},
     "HealthcheckNoDigest", "", "193h", None),
    ("no pod of serve", {f"kube_cronjob_spec_suspend{CRONJOB}": "0x20"}, "HealthcheckServeDown", DOWN, "10m", "20m"),
    ("the last pod of serve ends", {f"healthcheck_build_info{POD}": "1x6 _x20"}, "HealthcheckServeDown", DOWN, "1h10m", "1h40m"),
    ("a pod of serve", {f"healthcheck_build_info{POD}": "1x20"}, "HealthcheckServeDown", "", "1h", None),
    ("two pods, and no success of either", {f'healthcheck_last_success_timestamp_seconds{{namespace="{NAMESPACE}",pod="{p}"}}': "0x200" for p in "ab"},
     "HealthcheckServeNoSuccess", LATE, "26h", "27h"),
    ("two pods, and a success of one", {f'healthcheck_last_success_timestamp_seconds{{namespace="{NAMESPACE}",pod="{p}"}}': v for p, v in (("a", "0x200"), ("b", f"0x{DAY - 1} 86400x200"))},
     "HealthcheckServeNoSuccess", LATE, "27h", None),
    # Other pods in the place of the first ones do not begin anew.
    ("pods that never succeeded", {f'healthcheck_run_in_progress{{namespace="{NAMESPACE}",pod="{p}"}}': v for p, v in (("a", "0x90 _x110"), ("b", "_x90 0x110"))},
     "HealthcheckServeNeverSucceeded", NEVER, "25h", "27h"),
    ("nobody leads", {f'healthcheck_leader{{namespace="{NAMESPACE}",pod="{p}"}}': "0x20" for p in "ab"},
     "HealthcheckNobodyLeads", "No pod of healthcheck holds the lease, so none runs.", "10m", "20m"),
    ("one of two leads", {f'healthcheck_leader{{namespace="{NAMESPACE}",pod="{p}"}}': v for p, v in (("a", "0x20"), ("b", "1x20"))},
     "HealthcheckNobodyLeads", "", "1h", None),
]


@scenario
def alert_rules(world, case):
    """The alert rules about the checker, of kustomize and of the chart, fire when they should and not before (promtool)."""
    world.namespace(NAMESPACE)
    monitoring_kinds(world)
    sets = {}
    for what, sections in (("alerts", ["cron.enabled=true"]), ("serve-monitoring", ["cron.enabled=false", "serve.enabled=true"])):
        with open(os.path.join(DEPLOY, "kustomize", "components", what, "prometheusrule.yaml"), encoding="utf-8") as f:
            sets[f"kustomize-{what}"] = f.read()
        chosen = [part for value in ["prometheusRule.enabled=true", *sections] for part in ("--set", value)]
        sets[f"chart-{what}"] = call(tool("helm"), "template", "healthcheck", CHART, "--kube-version", "1.35.0", "-n", NAMESPACE, *chosen, "-s", "templates/prometheusrule.yaml")
    names = set()
    for name, text in sets.items():
        taken = json.loads(kubectl(world, "apply", "--dry-run=server", "-n", NAMESPACE, "-o", "json", "-f", "-", stdin=text))
        rules, tests = world.path(f"rules-{name}.yaml"), world.path(f"tests-{name}.yaml")
        with open(rules, "w") as f:
            json.dump(taken["spec"], f)  # JSON is YAML
        of = {r["alert"]: r for g in taken["spec"]["groups"] for r in g["rules"]}
        names |= set(of)
        call(tool("promtool"), "check", "rules", "--lint-fatal", rules)

        def at(time, alert, words):
            rule = of[alert]
            fires = [{"exp_labels": rule["labels"] | own_labels(rule, words), "exp_annotations": {"summary": words, "runbook": rule["annotations"]["runbook"]}}] if words else []
            return {"eval_time": time, "alertname": alert, "exp_alerts": fires}

        with open(tests, "w") as f:
            json.dump({"rule_files": [rules], "evaluation_interval": "10m", "tests": [
                {"name": what, "interval": "10m", "input_series": [{"series": s, "values": v} for s, v in series.items()],
                 "alert_rule_test": [at(quiet, alert, None)] + ([at(fires, alert, words)] if fires else [])}
                for what, series, alert, words, quiet, fires in ALERTS if alert in of]}, f)
        try:
            call(tool("promtool"), "test", "rules", tests)
        except RuntimeError as error:
            case.fail(f"{name}: {error}")
    case.equal(names, {alert for _, _, alert, *_ in ALERTS}, "alerts, and those that are tested")
    case.note(f"{len(names)} alerts, {len(ALERTS)} courses of events, of kustomize and of the chart")


def own_labels(rule, words):
    """Labels of the series that an alert keeps."""
    if rule["expr"].startswith("absent("):
        return {"namespace": NAMESPACE}
    named = re.search(r"The CronJob (\S+) ", words)
    return {"cronjob": named[1]} if named else {}


@contextlib.contextmanager
def as_in_a_pod(world, namespace, account_name):
    """The files that a pod has of its account; false where they cannot be made on this machine."""
    parents = ("/var/run/secrets", "/var/run/secrets/kubernetes.io", SERVICE_ACCOUNT)
    made = next((folder for folder in parents if not os.path.exists(folder)), None)
    try:
        os.makedirs(SERVICE_ACCOUNT)
    except OSError:
        yield False
        return
    try:
        shutil.copy(world.ca, os.path.join(SERVICE_ACCOUNT, "ca.crt"))
        for name, text in (("token", world.token(account_name, namespace)), ("namespace", namespace)):
            with open(os.path.join(SERVICE_ACCOUNT, name), "w") as f:
                f.write(text)
        yield True
    finally:
        shutil.rmtree(made)


def secret(world, name):
    """What a Secret that may be missing holds, by its keys."""
    there = {s["metadata"]["name"]: s.get("data") or {} for s in world.api.get(f"/api/v1/namespaces/{NAMESPACE}/secrets")["items"]}
    return {key: base64.b64decode(value).decode() for key, value in there.get(name, {}).items()}


def run_pod(world, pod, reports, *more):
    """Runs the program as the container of a pod would: its arguments, environment, configuration and account."""
    spec = pod["spec"]
    container = spec["containers"][0]
    host, port = world.api_url.removeprefix("https://").split(":")
    env = {"KUBERNETES_SERVICE_HOST": host, "KUBERNETES_SERVICE_PORT": port}
    for source in container.get("envFrom", []):
        env |= secret(world, source["secretRef"]["name"])
    for variable in container.get("env", []):
        path = variable.get("valueFrom", {}).get("fieldRef", {}).get("fieldPath", "")
        label = re.fullmatch(r"metadata\.(labels|annotations)\['(.+)'\]", path)
        env[variable["name"]] = pod["metadata"][label[1]][label[2]] if label else variable.get("value", "")
    name = next(v["configMap"]["name"] for v in spec["volumes"] if v["name"] == "config")
    settings = world.path(f"config-{pod['metadata']['name']}")
    os.makedirs(settings, exist_ok=True)
    for file, text in world.api.get(f"/api/v1/namespaces/{NAMESPACE}/configmaps/{name}")["data"].items():
        # The volume is a folder here.
        with open(os.path.join(settings, file), "w") as f:
            f.write(text.replace("/reports/", reports + "/"))
    def arg(text):
        text = re.sub(r"\$\((\w+)\)", lambda m: env.get(m[1], m[0]), text)
        return text.replace("/etc/healthcheck/", settings + "/").replace("/reports/", reports + "/")
    return world.product.run(*map(arg, container["args"]), *more, env=env)


def pods_of(world, job):
    answer = world.api.get(f"/api/v1/namespaces/{NAMESPACE}/pods?labelSelector=batch.kubernetes.io/job-name%3D{job}")
    return answer["items"]


def ended(pod):
    return pod["status"].get("phase") in ("Succeeded", "Failed")


def volume(world, storage_class=""):
    """A volume for the claim, as a file share would be."""
    world.api.post("/api/v1/persistentvolumes", {
        "apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": "nas"},
        "spec": {"capacity": {"storage": "20Gi"}, "accessModes": ["ReadWriteMany"], "hostPath": {"path": "/nas"},
                 "storageClassName": storage_class, "claimRef": {"namespace": NAMESPACE, "name": "healthcheck-reports"}}})


@scenario
def cron_job(world, case):
    """A CronJob of the manifests fires by itself; with its pod's arguments, environment and account there is a report. That of the digest, whose account may nothing, tells of both runs."""
    volume(world)
    config = {"clusters": [{"name": "lab", "kubernetes": {}, "prometheus": {"url": world.prometheus}}], "history": {"location": "/reports/history"},
              "deliver": [{"type": "file", "what": "digest", "path": "/reports/week.md"}]}
    every_minute = {"target": {"kind": "CronJob", "name": "healthcheck"}, "patch": json.dumps([{"op": "replace", "path": "/spec/schedule", "value": "* * * * *"}])}
    kubectl(world, "apply", "-k", overlay(world, "cron", config, "digest", patches=[every_minute]))
    path = f"/apis/batch/v1/namespaces/{NAMESPACE}/jobs"
    jobs = lambda: [j for j in world.api.get(path)["items"] if j["metadata"]["name"].startswith("healthcheck-")]  # noqa: E731
    world.wait_for(lambda: any(pods_of(world, j["metadata"]["name"]) for j in jobs()), "a pod of the CronJob", 100)
    job = jobs()[0]["metadata"]["name"]
    kubectl(world, "-n", NAMESPACE, "patch", "cronjob", "healthcheck", "-p", '{"spec":{"suspend":true}}')
    pod = pods_of(world, job)[0]
    case.equal(pod["spec"]["serviceAccountName"], "healthcheck", "account of the pod")
    kubectl(world, "-n", NAMESPACE, "create", "job", "week", "--from=cronjob/healthcheck-digest")
    world.wait_for(lambda: pods_of(world, "week"), "a pod of the digest", 60)
    of_week = pods_of(world, "week")[0]
    case.equal(of_week["spec"]["serviceAccountName"], "healthcheck-digest", "account of the digest")
    case.equal({v["name"] for v in of_week["spec"]["volumes"]}, {"config", "reports"}, "volumes of the digest, without a token")
    allowed = [what for what in (("list", "", "pods"), ("list", "apps", "deployments"), ("get", "", "configmaps")) if may(world, f"{NAMESPACE}/healthcheck-digest", *what, namespace=NAMESPACE)]
    case.equal(allowed, [], "what the account of the digest may")
    # A pod that runs mounts the volume, of which the lab has no figures.
    world.wait_for(lambda: world.api.get(f"{path}/{job}")["status"].get("succeeded") == 1, "the end of the Job", 60)
    reports = world.path("reports")
    os.makedirs(reports, exist_ok=True)
    with as_in_a_pod(world, NAMESPACE, "healthcheck") as possible:
        if not possible:
            case.note(f"skipped: {SERVICE_ACCOUNT} cannot be made here")
            return
        run = run_pod(world, pod, reports, "--at", world.at)
        again = run_pod(world, pod, reports)
    week = run_pod(world, of_week, reports)
    case.equal(week.code, CLEAN, f"exit code of the digest: {shorten(week.err)}")
    with open(os.path.join(reports, "week.md")) as f:
        told = f.read()
    case.contains(told, "# Health digest", "the digest")
    case.contains(told, "2 runs, the last at", "the digest of both runs")
    case.equal(run.code, CLEAN, f"exit code with --fail-on=never: {shorten(run.err)}")
    case.equal(again.code, CLEAN, f"exit code of a second run: {shorten(again.err)}")
    for name in ("latest.html", "latest.md", "latest.json"):
        case.expect(os.path.getsize(os.path.join(reports, name)) > 1000, f"{name} is missing or empty")
    with open(os.path.join(reports, "latest.json")) as f:
        report = Report(f.read())
    denied = {g["scope"] for g in report.gaps if g["cause"] in ("access-denied", "unauthorized")}
    case.equal(denied, {"lab/secrets"}, "lists that are denied to the account of the manifests")
    case.expect("changes" in report.json, "the second run compares with the first")


@scenario
def indexed_job(world, case):
    """An Indexed Job of four: each pod makes its shard, merged they are the report of one run."""
    volume(world)
    config = {"clusters": [{"name": "cluster", "kubernetes": {}, "prometheus": {"url": world.prometheus}}]}
    kubectl(world, "apply", "-k", overlay(world, "shards", config, "shards"))
    kubectl(world, "-n", NAMESPACE, "delete", "job", "shards", "--ignore-not-found")
    kubectl(world, "-n", NAMESPACE, "create", "job", "shards", "--from=cronjob/healthcheck")
    world.wait_for(lambda: len(pods_of(world, "shards")) == 4, "four pods of the Indexed Job", 60)
    reports = world.path("shards")
    os.makedirs(reports, exist_ok=True)
    with as_in_a_pod(world, NAMESPACE, "healthcheck") as possible:
        if not possible:
            case.note(f"skipped: {SERVICE_ACCOUNT} cannot be made here")
            return
        pods = pods_of(world, "shards")
        # A claim is judged while a running pod mounts it: both sides must see the same.
        world.wait_for(lambda: all(ended(pod) for pod in pods_of(world, "shards")), "the end of these pods", 60)
        runs = [run_pod(world, pod, reports, "--at", world.at) for pod in pods]
        whole_file = os.path.join(reports, "whole.json")
        settings = world.path(f"config-{pods[0]['metadata']['name']}/healthcheck.yaml")
        host, port = world.api_url.removeprefix("https://").split(":")
        env = {"KUBERNETES_SERVICE_HOST": host, "KUBERNETES_SERVICE_PORT": port}
        world.product.run("check", "--config", settings, "--at", world.at, "-o", whole_file, env=env)
    for run in runs:
        case.equal(run.code, CLEAN, f"exit code of a shard: {shorten(run.err)}")
    shards = [os.path.join(reports, f"shard-{i}.json") for i in range(4)]
    sizes = []
    for path in shards:
        with open(path) as f:
            sizes.append(sum(c["pods"] for c in json.load(f)["clusters"]))
    case.note(f"pods by shard: {sizes}")
    case.expect(sum(n > 0 for n in sizes) >= 2, "all pods are in one shard")
    merged_file = os.path.join(reports, "merged.json")
    merged = world.product.run("merge", "--at", world.at, *shards, "-o", merged_file, "--fail-on", "never")
    case.equal(merged.code, CLEAN, f"exit code of merge: {shorten(merged.err)}")
    with open(merged_file) as a, open(whole_file) as b:
        got, want = Report(a.read()), Report(b.read())
    same_findings(case, got, want, "four shards against one run")
    # While the shards run, the Job whose pods they are runs, too.
    steady = lambda report: {(c["id"], c["ok"] + c["problem"] + c["unknown"] > 0) for c in report.json["checks"] if c["id"] != "job-unfinished"}  # noqa: E731
    case.equal(steady(got), steady(want), "checks of four shards against one run")
    case.equal(got.json["verdict"], want.json["verdict"], "verdict of four shards")
    lost = world.product.run("merge", "--at", world.at, *shards[:3], "--format", "json")
    case.contains(lost.err, "shard 3/4 is missing", "a shard that is missing")
    part = world.product.run("merge", "--at", world.at, "--partial", *shards[:3], "--format", "json", "--fail-on", "never")
    case.contains(part.out, "shard 3/4", "the gap of a shard that is missing")


# What the manifests make in a namespace; what owns pods comes before them.
MADE = "cronjobs,jobs,deployments,pods,persistentvolumeclaims,secrets,configmaps,services,roles,rolebindings,networkpolicies,poddisruptionbudgets,leases"


def nothing_left(world):
    """What scenarios before may have left, so that a reader begins with nothing.

    Its content goes first, and finalizers are not waited for: that a namespace ends is no matter of the product's, and its
    controller may hang on one that is made again under the same name.
    """
    namespace = json.loads(kubectl(world, "get", "namespace", NAMESPACE, "--ignore-not-found", "-o", "json") or "{}")
    if namespace:
        kubectl(world, "-n", NAMESPACE, "delete", MADE, "--all", "--ignore-not-found", "--force", "--grace-period=0", "--timeout=60s")
        kubectl(world, "delete", "namespace", NAMESPACE, "--ignore-not-found", "--wait=false")
        gone = lambda: not kubectl(world, "get", "namespace", NAMESPACE, "--ignore-not-found", "-o", "name")  # noqa: E731
        with contextlib.suppress(TimeoutError):
            world.wait_for(gone, "a namespace that ends by itself", 15)
        if not gone():
            namespace["spec"]["finalizers"] = []
            namespace["metadata"].pop("resourceVersion", None)
            kubectl(world, "replace", "--raw", f"/api/v1/namespaces/{NAMESPACE}/finalize", "-f", "-", stdin=json.dumps(namespace))
            world.wait_for(gone, f"the end of namespace {NAMESPACE}")
    for kind, name in (("persistentvolume", "nas"), ("clusterrole", "healthcheck"), ("clusterrolebinding", "healthcheck")):
        kubectl(world, "delete", kind, name, "--ignore-not-found", "--timeout=90s")


def edit(path, *changes):
    """Changes a file as a reader does, each of which must be there."""
    with open(path, encoding="utf-8") as f:
        text = f.read()
    for old, new in changes:
        if old not in text:
            raise RuntimeError(f"{path} does not have {old!r}")
        text = text.replace(old, new)
    with open(path, "w", encoding="utf-8") as f:
        f.write(text)


@scenario
def exchange_overlay(world, case):
    """The overlay `exchange`, with its addresses edited: a Role of one namespace, ARMS and Slack by the Secret, and a run that ends well."""
    own, other = world.namespaces[:2]
    user, password = "LTAI5tLabAccessKey", "lab-access-key-secret-61"
    folder = world.path("exchange")
    shutil.copytree(os.path.join(DEPLOY, "kustomize"), folder)
    exchange = os.path.join(folder, "overlays", "exchange")
    messages = []

    def slack(request, gateway):
        messages.append(json.loads(request.body))
        return Answer(200, "ok", {"Content-Type": "text/plain"})

    with Arms(world.prometheus, user, password) as arms, Gateway(world.prometheus, slack) as hooks:
        edit(os.path.join(exchange, "healthcheck.yaml"), ("https://workspace.example.aliyuncs.com:9443/prometheus/instance", arms.endpoint),
             ("namespaces: [exchange]", f"namespaces: [{own}]"))
        # What step 3 of DEPLOYMENT.md tells: the role of the overlay is written, and nothing else gives rights.
        printed = world.product.run("rbac", "--all", "--scope", "namespace", "--config", os.path.join(exchange, "healthcheck.yaml"))
        case.equal(printed.code, CLEAN, f"rbac with the configuration of the overlay: {shorten(printed.err)}")
        with open(os.path.join(exchange, "account.yaml"), "w", encoding="utf-8") as f:
            f.write(printed.out)
        nothing_left(world)
        without_monitoring_kinds(world)
        volume(world, "alibabacloud-cnfs-nas")
        kubectl(world, "apply", "-k", exchange)
        kubectl(world, "-n", NAMESPACE, "create", "secret", "generic", "healthcheck", f"--from-literal=PROMETHEUS_USERNAME={user}",
                f"--from-literal=PROMETHEUS_PASSWORD={password}", f"--from-literal=SLACK_WEBHOOK_URL={hooks.url}/services/T024BE7LD/B01ABCDEF12/x7Kq2LmPa9wErT4yUiOp0ZcV")
        kubectl(world, "-n", NAMESPACE, "patch", "cronjob", "healthcheck", "-p", '{"spec":{"suspend":true}}')
        account_name = f"{NAMESPACE}/healthcheck"
        case.expect(may(world, account_name, "list", "", "pods", namespace=own), f"pods of {own} are refused")
        for verb, resource, namespace in (("list", "pods", other), ("list", "nodes", None), ("list", "secrets", own)):
            case.expect(not may(world, account_name, verb, "", resource, namespace=namespace), f"{verb} {resource} in {namespace} is allowed")
        kubectl(world, "-n", NAMESPACE, "create", "job", "exchange", "--from=cronjob/healthcheck")
        world.wait_for(lambda: pods_of(world, "exchange"), "the pod of the Job", 60)
        reports = world.path("exchange-reports")
        os.makedirs(reports, exist_ok=True)
        with as_in_a_pod(world, NAMESPACE, "healthcheck") as possible:
            if not possible:
                case.note(f"skipped: {SERVICE_ACCOUNT} cannot be made here")
                return
            run = run_pod(world, pods_of(world, "exchange")[0], reports, "--at", world.at)
        case.equal(run.code, CLEAN, f"exit code: {shorten(run.err)}")
        case.equal(arms.broken_rules, [], "rules of ARMS that were broken")
        case.expect(arms.count(lambda r: r.is_range) > 0, "no range query reached ARMS")
        case.expect(messages, f"Slack got nothing: {shorten(run.err)}")
        for value in (password, "x7Kq2LmPa9wErT4yUiOp0ZcV"):
            case.lacks(run.err + run.out, value, "output")
    kubectl(world, "-n", own, "delete", "role,rolebinding", "healthcheck")
    nothing_left(world)
