//! The measurements that checks read, independent of the server that keeps them.

use serde::{Deserialize, Serialize};

macro_rules! metrics {
    ($($(#[$doc:meta])* $variant:ident = $name:literal, $unit:literal, $shape:ident, $of:ident;)+) => {
        /// What a series measures.
        ///
        /// The value of a sample is always in the base unit; counters reach the core as rates or as
        /// increases per step, never as raw counts.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(rename_all = "kebab-case")]
        #[non_exhaustive]
        pub enum Metric { $($(#[$doc])* $variant),+ }

        impl Metric {
            /// Every metric, in order.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];
            /// The name used in snapshots, gaps and query settings.
            #[must_use]
            pub const fn name(self) -> &'static str { match self { $(Self::$variant => $name),+ } }
            /// The base unit: `bytes`, `cores`, `seconds` or `count`.
            #[must_use]
            pub const fn unit(self) -> &'static str { match self { $(Self::$variant => $unit),+ } }
            /// Whether a sample is expected at every instant.
            #[must_use]
            pub const fn shape(self) -> Shape { match self { $(Self::$variant => Shape::$shape),+ } }
            /// What a series belongs to.
            #[must_use]
            pub const fn of(self) -> SeriesOf { match self { $(Self::$variant => SeriesOf::$of),+ } }
        }
    };
}

metrics! {
    /// Memory that the kernel cannot take back without swapping: what the limit is compared with.
    MemoryWorkingSet = "memory-working-set", "bytes", Dense, Container;
    /// Anonymous memory and swap cache, without page cache: what leaks are looked for in.
    MemoryRss = "memory-rss", "bytes", Dense, Container;
    /// CPU in use, averaged over the rate window.
    CpuUsage = "cpu-usage", "cores", Dense, Container;
    /// Periods of the CPU quota in which a container wanted to run, in the step that ends at the instant. Only containers
    /// with a CPU limit have them.
    CpuPeriods = "cpu-periods", "count", Dense, Container;
    /// Periods of the CPU quota in which a container was stopped, in the step that ends at the instant.
    CpuThrottledPeriods = "cpu-throttled-periods", "count", Sparse, Container;
    /// Time that the threads of a container were stopped by its CPU quota, in the step that ends at the instant.
    CpuThrottledTime = "cpu-throttled-time", "seconds", Sparse, Container;
    /// Restarts of a container in the step that ends at the instant.
    Restarts = "restarts", "count", Sparse, Container;
    /// OOM kills in a container's cgroup in the step that ends at the instant.
    OomEvents = "oom-events", "count", Sparse, Container;
    /// Used heap of a Java virtual machine, all heap pools together.
    JvmHeapUsed = "jvm-heap-used", "bytes", Dense, Container;
    /// Largest heap of a Java virtual machine.
    JvmHeapMax = "jvm-heap-max", "bytes", Dense, Container;
    /// Memory of a Java virtual machine beside its heap, as it tells it: metaspace, compiled code, and buffers outside of the
    /// heap. Stacks of threads and what the collector keeps are not in it.
    JvmBesideHeap = "jvm-beside-heap", "bytes", Dense, Container;
    /// Live threads of a Java virtual machine.
    JvmThreads = "jvm-threads", "count", Dense, Container;
    /// Requests a second that a container serves. No query is built in, because every application names it
    /// otherwise; where one is configured, memory that follows it is no leak.
    RequestRate = "request-rate", "count", Dense, Container;
    /// Replicas that a HorizontalPodAutoscaler reports.
    HpaReplicas = "hpa-replicas", "count", Dense, Autoscaler;
    /// Bytes of a mounted volume that its pods can still write.
    VolumeFree = "volume-free", "bytes", Dense, VolumeClaim;
    /// Bytes that a mounted volume has.
    VolumeSize = "volume-size", "bytes", Dense, VolumeClaim;
    /// Files that can still be made on a mounted volume.
    VolumeInodesFree = "volume-inodes-free", "count", Dense, VolumeClaim;
    /// Files that a mounted volume can have.
    VolumeInodes = "volume-inodes", "count", Dense, VolumeClaim;
}

/// Whether a metric has a sample at every instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// One sample at every instant of the grid; a missing one is a gap.
    Dense,
    /// Samples only where something happened; no sample means zero, as long as the metric exists at all.
    Sparse,
}

/// What kind of thing has a series.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SeriesOf {
    /// A container of a pod: namespace, pod, container.
    Container,
    /// A HorizontalPodAutoscaler: namespace, name; the container is empty.
    Autoscaler,
    /// A PersistentVolumeClaim: namespace, name; the container is empty.
    VolumeClaim,
}

impl std::fmt::Display for Metric {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}
