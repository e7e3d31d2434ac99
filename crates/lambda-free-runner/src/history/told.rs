//! What each route was told last, so that a change is news to its readers until it has arrived.
//!
//! A run is remembered before its report is delivered. Where that fails, the next run finds in the history what nobody has
//! read. So a report is compared anew, with the runs up to the last one that the route was told of.

use healthcore::history::{Rules, compare};
use healthcore::report::Report;
use healthcore::time::Timestamp;

use super::{History, Known, Patience};

impl History {
    /// The instant of the last report that a route was told of; none for a route that never was.
    pub(crate) async fn told(&self, route: &str, patience: &Patience) -> Result<Option<Timestamp>, String> {
        let found = self.note(&name_of(route), patience).await?;
        // What cannot be read was written by nobody: the route counts as one that was never told anything.
        Ok(found.and_then(|bytes| std::str::from_utf8(&bytes).ok()?.parse().ok().map(Timestamp)))
    }

    /// Remembers that a route was told of the report of an instant.
    pub(crate) async fn remember_told(
        &self,
        route: &str,
        taken_at: Timestamp,
        patience: &Patience,
    ) -> Result<(), String> {
        self.write_note(&name_of(route), taken_at.0.to_string().into_bytes(), patience).await
    }

    /// A report against the runs up to an instant, in place of those up to its own.
    pub(crate) async fn compared_with(
        &self,
        report: &Report,
        told: Timestamp,
        patience: &Patience,
    ) -> Result<Report, String> {
        let mut report = report.clone();
        let mut past = std::collections::BTreeMap::new();
        for cluster in report.coverage.keys() {
            let read = self.ask(patience, self.read(cluster, Timestamp(told.0 + 1))).await;
            let Known { runs, .. } = read.map_err(|(_, why)| why)?;
            past.insert(cluster.clone(), runs);
        }
        compare(&mut report, &past, &Rules::default());
        Ok(report)
    }
}

fn name_of(route: &str) -> String {
    format!("told-{route}")
}
