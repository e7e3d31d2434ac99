//! The options of a Java virtual machine, from the words and variables of its container and the ConfigMaps that these come
//! from, as the kubelet puts them together.
//!
//! Of a container only what can set memory is kept: flags, the variables that JVMs and their start scripts read, and those
//! that these refer to. Secrets are never read.

use std::collections::{BTreeMap, BTreeSet};

use healthcore::class::{Class, class_of_image};
use healthcore::jvm::{
    FlagPlace, JvmFlag, Unread, UnreadOptions, begins_a_flag, flags_in, is_amount, is_malformed, words,
};
use serde::Deserialize;

use super::wire::or_default;

/// An environment variable as a container has it.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct EnvVar {
    #[serde(default, deserialize_with = "or_default")]
    name: String,
    #[serde(default, deserialize_with = "or_default")]
    value: String,
    #[serde(default, deserialize_with = "or_default")]
    value_from: ValueFrom,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ValueFrom {
    #[serde(default)]
    config_map_key_ref: Option<KeyRef>,
    #[serde(default)]
    secret_key_ref: Option<KeyRef>,
    /// A field of the pod or an amount of the container.
    #[serde(default)]
    field_ref: Option<serde::de::IgnoredAny>,
    #[serde(default)]
    resource_field_ref: Option<serde::de::IgnoredAny>,
}

#[derive(Debug, Default, Deserialize)]
struct KeyRef {
    #[serde(default, deserialize_with = "or_default")]
    name: String,
    #[serde(default, deserialize_with = "or_default")]
    key: String,
    #[serde(default, deserialize_with = "or_default")]
    optional: bool,
}

/// Variables that come all together.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct EnvFrom {
    #[serde(default, deserialize_with = "or_default")]
    prefix: String,
    #[serde(default)]
    config_map_ref: Option<KeyRef>,
    #[serde(default)]
    secret_ref: Option<KeyRef>,
}

/// What a container says of the options of its JVM, before ConfigMaps are read.
#[derive(Debug, Default, Clone, PartialEq)]
pub(super) struct Options {
    /// Variables that are read or referred to, in the order of the container.
    variables: Vec<(String, Origin)>,
    /// Where other variables come from, in the order of the container.
    sources: Vec<Source>,
    /// Words of command and arguments that set memory, or refer to what may.
    arguments: Vec<String>,
    /// Names that variables and words refer to.
    referred: BTreeSet<String>,
}

#[derive(Debug, Clone, PartialEq)]
enum Origin {
    Text(String),
    ConfigMap { name: String, key: String, optional: bool },
    Secret(String),
    Field,
}

#[derive(Debug, Clone, PartialEq)]
enum Source {
    ConfigMap { name: String, prefix: String, optional: bool },
    Secret { name: String, prefix: String },
}

/// What of a ConfigMap is read.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Wanted {
    Key(String),
    /// Variables of JVMs and those that are referred to, as they are named with this prefix.
    Variables {
        prefix: String,
        referred: BTreeSet<String>,
    },
}

impl Wanted {
    pub(super) fn takes(&self, key: &str) -> bool {
        match self {
            Self::Key(own) => own == key,
            Self::Variables { prefix, referred } => {
                let name = format!("{prefix}{key}");
                FlagPlace::of_variable(&name).is_some() || referred.contains(&name)
            }
        }
    }
}

/// What came of a ConfigMap: the values that are read, or why there are none.
pub(super) type Read = Result<BTreeMap<String, String>, Unread>;

/// ConfigMaps of a namespace, by name.
pub(super) type ConfigMaps = BTreeMap<String, Read>;

impl Options {
    /// Cuts a container down to what sets the memory of its JVM; empty if it does not look like one.
    pub(super) fn of(texts: &[String], env: Vec<EnvVar>, sources: Vec<EnvFrom>, image: &str) -> Self {
        let all = || texts.iter().flat_map(|text| words(text));
        let arguments: Vec<String> = all().filter(|word| may_set_memory(word)).map(str::to_owned).collect();
        let named = env.iter().any(|v| FlagPlace::of_variable(&v.name).is_some());
        let sets_memory = arguments.iter().any(|word| begins_a_flag(word));
        let runs_java = all().any(is_java) || class_of_image(image) == Some(Class::Jvm);
        if !sets_memory && !named && !runs_java {
            return Self::default();
        }
        let referred = referred_to(&arguments, &env);
        let kept = |name: &str| FlagPlace::of_variable(name).is_some() || referred.contains(name);
        let variables = env.into_iter().filter(|v| kept(&v.name));
        let variables = variables.map(|v| (v.name.clone(), Origin::of(v))).collect();
        let sources = sources.into_iter().filter_map(Source::of).collect();
        Self { variables, sources, arguments, referred }
    }

    /// The ConfigMaps that they come from, and what of them is read.
    pub(super) fn config_maps(&self) -> Vec<(&str, Wanted)> {
        let keys = self.variables.iter().filter_map(|(_, origin)| match origin {
            Origin::ConfigMap { name, key, .. } => Some((name.as_str(), Wanted::Key(key.clone()))),
            _ => None,
        });
        let sources = self.sources.iter().filter_map(|source| match source {
            Source::ConfigMap { name, prefix, .. } => {
                let wanted = Wanted::Variables { prefix: prefix.clone(), referred: self.referred.clone() };
                Some((name.as_str(), wanted))
            }
            Source::Secret { .. } => None,
        });
        keys.chain(sources).collect()
    }

    /// The flags, and what keeps others from being known. A ConfigMap that was not asked for says nothing.
    pub(super) fn resolve(&self, maps: &ConfigMaps) -> (Vec<JvmFlag>, Vec<UnreadOptions>) {
        let mut environment = Environment::default();
        for source in &self.sources {
            environment.take(source, maps);
        }
        for (name, origin) in &self.variables {
            environment.define(name, origin, maps);
        }
        let mut out = Found { unread: std::mem::take(&mut environment.unread), flags: Vec::new() };
        let mut variables: Vec<(&String, &Value)> = environment.values.iter().collect();
        // The script of Tomcat puts these after JAVA_OPTS.
        variables.sort_by_key(|(name, _)| *name == "CATALINA_OPTS");
        for (name, value) in variables {
            let Some(place) = FlagPlace::of_variable(name) else { continue };
            match value {
                Value::Text { text, config_map } => {
                    out.read(&environment, text, place, config_map.as_deref())
                }
                Value::Unread(why) => out.note(name, place, why.clone()),
            }
        }
        for word in &self.arguments {
            let (text, config_map) = environment.expand(word);
            out.read(&environment, &text, FlagPlace::Arguments, config_map.as_deref());
        }
        out.unread.sort();
        out.unread.dedup();
        (out.flags, out.unread)
    }
}

impl Origin {
    /// A text counts before anything else, as in the kubelet.
    fn of(variable: EnvVar) -> Self {
        let from = variable.value_from;
        if !variable.value.is_empty() {
            return Self::Text(cut_down(&variable.value));
        }
        if let Some(KeyRef { name, key, optional }) = from.config_map_key_ref {
            return Self::ConfigMap { name, key, optional };
        }
        if let Some(secret) = from.secret_key_ref {
            return Self::Secret(secret.name);
        }
        match from.field_ref.is_some() || from.resource_field_ref.is_some() {
            true => Self::Field,
            false => Self::Text(String::new()),
        }
    }
}

impl Source {
    fn of(from: EnvFrom) -> Option<Self> {
        let prefix = from.prefix;
        match (from.config_map_ref, from.secret_ref) {
            (Some(KeyRef { name, optional, .. }), _) => Some(Self::ConfigMap { name, prefix, optional }),
            (None, Some(secret)) => Some(Self::Secret { name: secret.name, prefix }),
            (None, None) => None,
        }
    }
}

/// The words of a value that may come to set memory; what else stands there, such as a password, is dropped.
fn cut_down(value: &str) -> String {
    let is_unit = |word: &str| matches!(word, "k" | "K" | "m" | "M" | "g" | "G" | "t" | "T");
    let kept: Vec<&str> =
        words(value).filter(|word| may_set_memory(word) || is_amount(word) || is_unit(word)).collect();
    kept.join(" ")
}

/// Whether a word is a flag that sets memory, or becomes one or more of them when what it refers to is put in.
fn may_set_memory(word: &str) -> bool {
    begins_a_flag(word) || (word.starts_with('$') && !references(word).is_empty())
}

/// Whether a word of a command starts a JVM.
fn is_java(word: &str) -> bool {
    word == "-jar" || word.ends_with(".jar") || word.rsplit('/').next() == Some("java")
}

/// Every name that is referred to, also by variables that are referred to themselves.
fn referred_to(arguments: &[String], env: &[EnvVar]) -> BTreeSet<String> {
    let of_text = |text: &str| -> Vec<String> {
        let relevant = words(text).filter(|word| may_set_memory(word));
        relevant.flat_map(references).map(|r| r.name.to_owned()).collect()
    };
    let mut open: Vec<String> = arguments.iter().flat_map(|word| of_text(word)).collect();
    let read = env.iter().filter(|v| FlagPlace::of_variable(&v.name).is_some());
    open.extend(read.flat_map(|v| of_text(&v.value)));
    let mut out = BTreeSet::new();
    while let Some(name) = open.pop() {
        if out.insert(name.clone()) {
            open.extend(env.iter().filter(|v| v.name == name).flat_map(|v| of_text(&v.value)));
        }
    }
    out
}

/// A reference in a text: `$(NAME)` of the kubelet, `$NAME`, `${NAME}` and `${NAME:-default}` of a shell.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Reference<'a> {
    name: &'a str,
    default: Option<&'a str>,
    /// Whether the kubelet reads it.
    is_own: bool,
    /// Where it stands in the text.
    start: usize,
    end: usize,
}

/// The references in a text, in order. `$$` stands for a dollar sign.
fn references(text: &str) -> Vec<Reference<'_>> {
    let mut out = Vec::new();
    let mut from = 0;
    while let Some(at) = text[from..].find('$') {
        let start = from + at;
        let rest = &text[start + 1..];
        from = start + 1;
        if rest.starts_with('$') {
            from += 1;
            continue;
        }
        if let Some(reference) = reference_at(rest, start) {
            from = reference.end;
            out.push(reference);
        }
    }
    out
}

/// The reference after a dollar sign that stands at `start`.
fn reference_at(rest: &str, start: usize) -> Option<Reference<'_>> {
    let closed = |open: char, close: char| {
        let inner = rest.strip_prefix(open)?;
        inner.find(close).map(|end| (&inner[..end], start + 1 + end + 2))
    };
    if let Some((name, end)) = closed('(', ')') {
        let is_name = !name.is_empty() && !name.contains(char::is_whitespace);
        return is_name.then_some(Reference { name, default: None, is_own: true, start, end });
    }
    let (inner, end) = closed('{', '}').unwrap_or_else(|| {
        let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len());
        (&rest[..end], start + 1 + end)
    });
    let (name, default) = match inner.split_once(":-").or_else(|| inner.split_once('-')) {
        Some((name, default)) => (name, Some(default)),
        None => (inner, None),
    };
    let is_name = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    is_name.then_some(Reference { name, default, is_own: false, start, end })
}

#[derive(Debug, Clone)]
enum Value {
    Text { text: String, config_map: Option<String> },
    Unread(Unread),
}

/// The variables of a container, as far as they are known.
#[derive(Default)]
struct Environment {
    values: BTreeMap<String, Value>,
    /// A Secret that may define any other variable.
    secret: Option<String>,
    /// Whole ConfigMaps that could not be read.
    unread: Vec<UnreadOptions>,
}

impl Environment {
    fn take(&mut self, source: &Source, maps: &ConfigMaps) {
        match source {
            Source::Secret { name, .. } => self.secret = Some(name.clone()),
            Source::ConfigMap { name, prefix, optional } => match maps.get(name) {
                None => {}
                Some(Ok(data)) => {
                    for (key, text) in data {
                        let value = Value::Text { text: text.clone(), config_map: Some(name.clone()) };
                        self.values.insert(format!("{prefix}{key}"), value);
                    }
                }
                Some(Err(Unread::NoConfigMap { .. })) if *optional => {}
                Some(Err(why)) => {
                    let variable = format!("{prefix}*");
                    self.unread.push(UnreadOptions { variable, place: None, why: why.clone() });
                }
            },
        }
    }

    fn define(&mut self, name: &str, origin: &Origin, maps: &ConfigMaps) {
        let value = match origin {
            Origin::Secret(secret) => Value::Unread(Unread::Secret { name: secret.clone() }),
            Origin::Field => Value::Unread(Unread::Field),
            Origin::Text(text) => {
                let (text, config_map) = self.expand(text);
                Value::Text { text, config_map }
            }
            Origin::ConfigMap { name: map, key, optional } => match maps.get(map) {
                None => return,
                Some(Err(Unread::NoConfigMap { .. })) if *optional => return,
                Some(Err(why)) => Value::Unread(why.clone()),
                Some(Ok(data)) => match data.get(key) {
                    Some(text) => Value::Text { text: text.clone(), config_map: Some(map.clone()) },
                    None if *optional => return,
                    None => Value::Unread(Unread::Absent { name: map.clone() }),
                },
            },
        };
        self.values.insert(name.to_owned(), value);
    }

    /// Puts what `$(NAME)` refers to into a text, as the kubelet does: what is not known stays as it is. And the first
    /// ConfigMap that something came from.
    fn expand(&self, text: &str) -> (String, Option<String>) {
        let (mut out, mut from, mut at) = (String::new(), None, 0);
        for reference in references(text).into_iter().filter(|r| r.is_own) {
            out += &text[at..reference.start];
            at = reference.end;
            match self.values.get(reference.name) {
                Some(Value::Text { text, config_map }) => {
                    out += text;
                    from = from.or_else(|| config_map.clone());
                }
                _ => out += &text[reference.start..reference.end],
            }
        }
        out += &text[at..];
        (out, from)
    }

    /// The value of a variable, and the ConfigMap that it came from.
    fn known(&self, name: &str) -> Option<(&str, Option<&str>)> {
        match self.values.get(name)? {
            Value::Text { text, config_map } => Some((text, config_map.as_deref())),
            Value::Unread(_) => None,
        }
    }

    /// Why the kubelet left a reference as it is, or a shell finds nothing.
    fn why(&self, name: &str) -> Unread {
        match (self.values.get(name), &self.secret) {
            (Some(Value::Unread(why)), _) => why.clone(),
            (None, Some(secret)) => Unread::Secret { name: secret.clone() },
            // One that is defined by now was not when it was referred to.
            (Some(Value::Text { .. }) | None, _) => Unread::Undefined,
        }
    }
}

/// What is found out about a container.
struct Found {
    flags: Vec<JvmFlag>,
    unread: Vec<UnreadOptions>,
}

impl Found {
    fn note(&mut self, variable: &str, place: FlagPlace, why: Unread) {
        self.unread.push(UnreadOptions { variable: variable.to_owned(), place: Some(place), why });
    }

    fn add(&mut self, text: &str, place: FlagPlace, config_map: Option<&str>) {
        for word in words(text).filter(|word| is_malformed(word)) {
            self.note(word, place, Unread::Malformed);
        }
        let flags = flags_in(text, place).into_iter();
        self.flags.extend(flags.map(|flag| JvmFlag { config_map: config_map.map(str::to_owned), ..flag }));
    }

    /// Reads the words of a text that the kubelet has expanded, and puts in what a shell would.
    fn read(&mut self, environment: &Environment, text: &str, place: FlagPlace, config_map: Option<&str>) {
        for word in words(text) {
            if begins_a_flag(word) {
                if let Some(filled) = self.filled(environment, word, place) {
                    self.add(&filled, place, config_map);
                }
            } else if word.starts_with('$') {
                references(word).into_iter().for_each(|reference| self.follow(environment, reference, place));
            }
        }
    }

    /// A flag with what a shell puts into it; none when that is not known.
    fn filled(&mut self, environment: &Environment, word: &str, place: FlagPlace) -> Option<String> {
        let (mut out, mut at) = (String::new(), 0);
        for reference in references(word) {
            let known =
                environment.known(reference.name).map(|(text, _)| text).filter(|text| !text.is_empty());
            let Some(value) = known.or(reference.default).filter(|_| !reference.is_own) else {
                self.note(reference.name, place, environment.why(reference.name));
                return None;
            };
            out += &word[at..reference.start];
            out += value;
            at = reference.end;
        }
        out += &word[at..];
        if out.contains(['$', '`']) {
            self.note(word, place, Unread::Undefined);
            return None;
        }
        Some(out)
    }

    /// Reads what a word stands for that is nothing but a reference.
    fn follow(&mut self, environment: &Environment, reference: Reference<'_>, place: FlagPlace) {
        let name = reference.name;
        if reference.is_own {
            // Of the arguments of a program most are none of its JVM.
            if place != FlagPlace::Arguments || FlagPlace::of_variable(name).is_some() {
                self.note(name, place, environment.why(name));
            }
        } else if let Some((text, config_map)) = environment.known(name) {
            self.add(text, place, config_map);
        } else if let Some(default) = reference.default {
            self.add(default, place, None);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::{Value as Json, json};

    const SECRET: &str = "hunter2";

    fn options(container: Json) -> Options {
        let texts =
            |key: &str| -> Vec<String> { serde_json::from_value(container[key].clone()).unwrap_or_default() };
        let env = serde_json::from_value(container["env"].clone()).unwrap_or_default();
        let env_from = serde_json::from_value(container["envFrom"].clone()).unwrap_or_default();
        let all = [texts("command"), texts("args")].concat();
        Options::of(&all, env, env_from, container["image"].as_str().unwrap_or(""))
    }

    fn map(data: &[(&str, &str)]) -> Read {
        Ok(data.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect())
    }

    /// Flags and what is unread, in words; with the ConfigMaps `env`, which is there, `gone`, and `closed`.
    #[track_caller]
    fn check(container: Json, expected: &[&str]) {
        let options = options(container);
        assert!(!format!("{options:?}").contains(SECRET), "{options:?}");
        let maps: ConfigMaps = [
            (
                "env".to_owned(),
                map(&[("JAVA_OPTS", "-Xmx1g"), ("HEAP", "512m"), ("opts", "-Xmx2g -Dx=$(HEAP)")]),
            ),
            ("gone".to_owned(), Err(Unread::NoConfigMap { name: "gone".to_owned() })),
            ("closed".to_owned(), Err(Unread::Denied { name: "closed".to_owned() })),
        ]
        .into();
        let (flags, unread) = options.resolve(&maps);
        let from = |map: &Option<String>| map.as_ref().map(|m| format!(" of {m}")).unwrap_or_default();
        let mut told: Vec<String> =
            flags.iter().map(|f| format!("{:?} {}{}", f.place, f.flag, from(&f.config_map))).collect();
        told.extend(unread.iter().map(|u| format!("{} unread: {:?}", u.variable, u.why)));
        assert_eq!(told, expected);
    }

    fn from_map(variable: &str, map: &str, key: &str) -> Json {
        json!({"name": variable, "valueFrom": {"configMapKeyRef": {"name": map, "key": key}}})
    }

    #[test]
    fn variables_from_config_maps() {
        check(json!({"env": [from_map("JAVA_TOOL_OPTIONS", "env", "opts")]}), &["ToolOptions -Xmx2g of env"]);
        check(
            json!({"env": [from_map("HEAP", "env", "HEAP"), {"name": "JAVA_OPTS", "value": "-Xms1m -Xmx$(HEAP)"}]}),
            &["Script -Xms1m of env", "Script -Xmx512m of env"],
        );
        check(
            json!({"args": ["-jar", "a.jar"], "envFrom": [{"configMapRef": {"name": "env"}}]}),
            &["Script -Xmx1g of env"],
        );
        // A variable of its own goes before all that come together.
        check(
            json!({"env": [{"name": "JAVA_OPTS", "value": "-Xmx3g"}], "envFrom": [{"configMapRef": {"name": "env"}}]}),
            &["Script -Xmx3g"],
        );
        // With the prefix it is another variable.
        check(
            json!({"args": ["-jar", "a.jar"], "envFrom": [{"prefix": "X_", "configMapRef": {"name": "env"}}]}),
            &[],
        );
        check(
            json!({"env": [from_map("LOG_LEVEL", "gone", "x")], "envFrom": [{"configMapRef": {"name": "closed"}}]}),
            &[],
        );
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        check(
            json!({"env": [from_map("JAVA_OPTS", "gone", "x")]}),
            &["JAVA_OPTS unread: NoConfigMap { name: \"gone\" }"],
        );
        check(
            json!({"env": [from_map("JAVA_OPTS", "env", "x")]}),
            &["JAVA_OPTS unread: Absent { name: \"env\" }"],
        );
        check(
            json!({"env": [from_map("JAVA_OPTS", "closed", "x")]}),
            &["JAVA_OPTS unread: Denied { name: \"closed\" }"],
        );
        let optional = |map: &str| json!({"env": [{"name": "JAVA_OPTS", "valueFrom": {"configMapKeyRef": {"name": map, "key": "x", "optional": true}}}]});
        check(optional("gone"), &[]);
        check(optional("env"), &[]);
        check(optional("closed"), &["JAVA_OPTS unread: Denied { name: \"closed\" }"]);
        let all = |map: &str| json!({"command": ["/opt/java/bin/java"], "envFrom": [{"configMapRef": {"name": map}}]});
        check(all("closed"), &["* unread: Denied { name: \"closed\" }"]);
        check(all("gone"), &["* unread: NoConfigMap { name: \"gone\" }"]);
        check(
            json!({"env": [{"name": "JAVA_OPTS", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}]}),
            &["JAVA_OPTS unread: Secret { name: \"s\" }"],
        );
        check(
            json!({"env": [{"name": "M", "valueFrom": {"resourceFieldRef": {"resource": "limits.memory"}}}],
                   "args": ["java", "-Xmx$(M)"]}),
            &["M unread: Field"],
        );
        check(
            json!({"envFrom": [{"secretRef": {"name": "s"}}], "args": ["java", "-Xmx$(M)"]}),
            &["M unread: Secret { name: \"s\" }"],
        );
    }

    #[test]
    fn flags_with_which_no_jvm_starts_are_named() {
        check(
            json!({"env": [{"name": "JAVA_OPTS", "value": "-Xmx12q -Xms64m"}], "args": ["java", "-Xmx", "1g"]}),
            &["Script -Xms64m", "-Xmx unread: Malformed", "-Xmx12q unread: Malformed"],
        );
        check(
            json!({"env": [{"name": "P", "value": "abc"}], "args": ["java", "-XX:MaxRAMPercentage=abc"]}),
            &["-XX:MaxRAMPercentage=abc unread: Malformed"],
        );
        check(json!({"args": ["java", "-Xmx%HEAP%", "-Xms0"]}), &[]);
    }

    #[test]
    fn circles_and_what_is_not_defined() {
        check(
            json!({"env": [{"name": "JAVA_OPTS", "value": "$(JAVA_OPTS) -Xmx1g"}]}),
            &["Script -Xmx1g", "JAVA_OPTS unread: Undefined"],
        );
        check(
            json!({"env": [{"name": "A", "value": "$(B)"}, {"name": "B", "value": "$(A)"}, {"name": "JAVA_OPTS", "value": "$(A)"}]}),
            &["B unread: Undefined"],
        );
        // What stands later is not known yet.
        check(
            json!({"env": [{"name": "JAVA_OPTS", "value": "-Xmx$(HEAP)"}, {"name": "HEAP", "value": "1g"}]}),
            &["HEAP unread: Undefined"],
        );
        check(json!({"args": ["java", "-Xmx$(HEAP)"]}), &["HEAP unread: Undefined"]);
        check(
            json!({"args": ["sh", "-c", "java -Xmx$$(free -m)m -jar a.jar"]}),
            &["-Xmx$$(free unread: Undefined"],
        );
        check(json!({"args": ["java", "$(JAVA_OPTS)"]}), &["JAVA_OPTS unread: Undefined"]);
        // None of it is for the JVM.
        check(json!({"args": ["java", "-jar", "a.jar", "$(PASSWORD)", "--x=$(Y)", "-Dz=$(Z)"]}), &[]);
    }

    #[test]
    fn what_a_shell_puts_in() {
        let env = json!([{"name": "HEAP", "value": "1g"}, {"name": "PCT", "value": "60"}, {"name": "JAVA_OPTS", "value": "-Xss1m"}]);
        check(
            json!({"command": ["sh", "-c", "exec java $JAVA_OPTS -Xmx${HEAP} -Xms${LEAST:-64m} -XX:MaxRAMPercentage=$PCT ${MORE} -jar /a.jar \"$@\""], "env": env}),
            &[
                "Script -Xss1m",
                "Arguments -Xss1m",
                "Arguments -Xmx1g",
                "Arguments -Xms64m",
                "Arguments -XX:MaxRAMPercentage=60",
            ],
        );
        check(json!({"args": ["sh", "-c", "java -Xmx$HEAP"]}), &["HEAP unread: Undefined"]);
        check(
            json!({"env": [{"name": "N", "value": "512"}, {"name": "U", "value": "m"}], "args": ["java -Xmx$(N)$(U)"]}),
            &["Arguments -Xmx512m"],
        );
    }

    #[test]
    fn start_scripts_put_catalina_opts_last() {
        check(
            json!({"env": [{"name": "CATALINA_OPTS", "value": "-Xmx1g"}, {"name": "JAVA_OPTS", "value": "-Xmx2g"}]}),
            &["Script -Xmx2g", "Script -Xmx1g"],
        );
    }

    #[test]
    fn of_what_is_no_jvm_nothing_is_kept() {
        let container = json!({"command": ["nginx"], "env": [{"name": "PASSWORD", "value": SECRET}],
                               "envFrom": [{"configMapRef": {"name": "env"}}]});
        assert_eq!(options(container), Options::default());
        let jvm = options(
            json!({"image": "eclipse-temurin:21", "envFrom": [{"configMapRef": {"name": "env"}}],
            "env": [{"name": "JAVA_OPTS", "value": "-Dpassword=hunter2 -Xmx1g $(HEAP)"}, {"name": "HEAP", "value": "hunter2"}]}),
        );
        assert!(!format!("{jvm:?}").contains(SECRET), "{jvm:?}");
        let [(name, wanted)] = &jvm.config_maps()[..] else { panic!("{jvm:?}") };
        assert_eq!(*name, "env");
        assert!(wanted.takes("JAVA_OPTS") && wanted.takes("HEAP") && !wanted.takes("DB_PASSWORD"));
    }

    proptest! {
        #[test]
        fn any_text_is_read(text in "[$(){}:\\-a-zA-Z0-9 ü]{0,40}") {
            let container = json!({"args": [text.clone(), format!("-Xmx{text}")], "env": [{"name": "JAVA_OPTS", "value": text}]});
            let (flags, _) = options(container).resolve(&ConfigMaps::new());
            prop_assert!(flags.iter().all(|f| f.flag.starts_with("-X")));
        }
    }
}
