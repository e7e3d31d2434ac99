//! What the file says of certificates.

use std::net::Ipv6Addr;

use healthcore_sources::tls::TlsServer;

use super::namespace_pattern;
use super::tree::Node;

/// How certificates are looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificatesConfig {
    /// Whether the TLS servers of routes are asked for theirs.
    pub ask: bool,
    /// TLS servers to ask besides.
    pub servers: Vec<TlsServer>,
    /// Names or globs of namespaces whose certificates are not looked at, each with the reason.
    pub skip: Vec<(String, String)>,
}

impl Default for CertificatesConfig {
    fn default() -> Self {
        Self { ask: true, servers: Vec::new(), skip: Vec::new() }
    }
}

pub(crate) const CERTIFICATES: &[&str] = &["ask", "servers", "skip"];
pub(crate) const SKIP: &[&str] = &["namespace", "reason"];

pub(super) fn certificates(node: &Node<'_>) -> Result<CertificatesConfig, String> {
    let mut out = CertificatesConfig::default();
    for (key, value) in node.map(CERTIFICATES)? {
        match key {
            "ask" => out.ask = value.read()?,
            "servers" => {
                for item in value.items()? {
                    out.servers.push(server(&item)?);
                }
            }
            _ => {
                for item in value.list()? {
                    out.skip.push(skip(&item)?);
                }
            }
        }
    }
    Ok(out)
}

/// `HOST` or `HOST:PORT`; an address of IPv6 stands in brackets, for it has colons itself (RFC 3986, section 3.2.2).
fn server(node: &Node<'_>) -> Result<TlsServer, String> {
    let text = node.text()?;
    let wrong = || {
        let hint = if text.parse::<Ipv6Addr>().is_ok() {
            format!(", did you mean `[{text}]`?")
        } else {
            String::new()
        };
        format!("{}: expected `HOST`, `HOST:PORT` or `[IPV6]:PORT`, got `{text}`{hint}", node.path())
    };
    let of_name = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
    let (host, rest) = match text.strip_prefix('[').map(|rest| rest.split_once(']')) {
        Some(bracketed) => {
            let (address, rest) = bracketed.ok_or_else(wrong)?;
            let address = address.parse::<Ipv6Addr>().map_err(|_| wrong())?;
            (address.to_string(), rest)
        }
        None => {
            let (host, rest) = text.split_at(text.find(':').unwrap_or(text.len()));
            if host.is_empty() || !host.chars().all(of_name) {
                return Err(wrong());
            }
            (host.to_ascii_lowercase(), rest)
        }
    };
    let port = match rest.strip_prefix(':') {
        Some(port) => port.parse().ok().filter(|port| *port > 0).ok_or_else(wrong)?,
        None if rest.is_empty() => 443,
        None => return Err(wrong()),
    };
    Ok(TlsServer { namespace: String::new(), host, port })
}

fn skip(node: &Node<'_>) -> Result<(String, String), String> {
    let (mut namespace, mut reason) = (None, None);
    for (key, value) in node.map(SKIP)? {
        match key {
            "namespace" => {
                let glob = namespace_pattern(&value.text()?);
                namespace = Some(glob.map_err(|why| format!("{}: {why}", value.path()))?);
            }
            _ => reason = Some(value.text()?).filter(|text| !text.trim().is_empty()),
        }
    }
    namespace.zip(reason).ok_or_else(|| {
        format!("{}: expected `namespace` and `reason`, so that the report can tell why", node.path())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::tree;

    fn read(text: &str) -> Result<CertificatesConfig, String> {
        certificates(&Node::root(&tree::parse(text)?))
    }

    #[test]
    fn servers_and_namespaces() {
        let found = read(
            "ask: false\nservers: [API.example, 'b.example:8443', '[::1]:443', '[2001:DB8::7]']\nskip: [{namespace: 'dev-*', reason: self-signed}]",
        )
        .unwrap();
        let servers: Vec<_> = found.servers.iter().map(|s| (s.host.as_str(), s.port)).collect();
        assert_eq!(servers, [("api.example", 443), ("b.example", 8443), ("::1", 443), ("2001:db8::7", 443)]);
        assert_eq!(found.skip, [("dev-*".to_owned(), "self-signed".to_owned())]);
        assert!(!found.ask && CertificatesConfig::default().ask);
    }

    #[test]
    fn mistakes_are_named() {
        for (text, expected) in [
            (
                "servers: ['https://a.example']",
                "servers[0]: expected `HOST`, `HOST:PORT` or `[IPV6]:PORT`, got `https://a.example`",
            ),
            ("servers: ['a.example:0']", "expected `HOST`, `HOST:PORT` or `[IPV6]:PORT`"),
            ("servers: ['::1']", "got `::1`, did you mean `[::1]`?"),
            ("servers: ['[::1']", "got `[::1`"),
            ("servers: ['[::1]443']", "got `[::1]443`"),
            ("servers: ['[::1]:0']", "got `[::1]:0`"),
            ("servers: ['[a.example]:443']", "got `[a.example]:443`"),
            ("skip: [{namespace: dev}]", "skip[0]: expected `namespace` and `reason`"),
            ("skip: [{namespace: dev, reason: ' '}]", "skip[0]: expected `namespace` and `reason`"),
            ("skip: [{namespace: 'A b', reason: x}]", "skip[0].namespace: "),
        ] {
            let why = read(text).unwrap_err();
            assert!(why.contains(expected), "{text}: {why}");
        }
    }
}
