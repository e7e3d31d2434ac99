//! What manifests and configurations of images say of platforms. Pure.

use serde::{Deserialize, Deserializer};

/// Media types of manifests, those of lists first. Registries answer with the first that they have.
pub(super) const ACCEPT: &str = "application/vnd.oci.image.index.v1+json, \
    application/vnd.docker.distribution.manifest.list.v2+json, \
    application/vnd.oci.image.manifest.v1+json, \
    application/vnd.docker.distribution.manifest.v2+json";

/// Platforms of one image that are kept.
const MOST_PLATFORMS: usize = 64;

/// What a manifest says.
#[derive(Debug, PartialEq)]
pub(super) enum Manifest {
    /// One of several platforms. None where one of its images does not tell its own.
    Platforms(Vec<String>),
    /// One of a single image, whose platform stands in its configuration, a blob of this digest.
    Image(String),
    /// Something else than an image.
    Other,
}

/// Reads a manifest or an index, told apart by what is in them: not every registry tells the media type.
///
/// # Errors
/// It is none.
pub(super) fn read(body: &[u8]) -> Result<Manifest, serde_json::Error> {
    let raw: RawManifest = serde_json::from_slice(body)?;
    Ok(match (raw.manifests, raw.config) {
        (Some(images), _) => Manifest::Platforms(of_index(images)),
        (None, Some(config)) if is_digest(&config.digest) => Manifest::Image(config.digest),
        _ => Manifest::Other,
    })
}

/// The platform that the configuration of an image tells, if it does.
///
/// # Errors
/// It is no JSON.
pub(super) fn platform_of_config(body: &[u8]) -> Result<Vec<String>, serde_json::Error> {
    let raw: RawPlatform = serde_json::from_slice(body)?;
    Ok(raw.name().into_iter().collect())
}

fn of_index(images: Vec<RawEntry>) -> Vec<String> {
    let mut platforms = Vec::new();
    for image in images {
        match image.platform {
            // What says how an image was built stands beside it.
            Some(platform) if platform.is_unknown() => {}
            Some(platform) => match platform.name() {
                Some(name) => platforms.push(name),
                None => return Vec::new(),
            },
            None => return Vec::new(),
        }
    }
    platforms.sort();
    platforms.dedup();
    platforms.truncate(MOST_PLATFORMS);
    platforms
}

/// Whether a text is a digest, and nothing else that could stand in a path.
pub(super) fn is_digest(text: &str) -> bool {
    let Some((algorithm, hex)) = text.split_once(':') else { return false };
    let of_algorithm = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"+._-".contains(&b);
    !algorithm.is_empty()
        && algorithm.bytes().all(of_algorithm)
        && (32..=128).contains(&hex.len())
        && hex.bytes().all(|b| b.is_ascii_hexdigit())
}

#[derive(Deserialize)]
struct RawManifest {
    #[serde(default)]
    manifests: Option<Vec<RawEntry>>,
    #[serde(default)]
    config: Option<RawDescriptor>,
}

#[derive(Deserialize)]
struct RawEntry {
    #[serde(default)]
    platform: Option<RawPlatform>,
}

#[derive(Deserialize)]
struct RawDescriptor {
    #[serde(default)]
    digest: String,
}

/// A platform as an index and a configuration have it.
#[derive(Deserialize)]
struct RawPlatform {
    #[serde(default, deserialize_with = "or_empty")]
    os: String,
    #[serde(default, deserialize_with = "or_empty")]
    architecture: String,
    #[serde(default, deserialize_with = "or_empty")]
    variant: String,
}

fn or_empty<'de, D: Deserializer<'de>>(d: D) -> Result<String, D::Error> {
    Ok(Option::<String>::deserialize(d)?.unwrap_or_default())
}

impl RawPlatform {
    fn is_unknown(&self) -> bool {
        self.os == "unknown" && self.architecture == "unknown"
    }

    /// `os/architecture[/variant]` in the names of Go, which nodes have too; none where it is not told.
    fn name(&self) -> Option<String> {
        let architecture = match self.architecture.to_ascii_lowercase().as_str() {
            "x86_64" | "x86-64" => "amd64".to_owned(),
            "aarch64" => "arm64".to_owned(),
            "i386" => "386".to_owned(),
            other => other.to_owned(),
        };
        let is_word = |text: &str| {
            (1..=32).contains(&text.len())
                && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
        };
        let os = self.os.to_ascii_lowercase();
        if self.is_unknown() || !is_word(&os) || !is_word(&architecture) {
            return None;
        }
        let variant = self.variant.to_ascii_lowercase();
        Some(match is_word(&variant) {
            true => format!("{os}/{architecture}/{variant}"),
            false => format!("{os}/{architecture}"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIGEST: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    #[track_caller]
    fn check(body: &str, expected: Manifest) {
        assert_eq!(read(body.as_bytes()).unwrap(), expected, "{body}");
    }

    #[test]
    fn an_index_tells_its_platforms() {
        check(
            r#"{"schemaVersion":2,"manifests":[
                {"platform":{"architecture":"arm64","os":"linux","variant":"v8"}},
                {"platform":{"architecture":"amd64","os":"linux"}},
                {"platform":{"architecture":"amd64","os":"linux"}},
                {"platform":{"architecture":"x86_64","os":"Windows","os.version":"10.0.20348"}},
                {"platform":{"architecture":"unknown","os":"unknown"},"annotations":{"vnd.docker.reference.type":"attestation-manifest"}}]}"#,
            Manifest::Platforms(vec![
                "linux/amd64".to_owned(),
                "linux/arm64/v8".to_owned(),
                "windows/amd64".to_owned(),
            ]),
        );
        check(r#"{"manifests":[]}"#, Manifest::Platforms(vec![]));
    }

    /// Rather not known than wrong: an image without platform may be for any.
    #[test]
    fn an_image_that_keeps_its_platform_to_itself_leaves_all_unknown() {
        for other in [
            r#"{}"#,
            r#"{"platform":{"os":"linux"}}"#,
            r#"{"platform":{"os":"linux","architecture":"../x"}}"#,
        ] {
            let index = format!(
                r#"{{"manifests":[{{"platform":{{"architecture":"amd64","os":"linux"}}}},{other}]}}"#
            );
            check(&index, Manifest::Platforms(vec![]));
        }
    }

    #[test]
    fn a_single_image_has_its_platform_in_its_configuration() {
        check(
            &format!(r#"{{"schemaVersion":2,"config":{{"digest":"{DIGEST}","size":9}}}}"#),
            Manifest::Image(DIGEST.to_owned()),
        );
        check(r#"{"config":{"digest":"sha256:../../x"}}"#, Manifest::Other);
        check(r#"{"schemaVersion":1,"architecture":"amd64"}"#, Manifest::Other);
        assert!(read(b"<html>").is_err() && read(b"7").is_err());
        let of = |text: &str| platform_of_config(text.as_bytes()).unwrap();
        assert_eq!(of(r#"{"architecture":"arm","os":"linux","variant":"v7","config":{}}"#), ["linux/arm/v7"]);
        assert_eq!(of(r#"{"name":"a chart of Helm"}"#), Vec::<String>::new());
        assert!(platform_of_config(b"\x1f\x8b").is_err());
    }
}
