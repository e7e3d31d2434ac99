//! `volume-claim-pending`: a claim has no volume.

use crate::check::{Check, CheckInfo, Judgement, Outcome};
use crate::finding::{Advice, Problem, Severity, Text};
use crate::inventory::VolumeClaim;
use crate::model::ObjectKind;
use crate::need::Needs;
use crate::phrase::or;
use crate::snapshot::{Field, Missing};
use crate::unit::Seconds;
use crate::view::View;

/// A claim has no volume.
pub struct VolumeClaimPending;

crate::params! {
    /// Parameters of `volume-claim-pending`.
    pub struct VolumeClaimPendingParams {
        /// How old a claim must be; a volume takes some time to make.
        min_age: Seconds = Seconds(900.0) => Seconds(0.0)..=Seconds::from_days(30.0),
    }
}

impl Check for VolumeClaimPending {
    const INFO: CheckInfo = CheckInfo {
        id: "volume-claim-pending",
        title: "Volume claim without volume",
        since: "0.1.0",
        checks: "Whether every PersistentVolumeClaim has a volume.",
        why: "A pod that mounts it does not start. The data of a lost volume are gone with it.",
        decides: "Critical when the phase is Lost: the volume does not exist any more. When it is Pending for longer than \
                  `min-age`: a warning when a pod mounts it, else info, because most storage classes wait for the first \
                  pod.",
        remedy: "Read the events of the claim: the storage class may be missing, its quota used up, or no zone fit.",
        false_alarms: "A claim for a pod that is unschedulable for another reason, which `pod-unschedulable` tells.",
        texts: &[
            ("pending", "has had no volume for {time}, and pod {pod} waits for it"),
            ("unused", "has had no volume for {time}; no pod mounts it"),
            ("lost", "its volume does not exist any more"),
            ("events", "read its events"),
            ("class", "see which storage classes there are"),
        ],
    };
    type Params = VolumeClaimPendingParams;
    type Subject<'a> = &'a VolumeClaim;

    fn needs(_: &Self::Params, needs: &mut Needs) {
        needs.objects(ObjectKind::VolumeClaims).objects(ObjectKind::Pods);
    }

    fn judge(params: &Self::Params, claim: &&VolumeClaim, view: &View<'_>) -> Judgement {
        let now = view.snapshot.taken_at;
        let problem = match claim.phase.as_str() {
            "Bound" => return Ok(Outcome::Ok),
            "Lost" => Problem::new(Severity::Critical, Text::new("lost")),
            "Pending" => {
                let Some(created) = claim.created else {
                    return Err(Missing::NotReported { field: Field::ClaimAge });
                };
                let Some(age) = created.age_at(now).filter(|age| *age > params.min_age.get()) else {
                    return Ok(Outcome::Ok);
                };
                pending(claim, age).lasted("pending-for", Seconds(age), params.min_age).since(Some(created))
            }
            other => return Err(Missing::NotReported { field: Field::ClaimPhase(other.to_owned()) }),
        };
        let class = or(&claim.class, "default-class");
        let mut problem = problem.evidence("storage-class", class);
        if let Some(size) = claim.requested {
            problem = problem.evidence("requested", size);
        }
        let (namespace, name) = (&claim.id.namespace, &claim.id.name);
        let events = format!("kubectl -n {namespace} describe pvc {name}");
        let classes = Advice::new(Text::new("class")).command("kubectl get storageclasses".to_owned(), &[]);
        Ok(problem
            .advise(Advice::new(Text::new("events")).command(events, &[namespace, name]))
            .advise(classes)
            .into())
    }
}

fn pending(claim: &VolumeClaim, age: f64) -> Problem {
    let age = Seconds(age);
    match &claim.used_by {
        Some(pod) => {
            let text = Text::new("pending").with("time", age).with("pod", pod.as_str());
            Problem::new(Severity::Warning, text)
        }
        None => Problem::new(Severity::Info, Text::new("unused").with("time", age)),
    }
}

#[cfg(test)]
mod tests {
    use crate::fixture;

    #[track_caller]
    fn check(text: &str, expected: &str) {
        fixture::check("volume-claim-pending", text, expected);
    }

    #[test]
    fn a_pod_that_waits_makes_it_a_warning() {
        check(
            "claim data/db phase=Pending used-by=db-0 created=16m",
            "warning data/db: has had no volume for 16m, and pod db-0 waits for it",
        );
        check(
            "claim data/db phase=Pending created=30d",
            "info data/db: has had no volume for 30d; no pod mounts it",
        );
        check("claim data/db phase=Pending used-by=db-0 created=15m", "1 ok");
        check("claim data/db used-by=db-0 created=30d", "1 ok");
    }

    #[test]
    fn a_lost_volume_is_critical() {
        check("claim data/db phase=Lost created=30d", "critical data/db: its volume does not exist any more");
    }

    #[test]
    fn missing_is_unknown() {
        check("claim data/db phase=Pending", "1 unknown: age of the claim is not reported");
        check("claim data/db phase= created=30d", "1 unknown: phase of the claim (``) is not reported");
        check("denied volume-claims", "1 unknown: not allowed to list volume-claims in all namespaces");
    }
}
