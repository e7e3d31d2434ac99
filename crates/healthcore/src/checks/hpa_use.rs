//! How much of what it requests a scaled workload uses: shared by the checks of autoscalers.

use crate::finding::Advice;
use crate::measure;
use crate::metric::Metric;
use crate::model::{Hpa, ObjectKind};
use crate::snapshot::{Field, Missing};
use crate::stats;
use crate::unit::{Cores, Ratio, Seconds};
use crate::view::{Autoscaler, View, WorkloadContainer};

/// CPU of a scaled workload.
pub(super) struct CpuUse {
    /// Mean over time and living pods, as a share of what is requested.
    pub(super) of_request: Ratio,
    /// What one replica requests, all its containers together.
    pub(super) request: Cores,
}

/// Mean CPU of all containers of the target's living pods that do not crash-loop, over the last `lookback`, as a share of what they request.
/// Containers without a CPU request are left out, as the autoscaler cannot count them either.
///
/// # Errors
/// Its pods are not all listed, the target is not known, requests nothing, has no samples, or none of its pods has a history of `min_history`
/// (three quarters of the look-back, when that is shorter).
pub(super) fn cpu_use(
    hpa: &Autoscaler<'_>,
    view: &View<'_>,
    lookback: Seconds,
    min_history: Seconds,
) -> Result<CpuUse, Missing> {
    let id = hpa.target_id();
    if let Some(why) = view.unavailable(ObjectKind::Pods, &id.namespace) {
        return Err(why.clone());
    }
    let (mut used, mut requested) = (0.0, 0.0);
    let mut why = Missing::NotReported { field: Field::TargetCpuRequest };
    for container in view.containers_of(&id).filter(|c| !c.is_init()) {
        let Some(request) = container.resources().cpu_request.filter(|r| r.get() > 0.0) else { continue };
        match recent(container, view, lookback, min_history) {
            Ok(values) => {
                used += stats::mean(values).unwrap_or_default();
                requested += request.get();
            }
            Err(missing) => why = missing,
        }
    }
    if requested <= 0.0 {
        return Err(why);
    }
    Ok(CpuUse { of_request: Ratio(used / requested), request: Cores(requested) })
}

fn recent(
    container: &WorkloadContainer<'_>,
    view: &View<'_>,
    lookback: Seconds,
    min_history: Seconds,
) -> Result<Vec<f64>, Missing> {
    let most = 0.75 * lookback.get().min(view.snapshot.window.seconds());
    let span = Seconds(min_history.get().min(most));
    let mut why = Missing::NoSamples { metric: Metric::CpuUsage };
    for member in container.steady(view)? {
        let judged = member
            .series(view, Metric::CpuUsage)
            .and_then(|series| measure::enough(&series.last(lookback), 3, span));
        match judged {
            Ok(()) => return measure::pooled_steady(view, container, Metric::CpuUsage, lookback),
            Err(missing) => why = missing,
        }
    }
    Err(why)
}

/// Adds the command that sets fields of an autoscaler.
pub(super) fn patch(advice: Advice, hpa: &Hpa, fields: &[(&str, u32)]) -> Advice {
    let fields: Vec<String> = fields.iter().map(|(field, to)| format!("\"{field}\":{to}")).collect();
    let command = format!(
        "kubectl -n {} patch hpa {} --patch '{{\"spec\":{{{}}}}}'",
        hpa.namespace,
        hpa.name,
        fields.join(",")
    );
    advice.command(command, &[&hpa.namespace, &hpa.name])
}
