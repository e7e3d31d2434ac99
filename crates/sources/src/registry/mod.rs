//! Image registries (OCI Distribution Specification 1.1): the platforms that images are built for.

mod client;
mod limit;
mod manifest;
mod read;
mod run;
mod server;
#[cfg(test)]
mod tests;

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use async_trait::async_trait;
use healthcore::finding::Value;
use healthcore::image::{DOCKER_HUB, ImageReference};
use healthcore::snapshot::GapCause;

use crate::prometheus::Auth;

pub use client::RegistryClient;
pub use read::ReadImages;
pub use run::RegistryRun;

/// A registry to which there is access.
#[derive(Clone, PartialEq, Eq)]
pub struct RegistrySettings {
    /// Its name as it begins references: `HOST` or `HOST:PORT`; `docker.io` for references that name none.
    pub host: String,
    /// Credentials; registries exchange a user name and password for a token where they want one.
    pub auth: Auth,
    /// A file with certificates (PEM) of authorities to trust beside the system's.
    pub ca_file: Option<PathBuf>,
    /// Whether it is spoken to without TLS.
    pub plain_http: bool,
    /// Time for one request.
    pub timeout: Duration,
    /// Most manifests that are read of it in a run, for registries that count them; none for as many as are asked for.
    pub most: Option<usize>,
}

/// Most manifests that are read of Docker Hub in a run: a quarter of what it lets an address read in six hours without an
/// account, nodes that pull included.
const MOST_OF_DOCKER_HUB: usize = 25;

impl RegistrySettings {
    /// The defaults for a registry: no credentials, TLS, 10 s a request, and few manifests of Docker Hub.
    #[must_use]
    pub fn new(host: &str) -> Self {
        let host = host.to_ascii_lowercase();
        let most = (host == DOCKER_HUB).then_some(MOST_OF_DOCKER_HUB);
        let timeout = Duration::from_secs(10);
        Self { host, auth: Auth::None, ca_file: None, plain_http: false, timeout, most }
    }
}

impl fmt::Debug for RegistrySettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RegistrySettings")
            .field("host", &self.host)
            .field("auth", &self.auth)
            .field("ca_file", &self.ca_file)
            .field("plain_http", &self.plain_http)
            .field("timeout", &self.timeout)
            .field("most", &self.most)
            .finish()
    }
}

/// What a registry tells of an image.
#[derive(Debug, Clone, PartialEq)]
pub struct ImagePlatforms {
    /// Platforms that it is built for (`linux/amd64`, `linux/arm/v7`), in order, each once. None at all where the registry
    /// answers and does not tell them, as of what is no image.
    pub platforms: Vec<String>,
    /// Why they are not known, if so.
    pub trouble: Option<RegistryTrouble>,
}

impl ImagePlatforms {
    /// These could not be had.
    #[must_use]
    pub const fn unknown(trouble: RegistryTrouble) -> Self {
        Self { platforms: Vec::new(), trouble: Some(trouble) }
    }
}

/// Why a registry does not tell the platforms of an image.
#[derive(Debug, Clone, PartialEq)]
pub struct RegistryTrouble {
    /// What kind of failure.
    pub cause: GapCause,
    /// What happened, without any secret.
    pub said: Value,
    /// Whether it would be the same for every other image of the registry, so that none of these is asked for.
    pub lasting: bool,
}

/// What knows platforms of images.
#[async_trait]
pub trait PlatformSource: Send + Sync {
    /// Whether there is access to a registry. Others are never asked.
    fn has(&self, registry: &str) -> bool;

    /// Most images that are read of a registry in a run, where it has such a bound.
    fn most(&self, _registry: &str) -> Option<usize> {
        None
    }

    /// What the registry of an image tells of it. What holds for the registry is known in the whole run: after a trouble
    /// that lasts nobody asks it again, and all its answers together take bounded time.
    async fn platforms(&self, image: &ImageReference<'_>, run: &RegistryRun) -> ImagePlatforms;
}
