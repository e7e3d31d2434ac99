//! How much of what it requests a scaled workload uses: shared by the checks of autoscalers.

use crate::measure;
use crate::metric::Metric;
use crate::snapshot::Missing;
use crate::stats;
use crate::unit::Seconds;
use crate::view::{Autoscaler, View};

/// Mean CPU of all containers of the target's living pods over the last `lookback`, as a share of what they request.
///
/// # Errors
/// The target is not known, requests nothing, or has no samples.
pub(super) fn cpu_of_request(
    hpa: &Autoscaler<'_>,
    view: &View<'_>,
    lookback: Seconds,
) -> Result<f64, Missing> {
    let id = hpa.target_id();
    let (mut used, mut requested) = (0.0, 0.0);
    let mut why = Missing::NotReported { field: "CPU request of the scaled workload".into() };
    for container in view.containers_of(&id).filter(|c| !c.is_init()) {
        let Some(request) = container.resources().cpu_request.filter(|r| r.get() > 0.0) else { continue };
        match measure::pooled(view, container, Metric::CpuUsage, lookback) {
            Ok(values) => {
                used += stats::mean(values).unwrap_or_default();
                requested += request.get();
            }
            Err(missing) => why = missing,
        }
    }
    if requested > 0.0 { Ok(used / requested) } else { Err(why) }
}
