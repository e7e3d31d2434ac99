//! Since when autoscalers are blind: kube-state-metrics tells a condition without its time, but its history is there.

use std::collections::BTreeMap;

use healthcore::model::Condition;
use healthcore::snapshot::{Gap, Objects};
use healthcore::time::Timestamp;

use super::{Name, Prometheus, Row, autoscaler};

/// How far the history of a condition is looked at, and how closely.
const HISTORY: &str = "6h:1m";
/// The step of [`HISTORY`] in seconds.
const STEP_S: f64 = 60.0;

fn is_blind(condition: &Condition) -> bool {
    condition.kind == "ScalingActive" && condition.status == Some(false) && condition.since.is_none()
}

/// Gives autoscalers that are not active now the time since when. Asks nothing when there are none. A time at the start
/// of the history means "at least".
pub(super) async fn blind(
    prometheus: &Prometheus,
    namespace: &str,
    time_s: i64,
    objects: &mut Objects,
) -> Vec<Gap> {
    if !objects.hpas.iter().flat_map(|h| &h.conditions).any(is_blind) {
        return Vec::new();
    }
    let times = |over: &str, status: &str| {
        let own = vec![
            "__name__=~\"kube_horizontalpodautoscaler_status_condition|kube_hpa_status_condition\""
                .to_owned(),
            namespace.to_owned(),
            "condition=\"ScalingActive\"".to_owned(),
            format!("status=\"{status}\""),
        ];
        format!("{over}_over_time(timestamp({{{}}} == 1)[{HISTORY}])", prometheus.matchers(own))
    };
    let query = format!("{} or {}", times("max", "true"), times("min", "false"));
    let (mut active, mut first) = (BTreeMap::new(), BTreeMap::new());
    let mut take = |series| {
        let row = Row { series: &series };
        if let Some(name) = autoscaler(&row) {
            take_time(
                if row.label("status") == "true" { &mut active } else { &mut first },
                name,
                row.value(),
            );
        }
    };
    let gap = |cause, detail| prometheus.gap("history of autoscalers", cause, detail);
    match prometheus.instant_each(&query, time_s, &mut take).await {
        Ok(said) => {
            for hpa in &mut objects.hpas {
                let name = (hpa.namespace.clone(), hpa.name.clone());
                let since = active.get(&name).map(|t| t + STEP_S).or_else(|| first.get(&name).copied());
                for condition in hpa.conditions.iter_mut().filter(|c| is_blind(c)) {
                    condition.since = since.map(|t| Timestamp::from_unix_seconds((t as i64).min(time_s)));
                }
            }
            said.notes.into_iter().map(|(cause, words)| gap(cause, words)).collect()
        }
        Err(e) => vec![gap(e.cause, e.detail)],
    }
}

/// Of two servers that tell of one autoscaler, the later time: what is told is surely so.
fn take_time(times: &mut BTreeMap<Name, f64>, name: Name, time: f64) {
    let known = times.entry(name).or_insert(time);
    *known = known.max(time);
}
