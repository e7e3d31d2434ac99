//! All checks, in the order in which reports show them: what breaks now, what will break, what is wasted.

use crate::check::{AnyCheck, Erased};

pub mod api_service_unavailable;
pub mod certificate_expiring;
pub mod cpu_overprovisioned;
pub mod cpu_throttled;
pub mod cpu_underprovisioned;
pub mod crash_looping;
pub mod cronjob_stale;
pub mod deprecated_api;
pub mod disruption_budget_blocking;
pub mod error_logs;
pub mod host_without_route;
pub mod hpa_at_max;
pub mod hpa_fixed;
pub mod hpa_metrics_unknown;
pub mod hpa_over_scaled;
pub mod hpa_target_missing;
pub mod hpa_under_scaled;
mod hpa_use;
pub mod image_architecture;
pub mod image_pull_failing;
pub mod image_pull_policy;
pub mod image_untagged;
pub mod job_failed;
pub mod job_unfinished;
pub mod jvm_heap_headroom;
pub mod load_balancer_pending;
pub mod memory_leak;
pub mod memory_overprovisioned;
pub mod memory_underprovisioned;
pub mod memory_usage;
pub mod namespace_terminating;
pub mod node_cordoned;
pub mod node_not_ready;
pub mod node_pods_near_limit;
pub mod node_pressure;
pub mod oom_killed;
pub mod pod_evicted;
pub mod pod_not_running;
mod pod_state;
pub mod pod_unschedulable;
pub mod pods_started_together;
pub mod probes_missing;
pub mod quota_near_limit;
#[cfg(test)]
mod registry;
pub mod requests_missing;
pub mod restarts;
pub mod rollout_stuck;
pub mod route_backend_missing;
pub mod service_without_endpoints;
pub mod version_skew;
pub mod volume_claim_pending;
pub mod volume_failed;
pub mod volume_filling;
pub mod warning_events;

pub(crate) use pod_state::{leftovers, loops, runs, untold};
pub use pod_state::{pods as pods_phrase, pods_in_words};

/// Every check. Adding one is its file and its line here.
pub static CHECKS: &[&dyn AnyCheck] = &[
    &Erased::<crash_looping::CrashLooping>::new(),
    &Erased::<image_architecture::ImageArchitecture>::new(),
    &Erased::<image_pull_failing::ImagePullFailing>::new(),
    &Erased::<pod_unschedulable::PodUnschedulable>::new(),
    &Erased::<pod_not_running::PodNotRunning>::new(),
    &Erased::<rollout_stuck::RolloutStuck>::new(),
    &Erased::<service_without_endpoints::ServiceWithoutEndpoints>::new(),
    &Erased::<load_balancer_pending::LoadBalancerPending>::new(),
    &Erased::<route_backend_missing::RouteBackendMissing>::new(),
    &Erased::<certificate_expiring::CertificateExpiring>::new(),
    &Erased::<host_without_route::HostWithoutRoute>::new(),
    &Erased::<node_not_ready::NodeNotReady>::new(),
    &Erased::<node_pressure::NodePressure>::new(),
    &Erased::<api_service_unavailable::ApiServiceUnavailable>::new(),
    &Erased::<namespace_terminating::NamespaceTerminating>::new(),
    &Erased::<volume_filling::VolumeFilling>::new(),
    &Erased::<volume_claim_pending::VolumeClaimPending>::new(),
    &Erased::<volume_failed::VolumeFailed>::new(),
    &Erased::<job_failed::JobFailed>::new(),
    &Erased::<job_unfinished::JobUnfinished>::new(),
    &Erased::<cronjob_stale::CronjobStale>::new(),
    &Erased::<pod_evicted::PodEvicted>::new(),
    &Erased::<pods_started_together::PodsStartedTogether>::new(),
    &Erased::<oom_killed::OomKilled>::new(),
    &Erased::<memory_leak::MemoryLeak>::new(),
    &Erased::<memory_usage::MemoryUsage>::new(),
    &Erased::<memory_underprovisioned::MemoryUnderprovisioned>::new(),
    &Erased::<jvm_heap_headroom::JvmHeapHeadroom>::new(),
    &Erased::<cpu_throttled::CpuThrottled>::new(),
    &Erased::<cpu_underprovisioned::CpuUnderprovisioned>::new(),
    &Erased::<hpa_target_missing::HpaTargetMissing>::new(),
    &Erased::<hpa_metrics_unknown::HpaMetricsUnknown>::new(),
    &Erased::<hpa_at_max::HpaAtMax>::new(),
    &Erased::<hpa_under_scaled::HpaUnderScaled>::new(),
    &Erased::<restarts::Restarts>::new(),
    &Erased::<warning_events::WarningEvents>::new(),
    &Erased::<error_logs::ErrorLogs>::new(),
    &Erased::<disruption_budget_blocking::DisruptionBudgetBlocking>::new(),
    &Erased::<version_skew::VersionSkew>::new(),
    &Erased::<deprecated_api::DeprecatedApi>::new(),
    &Erased::<node_cordoned::NodeCordoned>::new(),
    &Erased::<node_pods_near_limit::NodePodsNearLimit>::new(),
    &Erased::<quota_near_limit::QuotaNearLimit>::new(),
    &Erased::<hpa_fixed::HpaFixed>::new(),
    &Erased::<image_pull_policy::ImagePullPolicy>::new(),
    &Erased::<requests_missing::RequestsMissing>::new(),
    &Erased::<probes_missing::ProbesMissing>::new(),
    &Erased::<image_untagged::ImageUntagged>::new(),
    &Erased::<memory_overprovisioned::MemoryOverprovisioned>::new(),
    &Erased::<cpu_overprovisioned::CpuOverprovisioned>::new(),
    &Erased::<hpa_over_scaled::HpaOverScaled>::new(),
];
