use std::collections::BTreeSet;

use healthcore::metric::Metric;
use healthcore::model::ObjectKind;
use healthcore::snapshot::{Gap, Missing, Objects, Origin, Unavailable};
use healthcore::time::{Timestamp, Window};
use serde::{Deserialize, Serialize};

/// Major version of the format. A reader refuses a larger one.
pub const MAJOR: u32 = 1;
/// Minor version of the format. A reader passes over what a larger one has added.
pub const MINOR: u32 = 0;

/// Version of a recording.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Version {
    pub(super) major: u32,
    pub(super) minor: u32,
}

/// What holds for the whole recording.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    #[serde(rename = "healthcheck-snapshot")]
    pub(super) version: Version,
    /// When the data were taken.
    pub taken_at: Timestamp,
    /// The grid of all series.
    pub window: Window,
}

impl Header {
    /// A header of the version that is written today.
    #[must_use]
    pub fn new(taken_at: Timestamp, window: Window) -> Self {
        Self { version: Version { major: MAJOR, minor: MINOR }, taken_at, window }
    }
}

/// What holds for a cluster, before its parts.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct ClusterHead {
    /// Name.
    pub name: String,
    /// Where the objects come from; none without a source of objects.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub objects_from: Option<Origin>,
    /// How the metrics server was reached; none without one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metrics_via: Option<String>,
    /// Context of the kubeconfig by which the cluster was named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub context: Option<String>,
    /// Kinds of objects that the checks of the recorded run asked for; none when the recording does not tell, and all
    /// were.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asked: Option<BTreeSet<ObjectKind>>,
    /// Names and globs of the namespaces that were asked for, empty for all; none when the recording does not tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespaces: Option<Vec<String>>,
    /// Lists that could not be had.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unavailable: Vec<Unavailable>,
    /// What else could not be had.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gaps: Vec<Gap>,
}

/// What is known only when everything has been read or fetched.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Closing {
    /// Number of parts.
    pub parts: u64,
    /// Queries sent to the metrics servers.
    #[serde(default)]
    pub prometheus_queries: u64,
    /// Samples received.
    #[serde(default)]
    pub samples: u64,
    /// Bytes received.
    #[serde(default)]
    pub bytes: u64,
    /// Requests sent to the Kubernetes APIs.
    #[serde(default)]
    pub kubernetes_requests: u64,
    /// Seconds from start to end.
    #[serde(default)]
    pub seconds: f64,
    /// Peak resident memory, in bytes.
    #[serde(default)]
    pub peak_rss_bytes: u64,
}

/// Objects of a part, and what is known of its metrics as a whole.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct PartLine {
    pub(super) objects: Objects,
    pub(super) metrics: Vec<MetricLine>,
    /// Namespace and name of pods whose series were left out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) thinned: Vec<(String, String)>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct MetricLine {
    pub(super) name: Metric,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) missing: Option<Missing>,
}

/// One series: metric, namespace, name, container, grid index of the first value, values.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct SeriesLine<'a>(
    pub(super) Metric,
    #[serde(borrow)] pub(super) std::borrow::Cow<'a, str>,
    #[serde(borrow)] pub(super) std::borrow::Cow<'a, str>,
    #[serde(borrow)] pub(super) std::borrow::Cow<'a, str>,
    pub(super) usize,
    pub(super) Vec<Number>,
);

/// A sample: whole numbers without a fraction, a gap as null.
#[derive(Debug, Clone, Copy)]
pub(super) struct Number(pub(super) Option<f64>);

impl Serialize for Number {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            None => serializer.serialize_none(),
            Some(v) if v.fract() == 0.0 && v.abs() < 9e15 => serializer.serialize_i64(v as i64),
            Some(v) => serializer.serialize_f64(v),
        }
    }
}

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Option::deserialize(deserializer).map(Self)
    }
}

/// One line after the header.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Line<'a> {
    Cluster(ClusterHead),
    Part(Box<PartLine>),
    #[serde(borrow)]
    Series(SeriesLine<'a>),
    Gaps(Vec<Gap>),
    End(Closing),
}
