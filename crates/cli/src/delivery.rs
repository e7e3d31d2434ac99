//! After a report or a digest is written: where else it goes.

use std::io::IsTerminal as _;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{anyhow, bail};
use healthcore::finding::Severity;
use healthcore::report::Report;
use healthcore_report::RenderOptions;
use lambda_free_runner::config::{Config, RouteConfig, SinkConfig};
use lambda_free_runner::deliver::{Delivered, Deliverer, Outcome, Route, What};
use lambda_free_runner::history::History;
use serde_json::{Value, json};

use crate::args::{Check, Color, Output};
use crate::commands::{counted, run_name};
use crate::docs::without_secrets;
use crate::exit::is_broken_pipe;
use crate::output::{self, Target, Written};
use crate::signals::Stage;

/// What a run does with its report.
pub(crate) struct Publication<'a> {
    pub(crate) output: &'a Output,
    pub(crate) config: &'a Config,
    pub(crate) targets: &'a [Target],
    pub(crate) color: Color,
    pub(crate) quiet: bool,
    /// Where the run is remembered, if anywhere.
    pub(crate) history: Option<&'a History>,
    pub(crate) deliverer: Deliverer,
    /// When the command began.
    pub(crate) started: Instant,
}

impl Publication<'_> {
    /// Writes the report, delivers it, and writes what templates of the user make. What cannot be written costs no other
    /// file and no delivery: the run is remembered, and who was not told of it today would never be.
    ///
    /// # Errors
    /// All that went wrong, when everything is done.
    pub(crate) async fn publish(self, report: &Report) -> anyhow::Result<()> {
        let write = |targets: &[Target]| output::write(report, self.output, self.config, targets, self.color);
        let (known, own) = output::own_last(self.targets);
        let written = write(&known);
        let deliverer = Deliverer { history: self.history.cloned(), run: run_name(), ..self.deliverer };
        Stage::Delivering.reached();
        let outcomes = deliverer.deliver(report).await;
        let Written { files, mut faults } = written.and(write(&own));
        let written = faults.iter().all(is_broken_pipe);
        Stage::Done.reached();
        let deliveries = Deliveries::of(&outcomes);
        let undelivered = told(outcomes, self.quiet, &output::note);
        // On a terminal the report is what is looked at; the log of a Job would be empty.
        if !self.quiet && !std::io::stderr().is_terminal() {
            output::note(&closing(report, &files, deliveries, self.started.elapsed()));
        }
        let missed = report.gaps.iter().find(|g| self.history.is_some() && History::is_own(g));
        let required = self.config.history.as_ref().is_some_and(|h| h.required);
        let missed = missed.filter(|_| required).map(|gap| format!("{}: {}", gap.scope, gap.detail));
        let consoled = |why: String| match written {
            true => anyhow!("{why}; the report is written all the same"),
            false => anyhow!(why),
        };
        faults.extend(missed.into_iter().chain(undelivered).map(consoled));
        all_told(faults)
    }
}

/// How many deliveries ended how.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Deliveries {
    sent: usize,
    /// There was no reason to send them: nothing has changed, for instance.
    not_needed: usize,
    failed: usize,
}

impl Deliveries {
    fn of(outcomes: &[Outcome]) -> Self {
        let mut counts = Self::default();
        for outcome in outcomes {
            match outcome.result {
                Ok(Delivered::Sent(_)) => counts.sent += 1,
                Ok(Delivered::NotSent(_)) => counts.not_needed += 1,
                Err(_) => counts.failed += 1,
            }
        }
        counts
    }

    /// `8 sent, 2 not needed`; nothing where there were none.
    fn told(self) -> String {
        let all = [(self.sent, "sent"), (self.not_needed, "not needed"), (self.failed, "failed")];
        let some: Vec<String> =
            all.iter().filter(|(n, _)| *n > 0).map(|(n, words)| format!("{n} {words}")).collect();
        some.join(", ")
    }
}

/// The last line of a run: what it found, where that is, and how long it took.
fn closing(report: &Report, files: &[PathBuf], deliveries: Deliveries, took: Duration) -> String {
    let number = |severity: Severity| report.count(severity) as u64;
    let what = match &report.shard {
        // The whole decides.
        Some(part) => format!("shard {}", part.shard),
        None => report.verdict().name().to_owned(),
    };
    let mut parts = vec![
        format!("{} critical", number(Severity::Critical)),
        counted(number(Severity::Warning), "warning"),
        format!("{} info", number(Severity::Info)),
    ];
    if !report.gaps.is_empty() {
        parts.push(counted(report.gaps.len() as u64, "gap"));
    }
    let mut line = format!("{what}: {}", parts.join(", "));
    if !files.is_empty() {
        let files: Vec<String> = files.iter().map(|file| file.display().to_string()).collect();
        line += &format!("; written: {}", files.join(", "));
    }
    let deliveries = deliveries.told();
    if !deliveries.is_empty() {
        line += &format!("; deliveries: {deliveries}");
    }
    format!("{line}; took {:.1} s", took.as_secs_f64())
}

/// Several faults as one error; a reader that has gone away is none beside others.
pub(crate) fn all_told(mut faults: Vec<anyhow::Error>) -> anyhow::Result<()> {
    if faults.iter().any(|fault| !is_broken_pipe(fault)) {
        faults.retain(|fault| !is_broken_pipe(fault));
    }
    if faults.len() > 1 {
        let told: Vec<String> = faults.iter().map(|fault| format!("{fault:#}")).collect();
        bail!(told.join("\nerror: "));
    }
    faults.pop().map_or(Ok(()), Err)
}

/// What delivers reports, as the configuration says. A shard is a part of a report, and is sent nowhere.
pub(crate) fn deliverer(args: &Check, config: &Config, targets: &[Target]) -> anyhow::Result<Deliverer> {
    let off = args.no_deliver || args.shard.is_some() || args.shards.is_some();
    // What is only planned prints nothing.
    let printed = if args.dry_run { &[] } else { targets };
    open_unless(off, config, args.output.options(config), printed)
}

/// What delivers reports, to nobody when delivery is off; `printed` is where they go besides.
pub(crate) fn open_unless(
    off: bool,
    config: &Config,
    options: RenderOptions,
    printed: &[Target],
) -> anyhow::Result<Deliverer> {
    if off {
        return Ok(Deliverer { options, ..Deliverer::default() });
    }
    let is_printed = printed.iter().any(|(_, path)| path.is_none());
    open(What::Report, config, options, is_printed)
}

/// The routes of a configuration that carry something; `is_printed` is whether standard output has it already.
pub(crate) fn open(
    what: What,
    config: &Config,
    options: RenderOptions,
    is_printed: bool,
) -> anyhow::Result<Deliverer> {
    let mut routes = Vec::new();
    for route in routes_of(what, config) {
        if is_printed && matches!(route.sink, Ok(SinkConfig::Stdout(_))) {
            bail!(
                "{}: standard output has the {} already; give --output FILE, or leave `type: stdout` out",
                route.place,
                what.name()
            );
        }
        routes.push(route.open()?);
    }
    let is_set = |name: &str| std::env::var_os(name).is_some_and(|v| !v.is_empty());
    if let Some(hint) = slack_without_route(config, &is_set) {
        output::note(&hint);
    }
    Ok(Deliverer { routes, options, ..Deliverer::default() })
}

fn routes_of(what: What, config: &Config) -> impl Iterator<Item = &RouteConfig> {
    config.deliver.iter().filter(move |route| route.what == what)
}

/// Where the report of a run would go, a line each, and which entries it leaves alone.
pub(crate) fn plan(deliverer: &Deliverer, config: &Config, off: bool) -> Vec<String> {
    let mut lines: Vec<String> = deliverer.routes.iter().map(Route::plan).collect();
    let left = routes_of(What::Digest, config).filter(|_| !off);
    lines.extend(left.map(|route| format!("{}: not by a run, but by `digest --deliver`", route.place)));
    lines
}

/// What is told where the environment holds what Slack wants, and the configuration of clusters has no route to it. A
/// variable that merely lies in the shell of someone who names a server by an argument says nothing.
fn slack_without_route(config: &Config, is_set: &dyn Fn(&str) -> bool) -> Option<String> {
    let has_route = config.deliver.iter().any(|route| matches!(route.sink, Ok(SinkConfig::Slack(_))));
    if config.clusters.is_empty() || has_route {
        return None;
    }
    let name = ["SLACK_BOT_TOKEN", "SLACK_WEBHOOK_URL"].into_iter().find(|name| is_set(name))?;
    Some(format!(
        "warning: {name} is set, and the configuration sends no report to Slack: add `deliver: [{{type: slack}}]` there, or unset it"
    ))
}

/// Delivers a report, tells how that went, and says why the run counts as failed: each reason, and none when it does not.
pub(crate) async fn deliver(
    deliverer: &Deliverer,
    report: &Report,
    quiet: bool,
    tell: &(dyn Fn(&str) + Send + Sync),
) -> Vec<String> {
    told(deliverer.deliver(report).await, quiet, tell)
}

/// Tells how deliveries went, and says why the run counts as failed: each reason, and none when it does not. What arrived by another way, or not
/// whole, has arrived: what is amiss is a warning.
pub(crate) fn told(outcomes: Vec<Outcome>, quiet: bool, tell: &(dyn Fn(&str) + Send + Sync)) -> Vec<String> {
    let mut failed = Vec::new();
    for outcome in outcomes {
        if !quiet {
            match &outcome.result {
                Ok(Delivered::Sent(receipt)) => tell(&format!("{}: sent: {}", outcome.to, receipt.what)),
                Ok(Delivered::NotSent(why)) => tell(&format!("{}: not sent: {why}", outcome.to)),
                Err(_) => {}
            }
        }
        for fault in outcome.faults() {
            if outcome.required && outcome.result.is_err() {
                failed.push(fault);
            } else {
                tell(&format!("warning: {fault}"));
            }
        }
    }
    failed
}

/// The routes as the file gives them, each value with where it stands. Of secrets the file names only what holds them.
pub(crate) fn shown(config: &Config) -> String {
    let mut out = String::new();
    for at in 0..config.deliver.len() {
        let prefix = format!("deliver[{at}].");
        let mut values: Vec<(&str, Value, &str)> = Vec::new();
        for (path, given) in &config.given {
            let Some(rest) = path.strip_prefix(&prefix) else { continue };
            let (key, inner) = rest.split_at(rest.find('[').unwrap_or(rest.len()));
            let text = Value::from(without_secrets(&given.text));
            if inner.is_empty() {
                values.push((key, text, &given.origin));
                continue;
            }
            if values.last().is_none_or(|(last, ..)| *last != key) {
                values.push((key, json!([]), &given.origin));
            }
            let Some((_, Value::Array(items), _)) = values.last_mut() else { continue };
            match inner.split_once("].") {
                // An item that is a map.
                Some((number, name)) => {
                    let number: usize = number.trim_start_matches('[').parse().unwrap_or(items.len());
                    items.resize(items.len().max(number + 1), json!({}));
                    items[number][name] = text;
                }
                None => items.push(text),
            }
        }
        // What an entry is comes first.
        values.sort_by_key(|(key, ..)| *key != "type");
        for (n, (key, value, origin)) in values.iter().enumerate() {
            out.push_str(&format!("{} {key}: {value}  # {origin}\n", if n == 0 { "-" } else { " " }));
        }
    }
    if out.is_empty() { "deliver: []  # default\n".to_owned() } else { format!("deliver:\n{out}") }
}

#[cfg(test)]
mod tests {
    use lambda_free_runner::deliver::{DeliverError, Receipt};

    use super::*;

    #[test]
    fn a_token_of_slack_that_nothing_uses_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("c.yaml");
        let environment =
            |name: &str| (name == "SLACK_BOT_TOKEN").then(|| ["xoxb", "1234567890", "abcdefghij"].join("-"));
        let told = |text: &str, set: &str| {
            std::fs::write(&file, text).unwrap();
            slack_without_route(&Config::read(&file, &environment).unwrap(), &|name| name == set)
        };
        let clusters = "clusters: [{name: a, kubernetes: {}}]\n";
        for name in ["SLACK_BOT_TOKEN", "SLACK_WEBHOOK_URL"] {
            let hint = told(clusters, name).unwrap();
            assert!(
                hint.contains(&format!("{name} is set")) && hint.contains("deliver: [{type: slack}]"),
                "{hint}"
            );
        }
        assert_eq!(told(clusters, "OTHER"), None);
        assert_eq!(
            told("lookback: 7d\n", "SLACK_BOT_TOKEN"),
            None,
            "no clusters: the variable may be for something else"
        );
        let route = format!("{clusters}deliver: [{{type: slack, channel: '#ops'}}]\n");
        assert_eq!(told(&route, "SLACK_BOT_TOKEN"), None);
        let another = format!("{clusters}deliver: [{{type: webhook, url: 'https://hooks.corp.net/in'}}]\n");
        assert!(told(&another, "SLACK_BOT_TOKEN").is_some());
    }

    fn outcome(result: Result<Delivered, DeliverError>) -> Outcome {
        Outcome { to: "deliver[0] (slack #ops)".into(), result, required: true }
    }

    #[test]
    fn what_arrived_another_way_fails_no_run() {
        let by_webhook = Receipt {
            what: "message by the webhook".into(),
            missed: vec!["the bot token did not do, so the webhook was used: not_in_channel".into()],
        };
        let lines = std::sync::Mutex::new(Vec::new());
        let tell = |line: &str| lines.lock().unwrap().push(line.to_owned());
        let refused = || outcome(Err(DeliverError::Refused("no".into())));
        let none: [&str; 0] = [];
        assert_eq!(told(vec![outcome(Ok(Delivered::Sent(by_webhook)))], false, &tell), none);
        let optional = Outcome { required: false, to: "deliver[2] (stdout)".into(), ..refused() };
        let other = Outcome { to: "deliver[1] (email sre@corp.net)".into(), ..refused() };
        assert_eq!(
            told(vec![refused(), optional, other], false, &tell),
            ["deliver[0] (slack #ops): no", "deliver[1] (email sre@corp.net): no"],
            "each that fails the run is an error"
        );
        assert_eq!(
            *lines.lock().unwrap(),
            [
                "deliver[0] (slack #ops): sent: message by the webhook",
                "warning: deliver[0] (slack #ops): the bot token did not do, so the webhook was used: not_in_channel",
                "warning: deliver[2] (stdout): no",
            ]
        );
    }

    #[test]
    fn deliveries_that_were_not_needed_are_no_failures() {
        let sent = || outcome(Ok(Delivered::Sent(Receipt::of("message"))));
        let unneeded = || outcome(Ok(Delivered::NotSent("nothing has changed")));
        let failed = outcome(Err(DeliverError::Refused("no".into())));
        assert_eq!(Deliveries::of(&[]).told(), "");
        assert_eq!(Deliveries::of(&[sent(), unneeded(), sent()]).told(), "2 sent, 1 not needed");
        assert_eq!(Deliveries::of(&[unneeded(), failed]).told(), "1 not needed, 1 failed");
    }

    #[test]
    fn routes_are_shown_with_their_places_and_without_secrets() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("c.yaml");
        let text = "deliver:\n- type: webhook\n  url: https://hooks.corp.net/in/s3cret\n  headers: [{name: X-Team, value-env: TEAM}]\n- {namespaces: [shop, pay-*], type: stdout}\n";
        std::fs::write(&file, text).unwrap();
        let config = Config::read(&file, &|_| None).unwrap();
        let shown = shown(&config).replace(&file.display().to_string(), "c.yaml");
        assert_eq!(
            shown,
            "deliver:\n- type: \"webhook\"  # c.yaml:2\n  headers: [{\"name\":\"X-Team\",\"value-env\":\"TEAM\"}]  # c.yaml:4\n  url: \"https://hooks.corp.net/[redacted]\"  # c.yaml:3\n- type: \"stdout\"  # c.yaml:5\n  namespaces: [\"shop\",\"pay-*\"]  # c.yaml:5\n"
        );
    }
}
