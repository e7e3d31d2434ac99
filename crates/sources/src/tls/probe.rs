//! Asks TLS servers which certificates they show. Nothing is sent beyond the handshake, and no certificate is refused:
//! the judgement is made elsewhere.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use futures::{StreamExt as _, stream};
use healthcore::inventory::{Certificate, ObjectId, ServedCertificate};
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::certificate::{self, LONGEST_CHAIN};

/// A TLS server to ask.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct TlsServer {
    /// Namespace of the route that names it; empty for one that was configured.
    pub namespace: String,
    /// Its name, which is also asked for in the handshake.
    pub host: String,
    /// Its port.
    pub port: u16,
}

impl TlsServer {
    /// Name and port, as addresses are written: `[::1]:443` for one of IPv6 (RFC 3986, section 3.2.2).
    #[must_use]
    pub fn address(&self) -> String {
        let Self { host, port, .. } = self;
        if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
    }
}

/// What asks TLS servers for their certificates.
#[async_trait]
pub trait CertificateSource: Send + Sync {
    /// What each server shows, in the order in which they are given. A server that does not answer is among them, with
    /// the reason.
    async fn served(&self, servers: &[TlsServer]) -> Vec<ServedCertificate>;
}

/// Asks by a TLS handshake over the network.
#[derive(Debug, Clone)]
pub struct TlsProbe {
    /// Time for one server, from the look-up of its name to the end of the handshake.
    pub timeout: Duration,
    /// Servers that are asked at once.
    pub concurrency: usize,
    roots: Arc<RootCertStore>,
}

impl TlsProbe {
    /// A probe that knows the roots of this machine. Two hundred servers of which a third is silent take one time-out.
    #[must_use]
    pub fn new() -> Self {
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        Self { timeout: Duration::from_secs(3), concurrency: 100, roots: Arc::new(roots) }
    }

    /// Trusts these roots and no others, in DER.
    #[must_use]
    pub fn with_roots(mut self, roots: impl IntoIterator<Item = Vec<u8>>) -> Self {
        let mut store = RootCertStore::empty();
        store.add_parsable_certificates(roots.into_iter().map(CertificateDer::from));
        self.roots = Arc::new(store);
        self
    }

    async fn ask(&self, server: &TlsServer) -> ServedCertificate {
        let TlsServer { namespace, host, port } = server;
        let (shown, failed) = match tokio::time::timeout(self.timeout, self.handshake(host, *port)).await {
            Ok(Ok(shown)) => (shown, None),
            Ok(Err(why)) => (Shown::default(), Some(why)),
            Err(_) => (Shown::default(), Some(format!("no answer within {} s", self.timeout.as_secs_f64()))),
        };
        ServedCertificate {
            id: ObjectId::new(namespace, &server.address()),
            host: host.clone(),
            port: *port,
            chain: shown.chain,
            unread: shown.unread,
            unknown_issuer: shown.unknown_issuer,
            needed: shown.needed,
            failed,
        }
    }

    async fn handshake(&self, host: &str, port: u16) -> Result<Shown, String> {
        let name = ServerName::try_from(host.to_owned()).map_err(|_| "this is no host name".to_owned())?;
        let recorder = Arc::new(Recorder::new(Arc::clone(&self.roots)));
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|e| e.to_string())?
            .dangerous()
            .with_custom_certificate_verifier(Arc::clone(&recorder) as Arc<dyn ServerCertVerifier>)
            .with_no_client_auth();
        let stream = TcpStream::connect((host, port)).await.map_err(|e| format!("cannot connect: {e}"))?;
        let ended = TlsConnector::from(Arc::new(config)).connect(name, stream).await;
        // A server that wants a certificate of its client has shown its own before it hangs up.
        match (recorder.shown(), ended) {
            (Some(shown), _) => shown,
            (None, Err(why)) => Err(in_words(&why)),
            (None, Ok(_)) => Err("the server showed no certificate".to_owned()),
        }
    }
}

/// Why a handshake failed, in plain words where the cause is one of the usual ones.
fn in_words(why: &std::io::Error) -> String {
    use rustls::{AlertDescription, Error, InvalidMessage, PeerIncompatible};
    match why.get_ref().and_then(|inner| inner.downcast_ref::<Error>()) {
        Some(Error::InvalidMessage(InvalidMessage::InvalidContentType)) => {
            "it does not speak TLS at this port; it may be a server of plain HTTP".to_owned()
        }
        Some(
            Error::AlertReceived(AlertDescription::ProtocolVersion)
            | Error::PeerIncompatible(
                PeerIncompatible::ServerDoesNotSupportTls12Or13
                | PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig,
            ),
        ) => "it speaks neither TLS 1.2 nor 1.3, only an older version that clients refuse".to_owned(),
        Some(Error::InvalidMessage(
            InvalidMessage::HandshakePayloadTooLarge
            | InvalidMessage::CertificatePayloadTooLarge
            | InvalidMessage::MessageTooLarge,
        )) => "its chain of certificates is larger than 64 KiB, which TLS clients refuse".to_owned(),
        _ => format!("the handshake failed: {why}"),
    }
}

impl Default for TlsProbe {
    fn default() -> Self {
        Self::new()
    }
}

#[async_trait]
impl CertificateSource for TlsProbe {
    async fn served(&self, servers: &[TlsServer]) -> Vec<ServedCertificate> {
        // Not in order, so that one that waits for its time-out holds up none behind it.
        let ask = |(at, server)| async move { (at, self.ask(server).await) };
        let all: Vec<_> = servers.iter().enumerate().map(ask).collect();
        let mut shown: Vec<(usize, ServedCertificate)> =
            stream::iter(all).buffer_unordered(self.concurrency.max(1)).collect().await;
        shown.sort_by_key(|(at, _)| *at);
        shown.into_iter().map(|(_, shown)| shown).collect()
    }
}

/// What a server showed.
#[derive(Debug, Clone, Default)]
struct Shown {
    chain: Vec<Certificate>,
    /// Certificates behind these.
    unread: u32,
    unknown_issuer: bool,
    needed: Option<usize>,
}

/// Notes the certificates of a handshake and accepts them all.
#[derive(Debug)]
struct Recorder {
    /// None where this machine knows no roots.
    verifier: Option<Arc<WebPkiServerVerifier>>,
    shown: Mutex<Option<Result<Shown, String>>>,
}

impl Recorder {
    fn new(roots: Arc<RootCertStore>) -> Self {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let verifier = WebPkiServerVerifier::builder_with_provider(roots, provider).build().ok();
        Self { verifier, shown: Mutex::new(None) }
    }

    fn shown(&self) -> Option<Result<Shown, String>> {
        self.shown.lock().ok()?.take()
    }
}

impl ServerCertVerifier for Recorder {
    fn verify_server_cert(
        &self,
        own: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let unread = (intermediates.len() + 1).saturating_sub(LONGEST_CHAIN) as u32;
        let intermediates = &intermediates[..intermediates.len().min(LONGEST_CHAIN - 1)];
        let verify = |intermediates| {
            self.verifier.as_ref().map(|v| v.verify_server_cert(own, intermediates, name, ocsp, now))
        };
        let verified = verify(intermediates);
        // A root of the same name with another key is none either.
        let unknown_issuer = matches!(
            verified,
            Some(Err(rustls::Error::InvalidCertificate(
                CertificateError::UnknownIssuer | CertificateError::BadSignature
            )))
        );
        // The name is compared last, and judged elsewhere.
        let leads_to_root = |verified: &Option<Result<_, _>>| {
            matches!(
                verified,
                Some(
                    Ok(_)
                        | Err(rustls::Error::InvalidCertificate(
                            CertificateError::NotValidForName
                                | CertificateError::NotValidForNameContext { .. }
                        ))
                )
            )
        };
        let needed = leads_to_root(&verified)
            .then(|| (0..=intermediates.len()).find(|n| leads_to_root(&verify(&intermediates[..*n]))))
            .flatten()
            .map(|behind| 1 + behind);
        let ders = std::iter::once(own).chain(intermediates);
        let read = |(at, der): (usize, &CertificateDer<'_>)| {
            certificate::from_der(der).map_err(|why| format!("certificate {} that it shows {why}", at + 1))
        };
        let chain: Result<Vec<Certificate>, String> = ders.enumerate().map(read).collect();
        if let Ok(mut shown) = self.shown.lock() {
            *shown = Some(chain.map(|chain| Shown { chain, unread, unknown_issuer, needed }));
        }
        Ok(ServerCertVerified::assertion())
    }

    // Who holds the key is of no interest: nothing is sent to the server.
    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        rustls::crypto::ring::default_provider().signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustls::ServerConfig;
    use rustls::pki_types::{PrivateKeyDer, pem::PemObject as _};
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;
    use tokio_rustls::TlsAcceptor;

    const CERTIFICATE: &[u8] = include_bytes!("tests/server.crt");
    const KEY: &[u8] = include_bytes!("tests/server.key");

    fn der() -> CertificateDer<'static> {
        CertificateDer::from_pem_slice(CERTIFICATE).expect("a certificate")
    }

    fn other() -> CertificateDer<'static> {
        CertificateDer::from_pem_slice(include_bytes!("../kubernetes/tests/front.crt")).expect("another")
    }

    /// A server on this machine that shows the certificate of `server.example`; its port.
    async fn server() -> u16 {
        showing(vec![der()]).await
    }

    async fn showing(chain: Vec<CertificateDer<'static>>) -> u16 {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let key = PrivateKeyDer::from_pem_slice(KEY).expect("a key");
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .expect("key and certificate fit");
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let acceptor = acceptor.clone();
                tokio::spawn(async move { acceptor.accept(stream).await.is_ok() });
            }
        });
        port
    }

    fn at(port: u16) -> TlsServer {
        TlsServer { namespace: "web".to_owned(), host: "127.0.0.1".to_owned(), port }
    }

    /// A busy machine may need its time.
    fn patient() -> TlsProbe {
        TlsProbe { timeout: Duration::from_secs(60), ..TlsProbe::new() }
    }

    #[tokio::test]
    async fn what_is_shown_is_noted_and_not_refused() {
        let port = server().await;
        // Self-signed, and for another host.
        let shown = patient().with_roots([]).served(&[at(port)]).await;
        let [one] = &shown[..] else { panic!("{shown:?}") };
        assert_eq!((one.id.name.clone(), one.failed.as_deref()), (format!("127.0.0.1:{port}"), None));
        let [own] = &one.chain[..] else { panic!("{one:?}") };
        assert_eq!(own.subject, "CN=server.example");
        assert_eq!(own.names, ["server.example", "other.example", "192.0.2.7"]);
        assert_eq!(own.issuer_url.as_deref(), Some("http://ca.example/1.crt"));
    }

    #[tokio::test]
    async fn a_long_chain_is_shown_up_to_the_bound_and_a_huge_one_is_told() {
        let (long, huge) = (showing(vec![der(); LONGEST_CHAIN + 3]).await, showing(vec![der(); 200]).await);
        let shown = patient().served(&[at(long), at(huge)]).await;
        let told: Vec<_> = shown.iter().map(|s| (s.chain.len(), s.unread, s.failed.as_deref())).collect();
        let why = "its chain of certificates is larger than 64 KiB, which TLS clients refuse";
        assert_eq!(told, [(LONGEST_CHAIN, 3, None), (0, 0, Some(why))]);
    }

    #[tokio::test]
    async fn answers_have_the_order_of_the_questions() {
        let port = server().await;
        let probe = TlsProbe { concurrency: 2, ..patient() };
        let asked: Vec<TlsServer> = [port, 1, port, 1, port]
            .into_iter()
            .enumerate()
            .map(|(i, port)| TlsServer { namespace: format!("n{i}"), ..at(port) })
            .collect();
        let shown = probe.served(&asked).await;
        let told: Vec<_> = shown.iter().map(|s| (s.id.namespace.as_str(), s.chain.len())).collect();
        assert_eq!(told, [("n0", 1), ("n1", 0), ("n2", 1), ("n3", 0), ("n4", 1)]);
    }

    #[tokio::test]
    async fn an_issuer_that_nobody_knows() {
        let port = server().await;
        let probe = patient().with_roots([other().to_vec()]);
        assert!(probe.served(&[at(port)]).await[0].unknown_issuer);
        let probe = probe.with_roots([der().to_vec()]);
        assert!(!probe.served(&[at(port)]).await[0].unknown_issuer);
    }

    #[tokio::test]
    async fn how_much_of_a_chain_leads_to_a_root() {
        let servers = [at(showing(vec![der(), other()]).await)];
        let needed = async |root: CertificateDer<'static>| {
            let shown = patient().with_roots([root.to_vec()]).served(&servers).await;
            (shown[0].chain.len(), shown[0].needed)
        };
        assert_eq!(needed(der()).await, (2, Some(1)));
        assert_eq!(needed(other()).await, (2, None));
    }

    /// A server on this machine that answers whatever it is asked with these bytes; its port.
    async fn answering(bytes: &'static [u8]) -> u16 {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut asked = [0; 4096];
                if stream.read(&mut asked).await.is_ok() && stream.write_all(bytes).await.is_ok() {
                    let _ = stream.read(&mut asked).await;
                }
            }
        });
        port
    }

    #[tokio::test]
    async fn servers_of_other_protocols_are_told_in_plain_words() {
        let http = answering(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n").await;
        // An alert of TLS 1.0: fatal, protocol_version (RFC 5246, section 7.2).
        let old = answering(&[21, 3, 1, 0, 2, 2, 70]).await;
        // Fatal, handshake_failure.
        let other = answering(&[21, 3, 3, 0, 2, 2, 40]).await;
        let shown = patient().served(&[at(http), at(old), at(other)]).await;
        let why: Vec<_> = shown.iter().map(|s| s.failed.as_deref().unwrap_or_default()).collect();
        assert_eq!(why[0], "it does not speak TLS at this port; it may be a server of plain HTTP");
        assert_eq!(why[1], "it speaks neither TLS 1.2 nor 1.3, only an older version that clients refuse");
        assert!(why[2].starts_with("the handshake failed: "), "{why:?}");
    }

    #[tokio::test]
    async fn a_silent_server_is_told_with_the_reason() {
        // It takes connections and never says a word.
        let silent = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let silent = silent.local_addr().map(|a| (a.port(), silent)).expect("an address");
        let probe = TlsProbe { timeout: Duration::from_millis(50), ..TlsProbe::new() };
        let shown = probe.served(&[at(silent.0)]).await;
        assert_eq!((shown[0].chain.len(), shown[0].failed.as_deref()), (0, Some("no answer within 0.05 s")));
        let shown = patient().served(&[at(1), TlsServer { host: "no host".to_owned(), ..at(443) }]).await;
        let why: Vec<_> = shown.iter().map(|s| s.failed.as_deref().unwrap_or_default()).collect();
        assert!(why[0].starts_with("cannot connect: "), "{why:?}");
        assert_eq!(why[1], "this is no host name");
    }
}
