//! What was delivered, so that the same is not sent twice: an object a delivery, named by its key.
//!
//! A delivery is noted before it is sent, and what came of it afterwards. A program that was killed in between, or got no
//! answer, leaves one of which nobody knows whether it arrived.

use futures::StreamExt as _;
use object_store::{Error, PutMode};

use super::{History, Patience, notes};

/// Age at which it is forgotten that something was sent, in seconds, counted back from the newest delivery.
const AGE_S: i64 = 40 * 86_400;
/// What an object says of a delivery that has begun; else it says what arrived.
const BEGUN: &[u8] = b"begun";

/// What is remembered of a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sending {
    /// It was sent, and whether it arrived is not known.
    Begun,
    /// It arrived.
    Arrived,
}

impl History {
    /// Notes that a delivery is about to be sent; where one of that key is noted already, gives what is remembered of it, and
    /// changes nothing. Of several programs that begin at once one gets nothing, where the store has conditional writes.
    pub(crate) async fn begin(&self, key: &str, patience: &Patience) -> Result<Option<Sending>, String> {
        if let Some(known) = self.sending(key, patience).await? {
            return Ok(Some(known));
        }
        let path = self.note_path(key);
        let asked = async {
            match self.store.put_opts(&path, BEGUN.to_vec().into(), PutMode::Create.into()).await {
                Ok(_) => Ok(true),
                Err(Error::AlreadyExists { .. }) => Ok(false),
                Err(why) => Err(why),
            }
        };
        match self.ask(patience, asked).await {
            Ok(true) => Ok(None),
            Ok(false) => self.sending(key, patience).await,
            // Not every store has conditional writes, and each says so in its own way.
            Err(_) => self.write_note(key, BEGUN.to_vec(), patience).await.map(|()| None),
        }
    }

    async fn sending(&self, key: &str, patience: &Patience) -> Result<Option<Sending>, String> {
        let said = self.note(key, patience).await?;
        Ok(said.map(|said| if said == BEGUN { Sending::Begun } else { Sending::Arrived }))
    }

    /// Forgets a delivery of which nothing arrived, so that it can be sent again.
    pub(crate) async fn forget_begun(&self, key: &str, patience: &Patience) -> Result<(), String> {
        let path = self.note_path(key);
        self.ask(patience, self.remove(&path)).await.map_err(|(_, why)| why)
    }

    /// Remembers a delivery, and forgets old ones.
    pub(crate) async fn remember_sent(
        &self,
        key: &str,
        what: &str,
        patience: &Patience,
    ) -> Result<(), String> {
        self.write_note(key, what.as_bytes().to_vec(), patience).await?;
        self.ask(patience, self.forget_old()).await.map_err(|(_, why)| why)
    }

    async fn forget_old(&self) -> Result<(), Error> {
        let mut all = Vec::new();
        let folder = self.prefix.clone().join(notes::FOLDER);
        let mut listed = self.store.list(Some(&folder));
        while let Some(meta) = listed.next().await {
            all.push(meta?);
        }
        let newest = all.iter().map(|m| m.last_modified.timestamp()).max().unwrap_or_default();
        for meta in all.iter().filter(|m| newest - m.last_modified.timestamp() > AGE_S) {
            self.remove(&meta.location).await?;
        }
        Ok(())
    }
}
