//! What the file says of a Loki.

use healthcore_sources::loki::LokiSettings;

use super::tree::Node;
use super::{Secrets, server};

pub(crate) const LOKI: &[&str] = &[
    "url",
    "selector",
    "username-env",
    "username-file",
    "password-env",
    "password-file",
    "token-env",
    "token-file",
    "headers",
    "ca-file",
    "insecure-skip-verify",
    "timeout",
    "retries",
    "concurrency",
    "compression",
];

pub(super) fn loki(node: &Node<'_>, secrets: &Secrets<'_>) -> Result<LokiSettings, String> {
    let (connection, _) = server(node, LOKI, secrets)?;
    if connection.url.is_empty() {
        return Err(format!(
            "{}.url: expected the address of Loki, such as `http://loki.monitoring:3100`",
            node.path()
        ));
    }
    let mut out = LokiSettings::new(connection);
    for (key, value) in node.map(LOKI)? {
        if key == "selector" {
            out.selector = value.text()?;
        }
    }
    out.check().map_err(|why| format!("{}: {why}", node.path()))?;
    Ok(out)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use healthcore_sources::loki::SELECTOR;
    use healthcore_sources::prometheus::Auth;

    use super::*;
    use crate::config::tree;

    fn read(text: &str) -> Result<LokiSettings, String> {
        let environment = |name: &str| (name == "PW").then(|| "hunter2".to_owned());
        let secrets = Secrets { folder: Path::new("."), environment: &environment };
        loki(&Node::root(&tree::parse(text)?), &secrets)
    }

    #[test]
    fn connection_and_selector() {
        let found = read("{url: 'https://loki', token-env: PW, headers: [{name: X-Scope-OrgID, value-env: PW}], timeout: 9s}").unwrap();
        assert!(matches!(found.server.auth, Auth::Bearer(_)));
        assert_eq!((found.server.headers.len(), found.server.timeout.as_secs()), (1, 9));
        assert_eq!(found.selector, SELECTOR);
        assert!(!format!("{found:?}").contains("hunter2"));
    }

    #[test]
    fn mistakes_are_named() {
        for (text, expected) in [
            ("{}", "url: expected the address of Loki"),
            ("{url: loki:3100}", "loki url: expected an address"),
            ("{url: 'http://bob:hunter2@loki'}", "the address holds credentials"),
            ("{url: 'http://loki', matchers: [a]}", "matchers: unknown key"),
            ("{url: 'http://loki', selector: 'app'}", "loki selector: expected a selector of LogQL"),
            (
                "{url: 'http://loki', selector: '{pod=~\"{pod_pattern}\"}'}",
                "loki selector: expected `{namespace}` in it, as in `{namespace=\"{namespace}\"",
            ),
        ] {
            let why = read(text).unwrap_err();
            assert!(why.contains(expected) && !why.contains("hunter2"), "{why}");
        }
    }
}
