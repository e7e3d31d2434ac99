//! Microsoft Teams, DingTalk and Feishu (Lark) by the webhooks of their bots.

use std::time::SystemTime;

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use healthcore_report::Chat;
use healthcore_sources::prometheus::Secret;
use reqwest::Url;
use ring::hmac;
use serde_json::Value;

use super::http::{Answer, Call, Http, HttpSettings, address};
use super::{DeliverError, Delivery, Receipt, Sink, placeholder};

/// The webhook of a bot.
#[derive(Debug, Clone)]
pub struct ChatSettings {
    /// Which chat.
    pub chat: Chat,
    /// Its address, which is a secret.
    pub url: Secret,
    /// Key of the signature (DingTalk, Feishu), where the bot asks for one.
    pub secret: Option<Secret>,
    /// How requests are made.
    pub http: HttpSettings,
}

/// A group of a chat.
pub struct ChatSink {
    settings: ChatSettings,
    url: Url,
    http: Http,
    /// Milliseconds since 1970: a signature is good for an hour only.
    now_ms: fn() -> u64,
}

impl ChatSettings {
    /// Refuses what cannot work.
    ///
    /// # Errors
    /// The address is none, or a placeholder. No error repeats it.
    pub fn check(&self) -> Result<Url, String> {
        let url = address(self.url.reveal(), false).map_err(|why| format!("the webhook: {why}"))?;
        let segment = || url.path_segments().into_iter().flatten().any(placeholder::is_word);
        let value = || url.query_pairs().any(|(_, value)| placeholder::is_word(&value));
        let unfilled = placeholder::in_address(&url)
            .or_else(|| (segment() || value()).then_some("its parts are no real ones"));
        match unfilled {
            Some(why) => Err(format!("the webhook: it is a placeholder, {why}; give the address of the bot")),
            None => Ok(url),
        }
    }
}

impl ChatSink {
    /// A group.
    ///
    /// # Errors
    /// The settings cannot work.
    pub fn new(settings: ChatSettings) -> Result<Self, DeliverError> {
        let url = settings.check().map_err(DeliverError::Setting)?;
        let values = url.query_pairs().map(|(_, value)| Secret::new(value)).collect::<Vec<_>>();
        let secrets = settings.secret.iter().chain([&settings.url]).cloned().chain(values).collect();
        let http = Http::new(&settings.http, &url, secrets)?;
        Ok(Self { settings, url, http, now_ms })
    }

    #[cfg(test)]
    pub(super) fn at(mut self, now_ms: fn() -> u64, wait: super::http::Wait) -> Self {
        self.now_ms = now_ms;
        self.http.wait = wait;
        self
    }

    /// The request, signed where the bot asks for it.
    fn call(&self, mut body: Value) -> Call {
        let mut url = self.url.clone();
        let now = (self.now_ms)();
        match (self.settings.chat, &self.settings.secret) {
            (Chat::DingTalk, Some(secret)) => {
                // Key and text as DingTalk's documentation of custom robots has them.
                let text = format!("{now}\n{}", secret.reveal());
                let sign = signed(secret.reveal(), text.as_bytes());
                url.query_pairs_mut().append_pair("timestamp", &now.to_string()).append_pair("sign", &sign);
            }
            (Chat::Feishu, Some(secret)) => {
                // Feishu signs an empty text by a key of time and secret.
                let seconds = (now / 1000).to_string();
                body["sign"] = signed(&format!("{seconds}\n{}", secret.reveal()), b"").into();
                body["timestamp"] = seconds.into();
            }
            _ => {}
        }
        Call::json(url, &body)
    }

    /// Chats say no with 200 as well.
    fn judged(&self, answer: &Answer) -> Result<(), DeliverError> {
        if !answer.status.is_success() {
            return Err(self.http.refused(answer));
        }
        let value: Value = serde_json::from_str(&answer.body).unwrap_or_default();
        let codes = ["errcode", "code", "StatusCode"];
        let Some(code) = codes.iter().find_map(|key| value[*key].as_i64()).filter(|code| *code != 0) else {
            return Ok(());
        };
        let hint = match code {
            310_000 => {
                "; the text lacks the keyword of the bot, the signature is wrong (`secret-env`), or this machine's address is not allowed"
            }
            300_001 | 19_001 => "; the webhook is not valid any more, make a new bot",
            130_101 | 660_026 | 11_232 | 9_499 => "; too many messages, deliver less often",
            19_021 => "; the signature is wrong: check `secret-env`, and the clock of this machine",
            19_022 => "; this machine's address is not allowed by the bot",
            19_024 => {
                "; the text lacks the keyword of the bot: allow `Health`, which is in every title (`健康` in zh-TW)"
            }
            _ => "",
        };
        let words = ["errmsg", "msg", "StatusMessage"].iter().find_map(|key| value[*key].as_str());
        Err(DeliverError::Refused(format!(
            "answered {code}: {}{hint}",
            self.http.said(words.unwrap_or_default())
        )))
    }
}

fn signed(key: &str, text: &[u8]) -> String {
    STANDARD.encode(hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key.as_bytes()), text))
}

fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

#[async_trait]
impl Sink for ChatSink {
    fn name(&self) -> String {
        let chat = match self.settings.chat {
            Chat::Teams => "teams",
            Chat::DingTalk => "dingtalk",
            _ => "feishu",
        };
        format!("{chat} {}", self.url.host_str().unwrap_or_default())
    }

    fn target(&self) -> String {
        format!("chat {}", self.url)
    }

    async fn deliver(&self, delivery: &Delivery) -> Result<Receipt, DeliverError> {
        let body = delivery.content.card(self.settings.chat, &delivery.options);
        self.judged(&self.http.send(&self.call(body)).await?)?;
        Ok(Receipt::of("message"))
    }
}
