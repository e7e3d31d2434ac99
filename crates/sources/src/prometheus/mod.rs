//! Metrics servers with the query API of Prometheus: Prometheus itself, Thanos, Mimir, VictoriaMetrics, ARMS.

mod catalogue;
mod client;
mod decode;
mod deprecated;
mod hosts;
mod http;
mod ksm;
mod mask;
mod own;
mod settings;
mod source;
#[cfg(test)]
mod tests;
mod transport;

pub use client::Log;
pub(crate) use http::{HttpTransport, all_headers as headers, chain, with_authorities};
pub(crate) use mask::shown;
pub use mask::without_tokens;
pub use own::check_query;
pub use settings::{Auth, Compression, Dialect, PrometheusSettings, Secret};
pub use source::Prometheus;
pub use transport::{Answer, QueryRequest, Style, Transport, TransportError};
