//! What was delivered, so that the same report is not sent twice: an empty object a delivery, named by its key.

use futures::StreamExt as _;
use object_store::ObjectStoreExt as _;
use object_store::path::Path;

use super::{History, Patience};

/// Folder beside those of the clusters, whose names all end in a hash.
pub(super) const FOLDER: &str = "deliveries";
/// Age at which it is forgotten that something was sent, in seconds, counted back from the newest delivery.
const AGE_S: i64 = 40 * 86_400;

impl History {
    /// Whether a delivery is remembered.
    pub(crate) async fn was_sent(&self, key: &str, patience: &Patience) -> Result<bool, String> {
        let path = self.delivery(key);
        let asked = async {
            match self.store.head(&path).await {
                Ok(_) => Ok(true),
                Err(object_store::Error::NotFound { .. }) => Ok(false),
                Err(why) => Err(why),
            }
        };
        self.ask(patience, asked).await.map_err(|(_, why)| why)
    }

    /// Remembers a delivery, and forgets old ones.
    pub(crate) async fn remember_sent(
        &self,
        key: &str,
        what: &str,
        patience: &Patience,
    ) -> Result<(), String> {
        let path = self.delivery(key);
        let asked = async {
            self.store.put(&path, what.as_bytes().to_vec().into()).await?;
            self.forget_old().await
        };
        self.ask(patience, asked).await.map_err(|(_, why)| why)
    }

    async fn forget_old(&self) -> Result<(), object_store::Error> {
        let mut all = Vec::new();
        let folder = self.prefix.clone().join(FOLDER);
        let mut listed = self.store.list(Some(&folder));
        while let Some(meta) = listed.next().await {
            all.push(meta?);
        }
        let newest = all.iter().map(|m| m.last_modified.timestamp()).max().unwrap_or_default();
        for meta in all.iter().filter(|m| newest - m.last_modified.timestamp() > AGE_S) {
            match self.store.delete(&meta.location).await {
                Ok(()) | Err(object_store::Error::NotFound { .. }) => {}
                Err(why) => return Err(why),
            }
        }
        Ok(())
    }

    fn delivery(&self, key: &str) -> Path {
        self.prefix.clone().join(FOLDER).join(key)
    }
}
