//! Recorded snapshots: what a run fetched, to be analysed again without any server.
//!
//! A recording is a stream of JSON lines, compressed with zstd when the file's name ends in `.zst`; reading
//! tells by the first bytes. It is written and read a part at a time, so that its size does not matter.
//!
//! ```text
//! {"healthcheck-snapshot":{"major":1,"minor":0},"taken_at":..,"window":{..}}      first line
//! {"cluster":{"name":..,..}}                                                      then for each cluster
//! {"part":{"objects":{..},"metrics":[..]}}                                        its parts, each with
//! {"series":["memory-working-set",namespace,pod,container,first index,[values]]}  its series and
//! {"gaps":[..]}                                                                   its gaps, which end the part
//! {"end":{"parts":n,"cost":{..}}}                                                 last line
//! ```

mod format;
mod reader;
mod writer;

#[cfg(test)]
mod tests;

pub use format::{Closing, ClusterHead, Header, MAJOR, MINOR};
pub use reader::{Entry, Recording};
pub use writer::{Recorder, Section};
