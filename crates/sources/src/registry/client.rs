//! All registries to which there is access.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use healthcore::image::ImageReference;
use healthcore::phrase::phrase;
use healthcore::snapshot::GapCause;
use tokio::time::{Instant, timeout};

use super::run::Known;
use super::server::Registry;
use super::{ImagePlatforms, PlatformSource, ReadImages, RegistryRun, RegistrySettings, RegistryTrouble};
use crate::SourceError;

/// Time for all answers of one registry in a run: four are asked for at once, so it is a minute.
const TIME: Duration = Duration::from_secs(240);

/// Asks registries over the network, each only for the platforms of images that are its own.
pub struct RegistryClient {
    registries: BTreeMap<String, Registry>,
    /// Time for all answers of one registry in a run, one after the other.
    pub time: Duration,
}

impl RegistryClient {
    /// Prepares the clients; nothing is sent. A file of authorities that cannot be read is a matter of its registry.
    ///
    /// # Errors
    /// A setting cannot be used.
    pub fn new(settings: &[RegistrySettings]) -> Result<Self, SourceError> {
        Self::knowing(settings, &Arc::default())
    }

    /// As [`Self::new`], with what was read before, and where to keep what is read.
    ///
    /// # Errors
    /// A setting cannot be used.
    pub fn knowing(settings: &[RegistrySettings], read: &Arc<ReadImages>) -> Result<Self, SourceError> {
        crate::tls::install_provider();
        let made = settings.iter().map(|own| Ok((own.host.clone(), Registry::new(own, Arc::clone(read))?)));
        Ok(Self { registries: made.collect::<Result<_, SourceError>>()?, time: TIME })
    }
}

#[async_trait]
impl PlatformSource for RegistryClient {
    fn has(&self, registry: &str) -> bool {
        self.registries.contains_key(&registry.to_ascii_lowercase())
    }

    fn most(&self, registry: &str) -> Option<usize> {
        self.registries.get(&registry.to_ascii_lowercase())?.most()
    }

    async fn platforms(&self, image: &ImageReference<'_>, run: &RegistryRun) -> ImagePlatforms {
        let name = image.registry().to_ascii_lowercase();
        let Some(registry) = self.registries.get(&name) else {
            return ImagePlatforms { platforms: Vec::new(), trouble: None };
        };
        let known = run.of(&name);
        self.ask(registry, image, &known).await.unwrap_or_else(ImagePlatforms::unknown)
    }
}

impl RegistryClient {
    async fn ask(
        &self,
        registry: &Registry,
        image: &ImageReference<'_>,
        known: &Known,
    ) -> Result<ImagePlatforms, RegistryTrouble> {
        let _place = known.at_once.acquire().await.expect("the semaphore is never closed");
        known.goes_on()?;
        let (begun, left) = (Instant::now(), self.time.saturating_sub(known.spent()));
        let told = match left.is_zero() {
            true => Err(self.late()),
            false => {
                let told = timeout(left, registry.platforms(image, known)).await;
                told.unwrap_or_else(|_| Err(self.late()))
            }
        };
        known.spend(begun.elapsed());
        told.inspect_err(|trouble| known.stop(trouble))
    }

    fn late(&self) -> RegistryTrouble {
        let said = phrase("registry-late").with("seconds", self.time.as_secs());
        RegistryTrouble { cause: GapCause::Timeout, said: said.into(), lasting: true }
    }
}
