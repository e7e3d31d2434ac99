//! All registries to which there is access.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Duration;

use async_trait::async_trait;
use futures::future::join_all;
use futures::{StreamExt as _, stream};
use healthcore::image::ImageReference;
use healthcore::phrase::phrase;
use healthcore::snapshot::GapCause;
use tokio::time::{Instant, timeout_at};

use super::server::Registry;
use super::{ImagePlatforms, PlatformSource, RegistrySettings, RegistryTrouble};
use crate::SourceError;

/// Images of one registry that are asked for at once.
const AT_ONCE: usize = 4;
/// Time for all images of one call.
const TIME: Duration = Duration::from_secs(60);

/// Asks registries over the network, each only for the platforms of images that are its own.
pub struct RegistryClient {
    registries: BTreeMap<String, Registry>,
    /// Time for all images of one call.
    pub time: Duration,
}

impl RegistryClient {
    /// Prepares the clients; nothing is sent. A file of authorities that cannot be read is a matter of its registry.
    ///
    /// # Errors
    /// A setting cannot be used.
    pub fn new(settings: &[RegistrySettings]) -> Result<Self, SourceError> {
        crate::tls::install_provider();
        let made = settings.iter().map(|own| Ok((own.host.clone(), Registry::new(own)?)));
        Ok(Self { registries: made.collect::<Result<_, SourceError>>()?, time: TIME })
    }
}

#[async_trait]
impl PlatformSource for RegistryClient {
    fn has(&self, registry: &str) -> bool {
        self.registries.contains_key(&registry.to_ascii_lowercase())
    }

    async fn platforms(&self, images: &[ImageReference<'_>]) -> Vec<ImagePlatforms> {
        let deadline = Instant::now() + self.time;
        let mut by_registry: BTreeMap<String, Vec<usize>> = BTreeMap::new();
        for (at, image) in images.iter().enumerate() {
            by_registry.entry(image.registry().to_ascii_lowercase()).or_default().push(at);
        }
        let asked =
            by_registry.into_iter().filter_map(|(name, own)| Some((self.registries.get(&name)?, own)));
        let all: Vec<_> = asked.map(|(registry, own)| self.ask(registry, own, images, deadline)).collect();
        let mut told: BTreeMap<usize, ImagePlatforms> = join_all(all).await.into_iter().flatten().collect();
        let unasked = || ImagePlatforms { platforms: Vec::new(), trouble: None };
        (0..images.len()).map(|at| told.remove(&at).unwrap_or_else(unasked)).collect()
    }
}

impl RegistryClient {
    /// Asks one registry for images, by their places. After a trouble that lasts nobody asks again.
    async fn ask(
        &self,
        registry: &Registry,
        own: Vec<usize>,
        images: &[ImageReference<'_>],
        deadline: Instant,
    ) -> Vec<(usize, ImagePlatforms)> {
        let stopped: Mutex<Option<RegistryTrouble>> = Mutex::new(None);
        let one = |at: usize| {
            let (stopped, image) = (&stopped, images[at]);
            async move {
                let stop = || stopped.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
                let before = stop().clone();
                let told = match before {
                    Some(trouble) => Err(trouble),
                    None => {
                        let told = timeout_at(deadline, registry.platforms(&image)).await;
                        told.unwrap_or_else(|_| Err(self.late()))
                    }
                };
                if let Err(trouble) = &told
                    && trouble.lasting
                {
                    stop().get_or_insert_with(|| trouble.clone());
                }
                (at, told)
            }
        };
        let asked: Vec<_> = own.into_iter().map(one).collect();
        let told: Vec<_> = stream::iter(asked).buffer_unordered(AT_ONCE).collect().await;
        let known = |(at, told): (usize, Result<Vec<String>, RegistryTrouble>)| match told {
            Ok(platforms) => (at, ImagePlatforms { platforms, trouble: None }),
            Err(trouble) => (at, ImagePlatforms::unknown(trouble)),
        };
        told.into_iter().map(known).collect()
    }

    fn late(&self) -> RegistryTrouble {
        let said = phrase("registry-late").with("seconds", self.time.as_secs());
        RegistryTrouble { cause: GapCause::Timeout, said: said.into(), lasting: true }
    }
}
