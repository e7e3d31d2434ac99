//! What the runs of a period say, cluster by cluster.

use futures::StreamExt as _;
use healthcore::history::{Digest, DigestBuilder, Rules, tell_trends};
use healthcore::phrase::phrase;
use healthcore::snapshot::Gap;
use healthcore::time::Timestamp;

use super::{DAYS, History, HistoryError, Named, Patience, name, of_other_cluster};

/// A period: from after its start up to and with its end.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Period {
    /// Its start.
    pub start: Timestamp,
    /// Its end.
    pub end: Timestamp,
}

impl History {
    /// What happened over a period in every cluster that has a run in it or in the 31 days before, or in one cluster alone,
    /// in the order of their names; and what cannot be read.
    ///
    /// # Errors
    /// The place cannot be listed, or the cluster that is asked for is not in it.
    pub async fn digests(
        &self,
        period: Period,
        cluster: Option<&str>,
    ) -> Result<(Vec<Digest>, Vec<Gap>), HistoryError> {
        let patience = Patience::default();
        let folders = self.ask(&patience, self.folders()).await.map_err(|(_, why)| self.error(&why))?;
        let wanted = cluster.map(name::folder);
        let folders: Vec<String> =
            folders.into_iter().filter(|f| wanted.as_ref().is_none_or(|w| w == f)).collect();
        if let (Some(cluster), true) = (cluster, folders.is_empty()) {
            return Err(self.error(&format!("there is no run of cluster `{cluster}`")));
        }
        let (mut digests, mut gaps) = (Vec::new(), Vec::new());
        for folder in &folders {
            let read = self.ask(&patience, self.digest(folder, period, cluster.is_some())).await;
            match read {
                Ok((digest, unread)) => {
                    digests.extend(digest);
                    gaps.extend(unread);
                }
                Err((cause, why)) => {
                    gaps.push(self.gap(folder, cause, phrase("gap-history-unread").with("why", why)));
                }
            }
        }
        digests.sort_by(|a, b| a.cluster.cmp(&b.cluster));
        tell_trends(&mut digests);
        Ok((digests, gaps))
    }

    fn error(&self, why: &str) -> HistoryError {
        HistoryError { place: self.place.clone(), why: crate::redact::text(why).into_owned() }
    }

    /// The folders of all clusters.
    async fn folders(&self) -> Result<Vec<String>, object_store::Error> {
        let listed = self.store.list_with_delimiter(Some(&self.prefix)).await?;
        let mut folders: Vec<String> =
            listed.common_prefixes.iter().filter_map(|p| p.filename().map(str::to_owned)).collect();
        folders.sort();
        Ok(folders)
    }

    /// The digest of the cluster of a folder; none when its last run is long before the period, unless it was asked for.
    async fn digest(
        &self,
        folder: &str,
        period: Period,
        asked: bool,
    ) -> Result<(Option<Digest>, Vec<Gap>), object_store::Error> {
        let names = self.names(folder).await?;
        let chosen = of_period(&names, period, asked);
        let mut builder: Option<DigestBuilder> = None;
        let (mut cluster, mut unread) = (folder.to_owned(), Vec::new());
        let mut runs = self.runs(&chosen);
        while let Some((path, run)) = runs.next().await {
            match run {
                Ok(run) if name::folder(&run.cluster) == folder => {
                    cluster.clone_from(&run.cluster);
                    let new = || DigestBuilder::new(&run.cluster, period.start, period.end, Rules::default());
                    builder.get_or_insert_with(new).add(run);
                }
                Ok(run) => unread.push((path, of_other_cluster(&run))),
                Err(why) => unread.push((path, why)),
            }
        }
        Ok((builder.map(DigestBuilder::finish), self.left_out(&cluster, &unread)))
    }
}

/// The runs of a period, and of the month before it the last one of each day. Of a cluster that was asked for the last run
/// before the period is among them in any case.
fn of_period(names: &[Named], period: Period, asked: bool) -> Vec<&Named> {
    let (before, since) = names.split_at(names.partition_point(|n| n.taken_at <= period.start));
    let days_back = |n: &Named| (period.start.seconds_since(n.taken_at) / 86_400.0) as usize;
    let mut daily: Vec<&Named> = before.iter().rev().filter(|n| days_back(n) <= DAYS).collect();
    daily.dedup_by_key(|n| days_back(n));
    if daily.is_empty() && asked {
        daily.extend(before.last());
    }
    daily.into_iter().rev().chain(since.iter().filter(|n| n.taken_at <= period.end)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(hour: f64) -> Named {
        let path = object_store::path::Path::from("prod/run");
        Named {
            path,
            taken_at: Timestamp::from_unix_seconds(0).plus_seconds(hour * 3600.0),
            size: 1,
            modified_s: 0,
        }
    }

    #[test]
    fn runs_of_the_period_and_a_run_a_day_before() {
        let hours = [-900.0, -700.0, -30.0, -26.0, -2.0, -1.0, 0.0, 1.0, 2.0, 25.0, 168.0, 169.0];
        let names: Vec<Named> = hours.into_iter().map(named).collect();
        let start = Timestamp::from_unix_seconds(0);
        let period = Period { start, end: start.plus_seconds(168.0 * 3600.0) };
        let told = |asked| -> Vec<f64> {
            of_period(&names, period, asked)
                .iter()
                .map(|n| n.taken_at.seconds_since(start) / 3600.0)
                .collect()
        };
        assert_eq!(told(false), [-700.0, -26.0, 0.0, 1.0, 2.0, 25.0, 168.0]);
        let old = |asked| of_period(&names[..1], period, asked).len();
        assert_eq!((old(false), old(true)), (0, 1), "a cluster that is no more");
    }
}
