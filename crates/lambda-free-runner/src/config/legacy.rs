//! Files of the systems that this one replaces, taken as they are: thresholds and query templates.

use std::collections::BTreeMap;
use std::path::Path;

use healthcore::metric::Metric;
use healthcore::settings::{CheckSettings, nearest};
use healthcore_sources::prometheus::check_query;

use super::Given;
use super::tree::{self, Node};

/// How a number of an old file is written as the value of a parameter.
#[derive(Clone, Copy, PartialEq)]
enum Unit {
    /// 70 or 0.7 is 70 %.
    Percent,
    /// Megabytes an hour.
    MbPerHour,
    /// Megabytes.
    Mb,
    /// Gigabytes.
    Gb,
    /// A number as it is.
    Plain,
    /// A share 0..=1 as it is.
    Share,
    /// Minutes.
    Minutes,
    /// Days.
    Days,
}

/// Old key (its path without punctuation, in lower case; the last words decide), check, parameter, unit.
const THRESHOLDS: &[(&str, &str, &str, Unit)] = &[
    ("memory leak slope mb per hour", "memory-leak", "min-slope", Unit::MbPerHour),
    ("memory leak slope threshold mb per hour", "memory-leak", "min-slope", Unit::MbPerHour),
    ("leak slope mb h", "memory-leak", "min-slope", Unit::MbPerHour),
    ("leak slope", "memory-leak", "min-slope", Unit::MbPerHour),
    ("leak r squared", "memory-leak", "min-r-squared", Unit::Share),
    ("leak r2", "memory-leak", "min-r-squared", Unit::Share),
    ("leak min r squared", "memory-leak", "min-r-squared", Unit::Share),
    ("leak p value", "memory-leak", "max-p", Unit::Plain),
    ("leak method", "memory-leak", "method", Unit::Plain),
    ("leak growth warning", "memory-leak", "warning-growth", Unit::Percent),
    ("leak growth critical", "memory-leak", "critical-growth", Unit::Percent),
    ("memory usage warning", "memory-usage", "warning", Unit::Percent),
    ("memory usage critical", "memory-usage", "critical", Unit::Percent),
    ("memory warning", "memory-usage", "warning", Unit::Percent),
    ("memory critical", "memory-usage", "critical", Unit::Percent),
    ("memory over provisioned", "memory-overprovisioned", "of-request", Unit::Percent),
    ("memory overprovisioned", "memory-overprovisioned", "of-request", Unit::Percent),
    ("memory overprovisioned request", "memory-overprovisioned", "of-request", Unit::Percent),
    ("memory overprovisioned limit", "memory-overprovisioned", "of-limit", Unit::Percent),
    ("memory large limit gb", "memory-overprovisioned", "large-limit", Unit::Gb),
    ("memory large limit mb", "memory-overprovisioned", "large-limit", Unit::Mb),
    ("memory under provisioned", "memory-underprovisioned", "of-limit", Unit::Percent),
    ("memory underprovisioned", "memory-underprovisioned", "of-limit", Unit::Percent),
    ("cpu over provisioned", "cpu-overprovisioned", "of-request", Unit::Percent),
    ("cpu overprovisioned", "cpu-overprovisioned", "of-request", Unit::Percent),
    ("cpu under provisioned", "cpu-underprovisioned", "of-limit", Unit::Percent),
    ("cpu underprovisioned", "cpu-underprovisioned", "of-limit", Unit::Percent),
    ("hpa over scaled replicas", "hpa-over-scaled", "replicas", Unit::Plain),
    ("hpa over scaled usage", "hpa-over-scaled", "low-use", Unit::Percent),
    ("hpa under scaled replicas", "hpa-under-scaled", "replicas", Unit::Plain),
    ("hpa under scaled usage", "hpa-under-scaled", "high-use", Unit::Percent),
    ("hpa at max minutes", "hpa-at-max", "lasting", Unit::Minutes),
    ("restarts per hour", "restarts", "per-hour", Unit::Plain),
    ("restart per hour", "restarts", "per-hour", Unit::Plain),
    ("restarts warning", "restarts", "per-hour", Unit::Plain),
    ("oom recent days", "oom-killed", "recent", Unit::Days),
    ("events warning count", "warning-events", "warning-count", Unit::Plain),
];

/// Words before a known threshold that make it one of something else: `node.memory.critical` is no threshold of containers.
const OTHER_THINGS: &[&str] = &[
    "node",
    "nodes",
    "host",
    "hosts",
    "cluster",
    "namespace",
    "quota",
    "pvc",
    "pvcs",
    "pv",
    "volume",
    "volumes",
    "disk",
    "disks",
    "storage",
    "filesystem",
    "fs",
    "jvm",
    "heap",
    "gc",
    "swap",
    "gpu",
    "hpa",
    "redis",
    "database",
    "db",
];

/// Old names of queries, and the metric that each is.
const QUERIES: &[(&str, Metric)] = &[
    ("memory usage", Metric::MemoryWorkingSet),
    ("memory usage bytes", Metric::MemoryWorkingSet),
    ("memory working set", Metric::MemoryWorkingSet),
    ("memory working set bytes", Metric::MemoryWorkingSet),
    ("container memory working set bytes", Metric::MemoryWorkingSet),
    ("memory", Metric::MemoryWorkingSet),
    ("memory rss", Metric::MemoryRss),
    ("memory rss bytes", Metric::MemoryRss),
    ("container memory rss", Metric::MemoryRss),
    ("cpu usage", Metric::CpuUsage),
    ("cpu usage cores", Metric::CpuUsage),
    ("cpu", Metric::CpuUsage),
    ("restarts", Metric::Restarts),
    ("pod restarts", Metric::Restarts),
    ("container restarts", Metric::Restarts),
    ("restart count", Metric::Restarts),
    ("oom", Metric::OomEvents),
    ("oom events", Metric::OomEvents),
    ("oom kills", Metric::OomEvents),
    ("jvm heap used", Metric::JvmHeapUsed),
    ("jvm heap max", Metric::JvmHeapMax),
    ("request rate", Metric::RequestRate),
    ("requests", Metric::RequestRate),
    ("qps", Metric::RequestRate),
    ("hpa replicas", Metric::HpaReplicas),
    ("hpa current replicas", Metric::HpaReplicas),
];

/// `Memory.leak_slope-MB` as `memory leak slope mb`.
fn words(key: &str) -> String {
    let spaced: String =
        key.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { ' ' }).collect();
    let mut words: Vec<&str> = spaced
        .split_whitespace()
        .filter(|w| !matches!(*w, "threshold" | "thresholds" | "percent" | "pct"))
        .collect();
    words.dedup();
    words.join(" ")
}

/// The entry whose key is the end of `given`, the longest first.
fn find<'t, T>(given: &str, table: &'t [T], key: impl Fn(&T) -> &str) -> Option<&'t T> {
    let ends = |entry: &&T| given == key(entry) || given.ends_with(&format!(" {}", key(entry)));
    table.iter().filter(ends).max_by_key(|e| key(e).len())
}

/// Every single value of an old file by its key.
pub(super) fn read(path: &Path) -> Result<BTreeMap<String, String>, String> {
    let at = |why: String| format!("{}: {why}", path.display());
    entries(path)?.into_iter().map(|(key, value)| Ok((key, value.map_err(at)?))).collect()
}

/// As [`read`]; of what is no single value, why it is none.
pub(super) fn entries(path: &Path) -> Result<BTreeMap<String, Result<String, String>>, String> {
    let at = |why: String| format!("{}: {why}", path.display());
    let text = std::fs::read_to_string(path).map_err(|e| at(format!("cannot be read: {e}")))?;
    let tree = tree::parse(&text).map_err(at)?;
    let mut out = BTreeMap::new();
    tree::leaves(&Node::root(&tree), &mut out).map_err(at)?;
    Ok(out)
}

/// Parameters by check from an old `thresholds.yaml`; where each stands goes to `given_at`.
pub(super) fn thresholds(
    path: &Path,
    given_at: &mut BTreeMap<String, Given>,
) -> Result<BTreeMap<String, CheckSettings>, String> {
    let places = tree::places(&std::fs::read_to_string(path).unwrap_or_default());
    let mut out: BTreeMap<String, CheckSettings> = BTreeMap::new();
    let mut taken: BTreeMap<(&str, &str), (String, String)> = BTreeMap::new();
    for (key, value) in read(path)? {
        let at = |why: String| format!("{}: {key}: {why}", path.display());
        let (check, param, text) = threshold(&key, &value).map_err(at)?;
        if let Some((other, before)) = taken.get(&(check, param)).filter(|(_, before)| *before != text) {
            return Err(at(format!(
                "gives checks.{check}.{param} as `{text}`, and {other} gives it as `{before}`; leave one of them out"
            )));
        }
        taken.insert((check, param), (key.clone(), text.clone()));
        if let Some((_, line)) = places.get(&key) {
            let origin = format!("{}:{line}", path.display());
            given_at.insert(format!("checks.{check}.{param}"), Given { text: text.clone(), origin });
        }
        out.entry(check.to_owned()).or_default().params.insert(param.to_owned(), text);
    }
    Ok(out)
}

/// Check, parameter and value that an old threshold stands for.
pub(super) fn threshold(key: &str, value: &str) -> Result<(&'static str, &'static str, String), String> {
    let given = words(key);
    let Some((known, check, param, unit)) = find(&given, THRESHOLDS, |t| t.0) else {
        let hint = nearest(&given, THRESHOLDS.iter().map(|t| t.0))
            .map_or_else(String::new, |n| format!(", did you mean `{}`?", n.replace(' ', "_")));
        return Err(format!("unknown threshold{hint}"));
    };
    let before = given.strip_suffix(known).unwrap_or_default();
    if let Some(other) = before.split(' ').find(|word| OTHER_THINGS.contains(word)) {
        return Err(format!(
            "is about `{other}`, and only thresholds of containers are taken over; leave it out, and see `healthcheck list` for the checks of other things"
        ));
    }
    let text = in_unit(value, *unit).ok_or_else(|| format!("expected a number, got `{value}`"))?;
    Ok((check, param, text))
}

fn in_unit(value: &str, unit: Unit) -> Option<String> {
    let number: Option<f64> = value.trim_end_matches('%').trim().parse().ok().filter(|n: &f64| n.is_finite());
    Some(match (unit, number) {
        (Unit::Plain, _) => value.to_owned(),
        (_, None) => return None,
        (Unit::Percent, Some(n)) if n <= 1.0 && !value.contains('%') => n.to_string(),
        (Unit::Percent, Some(n)) => format!("{n}%"),
        (Unit::MbPerHour, Some(n)) => format!("{n}MB/h"),
        (Unit::Mb, Some(n)) => format!("{n}M"),
        (Unit::Gb, Some(n)) => format!("{n}G"),
        (Unit::Share, Some(n)) => n.to_string(),
        (Unit::Minutes, Some(n)) => format!("{n}m"),
        (Unit::Days, Some(n)) => format!("{n}d"),
    })
}

/// Query templates by metric from an old `promql_queries.yaml`.
pub(super) fn queries(path: &Path) -> Result<BTreeMap<String, String>, String> {
    let mut out = BTreeMap::new();
    for (key, template) in read(path)? {
        let metric = query(&key, &template).map_err(|why| format!("{}: {key}: {why}", path.display()))?;
        out.insert(metric.name().to_owned(), template);
    }
    Ok(out)
}

/// The metric that an old query is, when its template can be used.
pub(super) fn query(key: &str, template: &str) -> Result<Metric, String> {
    let given = words(key);
    let own = Metric::ALL.iter().copied().find(|m| words(m.name()) == given);
    let metric = own.or_else(|| find(&given, QUERIES, |q| q.0).map(|q| q.1)).ok_or_else(|| {
        let known = Metric::ALL.iter().map(|m| m.name());
        let hint = nearest(key, known.clone()).map_or_else(String::new, |n| format!(", did you mean `{n}`?"));
        format!("no metric has this name{hint}; known metrics: {}", known.collect::<Vec<_>>().join(", "))
    })?;
    check_query(metric, template)?;
    Ok(metric)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(text: &str) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        file
    }

    #[test]
    fn old_thresholds() {
        let f = file(
            "thresholds:\n  memory:\n    leak: {slope_mb_per_hour: 12, r_squared: 0.8, p_value: 0.01}\n    usage: {warning: 65, critical: 0.9}\n  cpu: {over_provisioned_threshold: 40}\n  restarts_per_hour: 3\n",
        );
        let found = thresholds(f.path(), &mut BTreeMap::new()).unwrap();
        assert_eq!(found["memory-leak"].params["min-slope"], "12MB/h");
        assert_eq!(found["memory-leak"].params["min-r-squared"], "0.8");
        assert_eq!(found["memory-usage"].params["warning"], "65%");
        assert_eq!(found["memory-usage"].params["critical"], "0.9");
        assert_eq!(found["cpu-overprovisioned"].params["of-request"], "40%");
        assert_eq!(found["restarts"].params["per-hour"], "3");
        let f = file("memory: {usage: {warnin: 65}}");
        let why = thresholds(f.path(), &mut BTreeMap::new()).unwrap_err();
        assert!(
            why.ends_with("memory.usage.warnin: unknown threshold, did you mean `memory_usage_warning`?"),
            "{why}"
        );
        let f = file("memory: {usage: {warning: high}}");
        assert!(
            thresholds(f.path(), &mut BTreeMap::new())
                .unwrap_err()
                .ends_with("memory.usage.warning: expected a number, got `high`")
        );
    }

    #[test]
    fn thresholds_of_other_things_are_not_those_of_containers() {
        let refused = |text: &str| thresholds(file(text).path(), &mut BTreeMap::new()).unwrap_err();
        for (text, expected) in [
            ("node.memory.critical: 95", "node.memory.critical: is about `node`"),
            ("thresholds: {pvc: {memory_usage_critical: 99}}", "pvc.memory_usage_critical: is about `pvc`"),
            ("alerts: {jvm: {memory: {warning: 80}}}", "alerts.jvm.memory.warning: is about `jvm`"),
        ] {
            let why = refused(text);
            assert!(why.contains(expected), "{why}");
        }
        let taken =
            thresholds(file("prod: {container: {memory: {critical: 85}}}").path(), &mut BTreeMap::new());
        assert_eq!(taken.unwrap()["memory-usage"].params["critical"], "85%");
    }

    #[test]
    fn two_keys_of_one_parameter_are_refused_unless_they_agree() {
        let why = thresholds(
            file("container: {memory: {critical: 85}}\npod: {memory_usage_critical: 90}").path(),
            &mut BTreeMap::new(),
        )
        .unwrap_err();
        assert!(
            why.ends_with("pod.memory_usage_critical: gives checks.memory-usage.critical as `90%`, and container.memory.critical gives it as `85%`; leave one of them out"),
            "{why}"
        );
        let same = file("container: {memory: {critical: 85}}\npod: {memory_usage_critical: 85%}");
        let same = thresholds(same.path(), &mut BTreeMap::new()).unwrap();
        assert_eq!(same["memory-usage"].params["critical"], "85%");
    }

    #[test]
    fn old_queries() {
        let f = file(
            "queries:\n  memory_usage: container_memory_working_set_bytes{namespace=\"{namespace}\"}\n  cpu-usage: rate(x[5m])\n",
        );
        let found = queries(f.path()).unwrap();
        assert!(
            found["memory-working-set"].starts_with("container_memory") && found.contains_key("cpu-usage")
        );
        let f = file("disk_usage: x");
        assert!(queries(f.path()).unwrap_err().contains("disk_usage: no metric has this name"));
    }
}
