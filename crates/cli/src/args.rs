//! The command line.

use std::ffi::OsString;
use std::io::IsTerminal;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use healthcore::settings::nearest;
use healthcore::shard::Shard;
use healthcore::time::Timestamp;
use healthcore::unit::{Bytes, Seconds};
use healthcore_report::{DigestFormat, Format, Lang, Zone};
use healthcore_sources::kubernetes::{Reach, SERVICE_ACCOUNT};
use lambda_free_runner::FailOn;
use lambda_free_runner::config::{namespace_pattern, request_timeout};

use crate::serve::{LeaseName, Serve, lease_name};

/// The daily doctor of Kubernetes fleets.
///
/// Reads a Prometheus-compatible server and the Kubernetes API, finds what will hurt (leaks, OOM kills, wrong requests
/// and limits, broken autoscaling, pods that do not run), and writes a report.
#[derive(Debug, Parser)]
#[command(name = "healthcheck", version = lambda_free_runner::version(), propagate_version = true, max_term_width = 110)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
    /// Say less: no progress
    #[arg(short, long, global = true)]
    pub(crate) quiet: bool,
    /// Tell every request to the metrics server on standard error
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub(crate) verbose: u8,
    /// When to use colours; NO_COLOR is honoured
    #[arg(long, global = true, value_enum, default_value_t = Color::Auto)]
    pub(crate) color: Color,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Color {
    Auto,
    Always,
    Never,
}

impl Color {
    /// The same choice for the parser of arguments, which honours NO_COLOR by itself.
    pub(crate) fn of_parser(self) -> clap::ColorChoice {
        match self {
            Self::Auto => clap::ColorChoice::Auto,
            Self::Always => clap::ColorChoice::Always,
            Self::Never => clap::ColorChoice::Never,
        }
    }

    /// Whether a stream has colours.
    pub(crate) fn on(self, stream: &impl IsTerminal) -> bool {
        match self {
            Self::Always => true,
            Self::Never => false,
            Self::Auto => stream.is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty()),
        }
    }
}

/// What `--color` says, before the arguments are parsed: a mistake in them is told in its colours too. Anything that is
/// no choice counts as none, for the parser refuses it.
pub(crate) fn color(args: &[OsString]) -> Color {
    let args: Vec<&str> = args.iter().map_while(|a| (a != "--").then(|| a.to_str().unwrap_or(""))).collect();
    let value = |at: usize| match args[at].strip_prefix("--color") {
        Some("") => args.get(at + 1).copied(),
        Some(rest) => rest.strip_prefix('='),
        None => None,
    };
    let given = (0..args.len()).find_map(value);
    given.and_then(|v| Color::from_str(v, false).ok()).unwrap_or(Color::Auto)
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Check clusters, or a recorded snapshot, and report
    Check(Check),
    /// Check a sample that is part of this program
    Demo(Demo),
    /// Fetch and write a snapshot, without judging
    Record(Record),
    /// Check on a schedule, and show the reports and metrics on pages
    Serve(Box<Serve>),
    /// Find memory leaks in plain series, one JSON object a line, without any cluster
    Leaks(Leaks),
    /// Say what a check does, with its parameters and their defaults
    Explain {
        /// Id of a check; all of them without one
        check: Option<String>,
    },
    /// List all checks
    List,
    /// The configuration file: write a commented one, show what is in effect, print its schema
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Make one report of those of all shards
    Merge(Merge),
    /// Say what happened over a period, from the runs that history keeps
    Digest(Digest),
    /// Print the rights that the enabled checks need, as manifests for Kubernetes
    Rbac(Rbac),
    /// Print a completion script for a shell
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Print the manual page of the program, or of one command
    Man {
        /// Name of a command
        command: Option<String>,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Write a commented default configuration
    Init {
        /// File to write; `-` is standard output
        #[arg(default_value = "healthcheck.yaml")]
        path: PathBuf,
        /// Write over a file that is there
        #[arg(long)]
        force: bool,
    },
    /// Print every value that is in effect, and where it comes from
    Show {
        /// Configuration file
        #[arg(long, value_name = "FILE")]
        config: Option<PathBuf>,
        /// What is in effect in this cluster of the file
        #[arg(long, value_name = "NAME", value_parser = name)]
        cluster: Option<String>,
        /// What is in effect in this namespace of the cluster
        #[arg(short, long, value_name = "NAMESPACE", requires = "cluster")]
        namespace: Option<String>,
        #[command(flatten)]
        choice: Choice,
    },
    /// Print a configuration that says what an older system was told: its files, and environment variables such as PROMETHEUS_URL
    Import {
        /// Old file of thresholds
        #[arg(long, value_name = "FILE")]
        thresholds: Option<PathBuf>,
        /// Old file of queries
        #[arg(long, value_name = "FILE")]
        queries: Option<PathBuf>,
        /// Name that the cluster gets
        #[arg(long, value_name = "NAME", value_parser = name, default_value = "cluster")]
        cluster: String,
    },
    /// Print the JSON schema of the configuration file
    Schema,
}

/// What is asked of servers, and means nothing to a recording, which has its own objects and window.
pub(crate) const OF_SERVERS: [&str; 18] = [
    "prometheus",
    "prometheus_via",
    "dialect",
    "prometheus_header",
    "prometheus_ca",
    "prometheus_insecure",
    "prometheus_matcher",
    "timeout",
    "concurrency",
    "clusters_at_once",
    "kubeconfig",
    "context",
    "no_kubernetes",
    "cluster",
    "namespace",
    "lookback",
    "step",
    "at",
];

#[derive(Debug, Args)]
pub(crate) struct Check {
    #[command(flatten)]
    pub(crate) sources: Sources,
    #[command(flatten)]
    pub(crate) judging: Judging,
    #[command(flatten)]
    pub(crate) output: Output,
    /// Read a recorded snapshot (a file or folder) instead of servers
    #[arg(long, value_name = "PATH", conflicts_with_all = OF_SERVERS, help_heading = "Sources")]
    pub(crate) snapshot: Option<PathBuf>,
    /// Write what was fetched to a file; compressed when its name ends in .zst
    #[arg(long, value_name = "PATH", conflicts_with = "snapshot", help_heading = "Output")]
    pub(crate) record: Option<PathBuf>,
    /// Remember this run there, and say what changed since those before: a folder, or the address of an object store. Off unless the configuration names one
    #[arg(long, value_name = "PLACE", value_parser = clap::builder::NonEmptyStringValueParser::new(), help_heading = "Output")]
    pub(crate) history: Option<String>,
    /// Neither compare with earlier runs nor remember this one, whatever the configuration says
    #[arg(long, conflicts_with = "history", help_heading = "Output")]
    pub(crate) no_history: bool,
    /// Make one of N parts of the report, from 0/N to the one before N/N, in JSON for `merge`
    #[arg(long, value_name = "I/N", conflicts_with_all = ["shards", "record", "history"])]
    pub(crate) shard: Option<Shard>,
    /// Make one of N parts of the report: the one that JOB_COMPLETION_INDEX names, as an Indexed Job gives it to its pods
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..), conflicts_with_all = ["record", "history"])]
    pub(crate) shards: Option<u32>,
    /// Send the report nowhere, whatever the configuration says of `deliver`
    #[arg(long, help_heading = "Output")]
    pub(crate) no_deliver: bool,
    /// Print queries, rights, an estimate of the cost and where the report would go; fetch no series and send nothing
    #[arg(long, conflicts_with_all = ["record", "format", "output"])]
    pub(crate) dry_run: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Demo {
    #[command(flatten)]
    pub(crate) judging: Judging,
    #[command(flatten)]
    pub(crate) output: Output,
    /// Refused with what to do instead: the sample is of one time.
    #[arg(long, value_name = "PLACE", hide = true)]
    pub(crate) history: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Record {
    #[command(flatten)]
    pub(crate) sources: Sources,
    #[command(flatten)]
    pub(crate) choice: Choice,
    /// File to write; compressed when its name ends in .zst
    #[arg(short, long, value_name = "PATH", default_value = "snapshot.ndjson.zst")]
    pub(crate) output: PathBuf,
}

#[derive(Debug, Args)]
#[command(after_long_help = LEAKS_HELP)]
pub(crate) struct Leaks {
    /// Cases to read: a file, gzip and zstd too, or `-` for standard input
    #[arg(short, long, value_name = "FILE", default_value = "-")]
    pub(crate) input: PathBuf,
    /// Where the answers go, in the order of the cases; compressed when the name ends in .gz or .zst
    #[arg(short, long, value_name = "FILE", default_value = "-")]
    pub(crate) output: PathBuf,
    /// Score from which on a case is a leak [default: 1]
    #[arg(long, value_name = "NUMBER", value_parser = score, allow_negative_numbers = true)]
    pub(crate) score: Option<f64>,
    /// Add what the verdict rests on: process runs, their floor, the fitted curve and the margins
    #[arg(long)]
    pub(crate) evidence: bool,
    /// The input is a table of one series, `time,bytes`; so it is when its name ends in .csv or .tsv (.gz and .zst too)
    #[arg(long)]
    pub(crate) csv: bool,
    /// Memory limit of the series of a table, such as 512Mi; a case tells its own
    #[arg(long, value_name = "QUANTITY")]
    pub(crate) limit: Option<Bytes>,
}

#[derive(Debug, Args)]
pub(crate) struct Merge {
    /// JSON reports of shards, in any order
    #[arg(required = true, value_name = "REPORT")]
    pub(crate) reports: Vec<PathBuf>,
    /// Make a report without the shards that are missing, and say so in it
    #[arg(long)]
    pub(crate) partial: bool,
    /// Merge shards of the past (RFC 3339), as `check --at` made them
    #[arg(long, value_name = "TIME", value_parser = instant)]
    pub(crate) at: Option<Timestamp>,
    /// Configuration file, for its history and where the report is delivered to
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Remember the merged run there, and say what changed, as for `check`
    #[arg(long, value_name = "PLACE", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    pub(crate) history: Option<String>,
    /// Neither compare with earlier runs nor remember this one
    #[arg(long, conflicts_with = "history")]
    pub(crate) no_history: bool,
    /// Send the report nowhere, whatever the configuration says of `deliver`
    #[arg(long)]
    pub(crate) no_deliver: bool,
    /// Severity from which on findings make the exit code 1 [default: critical]
    #[arg(long, value_enum)]
    pub(crate) fail_on: Option<FailOnArg>,
    #[command(flatten)]
    pub(crate) output: Output,
}

#[derive(Debug, Args)]
pub(crate) struct Digest {
    /// Where runs are remembered, as for `check`; without it the place that the configuration names
    #[arg(long, value_name = "PLACE", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    pub(crate) history: Option<String>,
    /// Configuration file, for its history, language, time zone and where digests are sent
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Length of the period [default: 7d]
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub(crate) lookback: Option<Seconds>,
    /// End of the period (RFC 3339) instead of now
    #[arg(long, value_name = "TIME", value_parser = instant)]
    pub(crate) at: Option<Timestamp>,
    /// Only this cluster
    #[arg(long, value_name = "NAME", value_parser = name)]
    pub(crate) cluster: Option<String>,
    /// Format; else that of the file's ending, else text on a terminal and Markdown elsewhere
    #[arg(short, long, value_enum)]
    pub(crate) format: Option<DigestFormatArg>,
    /// File for the digest; `-` is standard output
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    /// Language of the digest: en or zh-TW [default: en]
    #[arg(long, value_name = "TAG")]
    pub(crate) lang: Option<Lang>,
    /// Time zone of the digest's times, such as Asia/Taipei; JSON is in UTC [default: UTC]
    #[arg(long, value_name = "ZONE")]
    pub(crate) time_zone: Option<Zone>,
    /// Send it where the configuration says `what: digest` under `deliver`
    #[arg(long, requires = "config")]
    pub(crate) deliver: bool,
    /// Say where it would be sent, and do nothing
    #[arg(long, requires = "deliver")]
    pub(crate) dry_run: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum DigestFormatArg {
    Text,
    Markdown,
    Json,
    Slack,
}

impl From<DigestFormatArg> for DigestFormat {
    fn from(arg: DigestFormatArg) -> Self {
        match arg {
            DigestFormatArg::Text => Self::Text,
            DigestFormatArg::Markdown => Self::Markdown,
            DigestFormatArg::Json => Self::Json,
            DigestFormatArg::Slack => Self::Slack,
        }
    }
}

/// What an account may read.
#[derive(Debug, Args)]
pub(crate) struct Rbac {
    /// One ClusterRole, or a Role in each namespace of -n
    #[arg(long, value_enum, default_value_t = RbacScope::Cluster)]
    pub(crate) scope: RbacScope,
    /// Namespace to look into (repeatable, or separated by commas); those of the configuration without it
    #[arg(short, long, value_name = "NAMESPACE", value_delimiter = ',', value_parser = namespace_pattern)]
    pub(crate) namespace: Vec<String>,
    /// Configuration file: its checks, and the namespaces and ways to metrics servers of its clusters
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// The one of its clusters that the account is in
    #[arg(long, value_name = "NAME", value_parser = name, requires = "config")]
    pub(crate) cluster: Option<String>,
    /// Way to the metrics server through the Kubernetes API, as for `check`
    #[arg(long, value_name = "WAY")]
    pub(crate) prometheus_via: Option<Reach>,
    /// Lease of `serve` where several programs elect the one that runs
    #[arg(long, value_name = "NAMESPACE/NAME", value_parser = lease_name)]
    pub(crate) lease: Option<LeaseName>,
    /// Let it list Secrets, for the certificates in TLS Secrets; RBAC cannot leave the others out
    #[arg(long)]
    pub(crate) secrets: bool,
    /// ServiceAccount that runs the checks
    #[arg(long, value_name = "NAMESPACE/NAME", default_value = "healthcheck/healthcheck", value_parser = account)]
    pub(crate) account: (String, String),
    /// Name of roles and bindings
    #[arg(long, value_name = "NAME", default_value = "healthcheck", value_parser = object_name)]
    pub(crate) name: String,
    /// Print the ServiceAccount and the bindings, too
    #[arg(long)]
    pub(crate) all: bool,
    /// Ask the server which of these rights the account of the kubeconfig has, and print a table
    #[arg(long, conflicts_with = "all")]
    pub(crate) check: bool,
    /// Ask for another account than that of the kubeconfig, as kubectl's --as: system:serviceaccount:NAMESPACE:NAME
    #[arg(long = "as", value_name = "USER", value_parser = user, requires = "check")]
    pub(crate) as_user: Option<String>,
    /// Kubeconfig file, for --check
    #[arg(long, value_name = "FILE", requires = "check")]
    pub(crate) kubeconfig: Option<PathBuf>,
    /// Context of the kubeconfig, for --check
    #[arg(long, value_name = "NAME", value_parser = name, requires = "check")]
    pub(crate) context: Option<String>,
    #[command(flatten)]
    pub(crate) choice: Choice,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum RbacScope {
    Cluster,
    Namespace,
}

fn account(text: &str) -> Result<(String, String), String> {
    match text.split_once('/') {
        Some((namespace, name)) if is_object_name(namespace) && is_object_name(name) => {
            Ok((namespace.to_owned(), name.to_owned()))
        }
        _ => Err(format!("expected `NAMESPACE/NAME`, got `{text}`")),
    }
}

fn user(text: &str) -> Result<String, String> {
    if text.is_empty() || !text.bytes().all(|b| b.is_ascii_graphic() || b == b' ') {
        return Err(format!("expected the name of a user in printable ASCII characters, got `{text}`"));
    }
    let Some(account) = text.strip_prefix(SERVICE_ACCOUNT) else { return Ok(text.to_owned()) };
    match account.split_once(':') {
        Some((namespace, name)) if is_object_name(namespace) && is_object_name(name) => Ok(text.to_owned()),
        _ => Err(format!("expected `{SERVICE_ACCOUNT}NAMESPACE:NAME`, got `{text}`")),
    }
}

fn object_name(text: &str) -> Result<String, String> {
    match is_object_name(text) {
        true => Ok(text.to_owned()),
        false => Err(format!(
            "expected lower-case letters, digits, `-` and `.` between letters or digits, as Kubernetes has names, got `{text}`"
        )),
    }
}

/// Whether Kubernetes takes it as a name: a subdomain of RFC 1123.
pub(crate) fn is_object_name(text: &str) -> bool {
    let alone = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    text.len() <= 253
        && text.starts_with(alone)
        && text.ends_with(alone)
        && text.chars().all(|c| alone(c) || matches!(c, '-' | '.'))
}

const LEAKS_HELP: &str = "\
A case is the memory of one container of one workload, over all its pods, one JSON object a line:
  {\"id\": \"web\", \"step_s\": 300, \"limit_bytes\": 536870912,
   \"series\": [{\"pod\": \"web-0\", \"start_unix\": 1700000000, \"values\": [201326592, null, ...],
               \"restarts_unix\": [1700090000]}]}
Times are unix seconds, null is a missing sample. Without restarts_unix restarts are guessed from falls near the limit; an
empty list means that there were none. Also read: request_bytes; start_unix and end_unix of the window; and for each pod
load, one number a step that memory may follow, such as requests a second.

A table (--csv, or a name in .csv or .tsv) is one series, separated by comma, semicolon or tab:
  time,bytes
  2026-01-31T09:00:00Z,201326592
  2026-01-31T09:05:00Z,202375168
Times are RFC 3339 with a zone, unix seconds or unix milliseconds; memory is in bytes or a quantity such as 192Mi; an empty
cell is a missing sample. A header may name the columns (time, bytes) in any order, among others.

The answer: {\"id\", \"leak\", \"verdict\", \"score\", \"rate_bytes_per_hour\", \"onset_unix\", \"time_to_limit_s\", \"reason\"}, and
{\"id\", \"error\"} for a line that cannot be read. The verdict is
  leak     memory grows without end, and enough to matter: the score is at least 1 (--score)
  watch    it may, not surely: the score is at least 0.6; look again with a longer window
  none     it does not grow, or its growth ends, or it does not matter
  unknown  too little data to say; the reason names what is missing

Exit code: 0 when cases were judged, whatever the verdicts; 2 when the input cannot be read or no line of it is a case; 3
when every case is unknown.";

fn score(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(score) if score.is_finite() => Ok(score),
        _ => Err("expected a number, such as 1".into()),
    }
}

/// Where the data come from.
#[derive(Debug, Args)]
#[command(next_help_heading = "Sources")]
pub(crate) struct Sources {
    /// Configuration file with clusters and settings; a server that is named by an argument takes the place of its clusters
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Address of a server with the Prometheus query API; PROMETHEUS_URL when neither an argument nor the configuration names a server
    #[arg(long, value_name = "URL")]
    pub(crate) prometheus: Option<String>,
    /// Way to it through the Kubernetes API: `service-proxy:NAMESPACE/SERVICE:PORT`, `port-forward:NAMESPACE/POD:PORT`, `port-forward:NAMESPACE/svc/SERVICE:PORT` or `exec:NAMESPACE/POD[/CONTAINER][:PORT]`
    #[arg(long, value_name = "WAY", conflicts_with = "prometheus")]
    pub(crate) prometheus_via: Option<Reach>,
    /// Rules of that server [default: prometheus]
    #[arg(long, value_enum)]
    pub(crate) dialect: Option<DialectArg>,
    /// Header to send to it, `Name: value` (repeatable); credentials come from PROMETHEUS_USERNAME and PROMETHEUS_PASSWORD, or PROMETHEUS_TOKEN
    #[arg(long, value_name = "HEADER")]
    pub(crate) prometheus_header: Vec<String>,
    /// File with certificates (PEM) of authorities to trust
    #[arg(long, value_name = "FILE")]
    pub(crate) prometheus_ca: Option<PathBuf>,
    /// Accept any certificate of the metrics server
    #[arg(long)]
    pub(crate) prometheus_insecure: bool,
    /// Label matcher for every query, for instance `cluster="prod"` (repeatable)
    #[arg(long, value_name = "MATCHER")]
    pub(crate) prometheus_matcher: Vec<String>,
    /// Time for one request, to every server [default: 30s]
    #[arg(long, value_name = "DURATION", value_parser = timeout)]
    pub(crate) timeout: Option<Duration>,
    /// Requests under way at once, to each server [default: 4]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=64))]
    pub(crate) concurrency: Option<u16>,
    /// Clusters of the configuration file that are read at once [default: 4]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=64))]
    pub(crate) clusters_at_once: Option<u16>,
    /// Kubeconfig file
    #[arg(long, value_name = "FILE")]
    pub(crate) kubeconfig: Option<PathBuf>,
    /// Context of the kubeconfig
    #[arg(long, value_name = "NAME", value_parser = name)]
    pub(crate) context: Option<String>,
    /// Do not use the Kubernetes API; workloads come from kube-state-metrics
    #[arg(long, conflicts_with_all = ["kubeconfig", "context"])]
    pub(crate) no_kubernetes: bool,
    /// Name of the cluster in the report; with a configuration file, the one of its clusters to look at
    #[arg(long, value_name = "NAME", value_parser = name)]
    pub(crate) cluster: Option<String>,
    /// Namespace to look into; globs `*` and `?` (repeatable, or separated by commas)
    #[arg(short, long, value_name = "NAMESPACE", value_delimiter = ',', value_parser = namespace_pattern, conflicts_with = "all_namespaces")]
    pub(crate) namespace: Vec<String>,
    /// Look into all namespaces (the default)
    #[arg(short = 'A', long)]
    pub(crate) all_namespaces: bool,
    /// How far to look back [default: 7d]
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub(crate) lookback: Option<Seconds>,
    /// Time between two samples; chosen by the look-back without it
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub(crate) step: Option<Seconds>,
    /// End of the window (RFC 3339) instead of now
    #[arg(long, value_name = "TIME", value_parser = instant)]
    pub(crate) at: Option<Timestamp>,
}

impl Sources {
    /// The first argument that names what is read; the clusters of a configuration file are left out then.
    pub(crate) fn naming_sources(&self) -> Option<&'static str> {
        [
            (self.prometheus.is_some(), "--prometheus"),
            (self.prometheus_via.is_some(), "--prometheus-via"),
            (self.kubeconfig.is_some(), "--kubeconfig"),
            (self.context.is_some(), "--context"),
        ]
        .into_iter()
        .find_map(|(given, argument)| given.then_some(argument))
    }

    /// Arguments that were given and count only for a metrics server that an argument or PROMETHEUS_URL names, each with
    /// the key that says the same in the configuration file.
    pub(crate) fn of_named_server(&self) -> Vec<(&'static str, &'static str)> {
        [
            (self.dialect.is_some(), "--dialect", "dialect"),
            (!self.prometheus_header.is_empty(), "--prometheus-header", "headers"),
            (self.prometheus_ca.is_some(), "--prometheus-ca", "ca-file"),
            (self.prometheus_insecure, "--prometheus-insecure", "insecure-skip-verify"),
            (!self.prometheus_matcher.is_empty(), "--prometheus-matcher", "matchers"),
        ]
        .into_iter()
        .filter_map(|(given, argument, key)| given.then_some((argument, key)))
        .collect()
    }
}

/// Which checks run.
#[derive(Debug, Args)]
#[command(next_help_heading = "Checks")]
pub(crate) struct Choice {
    /// Set a parameter, `CHECK.PARAMETER=VALUE` (repeatable); see `healthcheck explain`
    #[arg(long, value_name = "SETTING")]
    pub(crate) set: Vec<String>,
    /// Run only these checks (repeatable, or separated by commas)
    #[arg(long, value_name = "CHECK", value_delimiter = ',')]
    pub(crate) only: Vec<String>,
    /// Leave these checks out (repeatable, or separated by commas)
    #[arg(long, value_name = "CHECK", value_delimiter = ',')]
    pub(crate) skip: Vec<String>,
    /// Read the logs of pods too (check error-logs; needs the right to get pods/log)
    #[arg(long)]
    pub(crate) logs: bool,
}

/// What is judged, and what the exit code says of it.
#[derive(Debug, Args)]
pub(crate) struct Judging {
    #[command(flatten)]
    pub(crate) choice: Choice,
    /// Severity from which on findings make the exit code 1 [default: critical; never for demo]
    #[arg(long, value_enum, help_heading = "Output")]
    pub(crate) fail_on: Option<FailOnArg>,
}

/// Where the report goes.
#[derive(Debug, Args)]
#[command(next_help_heading = "Output")]
pub(crate) struct Output {
    /// Format of the report: text, markdown, json, yaml, html, csv, junit, sarif, openmetrics, slack, or template=FILE for a template of your own (repeatable; the n-th goes to the n-th --output)
    #[arg(short, long, value_name = "FORMAT", value_parser = format)]
    pub(crate) format: Vec<FormatArg>,
    /// File for the report; `-` is standard output (repeatable)
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Vec<PathBuf>,
    /// Language of the report: en or zh-TW [default: en]
    #[arg(long, value_name = "TAG")]
    pub(crate) lang: Option<Lang>,
    /// Time zone of the report's times, such as Asia/Taipei; text, Markdown and HTML have them, formats of data are in UTC [default: UTC]
    #[arg(long, value_name = "ZONE")]
    pub(crate) time_zone: Option<Zone>,
}

/// A format by its name, or a template of the user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum FormatArg {
    Known(Format),
    /// A file, or a name that the configuration gives to one.
    Template(String),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum DialectArg {
    Prometheus,
    Arms,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum FailOnArg {
    Never,
    Warning,
    Critical,
}

impl From<FailOnArg> for FailOn {
    fn from(arg: FailOnArg) -> Self {
        match arg {
            FailOnArg::Never => Self::Never,
            FailOnArg::Warning => Self::Warning,
            FailOnArg::Critical => Self::Critical,
        }
    }
}

fn duration(text: &str) -> Result<Seconds, String> {
    let value: Seconds = text.parse().map_err(|e: healthcore::unit::UnitError| e.to_string())?;
    if value.get() > 0.0 {
        Ok(value)
    } else {
        Err(format!("expected a duration above zero such as `5m`, got `{text}`"))
    }
}

fn timeout(text: &str) -> Result<Duration, String> {
    request_timeout(duration(text)?)
}

fn name(text: &str) -> Result<String, String> {
    if text.is_empty() { Err("expected a name, got an empty text".to_owned()) } else { Ok(text.to_owned()) }
}

fn instant(text: &str) -> Result<Timestamp, String> {
    text.parse::<jiff::Timestamp>()
        .map(|t| Timestamp(t.as_millisecond()))
        .map_err(|_| format!("expected a time such as `2026-11-20T01:00:00Z`, got `{text}`"))
}

fn format(text: &str) -> Result<FormatArg, String> {
    match text.split_once('=') {
        Some(("template", "")) => return Err("expected a file, such as `template=daily.md.j2`".to_owned()),
        Some(("template", file)) => return Ok(FormatArg::Template(file.to_owned())),
        _ if text == "template" => return Err("name the file too, such as `template=daily.md.j2`".to_owned()),
        _ => {}
    }
    // A file's ending names its format too: people write `md`.
    let name = text.to_ascii_lowercase();
    let found = Format::from_name(&name).or_else(|| Format::from_ending(&name));
    found.map(FormatArg::Known).ok_or_else(|| {
        let names = || Format::ALL.iter().map(|f| f.name());
        let hint = nearest(&name, names()).map_or_else(String::new, |n| format!(", did you mean `{n}`?"));
        let known = names().collect::<Vec<_>>().join(", ");
        format!("expected one of {known}, or template=FILE{hint}")
    })
}
