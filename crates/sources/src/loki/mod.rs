//! Loki, a keeper of logs: what containers wrote, also those that are gone, by LogQL.
//!
//! Pages of `query_range` are read backwards, the newest lines first, so that a bound on bytes or time leaves out the oldest.

mod page;
mod server;
mod source;
#[cfg(test)]
mod tests;

pub use server::Places;
pub use source::{Loki, LokiSettings, SELECTOR};
