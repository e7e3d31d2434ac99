//! `deprecated-api`: versions of the Kubernetes API that are gone or will be, and are still used.

use std::collections::BTreeMap;

use crate::api_versions::{ApiUse, WrittenAs, removal_of};
use crate::check::{Check, CheckInfo, Judgement, Outcome, Subject};
use crate::checks::version_skew::minor;
use crate::finding::{Advice, Problem, Severity, SubjectRef, Text};
use crate::metric::Metric;
use crate::model::{ObjectKind, Workload};
use crate::need::Needs;
use crate::phrase::first_and_more;
use crate::snapshot::{Field, Missing};
use crate::unit::Seconds;
use crate::view::View;

/// Versions of the Kubernetes API that are gone or will be, and are still used.
pub struct DeprecatedApi;

/// Lists whose objects tell in which version they were written.
const MADE_OF: &[ObjectKind] = &[
    ObjectKind::ApiUse,
    ObjectKind::Workloads,
    ObjectKind::Autoscalers,
    ObjectKind::Routes,
    ObjectKind::DisruptionBudgets,
];

crate::params! {
    /// Parameters of `deprecated-api`.
    pub struct DeprecatedApiParams {
        /// How long ago a field manager may have written an object in a deprecated version for it to count.
        recent: Seconds = Seconds(2_592_000.0) => Seconds(60.0)..=Seconds::from_days(3650.0),
    }
}

impl Check for DeprecatedApi {
    const INFO: CheckInfo = CheckInfo {
        id: "deprecated-api",
        title: "Deprecated API in use",
        since: "0.1.0",
        checks: "Whether manifests or clients use API versions that Kubernetes has removed or is about to remove.",
        why: "After the upgrade of the control plane such manifests are refused and such clients fail: deployments, backups \
              that are restored, autoscalers.",
        decides: "An object counts when the manifest that was applied last (annotation \
                  `kubectl.kubernetes.io/last-applied-configuration`) has a version of the deprecation guide of Kubernetes, or \
                  when a field manager has written it in one within `recent` and the API server still serves it. A client \
                  counts when the API server tells that it was asked for a deprecated version since it started \
                  (`apiserver_requested_deprecated_apis`, where the metrics server has it). A warning when the version is \
                  removed already or by the next minor version, else info. Looked at: Deployments, StatefulSets, DaemonSets, \
                  CronJobs, autoscalers, Ingresses, disruption budgets; of clients, everything.",
        remedy: "Write the manifest or chart in the version that is named and apply it; upgrade the client.",
        false_alarms: "An object that is kept by other means now than the manifest that was applied once. A client that asked \
                       once, since when the API server was not restarted. The releases that Helm keeps are not read.",
        texts: &[
            (
                "gone",
                "{objects} {objects|object was|objects were} last applied as {version}, which Kubernetes 1.{removed} removed: applying {objects|it|them} again fails",
            ),
            (
                "next",
                "{version} is in use, and is gone with Kubernetes 1.{removed}, the next version of this cluster",
            ),
            ("later", "{version} is in use, and is gone with Kubernetes 1.{removed}"),
            ("write", "write {kind} as {instead} in manifests and charts, and apply them"),
            (
                "find",
                "find the client in the audit log: the annotation `k8s.io/deprecated` marks its requests",
            ),
        ],
    };
    type Params = DeprecatedApiParams;
    type Subject<'a> = UsedApi<'a>;

    fn needs(_: &Self::Params, needs: &mut Needs) {
        for kind in MADE_OF {
            needs.objects(*kind);
        }
    }

    fn judge(params: &Self::Params, used: &UsedApi<'_>, view: &View<'_>) -> Judgement {
        let Some((version, resource)) = used.version else { return Ok(Outcome::Ok) };
        let inventory = &view.snapshot.objects.inventory;
        let unread = || Missing::NotReported { field: Field::VersionOfApiServer };
        let (_, server) = minor(&inventory.server_version).ok_or_else(unread)?;
        let removal = removal_of(version, resource);
        let Some(removed_in) = used.requested.or(removal.map(|r| r.removed_in)) else {
            return Ok(Outcome::Ok);
        };
        let counts = |w: &&&WrittenAs| w.applied || (removed_in > server && is_recent(params, w, view));
        let written: Vec<&WrittenAs> = used.written.iter().copied().filter(|w| counts(&w)).collect();
        let asked_for = used.requested.is_some_and(|removed| removed > server);
        if written.is_empty() && !asked_for {
            return Ok(Outcome::Ok);
        }
        let (severity, key) = match removed_in {
            removed if removed <= server => (Severity::Warning, "gone"),
            removed if removed == server + 1 => (Severity::Warning, "next"),
            _ => (Severity::Info, "later"),
        };
        let mut text = Text::new(key).with("version", used.name()).with("removed", removed_in);
        if key == "gone" {
            text = text.with("objects", written.len());
        }
        let mut problem = Problem::new(severity, text)
            .evidence("removed-in", format!("1.{removed_in}"))
            .evidence("server-version", inventory.server_version.as_str());
        if !written.is_empty() {
            problem = problem.evidence("objects", first_and_more(&names(&written), "none"));
        }
        let managers = managers(&written);
        if !managers.is_empty() {
            problem = problem.evidence("written-by", managers.join(", "));
        }
        if let Some(removal) = removal {
            let write = Text::new("write").with("kind", removal.kind).with("instead", removal.instead);
            problem = problem.advise(Advice::new(write));
        }
        if asked_for {
            problem = problem.advise(Advice::new(Text::new("find")));
        }
        Ok(problem.into())
    }
}

fn is_recent(params: &DeprecatedApiParams, written: &WrittenAs, view: &View<'_>) -> bool {
    let age = written.at.and_then(|at| at.age_at(view.snapshot.taken_at));
    age.is_some_and(|age| age <= params.recent.get())
}

fn names(written: &[&WrittenAs]) -> Vec<String> {
    written.iter().map(|w| format!("{}/{}", w.id.namespace, w.id.name)).collect()
}

fn managers(written: &[&WrittenAs]) -> Vec<String> {
    let mut managers: Vec<String> =
        written.iter().map(|w| w.manager.clone()).filter(|m| !m.is_empty()).collect();
    managers.sort_unstable();
    managers.dedup();
    managers
}

/// A deprecated version of a resource, with all that uses it; none of them stands for the cluster.
#[derive(Debug, Clone, Default)]
pub struct UsedApi<'a> {
    version: Option<(&'a str, &'a str)>,
    written: Vec<&'a WrittenAs>,
    /// Minor version that removes it, as the API server tells when it was asked for it.
    requested: Option<u32>,
}

impl UsedApi<'_> {
    /// `batch/v1beta1 CronJob`; the resource where the kind is not known.
    fn name(&self) -> String {
        self.version.map_or_else(String::new, |(version, resource)| {
            let kind = removal_of(version, resource).map_or(resource, |removal| removal.kind);
            format!("{version} {kind}")
        })
    }
}

impl<'a> Subject<'a> for UsedApi<'a> {
    fn all(view: &View<'a>) -> Vec<Self> {
        let Some(ApiUse { written, requested }) = &view.snapshot.objects.inventory.api_use else {
            return Vec::new();
        };
        let mut all: BTreeMap<(&str, &str), Self> = BTreeMap::new();
        for object in written {
            let version = (object.api_version.as_str(), object.resource.as_str());
            all.entry(version).or_default().written.push(object);
        }
        for api in requested {
            let version = (api.api_version.as_str(), api.resource.as_str());
            all.entry(version).or_default().requested = Some(api.removed_in);
        }
        if all.is_empty() {
            return vec![Self::default()];
        }
        all.into_iter().map(|(version, used)| Self { version: Some(version), ..used }).collect()
    }
    fn reference(&self) -> SubjectRef {
        SubjectRef { kind: "APIVersion".to_owned(), name: self.name(), ..SubjectRef::default() }
    }
    fn workload(&self) -> Option<&'a Workload> {
        None
    }
    fn lists() -> &'static [ObjectKind] {
        &[ObjectKind::ApiUse]
    }
    fn made_of(&self) -> &'static [ObjectKind] {
        MADE_OF
    }
    fn unseen(&self, _: &View<'_>, _: Metric) -> Option<Missing> {
        None
    }
}

#[cfg(test)]
mod tests {
    use crate::fixture::{self, advice};

    #[track_caller]
    fn check(server: &str, text: &str, expected: &str) {
        fixture::check("deprecated-api", &format!("server version={server}\n{text}"), expected);
    }

    const APPLIED: &str = "written ops/dump as=batch/v1beta1/cronjobs applied";

    #[test]
    fn a_manifest_that_cannot_be_applied_again() {
        check(
            "v1.33.2",
            &format!("{APPLIED}\nwritten ops/clean as=batch/v1beta1/cronjobs applied"),
            "warning /batch/v1beta1 CronJob: 2 objects were last applied as batch/v1beta1 CronJob, which Kubernetes 1.25 \
             removed: applying them again fails",
        );
        assert_eq!(
            advice("deprecated-api", &format!("server version=v1.33.2\n{APPLIED}")),
            ["write CronJob as batch/v1 in manifests and charts, and apply them"]
        );
    }

    #[test]
    fn the_next_version_removes_it() {
        check(
            "v1.24.9",
            APPLIED,
            "warning /batch/v1beta1 CronJob: batch/v1beta1 CronJob is in use, and is gone with Kubernetes 1.25, the next version of this cluster",
        );
        check(
            "v1.23.9",
            APPLIED,
            "info /batch/v1beta1 CronJob: batch/v1beta1 CronJob is in use, and is gone with Kubernetes 1.25",
        );
    }

    #[test]
    fn a_manager_counts_while_it_writes() {
        let by = |at: &str| format!("written ops/dump as=batch/v1beta1/cronjobs manager=helm at={at}");
        check(
            "v1.24.9",
            &by("30d"),
            "warning /batch/v1beta1 CronJob: batch/v1beta1 CronJob is in use, and is gone with Kubernetes 1.25, the next version of this cluster",
        );
        check("v1.24.9", &by("31d"), "1 ok");
        // Nobody can have written so since, whatever the field says.
        check("v1.25.0", &by("1d"), "1 ok");
        check("v1.24.9", "written ops/dump as=batch/v1beta1/cronjobs manager=helm", "1 ok");
    }

    #[test]
    fn a_client_that_asks() {
        let asked = "requested as=flowcontrol.apiserver.k8s.io/v1beta3/flowschemas removed=32";
        let name = "flowcontrol.apiserver.k8s.io/v1beta3 flowschemas";
        check(
            "v1.31.1",
            asked,
            &format!(
                "warning /{name}: {name} is in use, and is gone with Kubernetes 1.32, the next version of this cluster"
            ),
        );
        check("v1.29.1", asked, &format!("info /{name}: {name} is in use, and is gone with Kubernetes 1.32"));
        // As before the upgrade, of which the metrics server still has the series.
        check("v1.32.0", asked, "1 ok");
    }

    #[test]
    fn missing_is_unknown() {
        check("v1.33.2", "nothing-written", "1 ok");
        check("", APPLIED, "1 unknown: version of the API server is not reported");
        check("v1.33.2", "container web/api-0/app", "nothing");
        check("v1.33.2", "denied api-use", "1 unknown: not allowed to list api-use in all namespaces");
        check(
            "v1.33.2",
            "nothing-written\ndenied routes",
            "1 unknown: not allowed to list routes in all namespaces",
        );
    }
}
