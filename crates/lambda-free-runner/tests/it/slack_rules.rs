//! The documented limits of Slack, as its API enforces them: <https://api.slack.com/reference/block-kit/blocks>.

use serde_json::Value;

/// Why Slack would not take a message; none when it would.
pub(crate) fn broken(message: &Value) -> Option<String> {
    let blocks = message["blocks"].as_array()?;
    if message["text"].as_str().is_none_or(|t| t.is_empty() || length(t) > 4000) {
        return Some("text: expected 1 to 4000 characters".into());
    }
    if blocks.is_empty() || blocks.len() > 50 {
        return Some(format!("{} blocks", blocks.len()));
    }
    // The issue's own limit, over all of it.
    let all = length(&message.to_string());
    if all >= 9000 {
        return Some(format!("{all} characters"));
    }
    blocks.iter().enumerate().find_map(|(at, block)| Some(format!("blocks/{at}: {}", broken_block(block)?)))
}

fn broken_block(block: &Value) -> Option<String> {
    let empty = Vec::new();
    let keys: Vec<&str> = block.as_object()?.keys().map(String::as_str).collect();
    let (known, texts): (&[&str], Vec<(&Value, &str, usize)>) = match block["type"].as_str() {
        Some("header") => (&["type", "text"], vec![(&block["text"], "plain_text", 150)]),
        Some("section") => {
            let fields = block["fields"].as_array().unwrap_or(&empty);
            if fields.len() > 10 || (fields.is_empty() && block["text"].is_null()) {
                return Some(format!("{} fields, text {}", fields.len(), block["text"]));
            }
            let text = (!block["text"].is_null()).then_some((&block["text"], "mrkdwn", 3000));
            (
                &["type", "text", "fields"],
                text.into_iter().chain(fields.iter().map(|f| (f, "mrkdwn", 2000))).collect(),
            )
        }
        Some("context") => {
            let elements = block["elements"].as_array().unwrap_or(&empty);
            if elements.is_empty() || elements.len() > 10 {
                return Some(format!("{} elements", elements.len()));
            }
            (&["type", "elements"], elements.iter().map(|e| (e, "mrkdwn", 2000)).collect())
        }
        other => return Some(format!("type {other:?}")),
    };
    if let Some(unknown) = keys.iter().find(|k| !known.contains(k)) {
        return Some(format!("unknown key {unknown}"));
    }
    texts.into_iter().find_map(|(text, kind, most)| {
        let words = text["text"].as_str().unwrap_or_default();
        if text["type"] != kind {
            return Some(format!("type {}", text["type"]));
        }
        (words.is_empty() || length(words) > most)
            .then(|| format!("{} characters of 1 to {most}", length(words)))
    })
}

/// Markup that a name from outside has made: a link, a mention, or code that does not end.
pub(crate) fn calls_somebody(message: &Value) -> Option<String> {
    let text = message.to_string();
    let lower = text.to_lowercase();
    let bad = ["<!", "<@", "<#", "<http", "<mailto", "@here", "@channel", "@everyone"];
    if let Some(found) = bad.iter().find(|b| lower.contains(**b)) {
        return Some((*found).to_owned());
    }
    let texts = message["blocks"].as_array().into_iter().flatten().filter_map(|b| b["text"]["text"].as_str());
    texts.into_iter().find_map(|t| {
        let open = t.lines().find(|l| l.matches('`').count() % 2 == 1);
        open.map(|l| format!("code that does not end: {l}"))
    })
}

/// In UTF-16 units, as a browser counts.
fn length(text: &str) -> usize {
    text.encode_utf16().count()
}
