//! The incidents of the changelog of the k8s-health-monitor: each is a cluster in the notation of fixtures, and the whole
//! pass, with all checks, must name it by the check, subject and severity beside it.

use std::sync::Arc;

use healthcore::checks::pods_in_words;
use healthcore::fixture::{Fixture, show};
use healthcore::inventory::{DnsName, ServedCertificate};
use healthcore::report::Report;
use healthcore::settings::{CheckSettings, Settings};
use healthcore::snapshot::GapCause;
use healthcore_sources::tls::{CertificateSource, TlsServer};
use lambda_free_runner::{Certificates, Hosts, RunSpec, Silent, run_once};

use crate::fake::{Fake, spec};

/// An incident: what was seen, the cluster, the check that names it, and its findings as `severity namespace/name[/container]`.
struct Incident {
    seen: &'static str,
    cluster: &'static str,
    check: &'static str,
    told: &'static [&'static str],
}

const INCIDENTS: &[Incident] = &[
    Incident {
        seen: "ilogtail restarts for ever with `exec format error`: an amd64 image on arm64 nodes",
        cluster: r#"
            node arm-1 arch=arm64 cpu=8 memory=32Gi Ready=yes
            workload kube-system/DaemonSet/ilogtail-ds replicas=0/1 created=30d
            container kube-system/ilogtail-ds-x2x9z/ilogtail owner=DaemonSet/ilogtail-ds image=reg.example/ilogtail:1.8 restarts=40 state=waiting:CrashLoopBackOff last=Error:255@2m said="exec /usr/local/ilogtail/run.sh: exec format error"
            pod kube-system/ilogtail-ds-x2x9z node=arm-1 ready=no"#,
        check: "image-architecture",
        told: &["critical kube-system/ilogtail-ds"],
    },
    Incident {
        seen: "2 of 6 pods are Completed, and were counted as not running",
        cluster: "container pigo/api-0/app pods=6\n\
                  pod pigo/api-4 phase=Succeeded\n\
                  pod pigo/api-5 phase=Succeeded",
        check: "pod-not-running",
        told: &[],
    },
    Incident {
        seen: "one of the other 4 pods does not run either",
        cluster: "container pigo/api-0/app pods=6\n\
                  pod pigo/api-3 ready=no\n\
                  pod pigo/api-4 phase=Succeeded\n\
                  pod pigo/api-5 phase=Succeeded",
        check: "pod-not-running",
        told: &["warning pigo/api"],
    },
    Incident {
        seen: "2 evicted pods were left over beside the one that runs, and were counted as not running",
        cluster: "workload pigo/Deployment/api replicas=1/1 revisions=api-7d9c5bd4f7\n\
                  container pigo/api-7d9c5bd4f7-x2x9z/app\n\
                  pod pigo/api-7d9c5bd4f7-bbbbb phase=Failed reason=Evicted created=21d\n\
                  pod pigo/api-7d9c5bd4f7-ccccc phase=Failed reason=Evicted created=22d",
        check: "pod-not-running",
        told: &["info pigo/api"],
    },
    Incident {
        seen: "a CI runner is throttled in 11.9 % of its periods: usual",
        cluster: "workload ci/Deployment/gitlab-runner revisions=gitlab-runner-7d9c5bd4f7\n\
                  container ci/gitlab-runner-7d9c5bd4f7-x2x9z/app image=gitlab/gitlab-runner:v17.2.0 cpu-limit=1  cpu: 0.1x24 periods: 10000x24 throttled: 1190x24 throttled-time: 47.6x24",
        check: "cpu-throttled",
        told: &[],
    },
    Incident {
        seen: "the runner at 16.1 %: usual",
        cluster: "workload ci/Deployment/gitlab-runner revisions=gitlab-runner-7d9c5bd4f7\n\
                  container ci/gitlab-runner-7d9c5bd4f7-x2x9z/app image=gitlab/gitlab-runner:v17.2.0 cpu-limit=1  cpu: 0.1x24 periods: 10000x24 throttled: 1610x24 throttled-time: 64.4x24",
        check: "cpu-throttled",
        told: &[],
    },
    Incident {
        seen: "the runner at 27.5 %: too much",
        cluster: "workload ci/Deployment/gitlab-runner revisions=gitlab-runner-7d9c5bd4f7\n\
                  container ci/gitlab-runner-7d9c5bd4f7-x2x9z/app image=gitlab/gitlab-runner:v17.2.0 cpu-limit=1  cpu: 0.1x24 periods: 10000x24 throttled: 2750x24 throttled-time: 110x24",
        check: "cpu-throttled",
        told: &["warning ci/gitlab-runner/app"],
    },
    Incident {
        seen: "the runner at 42.2 %: too much",
        cluster: "workload ci/Deployment/gitlab-runner revisions=gitlab-runner-7d9c5bd4f7\n\
                  container ci/gitlab-runner-7d9c5bd4f7-x2x9z/app image=gitlab/gitlab-runner:v17.2.0 cpu-limit=1  cpu: 0.1x24 periods: 10000x24 throttled: 4220x24 throttled-time: 168.8x24",
        check: "cpu-throttled",
        told: &["warning ci/gitlab-runner/app"],
    },
    Incident {
        seen: "jcard-service is throttled in 23.1 % of its periods",
        cluster: "workload jc/Deployment/jcard-service revisions=jcard-service-7d9c5bd4f7\n\
                  container jc/jcard-service-7d9c5bd4f7-x2x9z/app cpu-limit=500m  cpu: 0.1x24 periods: 10000x24 throttled: 2310x24 throttled-time: 92.4x24",
        check: "cpu-throttled",
        told: &["warning jc/jcard-service/app"],
    },
    Incident {
        seen: "jcard-service after its first fix, still at 11.3 %",
        cluster: "workload jc/Deployment/jcard-service revisions=jcard-service-7d9c5bd4f7\n\
                  container jc/jcard-service-7d9c5bd4f7-x2x9z/app cpu-limit=1  cpu: 0.1x24 periods: 10000x24 throttled: 1130x24 throttled-time: 45.2x24",
        check: "cpu-throttled",
        told: &["warning jc/jcard-service/app"],
    },
    Incident {
        seen: "registercenter has a heap of 1024m in a limit of 1280Mi",
        cluster: "container pigo/registercenter-0/app limit=1280Mi jvm=\"-Xmx1024m\" restarts=1 last=OOMKilled:137@2h",
        check: "jvm-heap-headroom",
        told: &["warning pigo/registercenter/app"],
    },
    Incident {
        seen: "and it was killed for it, exit code 137",
        cluster: "container pigo/registercenter-0/app limit=1280Mi jvm=\"-Xmx1024m\" restarts=1 last=OOMKilled:137@2h",
        check: "oom-killed",
        told: &["critical pigo/registercenter/app"],
    },
    Incident {
        seen: "it held with 1536Mi",
        cluster: "container pigo/registercenter-0/app limit=1536Mi jvm=\"-Xmx1024m\"",
        check: "jvm-heap-headroom",
        told: &[],
    },
    Incident {
        seen: "nodes run v21 and v23 of the monitor under one tag, as they do not pull it again",
        cluster: "container ops/monitor-0/app image=reg.example/monitor:latest policy=IfNotPresent digest=sha256:v21 created=20d\n\
                  container ops/monitor-1/app image=reg.example/monitor:latest policy=IfNotPresent digest=sha256:v23 created=2d",
        check: "image-pull-policy",
        told: &["warning ops/monitor/app"],
    },
    Incident {
        seen: "forex-ui gets 20,593 requests and powercard 3,570, and neither has a virtual host",
        cluster: "container forex/api-0/app\n\
                  route forex/Ingress/front hosts=forex.example.com backends=api:80\n\
                  requests forex-ui.example.com count=20593\n\
                  requests powercard.example.com count=3570\n\
                  requests forex.example.com count=90000",
        check: "host-without-route",
        told: &["warning /forex-ui.example.com", "warning /powercard.example.com"],
    },
    Incident {
        seen: "three pods of three workloads on three nodes, started eleven hours ago, old pods gone: nobody knows why",
        cluster: r#"
            node n1 created=90d Ready=yes:KubeletReady@90d
            node n2 created=90d Ready=yes:KubeletReady@90d
            node n3 created=90d Ready=yes:KubeletReady@90d
            workload pigo/Deployment/api replicas=1/1 revisions=api-7d9c5bd4f7@30d
            workload pigo/Deployment/cart replicas=1/1 revisions=cart-7d9c5bd4f7@30d
            workload pigo/Deployment/pay replicas=1/1 revisions=pay-7d9c5bd4f7@30d
            container pigo/api-7d9c5bd4f7-x2x9z/app created=660m
            container pigo/cart-7d9c5bd4f7-x2x9z/app created=659m
            container pigo/pay-7d9c5bd4f7-x2x9z/app created=655m
            pod pigo/api-7d9c5bd4f7-x2x9z node=n1
            pod pigo/cart-7d9c5bd4f7-x2x9z node=n2
            pod pigo/pay-7d9c5bd4f7-x2x9z node=n3"#,
        check: "pods-started-together",
        told: &["info pigo/api"],
    },
    Incident {
        seen: "the same, while a node between them was lost",
        cluster: r#"
            node n1 created=90d Ready=yes:KubeletReady@90d
            node n4 created=90d Ready=unknown:NodeStatusUnknown@667m
            workload pigo/Deployment/api replicas=1/1 revisions=api-7d9c5bd4f7@30d
            workload pigo/Deployment/cart replicas=1/1 revisions=cart-7d9c5bd4f7@30d
            workload pigo/Deployment/pay replicas=1/1 revisions=pay-7d9c5bd4f7@30d
            container pigo/api-7d9c5bd4f7-x2x9z/app created=660m
            container pigo/cart-7d9c5bd4f7-x2x9z/app created=659m
            container pigo/pay-7d9c5bd4f7-x2x9z/app created=655m"#,
        check: "pods-started-together",
        told: &["warning pigo/api"],
    },
    Incident {
        seen: "12,758 errors in a day, all about one APM server",
        cluster: r#"
            workload pigo/Deployment/order revisions=order-7d9c5bd4f7
            container pigo/order-7d9c5bd4f7-x2x9z/app
            log pigo/Deployment/order times=12758 line="2026-11-20 00:00:00 ERROR [apm-reporter] IntakeV2ReportingEventHandler - Error sending data to APM server at http://apm-server.apm:8200/intake/v2/events, response code is 503 ({n})""#,
        check: "error-logs",
        told: &["warning pigo/order"],
    },
    Incident {
        seen: "523 times 404 at an nginx that somebody scans: noise, and named as that",
        cluster: r#"
            workload pigo/Deployment/front revisions=front-7d9c5bd4f7
            container pigo/front-7d9c5bd4f7-x2x9z/app
            log pigo/Deployment/front times=523 line="198.51.100.7 - - [20/Nov/2026:00:00:00 +0000] 'GET /wp-login.php HTTP/1.1' 404 153 '-' '-'""#,
        check: "error-logs",
        told: &["info pigo/front"],
    },
];

/// What the sentence of an incident must hold, so that nobody has to look for it in the logs.
const NAMED: &[(&str, &[&str])] = &[
    ("the same, while a node", &["n4"]),
    ("12,758 errors", &["12758", "apm-server.apm:8200"]),
    ("523 times 404", &["523", "/wp-login.php"]),
];

/// Names that DNS leads to every cluster of the incidents.
const NAMES: [&str; 3] = ["forex.example.com", "forex-ui.example.com", "powercard.example.com"];

fn live(cluster: &str) -> RunSpec {
    let fake = Fake::new(Fixture::new(cluster).snapshot);
    spec(Some(fake.clone()), Some(fake))
}

fn run(spec: &RunSpec) -> Report {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(run_once(spec, &Silent)).unwrap()
}

/// All checks, with the one that reads logs, which runs where it is asked for.
fn with_logs() -> Settings {
    let on = CheckSettings { enabled: Some(true), ..CheckSettings::default() };
    Settings { checks: [("error-logs".to_owned(), on)].into(), ..Settings::default() }
}

/// The values in the sentences of a check.
fn values(report: &Report, check: &str) -> Vec<String> {
    let of_check = report.findings.iter().filter(|f| f.check == check);
    of_check.flat_map(|f| f.summary.args.values().map(show)).collect()
}

fn told(report: &Report, check: &str) -> Vec<String> {
    let of_check = report.findings.iter().filter(|f| f.check == check);
    of_check
        .map(|f| {
            let container = f.subject.container.iter().map(|c| format!("/{c}")).collect::<String>();
            format!("{} {}/{}{container}", f.severity.name(), f.subject.namespace, f.subject.name)
        })
        .collect()
}

#[test]
fn every_incident_is_named() {
    for incident in INCIDENTS {
        let names = NAMES.map(|host| DnsName { host: host.to_owned(), ..DnsName::default() });
        // Of the others nobody has given names.
        let names = if incident.check == "host-without-route" { names.to_vec() } else { Vec::new() };
        let hosts = Hosts { names, not_judged: None };
        let report = run(&RunSpec { hosts, settings: with_logs(), ..live(incident.cluster) });
        assert_eq!(told(&report, incident.check), incident.told, "{}", incident.seen);
        let named =
            NAMED.iter().filter(|(seen, _)| incident.seen.starts_with(seen)).flat_map(|(_, named)| *named);
        let values = values(&report, incident.check);
        named.for_each(|name| {
            assert!(values.iter().any(|v| v == name), "{}: {name}: {values:?}", incident.seen)
        });
        let judged = report.checks.iter().find(|c| c.id == incident.check).map(|c| &c.tally).expect("it ran");
        assert!(judged.ok + judged.problem > 0, "{}: nothing was judged: {judged:?}", incident.seen);
    }
}

#[test]
fn pods_are_counted_in_the_words_that_people_knew() {
    assert_eq!(pods_in_words(4, 4, 2), "4/4 Running (+2 Completed)");
    assert_eq!(pods_in_words(3, 4, 2), "3/4 Running (1 not running) +2 Completed");
}

/// No server in it speaks TLS.
struct NoTls;

#[async_trait::async_trait]
impl CertificateSource for NoTls {
    async fn served(&self, servers: &[TlsServer]) -> Vec<ServedCertificate> {
        assert_eq!(servers.iter().map(|s| s.host.as_str()).collect::<Vec<_>>(), ["other.example"]);
        Vec::new()
    }
}

/// waas2-sensitive is without TLS on purpose.
#[test]
fn a_namespace_without_tls_is_not_applicable() {
    let cluster = "container waas2-sensitive/api-0/app\n\
                   route waas2-sensitive/Ingress/a hosts=a.example tls=a.example@tls\n\
                   route web/Ingress/b hosts=other.example tls=other.example@other\n\
                   secret waas2-sensitive/tls names=b.example since=60d expires=-3d";
    let skipping = |skip: Option<&str>, namespaces: &[&str]| {
        let reason = "no TLS within the cluster";
        let certificates = Certificates {
            source: Some(Arc::new(NoTls)),
            skip: skip.map(str::to_owned),
            skip_namespaces: namespaces.iter().map(|n| ((*n).to_owned(), reason.to_owned())).collect(),
            ..Certificates::default()
        };
        let report = run(&RunSpec { certificates, ..live(cluster) });
        assert_eq!(told(&report, "certificate-expiring"), [] as [&str; 0]);
        let gaps = report.gaps.into_iter().filter(|g| g.cause == GapCause::Skipped);
        gaps.map(|g| format!("{}: {}", g.scope, g.detail)).collect::<Vec<_>>()
    };
    let cluster = Fixture::new("").snapshot.cluster;
    assert_eq!(
        skipping(None, &["waas2-*"]),
        [format!(
            "{cluster}/waas2-sensitive/certificates: N/A: certificates are not looked at: no TLS within the cluster"
        )]
    );
    assert_eq!(
        skipping(Some("SKIP_TLS_CHECK is set"), &[]),
        [format!("{cluster}/certificates: N/A: certificates are not looked at: SKIP_TLS_CHECK is set")]
    );
}

/// The image is tagged v23, and the node has kept v21.
#[test]
fn an_image_of_another_version_is_told() {
    let spec =
        RunSpec { image: Some("reg.example/healthcheck:v23".to_owned()), ..live("container web/api-0/app") };
    let report = run(&spec);
    let told: Vec<_> = report.gaps.iter().filter(|g| g.cause == GapCause::VersionMismatch).collect();
    assert!(told.len() == 1 && told[0].detail.contains("tagged `v23`"), "{:?}", report.gaps);
}
