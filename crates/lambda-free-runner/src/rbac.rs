//! Rules of RBAC for an account that runs the checks: what the enabled ones read, and nothing else.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Write as _};

use healthcore::checks::CHECKS;
use healthcore::model::ObjectKind;
use healthcore::settings::{Settings, SettingsError};
use healthcore_sources::kubernetes::{Place, Reach, Right, identity_right, lease_rights, rights};

/// Checks that are named one by one beside a resource; more are counted.
const MOST_NAMED: usize = 3;

/// Which account, and what it is to read.
#[derive(Debug, Clone)]
pub struct Rbac {
    /// The enabled checks.
    pub settings: Settings,
    /// Namespaces to look into, names or globs; empty for all.
    pub namespaces: Vec<String>,
    /// The ways to metrics servers through the API.
    pub via: Vec<Reach>,
    /// The lease by which one of several programs is elected, if there are several: namespace and name.
    pub lease: Option<(String, String)>,
    /// How far the rules reach.
    pub scope: Scope,
    /// Whether Secrets of type `kubernetes.io/tls` may be read. RBAC cannot tell them from others.
    pub secrets: bool,
    /// Whether names in DNS are configured: ConfigMaps with routes of nginx are read only then.
    pub names_in_dns: bool,
    /// Name of the roles and bindings.
    pub name: String,
    /// The ServiceAccount: namespace and name.
    pub account: (String, String),
    /// Whether the ServiceAccount and the bindings are printed, too.
    pub all: bool,
}

/// How far rules reach.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// One ClusterRole.
    Cluster,
    /// A Role in every namespace that is named.
    Namespace,
}

/// A right, and who needs it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// The right.
    pub right: Right,
    /// What it is for.
    pub purpose: Purpose,
}

/// What a right is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Purpose {
    /// These checks, by their ids and in their order.
    Checks(Vec<&'static str>),
    /// To know a cluster by another address.
    Identity,
    /// The way to a metrics server.
    Metrics,
    /// The election of one of several programs.
    Election,
}

/// Why rules cannot be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RbacError {
    /// A setting of a check cannot be used.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// Roles are in namespaces that nobody has named.
    #[error(
        "a Role is in one namespace, and none is named: give the namespaces with -n, or `--scope cluster`"
    )]
    NoNamespace,
    /// A glob does not say which namespaces there are.
    #[error(
        "a Role is in one namespace, and `{0}` may stand for several: give the namespaces by name, or `--scope cluster`"
    )]
    Glob(String),
}

impl Rbac {
    /// Every right that is needed, and what for. Secrets are among them only where they are asked for.
    ///
    /// # Errors
    /// A setting cannot be used, or a Role is asked for without the name of a namespace.
    pub fn grants(&self) -> Result<Vec<Grant>, RbacError> {
        self.check_scope()?;
        let by_check = self.objects_by_check()?;
        let mut kinds: BTreeSet<ObjectKind> = by_check.iter().flat_map(|(_, kinds)| kinds).copied().collect();
        if !self.secrets {
            kinds.remove(&ObjectKind::TlsSecrets);
        }
        // Every namespace that a Role is in is there.
        let namespaces = if self.scope == Scope::Namespace { &[][..] } else { &self.namespaces };
        let for_checks = |right: Right| {
            let needs = |kinds: &BTreeSet<ObjectKind>| !kinds.is_disjoint(&right.kinds);
            let checks = by_check.iter().filter(|(_, kinds)| needs(kinds)).map(|(id, _)| *id).collect();
            Grant { right, purpose: Purpose::Checks(checks) }
        };
        let mut grants: Vec<Grant> = rights(&kinds, namespaces, None).into_iter().map(for_checks).collect();
        grants.push(Grant { right: identity_right(), purpose: Purpose::Identity });
        let ways = self.via.iter().flat_map(|via| rights(&BTreeSet::new(), &[], Some(via)));
        grants.extend(ways.map(|right| Grant { right, purpose: Purpose::Metrics }));
        let lease = self.lease.iter().flat_map(|(namespace, name)| lease_rights(namespace, name));
        grants.extend(lease.map(|right| Grant { right, purpose: Purpose::Election }));
        grants.sort_by(|a, b| a.right.cmp(&b.right));
        grants.dedup();
        Ok(grants)
    }

    /// The rights that [`Rbac::manifests`] give: those of [`Rbac::grants`] without what a Role cannot give.
    ///
    /// # Errors
    /// As [`Rbac::grants`].
    pub fn given(&self) -> Result<Vec<Grant>, RbacError> {
        let mut grants = self.grants()?;
        grants.retain(|g| self.scope == Scope::Cluster || g.right.place != Place::Cluster);
        Ok(grants)
    }

    /// Checks that would read Secrets and may not, since nobody said that they may.
    ///
    /// # Errors
    /// A setting cannot be used.
    pub fn without_secrets(&self) -> Result<Vec<&'static str>, RbacError> {
        if self.secrets {
            return Ok(Vec::new());
        }
        let reads = self.objects_by_check()?.into_iter();
        Ok(reads.filter(|(_, kinds)| kinds.contains(&ObjectKind::TlsSecrets)).map(|(id, _)| id).collect())
    }

    /// The manifests, in YAML.
    ///
    /// # Errors
    /// As [`Rbac::grants`].
    pub fn manifests(&self) -> Result<String, RbacError> {
        let grants = self.grants()?;
        let (own, elsewhere): (Vec<Grant>, Vec<Grant>) =
            grants.into_iter().partition(|g| !matches!(g.right.place, Place::Namespace(_)));
        let mut documents = Vec::new();
        if self.all {
            let (namespace, name) = &self.account;
            documents
                .push(format!("apiVersion: v1\nkind: ServiceAccount\n{}", metadata(name, Some(namespace))));
        }
        match self.scope {
            Scope::Cluster => documents.extend(self.role(None, &self.name, &own)),
            Scope::Namespace => {
                let within: Vec<Grant> =
                    own.iter().filter(|g| g.right.place == Place::Selected).cloned().collect();
                for namespace in &self.namespaces {
                    documents.extend(self.role(Some(namespace), &self.name, &within));
                }
            }
        }
        let mut roles: BTreeMap<(String, &str), Vec<Grant>> = BTreeMap::new();
        for grant in elsewhere {
            if let Place::Namespace(namespace) = &grant.right.place {
                let of = if grant.purpose == Purpose::Election { "lease" } else { "metrics" };
                roles.entry((namespace.clone(), of)).or_default().push(grant);
            }
        }
        for ((namespace, of), grants) in roles {
            documents.extend(self.role(Some(&namespace), &format!("{}-{of}", self.name), &grants));
        }
        Ok(format!("{}{}", self.head(&own)?, documents.join("---\n")))
    }

    fn check_scope(&self) -> Result<(), RbacError> {
        if self.scope == Scope::Cluster {
            return Ok(());
        }
        if self.namespaces.is_empty() {
            return Err(RbacError::NoNamespace);
        }
        match self.namespaces.iter().find(|n| n.contains(['*', '?'])) {
            Some(glob) => Err(RbacError::Glob(glob.clone())),
            None => Ok(()),
        }
    }

    /// What each enabled check reads.
    fn objects_by_check(&self) -> Result<Vec<(&'static str, BTreeSet<ObjectKind>)>, RbacError> {
        let enabled = self.settings.resolve(CHECKS)?;
        let mut out = Vec::new();
        for check in enabled.checks() {
            let id = check.check.info().id;
            let alone = Settings { only: [id.to_owned()].into(), ..self.settings.clone() };
            let mut objects = alone.resolve(CHECKS)?.needs().objects;
            objects.retain(|kind| self.names_in_dns || *kind != ObjectKind::ServerNames);
            out.push((id, objects));
        }
        Ok(out)
    }

    /// What the rules are, and what they leave out.
    fn head(&self, own: &[Grant]) -> Result<String, RbacError> {
        let checks: BTreeSet<&str> = own.iter().flat_map(|g| g.checks().iter().copied()).collect();
        let mut text = format!(
            "# Made by `healthcheck rbac`: what {} {}, and no more.\n",
            counted(checks.len()),
            if checks.len() == 1 { "reads" } else { "read" }
        );
        let left_out = self.without_secrets()?;
        if !left_out.is_empty() {
            let _ = writeln!(
                text,
                "# Left out: list secrets, for RBAC cannot tell TLS Secrets from others; wanted by {}, and the report says so (--secrets).",
                left_out.join(", ")
            );
        }
        if self.scope == Scope::Namespace {
            for grant in own.iter().filter(|g| g.right.place == Place::Cluster) {
                let lacks = match grant.purpose {
                    Purpose::Identity => {
                        "without it two addresses of one cluster are not told in a run over both".to_owned()
                    }
                    _ => format!("needed by {}, and the report says so", grant.checks().join(", ")),
                };
                let _ = writeln!(
                    text,
                    "# Left out: {}, for a Role cannot give it; {lacks} (--scope cluster).",
                    grant.right
                );
            }
        }
        Ok(text)
    }

    /// A ClusterRole, or the Role of a namespace, with its binding if that is asked for. None without any right.
    fn role(&self, namespace: Option<&String>, name: &str, grants: &[Grant]) -> Vec<String> {
        if grants.is_empty() {
            return Vec::new();
        }
        let kind = if namespace.is_some() { "Role" } else { "ClusterRole" };
        let namespace = namespace.map(String::as_str);
        let meta = metadata(name, namespace);
        const API: &str = "rbac.authorization.k8s.io";
        let mut out = vec![format!("apiVersion: {API}/v1\nkind: {kind}\n{meta}rules:\n{}", rules(grants))];
        if self.all {
            let (of, account) = &self.account;
            out.push(format!(
                "apiVersion: {API}/v1\nkind: {kind}Binding\n{meta}roleRef:\n  apiGroup: {API}\n  kind: {kind}\n  name: {name}\nsubjects:\n  - kind: ServiceAccount\n    name: {account}\n    namespace: {of}\n"
            ));
        }
        out
    }
}

/// The list of rules, in YAML: what has the same group and objects is one rule.
#[must_use]
pub fn rules(grants: &[Grant]) -> String {
    type Resources<'a> = BTreeMap<&'a str, (BTreeSet<&'a str>, Purpose)>;
    // By group and object.
    let mut wanted: BTreeMap<(&str, Option<&str>), Resources<'_>> = BTreeMap::new();
    for Grant { right, purpose } in grants {
        let of = wanted.entry((right.group, right.name.as_deref())).or_default();
        let (verbs, all) = of.entry(right.resource).or_insert_with(|| (BTreeSet::new(), purpose.clone()));
        verbs.insert(right.verb);
        all.add(purpose);
    }
    let mut text = String::new();
    for ((group, name), resources) in wanted {
        let mut by_verbs: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for (resource, (verbs, purpose)) in &resources {
            by_verbs.entry(verbs).or_default().push((resource, purpose));
        }
        for (verbs, resources) in by_verbs {
            let _ = writeln!(text, "  - apiGroups: [\"{group}\"]\n    resources:");
            for (resource, purpose) in resources {
                // An asterisk begins an alias in YAML.
                let quote = if resource.starts_with('*') { "\"" } else { "" };
                let _ = writeln!(text, "      - {quote}{resource}{quote} # {purpose}");
            }
            if let Some(name) = name {
                let _ = writeln!(text, "    resourceNames: [\"{name}\"]");
            }
            let verbs: Vec<&str> = verbs.iter().copied().collect();
            let _ = writeln!(text, "    verbs: [{}]", verbs.join(", "));
        }
    }
    text
}

impl Grant {
    /// The checks that need it.
    fn checks(&self) -> &[&'static str] {
        match &self.purpose {
            Purpose::Checks(checks) => checks,
            Purpose::Identity | Purpose::Metrics | Purpose::Election => &[],
        }
    }
}

impl Purpose {
    /// Adds the checks of another grant of the same resource.
    fn add(&mut self, other: &Self) {
        if let (Self::Checks(checks), Self::Checks(others)) = (self, other) {
            let more: Vec<&str> = others.iter().copied().filter(|c| !checks.contains(c)).collect();
            checks.extend(more);
        }
    }
}

impl fmt::Display for Purpose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Checks(few) if few.len() <= MOST_NAMED => f.write_str(&few.join(", ")),
            Self::Checks(many) => f.write_str(&counted(many.len())),
            Self::Identity => f.write_str("whether two addresses are one cluster"),
            Self::Metrics => f.write_str("the way to the metrics server"),
            Self::Election => f.write_str("the election of the one that runs"),
        }
    }
}

fn counted(checks: usize) -> String {
    format!("{checks} check{}", if checks == 1 { "" } else { "s" })
}

fn metadata(name: &str, namespace: Option<&str>) -> String {
    let namespace = namespace.map_or_else(String::new, |n| format!("  namespace: {n}\n"));
    format!("metadata:\n  name: {name}\n{namespace}  labels:\n    app.kubernetes.io/name: healthcheck\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rbac(scope: Scope, namespaces: &[&str]) -> Rbac {
        Rbac {
            settings: Settings::default(),
            namespaces: namespaces.iter().map(|n| (*n).to_owned()).collect(),
            via: Vec::new(),
            lease: None,
            scope,
            secrets: false,
            names_in_dns: false,
            name: "healthcheck".into(),
            account: ("healthcheck".into(), "healthcheck".into()),
            all: false,
        }
    }

    fn only(ids: &[&str]) -> Settings {
        Settings { only: ids.iter().map(|id| (*id).to_owned()).collect(), ..Settings::default() }
    }

    #[test]
    fn a_role_holds_what_the_enabled_checks_read() {
        let text =
            Rbac { settings: only(&["node-pressure"]), ..rbac(Scope::Cluster, &[]) }.manifests().unwrap();
        assert_eq!(
            text,
            "# Made by `healthcheck rbac`: what 1 check reads, and no more.\n\
             apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata:\n  name: healthcheck\n  labels:\n    \
             app.kubernetes.io/name: healthcheck\nrules:\n  - apiGroups: [\"\"]\n    resources:\n      - nodes # node-pressure\n    verbs: [list]\n  \
             - apiGroups: [\"\"]\n    resources:\n      - namespaces # whether two addresses are one cluster\n    \
             resourceNames: [\"kube-system\"]\n    verbs: [get]\n"
        );
        let all = rbac(Scope::Cluster, &[]).manifests().unwrap();
        assert!(all.contains("      - pods # ") && all.contains("      - \"*/scale\" # "), "{all}");
        assert!(!all.contains("- secrets") && all.contains("# Left out: list secrets"), "{all}");
        let pods = |namespaces: &[&str]| {
            let of_one = Rbac { settings: only(&["crash-looping"]), ..rbac(Scope::Cluster, namespaces) };
            of_one.manifests().unwrap()
        };
        // One is kube-system alone, which tells clusters apart.
        assert_eq!(pods(&[]).matches("- namespaces # ").count(), 1, "{}", pods(&[]));
        assert!(pods(&["pay-*"]).contains("- namespaces # crash-looping\n"), "{}", pods(&["pay-*"]));
        assert!(all.contains("- namespaces # namespace-terminating\n"), "{all}");
        assert!(all.contains("      - configmaps # jvm-heap-headroom\n"), "{all}");
        let names = Rbac { names_in_dns: true, ..rbac(Scope::Cluster, &[]) }.manifests().unwrap();
        assert!(names.contains("- configmaps # jvm-heap-headroom, host-without-route"), "{names}");
        assert!(names.contains("    verbs: [get, list]"), "{names}");
        let told = Rbac { secrets: true, ..rbac(Scope::Cluster, &[]) }.manifests().unwrap();
        assert!(told.contains("- secrets # ") && !told.contains("Left out"), "{told}");
    }

    #[test]
    fn roles_of_namespaces_leave_nodes_out_and_say_so() {
        let spec = Rbac { all: true, ..rbac(Scope::Namespace, &["shop", "pay"]) };
        let text = spec.manifests().unwrap();
        assert_eq!(text.matches("kind: Role\n").count(), 2 * 2, "roles and the references of bindings");
        assert_eq!(text.matches("\nkind: RoleBinding\n").count(), 2);
        assert_eq!(text.matches("\nkind: ServiceAccount\n").count(), 1);
        assert!(!text.contains("      - nodes"), "{text}");
        assert!(text.contains("# Left out: list nodes, for a Role cannot give it; needed by "), "{text}");
        let identity = "# Left out: get namespaces kube-system, for a Role cannot give it; without it two ";
        assert!(text.contains(identity) && !text.contains("      - namespaces"), "{text}");
        let of_cluster = |grants: Vec<Grant>| grants.iter().any(|g| g.right.place == Place::Cluster);
        assert!(of_cluster(spec.grants().unwrap()) && !of_cluster(spec.given().unwrap()));
        assert!(of_cluster(rbac(Scope::Cluster, &["shop"]).given().unwrap()));
        assert!(matches!(rbac(Scope::Namespace, &[]).manifests(), Err(RbacError::NoNamespace)));
        assert!(
            matches!(rbac(Scope::Namespace, &["pay-*"]).manifests(), Err(RbacError::Glob(g)) if g == "pay-*")
        );
    }

    #[test]
    fn the_way_to_a_metrics_server_has_a_role_where_the_server_is() {
        let via = vec!["service-proxy:mon/prom:9090".parse().unwrap()];
        let text = Rbac { via, settings: only(&["node-pressure"]), ..rbac(Scope::Cluster, &[]) }
            .manifests()
            .unwrap();
        let (_, of_server) = text.split_once("---\n").unwrap();
        assert!(of_server.contains("kind: Role\nmetadata:\n  name: healthcheck-metrics\n  namespace: mon\n"));
        assert_eq!(of_server.matches("resourceNames: [\"prom:9090\"]").count(), 1);
        assert!(of_server.ends_with("    verbs: [create, get]\n"), "{of_server}");
    }

    #[test]
    fn several_programs_may_make_and_hold_one_lease_and_no_other() {
        let lease = Some(("ops".into(), "doctor".into()));
        let text = Rbac { lease, settings: only(&["node-pressure"]), ..rbac(Scope::Cluster, &[]) }
            .manifests()
            .unwrap();
        let (_, role) = text.split_once("---\n").unwrap();
        assert_eq!(
            role,
            "apiVersion: rbac.authorization.k8s.io/v1\nkind: Role\nmetadata:\n  name: healthcheck-lease\n  namespace: ops\n  labels:\n    \
             app.kubernetes.io/name: healthcheck\nrules:\n  - apiGroups: [\"coordination.k8s.io\"]\n    resources:\n      \
             - leases # the election of the one that runs\n    verbs: [create]\n  - apiGroups: [\"coordination.k8s.io\"]\n    resources:\n      \
             - leases # the election of the one that runs\n    resourceNames: [\"doctor\"]\n    verbs: [get, update]\n"
        );
    }
}
