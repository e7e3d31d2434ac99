//! Adapters between the outside world and `healthcore`: metrics servers, the Kubernetes API, recordings.
//!
//! A source answers with [`Fetched`]: a value and the gaps in it. Only what makes a run pointless (nothing
//! reachable, an unreadable recording) is an error.

mod broken;
mod certificate;
mod error;
mod fetched;
pub mod kubernetes;
pub mod lease;
pub mod logs;
pub mod loki;
pub mod prometheus;
pub mod recording;
pub mod registry;
mod source;
pub mod tls;

pub use broken::BrokenSource;
pub use error::SourceError;
pub use fetched::Fetched;
pub use source::{AllSeriesOf, MetricsSource, ObjectSource, Selection, Usage};
