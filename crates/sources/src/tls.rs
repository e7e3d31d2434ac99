//! The one TLS provider of the process.

/// Makes ring the provider of rustls, unless the program has chosen one already.
pub fn install_provider() {
    // It fails only when there is one, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
}
