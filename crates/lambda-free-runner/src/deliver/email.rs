//! Mail by SMTP: a report or a digest as text and as HTML, with files of it attached.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use healthcore_sources::prometheus::Secret;
use lettre::message::header::ContentType;
use lettre::message::{Attachment, Mailbox, MultiPart, SinglePart};
use lettre::transport::smtp::Error as SmtpError;
use lettre::transport::smtp::authentication::{Credentials, DEFAULT_MECHANISMS};
use lettre::transport::smtp::client::{AsyncSmtpConnection, Certificate, TlsParameters};
use lettre::transport::smtp::commands::{Data, Mail, Rcpt};
use lettre::transport::smtp::extension::{ClientId, Extension, MailBodyParameter, MailParameter};
use lettre::{Address, Message};

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
    /// For the whole connection, or for STARTTLS; none where the settings say so.
    tls: Option<TlsParameters>,
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
        let tls = match settings.security {
            Security::None => None,
            Security::Tls | Security::StartTls => Some(tls(&settings)?),
        };
        let wait: Wait = Arc::new(|time| Box::pin(tokio::time::sleep(time)));
        Ok(Self { settings, from, to, tls, wait })
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

    /// A connection that takes mail.
    async fn connect(&self) -> Result<AsyncSmtpConnection, SmtpError> {
        let EmailSettings { host, port, security, timeout, credentials, .. } = &self.settings;
        let hello = ClientId::default();
        let wrapper = self.tls.clone().filter(|_| *security == Security::Tls);
        let server = (host.as_str(), *port);
        let mut connection =
            AsyncSmtpConnection::connect_tokio1(server, Some(*timeout), &hello, wrapper, None).await?;
        if let Some(tls) = self.tls.clone().filter(|_| *security == Security::StartTls) {
            connection.starttls(tls, &hello).await?;
        }
        if let Some((name, password)) = credentials {
            let credentials = Credentials::new(name.clone(), password.reveal().to_owned());
            connection.auth(DEFAULT_MECHANISMS, &credentials).await?;
        }
        Ok(connection)
    }

    /// Sends the mail once, to these; whom the server refused, and why. The others have it then.
    async fn send(&self, mail: &[u8], to: &[Address]) -> Result<Vec<(Address, SmtpError)>, SmtpError> {
        let mut connection = self.connect().await?;
        let refused = self.hand_over(&mut connection, mail, to).await;
        connection.abort().await;
        refused
    }

    async fn hand_over(
        &self,
        connection: &mut AsyncSmtpConnection,
        mail: &[u8],
        to: &[Address],
    ) -> Result<Vec<(Address, SmtpError)>, SmtpError> {
        let mut options = Vec::new();
        let is_ascii = |address: &Address| address.to_string().is_ascii();
        if !to.iter().chain([&self.from.email]).all(is_ascii) {
            options.push(MailParameter::SmtpUtfEight);
        }
        if !mail.is_ascii() && connection.server_info().supports_feature(Extension::EightBitMime) {
            options.push(MailParameter::Body(MailBodyParameter::EightBitMime));
        }
        connection.command(Mail::new(Some(self.from.email.clone()), options)).await?;
        let mut refused = Vec::new();
        for address in to {
            match connection.command(Rcpt::new(address.clone(), Vec::new())).await {
                Ok(_) => {}
                // One wrong address costs nobody else the mail.
                Err(why) if why.status().is_some() => refused.push((address.clone(), why)),
                Err(why) => return Err(why),
            }
        }
        if refused.len() < to.len() {
            connection.command(Data).await?;
            connection.message(mail).await?;
        }
        Ok(refused)
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
        let mail = self.message(delivery)?.formatted();
        let mut open: Vec<Address> = self.to.iter().map(|mailbox| mailbox.email.clone()).collect();
        let mut missed: Vec<String> = Vec::new();
        let mut taken = 0;
        let mut pause = Duration::from_secs(2);
        for attempt in 1..=ATTEMPTS {
            let is_last = attempt == ATTEMPTS;
            match self.send(&mail, &open).await {
                Ok(refused) => {
                    taken += open.len() - refused.len();
                    open.clear();
                    for (address, why) in refused {
                        match why.is_transient() && !is_last {
                            true => open.push(address),
                            false => missed.push(format!("{address}: {}", self.told(&why))),
                        }
                    }
                }
                Err(e) => {
                    let why = self.told(&e);
                    let may_pass = e.is_transient() || matches!(why, DeliverError::Unreachable(_));
                    if is_last || !may_pass {
                        if taken == 0 && missed.is_empty() {
                            return Err(why);
                        }
                        missed.extend(open.drain(..).map(|address| format!("{address}: {why}")));
                    }
                }
            }
            if open.is_empty() {
                break;
            }
            (self.wait)(pause).await;
            pause *= 2;
        }
        if taken == 0 {
            return Err(DeliverError::Refused(missed.join("; ")));
        }
        let what = match missed.len() {
            0 => format!("mail to {taken}"),
            _ => format!("mail to {taken} of {}", self.to.len()),
        };
        Ok(Receipt { what, missed })
    }
}
