//! The stories behind `fixtures/`: what each cluster looked like, as code, so that a fixture can be made again
//! when the format of recordings changes. `UPDATE_FIXTURES=1 cargo test -p lambda-free-runner` writes them.
//!
//! `fixtures/lab` is not made here: it was recorded from real servers.

use healthcore::metric::Metric;
use healthcore::model::{
    Condition, Container, ContainerRole, ContainerState, Event, Hpa, HpaMetric, ObjectKind, Pod, PodPhase,
    Replicas, Resources, Revision, ScaleTarget, Termination, Unschedulable, Workload, WorkloadId,
};
use healthcore::series::{Samples, SeriesKey, SeriesStore};
use healthcore::snapshot::{Gap, GapCause, Missing, Objects, Origin, Snapshot, Unavailable};
use healthcore::time::{Timestamp, Window};
use healthcore::unit::{Bytes, Cores, Seconds};
use healthcore_sources::SourceError;
use healthcore_sources::recording::ClusterHead;

const MI: f64 = 1_048_576.0;

/// 2026-11-20T01:00:00Z: 09:00 in Taipei.
const NOW: Timestamp = Timestamp::from_unix_seconds(1_795_136_400);

/// A cluster at one instant.
pub(crate) struct Story {
    pub(crate) name: &'static str,
    pub(crate) head: ClusterHead,
    pub(crate) parts: Vec<Snapshot>,
}

/// All stories.
pub(crate) fn all() -> Vec<Story> {
    vec![
        healthy(),
        exchange_oom(),
        memory_inspection(),
        hpa_pinned(),
        pods_in_trouble(),
        prometheus_down(),
        access_denied(),
        hostile_names(),
        demo(),
    ]
}

fn window() -> Window {
    Window::ending(NOW, Seconds::from_days(7.0), Seconds::from_minutes(15.0)).expect("a constant window")
}

/// Builds one part.
struct Scene {
    objects: Objects,
    series: SeriesStore,
    seed: u64,
}

impl Scene {
    fn new() -> Self {
        let mut series = SeriesStore::default();
        for metric in Metric::ALL {
            series.fetched(*metric);
        }
        for metric in [Metric::JvmHeapUsed, Metric::JvmHeapMax, Metric::JvmBesideHeap, Metric::JvmThreads] {
            series.missing(metric, Missing::MetricAbsent { metric });
        }
        Self { objects: Objects::default(), series, seed: 7 }
    }

    /// A number in -1..1, the same in every run (a linear congruential generator, Knuth's MMIX constants).
    fn noise(&mut self) -> f64 {
        self.seed = self.seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.seed >> 11) as f64 / (1u64 << 52) as f64 - 1.0
    }

    fn curve(&mut self, from: usize, value: impl Fn(f64) -> f64, noise: f64) -> Samples {
        let w = window();
        let hours = |i: usize| i as f64 * f64::from(w.step_s()) / 3600.0;
        Samples::new(
            from,
            (from..w.points())
                .map(|i| Some((value(hours(i)) * (1.0 + noise * self.noise()) / 4096.0).round() * 4096.0)),
        )
    }

    fn cpu_curve(&mut self, from: usize, value: impl Fn(f64) -> f64, noise: f64) -> Samples {
        let w = window();
        Samples::new(
            from,
            (from..w.points()).map(|i| {
                let hours = i as f64 * f64::from(w.step_s()) / 3600.0;
                Some((value(hours) * (1.0 + noise * self.noise()) * 1e4).round() / 1e4)
            }),
        )
    }

    fn workload(&mut self, namespace: &str, kind: &str, name: &str, replicas: u32, ready: u32) -> WorkloadId {
        let id = WorkloadId::new(namespace, kind, name);
        let revision =
            Revision { name: format!("{name}-6d4cf56db6"), created: Some(NOW.plus_seconds(-30.0 * 86400.0)) };
        self.objects.workloads.push(Workload {
            replicas: (kind != "Job").then_some(Replicas { desired: replicas, ready }),
            created: Some(NOW.plus_seconds(-200.0 * 86400.0)),
            revisions: if kind == "Deployment" { vec![revision] } else { vec![] },
            ..Workload::new(id.clone())
        });
        id
    }

    /// A running pod with one container, its memory (bytes) and CPU (cores) over the hours of the window.
    fn pod(
        &mut self,
        id: &WorkloadId,
        name: &str,
        resources: Resources,
        memory: impl Fn(f64) -> f64,
        cpu: impl Fn(f64) -> f64,
    ) -> &mut Pod {
        let key = SeriesKey::container(&id.namespace, name, "app");
        let working_set = self.curve(0, memory, 0.006);
        let rss =
            Samples::new(0, working_set.values().map(|v| v.map(|v| (v * 0.93 / 4096.0).round() * 4096.0)));
        let cores = self.cpu_curve(0, cpu, 0.05);
        self.series.insert(Metric::MemoryWorkingSet, key.clone(), working_set);
        self.series.insert(Metric::MemoryRss, key.clone(), rss);
        self.series.insert(Metric::CpuUsage, key.clone(), cores);
        self.quota(key, resources, 0.0);
        let started = NOW.plus_seconds(-20.0 * 86400.0);
        self.objects.pods.push(Pod {
            name: name.to_owned(),
            workload: id.clone(),
            phase: PodPhase::Running,
            reason: None,
            node: Some("node-1".to_owned()),
            created: Some(started),
            ready: Some(true),
            deleting: false,
            unschedulable: None,
            containers: vec![Container {
                name: "app".to_owned(),
                role: ContainerRole::Main,
                image: format!("registry.example/{}/{}:1.4.2", id.namespace, id.name),
                pull_policy: "IfNotPresent".to_owned(),
                resources,
                state: Some(ContainerState::Running { started: Some(started) }),
                last_termination: None,
                restarts: Some(0),
                ready: Some(true),
                ..Container::default()
            }],
            ..Pod::default()
        });
        self.objects.pods.last_mut().expect("just pushed")
    }

    /// What the CPU quota does to a container that has a limit: it wants to run in a tenth of the periods, and is stopped
    /// for 40 ms in a share of those.
    fn quota(&mut self, key: SeriesKey, resources: Resources, throttled: f64) {
        if resources.cpu_limit.is_none_or(|limit| limit.get() <= 0.0) {
            return;
        }
        let w = window();
        let periods = f64::from(w.step_s());
        let constant = |value: f64| Samples::new(0, (0..w.points()).map(|_| (value > 0.0).then_some(value)));
        self.series.insert(Metric::CpuPeriods, key.clone(), constant(periods));
        self.series.insert(Metric::CpuThrottledPeriods, key.clone(), constant(periods * throttled));
        self.series.insert(Metric::CpuThrottledTime, key, constant(periods * throttled * 0.04));
    }

    fn event(&mut self, id: (&str, &str, &str), reason: &str, message: &str, count: u32, hours_ago: f64) {
        self.objects.events.push(Event {
            seen: None,
            namespace: id.0.to_owned(),
            kind: id.1.to_owned(),
            name: id.2.to_owned(),
            reason: reason.to_owned(),
            message: message.to_owned(),
            count,
            first: Some(NOW.plus_seconds(-(hours_ago + 2.0) * 3600.0)),
            last: Some(NOW.plus_seconds(-hours_ago * 3600.0)),
        });
    }

    fn hpa(
        &mut self,
        id: &WorkloadId,
        min: u32,
        max: u32,
        current: u32,
        use_of_request: Option<f64>,
    ) -> &mut Hpa {
        let samples = Samples::new(0, (0..window().points()).map(|_| Some(f64::from(current))));
        self.series.insert(Metric::HpaReplicas, SeriesKey::autoscaler(&id.namespace, &id.name), samples);
        let condition = |kind: &str, status: bool, reason: &str| Condition {
            kind: kind.to_owned(),
            status: Some(status),
            reason: reason.to_owned(),
            message: String::new(),
            since: Some(NOW.plus_seconds(-6.0 * 3600.0)),
        };
        let pinned = current == max && max > min;
        // It wants fewer than its minimum.
        let held = use_of_request.is_some_and(|u| (f64::from(current) * u / 0.7).ceil() < f64::from(min));
        self.objects.hpas.push(Hpa {
            namespace: id.namespace.clone(),
            name: id.name.clone(),
            target: ScaleTarget { kind: id.kind.clone(), name: id.name.clone() },
            min_replicas: min,
            max_replicas: max,
            current_replicas: current,
            desired_replicas: current,
            metrics: vec![HpaMetric {
                name: "cpu".to_owned(),
                target: Some(0.7),
                current: use_of_request,
                utilization: true,
            }],
            conditions: vec![
                condition("AbleToScale", true, "ReadyForNewScale"),
                condition(
                    "ScalingActive",
                    use_of_request.is_some(),
                    if use_of_request.is_some() { "ValidMetricFound" } else { "FailedGetResourceMetric" },
                ),
                match (pinned, held) {
                    (true, _) => condition("ScalingLimited", true, "TooManyReplicas"),
                    (_, true) => condition("ScalingLimited", true, "TooFewReplicas"),
                    _ => condition("ScalingLimited", false, "DesiredWithinRange"),
                },
            ],
            reports_current: true,
        });
        self.objects.hpas.last_mut().expect("just pushed")
    }

    fn story(self, name: &'static str) -> Story {
        let part = Snapshot {
            cluster: "prod".to_owned(),
            taken_at: NOW,
            window: window(),
            objects: self.objects,
            series: self.series,
        };
        let head = ClusterHead {
            name: "prod".to_owned(),
            objects_from: Some(Origin::KubernetesApi),
            asked: None,
            metrics_via: Some("direct".to_owned()),
            ..ClusterHead::default()
        };
        Story { name, head, parts: vec![part] }
    }
}

fn resources(request_mi: f64, limit_mi: f64, cpu_request: f64, cpu_limit: f64) -> Resources {
    let some = |v: f64| (v > 0.0).then_some(v);
    Resources {
        memory_request: some(request_mi).map(Bytes::from_mib),
        memory_limit: some(limit_mi).map(Bytes::from_mib),
        cpu_request: some(cpu_request).map(Cores),
        cpu_limit: some(cpu_limit).map(Cores),
    }
}

fn day(hours: f64) -> f64 {
    (hours / 24.0 * std::f64::consts::TAU).sin()
}

fn healthy() -> Story {
    let mut s = Scene::new();
    let web = s.workload("shop", "Deployment", "web", 2, 2);
    for name in ["web-6d4cf56db6-2kq7v", "web-6d4cf56db6-x9w4t"] {
        s.pod(
            &web,
            name,
            resources(512.0, 768.0, 0.5, 1.0),
            |h| (360.0 + 25.0 * day(h)) * MI,
            |h| 0.32 + 0.08 * day(h),
        );
    }
    let db = s.workload("shop", "StatefulSet", "db", 1, 1);
    s.pod(&db, "db-0", resources(1024.0, 1536.0, 0.5, 1.0), |_| 900.0 * MI, |_| 0.3);
    let job = s.workload("shop", "CronJob", "backup", 0, 0);
    let pod =
        s.pod(&job, "backup-29918880-7rzlm", resources(64.0, 128.0, 0.05, 0.1), |_| 20.0 * MI, |_| 0.03);
    let end = NOW.plus_seconds(-6.0 * 3600.0);
    pod.phase = PodPhase::Succeeded;
    pod.ready = Some(false);
    pod.containers[0].ready = Some(false);
    pod.containers[0].state = Some(ContainerState::Terminated(Termination {
        reason: "Completed".to_owned(),
        exit_code: Some(0),
        message: String::new(),
        started: Some(end.plus_seconds(-120.0)),
        finished: Some(end),
    }));
    s.story("healthy")
}

/// The exchange service before its fix: one replica, memory at 88 % and CPU at 30 % of the limit, a leak that has
/// ended in an OOM kill.
fn exchange_oom() -> Story {
    let mut s = Scene::new();
    exchange(&mut s);
    s.story("exchange-oom")
}

fn exchange(s: &mut Scene) {
    let id = s.workload("exchange", "Deployment", "exchange-service", 1, 1);
    let name = "exchange-service-6d4cf56db6-8hw2z";
    // 20 MiB an hour from 420 MiB; killed at hour 79 at its limit of 2 GiB, and at 88 % again now.
    let since = |h: f64| if h < 79.0 { h } else { h - 79.0 };
    let memory = move |h: f64| {
        (if h < 79.0 { 480.0 + 20.0 * since(h) } else { 40.0 + 20.0 * since(h) }).min(2048.0) * MI
    };
    let pod = s.pod(&id, name, resources(1024.0, 2048.0, 0.5, 1.0), memory, |h| 0.30 + 0.06 * day(h));
    let killed = NOW.plus_seconds(-(168.0 - 79.0) * 3600.0);
    let container = &mut pod.containers[0];
    container.restarts = Some(1);
    container.state = Some(ContainerState::Running { started: Some(killed.plus_seconds(4.0)) });
    container.last_termination = Some(Termination {
        reason: "OOMKilled".to_owned(),
        exit_code: Some(137),
        message: String::new(),
        started: Some(killed.plus_seconds(-20.0 * 86400.0)),
        finished: Some(killed),
    });
    let at = window().index_from(killed);
    s.series.insert(
        Metric::Restarts,
        SeriesKey::container("exchange", name, "app"),
        Samples::new(at, [Some(1.0)]),
    );
    s.series.insert(
        Metric::OomEvents,
        SeriesKey::container("exchange", name, "app"),
        Samples::new(at, [Some(1.0)]),
    );
}

/// The memory inspection: nacos at 2017Mi of 2000Mi, pigo-api at 1450Mi of 2048Mi.
fn memory_inspection() -> Story {
    let mut s = Scene::new();
    inspection(&mut s);
    s.story("memory-inspection")
}

fn inspection(s: &mut Scene) {
    let nacos = s.workload("pigo", "StatefulSet", "nacos", 1, 1);
    s.pod(&nacos, "nacos-0", resources(2000.0, 2000.0, 0.5, 1.0), |_| 2017.0 * MI, |_| 0.3);
    let heap = SeriesKey::container("pigo", "nacos-0", "app");
    let used = s.curve(0, |h| (900.0 + 80.0 * day(h)) * MI, 0.02);
    s.series = with_heap(std::mem::take(&mut s.series), heap, used, 1024.0 * MI);
    let api = s.workload("pigo", "Deployment", "pigo-api", 2, 2);
    for (name, mi) in [("pigo-api-6d4cf56db6-4g7bn", 1450.0), ("pigo-api-6d4cf56db6-pm2xk", 1180.0)] {
        s.pod(&api, name, resources(1024.0, 2048.0, 0.25, 1.0), move |_| mi * MI, |h| 0.15 + 0.02 * day(h));
    }
    let report = s.workload("pigo", "Deployment", "report-engine", 1, 1);
    // Below 30 % of a limit above 2 GB, and below half of the request.
    s.pod(
        &report,
        "report-engine-6d4cf56db6-7q5dd",
        resources(4096.0, 8192.0, 2.0, 4.0),
        |_| 900.0 * MI,
        |_| 0.2,
    );
    let cache = s.workload("pigo", "Deployment", "quote-cache", 1, 1);
    // Grows by 15 % from the first to the last quarter, and flattens.
    s.pod(
        &cache,
        "quote-cache-6d4cf56db6-n8m9r",
        resources(512.0, 1024.0, 0.2, 0.5),
        |h| (400.0 + 75.0 * (1.0 - (-h / 50.0).exp())) * MI,
        |_| 0.1,
    );
    let bare = s.workload("pigo", "Deployment", "notice", 1, 1);
    s.pod(&bare, "notice-6d4cf56db6-w5w2c", resources(0.0, 0.0, 0.0, 0.0), |_| 120.0 * MI, |_| 0.02);
}

fn with_heap(store: SeriesStore, key: SeriesKey, used: Samples, max: f64) -> SeriesStore {
    let mut kept = SeriesStore::default();
    for (metric, missing) in store.metrics() {
        kept.fetched(metric);
        if let (Some(why), false) = (missing, matches!(metric, Metric::JvmHeapUsed | Metric::JvmHeapMax)) {
            kept.missing(metric, why.clone());
        }
        for (key, samples) in store.of(metric) {
            kept.insert(metric, key.clone(), samples.clone());
        }
    }
    let points = window().points();
    kept.insert(Metric::JvmHeapUsed, key.clone(), used);
    kept.insert(Metric::JvmHeapMax, key, Samples::new(0, (0..points).map(|_| Some(max))));
    kept
}

/// Autoscalers: one pinned at its maximum, one blind, one idle with many replicas, one short at high use.
fn hpa_pinned() -> Story {
    let mut s = Scene::new();
    autoscalers(&mut s);
    s.story("hpa-pinned")
}

fn autoscalers(s: &mut Scene) {
    let spec = [
        // name, replicas, min, max, use of the request
        ("matching", 6u32, 2u32, 6u32, Some(1.08)),
        ("pricing", 3, 2, 10, None),
        ("static-web", 8, 8, 12, Some(0.08)),
        ("ledger", 2, 2, 8, Some(0.93)),
        ("quiet", 2, 2, 6, Some(0.45)),
    ];
    for (name, replicas, min, max, share) in spec {
        let id = s.workload("trade", "Deployment", name, replicas, replicas);
        for i in 0..replicas {
            let end = ["2kq7v", "x9w4t", "8hw2z", "4g7bn", "pm2xk", "7q5dd", "n8m9r", "w5w2c"][i as usize];
            let cores = 0.5 * share.unwrap_or(0.6);
            s.pod(
                &id,
                &format!("{name}-6d4cf56db6-{end}"),
                resources(256.0, 512.0, 0.5, 2.0),
                |_| 200.0 * MI,
                move |_| cores,
            );
        }
        let hpa = s.hpa(&id, min, max, replicas, share);
        if share.is_none() {
            hpa.conditions[1].message = "the HPA was unable to compute the replica count: failed to get cpu utilization: \
                                         missing request for cpu in container istio-proxy of Pod pricing-6d4cf56db6-2kq7v"
                .to_owned();
        }
    }
}

/// A crash loop, an image that is not there, a pod without node, and Completed pods that are no trouble at all.
fn pods_in_trouble() -> Story {
    let mut s = Scene::new();
    trouble(&mut s);
    s.story("pods-in-trouble")
}

fn trouble(s: &mut Scene) {
    let some = resources(128.0, 256.0, 0.1, 0.5);
    let log = s.workload("logging", "DaemonSet", "ilogtail", 1, 0);
    let pod = s.pod(&log, "ilogtail-2kq7v", some, |_| 3.0 * MI, |_| 0.001);
    pod.ready = Some(false);
    pod.containers[0].ready = Some(false);
    pod.containers[0].restarts = Some(97);
    pod.containers[0].state = Some(ContainerState::Waiting {
        reason: "CrashLoopBackOff".to_owned(),
        message: "back-off 5m0s restarting failed container=app".to_owned(),
    });
    pod.containers[0].last_termination = Some(Termination {
        reason: "Error".to_owned(),
        exit_code: Some(255),
        message: "exec /usr/local/ilogtail/ilogtail: exec format error".to_owned(),
        started: Some(NOW.plus_seconds(-200.0)),
        finished: Some(NOW.plus_seconds(-199.0)),
    });
    s.event(
        ("logging", "Pod", "ilogtail-2kq7v"),
        "BackOff",
        "Back-off restarting failed container app",
        2210,
        0.1,
    );

    let api = s.workload("wallet", "Deployment", "sign-api", 2, 1);
    s.pod(&api, "sign-api-6d4cf56db6-x9w4t", some, |_| 120.0 * MI, |_| 0.06);
    let pod = s.pod(&api, "sign-api-6d4cf56db6-8hw2z", some, |_| 0.0, |_| 0.0);
    pod.phase = PodPhase::Pending;
    pod.ready = Some(false);
    pod.created = Some(NOW.plus_seconds(-86400.0));
    pod.containers[0].ready = Some(false);
    pod.containers[0].state = Some(ContainerState::Waiting {
        reason: "ImagePullBackOff".to_owned(),
        message: "Back-off pulling image \"registry.example/wallet/sign-api:1.4.2\": not found".to_owned(),
    });

    let big = s.workload("wallet", "Deployment", "settlement", 1, 0);
    let pod = s.pod(
        &big,
        "settlement-6d4cf56db6-4g7bn",
        resources(921_600.0, 921_600.0, 1.0, 1.0),
        |_| 0.0,
        |_| 0.0,
    );
    pod.phase = PodPhase::Pending;
    pod.ready = Some(false);
    pod.node = None;
    pod.containers[0].state = None;
    pod.containers[0].ready = None;
    pod.unschedulable = Some(Unschedulable {
        since: Some(NOW.plus_seconds(-5400.0)),
        message: "0/13 nodes are available: 13 Insufficient memory.".to_owned(),
    });
    for name in ["sign-api-6d4cf56db6-8hw2z", "settlement-6d4cf56db6-4g7bn"] {
        s.series.retain(|_, key| *key.name != *name);
    }

    // 4 of 4 run; two have ended as they should.
    let job = s.workload("wallet", "Deployment", "runner", 4, 4);
    for (end, done) in [
        ("2kq7v", false),
        ("x9w4t", false),
        ("pm2xk", false),
        ("7q5dd", false),
        ("n8m9r", true),
        ("w5w2c", true),
    ] {
        let pod = s.pod(&job, &format!("runner-6d4cf56db6-{end}"), some, |_| 110.0 * MI, |_| 0.06);
        if done {
            pod.phase = PodPhase::Succeeded;
            pod.ready = Some(false);
            pod.containers[0].ready = Some(false);
            pod.containers[0].state = Some(ContainerState::Terminated(Termination {
                reason: "Completed".to_owned(),
                exit_code: Some(0),
                ..Termination::default()
            }));
        }
    }
    s.event(
        ("wallet", "Pod", "sign-api-6d4cf56db6-x9w4t"),
        "FailedMount",
        "MountVolume.SetUp failed for volume \"config\": configmap \"sign-api\" not found",
        24,
        0.5,
    );
}

/// Prometheus does not answer: what the API tells is judged, the rest is unknown.
fn prometheus_down() -> Story {
    let mut s = Scene::new();
    trouble(&mut s);
    inspection(&mut s);
    let mut story = s.story("prometheus-down");
    for part in &mut story.parts {
        let mut series = SeriesStore::default();
        for metric in Metric::ALL {
            series.missing(*metric, Missing::NoMetricsSource);
        }
        part.series = series;
    }
    story.head.metrics_via = None;
    let error = SourceError::Unreachable {
        what: "http://prometheus.monitoring:9090".to_owned(),
        why: "connection refused".to_owned(),
    };
    story.head.gaps.push(Gap::new("prod/prometheus", GapCause::Unreachable, error.said()));
    story
}

/// One namespace may be read, the other not, and autoscalers nowhere.
fn access_denied() -> Story {
    let mut s = Scene::new();
    let web = s.workload("shop", "Deployment", "web", 1, 1);
    s.pod(&web, "web-6d4cf56db6-2kq7v", resources(512.0, 768.0, 0.5, 1.0), |_| 360.0 * MI, |_| 0.3);
    let mut story = s.story("access-denied");
    let lists = [
        (ObjectKind::Pods, "pods", "payments"),
        (ObjectKind::Workloads, "deployments.apps", "payments"),
        (ObjectKind::Autoscalers, "horizontalpodautoscalers.autoscaling", "payments"),
        (ObjectKind::Autoscalers, "horizontalpodautoscalers.autoscaling", "shop"),
        (ObjectKind::Events, "events", "payments"),
    ];
    for (kind, resource, namespace) in lists {
        let why = Missing::AccessDenied {
            verb: "list".to_owned(),
            resource: resource.to_owned(),
            namespace: Some(namespace.to_owned()),
        };
        let scope = format!("prod/{namespace}/{resource}");
        story.head.gaps.push(Gap::new(scope, GapCause::AccessDenied, why.phrase()));
        let list = Unavailable::new(kind, Some(namespace.to_owned()), why);
        story.parts[0].objects.unavailable.push(list.clone());
        story.head.unavailable.push(list);
    }
    story
}

/// Names and messages that try to break out of every format.
fn hostile_names() -> Story {
    let mut s = Scene::new();
    let id = s.workload("<script>alert(1)</script>", "Deployment", "a|b`c*d_[x](javascript:alert(2))", 1, 1);
    s.pod(
        &id,
        "\u{202e}gnp.exe\u{0}\u{1b}[31mred",
        resources(512.0, 512.0, 0.5, 1.0),
        |_| 500.0 * MI,
        |_| 0.3,
    );
    let pod = s.pod(&id, "line\nbreak\r| --- |", resources(512.0, 512.0, 0.5, 1.0), |_| 100.0 * MI, |_| 0.3);
    pod.containers[0].state = Some(ContainerState::Waiting {
        reason: "CrashLoopBackOff".to_owned(),
        message: format!("</td>{{{{ 7*7 }}}}{{% raw %}}\u{1b}]0;title\u{7} {}", "x".repeat(10_000)),
    });
    s.event(
        ("<script>alert(1)</script>", "Pod", "line\nbreak\r| --- |"),
        "Bad|Reason",
        "`rm -rf /` <img src=x onerror=alert(3)>",
        99,
        0.2,
    );
    s.story("hostile-names")
}

/// A small company: what `healthcheck demo` shows.
fn demo() -> Story {
    let mut s = Scene::new();
    exchange(&mut s);
    inspection(&mut s);
    autoscalers(&mut s);
    trouble(&mut s);
    let web = s.workload("shop", "Deployment", "web", 3, 3);
    for end in ["2kq7v", "x9w4t", "8hw2z"] {
        s.pod(
            &web,
            &format!("web-6d4cf56db6-{end}"),
            resources(512.0, 768.0, 0.5, 1.0),
            |h| (360.0 + 25.0 * day(h)) * MI,
            |h| 0.32 + 0.08 * day(h),
        );
    }
    s.story("demo")
}
