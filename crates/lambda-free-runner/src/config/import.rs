//! What the systems that this one replaces were told, as a configuration: `thresholds.yaml`, `promql_queries.yaml` and
//! environment variables. What has no counterpart stands in it as a comment; a secret stays where it is.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use healthcore::checks::CHECKS;
use healthcore::settings::{CheckSettings, Settings};

use super::{ConfigError, legacy};

/// Where the old settings are.
pub struct Import<'a> {
    /// The old `thresholds.yaml`.
    pub thresholds: Option<PathBuf>,
    /// The old `promql_queries.yaml`.
    pub queries: Option<PathBuf>,
    /// Name that the cluster gets.
    pub cluster: String,
    /// The value of an environment variable.
    pub environment: &'a dyn Fn(&str) -> Option<String>,
}

/// Endings of an address that name a single query, which the program adds itself.
const QUERY_PATHS: [&str; 4] = ["/api/v1/query_range", "/api/v1/query", "/api/v1/", "/api/v1"];

impl Import<'_> {
    /// The configuration, with comments.
    ///
    /// # Errors
    /// A file cannot be read, or is no YAML.
    pub fn configuration(&self) -> Result<String, ConfigError> {
        let mut left_out = Vec::new();
        let mut text =
            "# Made by `healthcheck config import`. Look at the end for what was not taken over.\n"
                .to_owned();
        text.push_str(&self.clusters(&mut left_out));
        if self.skips_tls(&mut left_out) {
            text.push_str(
                "certificates:\n  skip: [{namespace: \"*\", reason: \"SKIP_TLS_CHECK was set\"}]\n",
            );
        }
        text.push_str(&self.deliveries(&mut left_out));
        text.push_str(&self.query_file(&mut left_out)?);
        text.push_str(&self.checks(&mut left_out)?);
        text.push_str("# The old systems knew no yesterday. With a history the report says what changed; docs/history.md.\n");
        text.push_str("# history: {location: /reports/history}\n");
        if !left_out.is_empty() {
            text.push_str("\n# Not taken over:\n");
            for line in left_out {
                let _ = writeln!(text, "#   {}", on_one_line(&line));
            }
        }
        Ok(text)
    }

    /// A variable that says something.
    fn variable(&self, name: &str) -> Option<String> {
        (self.environment)(name).map(|v| v.trim().to_owned()).filter(|v| !v.is_empty())
    }

    fn skips_tls(&self, left_out: &mut Vec<String>) -> bool {
        let Some(given) = self.variable("SKIP_TLS_CHECK") else { return false };
        match given.to_ascii_lowercase().as_str() {
            "true" | "t" | "1" | "yes" | "y" | "on" => true,
            "false" | "f" | "0" | "no" | "n" | "off" => false,
            _ => {
                left_out.push(format!("SKIP_TLS_CHECK: expected `true` or `false`, got `{given}`"));
                false
            }
        }
    }

    fn clusters(&self, left_out: &mut Vec<String>) -> String {
        let mut text = format!("clusters:\n  - name: {}\n", quoted(&self.cluster));
        match self.variable("KUBECONFIG") {
            Some(path) if path.contains(':') => {
                left_out.push("KUBECONFIG: names several files, and a cluster has one; give it as kubeconfig".to_owned());
                text.push_str("    kubernetes: {}\n");
            }
            Some(path) => {
                let _ = writeln!(
                    text,
                    "    # KUBECONFIG. In a pod write `kubernetes: {{}}`: it has an account and not this file.\n    kubernetes: {{kubeconfig: {}}}",
                    quoted(&path)
                );
            }
            None => text.push_str("    # As kubectl does: KUBECONFIG, ~/.kube/config, or the account of the pod.\n    kubernetes: {}\n"),
        }
        let Some(url) = self.variable("PROMETHEUS_URL") else {
            left_out.push(
                "PROMETHEUS_URL: is not set; without a metrics server most checks have nothing to judge"
                    .to_owned(),
            );
            return text;
        };
        let (url, said) = address(&url);
        left_out.extend(said.map(str::to_owned));
        if let Some(why) = no_address(&url) {
            left_out.push(format!("PROMETHEUS_URL: {why}"));
            return text;
        }
        let _ = writeln!(text, "    prometheus:\n      # PROMETHEUS_URL\n      url: {}", quoted(&url));
        if url.contains(".aliyuncs.com") {
            text.push_str("      # Alibaba Cloud\n      dialect: arms\n");
        }
        text.push_str(&self.credentials(left_out));
        text
    }

    /// Names of variables and files that hold credentials, never what they hold.
    fn credentials(&self, left_out: &mut Vec<String>) -> String {
        let of = |key: &str, name: &str| -> Option<String> {
            if self.variable(name).is_some() {
                return Some(format!("      {key}-env: {name}\n"));
            }
            let file = self.variable(&format!("{name}_FILE"))?;
            Some(format!("      {key}-file: {}\n", quoted(&file)))
        };
        match (of("username", "PROMETHEUS_USERNAME"), of("password", "PROMETHEUS_PASSWORD")) {
            (Some(username), Some(password)) => username + &password,
            (None, None) => of("token", "PROMETHEUS_TOKEN").unwrap_or_default(),
            (Some(_), None) => {
                left_out.push(
                    "PROMETHEUS_USERNAME: counts only with PROMETHEUS_PASSWORD, which is not set".to_owned(),
                );
                String::new()
            }
            (None, Some(_)) => {
                left_out.push(
                    "PROMETHEUS_PASSWORD: counts only with PROMETHEUS_USERNAME, which is not set".to_owned(),
                );
                String::new()
            }
        }
    }

    /// Where reports went.
    fn deliveries(&self, left_out: &mut Vec<String>) -> String {
        let mut text = String::new();
        for (key, name) in [("token-env", "SLACK_BOT_TOKEN"), ("webhook-env", "SLACK_WEBHOOK_URL")] {
            if self.variable(name).is_some() {
                let _ = writeln!(text, "    {key}: {name}");
            }
        }
        if self.variable("SLACK_BOT_TOKEN").is_some() && self.variable("SLACK_CHANNEL").is_none() {
            left_out.push("SLACK_BOT_TOKEN: counts only with SLACK_CHANNEL, which is not set".to_owned());
            text =
                text.lines().filter(|line| !line.contains("token-env")).map(|l| format!("{l}\n")).collect();
        }
        match (self.variable("SLACK_CHANNEL"), text.is_empty()) {
            (None, true) => return text,
            (Some(_), true) => {
                left_out.push("SLACK_CHANNEL: counts only with SLACK_BOT_TOKEN, which is not set".to_owned());
                return text;
            }
            (Some(channel), false) => {
                let _ = writeln!(text, "    channel: {}", quoted(&channel));
            }
            (None, false) => {}
        }
        format!("deliver:\n  - type: slack\n{text}")
    }

    /// Queries are taken as they are, if all of them can be.
    fn query_file(&self, left_out: &mut Vec<String>) -> Result<String, ConfigError> {
        let Some(path) = &self.queries else { return Ok(String::new()) };
        let refused: Vec<String> = entries(path)?
            .into_iter()
            .filter_map(|(key, template)| {
                let taken = template.and_then(|template| {
                    legacy::query(&key, &template).map_err(|why| format!("{key}: {why}"))
                });
                Some(format!("{}: {}", path.display(), taken.err()?))
            })
            .collect();
        let mark = if refused.is_empty() {
            "# A path beside this file: in a cluster, put both into the ConfigMap.\n"
        } else {
            "# Once the queries below are taken out of it:\n# "
        };
        left_out.extend(refused);
        Ok(format!("{mark}queries: {}\n", quoted(&path.display().to_string())))
    }

    fn checks(&self, left_out: &mut Vec<String>) -> Result<String, ConfigError> {
        let Some(path) = &self.thresholds else { return Ok(String::new()) };
        let mut by_check: BTreeMap<&str, Vec<Threshold>> = BTreeMap::new();
        for (key, value) in entries(path)? {
            let refused = match value.and_then(|value| Threshold::read(&key, &value)) {
                Ok((check, new)) => {
                    let own = by_check.entry(check).or_default();
                    match own.iter().any(|before| before.param == new.param) {
                        true => format!("{key}: another key gives checks.{check}.{} already", new.param),
                        false => {
                            own.push(new);
                            continue;
                        }
                    }
                }
                Err(why) => why,
            };
            left_out.push(format!("{}: {refused}", path.display()));
        }
        let mut text = String::new();
        for (check, thresholds) in by_check {
            let (taken, refused) = compatible(check, thresholds);
            left_out.extend(refused.iter().map(|why| format!("{}: {why}", path.display())));
            if !taken.is_empty() {
                let _ = writeln!(text, "  {check}:");
            }
            for Threshold { param, text: value, key, given } in taken {
                let origin = format!("{key}: {given}");
                let _ = writeln!(text, "    {param}: {} # {}", quoted_if_odd(&value), on_one_line(&origin));
            }
        }
        Ok(if text.is_empty() { text } else { format!("checks:\n{text}") })
    }
}

/// An old threshold as the parameter of a check.
struct Threshold {
    param: &'static str,
    /// The value, as the parameter takes it.
    text: String,
    /// Its old key.
    key: String,
    /// Its old value.
    given: String,
}

impl Threshold {
    /// With the check that it is one of.
    fn read(key: &str, given: &str) -> Result<(&'static str, Self), String> {
        let (check, param, text) = legacy::threshold(key, given).map_err(|why| format!("{key}: {why}"))?;
        Ok((check, Self { param, text, key: key.to_owned(), given: given.to_owned() }))
    }
}

/// The most of the thresholds of a check that it takes together, by their parameters, and why not the others. A warning and
/// a critical value are judged as the pair that they are, and not each beside the other's default.
fn compatible(check: &str, mut thresholds: Vec<Threshold>) -> (Vec<Threshold>, Vec<String>) {
    thresholds.sort_by_key(|t| t.param);
    // A bit is a threshold. There are a handful of parameters to a check.
    let refusal = |set: u32| {
        let own = thresholds.iter().enumerate().filter(|(at, _)| set >> at & 1 == 1);
        let params = own.map(|(_, t)| (t.param.to_owned(), t.text.clone())).collect();
        let own = CheckSettings { params, ..CheckSettings::default() };
        let settings = Settings { checks: [(check.to_owned(), own)].into(), ..Settings::default() };
        settings.resolve(CHECKS).err()
    };
    let mut sets: Vec<u32> = (0..1 << thresholds.len()).collect();
    sets.sort_by_key(|set| Reverse(set.count_ones()));
    let kept = sets.into_iter().find(|set| refusal(*set).is_none()).unwrap_or_default();
    let why_not = |at: usize| refusal(kept | 1 << at).filter(|_| kept >> at & 1 == 0);
    let refusals: Vec<_> = (0..thresholds.len()).map(why_not).collect();
    let (mut taken, mut refused) = (Vec::new(), Vec::new());
    for (threshold, refusal) in thresholds.into_iter().zip(refusals) {
        match refusal {
            None => taken.push(threshold),
            Some(why) => refused.push(format!("{}: {why}", threshold.key)),
        }
    }
    (taken, refused)
}

/// Every single value by its key, and of what is no single value why it is none.
fn entries(path: &Path) -> Result<BTreeMap<String, Result<String, String>>, ConfigError> {
    legacy::entries(path).map_err(|why| {
        let file = path.display().to_string();
        let why = why.strip_prefix(&format!("{file}: ")).unwrap_or(&why).to_owned();
        ConfigError { file, why }
    })
}

/// Why a text is no address of a server.
fn no_address(text: &str) -> Option<String> {
    let found = reqwest::Url::parse(text).ok();
    let is_one =
        found.is_some_and(|url| matches!(url.scheme(), "http" | "https") && url.host_str().is_some());
    // What stands before `@` may be a secret.
    let shown = text.rsplit('@').next().unwrap_or_default();
    let hint = || match shown.contains("://") || shown.contains(' ') {
        true => String::new(),
        false => format!("; did you mean `http://{shown}`?"),
    };
    (!is_one)
        .then(|| format!("expected an address such as `http://prometheus:9090`, got `{shown}`{}", hint()))
}

/// The address without credentials and without the path of a query, and what to say of it.
fn address(url: &str) -> (String, Option<&'static str>) {
    let mut url = url.to_owned();
    let mut said = None;
    if super::holds_credentials(&url)
        && let Some((scheme, rest)) = url.split_once("://")
        && let (authority, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()))
        // A password may hold `@`.
        && let Some((_, host)) = authority.rsplit_once('@')
    {
        url = format!("{scheme}://{host}{path}");
        said = Some(
            "PROMETHEUS_URL: the credentials in the address; put them into PROMETHEUS_USERNAME and PROMETHEUS_PASSWORD",
        );
    }
    if let Some((plain, _)) = url.split_once(['?', '#']) {
        url = plain.to_owned();
        said = said.or(Some("PROMETHEUS_URL: what is behind `?` or `#` in the address"));
    }
    for path in QUERY_PATHS {
        if let Some(base) = url.strip_suffix(path) {
            url = base.to_owned();
            break;
        }
    }
    (url, said)
}

/// A text in YAML, whatever is in it; JSON is YAML.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

fn quoted_if_odd(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || ".%/-_".contains(c);
    if !text.is_empty() && text.chars().all(plain) { text.to_owned() } else { quoted(text) }
}

fn on_one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    /// The configuration, and what reading it gives.
    fn import(thresholds: &str, queries: &str, variables: &[(&str, &str)]) -> (String, Config) {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str, text: &str| {
            let path = folder.path().join(name);
            (!text.is_empty()).then(|| std::fs::write(&path, text).map(|()| path).unwrap())
        };
        let environment =
            |name: &str| variables.iter().find(|(own, _)| *own == name).map(|(_, value)| (*value).to_owned());
        let import = Import {
            thresholds: file("thresholds.yaml", thresholds),
            queries: file("promql_queries.yaml", queries),
            cluster: "prod".into(),
            environment: &environment,
        };
        let text = import.configuration().unwrap();
        let config = Config::parse(&text, folder.path(), &environment).expect("what is made can be read");
        (text.replace(&folder.path().display().to_string(), ""), config)
    }

    #[test]
    fn a_whole_old_system_is_taken_over() {
        let (text, config) = import(
            "memory:\n  leak: {slope_mb_per_hour: 12}\n  usage: {warning: 65, critical: 0.9}\n",
            "memory_usage: container_memory_working_set_bytes{namespace=\"{namespace}\"}\n",
            &[
                (
                    "PROMETHEUS_URL",
                    "https://arms.example.aliyuncs.com:9443/api/v1/prometheus/i/u/cn/query/api/v1/query",
                ),
                ("PROMETHEUS_USERNAME", "LTAI-id"),
                ("PROMETHEUS_PASSWORD", "hunter2"),
                ("SKIP_TLS_CHECK", "True"),
                ("KUBECONFIG", "/home/a b/kube.yaml"),
                ("SLACK_BOT_TOKEN", "xoxb-hunter2"),
                ("SLACK_WEBHOOK_URL", "https://hooks.slack.com/services/hunter2"),
                ("SLACK_CHANNEL", "#ops"),
            ],
        );
        assert!(!text.contains("hunter2") && !text.contains("LTAI-id"), "{text}");
        assert!(config.deliver.len() == 1 && text.contains("    channel: \"#ops\""), "{text}");
        let params = |check: &str, name: &str| config.settings.checks[check].params[name].clone();
        assert_eq!(params("memory-leak", "min-slope"), "12MB/h");
        assert_eq!(
            (params("memory-usage", "warning"), params("memory-usage", "critical")),
            ("65%".into(), "0.9".into())
        );
        assert_eq!(config.certificates.skip, [("*".to_owned(), "SKIP_TLS_CHECK was set".to_owned())]);
        assert!(config.queries.contains_key("memory-working-set"));
        let cluster = &config.clusters[0];
        let server = cluster.prometheus.as_ref().unwrap();
        assert_eq!(server.url, "https://arms.example.aliyuncs.com:9443/api/v1/prometheus/i/u/cn/query");
        assert_eq!(cluster.kubernetes.as_ref().unwrap().kubeconfig, Some("/home/a b/kube.yaml".into()));
        assert!(text.contains("dialect: arms") && !text.contains("Not taken over"), "{text}");
    }

    #[test]
    fn thresholds_of_a_check_are_judged_together() {
        let taken = |thresholds: &str| {
            let (text, config) = import(thresholds, "", &[("PROMETHEUS_URL", "http://prom:9090")]);
            let params: Vec<String> = config
                .settings
                .checks
                .iter()
                .flat_map(|(check, own)| {
                    own.params.iter().map(move |(name, v)| format!("{check}.{name} {v}"))
                })
                .collect();
            let refused = text.split_once("# Not taken over:\n").map(|(_, rest)| rest.to_owned());
            (params.join(", "), refused.unwrap_or_default())
        };
        for (given, expected) in [
            // Below the defaults, of which each alone would be above or below the wrong one.
            ("usage: {warning: 50, critical: 60}", "memory-usage.critical 60%, memory-usage.warning 50%"),
            ("usage: {warning: 96, critical: 98}", "memory-usage.critical 98%, memory-usage.warning 96%"),
            (
                "leak: {growth_warning: 3, growth_critical: 5}",
                "memory-leak.critical-growth 5%, memory-leak.warning-growth 3%",
            ),
        ] {
            let found = taken(&format!("memory: {{{given}}}\n"));
            assert_eq!(found, (expected.to_owned(), String::new()));
        }
        let (params, refused) = taken("memory: {usage: {warning: 80, critical: 60}}\n");
        assert_eq!(params, "memory-usage.warning 80%");
        assert!(refused.contains("memory.usage.critical: ") && refused.contains("`60%`"), "{refused}");
        let (params, refused) =
            taken("memory: {leak: {growth_warning: 3, growth_critical: 5, r_squared: 7, p_value: x}}\n");
        assert_eq!(params, "memory-leak.critical-growth 5%, memory-leak.warning-growth 3%");
        assert!(refused.contains("leak.r_squared: ") && refused.contains("leak.p_value: "), "{refused}");
    }

    #[test]
    fn what_is_no_single_value_costs_no_other() {
        let (text, config) = import(
            "namespaces: [a]\nmemory_usage_warning: ~\nmemory: {usage: {critical: 92}}\n",
            "memory_usage: [x]\ncpu_usage: ~\n",
            &[("PROMETHEUS_URL", "http://prom:9090")],
        );
        assert_eq!(config.settings.checks["memory-usage"].params["critical"], "92%");
        for part in [
            "thresholds.yaml: namespaces: expected a single value, got a list\n",
            "thresholds.yaml: memory_usage_warning: expected a single value, got nothing\n",
            "promql_queries.yaml: memory_usage: expected a single value, got a list\n",
            "promql_queries.yaml: cpu_usage: expected a single value, got nothing\n",
            "# queries: \"/promql_queries.yaml\"",
        ] {
            assert!(text.contains(part), "{part}\n{text}");
        }
    }

    #[test]
    fn nothing_of_a_password_in_an_address_is_written() {
        for (given, expected) in [
            ("https://u:p@w@x:9443/", "https://x:9443/"),
            ("https://u:p@w@x:9443/a@b/api/v1/query", "https://x:9443/a@b"),
            ("https://x:9443/a@b", "https://x:9443/a@b"),
        ] {
            let (text, config) = import("", "", &[("PROMETHEUS_URL", given)]);
            assert_eq!(config.clusters[0].prometheus.as_ref().unwrap().url, expected, "{text}");
        }
    }

    #[test]
    fn what_has_no_counterpart_is_said() {
        let (text, config) = import(
            "memory: {usage: {warnin: 65, critical: high}}\ncpu: {moon: 3}\nrestarts_per_hour: -1\nnode: {memory: {critical: 95}}\n",
            "disk_usage: x\nmemory_usage: container_memory_working_set_bytes{namespace=\"{namespace}\"}\n",
            &[
                ("PROMETHEUS_URL", "http://bob:hunter2@prom:9090/?x=hunter3"),
                ("PROMETHEUS_USERNAME", "bob"),
                ("SLACK_CHANNEL", "#ops"),
            ],
        );
        assert!(!text.contains("hunter") && !text.contains("bob"), "{text}");
        assert_eq!(config.clusters[0].prometheus.as_ref().unwrap().url, "http://prom:9090/");
        assert!(config.queries.is_empty() && config.settings.checks.is_empty());
        for part in [
            "usage.warnin: unknown threshold, did you mean `memory_usage_warning`?",
            "usage.critical: expected a number, got `high`",
            "cpu.moon: unknown threshold",
            "node.memory.critical: is about `node`, and only thresholds of containers are taken over",
            "disk_usage: no metric has this name",
            "# queries: \"/promql_queries.yaml\"",
            "PROMETHEUS_URL: the credentials in the address",
            "PROMETHEUS_USERNAME: counts only with PROMETHEUS_PASSWORD",
            "SLACK_CHANNEL: counts only with",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
    }

    #[test]
    fn a_threshold_that_the_check_refuses_is_said() {
        let (text, config) =
            import("memory: {usage: {warning: 95}}\n", "", &[("PROMETHEUS_URL", "http://prom:9090")]);
        assert!(
            text.contains("memory.usage.warning: ") && text.contains("must not be above critical"),
            "{text}"
        );
        assert!(config.settings.checks.is_empty());
    }

    #[test]
    fn what_the_next_command_would_refuse_is_not_written() {
        for (url, expected) in [
            (
                "p:9090",
                "PROMETHEUS_URL: expected an address such as `http://prometheus:9090`, got `p:9090`; did you mean `http://p:9090`?",
            ),
            ("bob:hunter2@p:9090", "got `p:9090`; did you mean `http://p:9090`?"),
            (
                "not a url",
                "PROMETHEUS_URL: expected an address such as `http://prometheus:9090`, got `not a url`",
            ),
        ] {
            let (text, config) = import("", "", &[("PROMETHEUS_URL", url)]);
            assert!(text.contains(expected) && !text.contains("hunter2"), "{text}");
            assert!(config.clusters[0].prometheus.is_none(), "{text}");
        }
        let (text, config) = import("", "", &[("SLACK_BOT_TOKEN", "xoxb-1")]);
        assert!(config.deliver.is_empty(), "{text}");
        assert!(text.contains("SLACK_BOT_TOKEN: counts only with SLACK_CHANNEL"), "{text}");
        let both =
            [("SLACK_BOT_TOKEN", "xoxb-1"), ("SLACK_WEBHOOK_URL", "https://hooks.slack.com/services/h")];
        let (text, config) = import("", "", &both);
        assert_eq!(config.deliver.len(), 1, "{text}");
        assert!(text.contains("webhook-env") && !text.contains("token-env"), "{text}");
    }

    #[test]
    fn switches_are_read_as_people_write_them() {
        for (given, skipped) in [("on", 1), ("Y", 1), ("t", 1), ("off", 0), ("0", 0), ("maybe", 0)] {
            let (text, config) = import("", "", &[("SKIP_TLS_CHECK", given)]);
            assert_eq!(config.certificates.skip.len(), skipped, "{text}");
            assert_eq!(text.contains("SKIP_TLS_CHECK: expected"), given == "maybe", "{text}");
        }
    }

    #[test]
    fn nothing_old_is_a_configuration_too() {
        let (text, config) = import("", "", &[]);
        assert!(text.contains("PROMETHEUS_URL: is not set") && config.clusters.len() == 1, "{text}");
    }
}
