//! Mail by SMTP: a report or a digest as text and as HTML, with files of it attached.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use healthcore_sources::prometheus::Secret;
use lettre::message::header::ContentType;
use lettre::message::{Attachment, Mailbox, MultiPart, SinglePart};
use lettre::transport::smtp::Error as SmtpError;
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, Tls, TlsParameters};
use lettre::{AsyncSmtpTransport, AsyncTransport as _, Message, Tokio1Executor};

use super::http::Wait;
use super::{DeliverError, Delivery, Receipt, Sink, Writing};
use crate::redact;

/// Times that a mail is sent at most: the same mail has the same id, by which mailboxes know it.
const ATTEMPTS: u32 = 3;

/// How the connection to the server is kept from others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Security {
    /// TLS from the first byte, port 465 by custom.
    Tls,
    /// TLS by STARTTLS, and no mail without it. Port 587 by custom.
    StartTls,
    /// None: for servers that only this machine or network reaches. Port 25 by custom.
    None,
}

/// A server, and who gets mail.
#[derive(Debug, Clone)]
pub struct EmailSettings {
    /// Host of the server.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// TLS or not.
    pub security: Security,
    /// User name and password, where the server asks for them.
    pub credentials: Option<(String, Secret)>,
    /// Who sends: `Healthcheck <healthcheck@corp.net>`.
    pub from: String,
    /// Who gets it.
    pub to: Vec<String>,
    /// What is attached.
    pub attach: Vec<Writing>,
    /// Time for one command.
    pub timeout: Duration,
    /// A file with certificates (PEM) of authorities to trust beside the system's.
    pub ca_file: Option<PathBuf>,
}

impl EmailSettings {
    /// Refuses what cannot work.
    ///
    /// # Errors
    /// An address is none, nobody gets it, or a password would go over a line that others may read.
    pub fn check(&self) -> Result<(), String> {
        self.addresses()?;
        if self.host.is_empty() {
            return Err("server: expected a host and a port, such as `smtp.corp.net:587`".into());
        }
        let local = matches!(self.host.as_str(), "localhost" | "127.0.0.1" | "::1");
        if self.security == Security::None && self.credentials.is_some() && !local {
            return Err("security: expected `starttls` or `tls`, for a password is sent; got `none`".into());
        }
        Ok(())
    }

    fn addresses(&self) -> Result<(Mailbox, Vec<Mailbox>), String> {
        let read = |key: &str, text: &str| {
            let wrong = |_| {
                format!(
                    "{key}: expected a mail address such as `sre@corp.net`, got `{}`",
                    text.escape_debug()
                )
            };
            if text.contains(char::is_control) {
                Err(wrong(()))
            } else {
                text.parse::<Mailbox>().map_err(|_| wrong(()))
            }
        };
        let to: Vec<Mailbox> = self.to.iter().map(|text| read("to", text)).collect::<Result<_, _>>()?;
        if to.is_empty() {
            return Err("to: expected at least one mail address".into());
        }
        Ok((read("from", &self.from)?, to))
    }
}

/// Mail to some people.
pub struct Email {
    settings: EmailSettings,
    from: Mailbox,
    to: Vec<Mailbox>,
    transport: AsyncSmtpTransport<Tokio1Executor>,
    wait: Wait,
}

impl Email {
    /// Mail to some people. No connection is made yet.
    ///
    /// # Errors
    /// The settings cannot work.
    pub fn new(settings: EmailSettings) -> Result<Self, DeliverError> {
        settings.check().map_err(DeliverError::Setting)?;
        let (from, to) = settings.addresses().map_err(DeliverError::Setting)?;
        healthcore_sources::tls::install_provider();
        let mut builder = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(&settings.host)
            .port(settings.port)
            .timeout(Some(settings.timeout));
        builder = match settings.security {
            Security::None => builder,
            Security::Tls => builder.tls(Tls::Wrapper(tls(&settings)?)),
            Security::StartTls => builder.tls(Tls::Required(tls(&settings)?)),
        };
        if let Some((name, password)) = &settings.credentials {
            builder = builder.credentials(Credentials::new(name.clone(), password.reveal().to_owned()));
        }
        let wait: Wait = Arc::new(|time| Box::pin(tokio::time::sleep(time)));
        Ok(Self { transport: builder.build(), settings, from, to, wait })
    }

    #[cfg(test)]
    pub(super) fn waiting(mut self, wait: Wait) -> Self {
        self.wait = wait;
        self
    }

    fn message(&self, delivery: &Delivery) -> Result<Message, DeliverError> {
        let mail = delivery.content.mail(&delivery.options);
        let wrong =
            |e: &dyn std::fmt::Display| DeliverError::Setting(format!("the mail cannot be made: {e}"));
        let mut builder = Message::builder()
            .from(self.from.clone())
            .subject(mail.subject)
            .message_id(Some(format!("<{}@{}>", delivery.key, self.from.email.domain())));
        for to in &self.to {
            builder = builder.to(to.clone());
        }
        let mut body = MultiPart::mixed().multipart(MultiPart::alternative_plain_html(mail.text, mail.html));
        for writing in &self.settings.attach {
            let kind = match writing.ending() {
                "html" => "text/html; charset=utf-8",
                _ => "application/octet-stream",
            };
            let kind = ContentType::parse(kind).map_err(|e| wrong(&e))?;
            let part: SinglePart =
                Attachment::new(delivery.file_name(writing.ending())).body(delivery.write(writing)?, kind);
            body = body.singlepart(part);
        }
        builder.multipart(body).map_err(|e| wrong(&e))
    }

    fn told(&self, error: &SmtpError) -> DeliverError {
        let mut why = error.to_string();
        let mut source = std::error::Error::source(error);
        while let Some(cause) = source {
            let words = cause.to_string();
            if !why.contains(&words) {
                why.push_str(": ");
                why.push_str(&words);
            }
            source = cause.source();
        }
        if let Some((_, password)) =
            self.settings.credentials.as_ref().filter(|(_, p)| !p.reveal().is_empty())
        {
            why = why.replace(password.reveal(), "[redacted]");
        }
        let line: String = why.split_whitespace().collect::<Vec<_>>().join(" ");
        let why: String = redact::text(&line).chars().filter(|c| !c.is_control()).take(300).collect();
        let code = error.status().map(|code| code.to_string());
        match code.as_deref() {
            Some("530" | "534" | "535" | "538") => DeliverError::Refused(format!(
                "{why}; check user name and password, and whether the server wants `starttls` or `tls`"
            )),
            Some("550" | "551" | "553" | "554") => DeliverError::Refused(format!(
                "{why}; check `from` and `to`, and whether the server takes mail of this machine"
            )),
            Some(_) => DeliverError::Refused(why),
            None if error.is_timeout() => DeliverError::Unclear("no answer in time".into()),
            None if why.to_ascii_lowercase().contains("certificate") => DeliverError::Refused(format!(
                "the TLS certificate is not trusted ({why}); name the authority's file by `ca-file`"
            )),
            None if error.is_client() || error.is_tls() => DeliverError::Refused(why),
            None => DeliverError::Unreachable(why),
        }
    }
}

fn tls(settings: &EmailSettings) -> Result<TlsParameters, DeliverError> {
    let mut builder = TlsParameters::builder(settings.host.clone());
    if let Some(path) = &settings.ca_file {
        let wrong = |why: String| DeliverError::Setting(format!("{}: {why}", path.display()));
        let pem = std::fs::read(path).map_err(|e| wrong(format!("cannot be read: {e}")))?;
        let found =
            Certificate::from_pem(&pem).map_err(|_| wrong("holds no certificate; expected PEM".into()))?;
        builder = builder.add_root_certificate(found);
    }
    builder.build_rustls().map_err(|e| DeliverError::Setting(format!("TLS cannot be set up: {e}")))
}

#[async_trait]
impl Sink for Email {
    fn name(&self) -> String {
        let more = self.to.len() - 1;
        let first = &self.to[0].email;
        if more == 0 { format!("email {first}") } else { format!("email {first} and {more} more") }
    }

    fn target(&self) -> String {
        let mut to: Vec<String> = self.to.iter().map(|mailbox| mailbox.email.to_string()).collect();
        to.sort();
        format!("email {}", to.join(" "))
    }

    fn has_template(&self) -> bool {
        self.settings.attach.iter().any(Writing::is_own)
    }

    async fn deliver(&self, delivery: &Delivery) -> Result<Receipt, DeliverError> {
        let message = self.message(delivery)?;
        let mut pause = Duration::from_secs(2);
        for attempt in 1..=ATTEMPTS {
            match self.transport.send(message.clone()).await {
                Ok(_) => return Ok(Receipt::of(format!("mail to {}", self.to.len()))),
                Err(e) => {
                    let why = self.told(&e);
                    let may_pass = e.is_transient() || matches!(why, DeliverError::Unreachable(_));
                    if attempt == ATTEMPTS || !may_pass {
                        return Err(why);
                    }
                }
            }
            (self.wait)(pause).await;
            pause *= 2;
        }
        Err(DeliverError::Unreachable("no answer".into()))
    }
}
