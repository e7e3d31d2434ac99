//! The newest part of one log.
//!
//! A kubelet goes back by `tailLines` and then stops after `limitBytes`, times included (`ReadLogs` of k8s.io/cri-client): where
//! so many lines do not fit into these bytes, it is the newest that it leaves out. So a few of the newest lines are looked at
//! first, and tell how long lines are. Where older ones are much longer, and so the bytes are over before the newest, it is asked
//! again for fewer lines: what is read has no hole.

use std::time::Duration;

use healthcore::logs::{LogStream, LogTally};
use healthcore::time::Timestamp;
use tokio::time::{Instant, timeout_at};

use super::super::send::{ApiServer, Refusal};

/// Lines of the first look.
const FIRST_LOOK: u64 = 100;
/// Most of the bytes that the first look may take, which are held.
const LARGEST_LOOK: u64 = 1 << 20;

/// How often a log is asked for, beside the first look.
const TRIES: usize = 4;

/// Bytes of a line within which its time stands.
const TIME: u64 = 64;

/// A log, and how much of it may be read.
pub(super) struct Newest<'a> {
    pub(super) server: &'a ApiServer,
    /// Path and query, without bounds.
    pub(super) path: String,
    /// How far back lines count. Unit: seconds.
    pub(super) lookback: f64,
    /// Bytes at most.
    pub(super) bytes: u64,
    pub(super) deadline: Instant,
    /// What the deadline leaves in all, to be told.
    pub(super) time: Duration,
}

/// What was read of a log.
#[derive(Debug, Clone, Copy)]
pub(super) struct Part {
    /// Whether that is all that the node gives.
    pub(super) whole: bool,
    /// When its first line was written.
    pub(super) first: Option<Timestamp>,
}

/// Bounds of one question.
#[derive(Debug, Clone, Copy)]
struct Bounds {
    lines: u64,
    bytes: u64,
}

/// Why an answer was over.
#[derive(Debug, Clone, Copy, PartialEq)]
enum End {
    /// There was nothing more.
    Whole,
    /// All lines that were asked for were there: older ones are left out.
    Lines,
    /// It reached its bytes: newer lines are missing.
    Full,
    /// It broke off or took too long: newer lines are missing.
    Early,
}

impl Newest<'_> {
    /// Reads the newest part into the tally.
    pub(super) async fn read(&self, tally: &mut LogTally) -> Result<Part, Refusal> {
        let look = self.look().await?;
        if look.end == End::Whole {
            return Ok(Part { whole: true, first: look.count(tally) });
        }
        let bytes = self.bytes.saturating_sub(look.text.len() as u64).max(1);
        // Older lines may be somewhat longer.
        let mut lines = ((bytes / 4 * 3).saturating_mul(look.lines) / look.text.len().max(1) as u64).max(1);
        for _ in 0..TRIES {
            let mut attempt = tally.clone();
            let mut stream = LogStream::with_times();
            let bounds = Bounds { lines, bytes };
            let read = self.newest(bounds, |part| stream.push(part, &mut attempt)).await;
            let first = stream.first();
            let last = stream.end(&mut attempt);
            match read {
                Ok((End::Full, _)) if lines > look.lines => {
                    lines = between(look.lines, lines);
                    continue;
                }
                Ok((End::Full, _) | (End::Early, 0)) | Err(_) => break,
                Ok((End::Whole | End::Lines, _)) => {}
                // The look has seen what is newer.
                Ok((End::Early, 1..)) => look.count_after(last, &mut attempt),
            }
            *tally = attempt;
            return Ok(Part { whole: matches!(read, Ok((End::Whole, _))), first });
        }
        Ok(Part { whole: false, first: look.count(tally) })
    }

    /// When the oldest line was written that the node gives, however old.
    pub(super) async fn oldest(&self) -> Option<Timestamp> {
        let mut line = Vec::new();
        let path = format!("{}&limitBytes={TIME}", self.path);
        let bounds = Bounds { lines: u64::MAX, bytes: TIME };
        self.ask(&path, bounds, |part| line.extend_from_slice(part)).await.ok()?;
        written(&line)
    }

    async fn look(&self) -> Result<Look, Refusal> {
        let mut text = Vec::new();
        let bounds = Bounds { lines: FIRST_LOOK, bytes: (self.bytes / 4).clamp(1, LARGEST_LOOK) };
        let (end, lines) = self.newest(bounds, |part| text.extend_from_slice(part)).await?;
        Ok(Look { text, lines, end })
    }

    /// Asks for the newest lines.
    async fn newest(&self, bounds: Bounds, take: impl FnMut(&[u8])) -> Result<(End, u64), Refusal> {
        let Bounds { lines, bytes } = bounds;
        let since = self.lookback.ceil();
        let path = format!("{}&sinceSeconds={since}&tailLines={lines}&limitBytes={bytes}", self.path);
        self.ask(&path, bounds, take).await
    }

    /// Gives what arrives to `take`; why that ended, and the number of lines.
    async fn ask(
        &self,
        path: &str,
        bounds: Bounds,
        mut take: impl FnMut(&[u8]),
    ) -> Result<(End, u64), Refusal> {
        let mut answer = match timeout_at(self.deadline, self.server.open(path)).await {
            Ok(opened) => opened?,
            Err(_) => return Err(Refusal::Timeout(self.time)),
        };
        let (mut room, mut lines, mut is_open) = (bounds.bytes, 0, false);
        let end = loop {
            match timeout_at(self.deadline, answer.next()).await {
                Ok(Some(Ok(part))) => {
                    // Not every node keeps to the bound.
                    let part = &part[..part.len().min(usize::try_from(room).unwrap_or(usize::MAX))];
                    take(part);
                    room -= part.len() as u64;
                    lines += memchr::memchr_iter(b'\n', part).count() as u64;
                    is_open = part.last().map_or(is_open, |last| *last != b'\n');
                    if room == 0 {
                        break End::Full;
                    }
                }
                Ok(None) => break End::Whole,
                Ok(Some(Err(_))) | Err(_) => break End::Early,
            }
        };
        lines += u64::from(is_open);
        let all_lines = end == End::Whole && lines >= bounds.lines;
        Ok((if all_lines { End::Lines } else { end }, lines))
    }
}

/// The next number of lines to ask for, where `few` fit and `many` do not: their geometric mean, as lengths may differ by any
/// factor, and `few` once that is near.
fn between(few: u64, many: u64) -> u64 {
    let mean = ((few as f64) * (many as f64)).sqrt() as u64;
    if mean < few.saturating_mul(3) / 2 { few } else { mean }
}

/// The newest lines, as they arrived.
struct Look {
    text: Vec<u8>,
    lines: u64,
    end: End,
}

impl Look {
    /// Counts its lines; when the first was written.
    fn count(&self, tally: &mut LogTally) -> Option<Timestamp> {
        count(&self.text, tally)
    }

    /// Counts the lines that were written after a time.
    fn count_after(&self, time: Option<Timestamp>, tally: &mut LogTally) {
        let Some(time) = time else { return };
        let mut newer = &self.text[..];
        while !newer.is_empty() && written(newer).is_none_or(|at| at <= time) {
            let end = memchr::memchr(b'\n', newer).map_or(newer.len(), |at| at + 1);
            newer = &newer[end..];
        }
        count(newer, tally);
    }
}

fn count(text: &[u8], tally: &mut LogTally) -> Option<Timestamp> {
    let mut stream = LogStream::with_times();
    stream.push(text, tally);
    let first = stream.first();
    stream.end(tally);
    first
}

/// When the first line was written.
fn written(lines: &[u8]) -> Option<Timestamp> {
    let time = std::str::from_utf8(lines.split(|b| *b == b' ').next()?).ok()?;
    Some(Timestamp(time.parse::<jiff::Timestamp>().ok()?.as_millisecond()))
}
