//! `node-cordoned`: a node was closed for pods, and nobody opened it again.

use crate::check::{Check, CheckInfo, Judgement, Outcome};
use crate::finding::{Advice, Problem, Severity, Text};
use crate::model::{Node, ObjectKind};
use crate::need::Needs;
use crate::snapshot::{Field, Missing};
use crate::unit::Seconds;
use crate::view::View;

/// A node was closed for pods, and nobody opened it again.
pub struct NodeCordoned;

crate::params! {
    /// Parameters of `node-cordoned`.
    pub struct NodeCordonedParams {
        /// Time that a node may be cordoned; the value itself is not told.
        lasting: Seconds = Seconds(86_400.0) => Seconds(0.0)..=Seconds::from_days(365.0),
        /// Time from which on it is a warning.
        warning_after: Seconds = Seconds(604_800.0) => Seconds(0.0)..=Seconds::from_days(365.0),
    }
    where |p| p.lasting <= p.warning_after, "lasting must not be above warning-after";
}

impl Check for NodeCordoned {
    const INFO: CheckInfo = CheckInfo {
        id: "node-cordoned",
        title: "Node cordoned for long",
        since: "0.1.0",
        checks: "Whether a node has been cordoned and then forgotten.",
        why: "It costs as much as before and takes no new pod. The other nodes fill up, and what the cluster can lose shrinks \
              without anybody seeing it.",
        decides: "Info when a node is unschedulable for longer than `lasting`, a warning from `warning-after` on. The time is \
                  that of the taint `node.kubernetes.io/unschedulable`, which the node controller sets; without it the node \
                  is unknown.",
        remedy: "Open it again with `kubectl uncordon`, or drain and remove it.",
        false_alarms: "A node that is kept for an investigation.",
        texts: &[
            ("cordoned", "cordoned for {time}: no pod is placed on it"),
            ("uncordon", "open it again when the maintenance is over; else drain and remove it"),
        ],
    };
    type Params = NodeCordonedParams;
    type Subject<'a> = &'a Node;

    fn needs(_: &Self::Params, needs: &mut Needs) {
        needs.objects(ObjectKind::Nodes);
    }

    fn judge(params: &Self::Params, node: &&Node, view: &View<'_>) -> Judgement {
        if !node.unschedulable {
            return Ok(Outcome::Ok);
        }
        let Some(since) = node.unschedulable_since else {
            return Err(Missing::NotReported { field: Field::CordonedSince });
        };
        // What was cordoned after the end of the run was not so then.
        let Some(lasted) = since.age_at(view.snapshot.taken_at).map(Seconds) else { return Ok(Outcome::Ok) };
        if lasted <= params.lasting {
            return Ok(Outcome::Ok);
        }
        let (severity, bound) = match lasted >= params.warning_after {
            true => (Severity::Warning, params.warning_after),
            false => (Severity::Info, params.lasting),
        };
        let name = node.name.as_str();
        let uncordon =
            Advice::new(Text::new("uncordon")).command(format!("kubectl uncordon {name}"), &[name]);
        Ok(Problem::new(severity, Text::new("cordoned").with("time", lasted))
            .lasted("cordoned", lasted, bound)
            .since(Some(since))
            .advise(uncordon)
            .into())
    }
}

#[cfg(test)]
mod tests {
    use crate::fixture;

    #[track_caller]
    fn check(text: &str, expected: &str) {
        fixture::check("node-cordoned", text, expected);
    }

    #[test]
    fn a_day_is_maintenance_and_more_is_forgotten() {
        check("node n1 cordoned=24h\nnode n2", "2 ok");
        check("node n1 cordoned=25h", "info /n1: cordoned for 25h: no pod is placed on it");
        check("node n1 cordoned=7d", "warning /n1: cordoned for 7d: no pod is placed on it");
        check("set lasting=1h\nnode n1 cordoned=2h", "info /n1: cordoned for 2h: no pod is placed on it");
    }

    #[test]
    fn what_was_not_yet_so_is_none() {
        check("window lookback=30d now=-3d\nnode n1 cordoned=2d", "1 ok");
    }

    #[test]
    fn missing_is_unknown() {
        check("node n1 cordoned", "1 unknown: since when the node is cordoned is not reported");
        check("denied nodes", "1 unknown: not allowed to list nodes in all namespaces");
    }
}
