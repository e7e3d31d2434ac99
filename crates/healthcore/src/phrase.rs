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
    ("no-event", "no event says why"),
    ("events-not-known", "its events are not known"),
    ("no-current-value", "no current value"),
    ("empty", "it is empty"),
    ("ended", "ended, exit code {code}"),
    ("reason-and-code", "{reason}, exit code {code}"),
    ("with-code", "{reason} (exit code {code})"),
    ("in-container", "{reason} in container {container}"),
    ("in-container-with-code", "{reason} (exit code {code}) in container {container}"),
    ("in-container-said", "{reason} in container {container}: {said}"),
    ("in-container-with-code-said", "{reason} (exit code {code}) in container {container}: {said}"),
    ("waits-for-gates", "waits for its scheduling gates"),
    ("not-ready", "not ready"),
    ("and-more", "{first} and {more} more"),
    ("any-host", "any host"),
    ("certificate", "the certificate"),
    ("no-route-uses-it", "no route uses it"),
    ("pod-mounts-it", "pod {pod} mounts it"),
    ("issuer", "the issuer {subject}"),
    ("pod-of-workload", "{pod} of {workload}"),
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
    ("either", "{first} or {second}"),
    ("pods-running", "{running}/{all} Running"),
    ("pods-running-done", "{running}/{all} Running (+{done} Completed)"),
    ("pods-running-failed", "{running}/{all} Running (+{failed} Failed)"),
    ("pods-running-done-failed", "{running}/{all} Running (+{done} Completed, +{failed} Failed)"),
    ("pods-not-running", "{running}/{all} Running ({not} not running)"),
    ("pods-not-running-done", "{running}/{all} Running ({not} not running) +{done} Completed"),
    ("pods-not-running-failed", "{running}/{all} Running ({not} not running) +{failed} Failed"),
    (
        "pods-not-running-done-failed",
        "{running}/{all} Running ({not} not running) +{done} Completed +{failed} Failed",
    ),
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
    ("missing-no-pod-known", "the metrics server knows none of the pods"),
    ("missing-too-few-samples", "{have} {have|sample|samples}, {need} needed"),
    ("missing-too-short", "history of {have}, {need} needed"),
    ("missing-access-denied", "not allowed to {verb} {resource} in namespace {namespace}"),
    ("missing-access-denied-everywhere", "not allowed to {verb} {resource} in all namespaces"),
    (
        "missing-outside-namespaces",
        "{resource} belong to the whole cluster, and this run looks at chosen namespaces, without the right to list them",
    ),
    (
        "missing-other-namespaces",
        "{resource} of all namespaces count, and this run looks at chosen namespaces",
    ),
    ("missing-list-failed", "listing {resource} failed"),
    ("missing-partial-list", "the list of {resource} is not whole"),
    ("missing-not-reported", "{field} is not reported"),
    ("missing-no-kubernetes-source", "no access to the Kubernetes API"),
    ("missing-not-recorded", "{objects} were not recorded"),
    ("missing-no-handshake", "no answer to a TLS handshake"),
    ("missing-other-cluster", "the routes of cluster {cluster} are not known"),
    ("missing-logs-not-read", "the logs were not read"),
    ("missing-long-run", "no run of the process is long enough to judge"),
    ("missing-schedule", "the schedule cannot be read: {what}"),
    (
        "missing-jvm-options-undefined",
        "the JVM options refer to {variable}, which is not defined before them",
    ),
    ("missing-jvm-options-field", "the JVM options refer to {variable}, which comes from a field of the pod"),
    ("missing-jvm-options-command", "the JVM options depend on the output of a command: `{variable}`"),
    ("missing-jvm-options-file", "the JVM reads options from the file {variable}, which is not read here"),
    (
        "missing-jvm-options-template",
        "the flag `{variable}` is a template, which is filled in before the JVM starts",
    ),
    ("missing-jvm-options-malformed", "no JVM starts with the flag `{variable}`"),
    (
        "missing-jvm-options-too-long",
        "the JVM options in {variable} are more than is read here, with all that it refers to",
    ),
    ("missing-jvm-options-secret", "{variable} comes from Secret {from}, and Secrets are not read"),
    ("missing-jvm-options-no-config-map", "{variable} comes from ConfigMap {from}, which does not exist"),
    ("missing-jvm-options-absent", "{variable} comes from ConfigMap {from}, which does not have it"),
    ("missing-jvm-options-denied", "{variable} comes from ConfigMap {from}, which may not be read"),
    ("missing-jvm-options-failed", "{variable} comes from ConfigMap {from}, which could not be read"),
    ("flag-of-config-map", "{flag} (ConfigMap {from})"),
    ("missing-crash-looping", "in a crash loop, so its use says nothing about its need"),
    ("missing-thinned", "left out, because the workload is too large"),
    ("errors-counted", "{n} {n|error|errors}"),
    ("errors-at-least", "at least {n} {n|error|errors}"),
    ("errors-estimated", "about {n} errors ({counted} in {read} of {pods} pods)"),
    // Details of gaps; see `snapshot::Gap`.
    ("in-namespace", "in namespace {namespace}"),
    ("in-all-namespaces", "in all namespaces"),
    ("in-cluster", "in the cluster"),
    ("refused-credentials", "the credentials were refused, with the words `{said}`"),
    ("refused-gone", "the continuation of the list has expired"),
    ("refused-not-found", "not found"),
    ("refused-status", "the server answered {code}: {said}"),
    ("refused-timeout", "no answer within {time}"),
    ("refused-broken", "the answer cannot be read: {why}"),
    ("refused-too-large", "the answer is larger than 64 MiB"),
    ("source-unreachable", "cannot reach {what}: {why}"),
    ("source-unauthorized", "{what} refuses the credentials; {why}"),
    ("source-unusable", "{what} is not usable: {why}"),
    ("gap-denied", "not allowed to list {resource} {place}: {said}"),
    ("gap-denied-in-many", "not allowed to list {resource} in {n} namespaces: {names} and {more} more"),
    ("gap-listing", "listing {resource} {place}: {why}"),
    ("gap-not-served", "the server does not serve {resource}"),
    ("gap-only-namespaces", "{why}; only namespace {namespaces} of the context is looked into"),
    ("gap-first-arrived", "{why}; the first {n} objects arrived"),
    ("gap-unreadable", "cannot read {resource} {trouble}"),
    ("gap-more-unreadable", "cannot read {n} more {resource}"),
    ("gap-no-namespace", "there is no namespace `{pattern}`"),
    (
        "gap-nothing-in-namespace",
        "nothing is seen in namespace `{namespace}`: it is empty or does not exist; the account may not ask which",
    ),
    ("gap-no-namespace-matches", "no namespace matches `{pattern}`"),
    ("gap-no-namespace-kept", "no namespace matches `{pattern}` in what was kept"),
    ("gap-no-cluster-matches", "no cluster matches `{pattern}`"),
    ("gap-unresolved", "cannot resolve `{glob}`: {why}; give the namespaces by name"),
    (
        "gap-unresolved-but-one",
        "cannot resolve `{glob}`: {why}; only namespace {namespace} of the context is looked into",
    ),
    (
        "gap-two-labellings",
        "{most} series of {metric} are labelled {first} and {fewer} {second}; both are read",
    ),
    (
        "gap-excluded",
        "the server has series of {metrics}, but none that matches {matchers}; check the configured matchers",
    ),
    (
        "gap-absent-for-tenant",
        "the server has no series of {metrics} for the tenant that the header {header} names",
    ),
    ("gap-absent", "the server has no series of {metrics}"),
    (
        "gap-ended",
        "samples of {metrics} ended at {time}: what was there until then is judged; see why nobody exports or scrapes it any more",
    ),
    (
        "gap-future",
        "{n} samples lie after the end of the window; the clocks of this machine and the server differ",
    ),
    ("gap-odd", "{n} of {all} samples are not a number, infinite or below zero; they count as missing"),
    (
        "gap-scales",
        "the scale of {n} {n|workload|workloads} of other kinds cannot be read ({why}): pods are counted instead",
    ),
    ("gap-histograms", "{n} series are native histograms, which have no single value; they are left out"),
    (
        "gap-no-workload-known",
        "{why}; without the Kubernetes API and without kube-state-metrics no workload is known",
    ),
    ("gap-told-of-nothing", "kube-state-metrics tells of nothing in namespace `{pattern}`"),
    (
        "gap-told-of-nothing-matching",
        "kube-state-metrics tells of nothing in namespaces that match `{pattern}`",
    ),
    (
        "gap-no-pod-phases",
        "the server has no series of kube_pod_status_phase; pods that are ready count as running, of others that is not known",
    ),
    (
        "gap-thinned",
        "series of {kept} of its {all} pods were read, because the workload is too large for one part",
    ),
    (
        "gap-misnamed-class",
        "`healthcheck/class: {class}` names no class, so the class is inferred; classes are {classes}: {workloads}",
    ),
    (
        "gap-misnamed-class-nearest",
        "`healthcheck/class: {class}` names no class, so the class is inferred; did you mean `{nearest}`? Classes are {classes}: {workloads}",
    ),
    (
        "gap-ahead",
        "the Kubernetes API tells what is now, up to {by} after the end of the window: what has happened since is left out, but states of pods and autoscalers are those of now",
    ),
    (
        "gap-clocks",
        "objects tell of times up to {by} in the future: set the clocks of this machine and of the cluster",
    ),
    (
        "gap-version",
        "the image is tagged `{tag}`, and the program in it is version {version}: an old image under a new tag, or a node that keeps an old one; build and push it again, or set `imagePullPolicy: Always`",
    ),
    (
        "gap-knows-no-pod",
        "knows 0 of {n} {n|pod|pods} that run: is it that of another cluster, or do `prometheus.matchers` choose another?",
    ),
    (
        "gap-shared-server",
        "asks the same server as {cluster}, {address}, and neither has `prometheus.matchers`: where both have a pod of the same name, series of both count for each; set matchers that tell them apart, such as `cluster=\"{own}\"`",
    ),
    (
        "gap-told-twice",
        "is the same cluster as {cluster}: both are {address}; what is in namespaces of both is told twice, so leave one of them out",
    ),
    (
        "gap-told-twice-at-two-addresses",
        "is the same cluster as {cluster}, by another address: {own} and {address} have the same namespace kube-system, down to its uid; what is in namespaces of both is told twice, so leave one of them out",
    ),
    ("gap-certificates-skipped", "N/A: certificates are not looked at: {reason}"),
    ("gap-some-tls-servers", "{asked} of {all} TLS servers were asked for their certificate"),
    ("gap-silent-tls-servers", "{some} of {all} TLS servers gave no certificate: {names}"),
    ("gap-registry", "{registry} does not tell the platforms of {some} of {all} {all|image|images}: {why}"),
    ("gap-some-images", "registries were asked for {asked} of {all} images"),
    ("image-and-why", "{image}: {why}"),
    ("registry-challenge", "it asks for credentials in a way that is not known: {said}"),
    ("registry-denies", "it denies access"),
    (
        "registry-half",
        "{left} of the {all} reads that it allows in {time} are left, and half of the {all} is kept for the nodes' own pulls; give credentials in `registries` of the configuration, which raise the limit, or ask for fewer images with a lower `most`",
    ),
    (
        "registry-half-of-account",
        "{left} of the {all} reads that it allows this account in {time} are left, and half of the {all} is kept for the nodes' own pulls; give an account with a higher limit, or ask for fewer images with a lower `most` in `registries` of the configuration",
    ),
    ("registry-late", "the {seconds} s for registries were over"),
    ("registry-limits", "it limits how often it may be asked (HTTP 429)"),
    (
        "registry-most",
        "{most} {most|image|images} of it {most|was|were} read, the most that a run may; raise `most` in `registries` of the configuration where the limit of the registry leaves room",
    ),
    ("registry-no-reference", "this is no reference to an image"),
    ("registry-open-realm", "it wants credentials sent to {realm}, which has no TLS"),
    ("registry-refuses-credentials", "it refuses the credentials"),
    ("registry-too-large", "the answer is larger than {most}"),
    ("registry-wants-credentials", "it wants credentials; give them in `registries` of the configuration"),
    ("gap-hosts-not-judged", "N/A: the hosts of the configuration are not judged: {why}"),
    (
        "gap-server-name",
        "the `server_name` expression `{expression}` cannot be read, so that it may match any host",
    ),
    ("gap-some-hosts", "only the {n} hosts with the most requests were read"),
    ("gap-history-events-unread", "{place}: earlier events cannot be read: {why}"),
    ("gap-history-unread", "{place}: earlier runs cannot be read: {why}"),
    ("gap-history-unwritten", "{place}: this run cannot be remembered: {why}"),
    ("gap-history-left-out", "{place}: {path} {why}; it is left out"),
    ("history-foreign", "is no history of healthcheck: {why}"),
    (
        "history-newer",
        "has version {version} of the history format, and this program reads up to {known}; use a healthcheck at least as new as the one that wrote it",
    ),
    ("history-damaged", "is cut or damaged: {why}"),
    ("history-too-large", "has {n} bytes, which no run has"),
    ("history-unreadable", "cannot be read: {why}"),
    ("history-other-time", "holds a run of another time"),
    ("history-other-cluster", "holds a run of another cluster, `{cluster}`"),
    (
        "gap-history-future",
        "{place}: {n} {n|run lies|runs lie} far after this one, the first is {path}; a time is wrong, and {n|it is|they are} no past of any run: remove {n|it|them}",
    ),
    ("gap-history-more", "{place}: {n} more of the earlier runs cannot be read; they are left out"),
    (
        "gap-logs-past",
        "the Kubernetes API has the newest logs only, and the run ends in the past; leave `--at` out to read logs",
    ),
    ("gap-logs-denied", "not allowed to get pods/log in {namespaces}"),
    ("gap-logs-denied-more", "not allowed to get pods/log in {namespaces} and {more} more"),
    ("gap-log-unread", "the log of 1 container could not be read: {first}"),
    ("gap-logs-unread", "the logs of {n} containers could not be read; the first: {first}"),
    (
        "gap-logs-late",
        "the time for logs ({seconds} s) was over before those of {n} containers were read; give more with `logs.time`",
    ),
    (
        "gap-log-cut",
        "of the log of 1 container only the newest part was read; read more with `logs.bytes-of-container`, `logs.bytes` and `logs.time`",
    ),
    (
        "gap-logs-cut",
        "of the logs of {n} containers only the newest part was read; read more with `logs.bytes-of-container`, `logs.bytes` and `logs.time`",
    ),
    ("gap-logs-sampled", "logs of {read} of {all} pods are read: the newest and the oldest of each workload"),
    (
        "gap-shards-disagree",
        "shard {shard} and others do not agree on whether it can be seen, so it counts as not seen",
    ),
    ("gap-shard-missing", "its namespaces are not in this report; no cluster counts as seen"),
    // What a source does not report; see `snapshot::Field`.
    ("field-able-to-scale", "condition AbleToScale"),
    ("field-api-service-available", "condition Available of the API service"),
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
    ("field-job-start", "start of the Job"),
    ("field-last-restart", "time of the last restart"),
    ("field-load-balancer", "what has become of the load balancer"),
    ("field-memory-limit", "memory limit"),
    ("field-node-pressure", "pressure of the node"),
    ("field-node-ready", "condition Ready of the node"),
    ("field-node-room-for-pods", "how many pods the node takes"),
    ("field-pod-phase", "phase of the pod"),
    ("field-pod-scheduled", "condition PodScheduled"),
    ("field-pull-policy", "image pull policy"),
    ("field-restart-count", "restart count"),
    ("field-scaling-active", "condition ScalingActive"),
    ("field-scaling-active-since", "time since ScalingActive is false"),
    ("field-service-age", "age of the Service"),
    ("field-services-of", "list of services of namespace {what}"),
    ("field-shared-pods", "which pods other budgets select too"),
    ("field-target-cpu-request", "CPU request of the scaled workload"),
    ("field-version-of-api-server", "version of the API server"),
    ("field-version-of-kubelet", "version of the kubelet"),
    ("field-version-to-compare", "version of the kubelet in the numbers of the API server"),
    ("field-volume-age", "age of the volume"),
    ("field-volume-phase", "phase of the volume (`{what}`)"),
];

/// The English of a key.
#[must_use]
pub fn template(key: &str) -> Option<&'static str> {
    PHRASES.iter().find(|(k, _)| *k == key).map(|(_, english)| *english)
}

/// A phrase; its values are added with [`Text::with`].
#[must_use]
pub fn phrase(key: &'static str) -> Text {
    debug_assert!(template(key).is_some(), "no phrase has the key {key}");
    Text::new(key)
}

/// A phrase in English. `show` shows its values.
#[must_use]
pub fn english(phrase: &Text, show: &dyn Fn(&Value) -> String) -> String {
    phrase.fill(template(&phrase.key).unwrap_or(&phrase.key), show)
}

/// A value in plain English, for messages that no renderer says.
#[must_use]
pub fn plain(value: &Value) -> String {
    match value {
        Value::Text(text) => text.clone(),
        Value::Words(phrase) => english(phrase, &plain),
        Value::List(values) => values.iter().map(plain).collect::<Vec<_>>().join(", "),
        Value::Seconds(s) => crate::snapshot::in_words(*s as u32),
        Value::Time(time) => jiff::Timestamp::from_millisecond(time.0)
            .map_or_else(|_| String::new(), |time| time.strftime("%Y-%m-%d %H:%M UTC").to_string()),
        other => other.number().map_or_else(String::new, |n| n.to_string()),
    }
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
