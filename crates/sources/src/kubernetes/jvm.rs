//! The options of a Java virtual machine, from the words and variables of its container and the ConfigMaps that these come
//! from, as the kubelet puts them together.
//!
//! Of a container only what can set memory is kept: flags, the variables that JVMs and their start scripts read, and those
//! that these refer to. Secrets are never read.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use healthcore::class::{Class, class_of_image};
use healthcore::jvm::{
    FlagPlace, JvmFlag, Unread, UnreadOptions, begins_a_flag, fault, flags_in, sets_max_heap,
    words as loose_words,
};
use serde::Deserialize;

use super::java_command::{
    Part, Place, Segment, is_launcher, is_reference, options_file, parts, segments, words,
};
use super::wire::or_default;

/// Longest flag or name that is told whole. Unit: characters.
const LONGEST_TOLD: usize = 60;

/// Text that is put together for a container at most. Linux starts no program with an argument or a variable that is half as
/// long. Unit: bytes.
const MOST_TEXT: usize = 256 * 1024;

/// Flags of a container, and options that could not be read, at most.
const MOST_FOUND: usize = 256;

/// Names that a container refers to at most; more are taken for undefined.
const MOST_REFERRED: usize = 256;

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
    /// What of command and arguments tells options.
    command: Vec<Part>,
    /// Names that variables and words refer to.
    referred: Arc<BTreeSet<String>>,
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
        referred: Arc<BTreeSet<String>>,
    },
}

/// Whether a variable is one of a JVM, or others refer to it.
fn keeps(name: &str, referred: &BTreeSet<String>) -> bool {
    FlagPlace::of_variable(name).is_some() || referred.contains(name)
}

impl Wanted {
    pub(super) fn takes(&self, key: &str) -> bool {
        match self {
            Self::Key(own) => own == key,
            Self::Variables { prefix, referred } => keeps(&format!("{prefix}{key}"), referred),
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
        let command = parts(texts);
        let named = env.iter().any(|v| FlagPlace::of_variable(&v.name).is_some());
        let sets_memory = command.iter().any(|part| match part {
            Part::Word(word) => begins_a_flag(word),
            Part::Set { name, .. } => FlagPlace::of_variable(name).is_some(),
            Part::End => false,
        });
        let runs_java = texts.iter().flat_map(|text| loose_words(text)).any(is_java)
            || class_of_image(image) == Some(Class::Jvm);
        if !sets_memory && !named && !runs_java {
            return Self::default();
        }
        let referred = referred_to(&command, &env);
        let variables = env.into_iter().filter(|v| keeps(&v.name, &referred));
        let variables = variables.map(|v| (v.name.clone(), Origin::of(v))).collect();
        let sources = sources.into_iter().filter_map(Source::of).collect();
        Self { variables, sources, command, referred: Arc::new(referred) }
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
            environment.take(source, maps, |name| keeps(name, &self.referred));
        }
        for (name, origin) in &self.variables {
            environment.define(name, origin, maps);
        }
        let mut out = Found { unread: std::mem::take(&mut environment.unread), ..Found::default() };
        out.read_command(&mut environment, &self.command);
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
        out.flags.sort_by_key(|flag| flag.place);
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
            return Self::Text(words(&variable.value).join(" "));
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

/// Whether a word of a command starts a JVM.
fn is_java(word: &str) -> bool {
    word == "-jar" || word.ends_with(".jar") || word.rsplit('/').next() == Some("java")
}

/// Every name that is referred to, also by variables that are referred to themselves.
fn referred_to(command: &[Part], env: &[EnvVar]) -> BTreeSet<String> {
    let mut open = Vec::new();
    for part in command {
        match part {
            Part::Word(text) | Part::Set { value: text, .. } => names_in(text, &mut open),
            Part::End => {}
        }
    }
    let names_of = |value: &str, open: &mut Vec<String>| names_in(&words(value).join(" "), open);
    for variable in env.iter().filter(|v| FlagPlace::of_variable(&v.name).is_some()) {
        names_of(&variable.value, &mut open);
    }
    let mut out = BTreeSet::new();
    while let Some(name) = open.pop().filter(|_| out.len() < MOST_REFERRED) {
        if out.insert(name.clone()) {
            env.iter().filter(|v| v.name == name).for_each(|v| names_of(&v.value, &mut open));
        }
    }
    out
}

/// The names that a text refers to.
fn names_in(text: &str, out: &mut Vec<String>) {
    for segment in segments(text) {
        match segment {
            Segment::Kubelet(name) => out.push(name.to_owned()),
            Segment::Shell { name, default, .. } => {
                out.push(name.to_owned());
                names_in(default.unwrap_or_default(), out);
            }
            Segment::Text(_) | Segment::Command(_) => {}
        }
    }
}

#[derive(Debug, Clone)]
enum Value {
    Text { text: String, config_map: Option<String> },
    Unread(Unread),
}

impl Value {
    fn of_written(written: Written) -> Self {
        match written {
            Some((text, config_map)) => Self::Text { text, config_map },
            None => Self::Unread(Unread::TooLong),
        }
    }
}

/// The variables of a container, as far as they are known.
#[derive(Default)]
struct Environment {
    values: BTreeMap<String, Value>,
    /// A Secret that may define any other variable.
    secret: Option<String>,
    /// Whole ConfigMaps that could not be read.
    unread: Vec<UnreadOptions>,
    /// How much text has been put together. Unit: bytes.
    written: Cell<usize>,
}

/// A text that was put together, and the first ConfigMap that something of it came from; none where it becomes too long.
type Written = Option<(String, Option<String>)>;

impl Environment {
    fn take(&mut self, source: &Source, maps: &ConfigMaps, keeps: impl Fn(&str) -> bool) {
        match source {
            Source::Secret { name, .. } => self.secret = Some(name.clone()),
            Source::ConfigMap { name, prefix, optional } => match maps.get(name) {
                None => {}
                Some(Ok(data)) => {
                    let named = data.iter().map(|(key, text)| (format!("{prefix}{key}"), text));
                    for (variable, text) in named.filter(|(variable, _)| keeps(variable)) {
                        let value = self.of_config_map(text, name);
                        self.values.insert(variable, value);
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
            Origin::Text(text) => Value::of_written(self.expand(text)),
            Origin::ConfigMap { name: map, key, optional } => match maps.get(map) {
                None => return,
                Some(Err(Unread::NoConfigMap { .. })) if *optional => return,
                Some(Err(why)) => Value::Unread(why.clone()),
                Some(Ok(data)) => match data.get(key) {
                    Some(text) => self.of_config_map(text, map),
                    None if *optional => return,
                    None => Value::Unread(Unread::Absent { name: map.clone() }),
                },
            },
        };
        self.values.insert(name.to_owned(), value);
    }

    /// Sets a variable as a script does.
    fn set(&mut self, name: &str, value: &str) {
        let written = self.expand(value).and_then(|(text, of_kubelet)| {
            let (text, of_shell) = self.substitute(&text)?;
            Some((text, of_kubelet.or(of_shell)))
        });
        self.values.insert(name.to_owned(), Value::of_written(written));
    }

    fn of_config_map(&self, text: &str, name: &str) -> Value {
        let kept = |()| (words(text).join(" "), Some(name.to_owned()));
        Value::of_written(self.count(text).map(kept))
    }

    /// Counts a text that is put together with others; none where all become too long.
    fn count(&self, text: &str) -> Option<()> {
        let written = self.written.get() + text.len();
        (written <= MOST_TEXT).then(|| self.written.set(written))
    }

    /// Writes on at a text, as far as there is room.
    fn write(&self, out: &mut String, text: &str) -> Option<()> {
        self.count(text)?;
        out.push_str(text);
        Some(())
    }

    /// Puts what `$(NAME)` refers to into a text, as the kubelet does: what is not known stays as it is.
    fn expand(&self, text: &str) -> Written {
        let (mut out, mut from) = (String::new(), None);
        for segment in segments(text) {
            match segment {
                Segment::Kubelet(name) => match self.values.get(name) {
                    Some(Value::Text { text, config_map }) => {
                        self.write(&mut out, text)?;
                        from = from.or_else(|| config_map.clone());
                    }
                    Some(Value::Unread(Unread::TooLong)) => return None,
                    _ => self.write(&mut out, &format!("$({name})"))?,
                },
                Segment::Text(text) | Segment::Command(text) | Segment::Shell { whole: text, .. } => {
                    self.write(&mut out, text)?;
                }
            }
        }
        Some((out, from))
    }

    /// Puts what `$NAME` and the like refer to into a text, as a shell does: what is not known stays as it is, and what was put
    /// in is not read again.
    fn substitute(&self, text: &str) -> Written {
        let (mut out, mut from) = (String::new(), None);
        for segment in segments(text) {
            match segment {
                Segment::Shell { whole, name, default } => match (self.values.get(name), default) {
                    (Some(Value::Text { text, config_map }), _) if !text.is_empty() || default.is_none() => {
                        self.write(&mut out, text)?;
                        from = from.or_else(|| config_map.clone());
                    }
                    (None | Some(Value::Text { .. }), Some(default)) => {
                        let (text, config_map) = self.substitute(default)?;
                        self.write(&mut out, &text)?;
                        from = from.or(config_map);
                    }
                    (Some(Value::Unread(Unread::TooLong)), _) => return None,
                    _ => self.write(&mut out, whole)?,
                },
                Segment::Kubelet(name) => self.write(&mut out, &format!("$({name})"))?,
                Segment::Text(text) | Segment::Command(text) => self.write(&mut out, text)?,
            }
        }
        Some((out, from))
    }

    /// The words that a word becomes: those of what it refers to, where it is nothing but a reference.
    fn words_of(&self, word: &str) -> Option<(Vec<String>, Option<String>)> {
        if !is_reference(word) {
            return Some((vec![word.to_owned()], None));
        }
        let (text, from) = self.substitute(word)?;
        Some((words(&text), from))
    }

    /// The words that an argument becomes, which the kubelet puts together first.
    fn words_of_argument(&self, argument: &str) -> Option<(Vec<String>, Option<String>)> {
        let (text, of_kubelet) = self.expand(argument)?;
        let own = if is_reference(argument) { words(&text) } else { vec![text] };
        let (mut all, mut from) = (Vec::new(), of_kubelet);
        for word in own {
            let (words, of_shell) = self.words_of(&word)?;
            all.extend(words);
            from = from.or(of_shell);
        }
        Some((all, from))
    }

    /// The first thing in a word that is not known, and why.
    fn unknown(&self, word: &str) -> Option<(String, Unread)> {
        segments(word).into_iter().find_map(|segment| match segment {
            Segment::Kubelet(name) | Segment::Shell { name, .. } => Some((name.to_owned(), self.why(name))),
            Segment::Command(_) => Some((word.to_owned(), Unread::Command)),
            Segment::Text(_) => None,
        })
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
#[derive(Default)]
struct Found {
    flags: Vec<JvmFlag>,
    unread: Vec<UnreadOptions>,
    /// How many were unread before the text that is being read.
    begin: usize,
    /// Whether it has become too much to read on.
    is_full: bool,
}

impl Found {
    fn note(&mut self, what: &str, place: FlagPlace, why: Unread) {
        let mut variable: String = what.chars().take(LONGEST_TOLD).collect();
        if variable.len() < what.len() {
            variable += "...";
        }
        self.unread.push(UnreadOptions { variable, place: Some(place), why });
    }

    /// Reads no further. Nothing comes after the last place, so no flag makes up for it.
    fn give_up(&mut self, what: &str) {
        if !std::mem::replace(&mut self.is_full, true) {
            self.flags.clear();
            self.unread.clear();
            self.note(what, FlagPlace::LastOptions, Unread::TooLong);
        }
    }

    fn add(&mut self, text: &str, place: FlagPlace, config_map: Option<&str>) {
        for word in loose_words(text) {
            if let Some(why) = fault(word) {
                self.note(word, place, why);
            }
        }
        for flag in flags_in(text, place) {
            if sets_max_heap(&flag.flag) {
                self.overrule(place);
            }
            self.flags.push(JvmFlag { config_map: config_map.map(str::to_owned), ..flag });
        }
    }

    /// A heap that is set after what could not be read counts, whatever that says; but with a value that no JVM takes none
    /// starts.
    fn overrule(&mut self, place: FlagPlace) {
        let later = self.unread.split_off(self.begin);
        let counts = |u: &UnreadOptions| u.why == Unread::Malformed || u.place.is_none_or(|p| p > place);
        self.unread.extend(later.into_iter().filter(counts));
    }

    /// Reads a variable that the kubelet has put together.
    fn read(&mut self, environment: &Environment, text: &str, place: FlagPlace, config_map: Option<&str>) {
        self.begin = self.unread.len();
        for word in words(text) {
            let Some((words, from)) = environment.words_of(&word) else { return self.give_up(&word) };
            for word in words {
                self.read_word(environment, &word, place, config_map.or(from.as_deref()));
            }
        }
    }

    /// Reads command and arguments.
    fn read_command(&mut self, environment: &mut Environment, command: &[Part]) {
        self.begin = self.unread.len();
        let mut place = Place::Before;
        for part in command {
            match part {
                Part::End => place = Place::Before,
                Part::Set { name, value } => environment.set(name, value),
                Part::Word(word) if place.holds_options() => {
                    let Some((words, from)) = environment.words_of_argument(word) else {
                        return self.give_up(word);
                    };
                    for word in words {
                        let own = place;
                        if place.pass(&word) {
                            self.read_argument(environment, &word, own, from.as_deref());
                        }
                    }
                }
                Part::Word(word) => {
                    place.pass(word);
                }
            }
        }
    }

    fn read_argument(&mut self, environment: &Environment, word: &str, at: Place, config_map: Option<&str>) {
        // Of the arguments of a script most are none of its JVM.
        let names_options =
            |s: &Segment<'_>| matches!(s, Segment::Kubelet(name) if FlagPlace::of_variable(name).is_some());
        if at == Place::Before && is_reference(word) && !segments(word).iter().any(names_options) {
            return;
        }
        if !is_launcher(word) {
            self.read_word(environment, word, FlagPlace::Arguments, config_map);
        }
    }

    fn read_word(
        &mut self,
        environment: &Environment,
        word: &str,
        place: FlagPlace,
        config_map: Option<&str>,
    ) {
        if self.is_full {
            return;
        }
        if let Some(file) = options_file(word) {
            return self.read_file(word, file, place);
        }
        if !begins_a_flag(word) && !is_reference(word) {
            return;
        }
        let Some((text, from)) = environment.substitute(word) else { return self.give_up(word) };
        match environment.unknown(&text) {
            Some((what, why)) => self.note(&what, place, why),
            None => self.add(&text, place, config_map.or(from.as_deref())),
        }
        if self.flags.len() + self.unread.len() > MOST_FOUND {
            self.give_up(word);
        }
    }

    /// Notes a file of options.
    fn read_file(&mut self, word: &str, file: &str, place: FlagPlace) {
        match place {
            // HotSpot reads it before all else, wherever it is named.
            _ if word.starts_with("-XX:Flags=") => self.note(file, FlagPlace::SettingsFile, Unread::File),
            // Only the launcher knows such files, and it does not read these variables.
            FlagPlace::ToolOptions | FlagPlace::LastOptions if word.starts_with('@') => {
                self.note(word, place, Unread::Malformed);
            }
            _ => self.note(file, place, Unread::File),
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
        check(json!({"args": ["java", "-Xmx%HEAP%", "-Xms0"]}), &["-Xmx%HEAP% unread: Template"]);
        check(
            json!({"args": ["java", "-Xmx12q?x", "-Xmx99999999999999999999", "-Xmx1g"]}),
            &[
                "Arguments -Xmx1g",
                "-Xmx12q?x unread: Malformed",
                "-Xmx99999999999999999999 unread: Malformed",
            ],
        );
        let long = format!("-Xmx{}", "9".repeat(100));
        check(json!({"args": ["java", long]}), &[&format!("-Xmx{}... unread: Malformed", "9".repeat(56))]);
    }

    #[test]
    fn circles_and_what_is_not_defined() {
        check(
            json!({"env": [{"name": "JAVA_OPTS", "value": "-Xmx1g $(JAVA_OPTS)"}]}),
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
            &["-Xmx$(free ...)m unread: Command"],
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
                "MORE unread: Undefined",
            ],
        );
        check(json!({"args": ["sh", "-c", "java -Xmx$HEAP"]}), &["HEAP unread: Undefined"]);
        check(
            json!({"env": [{"name": "N", "value": "512"}, {"name": "U", "value": "m"}], "args": ["java -Xmx$(N)$(U)"]}),
            &["Arguments -Xmx512m"],
        );
    }

    #[test]
    fn options_of_the_program_are_none_of_its_jvm() {
        check(
            json!({"command": ["java", "-Xmx1100m", "-jar", "a.jar", "-Xmx128m"]}),
            &["Arguments -Xmx1100m"],
        );
        check(json!({"command": ["java", "-cp", "/a", "com.x.Main"], "args": ["-Xmx2g"]}), &[]);
        check(
            json!({"command": ["sh", "-c"], "args": ["java -Dx='-Xmx3g' -Xmx256m -jar l.jar --child-opts -Xmx2g"]}),
            &["Arguments -Xmx256m"],
        );
        // What a variable holds tells the end, too.
        check(
            json!({"command": ["sh", "-c", "java $RUN -Xmx2g"], "env": [{"name": "RUN", "value": "-Xmx1g -cp /a x.Main"}]}),
            &["Arguments -Xmx1g"],
        );
        check(json!({"command": ["/entrypoint.sh", "-Xmx2g"]}), &["Arguments -Xmx2g"]);
        check(json!({"command": ["sh", "-c", "java -Xmx1g -jar x $PASSWORD $(A)"]}), &["Arguments -Xmx1g"]);
    }

    #[test]
    fn what_a_script_sets() {
        let script = |text: &str, env: Json| json!({"command": ["sh", "-c", text], "env": env});
        let none = || json!([]);
        check(script("HEAP=1g; exec java -Xmx$HEAP -jar x", none()), &["Arguments -Xmx1g"]);
        check(
            script("HEAP_SIZE=${N:-2}g\nOPTS=\"-Xmx$HEAP_SIZE\"\njava $OPTS -jar x", none()),
            &["Arguments -Xmx2g"],
        );
        check(
            script(
                "export JAVA_OPTS=\"$JAVA_OPTS -Xmx2g\"; exec /start.sh",
                json!([{"name": "JAVA_OPTS", "value": "-Xmx1g"}]),
            ),
            &["Script -Xmx1g", "Script -Xmx2g"],
        );
        check(script("JAVA_TOOL_OPTIONS=-Xmx2g java -jar x", none()), &["ToolOptions -Xmx2g"]);
        check(script("OPTS=$(cat /opts); java $OPTS -jar x", none()), &["$(cat ...) unread: Command"]);
        check(script("A=$B; B=$A; java -Xmx$A -jar x", none()), &["B unread: Undefined"]);
    }

    #[test]
    fn what_stands_elsewhere_is_unknown() {
        let args = |args: &[&str]| json!({"command": ["java"], "args": args});
        check(args(&["@/etc/jvm.options", "-jar", "x"]), &["/etc/jvm.options unread: File"]);
        check(args(&["-XX:VMOptionsFile=/o", "-jar", "x"]), &["/o unread: File"]);
        check(args(&["-XX:Flags=/o", "-jar", "x"]), &["/o unread: File"]);
        check(args(&["-jar", "x", "@/o"]), &[]);
        let variable = |name: &str| json!({"env": [{"name": name, "value": "@/o"}]});
        check(variable("JDK_JAVA_OPTIONS"), &["/o unread: File"]);
        check(variable("JAVA_OPTS"), &["/o unread: File"]);
        check(variable("JAVA_TOOL_OPTIONS"), &["@/o unread: Malformed"]);
        let script = |text: &str| json!({"command": ["sh", "-c", text]});
        check(script("java $HEAP_OPTS -jar x"), &["HEAP_OPTS unread: Undefined"]);
        check(script("java ${HEAP_OPTS:--Xmx1g} -jar x"), &["Arguments -Xmx1g"]);
        check(script("java $(cat /opts) -jar x"), &["$(cat ...) unread: Command"]);
        check(script("java -Xmx$(curl http://hunter2)m -jar x"), &["-Xmx$(curl ...)m unread: Command"]);
        check(
            json!({"env": [{"name": "JAVA_OPTS", "value": "-Xmx$(curl -u a:hunter2 http://x)m"}]}),
            &["-Xmx$(curl ...)m unread: Command"],
        );
    }

    #[test]
    fn a_heap_that_is_set_later_counts() {
        let args = |args: &[&str]| json!({"command": ["java"], "args": args});
        check(args(&["@/o", "-Xmx1g", "-jar", "x"]), &["Arguments -Xmx1g"]);
        check(args(&["-XX:Flags=/o", "-XX:MaxHeapSize=1g", "-jar", "x"]), &["Arguments -XX:MaxHeapSize=1g"]);
        check(args(&["-Xmx1g", "@/o", "-jar", "x"]), &["Arguments -Xmx1g", "/o unread: File"]);
        check(
            args(&["@/o", "-XX:MaxRAMPercentage=50", "-jar", "x"]),
            &["Arguments -XX:MaxRAMPercentage=50", "/o unread: File"],
        );
        // Variables have an order of their own, which is judged with the limit.
        check(
            json!({"command": ["java", "-Xmx1g"], "env": [{"name": "_JAVA_OPTIONS", "value": "-XX:VMOptionsFile=/o"}]}),
            &["Arguments -Xmx1g", "/o unread: File"],
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

    /// Each of these once cost the stack, minutes or all memory.
    #[test]
    fn options_that_are_made_to_do_harm_are_read() {
        let variable = |name: &str, value: &str| json!({"name": name, "value": value});
        let doubled = |times: usize, variable: &dyn Fn(&str, &str) -> Json| -> Vec<Json> {
            let next = |n: usize| variable(&format!("A{n}"), &format!("$(A{0}) $(A{0})", n - 1));
            let first = variable("A0", "-Xmx1g");
            let last = variable("JAVA_TOOL_OPTIONS", &format!("$(A{times})"));
            [first].into_iter().chain((1..=times).map(next)).chain([last]).collect()
        };
        let ends_with = |container: Json, expected: &str| {
            let (flags, unread) = options(container).resolve(&ConfigMaps::new());
            assert!(flags.len() < 300 && unread.len() < 300, "{} {}", flags.len(), unread.len());
            let told: Vec<_> = unread.iter().map(|u| format!("{}: {:?}", u.variable, u.why)).collect();
            assert_eq!(told, if expected.is_empty() { vec![] } else { vec![expected] });
        };
        ends_with(json!({"env": doubled(2, &variable)}), "");
        ends_with(json!({"env": doubled(60, &variable)}), "JAVA_TOOL_OPTIONS: TooLong");
        let script = |first: &str, next: &str| json!({"command": ["sh", "-c", format!("A={first}; {}java -Xmx$A -jar x", next.repeat(60))]});
        ends_with(script("1g", "A=\"$A$A\"; "), "-Xmx${A}: TooLong");
        ends_with(script("$(B)", "A=\"$(A)$(A)\"; "), "-Xmx${A}: TooLong");
        let many = "-Xmx1g ".repeat(300);
        ends_with(json!({"env": [variable("JAVA_OPTS", &many)]}), "-Xmx1g: TooLong");
        let commas = many.trim_end().replace(' ', ",");
        ends_with(json!({"args": ["java", commas]}), &format!("{}...: TooLong", &commas[..60]));
        let nested = format!("{}1g{}", "${A:-".repeat(100_000), "}".repeat(100_000));
        ends_with(json!({"env": [variable("JAVA_OPTS", &format!("-Xmx{nested}"))]}), "-Xmx$(...): Command");
        // What is read of ConfigMaps counts, too.
        let named: Vec<Json> =
            (0..60).map(|n| json!({"prefix": format!("P{n}_"), "configMapRef": {"name": "env"}})).collect();
        let refer: String = (0..60).map(|n| format!("$(P{n}_HEAP)")).collect();
        let of_maps =
            options(json!({"envFrom": named, "env": [variable("JAVA_OPTS", &format!("-Xmx{refer}"))]}));
        let maps: ConfigMaps = [("env".to_owned(), map(&[("HEAP", &"1".repeat(20_000))]))].into();
        let (flags, unread) = of_maps.resolve(&maps);
        assert!(flags.is_empty(), "{}", flags.len());
        assert_eq!((unread.len(), &unread[0].why), (1, &Unread::TooLong));
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
