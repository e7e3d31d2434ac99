//! A lease: who of several programs does the work.

use std::time::Duration;

use async_trait::async_trait;
use healthcore::time::Timestamp;

/// A lease as its store has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeaseRecord {
    /// Who holds it; empty when nobody does.
    pub holder: String,
    /// How long it holds after each renewal.
    pub lasts: Duration,
    /// When its holder got it, by the holder's clock.
    pub acquired_at: Timestamp,
    /// When its holder renewed it last, by the holder's clock.
    pub renewed_at: Timestamp,
    /// How often it went from one holder to another.
    pub transitions: u32,
    /// The instant of the schedule that was served last, whoever held the lease.
    pub served: Option<Timestamp>,
    /// The version of the store; empty before the first one.
    pub version: String,
}

/// Where one lease is kept, with versions: a write that others were faster than is refused.
#[async_trait]
pub trait LeaseStore: Send + Sync {
    /// The lease, if there is one.
    ///
    /// # Errors
    /// The store does not answer, or refuses.
    async fn get(&self) -> Result<Option<LeaseRecord>, LeaseError>;

    /// Makes the lease; gives it with its version.
    ///
    /// # Errors
    /// [`LeaseError::Conflict`] when there is one already; or the store does not answer, or refuses.
    async fn create(&self, record: &LeaseRecord) -> Result<LeaseRecord, LeaseError>;

    /// Writes over the version that `record` names; gives the lease with its new version.
    ///
    /// # Errors
    /// [`LeaseError::Conflict`] when that version is no longer the current one; or the store does not answer, or refuses.
    async fn replace(&self, record: &LeaseRecord) -> Result<LeaseRecord, LeaseError>;
}

/// Why a lease could not be read or written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LeaseError {
    /// Another program was faster.
    #[error("another program changed the lease at the same time")]
    Conflict,
    /// The store does not answer, or refuses; with what to do.
    #[error("{0}")]
    Failed(String),
}
