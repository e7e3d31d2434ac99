//! Words of our own that stand as values in the sentences of checks, and say why something is not known.
//!
//! A phrase is a [`Text`] whose key is in the one table here. English stands in the table, other languages in the
//! catalogues of the renderer.

use crate::finding::{Text, Value};

/// Every phrase in English, by key.
pub const PHRASES: &[(&str, &str)] = &[
    // Values of sentences.
    ("none", "none"),
    ("unknown", "unknown"),
    ("not-known", "not known"),
    ("not-reported", "not reported"),
    ("no-reason", "no reason given"),
    ("no-reason-reported", "no reason reported"),
    ("reason-untold", "the reason is not reported"),
    ("no-message", "no message"),
    ("no-current-value", "no current value"),
    ("empty", "it is empty"),
    ("ended", "ended, exit code {code}"),
    ("reason-and-code", "{reason}, exit code {code}"),
    ("with-code", "{reason} (exit code {code})"),
    ("in-container", "{reason} in container {container}"),
    ("in-container-with-code", "{reason} (exit code {code}) in container {container}"),
    ("not-ready", "not ready"),
    ("and-more", "{first} and {more} more"),
    ("any-host", "any host"),
    ("certificate", "the certificate"),
    ("issuer", "the issuer {subject}"),
    ("neither-bound", "neither minAvailable nor maxUnavailable"),
    ("architecture-unknown", "architecture not known"),
    ("architecture-of-node", "the node's architecture"),
    ("service-missing", "Service {service} does not exist"),
    ("port-missing", "Service {service} has no port {port}"),
    ("secret-missing", "TLS Secret {secret} does not exist"),
    ("default-class", "the default"),
    ("room", "room"),
    ("inodes", "inodes"),
    ("memory-request", "memory request"),
    ("memory-limit", "memory limit"),
    ("cpu-request", "CPU request"),
    ("memory", "memory"),
    ("disk", "disk"),
    ("process-ids", "process ids"),
    ("two", "{first} and {second}"),
    ("pods-running", "{running}/{all} Running"),
    ("pods-running-done", "{running}/{all} Running (+{done} Completed)"),
    ("pods-not-running", "{running}/{all} Running ({not} not running)"),
    ("pods-not-running-done", "{running}/{all} Running ({not} not running) +{done} Completed"),
    ("told-by-status", "status"),
    ("told-by-event", "event"),
    ("told-by-oom-events", "oom-events"),
    ("told-by-exit-code-and-event", "exit code 137 at the time of an event"),
    ("told-by-exit-code-and-memory", "exit code 137 with memory near the limit"),
    ("told-by-restart-and-memory", "restart with memory near the limit"),
    ("told-by-flags", "flags"),
    ("told-by-jvm-heap-max", "jvm-heap-max"),
    // Shapes of memory over time; see `leak::Shape`.
    ("shape-constant", "constant"),
    ("shape-step", "step"),
    ("shape-steps", "steps"),
    ("shape-plateau", "plateau"),
    ("shape-warm-up", "warm-up"),
    ("shape-late-warm-up", "late-warm-up"),
    ("shape-ramp-and-return", "ramp-and-return"),
    ("shape-step-and-warm-up", "step-and-warm-up"),
    ("shape-step-and-plateau", "step-and-plateau"),
    ("shape-two-warm-ups", "two-warm-ups"),
    ("shape-smooth-step", "smooth-step"),
    ("shape-slowing-fill", "slowing-fill"),
    ("shape-line", "line"),
    ("shape-logarithm", "logarithm"),
    ("shape-accelerating", "accelerating"),
    ("shape-late-line", "late-line"),
    ("shape-line-and-warm-up", "line-and-warm-up"),
    ("shape-line-and-steps", "line-and-steps"),
    ("shape-two-slopes", "two-slopes"),
    // Why a value is missing; see `snapshot::Missing`.
    ("missing-not-asked", "{metric} was not recorded"),
    ("missing-metric-absent", "the server has no series of {metric}"),
    ("missing-matchers-exclude", "no series of {metric} matches the configured label matchers"),
    ("missing-partial-answer", "not in the partial answer for {metric}"),
    ("missing-query-failed", "the query for {metric} failed"),
    ("missing-no-metrics-source", "no metrics server"),
    ("missing-no-samples", "no samples of {metric}"),
    ("missing-too-few-samples", "{have} {have|sample|samples}, {need} needed"),
    ("missing-too-short", "history of {have}, {need} needed"),
    ("missing-access-denied", "not allowed to {verb} {resource} in namespace {namespace}"),
    ("missing-access-denied-everywhere", "not allowed to {verb} {resource} in all namespaces"),
    ("missing-list-failed", "listing {resource} failed"),
    ("missing-partial-list", "the list of {resource} is not whole"),
    ("missing-not-reported", "{field} is not reported"),
    ("missing-no-kubernetes-source", "no access to the Kubernetes API"),
    ("missing-not-recorded", "{objects} were not recorded"),
    ("missing-no-handshake", "no answer to a TLS handshake"),
    ("missing-other-cluster", "the routes of cluster {cluster} are not known"),
    ("missing-logs-not-read", "its logs were not read"),
    ("missing-crash-looping", "in a crash loop, so its use says nothing about its need"),
    ("missing-thinned", "left out, because the workload is too large"),
    // What a source does not report; see `snapshot::Field`.
    ("field-able-to-scale", "condition AbleToScale"),
    ("field-at-max-since", "time since the autoscaler is at its maximum"),
    ("field-certificate-ready", "whether the certificate is ready"),
    ("field-claim-age", "age of the claim"),
    ("field-claim-phase", "phase of the claim (`{what}`)"),
    ("field-container-state", "state of the container"),
    ("field-container-states", "state of the containers"),
    ("field-container-status", "container status"),
    ("field-cordoned-since", "since when the node is cordoned"),
    ("field-earlier-restarts", "time of the restarts before the last"),
    ("field-endpoints", "endpoints"),
    ("field-host-requests", "the number of requests by host"),
    ("field-image", "image"),
    ("field-last-restart", "time of the last restart"),
    ("field-long-run", "a process run long enough to judge"),
    ("field-memory-limit", "memory limit"),
    ("field-node-pressure", "pressure of the node"),
    ("field-node-ready", "condition Ready of the node"),
    ("field-pod-phase", "phase of the pod"),
    ("field-pod-scheduled", "condition PodScheduled"),
    ("field-pull-policy", "image pull policy"),
    ("field-restart-count", "restart count"),
    ("field-scaling-active", "condition ScalingActive"),
    ("field-scaling-active-since", "time since ScalingActive is false"),
    ("field-schedule", "a schedule that can be read ({what})"),
    ("field-services-of", "list of services of namespace {what}"),
    ("field-target-cpu-request", "CPU request of the scaled workload"),
    ("field-version-of-api-server", "version of the API server"),
    ("field-version-of-kubelet", "version of the kubelet"),
    ("field-version-to-compare", "version of the kubelet in the numbers of the API server"),
];

/// The English of a key.
#[must_use]
pub fn template(key: &str) -> Option<&'static str> {
    PHRASES.iter().find(|(k, _)| *k == key).map(|(_, english)| *english)
}

/// A phrase; its values are added with [`Text::with`].
pub(crate) fn phrase(key: &'static str) -> Text {
    debug_assert!(template(key).is_some(), "no phrase has the key {key}");
    Text::new(key)
}

/// A phrase in English. `show` shows its values.
#[must_use]
pub fn english(phrase: &Text, show: &dyn Fn(&Value) -> String) -> String {
    phrase.fill(template(&phrase.key).unwrap_or(&phrase.key), show)
}

/// The first of several names, and how many more there are; `none` stands for no name.
pub(crate) fn first_and_more(names: &[String], none: &'static str) -> Value {
    match names {
        [] => phrase(none).into(),
        [one] => one.as_str().into(),
        [one, rest @ ..] => phrase("and-more").with("first", one.as_str()).with("more", rest.len()).into(),
    }
}

/// A text of another system, or a phrase where it says nothing.
pub(crate) fn or(text: &str, none: &'static str) -> Value {
    if text.is_empty() { phrase(none).into() } else { text.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_there_once() {
        let mut keys: Vec<&str> = PHRASES.iter().map(|(key, _)| *key).collect();
        keys.sort_unstable();
        keys.dedup();
        assert_eq!(keys.len(), PHRASES.len());
    }

    #[test]
    fn names_beyond_the_first_are_counted() {
        let told = |names: &[&str]| {
            let names: Vec<String> = names.iter().map(|n| (*n).to_owned()).collect();
            crate::fixture::show(&first_and_more(&names, "any-host"))
        };
        assert_eq!([told(&[]), told(&["a"]), told(&["a", "b", "c"])], ["any host", "a", "a and 2 more"]);
    }
}
