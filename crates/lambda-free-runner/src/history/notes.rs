//! Notes of what was delivered: small objects in a folder beside those of the clusters, each with a name.

use object_store::ObjectStoreExt as _;
use object_store::path::Path;

use super::{History, Patience};

/// Folder beside those of the clusters, whose names all end in a hash.
pub(super) const FOLDER: &str = "deliveries";

impl History {
    /// What a note says; none where there is no such note.
    pub(super) async fn note(&self, name: &str, patience: &Patience) -> Result<Option<Vec<u8>>, String> {
        let path = self.note_path(name);
        let asked = async {
            match self.store.get(&path).await {
                Ok(found) => found.bytes().await.map(|text| Some(text.into())),
                Err(object_store::Error::NotFound { .. }) => Ok(None),
                Err(why) => Err(why),
            }
        };
        self.ask(patience, asked).await.map_err(|(_, why)| why)
    }

    /// Writes a note, over one of the same name.
    pub(super) async fn write_note(
        &self,
        name: &str,
        text: Vec<u8>,
        patience: &Patience,
    ) -> Result<(), String> {
        let path = self.note_path(name);
        let asked = async { self.store.put(&path, text.into()).await };
        self.ask(patience, asked).await.map(drop).map_err(|(_, why)| why)
    }

    /// Where a note of that name is.
    pub(super) fn note_path(&self, name: &str) -> Path {
        self.prefix.clone().join(FOLDER).join(name)
    }

    /// Removes an object; another program may have been faster.
    pub(super) async fn remove(&self, path: &Path) -> Result<(), object_store::Error> {
        match self.store.delete(path).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(why) => Err(why),
        }
    }
}
