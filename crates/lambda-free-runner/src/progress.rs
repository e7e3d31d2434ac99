/// What a run tells while it goes on. Every method does nothing unless it is implemented.
pub trait Progress: Send + Sync {
    /// A cluster is being connected to.
    fn connecting(&self, _cluster: &str) {}
    /// The objects of a cluster are there.
    fn objects(&self, _cluster: &str, _workloads: usize, _pods: usize) {}
    /// `done` of `all` parts of a cluster are judged.
    fn judged(&self, _cluster: &str, _done: usize, _all: usize) {}
    /// The run has ended.
    fn finished(&self) {}
}

/// Tells nobody anything.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Progress for Silent {}
