//! What must hold of every check, whatever it checks.

use std::collections::BTreeSet;

use super::CHECKS;
use crate::analyse::{Assessment, analyse};
use crate::check::AnyCheck;
use crate::fixture::Fixture;
use crate::metric::{Metric, SeriesOf};
use crate::model::{ObjectKind, WorkloadId};
use crate::need::{Importance, Needs};
use crate::report::{ClusterSummary, Report};
use crate::series::{SeriesKey, SeriesStore};
use crate::settings::{CheckSettings, Resolved, Settings};
use crate::snapshot::{Owners, Snapshot};

/// A little of everything: each check finds something in it.
const BUSY: &str = r#"
    workload web/Deployment/api replicas=1/2 created=90d Progressing=no:ProgressDeadlineExceeded@2h
    container web/api-7d9c5bd4f7-x2x9z/app limit=1Gi request=128Mi cpu-limit=1 restarts=9 last=OOMKilled:137@1h  memory: 300+14x47 rss: 250+14x47 cpu: 0.95x47 periods: 9000x47 throttled: 3000x47 throttled-time: 90x47 restarts: _x40 6 _x5 2 oom: _x46 1
    container web/api-7d9c5bd4f7-x2x9z/proxy role=sidecar limit=128Mi request=128Mi cpu-request=100m  memory: 60x47 cpu: 0.01x47
    container web/api-7d9c5bd4f7-x2x9z/setup role=init limit=1Gi
    container web/api-7d9c5bd4f7-jq4wv/app limit=1Gi state=waiting:CrashLoopBackOff restarts=40 last=Error:1@3m created=20h message="back-off 5m0s"
    past web/api-6c6c6c6c6c-zzzzz/app  memory: 500+9x30
    container pigo/nacos-0/app limit=2000Mi request=2000Mi cpu-request=1 cpu-limit=2  memory: 2017x47 cpu: 1.9x47
    container pigo/vault-0/app limit=8Gi request=8Gi cpu-request=4 pods=3  memory: 500x47 cpu: 0.1x47
    container pigo/quiet-0/app limit=1Gi request=512Mi cpu-request=250m  memory: 400x47 cpu: 0.2x47
    container pigo/solo/app state=waiting:ImagePullBackOff created=3h message="pull access denied"
    pod pigo/solo phase=Pending
    container data/big-0/app request=64Gi cpu-request=1
    pod data/big-0 unschedulable="0/3 nodes are available: 3 Insufficient memory." since=2h created=2h
    workload data/Job/load
    container data/load-x2x9z/app owner=Job/load state=completed@1h limit=1Gi request=1Gi cpu-request=1
    pod data/load-x2x9z phase=Succeeded
    container trade/match-0/app cpu-request=1 limit=1Gi request=1Gi pods=6  memory: 700x47 cpu: 0.05x47
    hpa trade/match target=StatefulSet/match min=5 max=6 now=6 cpu=5%/70% ScalingActive=yes:ValidMetricFound@9h ScalingLimited=yes:TooManyReplicas@2h  replicas: 4x40 6x6
    container trade/ledger-0/app cpu-request=1 limit=1Gi request=1Gi  memory: 700x47 cpu: 0.95x47
    hpa trade/ledger target=StatefulSet/ledger min=1 max=6 now=1 cpu=95%/70% ScalingActive=yes:ValidMetricFound@9h
    hpa trade/blind target=StatefulSet/gone min=1 max=6 now=1 cpu=?/70% ScalingActive=no:FailedGetResourceMetric@9h
    event web/Pod/api-7d9c5bd4f7-x2x9z reason=Unhealthy count=400 first=20h last=2m message="Readiness probe failed"
    event web/Ingress/front reason=BadConfig count=90 first=20h last=2m message="no such service"
    node node-1 cpu=8 memory=32Gi pods=20 kubelet=v1.29.4 Ready=yes:KubeletReady@9d DiskPressure=yes:KubeletHasDiskPressure@1h
    node node-2 cpu=8 memory=32Gi kubelet=v1.33.2 Ready=unknown:NodeStatusUnknown@2h
    container pigo/register-0/app limit=1280Mi image=registry.example/register:prod policy=IfNotPresent jvm="-Xmx1024m"
    container pigo/foreign-0/app restarts=9 state=waiting:CrashLoopBackOff last=Error:255@1m said="exec /app: exec format error"
    service web/empty all=0 created=30d
    route web/Ingress/front hosts=a.example backends=empty:80,gone:80 tls=a.example@gone-tls created=30d
    hpa trade/lost target=StatefulSet/gone min=2 max=2 AbleToScale=no:FailedGetScale@9h
    pod data/thrown phase=Failed reason=Evicted evicted=2h message="The node was low on resource: memory."
    job data/load failed=7 created=2h Failed=yes:BackoffLimitExceeded@1h
    cronjob data/dump schedule="0 3 * * *" last-schedule=22h last-success=9d created=90d
    cronjob data/clean schedule="0 3 * * *" suspended created=90d
    server version=v1.33.2
    written ops/dump as=batch/v1beta1/cronjobs applied
    node node-3 cpu=8 memory=32Gi kubelet=v1.33.2 cordoned=9d Ready=yes:KubeletReady@9d
    workload ops/StatefulSet/one replicas=1/1
    workload ops/StatefulSet/two replicas=1/1
    workload ops/StatefulSet/three replicas=1/1
    container ops/one-0/app limit=1Gi request=512Mi cpu-request=250m created=3h
    container ops/two-0/app limit=1Gi request=512Mi cpu-request=250m created=3h
    container ops/three-0/app limit=1Gi request=512Mi cpu-request=250m created=3h
    claim data/wal used-by=match-0 capacity=10Gi created=30d  volume-size: 1000x47 volume-free: 200-4x47
    claim data/slow phase=Pending used-by=match-1 created=2h
    volume pv-1 phase=Failed capacity=10Gi claim=data/gone message="the disk is in use" since=2h created=30d
    volume pv-2 phase=Released policy=Retain capacity=10Gi claim=data/gone created=90d
    namespace old deleting=2h NamespaceContentRemaining=yes:SomeResourcesRemain@2h
    namespace web
    apiservice v1beta1.metrics.k8s.io created=30d Available=no:MissingEndpoints@9h
    container web/plain-0/app image=nginx probes=none limit=1Gi request=512Mi cpu-request=250m  memory: 400x47 cpu: 0.2x47
    secret web/old-tls names=a.example since=80d expires=9d
    route web/Ingress/old hosts=a.example tls=a.example@old-tls created=30d
    quota web/team requests.memory=9Gi/10Gi pods=10/10
    dns forex-ui.example origin=dns.yaml:3
    requests forex-ui.example count=20593
    budget web/api min=1 expected=1 healthy=1 desired=1 created=30d
    job data/hangs active=1 created=2d
    service web/front type=LoadBalancer address=no ready=1 created=3h
    event web/Service/front reason=SyncLoadBalancerFailed count=9 first=3h last=2m message="no quota"
    log web/Deployment/api times=2000 line="ERROR order {n} lost at http://ledger:8080/x"
"#;

/// Every check, those too that have to be asked for.
fn all() -> Resolved {
    let on = |check: &&dyn AnyCheck| {
        let settings = CheckSettings { enabled: Some(true), ..CheckSettings::default() };
        (check.info().id.to_owned(), settings)
    };
    let checks = CHECKS.iter().map(on).collect();
    Settings { checks, ..Settings::default() }.resolve(CHECKS).expect("defaults are valid")
}

fn alone(check: &dyn AnyCheck) -> Resolved {
    let settings = Settings { only: [check.info().id.to_owned()].into(), ..Settings::default() };
    settings.resolve(CHECKS).expect("defaults are valid")
}

fn report(parts: impl IntoIterator<Item = Snapshot>, checks: &Resolved) -> Report {
    let mut whole: Option<(Snapshot, Assessment)> = None;
    for part in parts {
        let assessment = analyse(&part, checks);
        match &mut whole {
            Some((_, whole)) => whole.fold(assessment),
            None => whole = Some((part, assessment)),
        }
    }
    let (first, assessment) = whole.expect("at least one part");
    Report::new(
        "0.0.0",
        first.taken_at,
        first.window,
        vec![(ClusterSummary::default(), assessment)],
        vec![],
        CHECKS,
    )
}

fn is_kebab(text: &str) -> bool {
    !text.is_empty()
        && text
            .split('-')
            .all(|w| !w.is_empty() && w.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit()))
}

#[test]
fn ids_are_kebab_unique_and_have_a_file() {
    let mut seen = BTreeSet::new();
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/checks");
    for check in CHECKS {
        let id = check.info().id;
        assert!(is_kebab(id), "{id}");
        assert!(seen.insert(id), "{id} is there twice");
        let file = folder.join(format!("{}.rs", id.replace('-', "_")));
        assert!(file.exists(), "{id} has no file {}", file.display());
    }
    assert!(CHECKS.len() >= 18, "checks are missing from the list");
}

#[test]
fn documentation_is_whole() {
    for check in CHECKS {
        let info = check.info();
        for part in [info.checks, info.why, info.decides, info.remedy, info.false_alarms] {
            assert!(part.ends_with('.') && part.len() > 20, "{}: `{part}` is no sentence", info.id);
            assert!(!part.contains("  "), "{}: `{part}` has two spaces", info.id);
        }
        assert!(!info.title.is_empty() && !info.title.ends_with('.'), "{}: {}", info.id, info.title);
        for param in check.param_infos() {
            assert!(is_kebab(&param.name), "{}: {}", info.id, param.name);
            assert!(param.doc.ends_with('.'), "{}.{}: {}", info.id, param.name, param.doc);
            let is_word = param.expected.starts_with('`');
            assert!(is_word || param.bounds.is_some(), "{}.{} has no bounds", info.id, param.name);
        }
    }
}

#[test]
fn parameters_that_the_documentation_names_exist() {
    for check in CHECKS {
        let info = check.info();
        let mut known: BTreeSet<String> = check.param_infos().into_iter().map(|p| p.name).collect();
        known.extend(CHECKS.iter().map(|c| c.info().id.to_owned()));
        known.extend(Metric::ALL.iter().map(|m| m.name().to_owned()));
        for text in [info.decides, info.false_alarms] {
            // Every second part stands between backticks.
            for name in text.split('`').skip(1).step_by(2).filter(|n| is_kebab(n) && n.contains('-')) {
                assert!(known.contains(name), "{}: `{name}` is no parameter, check or metric", info.id);
            }
        }
    }
}

#[test]
fn texts_are_sentences_with_closed_braces() {
    for check in CHECKS {
        let info = check.info();
        let mut seen = BTreeSet::new();
        for (key, text) in info.texts {
            assert!(is_kebab(key) && seen.insert(*key), "{}: {key}", info.id);
            assert_eq!(text.matches('{').count(), text.matches('}').count(), "{}: {text}", info.id);
            assert!(!text.ends_with('.') && !text.contains("  "), "{}: {text}", info.id);
        }
    }
}

/// Series that are all 0/0, as a server answers them, and a counter that only falls, tell nothing: no check judges by them.
#[test]
fn numbers_that_are_none_judge_nothing() {
    let text = "window lookback=7d step=1h\n\
        container web/api-0/app limit=1Gi request=512Mi cpu-limit=1 cpu-request=250m restarts=0  \
        memory: nanx167  rss: nanx167  cpu: nanx167  periods: nanx167  restarts: 9 4 3 2 1 0x162";
    let report = report([Fixture::new(text).snapshot], &all());
    let found: Vec<&str> = report.findings.iter().map(|f| f.check.as_ref()).collect();
    assert!(found.is_empty(), "{found:?}");
    let unknown: Vec<&str> = report.checks.iter().filter(|c| c.tally.unknown > 0).map(|c| c.id).collect();
    assert_eq!(
        unknown,
        [
            "memory-leak",
            "memory-usage",
            "memory-underprovisioned",
            "cpu-throttled",
            "cpu-underprovisioned",
            "error-logs",
            "memory-overprovisioned",
            "cpu-overprovisioned"
        ]
    );
}

#[test]
fn defaults_round_trip_as_text() {
    for check in CHECKS {
        let id = check.info().id;
        let defaults = check.configure(&[]).unwrap_or_else(|why| panic!("{id}: {why:?}"));
        let texts: Vec<(String, String)> = check
            .param_infos()
            .into_iter()
            .map(|p| {
                let text = check.show(&defaults, &p.name).expect("a parameter that is listed");
                (p.name, text)
            })
            .collect();
        let values: Vec<(&str, &str)> = texts.iter().map(|(n, t)| (n.as_str(), t.as_str())).collect();
        let again = check.configure(&values).unwrap_or_else(|why| panic!("{id}: {why:?}"));
        for (name, text) in values {
            assert_eq!(check.show(&again, name).as_deref(), Some(text), "{id}.{name}");
        }
    }
}

#[test]
fn every_check_finds_something_in_a_busy_cluster() {
    let report = report([Fixture::new(BUSY).snapshot], &all());
    let found: BTreeSet<&str> = report.findings.iter().map(|f| f.check.as_ref()).collect();
    let silent: Vec<&str> = CHECKS.iter().map(|c| c.info().id).filter(|id| !found.contains(id)).collect();
    assert!(silent.is_empty(), "{silent:?}");
}

/// No sentence is left with a brace: every value that a text names is given.
#[test]
fn every_value_of_a_text_is_given() {
    let report = report([Fixture::new(BUSY).snapshot], &all());
    for finding in &report.findings {
        let info = CHECKS.iter().find(|c| c.info().id == finding.check).expect("known").info();
        for text in std::iter::once(&finding.summary).chain(finding.advice.iter().map(|a| &a.text)) {
            let english = info.text(&text.key).expect("every message has a text");
            let filled = text.fill(english, &|_| "X".to_owned());
            assert!(!filled.contains('{'), "{}: {filled}", info.id);
        }
    }
}

#[test]
fn alone_equals_among_all() {
    let Fixture { snapshot, .. } = Fixture::new(BUSY);
    let together = analyse(&snapshot, &all());
    for check in CHECKS {
        let id = check.info().id;
        let single = analyse(&snapshot, &alone(*check));
        assert_eq!(single.tallies[id], together.tallies[id], "{id}");
        let among: Vec<_> = together.findings.iter().filter(|f| f.check == id).collect();
        assert_eq!(single.findings.iter().collect::<Vec<_>>(), among, "{id}");
    }
}

/// What a check reads is what it asks for: with the rest of the series gone it says the same.
#[test]
fn needs_are_complete() {
    for check in CHECKS {
        let id = check.info().id;
        let Fixture { snapshot, .. } = Fixture::new(BUSY);
        let resolved = alone(*check);
        let needs: Needs = resolved.needs();
        let mut poor = snapshot.clone();
        poor.series = SeriesStore::default();
        for metric in needs.metrics.keys() {
            poor.series.fetched(*metric);
            for (key, samples) in snapshot.series.of(*metric) {
                poor.series.insert(*metric, key.clone(), samples.clone());
            }
        }
        let (rich, poor) = (analyse(&snapshot, &resolved), analyse(&poor, &resolved));
        assert_eq!(rich.tallies, poor.tallies, "{id}");
        assert_eq!(rich.findings, poor.findings, "{id}");
    }
}

#[test]
fn nothing_in_nothing_out() {
    let report = report([Fixture::new("").snapshot], &all());
    assert_eq!(report.findings, []);
    for check in &report.checks {
        assert_eq!((check.tally.ok, check.tally.problem, check.tally.unknown), (0, 0, 0), "{}", check.id);
    }
    assert_eq!(report.checks.len(), CHECKS.len());
}

/// Without a metrics server no check that needs one finds a problem.
#[test]
fn no_problem_without_metrics() {
    let Fixture { snapshot, .. } = Fixture::new(&format!("{BUSY}\noffline"));
    let mut bare = snapshot;
    bare.series = SeriesStore::default();
    for metric in Metric::ALL {
        bare.series.missing(*metric, crate::snapshot::Missing::NoMetricsSource);
    }
    for check in CHECKS {
        let resolved = alone(*check);
        let required = resolved.needs().metrics.values().any(|i| *i == Importance::Required);
        let assessment = analyse(&bare, &resolved);
        let tally = &assessment.tallies[check.info().id];
        if required {
            assert_eq!(tally.problem, 0, "{}", check.info().id);
            assert!(tally.unknown > 0, "{}", check.info().id);
        }
    }
}

/// What is in order is so only where every pod that should have samples has them; a pod that is new, is not started or
/// crash-loops need not.
#[test]
fn nothing_is_in_order_that_was_not_seen() {
    let pod = |n: u8, words: &str, series: &str| {
        format!(
            "container web/api-{n}/app limit=512Mi request=384Mi cpu-limit=500m cpu-request=200m {words}  {series}\n"
        )
    };
    let series = "memory: 300x200  rss: 290x200  cpu: 0.15x200  periods: 9000x200";
    let told = |id: &str, words: &str, rest: &str| {
        let seen = pod(0, "", series);
        crate::fixture::told(id, &format!("{rest}\n{seen}{}", pod(1, words, ""))).join("; ")
    };
    let mut judged = 0;
    for check in CHECKS {
        let id = check.info().id;
        let needs = alone(*check).needs();
        let required =
            needs.metrics.iter().any(|(m, i)| m.of() == SeriesOf::Container && *i == Importance::Required);
        let of_containers = crate::fixture::told(id, &pod(0, "", series)) == ["1 ok"];
        if !required || !of_containers {
            continue;
        }
        judged += 1;
        let unseen = told(id, "", "");
        assert!(unseen.starts_with("1 unknown: no samples of "), "{id}: {unseen}");
        let left_out = "1 unknown: left out, because the workload is too large";
        assert_eq!(told(id, "", "thinned web/api-1"), left_out, "{id}");
        for words in
            ["state=running@10m", "state=waiting:ContainerCreating", "state=waiting:CrashLoopBackOff"]
        {
            assert_eq!(told(id, words, ""), "1 ok", "{id}: {words}");
        }
    }
    assert!(judged >= 5, "only {judged} checks say that the healthy pod is in order");
}

/// With every list denied there is no subject, no problem, and nothing in order: only unknown.
#[test]
fn only_unknown_when_everything_is_denied() {
    let kinds: Vec<&str> = ObjectKind::ALL.iter().map(|kind| kind.name()).collect();
    let fixture = Fixture::new(&format!("offline\ndenied {} namespace=web", kinds.join(" ")));
    let assessment = fixture.assess(&all());
    assert_eq!(assessment.findings, []);
    for check in CHECKS {
        let tally = &assessment.tallies[check.info().id];
        assert_eq!((tally.ok, tally.problem), (0, 0), "{}", check.info().id);
        assert!(tally.unknown > 0, "{}: denied lists are not counted as unknown", check.info().id);
    }
}

/// How a cluster is cut does not change the report.
#[test]
fn parts_fold_to_the_whole() {
    let Fixture { snapshot, .. } = Fixture::new(BUSY);
    let whole = report([snapshot.clone()], &all());
    for parts in [2, 3, 5, 50] {
        assert_eq!(report(cut(&snapshot, parts), &all()), whole, "{parts} parts");
        let mut backwards = cut(&snapshot, parts);
        backwards.reverse();
        assert_eq!(report(backwards, &all()), whole, "{parts} parts, last first");
    }
}

/// The snapshot in parts by workload: a workload with its pods, series, autoscalers and events.
fn cut(snapshot: &Snapshot, parts: usize) -> Vec<Snapshot> {
    let objects = &snapshot.objects;
    let owners = Owners::new(&objects.workloads, &objects.pods);
    let ids: Vec<&WorkloadId> = objects.workloads.iter().map(|w| &w.id).collect();
    // What belongs to no workload goes to the first part.
    let part_of = |id: Option<&WorkloadId>| {
        id.and_then(|id| ids.iter().position(|known| *known == id)).map_or(0, |at| at % parts)
    };
    let mut out: Vec<Snapshot> = (0..parts)
        .map(|_| {
            let mut part =
                Snapshot { objects: Default::default(), series: SeriesStore::default(), ..snapshot.clone() };
            Metric::ALL.iter().for_each(|m| part.series.fetched(*m));
            part
        })
        .collect();
    out[0].objects.nodes.clone_from(&objects.nodes);
    out[parts - 1].objects.inventory = objects.inventory.clone();
    out[0].objects.inventory.server_version.clone_from(&objects.inventory.server_version);
    for workload in &objects.workloads {
        out[part_of(Some(&workload.id))].objects.workloads.push(workload.clone());
    }
    for pod in &objects.pods {
        out[part_of(Some(&pod.workload))].objects.pods.push(pod.clone());
    }
    for hpa in &objects.hpas {
        let target = WorkloadId::new(&hpa.namespace, &hpa.target.kind, &hpa.target.name);
        let part = &mut out[part_of(Some(&target))];
        part.objects.hpas.push(hpa.clone());
        let key = SeriesKey::autoscaler(&hpa.namespace, &hpa.name);
        if let Ok(Some(samples)) = snapshot.series.get(Metric::HpaReplicas, &key) {
            part.series.insert(Metric::HpaReplicas, key, samples.clone());
        }
    }
    for log in &objects.logs {
        out[part_of(Some(&log.workload))].objects.logs.push(log.clone());
    }
    for event in &objects.events {
        out[part_of(owners.of(&event.namespace, &event.name))].objects.events.push(event.clone());
    }
    for metric in Metric::ALL.iter().filter(|m| **m != Metric::HpaReplicas) {
        for (key, samples) in snapshot.series.of(*metric) {
            let own = part_of(owners.of(&key.namespace, &key.name));
            let part = &mut out[if metric.of() == SeriesOf::VolumeClaim { parts - 1 } else { own }];
            part.series.insert(*metric, key.clone(), samples.clone());
        }
    }
    out
}
