//! What each key of the file means, for its schema and its documentation.

use serde_json::Value;

/// The key that a map stands under (none at the top), a key of it, and what it means.
const KEYS: &[(&str, &str, &str)] = &[
    ("", "certificates", "How certificates are looked at."),
    (
        "",
        "checks",
        "Checks and their parameters by id, for everything that no cluster or namespace says otherwise.",
    ),
    (
        "",
        "classes",
        "Rules that give workloads their class, where what is inferred is wrong; the closest rule wins.",
    ),
    ("", "clusters", "Clusters to look at, in the order of the report."),
    ("", "clusters-at-once", "Clusters that are read at once, from 1 to 64."),
    ("", "deliver", "Where reports go after a run, and digests when one is made."),
    ("", "history", "Where runs are remembered. Without it every run stands alone."),
    ("", "hosts", "Which names DNS leads to the clusters, so that those without a route are found."),
    ("", "lang", "Language of the reports."),
    ("", "logs", "Reads the logs of workloads, within these bounds; `{}` for the usual ones."),
    ("", "lookback", "How far to look back."),
    ("", "only", "Ids of the checks to run; all without it."),
    (
        "",
        "profiles",
        "What clusters or namespaces have in common, by a name of your choice, which `extends` takes over.",
    ),
    ("", "queries", "An old `promql_queries.yaml`, relative to this file."),
    (
        "",
        "registries",
        "Registries that are asked for which platforms images are built for; others are never asked.",
    ),
    ("", "skip", "Ids of checks to leave out."),
    ("", "step", "Time between two samples; chosen by the look-back without it (1m, 5m, 15m or 1h)."),
    (
        "",
        "templates",
        "Templates of your own by name, as files relative to this one, for `--format template=NAME`.",
    ),
    ("", "time-zone", "Zone in which people read times, such as `Asia/Taipei`."),
    ("", "thresholds", "An old `thresholds.yaml`, relative to this file."),
    (
        "",
        "watch-share",
        "Share of a bound within which a value that has not reached it is on the watch list, from 0% (nothing is) to 50%.",
    ),
    ("clusters", "checks", "Checks and their parameters in this cluster."),
    ("clusters", "classes", "Rules that give its workloads their class."),
    ("clusters", "extends", "Profiles that it takes over, the later over the earlier; its own words last."),
    (
        "clusters",
        "kubernetes",
        "Its Kubernetes API; `{}` for the usual discovery. Without it workloads come from kube-state-metrics.",
    ),
    ("clusters", "loki", "The Loki that keeps its logs; they are read there first, when logs are read."),
    ("clusters", "name", "Its name in the report."),
    (
        "clusters",
        "namespaces",
        "Namespaces to look into: names or globs, or maps that say what holds in them; all without it.",
    ),
    ("clusters", "prometheus", "Its metrics server."),
    ("kubernetes", "context", "Context of the kubeconfig; its current one without it."),
    ("kubernetes", "kubeconfig", "Kubeconfig file, relative to this file; found as kubectl does without it."),
    ("prometheus", "ca-file", "Certificates (PEM) of authorities to trust."),
    ("prometheus", "compression", "Whether answers are compressed; `auto` does without on the same machine."),
    ("prometheus", "concurrency", "Requests under way at once, from 1 to 64."),
    ("prometheus", "dialect", "Rules of the server: `arms` for Alibaba Cloud."),
    ("prometheus", "headers", "Headers to send, such as that of a tenant."),
    ("prometheus", "insecure-skip-verify", "Accepts any certificate."),
    ("prometheus", "matchers", "Label matchers that are put into every query, such as `cluster=\"prod\"`."),
    ("prometheus", "password-env", "Environment variable that holds the password."),
    ("prometheus", "password-file", "File that holds the password."),
    ("prometheus", "retries", "Times that a request that failed is sent again."),
    ("prometheus", "timeout", "Time for one request."),
    ("prometheus", "token-env", "Environment variable that holds a bearer token."),
    ("prometheus", "token-file", "File that holds a bearer token."),
    (
        "prometheus",
        "url",
        "Address of a server with the Prometheus query API, without `/api/v1`, without credentials.",
    ),
    (
        "prometheus",
        "username-env",
        "Environment variable that holds the user name; for ARMS the AccessKey id.",
    ),
    ("prometheus", "username-file", "File that holds the user name."),
    (
        "prometheus",
        "via",
        "Way to it through the Kubernetes API: `service-proxy:NS/SERVICE:PORT`, `port-forward:NS/POD:PORT` or `exec:NS/POD:PORT`.",
    ),
    (
        "loki",
        "selector",
        "What selects the lines of a container, in LogQL, with `{namespace}`, `{pod_pattern}` and `{container}` between double quotes.",
    ),
    ("loki", "url", "Address of Loki, without `/loki/api/v1`, without credentials."),
    ("headers", "name", "Name of the header."),
    ("headers", "value-env", "Environment variable that holds its value."),
    ("headers", "value-file", "File that holds its value."),
    ("namespaces", "checks", "Checks and their parameters in these namespaces."),
    ("namespaces", "class", "Class of all workloads in them."),
    ("namespaces", "classes", "Rules that give workloads in them their class."),
    ("namespaces", "extends", "Profiles that they take over."),
    ("namespaces", "name", "Name or glob of namespaces."),
    ("classes", "class", "The class that it gives."),
    ("classes", "image", "Glob of the image of a container."),
    ("classes", "kind", "Kind of the workload, such as `Deployment`."),
    ("classes", "name", "Glob of its name."),
    ("classes", "namespace", "Glob of its namespace."),
    ("certificates", "ask", "Whether the TLS servers of routes are asked for theirs."),
    (
        "certificates",
        "servers",
        "TLS servers to ask besides, `HOST`, `HOST:PORT` or `[IPV6]:PORT`; the port is 443 without one.",
    ),
    ("certificates", "skip", "Namespaces whose certificates are not looked at, each with the reason."),
    ("registries", "ca-file", "Certificates (PEM) of authorities to trust."),
    (
        "registries",
        "host",
        "Registry as references begin with it, `HOST` or `HOST:PORT`; `docker.io` for those that name none.",
    ),
    (
        "registries",
        "most",
        "Most images that are read of it in a run; 25 of `docker.io`, which counts them, else as many as are needed.",
    ),
    ("registries", "password-env", "Environment variable that holds the password."),
    ("registries", "password-file", "File that holds the password."),
    ("registries", "plain-http", "Whether it is spoken to without TLS."),
    ("registries", "timeout", "Time for one request."),
    ("registries", "token-env", "Environment variable that holds a bearer token, which is sent as it is."),
    ("registries", "token-file", "File that holds such a token."),
    ("registries", "username-env", "Environment variable that holds the user name."),
    ("registries", "username-file", "File that holds the user name."),
    ("hosts", "files", "Files with records of DNS, relative to this file."),
    ("hosts", "skip", "Names, or globs of names, that lead elsewhere."),
    ("skip", "namespace", "Name or glob of namespaces."),
    ("skip", "reason", "Why; the report tells it."),
    ("deliver", "api", "Address of the API of Slack, where it is another than the public one."),
    ("deliver", "attach", "Formats that are attached, or `template=FILE`."),
    ("deliver", "ca-file", "Certificates (PEM) of authorities to trust."),
    ("deliver", "channel", "Channel, by its id or name."),
    ("deliver", "clusters", "Names or globs of clusters whose findings go there; all without it."),
    ("deliver", "files", "Formats that are uploaded into the thread, or `template=FILE`."),
    (
        "deliver",
        "format",
        "Format of the report or digest; `template=FILE`, or `template=NAME` of `templates`, for a report or digest of your own.",
    ),
    ("deliver", "from", "Address of the sender."),
    ("deliver", "headers", "Headers to send."),
    ("deliver", "job", "Name of the job in the Pushgateway."),
    ("deliver", "namespaces", "Names or globs of namespaces whose findings go there; all without it."),
    ("deliver", "on-failure", "What a delivery that fails is: a warning, or a run that failed."),
    ("deliver", "password-env", "Environment variable that holds the password."),
    ("deliver", "password-file", "File that holds the password."),
    ("deliver", "path", "File, by a template of its name."),
    ("deliver", "secret-env", "Environment variable that holds what messages are signed with."),
    ("deliver", "secret-file", "File that holds what messages are signed with."),
    (
        "deliver",
        "security",
        "How the connection to the mail server is kept private: `starttls`, `tls` or `none`; `tls` at port 465.",
    ),
    ("deliver", "server", "Mail server, `HOST` or `HOST:PORT`."),
    ("deliver", "severity", "The least severity that goes there."),
    ("deliver", "timeout", "Time for one request."),
    ("deliver", "to", "Addresses of those who get it."),
    ("deliver", "token-env", "Environment variable that holds the token."),
    ("deliver", "token-file", "File that holds the token."),
    ("deliver", "type", "What it is."),
    ("deliver", "url", "Address to send to."),
    ("deliver", "url-env", "Environment variable that holds the address."),
    ("deliver", "url-file", "File that holds the address."),
    ("deliver", "username-env", "Environment variable that holds the user name."),
    ("deliver", "username-file", "File that holds the user name."),
    ("deliver", "webhook-env", "Environment variable that holds the address of a webhook."),
    ("deliver", "webhook-file", "File that holds the address of a webhook."),
    ("deliver", "what", "`report`, or `digest` for what `healthcheck digest --deliver` sends."),
    ("deliver", "when", "After which runs, or which digests."),
    ("logs", "bytes", "How much is read of a cluster, shared out evenly among the containers."),
    ("logs", "bytes-of-container", "How much is read of a container, the newest first."),
    ("logs", "lookback", "How old lines may be."),
    ("logs", "pods", "Pods of a workload whose logs are read, newest and oldest."),
    ("logs", "time", "How long reading may take in a cluster."),
    ("history", "keep", "Age at which a run is removed."),
    ("history", "keep-runs", "Runs of a cluster that are kept at most."),
    ("history", "location", "A folder, relative to this file, or the address of an object store."),
    (
        "history",
        "required",
        "Whether a run that cannot be compared or remembered counts as one that could not run.",
    ),
];

/// What holds where a key is left out, as it would be written. Keys that are not here have no value then, or one that their
/// meaning tells.
const DEFAULTS: &[(&str, &str, &str)] = &[
    ("", "clusters-at-once", "4"),
    ("", "lang", "en"),
    ("", "lookback", "7d"),
    ("", "time-zone", "UTC"),
    ("", "watch-share", "20%"),
    ("prometheus", "compression", "auto"),
    ("prometheus", "concurrency", "4"),
    ("prometheus", "dialect", "prometheus"),
    ("prometheus", "insecure-skip-verify", "false"),
    ("prometheus", "retries", "2"),
    ("prometheus", "timeout", "30s"),
    ("certificates", "ask", "true"),
    ("registries", "plain-http", "false"),
    ("registries", "timeout", "10s"),
    ("deliver", "job", "healthcheck"),
    ("deliver", "on-failure", "warn"),
    ("deliver", "security", "starttls"),
    ("deliver", "severity", "info"),
    ("deliver", "timeout", "30s"),
    ("deliver", "what", "report"),
    ("deliver", "when", "always"),
    ("logs", "bytes", "1GiB"),
    ("logs", "bytes-of-container", "16MiB"),
    ("logs", "lookback", "1d"),
    ("logs", "pods", "4"),
    ("logs", "time", "2m"),
    ("history", "keep", "400d"),
    ("history", "keep-runs", "2000"),
    ("history", "required", "false"),
];

/// Adds to the properties of a schema what they mean, and what holds without them. A key without words stays without.
pub(super) fn describe(schema: &mut Value) {
    within(schema, "");
}

/// What a table says of a key. What a Loki has in common with a metrics server means the same.
fn of_key(table: &[(&str, &str, &'static str)], parent: &str, key: &str) -> Option<&'static str> {
    let of = |parent: &str| {
        table.iter().find(|(of, name, _)| *of == parent && *name == key).map(|(.., words)| *words)
    };
    of(parent).or_else(|| if parent == "loki" { of("prometheus") } else { None })
}

fn within(schema: &mut Value, parent: &str) {
    for part in ["oneOf", "anyOf"] {
        for one in schema.get_mut(part).and_then(Value::as_array_mut).into_iter().flatten() {
            within(one, parent);
        }
    }
    for part in ["items", "additionalProperties"] {
        if let Some(one) = schema.get_mut(part).filter(|one| one.is_object()) {
            within(one, parent);
        }
    }
    let Some(properties) = schema.get_mut("properties").and_then(Value::as_object_mut) else { return };
    for (key, value) in properties {
        if let Some(words) = of_key(KEYS, parent, key) {
            value["description"] = words.into();
        }
        if let Some(usual) = of_key(DEFAULTS, parent, key) {
            value["default"] = match usual {
                "true" | "false" => (usual == "true").into(),
                text => text.parse::<u64>().map_or_else(|_| text.into(), Value::from),
            };
        }
        // A profile says what a cluster says.
        within(value, if key == "profiles" { "clusters" } else { key });
    }
}

#[cfg(test)]
mod tests {
    use healthcore::view::WATCH_SHARE;

    use super::*;
    use crate::config::Config;
    use crate::{DEFAULT_CLUSTERS_AT_ONCE, DEFAULT_LOOKBACK};

    /// What a file says, without where it says it.
    fn read(text: &str) -> String {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("c.yaml");
        std::fs::write(&path, text).unwrap();
        let mut config = Config::read(&path, &|_| None).unwrap_or_else(|why| panic!("{text}: {why}"));
        config.given.clear();
        // What the command line fills in.
        config.lookback.get_or_insert(DEFAULT_LOOKBACK);
        config.clusters_at_once.get_or_insert(DEFAULT_CLUSTERS_AT_ONCE);
        config.lang.get_or_insert_default();
        config.zone.get_or_insert_default();
        config.settings.watch_share.get_or_insert_with(|| WATCH_SHARE.to_string());
        format!("{config:?}").replace(&folder.path().display().to_string(), "")
    }

    #[test]
    fn what_is_told_to_hold_without_a_key_is_what_holds() {
        for (parent, key, usual) in DEFAULTS {
            let map = |others: &str, own: bool| match own {
                true => format!("{{{others}, {key}: {usual}}}"),
                false => format!("{{{others}}}"),
            };
            let of_type = match *key {
                "job" => "type: pushgateway, url: 'https://p.example'",
                "security" => "type: email, server: mail.example, from: a@b.example, to: [c@d.example]",
                _ => "type: webhook, url: 'https://w.example/x'",
            };
            let file = |own: bool| match *parent {
                "" => {
                    if own {
                        format!("{key}: {usual}\n")
                    } else {
                        String::new()
                    }
                }
                "prometheus" => {
                    format!("clusters: [{{name: a, prometheus: {}}}]\n", map("url: 'http://p.example'", own))
                }
                "registries" => format!("registries: [{}]\n", map("host: r.example", own)),
                "deliver" => format!("deliver: [{}]\n", map(of_type, own)),
                "history" => format!("history: {}\n", map("location: runs", own)),
                "certificates" => format!("certificates: {}\n", map("skip: []", own)),
                _ => format!(
                    "{parent}: {}\n",
                    if own { format!("{{{key}: {usual}}}") } else { "{}".to_owned() }
                ),
            };
            assert_eq!(read(&file(true)), read(&file(false)), "{parent}.{key}: {usual}");
        }
    }
}
