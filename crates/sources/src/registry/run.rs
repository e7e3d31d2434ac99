//! What one run knows of registries, whichever cluster asks.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{Mutex as Gate, Semaphore};

use super::RegistryTrouble;
use super::limit::Limit;

/// Questions to one registry at once.
const AT_ONCE: usize = 4;

/// What one run knows of registries. All its clusters share it; the next run begins anew.
#[derive(Default)]
pub struct RegistryRun {
    registries: Mutex<BTreeMap<String, Arc<Known>>>,
}

impl RegistryRun {
    pub(super) fn of(&self, registry: &str) -> Arc<Known> {
        let mut all = self.registries.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(all.entry(registry.to_owned()).or_default())
    }
}

/// What is known of one registry.
pub(super) struct Known {
    pub(super) at_once: Semaphore,
    /// Whether it has taken the credentials. Until then they are shown by one request at a time: each that is refused
    /// counts against the account.
    pub(super) accepted: Gate<bool>,
    stopped: Mutex<Option<RegistryTrouble>>,
    spent: Mutex<Duration>,
    /// What it said of the reads that are left; of several answers, the fewest.
    limit: Mutex<Option<Limit>>,
    /// Manifests that were read, or are being read.
    reads: Mutex<usize>,
}

impl Default for Known {
    fn default() -> Self {
        Self {
            at_once: Semaphore::new(AT_ONCE),
            accepted: Gate::default(),
            stopped: Mutex::default(),
            spent: Mutex::default(),
            limit: Mutex::default(),
            reads: Mutex::default(),
        }
    }
}

impl Known {
    /// # Errors
    /// Why it is asked no more.
    pub(super) fn goes_on(&self) -> Result<(), RegistryTrouble> {
        let stopped = self.stopped.lock().unwrap_or_else(PoisonError::into_inner);
        stopped.clone().map_or(Ok(()), Err)
    }

    /// Asks no more, if the trouble lasts. The first one counts.
    pub(super) fn stop(&self, trouble: &RegistryTrouble) {
        if trouble.lasting {
            let mut stopped = self.stopped.lock().unwrap_or_else(PoisonError::into_inner);
            stopped.get_or_insert_with(|| trouble.clone());
        }
    }

    /// Time that its answers took, one after the other.
    pub(super) fn spent(&self) -> Duration {
        *self.spent.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn spend(&self, time: Duration) {
        *self.spent.lock().unwrap_or_else(PoisonError::into_inner) += time;
    }

    pub(super) fn limit(&self) -> Option<Limit> {
        *self.limit.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Answers come in any order.
    pub(super) fn hear(&self, told: Limit) {
        let mut limit = self.limit.lock().unwrap_or_else(PoisonError::into_inner);
        if limit.is_none_or(|heard| told.left < heard.left) {
            *limit = Some(told);
        }
    }

    /// Whether a manifest was read, or is being read.
    pub(super) fn has_read(&self) -> bool {
        *self.reads.lock().unwrap_or_else(PoisonError::into_inner) > 0
    }

    /// Counts a manifest that is about to be read, unless `most` were.
    pub(super) fn counts_read(&self, most: Option<usize>) -> bool {
        let mut reads = self.reads.lock().unwrap_or_else(PoisonError::into_inner);
        let may = most.is_none_or(|most| *reads < most);
        *reads += usize::from(may);
        may
    }
}
