//! `version-skew`: kubelets of a version that the API server does not support.

use std::collections::BTreeMap;

use crate::check::{Check, CheckInfo, Judgement, Outcome, Subject};
use crate::finding::{Advice, Problem, Severity, SubjectRef, Text, Value};
use crate::metric::Metric;
use crate::model::{Node, ObjectKind, Workload};
use crate::need::Needs;
use crate::phrase::phrase;
use crate::snapshot::{Field, Missing};
use crate::view::View;

/// Kubelets of a version that the API server does not support.
pub struct VersionSkew;

crate::params! {
    /// Parameters of `version-skew`.
    pub struct VersionSkewParams {
        /// Minor versions that a kubelet may be older than the API server.
        most: u32 = 3 => 0..=10,
    }
}

/// Before this minor version a kubelet may be one version less behind.
const THREE_SINCE: u32 = 25;

impl Check for VersionSkew {
    const INFO: CheckInfo = CheckInfo {
        id: "version-skew",
        title: "Kubelet too old or too new",
        since: "0.1.0",
        checks: "Whether the version of each kubelet is supported with that of the API server.",
        why: "Nobody tests other combinations: pods fail to start or stop in ways that no message explains, and the next \
              upgrade of the control plane is refused or breaks nodes.",
        decides: "By the version skew policy of Kubernetes: a warning when a kubelet is newer than the API server by a minor \
                  version, or older by more than `most` (one less for kubelets before 1.25). Info when it is older by just \
                  that many, because the nodes must go first in the next upgrade. Nodes of one version are told \
                  together. Virtual nodes (label `type=virtual-kubelet`, or `-vk-` in their version) have no kubelet, and are \
                  left out.",
        remedy: "Upgrade the nodes, or the control plane when the nodes are ahead.",
        false_alarms: "Virtual nodes that are not known as such and give a version of their own.",
        texts: &[
            (
                "older",
                "{nodes} {nodes|node is|nodes are} {behind} minor {behind|version|versions} behind the API server ({server}), at most {most} are supported",
            ),
            (
                "newer",
                "{nodes} {nodes|node is|nodes are} newer than the API server ({server}), which is not supported",
            ),
            (
                "last",
                "{nodes} {nodes|node is|nodes are} {behind} minor {behind|version|versions} behind the API server ({server}): upgrade them before it",
            ),
            ("nodes", "upgrade these nodes: {names}"),
        ],
    };
    type Params = VersionSkewParams;
    type Subject<'a> = Kubelets<'a>;

    fn needs(_: &Self::Params, needs: &mut Needs) {
        needs.objects(ObjectKind::Nodes);
    }

    fn judge(params: &Self::Params, kubelets: &Kubelets<'_>, view: &View<'_>) -> Judgement {
        let server = view.snapshot.objects.inventory.server_version.as_str();
        let unread = |field| Missing::NotReported { field };
        let (major, api) = minor(server).ok_or_else(|| unread(Field::VersionOfApiServer))?;
        let (own_major, own) = minor(kubelets.version).ok_or_else(|| unread(Field::VersionOfKubelet))?;
        if major != own_major {
            return Err(unread(Field::VersionToCompare));
        }
        let most = if own < THREE_SINCE { params.most.saturating_sub(1) } else { params.most };
        let behind = api.saturating_sub(own);
        let (severity, text) = if own > api {
            (Severity::Warning, Text::new("newer"))
        } else if behind > most {
            (Severity::Warning, Text::new("older").with("behind", behind).with("most", most))
        } else if behind == most && most > 0 {
            (Severity::Info, Text::new("last").with("behind", behind))
        } else {
            return Ok(Outcome::Ok);
        };
        let names = kubelets.in_words();
        let advice = Advice::new(Text::new("nodes").with("names", names.clone()))
            .command("kubectl get nodes -o wide".to_owned(), &[]);
        Ok(Problem::new(severity, text.with("nodes", kubelets.nodes.len()).with("server", server))
            .evidence("kubelet-version", kubelets.version)
            .evidence("server-version", server)
            .evidence("nodes", names)
            .advise(advice)
            .into())
    }
}

/// Whether a virtual kubelet gives the version, which is its own: `v1.19.10-vk-azure-aci-1.6.2`.
fn is_virtual(node: &Node) -> bool {
    node.is_virtual || node.kubelet_version.contains("-vk-")
}

/// Major and minor of `v1.33.2`, `v1.30.4-eks-1a2b3c`, `v1.28+`.
pub(super) fn minor(version: &str) -> Option<(u32, u32)> {
    let mut parts = version.trim_start_matches('v').split(['.', '-', '+']);
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

/// All nodes with the same version of the kubelet.
#[derive(Debug, Clone)]
pub struct Kubelets<'a> {
    /// The version.
    pub version: &'a str,
    /// Names of the nodes, in order.
    pub nodes: Vec<&'a str>,
}

impl Kubelets<'_> {
    fn in_words(&self) -> Value {
        const MOST: usize = 5;
        let named: Vec<&str> = self.nodes.iter().copied().take(MOST).collect();
        match self.nodes.len().saturating_sub(MOST) {
            0 => named.join(", ").into(),
            more => phrase("and-more").with("first", named.join(", ")).with("more", more).into(),
        }
    }
}

impl<'a> Subject<'a> for Kubelets<'a> {
    fn all(view: &View<'a>) -> Vec<Self> {
        let mut all: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for node in view.snapshot.objects.nodes.iter().filter(|node| !is_virtual(node)) {
            all.entry(&node.kubelet_version).or_default().push(&node.name);
        }
        let sorted = |(version, mut nodes): (&'a str, Vec<&'a str>)| {
            nodes.sort_unstable();
            Self { version, nodes }
        };
        all.into_iter().map(sorted).collect()
    }
    fn reference(&self) -> SubjectRef {
        let name = if self.version.is_empty() { "unknown" } else { self.version };
        SubjectRef { kind: "Kubelet".to_owned(), name: name.to_owned(), ..SubjectRef::default() }
    }
    fn workload(&self) -> Option<&'a Workload> {
        None
    }
    fn lists() -> &'static [ObjectKind] {
        &[ObjectKind::Nodes]
    }
    fn unseen(&self, _: &View<'_>, _: Metric) -> Option<Missing> {
        None
    }
}

#[cfg(test)]
mod tests {
    use crate::fixture;

    #[track_caller]
    fn check(server: &str, nodes: &str, expected: &str) {
        fixture::check("version-skew", &format!("server version={server}\n{nodes}"), expected);
    }

    #[test]
    fn at_most_three_behind() {
        check("v1.33.2", "node n1 kubelet=v1.33.0\nnode n2 kubelet=v1.31.9-gke.1", "2 ok");
        check(
            "v1.33.2",
            "node n1 kubelet=v1.30.4",
            "info /v1.30.4: 1 node is 3 minor versions behind the API server (v1.33.2): upgrade them before it",
        );
        check(
            "v1.33.2",
            "node n1 kubelet=v1.29.4\nnode n2 kubelet=v1.29.4",
            "warning /v1.29.4: 2 nodes are 4 minor versions behind the API server (v1.33.2), at most 3 are supported",
        );
    }

    #[test]
    fn before_1_25_at_most_two() {
        check(
            "v1.27.1",
            "node n1 kubelet=v1.24.9",
            "warning /v1.24.9: 1 node is 3 minor versions behind the API server (v1.27.1), at most 2 are supported",
        );
    }

    #[test]
    fn never_newer() {
        check(
            "v1.32.9",
            "node n1 kubelet=v1.33.0",
            "warning /v1.33.0: 1 node is newer than the API server (v1.32.9), which is not supported",
        );
        check("v1.33.0", "node n1 kubelet=v1.33.9", "1 ok");
    }

    #[test]
    fn virtual_nodes_have_no_kubelet() {
        check("v1.33.2", "node aci kubelet=v1.19.10-vk-azure-aci-1.6.2\nnode n1 kubelet=v1.33.0", "1 ok");
        check("v1.33.2", "node eci kubelet=v1.22.3 virtual", "nothing");
    }

    #[test]
    fn missing_is_unknown() {
        check("", "node n1 kubelet=v1.33.0", "1 unknown: version of the API server is not reported");
        check("v1.33.2", "node n1", "1 unknown: version of the kubelet is not reported");
        check("v1.33.2", "denied nodes", "1 unknown: not allowed to list nodes in all namespaces");
    }
}
