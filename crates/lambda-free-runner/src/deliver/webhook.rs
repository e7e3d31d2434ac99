//! Any HTTP endpoint: the report or the digest as JSON, posted.

use async_trait::async_trait;
use healthcore_report::Format;
use healthcore_sources::prometheus::Secret;
use reqwest::Url;
use reqwest::header::{HeaderName, HeaderValue};
use ring::hmac;

use super::http::{Call, Http, HttpSettings, address};
use super::{DeliverError, Delivery, Receipt, Sink, hex, placeholder};

/// Holds `sha256=` and HMAC-SHA256 of the body in hexadecimal, as GitHub's webhooks have it.
pub(super) const SIGNATURE: HeaderName = HeaderName::from_static("x-healthcheck-signature-256");
/// Holds the same text for the same content, by which a receiver knows what it has had.
pub(super) const KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// Where the JSON goes.
#[derive(Debug, Clone)]
pub struct WebhookSettings {
    /// The address, which may be a secret.
    pub url: Secret,
    /// Key of the signature; none for no signature.
    pub secret: Option<Secret>,
    /// How requests are made.
    pub http: HttpSettings,
}

/// An HTTP endpoint.
pub struct Webhook {
    settings: WebhookSettings,
    url: Url,
    http: Http,
}

impl WebhookSettings {
    /// Refuses what cannot work.
    ///
    /// # Errors
    /// The address is none, or one of an example. No error repeats it.
    pub fn check(&self) -> Result<Url, String> {
        let url = address(self.url.reveal(), true).map_err(|why| format!("url: {why}"))?;
        match placeholder::in_address(&url) {
            Some(why) => Err(format!("url: it is a placeholder, {why}; give the address of the receiver")),
            None => Ok(url),
        }
    }
}

impl Webhook {
    /// An endpoint.
    ///
    /// # Errors
    /// The settings cannot work.
    pub fn new(settings: WebhookSettings) -> Result<Self, DeliverError> {
        let url = settings.check().map_err(DeliverError::Setting)?;
        let secrets = settings.secret.iter().cloned().chain([Secret::new(url.path()), settings.url.clone()]);
        let http = Http::new(&settings.http, &url, secrets.collect())?;
        Ok(Self { settings, url, http })
    }

    #[cfg(test)]
    pub(super) fn waiting(mut self, wait: super::http::Wait) -> Self {
        self.http.wait = wait;
        self
    }
}

#[async_trait]
impl Sink for Webhook {
    fn name(&self) -> String {
        format!("webhook {}", self.url.host_str().unwrap_or_default())
    }

    fn target(&self) -> String {
        format!("webhook {}", self.url)
    }

    fn takes_key(&self) -> bool {
        true
    }

    async fn deliver(&self, delivery: &Delivery) -> Result<Receipt, DeliverError> {
        let body = delivery.render(Format::Json)?;
        let mut call = Call::post(self.url.clone(), "application/json", body);
        if let Some(secret) = &self.settings.secret {
            let key = hmac::Key::new(hmac::HMAC_SHA256, secret.reveal().as_bytes());
            let signature = format!("sha256={}", hex(hmac::sign(&key, &call.body).as_ref()));
            call = call.secret(SIGNATURE, &signature)?;
        }
        let key = HeaderValue::try_from(&delivery.key).map_err(|e| DeliverError::Setting(e.to_string()))?;
        call.headers.insert(KEY, key);
        let size = call.body.len();
        let answer = self.http.send(&call.repeatable()).await?;
        if !answer.status.is_success() {
            return Err(self.http.refused(&answer));
        }
        Ok(Receipt::of(format!("{size} bytes of JSON")))
    }
}
