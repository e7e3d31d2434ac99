//! What the file says of image registries.

use healthcore_sources::registry::{RegistryClient, RegistrySettings};

use super::tree::Node;
use super::{Secrets, auth, request_timeout};

pub(crate) const REGISTRIES: &[&str] = &[
    "host",
    "username-env",
    "username-file",
    "password-env",
    "password-file",
    "token-env",
    "token-file",
    "ca-file",
    "plain-http",
    "timeout",
    "most",
];

/// Most images of one registry in a run that can be asked for.
const LARGEST_MOST: u32 = 10_000;

/// The registries that may be asked, each once.
pub(super) fn registries(node: &Node<'_>, secrets: &Secrets<'_>) -> Result<Vec<RegistrySettings>, String> {
    let mut out: Vec<RegistrySettings> = Vec::new();
    for item in node.list()? {
        let one = registry(&item, secrets)?;
        if out.iter().any(|other| other.host == one.host) {
            return Err(format!("{}.host: `{}` is given twice", item.path(), one.host));
        }
        out.push(one);
    }
    Ok(out)
}

fn registry(node: &Node<'_>, secrets: &Secrets<'_>) -> Result<RegistrySettings, String> {
    let mut out = RegistrySettings::new("");
    let (mut username, mut password, mut token) = (None, None, None);
    let mut most = None;
    for (key, value) in node.map(REGISTRIES)? {
        match key {
            "host" => out.host = host(&value)?,
            "username-env" => username = Some(secrets.in_env(&value)?),
            "username-file" => username = Some(secrets.in_file(&value)?),
            "password-env" => password = Some(secrets.in_env(&value)?),
            "password-file" => password = Some(secrets.in_file(&value)?),
            "token-env" => token = Some(secrets.in_env(&value)?),
            "token-file" => token = Some(secrets.in_file(&value)?),
            "ca-file" => out.ca_file = Some(secrets.folder.join(value.text()?)),
            "plain-http" => out.plain_http = value.read()?,
            "most" => most = Some(images(&value)?),
            _ => {
                out.timeout =
                    request_timeout(value.read()?).map_err(|why| format!("{}: {why}", value.path()))?;
            }
        }
    }
    if out.host.is_empty() {
        return Err(format!(
            "{}.host: expected the name of a registry as references begin with it, such as `registry.example:5000`; `docker.io` for those that name none",
            node.path()
        ));
    }
    out.most = most.or_else(|| RegistrySettings::new(&out.host).most);
    out.auth = auth(node, token, username, password)?;
    // Files are read when a run begins.
    let bare = RegistrySettings { ca_file: None, ..out.clone() };
    RegistryClient::new(&[bare]).map_err(|why| format!("{}: {why}", node.path()))?;
    Ok(out)
}

/// A number of images.
fn images(node: &Node<'_>) -> Result<usize, String> {
    match node.read::<u32>()? {
        most @ 1..=LARGEST_MOST => Ok(most as usize),
        most => Err(format!(
            "{}: expected a number of images from 1 to {LARGEST_MOST}, got {most}; to ask for none, leave the registry out",
            node.path()
        )),
    }
}

/// `HOST` or `HOST:PORT`.
fn host(node: &Node<'_>) -> Result<String, String> {
    let text = node.text()?;
    let (name, port) = text.split_once(':').unwrap_or((&text, "443"));
    let of_name = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
    let is_port = port.parse::<u16>().is_ok_and(|port| port > 0);
    if name.is_empty() || !name.chars().all(of_name) || !is_port {
        return Err(format!(
            "{}: expected `HOST` or `HOST:PORT`, without scheme and path, got `{text}`",
            node.path()
        ));
    }
    Ok(match text.to_ascii_lowercase().as_str() {
        // Other names of the same.
        "index.docker.io" | "registry-1.docker.io" => "docker.io".to_owned(),
        text => text.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use healthcore_sources::prometheus::Auth;

    use super::*;
    use crate::config::tree;

    fn read(text: &str) -> Result<Vec<RegistrySettings>, String> {
        let environment = |name: &str| (name == "PW").then(|| "hunter2".to_owned());
        let secrets = Secrets { folder: Path::new("/etc/hc"), environment: &environment };
        registries(&Node::root(&tree::parse(text)?), &secrets)
    }

    #[test]
    fn hosts_credentials_and_bounds() {
        let found = read(
            "- {host: Registry.Example:5000, username-env: PW, password-env: PW, ca-file: ca.pem}\n\
             - {host: index.docker.io, token-env: PW}\n\
             - {host: localhost:5001, plain-http: true, timeout: 3s, most: 7}",
        )
        .unwrap();
        let hosts: Vec<_> = found.iter().map(|r| r.host.as_str()).collect();
        assert_eq!(hosts, ["registry.example:5000", "docker.io", "localhost:5001"]);
        assert!(matches!(&found[0].auth, Auth::Basic { username, .. } if username == "hunter2"));
        assert_eq!(found[0].ca_file.as_deref(), Some(Path::new("/etc/hc/ca.pem")));
        assert!(matches!(found[1].auth, Auth::Bearer(_)) && !found[1].plain_http);
        assert_eq!((found[2].plain_http, found[2].timeout.as_secs()), (true, 3));
        let most: Vec<_> = found.iter().map(|r| r.most).collect();
        assert_eq!(most, [None, Some(25), Some(7)], "Docker Hub counts what is read");
        let shown = format!("{:?}", &found[1..]);
        assert!(!shown.contains("hunter2"), "{shown}");
    }

    #[test]
    fn mistakes_are_named() {
        for (text, expected) in [
            ("[{}]", "[0].host: expected the name of a registry"),
            (
                "[{host: 'https://r.example'}]",
                "[0].host: expected `HOST` or `HOST:PORT`, without scheme and path, got `https://r.example`",
            ),
            ("[{host: r.example/team}]", "without scheme and path, got `r.example/team`"),
            ("[{host: 'r.example:0'}]", "expected `HOST` or `HOST:PORT`"),
            ("[{host: r, username-env: PW}]", "[0]: expected a user name with a password, or a token"),
            ("[{host: r, token-env: GONE}]", "[0].token-env: the environment variable `GONE` is not set"),
            ("[{host: r}, {host: R}]", "[1].host: `r` is given twice"),
            ("[{host: r, insecure: true}]", "[0].insecure: unknown key"),
            ("[{host: r, timeout: 0s}]", "[0].timeout: expected a time-out above zero"),
            ("[{host: r, most: 0}]", "[0].most: expected a number of images from 1 to 10000, got 0"),
            ("{host: r}", "expected a list, got a map"),
        ] {
            let why = read(text).unwrap_err();
            assert!(why.contains(expected) && !why.contains("hunter2"), "{text}: {why}");
        }
    }
}
