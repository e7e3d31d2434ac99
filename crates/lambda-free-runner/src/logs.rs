//! Reads logs, where a check asks for them: of a keeper of logs if there is one, and of the Kubernetes API what that has not.

use std::borrow::Cow;
use std::collections::BTreeSet;

use healthcore::logs::LogSummary;
use healthcore::model::{ObjectKind, WorkloadId};
use healthcore::need::Needs;
use healthcore::snapshot::{Gap, Missing, Objects, Unavailable};
use healthcore_sources::Fetched;
use healthcore_sources::logs::LogSource;

use crate::feed::Frame;
use crate::spec::ClusterSources;

/// Where the logs of a cluster are read, the first first.
pub(crate) fn sources(cluster: &ClusterSources) -> impl Iterator<Item = &dyn LogSource> {
    let keeper: Option<&dyn LogSource> = cluster.logs.as_deref();
    keeper.into_iter().chain(cluster.objects.as_ref().and_then(|o| o.log_source()))
}

/// Puts into the objects of a cluster what their logs say.
pub(crate) async fn read(
    cluster: &ClusterSources,
    needs: &Needs,
    listed: &mut [Objects],
    frame: Frame,
) -> Vec<Gap> {
    let mut gaps = Vec::new();
    if !needs.objects.contains(&ObjectKind::Logs) {
        return gaps;
    }
    let sources: Vec<&dyn LogSource> = sources(cluster).collect();
    for objects in listed {
        // What lists objects knows no logs.
        objects.unavailable.retain(|u| u.kind != ObjectKind::Logs);
        if sources.is_empty() {
            let why = Missing::NoKubernetesSource;
            objects.unavailable.push(Unavailable::new(ObjectKind::Logs, None, why));
        }
        let mut read: Vec<LogSummary> = Vec::new();
        for source in &sources {
            let unread = match read.is_empty() {
                true => Cow::Borrowed(&*objects),
                false => Cow::Owned(without(objects, &read)),
            };
            if unread.pods.iter().all(|pod| pod.containers.is_empty()) && !read.is_empty() {
                break;
            }
            let Fetched { value, gaps: found } = source.logs(&unread, frame.taken_at, !frame.at_given).await;
            drop(unread);
            read.extend(value.summaries);
            objects.unavailable.extend(value.unavailable);
            gaps.extend(found);
        }
        read.sort_by(|a, b| (&a.workload, &a.container).cmp(&(&b.workload, &b.container)));
        objects.logs = read;
    }
    gaps
}

/// The pods, without the containers whose logs are read.
fn without(objects: &Objects, read: &[LogSummary]) -> Objects {
    let known: BTreeSet<(&WorkloadId, &str)> =
        read.iter().map(|summary| (&summary.workload, summary.container.as_str())).collect();
    let mut pods = objects.pods.clone();
    for pod in &mut pods {
        let workload = &pod.workload;
        pod.containers.retain(|c| !known.contains(&(workload, c.name.as_str())));
    }
    Objects { origin: objects.origin, pods, ..Objects::default() }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use async_trait::async_trait;
    use healthcore::fixture::Fixture;
    use healthcore::need::Budget;
    use healthcore::snapshot::GapCause;
    use healthcore::time::{Timestamp, Window};
    use healthcore::unit::Seconds;
    use healthcore_sources::logs::LogsRead;
    use healthcore_sources::{ObjectSource, Selection, SourceError, Usage};

    use super::*;

    /// Has the logs of some containers, and remembers of which it was asked.
    struct Keeper {
        has: &'static [&'static str],
        asked: Mutex<Vec<String>>,
    }

    #[async_trait]
    impl LogSource for Keeper {
        async fn logs(&self, objects: &Objects, _: Timestamp, _: bool) -> Fetched<LogsRead> {
            let mut summaries = Vec::new();
            for pod in &objects.pods {
                for container in &pod.containers {
                    let name = format!("{}/{}", pod.workload.name, container.name);
                    if self.has.contains(&name.as_str()) {
                        let workload = pod.workload.clone();
                        let container = container.name.clone();
                        summaries.push(LogSummary { workload, container, ..LogSummary::default() });
                    }
                    self.asked.lock().unwrap().push(name);
                }
            }
            let gap = Gap::new(self.has.concat(), GapCause::Info, String::new());
            Fetched { value: LogsRead { summaries, unavailable: Vec::new() }, gaps: vec![gap] }
        }
        fn plan(&self, _: &Objects) -> String {
            self.has.concat()
        }
    }

    #[async_trait]
    impl ObjectSource for Keeper {
        async fn probe(&self) -> Result<(), SourceError> {
            Ok(())
        }
        async fn objects(&self, _: &Selection, _: &BTreeSet<ObjectKind>) -> Fetched<Objects> {
            Fetched::whole(Objects::default())
        }
        fn log_source(&self) -> Option<&dyn LogSource> {
            Some(self)
        }
        fn plan(&self, _: &BTreeSet<ObjectKind>) -> Vec<(String, String)> {
            Vec::new()
        }
        fn usage(&self) -> Usage {
            Usage::default()
        }
    }

    fn keeper(has: &'static [&'static str]) -> Arc<Keeper> {
        Arc::new(Keeper { has, asked: Mutex::default() })
    }

    fn frame() -> Frame {
        let taken_at = Timestamp::from_unix_seconds(1_000_000);
        let window = Window::ending(taken_at, Seconds(3600.0), Seconds(60.0)).unwrap();
        Frame { taken_at, at_given: true, window, budget: Budget::default(), shard: None }
    }

    /// Names of summaries and scopes of gaps, with a keeper of logs and an API.
    fn told(keeper: Option<Arc<Keeper>>, api: Option<Arc<Keeper>>) -> (Vec<String>, Vec<String>, bool) {
        let mut objects =
            Fixture::new("container web/a-0/app\ncontainer web/a-0/side\ncontainer web/b-0/app")
                .snapshot
                .objects;
        let cluster = ClusterSources {
            logs: keeper.map(|k| k as Arc<dyn LogSource>),
            objects: api.map(|a| a as Arc<dyn ObjectSource>),
            ..ClusterSources::default()
        };
        let mut needs = Needs::default();
        needs.objects(ObjectKind::Logs);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let gaps = runtime.block_on(read(&cluster, &needs, std::slice::from_mut(&mut objects), frame()));
        let named = objects.logs.iter().map(|l| format!("{}/{}", l.workload.name, l.container)).collect();
        (named, gaps.into_iter().map(|g| g.scope).collect(), objects.unavailable.is_empty())
    }

    #[test]
    fn the_api_is_asked_for_what_the_keeper_has_not() {
        let (loki, api) = (keeper(&["a/app"]), keeper(&["b/app", "a/app"]));
        let (read, gaps, known) = told(Some(loki), Some(api.clone()));
        assert_eq!((read, known), (vec!["a/app".to_owned(), "b/app".to_owned()], true));
        assert_eq!(gaps.len(), 2);
        assert_eq!(*api.asked.lock().unwrap(), ["a/side", "b/app"]);
    }

    #[test]
    fn one_alone_will_do_and_none_is_unknown() {
        let (whole, api) = (keeper(&["a/app", "a/side", "b/app"]), keeper(&[]));
        assert_eq!(told(Some(whole), Some(api.clone())).0.len(), 3);
        assert!(api.asked.lock().unwrap().is_empty(), "nothing is left to ask for");
        assert_eq!(told(None, Some(keeper(&["b/app"]))).0, ["b/app"]);
        assert_eq!(told(Some(keeper(&["b/app"])), None).0, ["b/app"]);
        let (read, gaps, known) = told(None, None);
        assert!(read.is_empty() && gaps.is_empty() && !known);
    }
}
