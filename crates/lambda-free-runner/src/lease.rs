//! Election of a leader by a lease: of several programs with one lease, one at a time does the work.
//!
//! The rules are those of Kubernetes' own components (client-go, package leaderelection). Clocks of machines are never
//! compared: a lease has run out when nobody was seen to change it for as long as it lasts. And who cannot renew stops to
//! lead well before that, so two leaders at once are excluded as long as both their clocks go at about the same speed.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use healthcore::time::Timestamp;
use healthcore_sources::lease::{LeaseError, LeaseRecord, LeaseStore};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};

use crate::clock::{Clock, SystemClock};
use crate::redact;

/// How long a lease holds after each renewal.
const LASTS: Duration = Duration::from_secs(15);
/// How long after its last renewal a leader that cannot renew still leads.
const RENEW_WITHIN: Duration = Duration::from_secs(10);
/// The wait between two looks.
const RETRY: Duration = Duration::from_secs(2);
/// How long a released lease holds: the next one may take it at once.
const RELEASED: Duration = Duration::from_secs(1);

/// Who leads, as far as this program knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// Not known: the store was not asked yet, or does not answer.
    Unknown {
        /// Why.
        why: String,
    },
    /// Another one.
    Follower {
        /// Its name.
        leader: String,
    },
    /// This program.
    Leader,
}

/// One program's part in an election.
pub struct Election {
    store: Arc<dyn LeaseStore>,
    identity: String,
    clock: Arc<dyn Clock>,
    standing: watch::Sender<Standing>,
    served: Mutex<Option<Timestamp>>,
}

/// What was seen of the lease, and since when it has not changed.
struct Seen {
    version: String,
    since: Instant,
}

/// How one look at the lease went.
enum Look {
    Mine,
    Held { by: String },
}

impl Election {
    /// A part under a name that no other program has.
    #[must_use]
    pub fn new(store: Arc<dyn LeaseStore>, identity: &str) -> Self {
        let why = "the lease was not asked for yet".to_owned();
        Self {
            store,
            identity: identity.to_owned(),
            clock: Arc::new(SystemClock),
            standing: watch::Sender::new(Standing::Unknown { why }),
            served: Mutex::new(None),
        }
    }

    /// Who leads, now and whenever that changes.
    #[must_use]
    pub fn standing(&self) -> watch::Receiver<Standing> {
        self.standing.subscribe()
    }

    /// The instant of the schedule that was served last by whoever led, as far as is known.
    #[must_use]
    pub fn last_served(&self) -> Option<Timestamp> {
        *self.served.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says that an instant of the schedule is served. The lease tells the others at its next renewal.
    pub fn serve(&self, due: Timestamp) {
        let mut served = self.served.lock().unwrap_or_else(PoisonError::into_inner);
        *served = (*served).max(Some(due));
    }

    /// Takes part until `stop` resolves, then gives the lease back.
    pub async fn take_part(&self, stop: impl Future<Output = ()>) {
        let mut stop = std::pin::pin!(stop);
        let mut seen = None;
        // When the lease that this program holds was renewed: before the request for it was sent.
        let mut renewed: Option<Instant> = None;
        loop {
            let began = Instant::now();
            let patience = renewed.map_or(RENEW_WITHIN, |at| RENEW_WITHIN.saturating_sub(at.elapsed()));
            let looked = tokio::select! {
                biased;
                () = &mut stop => break,
                looked = timeout(patience, self.look(&mut seen)) => looked,
            };
            match looked {
                Ok(Ok(Look::Mine)) => {
                    renewed = Some(began);
                    self.stand(Standing::Leader);
                }
                Ok(Ok(Look::Held { by })) => {
                    renewed = None;
                    self.stand(Standing::Follower { leader: by });
                }
                failed => {
                    if renewed.is_none_or(|at| at.elapsed() >= RENEW_WITHIN) {
                        renewed = None;
                        self.stand(Standing::Unknown { why: reason(failed.map(|r| r.err())) });
                    }
                }
            }
            let left = renewed.map_or(RETRY, |at| RENEW_WITHIN.saturating_sub(at.elapsed()));
            tokio::select! {
                biased;
                () = &mut stop => break,
                () = sleep(RETRY.min(left)) => {}
            }
        }
        if renewed.is_some() {
            let _ = timeout(RETRY, self.release()).await;
        }
        self.stand(Standing::Unknown { why: "the program stops".to_owned() });
    }

    fn stand(&self, standing: Standing) {
        self.standing.send_if_modified(|known| {
            let changed = *known != standing;
            *known = standing;
            changed
        });
    }

    /// Takes or renews the lease, if it is to be had.
    async fn look(&self, seen: &mut Option<Seen>) -> Result<Look, LeaseError> {
        let now = self.clock.now();
        let Some(found) = self.store.get().await? else {
            let first = self.mine(now, None);
            return self.settled(self.store.create(&first).await, "another program", seen);
        };
        if seen.as_ref().is_none_or(|seen| seen.version != found.version) {
            *seen = Some(Seen { version: found.version.clone(), since: Instant::now() });
        }
        if let Some(served) = found.served {
            self.serve(served);
        }
        let unchanged = seen.as_ref().map_or(Duration::ZERO, |seen| seen.since.elapsed());
        let free = found.holder.is_empty() || unchanged >= found.lasts;
        if found.holder != self.identity && !free {
            return Ok(Look::Held { by: found.holder });
        }
        let mine = self.mine(now, Some(&found));
        self.settled(self.store.replace(&mine).await, &found.holder, seen)
    }

    /// What a write has come to. One that another program was faster with leaves the lease to it; but a lease that this
    /// program holds is not lost by it, for others may write labels: the next look tells, and until then it is as if the store
    /// had not answered.
    fn settled(
        &self,
        written: Result<LeaseRecord, LeaseError>,
        other: &str,
        seen: &mut Option<Seen>,
    ) -> Result<Look, LeaseError> {
        match written {
            Ok(record) => {
                *seen = Some(Seen { version: record.version, since: Instant::now() });
                Ok(Look::Mine)
            }
            Err(LeaseError::Conflict) if other != self.identity => {
                let other = if other.is_empty() { "another program" } else { other };
                Ok(Look::Held { by: other.to_owned() })
            }
            Err(why) => Err(why),
        }
    }

    /// The lease as this program holds it.
    fn mine(&self, now: Timestamp, found: Option<&LeaseRecord>) -> LeaseRecord {
        let held = found.filter(|found| found.holder == self.identity);
        LeaseRecord {
            holder: self.identity.clone(),
            lasts: LASTS,
            acquired_at: held.map_or(now, |held| held.acquired_at),
            renewed_at: now,
            transitions: found.map_or(0, |f| f.transitions + u32::from(held.is_none())),
            served: self.last_served(),
            version: found.map_or_else(String::new, |found| found.version.clone()),
        }
    }

    async fn release(&self) -> Result<(), LeaseError> {
        if let Some(found) = self.store.get().await?
            && found.holder == self.identity
        {
            let free = LeaseRecord {
                holder: String::new(),
                lasts: RELEASED,
                ..self.mine(self.clock.now(), Some(&found))
            };
            self.store.replace(&free).await?;
        }
        Ok(())
    }
}

fn reason(failed: Result<Option<LeaseError>, tokio::time::error::Elapsed>) -> String {
    match failed {
        Ok(Some(why)) => redact::text(&why.to_string()).into_owned(),
        _ => format!("no answer about the lease within {RENEW_WITHIN:?}"),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use async_trait::async_trait;

    use super::*;
    use crate::clock::ManualClock;

    /// A store in memory, which may be away.
    #[derive(Default)]
    struct Memory {
        lease: Mutex<Option<LeaseRecord>>,
        writes: Mutex<u64>,
    }

    impl Memory {
        fn write(&self, record: &LeaseRecord, over: Option<&str>) -> Result<LeaseRecord, LeaseError> {
            let mut lease = self.lease.lock().unwrap();
            if lease.as_ref().map(|l| l.version.as_str()) != over {
                return Err(LeaseError::Conflict);
            }
            let mut writes = self.writes.lock().unwrap();
            *writes += 1;
            let written = LeaseRecord { version: writes.to_string(), ..record.clone() };
            *lease = Some(written.clone());
            Ok(written)
        }
    }

    /// One program's way to the store.
    struct Way {
        store: Arc<Memory>,
        away: Arc<AtomicBool>,
        hangs: bool,
    }

    impl Way {
        async fn pass(&self) -> Result<(), LeaseError> {
            // As a request takes its time, another program may come in between.
            sleep(Duration::from_millis(10)).await;
            match (self.away.load(Ordering::SeqCst), self.hangs) {
                (false, _) => Ok(()),
                (true, false) => Err(LeaseError::Failed("cannot reach token=hunter2".into())),
                (true, true) => std::future::pending().await,
            }
        }
    }

    #[async_trait]
    impl LeaseStore for Way {
        async fn get(&self) -> Result<Option<LeaseRecord>, LeaseError> {
            self.pass().await?;
            Ok(self.store.lease.lock().unwrap().clone())
        }
        async fn create(&self, record: &LeaseRecord) -> Result<LeaseRecord, LeaseError> {
            self.pass().await?;
            self.store.write(record, None)
        }
        async fn replace(&self, record: &LeaseRecord) -> Result<LeaseRecord, LeaseError> {
            self.pass().await?;
            self.store.write(record, Some(&record.version))
        }
    }

    struct Program {
        election: Arc<Election>,
        away: Arc<AtomicBool>,
        stop: Option<tokio::sync::oneshot::Sender<()>>,
        task: tokio::task::JoinHandle<()>,
    }

    /// A program whose own clock shows a year of its own.
    fn program(store: &Arc<Memory>, name: &str, year: i64, hangs: bool) -> Program {
        let away = Arc::new(AtomicBool::new(false));
        let way = Way { store: Arc::clone(store), away: Arc::clone(&away), hangs };
        let clock = ManualClock::new(Timestamp::from_unix_seconds((year - 1970) * 31_557_600));
        let election = Election { clock: Arc::new(clock), ..Election::new(Arc::new(way), name) };
        let election = Arc::new(election);
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let part = Arc::clone(&election);
        let task = tokio::spawn(async move {
            part.take_part(async {
                let _ = stopped.await;
            })
            .await;
        });
        Program { election, away, stop: Some(stop), task }
    }

    impl Program {
        fn leads(&self) -> bool {
            *self.election.standing.borrow() == Standing::Leader
        }
        fn follows(&self, name: &str) -> bool {
            *self.election.standing.borrow() == Standing::Follower { leader: name.to_owned() }
        }
        async fn stop(&mut self) {
            self.stop.take().unwrap().send(()).unwrap();
            (&mut self.task).await.unwrap();
        }
    }

    async fn seconds(seconds: u64) {
        sleep(Duration::from_secs(seconds)).await;
    }

    #[tokio::test(start_paused = true)]
    async fn one_of_three_leads_whatever_their_clocks_show() {
        let store = Arc::new(Memory::default());
        let programs = [1999, 2026, 2050].map(|year| program(&store, &format!("p{year}"), year, false));
        for _ in 0..100 {
            seconds(1).await;
            assert_eq!(programs.iter().filter(|p| p.leads()).count(), 1);
        }
        let leader = store.lease.lock().unwrap().clone().unwrap();
        assert_eq!(leader.transitions, 0);
        assert_eq!(programs.iter().filter(|p| p.follows(&leader.holder)).count(), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn a_leader_that_was_killed_is_followed_when_its_lease_has_run_out() {
        let store = Arc::new(Memory::default());
        let first = program(&store, "first", 2026, false);
        seconds(1).await;
        let second = program(&store, "second", 1999, false);
        seconds(30).await;
        assert!(first.leads() && second.follows("first"));
        first.election.serve(Timestamp(42_000));
        seconds(3).await;
        first.task.abort();
        // Nobody leads while the lease may still be held.
        seconds(12).await;
        assert!(second.follows("first"));
        seconds(8).await;
        assert!(second.leads());
        assert_eq!(second.election.last_served(), Some(Timestamp(42_000)), "the lease tells what was served");
        assert_eq!(store.lease.lock().unwrap().as_ref().unwrap().transitions, 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_leader_that_stops_gives_the_lease_back() {
        let store = Arc::new(Memory::default());
        let mut first = program(&store, "first", 2026, false);
        seconds(1).await;
        let second = program(&store, "second", 2026, false);
        seconds(5).await;
        first.stop().await;
        assert!(!first.leads());
        seconds(3).await;
        assert!(second.leads());
    }

    /// Looks every tenth of a second that there are never two leaders.
    async fn never_two(programs: &[&Program], seconds: u64) {
        for _ in 0..seconds * 10 {
            sleep(Duration::from_millis(100)).await;
            assert!(programs.iter().filter(|p| p.leads()).count() <= 1);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_leader_that_cannot_renew_stops_before_another_one_starts() {
        for hangs in [false, true] {
            let store = Arc::new(Memory::default());
            let first = program(&store, "first", 2026, hangs);
            seconds(1).await;
            let second = program(&store, "second", 2026, hangs);
            seconds(20).await;
            assert!(first.leads());
            first.away.store(true, Ordering::SeqCst);
            never_two(&[&first, &second], 8).await;
            assert!(first.leads(), "a lease that holds is not given up at the first failure");
            never_two(&[&first, &second], 20).await;
            assert!(second.leads());
            let Standing::Unknown { why } = first.election.standing.borrow().clone() else {
                panic!("unknown")
            };
            assert!(!why.contains("hunter2"), "{why}");
            first.away.store(false, Ordering::SeqCst);
            never_two(&[&first, &second], 20).await;
            assert!(first.follows("second"), "back again, it follows");
        }
    }

    /// Somebody labels the lease whenever its holder renews it.
    struct Labelled {
        store: Arc<Memory>,
        conflicts: AtomicBool,
    }

    #[async_trait]
    impl LeaseStore for Labelled {
        async fn get(&self) -> Result<Option<LeaseRecord>, LeaseError> {
            Ok(self.store.lease.lock().unwrap().clone())
        }
        async fn create(&self, record: &LeaseRecord) -> Result<LeaseRecord, LeaseError> {
            self.store.write(record, None)
        }
        async fn replace(&self, record: &LeaseRecord) -> Result<LeaseRecord, LeaseError> {
            if self.conflicts.load(Ordering::SeqCst) {
                let found = self.store.lease.lock().unwrap().clone().unwrap();
                self.store.write(&found, Some(&found.version))?;
            }
            self.store.write(record, Some(&record.version))
        }
    }

    #[tokio::test(start_paused = true)]
    async fn who_writes_a_label_does_not_end_a_run() {
        let store = Arc::new(Memory::default());
        let labelled = Arc::new(Labelled { store: Arc::clone(&store), conflicts: AtomicBool::new(false) });
        let election = Arc::new(Election::new(Arc::clone(&labelled) as Arc<dyn LeaseStore>, "first"));
        let part = Arc::clone(&election);
        let task = tokio::spawn(async move { part.take_part(std::future::pending()).await });
        seconds(1).await;
        let mut standing = election.standing();
        assert_eq!(*standing.borrow_and_update(), Standing::Leader);
        labelled.conflicts.store(true, Ordering::SeqCst);
        seconds(7).await;
        labelled.conflicts.store(false, Ordering::SeqCst);
        seconds(60).await;
        assert!(!standing.has_changed().unwrap(), "it has led all the time");
        // One that keeps it from renewing ends it, as a store that is away does.
        labelled.conflicts.store(true, Ordering::SeqCst);
        seconds(12).await;
        let Standing::Unknown { why } = standing.borrow().clone() else { panic!("unknown") };
        assert_eq!(why, "another program changed the lease at the same time");
        task.abort();
    }

    #[tokio::test(start_paused = true)]
    async fn a_lease_held_by_another_kind_of_program_is_respected() {
        let store = Arc::new(Memory::default());
        let record = LeaseRecord {
            holder: "someone".into(),
            lasts: Duration::from_secs(3600),
            // Long ago by the clock of this program, which counts for nothing.
            acquired_at: Timestamp(0),
            renewed_at: Timestamp(0),
            transitions: 7,
            served: None,
            version: String::new(),
        };
        store.write(&record, None).unwrap();
        let ours = program(&store, "ours", 2026, false);
        seconds(3590).await;
        assert!(ours.follows("someone"));
        seconds(30).await;
        assert!(ours.leads());
        assert_eq!(store.lease.lock().unwrap().as_ref().unwrap().transitions, 8);
    }
}
