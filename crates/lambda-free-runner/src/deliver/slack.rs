//! Slack: a message with its details in the thread and the whole report as a file by a bot token, or the message alone by
//! an incoming webhook.
//!
//! A request that Slack may have taken (no answer in time, 5xx, a fault of its own) is not sent again, nor by the webhook:
//! Slack has no key by which it would know the second one, and a report that stands in a channel twice is worse than a
//! warning.

use std::time::Duration;

use async_trait::async_trait;
use healthcore_report::{SlackMessage, SlackReport};
use healthcore_sources::prometheus::Secret;
use reqwest::Url;
use reqwest::header::AUTHORIZATION;
use serde_json::{Value, json};

use super::http::{Answer, Call, Http, HttpSettings, MOST_WAIT, address};
use super::{DeliverError, Delivery, Receipt, Sink, Writing, placeholder};

/// Where the methods of Slack are, unless told otherwise.
pub const DEFAULT_API: &str = "https://slack.com/api/";

/// Slack takes about one message a second and channel.
const PACE: Duration = Duration::from_secs(1);

/// Errors of Slack of which it says that "it's possible some aspect of the operation succeeded before the error was raised"
/// (<https://docs.slack.dev/reference/methods/chat.postMessage#errors>).
const UNCLEAR: [&str; 2] = ["fatal_error", "internal_error"];

/// How reports reach a channel.
#[derive(Debug, Clone)]
pub struct SlackSettings {
    /// Name or id of the channel; a webhook has its own.
    pub channel: Option<String>,
    /// A bot token (`xoxb-...`) with the scopes `chat:write`, and `files:write` for files.
    pub token: Option<Secret>,
    /// Address of an incoming webhook, used without a token, or when Slack refuses the token.
    pub webhook: Option<Secret>,
    /// What is put into the thread as files.
    pub files: Vec<Writing>,
    /// Where the methods are.
    pub api: String,
    /// How requests are made.
    pub http: HttpSettings,
}

/// A channel of Slack.
pub struct Slack {
    settings: SlackSettings,
    api: Url,
    webhook: Option<Url>,
    http: Http,
}

impl SlackSettings {
    /// Refuses what cannot work, so that it is told before a run and not after it.
    ///
    /// # Errors
    /// Neither token nor webhook, no channel for a token, or a value that nobody has filled in. No error repeats a secret.
    pub fn check(&self) -> Result<(), String> {
        address(&self.api, false).map_err(|why| format!("api: {why}"))?;
        if let Some(token) = &self.token {
            check_token(token.reveal())?;
            if self.channel.is_none() {
                return Err("channel: expected the channel that the bot posts to, such as `#ops`; give `channel`, or SLACK_CHANNEL in the environment".into());
            }
        }
        if let Some(webhook) = &self.webhook {
            webhook_address(webhook.reveal())?;
        }
        if self.token.is_none() && self.webhook.is_none() {
            return Err("expected a bot token or a webhook; set SLACK_BOT_TOKEN and SLACK_CHANNEL, or SLACK_WEBHOOK_URL, or name others by `token-env`, `token-file`, `webhook-env` or `webhook-file`".into());
        }
        if self.token.is_none() && !self.files.is_empty() {
            return Err("files: only a bot token can upload files; give one, or leave `files` out".into());
        }
        Ok(())
    }
}

fn check_token(token: &str) -> Result<(), String> {
    if !token.starts_with("xox") {
        return Err(
            "the bot token: expected one that begins with `xoxb-`; Slack shows it under OAuth & Permissions"
                .into(),
        );
    }
    let is_of_a_token = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
    if token.split('-').skip(1).any(placeholder::is_word)
        || token.len() < 12
        || !token.chars().all(is_of_a_token)
    {
        return Err(
            "the bot token: it is a placeholder; give the one that Slack shows under OAuth & Permissions"
                .into(),
        );
    }
    Ok(())
}

fn webhook_address(text: &str) -> Result<Url, String> {
    let url = address(text, false).map_err(|why| format!("the webhook: {why}"))?;
    let segment = || url.path_segments().into_iter().flatten().any(placeholder::is_word);
    // `/services/TEAM/APP/KEY`; those of workflows have more.
    let short = || {
        let parts = url.path_segments().into_iter().flatten().filter(|part| !part.is_empty()).count();
        url.host_str().is_some_and(|host| host.starts_with("hooks.slack")) && parts < 4
    };
    let unfilled = placeholder::in_address(&url)
        .or_else(|| segment().then_some("its parts are no real ones"))
        .or_else(|| short().then_some("parts of it are missing"));
    match unfilled {
        Some(why) => Err(format!(
            "the webhook: it is a placeholder, {why}; give the address that Slack shows under Incoming Webhooks, or leave Slack out"
        )),
        None => Ok(url),
    }
}

/// Why Slack did not take a message.
enum Refusal {
    /// Nobody has seen anything; another way may do.
    Said(DeliverError),
    /// Something may have arrived.
    Unclear(DeliverError),
}

/// A file for the thread.
struct File<'a> {
    /// The format or template that it is of.
    of: &'a str,
    name: String,
    bytes: Vec<u8>,
}

impl Slack {
    /// A channel.
    ///
    /// # Errors
    /// The settings cannot work.
    pub fn new(settings: SlackSettings) -> Result<Self, DeliverError> {
        settings.check().map_err(DeliverError::Setting)?;
        let wrong = |why| DeliverError::Setting(why);
        let mut api = address(&settings.api, false).map_err(wrong)?;
        if !api.path().ends_with('/') {
            api.set_path(&format!("{}/", api.path()));
        }
        let webhook = settings.webhook.as_ref().map(|w| webhook_address(w.reveal())).transpose();
        let webhook = webhook.map_err(wrong)?;
        let secrets = settings.token.iter().chain(&settings.webhook).cloned().collect();
        let http = Http::new(&settings.http, webhook.as_ref().unwrap_or(&api), secrets)?;
        Ok(Self { settings, api, webhook, http })
    }

    #[cfg(test)]
    pub(super) fn waiting(mut self, wait: super::http::Wait) -> Self {
        self.http.wait = wait;
        self
    }

    async fn by_bot(
        &self,
        token: &Secret,
        report: &SlackReport,
        files: Vec<File<'_>>,
    ) -> Result<Receipt, Refusal> {
        let channel = self.settings.channel.as_deref().unwrap_or_default();
        let posted = self.post(token, channel, &report.message, None).await.map_err(|why| match why {
            DeliverError::Unclear(_) => Refusal::Unclear(why),
            other => Refusal::Said(other),
        })?;
        let thread = posted["ts"].as_str().unwrap_or_default().to_owned();
        // Files are shared by the id of a channel, not by its name.
        let channel = posted["channel"].as_str().unwrap_or(channel).to_owned();
        let mut receipt = Receipt::default();
        let mut replies = 0;
        for message in &report.thread {
            match self.post(token, &channel, message, Some(&thread)).await {
                Ok(_) => replies += 1,
                Err(why) => {
                    let left = report.thread.len() - replies;
                    receipt.missed.push(format!("{left} of {} replies: {why}", report.thread.len()));
                    break;
                }
            }
        }
        let mut uploaded = 0;
        for file in files {
            let of = file.of;
            match self.upload(token, &channel, &thread, file).await {
                Ok(()) => uploaded += 1,
                Err(why) => receipt.missed.push(format!("the {of} file: {why}")),
            }
        }
        receipt.what = format!(
            "message, {}, {}",
            counted(replies, "reply", "replies"),
            counted(uploaded, "file", "files")
        );
        Ok(receipt)
    }

    /// What is uploaded. It is made before anything is posted: a template with a mistake costs its entry alone, and leaves no
    /// message without the file.
    fn files(&self, delivery: &Delivery) -> Result<Vec<File<'_>>, DeliverError> {
        let mut files = Vec::new();
        for writing in &self.settings.files {
            let bytes = delivery.write(writing)?.into_bytes();
            files.push(File { of: writing.name(), name: delivery.file_name(writing.ending()), bytes });
        }
        Ok(files)
    }

    async fn post(
        &self,
        token: &Secret,
        channel: &str,
        message: &SlackMessage,
        thread: Option<&str>,
    ) -> Result<Value, DeliverError> {
        let mut body = json!(message);
        body["channel"] = channel.into();
        body["unfurl_links"] = false.into();
        body["unfurl_media"] = false.into();
        if let Some(thread) = thread {
            body["thread_ts"] = thread.into();
        }
        let call = Call::json(self.method("chat.postMessage")?, &body);
        let answer = self.ask(token, call).await;
        (self.http.wait)(PACE).await;
        answer
    }

    /// The two steps of Slack's external upload: ask for an address, bring the bytes there, and share the file in the
    /// thread.
    async fn upload(
        &self,
        token: &Secret,
        channel: &str,
        thread: &str,
        File { name, bytes, .. }: File<'_>,
    ) -> Result<(), DeliverError> {
        let mut form = Url::parse("form:?").map_err(|e| DeliverError::Setting(e.to_string()))?;
        form.query_pairs_mut().append_pair("filename", &name).append_pair("length", &bytes.len().to_string());
        let call = Call::post(
            self.method("files.getUploadURLExternal")?,
            "application/x-www-form-urlencoded",
            form.query().unwrap_or_default(),
        );
        // Asking twice gives two addresses, one of which is never used.
        let place = self.ask(token, call.repeatable()).await?;
        let id = place["file_id"].as_str().unwrap_or_default().to_owned();
        let to = address(place["upload_url"].as_str().unwrap_or_default(), false)
            .map_err(|why| DeliverError::Refused(format!("the address to upload to: {why}")))?;
        let sent = self.http.send(&Call::post(to, "application/octet-stream", bytes).repeatable()).await?;
        if !sent.status.is_success() {
            return Err(self.http.refused(&sent));
        }
        let body = json!({
            "files": [{ "id": id, "title": name }],
            "channel_id": channel,
            "thread_ts": thread,
        });
        let shared = self.ask(token, Call::json(self.method("files.completeUploadExternal")?, &body)).await;
        (self.http.wait)(PACE).await;
        shared.map(drop)
    }

    fn method(&self, name: &str) -> Result<Url, DeliverError> {
        self.api.join(name).map_err(|e| DeliverError::Setting(format!("api: {e}")))
    }

    /// Calls a method. Slack says no with 200 as well.
    async fn ask(&self, token: &Secret, call: Call) -> Result<Value, DeliverError> {
        let call = call.secret(AUTHORIZATION, &format!("Bearer {}", token.reveal()))?;
        let mut answer = self.http.send(&call).await?;
        let mut value = said_by(&answer);
        // A limit of its own comes with 200, and the pause that it asks for; nobody has seen the message.
        if matches!(value["error"].as_str(), Some("ratelimited" | "rate_limited"))
            && let Some(pause) = answer.retry_after.filter(|pause| *pause <= MOST_WAIT)
        {
            (self.http.wait)(pause).await;
            answer = self.http.send(&call).await?;
            value = said_by(&answer);
        }
        match (&value["ok"], value["error"].as_str()) {
            (Value::Bool(true), _) => Ok(value),
            (_, Some(error)) if UNCLEAR.contains(&error) => {
                Err(DeliverError::Unclear(format!("Slack answered {}", self.http.said(error))))
            }
            (_, Some(error)) => Err(DeliverError::Refused(self.explained(error, &value))),
            _ => Err(self.http.refused(&answer)),
        }
    }

    /// An error of Slack with what to do about it.
    fn explained(&self, error: &str, answer: &Value) -> String {
        let channel = self.settings.channel.as_deref().unwrap_or("the channel");
        let hint = match error {
            "not_in_channel" => format!("the bot is no member of {channel}; invite it there with `/invite @BOT`"),
            "channel_not_found" => {
                format!("there is no {channel} that the bot can see; check the name, and invite the bot where the channel is private")
            }
            "is_archived" => format!("{channel} is archived; name another channel"),
            "invalid_auth" | "not_authed" | "account_inactive" | "token_revoked" | "token_expired" => {
                "Slack does not take the bot token; give a new one from OAuth & Permissions".to_owned()
            }
            "missing_scope" => format!(
                "the bot lacks the scope `{}`; add it under OAuth & Permissions and install the app again",
                answer["needed"].as_str().unwrap_or("chat:write")
            ),
            "restricted_action" | "restricted_action_read_only_channel" | "team_access_not_granted" => {
                format!("the workspace does not let the bot post to {channel}; ask its administrator")
            }
            "ratelimited" | "rate_limited" | "message_limit_exceeded" => {
                "too many messages; deliver less often".to_owned()
            }
            "msg_too_long" | "msg_blocks_too_long" | "invalid_blocks" | "invalid_blocks_format" => {
                "the message breaks a rule of Slack, which is a fault of this program; please report it with the output of `--format slack`".to_owned()
            }
            "service_unavailable" => "Slack has a fault of its own; try again later".to_owned(),
            _ => String::new(),
        };
        let notes = answer["response_metadata"]["messages"].as_array();
        let notes: Vec<&str> = notes.into_iter().flatten().filter_map(Value::as_str).take(3).collect();
        let mut out = format!("Slack answered {}", self.http.said(error));
        if !hint.is_empty() {
            out.push_str(&format!(": {hint}"));
        }
        if !notes.is_empty() {
            out.push_str(&format!(" ({})", self.http.said(&notes.join("; "))));
        }
        out
    }

    async fn by_webhook(&self, url: &Url, report: &SlackReport) -> Result<Receipt, DeliverError> {
        let answer = self.http.send(&Call::json(url.clone(), &json!(report.message))).await?;
        (self.http.wait)(PACE).await;
        if answer.status.is_success() {
            return Ok(Receipt::of("message by the webhook"));
        }
        Err(self.webhook_refused(&answer))
    }

    fn webhook_refused(&self, answer: &Answer) -> DeliverError {
        let hint = match answer.body.trim() {
            "invalid_token" | "no_service" | "no_active_hooks" | "no_team" => {
                "the webhook is not valid any more; make a new one under Incoming Webhooks"
            }
            "channel_not_found" | "channel_is_archived" => {
                "its channel is gone; make a webhook for another one"
            }
            "action_prohibited" | "posting_to_general_channel_denied" => {
                "the workspace does not let webhooks post there; ask its administrator"
            }
            "invalid_payload" | "invalid_blocks" | "no_text" | "too_many_attachments" => {
                "the message breaks a rule of Slack, which is a fault of this program; please report it with the output of `--format slack`"
            }
            _ => return self.http.refused(answer),
        };
        DeliverError::Refused(format!(
            "the webhook answered {} {}: {hint}",
            answer.status.as_u16(),
            self.http.said(&answer.body)
        ))
    }
}

#[async_trait]
impl Sink for Slack {
    fn name(&self) -> String {
        match (&self.settings.channel, &self.settings.token) {
            (Some(channel), Some(_)) => format!("slack {channel}"),
            _ => "slack webhook".to_owned(),
        }
    }

    fn target(&self) -> String {
        match (&self.settings.channel, &self.settings.token, &self.webhook) {
            (Some(channel), Some(_), _) => format!("slack {} {channel}", self.api),
            (.., Some(webhook)) => format!("slack {webhook}"),
            _ => self.name(),
        }
    }

    fn has_template(&self) -> bool {
        self.settings.files.iter().any(Writing::is_own)
    }

    async fn deliver(&self, delivery: &Delivery) -> Result<Receipt, DeliverError> {
        let report = delivery.content.slack(&delivery.options);
        let files = self.files(delivery)?;
        let refused = match &self.settings.token {
            Some(token) => match self.by_bot(token, &report, files).await {
                Ok(receipt) => return Ok(receipt),
                Err(Refusal::Unclear(why)) => return Err(why),
                Err(Refusal::Said(why)) => Some(why),
            },
            None => None,
        };
        match (&self.webhook, refused) {
            (Some(url), None) => self.by_webhook(url, &report).await,
            (Some(url), Some(why)) => {
                let mut receipt = self.by_webhook(url, &report).await.map_err(|other| {
                    DeliverError::Refused(format!("by the bot token: {why}; by the webhook: {other}"))
                })?;
                receipt.missed.push(format!("the bot token did not do, so the webhook was used: {why}"));
                Ok(receipt)
            }
            (None, Some(why)) => Err(why),
            (None, None) => Err(DeliverError::Setting("neither token nor webhook".into())),
        }
    }
}

fn said_by(answer: &Answer) -> Value {
    serde_json::from_str(&answer.body).unwrap_or_default()
}

fn counted(n: usize, one: &str, other: &str) -> String {
    format!("{n} {}", if n == 1 { one } else { other })
}
