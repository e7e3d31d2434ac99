//! Takes secrets out of words that other systems wrote: messages of events, terminations and errors.

use std::borrow::Cow;
use std::sync::LazyLock;

use healthcore::inventory::Inventory;
use healthcore::model::{ContainerState, Termination};
use healthcore::snapshot::{Gap, Objects};
use healthcore_sources::prometheus::without_tokens;
use regex::{Captures, Regex};

/// What stands where a secret stood.
const HIDDEN: &str = "[redacted]";

static SECRETS: LazyLock<[Regex; 4]> = LazyLock::new(|| {
    [
        // user:password@ in a URL
        r"(?i)([a-z][a-z0-9+.-]*://)[^\s/@]+@",
        // Authorization headers
        r"(?i)\b(bearer|basic)\s+[a-z0-9._~+/=-]{8,}",
        // password=..., "token": "...", SECRET_KEY: ...
        r#"(?i)\b([a-z0-9_.-]*(?:passwo?r?d|passwd|secret|token|api_?-?key|access_?-?key|private_?-?key|credential)[a-z0-9_.-]*["']?\s*[:=]\s*)("[^"]*"|'[^']*'|[^\s,;"'&]+)"#,
        // JSON web tokens
        r"\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*",
    ]
    .map(|pattern| Regex::new(pattern).expect("a constant expression, compiled in a test"))
});

/// The text without anything that looks like a secret.
pub(crate) fn text(text: &str) -> Cow<'_, str> {
    let mut out = without_tokens(text);
    for regex in SECRETS.iter() {
        let replaced = regex.replace_all(&out, |c: &Captures<'_>| match c.get(1) {
            Some(kept) if c[0].ends_with('@') => format!("{}{HIDDEN}@", kept.as_str()),
            Some(kept) => {
                let gap = if kept.as_str().ends_with(['=', ':', ' ']) { "" } else { " " };
                format!("{}{gap}{HIDDEN}", kept.as_str())
            }
            None => HIDDEN.to_owned(),
        });
        if let Cow::Owned(replaced) = replaced {
            out = Cow::Owned(replaced);
        }
    }
    out
}

fn scrub(message: &mut String) {
    if let Cow::Owned(clean) = text(message) {
        *message = clean;
    }
}

/// Redacts every free text of objects.
pub(crate) fn objects(objects: &mut Objects) {
    let termination = |t: &mut Termination| scrub(&mut t.message);
    for pod in &mut objects.pods {
        if let Some(eviction) = &mut pod.eviction {
            scrub(&mut eviction.message);
        }
        if let Some(unschedulable) = &mut pod.unschedulable {
            scrub(&mut unschedulable.message);
        }
        for container in &mut pod.containers {
            match &mut container.state {
                Some(ContainerState::Waiting { message, .. }) => scrub(message),
                Some(ContainerState::Terminated(t)) => termination(t),
                _ => {}
            }
            if let Some(t) = &mut container.last_termination {
                termination(t);
            }
        }
    }
    objects.events.iter_mut().for_each(|e| scrub(&mut e.message));
    objects.hpas.iter_mut().flat_map(|h| &mut h.conditions).for_each(|c| scrub(&mut c.message));
    objects.nodes.iter_mut().flat_map(|n| &mut n.conditions).for_each(|c| scrub(&mut c.message));
    objects.logs.iter_mut().flat_map(|l| &mut l.said.patterns).for_each(|p| scrub(&mut p.text));
    let Inventory { jobs, disruption_budgets, tls_secrets, .. } = &mut objects.inventory;
    let of_jobs = jobs.iter_mut().flat_map(|j| &mut j.conditions);
    let of_budgets = disruption_budgets.iter_mut().flat_map(|b| &mut b.conditions);
    of_jobs.chain(of_budgets).for_each(|c| scrub(&mut c.message));
    tls_secrets.iter_mut().filter_map(|s| s.broken.as_mut()).for_each(scrub);
}

/// Redacts the details of gaps.
pub(crate) fn gaps(gaps: &mut [Gap]) {
    gaps.iter_mut().for_each(|g| scrub(&mut g.detail));
}

#[cfg(test)]
mod tests {
    use healthcore_sources::SourceError;

    use super::text;

    #[test]
    fn secrets_are_hidden_and_words_stay() {
        for (given, expected) in [
            ("dial https://bob:s3cr3t@prom:9090/api", "dial https://[redacted]@prom:9090/api"),
            ("Authorization: Bearer abcdef.123456789", "Authorization: Bearer [redacted]"),
            ("failed: DB_PASSWORD=hunter2 retry=3", "failed: DB_PASSWORD=[redacted] retry=3"),
            (r#"{"api_key": "k-123", "n": 4}"#, r#"{"api_key": [redacted], "n": 4}"#),
            ("jwt eyJhbGciOiJI.eyJzdWIiOiIx.c2lnbmF0 end", "jwt [redacted] end"),
            (
                "Back-off pulling image \"img.example/shop/api:1.2\": not found",
                "Back-off pulling image \"img.example/shop/api:1.2\": not found",
            ),
            (
                "write to http://cn-x.arms.aliyuncs.com/api/v1/prometheus/abc123/7/c/cn-x failed",
                "write to http://cn-x.arms.aliyuncs.com/api/v1/prometheus/[redacted]/7/c/cn-x failed",
            ),
            ("exec /app/server: exec format error", "exec /app/server: exec format error"),
        ] {
            assert_eq!(text(given), expected);
        }
        let refused = SourceError::Unauthorized { what: "the server".into(), why: "Unauthorized".into() };
        assert_eq!(text(&refused.to_string()), refused.to_string(), "our own words are none");
    }
}
