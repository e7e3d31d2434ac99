//! How long a store is waited for: a store that hangs costs a run one time-out, however many clusters it has.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use healthcore::snapshot::GapCause;
use tokio::time::timeout;

use super::place;

/// Time for all that is asked of a store about one cluster, or one delivery.
const PATIENCE: Duration = Duration::from_secs(60);

/// What is left of the patience with a store. Several may ask at once; after one of them got no answer, none asks again.
#[derive(Debug, Default)]
pub(crate) struct Patience {
    is_lost: AtomicBool,
}

impl Patience {
    /// Asks a store for something, unless it did not answer before.
    pub(super) async fn with<T>(
        &self,
        work: impl Future<Output = Result<T, object_store::Error>>,
    ) -> Result<T, (GapCause, String)> {
        if self.is_lost.load(Ordering::Relaxed) {
            return Err((GapCause::Timeout, "it did not answer before, and is not asked again".to_owned()));
        }
        let failed = match timeout(PATIENCE, work).await {
            Ok(Ok(done)) => return Ok(done),
            Ok(Err(why)) => (place::cause(&why), place::told(&why)),
            Err(_) => (GapCause::Timeout, format!("no answer within {} s", PATIENCE.as_secs())),
        };
        if matches!(failed.0, GapCause::Timeout | GapCause::Unreachable) {
            self.is_lost.store(true, Ordering::Relaxed);
        }
        Err(failed)
    }
}
