//! This program's part in the election of the one that runs.

use std::sync::Arc;

use healthcore_sources::kubernetes::{KubernetesLease, KubernetesSettings};
use lambda_free_runner::lease::Election;

use crate::serve::{Serve, host};

/// The election that the arguments name, by a lease of the cluster that this program runs in or that the kubeconfig names.
pub(crate) async fn election(args: &Serve) -> anyhow::Result<Option<Election>> {
    let Some(lease) = &args.election.lease else { return Ok(None) };
    let mut settings = KubernetesSettings::default();
    settings.kubeconfig.clone_from(&args.sources.kubeconfig);
    settings.context.clone_from(&args.sources.context);
    let store = KubernetesLease::connect(&settings, &lease.namespace, &lease.name).await?;
    // A container that starts again in its pod has the same name, and goes on leading at once.
    let own = || format!("{}_{}", host(), std::process::id());
    let identity = args.election.lease_identity.clone().unwrap_or_else(own);
    Ok(Some(Election::new(Arc::new(store), &identity)))
}
