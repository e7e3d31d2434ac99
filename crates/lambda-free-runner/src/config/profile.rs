//! Profiles: what several clusters or namespaces have in common is said once, and taken over by `extends`.
//!
//! The document is expanded before it is read: afterwards every cluster says everything itself. What was taken over keeps
//! the path at which it was written, so that `config show` can tell.

use std::collections::BTreeMap;

use healthcore::settings::nearest;
use serde_json::{Map, Value};

/// Keys of a profile.
pub(super) const PROFILE: &[&str] =
    &["extends", "kubernetes", "prometheus", "loki", "namespaces", "checks", "classes"];

/// Keys of a profile that a namespace can take over.
const OF_NAMESPACES: &[&str] = &["checks", "classes"];

/// A document whose clusters say everything themselves.
pub(super) struct Expanded {
    pub(super) root: Value,
    /// Where single values below `clusters` were written, by the path that they have in `root`.
    pub(super) written: BTreeMap<String, String>,
}

/// Takes over what clusters and namespaces extend.
///
/// # Errors
/// A profile that is not there, or that extends itself; one with the server of a cluster for a namespace; a namespace that is
/// given twice.
pub(super) fn expand(root: &Value) -> Result<Expanded, String> {
    let mut out = Expanded { root: root.clone(), written: BTreeMap::new() };
    let empty = Map::new();
    let profiles = Profiles(root.get("profiles").and_then(Value::as_object).unwrap_or(&empty));
    let Some(Value::Array(clusters)) = root.get("clusters") else { return Ok(out) };
    for (at, cluster) in clusters.iter().enumerate() {
        let path = format!("clusters[{at}]");
        let mut laid = Layers { value: Value::Object(Map::new()), written: BTreeMap::new() };
        match cluster {
            Value::Object(own) => profiles.lay(own, &path, &mut laid, &mut Vec::new())?,
            // Refused with its path when it is read.
            _ => continue,
        }
        profiles.lay_namespaces(&mut laid)?;
        out.written.extend(laid.written.into_iter().map(|(key, from)| (format!("{path}.{key}"), from)));
        out.root["clusters"][at] = laid.value;
    }
    Ok(out)
}

/// Maps laid over one another.
struct Layers {
    value: Value,
    written: BTreeMap<String, String>,
}

impl Layers {
    /// Lays a value over what is at `path`; maps key by key, anything else replaces what was there.
    fn put(&mut self, path: &[String], value: &Value, from: &str) {
        if let Value::Object(map) = value {
            let place = self.at(path);
            if !place.is_object() {
                *place = Value::Object(Map::new());
                self.forget(path);
            }
            for (key, value) in map {
                let path: Vec<String> = path.iter().chain([key]).cloned().collect();
                self.put(&path, value, &format!("{from}.{key}"));
            }
            return;
        }
        self.forget(path);
        *self.at(path) = value.clone();
        self.note(&path.join("."), value, from);
    }

    /// Appends to the list at `path`.
    fn append(&mut self, path: &[String], items: &[Value], from: impl Fn(usize) -> String) {
        for (i, item) in items.iter().enumerate() {
            let place = self.at(path);
            if !place.is_array() {
                *place = Value::Array(Vec::new());
            }
            let Value::Array(list) = place else { return };
            list.push(item.clone());
            let at = list.len() - 1;
            self.note(&format!("{}[{at}]", path.join(".")), item, &from(i));
        }
    }

    fn at(&mut self, path: &[String]) -> &mut Value {
        path.iter().fold(&mut self.value, |value, key| &mut value[key.as_str()])
    }

    fn note(&mut self, path: &str, value: &Value, from: &str) {
        match value {
            Value::Array(items) => {
                for (i, item) in items.iter().enumerate() {
                    self.note(&format!("{path}[{i}]"), item, &format!("{from}[{i}]"));
                }
            }
            Value::Object(map) => {
                for (key, value) in map {
                    self.note(&format!("{path}.{key}"), value, &format!("{from}.{key}"));
                }
            }
            _ => {
                self.written.insert(path.to_owned(), from.to_owned());
            }
        }
    }

    fn forget(&mut self, path: &[String]) {
        let path = path.join(".");
        let below = |key: &str| {
            key.strip_prefix(&path).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
        };
        self.written.retain(|key, _| !below(key));
    }
}

/// The profiles of a document, by name.
struct Profiles<'a>(&'a Map<String, Value>);

impl<'a> Profiles<'a> {
    fn find(&self, name: &str, by: &str) -> Result<&'a Map<String, Value>, String> {
        let known = || self.0.keys().map(String::as_str);
        match self.0.get(name) {
            Some(Value::Object(profile)) => Ok(profile),
            Some(Value::Null) => Err(format!("{by}.extends: the profile `{name}` is empty")),
            Some(_) => Err(format!("profiles.{name}: expected a map of keys")),
            None if self.0.is_empty() => {
                Err(format!("{by}.extends: there is no profile `{name}`; give it under `profiles`"))
            }
            None => {
                let hint =
                    nearest(name, known()).map_or_else(String::new, |n| format!(", did you mean `{n}`?"));
                let known: Vec<&str> = known().collect();
                Err(format!(
                    "{by}.extends: there is no profile `{name}`{hint}; there are {}",
                    known.join(", ")
                ))
            }
        }
    }

    /// Lays what a map extends, in the order given, and then the map itself.
    fn lay(
        &self,
        own: &Map<String, Value>,
        path: &str,
        laid: &mut Layers,
        within: &mut Vec<String>,
    ) -> Result<(), String> {
        for name in names(own, path)? {
            if within.contains(&name) {
                return Err(format!("{path}.extends: the profile `{name}` extends itself"));
            }
            let profile = self.find(&name, path)?;
            within.push(name.clone());
            self.lay(profile, &format!("profiles.{name}"), laid, within)?;
            within.pop();
        }
        if let Some(Value::Array(items)) = own.get("namespaces") {
            once_each(items, path)?;
        }
        for (key, value) in own.iter().filter(|(key, _)| *key != "extends") {
            let at = [key.clone()];
            match (key.as_str(), value) {
                ("namespaces" | "classes", Value::Array(items)) => {
                    laid.append(&at, items, |i| format!("{path}.{key}[{i}]"));
                }
                ("namespaces", Value::String(_)) => {
                    laid.append(&at, std::slice::from_ref(value), |_| format!("{path}.{key}"));
                }
                _ => laid.put(&at, value, &format!("{path}.{key}")),
            }
        }
        Ok(())
    }

    /// Lays what the namespaces of a cluster extend. One that several layers name is one, the later over the earlier.
    fn lay_namespaces(&self, cluster: &mut Layers) -> Result<(), String> {
        let Some(Value::Array(items)) = cluster.value.get("namespaces").cloned() else { return Ok(()) };
        let written = cluster.written.clone();
        let mut merged: Vec<(Value, Layers)> = Vec::new();
        for (at, item) in items.iter().map(as_text).enumerate() {
            let item = &item;
            let Value::Object(own) = item else {
                if !merged.iter().any(|(name, _)| name == item) {
                    merged.push((item.clone(), plain(item, at, &written)));
                }
                continue;
            };
            let path = origin_of(at, &written);
            let name = own.get("name").map(as_text).unwrap_or_default();
            let known = merged.iter().position(|(n, _)| *n == name && name.is_string());
            let place = known.unwrap_or_else(|| {
                merged.push((name, Layers { value: Value::Object(Map::new()), written: BTreeMap::new() }));
                merged.len() - 1
            });
            let layers = &mut merged[place].1;
            if layers.value.is_string() {
                let (name, from) = (layers.value.clone(), std::mem::take(&mut layers.written));
                layers.value = Value::Object([("name".to_owned(), name)].into_iter().collect());
                layers.written = from.into_values().map(|from| ("name".to_owned(), from)).collect();
            }
            self.only_for_namespaces(own, &path, &mut Vec::new())?;
            self.lay(own, &path, layers, &mut Vec::new())?;
        }
        cluster.forget(&["namespaces".to_owned()]);
        for (at, (_, layers)) in merged.iter().enumerate() {
            let under = |key: &str| if key.is_empty() { String::new() } else { format!(".{key}") };
            let own = layers.written.iter();
            cluster
                .written
                .extend(own.map(|(key, from)| (format!("namespaces[{at}]{}", under(key)), from.clone())));
        }
        cluster.value["namespaces"] = merged.into_iter().map(|(_, layers)| layers.value).collect();
        Ok(())
    }

    fn only_for_namespaces(
        &self,
        own: &Map<String, Value>,
        path: &str,
        within: &mut Vec<String>,
    ) -> Result<(), String> {
        for name in names(own, path)? {
            let profile = self.find(&name, path)?;
            if let Some(key) =
                profile.keys().find(|k| *k != "extends" && !OF_NAMESPACES.contains(&k.as_str()))
            {
                return Err(format!(
                    "{path}.extends: the profile `{name}` gives `{key}`, which is of a whole cluster; a namespace takes over {}",
                    OF_NAMESPACES.join(" and ")
                ));
            }
            if !within.contains(&name) {
                within.push(name.clone());
                self.only_for_namespaces(profile, &format!("profiles.{name}"), within)?;
            }
        }
        Ok(())
    }
}

/// Refuses a namespace that one list names twice.
fn once_each(items: &[Value], path: &str) -> Result<(), String> {
    let name = |item: &Value| as_text(item.get("name").unwrap_or(item)).as_str().map(str::to_owned);
    let mut seen = BTreeMap::new();
    for (at, name) in items.iter().enumerate().filter_map(|(at, item)| Some((at, name(item)?))) {
        if let Some(before) = seen.insert(name.clone(), at) {
            return Err(format!(
                "{path}.namespaces[{at}]: `{name}` is given twice, first by namespaces[{before}]"
            ));
        }
    }
    Ok(())
}

/// A name that YAML takes for a number or a boolean is a text all the same.
fn as_text(value: &Value) -> Value {
    match value {
        Value::Number(_) | Value::Bool(_) => Value::String(value.to_string()),
        other => other.clone(),
    }
}

/// A namespace of which only the name is given.
fn plain(item: &Value, at: usize, written: &BTreeMap<String, String>) -> Layers {
    let from = written.get(&format!("namespaces[{at}]")).cloned();
    Layers { value: item.clone(), written: from.map(|from| (String::new(), from)).into_iter().collect() }
}

/// Where the item of a list of namespaces was written.
fn origin_of(at: usize, written: &BTreeMap<String, String>) -> String {
    let item = format!("namespaces[{at}].");
    let first = written.range(item.clone()..).next().filter(|(key, _)| key.starts_with(&item));
    let path = first.and_then(|(key, from)| from.strip_suffix(&format!(".{}", &key[item.len()..])));
    path.map_or_else(|| format!("namespaces[{at}]"), str::to_owned)
}

/// The profiles that a map extends: a list, or a single one.
fn names(own: &Map<String, Value>, path: &str) -> Result<Vec<String>, String> {
    let text = |value: &Value| match as_text(value) {
        Value::String(name) => Ok(name),
        _ => Err(format!("{path}.extends: expected the name of a profile or a list of such names")),
    };
    match own.get("extends") {
        None | Some(Value::Null) => Ok(Vec::new()),
        Some(Value::Array(items)) => items.iter().map(text).collect(),
        Some(single) => Ok(vec![text(single)?]),
    }
}
