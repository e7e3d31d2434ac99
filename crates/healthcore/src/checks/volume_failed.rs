//! `volume-failed`: a volume cannot be reclaimed or used, or nobody uses it.

use crate::check::{Check, CheckInfo, Judgement, Outcome};
use crate::finding::{Advice, Problem, Severity, Text, Value};
use crate::inventory::Volume;
use crate::model::ObjectKind;
use crate::need::Needs;
use crate::phrase::{or, phrase};
use crate::snapshot::{Field, Missing};
use crate::time::Timestamp;
use crate::unit::Seconds;
use crate::view::View;

/// A volume cannot be reclaimed or used, or nobody uses it.
pub struct VolumeFailed;

crate::params! {
    /// Parameters of `volume-failed`.
    pub struct VolumeFailedParams {
        /// Time that a volume may be Failed or Pending; the value itself is not told.
        grace: Seconds = Seconds(300.0) => Seconds(0.0)..=Seconds::from_days(30.0),
        /// Time that the deletion of a released volume may take; the value itself is not told.
        deletion: Seconds = Seconds(3600.0) => Seconds(0.0)..=Seconds::from_days(365.0),
        /// Time that a volume may be there for nobody; the value itself is not told.
        unused: Seconds = Seconds::from_days(30.0) => Seconds(0.0)..=Seconds::from_days(3650.0),
    }
}

/// What is wrong with a volume: the keys of its sentence, with and without a time, and what comes with it.
struct Fault {
    severity: Severity,
    keys: [&'static str; 2],
    since: Option<Timestamp>,
    /// How the time is called, and from which on it counts.
    bound: (&'static str, Seconds),
    advice: &'static str,
}

impl Check for VolumeFailed {
    const INFO: CheckInfo = CheckInfo {
        id: "volume-failed",
        title: "Volume failed or forgotten",
        since: "0.1.0",
        checks: "Whether every PersistentVolume is in use, and goes away when it is to be deleted.",
        why: "A disk that could not be deleted, and one that nobody uses, is paid for and holds data that nobody looks after.",
        decides: "A warning when a volume has been Failed (it could not be reclaimed) or Pending (no claim can be bound to it) for \
                  longer than `grace`, or when its claim has been gone for longer than `deletion` and it is still there, although \
                  its reclaim policy is not Retain. Info when it is kept (policy Retain) and its claim has been gone for longer \
                  than `unused`, or when no claim has taken it for that long; disks and folders of nodes that wait for a claim \
                  are left out. The time is that of the last change of the phase, which Kubernetes tells since 1.29: where it \
                  is missing, the phase is as old as that or older, and what has failed or was released is told without a time. A \
                  run over chosen namespaces looks at volumes of their claims, and at those that no claim has taken.",
        remedy: "Read message and events of the volume. Decide whether the data of one that is kept are still needed; deleting a \
                 PersistentVolume with policy Retain does not delete its disk.",
        false_alarms: "Volumes that are kept as an archive: raise `unused`. A claim whose volume is lost is told of by \
                       `volume-claim-pending`.",
        texts: &[
            ("failed", "could not be reclaimed, for {time}: {message}"),
            ("failed-unknown-time", "could not be reclaimed: {message}"),
            ("pending", "Pending for {time}, so that no claim can be bound to it"),
            ("undeleted", "its claim has been gone for {time}, and it is not deleted (policy {policy})"),
            ("undeleted-unknown-time", "its claim is gone, and it is not deleted (policy {policy})"),
            (
                "kept",
                "its claim has been gone for {time}; it is kept (policy Retain): {size} that nobody uses",
            ),
            ("kept-unknown-time", "its claim is gone; it is kept (policy Retain): {size} that nobody uses"),
            ("unclaimed", "no claim has taken it for {time}: {size} that nobody uses"),
            (
                "describe",
                "read its message and events: what deletes it may be gone or lack a right, or the disk may still be attached to a node",
            ),
            (
                "controller",
                "read its events, and see whether the controller manager and what provisions volumes run",
            ),
            (
                "decide",
                "see whether its data are still needed; if not, delete the volume, and the disk behind it where it was made: with policy Retain that stays, and costs",
            ),
        ],
    };
    type Params = VolumeFailedParams;
    type Subject<'a> = &'a Volume;

    fn needs(_: &Self::Params, needs: &mut Needs) {
        needs.objects(ObjectKind::Volumes);
    }

    fn judge(params: &Self::Params, volume: &&Volume, view: &View<'_>) -> Judgement {
        let Some(fault) = fault(params, volume)? else { return Ok(Outcome::Ok) };
        let lasted = fault.since.and_then(|since| since.age_at(view.snapshot.taken_at)).map(Seconds);
        let (name_of_time, bound) = fault.bound;
        // What changed after the end of the run was otherwise then.
        if fault.since.is_some() && lasted.is_none_or(|lasted| lasted <= bound) {
            return Ok(Outcome::Ok);
        }
        let text = match lasted {
            Some(lasted) => Text::new(fault.keys[0]).with("time", lasted),
            None => Text::new(fault.keys[1]),
        };
        let size: Value = volume.capacity.map_or_else(|| phrase("not-known").into(), Into::into);
        let text = text
            .with("message", or(&volume.message, "no-message"))
            .with("policy", volume.policy.as_str())
            .with("size", size.clone());
        let mut problem = Problem::new(fault.severity, text).since(fault.since);
        if let Some(lasted) = lasted {
            problem = problem.lasted(name_of_time, lasted, bound);
        }
        if let Some(claim) = &volume.claim {
            problem = problem.evidence("claim", format!("{}/{}", claim.namespace, claim.name));
        }
        problem = problem
            .evidence("reclaim-policy", or(&volume.policy, "not-reported"))
            .evidence("storage-class", or(&volume.class, "none"))
            .evidence("size", size);
        if !volume.message.is_empty() {
            problem = problem.evidence("message", volume.message.as_str());
        }
        let name = volume.id.name.as_str();
        let advice = Advice::new(Text::new(fault.advice));
        Ok(problem.advise(advice.command(format!("kubectl describe pv {name}"), &[name])).into())
    }
}

fn fault(params: &VolumeFailedParams, volume: &Volume) -> Result<Option<Fault>, Missing> {
    // It begins with these phases.
    let begun = || volume.since.or(volume.created).ok_or(Missing::NotReported { field: Field::VolumeAge });
    Ok(match volume.phase.as_str() {
        "Failed" => Some(Fault {
            severity: Severity::Warning,
            keys: ["failed", "failed-unknown-time"],
            since: volume.since,
            bound: ("failed-for", params.grace),
            advice: "describe",
        }),
        "Pending" => Some(Fault {
            severity: Severity::Warning,
            keys: ["pending", "pending"],
            since: Some(begun()?),
            bound: ("pending-for", params.grace),
            advice: "controller",
        }),
        "Released" if volume.policy == "Retain" => Some(Fault {
            severity: Severity::Info,
            keys: ["kept", "kept-unknown-time"],
            since: volume.since,
            bound: ("released-for", params.unused),
            advice: "decide",
        }),
        "Released" => Some(Fault {
            severity: Severity::Warning,
            keys: ["undeleted", "undeleted-unknown-time"],
            since: volume.since,
            bound: ("released-for", params.deletion),
            advice: "describe",
        }),
        "Available" if !volume.local => Some(Fault {
            severity: Severity::Info,
            keys: ["unclaimed", "unclaimed"],
            since: Some(begun()?),
            bound: ("unclaimed-for", params.unused),
            advice: "decide",
        }),
        "Available" | "Bound" => None,
        other => return Err(Missing::NotReported { field: Field::VolumePhase(other.to_owned()) }),
    })
}

#[cfg(test)]
mod tests {
    use crate::fixture::{self, advice};

    #[track_caller]
    fn check(text: &str, expected: &str) {
        fixture::check("volume-failed", text, expected);
    }

    #[test]
    fn what_could_not_be_reclaimed_is_a_warning() {
        let failed =
            "volume pv-1 phase=Failed capacity=10Gi claim=data/db message=\"the disk is in use\" created=90d";
        check(
            &format!("{failed} since=2h"),
            "warning /pv-1: could not be reclaimed, for 2h: the disk is in use",
        );
        check(&format!("{failed} since=5m"), "1 ok");
        check(failed, "warning /pv-1: could not be reclaimed: the disk is in use");
        check(
            "volume pv-1 phase=Failed since=301s",
            "warning /pv-1: could not be reclaimed, for 301s: no message",
        );
    }

    #[test]
    fn what_no_claim_can_be_bound_to_is_a_warning() {
        check(
            "volume pv-1 phase=Pending created=2h",
            "warning /pv-1: Pending for 2h, so that no claim can be bound to it",
        );
        check("volume pv-1 phase=Pending created=1m", "1 ok");
    }

    #[test]
    fn what_is_to_be_deleted_and_is_not_is_a_warning() {
        let released = "volume pv-1 phase=Released capacity=10Gi claim=data/db created=90d";
        check(
            &format!("{released} since=61m"),
            "warning /pv-1: its claim has been gone for 61m, and it is not deleted (policy Delete)",
        );
        check(&format!("{released} since=1h"), "1 ok");
        check(released, "warning /pv-1: its claim is gone, and it is not deleted (policy Delete)");
    }

    #[test]
    fn what_is_kept_for_nobody_is_info() {
        let kept = "volume pv-1 phase=Released policy=Retain capacity=10Gi claim=data/db created=90d";
        check(
            &format!("{kept} since=31d"),
            "info /pv-1: its claim has been gone for 31d; it is kept (policy Retain): 10Gi that nobody uses",
        );
        check(&format!("{kept} since=30d"), "1 ok");
        check(kept, "info /pv-1: its claim is gone; it is kept (policy Retain): 10Gi that nobody uses");
        check(
            "volume pv-1 phase=Available policy=Retain capacity=10Gi created=31d",
            "info /pv-1: no claim has taken it for 31d: 10Gi that nobody uses",
        );
        // A disk of a node is there anyway.
        check("volume pv-1 phase=Available local capacity=10Gi created=90d", "1 ok");
        assert_eq!(
            advice("volume-failed", &format!("{kept} since=31d")),
            [
                "see whether its data are still needed; if not, delete the volume, and the disk behind it where it was made: \
                 with policy Retain that stays, and costs [kubectl describe pv pv-1]"
            ]
        );
    }

    #[test]
    fn what_is_in_use_is_in_order() {
        check("volume pv-1 claim=data/db created=90d since=90d", "1 ok");
    }

    #[test]
    fn what_was_not_yet_so_is_none() {
        check("window lookback=30d now=-3d\nvolume pv-1 phase=Failed since=2d created=90d", "1 ok");
    }

    #[test]
    fn missing_is_unknown() {
        check("volume pv-1 phase=Available", "1 unknown: age of the volume is not reported");
        check("volume pv-1 phase= created=2h", "1 unknown: phase of the volume (``) is not reported");
        check("denied volumes", "1 unknown: not allowed to list volumes in all namespaces");
    }
}
