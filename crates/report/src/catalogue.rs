//! Messages of a language, from a file of its own: a line a message, `key = text`, `#` begins a comment.
//!
//! The notation of values is that of the English sentences, so one filler serves all languages, and the file is one that
//! translators and their tools know as properties.

use std::collections::BTreeMap;
use std::sync::LazyLock;

/// The messages of one language by section and key.
#[derive(Debug, Default)]
pub(crate) struct Catalogue(BTreeMap<&'static str, BTreeMap<&'static str, &'static str>>);

const ZH_TW_FILE: &str = include_str!("../lang/zh-TW.properties");
pub(crate) static ZH_TW: LazyLock<Catalogue> = LazyLock::new(|| Catalogue::parse(ZH_TW_FILE));

impl Catalogue {
    fn parse(file: &'static str) -> Self {
        let mut sections = Self::default();
        for (key, text) in lines(file) {
            if let Some((section, key)) = key.split_once('.') {
                sections.0.entry(section).or_default().insert(key, text);
            }
        }
        sections
    }

    /// The text of a key, with names of values in braces.
    pub(crate) fn get(&self, section: &str, key: &str) -> Option<&'static str> {
        self.0.get(section)?.get(key).copied()
    }
}

/// Keys and texts in the order of the file.
fn lines(file: &'static str) -> impl Iterator<Item = (&'static str, &'static str)> {
    let messages = file.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    messages.map(|line| line.split_once(" = ").unwrap_or((line, "")))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use healthcore::snapshot::GapCause;

    use super::*;
    use crate::words::needed;

    /// Names of the values of a sentence, each once, whether shown or only counted.
    fn values(sentence: &str) -> BTreeSet<&str> {
        let names = sentence.split('{').skip(1);
        names.filter_map(|rest| rest.split('}').next()?.split('|').next()).collect()
    }

    /// Names of measured values, as the sources of the checks spell them.
    fn measured() -> BTreeSet<String> {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../healthcore/src/checks");
        let mut names = BTreeSet::new();
        let mut folders = vec![std::path::PathBuf::from(folder)];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else {
                    let text = std::fs::read_to_string(&path).unwrap();
                    let code = text.split("#[cfg(test)]").next().unwrap_or_default();
                    for call in [".evidence(", ".measured("] {
                        let names_of = code.split(call).skip(1).filter_map(|rest| {
                            rest.trim_start().strip_prefix('"')?.split('"').next().map(str::to_owned)
                        });
                        names.extend(names_of);
                    }
                }
            }
        }
        names
    }

    #[test]
    fn each_line_is_a_message_and_each_key_is_there_once() {
        let mut seen = BTreeSet::new();
        for (key, text) in lines(ZH_TW_FILE) {
            assert!(seen.insert(key), "zh-TW: {key} is there twice");
            assert!(!text.is_empty(), "zh-TW: {key}: expected `key = text`");
            assert!(
                !text.starts_with(' ') && !text.ends_with(' '),
                "zh-TW: {key}: a space at an end of `{text}`"
            );
            assert!(text.matches('{').count() == text.matches('}').count(), "zh-TW: {key}: {text}");
        }
    }

    /// A new word, phrase or sentence needs its translation in `lang/zh-TW.properties`, and one that is gone leaves it.
    #[test]
    fn no_key_is_missing_and_none_is_left_over() {
        let needed = needed();
        let causes = GapCause::ALL.iter().map(|c| format!("cause.{}", c.name()));
        let all: BTreeSet<String> = needed.keys().cloned().chain(causes).collect();
        let measured: BTreeSet<String> =
            measured().into_iter().map(|name| format!("evidence.{name}")).collect();
        assert!(measured.len() > 80, "the names of measured values are not found any more");
        let told: BTreeSet<String> = lines(ZH_TW_FILE).map(|(key, _)| key.to_owned()).collect();
        let missing: Vec<_> = all.union(&measured).filter(|key| !told.contains(*key)).collect();
        assert!(missing.is_empty(), "lang/zh-TW.properties lacks {missing:#?}");
        let unknown: Vec<_> =
            told.iter().filter(|key| !all.contains(*key) && !key.starts_with("evidence.")).collect();
        assert!(unknown.is_empty(), "lang/zh-TW.properties has messages that nothing says: {unknown:#?}");
    }

    #[test]
    fn both_languages_name_the_same_values() {
        for (key, english) in needed() {
            let (section, name) = key.split_once('.').unwrap();
            let told = ZH_TW.get(section, name).unwrap_or_default();
            assert_eq!(values(told), values(english), "{key}: `{told}` against `{english}`");
        }
    }
}
