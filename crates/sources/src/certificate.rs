//! Certificates, as files, Secrets and TLS servers hold them, to what checks read of them.

use std::fmt::Write as _;
use std::net::IpAddr;

use healthcore::inventory::Certificate;
use healthcore::time::Timestamp;
use ring::digest::{SHA256, digest};
use x509_parser::error::PEMError;
use x509_parser::extensions::{GeneralName, ParsedExtension};
use x509_parser::oid_registry::OID_PKIX_ACCESS_DESCRIPTOR_CA_ISSUERS;
use x509_parser::pem::Pem;
use x509_parser::prelude::{FromDer as _, X509Certificate};

/// Most certificates of one chain that are read.
pub(crate) const LONGEST_CHAIN: usize = 20;

/// What a PEM file holds of a chain.
#[derive(Debug, Default)]
pub(crate) struct Chain {
    /// Its certificates, in the order of the file, [`LONGEST_CHAIN`] at most; those before one that cannot be read.
    pub(crate) certificates: Vec<Certificate>,
    /// Certificates behind these that were not read, since the chain is too long.
    pub(crate) unread: u32,
    /// Why it cannot be read further.
    pub(crate) broken: Option<String>,
}

/// The certificates of a PEM file (RFC 7468); other blocks are passed over.
pub(crate) fn from_pem(text: &[u8]) -> Chain {
    let mut chain = Chain::default();
    for (at, block) in Pem::iter_from_buffer(text).enumerate() {
        let is_full = chain.certificates.len() == LONGEST_CHAIN;
        let read = match block {
            Ok(block) if block.label != "CERTIFICATE" => continue,
            Ok(_) if is_full => {
                chain.unread += 1;
                continue;
            }
            Ok(block) => from_der(&block.contents),
            Err(why) => Err(trouble(&why)),
        };
        match read {
            Ok(certificate) => chain.certificates.push(certificate),
            // What is not read need not be readable.
            Err(_) if is_full => {}
            Err(why) => {
                chain.broken = Some(format!("block {} {why}", at + 1));
                return chain;
            }
        }
    }
    if chain.certificates.is_empty() {
        chain.broken = Some("there is no block `BEGIN CERTIFICATE`".to_owned());
    }
    chain
}

/// What is wrong with a block of PEM.
fn trouble(why: &PEMError) -> String {
    match why {
        PEMError::Base64DecodeError => "is not in base64".to_owned(),
        PEMError::IncompletePEM => "has no line that begins with `-----END`".to_owned(),
        PEMError::InvalidHeader | PEMError::MissingHeader => "begins with a malformed line".to_owned(),
        PEMError::IOError(why) => format!("is no text: {why}"),
    }
}

/// One certificate in DER.
///
/// # Errors
/// What is wrong with it, to follow its name.
pub(crate) fn from_der(der: &[u8]) -> Result<Certificate, String> {
    let (_, certificate) =
        X509Certificate::from_der(der).map_err(|_| "is no X.509 certificate".to_owned())?;
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

#[cfg(test)]
mod tests {
    use super::*;

    const CERTIFICATE: &str = include_str!("kubernetes/tests/front.crt");

    /// Certificates that are read, those behind them, and why it goes no further.
    #[track_caller]
    fn check(text: &str, read: usize, unread: u32, broken: &str) {
        let chain = from_pem(text.as_bytes());
        let told = (chain.certificates.len(), chain.unread, chain.broken.as_deref().unwrap_or_default());
        assert_eq!(told, (read, unread, broken));
    }

    #[test]
    fn a_chain_is_read_as_far_as_it_can_be() {
        let key = "-----BEGIN EC PRIVATE KEY-----\nAAAA\n-----END EC PRIVATE KEY-----\n";
        check(&format!("{key}{CERTIFICATE}words\n{CERTIFICATE}"), 2, 0, "");
        check("garbage", 0, 0, "there is no block `BEGIN CERTIFICATE`");
        check(key, 0, 0, "there is no block `BEGIN CERTIFICATE`");
        let block = |text: &str| format!("-----BEGIN CERTIFICATE-----\n{text}");
        check(&block("%%%\n-----END CERTIFICATE-----\n"), 0, 0, "block 1 is not in base64");
        let other = block("AAAA\n-----END CERTIFICATE-----\n");
        check(&format!("{CERTIFICATE}{other}"), 1, 0, "block 2 is no X.509 certificate");
        check(&format!("{key}{CERTIFICATE}{}", block("AAAA\n")), 1, 0, {
            "block 3 has no line that begins with `-----END`"
        });
        check("-----BEGIN CERTIFICATE\n", 0, 0, "block 1 begins with a malformed line");
    }

    #[test]
    fn a_huge_chain_is_read_up_to_the_bound() {
        check(&CERTIFICATE.repeat(LONGEST_CHAIN), LONGEST_CHAIN, 0, "");
        let long = CERTIFICATE.repeat(LONGEST_CHAIN + 15);
        check(&long, LONGEST_CHAIN, 15, "");
        check(&format!("{long}-----BEGIN CERTIFICATE-----\nA"), LONGEST_CHAIN, 15, "");
    }
}
