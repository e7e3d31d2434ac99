//! Files that list the names in DNS: records, or zones with records, in YAML.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::path::Path;

use healthcore::inventory::DnsName;
use wildmatch::WildMatch;

use super::tree::{self, Node};

pub(crate) const HOSTS: &[&str] = &["files", "skip"];

/// Most names of all files together.
const MOST_NAMES: usize = 20_000;

/// Keys that hold the name, the type and the value of a record, in the words of several tools.
const NAME: [&str; 5] = ["name", "host", "hostname", "dnsName", "record"];
const TYPE: [&str; 3] = ["type", "recordType", "rtype"];
const VALUE: [&str; 7] = ["value", "values", "content", "target", "targets", "data", "rdata"];

/// Types of records that lead to a server. Others (MX, TXT, NS, SRV, ...) name no web host.
const LEADING: [&str; 4] = ["A", "AAAA", "CNAME", "ALIAS"];

/// What the file says of names in DNS.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HostsConfig {
    /// The names of all files, each once.
    pub names: Vec<DnsName>,
    /// The files, as they are written.
    pub files: Vec<String>,
    /// Names or globs of names that are left out.
    pub skip: Vec<String>,
}

pub(super) fn hosts(node: &Node<'_>, folder: &Path) -> Result<HostsConfig, String> {
    let mut files = Vec::new();
    let mut skip = Vec::new();
    for (key, value) in node.map(HOSTS)? {
        match key {
            "files" => {
                for item in value.items()? {
                    files.push((item.text()?, item.path().to_owned()));
                }
            }
            _ => skip = value.texts()?,
        }
    }
    if files.is_empty() {
        return Err(format!("{}.files: expected files that list names in DNS", node.path()));
    }
    let globs: Vec<WildMatch> = skip.iter().map(|glob| WildMatch::new(&glob.to_ascii_lowercase())).collect();
    let mut out = HostsConfig { skip, ..HostsConfig::default() };
    let mut seen: BTreeMap<String, DnsName> = BTreeMap::new();
    for (file, at) in files {
        let path = folder.join(&file);
        let text = std::fs::read_to_string(&path)
            .map_err(|e| format!("{at}: {}: cannot be read: {e}", path.display()))?;
        for name in read(&text, &file).map_err(|why| format!("{at}: {why}"))? {
            if !globs.iter().any(|glob| glob.matches(&name.host)) {
                seen.entry(name.host.clone()).or_insert(name);
            }
        }
        out.files.push(file);
    }
    if seen.len() > MOST_NAMES {
        return Err(format!("{}: {} names, expected at most {MOST_NAMES}", node.path(), seen.len()));
    }
    out.names = seen.into_values().collect();
    Ok(out)
}

/// The names of a file.
fn read(text: &str, file: &str) -> Result<Vec<DnsName>, String> {
    let mut out = Vec::new();
    for (document, places) in tree::parse_all(text).map_err(|why| format!("{file}: {why}"))? {
        document_of(&Node::root(&document), &Lines { file, places }, &mut out)?;
    }
    match out.is_empty() {
        true => Err(format!("{file}: expected records that lead to a host, found none")),
        false => Ok(out),
    }
}

/// Where the parts of a file stand.
struct Lines<'f> {
    file: &'f str,
    places: tree::Places,
}

impl Lines<'_> {
    /// File and line of a node: that of the first value in it.
    fn of(&self, node: &Node<'_>) -> String {
        let path = node.path();
        let within = |key: &str| {
            key.strip_prefix(path).is_some_and(|rest| {
                path.is_empty() || rest.is_empty() || rest.starts_with('.') || rest.starts_with('[')
            })
        };
        let from = (Bound::Included(path), Bound::Unbounded);
        let near = self.places.range::<str, _>(from).take_while(|(key, _)| key.starts_with(path));
        match near.filter(|(key, _)| within(key)).map(|(_, (_, line))| *line).min() {
            Some(line) => format!("{}:{line}", self.file),
            None => self.file.to_owned(),
        }
    }

    fn wrong(&self, node: &Node<'_>, what: &str) -> String {
        format!("{}: {what}", self.of(node))
    }
}

/// A list of records; a map with `records`, `zones`, or the `spec` of a DNSEndpoint of external-dns; or a map of zones.
fn document_of(node: &Node<'_>, lines: &Lines<'_>, out: &mut Vec<DnsName>) -> Result<(), String> {
    if !node.is_map() {
        return records(node, "", lines, out);
    }
    for (key, value) in node.entries()? {
        match key {
            "records" => records(&value, "", lines, out)?,
            "zones" => zones(&value, lines, out)?,
            "spec" => {
                for (key, value) in value.entries()? {
                    if key == "endpoints" {
                        records(&value, "", lines, out)?;
                    }
                }
            }
            "apiVersion" | "kind" | "metadata" | "version" => {}
            zone if zone.contains('.') => zone_of(zone, &value, lines, out)?,
            other => {
                return Err(lines.wrong(
                    &value,
                    &format!("expected `records`, `zones` or the name of a zone, got `{other}`"),
                ));
            }
        }
    }
    Ok(())
}

/// A list of zones with their names, or a map of zones.
fn zones(node: &Node<'_>, lines: &Lines<'_>, out: &mut Vec<DnsName>) -> Result<(), String> {
    if node.is_map() {
        for (zone, value) in node.entries()? {
            zone_of(zone, &value, lines, out)?;
        }
        return Ok(());
    }
    for zone in node.list().map_err(|_| lines.wrong(node, "expected a list or a map of zones"))? {
        let mut name = String::new();
        for (key, value) in entries(&zone, lines)? {
            if matches!(key, "name" | "zone" | "domain") {
                name = value.text().map_err(|why| lines.wrong(&value, &why))?;
            }
        }
        if name.is_empty() {
            return Err(lines.wrong(&zone, "expected the `name` of the zone"));
        }
        zone_of(&name, &zone, lines, out)?;
    }
    Ok(())
}

/// The records of a zone: a list, or a map with `records`.
fn zone_of(zone: &str, node: &Node<'_>, lines: &Lines<'_>, out: &mut Vec<DnsName>) -> Result<(), String> {
    if !node.is_map() {
        return records(node, zone, lines, out);
    }
    match entries(node, lines)?.into_iter().find(|(key, _)| *key == "records") {
        Some((_, value)) => records(&value, zone, lines, out),
        None => Err(lines.wrong(node, &format!("expected the `records` of zone `{zone}`"))),
    }
}

fn records(node: &Node<'_>, zone: &str, lines: &Lines<'_>, out: &mut Vec<DnsName>) -> Result<(), String> {
    const LIST: &str =
        "expected a list of records such as `- {name: shop.example.com, type: A, value: 192.0.2.1}`";
    for record in node.list().map_err(|_| lines.wrong(node, LIST))? {
        out.extend(record_of(&record, zone, lines)?);
    }
    Ok(())
}

/// One record; none when it leads to no web host. Further keys (`ttl`, `comment`, ...) are passed over.
fn record_of(node: &Node<'_>, zone: &str, lines: &Lines<'_>) -> Result<Option<DnsName>, String> {
    let (mut name, mut kind, mut value) = (None, "A".to_owned(), String::new());
    for (key, part) in entries(node, lines)? {
        let text = || part.text().map_err(|why| lines.wrong(&part, &why));
        if NAME.contains(&key) {
            name = Some(text()?);
        } else if TYPE.contains(&key) {
            kind = text()?.to_ascii_uppercase();
        } else if VALUE.contains(&key) {
            value = part.texts().unwrap_or_default().join(", ");
        }
    }
    let Some(name) = name else {
        return Err(lines.wrong(node, "expected the `name` of the record"));
    };
    let host = absolute(&name, zone);
    let is_host = |host: &str| {
        let of_name = |c: char| c.is_ascii_alphanumeric() || "-._*".contains(c);
        !host.is_empty() && host.len() <= 253 && host.chars().all(of_name) && host.contains('.')
    };
    if !LEADING.contains(&kind.as_str()) || host.starts_with('_') || host.contains('*') {
        return Ok(None);
    }
    if !is_host(&host) {
        return Err(
            lines.wrong(node, &format!("expected a host name such as `shop.example.com`, got `{name}`"))
        );
    }
    Ok(Some(DnsName { host, origin: lines.of(node), value, ..DnsName::default() }))
}

/// A name within its zone: `@` is the zone itself, a final dot or the zone's own name ends a whole name.
fn absolute(name: &str, zone: &str) -> String {
    let zone = zone.trim().trim_end_matches('.').to_ascii_lowercase();
    let lower = name.trim().to_ascii_lowercase();
    let whole = lower.strip_suffix('.');
    let name = whole.unwrap_or(&lower);
    let within = name == zone || name.strip_suffix(zone.as_str()).is_some_and(|rest| rest.ends_with('.'));
    match name {
        "@" | "" => zone,
        name if zone.is_empty() || within || whole.is_some() => name.to_owned(),
        name => format!("{name}.{zone}"),
    }
}

fn entries<'a>(node: &Node<'a>, lines: &Lines<'_>) -> Result<Vec<(&'a str, Node<'a>)>, String> {
    node.entries().map_err(|_| lines.wrong(node, "expected a map with `name`, `type` and `value`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(text: &str) -> Vec<String> {
        let names = read(text, "dns.yaml").unwrap();
        names.iter().map(|n| format!("{} {} {}", n.host, n.origin, n.value).trim().to_owned()).collect()
    }

    #[test]
    fn a_list_of_records() {
        let list = "# names\n- name: Forex-UI.example.com.\n  type: A\n  value: 192.0.2.1\n- name: pay.example.com\n  type: cname\n  value: lb.example.net\n  ttl: 60\n- name: example.com\n  type: MX\n  value: mail\n- {name: _acme.example.com, type: CNAME, value: x}\n- {name: '*.example.com', type: A, value: x}\n";
        let expected =
            ["forex-ui.example.com dns.yaml:2 192.0.2.1", "pay.example.com dns.yaml:5 lb.example.net"];
        assert_eq!(told(list), expected);
        let indented: String = list.lines().map(|line| format!("  {line}\n")).collect();
        let inner = format!("records:\n{indented}");
        assert_eq!(
            told(&inner),
            ["forex-ui.example.com dns.yaml:3 192.0.2.1", "pay.example.com dns.yaml:6 lb.example.net"]
        );
    }

    #[test]
    fn records_of_zones() {
        let expected = [
            "www.example.com dns.yaml:4 192.0.2.1, 192.0.2.2",
            "example.com dns.yaml:5",
            "a.example.com dns.yaml:6",
        ];
        assert_eq!(
            told(
                "zones:\n- name: example.com\n  records:\n  - {name: www, type: A, values: [192.0.2.1, 192.0.2.2]}\n  - {name: '@'}\n  - {name: a.example.com, type: AAAA}"
            ),
            expected
        );
        for text in [
            "example.com:\n- {name: www}\nexample.org: {records: [{name: b}]}",
            "zones:\n  example.com: [{name: www}]\n  example.org.: {records: [{name: b}]}",
        ] {
            let hosts: Vec<String> = read(text, "f").unwrap().into_iter().map(|n| n.host).collect();
            assert_eq!(hosts, ["www.example.com", "b.example.org"], "{text}");
        }
    }

    #[test]
    fn an_endpoint_of_external_dns() {
        let text = "apiVersion: externaldns.k8s.io/v1alpha1\nkind: DNSEndpoint\nmetadata: {name: a}\nspec:\n  endpoints:\n  - dnsName: a.example.com\n    recordType: A\n    recordTTL: 60\n    targets: [192.0.2.1]\n";
        assert_eq!(told(text), ["a.example.com dns.yaml:6 192.0.2.1"]);
    }

    /// As `kubectl get dnsendpoints -o yaml` and tools that join files write them.
    #[test]
    fn several_documents_are_read_one_after_the_other() {
        let text = "---\n# names\n- name: a.example.com\n---\nzones:\n  example.org: [{name: b}]\n---\n---\nspec:\n  endpoints:\n  - dnsName: c.example.com\n";
        assert_eq!(
            told(text),
            ["a.example.com dns.yaml:3", "b.example.org dns.yaml:6", "c.example.com dns.yaml:11"]
        );
        for (text, expected) in [
            ("- name: a.example\n---\n- name: a b\n", "dns.yaml:3: expected a host name"),
            ("- name: a.example\n---\n- {name: b\n", "dns.yaml: is no YAML: line 3"),
            ("---\n---\n", "dns.yaml: expected records that lead to a host, found none"),
        ] {
            let why = read(text, "dns.yaml").unwrap_err();
            assert!(why.starts_with(expected), "{text}: {why}");
        }
    }

    /// Reading them took minutes when each record was looked for in the whole file.
    #[test]
    fn a_file_may_have_very_many_records() {
        let began = std::time::Instant::now();
        let record = |n: usize| format!("- {{name: h{n}.example.com, type: A, value: 192.0.2.1}}\n");
        let found = told(&(0..5_000).map(record).collect::<String>());
        assert_eq!(found.last().unwrap(), "h4999.example.com dns.yaml:5000 192.0.2.1");
        assert!(began.elapsed().as_secs() < 60, "{:?}", began.elapsed());
    }

    #[test]
    fn mistakes_are_named_with_their_line() {
        for (text, expected) in [
            ("- name: a.example\n- type: A\n  value: x", "dns.yaml:2: expected the `name` of the record"),
            ("- name: a b\n", "dns.yaml:1: expected a host name such as `shop.example.com`, got `a b`"),
            ("- www", "dns.yaml:1: expected a map with `name`, `type` and `value`"),
            (
                "hosts: [a.example]",
                "dns.yaml:1: expected `records`, `zones` or the name of a zone, got `hosts`",
            ),
            ("zones: [{records: [{name: a}]}]", "dns.yaml:1: expected the `name` of the zone"),
            ("example.com: {ttl: 60}", "dns.yaml:1: expected the `records` of zone `example.com`"),
            ("just words", "dns.yaml:1: expected a list of records"),
            ("- name: [a]", "dns.yaml:1: "),
            ("- {name: a", "dns.yaml: is no YAML: "),
            ("# nothing yet", "dns.yaml: expected records that lead to a host, found none"),
            ("- {name: a.example, type: MX}", "dns.yaml: expected records that lead to a host, found none"),
        ] {
            let why = read(text, "dns.yaml").unwrap_err();
            assert!(why.starts_with(expected), "{text}: {why}");
        }
    }

    #[test]
    fn files_and_what_is_left_out() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("a.yaml"), "- name: a.example\n- name: vpn.example").unwrap();
        std::fs::write(folder.path().join("b.yaml"), "- name: a.example\n- name: b.example").unwrap();
        let config = |text: &str| hosts(&Node::root(&tree::parse(text).unwrap()), folder.path());
        let found = config("{files: [a.yaml, b.yaml], skip: ['VPN.*']}").unwrap();
        let names: Vec<_> = found.names.iter().map(|n| (n.host.as_str(), n.origin.as_str())).collect();
        assert_eq!(names, [("a.example", "a.yaml:1"), ("b.example", "b.yaml:2")]);
        assert_eq!(found.files.len(), 2);
        let why = config("{files: [c.yaml]}").unwrap_err();
        assert!(why.starts_with("files[0]: ") && why.contains("c.yaml: cannot be read: "), "{why}");
        assert!(config("{skip: [a]}").unwrap_err().contains("files: expected files that list names in DNS"));
        assert!(config("{file: a.yaml}").unwrap_err().contains("file: unknown key, did you mean `files`?"));
    }
}
