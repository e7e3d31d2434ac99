//! What each language says: fixed words by key, phrases, and the sentences of checks.
//!
//! English stands where it is used: fixed words here, phrases in [`healthcore::phrase`], sentences beside the checks.
//! Another language is one file in `lang`, a line a message in the same notation.

use healthcore::checks::CHECKS;

use crate::catalogue::{self, Catalogue};

/// A language.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Lang {
    /// English.
    #[default]
    En,
    /// Traditional Chinese as written in Taiwan.
    ZhTw,
}

impl Lang {
    /// Every language.
    pub const ALL: &'static [Self] = &[Self::En, Self::ZhTw];

    /// The tag (BCP 47).
    #[must_use]
    pub const fn tag(self) -> &'static str {
        match self {
            Self::En => "en",
            Self::ZhTw => "zh-TW",
        }
    }

    /// The language of a tag, in capitals or not, with `-` or, as a locale has it, `_`.
    #[must_use]
    pub fn from_tag(tag: &str) -> Option<Self> {
        let tag = tag.replace('_', "-");
        Self::ALL.iter().copied().find(|l| l.tag().eq_ignore_ascii_case(&tag))
    }
}

/// Fixed words in English.
const EN: &[(&str, &str)] = &[
    ("title", "Health report"),
    ("title-of", "Health report of {place}"),
    ("n-clusters", "{n} {n|cluster|clusters}"),
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
    ("no-problems-above", "No problem found of the severities that are told here."),
    (
        "nothing-to-judge",
        "No workload and no pod was found, so there was nothing to judge. Is it the right cluster?",
    ),
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
    ("since-head", "Since"),
    ("since-day", "since {day}"),
    // How days are written (strftime).
    ("day", "%-d %b"),
    ("day-of-year", "%-d %b %Y"),
    ("advice", "What to do"),
    ("urgent", "Urgent"),
    ("watch", "Watch"),
    ("leaks", "Leaks"),
    ("notes", "Notes (info)"),
    ("more-in-markdown", "and {n} more: the Markdown report has them all"),
    ("more", "and {n} more: the JSON report has them all"),
    ("and-more", "and {n} more"),
    ("still-there", "Still there"),
    (
        "rest-elsewhere",
        "Nothing has changed. Evidence, advice and tables are in the other formats, such as Markdown or HTML.",
    ),
    ("direct", "direct"),
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
    ("which", "Which"),
    ("first-and-more", "{first} and {more} more"),
    ("subjects", "Subjects at most"),
    ("cost", "Cost"),
    (
        "cost-line",
        "{queries} Prometheus {queries|query|queries}, {samples} {samples|sample|samples}, {bytes} received, {requests} Kubernetes {requests|request|requests}, {seconds}",
    ),
    ("cost-memory", ", peak memory {rss}"),
    ("made-by", "Made by healthcheck {version}"),
    ("counts", "{critical} critical, {warning} warning, {info} info, {gaps} {gaps|gap|gaps}"),
    ("counts-of-warnings", "{critical} critical, {warning} warning, {gaps} {gaps|gap|gaps}"),
    ("counts-of-critical", "{critical} critical, {gaps} {gaps|gap|gaps}"),
    ("part", "Only {only}"),
    ("part-cluster", "cluster {names}"),
    ("part-clusters", "clusters {names}"),
    ("part-namespace", "namespace {names}"),
    ("part-namespaces", "namespaces {names}"),
    ("part-warning", "critical findings and warnings"),
    ("part-critical", "critical findings"),
    ("counts-unknown", ", {of} of {all} {all|judgement|judgements} unknown"),
    ("counts-unanswered", ", {of} of {all} {all|check|checks} mostly unanswered"),
    ("counts-left-out", ", {of} of {all} {all|check|checks} not asked for"),
    ("counts-partly-seen", ", partly seen: missing shard {shards}"),
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
    ("growth-check", "Last quarter against first"),
    ("more-pods", "and others with less memory:"),
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
    ("history-unread", "Earlier runs could not be read, so nothing is compared."),
    (
        "history-unwritten",
        "No earlier run is remembered, and this one could not be either: nothing is compared.",
    ),
    ("nothing-changed", "nothing found, then or now"),
    ("state", "State"),
    ("new", "new"),
    ("ongoing", "ongoing"),
    ("worse", "worse"),
    ("better", "better"),
    ("flapping", "flapping"),
    ("not-there-now", "not there now, last seen {last}: {text}"),
    ("resolved", "resolved"),
    ("not-checked-now", "not checked"),
    ("watch-list", "Watch list: near a bound, and not beyond it"),
    ("with-notes", "{text}; {notes}"),
    ("watch-now", "now {value}, bound {bound}"),
    ("watch-bound", "bound {bound}"),
    ("watch-was-finding", "a finding until {day}"),
    ("watch-away", "no longer near its bound"),
    ("watch-not-running", "nothing of it runs now"),
    ("watch-not-there", "no longer there"),
    ("watch-not-asked", "not looked at in this run: its check was not asked for"),
    ("watch-out-of-sight", "not looked at in this run: nothing of its namespace was seen"),
    ("watch-unjudged", "could not be judged in this run"),
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
    ("metric-jvm-beside-heap", "JVM memory beside the heap"),
    ("metric-jvm-threads", "JVM threads"),
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
    ("state-count", "{n} {state}"),
    ("of-pod", "pod"),
    ("colon", ": "),
    ("semicolon", "; "),
    ("comma", ", "),
    ("list", ", "),
    ("stop", "."),
    ("score", "Score"),
    ("score-was", "{now}, was {before}"),
    ("score-changed", "The score is {now}, it was {before}."),
    ("score-stayed", "The score is {now}, as it was."),
    (
        "score-not-comparable",
        "The score is {now} with {judged} of the judgements made. It was {before} with {judged_before}, so the two do not compare.",
    ),
    ("judged", "judged"),
    ("next-sentence", ". "),
    ("open", " ("),
    ("close", ")"),
    ("unit-day", "d"),
    ("unit-hour", "h"),
    ("unit-minute", "min"),
    ("unit-second", "s"),
    ("unit-core", "core"),
    ("unit-cores", "cores"),
    ("per-hour", "/h"),
    ("in-order", "subjects in order: {n}"),
    ("subjects-unknown", "subjects unknown: {n} ({why})"),
    ("clusters-looked-at", "the clusters that were looked at"),
    ("digest-title", "Health digest"),
    ("digest-period", "{start} to {end}"),
    ("digest-runs", "{n} {n|run|runs}, the last at {time}; the longest time without one is {silence}."),
    (
        "digest-no-run",
        "No run in this period. The last one before it was at {time}: look whether the schedule still works.",
    ),
    ("digest-no-run-at-all", "No run in this period."),
    ("digest-compared", "Compared with the run of {time}: {severities}."),
    ("digest-fleet", "{n} {n|cluster|clusters}: {severities}."),
    (
        "digest-news",
        "{new} new, {resolved} resolved, {flapping} coming and going, {open} open since before, {unseen} not looked for",
    ),
    ("digest-severity", "{severity} {before} → {now}"),
    ("digest-score", "Score {score}."),
    ("digest-score-lowest", "Score {score}; the lowest was {lowest}, at {time}."),
    ("digest-score-namespaces", "Scores of namespaces that changed the most: {scores}."),
    ("digest-new", "New"),
    ("digest-resolved", "Resolved"),
    ("digest-flapping", "Coming and going"),
    ("digest-open", "Open the longest"),
    ("digest-not-checked", "Could not be looked for in the last run"),
    ("digest-nothing", "Nothing was found, at any time."),
    ("digest-no-namespace", "Nothing is known of the namespaces that are told here."),
    ("digest-no-clusters", "No cluster has a run in this period or in the month before it."),
    ("digest-since", "since {time}, for {age}"),
    ("digest-was-there", "first seen {first}, last seen {last}"),
    ("digest-changes-there", "came or went {n} times, there now; last seen {last}"),
    ("digest-changes-gone", "came or went {n} times, not there now; last seen {last}"),
    ("digest-last-seen", "last seen {last}"),
    ("digest-was-severity", "it was {severity}"),
    ("digest-more", "and {n} more: the JSON digest has them all"),
];

/// A text that names no language.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected a language, one of {}, got `{given}`", known())]
pub struct UnknownLang {
    given: String,
}

fn known() -> String {
    Lang::ALL.iter().map(|l| format!("`{}`", l.tag())).collect::<Vec<_>>().join(", ")
}

impl std::str::FromStr for Lang {
    type Err = UnknownLang;

    fn from_str(tag: &str) -> Result<Self, UnknownLang> {
        Self::from_tag(tag).ok_or_else(|| UnknownLang { given: tag.to_owned() })
    }
}

impl Lang {
    /// Its catalogue; none for English.
    fn catalogue(self) -> Option<&'static Catalogue> {
        match self {
            Self::En => None,
            Self::ZhTw => Some(&catalogue::ZH_TW),
        }
    }

    /// A message of its catalogue.
    fn get(self, section: &'static str, key: &str) -> Option<&'static str> {
        self.catalogue()?.get(section, key)
    }
}

/// A fixed word. Every key that is used has one in every language; tests look.
pub(crate) fn word(lang: Lang, key: &str) -> &'static str {
    let english = || EN.iter().find(|(k, _)| *k == key).map_or("", |(_, word)| word);
    lang.get("word", key).unwrap_or_else(english)
}

/// All fixed words of a language, for templates.
pub(crate) fn all(lang: Lang) -> std::collections::BTreeMap<&'static str, &'static str> {
    EN.iter().map(|(key, _)| (*key, word(lang, key))).collect()
}

/// The sentence of a check's message, with names of values in braces.
pub(crate) fn of_check(lang: Lang, check: &str, key: &str) -> Option<&'static str> {
    let english = || CHECKS.iter().map(|c| c.info()).find(|i| i.id == check)?.text(key);
    lang.get("check", &format!("{check}.{key}")).or_else(english)
}

/// The title of a check, in a language with a catalogue.
pub(crate) fn title(lang: Lang, check: &str) -> Option<&'static str> {
    lang.get("check", check)
}

/// What a check looks at, and what to do when it fires.
pub(crate) fn rule(lang: Lang, check: &str) -> Option<(&'static str, &'static str)> {
    let info = CHECKS.iter().map(|c| c.info()).find(|i| i.id == check)?;
    let say = |part: &str, english| lang.get("rule", &format!("{check}.{part}")).unwrap_or(english);
    Some((say("checks", info.checks), say("remedy", info.remedy)))
}

/// A phrase, in a language with a catalogue.
pub(crate) fn phrase(lang: Lang, key: &str) -> Option<&'static str> {
    lang.get("phrase", key)
}

/// The name of a measured value, in a language with a catalogue.
pub(crate) fn evidence(lang: Lang, name: &str) -> Option<&'static str> {
    lang.get("evidence", name)
}

/// What kind of gap, in a language with a catalogue.
pub(crate) fn cause(lang: Lang, name: &str) -> Option<&'static str> {
    lang.get("cause", name)
}

/// Every message that a catalogue must have, with its English where the English is a sentence.
#[cfg(test)]
pub(crate) fn needed() -> std::collections::BTreeMap<String, &'static str> {
    let mut out: std::collections::BTreeMap<String, &'static str> =
        EN.iter().map(|(key, english)| (format!("word.{key}"), *english)).collect();
    out.extend(healthcore::phrase::PHRASES.iter().map(|(key, english)| (format!("phrase.{key}"), *english)));
    for info in CHECKS.iter().map(|c| c.info()) {
        out.insert(format!("check.{}", info.id), info.title);
        out.insert(format!("rule.{}.checks", info.id), info.checks);
        out.insert(format!("rule.{}.remedy", info.id), info.remedy);
        out.extend(info.texts.iter().map(|(key, text)| (format!("check.{}.{key}", info.id), *text)));
    }
    out
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
