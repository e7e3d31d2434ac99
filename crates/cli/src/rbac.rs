//! `healthcheck rbac`: the rights of the account that runs the checks, printed or asked for.

use anyhow::Context as _;
use healthcore_sources::kubernetes::{KubernetesSettings, KubernetesSource, Place, Reach};
use lambda_free_runner::config::ClusterConfig;
use lambda_free_runner::rbac::{Grant, Rbac, Scope};

use crate::args::{self, RbacScope};
use crate::commands::{done, read_config, runtime, settings};
use crate::exit::Exit;
use crate::output;
use crate::sources::chosen;

pub(crate) fn run(args: &args::Rbac) -> anyhow::Result<Exit> {
    let config = read_config(args.config.as_deref())?;
    // Without `--cluster` all of the file, for the same role may serve them.
    let clusters = chosen(args.cluster.as_deref(), &config)?;
    let spec = Rbac {
        settings: settings(&args.choice, &config)?,
        namespaces: namespaces(args, &clusters),
        via: ways(args, &clusters)?,
        lease: args.lease.clone().map(|lease| (lease.namespace, lease.name)),
        scope: match args.scope {
            RbacScope::Cluster => Scope::Cluster,
            RbacScope::Namespace => Scope::Namespace,
        },
        secrets: args.secrets,
        names_in_dns: !config.hosts.names.is_empty(),
        name: args.name.clone(),
        account: args.account.clone(),
        all: args.all,
    };
    if args.check { runtime()?.block_on(ask(args, &spec)) } else { done(&spec.manifests()?) }
}

fn namespaces(args: &args::Rbac, clusters: &[&ClusterConfig]) -> Vec<String> {
    if !args.namespace.is_empty() {
        return args.namespace.clone();
    }
    // One that looks everywhere needs everything.
    if clusters.iter().any(|c| c.namespaces.is_empty()) {
        return Vec::new();
    }
    let mut all: Vec<String> = clusters.iter().flat_map(|c| c.namespaces.iter().cloned()).collect();
    all.sort();
    all.dedup();
    all
}

fn ways(args: &args::Rbac, clusters: &[&ClusterConfig]) -> anyhow::Result<Vec<Reach>> {
    if let Some(way) = &args.prometheus_via {
        return Ok(vec![way.clone()]);
    }
    let named = clusters.iter().filter_map(|c| Some((&c.name, c.prometheus_via.as_ref()?)));
    named.map(|(name, way)| way.parse::<Reach>().with_context(|| format!("{name}: prometheus.via"))).collect()
}

/// A table of what is wanted, granted and refused.
async fn ask(args: &args::Rbac, spec: &Rbac) -> anyhow::Result<Exit> {
    let grants = spec.given()?;
    let source = KubernetesSource::connect(KubernetesSettings {
        kubeconfig: args.kubeconfig.clone(),
        context: args.context.clone(),
        impersonate: args.as_user.clone(),
        ..KubernetesSettings::default()
    })
    .await?;
    let everywhere = [None];
    let named: Vec<Option<&str>> = spec.namespaces.iter().map(|n| Some(n.as_str())).collect();
    let mut rows = Vec::new();
    for grant in &grants {
        let of_namespaces = spec.scope == Scope::Namespace && grant.right.place == Place::Selected;
        for namespace in if of_namespaces { &named[..] } else { &everywhere } {
            let granted = source.may(&grant.right, *namespace).await?;
            rows.push(Row {
                granted,
                right: grant.right.to_string(),
                place: place(grant, *namespace),
                why: grant.purpose.to_string(),
            });
        }
    }
    output::print(&table(&rows))?;
    if rows.iter().any(|row| !row.granted) && spec.scope == Scope::Cluster && !spec.namespaces.is_empty() {
        output::note(
            "asked is what a ClusterRole gives, in all namespaces; for Roles in the namespaces that are named, add `--scope namespace`",
        );
    }
    Ok(if rows.iter().all(|row| row.granted) { Exit::Success } else { Exit::Findings })
}

struct Row {
    granted: bool,
    right: String,
    place: String,
    why: String,
}

fn table(rows: &[Row]) -> String {
    let (right, place) = (width(rows, |r| &r.right), width(rows, |r| &r.place));
    let mut text = String::new();
    for row in rows {
        let answer = if row.granted { "granted" } else { "refused" };
        let line = format!("{answer}  {:right$}  {:place$}  {}", row.right, row.place, row.why);
        text.push_str(line.trim_end());
        text.push('\n');
    }
    let granted = rows.iter().filter(|r| r.granted).count();
    text.push_str(&format!("{} wanted, {granted} granted, {} refused\n", rows.len(), rows.len() - granted));
    text
}

fn width(rows: &[Row], of: fn(&Row) -> &String) -> usize {
    rows.iter().map(|row| of(row).len()).max().unwrap_or_default()
}

fn place(grant: &Grant, namespace: Option<&str>) -> String {
    match (&grant.right.place, namespace) {
        (Place::Cluster, _) => "in the cluster".to_owned(),
        (Place::Namespace(own), _) => format!("in namespace {own}"),
        (Place::Selected, Some(namespace)) => format!("in namespace {namespace}"),
        (Place::Selected, None) => "in all namespaces".to_owned(),
    }
}
