//! A Pushgateway of Prometheus: the OpenMetrics text, put in place of what the last run put there.

use async_trait::async_trait;
use healthcore_report::Format;
use reqwest::{Method, Url};

use super::http::{Call, Http, HttpSettings, address};
use super::{DeliverError, Delivery, Receipt, Sink};

/// Where metrics are put.
#[derive(Debug, Clone)]
pub struct PushgatewaySettings {
    /// Address of the Pushgateway, without credentials.
    pub url: String,
    /// Value of the grouping key `job`.
    pub job: String,
    /// How requests are made.
    pub http: HttpSettings,
}

/// A Pushgateway.
pub struct Pushgateway {
    url: Url,
    http: Http,
}

impl PushgatewaySettings {
    /// Refuses what cannot work.
    ///
    /// # Errors
    /// The address is none, or the job is empty or holds what an address cannot.
    pub fn check(&self) -> Result<Url, String> {
        let mut url = address(&self.url, true).map_err(|why| format!("url: {why}"))?;
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        if self.job.is_empty() || !self.job.chars().all(plain) {
            return Err(format!("job: expected letters, digits, `-`, `_` or `.`, got `{}`", self.job));
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err("url: expected an address without `?` and `#`".to_owned());
        }
        let path = format!("{}/metrics/job/{}", url.path().trim_end_matches('/'), self.job);
        url.set_path(&path);
        Ok(url)
    }
}

impl Pushgateway {
    /// A Pushgateway.
    ///
    /// # Errors
    /// The settings cannot work.
    pub fn new(settings: PushgatewaySettings) -> Result<Self, DeliverError> {
        let url = settings.check().map_err(DeliverError::Setting)?;
        let http = Http::new(&settings.http, &url, Vec::new())?;
        Ok(Self { url, http })
    }

    #[cfg(test)]
    pub(super) fn waiting(mut self, wait: super::http::Wait) -> Self {
        self.http.wait = wait;
        self
    }
}

#[async_trait]
impl Sink for Pushgateway {
    fn name(&self) -> String {
        format!("pushgateway {}", self.url.host_str().unwrap_or_default())
    }

    fn target(&self) -> String {
        format!("pushgateway {}", self.url)
    }

    fn is_repeatable(&self) -> bool {
        true
    }

    async fn deliver(&self, delivery: &Delivery) -> Result<Receipt, DeliverError> {
        let text = delivery.render(Format::OpenMetrics)?;
        let samples = text.lines().filter(|l| !l.starts_with('#')).count();
        // Its parser is that of the text format of Prometheus, to which `# EOF` is a comment.
        let mut call = Call::post(self.url.clone(), "text/plain; version=0.0.4; charset=utf-8", text);
        call.method = Method::PUT;
        let answer = self.http.send(&call.repeatable()).await?;
        if !answer.status.is_success() {
            return Err(self.http.refused(&answer));
        }
        Ok(Receipt::of(format!("{samples} samples")))
    }
}
