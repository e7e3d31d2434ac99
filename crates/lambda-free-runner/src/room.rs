//! Room in memory for parts, shared by the clusters that are read at the same time.

use std::sync::Arc;

use healthcore::need::Budget;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// What the parts under way may hold together, in samples of one dense metric.
#[derive(Clone)]
pub(crate) struct Room {
    free: Arc<Semaphore>,
    all: u32,
}

/// Room that a part takes until it is judged.
pub(crate) struct Place(
    #[expect(dead_code, reason = "held, and given back when dropped")] OwnedSemaphorePermit,
);

impl Room {
    /// Room for as many full parts as one cluster alone may have under way.
    pub(crate) fn of_parts(parts: usize, budget: Budget) -> Self {
        let all = budget.samples.max(1).saturating_mul(parts as u64);
        let all = u32::try_from(all).unwrap_or(u32::MAX);
        Self { free: Arc::new(Semaphore::new(all as usize)), all }
    }

    /// Waits for room. Only for the part that a cluster needs next: those that wait are then waited for by nobody who holds
    /// room.
    pub(crate) async fn wait(&self, samples: u64) -> Place {
        let place = Arc::clone(&self.free).acquire_many_owned(self.share(samples)).await;
        Place(place.expect("the semaphore is never closed"))
    }

    /// Takes room when there is some at once.
    pub(crate) fn at_once(&self, samples: u64) -> Option<Place> {
        Arc::clone(&self.free).try_acquire_many_owned(self.share(samples)).ok().map(Place)
    }

    /// A part that is larger than all takes all.
    fn share(&self, samples: u64) -> u32 {
        u32::try_from(samples).unwrap_or(u32::MAX).clamp(1, self.all)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_all_clusters_share_the_room_of_one() {
        let room = Room::of_parts(3, Budget { samples: 100, series: 10 });
        let held: Vec<Place> = (0..3).map_while(|_| room.clone().at_once(100)).collect();
        assert_eq!(held.len(), 3);
        assert!(room.at_once(1).is_none());
        drop(held);
        let most = room.at_once(1_000_000).expect("the largest part goes alone");
        assert!(room.at_once(1).is_none());
        drop(most);
        assert!(room.at_once(300).is_some());
    }
}
