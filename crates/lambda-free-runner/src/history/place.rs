//! From the name of a place to its store.

use std::sync::Arc;
use std::time::Duration;

use healthcore::snapshot::GapCause;
use object_store::aws::{AmazonS3Builder, S3ConditionalPut};
use object_store::azure::MicrosoftAzureBuilder;
use object_store::gcp::GoogleCloudStorageBuilder;
use object_store::local::LocalFileSystem;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{ClientOptions, ObjectStore, RetryConfig};

/// Why there can be no history at a place.
#[derive(Debug, thiserror::Error)]
#[error("history `{place}`: {why}")]
pub struct HistoryError {
    /// The place, without secrets.
    pub place: String,
    /// What is wrong, and what to do.
    pub why: String,
}

/// A store, and what of it is the history's.
pub(super) struct Opened {
    pub(super) store: Arc<dyn ObjectStore>,
    pub(super) prefix: Path,
    /// How messages name it, without secrets.
    pub(super) place: String,
    /// Why nothing can be read or written there, where that is known before it is tried.
    pub(super) unusable: Option<String>,
}

/// Time for one request to an object store.
const TIMEOUT: Duration = Duration::from_secs(15);
/// Time for a request with all its repetitions.
const RETRY_TIMEOUT: Duration = Duration::from_secs(30);
/// Repetitions of a request that failed in a way that may pass.
const RETRIES: usize = 2;

/// The store of a place. `environment` gives the value of an environment variable: where buckets are and who asks.
pub(super) fn open(
    place: &str,
    environment: &dyn Fn(&str) -> Option<String>,
) -> Result<Opened, HistoryError> {
    let error = |why: String| HistoryError { place: place.to_owned(), why };
    let Some((scheme, rest)) = place.split_once("://") else {
        // Nobody means a folder of that name.
        return match place.split_once(":/") {
            Some((scheme @ ("s3" | "oss" | "gs" | "az" | "file"), rest)) => Err(error(format!(
                "expected two slashes behind the colon; did you mean `{scheme}://{rest}`?"
            ))),
            _ => folder(place),
        };
    };
    if scheme == "file" {
        return folder(rest);
    }
    let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
    if bucket.is_empty() {
        return Err(error(format!("expected the name of a bucket, such as `{scheme}://bucket/healthcheck`")));
    }
    healthcore_sources::tls::install_provider();
    let store = match scheme {
        "s3" => s3(bucket, environment),
        "oss" => oss(bucket, environment).map_err(error)?,
        "gs" => google(bucket, environment),
        "az" => azure(bucket, environment),
        _ => {
            return Err(error(format!(
                "no store is known for `{scheme}://`; expected a folder, s3://, gs://, az:// or oss://"
            )));
        }
    };
    let store = store.map_err(|e| error(told(&e)))?;
    let prefix = Path::parse(prefix.trim_matches('/')).map_err(|e| error(e.to_string()))?;
    Ok(Opened { store, prefix, place: place.to_owned(), unusable: None })
}

type Store = Result<Arc<dyn ObjectStore>, object_store::Error>;

fn client(allow_http: bool) -> ClientOptions {
    ClientOptions::new().with_timeout(TIMEOUT).with_connect_timeout(TIMEOUT / 3).with_allow_http(allow_http)
}

fn retry() -> RetryConfig {
    RetryConfig { max_retries: RETRIES, retry_timeout: RETRY_TIMEOUT, ..RetryConfig::default() }
}

/// Whether the first of these variables that is set names an endpoint without TLS: who writes that means it.
fn is_plain(names: &[&str], environment: &dyn Fn(&str) -> Option<String>) -> bool {
    names.iter().find_map(|name| environment(name)).is_some_and(|endpoint| endpoint.starts_with("http://"))
}

/// Amazon S3 and what speaks its protocol, by the usual variables (`AWS_ACCESS_KEY_ID`, `AWS_ENDPOINT_URL`, ...).
fn s3(bucket: &str, environment: &dyn Fn(&str) -> Option<String>) -> Store {
    let plain = is_plain(&["AWS_ENDPOINT_URL", "AWS_ENDPOINT"], environment);
    let builder = AmazonS3Builder::from_env().with_bucket_name(bucket).with_disable_bulk_delete(true);
    Ok(Arc::new(builder.with_client_options(client(plain)).with_retry(retry()).build()?))
}

/// Alibaba Cloud OSS by its S3 protocol, which takes the bucket in the name of the host only.
fn oss(bucket: &str, environment: &dyn Fn(&str) -> Option<String>) -> Result<Store, String> {
    let need = |name: &str| {
        environment(name).filter(|v| !v.is_empty()).ok_or_else(|| {
            format!("the environment variable `{name}` is not set; oss:// needs OSS_REGION, OSS_ACCESS_KEY_ID and OSS_ACCESS_KEY_SECRET")
        })
    };
    let region = need("OSS_REGION")?;
    let mut builder = AmazonS3Builder::new()
        .with_bucket_name(bucket)
        .with_region(oss_region(&region))
        .with_endpoint(oss_endpoint(bucket, &region))
        .with_virtual_hosted_style_request(true)
        .with_access_key_id(need("OSS_ACCESS_KEY_ID")?)
        .with_secret_access_key(need("OSS_ACCESS_KEY_SECRET")?)
        .with_disable_bulk_delete(true)
        // It answers 501 to the header.
        .with_conditional_put(S3ConditionalPut::Disabled)
        .with_client_options(client(false))
        .with_retry(retry());
    if let Some(token) = environment("OSS_SESSION_TOKEN").filter(|t| !t.is_empty()) {
        builder = builder.with_token(token);
    }
    Ok(builder.build().map(|store| Arc::new(store) as Arc<dyn ObjectStore>))
}

/// A region is written as `cn-hangzhou`, `cn-hangzhou-internal` within its network, or with `oss-` in front.
fn oss_endpoint(bucket: &str, region: &str) -> String {
    let region = region.strip_prefix("oss-").unwrap_or(region);
    format!("https://{bucket}.s3.oss-{region}.aliyuncs.com")
}

/// The region that requests are signed for, whichever way it is reached.
fn oss_region(region: &str) -> &str {
    let region = region.strip_prefix("oss-").unwrap_or(region);
    region.strip_suffix("-internal").unwrap_or(region)
}

/// Google Cloud Storage by the usual variables (`GOOGLE_APPLICATION_CREDENTIALS`, ...) or the metadata server;
/// `GOOGLE_BASE_URL` where it is another endpoint than the public one.
fn google(bucket: &str, environment: &dyn Fn(&str) -> Option<String>) -> Store {
    let plain = is_plain(&["GOOGLE_BASE_URL"], environment);
    let builder = GoogleCloudStorageBuilder::from_env().with_bucket_name(bucket);
    Ok(Arc::new(builder.with_client_options(client(plain)).with_retry(retry()).build()?))
}

/// Azure Blob Storage by the usual variables (`AZURE_STORAGE_ACCOUNT_NAME`, ...), `AZURE_STORAGE_ENDPOINT` where it is
/// another endpoint than the public one; the bucket is a container.
fn azure(container: &str, environment: &dyn Fn(&str) -> Option<String>) -> Store {
    let plain = is_plain(&["AZURE_STORAGE_ENDPOINT", "AZURE_ENDPOINT"], environment);
    let builder = MicrosoftAzureBuilder::from_env().with_container_name(container);
    Ok(Arc::new(builder.with_client_options(client(plain)).with_retry(retry()).build()?))
}

/// Refuses a folder that is not there. Whether a bucket is, shows when it is asked.
pub(super) fn must_exist(place: &str) -> Result<(), HistoryError> {
    let folder = match place.split_once("://") {
        None => place,
        Some(("file", folder)) => folder,
        Some(_) => return Ok(()),
    };
    if std::path::Path::new(folder).is_dir() {
        return Ok(());
    }
    let why = "there is no such folder; name the one that `check --history` writes to".to_owned();
    Err(HistoryError { place: place.to_owned(), why })
}

fn folder(place: &str) -> Result<Opened, HistoryError> {
    if place.trim().is_empty() {
        let why = "expected a folder or the address of an object store, got nothing".to_owned();
        return Err(HistoryError { place: place.to_owned(), why });
    }
    let (store, unusable): (Arc<dyn ObjectStore>, _) = match local(place) {
        // A run that was remembered is there after a loss of power too.
        Ok(store) => (Arc::new(store.with_fsync(true)), None),
        // A disk that is full or cannot be written costs no report.
        Err(why) => (Arc::new(InMemory::new()), Some(why)),
    };
    Ok(Opened { store, prefix: Path::default(), place: place.to_owned(), unusable })
}

fn local(place: &str) -> Result<LocalFileSystem, String> {
    std::fs::create_dir_all(place).map_err(|e| format!("the folder cannot be made: {e}"))?;
    LocalFileSystem::new_with_prefix(place).map_err(|e| format!("the folder cannot be used: {}", told(&e)))
}

/// What is said of a folder whose disk has no room left.
const FULL: &str = "the disk is full; make room, or name a place on another one";

/// What is said of an answer that is a refusal.
const ANSWERED: &str = "the store answered ";

/// Codes of S3 and OSS for credentials that are wrong, which come with the same status as missing rights.
const WRONG_CREDENTIALS: [&str; 5] = [
    "InvalidAccessKeyId",
    "SignatureDoesNotMatch",
    "ExpiredToken",
    "InvalidToken",
    "AuthorizationHeaderMalformed",
];

/// What kind of failure an error of a store is. Its library has kinds for single objects only; of a list, the text tells.
pub(super) fn cause(error: &object_store::Error) -> GapCause {
    match error {
        object_store::Error::PermissionDenied { .. } => GapCause::AccessDenied,
        object_store::Error::Unauthenticated { .. } => GapCause::Unauthorized,
        object_store::Error::NotFound { .. } => GapCause::NothingMatches,
        _ => cause_of(&told(error)),
    }
}

fn cause_of(said: &str) -> GapCause {
    let status = said.strip_prefix(ANSWERED).and_then(|answer| answer.get(..3));
    let names = |words: &[&str]| words.iter().any(|word| said.contains(word));
    match status {
        Some("401") => GapCause::Unauthorized,
        Some(_) if names(&WRONG_CREDENTIALS) => GapCause::Unauthorized,
        Some("403") => GapCause::AccessDenied,
        Some("404") => GapCause::NothingMatches,
        None if names(&["timed out"]) => GapCause::Timeout,
        None if names(&["error sending request"]) => GapCause::Unreachable,
        _ => GapCause::Failed,
    }
}

/// An error of a store in one line: what the store answered, or why it could not be asked.
pub(super) fn told(error: &object_store::Error) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        if cause.downcast_ref::<std::io::Error>().is_some_and(|e| e.kind() == std::io::ErrorKind::StorageFull)
        {
            return FULL.to_owned();
        }
        let words = cause.to_string();
        if !text.contains(&words) {
            text.push_str(": ");
            text.push_str(&words);
        }
        source = cause.source();
    }
    let line: String = text.split_whitespace().collect::<Vec<_>>().join(" ");
    in_short(&line).chars().take(500).collect()
}

/// Without the address and the seconds of the request, which say nothing to a reader and differ from run to run.
fn in_short(line: &str) -> String {
    if let Some((_, answer)) = line.split_once("Server returned non-2xx status code: ") {
        return format!("{ANSWERED}{}", answered(answer));
    }
    line.rsplit_once(" - HTTP error: ").map_or(line, |(_, why)| why).to_owned()
}

/// Status, code and message of an answer, whose body is XML for S3, OSS and Azure.
fn answered(answer: &str) -> String {
    let (status, body) = answer.split_once(": ").unwrap_or((answer, ""));
    let tag = |name: &str| {
        let (_, rest) = body.split_once(&format!("<{name}>"))?;
        Some(rest.split_once("</")?.0)
    };
    let words: Vec<&str> =
        ["Code", "Message"].into_iter().filter_map(tag).filter(|t| !t.is_empty()).collect();
    match words.is_empty() {
        true => answer.to_owned(),
        false => format!("{status}: {}", words.join(", ")),
    }
}

/// An error of ours as one of a store.
pub(super) fn failed(source: Box<dyn std::error::Error + Send + Sync>) -> object_store::Error {
    object_store::Error::Generic { store: "history", source }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn why(place: &str, variables: &[(&str, &str)]) -> String {
        let environment =
            |name: &str| variables.iter().find(|(n, _)| *n == name).map(|(_, v)| (*v).to_owned());
        match open(place, &environment) {
            Ok(Opened { prefix, unusable: None, .. }) => format!("ok {prefix}"),
            Ok(opened) => opened.unusable.unwrap_or_default(),
            Err(e) => e.to_string(),
        }
    }

    #[test]
    fn a_full_disk_is_told_in_plain_words() {
        let full = std::io::Error::from(std::io::ErrorKind::StorageFull);
        let error = object_store::Error::Generic { store: "LocalFileSystem", source: full.into() };
        assert_eq!(told(&error), FULL);
    }

    #[test]
    fn places_are_told_by_their_scheme() {
        const KEYS: &[(&str, &str)] = &[
            ("OSS_REGION", "cn-hangzhou"),
            ("OSS_ACCESS_KEY_ID", "id"),
            ("OSS_ACCESS_KEY_SECRET", "hunter2"),
        ];
        assert_eq!(why("s3://bucket/some/prefix/", &[]), "ok some/prefix");
        assert_eq!(why("s3://bucket", &[]), "ok ");
        assert_eq!(why("oss://bucket/p", KEYS), "ok p");
        assert_eq!(
            why("oss://bucket/p", &KEYS[..2]),
            "history `oss://bucket/p`: the environment variable `OSS_ACCESS_KEY_SECRET` is not set; oss:// needs OSS_REGION, OSS_ACCESS_KEY_ID and OSS_ACCESS_KEY_SECRET"
        );
        assert_eq!(
            why("s3:///p", &[]),
            "history `s3:///p`: expected the name of a bucket, such as `s3://bucket/healthcheck`"
        );
        assert_eq!(
            why("ftp://host/p", &[]),
            "history `ftp://host/p`: no store is known for `ftp://`; expected a folder, s3://, gs://, az:// or oss://"
        );
        assert_eq!(
            why("s3:/bucket/p", &[]),
            "history `s3:/bucket/p`: expected two slashes behind the colon; did you mean `s3://bucket/p`?"
        );
        assert!(why("", &[]).starts_with("history ``: expected a folder"));
    }

    #[test]
    fn answers_are_told_in_short() {
        let check = |line: &str, expected: &str, cause: GapCause| {
            let said = in_short(line);
            assert_eq!((said.as_str(), cause_of(&said)), (expected, cause));
        };
        let asked = "Generic S3 error: Error performing list request: Error performing GET http://127.0.0.1:9/b in 2.9s";
        let refused = |status: &str, code: &str| {
            let body = format!(
                "<?xml version=\"1.0\"?> <Error><Code>{code}</Code><Message>It is so</Message></Error>"
            );
            format!("{asked} - Server returned non-2xx status code: {status}: {body}")
        };
        check(
            &refused("404 Not Found", "NoSuchBucket"),
            "the store answered 404 Not Found: NoSuchBucket, It is so",
            GapCause::NothingMatches,
        );
        check(
            &refused("403 Forbidden", "AccessDenied"),
            "the store answered 403 Forbidden: AccessDenied, It is so",
            GapCause::AccessDenied,
        );
        check(
            &refused("403 Forbidden", "SignatureDoesNotMatch"),
            "the store answered 403 Forbidden: SignatureDoesNotMatch, It is so",
            GapCause::Unauthorized,
        );
        check(
            &format!(
                "{asked}, after 2 retries - Server returned non-2xx status code: 500 Internal Server Error: oh"
            ),
            "the store answered 500 Internal Server Error: oh",
            GapCause::Failed,
        );
        check(
            &format!(
                "{asked}, after 1 retries, max_retries: 2 - HTTP error: error sending request: operation timed out"
            ),
            "error sending request: operation timed out",
            GapCause::Timeout,
        );
        check(
            &format!("{asked}, after 2 retries - HTTP error: error sending request: connection refused"),
            "error sending request: connection refused",
            GapCause::Unreachable,
        );
        check(
            "Generic LocalFileSystem error: no room",
            "Generic LocalFileSystem error: no room",
            GapCause::Failed,
        );
    }

    #[test]
    fn oss_takes_the_bucket_in_the_host() {
        for region in ["cn-hangzhou", "oss-cn-hangzhou"] {
            assert_eq!(oss_endpoint("b", region), "https://b.s3.oss-cn-hangzhou.aliyuncs.com");
            assert_eq!(oss_region(region), "cn-hangzhou");
        }
        let within = "oss-cn-hangzhou-internal";
        assert_eq!(oss_endpoint("b", within), "https://b.s3.oss-cn-hangzhou-internal.aliyuncs.com");
        assert_eq!(oss_region(within), "cn-hangzhou");
    }
}
