//! Reports and digests brought to where people read them: Slack and other chats, mail, webhooks, files, a Pushgateway.
//!
//! A [`Route`] says who gets what: a [`Sink`], the part of the [`Content`] that concerns its readers, and when. What cannot be
//! delivered never costs the report, nor the deliveries to others; it is an [`Outcome`] whose weight the route decides.

mod chat;
mod content;
mod email;
mod file;
mod http;
mod placeholder;
mod pushgateway;
mod slack;
mod webhook;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::panic::AssertUnwindSafe;
use std::time::Duration;

use async_trait::async_trait;
use futures::FutureExt as _;
use healthcore::finding::Severity;
use healthcore::report::Report;
use healthcore::time::Timestamp;
use healthcore_report::{DigestReport, Format, RenderError, RenderOptions};
use ring::digest;
use serde_json::json;
use wildmatch::WildMatch;

pub use chat::{ChatSettings, ChatSink};
pub use content::{Content, What};
pub use email::{Email, EmailSettings, Security};
pub use file::{FileSettings, FileSink, StdoutSink, Writing};
pub use http::HttpSettings;
pub use pushgateway::{Pushgateway, PushgatewaySettings};
pub use slack::{DEFAULT_API, Slack, SlackSettings};
pub use webhook::{Webhook, WebhookSettings};

use crate::history::{History, Patience, Sending};

/// Time for one delivery with all its requests and pauses.
const PATIENCE: Duration = Duration::from_secs(300);

/// A place where reports and digests go.
#[async_trait]
pub trait Sink: Send + Sync {
    /// How messages name it, without secrets: `slack #ops`.
    fn name(&self) -> String;
    /// What tells it from every other sink, such as the whole address. It may hold secrets: it is hashed, and never shown.
    fn target(&self) -> String {
        self.name()
    }
    /// Whether the same content may be sent again without anybody noticing: a file is written over. Else what was sent is
    /// remembered, where there is a history.
    fn is_repeatable(&self) -> bool {
        false
    }
    /// Whether the receiver gets the key of a delivery, by which it knows one that it had. Else what may have arrived is not sent
    /// again.
    fn takes_key(&self) -> bool {
        false
    }
    /// Whether a template of the user makes something of it. Such sinks come last, for nothing bounds the memory that a template
    /// takes, and a program that is killed for it should have told everybody else.
    fn has_template(&self) -> bool {
        false
    }
    /// Brings it there.
    ///
    /// # Errors
    /// Nothing of it arrived, as far as can be known.
    async fn deliver(&self, delivery: &Delivery) -> Result<Receipt, DeliverError>;
}

/// A report or a digest on its way.
#[derive(Debug, Clone)]
pub struct Delivery {
    /// What concerns the readers.
    pub content: Content,
    /// Language and the like.
    pub options: RenderOptions,
    /// The same for the same content to the same place, whenever it is made; and for a run of the same name.
    pub key: String,
}

impl Delivery {
    /// It in a format.
    ///
    /// # Errors
    /// As [`Content::render`].
    pub fn render(&self, format: Format) -> Result<String, DeliverError> {
        Ok(self.content.render(format, &self.options)?)
    }

    /// It in a format, or by a template of the user.
    ///
    /// # Errors
    /// As [`Self::render`], and a template that names what is not there.
    pub fn write(&self, writing: &Writing) -> Result<String, DeliverError> {
        match (writing, &self.content) {
            (Writing::Known(format), _) => self.render(*format),
            (Writing::Own(template), Content::Report(report)) => Ok(template.render(report, &self.options)?),
            (Writing::Own(template), Content::Digest(digest)) => {
                Ok(template.render_digest(digest, &self.options)?)
            }
        }
    }

    /// A name for a file of it: `healthcheck-CLUSTER-DATE.ENDING`.
    #[must_use]
    pub fn file_name(&self, ending: &str) -> String {
        let template = format!("{}-{{cluster}}-{{date}}.{{format}}", self.content.stem());
        file::filled(&template, &self.content, ending)
    }
}

/// What arrived.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Receipt {
    /// In a few words: `message and 3 replies`.
    pub what: String,
    /// What did not arrive with it, and why.
    pub missed: Vec<String>,
}

impl Receipt {
    /// All of it arrived.
    #[must_use]
    pub fn of(what: impl Into<String>) -> Self {
        Self { what: what.into(), missed: Vec::new() }
    }
}

/// Why something did not arrive. No text of it holds a secret.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DeliverError {
    /// It cannot be sent with these settings.
    #[error("{0}")]
    Setting(String),
    /// The other side said no.
    #[error("{0}")]
    Refused(String),
    /// The other side cannot be reached.
    #[error("cannot be reached: {0}; check the address, and proxies (HTTPS_PROXY, NO_PROXY)")]
    Unreachable(String),
    /// The other side may have taken it.
    #[error("{0}; it may have arrived, so it is not sent again")]
    Unclear(String),
    /// The other side wants a longer pause than a run has time for.
    #[error("too many requests: asked to wait {0} s, which is longer than a run waits; deliver less often")]
    Busy(u64),
    /// The other side still refused after each pause that it asked for.
    #[error(
        "too many requests: refused {0} times, also after the pauses that it asked for; deliver less often, or to fewer channels"
    )]
    StillBusy(u32),
    /// It cannot be written in the format.
    #[error(transparent)]
    Render(#[from] RenderError),
    /// A file cannot be written.
    #[error("{path}: cannot be written: {why}")]
    File {
        /// The file.
        path: String,
        /// What is wrong.
        why: String,
    },
}

/// When a report or a digest is delivered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum When {
    /// After every run; every digest.
    #[default]
    Always,
    /// When something is not as it was in the last report that was told there, or in the period before; always, where nothing
    /// can be compared.
    Changes,
    /// When there are findings, or too little could be judged to be sure that there are none.
    Problems,
}

impl When {
    /// Why it is not delivered; none when it is.
    fn refuses(self, content: &Content) -> Option<&'static str> {
        match self {
            Self::Always => None,
            Self::Changes => (!content.has_changed()).then_some("nothing has changed"),
            Self::Problems => content.is_in_order().then_some("there is no problem"),
        }
    }

    const fn words(self, what: What) -> &'static str {
        match (what, self) {
            (What::Report, Self::Always) => "after every run",
            (What::Report, Self::Changes) => "when something has changed",
            (What::Report, Self::Problems) => "when there is a problem",
            (What::Digest, Self::Always) => "every digest",
            (What::Digest, Self::Changes) => "digests when something has changed",
            (What::Digest, Self::Problems) => "digests when there is a problem",
        }
    }
}

/// What of a report or a digest concerns the readers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selection {
    /// The least severity.
    pub floor: Severity,
    /// Globs of clusters; empty for all.
    pub clusters: Vec<String>,
    /// Globs of namespaces; empty for all, and for what belongs to none.
    pub namespaces: Vec<String>,
}

impl Default for Selection {
    fn default() -> Self {
        Self { floor: Severity::Info, clusters: Vec::new(), namespaces: Vec::new() }
    }
}

impl Selection {
    fn of_report(&self, report: &Report) -> Report {
        report.narrowed(self.floor, &self.clusters, &self.namespaces, &|glob, name| {
            WildMatch::new(glob).matches(name)
        })
    }

    fn of_digest(&self, digest: &DigestReport) -> DigestReport {
        digest.narrowed(self.floor, &self.clusters, &self.namespaces, &|glob, name| {
            WildMatch::new(glob).matches(name)
        })
    }
}

/// Who gets what.
pub struct Route {
    /// Where it stands in the configuration: `deliver[0]`.
    pub place: String,
    /// Where it goes.
    pub sink: Box<dyn Sink>,
    /// Reports or digests.
    pub what: What,
    /// What of them.
    pub selection: Selection,
    /// When.
    pub when: When,
    /// Whether a delivery that fails makes the run one that failed.
    pub required: bool,
}

impl Route {
    /// Reports, everything of them, to a sink after every run; a failure is a warning.
    #[must_use]
    pub fn new(sink: Box<dyn Sink>) -> Self {
        Self {
            place: "deliver".into(),
            sink,
            what: What::default(),
            selection: Selection::default(),
            when: When::default(),
            required: false,
        }
    }

    /// What makes it another one, wherever it stands: who gets it, and what. It may hold secrets.
    fn identity(&self) -> String {
        let Selection { floor, clusters, namespaces } = &self.selection;
        json!([self.sink.target(), self.what.name(), floor.name(), clusters, namespaces]).to_string()
    }

    fn outcome(&self, result: Result<Delivered, DeliverError>) -> Outcome {
        Outcome { to: format!("{} ({})", self.place, self.sink.name()), result, required: self.required }
    }

    /// What it does, in a line.
    #[must_use]
    pub fn plan(&self) -> String {
        let mut line = format!("{}: {}, {}", self.place, self.sink.name(), self.when.words(self.what));
        if self.selection.floor > Severity::Info {
            let _ = write!(line, ", severity {} and above", self.selection.floor.name());
        }
        for (what, globs) in
            [("clusters", &self.selection.clusters), ("namespaces", &self.selection.namespaces)]
        {
            if !globs.is_empty() {
                let _ = write!(line, ", {what} {}", globs.join(" "));
            }
        }
        line.push_str(if self.required { "; a failure fails the run" } else { "; a failure is a warning" });
        line
    }
}

/// How a delivery ended.
#[derive(Debug)]
pub struct Outcome {
    /// Where the route stands, and the name of the sink.
    pub to: String,
    /// What arrived; in words, why nothing was sent; or what went wrong.
    pub result: Result<Delivered, DeliverError>,
    /// Whether a failure makes the run one that failed.
    pub required: bool,
}

/// A delivery that did not fail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Delivered {
    /// It arrived.
    Sent(Receipt),
    /// It was not to be sent, for this reason.
    NotSent(&'static str),
}

impl Outcome {
    /// What is wrong, a sentence each; nothing when all is well.
    #[must_use]
    pub fn faults(&self) -> Vec<String> {
        match &self.result {
            Ok(Delivered::Sent(receipt)) => {
                receipt.missed.iter().map(|why| format!("{}: {why}", self.to)).collect()
            }
            Ok(Delivered::NotSent(_)) => Vec::new(),
            Err(why) => vec![format!("{}: {why}", self.to)],
        }
    }
}

/// Delivers reports and digests by routes.
#[derive(Default)]
pub struct Deliverer {
    /// Where they go, in order.
    pub routes: Vec<Route>,
    /// Language and the like.
    pub options: RenderOptions,
    /// Where it is remembered what was sent, so that the same is not sent twice.
    pub history: Option<History>,
    /// Where it is remembered what was sent, where there is no history.
    pub sent: Option<History>,
    /// The name of the run, for a run that may be made again from its beginning, as by a Job whose pod failed: its report is
    /// another one then, of some minutes later. What goes to a route in runs of one name is one delivery, which is sent
    /// again where nothing of it arrived, and never where it arrived or may have. It needs the history. None for runs that
    /// are not repeated: a program that makes many must not give all of them one name.
    pub run: Option<String>,
}

impl Deliverer {
    /// The routes of reports or of digests, each with its place and the name of its memory, in the order in which they are
    /// served. Of routes that are all the same, the order in the configuration tells them apart.
    fn known(&self, what: What) -> Vec<(usize, &Route, String)> {
        let mut alike: BTreeMap<String, usize> = BTreeMap::new();
        let named = |(place, route)| {
            let identity = Route::identity(route);
            let nth = alike.entry(identity.clone()).or_default();
            *nth += 1;
            (place, route, hashed(&[&identity, &nth.to_string()]))
        };
        let of_kind = self.routes.iter().enumerate().filter(|(_, route)| route.what == what);
        let mut known: Vec<_> = of_kind.map(named).collect();
        known.sort_by_key(|(_, route, _)| route.sink.has_template());
        known
    }

    /// Delivers a report by every route of reports, one after the other, so that the pace of a chat is kept; those with
    /// templates of the user last. The outcomes have the order of the routes.
    pub async fn deliver(&self, report: &Report) -> Vec<Outcome> {
        self.deliver_of(self.run.as_deref(), report).await
    }

    /// As [`Self::deliver`], for a run of this name.
    pub(crate) async fn deliver_of(&self, run: Option<&str>, report: &Report) -> Vec<Outcome> {
        let mut outcomes = Vec::new();
        let patience = Patience::default();
        for (place, route, name) in self.known(What::Report) {
            let reader = Reader { route, name, run };
            outcomes.push((place, route.outcome(guarded(self.report(&reader, report, &patience)).await)));
        }
        as_configured(outcomes)
    }

    /// Delivers a digest by every route of digests, as [`Self::deliver`].
    pub async fn deliver_digest(&self, digest: &DigestReport) -> Vec<Outcome> {
        let mut outcomes = Vec::new();
        let patience = Patience::default();
        for (place, route, name) in self.known(What::Digest) {
            let content = Content::Digest(route.selection.of_digest(digest));
            let reader = Reader { route, name, run: self.run.as_deref() };
            let result = guarded(self.bring(&reader, content, false, &patience)).await;
            outcomes.push((place, route.outcome(result)));
        }
        as_configured(outcomes)
    }

    async fn report(
        &self,
        reader: &Reader<'_>,
        report: &Report,
        patience: &Patience,
    ) -> Result<Delivered, DeliverError> {
        let Reader { route, name, run } = reader;
        let news = self.news(reader, report, patience).await;
        let mut missed = news.missed;
        let content = Content::of(route.selection.of_report(&news.report));
        let delivered = self.bring(reader, content, news.is_first, patience).await?;
        // What came since the try that was sent is still to be told.
        let is_repeated = run.is_some() && delivered == Delivered::NotSent(SENT_REPORT);
        let remembered = match self.memory(route) {
            Some(history) if !is_repeated && news.told.is_none_or(|told| told < report.taken_at) => {
                history.remember_told(name, report.taken_at, patience).await
            }
            _ => Ok(()),
        };
        Ok(match delivered {
            Delivered::Sent(mut receipt) => {
                if let Err(why) = remembered
                    && receipt.missed.is_empty()
                {
                    missed.push(format!("it was sent, and that cannot be remembered: {why}"));
                }
                receipt.missed.extend(missed);
                Delivered::Sent(receipt)
            }
            // Then it is told as news once more, which is better than never.
            not_sent => not_sent,
        })
    }

    /// Where it is kept what a route was told. A file that each run writes over has no readers who wait for changes.
    fn memory(&self, route: &Route) -> Option<&History> {
        let waits = !route.sink.is_repeatable() || route.when == When::Changes;
        self.history.as_ref().filter(|_| waits)
    }

    /// The report as it is news to the readers of a route: against the last run that they were told of.
    async fn news<'r>(&self, reader: &Reader<'_>, report: &'r Report, patience: &Patience) -> News<'r> {
        let Reader { route, name, .. } = reader;
        let mut news =
            News { report: Cow::Borrowed(report), told: None, is_first: false, missed: Vec::new() };
        let Some(history) = self.memory(route) else { return news };
        match history.told(name, patience).await {
            Ok(told) => (news.told, news.is_first) = (told, told.is_none()),
            Err(why) => news.missed.push(format!("it is not known what was told there last: {why}")),
        }
        if let Some(told) = news.told.filter(|told| was_untold(report, *told)) {
            match history.compared_with(report, told, patience).await {
                Ok(compared) => news.report = Cow::Owned(compared),
                Err(why) => {
                    news.missed.push(format!("what is new since the last delivery is not known: {why}"));
                }
            }
        }
        news
    }

    /// Sends what concerns the readers of a route, unless there is no reason to.
    async fn bring(
        &self,
        reader: &Reader<'_>,
        content: Content,
        is_first: bool,
        patience: &Patience,
    ) -> Result<Delivered, DeliverError> {
        let route = reader.route;
        // To who was never told anything, all of it is a change.
        let refused = route.when.refuses(&content).filter(|_| !(is_first && route.when == When::Changes));
        if let Some(why) = refused {
            return Ok(Delivered::NotSent(why));
        }
        let key = match reader.run {
            // Programs of one Job may look at other clusters each.
            Some(run) => hashed(&[&[&reader.name, "run", run], &content.clusters()[..]].concat()),
            None => hashed(&[&reader.name, &content.identity(&self.options)?]),
        };
        let delivery = Delivery { content, options: self.options.clone(), key };
        let memory = self.history.as_ref().or(self.sent.as_ref()).filter(|_| !route.sink.is_repeatable());
        let mut missed = Vec::new();
        if let Some(history) = memory {
            match history.begin(&delivery.key, patience).await {
                Ok(Some(Sending::Arrived)) => {
                    return Ok(Delivered::NotSent(sent_already(&delivery.content)));
                }
                Ok(Some(Sending::Begun)) if !route.sink.takes_key() => {
                    return Err(DeliverError::Unclear(
                        "an earlier try to send it has no answer so far".to_owned(),
                    ));
                }
                Ok(_) => {}
                // To send twice is better than never.
                Err(why) => missed.push(format!("it is not known whether it was sent before: {why}")),
            }
        }
        let mut receipt = send(route, &delivery, memory, patience).await?;
        receipt.missed.extend(missed);
        Ok(Delivered::Sent(receipt))
    }
}

/// Outcomes in the order of their routes, whichever was served first.
fn as_configured(mut outcomes: Vec<(usize, Outcome)>) -> Vec<Outcome> {
    outcomes.sort_by_key(|(place, _)| *place);
    outcomes.into_iter().map(|(_, outcome)| outcome).collect()
}

/// A mistake of ours, or of an embedder's sink, costs one delivery.
async fn guarded(
    work: impl Future<Output = Result<Delivered, DeliverError>>,
) -> Result<Delivered, DeliverError> {
    let panicked = |_| Err(DeliverError::Unclear("the delivery panicked, which is a bug".to_owned()));
    AssertUnwindSafe(work).catch_unwind().await.unwrap_or_else(panicked)
}

/// Sends a delivery that has begun, and remembers what came of it.
async fn send(
    route: &Route,
    delivery: &Delivery,
    memory: Option<&History>,
    patience: &Patience,
) -> Result<Receipt, DeliverError> {
    let sent = tokio::time::timeout(PATIENCE, route.sink.deliver(delivery)).await;
    let late = |_| DeliverError::Unclear(format!("not done within {} s", PATIENCE.as_secs()));
    let mut sent = sent.map_err(late).flatten();
    let Some(history) = memory else { return sent };
    match &mut sent {
        Ok(receipt) => {
            if let Err(why) = history.remember_sent(&delivery.key, &receipt.what, patience).await {
                receipt.missed.push(format!("it was sent, and that cannot be remembered: {why}"));
            }
        }
        Err(DeliverError::Unclear(_)) => {}
        // Where that cannot be forgotten, the next try says that this one has no answer.
        Err(_) => drop(history.forget_begun(&delivery.key, patience).await),
    }
    sent
}

/// A route, and what is remembered of it.
struct Reader<'a> {
    route: &'a Route,
    /// The name of its memory.
    name: String,
    /// The name of the run, if it has one.
    run: Option<&'a str>,
}

/// A report for a route.
struct News<'r> {
    report: Cow<'r, Report>,
    /// The last report that the route was told of.
    told: Option<Timestamp>,
    /// Whether it was never told of any.
    is_first: bool,
    /// What is not known of all this.
    missed: Vec<String>,
}

/// Whether a report was compared with a run that a route was not told of. One that another program has kept is compared
/// already.
fn was_untold(report: &Report, told: Timestamp) -> bool {
    let compared = report.changes.iter().flat_map(|changes| changes.before.values());
    !report.coverage.is_empty() && compared.into_iter().any(|before| *before > told)
}

const SENT_REPORT: &str = "this report was sent there already";

const fn sent_already(content: &Content) -> &'static str {
    match content {
        Content::Report(_) => SENT_REPORT,
        Content::Digest(_) => "this digest was sent there already",
    }
}

/// Half of the SHA-256 of some texts, as the name of an object.
fn hashed(texts: &[&str]) -> String {
    let mut hash = digest::Context::new(&digest::SHA256);
    for text in texts {
        hash.update(text.as_bytes());
        hash.update(&[0]);
    }
    hex(&hash.finish().as_ref()[..16])
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut out, byte| {
        let _ = write!(out, "{byte:02x}");
        out
    })
}

#[cfg(test)]
pub(crate) mod tests;
