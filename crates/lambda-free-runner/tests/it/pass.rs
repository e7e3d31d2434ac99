//! What must hold of every pass, whatever the cluster.

use std::sync::Arc;

use healthcore::chart::LineKind;
use healthcore::finding::Finding;
use healthcore::fixture::{Fixture, show};
use healthcore::inventory::ServedCertificate;
use healthcore::need::Budget;
use healthcore::report::{Cost, Report, Verdict};
use healthcore::snapshot::{Gap, GapCause, Snapshot};
use healthcore_sources::tls::{CertificateSource, TlsServer};
use lambda_free_runner::{
    Certificates, ClusterSources, Decision, FailOn, Input, RunSpec, Silent, decide, dry_run, run_once,
};

use crate::fake::{Fake, spec};
use crate::stories;

fn run(spec: &RunSpec) -> Result<Report, String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(run_once(spec, &Silent)).map_err(|e| e.to_string())
}

fn live(budget: Budget, part: Snapshot) -> RunSpec {
    let fake = Fake::new(part);
    RunSpec { budget, ..spec(Some(fake.clone()), Some(fake)) }
}

#[test]
fn how_a_cluster_is_cut_does_not_change_the_report() {
    for story in stories::all() {
        let part = &story.parts[0];
        let whole = Report { cost: Cost::default(), ..run(&live(Budget::default(), part.clone())).unwrap() };
        for samples in [700, 2_000, 6_000] {
            // A workload that does not fit a part alone is thinned, which is meant to show; leave those out.
            let largest = part.objects.workloads.iter().map(|w| {
                part.objects.pods.iter().filter(|p| p.workload == w.id).count() as u64
                    * part.window.points() as u64
            });
            if largest.max().unwrap_or(0) > samples {
                continue;
            }
            let cut = run(&live(Budget { samples, series: 1000 }, part.clone())).unwrap();
            assert_eq!(whole, Report { cost: Cost::default(), ..cut }, "{} at {samples} samples", story.name);
        }
    }
}

/// Claims come into the part that has their series, and nodes into one that knows the version of the server.
#[test]
fn claims_meet_their_series_and_nodes_their_server() {
    let text = r"
        window lookback=12h step=1h
        container data/db-0/app limit=1Gi request=512Mi cpu-request=250m  memory: 400x11 cpu: 0.2x11
        container web/api-0/app limit=1Gi request=512Mi cpu-request=250m  memory: 400x11 cpu: 0.2x11
        claim data/db used-by=db-0 capacity=10Gi created=30d  volume-size: 1000x11 volume-free: 20x11
        claim web/api used-by=api-0 capacity=10Gi created=30d  volume-size: 1000x11 volume-free: 900x11
        server version=v1.33.2
        node n1 kubelet=v1.29.4
        service web/api ready=1 created=30d
    ";
    let part = Fixture::new(text).snapshot;
    for samples in [12, 24, 600_000] {
        let report = run(&live(Budget { samples, series: 1000 }, part.clone())).unwrap();
        let tally = |id: &str| {
            let tally = &report.checks.iter().find(|c| c.id == id).unwrap().tally;
            (tally.ok, tally.problem, tally.unknown)
        };
        assert_eq!(tally("volume-filling"), (1, 1, 0), "{samples}");
        assert_eq!(tally("version-skew"), (0, 1, 0), "{samples}");
        assert_eq!(tally("service-without-endpoints"), (1, 0, 0), "{samples}");
    }
}

/// Events lie with the workloads of their namespace; a Service that waits for its load balancer is judged with those of the whole
/// cluster, and knows the event all the same.
#[test]
fn a_service_that_waits_meets_the_event_about_it() {
    let text = r#"
        window lookback=12h step=1h
        container web/api-0/app limit=1Gi request=512Mi cpu-request=250m  memory: 400x11 cpu: 0.2x11
        container data/db-0/app limit=1Gi request=512Mi cpu-request=250m  memory: 400x11 cpu: 0.2x11
        service web/front type=LoadBalancer address=no ready=1 created=3h
        event web/Service/front reason=SyncLoadBalancerFailed last=2m message="no quota, password=hunter2"
    "#;
    let mut part = Fixture::new(text).snapshot;
    for service in &mut part.objects.inventory.services {
        service.load_balancer.as_mut().unwrap().warning = None;
    }
    for samples in [12, 24, 600_000] {
        let report = run(&live(Budget { samples, series: 1000 }, part.clone())).unwrap();
        let found = report.findings.iter().find(|f| f.check == "load-balancer-pending").unwrap();
        let said = found.evidence.iter().find(|e| e.name == "message").map(|e| show(&e.value));
        assert_eq!(said.as_deref(), Some("no quota, password=[redacted]"), "{samples}");
    }
}

#[test]
fn a_replay_is_the_live_report() {
    let folder = tempfile::tempdir().unwrap();
    for story in stories::all() {
        for name in ["s.ndjson", "s.ndjson.zst"] {
            let path = folder.path().join(name);
            let recorded = RunSpec {
                record: Some(path.clone()),
                ..live(Budget { samples: 5_400, series: 9 }, story.parts[0].clone())
            };
            let first = run(&recorded).unwrap();
            let again = run(&RunSpec::new(Input::Recording(path))).unwrap();
            assert_eq!(first, again, "{}", story.name);
        }
    }
}

/// Shows a certificate that ends in three days, for every server.
struct Ending(Snapshot);

#[async_trait::async_trait]
impl CertificateSource for Ending {
    async fn served(&self, servers: &[TlsServer]) -> Vec<ServedCertificate> {
        let shown = &self.0.objects.inventory.served[0];
        let one = |server: &TlsServer| ServedCertificate { host: server.host.clone(), ..shown.clone() };
        servers.iter().map(one).collect()
    }
}

#[test]
fn what_tls_servers_show_is_told_and_recorded() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s.ndjson");
    let text =
        "container web/api-0/app  memory: 100x40\nroute web/Ingress/front hosts=a.example tls=a.example@";
    let served = "served web/a.example:443 names=a.example since=60d expires=3d";
    let source: Arc<dyn CertificateSource> = Arc::new(Ending(Fixture::new(served).snapshot));
    let certificates = Certificates { source: Some(source), ..Certificates::default() };
    let live = RunSpec {
        record: Some(path.clone()),
        certificates,
        ..live(Budget::default(), Fixture::new(text).snapshot)
    };
    let first = run(&live).unwrap();
    let of_host =
        |report: &Report| report.findings.iter().find(|f| f.check == "certificate-expiring").cloned();
    let told = of_host(&first).expect("it ends soon");
    assert_eq!((told.subject.kind.as_str(), told.subject.name.as_str()), ("Host", "a.example:443"));
    assert_eq!(first, run(&RunSpec::new(Input::Recording(path.clone()))).unwrap());
    // What is not to be looked at today is not, whatever the recording holds.
    for (skip, glob) in [(Some("SKIP_TLS_CHECK is set"), "none"), (None, "w*")] {
        let certificates = Certificates {
            skip: skip.map(str::to_owned),
            skip_namespaces: vec![(glob.to_owned(), "no TLS there".to_owned())],
            ..live.certificates.clone()
        };
        let replay =
            RunSpec { certificates: certificates.clone(), ..RunSpec::new(Input::Recording(path.clone())) };
        let now = run(&RunSpec { certificates, record: None, ..live.clone() }).unwrap();
        let again = run(&replay).unwrap();
        assert_eq!(of_host(&again), None);
        let said = format!("N/A: certificates are not looked at: {}", skip.unwrap_or("no TLS there"));
        assert_eq!(again.gaps.iter().filter(|g| g.detail == said).count(), 1, "{:?}", again.gaps);
        assert_eq!(Report { cost: Cost::default(), ..now }, Report { cost: Cost::default(), ..again });
    }
    // Nobody is asked for a check that is left out.
    let mut skipping = live;
    skipping.record = None;
    skipping.settings.skip.insert("certificate-expiring".to_owned());
    assert_eq!(of_host(&run(&skipping).unwrap()), None);
}

/// What nobody asked for is not healthy.
#[test]
fn a_recording_of_few_checks_does_not_vouch_for_others() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s.ndjson");
    let mut few = RunSpec {
        record: Some(path.clone()),
        ..live(Budget { samples: 5_400, series: 9 }, stories::all().remove(0).parts.remove(0))
    };
    few.settings.only.insert("restarts".to_owned());
    run(&few).unwrap();
    let report = run(&RunSpec::new(Input::Recording(path))).unwrap();
    let told = |id: &str| {
        let tally = &report.checks.iter().find(|c| c.id == id).unwrap().tally;
        let why: Vec<String> = tally.reasons.keys().map(ToString::to_string).collect();
        (tally.ok + tally.problem > 0, why.join(", "))
    };
    assert_eq!(told("restarts"), (true, String::new()));
    assert_eq!(told("crash-looping"), (true, String::new()));
    assert_eq!(told("warning-events"), (false, "events were not recorded".to_owned()));
    assert_eq!(told("hpa-at-max"), (false, "autoscalers were not recorded".to_owned()));
    assert_eq!(told("memory-usage"), (false, "memory-working-set was not recorded".to_owned()));
}

#[test]
fn checks_do_not_change_one_another() {
    for story in stories::all() {
        let mut among_all = live(Budget::default(), story.parts[0].clone());
        // Those too that have to be asked for.
        for check in healthcore::checks::CHECKS {
            let own = among_all.settings.checks.entry(check.info().id.to_owned()).or_default();
            own.enabled = Some(true);
        }
        let all = run(&among_all).unwrap();
        for check in healthcore::checks::CHECKS {
            let id = check.info().id;
            let mut spec = live(Budget::default(), story.parts[0].clone());
            spec.settings.only.insert(id.to_owned());
            let alone = run(&spec).unwrap();
            let among: Vec<_> =
                all.findings.iter().filter(|f| f.check == id).map(without_agreement).collect();
            let alone_said: Vec<_> = alone.findings.iter().map(without_agreement).collect();
            assert!(alone_said == among, "{}: {id}", story.name);
            assert!(alone.checks.iter().eq(all.checks.iter().filter(|c| c.id == id)), "{}: {id}", story.name);
        }
    }
}

/// Without the value of advice to raise a setting: on it checks agree.
fn without_agreement(finding: &Finding) -> Finding {
    let mut finding = finding.clone();
    for advice in finding.advice.iter_mut().filter(|a| a.action.starts_with("raise-")) {
        (advice.to, advice.command) = (None, None);
        advice.text.args.remove("to");
    }
    if let Some(series) = &mut finding.series {
        let advised = [LineKind::AdvisedLimit, LineKind::AdvisedRequest];
        series.lines.retain(|line| !advised.contains(&line.kind));
    }
    finding
}

/// Pods that were left out may be in trouble; what was seen still tells its own.
#[test]
fn a_workload_that_is_too_large_is_not_in_order() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s.ndjson");
    let mut text = String::new();
    for pod in 0..9 {
        let container = "app limit=512Mi request=384Mi";
        text += &format!("container web/api-{pod}/{container}  memory: 300x200\n");
        text += &format!("container web/db-{pod}/{container}  memory: 500x200\n");
    }
    let part = Fixture::new(&text).snapshot;
    let spec = RunSpec { record: Some(path.clone()), ..live(Budget { samples: 600, series: 9 }, part) };
    let report = run(&spec).unwrap();
    let usage = &report.checks.iter().find(|c| c.id == "memory-usage").unwrap().tally;
    assert_eq!((usage.ok, usage.problem, usage.unknown), (0, 1, 1));
    let why: Vec<String> = usage.reasons.keys().map(ToString::to_string).collect();
    assert_eq!(why, ["left out, because the workload is too large"]);
    assert_eq!(report, run(&RunSpec::new(Input::Recording(path))).unwrap());
}

#[test]
fn a_cluster_without_the_chosen_namespaces_is_not_healthy() {
    let part = stories::all().remove(0).parts.remove(0);
    let mut empty = part.clone();
    empty.objects = Default::default();
    empty.series = Default::default();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s.ndjson");
    let verdicts = |report: &Report| report.clusters.iter().map(|c| c.verdict()).collect::<Vec<_>>();
    let gap = Gap::new("stg/payment", GapCause::NothingMatches, "there is no namespace `payment`");
    let of = |gaps: Vec<Gap>| {
        let stg = ClusterSources {
            name: "stg".to_owned(),
            objects: Some(Fake::with_gaps(empty.clone(), gaps)),
            ..ClusterSources::default()
        };
        let mut spec = spec(None, Some(Fake::new(part.clone())));
        spec.settings.only.insert("pod-not-running".to_owned());
        let Input::Live(clusters) = &mut spec.input else { unreachable!("it is live") };
        clusters.push(stg);
        RunSpec { record: Some(path.clone()), ..spec }
    };
    assert_eq!(verdicts(&run(&of(vec![])).unwrap()), [Verdict::Healthy, Verdict::Healthy]);
    let report = run(&of(vec![gap])).unwrap();
    assert_eq!(verdicts(&report), [Verdict::Healthy, Verdict::Unknown]);
    assert_eq!(report.verdict(), Verdict::Unknown);
    let replay = RunSpec { input: Input::Recording(path.clone()), record: None, ..of(vec![]) };
    assert_eq!(report, run(&replay).unwrap());
}

#[test]
fn a_source_that_fails_is_a_gap() {
    let part = stories::all().remove(0).parts.remove(0);
    let report = run(&spec(Some(Fake::down(part.clone())), Some(Fake::new(part.clone())))).unwrap();
    let gap = &report.gaps[0];
    assert_eq!((gap.scope.as_str(), gap.cause.name()), ("prod/prometheus", "unreachable"));
    assert!(gap.detail.contains("[redacted]") && !gap.detail.contains("hunter2"), "{}", gap.detail);
    assert!(report.clusters[0].pods > 0 && report.clusters[0].metrics_via.is_none());
    let usage = report.checks.iter().find(|c| c.id == "memory-usage").unwrap();
    assert_eq!((usage.tally.ok, usage.tally.problem), (0, 0), "without samples nothing is called healthy");
    assert!(usage.tally.unknown > 0);

    let why = run(&spec(Some(Fake::down(part.clone())), Some(Fake::down(part.clone())))).unwrap_err();
    assert!(why.starts_with("no source can be used: cannot reach http://fake"), "{why}");
    let two = ["stg", "prod"].map(|name| ClusterSources {
        name: name.to_owned(),
        metrics: Some(Fake::down(part.clone())),
        objects: None,
        ..ClusterSources::default()
    });
    let why = run(&RunSpec::new(Input::Live(two.into()))).unwrap_err();
    assert!(why.starts_with("no source can be used: cluster stg: cannot reach http://fake"), "{why}");
    assert!(why.contains("; cluster prod: cannot reach http://fake"), "{why}");
    let why = run(&RunSpec::new(Input::Live(vec![]))).unwrap_err();
    assert!(why.starts_with("no source to read: give `--prometheus URL`"), "{why}");

    let only_metrics = run(&spec(Some(Fake::new(part)), None)).unwrap();
    assert_eq!(only_metrics.clusters[0].objects_from, Some(healthcore::snapshot::Origin::KubeStateMetrics));
}

#[test]
fn a_cluster_that_is_not_seen_is_not_healthy() {
    let part = stories::all().into_iter().find(|s| s.name == "healthy").unwrap().parts.remove(0);
    let mut both = live(Budget::default(), part.clone());
    assert_eq!(run(&both).unwrap().verdict(), Verdict::Healthy);
    let Input::Live(lost) = spec(Some(Fake::down(part)), None).input else { unreachable!() };
    let Input::Live(clusters) = &mut both.input else { unreachable!() };
    clusters.extend(lost.into_iter().map(|c| ClusterSources { name: "lost".to_owned(), ..c }));
    let report = run(&both).unwrap();
    assert_eq!(report.verdict(), Verdict::Unknown);
    assert_eq!(decide(&report, FailOn::Critical), Decision::TooLittleData);
}

/// An API knows no past.
#[test]
fn objects_from_after_the_window_are_told() {
    let mut part = stories::all().remove(0).parts.remove(0);
    let gaps = |part: &Snapshot, api: bool| {
        let api = api.then(|| Fake::new(part.clone()));
        let told = run(&spec(Some(Fake::new(part.clone())), api)).unwrap().gaps;
        told.into_iter().map(|g| format!("{} {}: {}", g.scope, g.cause.name(), g.detail)).collect::<Vec<_>>()
    };
    assert_eq!(gaps(&part, true), [""; 0]);
    part.objects.pods[0].created = Some(part.taken_at.plus_seconds(301.0));
    assert_eq!(
        gaps(&part, true),
        [
            "prod/kubernetes clock-skew: the Kubernetes API tells what is now, up to 6 min after the end of the window: what has \
          happened since is left out, but states of pods and autoscalers are those of now"
        ]
    );
    // Metrics are asked for the end of the window.
    assert_eq!(gaps(&part, false), [""; 0]);
}

#[test]
fn nothing_is_left_of_a_recording_without_a_source() {
    let folder = tempfile::tempdir().unwrap();
    let part = stories::all().remove(0).parts.remove(0);
    let down = RunSpec { record: Some(folder.path().join("s.ndjson")), ..spec(Some(Fake::down(part)), None) };
    assert!(run(&down).is_err());
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn the_end_of_a_run_is_decided_by_the_bound() {
    let report = |name: &str| {
        let story = stories::all().into_iter().find(|s| s.name == name).unwrap();
        run(&live(Budget::default(), story.parts[0].clone())).unwrap()
    };
    let (healthy, nacos) = (report("healthy"), report("memory-inspection"));
    assert_eq!(decide(&healthy, FailOn::Warning), Decision::Clean);
    assert_eq!(decide(&nacos, FailOn::Critical), Decision::Findings);
    assert_eq!(decide(&nacos, FailOn::Never), Decision::Clean);
    let mut empty = stories::all().remove(0).parts.remove(0);
    empty.objects = Default::default();
    let nothing = run(&live(Budget::default(), empty)).unwrap();
    assert_eq!(decide(&nothing, FailOn::Critical), Decision::TooLittleData);
}

#[test]
fn a_dry_run_asks_for_no_series() {
    let part = stories::all().remove(0).parts.remove(0);
    let fake = Fake::new(part);
    let spec = spec(Some(fake.clone()), Some(fake.clone()));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let lines = runtime.block_on(dry_run(&spec, &Silent)).unwrap();
    assert!(lines.iter().any(|l| l == "  right: list pods"), "{lines:?}");
    assert!(lines.iter().any(|l| l.contains("memory-working-set")), "{lines:?}");
    assert_eq!(healthcore_sources::MetricsSource::usage(&*fake).requests, 3, "two probes and one list");
}

#[test]
fn nothing_is_asked_where_nothing_is() {
    let mut part = stories::all().into_iter().find(|s| s.name == "demo").unwrap().parts.remove(0);
    part.objects = Default::default();
    let spec = spec(Some(Fake::new(part.clone())), Some(Fake::new(part)));
    assert_eq!(run(&spec).unwrap().cost.prometheus_queries, 1, "that of the probe");
}

#[test]
fn a_dry_run_tells_what_a_run_asks() {
    let demo = stories::all().into_iter().find(|s| s.name == "demo").unwrap().parts.remove(0);
    let told = |spec: &RunSpec| -> String {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(dry_run(spec, &Silent)).unwrap().join("\n") + "\n"
    };
    let (metrics, api) = (Fake::new(demo.clone()), Fake::new(demo.clone()));
    let whole = told(&spec(Some(metrics.clone()), Some(api.clone())));
    assert!(whole.contains("one every 15m, up to 2026-"), "{whole}");
    assert!(
        whole.contains("  asked already: a probe\n") && whole.contains("    memory-working-set\n"),
        "{whole}"
    );
    let without = told(&spec(None, Some(api)));
    assert!(
        without.contains("  no metrics server: no series are asked for\n") && !without.contains("samples"),
        "{without}"
    );
    let only = |id: &str| RunSpec {
        settings: healthcore::settings::Settings { only: [id.to_owned()].into(), ..Default::default() },
        ..spec(Some(metrics.clone()), None)
    };
    let sparse = told(&only("restarts"));
    assert!(sparse.contains("  part 1 of 1: few samples, only where something has happened\n"), "{sparse}");
    let mut empty = demo;
    empty.objects = Default::default();
    let gap = Gap::new("prod/nope-*", GapCause::NothingMatches, "no namespace matches `nope-*`");
    let nothing = told(&spec(Some(metrics), Some(Fake::with_gaps(empty, vec![gap]))));
    assert!(
        nothing.contains("  gap: prod/nope-* (nothing-matches): no namespace matches `nope-*`\n"),
        "{nothing}"
    );
    assert!(nothing.contains("  in all: nothing to ask for\n") && !nothing.contains("part 1"), "{nothing}");
}

/// What is missing because the server is that of another cluster is told once, and not for each metric.
#[test]
fn a_metrics_server_that_knows_no_pod_is_one_reason() {
    let text = r"
        window lookback=12h step=1h
        container web/api-0/app limit=1Gi request=512Mi cpu-limit=1 cpu-request=250m pods=3  memory: 400x11 rss: 400x11 cpu: 0.2x11 periods: 600x11
        claim web/api used-by=api-0 capacity=10Gi created=30d  volume-size: 1000x11 volume-free: 900x11
    ";
    let own = Fixture::new(text).snapshot;
    // The claim has a name that the other cluster has, too.
    let other = Fixture::new(&text.replace("api-0/app", "other-0/app")).snapshot;
    let [own, other] = [own, other].map(Fake::new);
    let report = run(&spec(Some(other), Some(own))).unwrap();
    let gaps: Vec<String> = report.gaps.iter().map(|gap| format!("{}: {}", gap.scope, gap.detail)).collect();
    assert!(
        matches!(&gaps[..], [one] if one.starts_with("test/prometheus: knows 0 of 3 pods that run")),
        "{gaps:?}"
    );
    let unknown: Vec<(&str, String, u64)> = report
        .checks
        .iter()
        .flat_map(|c| c.tally.reasons.iter().map(|(why, n)| (c.id, why.to_string(), *n)))
        .collect();
    let ids: Vec<&str> = unknown.iter().map(|(id, ..)| *id).collect();
    let blind =
        ["memory-leak", "memory-usage", "memory-underprovisioned", "cpu-throttled", "cpu-underprovisioned"];
    assert_eq!(ids[..5], blind);
    let one = |(_, why, n): &(_, String, _)| why == "the metrics server knows none of the pods" && *n == 1;
    assert!(ids.len() > 5 && unknown.iter().all(one), "{unknown:?}");
    let leak = &report.checks.iter().find(|c| c.id == "memory-leak").unwrap().tally;
    let named: Vec<&str> = leak.examples.values().flatten().map(|subject| subject.name.as_str()).collect();
    assert_eq!(named, ["api"]);
    assert_eq!(report.verdict(), Verdict::Unknown);
}
