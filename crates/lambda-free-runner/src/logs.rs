//! Reads logs, where a check asks for them.

use healthcore::model::ObjectKind;
use healthcore::need::Needs;
use healthcore::snapshot::{Gap, Missing, Objects, Unavailable};
use healthcore_sources::Fetched;

use crate::feed::Frame;
use crate::spec::ClusterSources;

/// Puts into the objects of a cluster what their logs say.
pub(crate) async fn read(
    sources: &ClusterSources,
    needs: &Needs,
    listed: &mut [Objects],
    frame: Frame,
) -> Vec<Gap> {
    let mut gaps = Vec::new();
    if !needs.objects.contains(&ObjectKind::Logs) {
        return gaps;
    }
    for objects in listed {
        // What lists objects knows no logs.
        objects.unavailable.retain(|u| u.kind != ObjectKind::Logs);
        let Some(source) = sources.objects.as_ref().and_then(|o| o.log_source()) else {
            let why = Missing::NoKubernetesSource;
            objects.unavailable.push(Unavailable::new(ObjectKind::Logs, None, why));
            continue;
        };
        let Fetched { value, gaps: found } = source.logs(objects, frame.taken_at, !frame.at_given).await;
        objects.logs = value.summaries;
        objects.unavailable.extend(value.unavailable);
        gaps.extend(found);
    }
    gaps
}
