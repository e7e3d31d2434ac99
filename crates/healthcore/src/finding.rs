//! What the analysis says: values and message keys, never finished sentences.
//!
//! A text is a key with named values; the English sentence stands beside the check, other languages in the
//! catalogues of the renderer. So numbers, ids and order cannot differ between languages.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::chart::ChartSeries;
use crate::time::Timestamp;
use crate::unit::{Ratio, Seconds};

/// A value with its unit, in the base unit.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "unit", content = "value")]
#[non_exhaustive]
pub enum Value {
    /// Bytes.
    Bytes(f64),
    /// CPU cores.
    Cores(f64),
    /// Seconds.
    Seconds(f64),
    /// A share; 1 is the whole.
    Ratio(f64),
    /// Bytes per hour.
    BytesPerHour(f64),
    /// How many.
    Count(u64),
    /// A number without unit.
    Number(f64),
    /// An instant.
    Time(Timestamp),
    /// A name, or words of another system.
    Text(String),
    /// Words of our own, a phrase of [`crate::phrase`]: said in the language of the reader.
    Words(Text),
    /// Several, one after the other.
    List(Vec<Value>),
}

impl Value {
    /// The unit as reports name it.
    #[must_use]
    pub const fn unit(&self) -> &'static str {
        match self {
            Self::Bytes(_) => "bytes",
            Self::Cores(_) => "cores",
            Self::Seconds(_) => "seconds",
            Self::Ratio(_) => "ratio",
            Self::BytesPerHour(_) => "bytes/hour",
            Self::Count(_) => "count",
            Self::Number(_) => "number",
            Self::Time(_) => "unix-seconds",
            Self::Text(_) | Self::Words(_) | Self::List(_) => "text",
        }
    }

    /// The number in the base unit; none for a text and a list.
    #[must_use]
    pub fn number(&self) -> Option<f64> {
        match self {
            Self::Bytes(v)
            | Self::Cores(v)
            | Self::Seconds(v)
            | Self::Ratio(v)
            | Self::BytesPerHour(v)
            | Self::Number(v) => Some(*v),
            Self::Count(v) => Some(*v as f64),
            Self::Time(t) => Some(t.unix_seconds() as f64),
            Self::Text(_) | Self::Words(_) | Self::List(_) => None,
        }
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}
impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}
impl From<usize> for Value {
    fn from(count: usize) -> Self {
        Self::Count(count as u64)
    }
}
impl From<u64> for Value {
    fn from(count: u64) -> Self {
        Self::Count(count)
    }
}
impl From<u32> for Value {
    fn from(count: u32) -> Self {
        Self::Count(u64::from(count))
    }
}
impl From<Text> for Value {
    fn from(phrase: Text) -> Self {
        Self::Words(phrase)
    }
}
impl From<Vec<Value>> for Value {
    fn from(values: Vec<Value>) -> Self {
        Self::List(values)
    }
}
impl From<Timestamp> for Value {
    fn from(time: Timestamp) -> Self {
        Self::Time(time)
    }
}
macro_rules! from_unit {
    ($($unit:ident),+) => { $(
        impl From<crate::unit::$unit> for Value {
            fn from(quantity: crate::unit::$unit) -> Self { Self::$unit(quantity.get()) }
        }
    )+ };
}
from_unit!(Bytes, Cores, Seconds, Ratio, BytesPerHour);

/// A message: a key of the check's own texts, and the values that the sentence names.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Text {
    /// Key; with the check's id it names a message in every language.
    pub key: Cow<'static, str>,
    /// Values by the name that stands in braces in the sentence.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub args: BTreeMap<Cow<'static, str>, Value>,
}

impl Text {
    /// A message without values.
    #[must_use]
    pub fn new(key: &'static str) -> Self {
        Self { key: Cow::Borrowed(key), args: BTreeMap::new() }
    }
    /// Adds a value.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl Into<Value>) -> Self {
        self.args.insert(Cow::Borrowed(name), value.into());
        self
    }
    /// Fills a sentence such as `memory grows by {rate}`: each `{name}` becomes what `show` makes of the
    /// value, and each `{name|one|other}` the form that fits a number: `one` for exactly 1, otherwise `other`. A
    /// language with one form leaves the second kind out. A name without value stays as it is. Sentences have spaces around
    /// their values, as Latin letters and digits want them; between Chinese words there is none.
    #[must_use]
    pub fn fill(&self, sentence: &str, show: &dyn Fn(&Value) -> String) -> String {
        let mut out = String::with_capacity(sentence.len() + 32);
        let mut rest = sentence;
        while let Some(open) = rest.find('{') {
            out.push_str(&rest[..open]);
            rest = &rest[open..];
            let Some(close) = rest.find('}') else { break };
            let mut parts = rest[1..close].splitn(3, '|');
            let value = parts.next().and_then(|name| self.args.get(name));
            match (value, parts.next(), parts.next()) {
                (Some(value), Some(one), Some(other)) => {
                    out.push_str(if value.number() == Some(1.0) { one } else { other });
                }
                (Some(value), None, None) => {
                    join(&mut out, &show(value));
                    rest = after(&out, &rest[close + 1..]);
                    continue;
                }
                _ => out.push_str(&rest[..=close]),
            }
            rest = &rest[close + 1..];
        }
        out.push_str(rest);
        out
    }
}

/// Adds a value to a sentence. The space before it goes where the value is empty, and between two Chinese words.
fn join(out: &mut String, value: &str) {
    let before = out.strip_suffix(' ');
    let between = before.is_some_and(|text| text.ends_with(is_chinese)) && value.starts_with(is_chinese);
    if before.is_some() && (value.is_empty() || between) {
        out.pop();
    }
    out.push_str(value);
}

/// What of a sentence comes behind a value: without its space where that would stand between two Chinese words.
fn after<'a>(out: &str, rest: &'a str) -> &'a str {
    let next = rest.strip_prefix(' ').filter(|next| next.starts_with(is_chinese));
    next.filter(|_| out.ends_with(is_chinese)).unwrap_or(rest)
}

/// Whether a character is one of Chinese or of its full-width punctuation.
const fn is_chinese(c: char) -> bool {
    matches!(c, '\u{3000}'..='\u{303F}' | '\u{3400}'..='\u{9FFF}' | '\u{F900}'..='\u{FAFF}' | '\u{FF00}'..='\u{FF60}')
}

/// How bad a problem is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// Worth knowing; nothing breaks.
    Info,
    /// Look at it this week.
    Warning,
    /// Look at it today.
    Critical,
}

impl Severity {
    /// The lower-case name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Critical => "critical",
        }
    }
}

/// What a finding is about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub struct SubjectRef {
    /// Cluster; filled by the engine.
    pub cluster: String,
    /// Namespace; empty for cluster-wide objects.
    pub namespace: String,
    /// Kind of the object: `Deployment`, `HorizontalPodAutoscaler`, ...
    pub kind: String,
    /// Name of the object.
    pub name: String,
    /// The pod that shows the problem most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pod: Option<String>,
    /// The container.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub container: Option<String>,
}

impl SubjectRef {
    /// The same subject, whichever pod shows the problem.
    #[must_use]
    pub fn without_pod(mut self) -> Self {
        self.pod = None;
        self
    }
}

/// One measured value behind a finding.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Evidence {
    /// What was measured, in kebab case.
    pub name: Cow<'static, str>,
    /// The value.
    pub value: Value,
    /// The bound that it was compared with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub threshold: Option<Value>,
    /// Whether it is the time that something has lasted: it grows from run to run though nothing happens.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_age: bool,
}

/// One thing to do.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Advice {
    /// What kind of change, in kebab case: `raise-limit`, `inspect`, ...
    pub action: Cow<'static, str>,
    /// The setting to change, for instance `memory.limit`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource: Option<Cow<'static, str>>,
    /// Its value today.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Value>,
    /// The value to give it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<Value>,
    /// The advice in words.
    pub text: Text,
    /// A command that does or shows it, ready to be pasted into a shell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command: Option<String>,
}

impl Advice {
    /// Advice in words alone; the text's key is the action.
    #[must_use]
    pub fn new(text: Text) -> Self {
        Self { action: text.key.clone(), resource: None, from: None, to: None, text, command: None }
    }
    /// Names the setting to change, its value and the value to give it. Both are also values of the text,
    /// as `from` (when known) and `to`.
    #[must_use]
    pub fn change(mut self, resource: &'static str, from: Option<Value>, to: Value) -> Self {
        if let Some(from) = &from {
            self.text.args.insert(Cow::Borrowed("from"), from.clone());
        }
        self.text.args.insert(Cow::Borrowed("to"), to.clone());
        self.resource = Some(Cow::Borrowed(resource));
        self.from = from;
        self.to = Some(to);
        self
    }
    /// Adds a command. It is left out when any of `names` has a character that a shell could read as
    /// something else than part of a name.
    #[must_use]
    pub fn command(mut self, command: String, names: &[&str]) -> Self {
        let plain = |n: &&str| {
            !n.is_empty()
                && n.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._:/".contains(&b))
                && !n.starts_with('-')
        };
        if names.iter().all(plain) {
            self.command = Some(command);
        }
        self
    }

    /// Makes the command one for the cluster of this context of a kubeconfig, whichever is current where it is pasted. A
    /// context whose name a shell could read as something else leaves it as it is.
    pub fn in_context(&mut self, context: &str) {
        let plain = |b: u8| b.is_ascii_alphanumeric() || b"-._:/@".contains(&b);
        if let Some(command) = &mut self.command
            && context.bytes().all(plain)
            && !context.starts_with('-')
        {
            let named = format!("kubectl --context {context} ");
            let in_context = |part: &str| part.replacen("kubectl ", &named, 1);
            let piped = |list: &str| list.split(" | ").map(in_context).collect::<Vec<_>>().join(" | ");
            *command = command.split("; ").map(piped).collect::<Vec<_>>().join("; ");
        }
    }
}

/// What a check found wrong with one subject.
#[derive(Debug, Clone, PartialEq)]
pub struct Problem {
    /// How bad.
    pub severity: Severity,
    /// One sentence.
    pub summary: Text,
    /// The values behind it, most telling first.
    pub evidence: Vec<Evidence>,
    /// What to do, best first.
    pub advice: Vec<Advice>,
    /// Since when, where that is known.
    pub since: Option<Timestamp>,
    /// The pod that shows it most; the subject's own pod when none.
    pub pod: Option<String>,
    /// The curve behind it, thinned for a chart.
    pub series: Option<ChartSeries>,
    /// How easily a healthy subject would look like this; none for rules that are no statistics.
    pub chance: Option<Chance>,
}

/// How easily a healthy subject would look like a problem, for checks that control their false discoveries over the
/// whole fleet.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Chance {
    /// Probability that a healthy subject looks like this or worse, 0..=1.
    pub p: f64,
    /// Share of false findings that is accepted, 0..=1.
    pub level: f64,
    /// The sentence when too many such findings would be false.
    pub unsure: Text,
    /// What to do then.
    pub unsure_advice: Vec<Advice>,
}

impl Problem {
    /// A problem with its sentence.
    #[must_use]
    pub fn new(severity: Severity, summary: Text) -> Self {
        Self {
            severity,
            summary,
            evidence: Vec::new(),
            advice: Vec::new(),
            since: None,
            pod: None,
            series: None,
            chance: None,
        }
    }
    /// Says how easily a healthy subject would look like this, which share of false findings is accepted, and sentence
    /// and advice when too many would be false.
    #[must_use]
    pub fn chance(mut self, p: f64, level: Ratio, unsure: Text, unsure_advice: Vec<Advice>) -> Self {
        self.chance = Some(Chance { p, level: level.get(), unsure, unsure_advice });
        self
    }
    /// Adds a measured value.
    #[must_use]
    pub fn evidence(mut self, name: &'static str, value: impl Into<Value>) -> Self {
        self.evidence.push(Evidence {
            name: Cow::Borrowed(name),
            value: value.into(),
            threshold: None,
            is_age: false,
        });
        self
    }
    /// Adds a measured value and the bound that it was compared with.
    #[must_use]
    pub fn measured(
        mut self,
        name: &'static str,
        value: impl Into<Value>,
        threshold: impl Into<Value>,
    ) -> Self {
        self.evidence.push(Evidence {
            name: Cow::Borrowed(name),
            value: value.into(),
            threshold: Some(threshold.into()),
            is_age: false,
        });
        self
    }
    /// Adds for how long it has lasted and the time from which on it counts. What lasts longer than in the run before is not
    /// worse for that ([`crate::history`]).
    #[must_use]
    pub fn lasted(mut self, name: &'static str, time: Seconds, threshold: Seconds) -> Self {
        self.evidence.push(Evidence {
            name: Cow::Borrowed(name),
            value: time.into(),
            threshold: Some(threshold.into()),
            is_age: true,
        });
        self
    }
    /// Adds advice.
    #[must_use]
    pub fn advise(mut self, advice: Advice) -> Self {
        self.advice.push(advice);
        self
    }
    /// Names the pod that shows it most.
    #[must_use]
    pub fn pod(mut self, pod: &str) -> Self {
        self.pod = Some(pod.to_owned());
        self
    }
    /// Says since when.
    #[must_use]
    pub fn since(mut self, since: Option<Timestamp>) -> Self {
        self.since = since;
        self
    }
    /// Adds the curve behind it, where there is one.
    #[must_use]
    pub fn chart(mut self, chart: Option<ChartSeries>) -> Self {
        self.series = chart;
        self
    }
}

/// A problem with its check and subject: one entry of the report.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Finding {
    /// Id of the check.
    pub check: Cow<'static, str>,
    /// How bad.
    pub severity: Severity,
    /// What it is about.
    pub subject: SubjectRef,
    /// Workload class that chose the thresholds, and where the class comes from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub class: Option<crate::class::Classified>,
    /// One sentence.
    pub summary: Text,
    /// The values behind it.
    pub evidence: Vec<Evidence>,
    /// What to do.
    pub advice: Vec<Advice>,
    /// Since when.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
    /// How it compares with the run before; none without history.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<State>,
    /// The same problem of the same subject has the same fingerprint in every run.
    pub fingerprint: String,
    /// The curve behind it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub series: Option<ChartSeries>,
    /// How easily a healthy subject would look like this, until the fleet is whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chance: Option<Chance>,
    /// On the watch list: how far the value is from its bound, as a share of the bound; 0 is at the bound.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub distance: Option<f64>,
}

/// A finding against the run before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum State {
    /// It was not there.
    New,
    /// It was there, about the same.
    Ongoing,
    /// It was there and less severe.
    Worse,
    /// It was there and more severe.
    Better,
    /// It comes and goes.
    Flapping,
    /// It is there no more.
    Resolved,
    /// It was there, and this run could not look.
    NotChecked,
}

impl State {
    /// Every state, those that ask for attention first.
    pub const ALL: &'static [Self] = &[
        Self::New,
        Self::Worse,
        Self::Flapping,
        Self::Better,
        Self::Resolved,
        Self::NotChecked,
        Self::Ongoing,
    ];

    /// The lower-case name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Ongoing => "ongoing",
            Self::Worse => "worse",
            Self::Better => "better",
            Self::Flapping => "flapping",
            Self::Resolved => "resolved",
            Self::NotChecked => "not-checked",
        }
    }
}

/// Fingerprint of a finding: 64-bit FNV-1a (Fowler, Noll, Vo) over check and subject, in hexadecimal.
/// The pod is left out unless the subject is a pod itself, so that a rollout keeps the fingerprint.
#[must_use]
pub fn fingerprint(check: &str, subject: &SubjectRef) -> String {
    format!("{:016x}", fingerprint_hash(check, subject))
}

/// The fingerprint as a number.
pub(crate) fn fingerprint_hash(check: &str, subject: &SubjectRef) -> u64 {
    let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
    let parts = [
        check,
        &subject.cluster,
        &subject.namespace,
        &subject.kind,
        &subject.name,
        subject.container.as_deref().unwrap_or(""),
    ];
    for part in parts {
        for byte in part.bytes().chain([0]) {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }
    hash
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::unit::Bytes;

    #[test]
    fn text_is_filled_by_name() {
        let text = Text::new("k").with("use", Bytes(5.0)).with("who", "{use}");
        let show = |v: &Value| v.number().map_or_else(|| format!("{v:?}"), |n| n.to_string());
        assert_eq!(
            text.fill("{who} uses {use} of {limit}, {use", &show),
            "Text(\"{use}\") uses 5 of {limit}, {use"
        );
    }

    #[test]
    fn no_space_stands_between_chinese_words() {
        let show = |v: &Value| if let Value::Text(text) = v { text.clone() } else { String::new() };
        let say = |value: &str, sentence: &str| Text::new("k").with("v", value).fill(sentence, &show);
        assert_eq!(say("節點的架構", "並加入 {v}"), "並加入節點的架構");
        assert_eq!(say("arm64", "並加入 {v}"), "並加入 arm64");
        assert_eq!(say("記憶體", "有足夠 {v} 的節點"), "有足夠記憶體的節點");
        assert_eq!(say("memory", "有足夠 {v} 的節點"), "有足夠 memory 的節點");
        assert_eq!(say("19 MiB/小時", "以 {v} 持續成長"), "以 19 MiB/小時持續成長");
        assert_eq!(say("節點", "{v} {v}，以及 {v}"), "節點節點，以及節點");
        assert_eq!(say("", "有足夠 {v} 的節點"), "有足夠的節點");
        assert_eq!(say("", "enough {v} there"), "enough there");
        assert_eq!(say("節點", "node {v} is not ready"), "node 節點 is not ready", "a name in English");
    }

    #[test]
    fn a_form_fits_its_number() {
        let show = |v: &Value| v.number().map_or_else(String::new, |n| n.to_string());
        let say = |n: usize, sentence: &str| Text::new("k").with("n", n).fill(sentence, &show);
        let english = "{n} {n|kill|kills}";
        assert_eq!([0, 1, 2].map(|n| say(n, english)), ["0 kills", "1 kill", "2 kills"]);
        assert_eq!(say(1, "{n} 次"), "1 次");
        assert_eq!(say(1, "{m|a|b} {n|a} {"), "{m|a|b} {n|a} {");
    }

    #[test]
    fn fingerprint_ignores_the_pod() {
        let mut subject = SubjectRef {
            namespace: "web".into(),
            kind: "Deployment".into(),
            name: "api".into(),
            ..SubjectRef::default()
        };
        let first = fingerprint("memory-leak", &subject);
        subject.pod = Some("api-1".into());
        assert_eq!(first, fingerprint("memory-leak", &subject));
        subject.name = "ap".into();
        subject.container = Some("i".into());
        assert_ne!(first, fingerprint("memory-leak", &subject));
    }

    #[test]
    fn commands_name_the_context() {
        let told = |command: &str, context: &str| {
            let mut advice = Advice::new(Text::new("do")).command(command.to_owned(), &["a"]);
            advice.in_context(context);
            advice.command.unwrap_or_default()
        };
        assert_eq!(told("kubectl -n a get pods", "prod"), "kubectl --context prod -n a get pods");
        assert_eq!(
            told("kubectl -n a get service b; kubectl -n a get pods | sort", "c1"),
            "kubectl --context c1 -n a get service b; kubectl --context c1 -n a get pods | sort"
        );
        assert_eq!(
            told("kubectl create secret tls a -o yaml | kubectl apply -f -", "arn:aws:eks:x:1:cluster/a"),
            "kubectl --context arn:aws:eks:x:1:cluster/a create secret tls a -o yaml | kubectl --context arn:aws:eks:x:1:cluster/a apply -f -"
        );
        for (command, context) in
            [("openssl s_client -connect a", "prod"), ("kubectl get a", "a b"), ("kubectl get a", "-x")]
        {
            assert_eq!(told(command, context), command);
        }
    }

    #[test]
    fn commands_with_odd_names_are_left_out() {
        let advice = |name: &str| {
            Advice::new(Text::new("inspect")).command(format!("kubectl describe pod {name}"), &[name]).command
        };
        assert!(advice("api-0").is_some());
        assert_eq!(advice("api;rm -rf /"), None);
        assert_eq!(advice("--all"), None);
    }
}
