use std::sync::Mutex;

use async_trait::async_trait;
use futures::{StreamExt as _, stream};
use healthcore::logs::{LogSummary, LogTally};
use healthcore::need::pod_patterns;
use healthcore::snapshot::{Gap, GapCause, Objects};
use healthcore::time::Timestamp;
use healthcore::unit::Bytes;
use tokio::time::Instant;

use super::server::{Held, Places, Refusal, Server, Span};
use crate::logs::{LogSettings, LogSource, LogsRead, Target, share, targets};
use crate::prometheus::{HttpTransport, PrometheusSettings};
use crate::{Fetched, SourceError, Usage};

/// What selects the lines of a container, unless told otherwise: labels as Promtail and Grafana Alloy give them.
pub const SELECTOR: &str = r#"{namespace="{namespace}", pod=~"{pod_pattern}", container="{container}"}"#;

/// Most lines of a page: what Loki gives unless told otherwise (`max_entries_limit_per_query`).
const MOST_LINES: u32 = 5000;
/// Lines of the first page, which tells how long lines are.
const FIRST_LINES: u32 = 1000;
/// Size of the answers that the next pages are to have. Unit: bytes.
const PAGE: usize = 1 << 20;

/// A server of Loki, and how to ask it.
#[derive(Debug, Clone, PartialEq)]
pub struct LokiSettings {
    /// Name of the cluster, for gaps.
    pub cluster: String,
    /// Address, credentials, headers, TLS and time limits; what is only for metrics does not count.
    pub server: PrometheusSettings,
    /// What selects the lines of a container, in LogQL; `{namespace}`, `{pod_pattern}` and `{container}` stand for those of it,
    /// between double quotes.
    pub selector: String,
    /// What is read, and what that may cost.
    pub logs: LogSettings,
}

impl LokiSettings {
    /// The usual settings for a server.
    #[must_use]
    pub fn new(server: PrometheusSettings) -> Self {
        let selector = SELECTOR.to_owned();
        Self { cluster: String::new(), server, selector, logs: LogSettings::default() }
    }

    /// Whether address and selector can be used, without reading any file.
    ///
    /// # Errors
    /// They cannot.
    pub fn check(&self) -> Result<(), SourceError> {
        check_selector(&self.selector)?;
        let server = PrometheusSettings { ca_file: None, ..self.server.clone() };
        HttpTransport::new(&server).map(drop).map_err(of_loki)
    }
}

/// A server of Loki.
pub struct Loki {
    server: Server,
    concurrency: usize,
    settings: LokiSettings,
}

impl Loki {
    /// Prepares a client; nothing is sent. Its answers have places of their own.
    ///
    /// # Errors
    /// A setting cannot be used.
    pub fn new(settings: LokiSettings) -> Result<Self, SourceError> {
        Self::sharing(settings, &Places::default())
    }

    /// The same, with the places that all clusters of a run share.
    ///
    /// # Errors
    /// A setting cannot be used.
    pub fn sharing(settings: LokiSettings, places: &Places) -> Result<Self, SourceError> {
        check_selector(&settings.selector)?;
        let transport = HttpTransport::new(&settings.server).map_err(of_loki)?;
        let PrometheusSettings { timeout, retries, .. } = settings.server;
        let server = Server::new(Box::new(transport), timeout, retries, places.clone());
        Ok(Self { server, concurrency: settings.server.concurrency.max(1), settings })
    }

    fn gap(&self, cause: GapCause, detail: String) -> Gap {
        let scope = match self.settings.cluster.as_str() {
            "" => "loki".to_owned(),
            cluster => format!("{cluster}/loki"),
        };
        Gap::new(scope, cause, detail)
    }

    /// What a container says; none when Loki has no line of it, or could not be asked.
    async fn read(&self, target: Target, until: Timestamp, run: &Run) -> Option<LogSummary> {
        let query = self.query(&target);
        let since = until.plus_seconds(-self.settings.logs.lookback.get());
        let nanoseconds = |t: Timestamp| t.0.saturating_mul(1_000_000);
        let (start, mut end) = (nanoseconds(since), nanoseconds(until).saturating_add(1));
        let most = run.share.saturating_mul(target.pods.len() as u64);
        let (mut tally, mut cut, mut older_left) = (LogTally::default(), false, false);
        let (mut limit, mut most_lines) = (FIRST_LINES, MOST_LINES);
        while end > start {
            if tally.bytes() >= most || run.is_over() {
                older_left = true;
                break;
            }
            match self.server.page(Span { query: &query, start, end, limit }, run.deadline).await {
                Ok(Held { mut page, bytes, .. }) => {
                    let is_last = page.lines < limit as usize;
                    let Some(oldest) = page.oldest() else { break };
                    if !is_last && page.leave_out(oldest) {
                        end = oldest + 1;
                    } else {
                        // Of so many lines of one instant no page can show more.
                        cut |= !is_last;
                        end = oldest;
                    }
                    page.count(&mut tally);
                    if is_last {
                        break;
                    }
                    let left = lines_left(&tally, most);
                    limit = fitting(page.lines, bytes).min(left).min(most_lines);
                }
                Err(Refusal::TooLarge) if limit > 1 => {
                    limit = (limit / 4).max(1);
                    most_lines = limit;
                }
                Err(refusal) => {
                    run.note(&target, refusal);
                    older_left = true;
                    break;
                }
            }
        }
        let said = tally.content();
        (tally.lines() > 0).then(|| LogSummary {
            workload: target.workload,
            container: target.container,
            since,
            begins: said.first.filter(|_| older_left),
            worst_pod: String::new(),
            worst_previous: false,
            pods: target.all as u32,
            pods_read: target.all as u32,
            cut: cut || older_left,
            said,
        })
    }

    fn query(&self, target: &Target) -> String {
        let pods: Vec<&str> = target.pods.iter().map(|pod| pod.name.as_str()).collect();
        let pattern = pod_patterns(&target.workload, &pods).join("|");
        self.settings
            .selector
            .replace("{namespace}", &quoted(&target.workload.namespace))
            .replace("{pod_pattern}", &quoted(&pattern))
            .replace("{container}", &quoted(&target.container))
    }

    fn told(&self, troubles: Troubles, all: usize, read: usize) -> Vec<Gap> {
        let mut gaps = Vec::new();
        let Troubles { lasting, failed, first, late } = troubles;
        if let Some((cause, why)) = lasting {
            gaps.push(self.gap(cause, format!("logs cannot be read from {}: {why}", self.server.target())));
        } else if all > 0 && read == 0 && failed == 0 && late == 0 {
            let detail = format!(
                "Loki at {} has no line of any container; check `loki.selector`, and whether logs of this cluster are sent there",
                self.server.target()
            );
            gaps.push(self.gap(GapCause::NothingMatches, detail));
        }
        if let Some((cause, why)) = first {
            let of = if failed == 1 { "1 container".to_owned() } else { format!("{failed} containers") };
            gaps.push(self.gap(cause, format!("the logs of {of} could not be read whole; the first: {why}")));
        }
        if late > 0 {
            let detail = format!(
                "the time for logs ({} s) was over before those of {late} containers were read; give more with `logs.time`",
                self.settings.logs.time.as_secs()
            );
            gaps.push(self.gap(GapCause::Thinned, detail));
        }
        gaps
    }
}

/// Lines of which an answer has its usual size, where so many made these bytes.
fn fitting(lines: usize, bytes: usize) -> u32 {
    let lines = PAGE.saturating_mul(lines) / bytes.max(1);
    u32::try_from(lines).unwrap_or(u32::MAX).max(1)
}

/// Lines that still fit into the bound, if they are as long as those before.
fn lines_left(tally: &LogTally, most: u64) -> u32 {
    let left = most.saturating_sub(tally.bytes()).saturating_mul(tally.lines());
    // One more, because a page leaves out those of its oldest instant.
    u32::try_from(left / tally.bytes().max(1) + 2).unwrap_or(u32::MAX)
}

/// Names and patterns as they stand between double quotes in LogQL.
fn quoted(text: &str) -> String {
    text.replace('\\', r"\\").replace('"', "\\\"")
}

/// Settings of the connection have their words from the metrics server.
fn of_loki(error: SourceError) -> SourceError {
    match error {
        SourceError::Setting { what, why } => {
            SourceError::Setting { what: what.replace("prometheus", "loki"), why }
        }
        other => other,
    }
}

fn check_selector(selector: &str) -> Result<(), SourceError> {
    let refuse = |why: String| SourceError::Setting { what: "loki selector".into(), why };
    if !selector.trim_start().starts_with('{') {
        return Err(refuse(format!("expected a selector of LogQL such as `{SELECTOR}`, got `{selector}`")));
    }
    // Without one of them lines of other containers would count as those of each.
    match ["{namespace}", "{pod_pattern}", "{container}"].iter().find(|name| !selector.contains(**name)) {
        None => Ok(()),
        Some(name) => Err(refuse(format!("expected `{name}` in it, as in `{SELECTOR}`, got `{selector}`"))),
    }
}

/// What the reads of one run share.
struct Run {
    deadline: Instant,
    /// Bytes of one container of one pod.
    share: u64,
    troubles: Mutex<Troubles>,
}

#[derive(Default)]
struct Troubles {
    /// What every other question would be told too.
    lasting: Option<(GapCause, String)>,
    /// Containers whose logs could not be read whole, and why not those of the first.
    failed: usize,
    first: Option<(GapCause, String)>,
    /// Containers for which the time was over.
    late: usize,
}

impl Run {
    fn troubles(&self) -> std::sync::MutexGuard<'_, Troubles> {
        self.troubles.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Whether nothing more is asked.
    fn is_over(&self) -> bool {
        let mut troubles = self.troubles();
        let late = Instant::now() >= self.deadline;
        troubles.late += usize::from(late);
        late || troubles.lasting.is_some()
    }

    fn note(&self, target: &Target, refusal: Refusal) {
        let mut troubles = self.troubles();
        let at = format!("{}/{}", target.workload, target.container);
        match refusal {
            Refusal::Late => troubles.late += 1,
            Refusal::Lasting(cause, why) => {
                troubles.lasting.get_or_insert((cause, why));
            }
            Refusal::Failed(cause, why) => {
                troubles.failed += 1;
                troubles.first.get_or_insert((cause, format!("{at}: {why}")));
            }
            Refusal::TooLarge => {
                troubles.failed += 1;
                let why = format!("{at}: one line alone is too large");
                troubles.first.get_or_insert((GapCause::Failed, why));
            }
        }
    }
}

#[async_trait]
impl LogSource for Loki {
    /// Loki keeps what was written, so a run may end in the past.
    async fn logs(&self, objects: &Objects, until: Timestamp, _is_now: bool) -> Fetched<LogsRead> {
        let targets = targets(objects, self.settings.logs.pods);
        let run = Run {
            deadline: Instant::now() + self.settings.logs.time,
            share: share(&self.settings.logs, &targets),
            troubles: Mutex::default(),
        };
        let all = targets.len();
        let reads: Vec<_> = targets.into_iter().map(|target| self.read(target, until, &run)).collect();
        let reads = stream::iter(reads).buffer_unordered(self.concurrency);
        let mut summaries: Vec<LogSummary> = reads.filter_map(|read| async { read }).collect().await;
        summaries.sort_by(|a, b| (&a.workload, &a.container).cmp(&(&b.workload, &b.container)));
        let troubles = run.troubles.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
        let gaps = self.told(troubles, all, summaries.len());
        Fetched { value: LogsRead { summaries, unavailable: Vec::new() }, gaps }
    }

    fn plan(&self, objects: &Objects) -> String {
        let targets = targets(objects, self.settings.logs.pods);
        let most = Bytes(share(&self.settings.logs, &targets) as f64);
        let first = targets.first().map(|target| format!(", as {}", self.query(target))).unwrap_or_default();
        let containers = if targets.len() == 1 { "container" } else { "containers" };
        format!(
            "logs of {} {containers} from Loki at {}, at most {most} a pod and {} in all, in at most {} s{first}",
            targets.len(),
            self.server.target(),
            self.settings.logs.total,
            self.settings.logs.time.as_secs()
        )
    }

    fn usage(&self) -> Usage {
        let (requests, bytes) = self.server.usage();
        Usage { requests, samples: 0, bytes }
    }
}
