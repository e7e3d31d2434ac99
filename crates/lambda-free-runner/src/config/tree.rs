//! A YAML document as a tree whose nodes know their path, so that every message can name it.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::str::FromStr;

use healthcore::params::Param;
use healthcore::settings::nearest;
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::Value;
use serde_saphyr::Spanned;

/// Longest text that is read as configuration.
const LONGEST: usize = 4 << 20;

/// Reads a document.
pub(super) fn parse(text: &str) -> Result<Value, String> {
    if text.len() > LONGEST {
        return Err("is larger than 4 MiB, which no configuration is".into());
    }
    if text.lines().all(|l| l.trim().is_empty() || l.trim_start().starts_with('#')) {
        return Ok(Value::Object(serde_json::Map::new()));
    }
    serde_saphyr::from_str_with_options(&bare(text), options()).map_err(|e| refused(&e))
}

/// Reads every document of a text, those that hold nothing left out, each with its places.
pub(super) fn parse_all(text: &str) -> Result<Vec<(Value, Places)>, String> {
    let one = parse(text);
    if one.is_ok() || text.len() > LONGEST {
        return one.map(|document| vec![(document, places(text))]);
    }
    let text = bare(text);
    let documents: Vec<Value> =
        serde_saphyr::from_multiple_with_options(&text, options()).map_err(|e| refused(&e))?;
    let shapes: Vec<Spanned<Shape>> =
        serde_saphyr::from_multiple_with_options(&text, options()).map_err(|e| refused(&e))?;
    Ok(documents.into_iter().zip(shapes.into_iter().map(places_of)).collect())
}

/// Names are texts: a namespace `no` and a profile `on` are what is written, and only `true` and `false` are no texts.
fn options() -> serde_saphyr::Options {
    serde_saphyr::options! { strict_booleans: true }
}

fn refused(error: &serde_saphyr::Error) -> String {
    format!("is no YAML: {}", own_words(error.to_string().lines().next().unwrap_or_default()))
}

/// What the parser says, without what only its callers can do.
fn own_words(said: &str) -> String {
    let said = said.trim_start_matches("error: ");
    if let Some((place, _)) = said.split_once("multiple YAML documents detected") {
        return format!("{place}a second document begins (`---`), and one is expected");
    }
    let Some((place, key)) = said.split_once("duplicate mapping key: ") else { return said.to_owned() };
    let key = key.split(", set DuplicateKeyPolicy").next().unwrap_or_default();
    format!("{place}the key `{key}` is given twice")
}

/// A document without its comments: the parser bounds how many it keeps, and a well-commented file has more. Lines keep
/// their numbers.
fn bare(text: &str) -> String {
    let lines: Vec<&str> =
        text.lines().map(|l| if l.trim_start().starts_with('#') { "" } else { l }).collect();
    lines.join("\n").trim_end().to_owned()
}

/// Single values by their paths, as they are written, with their lines.
pub(super) type Places = BTreeMap<String, (String, u64)>;

/// Every single value of a document. A document that is no map has none.
pub(super) fn places(text: &str) -> Places {
    serde_saphyr::from_str_with_options(&bare(text), options()).map(places_of).unwrap_or_default()
}

fn places_of(shape: Spanned<Shape>) -> Places {
    let mut out = BTreeMap::new();
    shape.value.walk("", shape.referenced.line(), &mut out);
    out
}

/// A value whose parts know their lines.
enum Shape {
    Single(String),
    List(Vec<Spanned<Shape>>),
    Map(Vec<(String, Spanned<Shape>)>),
}

impl Shape {
    fn walk(self, path: &str, line: u64, out: &mut Places) {
        match self {
            Self::Single(text) => {
                out.insert(path.to_owned(), (text, line));
            }
            Self::List(items) => {
                for (i, item) in items.into_iter().enumerate() {
                    item.value.walk(&format!("{path}[{i}]"), item.referenced.line(), out);
                }
            }
            Self::Map(entries) => {
                for (key, value) in entries {
                    let path = if path.is_empty() { key } else { format!("{path}.{key}") };
                    value.value.walk(&path, value.referenced.line(), out);
                }
            }
        }
    }
}

impl<'de> Deserialize<'de> for Shape {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ShapeVisitor;
        impl<'de> Visitor<'de> for ShapeVisitor {
            type Value = Shape;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a value")
            }
            fn visit_bool<E>(self, v: bool) -> Result<Shape, E> {
                Ok(Shape::Single(v.to_string()))
            }
            fn visit_i64<E>(self, v: i64) -> Result<Shape, E> {
                Ok(Shape::Single(v.to_string()))
            }
            fn visit_u64<E>(self, v: u64) -> Result<Shape, E> {
                Ok(Shape::Single(v.to_string()))
            }
            fn visit_f64<E>(self, v: f64) -> Result<Shape, E> {
                Ok(Shape::Single(v.to_string()))
            }
            fn visit_str<E>(self, v: &str) -> Result<Shape, E> {
                Ok(Shape::Single(v.to_owned()))
            }
            fn visit_unit<E>(self) -> Result<Shape, E> {
                Ok(Shape::List(Vec::new()))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Shape, A::Error> {
                let mut items = Vec::new();
                while let Some(item) = seq.next_element()? {
                    items.push(item);
                }
                Ok(Shape::List(items))
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Shape, A::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    entries.push(entry);
                }
                Ok(Shape::Map(entries))
            }
        }
        deserializer.deserialize_any(ShapeVisitor)
    }
}

/// A value and where it stands.
pub(super) struct Node<'a> {
    path: String,
    value: &'a Value,
}

impl<'a> Node<'a> {
    pub(super) fn root(value: &'a Value) -> Self {
        Self { path: String::new(), value }
    }

    pub(super) fn path(&self) -> &str {
        &self.path
    }

    pub(super) fn wrong(&self, what: &str) -> String {
        if self.path.is_empty() { what.to_owned() } else { format!("{}: {what}", self.path) }
    }

    fn kind(&self) -> &'static str {
        match self.value {
            Value::Null => "nothing",
            Value::Array(_) => "a list",
            Value::Object(_) => "a map",
            _ => "a single value",
        }
    }

    fn child(&self, key: &str, value: &'a Value) -> Self {
        let path = if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) };
        Self { path, value }
    }

    /// The entries of a map, none of whose keys is unknown. Nothing is an empty map.
    pub(super) fn map<'k>(&self, known: &[&'k str]) -> Result<Vec<(&'k str, Node<'a>)>, String> {
        let map = match self.value {
            Value::Object(map) => map,
            Value::Null => return Ok(Vec::new()),
            _ => return Err(self.wrong(&format!("expected a map of keys, got {}", self.kind()))),
        };
        let mut out = Vec::new();
        for (key, value) in map {
            let child = self.child(key, value);
            let Some(known) = known.iter().find(|k| *k == key) else {
                let hint = nearest(key, known.iter().copied())
                    .map_or_else(String::new, |n| format!(", did you mean `{n}`?"));
                return Err(format!("{}: unknown key{hint}; known keys: {}", child.path, known.join(", ")));
            };
            out.push((*known, child));
        }
        Ok(out)
    }

    /// Every entry of a map, whatever its key.
    pub(super) fn entries(&self) -> Result<Vec<(&'a str, Node<'a>)>, String> {
        match self.value {
            Value::Object(map) => Ok(map.iter().map(|(k, v)| (k.as_str(), self.child(k, v))).collect()),
            Value::Null => Ok(Vec::new()),
            _ => Err(self.wrong(&format!("expected a map of keys, got {}", self.kind()))),
        }
    }

    pub(super) fn is_map(&self) -> bool {
        self.value.is_object()
    }

    /// The items of a list.
    pub(super) fn list(&self) -> Result<Vec<Node<'a>>, String> {
        match self.value {
            Value::Array(items) => {
                let node = |(i, value)| Node { path: format!("{}[{i}]", self.path), value };
                Ok(items.iter().enumerate().map(node).collect())
            }
            Value::Null => Ok(Vec::new()),
            _ => Err(self.wrong(&format!("expected a list, got {}", self.kind()))),
        }
    }

    /// A single value as text.
    pub(super) fn text(&self) -> Result<String, String> {
        match self.value {
            Value::String(text) => Ok(text.clone()),
            Value::Number(number) => Ok(number.to_string()),
            Value::Bool(value) => Ok(value.to_string()),
            _ => Err(self.wrong(&format!("expected a single value, got {}", self.kind()))),
        }
    }

    /// The items of a list; a single value stands for a list of it.
    pub(super) fn items(&self) -> Result<Vec<Node<'a>>, String> {
        match self.value {
            Value::Array(_) => self.list(),
            _ => Ok(vec![Node { path: self.path.clone(), value: self.value }]),
        }
    }

    /// A list of texts; a single one stands for a list of it.
    pub(super) fn texts(&self) -> Result<Vec<String>, String> {
        self.items()?.iter().map(Node::text).collect()
    }

    /// A value in the notation of parameters.
    pub(super) fn read<P: Param>(&self) -> Result<P, String> {
        P::read(&self.text()?).map_err(|why| self.wrong(&why))
    }

    /// A value whose type says in its error what was expected.
    pub(super) fn parse<T: FromStr<Err: Display>>(&self) -> Result<T, String> {
        self.text()?.parse().map_err(|why: T::Err| self.wrong(&why.to_string()))
    }

    /// One of some words.
    pub(super) fn word<T: Copy>(&self, words: &[(&str, T)]) -> Result<T, String> {
        let given = self.text()?;
        words.iter().find(|(word, _)| *word == given).map(|(_, value)| *value).ok_or_else(|| {
            let known: Vec<String> = words.iter().map(|(word, _)| format!("`{word}`")).collect();
            self.wrong(&format!("expected {}, got `{given}`", known.join(" or ")))
        })
    }
}

/// Every single value of a tree by its path, keys joined by dots; of what is no single value, why it is none.
///
/// # Errors
/// The tree is no map.
pub(super) fn leaves(
    node: &Node<'_>,
    out: &mut BTreeMap<String, Result<String, String>>,
) -> Result<(), String> {
    for (_, child) in node.entries()? {
        if child.is_map() {
            leaves(&child, out)?;
        } else {
            out.insert(child.path().to_owned(), child.text());
        }
    }
    Ok(())
}
