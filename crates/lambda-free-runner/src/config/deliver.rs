//! The list `deliver`: where reports go after a run, and digests.

use std::collections::BTreeMap;
use std::path::PathBuf;

use healthcore::finding::Severity;
use healthcore_report::{Chat, Format, Template};
use healthcore_sources::prometheus::Secret;

use super::tree::Node;
use super::{HEADER, Secrets, holds_credentials, namespace_pattern, request_timeout};
use crate::deliver::{
    ChatSettings, ChatSink, DEFAULT_API, DeliverError, Email, EmailSettings, FileSettings, FileSink,
    HttpSettings, Pushgateway, PushgatewaySettings, Route, Security, Selection, Sink, Slack, SlackSettings,
    StdoutSink, Webhook, WebhookSettings, What, When, Writing,
};

/// Keys of every entry.
const COMMON: &[&str] = &["type", "what", "when", "severity", "clusters", "namespaces", "on-failure"];
/// Keys of entries that connect to somebody.
const HTTP: &[&str] = &["timeout", "ca-file"];
const SLACK: &[&str] = &["channel", "token-env", "token-file", "webhook-env", "webhook-file", "files", "api"];
const WEBHOOK: &[&str] = &["url", "url-env", "url-file", "secret-env", "secret-file", "headers"];
const CHAT: &[&str] = &["webhook-env", "webhook-file", "secret-env", "secret-file"];
const TEAMS: &[&str] = &["webhook-env", "webhook-file"];
const EMAIL: &[&str] = &[
    "server",
    "security",
    "username-env",
    "username-file",
    "password-env",
    "password-file",
    "from",
    "to",
    "attach",
];
const FILE: &[&str] = &["path", "format"];
const STDOUT: &[&str] = &["format"];
const PUSHGATEWAY: &[&str] = &["url", "job", "headers"];

/// Types with their own keys, and whether they have a time-out and certificates.
pub(super) const TYPES: &[(&str, &[&str], bool)] = &[
    ("slack", SLACK, true),
    ("webhook", WEBHOOK, true),
    ("teams", TEAMS, true),
    ("dingtalk", CHAT, true),
    ("feishu", CHAT, true),
    ("email", EMAIL, true),
    ("file", FILE, false),
    ("stdout", STDOUT, false),
    ("pushgateway", PUSHGATEWAY, true),
];

/// Every key that some entry may have, for the schema.
pub(super) fn keys() -> Vec<&'static str> {
    let own = TYPES.iter().flat_map(|(_, keys, _)| keys.iter());
    let mut all: Vec<&str> = COMMON.iter().chain(HTTP).chain(own).copied().collect();
    all.sort_unstable();
    all.dedup();
    all
}

/// Where reports or digests go, of which part, and when.
#[derive(Debug, Clone)]
pub struct RouteConfig {
    /// Where it stands: `deliver[0]`.
    pub place: String,
    /// Where they go; or why nowhere, such as a secret that is not set. That matters only to who delivers: a laptop without
    /// the token of a bot can use the same file.
    pub sink: Result<SinkConfig, String>,
    /// Reports or digests.
    pub what: What,
    /// What of them.
    pub selection: Selection,
    /// When.
    pub when: When,
    /// Whether a delivery that fails makes the run one that failed.
    pub required: bool,
}

/// A place where reports go.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum SinkConfig {
    /// A channel of Slack.
    Slack(SlackSettings),
    /// An HTTP endpoint.
    Webhook(WebhookSettings),
    /// A group of Teams, DingTalk or Feishu.
    Chat(ChatSettings),
    /// Mail.
    Email(EmailSettings),
    /// Files.
    File(FileSettings),
    /// Standard output.
    Stdout(Writing),
    /// A Pushgateway.
    Pushgateway(PushgatewaySettings),
}

impl SinkConfig {
    fn open(&self) -> Result<Box<dyn Sink>, DeliverError> {
        Ok(match self.clone() {
            Self::Slack(settings) => Box::new(Slack::new(settings)?),
            Self::Webhook(settings) => Box::new(Webhook::new(settings)?),
            Self::Chat(settings) => Box::new(ChatSink::new(settings)?),
            Self::Email(settings) => Box::new(Email::new(settings)?),
            Self::File(settings) => Box::new(FileSink::new(settings)?),
            Self::Stdout(format) => Box::new(StdoutSink(format)),
            Self::Pushgateway(settings) => Box::new(Pushgateway::new(settings)?),
        })
    }
}

impl RouteConfig {
    /// The route, ready to deliver. Nothing is sent yet.
    ///
    /// # Errors
    /// The settings cannot work, a secret is not set, or a file of certificates cannot be used.
    pub fn open(&self) -> Result<Route, DeliverError> {
        let settings = self.sink.as_ref().map_err(|why| DeliverError::Setting(why.clone()))?;
        let sink = settings.open().map_err(|e| DeliverError::Setting(format!("{}: {e}", self.place)))?;
        Ok(Route {
            place: self.place.clone(),
            sink,
            what: self.what,
            selection: self.selection.clone(),
            when: self.when,
            required: self.required,
        })
    }
}

/// Files of the user's templates, by name.
type Templates = BTreeMap<String, PathBuf>;

pub(super) fn routes(
    node: &Node<'_>,
    secrets: &Secrets<'_>,
    templates: &Templates,
) -> Result<Vec<RouteConfig>, String> {
    node.list()?.iter().map(|item| route(item, secrets, templates)).collect()
}

fn route(node: &Node<'_>, secrets: &Secrets<'_>, templates: &Templates) -> Result<RouteConfig, String> {
    let types: Vec<(&str, usize)> = TYPES.iter().enumerate().map(|(at, (name, ..))| (*name, at)).collect();
    let given = node.entries()?.into_iter().find(|(key, _)| *key == "type");
    let Some((_, kind)) = given else {
        let names: Vec<String> = types.iter().map(|(name, _)| format!("`{name}`")).collect();
        return Err(format!("{}.type: expected one of {}", node.path(), names.join(", ")));
    };
    let (name, own, is_http) = TYPES[kind.word(&types)?];
    let mut known: Vec<&str> = COMMON.iter().chain(own).copied().collect();
    if is_http {
        known.extend(HTTP);
    }
    let entries = node.map(&known)?;
    let mut out = RouteConfig {
        place: node.path().to_owned(),
        sink: Ok(SinkConfig::Stdout(Format::Markdown.into())),
        what: What::default(),
        selection: Selection::default(),
        when: When::default(),
        required: false,
    };
    for (key, value) in &entries {
        match *key {
            "what" => {
                out.what = value.word(&[("report", What::Report), ("digest", What::Digest)])?;
                if out.what == What::Digest && name == "pushgateway" {
                    return Err(format!(
                        "{}: a digest has no samples for a Pushgateway; leave `what: digest` out, or name another type",
                        value.path()
                    ));
                }
            }
            "when" => {
                let words =
                    [("always", When::Always), ("changes", When::Changes), ("problems", When::Problems)];
                out.when = value.word(&words)?;
            }
            "severity" => {
                let severities = [Severity::Info, Severity::Warning, Severity::Critical];
                out.selection.floor = value.word(&severities.map(|s| (s.name(), s)))?;
            }
            "clusters" => out.selection.clusters = value.texts()?,
            "namespaces" => {
                let globs = value.texts()?.into_iter().map(|glob| namespace_pattern(&glob));
                let globs: Result<Vec<String>, String> = globs.collect();
                out.selection.namespaces = globs.map_err(|why| format!("{}: {why}", value.path()))?;
            }
            "on-failure" => out.required = value.word(&[("warn", false), ("fail", true)])?,
            _ => {}
        }
    }
    let of = Entry { node, entries: &entries, secrets, templates, what: out.what };
    out.sink = match name {
        "slack" => of.slack().map(SinkConfig::Slack),
        "webhook" => of.webhook().map(SinkConfig::Webhook),
        "teams" => of.chat(Chat::Teams).map(SinkConfig::Chat),
        "dingtalk" => of.chat(Chat::DingTalk).map(SinkConfig::Chat),
        "feishu" => of.chat(Chat::Feishu).map(SinkConfig::Chat),
        "email" => of.email().map(SinkConfig::Email),
        "file" => of.file().map(SinkConfig::File),
        "stdout" => of.writing().map(|w| SinkConfig::Stdout(w.unwrap_or(Format::Markdown.into()))),
        _ => of.pushgateway().map(SinkConfig::Pushgateway),
    };
    Ok(out)
}

/// An entry of the list.
struct Entry<'a> {
    node: &'a Node<'a>,
    entries: &'a [(&'a str, Node<'a>)],
    secrets: &'a Secrets<'a>,
    templates: &'a Templates,
    what: What,
}

impl Entry<'_> {
    fn get(&self, key: &str) -> Option<&Node<'_>> {
        self.entries.iter().find(|(k, _)| *k == key).map(|(_, node)| node)
    }

    fn text(&self, key: &str) -> Result<Option<String>, String> {
        self.get(key).map(Node::text).transpose()
    }

    /// A secret that `NAME-env` or `NAME-file` holds; else what the environment has under the usual name.
    fn secret(&self, name: &str, usual: Option<&str>) -> Result<Option<Secret>, String> {
        let (env, file) = (format!("{name}-env"), format!("{name}-file"));
        let given = match (self.get(&env), self.get(&file)) {
            (Some(_), Some(_)) => {
                return Err(format!("{}: expected `{env}` or `{file}`, not both", self.node.path()));
            }
            (Some(node), None) => Some(self.secrets.in_env(node)?),
            (None, Some(node)) => Some(self.secrets.in_file(node)?),
            (None, None) => usual.and_then(|usual| (self.secrets.environment)(usual)),
        };
        Ok(given.map(|text| text.trim().to_owned()).filter(|text| !text.is_empty()).map(Secret::new))
    }

    fn wrong(&self, why: impl std::fmt::Display) -> String {
        format!("{}: {why}", self.node.path())
    }

    fn writing(&self) -> Result<Option<Writing>, String> {
        self.get("format").map(|node| self.writing_of(node)).transpose()
    }

    /// A format, or `template=FILE` with a file or the name of one.
    fn writing_of(&self, node: &Node<'_>) -> Result<Writing, String> {
        let text = node.text()?;
        let name = match text.split_once('=') {
            Some(("template", name)) if !name.is_empty() => name,
            _ if text == "template" || text == "template=" => {
                return Err(format!("{}: name the file too, such as `template=daily.md.j2`", node.path()));
            }
            _ => return self.format_of(node).map(Writing::Known),
        };
        let path = self.templates.get(name).cloned().unwrap_or_else(|| self.secrets.folder.join(name));
        let source = std::fs::read_to_string(&path)
            .map_err(|e| format!("{}: {} cannot be read: {e}", node.path(), path.display()))?;
        let template = Template::new(&path.display().to_string(), source);
        Ok(Writing::Own(Box::new(template.map_err(|e| format!("{}: {e}", node.path()))?)))
    }

    /// A format that what the entry carries has.
    fn format_of(&self, node: &Node<'_>) -> Result<Format, String> {
        let known: Vec<(&str, Format)> = self.what.formats().iter().map(|f| (f.name(), *f)).collect();
        node.word(&known).map_err(|why| match self.what {
            What::Digest => format!("{why}; digests have no other formats"),
            What::Report => why,
        })
    }

    fn writings(&self, key: &str, usual: &[Format]) -> Result<Vec<Writing>, String> {
        match self.get(key) {
            Some(node) => node.items()?.iter().map(|item| self.writing_of(item)).collect(),
            None => Ok(usual.iter().copied().map(Writing::Known).collect()),
        }
    }

    fn http(&self) -> Result<HttpSettings, String> {
        let mut out = HttpSettings::default();
        if let Some(node) = self.get("timeout") {
            out.timeout = request_timeout(node.read()?).map_err(|why| format!("{}: {why}", node.path()))?;
        }
        out.ca_file = self.text("ca-file")?.map(|path| self.secrets.folder.join(path));
        if let Some(node) = self.get("headers") {
            for item in node.list()? {
                out.headers.push(header(&item, self.secrets)?);
            }
        }
        Ok(out)
    }

    fn slack(&self) -> Result<SlackSettings, String> {
        let environment = |name: &str| (self.secrets.environment)(name).filter(|v| !v.trim().is_empty());
        // A token or webhook that the file names is meant alone: one of the environment may be of another workspace.
        let named = self.entries.iter().any(|(k, _)| k.starts_with("token-") || k.starts_with("webhook-"));
        let usual = |name: &'static str| (!named).then_some(name);
        let token = self.secret("token", usual("SLACK_BOT_TOKEN"))?;
        let of_itself: &[Format] = match (&token, self.what) {
            (None, _) => &[],
            (_, What::Report) => &[Format::Html],
            (_, What::Digest) => &[Format::Markdown],
        };
        let channel = self.text("channel")?.or_else(|| environment("SLACK_CHANNEL"));
        let settings = SlackSettings {
            channel: channel.map(|c| c.trim().to_owned()).filter(|c| !c.is_empty()),
            files: self.writings("files", of_itself)?,
            token,
            webhook: self.secret("webhook", usual("SLACK_WEBHOOK_URL"))?,
            api: self.text("api")?.unwrap_or_else(|| DEFAULT_API.to_owned()),
            http: self.http()?,
        };
        settings.check().map_err(|why| self.wrong(why))?;
        Ok(settings)
    }

    /// An address that the file may hold, for it has no credentials, or that something else holds.
    fn url(&self) -> Result<Secret, String> {
        match (self.text("url")?, self.secret("url", None)?) {
            (Some(url), None) if holds_credentials(&url) => Err(self.wrong(
                "url: the address holds credentials, and the file is for none; name what holds it by `url-env` or `url-file`",
            )),
            (Some(url), None) => Ok(Secret::new(url)),
            (None, Some(url)) => Ok(url),
            (Some(_), Some(_)) => Err(self.wrong("expected `url`, `url-env` or `url-file`, not two of them")),
            (None, None) => Err(self.wrong("url: expected an address, or `url-env` or `url-file` with what holds it")),
        }
    }

    fn webhook(&self) -> Result<WebhookSettings, String> {
        let settings =
            WebhookSettings { url: self.url()?, secret: self.secret("secret", None)?, http: self.http()? };
        settings.check().map_err(|why| self.wrong(why))?;
        Ok(settings)
    }

    fn chat(&self, chat: Chat) -> Result<ChatSettings, String> {
        let url = self.secret("webhook", None)?.ok_or_else(|| {
            self.wrong("expected `webhook-env` or `webhook-file` with what holds the address of the bot")
        })?;
        let settings = ChatSettings { chat, url, secret: self.secret("secret", None)?, http: self.http()? };
        settings.check().map_err(|why| self.wrong(why))?;
        Ok(settings)
    }

    fn email(&self) -> Result<EmailSettings, String> {
        let server = self.text("server")?.unwrap_or_default();
        let (host, port) = match server.rsplit_once(':') {
            Some((host, port)) => {
                let wrong = || self.wrong(format!("server: expected a port from 1 to 65535, got `{port}`"));
                (host, Some(port.parse::<u16>().ok().filter(|p| *p > 0).ok_or_else(wrong)?))
            }
            None => (server.as_str(), None),
        };
        let words = [("starttls", Security::StartTls), ("tls", Security::Tls), ("none", Security::None)];
        let security = match self.get("security") {
            Some(node) => node.word(&words)?,
            None if port == Some(465) => Security::Tls,
            None => Security::StartTls,
        };
        let credentials = match (self.secret("username", None)?, self.secret("password", None)?) {
            (Some(name), Some(password)) => Some((name.reveal().to_owned(), password)),
            (None, None) => None,
            _ => return Err(self.wrong("expected a user name with a password, or neither")),
        };
        let usual = match security {
            Security::Tls => 465,
            Security::StartTls => 587,
            Security::None => 25,
        };
        let HttpSettings { timeout, ca_file, .. } = self.http()?;
        let settings = EmailSettings {
            host: host.to_owned(),
            port: port.unwrap_or(usual),
            security,
            credentials,
            from: self.text("from")?.unwrap_or_default(),
            to: self.get("to").map(Node::texts).transpose()?.unwrap_or_default(),
            // The text of the mail is the whole digest.
            attach: self.writings("attach", if self.what == What::Report { &[Format::Html] } else { &[] })?,
            timeout,
            ca_file,
        };
        settings.check().map_err(|why| self.wrong(why))?;
        Ok(settings)
    }

    /// A path is relative to the file, as all paths in it.
    fn file(&self) -> Result<FileSettings, String> {
        let path = self.text("path")?.unwrap_or_default();
        let ending = path.rsplit_once('.').map_or("", |(_, ending)| ending);
        let format = match self.writing()? {
            Some(writing) => writing,
            None => Writing::Known(Format::from_ending(ending).ok_or_else(|| {
                self.wrong("format: expected the name of a format, for the path has no ending that tells it")
            })?),
        };
        if matches!(&format, Writing::Known(format) if !self.what.formats().contains(format)) {
            let known = self.what.formats().iter().map(|f| format!("`{}`", f.ending())).collect::<Vec<_>>();
            return Err(self.wrong(format_args!(
                "path: expected the ending of a digest, {}, got `{ending}`",
                known.join(" or ")
            )));
        }
        FileSettings { path: path.clone().into(), format: format.clone() }
            .check()
            .map_err(|why| self.wrong(why))?;
        Ok(FileSettings { path: self.secrets.folder.join(path), format })
    }

    fn pushgateway(&self) -> Result<PushgatewaySettings, String> {
        let url = self.text("url")?.ok_or_else(|| {
            self.wrong(
                "url: expected the address of a Pushgateway, such as `http://pushgateway.monitoring:9091`",
            )
        })?;
        if holds_credentials(&url) {
            return Err(self.wrong(
                "url: the address holds credentials, and the file is for none; give them as a header",
            ));
        }
        let job = self.text("job")?.unwrap_or_else(|| "healthcheck".to_owned());
        let settings = PushgatewaySettings { url, job, http: self.http()? };
        settings.check().map_err(|why| self.wrong(why))?;
        Ok(settings)
    }
}

fn header(node: &Node<'_>, secrets: &Secrets<'_>) -> Result<(String, Secret), String> {
    let (mut name, mut value) = (String::new(), None);
    for (key, node) in node.map(HEADER)? {
        match key {
            "name" => name = node.text()?,
            "value-env" => value = Some(secrets.in_env(&node)?),
            _ => value = Some(secrets.in_file(&node)?),
        }
    }
    let value = value.ok_or_else(|| format!("{}: expected `value-env` or `value-file`", node.path()))?;
    Ok((name, Secret::new(value)))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::Config;

    fn parse(entry: &str) -> Result<String, String> {
        let environment = |name: &str| match name {
            "TOKEN" => Some("xoxb-1234-5678-AbCdEf".to_owned()),
            "HOOK" => Some(
                "https://hooks.slack.com/services/T024BE7LD/B01ABCDEF12/x7Kq2LmPa9wErT4yUiOp0ZcV\n"
                    .to_owned(),
            ),
            "PLACEHOLDER" => Some("https://hooks.slack.com/services/XXX/YYY/ZZZ".to_owned()),
            "YOURS" => Some("https://hooks.slack.com/services/YOUR/WEBHOOK/URL".to_owned()),
            "ZEROS" => Some(
                "https://hooks.slack.com/services/T00000000/B00000000/XXXXXXXXXXXXXXXXXXXXXXXX".to_owned(),
            ),
            "EXAMPLE" => Some("https://example.com/hook".to_owned()),
            "PLAIN" => Some(
                "http://hooks.slack.com/services/T024BE7LD/B01ABCDEF12/x7Kq2LmPa9wErT4yUiOp0ZcV".to_owned(),
            ),
            "TEAMS" => Some(
                "https://prod-01.westus.logic.azure.com/workflows/a1/triggers/manual/paths/invoke?sig=b2"
                    .to_owned(),
            ),
            "DING" => Some("https://oapi.dingtalk.com/robot/send?access_token=0a1b2c".to_owned()),
            "YOUR_DING" => Some("https://oapi.dingtalk.com/robot/send?access_token=YOUR_TOKEN".to_owned()),
            "LARK" => Some(
                "https://open.feishu.cn/open-apis/bot/v2/hook/xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx"
                    .to_owned(),
            ),
            "WORD" => Some("sesame".to_owned()),
            "YOUR_TOKEN" => Some("xoxb-your-token".to_owned()),
            _ => None,
        };
        let config = Config::parse(&format!("deliver: [{{{entry}}}]"), Path::new("/etc/hc"), &environment)?;
        assert!(!format!("{config:?}").contains("x7Kq2LmPa9wErT4yUiOp0ZcV"), "a secret is never shown");
        Ok(config.deliver[0].open().map_err(|e| e.to_string())?.plan())
    }

    #[test]
    fn entries() {
        for (entry, expected) in [
            (
                "type: slack, channel: '#ops', token-env: TOKEN",
                "deliver[0]: slack #ops, after every run; a failure is a warning",
            ),
            (
                "type: slack, webhook-env: HOOK, when: changes, severity: warning, namespaces: [pay-*, shop], on-failure: fail",
                "deliver[0]: slack webhook, when something has changed, severity warning and above, namespaces pay-* shop; a failure fails the run",
            ),
            (
                "type: webhook, url-env: HOOK, secret-env: WORD",
                "deliver[0]: webhook hooks.slack.com, after every run; a failure is a warning",
            ),
            (
                "type: file, path: 'reports/{cluster}-{date}.html', when: problems",
                "deliver[0]: file /etc/hc/reports/{cluster}-{date}.html, when there is a problem; a failure is a warning",
            ),
            (
                "type: teams, webhook-env: TEAMS",
                "deliver[0]: teams prod-01.westus.logic.azure.com, after every run; a failure is a warning",
            ),
            (
                "type: dingtalk, webhook-env: DING, secret-env: WORD",
                "deliver[0]: dingtalk oapi.dingtalk.com, after every run; a failure is a warning",
            ),
            (
                "type: email, server: 'smtp.corp.net:465', username-env: WORD, password-env: WORD, from: 'Doctor <d@corp.net>', to: [a@corp.net, b@corp.net]",
                "deliver[0]: email a@corp.net and 1 more, after every run; a failure is a warning",
            ),
            ("type: stdout, format: json", "deliver[0]: stdout, after every run; a failure is a warning"),
            (
                "type: slack, what: digest, channel: '#ops', token-env: TOKEN, when: changes, namespaces: pay-*",
                "deliver[0]: slack #ops, digests when something has changed, namespaces pay-*; a failure is a warning",
            ),
            (
                "type: email, what: digest, server: 'smtp.corp.net:465', from: d@corp.net, to: a@corp.net, attach: [markdown, json]",
                "deliver[0]: email a@corp.net, every digest; a failure is a warning",
            ),
            (
                "type: file, what: digest, path: 'week/{cluster}-{date}.md', when: problems",
                "deliver[0]: file /etc/hc/week/{cluster}-{date}.md, digests when there is a problem; a failure is a warning",
            ),
            (
                "type: pushgateway, url: 'http://push.monitoring:9091'",
                "deliver[0]: pushgateway push.monitoring, after every run; a failure is a warning",
            ),
        ] {
            assert_eq!(parse(entry).as_deref(), Ok(expected), "{entry}");
        }
    }

    #[test]
    fn what_an_entry_sends_of_itself_follows_what_it_carries() {
        let files = |entry: &str| {
            let environment = |_: &str| Some("xoxb-1234-5678-AbCdEf".to_owned());
            let text = format!("deliver: [{{type: slack, channel: x, token-env: T{entry}}}]");
            let config = Config::parse(&text, Path::new("."), &environment).unwrap();
            match &config.deliver[0].sink {
                Ok(SinkConfig::Slack(settings)) => {
                    settings.files.iter().map(Writing::ending).collect::<Vec<_>>().join(" ")
                }
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(files(""), "html");
        assert_eq!(files(", what: report"), "html");
        assert_eq!(files(", what: digest"), "md");
        assert_eq!(files(", what: digest, files: json"), "json");
        assert_eq!(files(", what: digest, files: []"), "");
    }

    /// The example of the documentation.
    #[test]
    fn the_example_is_valid() {
        let page = include_str!("../../../../docs/delivery.md");
        let example = page.split("```yaml\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
        let environment = |name: &str| match name {
            "SLACK_BOT_TOKEN" => Some("xoxb-1234-5678-AbCdEf".to_owned()),
            "HOOK_URL" => Some("https://hooks.corp.net/in".to_owned()),
            "HOOK_SECRET" | "SMTP_USER" | "SMTP_PASSWORD" => Some("sesame".to_owned()),
            "TEAMS_WEBHOOK" => Some("https://prod-01.westus.logic.azure.com/workflows/a1".to_owned()),
            _ => None,
        };
        let config = Config::parse(example, Path::new("."), &environment).unwrap();
        let plans: Vec<String> = config.deliver.iter().map(|r| r.open().unwrap().plan()).collect();
        assert_eq!(plans.len(), example.matches("- type").count());
        assert!(plans[1].contains(
            "#payments, when something has changed, severity warning and above, namespaces pay-* ledger"
        ));
    }

    /// By its file, or by the name that the configuration gives it, wherever that stands.
    #[test]
    fn templates_are_read_with_the_configuration() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("daily.md.j2"), "{{ verdict }}\n").unwrap();
        std::fs::write(folder.path().join("wrong.j2"), "one\n{% if %}\n").unwrap();
        let read = |entry: &str| {
            let text = format!("deliver: [{{{entry}}}]\ntemplates: {{daily: daily.md.j2}}");
            let environment = |_: &str| Some("xoxb-1234-5678-AbCdEf".to_owned());
            let config = Config::parse(&text, folder.path(), &environment)?;
            match config.deliver[0].sink.clone()? {
                SinkConfig::Slack(settings) => {
                    Ok(settings.files.iter().map(Writing::ending).collect::<Vec<_>>().join(" "))
                }
                SinkConfig::File(settings) => Ok(settings.format.ending().to_owned()),
                SinkConfig::Stdout(writing) => Ok(writing.ending().to_owned()),
                SinkConfig::Email(settings) => {
                    Ok(settings.attach.iter().map(Writing::ending).collect::<Vec<_>>().join(" "))
                }
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(
            read("type: file, path: 'x/{date}.{format}', format: template=daily").as_deref(),
            Ok("md")
        );
        assert_eq!(read("type: file, path: 'x.txt', format: template=daily.md.j2").as_deref(), Ok("md"));
        assert_eq!(read("type: stdout, format: template=daily").as_deref(), Ok("md"));
        let mail = "type: email, server: s, from: d@corp.net, to: a@corp.net, attach: [html, template=daily]";
        assert_eq!(read(mail).as_deref(), Ok("html md"));
        // Digests take the same ones.
        assert_eq!(read("type: stdout, what: digest, format: template=daily").as_deref(), Ok("md"));
        assert_eq!(read(&format!("what: digest, {}", mail.replace("html, ", ""))).as_deref(), Ok("md"));
        let slack = "type: slack, channel: x, token-env: TOKEN, files: [json, template=daily]";
        assert_eq!(read(&format!("what: digest, {slack}")).as_deref(), Ok("json md"));
        assert_eq!(read(slack).as_deref(), Ok("json md"));
        for (entry, part) in [
            ("type: stdout, format: template=none.j2", "none.j2 cannot be read: "),
            ("type: stdout, format: template=wrong.j2", "wrong.j2:2: "),
            ("type: stdout, format: template", "deliver[0].format: name the file too"),
            ("type: stdout, what: digest, format: template=wrong.j2", "wrong.j2:2: "),
            ("type: slack, channel: x, token-env: T, files: [template=wrong.j2]", "deliver[0].files[0]: "),
        ] {
            let why: String = read(entry).unwrap_err();
            assert!(why.contains(part), "{entry}: {why}");
        }
    }

    #[test]
    fn who_does_not_deliver_needs_no_secret() {
        let text = "deliver: [{type: slack, channel: x, token-env: NONE}]";
        let config = Config::parse(text, Path::new("."), &|_| None).unwrap();
        let why = config.deliver[0].open().map(|_| ()).unwrap_err().to_string();
        assert!(why.starts_with("deliver[0].token-env: the environment variable `NONE` is not set"), "{why}");
    }

    #[test]
    fn mistakes_are_named_and_show_no_secret() {
        for (entry, expected) in [
            ("when: always", "deliver[0].type: expected one of `slack`, `webhook`"),
            ("type: slak", "deliver[0].type: expected `slack` or `webhook`"),
            ("type: slack, chanel: x", "deliver[0].chanel: unknown key, did you mean `channel`?"),
            ("type: slack", "deliver[0]: expected a bot token or a webhook; set SLACK_BOT_TOKEN"),
            (
                "type: slack, token-env: TOKEN",
                "deliver[0]: channel: expected the channel that the bot posts to",
            ),
            (
                "type: slack, token-env: NONE",
                "deliver[0].token-env: the environment variable `NONE` is not set",
            ),
            (
                "type: slack, channel: x, token-env: WORD",
                "deliver[0]: the bot token: expected one that begins with `xoxb-`",
            ),
            (
                "type: slack, channel: x, token-env: YOUR_TOKEN",
                "deliver[0]: the bot token: it is a placeholder",
            ),
            (
                "type: slack, webhook-env: PLACEHOLDER",
                "deliver[0]: the webhook: it is a placeholder, its parts",
            ),
            ("type: slack, webhook-env: YOURS", "deliver[0]: the webhook: it is a placeholder, its parts"),
            ("type: slack, webhook-env: ZEROS", "deliver[0]: the webhook: it is a placeholder, its parts"),
            ("type: slack, webhook-env: EXAMPLE", "deliver[0]: the webhook: it is a placeholder, its host"),
            (
                "type: slack, webhook-env: PLAIN",
                "deliver[0]: the webhook: expected an address with `https://`",
            ),
            ("type: slack, webhook-env: WORD", "deliver[0]: the webhook: expected an address such as"),
            (
                "type: slack, webhook-env: HOOK, files: html",
                "deliver[0]: files: only a bot token can upload files",
            ),
            (
                "type: slack, webhook-env: HOOK, webhook-file: x",
                "deliver[0]: expected `webhook-env` or `webhook-file`, not both",
            ),
            (
                "type: slack, webhook-env: HOOK, when: never",
                "deliver[0].when: expected `always` or `changes` or `problems`",
            ),
            (
                "type: slack, webhook-env: HOOK, namespaces: Shop",
                "deliver[0].namespaces: expected the name of a namespace",
            ),
            ("type: webhook", "deliver[0]: url: expected an address"),
            (
                "type: webhook, url: 'https://a:b@hooks.corp'",
                "deliver[0]: url: the address holds credentials",
            ),
            (
                "type: webhook, url: 'ftp://hooks.corp'",
                "deliver[0]: url: expected an address with `https://`, got `ftp://`",
            ),
            ("type: webhook, url: 'https://example.com/x'", "deliver[0]: url: it is a placeholder"),
            (
                "type: file, path: 'r/{day}.html'",
                "deliver[0]: path: expected a file whose name may hold {cluster}, {date}",
            ),
            ("type: file, path: report", "deliver[0]: format: expected the name of a format"),
            ("type: file, path: x.html, timeout: 3s", "deliver[0].timeout: unknown key"),
            ("type: teams, url: x", "deliver[0].url: unknown key"),
            ("type: feishu", "deliver[0]: expected `webhook-env` or `webhook-file`"),
            ("type: feishu, webhook-env: LARK", "deliver[0]: the webhook: it is a placeholder"),
            ("type: dingtalk, webhook-env: YOUR_DING", "deliver[0]: the webhook: it is a placeholder"),
            (
                "type: email, server: s, from: d@corp.net",
                "deliver[0]: to: expected at least one mail address",
            ),
            ("type: email, server: s, from: d, to: a@corp.net", "deliver[0]: from: expected a mail address"),
            (
                "type: email, server: s, from: d@corp.net, to: \"a@corp.net\\nBcc: b@corp.net\"",
                "deliver[0]: to: expected a mail address",
            ),
            (
                "type: email, server: 's:x', from: d@corp.net, to: a@corp.net",
                "deliver[0]: server: expected a port",
            ),
            (
                "type: email, server: s, from: d@corp.net, to: a@corp.net, username-env: WORD",
                "deliver[0]: expected a user name with a password",
            ),
            ("type: stdout, what: weekly", "deliver[0].what: expected `report` or `digest`, got `weekly`"),
            (
                "type: pushgateway, what: digest, url: 'http://push'",
                "deliver[0].what: a digest has no samples for a Pushgateway; leave `what: digest` out",
            ),
            (
                "type: stdout, what: digest, format: html",
                "deliver[0].format: expected `text` or `markdown` or `json` or `slack`, got `html`; digests have no other formats",
            ),
            (
                "type: slack, what: digest, channel: x, token-env: TOKEN, files: [markdown, html]",
                "deliver[0].files[1]: expected `text` or `markdown` or `json` or `slack`, got `html`",
            ),
            (
                "type: email, what: digest, server: s, from: d@corp.net, to: a@corp.net, attach: [html]",
                "deliver[0].attach[0]: expected `text` or `markdown` or `json` or `slack`, got `html`",
            ),
            (
                "type: file, what: digest, path: week.html",
                "deliver[0]: path: expected the ending of a digest, `txt` or `md` or `json` or `slack.json`, got `html`",
            ),
            ("type: pushgateway, url: 'http://push', job: 'a/b'", "deliver[0]: job: expected letters"),
        ] {
            let why = parse(entry).unwrap_err();
            assert!(why.starts_with(expected), "{entry}\n  {why}");
            assert!(!why.contains("sesame") && !why.contains("services"), "{why}");
        }
    }
}
