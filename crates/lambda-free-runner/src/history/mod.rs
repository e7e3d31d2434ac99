//! Runs remembered: one immutable object a run and cluster, in a folder or an object store.
//!
//! Nothing is ever changed in place, and a name says what is in it, so two programs that write at once lose nothing.
//! What cannot be read or written is a gap of the report, and never costs the report itself.

mod format;
mod name;
mod notes;
mod patience;
mod period;
mod place;
mod sent;
mod told;

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::{StreamExt as _, stream};
use healthcore::finding::Text;
use healthcore::history::{PastRun, Rules, compare};
use healthcore::model::Event;
use healthcore::phrase::phrase;
use healthcore::report::Report;
use healthcore::snapshot::{Gap, GapCause};
use healthcore::time::Timestamp;
use healthcore::unit::Seconds;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt as _};

pub(crate) use patience::Patience;
pub use period::Period;
pub use place::HistoryError;
use place::Opened;
pub(crate) use sent::Sending;

/// Runs just before this one that are read, whatever time they span: enough to see what comes and goes.
const LAST: usize = 12;
/// Days before this run of which one run each is read, for trends.
const DAYS: usize = 31;
/// Objects of a cluster that are read at once.
const AT_ONCE: usize = 8;
/// Clusters that a store is asked about at once.
const CLUSTERS_AT_ONCE: usize = 8;
/// Runs that cannot be read and are named one by one; more are counted.
const MOST_NAMED: usize = 3;
/// Time without a run after which one that is later than now does not follow those before it, but has a wrong time.
const LONGEST_PAUSE: Seconds = Seconds(30.0 * 86_400.0);
/// Largest object that is read, in bytes.
const LARGEST: u64 = 64 << 20;

/// How long runs are kept. The newest run of a cluster that can be read stays in any case.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Retention {
    /// Age at which a run is removed, counted back from the run that is written, of its data and of its file.
    pub age: Seconds,
    /// Runs of a cluster that are kept at most.
    pub runs: usize,
}

impl Default for Retention {
    fn default() -> Self {
        Self { age: Seconds::from_days(400.0), runs: 2000 }
    }
}

/// Where runs are remembered.
#[derive(Clone)]
pub struct History {
    store: Arc<dyn ObjectStore>,
    prefix: Path,
    /// How messages name it, without secrets.
    place: String,
    /// Why nothing can be read or written there, where that is known before it is tried.
    unusable: Option<String>,
    retention: Retention,
}

impl std::fmt::Debug for History {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("History").field("place", &self.place).field("retention", &self.retention).finish()
    }
}

/// What is remembered of a cluster.
struct Known {
    /// The names of all its runs in order of time.
    names: Vec<Named>,
    /// Those of its runs that states and trends need.
    runs: Vec<PastRun>,
    /// About runs that cannot be read.
    left_out: Vec<Gap>,
}

/// A run as its name tells it.
struct Named {
    path: Path,
    taken_at: Timestamp,
    size: u64,
    /// When it was written, by the clock of the store. Unit: seconds since 1970.
    modified_s: i64,
}

impl History {
    /// The history at a place: a folder, which is made when it is not there, or the address of an object store.
    ///
    /// # Errors
    /// The place cannot be one. Whether a store answers is not tried, and a folder that cannot be made is a gap of each
    /// report.
    pub fn open(place: &str, retention: Retention) -> Result<Self, HistoryError> {
        let Opened { store, prefix, place, unusable } = place::open(place, &|name| std::env::var(name).ok())?;
        Ok(Self { store, prefix, place, unusable, retention })
    }

    /// The history that is at a place already, to be read.
    ///
    /// # Errors
    /// The place cannot be one, or is a folder that is not there. Whether a store answers is not tried.
    pub fn existing(place: &str) -> Result<Self, HistoryError> {
        place::must_exist(place)?;
        Self::open(place, Retention::default())
    }

    /// A history in any store, for programs that bring their own.
    #[must_use]
    pub fn of(store: Arc<dyn ObjectStore>, place: &str, retention: Retention) -> Self {
        Self { store, prefix: Path::default(), place: place.to_owned(), unusable: None, retention }
    }

    /// Whether a gap tells of a history that could not be read or written.
    #[must_use]
    pub fn is_own(gap: &Gap) -> bool {
        gap.scope.ends_with("/history")
    }

    /// The warning events that earlier runs of a cluster saw or remembered, as the newest one before an instant has left them.
    /// What cannot be read is a gap.
    pub(crate) async fn events(
        &self,
        cluster: &str,
        before: Timestamp,
        patience: &Patience,
        gaps: &mut Vec<Gap>,
    ) -> Vec<Event> {
        match self.ask(patience, self.newest_events(cluster, before)).await {
            Ok(events) => events,
            Err((cause, why)) => {
                gaps.push(self.gap(cluster, cause, phrase("gap-history-events-unread").with("why", why)));
                Vec::new()
            }
        }
    }

    async fn newest_events(
        &self,
        cluster: &str,
        before: Timestamp,
    ) -> Result<Vec<Event>, object_store::Error> {
        let names = self.names(&name::folder(cluster)).await?;
        let past = &names[..names.partition_point(|n| n.taken_at < before)];
        // What cannot be read is told when the report is compared; the run before it remembers as much.
        for named in past.iter().rev().take(MOST_NAMED) {
            let run = read_run(Arc::clone(&self.store), named).await.ok();
            if let Some(run) = run.filter(|run| run.cluster == cluster) {
                return Ok(run.events);
            }
        }
        Ok(Vec::new())
    }

    /// Compares a report with what is remembered, and remembers it. What fails becomes a gap of the report.
    pub(crate) async fn tell(&self, report: &mut Report) {
        let patience = Patience::default();
        let mut gaps = Vec::new();
        let mut past = BTreeMap::new();
        let mut known = BTreeMap::new();
        let clusters: Vec<String> = report.coverage.keys().cloned().collect();
        let before = report.taken_at;
        // Made before they are polled: a closure in the stream would keep callers from spawning the run.
        let reading: Vec<_> = clusters.iter().map(|c| self.ask(&patience, self.read(c, before))).collect();
        let read: Vec<_> = stream::iter(reading).buffered(CLUSTERS_AT_ONCE).collect().await;
        for (cluster, read) in clusters.iter().zip(read) {
            match read {
                Ok(Known { names, runs, left_out }) => {
                    known.insert(cluster.clone(), names);
                    past.insert(cluster.clone(), runs);
                    gaps.extend(left_out);
                }
                Err((cause, why)) => {
                    gaps.push(self.gap(cluster, cause, phrase("gap-history-unread").with("why", why)));
                }
            }
        }
        let mut runs = compare(report, &past, &Rules::default());
        // A run that does not know what was before it would make all of it new for the next one.
        runs.retain(|run| known.contains_key(&run.cluster));
        let mut writing = Vec::new();
        for run in &runs {
            let (names, past) = (&known[&run.cluster], &past[&run.cluster]);
            writing.push(self.ask(&patience, self.write(run, names, past)));
        }
        let written: Vec<_> = stream::iter(writing).buffered(CLUSTERS_AT_ONCE).collect().await;
        for (run, written) in runs.iter().zip(written) {
            if let Err((cause, why)) = written {
                gaps.push(self.gap(&run.cluster, cause, phrase("gap-history-unwritten").with("why", why)));
            }
        }
        report.gaps.extend(gaps);
        report.gaps.sort();
        report.gaps.dedup();
    }

    /// Asks the store for something, as far as the patience with it goes.
    async fn ask<T>(
        &self,
        patience: &Patience,
        work: impl Future<Output = Result<T, object_store::Error>>,
    ) -> Result<T, (GapCause, String)> {
        match &self.unusable {
            Some(why) => Err((GapCause::Failed, why.clone())),
            None => patience.with(work).await,
        }
    }

    fn gap(&self, cluster: &str, cause: GapCause, said: Text) -> Gap {
        let said = said.with("place", self.place.to_string());
        let mut gap = [Gap::new(format!("{cluster}/history"), cause, said)];
        crate::redact::gaps(&mut gap);
        let [gap] = gap;
        gap
    }

    /// What is known of a cluster before an instant.
    async fn read(&self, cluster: &str, before: Timestamp) -> Result<Known, object_store::Error> {
        let names = self.names(&name::folder(cluster)).await?;
        let chosen: Vec<&Named> = chosen(&names, before);
        let mut runs: Vec<PastRun> = Vec::new();
        let mut unread = Vec::new();
        let mut read = self.runs(&chosen);
        while let Some((path, run)) = read.next().await {
            match run {
                Ok(run) if run.cluster == cluster => runs.push(run),
                Ok(run) => unread.push((path, of_other_cluster(&run))),
                Err(why) => unread.push((path, why)),
            }
        }
        let mut left_out = self.left_out(cluster, &unread);
        if let Some([first, more @ ..]) = of_the_future(&names, before) {
            let said =
                phrase("gap-history-future").with("path", first.path.to_string()).with("n", 1 + more.len());
            left_out.push(self.gap(cluster, GapCause::ClockSkew, said));
        }
        // Two programs may have looked at the same second: one of them is enough, and always the same.
        runs.dedup_by_key(|run| run.taken_at);
        // The newest run remembers what those before it saw.
        let all_but_newest = runs.len().saturating_sub(1);
        runs[..all_but_newest].iter_mut().for_each(|run| run.events = Vec::new());
        drop(read);
        Ok(Known { names, runs, left_out })
    }

    /// Reads runs, some ahead of the one that is awaited; each with its name, in the order in which they are named.
    fn runs<'n>(
        &self,
        named: &'n [&'n Named],
    ) -> impl futures::Stream<Item = (&'n Path, Result<PastRun, Text>)> + Unpin + use<'n> {
        let store = Arc::clone(&self.store);
        let read = move |named: &&'n Named| {
            let (store, named) = (Arc::clone(&store), *named);
            async move { (&named.path, read_run(store, named).await) }
        };
        let asked: Vec<_> = named.iter().map(read).collect();
        stream::iter(asked).buffered(AT_ONCE)
    }

    /// Gaps about runs that cannot be read: the first by name, more by their number.
    fn left_out(&self, cluster: &str, unread: &[(&Path, Text)]) -> Vec<Gap> {
        let mut gaps = Vec::new();
        for (path, why) in unread.iter().take(MOST_NAMED) {
            let said = phrase("gap-history-left-out").with("path", path.to_string()).with("why", why.clone());
            gaps.push(self.gap(cluster, GapCause::Partial, said));
        }
        if let Some(more @ 1..) = unread.len().checked_sub(MOST_NAMED) {
            gaps.push(self.gap(cluster, GapCause::Partial, phrase("gap-history-more").with("n", more)));
        }
        gaps
    }

    /// The runs in a folder, in order of time.
    async fn names(&self, folder: &str) -> Result<Vec<Named>, object_store::Error> {
        let folder = self.prefix.clone().join(folder);
        let mut names = Vec::new();
        let mut listed = self.store.list(Some(&folder));
        while let Some(meta) = listed.next().await {
            let meta = meta?;
            if let Some(taken_at) = meta.location.filename().and_then(name::taken_at) {
                let modified_s = meta.last_modified.timestamp();
                names.push(Named { path: meta.location, taken_at, size: meta.size, modified_s });
            }
        }
        names.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(names)
    }

    /// Keeps a run, and removes those that are too many or too old.
    async fn write(
        &self,
        run: &PastRun,
        names: &[Named],
        readable: &[PastRun],
    ) -> Result<(), object_store::Error> {
        let lines = format::lines(run);
        let path =
            self.prefix.clone().join(name::folder(&run.cluster)).join(name::object(run.taken_at, &lines));
        let bytes = format::compress(&lines).map_err(|e| place::failed(e.into()))?;
        // The same name has the same content, so writing over it changes nothing.
        self.store.put(&path, bytes.into()).await?;
        let newest_readable = readable.last().map(|r| r.taken_at);
        for named in too_many(names, &path, run.taken_at, newest_readable, self.retention) {
            self.remove(&named.path).await?;
        }
        Ok(())
    }
}

/// Reads a run.
async fn read_run(store: Arc<dyn ObjectStore>, named: &Named) -> Result<PastRun, Text> {
    if named.size > LARGEST {
        return Err(phrase("history-too-large").with("n", named.size));
    }
    let told = |e: object_store::Error| phrase("history-unreadable").with("why", place::told(&e));
    let found = store.get(&named.path).await.map_err(told)?;
    let bytes = found.bytes().await.map_err(told)?;
    let run = format::read(&bytes).map_err(|e| e.said())?;
    match run.taken_at.unix_seconds() == named.taken_at.unix_seconds() {
        true => Ok(run),
        false => Err(phrase("history-other-time")),
    }
}

/// Why a run is left out that lies in the folder of another cluster.
fn of_other_cluster(run: &PastRun) -> Text {
    phrase("history-other-cluster").with("cluster", run.cluster.as_str())
}

/// The last runs before an instant, and for each day before it the last run of that day.
fn chosen(names: &[Named], before: Timestamp) -> Vec<&Named> {
    let past = &names[..names.partition_point(|n| n.taken_at < before)];
    let (older, last) = past.split_at(past.len().saturating_sub(LAST));
    let days_back = |n: &Named| (before.seconds_since(n.taken_at) / 86_400.0) as usize;
    let mut daily: Vec<&Named> = older.iter().rev().filter(|n| days_back(n) <= DAYS).collect();
    daily.dedup_by_key(|n| days_back(n));
    daily.into_iter().rev().chain(last).collect()
}

/// Runs that are removed when one has been written: those before it that are beyond the number to keep, or too old, counted
/// back from it. Old is what tells of old data and was also written long before the newest: a run whose time is wrong must
/// not make those of today old. What lies after the written one is no past of it, and stays. So does the newest one that is
/// known to be readable.
fn too_many<'n>(
    names: &'n [Named],
    path: &Path,
    written: Timestamp,
    newest_readable: Option<Timestamp>,
    keep: Retention,
) -> impl Iterator<Item = &'n Named> {
    let others: Vec<&Named> = names.iter().filter(|n| n.taken_at <= written && n.path != *path).collect();
    // The run that has just been written is one of those to keep.
    let surplus = (others.len() + 1).saturating_sub(keep.runs.max(1));
    let last_written = names.iter().map(|n| n.modified_s).max().unwrap_or_default();
    others.into_iter().enumerate().filter_map(move |(at, named)| {
        let unused_s = (last_written - named.modified_s) as f64;
        let old = written.seconds_since(named.taken_at).min(unused_s) > keep.age.get();
        let stays = named.taken_at == written || Some(named.taken_at) == newest_readable;
        ((at < surplus || old) && !stays).then_some(named)
    })
}

/// Runs after `before` that do not follow those before them: a clock was wrong, or data of another time were looked at.
fn of_the_future(names: &[Named], before: Timestamp) -> Option<&[Named]> {
    let (past, after) = names.split_at(names.partition_point(|n| n.taken_at <= before));
    let mut last = past.last().map_or(before, |n| n.taken_at.max(before));
    let jump = after.iter().position(|n| {
        std::mem::replace(&mut last, n.taken_at).seconds_since(n.taken_at) < -LONGEST_PAUSE.get()
    })?;
    Some(&after[jump..])
}

#[cfg(test)]
mod tests;
