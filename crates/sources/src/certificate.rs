//! Certificates, as files, Secrets and TLS servers hold them, to what checks read of them.

use std::fmt::Write as _;
use std::net::IpAddr;

use healthcore::inventory::Certificate;
use healthcore::time::Timestamp;
use ring::digest::{SHA256, digest};
use x509_parser::extensions::{GeneralName, ParsedExtension};
use x509_parser::oid_registry::OID_PKIX_ACCESS_DESCRIPTOR_CA_ISSUERS;
use x509_parser::pem::Pem;
use x509_parser::prelude::{FromDer as _, X509Certificate};

/// Most certificates of one chain that are read.
pub(crate) const LONGEST_CHAIN: usize = 20;

/// The certificates of a PEM file (RFC 7468), in its order; other blocks are passed over.
///
/// # Errors
/// Why it cannot be read as certificates.
pub(crate) fn from_pem(text: &[u8]) -> Result<Vec<Certificate>, String> {
    let mut chain = Vec::new();
    for block in Pem::iter_from_buffer(text) {
        let block = block.map_err(|e| format!("the PEM text is broken: {e}"))?;
        if block.label != "CERTIFICATE" {
            continue;
        }
        if chain.len() == LONGEST_CHAIN {
            return Err(format!("a chain of more than {LONGEST_CHAIN} certificates is not read"));
        }
        chain.push(from_der(&block.contents)?);
    }
    if chain.is_empty() {
        return Err("there is no block `BEGIN CERTIFICATE`".to_owned());
    }
    Ok(chain)
}

/// One certificate in DER.
///
/// # Errors
/// Why it cannot be read.
pub(crate) fn from_der(der: &[u8]) -> Result<Certificate, String> {
    let (_, certificate) =
        X509Certificate::from_der(der).map_err(|_| "this is no X.509 certificate".to_owned())?;
    let names = certificate
        .subject_alternative_name()
        .ok()
        .flatten()
        .map(|san| san.value.general_names.iter().filter_map(name).collect())
        .unwrap_or_default();
    let validity = certificate.validity();
    Ok(Certificate {
        subject: certificate.subject().to_string(),
        issuer: certificate.issuer().to_string(),
        names,
        not_before: Timestamp::from_unix_seconds(validity.not_before.timestamp()),
        not_after: Timestamp::from_unix_seconds(validity.not_after.timestamp()),
        fingerprint: hexadecimal(digest(&SHA256, der).as_ref()),
        issuer_url: issuer_url(&certificate),
    })
}

/// The first address among the "CA Issuers" of the extension "authority information access".
fn issuer_url(certificate: &X509Certificate<'_>) -> Option<String> {
    let access = certificate.extensions().iter().find_map(|e| match e.parsed_extension() {
        ParsedExtension::AuthorityInfoAccess(access) => Some(access),
        _ => None,
    })?;
    let issuers = access.iter().filter(|a| a.access_method == OID_PKIX_ACCESS_DESCRIPTOR_CA_ISSUERS);
    let url = |location: &GeneralName<'_>| match location {
        GeneralName::URI(url) => Some((*url).to_owned()),
        _ => None,
    };
    issuers.map(|a| &a.access_location).find_map(url)
}

fn name(name: &GeneralName<'_>) -> Option<String> {
    match name {
        GeneralName::DNSName(name) => Some(name.to_ascii_lowercase()),
        GeneralName::IPAddress(bytes) => match bytes.len() {
            4 => <[u8; 4]>::try_from(*bytes).ok().map(|b| IpAddr::from(b).to_string()),
            _ => <[u8; 16]>::try_from(*bytes).ok().map(|b| IpAddr::from(b).to_string()),
        },
        _ => None,
    }
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut out, byte| {
        let _ = write!(out, "{byte:02x}");
        out
    })
}
