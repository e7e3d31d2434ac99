//! The one TLS provider of the process, and what TLS servers show.

mod probe;

pub use probe::{CertificateSource, TlsProbe, TlsServer};

/// Makes ring the provider of rustls, unless the program has chosen one already.
pub fn install_provider() {
    // It fails only when there is one, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
}
