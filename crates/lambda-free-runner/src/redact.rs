//! Takes secrets out of words that other systems wrote: messages of events, terminations and errors.

use std::borrow::Cow;
use std::sync::LazyLock;

use healthcore::inventory::Inventory;
use healthcore::logs::{SECRET_NAMES, SECRET_WORDS};
use healthcore::model::{Condition, ContainerState, Pod, Termination};
use healthcore::snapshot::{Gap, Objects};
use healthcore_sources::prometheus::without_tokens;
use regex::{Captures, Regex};

/// What stands where a secret stood.
const HIDDEN: &str = "[redacted]";

static SECRETS: LazyLock<[Regex; 5]> = LazyLock::new(|| {
    [
        // user:password@ in a URL: up to the last @ before path and query; and a password with a slash, where what stands
        // behind the colon is no port.
        r#"(?i)([a-z][a-z0-9+.-]*://)(?:[^\s/?\#"'<>]+|[^\s/?\#@:"'<>]*:[0-9]*[^\s/?\#@"'<>0-9][^\s"'<>]*)@"#.to_owned(),
        // Headers whose whole value is secret.
        r#"(?i)\b((?:proxy-)?authorization["']?\s*[:=]\s*|(?:set-)?cookie["']?\s*[:=]\s*)("[^"]*"|'[^']*'|[^"'\r\n]+)"#.to_owned(),
        // What stands behind the scheme of one.
        r"(?i)\b(bearer|basic)\s+[a-z0-9._~+/=-]{8,}".to_owned(),
        // password=..., "token": "...", SECRET_KEY: ...
        format!(
            r#"(?i)\b((?:[a-z0-9_.-]*(?:{})[a-z0-9_.-]*|(?:[a-z0-9_.-]*[_.-])?(?:{})|[a-z0-9_.-]*(?-i:[a-z0-9](?:{})))["']?\s*[:=]\s*)("[^"]*"|'[^']*'|[^\s,;"'&]+)"#,
            SECRET_NAMES.map(with_separators).join("|"),
            SECRET_WORDS.join("|"),
            SECRET_WORDS.map(with_capital).join("|")
        ),
        // JSON web tokens
        r"\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*".to_owned(),
    ]
    .map(|pattern| Regex::new(&pattern).expect("a constant expression, compiled in a test"))
});

/// A pattern for a name with or without `-` and `_` within.
fn with_separators(name: &str) -> String {
    name.chars().map(String::from).collect::<Vec<_>>().join("[_-]?")
}

fn with_capital(word: &str) -> String {
    word[..1].to_uppercase() + &word[1..]
}

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

/// Redacts every free text of objects. No field is left out by `..`: whoever adds one says here whether it is free text.
pub(crate) fn objects(objects: &mut Objects) {
    let Objects { origin: _, workloads: _, pods, hpas, events, nodes, logs, inventory, unavailable: _ } =
        objects;
    pods.iter_mut().for_each(pod);
    events.iter_mut().for_each(|e| scrub(&mut e.message));
    hpas.iter_mut().for_each(|h| conditions(&mut h.conditions));
    nodes.iter_mut().for_each(|n| conditions(&mut n.conditions));
    logs.iter_mut().flat_map(|l| &mut l.said.patterns).for_each(|p| scrub(&mut p.text));
    let Inventory {
        services: _,
        routes: _,
        tls_secrets,
        managed_certificates,
        served,
        certificates_skipped: _,
        dns_names: _,
        host_requests: _,
        disruption_budgets,
        volume_claims: _,
        quotas: _,
        jobs,
        cron_jobs: _,
        // Found later, in what is redacted here.
        starts: _,
        api_use: _,
        server_version: _,
    } = inventory;
    tls_secrets.iter_mut().filter_map(|s| s.broken.as_mut()).for_each(scrub);
    served.iter_mut().filter_map(|s| s.failed.as_mut()).for_each(scrub);
    managed_certificates.iter_mut().for_each(|c| conditions(&mut c.conditions));
    disruption_budgets.iter_mut().for_each(|b| conditions(&mut b.conditions));
    jobs.iter_mut().for_each(|j| conditions(&mut j.conditions));
}

fn conditions(conditions: &mut [Condition]) {
    conditions.iter_mut().for_each(|c| scrub(&mut c.message));
}

fn pod(pod: &mut Pod) {
    let termination = |t: &mut Termination| scrub(&mut t.message);
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

/// Redacts the details of gaps.
pub(crate) fn gaps(gaps: &mut [Gap]) {
    gaps.iter_mut().for_each(|g| g.change_texts(&mut scrub));
}

#[cfg(test)]
mod tests {
    use healthcore::inventory::{Inventory, ManagedCertificate, ServedCertificate};
    use healthcore::model::Condition;
    use healthcore::snapshot::Objects;
    use healthcore_sources::SourceError;

    use super::text;

    /// cert-manager puts the words of its issuer into a condition.
    #[test]
    fn conditions_of_certificates_are_redacted() {
        let said = "vault: POST https://u:hunter2@vault/v1 password=hunter2 failed";
        let condition = Condition {
            kind: "Ready".to_owned(),
            status: Some(false),
            reason: "Failed".to_owned(),
            message: said.to_owned(),
            since: None,
        };
        let managed = ManagedCertificate { conditions: vec![condition], ..ManagedCertificate::default() };
        let served = ServedCertificate { failed: Some(said.to_owned()), ..ServedCertificate::default() };
        let inventory =
            Inventory { managed_certificates: vec![managed], served: vec![served], ..Inventory::default() };
        let mut objects = Objects { inventory, ..Objects::default() };
        super::objects(&mut objects);
        let whole = format!("{objects:?}");
        assert!(!whole.contains("hunter2") && whole.contains("[redacted]@vault"), "{whole}");
    }

    #[test]
    fn secrets_are_hidden_and_words_stay() {
        for (given, expected) in [
            ("dial https://bob:s3cr3t@prom:9090/api", "dial https://[redacted]@prom:9090/api"),
            ("dial https://bob:s3@X@prom", "dial https://[redacted]@prom"),
            ("dial postgres://app:x/X@db/shop failed", "dial postgres://[redacted]@db/shop failed"),
            (
                "pull docker://img.example:5000/shop/api@sha256:0123 failed",
                "pull docker://img.example:5000/shop/api@sha256:0123 failed",
            ),
            ("Authorization: Bearer abcdef.123456789", "Authorization: [redacted]"),
            ("-H 'Authorization: ApiKey k-123' sent", "-H 'Authorization: [redacted]' sent"),
            ("Cookie: session=abc; theme=dark", "Cookie: [redacted]"),
            ("asked with bearer abcdef.123456789", "asked with bearer [redacted]"),
            ("Server=db;Pwd=hunter2;Encrypt=yes", "Server=db;Pwd=[redacted];Encrypt=yes"),
            ("DB_PASS_PHRASE=hunter2 retry=3", "DB_PASS_PHRASE=[redacted] retry=3"),
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
            ("login with pass=hunter2 failed", "login with pass=[redacted] failed"),
            ("DB_PASS=hunter2 userPass: hunter2 n", "DB_PASS=[redacted] userPass: [redacted] n"),
            ("GET /c?sv=x&sig=a%2Fb%3D&se=x", "GET /c?sv=x&sig=[redacted]&se=x"),
            ("bypass=yes signal: killed compass: n", "bypass=yes signal: killed compass: n"),
            ("exec /app/server: exec format error", "exec /app/server: exec format error"),
        ] {
            assert_eq!(text(given), expected);
        }
        let refused = SourceError::Unauthorized { what: "the server".into(), why: "Unauthorized".into() };
        assert_eq!(text(&refused.to_string()), refused.to_string(), "our own words are none");
    }
}
