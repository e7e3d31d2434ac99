//! What each language says: fixed words by key, and the sentences of checks.

use healthcore::checks::CHECKS;
use healthcore::finding::{Text, Value};

use crate::quantity;

/// A language.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Lang {
    /// English.
    #[default]
    En,
}

impl Lang {
    /// Every language.
    pub const ALL: &'static [Self] = &[Self::En];

    /// The tag (BCP 47).
    #[must_use]
    pub const fn tag(self) -> &'static str {
        match self {
            Self::En => "en",
        }
    }

    /// The language of a tag.
    #[must_use]
    pub fn from_tag(tag: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|l| l.tag() == tag)
    }
}

/// Fixed words in English.
const EN: &[(&str, &str)] = &[
    ("title", "Health report"),
    ("healthy", "healthy"),
    ("degraded", "degraded"),
    ("critical", "critical"),
    ("unknown", "unknown"),
    ("warning", "warning"),
    ("info", "info"),
    ("verdict", "Verdict"),
    ("window", "Window"),
    ("taken-at", "Taken at"),
    ("clusters", "Clusters"),
    ("cluster", "Cluster"),
    ("workloads", "Workloads"),
    ("workload", "Workload"),
    ("pods", "Pods"),
    ("pod", "Pod"),
    ("containers", "Containers"),
    ("container", "Container"),
    ("completed", "completed"),
    ("objects-from", "Objects from"),
    ("metrics-via", "Metrics via"),
    ("kubernetes-api", "Kubernetes API"),
    ("kube-state-metrics", "kube-state-metrics"),
    ("none", "none"),
    ("problems", "Problems"),
    ("no-problems", "No problem found."),
    ("no-problems-seen", "No problem found in what could be judged; see what could not be checked."),
    ("problem", "Problem"),
    ("severity", "Severity"),
    ("check", "Check"),
    ("subject", "Subject"),
    ("top-memory", "Top 5 by memory"),
    ("top-share", "Top 5 by share of the memory limit"),
    ("top-growth", "Top 5 by memory growth"),
    ("none-grew", "No memory grew by 1 % or more."),
    ("top-cpu", "Top 5 by CPU"),
    ("memory", "Memory"),
    ("cpu", "CPU"),
    ("use", "Use"),
    ("mean", "Mean"),
    ("p95", "p95"),
    ("limit", "Limit"),
    ("request", "Request"),
    ("of-limit", "Of limit"),
    ("growth", "Growth"),
    ("restarts", "Restarts"),
    ("replicas", "Replicas"),
    ("heap", "JVM heap"),
    ("details", "Workloads with problems"),
    ("evidence", "Evidence"),
    ("threshold", "threshold"),
    ("since", "since"),
    ("advice", "What to do"),
    ("urgent", "Urgent"),
    ("watch", "Watch"),
    ("leaks", "Leaks"),
    ("notes", "Notes (info)"),
    ("more-in-markdown", "and {n} more: the Markdown report has them all"),
    ("more", "and {n} more: the JSON report has them all"),
    ("and-more", "and {n} more"),
    ("still-there", "Still there"),
    ("not-checked", "What could not be checked"),
    ("nothing-missing", "Nothing: everything that was asked was answered."),
    ("scope", "Where"),
    ("cause", "Cause"),
    ("detail", "Detail"),
    ("checks", "Checks"),
    ("ok", "ok"),
    ("problem-count", "problem"),
    ("unknown-count", "unknown"),
    (
        "discoveries",
        "{check}: at most {level} of the sure findings are expected to be false; {passed} passed, {set-back} did not and became info",
    ),
    (
        "discoveries-hidden",
        "{check}: at most {level} of the sure findings may be false, and none can be sure at that level: {set-back} became info",
    ),
    ("discoveries-none", "{check}: at most {level} of the sure findings may be false; there is none"),
    ("reasons", "Why unknown"),
    ("subjects", "Subjects at most"),
    ("cost", "Cost"),
    (
        "cost-line",
        "{queries} Prometheus {queries|query|queries}, {samples} {samples|sample|samples}, {bytes} received, {requests} Kubernetes {requests|request|requests}, {seconds}",
    ),
    ("cost-memory", ", peak memory {rss}"),
    ("made-by", "Made by healthcheck {version}"),
    ("counts", "{critical} critical, {warning} warning, {info} info, {gaps} {gaps|gap|gaps}"),
    ("counts-unknown", ", {of} of {all} {all|judgement|judgements} unknown"),
    ("counts-unanswered", ", {of} of {all} {all|check|checks} mostly unanswered"),
    ("counts-unseen", ", {of} of {all} {all|cluster|clusters} not seen"),
    ("class", "class"),
    ("origin-config", "configuration"),
    ("origin-annotation", "annotation"),
    ("origin-owner-kind", "owner kind"),
    ("origin-namespace", "namespace"),
    ("origin-image", "image"),
    ("origin-name", "name"),
    ("origin-default", "default"),
    ("namespace", "Namespace"),
    ("namespaces", "Namespaces"),
    ("worst-namespaces", "Namespaces, the 25 with the most severe findings"),
    ("sane", "ok"),
    ("usage-check", "Usage"),
    ("growth-check", "Growth"),
    ("limit-check", "Limit"),
    ("request-check", "Request"),
    ("missing", "missing"),
    ("large", "too large"),
    ("small", "too small"),
    ("crash-loop", "crash loop"),
    ("high", "high"),
    ("no-data", "no data"),
    ("changes", "What changed"),
    ("changed-since", "Since the run of {time}: {counts}."),
    ("first-run", "The first run that is remembered: from the next one on the report says what changed."),
    ("nothing-changed", "nothing found, then or now"),
    ("state", "State"),
    ("new", "new"),
    ("ongoing", "ongoing"),
    ("worse", "worse"),
    ("better", "better"),
    ("flapping", "flapping"),
    ("resolved", "resolved"),
    ("not-checked-now", "not checked"),
    ("watch-list", "Watch list: near a bound, and not beyond it"),
    ("trends", "Headroom that shrinks"),
    ("resource", "Resource"),
    ("over", "Over"),
    ("full-in", "Full in"),
    ("now", "now"),
    ("no-limit", "no limit"),
    ("skip", "Skip to the problems"),
    ("theme", "Dark"),
    ("overview", "Overview"),
    ("status", "Status"),
    ("filter", "Filter and sort"),
    ("all", "all"),
    ("sort", "Sort by"),
    ("search", "Search"),
    ("headroom", "Headroom"),
    ("headroom-what", "Memory in use now as a share of the limit, one square a container, the fullest first"),
    ("tops", "Largest"),
    ("metric-memory-working-set", "memory (working set)"),
    ("metric-memory-rss", "memory (RSS)"),
    ("metric-cpu-usage", "CPU"),
    ("metric-cpu-periods", "CPU periods"),
    ("metric-cpu-throttled-periods", "throttled CPU periods"),
    ("metric-cpu-throttled-time", "time stopped at the CPU limit"),
    ("metric-restarts", "restarts, counted up"),
    ("metric-oom-events", "OOM kills"),
    ("metric-jvm-heap-used", "JVM heap in use"),
    ("metric-jvm-heap-max", "largest JVM heap"),
    ("metric-request-rate", "requests a second"),
    ("metric-hpa-replicas", "replicas"),
    ("metric-volume-free", "free room of the volume"),
    ("metric-volume-size", "size of the volume"),
    ("metric-volume-inodes-free", "free inodes of the volume"),
    ("metric-volume-inodes", "inodes of the volume"),
    ("line-request", "request"),
    ("line-limit", "limit"),
    ("line-min", "minimum"),
    ("line-max", "maximum"),
    ("line-advised-request", "advised request"),
    ("line-advised-limit", "advised limit"),
    ("line-advised-min", "advised minimum"),
    ("line-advised-max", "advised maximum"),
    ("curve-floor", "floor of each run"),
    ("curve-fitted", "fitted growth"),
    ("mark-deploy", "new revision"),
    ("mark-oom-kill", "OOM kill"),
    ("mark-restart", "restart"),
    ("chart-above", "above the picture"),
    ("chart-reaches-limit", "reaches the limit"),
];

/// A fixed word. Every key that is used has one; a test looks.
pub(crate) fn word(lang: Lang, key: &str) -> &'static str {
    let table = match lang {
        Lang::En => EN,
    };
    table.iter().find(|(k, _)| *k == key).map_or("", |(_, word)| word)
}

/// A fixed text with its values filled in, as those of checks are.
pub(crate) fn phrase(lang: Lang, key: &'static str, values: &[(&'static str, Value)]) -> String {
    let text = values.iter().fold(Text::new(key), |text, (name, value)| text.with(name, value.clone()));
    text.fill(word(lang, key), &|value: &Value| match value {
        Value::Count(n) => quantity::count(*n),
        other => quantity::show(other),
    })
}

/// All fixed words of a language, for templates.
pub(crate) fn all(lang: Lang) -> std::collections::BTreeMap<&'static str, &'static str> {
    match lang {
        Lang::En => EN.iter().copied().collect(),
    }
}

/// A text of a check as a sentence.
#[must_use]
pub fn sentence(lang: Lang, check: &str, text: &Text) -> String {
    let info = CHECKS.iter().map(|c| c.info()).find(|i| i.id == check);
    let template = match lang {
        Lang::En => info.and_then(|i| i.text(&text.key)),
    };
    // A finding of another version's check, from a history: its key says more than nothing.
    let template = template.unwrap_or(&text.key);
    let change = text.args.contains_key("to");
    text.fill(template, &|value: &Value| {
        if change { quantity::setting(value) } else { quantity::show(value) }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_sentence_names_its_values_in_braces() {
        for check in CHECKS {
            for (key, template) in check.info().texts {
                assert!(
                    !template.is_empty() && template.matches('{').count() == template.matches('}').count(),
                    "{key}"
                );
                assert!(!template.ends_with('.'), "{}: {key}: a sentence has no full stop", check.info().id);
            }
        }
    }

    #[test]
    fn words_are_unique() {
        let mut keys: Vec<_> = EN.iter().map(|(k, _)| k).collect();
        keys.sort();
        keys.dedup();
        assert_eq!(keys.len(), EN.len());
    }

    #[test]
    fn charts_have_words() {
        use healthcore::chart::{CurveKind, LineKind, MarkKind};
        use healthcore::metric::Metric;
        let lines = [
            LineKind::Request,
            LineKind::Limit,
            LineKind::Min,
            LineKind::Max,
            LineKind::AdvisedRequest,
            LineKind::AdvisedLimit,
            LineKind::AdvisedMin,
            LineKind::AdvisedMax,
        ];
        let marks = [MarkKind::Deploy, MarkKind::OomKill, MarkKind::Restart];
        let keys = Metric::ALL.iter().map(|m| format!("metric-{}", m.name()));
        let keys = keys.chain(lines.iter().map(|l| format!("line-{}", l.name())));
        let keys = keys.chain(marks.iter().map(|m| format!("mark-{}", m.name())));
        let curves = [CurveKind::Floor, CurveKind::Fitted].map(|c| format!("curve-{}", c.name()));
        for key in keys.chain(curves) {
            assert!(Lang::ALL.iter().all(|lang| !word(*lang, &key).is_empty()), "{key}");
        }
    }
}
