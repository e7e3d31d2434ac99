//! The whole source over an API server made of a function, and the stories of single objects.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use healthcore::inventory::{Backend, Endpoints, LoadBalancer, ObjectId, SharedPods};
use healthcore::jvm::{FlagPlace, Unread};
use healthcore::model::{
    ContainerRole, ContainerState, Event, Hpa, HpaMetric, Node, ObjectKind, PodPhase, Probes, Replicas,
    Termination, Update, WorkloadId,
};
use healthcore::snapshot::{GapCause, Missing, Objects};
use healthcore::time::Timestamp;
use healthcore::unit::{Bytes, Cores, Seconds};
use http::{Request, Response};
use kube::client::Body;
use serde_json::{Value, json};

mod logs;

use super::{KubernetesSettings, KubernetesSource, Retry};
use crate::{Fetched, ObjectSource as _, Selection, SourceError};

/// Status, headers, body.
type Reply = (u16, Vec<(&'static str, String)>, String);

fn ok(body: &Value) -> Reply {
    (200, vec![], body.to_string())
}

fn list(items: &[Value]) -> Reply {
    ok(&json!({"kind": "List", "metadata": {}, "items": items}))
}

fn status(code: u16, message: &str) -> Reply {
    (code, vec![], json!({"kind": "Status", "code": code, "message": message}).to_string())
}

fn empty() -> Reply {
    list(&[])
}

fn path_of(uri: &str) -> &str {
    uri.split('?').next().unwrap_or_default()
}

/// A source whose server answers with `reply`, which is given path and query; and what was asked of it.
fn source(
    settings: KubernetesSettings,
    reply: impl FnMut(&str) -> Reply + Send + 'static,
) -> (KubernetesSource, Arc<Mutex<Vec<String>>>) {
    let log = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&log);
    let reply = Arc::new(Mutex::new(reply));
    let service = tower::service_fn(move |request: Request<Body>| {
        let uri = request.uri().to_string();
        seen.lock().unwrap().push(uri.clone());
        let (code, headers, body) = (reply.lock().unwrap())(&uri);
        let mut response = Response::builder().status(code);
        for (name, value) in headers {
            response = response.header(name, value);
        }
        let response = response.body(Body::from(body.into_bytes())).unwrap();
        async move { Ok::<_, std::convert::Infallible>(response) }
    });
    let client = kube::Client::new(service, "home");
    (KubernetesSource::with_client(client, "https://api.example", settings), log)
}

fn settings() -> KubernetesSettings {
    let retry = Retry { attempts: 3, first_wait: Duration::ZERO, longest_wait: Duration::from_millis(1) };
    KubernetesSettings { cluster: "prod".into(), retry, ..KubernetesSettings::default() }
}

fn run<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

/// Objects of all kinds in the namespaces.
fn objects(
    namespaces: &[&str],
    reply: impl FnMut(&str) -> Reply + Send + 'static,
) -> (Fetched<Objects>, Vec<String>) {
    run(async {
        let (source, log) = source(settings(), reply);
        let selection = Selection { namespaces: namespaces.iter().map(|n| (*n).to_owned()).collect() };
        let kinds = ObjectKind::ALL.iter().copied().collect();
        let fetched = source.objects(&selection, &kinds).await;
        let log = log.lock().unwrap().clone();
        (fetched, log)
    })
}

fn gaps(fetched: &Fetched<Objects>) -> Vec<(&str, GapCause, &str)> {
    fetched.gaps.iter().map(|g| (g.scope.as_str(), g.cause, g.detail.as_str())).collect()
}

/// What a server with these objects makes of them; a kind is named by the end of its path.
type Made = (&'static str, fn() -> Value);

fn converted(of: &'static [Made]) -> Objects {
    let (fetched, _) = objects(&[], move |uri| {
        let items: Vec<Value> =
            of.iter().filter(|(kind, _)| path_of(uri).ends_with(kind)).map(|(_, make)| make()).collect();
        list(&items)
    });
    assert_eq!(fetched.gaps, [], "no gaps");
    fetched.value
}

fn meta(name: &str) -> Value {
    json!({"name": name, "namespace": "shop", "creationTimestamp": "2026-01-02T03:04:05Z", "labels": null,
           "managedFields": [{"manager": "kubectl"}]})
}

fn owned(name: &str, version: &str, kind: &str, owner: &str) -> Value {
    let mut meta = meta(name);
    meta["ownerReferences"] =
        json!([{"apiVersion": version, "kind": kind, "name": owner, "uid": "u", "controller": true}]);
    meta
}

fn at(text: &str) -> Option<Timestamp> {
    Some(Timestamp(text.parse::<jiff::Timestamp>().unwrap().as_millisecond()))
}

#[test]
fn a_pod_with_every_kind_of_container() {
    let objects = converted(&[("/pods", || {
        json!({
            "metadata": meta("web"),
            "spec": {
                "nodeName": "node-1",
                "initContainers": [
                    {"name": "migrate", "image": "shop/migrate:1"},
                    {"name": "proxy", "image": "mesh/proxy:2", "restartPolicy": "Always",
                     "resources": {"requests": {"cpu": "10m"}}},
                ],
                "containers": [
                    {"name": "app", "image": "shop/web:3", "env": [{"name": "PASSWORD", "value": "hunter2"}],
                     "resources": {"requests": {"cpu": "250m", "memory": "1e9"},
                                   "limits": {"cpu": 0, "memory": "512Mi", "nvidia.com/gpu": "1"}}},
                    {"name": "istio-proxy", "image": "istio/proxyv2"},
                ],
                "ephemeralContainers": [{"name": "debugger", "image": "busybox"}],
            },
            "status": {
                "phase": "Running",
                "conditions": [{"type": "PodScheduled", "status": "True"}, {"type": "Ready", "status": "False"}],
                "initContainerStatuses": [
                    {"name": "proxy", "ready": true, "restartCount": 0,
                     "state": {"running": {"startedAt": "2026-01-02T03:04:06Z"}}},
                    {"name": "migrate", "ready": true, "restartCount": 0,
                     "state": {"terminated": {"exitCode": 0, "reason": "Completed",
                               "startedAt": "2026-01-02T03:04:06Z", "finishedAt": "2026-01-02T03:04:07Z"}}},
                ],
                "containerStatuses": [
                    {"name": "app", "ready": false, "restartCount": 7,
                     "state": {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 5m0s"}},
                     "lastState": {"terminated": {"exitCode": 137, "reason": "OOMKilled", "message": null,
                                   "startedAt": "2026-01-02T04:00:00Z", "finishedAt": "2026-01-02T05:00:00Z"}}},
                ],
            },
        })
    })]);
    let [pod] = objects.pods.as_slice() else { panic!("one pod, got {:?}", objects.pods) };
    assert_eq!(pod.workload.to_string(), "shop/pod/web");
    assert_eq!((pod.phase, pod.ready, pod.node.as_deref()), (PodPhase::Running, Some(false), Some("node-1")));
    let roles: Vec<_> = pod.containers.iter().map(|c| (c.name.as_str(), c.role)).collect();
    assert_eq!(
        roles,
        [
            ("migrate", ContainerRole::Init),
            ("proxy", ContainerRole::Sidecar),
            ("app", ContainerRole::Main),
            ("istio-proxy", ContainerRole::Main)
        ]
    );
    let app = &pod.containers[2];
    assert_eq!(app.resources.memory_limit, Some(Bytes::from_mib(512.0)));
    assert_eq!(app.resources.memory_request, Some(Bytes(1e9)));
    assert_eq!(app.resources.cpu_request, Some(Cores(0.25)));
    assert_eq!(app.resources.cpu_limit, None, "a limit of 0 is none");
    assert_eq!((app.restarts, app.ready), (Some(7), Some(false)));
    assert_eq!(
        app.state,
        Some(ContainerState::Waiting { reason: "CrashLoopBackOff".into(), message: "back-off 5m0s".into() })
    );
    assert_eq!(
        app.last_termination,
        Some(Termination {
            reason: "OOMKilled".into(),
            exit_code: Some(137),
            message: String::new(),
            started: at("2026-01-02T04:00:00Z"),
            finished: at("2026-01-02T05:00:00Z"),
        })
    );
    assert_eq!(
        pod.containers[1].state,
        Some(ContainerState::Running { started: at("2026-01-02T03:04:06Z") })
    );
    assert_eq!(pod.containers[3].state, None, "not reported yet");
    assert!(!format!("{objects:?}").contains("hunter2"), "values of variables are not read");
}

#[test]
fn pods_that_wait_and_pods_that_ended() {
    let objects = converted(&[
        ("/pods", || {
            json!({"metadata": meta("a-gated"), "status": {"phase": "Pending", "conditions": [
                {"type": "PodScheduled", "status": "False", "reason": "SchedulingGated"}]}})
        }),
        ("/pods", || {
            json!({"metadata": meta("b-stuck"), "status": {"phase": "Pending", "conditions": [
                {"type": "PodScheduled", "status": "False", "reason": "Unschedulable",
                 "message": "0/3 nodes are available", "lastTransitionTime": "2026-01-02T03:05:00Z"}]}})
        }),
        ("/pods", || {
            let mut evicted =
                json!({"metadata": meta("c-evicted"), "status": {"phase": "Failed", "reason": "Evicted"}});
            evicted["metadata"]["deletionTimestamp"] = json!("2026-01-02T03:06:00Z");
            evicted["status"]["message"] = json!("The node was low on resource: memory.");
            evicted["status"]["conditions"] = json!([
                {"type": "Ready", "status": "False", "lastTransitionTime": "2026-01-02T03:05:30Z"},
                {"type": "DisruptionTarget", "status": "True", "lastTransitionTime": "2026-01-02T03:05:00Z"}]);
            evicted
        }),
    ]);
    let stuck = objects.pods[1].unschedulable.as_ref().unwrap();
    assert_eq!(
        (stuck.since, stuck.message.as_str()),
        (at("2026-01-02T03:05:00Z"), "0/3 nodes are available")
    );
    assert_eq!((&objects.pods[0].unschedulable, objects.pods[0].gated), (&None, true));
    assert!(!objects.pods[1].gated);
    let evicted = &objects.pods[2];
    let eviction = evicted.eviction.as_ref().unwrap();
    assert_eq!(
        (eviction.at, eviction.message.as_str()),
        (at("2026-01-02T03:05:00Z"), "The node was low on resource: memory.")
    );
    assert_eq!(
        (evicted.phase, evicted.reason.as_deref(), evicted.deleting),
        (PodPhase::Failed, Some("Evicted"), true)
    );
    assert_eq!((evicted.gone_by, objects.pods[1].gone_by), (at("2026-01-02T03:06:00Z"), None));
}

#[test]
fn owners_are_followed_to_the_workload() {
    let objects = converted(&[
        ("/deployments", || {
            json!({"metadata": {"name": "web", "namespace": "shop", "annotations": {"healthcheck/class": "jvm", "other": "x"}},
                   "spec": {"template": {"metadata": {"labels": {"healthcheck/class": "service", "healthcheck/team": "a"}}}},
                   "status": {"readyReplicas": 2, "conditions": [
                       {"type": "Available", "status": "True", "reason": "MinimumReplicasAvailable"},
                       {"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate",
                        "message": "exceeded quota: q", "lastTransitionTime": "2026-01-02T03:05:00Z"}]}})
        }),
        ("/replicasets", || json!({"metadata": owned("web-1", "apps/v1", "Deployment", "web")})),
        ("/replicasets", || json!({"metadata": owned("web-2", "apps/v1", "Deployment", "web")})),
        (
            "/replicasets",
            || json!({"metadata": owned("canary-1", "argoproj.io/v1alpha1", "Rollout", "canary")}),
        ),
        ("/cronjobs", || json!({"metadata": meta("nightly")})),
        ("/jobs", || json!({"metadata": owned("nightly-29", "batch/v1", "CronJob", "nightly")})),
        ("/jobs", || json!({"metadata": meta("migrate")})),
        (
            "/daemonsets",
            || json!({"metadata": meta("agent"), "status": {"desiredNumberScheduled": 3, "numberReady": 2}}),
        ),
        ("/statefulsets", || json!({"metadata": meta("db"), "spec": {"replicas": 0}})),
        ("/pods", || json!({"metadata": owned("web-2-abcde", "apps/v1", "ReplicaSet", "web-2")})),
        ("/pods", || {
            json!({"metadata": owned("canary-1-abcde", "apps/v1", "ReplicaSet", "canary-1"),
                   "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}})
        }),
        (
            "/pods",
            || json!({"metadata": owned("nightly-29-abcde", "batch/v1", "Job", "nightly-29"), "status": {"phase": "Succeeded"}}),
        ),
        ("/pods", || json!({"metadata": owned("migrate-abcde", "batch/v1", "Job", "migrate")})),
        ("/pods", || json!({"metadata": owned("etcd-node-1", "v1", "Node", "node-1")})),
        ("/pods", || {
            let mut late = json!({"metadata": owned("web-9f-abcde", "apps/v1", "ReplicaSet", "web-9f")});
            late["metadata"]["labels"] = json!({"pod-template-hash": "9f"});
            late
        }),
    ]);
    let of: Vec<_> = objects.pods.iter().map(|p| format!("{} {}", p.name, p.workload)).collect();
    assert_eq!(
        of,
        [
            "canary-1-abcde shop/rollout/canary",
            "etcd-node-1 shop/pod/etcd-node-1",
            "migrate-abcde shop/job/migrate",
            "nightly-29-abcde shop/cronjob/nightly",
            "web-2-abcde shop/deployment/web",
            "web-9f-abcde shop/deployment/web",
        ]
    );
    let workloads: Vec<_> = objects
        .workloads
        .iter()
        .map(|w| {
            let replicas = w.replicas.map_or("-".to_owned(), |r| format!("{}/{}", r.ready, r.desired));
            let revisions: Vec<_> = w.revisions.iter().map(|r| r.name.as_str()).collect();
            format!("{} {replicas} {}", w.id, revisions.join(","))
        })
        .collect();
    assert_eq!(
        workloads,
        [
            "shop/cronjob/nightly - nightly-29",
            "shop/daemonset/agent 2/3 ",
            "shop/deployment/web 2/1 web-1,web-2",
            "shop/job/migrate - ",
            "shop/pod/etcd-node-1 - ",
            "shop/rollout/canary 1/1 canary-1",
            "shop/statefulset/db 0/0 ",
        ]
    );
    let web = &objects.workloads[2];
    let told: Vec<_> =
        web.conditions.iter().map(|c| (c.kind.as_str(), c.message.as_str(), c.since)).collect();
    assert_eq!(told, [("ReplicaFailure", "exceeded quota: q", at("2026-01-02T03:05:00Z"))]);
    let marks: Vec<_> = web.annotations.iter().map(|(k, v)| format!("{k}={v}")).collect();
    assert_eq!(marks, ["healthcheck/class=jvm", "healthcheck/team=a"]);
}

/// `spec.resources` is what a lone container may use, and what several share.
#[test]
fn resources_of_the_whole_pod() {
    let (fetched, _) = objects(&[], |uri| match path_of(uri) {
        "/api/v1/pods" => {
            let whole = json!({"limits": {"memory": "1Gi"}, "requests": {"cpu": "2", "memory": "512Mi"}});
            let own = json!({"name": "app", "resources": {"requests": {"cpu": "1"}}});
            list(&[
                json!({"metadata": meta("alone"), "spec": {"resources": whole, "containers": [own]}}),
                json!({"metadata": meta("two"), "spec": {"resources": whole, "containers": [own, {"name": "log"}]}}),
            ])
        }
        _ => empty(),
    });
    let [alone, two] = &fetched.value.pods[..] else { panic!("{:?}", fetched.value.pods) };
    let app = &alone.containers[0].resources;
    assert_eq!((app.memory_limit, app.cpu_request), (Some(Bytes(1073741824.0)), Some(Cores(1.0))));
    assert_eq!(two.resources, alone.resources);
    assert_eq!(two.resources.cpu_request, Some(Cores(2.0)));
    assert!(two.containers[1].resources.is_empty(), "whose share is not told");
}

/// `OnDelete` and a `partition` leave pods alone on purpose, and what the controller has not seen has not begun.
#[test]
fn updates_that_are_not_at_their_end() {
    fn set(name: &str, strategy: Value, mut status: Value, seen: u64) -> Value {
        let mut meta = meta(name);
        meta["generation"] = json!(3);
        status["observedGeneration"] = json!(seen);
        json!({"metadata": meta, "spec": {"replicas": 3, "updateStrategy": strategy}, "status": status})
    }
    fn stateful(updated: u32, from: &str) -> Value {
        json!({"replicas": 3, "updatedReplicas": updated, "currentRevision": from, "updateRevision": "new"})
    }
    fn daemons(updated: u32) -> Value {
        json!({"desiredNumberScheduled": 3, "numberReady": 3, "updatedNumberScheduled": updated})
    }
    let objects = converted(&[
        ("/statefulsets", || set("db-a", json!({"type": "RollingUpdate"}), stateful(1, "old"), 3)),
        ("/statefulsets", || set("db-b", json!({"rollingUpdate": {"partition": 2}}), stateful(1, "old"), 3)),
        ("/statefulsets", || set("db-c", json!({"rollingUpdate": {"partition": 1}}), stateful(1, "old"), 3)),
        ("/statefulsets", || set("db-d", json!({"type": "OnDelete"}), stateful(1, "old"), 3)),
        ("/statefulsets", || set("db-e", Value::Null, stateful(1, "old"), 2)),
        ("/statefulsets", || set("db-f", Value::Null, stateful(0, "new"), 3)),
        ("/daemonsets", || set("log-a", json!({"type": "RollingUpdate"}), daemons(2), 3)),
        ("/daemonsets", || set("log-b", json!({"type": "OnDelete"}), daemons(2), 3)),
        ("/daemonsets", || set("log-c", Value::Null, daemons(3), 3)),
    ]);
    let behind = objects.workloads.iter().filter_map(|w| Some((w.id.name.as_str(), w.update?)));
    let update = |updated, wanted| Update { updated, wanted };
    assert_eq!(
        behind.collect::<Vec<_>>(),
        [("log-a", update(2, 3)), ("db-a", update(1, 3)), ("db-c", update(1, 2))]
    );
}

#[test]
fn a_rollout_is_asked_for_its_scale_where_its_kind_has_one() {
    let (fetched, log) = objects(&[], |uri| match path_of(uri) {
        "/api/v1/pods" => list(&[
            json!({"metadata": owned("canary-1", "argoproj.io/v1alpha1", "Rollout", "canary")}),
            json!({"metadata": owned("task-1", "argoproj.io/v1alpha1", "Workflow", "task")}),
        ]),
        "/apis/argoproj.io/v1alpha1" => ok(&json!({"resources": [
            {"name": "rollouts", "kind": "Rollout"}, {"name": "rollouts/scale", "kind": "Scale"},
            {"name": "workflows", "kind": "Workflow"}]})),
        "/apis/argoproj.io/v1alpha1/namespaces/shop/rollouts/canary/scale" => {
            ok(&json!({"spec": {"replicas": 5}}))
        }
        _ => empty(),
    });
    let replicas: Vec<_> = fetched.value.workloads.iter().map(|w| (w.id.name.as_str(), w.replicas)).collect();
    assert_eq!(replicas, [("canary", Some(Replicas { desired: 5, ready: 0 })), ("task", None)]);
    assert!(!log.iter().any(|uri| uri.contains("task/scale")));
}

/// OpenKruise and Volcano have kinds of the names that Kubernetes itself has.
#[test]
fn a_kind_of_another_group_is_not_that_of_kubernetes() {
    let (fetched, _) = objects(&[], |uri| match path_of(uri) {
        "/apis/batch/v1/jobs" => list(&[json!({"metadata": meta("train")})]),
        "/api/v1/pods" => list(&[
            json!({"metadata": owned("cache-0", "apps.kruise.io/v1beta1", "StatefulSet", "cache")}),
            json!({"metadata": owned("train-worker-0", "batch.volcano.sh/v1alpha1", "Job", "train")}),
            json!({"metadata": owned("old-0", "apps/v1beta2", "StatefulSet", "old")}),
        ]),
        "/apis/apps.kruise.io/v1beta1" => ok(&json!({"resources": [
            {"name": "statefulsets", "kind": "StatefulSet"}, {"name": "statefulsets/scale", "kind": "Scale"}]})),
        "/apis/batch.volcano.sh/v1alpha1" => ok(&json!({"resources": [{"name": "jobs", "kind": "Job"}]})),
        "/apis/apps.kruise.io/v1beta1/namespaces/shop/statefulsets/cache/scale" => {
            ok(&json!({"spec": {"replicas": 3}}))
        }
        "/apis/autoscaling/v2/horizontalpodautoscalers" => {
            list(&[json!({"metadata": meta("cache"), "spec": {
            "scaleTargetRef": {"apiVersion": "apps.kruise.io/v1beta1", "kind": "StatefulSet", "name": "cache"},
            "maxReplicas": 4}})])
        }
        "/api/v1/events" => {
            list(&[json!({"metadata": meta("cache.1"), "type": "Warning", "reason": "FailedCreate",
            "involvedObject": {"apiVersion": "apps.kruise.io/v1beta1", "kind": "StatefulSet", "name": "cache", "namespace": "shop"}})])
        }
        _ => empty(),
    });
    let workloads: Vec<_> =
        fetched.value.workloads.iter().map(|w| (w.id.to_string(), w.replicas.map(|r| r.desired))).collect();
    assert_eq!(
        workloads,
        [
            ("shop/job/train".to_owned(), None),
            ("shop/job.batch.volcano.sh/train".to_owned(), None),
            ("shop/statefulset/old".to_owned(), Some(1)),
            ("shop/statefulset.apps.kruise.io/cache".to_owned(), Some(3)),
        ]
    );
    assert_eq!(fetched.value.hpas[0].target.kind, "StatefulSet.apps.kruise.io");
    assert_eq!(fetched.value.events[0].kind, "StatefulSet.apps.kruise.io");
}

#[test]
fn a_scale_that_cannot_be_read_is_a_gap_and_pods_count() {
    let (fetched, _) = objects(&[], |uri| match path_of(uri) {
        "/api/v1/pods" => {
            list(&[json!({"metadata": owned("canary-1", "argoproj.io/v1alpha1", "Rollout", "canary")})])
        }
        "/apis/argoproj.io/v1alpha1" => ok(&json!({"resources": [
            {"name": "rollouts", "kind": "Rollout"}, {"name": "rollouts/scale", "kind": "Scale"}]})),
        path if path.ends_with("/scale") => status(403, "rollouts/scale is forbidden"),
        _ => empty(),
    });
    let gaps: Vec<_> = fetched.gaps.iter().map(|g| (g.scope.as_str(), g.cause, g.detail.as_str())).collect();
    assert_eq!(
        gaps,
        [(
            "prod/scale",
            GapCause::Info,
            "the scale of 1 workload of other kinds cannot be read (rollouts/scale is forbidden): pods are counted instead"
        )]
    );
    assert_eq!(fetched.value.workloads[0].replicas, Some(Replicas { desired: 1, ready: 0 }));
}

#[test]
fn an_autoscaler_with_every_kind_of_metric() {
    let objects = converted(&[("/horizontalpodautoscalers", || {
        json!({
            "metadata": meta("web"),
            "spec": {"scaleTargetRef": {"kind": "Deployment", "name": "web"}, "maxReplicas": 10, "metrics": [
                {"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 70}}},
                {"type": "Resource", "resource": {"name": "memory", "target": {"type": "AverageValue", "averageValue": "512Mi"}}},
                {"type": "ContainerResource", "containerResource": {"name": "cpu", "container": "app",
                    "target": {"type": "Utilization", "averageUtilization": 60}}},
                {"type": "Pods", "pods": {"metric": {"name": "rps"}, "target": {"type": "AverageValue", "averageValue": "100"}}},
                {"type": "External", "external": {"metric": {"name": "queue"}, "target": {"type": "Value", "value": "30"}}},
                {"type": "Object", "object": {"metric": {"name": "hits"}, "describedObject": {"kind": "Ingress", "name": "main"},
                    "target": {"type": "Value", "value": "2k"}}},
            ]},
            "status": {"currentReplicas": 3, "desiredReplicas": 4, "currentMetrics": [
                {"type": "External", "external": {"metric": {"name": "queue"}, "current": {"value": "45500m"}}},
                {"type": ""},
                {"type": "Resource", "resource": {"name": "memory", "current": {"averageValue": "268435456", "averageUtilization": 50}}},
                {"type": "ContainerResource", "containerResource": {"name": "cpu", "container": "app", "current": {"averageUtilization": 61}}},
            ], "conditions": [
                {"type": "ScalingActive", "status": "False", "reason": "FailedGetResourceMetric",
                 "message": "missing request for cpu in container app", "lastTransitionTime": "2026-01-02T03:04:05Z"},
                {"type": "AbleToScale", "status": "Unknown"},
            ]},
        })
    })]);
    let [hpa] = objects.hpas.as_slice() else { panic!("{:?}", objects.hpas) };
    let metric = |name: &str, target, current, utilization| HpaMetric {
        name: name.into(),
        target: Some(target),
        current,
        utilization,
    };
    assert_eq!(
        hpa.metrics,
        [
            metric("cpu", 0.7, None, true),
            metric("memory", 536_870_912.0, Some(268_435_456.0), false),
            metric("cpu of container app", 0.6, Some(0.61), true),
            metric("rps", 100.0, None, false),
            metric("queue", 30.0, Some(45.5), false),
            metric("hits", 2000.0, None, false),
        ]
    );
    assert_eq!(
        (hpa.min_replicas, hpa.max_replicas, hpa.current_replicas, hpa.desired_replicas),
        (1, 10, 3, 4)
    );
    let active = hpa.condition("ScalingActive").unwrap();
    assert_eq!((active.status, active.since), (Some(false), at("2026-01-02T03:04:05Z")));
    assert_eq!(hpa.condition("AbleToScale").unwrap().status, None);
}

#[test]
fn an_old_server_has_autoscalers_of_version_1() {
    let (fetched, _) = objects(&[], |uri| match path_of(uri) {
        "/apis/autoscaling/v2/horizontalpodautoscalers"
        | "/apis/autoscaling/v2beta2/horizontalpodautoscalers" => (404, vec![], "404 page not found".into()),
        "/apis/autoscaling/v1/horizontalpodautoscalers" => list(&[json!({
            "metadata": meta("web"),
            "spec": {"scaleTargetRef": {"kind": "Deployment", "name": "web"}, "minReplicas": 2, "maxReplicas": 4,
                     "targetCPUUtilizationPercentage": 80},
            "status": {"currentReplicas": 2, "desiredReplicas": 2, "currentCPUUtilizationPercentage": 95},
        })]),
        _ => empty(),
    });
    assert_eq!(fetched.gaps, []);
    let Hpa { metrics, min_replicas, .. } = &fetched.value.hpas[0];
    let cpu = HpaMetric { name: "cpu".into(), target: Some(0.8), current: Some(0.95), utilization: true };
    assert_eq!((min_replicas, metrics.as_slice()), (&2, [cpu].as_slice()));
}

#[test]
fn equal_events_are_counted_together() {
    let (fetched, log) = objects(&[], |uri| match path_of(uri) {
        "/api/v1/events" => list(&[
            json!({"metadata": meta("e1"), "type": "Warning", "reason": "BackOff", "message": "back-off", "count": 3,
                   "involvedObject": {"kind": "Pod", "namespace": "shop", "name": "web-1"},
                   "firstTimestamp": "2026-01-02T03:00:00Z", "lastTimestamp": "2026-01-02T04:00:00Z"}),
            json!({"metadata": meta("e2"), "type": "Warning", "reason": "BackOff", "message": "back-off", "count": null,
                   "involvedObject": {"kind": "Pod", "namespace": "shop", "name": "web-1"},
                   "firstTimestamp": null, "lastTimestamp": null, "eventTime": "2026-01-02T02:00:00.123456Z",
                   "series": {"count": 4, "lastObservedTime": "2026-01-02T05:00:00.000000Z"}}),
            json!({"metadata": meta("e3"), "type": "Normal", "reason": "Pulled",
                   "involvedObject": {"kind": "Pod", "namespace": "shop", "name": "web-1"}}),
        ]),
        _ => empty(),
    });
    assert_eq!(
        fetched.value.events,
        [Event {
            seen: None,
            namespace: "shop".into(),
            kind: "Pod".into(),
            name: "web-1".into(),
            reason: "BackOff".into(),
            message: "back-off".into(),
            count: 7,
            first: at("2026-01-02T02:00:00.123Z"),
            last: at("2026-01-02T05:00:00Z"),
        }]
    );
    assert!(log.contains(&"/api/v1/events?limit=500&fieldSelector=type%21%3DNormal".to_owned()), "{log:?}");
}

#[test]
fn a_kill_that_a_node_tells_of_is_given_to_its_pod() {
    let objects = converted(&[
        ("/events", || {
            json!({"metadata": {"name": "n1.1", "namespace": "default"}, "type": "Warning", "reason": "OOMKilling",
                   "message": "Memory cgroup out of memory: Killed process 2411 (java)", "count": 1,
                   "involvedObject": {"kind": "Node", "name": "n1"},
                   "firstTimestamp": "2026-01-02T04:00:01Z", "lastTimestamp": "2026-01-02T04:00:01Z"})
        }),
        ("/pods", || {
            json!({"metadata": meta("web-1"), "spec": {"nodeName": "n1", "containers": [{"name": "app"}]},
                   "status": {"phase": "Running", "containerStatuses": [{"name": "app", "restartCount": 1, "ready": true,
                   "state": {"running": {}}, "lastState": {"terminated": {"reason": "Error", "exitCode": 137,
                   "finishedAt": "2026-01-02T04:00:00Z"}}}]}})
        }),
    ]);
    let event = &objects.events[0];
    assert_eq!((&*event.namespace, &*event.kind, &*event.name), ("shop", "Pod", "web-1"));
}

#[test]
fn nodes_and_what_pods_can_use_of_them() {
    let objects = converted(&[("/nodes", || {
        json!({"metadata": {"name": "n1"}, "status": {"nodeInfo": {"architecture": "arm64"},
               "allocatable": {"cpu": "3920m", "memory": "15Gi", "pods": "110"}}})
    })]);
    let node = &objects.nodes[0];
    assert_eq!((node.name.as_str(), node.architecture.as_str()), ("n1", "arm64"));
    assert_eq!(
        (node.allocatable_cpu, node.allocatable_memory, node.allocatable_pods),
        (Some(Cores(3.92)), Some(Bytes::from_mib(15.0 * 1024.0)), Some(110))
    );
}

/// Those of all namespaces count, or none does.
#[test]
fn nodes_have_the_pods_of_all_namespaces() {
    let pod = |namespace: &str, name: &str, phase: &str| json!({"metadata": {"namespace": namespace, "name": name}, "spec": {"nodeName": "n1"}, "status": {"phase": phase}});
    let counted = |namespaces: &[&str], denied: &'static str| {
        let (fetched, _) = objects(namespaces, move |uri| match path_of(uri) {
            "/api/v1/nodes" => list(&[
                json!({"metadata": {"name": "n1"}, "status": {"allocatable": {"pods": "2"}}}),
                json!({"metadata": {"name": "n2"}, "status": {"allocatable": {"pods": 110}}}),
            ]),
            path if path == denied => status(403, "pods is forbidden"),
            "/api/v1/pods" => list(&[
                pod("shop", "a", "Running"),
                pod("pay", "b", "Pending"),
                pod("pay", "done", "Succeeded"),
                pod("pay", "thrown", "Failed"),
                json!({"metadata": {"namespace": "pay", "name": "waits"}, "status": {"phase": "Pending", "conditions": [
                    {"type": "PodScheduled", "status": "False", "reason": "Unschedulable",
                     "message": "0/2 nodes are available: 2 Too many pods."}]}}),
            ]),
            "/api/v1/namespaces/shop/pods" => list(&[pod("shop", "a", "Running")]),
            _ => empty(),
        });
        let of = |n: &Node| n.pods.map(|p| (p.living, p.turned_away));
        fetched.value.nodes.iter().map(of).collect::<Vec<_>>()
    };
    assert_eq!(counted(&[], ""), [Some((2, 1)), Some((0, 0))]);
    assert_eq!(counted(&["shop"], ""), [None, None]);
    assert_eq!(counted(&[], "/api/v1/pods"), [None, None]);
}

#[test]
fn the_server_tells_its_version() {
    let (fetched, _) = objects(&[], |uri| match path_of(uri) {
        "/version" => ok(&json!({"gitVersion": "v1.33.2"})),
        _ => empty(),
    });
    assert_eq!(fetched.value.inventory.server_version, "v1.33.2");
    let (fetched, _) = objects(&[], |uri| match path_of(uri) {
        "/version" => status(403, "forbidden"),
        _ => empty(),
    });
    assert_eq!((fetched.value.inventory.server_version.as_str(), fetched.gaps.len()), ("", 0));
}

#[test]
fn one_broken_object_does_not_fail_the_list() {
    let (fetched, _) = objects(&[], |uri| match path_of(uri) {
        "/api/v1/pods" => list(&[
            json!({"metadata": meta("good")}),
            json!({"metadata": meta("bad"), "spec": {"containers": "none"}}),
            json!({"metadata": meta("odd"), "spec": {"containers": [
                {"name": "app", "resources": {"limits": {"memory": "512MB"}}}]}}),
        ]),
        _ => empty(),
    });
    let names: Vec<_> = fetched.value.pods.iter().map(|p| p.name.as_str()).collect();
    assert_eq!(names, ["good", "odd"]);
    let gaps = gaps(&fetched);
    assert_eq!(gaps.len(), 2, "{gaps:?}");
    assert!(gaps.iter().all(|(scope, cause, _)| *scope == "prod/pods" && *cause == GapCause::InvalidObject));
    assert!(gaps[0].2.starts_with("cannot read pods shop/bad: invalid type"), "{gaps:?}");
    assert!(
        gaps[1].2.starts_with("cannot read pods shop/odd: container app: memory limit: expected"),
        "{gaps:?}"
    );
    assert_eq!(fetched.value.unavailable, []);
}

/// Pages of one pod each, `p0` to `p9`; `fault` may answer in place of the server.
fn paged(uri: &str, fault: &mut dyn FnMut(usize) -> Option<Reply>) -> Reply {
    if path_of(uri) != "/api/v1/pods" {
        return empty();
    }
    let page = uri.split("continue=").nth(1).map_or(0, |token| token.parse::<usize>().unwrap());
    if let Some(reply) = fault(page) {
        return reply;
    }
    let next = if page < 9 { (page + 1).to_string() } else { String::new() };
    ok(
        &json!({"kind": "PodList", "metadata": {"continue": next}, "items": [{"metadata": meta(&format!("p{page}"))}]}),
    )
}

#[test]
fn pages_are_put_together() {
    let (fetched, log) = objects(&[], |uri| paged(uri, &mut |_| None));
    assert_eq!((fetched.value.pods.len(), fetched.gaps.len()), (10, 0));
    assert!(log.contains(&"/api/v1/pods?limit=500&continue=9".to_owned()));
}

/// Path and query of a list, cut: the number of objects that it asks for, and where it begins.
fn part_of(uri: &str) -> (usize, usize) {
    let number = |name: &str| uri.split(name).nth(1).and_then(|rest| rest.split('&').next()?.parse().ok());
    (number("limit=").unwrap(), number("continue=").unwrap_or(0))
}

/// ConfigMaps may be of 1 MiB each: 500 of them would take half a gigabyte.
#[test]
fn pages_of_config_maps_grow_while_these_are_small() {
    let (fetched, log) = objects(&[], |uri| {
        if path_of(uri) != "/api/v1/configmaps" {
            return empty();
        }
        let (limit, from) = part_of(uri);
        let to = (from + limit).min(300);
        let map = |n: usize| {
            let large = "#".repeat(if n < 100 { 0 } else { 150_000 });
            let data = format!("server {{ server_name h{n}.example; }} {large}");
            json!({"metadata": meta(&format!("m{n}")), "data": {"a.conf": data, "b": "x"}, "binaryData": {"c": ""}})
        };
        let next = if to < 300 { to.to_string() } else { String::new() };
        let items: Vec<Value> = (from..to).map(map).collect();
        ok(&json!({"kind": "List", "metadata": {"continue": next}, "items": items}))
    });
    assert_eq!((fetched.value.inventory.routes.len(), fetched.gaps.len()), (300, 0));
    let asked = log.iter().filter(|uri| uri.contains("/configmaps?")).map(|uri| part_of(uri).0);
    assert_eq!(asked.collect::<Vec<_>>(), [20, 40, 80, 20, 20, 20, 20, 20, 20, 20, 20]);
}

#[test]
fn a_page_that_is_too_large_is_asked_for_again_in_parts() {
    let (fetched, log) = objects(&[], |uri| {
        let large = path_of(uri) == "/api/v1/pods" && part_of(uri).0 > 63;
        if large { (200, vec![], " ".repeat(65 << 20)) } else { paged(uri, &mut |_| None) }
    });
    assert_eq!((fetched.value.pods.len(), fetched.gaps.len()), (10, 0));
    let asked: Vec<usize> = log.iter().filter(|u| u.contains("/pods?")).map(|u| part_of(u).0).collect();
    assert_eq!(asked[..3], [500, 63, 63]);
    let (fetched, log) = objects(&[], |uri| match path_of(uri) {
        "/api/v1/pods" => (200, vec![], " ".repeat(65 << 20)),
        _ => empty(),
    });
    let asked: Vec<usize> = log.iter().filter(|u| u.contains("/pods?")).map(|u| part_of(u).0).collect();
    assert_eq!(asked, [500, 63, 8, 1]);
    let why = "listing pods in all namespaces: the answer is larger than 64 MiB";
    assert_eq!(gaps(&fetched), [("prod/pods", GapCause::Failed, why)]);
}

#[test]
fn an_expired_continuation_begins_again_or_goes_on() {
    let mut left = 1;
    let (fetched, _) = objects(&[], move |uri| {
        paged(uri, &mut |page| {
            (page == 4 && left > 0).then(|| {
                left -= 1;
                status(410, "The provided continue parameter is too old")
            })
        })
    });
    assert_eq!((fetched.value.pods.len(), fetched.gaps.len()), (10, 0), "begun again");

    let mut left = 1;
    let (fetched, log) = objects(&[], move |uri| {
        paged(uri, &mut |page| {
            (page == 4 && left > 0).then(|| {
                left -= 1;
                (410, vec![], json!({"message": "too old", "metadata": {"continue": "4"}}).to_string())
            })
        })
    });
    assert_eq!((fetched.value.pods.len(), fetched.gaps.len()), (10, 0), "taken up again");
    assert_eq!(log.iter().filter(|uri| *uri == "/api/v1/pods?limit=500").count(), 1);
}

#[test]
fn a_continuation_that_always_expires_ends() {
    let (fetched, log) =
        objects(&[], |uri| paged(uri, &mut |page| (page == 4).then(|| status(410, "too old"))));
    let tries = log.iter().filter(|uri| uri.ends_with("continue=4")).count();
    assert_eq!(tries, 4);
    let gaps = gaps(&fetched);
    assert_eq!((gaps.len(), gaps[0].1), (1, GapCause::Partial));
    assert_eq!(fetched.value.pods.len(), 4, "what arrived is kept");
}

#[test]
fn a_fault_that_passes_costs_nothing_but_time() {
    for fault in [(429, "slow down"), (500, "etcd"), (503, "starting"), (504, "gateway")] {
        let mut seen = BTreeSet::new();
        let (fetched, _) = objects(&[], move |uri| {
            if seen.insert(uri.to_owned()) {
                let mut reply = status(fault.0, fault.1);
                reply.1.push(("retry-after", "0".into()));
                return reply;
            }
            paged(uri, &mut |_| None)
        });
        assert_eq!((fetched.value.pods.len(), fetched.gaps.as_slice()), (10, [].as_slice()), "{fault:?}");
    }
}

#[test]
fn a_fault_that_stays_keeps_what_arrived() {
    let (fetched, log) =
        objects(&[], |uri| paged(uri, &mut |page| (page == 3).then(|| status(503, "overloaded"))));
    assert_eq!(fetched.value.pods.len(), 3);
    assert_eq!(
        gaps(&fetched),
        [(
            "prod/pods",
            GapCause::Partial,
            "listing pods in all namespaces: the server answered 503: overloaded; the first 3 objects arrived"
        )]
    );
    assert_eq!(fetched.value.unavailable[0].why, Missing::ListFailed { resource: "pods".into() });
    assert_eq!(log.iter().filter(|uri| uri.ends_with("continue=3")).count(), 3, "bounded");
}

#[test]
fn half_an_answer_is_no_answer() {
    let (fetched, _) = objects(&[], |uri| match path_of(uri) {
        "/api/v1/pods" => (200, vec![], r#"{"kind":"PodList","items":[{"metadata":{"na"#.into()),
        "/apis/apps/v1/deployments" => (200, vec![], "<html>Sign in</html>".into()),
        "/apis/apps/v1/daemonsets" => ok(&json!({"status": "fine"})),
        _ => empty(),
    });
    let gaps = gaps(&fetched);
    assert_eq!(gaps.len(), 3, "{gaps:?}");
    assert!(gaps.iter().all(|(_, cause, _)| *cause == GapCause::Failed), "{gaps:?}");
    assert!(gaps[2].2.ends_with("expected a list of Kubernetes objects"), "{gaps:?}");
}

#[test]
fn a_forbidden_list_is_tried_namespace_by_namespace() {
    let (fetched, _) = objects(&[], |uri| match path_of(uri) {
        "/api/v1/namespaces" => {
            list(&[json!({"metadata": {"name": "a"}}), json!({"metadata": {"name": "b"}})])
        }
        "/apis/autoscaling/v2/horizontalpodautoscalers" | "/api/v1/nodes" => status(403, "cannot list"),
        "/apis/autoscaling/v2/namespaces/a/horizontalpodautoscalers" => list(&[json!({
            "metadata": meta("web"), "spec": {"scaleTargetRef": {"kind": "Deployment", "name": "web"}, "maxReplicas": 3}})]),
        "/apis/autoscaling/v2/namespaces/b/horizontalpodautoscalers" => status(403, "hpa is forbidden"),
        _ => empty(),
    });
    assert_eq!(fetched.value.hpas.len(), 1);
    assert_eq!(
        gaps(&fetched),
        [
            (
                "prod/b/horizontalpodautoscalers.autoscaling",
                GapCause::AccessDenied,
                "not allowed to list horizontalpodautoscalers.autoscaling in namespace b: hpa is forbidden"
            ),
            ("prod/nodes", GapCause::AccessDenied, "not allowed to list nodes in the cluster: cannot list"),
        ]
    );
    let denied = Missing::AccessDenied {
        verb: "list".into(),
        resource: "horizontalpodautoscalers.autoscaling".into(),
        namespace: Some("b".into()),
    };
    assert_eq!(
        (&fetched.value.unavailable[0].why, fetched.value.unavailable[0].kind),
        (&denied, ObjectKind::Autoscalers)
    );
}

#[test]
fn without_the_right_to_list_namespaces_the_own_one_is_left() {
    let (fetched, _) = objects(&[], |uri| match path_of(uri) {
        "/api/v1/namespaces/home/pods" => list(&[json!({"metadata": {"name": "web", "namespace": "home"}})]),
        path if path.ends_with("/pods") => status(403, "pods is forbidden"),
        "/api/v1/namespaces" => status(403, "namespaces is forbidden"),
        _ => empty(),
    });
    assert_eq!(fetched.value.pods.len(), 1);
    assert_eq!(
        gaps(&fetched),
        [
            (
                "prod/pods",
                GapCause::AccessDenied,
                "not allowed to list pods in all namespaces: pods is forbidden; only namespace home of the context is looked into"
            ),
            (
                "prod/namespaces",
                GapCause::AccessDenied,
                "not allowed to list namespaces in the cluster: namespaces is forbidden"
            ),
        ]
    );
    assert_eq!(fetched.value.unavailable[1].kind, ObjectKind::Namespaces);
    assert_eq!(fetched.value.unavailable.len(), 2, "the other namespaces are not known");
    assert_eq!(fetched.value.unavailable[0].namespace, None);
    assert!(!fetched.value.unavailable[0].hides(ObjectKind::Pods, "home"), "this one is known");
    assert!(fetched.value.unavailable[0].hides(ObjectKind::Pods, "web"));
}

#[test]
fn no_right_at_all_is_said_once_a_resource() {
    let (fetched, _) = objects(&[], |_| status(403, "forbidden"));
    let scopes: Vec<_> = fetched.gaps.iter().map(|g| g.scope.as_str()).collect();
    assert_eq!(scopes.len(), super::request::LISTS.len(), "{scopes:?}");
    assert!(scopes.contains(&"prod/pods") && scopes.contains(&"prod/jobs.batch"), "{scopes:?}");
    assert!(fetched.value.unavailable.iter().any(|u| u.kind == ObjectKind::Pods && u.namespace.is_none()));
}

#[test]
fn named_namespaces_need_no_right_beyond_them() {
    let (fetched, log) = objects(&["a", "gone", "b"], |uri| match path_of(uri) {
        "/api/v1/namespaces/gone" => status(404, "not found"),
        "/api/v1/namespaces/a" => status(403, "cannot get"),
        "/api/v1/namespaces/a/pods" => list(&[json!({"metadata": {"name": "web", "namespace": "a"}})]),
        "/api/v1/namespaces/b/pods" => status(403, "pods is forbidden"),
        "/api/v1/nodes" => status(403, "nodes is forbidden"),
        _ => empty(),
    });
    let nodes = fetched.value.unavailable.iter().find(|u| u.kind == ObjectKind::Nodes).unwrap();
    assert_eq!(nodes.why, Missing::OutsideNamespaces { resource: "nodes".into() });
    assert_eq!(
        gaps(&fetched).into_iter().filter(|(scope, ..)| *scope != "prod/nodes").collect::<Vec<_>>(),
        [
            ("prod/gone", GapCause::NothingMatches, "there is no namespace `gone`"),
            (
                "prod/b/pods",
                GapCause::AccessDenied,
                "not allowed to list pods in namespace b: pods is forbidden"
            ),
        ]
    );
    assert_eq!(fetched.value.pods.len(), 1);
    assert!(!log.iter().any(|uri| uri.starts_with("/api/v1/pods")), "{log:?}");
}

/// Whether a namespace is there is not always told; what is in it is, or is not.
#[test]
fn a_name_in_which_nothing_is_seen_is_told_where_nobody_says_that_it_is_there() {
    let (fetched, _) = objects(&["a", "there", "typo", "closed"], |uri| match path_of(uri) {
        "/api/v1/namespaces/there" => ok(&json!({"metadata": {"name": "there"}})),
        path if path.starts_with("/api/v1/namespaces/") && path.matches('/').count() == 4 => {
            status(403, "cannot get")
        }
        "/api/v1/namespaces/a/pods" => list(&[json!({"metadata": {"name": "web", "namespace": "a"}})]),
        "/api/v1/namespaces/closed/pods" => status(403, "pods is forbidden"),
        _ => empty(),
    });
    let told: Vec<_> =
        gaps(&fetched).into_iter().filter(|(_, cause, _)| *cause == GapCause::NothingMatches).collect();
    let said =
        "nothing is seen in namespace `typo`: it is empty or does not exist; the account may not ask which";
    assert_eq!(told, [("prod/typo", GapCause::NothingMatches, said)]);

    let (fetched, _) = objects(&["x*", "typo"], |uri| match path_of(uri) {
        "/api/v1/namespaces" => status(403, "namespaces is forbidden"),
        _ => empty(),
    });
    let told: Vec<_> = gaps(&fetched).iter().map(|(scope, ..)| (*scope).to_owned()).collect();
    assert_eq!(told, ["prod/x*", "prod/namespaces", "prod/typo"]);
}

#[test]
fn globs_are_matched_against_all_namespaces() {
    let namespaces = || list(&["shop-1", "shop-2", "edge"].map(|name| json!({"metadata": {"name": name}})));
    let (fetched, log) = objects(&["shop-?", "data*"], move |uri| match path_of(uri) {
        "/api/v1/namespaces" => namespaces(),
        _ => empty(),
    });
    assert_eq!(gaps(&fetched), [("prod/data*", GapCause::NothingMatches, "no namespace matches `data*`")]);
    let asked: Vec<_> = log.iter().map(|u| path_of(u)).filter(|u| u.ends_with("/pods")).collect();
    assert_eq!(asked, ["/api/v1/namespaces/shop-1/pods", "/api/v1/namespaces/shop-2/pods"]);

    let (fetched, _) = objects(&["h*", "x*"], |uri| match path_of(uri) {
        "/api/v1/namespaces" => status(403, "namespaces is forbidden"),
        "/api/v1/namespaces/home/pods" => list(&[json!({"metadata": meta("web")})]),
        _ => empty(),
    });
    assert_eq!(fetched.value.pods.len(), 1, "the namespace of the context matches");
    assert_eq!(fetched.gaps.len(), 3);
    assert!(fetched.gaps[1].detail.ends_with("give the namespaces by name"), "{:?}", fetched.gaps);
    assert_eq!(fetched.gaps[2].scope, "prod/namespaces");
}

#[test]
fn a_glob_that_matches_most_namespaces_takes_one_list() {
    let (fetched, log) = objects(&["shop-*"], |uri| match path_of(uri) {
        "/api/v1/namespaces" => {
            let names: Vec<_> = (0..20).map(|i| json!({"metadata": {"name": format!("shop-{i}")}})).collect();
            list(&names)
        }
        "/api/v1/pods" => list(&[
            json!({"metadata": {"name": "in", "namespace": "shop-3"}}),
            json!({"metadata": {"name": "out", "namespace": "edge"}}),
        ]),
        _ => empty(),
    });
    let names: Vec<_> = fetched.value.pods.iter().map(|p| p.name.as_str()).collect();
    assert_eq!((names, log.len()), (vec!["in"], 2 + super::request::LISTS.len()));
}

#[test]
fn the_probe_tells_what_is_wrong() {
    let probe = |reply: Reply| {
        run(async {
            let (source, _) = source(settings(), move |_| reply.clone());
            source.probe().await.map_err(|e| e.to_string())
        })
    };
    assert_eq!(probe(ok(&json!({"gitVersion": "v1.35.0"}))), Ok(()));
    assert_eq!(probe(status(403, "no")), Ok(()));
    let why = probe(status(401, "Unauthorized")).unwrap_err();
    assert!(
        why.starts_with(
            "the Kubernetes API at https://api.example: no valid credentials; Unauthorized; the token"
        ),
        "{why}"
    );
    let why = probe((200, vec![], "<html>".into())).unwrap_err();
    assert!(why.contains("not a Kubernetes API server"), "{why}");
    let why = probe(status(503, "starting")).unwrap_err();
    assert!(why.contains("answered 503: starting"), "{why}");
}

#[test]
fn the_plan_names_what_is_asked_and_nothing_else() {
    let (source, _) = run(async { source(settings(), |_| empty()) });
    let all = source.plan(&ObjectKind::ALL.iter().copied().collect());
    let all: Vec<_> = all.iter().map(|(verb, resource)| format!("{verb} {resource}")).collect();
    assert_eq!(
        all,
        [
            "list namespaces",
            "list pods",
            "list deployments.apps",
            "list statefulsets.apps",
            "list daemonsets.apps",
            "list replicasets.apps",
            "list jobs.batch",
            "list cronjobs.batch",
            "list horizontalpodautoscalers.autoscaling",
            "list events",
            "list nodes",
            "list services",
            "list endpointslices.discovery.k8s.io",
            "list ingresses.networking.k8s.io",
            "list gateways.gateway.networking.k8s.io",
            "list httproutes.gateway.networking.k8s.io",
            "list grpcroutes.gateway.networking.k8s.io",
            "list tlsroutes.gateway.networking.k8s.io",
            "list gateways.networking.istio.io",
            "list virtualservices.networking.istio.io",
            "list configmaps",
            "list secrets",
            "list certificates.cert-manager.io",
            "list poddisruptionbudgets.policy",
            "list persistentvolumeclaims",
            "list persistentvolumes",
            "list apiservices.apiregistration.k8s.io",
            "list resourcequotas",
            "get */scale",
            "get configmaps",
            "get pods/log",
            "get namespaces kube-system",
        ]
    );
    let nodes = source.plan(&BTreeSet::from([ObjectKind::Nodes]));
    assert_eq!(nodes.len(), 3, "namespaces, nodes, and whose cluster it is");
}

fn connect(kubeconfig: &str, context: Option<&str>) -> String {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), kubeconfig).unwrap();
    let settings = KubernetesSettings {
        kubeconfig: Some(file.path().to_owned()),
        context: context.map(str::to_owned),
        ..settings()
    };
    let answer = run(KubernetesSource::connect(settings));
    let said = match answer {
        Ok(_) => "connected".to_owned(),
        Err(e) => e.to_string(),
    };
    said.replace(&file.path().display().to_string(), "FILE")
}

const KUBECONFIG: &str = "
apiVersion: v1
kind: Config
current-context: one
clusters: [{name: c, cluster: {server: 'https://127.0.0.1:1'}}]
contexts:
- {name: one, context: {cluster: c, user: token}}
- {name: two, context: {cluster: c, user: plugin}}
- {name: three, context: {cluster: other, user: token}}
- {name: four, context: {cluster: c, user: failing}}
users:
- {name: token, user: {token: hunter2}}
- {name: plugin, user: {exec: {apiVersion: client.authentication.k8s.io/v1, command: no-such-plugin-here, interactiveMode: Never}}}
- {name: failing, user: {exec: {apiVersion: client.authentication.k8s.io/v1, command: sh, args: [-c, 'echo hunter2; echo log in first >&2; exit 3'], interactiveMode: Never}}}
";

#[test]
fn kubeconfigs_that_cannot_be_used_say_why() {
    let check = |kubeconfig: &str, context: Option<&str>, expected: &str| {
        let said = connect(kubeconfig, context);
        assert_eq!(said, expected);
        assert!(!said.contains("hunter2"));
    };
    check(KUBECONFIG, None, "connected");
    check(
        KUBECONFIG,
        Some("five"),
        "--context: there is no context `five` in FILE; known contexts: one, two, three, four",
    );
    check(KUBECONFIG, Some("three"), "FILE: the context names the cluster `other`, which does not exist");
    check(
        KUBECONFIG,
        Some("two"),
        "kubeconfig: cannot run the credential plugin `no-such-plugin-here`: it does not exist; install it, or put it into PATH",
    );
    check(
        &KUBECONFIG.replace("current-context: one", ""),
        None,
        "--context: FILE names no current context, so one must be given; known contexts: one, two, three, four",
    );
    let place = Some("clusters[1].kubernetes".to_owned());
    let of_file = |kubeconfig: &Path, context: &str| {
        let kubeconfig = Some(kubeconfig.to_owned());
        let settings = KubernetesSettings {
            kubeconfig,
            context: Some(context.to_owned()),
            place: place.clone(),
            ..settings()
        };
        run(KubernetesSource::connect(settings)).err().map(|e| e.to_string()).unwrap_or_default()
    };
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), KUBECONFIG).unwrap();
    assert_eq!(
        of_file(file.path(), "five").replace(&file.path().display().to_string(), "FILE"),
        "clusters[1].kubernetes.context: there is no context `five` in FILE; known contexts: one, two, three, four"
    );
    assert_eq!(
        of_file(Path::new("/does/not/exist"), "one"),
        "/does/not/exist: cannot read the kubeconfig: it does not exist; give another with clusters[1].kubernetes.kubeconfig"
    );
    let broken = connect("users: [{token: hunter2", None);
    assert!(broken.starts_with("FILE: expected a kubeconfig in YAML, cannot read it"), "{broken}");
    assert!(!broken.contains("hunter2"));

    let failing = connect(KUBECONFIG, Some("four"));
    assert!(failing.contains("log in first") && !failing.contains("hunter2"), "{failing}");

    let missing = KubernetesSettings { kubeconfig: Some("/does/not/exist".into()), ..settings() };
    let missing = run(KubernetesSource::connect(missing)).err().unwrap();
    assert!(matches!(missing, SourceError::File { .. }));
    assert_eq!(
        missing.to_string(),
        "/does/not/exist: cannot read the kubeconfig: it does not exist; give another with --kubeconfig"
    );
}

#[test]
fn a_server_that_is_not_there_is_unreachable() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), KUBECONFIG).unwrap();
    let settings = KubernetesSettings { kubeconfig: Some(file.path().to_owned()), ..settings() };
    let error = run(async { KubernetesSource::connect(settings).await.unwrap().probe().await }).unwrap_err();
    assert!(matches!(error, SourceError::Unreachable { .. }), "{error}");
    let said = error.to_string();
    assert!(said.starts_with("cannot reach the Kubernetes API at https://127.0.0.1:1: "), "{said}");
    assert!(
        said.ends_with("nothing listens there; check `server` of the cluster, or whether the cluster runs"),
        "{said}"
    );
}

/// A self-signed certificate for `front.example` and 10.0.0.1, made once by `openssl req -x509 -newkey ed25519`.
const CERTIFICATE: &str = include_str!("tests/front.crt");

#[test]
fn services_have_the_endpoints_of_all_their_slices() {
    let objects = converted(&[
        ("/services", || {
            json!({"metadata": meta("api"),
                   "spec": {"selector": {"app": "api"}, "ports": [
                       {"name": "http", "port": 80, "protocol": "TCP", "targetPort": "web"}, {"port": 8080, "targetPort": 8080},
                       {"name": "dns", "port": 53, "protocol": "UDP", "targetPort": "dns"}]}})
        }),
        ("/endpointslices", || {
            let mut meta = meta("api-x2x9z");
            meta["labels"] = json!({"kubernetes.io/service-name": "api"});
            json!({"metadata": meta, "addressType": "IPv4", "ports": [{"name": "http", "port": 8080}, {"name": "", "port": 8080}],
                   "endpoints": [{"conditions": {"ready": true}}, {"conditions": {}}, {"conditions": {"ready": false}}]})
        }),
        ("/endpointslices", || {
            let mut meta = meta("api-other");
            meta["labels"] = json!({"kubernetes.io/service-name": "api"});
            json!({"metadata": meta, "addressType": "IPv6", "ports": [{"name": "http", "port": 8080}],
                   "endpoints": [{"conditions": {"ready": true}}]})
        }),
        // Pods without any of the ports, which are in a slice of their own.
        ("/endpointslices", || {
            let mut meta = meta("api-none");
            meta["labels"] = json!({"kubernetes.io/service-name": "api"});
            json!({"metadata": meta, "addressType": "IPv4", "ports": null, "endpoints": [{"conditions": {"ready": true}}]})
        }),
        ("/services", || {
            let mut meta = meta("old");
            meta["annotations"] =
                json!({"external-dns.alpha.kubernetes.io/hostname": "A.example., b.example"});
            meta["deletionTimestamp"] = json!("2026-01-03T03:04:05Z");
            json!({"metadata": meta, "spec": {"type": "LoadBalancer", "clusterIP": "None", "selector": {"app": "old"},
                                              "loadBalancerClass": "mesh"},
                   "status": {"loadBalancer": {}}})
        }),
        ("/services", || {
            json!({"metadata": meta("open"), "spec": {"type": "LoadBalancer"},
                   "status": {"loadBalancer": {"ingress": [{"ip": "192.0.2.1", "ports": []}]}}})
        }),
        ("/deployments", || {
            json!({"metadata": meta("old"), "spec": {"replicas": 0, "template": {"metadata":
                   {"labels": {"app": "old", "tier": "web", "healthcheck/class": "jvm"}}}}})
        }),
    ]);
    let [api, old, open] = &objects.inventory.services[..] else {
        panic!("{:?}", objects.inventory.services)
    };
    assert_eq!(api.endpoints, Some(Endpoints { ready: 3, all: 4 }));
    let ports: Vec<_> = api.ports.iter().map(|p| (p.name.as_str(), p.port)).collect();
    assert_eq!((api.kind.as_str(), ports), ("ClusterIP", vec![("http", 80), ("", 8080), ("dns", 53)]));
    let targets: Vec<_> =
        api.ports.iter().map(|p| (p.target.as_str(), p.protocol.as_str(), p.ready)).collect();
    assert_eq!(targets, [("web", "", Some(2)), ("", "", None), ("dns", "UDP", Some(0))]);
    assert_eq!((&api.load_balancer, api.deleting, old.deleting), (&None, false, true));
    let load_balancer =
        |class: &str, has_address| Some(LoadBalancer { class: class.to_owned(), has_address, warning: None });
    assert_eq!(old.load_balancer, load_balancer("mesh", false));
    assert_eq!(open.load_balancer, load_balancer("", true));
    assert_eq!((api.selects, api.headless, &api.scaled_to_zero), (true, false, &None));
    assert!(old.headless);
    assert_eq!(old.endpoints, Some(Endpoints::default()));
    assert_eq!(old.scaled_to_zero.as_deref(), Some("Deployment old"));
    assert_eq!(old.dns_names, ["a.example", "b.example"]);
    assert_eq!(objects.workloads[0].annotations["healthcheck/class"], "jvm");
}

/// What tells a Service that has nothing on purpose, or not yet, from one that is broken.
#[test]
fn services_know_who_has_no_pod_on_purpose_and_whose_pods_start() {
    let service = |name: &str| json!({"metadata": meta(name), "spec": {"selector": {"app": name}}});
    let labelled = |mut meta: Value, app: &str, created: &str| {
        meta["labels"] = json!({"app": app, "more": "x"});
        meta["creationTimestamp"] = json!(created);
        meta
    };
    let pod = move |name: &str, app: &str, created: &str, phase: &str| {
        let meta = labelled(owned(name, "apps/v1", "StatefulSet", app), app, created);
        json!({"metadata": meta, "spec": {"containers": [{"name": "a"}]}, "status": {"phase": phase}})
    };
    let (fetched, _) = objects(&[], move |uri| match path_of(uri) {
        "/api/v1/services" => list(&["agent", "canary", "late", "ready"].map(service)),
        "/apis/discovery.k8s.io/v1/endpointslices" => {
            let meta =
                json!({"name": "s", "namespace": "shop", "labels": {"kubernetes.io/service-name": "ready"}});
            list(&[json!({"metadata": meta, "endpoints": [{"conditions": {"ready": true}}]})])
        }
        "/apis/apps/v1/daemonsets" => list(&[json!({
            "metadata": meta("agent"), "spec": {"template": {"metadata": {"labels": {"app": "agent"}}}},
            "status": {"desiredNumberScheduled": 0}})]),
        "/apis/apps/v1/replicasets" => {
            let meta = owned("canary-1", "argoproj.io/v1alpha1", "Rollout", "canary");
            list(&[json!({"metadata": labelled(meta, "canary", "2026-01-02T03:04:05Z")})])
        }
        "/apis/argoproj.io/v1alpha1" => ok(&json!({"resources": [
            {"name": "rollouts", "kind": "Rollout"}, {"name": "rollouts/scale", "kind": "Scale"}]})),
        "/apis/argoproj.io/v1alpha1/namespaces/shop/rollouts/canary/scale" => ok(&json!({"spec": {}})),
        "/api/v1/pods" => list(&[
            pod("late-2", "late", "2026-01-02T03:06:00Z", "Pending"),
            pod("late-1", "late", "2026-01-02T03:05:00Z", "Running"),
            pod("late-0", "late", "2026-01-02T03:04:00Z", "Failed"),
            pod("ready-0", "ready", "2026-01-02T03:04:00Z", "Running"),
        ]),
        _ => empty(),
    });
    let services = &fetched.value.inventory.services;
    let told: Vec<_> =
        services.iter().map(|s| (s.id.name.as_str(), s.scaled_to_zero.as_deref(), s.oldest_pod)).collect();
    assert_eq!(
        told,
        [
            ("agent", Some("DaemonSet agent"), None),
            ("canary", Some("Rollout canary"), None),
            ("late", None, at("2026-01-02T03:05:00Z")),
            ("ready", None, None),
        ]
    );
}

#[test]
fn routes_of_every_kind() {
    let objects = converted(&[
        ("/ingresses", || {
            json!({"metadata": meta("front"), "spec": {
                "tls": [{"hosts": ["Front.example"], "secretName": "front-tls"}],
                "defaultBackend": {"resource": {"kind": "Bucket", "name": "static"}},
                "rules": [{"host": "front.example", "http": {"paths": [
                    {"path": "/", "backend": {"service": {"name": "api", "port": {"number": 80}}}},
                    {"path": "/x", "backend": {"service": {"name": "api", "port": {"name": "http"}}}},
                    {"path": "/", "backend": {"service": {"name": "ssl-redirect", "port": {"name": "use-annotation"}}}}]}},
                    {"http": null}]}})
        }),
        ("/gateway.networking.k8s.io/v1/gateways", || {
            json!({"metadata": meta("edge"), "spec": {"listeners": [
                {"hostname": "*.shop.example", "tls": {"certificateRefs": [{"name": "wild", "namespace": "certs"}]}}]}})
        }),
        ("/httproutes", || {
            json!({"metadata": meta("shop"), "spec": {"hostnames": ["buy.shop.example"],
                "rules": [{"backendRefs": [{"name": "cart", "port": 8080}, {"kind": "Mirror", "name": "none"}]}]}})
        }),
        ("/networking.istio.io/v1/gateways", || {
            json!({"metadata": meta("istio"), "spec": {"servers": [
                {"hosts": ["shop/*.shop.example", "*"], "tls": {"mode": "SIMPLE", "credentialName": "edge-tls"}},
                {"hosts": ["./plain.example"]}]}})
        }),
        ("/secrets", || {
            let mut meta = meta("edge-tls");
            meta["namespace"] = json!("istio-system");
            json!({"metadata": meta, "data": {}})
        }),
        ("/virtualservices", || {
            json!({"metadata": meta("mesh"), "spec": {"hosts": ["pay.example"], "http": [{"route": [
                {"destination": {"host": "pay.bank.svc.cluster.local", "port": {"number": 9000}}},
                {"destination": {"host": "api.stripe.example"}}]}]}})
        }),
        ("/configmaps", || {
            json!({"metadata": meta("nginx"), "data": {"a.conf":
                "server { listen 80; server_name  old.example .wild.example\n  _ ~^x \"~^y{2};\"; # server_name no.example;\n }"}})
        }),
        ("/configmaps", || json!({"metadata": meta("other"), "data": {"k": "v"}})),
    ]);
    let told: Vec<String> = objects
        .inventory
        .routes
        .iter()
        .map(|r| {
            let backend = |b: &Backend| {
                format!("{}/{}:{}", b.service.namespace, b.service.name, b.port.as_deref().unwrap_or("-"))
            };
            let backends: Vec<String> = r.backends.iter().map(backend).collect();
            let secrets: Vec<&str> =
                r.tls.iter().filter_map(|t| t.secret.as_ref()).map(|s| s.name.as_str()).collect();
            format!("{} {} -> {} {}", r.kind, r.hosts.join(","), backends.join(","), secrets.join(","))
        })
        .collect();
    assert_eq!(
        told,
        [
            "Gateway *.shop.example ->  wild",
            "Ingress front.example -> shop/api:80,shop/api:http front-tls",
            "Gateway *.shop.example,plain.example ->  edge-tls",
            "VirtualService pay.example -> bank/pay:9000 ",
            "ConfigMap *.wild.example,old.example,wild.example ->  ",
            "HTTPRoute buy.shop.example -> shop/cart:8080 ",
        ]
    );
    let held = &objects.inventory.routes;
    let of = |kind: &str| held.iter().filter(|r| r.kind == kind).collect::<Vec<_>>();
    assert_eq!(of("ConfigMap")[0].expressions, ["^x", "^y{2};"]);
    // A rule without host stands for all.
    assert_eq!((of("Ingress")[0].any_host, of("VirtualService")[0].any_host), (true, false));
    let secret = of("Gateway").iter().rev().find_map(|r| r.tls.first()?.secret.clone());
    assert_eq!(secret.map(|s| s.namespace).as_deref(), Some("istio-system"));
}

#[test]
fn what_gateways_say_of_a_route() {
    let objects = converted(&[("/httproutes", || {
        let said = |name: &str, kind: &str, status: &str, reason: &str| {
            json!({"parentRef": {"group": "gateway.networking.k8s.io", "kind": "Gateway", "name": name}, "controllerName": "c",
                   "conditions": [{"type": kind, "status": status, "reason": reason, "message": "m",
                                   "lastTransitionTime": "2026-01-02T03:00:00Z"}]})
        };
        json!({"metadata": meta("shop"),
               "spec": {"parentRefs": [{"name": "edge"}, {"name": "fine"}]},
               "status": {"parents": [
                   said("edge", "ResolvedRefs", "False", "RefNotPermitted"),
                   said("fine", "Accepted", "True", "Accepted"),
                   said("left", "Accepted", "False", "NoMatchingParent")]}})
    })]);
    let told: Vec<_> = objects.inventory.routes[0]
        .parents
        .iter()
        .map(|p| (p.gateway.name.as_str(), p.refused.iter().map(|c| c.reason.as_str()).collect::<Vec<_>>()))
        .collect();
    assert_eq!(told, [("edge", vec!["RefNotPermitted"]), ("fine", vec![])]);
    assert_eq!(objects.inventory.routes[0].parents[0].refused[0].since, at("2026-01-02T03:00:00Z"));
}

/// Hostnames of listeners bound those of routes that have none of their own.
#[test]
fn a_route_without_hostnames_takes_those_of_its_listeners() {
    let objects = converted(&[
        ("/gateway.networking.k8s.io/v1/gateways", || {
            json!({"metadata": meta("edge"), "spec": {"listeners": [
                {"name": "shop", "protocol": "HTTPS", "port": 443, "hostname": "*.shop.example"},
                {"name": "pay", "protocol": "HTTP", "port": 80, "hostname": "pay.example"},
                {"name": "raw", "protocol": "TCP", "port": 9000}]}})
        }),
        (
            "/gateway.networking.k8s.io/v1/gateways",
            || json!({"metadata": meta("any"), "spec": {"listeners": [{"name": "all", "protocol": "HTTP", "port": 80}]}}),
        ),
        ("/httproutes", || json!({"metadata": meta("a-both"), "spec": {"parentRefs": [{"name": "edge"}]}})),
        (
            "/httproutes",
            || json!({"metadata": meta("b-one"), "spec": {"parentRefs": [{"name": "edge", "sectionName": "shop"}]}}),
        ),
        (
            "/httproutes",
            || json!({"metadata": meta("c-own"), "spec": {"hostnames": ["buy.shop.example"], "parentRefs": [{"name": "edge"}]}}),
        ),
        (
            "/httproutes",
            || json!({"metadata": meta("d-any"), "spec": {"parentRefs": [{"name": "edge"}, {"name": "any"}]}}),
        ),
        (
            "/httproutes",
            || json!({"metadata": meta("e-unseen"), "spec": {"parentRefs": [{"name": "edge", "namespace": "infra"}]}}),
        ),
        (
            "/grpcroutes",
            || json!({"metadata": meta("f-port"), "spec": {"parentRefs": [{"name": "edge", "port": 80}]}}),
        ),
    ]);
    let routes = objects.inventory.routes.iter().filter(|r| r.kind != "Gateway");
    let told: Vec<_> = routes.map(|r| (r.id.name.as_str(), r.hosts.join(","))).collect();
    let both = "*.shop.example,pay.example";
    let expected = [
        ("a-both", both),
        ("b-one", "*.shop.example"),
        ("c-own", "buy.shop.example"),
        ("d-any", ""),
        ("e-unseen", ""),
        ("f-port", "pay.example"),
    ];
    assert_eq!(told, expected.map(|(name, hosts)| (name, hosts.to_owned())));
}

#[test]
fn of_a_tls_secret_the_certificate_is_read_and_no_key() {
    let objects = converted(&[
        ("/secrets", || {
            let pem = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, CERTIFICATE);
            json!({"metadata": meta("front-tls"), "data": {"tls.crt": pem, "tls.key": "c2VjcmV0"}})
        }),
        ("/secrets", || json!({"metadata": meta("broken"), "data": {"tls.crt": "Z2FyYmFnZQ=="}})),
        ("/secrets", || json!({"metadata": meta("empty"), "data": null})),
        ("/pods", || {
            json!({"metadata": meta("web-1"), "status": {"phase": "Running"}, "spec": {"volumes": [
                       {"name": "tls", "secret": {"secretName": "front-tls"}},
                       {"name": "all", "projected": {"sources": [
                           {"serviceAccountToken": {"path": "token"}}, {"secret": {"name": "empty"}}]}}]}})
        }),
        ("/pods", || {
            json!({"metadata": meta("done"), "status": {"phase": "Succeeded"}, "spec": {"volumes": [
                       {"name": "tls", "secret": {"secretName": "broken"}}]}})
        }),
        ("/certificates", || {
            json!({"metadata": meta("front"), "spec": {"secretName": "front-tls", "dnsNames": ["front.example"]},
                   "status": {"renewalTime": "2026-01-02T03:00:00Z", "failedIssuanceAttempts": 3, "conditions": [
                       {"type": "Ready", "status": "False", "reason": "Expired", "message": "m"}]}})
        }),
    ]);
    let [broken, empty, front] = &objects.inventory.tls_secrets[..] else { panic!() };
    assert_eq!(broken.broken.as_deref(), Some("`tls.crt`: there is no block `BEGIN CERTIFICATE`"));
    assert_eq!(empty.broken.as_deref(), Some("`tls.crt` is empty"));
    assert_eq!((front.broken.as_deref(), front.chain.len()), (None, 1));
    // Volumes of pods that run tell who uses it.
    assert_eq!([front, empty, broken].map(|s| s.used_by.as_deref()), [Some("web-1"), Some("web-1"), None]);
    let certificate = &front.chain[0];
    assert_eq!(certificate.subject, "CN=front.example");
    assert_eq!(certificate.names, ["front.example", "10.0.0.1"]);
    assert_eq!(certificate.not_after.seconds_since(certificate.not_before), 36_500.0 * 86_400.0);
    assert_eq!(certificate.fingerprint.len(), 64);
    assert!(!format!("{objects:?}").contains("c2VjcmV0"));
    let [managed] = &objects.inventory.managed_certificates[..] else { panic!() };
    assert_eq!((managed.id.name.as_str(), managed.secret.as_str()), ("front", "front-tls"));
    assert_eq!((managed.failed_attempts, managed.renewal), (3, at("2026-01-02T03:00:00Z")));
    assert_eq!(managed.condition("Ready").map(|c| c.reason.as_str()), Some("Expired"));
}

#[test]
fn budgets_claims_quotas_and_jobs() {
    let objects = converted(&[
        ("/poddisruptionbudgets", || {
            json!({"metadata": meta("api"), "spec": {"minAvailable": "50%", "maxUnavailable": null},
                   "status": {"expectedPods": 4, "currentHealthy": 3, "desiredHealthy": 2, "disruptionsAllowed": 1}})
        }),
        ("/persistentvolumeclaims", || {
            json!({"metadata": meta("data"), "spec": {"storageClassName": "ssd",
                   "resources": {"requests": {"storage": "10Gi"}}},
                   "status": {"phase": "Bound", "capacity": {"storage": "20Gi"}}})
        }),
        ("/pods", || {
            json!({"metadata": meta("db-1"), "spec": {"volumes": [
                       {"name": "config", "configMap": {"name": "db"}},
                       {"name": "data", "persistentVolumeClaim": {"claimName": "data"}},
                       {"name": "tmp", "ephemeral": {"volumeClaimTemplate": {}}}]},
                   "status": {"phase": "Running"}})
        }),
        ("/pods", || {
            json!({"metadata": meta("a-done"), "spec": {"volumes": [
                       {"name": "data", "persistentVolumeClaim": {"claimName": "data"}}]},
                   "status": {"phase": "Succeeded"}})
        }),
        ("/persistentvolumeclaims", || json!({"metadata": meta("db-1-tmp"), "status": {"phase": "Bound"}})),
        ("/persistentvolumeclaims", || json!({"metadata": meta("left"), "status": {"phase": "Bound"}})),
        ("/resourcequotas", || {
            json!({"metadata": meta("team"), "spec": {"hard": {"pods": "10"}},
                   "status": {"hard": {"pods": "10", "requests.cpu": "4", "new": "1"},
                              "used": {"pods": "9", "requests.cpu": "3500m"}}})
        }),
        ("/jobs", || {
            let mut raw = json!({"metadata": owned("dump-1", "batch/v1", "CronJob", "dump"), "spec": {"backoffLimit": 6, "activeDeadlineSeconds": 3600},
                   "status": {"failed": 7, "startTime": "2026-01-02T03:00:00Z", "conditions": [
                       {"type": "Failed", "status": "True", "reason": "BackoffLimitExceeded", "message": "m"}]}});
            raw["metadata"]["name"] = json!("dump-1");
            raw
        }),
        ("/cronjobs", || {
            json!({"metadata": meta("dump"), "spec": {"schedule": "0 3 * * *", "timeZone": "Asia/Taipei", "suspend": true, "concurrencyPolicy": "Forbid"},
                   "status": {"lastScheduleTime": "2026-01-02T03:00:00Z"}})
        }),
    ]);
    let held = &objects.inventory;
    let budget = &held.disruption_budgets[0];
    assert_eq!((budget.min_available.as_deref(), budget.max_unavailable.as_deref()), (Some("50%"), None));
    assert_eq!((budget.expected_pods, budget.desired_healthy, budget.disruptions_allowed), (Some(4), 2, 1));
    let claim = &held.volume_claims[0];
    assert_eq!((claim.requested, claim.capacity), (Some(Bytes(10.0 * GIB)), Some(Bytes(20.0 * GIB))));
    let users: Vec<_> =
        held.volume_claims.iter().map(|c| (c.id.name.as_str(), c.used_by.as_deref())).collect();
    assert_eq!(users, [("data", Some("db-1")), ("db-1-tmp", Some("db-1")), ("left", None)]);
    let bounds: Vec<_> = held.quotas[0].resources.iter().map(|r| (r.name.as_str(), r.used, r.hard)).collect();
    assert_eq!(bounds, [("pods", 9.0, 10.0), ("requests.cpu", 3.5, 4.0)]);
    let (job, cron) = (&held.jobs[0], &held.cron_jobs[0]);
    assert_eq!((job.cron_job.as_deref(), job.failed, job.backoff_limit), (Some("dump"), 7, Some(6)));
    assert_eq!((job.deadline, cron.concurrency.as_str()), (Some(Seconds(3600.0)), "Forbid"));
    assert_eq!(job.failure().map(|c| c.reason.as_str()), Some("BackoffLimitExceeded"));
    assert_eq!((cron.schedule.as_str(), cron.time_zone.as_deref()), ("0 3 * * *", Some("Asia/Taipei")));
    assert_eq!((cron.suspended, cron.last_schedule), (true, at("2026-01-02T03:00:00Z")));
}

const VOLUMES: &[Made] = &[
    ("/persistentvolumes", || {
        json!({"metadata": {"name": "pv-1", "creationTimestamp": "2026-01-02T03:04:05Z"},
               "spec": {"capacity": {"storage": "10Gi"}, "persistentVolumeReclaimPolicy": "Delete", "storageClassName": "ssd",
                        "claimRef": {"namespace": "shop", "name": "data"}},
               "status": {"phase": "Failed", "message": "in use", "lastPhaseTransitionTime": "2026-01-02T04:00:00Z"}})
    }),
    ("/persistentvolumes", || {
        json!({"metadata": {"name": "pv-2"}, "spec": {"capacity": {"storage": "many"}, "local": {"path": "/mnt/a"}},
               "status": {"phase": "Available"}})
    }),
    ("/api/v1/namespaces", || {
        json!({"metadata": {"name": "old", "deletionTimestamp": "2026-01-02T03:04:05Z"}, "spec": {"finalizers": ["kubernetes"]},
               "status": {"phase": "Terminating", "conditions": [{"type": "NamespaceContentRemaining", "status": "True",
                          "reason": "SomeResourcesRemain", "message": "m", "lastTransitionTime": "2026-01-02T03:05:00Z"}]}})
    }),
    ("/api/v1/namespaces", || json!({"metadata": {"name": "shop"}, "status": {"phase": "Active"}})),
    ("/apiservices", || {
        json!({"metadata": {"name": "v1beta1.metrics.k8s.io"},
               "spec": {"group": "metrics.k8s.io", "service": {"namespace": "kube-system", "name": "metrics-server", "port": 443}},
               "status": {"conditions": [{"type": "Available", "status": "False", "reason": "MissingEndpoints"}]}})
    }),
    ("/apiservices", || {
        json!({"metadata": {"name": "v1.apps"}, "spec": {"group": "apps", "service": null},
               "status": {"conditions": [{"type": "Available", "status": "True", "reason": "Local"}]}})
    }),
];

#[test]
fn volumes_namespaces_and_api_services() {
    let made = |namespaces: &[&str]| {
        let (fetched, _) = objects(namespaces, |uri| {
            let of = VOLUMES.iter().filter(|(kind, _)| path_of(uri).ends_with(kind));
            list(&of.map(|(_, make)| make()).collect::<Vec<_>>())
        });
        let told: Vec<_> = fetched.gaps.iter().map(|g| g.detail.clone()).collect();
        let [told] = &told[..] else { panic!("{told:?}") };
        assert!(told.starts_with("cannot read persistentvolumes pv-2: capacity: expected"), "{told}");
        fetched.value.inventory
    };
    let held = made(&[]);
    let [failed, local] = &held.volumes[..] else { panic!("{:?}", held.volumes) };
    assert_eq!((&*failed.id.namespace, &*failed.id.name, &*failed.phase), ("", "pv-1", "Failed"));
    assert_eq!((&*failed.policy, &*failed.class, &*failed.message), ("Delete", "ssd", "in use"));
    assert_eq!((failed.capacity, failed.since), (Some(Bytes(10.0 * GIB)), at("2026-01-02T04:00:00Z")));
    assert_eq!(failed.claim, Some(ObjectId::new("shop", "data")));
    assert_eq!((local.local, failed.local, &local.claim), (true, false, &None));
    let [old, shop] = &held.namespaces[..] else { panic!("{:?}", held.namespaces) };
    assert_eq!((&*old.id.name, old.deleted), ("old", at("2026-01-02T03:04:05Z")));
    assert_eq!((&*old.conditions[0].reason, shop.deleted), ("SomeResourcesRemain", None));
    let [metrics] = &held.api_services[..] else { panic!("{:?}", held.api_services) };
    assert_eq!((metrics.group(), &*metrics.service.name), ("metrics.k8s.io", "metrics-server"));
    assert_eq!(metrics.conditions[0].status, Some(false));
    // Of a run over chosen namespaces those that are chosen, and volumes of their claims or of none.
    let names = |namespaces: &[&str]| {
        let held = made(namespaces);
        let volumes = held.volumes.iter().map(|v| v.id.name.clone());
        volumes.chain(held.namespaces.iter().map(|n| n.id.name.clone())).collect::<Vec<_>>()
    };
    assert_eq!(names(&["shop"]), ["pv-1", "pv-2", "shop"]);
    assert_eq!(names(&["old"]), ["pv-2", "old"]);
}

/// A budget that selects pods as this selector says.
fn budget(name: &str, selector: Value) -> Value {
    json!({"metadata": meta(name), "spec": {"maxUnavailable": 1, "selector": selector}, "status": {"expectedPods": 9}})
}

fn labelled(name: &str, phase: &str, labels: Value) -> Value {
    let mut raw =
        json!({"metadata": owned(name, "apps/v1", "StatefulSet", "db"), "status": {"phase": phase}});
    raw["metadata"]["labels"] = labels;
    raw
}

/// What a server with budgets `b`, `a` and `c` and some pods tells of pods that budgets share.
fn shared(denied: bool, kinds: &[ObjectKind]) -> Vec<(String, Option<SharedPods>)> {
    let reply = move |uri: &str| {
        let db = || json!({"app": "db", "tier": "data"});
        match path_of(uri) {
            path if path.ends_with("/pods") && denied => status(403, "forbidden"),
            path if path.ends_with("/pods") => list(&[
                labelled("db-2", "Running", db()),
                labelled("db-1", "Running", db()),
                labelled("db-0", "Pending", db()),
                labelled("db-3", "Failed", db()),
                labelled("web-1", "Running", json!({"app": "web", "tier": "front"})),
                labelled("bare", "Running", Value::Null),
            ]),
            path if path.ends_with("/poddisruptionbudgets") => list(&[
                budget(
                    "b",
                    json!({"matchExpressions": [
                    {"key": "app", "operator": "In", "values": ["db", "cache"]}, {"key": "job", "operator": "DoesNotExist"}]}),
                ),
                budget("a", json!({"matchLabels": {"tier": "data"}, "matchExpressions": null})),
                budget("c", json!({"matchLabels": {"app": "db", "tier": "front"}})),
                budget(
                    "d",
                    json!({"matchExpressions": [{"key": "tier", "operator": "NotIn", "values": ["front", ""]}]}),
                ),
                budget("none", Value::Null),
            ]),
            _ => empty(),
        }
    };
    let kinds = kinds.iter().copied().collect();
    let objects = run(async {
        let (source, _) = source(settings(), reply);
        source.objects(&Selection::default(), &kinds).await.value
    });
    objects.inventory.disruption_budgets.into_iter().map(|b| (b.id.name, b.shared)).collect()
}

/// The eviction API finds the budgets of a pod by its labels, whatever state the budgets are in.
#[test]
fn budgets_know_the_pods_that_they_share() {
    let both = [ObjectKind::Pods, ObjectKind::DisruptionBudgets];
    let workload = WorkloadId::new("shop", "StatefulSet", "db");
    let with = ["b", "d"].map(str::to_owned).to_vec();
    let pods = SharedPods { pods: 2, with, pod: "db-1".to_owned(), workload: Some(workload) };
    let told = |name: &str, shared: &SharedPods| (name.to_owned(), Some(shared.clone()));
    let no = SharedPods::default();
    assert_eq!(
        shared(false, &both),
        [told("a", &pods), told("b", &no), told("c", &no), told("d", &no), told("none", &no)]
    );
    let unknown = |found: Vec<(String, Option<SharedPods>)>| found.iter().all(|(_, shared)| shared.is_none());
    assert!(unknown(shared(true, &both)), "pods that may not be listed");
    assert!(unknown(shared(false, &both[1..])), "pods that were not asked for");
}

/// An empty selector is for all pods, where the server does not count none.
#[test]
fn a_budget_without_a_selector_of_its_own_is_for_all() {
    let objects = converted(&[
        ("/pods", || labelled("db-0", "Running", json!({"app": "db"}))),
        ("/pods", || labelled("bare", "Running", Value::Null)),
        ("/poddisruptionbudgets", || budget("all", json!({}))),
        ("/poddisruptionbudgets", || budget("db", json!({"matchLabels": {"app": "db"}}))),
        ("/poddisruptionbudgets", || {
            let mut raw = budget("old", json!({"matchLabels": {}}));
            raw["status"] = json!({"expectedPods": 0});
            raw
        }),
    ]);
    let shared = objects.inventory.disruption_budgets[0].shared.as_ref().unwrap();
    assert_eq!((shared.pods, shared.pod.as_str(), &shared.with[..]), (1, "db-0", &["db".to_owned()][..]));
}

#[test]
fn budgets_tell_who_keeps_them_and_whose_pods_are_none_on_purpose() {
    let objects = converted(&[
        (
            "/deployments",
            || json!({"metadata": meta("db"), "spec": {"replicas": 0, "template": {"metadata": {"labels": {"app": "db"}}}}}),
        ),
        ("/poddisruptionbudgets", || {
            let mut raw = budget("db", json!({"matchLabels": {"app": "db"}}));
            raw["status"] = json!({"expectedPods": 0});
            raw
        }),
        ("/poddisruptionbudgets", || {
            json!({"metadata": owned("pg", "postgresql.cnpg.io/v1", "Cluster", "main"),
                   "spec": {"selector": {"matchLabels": {"app": "other"}}}, "status": {"expectedPods": 0}})
        }),
    ]);
    let told: Vec<_> = objects
        .inventory
        .disruption_budgets
        .iter()
        .map(|b| (b.scaled_to_zero.as_deref(), b.owner.as_deref()))
        .collect();
    assert_eq!(told, [(Some("Deployment db"), None), (None, Some("Cluster main"))]);
}

/// What may not be installed is no gap.
#[test]
fn routes_that_are_not_installed_are_none() {
    let (fetched, _) = objects(&[], |uri| match path_of(uri) {
        path if path.contains("gateway.networking") || path.contains("istio") => status(404, "no such API"),
        _ => empty(),
    });
    assert_eq!(gaps(&fetched), []);
    // An account without rights is told that it is forbidden, whether it is installed or not.
    let without_rights = |installed: bool| {
        let (fetched, _) = objects(&[], move |uri| match path_of(uri) {
            "/apis/gateway.networking.k8s.io" | "/apis/networking.istio.io" if !installed => {
                status(404, "no such API")
            }
            "/apis/gateway.networking.k8s.io" | "/apis/networking.istio.io" => {
                ok(&json!({"kind": "APIGroup"}))
            }
            path if path.contains("gateway.networking") || path.contains("istio") => status(403, "forbidden"),
            _ => empty(),
        });
        fetched.gaps.len()
    };
    assert_eq!((without_rights(false), without_rights(true)), (0, 6));
}

#[test]
fn containers_tell_probes_policy_and_digest() {
    let objects = converted(&[
        ("/pods", || {
            json!({"metadata": meta("web"), "spec": {"nodeName": "arm-1", "containers": [
                {"name": "app", "image": "shop/web:latest", "imagePullPolicy": "IfNotPresent",
                 "livenessProbe": {"httpGet": {"port": 80}}, "readinessProbe": null}]},
                "status": {"phase": "Running", "containerStatuses": [
                    {"name": "app", "imageID": "shop/web@sha256:aa", "restartCount": 0}]}})
        }),
        ("/nodes", || {
            json!({"metadata": {"name": "arm-1"}, "spec": {"unschedulable": true},
                   "status": {"nodeInfo": {"architecture": "arm64", "kubeletVersion": "v1.33.2"},
                              "conditions": [{"type": "Ready", "status": "Unknown", "reason": "NodeStatusUnknown"}]}})
        }),
    ]);
    let pod = &objects.pods[0];
    assert_eq!(pod.architecture.as_deref(), Some("arm64"));
    let container = &pod.containers[0];
    assert_eq!(container.probes, Some(Probes { liveness: true, readiness: false, startup: false }));
    assert_eq!(
        (container.pull_policy.as_str(), container.image_id.as_str()),
        ("IfNotPresent", "shop/web@sha256:aa")
    );
    let node = &objects.nodes[0];
    assert_eq!((node.unschedulable, node.kubelet_version.as_str()), (true, "v1.33.2"));
    assert_eq!((node.conditions[0].kind.as_str(), node.conditions[0].status), ("Ready", None));
}

#[test]
fn of_words_and_variables_only_memory_flags_of_a_jvm_are_kept() {
    let objects = converted(&[("/pods", || {
        json!({"metadata": meta("web"), "spec": {"containers": [
            {"name": "app", "command": ["sh", "-c", "exec java $JAVA_OPTS -Xss1m -jar /a.jar --password=hunter2"],
             "args": ["-Dtoken=hunter2", "-XX:MaxMetaspaceSize=256m", null, "$(PASSWORD)"],
             "env": [{"name": "JAVA_OPTS", "value": "-Xmx1024m -Ddb.password=hunter2"},
                     {"name": "JAVA_TOOL_OPTIONS", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}},
                     {"name": "PASSWORD", "value": "-Xmx9g hunter2"}]},
            {"name": "plain", "command": null, "args": null, "env": null}]}})
    })]);
    let flags: Vec<(&str, FlagPlace)> =
        objects.pods[0].containers[0].jvm_flags.iter().map(|f| (f.flag.as_str(), f.place)).collect();
    assert_eq!(
        flags,
        [
            ("-Xmx1024m", FlagPlace::Script),
            ("-Xmx1024m", FlagPlace::Arguments),
            ("-Xss1m", FlagPlace::Arguments)
        ]
    );
    assert_eq!(objects.pods[0].containers[1].jvm_flags, []);
    let unread = &objects.pods[0].containers[0].jvm_unread;
    assert_eq!((unread[0].variable.as_str(), unread.len()), ("JAVA_TOOL_OPTIONS", 1));
    assert!(!format!("{objects:?}").contains("hunter2"));
}

/// A pod whose JVM has its options from ConfigMap `env`.
fn jvm_from_config_map() -> Value {
    json!({"metadata": meta("web"), "spec": {"containers": [{"name": "app",
        "env": [{"name": "JAVA_OPTS", "valueFrom": {"configMapKeyRef": {"name": "env", "key": "opts"}}}]}]}})
}

#[test]
fn config_maps_are_read_where_a_jvm_has_its_options_from_them() {
    let server = |answer: Reply| {
        move |uri: &str| match path_of(uri) {
            "/api/v1/namespaces/shop/configmaps/env" => answer.clone(),
            "/api/v1/pods" => list(&[jvm_from_config_map(), jvm_from_config_map()]),
            _ => empty(),
        }
    };
    let data = json!({"data": {"opts": "-Xmx1g -Dx=hunter2", "PASSWORD": "hunter2"}});
    let (found, log) = objects(&[], server(ok(&data)));
    let container = &found.value.pods[0].containers[0];
    assert_eq!(container.jvm_flags[0].flag, "-Xmx1g");
    assert_eq!(container.jvm_flags[0].config_map.as_deref(), Some("env"));
    assert!(!format!("{found:?}").contains("hunter2"));
    let asked = log.iter().filter(|uri| uri.ends_with("configmaps/env")).count();
    assert_eq!(asked, 1, "once for all pods");

    for (answer, why, told) in [
        (status(404, "gone"), Unread::NoConfigMap { name: "env".into() }, None),
        (
            status(403, "no"),
            Unread::Denied { name: "env".into() },
            Some((
                GapCause::AccessDenied,
                "not allowed to get configmaps env, which JVM options come from: no",
            )),
        ),
        (
            status(400, "odd"),
            Unread::Failed { name: "env".into() },
            Some((
                GapCause::Failed,
                "cannot get configmaps env, which JVM options come from: the server answered 400: odd",
            )),
        ),
    ] {
        let (found, _) = objects(&[], server(answer));
        assert_eq!(found.value.pods[0].containers[0].jvm_unread[0].why, why);
        let gaps = gaps(&found);
        assert_eq!(gaps.first().map(|(_, cause, detail)| (*cause, *detail)), told, "{gaps:?}");
        assert!(gaps.iter().all(|(scope, ..)| *scope == "prod/shop/configmaps"), "{gaps:?}");
    }
}

/// Without a check that reads them, ConfigMaps are not asked for.
#[test]
fn config_maps_are_read_on_demand_only() {
    let (found, log) = run(async {
        let (source, log) = source(settings(), |uri| match path_of(uri) {
            "/api/v1/pods" => list(&[jvm_from_config_map()]),
            _ => empty(),
        });
        let found = source.objects(&Selection::default(), &BTreeSet::from([ObjectKind::Pods])).await;
        (found, log.lock().unwrap().clone())
    });
    assert!(log.iter().all(|uri| !uri.contains("configmaps")), "{log:?}");
    let container = &found.value.pods[0].containers[0];
    assert!(container.jvm_flags.is_empty() && container.jvm_unread.is_empty());
}

const GIB: f64 = 1024.0 * 1024.0 * 1024.0;

/// Group, resource and verb of a request as the API server judges it; none for what every account may read.
fn needed(uri: &str) -> Option<(String, String, String)> {
    let parts: Vec<&str> = path_of(uri).trim_start_matches('/').split('/').collect();
    let (group, rest) = match parts.as_slice() {
        ["version"] | ["apis", _] | ["apis", _, _] | ["api", _] => return None,
        ["api", _, rest @ ..] => ("", rest),
        ["apis", group, _, rest @ ..] => (*group, rest),
        _ => panic!("a request to {uri}"),
    };
    let rest = match rest {
        ["namespaces", _, rest @ ..] if !rest.is_empty() => rest,
        rest => rest,
    };
    let (verb, resource) = match rest {
        [resource] => ("list", (*resource).to_owned()),
        ["configmaps", _] => ("get", "configmaps".to_owned()),
        // Whether a namespace that is named exists; being refused says nothing, and costs nothing.
        ["namespaces", _] => return None,
        [_, _, subresource] => ("get", format!("*/{subresource}")),
        _ => panic!("a request to {uri}"),
    };
    let group = if resource.starts_with('*') { "*" } else { group };
    Some((group.to_owned(), resource, verb.to_owned()))
}

#[test]
fn rights_are_what_is_asked_and_nothing_else() {
    let reply = |uri: &str| match path_of(uri) {
        "/apis/argoproj.io/v1alpha1" => ok(&json!({"resources": [
            {"name": "rollouts", "kind": "Rollout"}, {"name": "rollouts/scale", "kind": "Scale"}]})),
        path if path.ends_with("/scale") => ok(&json!({"spec": {"replicas": 3}})),
        "/api/v1/namespaces" => {
            let names = ["shop".to_owned(), "pay-1".to_owned()].into_iter();
            let names = names.chain((0..9).map(|i| format!("shop-{i}")));
            list(&names.map(|name| json!({"metadata": {"name": name}})).collect::<Vec<_>>())
        }
        path if path.ends_with("/pods") => {
            let mut pod = jvm_from_config_map();
            pod["metadata"] = owned("canary-1", "argoproj.io/v1alpha1", "Rollout", "canary");
            list(&[pod])
        }
        _ => empty(),
    };
    let many: Vec<String> = (0..9).map(|i| format!("shop-{i}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).chain(["shop"]).collect();
    for namespaces in [&[][..], &["shop"], &["shop", "pay-*"], &["*"], &many] {
        let (_, log) = objects(namespaces, reply);
        let asked: BTreeSet<_> = log.iter().filter_map(|uri| needed(uri)).collect();
        // Here no container has run whose log could be read.
        let kinds = ObjectKind::ALL.iter().copied().filter(|kind| *kind != ObjectKind::Logs).collect();
        let named: Vec<String> = namespaces.iter().map(|n| (*n).to_owned()).collect();
        let wanted: BTreeSet<_> = super::rights(&kinds, &named, None)
            .into_iter()
            .map(|r| (r.group.to_owned(), r.resource.to_owned(), r.verb.to_owned()))
            .collect();
        assert_eq!(wanted, asked, "namespaces {namespaces:?}");
    }
}

/// What one kind of object needs is what is asked for it alone.
#[test]
fn every_kind_has_its_own_rights() {
    let logs: Vec<String> = super::rights(&BTreeSet::from([ObjectKind::Logs]), &[], None)
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(logs, ["get pods/log"], "asked of pods alone, of which there are none below");
    let single = [ObjectKind::Logs, ObjectKind::JvmOptions];
    for kind in ObjectKind::ALL.iter().filter(|kind| !single.contains(kind)) {
        let kinds = BTreeSet::from([*kind]);
        let log = run(async {
            let (source, log) = source(settings(), |_| empty());
            source.objects(&Selection::default(), &kinds).await;
            log.lock().unwrap().clone()
        });
        let asked: BTreeSet<_> = log.iter().filter_map(|uri| needed(uri)).collect();
        let wanted = super::rights(&kinds, &[], None).into_iter().filter(|r| r.resource != "*/scale");
        let wanted: BTreeSet<_> =
            wanted.map(|r| (r.group.to_owned(), r.resource.to_owned(), r.verb.to_owned())).collect();
        assert_eq!(wanted, asked, "{}", kind.name());
    }
}

#[test]
fn what_tells_a_cluster_from_others_is_the_uid_of_a_namespace() {
    let told = |reply: Reply| {
        run(async {
            let (source, log) = source(settings(), move |_| reply.clone());
            let told = source.identity().await;
            let log = log.lock().unwrap().clone();
            assert_eq!(log, ["/api/v1/namespaces/kube-system"]);
            told
        })
    };
    let known = ok(&json!({"kind": "Namespace", "metadata": {"name": "kube-system", "uid": "0f5d"}}));
    assert_eq!(told(known).as_deref(), Some("0f5d"));
    for none in [status(403, "no"), status(404, "no"), ok(&json!({"metadata": {"name": "kube-system"}}))] {
        assert_eq!(told(none), None);
    }
    assert_eq!(super::identity_right().to_string(), "get namespaces kube-system");
}

#[test]
fn a_way_to_the_metrics_server_has_rights_of_its_own() {
    let of = |way: &str| -> Vec<String> {
        let way = way.parse().unwrap();
        let rights = super::rights(&BTreeSet::new(), &[], Some(&way));
        assert!(rights.iter().all(|r| r.place == super::Place::Namespace("mon".into())), "{rights:?}");
        rights.iter().map(ToString::to_string).collect()
    };
    assert_eq!(
        of("service-proxy:mon/https:prom:web"),
        ["get services/proxy https:prom:web", "create services/proxy https:prom:web"]
    );
    assert_eq!(
        of("port-forward:mon/svc/prom:9090"),
        ["get services prom", "list pods", "get pods/portforward", "create pods/portforward"]
    );
    assert_eq!(
        of("port-forward:mon/prom-0:9090"),
        ["get pods/portforward prom-0", "create pods/portforward prom-0"]
    );
    assert_eq!(of("exec:mon/prom-0"), ["get pods/exec prom-0", "create pods/exec prom-0"]);
}

#[test]
fn the_server_says_what_it_allows() {
    let nodes = BTreeSet::from([ObjectKind::Nodes]);
    let [right] = super::rights(&nodes, &[], None).try_into().unwrap();
    let asked = |reply: Reply| {
        run(async {
            let (source, _) = source(settings(), move |uri| {
                assert_eq!(path_of(uri), "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews");
                reply.clone()
            });
            source.may(&right, None).await.map_err(|e| e.to_string())
        })
    };
    let said = |allowed: bool| {
        ok(&json!({"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview",
                   "spec": {}, "status": {"allowed": allowed}}))
    };
    assert_eq!((asked(said(true)), asked(said(false))), (Ok(true), Ok(false)));
    let why = asked(status(403, "no")).unwrap_err();
    assert!(why.contains("asked whether it allows to list nodes"), "{why}");
}

#[test]
fn who_may_not_act_as_another_is_told_so() {
    let nodes = BTreeSet::from([ObjectKind::Nodes]);
    let [right] = super::rights(&nodes, &[], None).try_into().unwrap();
    let refused = |user: &str, said: &'static str| {
        let settings = KubernetesSettings { impersonate: Some(user.to_owned()), ..settings() };
        run(async {
            let (source, _) = source(settings, move |_| status(403, said));
            source.may(&right, None).await.unwrap_err().to_string()
        })
    };
    let said = "serviceaccounts \"doctor\" is forbidden: User \"me\" cannot impersonate resource \"serviceaccounts\" in API group \"\" in the namespace \"ops\"";
    let why = refused("system:serviceaccount:ops:doctor", said);
    assert!(
        why.starts_with(
            "--as system:serviceaccount:ops:doctor: the account of the kubeconfig may not act as it ("
        ),
        "{why}"
    );
    assert!(
        why.matches("User \"me\" cannot impersonate").count() == 1
            && !why.contains("Status {")
            && why.ends_with("`impersonate` on serviceaccounts"),
        "{why}"
    );
    assert!(refused("jane", "users \"jane\" is forbidden: cannot impersonate").ends_with("on users"));
    assert!(!refused("jane", "no").contains("--as"));
}
