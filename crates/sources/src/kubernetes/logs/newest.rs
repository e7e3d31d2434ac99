//! The newest part of one log.
//!
//! A kubelet goes back by `tailLines` and then stops after `limitBytes`, times included (`ReadLogs` of k8s.io/cri-client): where
//! so many lines do not fit into these bytes, it is the newest that it leaves out. So a few of the newest lines are looked at
//! first, and tell how long lines are.

use std::time::Duration;

use healthcore::logs::{LogStream, LogTally};
use healthcore::time::Timestamp;
use tokio::time::{Instant, timeout_at};

use super::super::send::{ApiServer, Refusal};

/// Lines of the first look.
const FIRST_LOOK: u64 = 100;
/// Most of the bytes that the first look may take, which are held.
const LARGEST_LOOK: u64 = 1 << 20;

/// A log, and how much of it may be read.
pub(super) struct Newest<'a> {
    pub(super) server: &'a ApiServer,
    /// Path and query, without bounds on lines and bytes.
    pub(super) path: String,
    /// Bytes at most.
    pub(super) bytes: u64,
    pub(super) deadline: Instant,
    /// What the deadline leaves in all, to be told.
    pub(super) time: Duration,
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
    /// It reached its bytes, broke off or took too long: newer lines are missing.
    Early,
}

impl Newest<'_> {
    /// Reads the newest part into the tally; whether that is all there is.
    pub(super) async fn read(&self, tally: &mut LogTally) -> Result<bool, Refusal> {
        let look = self.look().await?;
        if look.end == End::Whole {
            look.count(tally);
            return Ok(true);
        }
        let bytes = self.bytes.saturating_sub(look.text.len() as u64).max(1);
        // Older lines may be somewhat longer.
        let lines = (bytes / 4 * 3).saturating_mul(look.lines) / look.text.len().max(1) as u64;
        let mut stream = LogStream::with_times();
        let read = self.ask(Bounds { lines: lines.max(1), bytes }, |part| stream.push(part, tally)).await;
        let last = stream.end(tally);
        match read {
            Ok((End::Whole, _)) => return Ok(true),
            Ok((End::Lines, _)) => {}
            // The look has seen what is newer.
            Ok((End::Early, 1..)) => look.count_after(last, tally),
            Ok((End::Early, 0)) | Err(_) => look.count(tally),
        }
        Ok(false)
    }

    async fn look(&self) -> Result<Look, Refusal> {
        let mut text = Vec::new();
        let bounds = Bounds { lines: FIRST_LOOK, bytes: (self.bytes / 4).clamp(1, LARGEST_LOOK) };
        let (end, lines) = self.ask(bounds, |part| text.extend_from_slice(part)).await?;
        Ok(Look { text, lines, end })
    }

    /// Asks for the newest lines, and gives what arrives to `take`; why that ended, and the number of lines.
    async fn ask(&self, bounds: Bounds, mut take: impl FnMut(&[u8])) -> Result<(End, u64), Refusal> {
        let path = format!("{}&tailLines={}&limitBytes={}", self.path, bounds.lines, bounds.bytes);
        let mut answer = match timeout_at(self.deadline, self.server.open(&path)).await {
            Ok(opened) => opened?,
            Err(_) => return Err(Refusal::Timeout(self.time)),
        };
        let (mut room, mut lines, mut is_open) = (bounds.bytes, 0, false);
        let ended_early = loop {
            match timeout_at(self.deadline, answer.next()).await {
                Ok(Some(Ok(part))) => {
                    // Not every node keeps to the bound.
                    let part = &part[..part.len().min(usize::try_from(room).unwrap_or(usize::MAX))];
                    take(part);
                    room -= part.len() as u64;
                    lines += memchr::memchr_iter(b'\n', part).count() as u64;
                    is_open = part.last().map_or(is_open, |last| *last != b'\n');
                    if room == 0 {
                        break true;
                    }
                }
                Ok(None) => break false,
                Ok(Some(Err(_))) | Err(_) => break true,
            }
        };
        lines += u64::from(is_open);
        let end = match ended_early {
            true => End::Early,
            false if lines >= bounds.lines => End::Lines,
            false => End::Whole,
        };
        Ok((end, lines))
    }
}

/// The newest lines, as they arrived.
struct Look {
    text: Vec<u8>,
    lines: u64,
    end: End,
}

impl Look {
    fn count(&self, tally: &mut LogTally) {
        count(&self.text, tally);
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

fn count(text: &[u8], tally: &mut LogTally) {
    let mut stream = LogStream::with_times();
    stream.push(text, tally);
    stream.end(tally);
}

/// When the first line was written.
fn written(lines: &[u8]) -> Option<Timestamp> {
    let time = std::str::from_utf8(lines.split(|b| *b == b' ').next()?).ok()?;
    Some(Timestamp(time.parse::<jiff::Timestamp>().ok()?.as_millisecond()))
}
