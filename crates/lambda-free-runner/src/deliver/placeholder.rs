//! Values that nobody has filled in yet, as documentation and templates have them.

use reqwest::Url;

/// Words that stand for a value and are none.
const WORDS: &[&str] = &[
    "your",
    "placeholder",
    "changeme",
    "change",
    "replace",
    "replaceme",
    "example",
    "todo",
    "dummy",
    "webhook",
    "url",
    "token",
    "secret",
    "here",
    "xxx",
];

/// What in a secret address shows that it was never filled in.
pub(super) fn in_address(url: &Url) -> Option<&'static str> {
    let host = url.host_str().unwrap_or_default();
    if ["example.com", "example.org", "example.net"]
        .iter()
        .any(|e| host == *e || host.ends_with(&format!(".{e}")))
        || host.ends_with(".example")
        || host.ends_with(".invalid")
    {
        return Some("its host is one of those that are kept for examples");
    }
    // Braces and angle brackets arrive escaped.
    let decoded = url.path().replace("%3C", "<").replace("%3E", ">").replace("%7B", "{").replace("%7D", "}");
    if decoded.contains(['<', '>', '{', '}', '$']) || host.contains(['{', '$']) {
        return Some("it holds a variable that was not filled in");
    }
    None
}

/// What in a part of an address or a token shows that it was never filled in: `XXX`, `T00000000`, `YOUR`, `your-token`.
pub(super) fn is_word(text: &str) -> bool {
    let rest = text.trim_start_matches(['T', 'B']);
    let same = |of: &str| of.len() >= 3 && of.chars().all(|c| of.starts_with(c));
    let zeros = rest.len() >= 3 && rest.chars().all(|c| c == '0');
    let word = |part: &str| {
        let part = part.to_ascii_lowercase();
        WORDS.contains(&part.as_str()) || part.len() >= 3 && part.chars().all(|c| c == 'x')
    };
    same(text) || same(rest) || zeros || text.contains("...") || text.split(['-', '_', '.']).any(word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_never_filled_in() {
        for text in [
            "XXX",
            "YYY",
            "T00000000",
            "B00000000",
            "XXXXXXXXXXXXXXXXXXXXXXXX",
            "YOUR",
            "your-token",
            "xoxb-...",
        ] {
            assert!(is_word(text), "{text}");
        }
        for text in ["T024BE7LD", "B01ABCDEF12", "x7Kq2LmPa9wErT4yUiOp0ZcV", "T0", "Tokyo", "services"] {
            assert!(!is_word(text), "{text}");
        }
        let about = |text: &str| in_address(&Url::parse(text).unwrap()).is_some();
        assert!(about("https://example.com/hook") && about("https://hooks.example.org/a"));
        assert!(about("https://hooks.corp.net/<id>") && about("https://hooks.corp.net/${ID}"));
        assert!(!about("https://hooks.corp.net/a/b?x={1}") && !about("https://notexample.com/"));
    }
}
