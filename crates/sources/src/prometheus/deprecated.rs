//! Deprecated versions of the API that the API server was asked for.

use healthcore::api_versions::RequestedApi;
use healthcore::time::Window;

use super::decode::Labels;
use super::source::Prometheus;
use crate::Fetched;

/// The gauge that the API server sets to 1 at the first request for a deprecated version, until it is restarted.
pub(super) const GAUGE: &str = "apiserver_requested_deprecated_apis";

impl Prometheus {
    /// Deprecated versions that have been asked for, where the metrics server has the API server's metrics.
    pub(super) async fn count_requested_apis(&self, window: &Window) -> Fetched<Vec<RequestedApi>> {
        let (facts, _) = self.known(window).await;
        if facts.lacks(GAUGE) {
            return Fetched::whole(Vec::new());
        }
        let matchers = self.matchers(vec!["removed_release!=\"\"".to_owned()]);
        let query = format!("max by (group, version, resource, removed_release) ({GAUGE}{{{matchers}}})");
        match self.instant(&query, window.end().unix_seconds()).await {
            Ok((found, said)) => {
                let notes = said.notes.into_iter();
                let gaps = notes.map(|(cause, words)| self.gap("deprecated-apis", cause, words)).collect();
                let mut value: Vec<RequestedApi> =
                    found.iter().filter_map(|s| requested(&s.metric)).collect();
                value.sort_unstable();
                Fetched { value, gaps }
            }
            Err(e) => {
                Fetched { value: Vec::new(), gaps: vec![self.gap("deprecated-apis", e.cause, e.detail)] }
            }
        }
    }
}

fn requested(labels: &Labels) -> Option<RequestedApi> {
    let (version, resource) = (labels.get("version")?, labels.get("resource")?);
    let (major, minor) = labels.get("removed_release")?.split_once('.')?;
    let api_version = match labels.get("group").filter(|group| !group.is_empty()) {
        Some(group) => format!("{group}/{version}"),
        None => version.to_owned(),
    };
    let removed_in = minor.parse().ok().filter(|_| major == "1")?;
    Some(RequestedApi { api_version, resource: resource.to_owned(), removed_in })
}
