//! What an account must be allowed, from the tables that the client itself asks by. Pure, but for asking the server what it
//! allows.

use std::collections::BTreeSet;
use std::fmt;

use healthcore::model::ObjectKind;
use k8s_openapi::api::authorization::v1::{
    ResourceAttributes, SelfSubjectAccessReview, SelfSubjectAccessReviewSpec,
};
use kube::api::{Api, PostParams};

use super::reach::Reach;
use super::request::{self, NAMESPACES, Resource};
use super::scope::{FEW, is_glob};
use super::send::chain;
use super::source::KubernetesSource;
use crate::SourceError;

/// What the user name of an account of a cluster begins with; namespace and name follow, with a colon between them.
pub const SERVICE_ACCOUNT: &str = "system:serviceaccount:";

/// The namespace that every cluster has for as long as it is there, and whose uid therefore tells it from others.
pub(super) const IDENTIFYING_NAMESPACE: &str = "kube-system";

/// One thing that an account must be allowed: a verb on a resource.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Right {
    /// API group; empty for the core group, `*` for any.
    pub group: &'static str,
    /// Resource as rules of RBAC name it, with its subresource: `pods`, `pods/exec`, `*/scale`.
    pub resource: &'static str,
    /// The only object it is needed on, if one is known.
    pub name: Option<String>,
    /// `list`, `get`, `create` or `update`.
    pub verb: &'static str,
    /// Where it is needed.
    pub place: Place,
    /// Objects that are read by it; empty for the way to a metrics server, for a lease, and for what tells two clusters apart.
    pub kinds: BTreeSet<ObjectKind>,
}

/// Where a right is needed.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// On objects that are in no namespace; no Role can give it.
    Cluster,
    /// In every namespace that is looked into.
    Selected,
    /// In this namespace.
    Namespace(String),
}

impl Right {
    fn of(resource: &Resource, kinds: BTreeSet<ObjectKind>) -> Self {
        let place = if resource.namespaced { Place::Selected } else { Place::Cluster };
        let Resource { group, plural, .. } = *resource;
        Self { group, resource: plural, name: None, verb: "list", place, kinds }
    }

    /// On something of the core group in one namespace, for the way to a metrics server.
    pub(super) fn within(
        namespace: &str,
        verb: &'static str,
        resource: &'static str,
        name: Option<&str>,
    ) -> Self {
        let place = Place::Namespace(namespace.to_owned());
        Self { group: "", resource, name: name.map(str::to_owned), verb, place, kinds: BTreeSet::new() }
    }

    /// What the verb is needed on: `deployments.apps`, `services/proxy prometheus:9090`.
    pub(super) fn object(&self) -> String {
        let mut object = self.resource.to_owned();
        if !matches!(self.group, "" | "*") {
            object += &format!(".{}", self.group);
        }
        if let Some(name) = &self.name {
            object += &format!(" {name}");
        }
        object
    }
}

impl fmt::Display for Right {
    /// `list deployments.apps`, `get services/proxy prometheus:9090`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.verb, self.object())
    }
}

/// Everything that an account must be allowed so that a run over `namespaces` (names or globs; empty for all) can read
/// `kinds`, and a metrics server `via` the API. What every account may read anyway (the version of the server, which APIs it
/// has) is not among it.
#[must_use]
pub fn rights(kinds: &BTreeSet<ObjectKind>, namespaces: &[String], via: Option<&Reach>) -> Vec<Right> {
    let mut out = Vec::new();
    if !kinds.is_empty() && lists_namespaces(namespaces) {
        out.push(Right::of(&NAMESPACES, kinds.clone()));
    }
    for (by, resource) in request::LISTS {
        let of = Right::of(resource, by.iter().copied().filter(|kind| kinds.contains(kind)).collect());
        if of.kinds.is_empty() {
            continue;
        }
        match out.iter_mut().find(|r| (r.group, r.resource) == (of.group, of.resource)) {
            Some(same) => same.kinds.extend(of.kinds),
            None => out.push(of),
        }
    }
    if kinds.contains(&ObjectKind::Pods) {
        out.push(scale());
    }
    if kinds.contains(&ObjectKind::JvmOptions) {
        out.push(get("configmaps", ObjectKind::JvmOptions));
    }
    if kinds.contains(&ObjectKind::Logs) {
        out.push(get("pods/log", ObjectKind::Logs));
    }
    out.extend(via.into_iter().flat_map(Reach::rights));
    out
}

/// What an account may be allowed besides, so that a cluster with two addresses is known to be one. Without it only one
/// address under two names is.
#[must_use]
pub fn identity_right() -> Right {
    Right {
        group: "",
        resource: "namespaces",
        name: Some(IDENTIFYING_NAMESPACE.to_owned()),
        verb: "get",
        place: Place::Cluster,
        kinds: BTreeSet::new(),
    }
}

/// What an account must be allowed so that programs that run by it can elect one of them by a lease. The lease may have to
/// be made first, and RBAC knows no names of what is not there yet.
#[must_use]
pub fn lease_rights(namespace: &str, name: &str) -> Vec<Right> {
    let on = |verb: &'static str, name: Option<&str>| Right {
        group: "coordination.k8s.io",
        resource: "leases",
        name: name.map(str::to_owned),
        verb,
        place: Place::Namespace(namespace.to_owned()),
        kinds: BTreeSet::new(),
    };
    vec![on("create", None), on("get", Some(name)), on("update", Some(name))]
}

/// The replicas that are wanted of owners that are no built-in kind, whatever their group is.
fn scale() -> Right {
    let kinds = BTreeSet::from([ObjectKind::Pods]);
    Right { group: "*", resource: "*/scale", name: None, verb: "get", place: Place::Selected, kinds }
}

/// To read single objects of the core group, in the namespaces that are looked into.
fn get(resource: &'static str, kind: ObjectKind) -> Right {
    let kinds = BTreeSet::from([kind]);
    Right { group: "", resource, name: None, verb: "get", place: Place::Selected, kinds }
}

/// Whether the names of all namespaces must be known.
fn lists_namespaces(patterns: &[String]) -> bool {
    let everywhere = patterns.is_empty() || patterns.iter().any(|p| p == "*");
    !everywhere && (patterns.len() > FEW || patterns.iter().any(|p| is_glob(p)))
}

impl KubernetesSource {
    /// Whether the account of this source has a right, as the server says (SelfSubjectAccessReview); `namespace` for one
    /// that is needed in [`Place::Selected`], where none stands for all.
    ///
    /// # Errors
    /// The server does not say.
    pub async fn may(&self, right: &Right, namespace: Option<&str>) -> Result<bool, SourceError> {
        let (resource, subresource) = match right.resource.split_once('/') {
            Some((resource, subresource)) => (resource, Some(subresource.to_owned())),
            None => (right.resource, None),
        };
        let namespace = match &right.place {
            Place::Cluster => None,
            Place::Selected => namespace,
            Place::Namespace(own) => Some(own.as_str()),
        };
        let review = SelfSubjectAccessReview {
            spec: SelfSubjectAccessReviewSpec {
                resource_attributes: Some(ResourceAttributes {
                    group: Some(right.group.to_owned()),
                    resource: Some(resource.to_owned()),
                    subresource,
                    name: right.name.clone(),
                    namespace: namespace.map(str::to_owned),
                    verb: Some(right.verb.to_owned()),
                    ..ResourceAttributes::default()
                }),
                ..SelfSubjectAccessReviewSpec::default()
            },
            ..SelfSubjectAccessReview::default()
        };
        let api: Api<SelfSubjectAccessReview> = Api::all(self.client().clone());
        let answer = api.create(&PostParams::default(), &review).await;
        let status = answer.map(|answer| answer.status.unwrap_or_default());
        status.map(|status| status.allowed).map_err(|e| match (&self.settings.impersonate, words(&e)) {
            // The server looks at that first, and then answers for the other account.
            (Some(user), said) if said.contains("impersonate") => SourceError::Setting {
                what: format!("--as {user}"),
                why: format!(
                    "the account of the kubeconfig may not act as it ({said}); ask as an administrator, or grant it the verb `impersonate` on {}",
                    if user.starts_with(SERVICE_ACCOUNT) { "serviceaccounts" } else { "users" }
                ),
            },
            (_, why) => SourceError::Unusable {
                what: format!("the Kubernetes API, asked whether it allows to {right},"),
                why,
            },
        })
    }
}

/// What the server says, in its own words, else what became of the request.
fn words(error: &kube::Error) -> String {
    match error {
        kube::Error::Api(status) if !status.message.is_empty() => status.message.clone(),
        other => chain(other),
    }
}
