//! The arguments of `serve`.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};
use healthcore::unit::Seconds;
use healthcore_report::Lang;
use lambda_free_runner::schedule::{CatchUp, Schedule};

use crate::args::{Choice, OF_SERVERS, Sources, is_object_name};

#[derive(Debug, Args)]
#[command(after_long_help = HELP)]
pub(crate) struct Serve {
    #[command(flatten)]
    pub(crate) sources: Sources,
    #[command(flatten)]
    pub(crate) choice: Choice,
    /// Read a recorded snapshot (a file or folder) instead of servers
    #[arg(long, value_name = "PATH", conflicts_with_all = OF_SERVERS, help_heading = "Sources")]
    pub(crate) snapshot: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) times: Times,
    #[command(flatten)]
    pub(crate) web: Web,
    #[command(flatten)]
    pub(crate) election: ElectionArgs,
    /// Language of the reports: en or zh-TW [default: en]
    #[arg(long, value_name = "TAG", help_heading = "Output")]
    pub(crate) lang: Option<Lang>,
    /// Remember runs there, and say what changed: a folder, or the address of an object store. Off unless the configuration names one
    #[arg(long, value_name = "PLACE", value_parser = clap::builder::NonEmptyStringValueParser::new(), help_heading = "Output")]
    pub(crate) history: Option<String>,
    /// Neither compare with earlier runs nor remember them, whatever the configuration says
    #[arg(long, conflicts_with = "history", help_heading = "Output")]
    pub(crate) no_history: bool,
    /// Send reports nowhere, whatever the configuration says of `deliver`
    #[arg(long, help_heading = "Output")]
    pub(crate) no_deliver: bool,
    /// Folder in which reports are kept, one folder a run with every format; the latest one is served after a restart, and by others that share the folder
    #[arg(long, value_name = "FOLDER", help_heading = "Output")]
    pub(crate) reports: Option<PathBuf>,
    /// Reports that are kept there
    #[arg(long, value_name = "N", default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..), requires = "reports", help_heading = "Output")]
    pub(crate) keep_reports: u32,
}

/// When runs start, and how long they may take.
#[derive(Debug, Args)]
#[command(next_help_heading = "Schedule", group = clap::ArgGroup::new("when").required(true))]
pub(crate) struct Times {
    /// When runs are due, in cron notation: minute, hour, day of the month, month, day of the week; or `@daily` and its like
    #[arg(long, value_name = "CRON", group = "when")]
    schedule: Option<String>,
    /// Time zone of the schedule, if there is one, and of the times in reports, by its IANA name such as `Asia/Taipei` [default: UTC]
    #[arg(long, value_name = "ZONE")]
    pub(crate) time_zone: Option<String>,
    /// A run every so often instead, such as `6h`, at multiples of it since the start of unix time
    #[arg(long, value_name = "DURATION", value_parser = duration, group = "when")]
    every: Option<Duration>,
    /// Start later by up to this, by a delay that depends on the due time and the name of the host
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    jitter: Option<Duration>,
    /// What becomes of runs that were missed, by a restart or a run before them that took too long
    #[arg(long, value_enum, default_value_t = CatchUpArg::RunOnce)]
    catch_up: CatchUpArg,
    /// Run once at the start, too
    #[arg(long)]
    pub(crate) run_at_start: bool,
    /// The longest time that a run may take
    #[arg(long, value_name = "DURATION", default_value = "1h", value_parser = duration)]
    pub(crate) run_limit: Duration,
    /// Time for a graceful stop; a run that takes longer is abandoned
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = duration)]
    pub(crate) grace: Duration,
}

/// The pages.
#[derive(Debug, Args)]
#[command(next_help_heading = "Pages")]
pub(crate) struct Web {
    /// Address and port of the pages; everyone who reaches them reads the reports
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8080", value_parser = address)]
    pub(crate) listen: SocketAddr,
    /// From when on /readyz says so
    #[arg(long, value_enum, default_value_t = ReadyAfter::Config)]
    pub(crate) ready_after: ReadyAfter,
}

/// Which of several programs runs.
#[derive(Debug, Args)]
#[command(next_help_heading = "Election")]
pub(crate) struct ElectionArgs {
    /// Run only while this program holds the lease; others with the same one show the reports of the folder they share
    #[arg(long, value_name = "NAMESPACE/NAME", value_parser = lease_name)]
    pub(crate) lease: Option<LeaseName>,
    /// Name of this program, which no other one has [default: host and process]
    #[arg(long, value_name = "NAME", requires = "lease", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    pub(crate) lease_identity: Option<String>,
}

/// A lease object of the cluster that the program runs in, or that the kubeconfig names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LeaseName {
    pub(crate) namespace: String,
    pub(crate) name: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum CatchUpArg {
    /// They are left out
    Skip,
    /// One run at once stands for all of them
    RunOnce,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ReadyAfter {
    /// The configuration is valid
    Config,
    /// There is a report
    FirstReport,
}

impl Times {
    /// The schedule, whose jitter depends on `host`.
    pub(crate) fn schedule(&self, host: &str) -> anyhow::Result<Schedule> {
        let schedule = match (&self.schedule, self.every) {
            (Some(cron), _) => Schedule::cron(cron, self.time_zone.as_deref())?,
            (None, every) => Schedule::every(every.unwrap_or_default())?,
        };
        let schedule = schedule.with_catch_up(match self.catch_up {
            CatchUpArg::Skip => CatchUp::Skip,
            CatchUpArg::RunOnce => CatchUp::RunOnce,
        });
        Ok(match self.jitter {
            Some(jitter) => schedule.with_jitter(jitter, seed(host))?,
            None => schedule,
        })
    }
}

/// A number for a name (FNV-1a).
fn seed(name: &str) -> u64 {
    name.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

fn duration(text: &str) -> Result<Duration, String> {
    let value: Seconds = text.parse().map_err(|e: healthcore::unit::UnitError| e.to_string())?;
    let most = Seconds::from_days(400.0);
    if value.get() > 0.0 && value.get() <= most.get() {
        Ok(Duration::from_secs_f64(value.get()))
    } else {
        Err(format!("expected a duration above zero and at most `400d`, got `{text}`"))
    }
}

pub(crate) fn lease_name(text: &str) -> Result<LeaseName, String> {
    match text.split_once('/') {
        Some((namespace, name)) if is_object_name(namespace) && is_object_name(name) => {
            Ok(LeaseName { namespace: namespace.to_owned(), name: name.to_owned() })
        }
        _ => Err(format!("expected a namespace and a name such as `monitoring/healthcheck`, got `{text}`")),
    }
}

fn address(text: &str) -> Result<SocketAddr, String> {
    let wanted = text.strip_prefix(':').map_or_else(|| text.to_owned(), |port| format!("0.0.0.0:{port}"));
    let wanted = wanted.replace("localhost:", "127.0.0.1:");
    wanted.parse().map_err(|_| {
        format!("expected an address and a port such as `127.0.0.1:8080` or `0.0.0.0:8080`, got `{text}`")
    })
}

const HELP: &str = "\
Pages:
  GET /report   the latest report; ?format=html, json, markdown, text, yaml, csv, junit, sarif or openmetrics, or by the
                Accept header; HTML without either. 503 before the first one
  GET /metrics  of the program and its last run, for Prometheus
  GET /healthz  200 while the program lives
  GET /readyz   200 when the configuration is valid (or the first report is there: --ready-after), 503 while it stops
  POST /run     starts a run now: 202, or 409 while one is under way. Needs `Authorization: Bearer TOKEN` with the token of
                HEALTHCHECK_RUN_TOKEN, or of the file that HEALTHCHECK_RUN_TOKEN_FILE names; without a token it is off

The configuration is read again for every run. One that is wrong at the start ends the program; one that is wrong later
fails the run, and the report before it stays.

Exit code: 0 after SIGTERM or SIGINT; 2 when it cannot start.";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        assert_eq!(address("localhost:80").unwrap().to_string(), "127.0.0.1:80");
        assert_eq!(address("[::1]:80").unwrap().to_string(), "[::1]:80");
        assert_eq!(address(":8080").unwrap().to_string(), "0.0.0.0:8080");
        for wrong in ["8080", "127.0.0.1", "127.0.0.1:99999", "http://127.0.0.1:80", ""] {
            assert!(address(wrong).unwrap_err().ends_with(&format!("got `{wrong}`")), "{wrong}");
        }
    }

    #[test]
    fn leases() {
        let lease = lease_name("monitoring/healthcheck").unwrap();
        assert_eq!((&*lease.namespace, &*lease.name), ("monitoring", "healthcheck"));
        for wrong in ["healthcheck", "/healthcheck", "a/", "a/b/c", "A/b", "a/b?x"] {
            assert!(lease_name(wrong).unwrap_err().ends_with(&format!("got `{wrong}`")), "{wrong}");
        }
    }

    #[test]
    fn hosts_have_their_own_jitter() {
        assert_ne!(seed("healthcheck-0"), seed("healthcheck-1"));
    }
}
