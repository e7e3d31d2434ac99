use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::Arc;

use crate::{Certificates, Hosts, Registries};
use healthcore::need::Budget;
use healthcore::settings::Settings;
use healthcore::shard::Shard;
use healthcore::time::Timestamp;
use healthcore::unit::Seconds;
use healthcore_sources::logs::LogSource;
use healthcore_sources::{MetricsSource, ObjectSource, Selection};

use crate::clock::{Clock, SystemClock};

/// How far a run looks back unless told otherwise.
pub const DEFAULT_LOOKBACK: Seconds = Seconds(7.0 * 86_400.0);

/// Clusters that a run reads at once unless told otherwise: their servers do the work, and four keep this side busy.
pub const DEFAULT_CLUSTERS_AT_ONCE: NonZeroUsize = NonZeroUsize::new(4).expect("four is not zero");

/// What a run is to do.
#[derive(Clone)]
pub struct RunSpec {
    /// Where the data come from.
    pub input: Input,
    /// Which checks run, and with which parameters.
    pub settings: Settings,
    /// How far the run looks back. A recording has its own.
    pub lookback: Seconds,
    /// Time between two samples; chosen by the look-back when none.
    pub step: Option<Seconds>,
    /// The name under which a [`Runner`](crate::runner::Runner) delivers the report, as
    /// [`Deliverer::run`](crate::deliver::Deliverer::run): each run of a schedule needs its own, by
    /// [`spec_each_run`](crate::runner::RunnerBuilder::spec_each_run). That of the deliverer when none.
    pub name: Option<String>,
    /// The end of the window; the clock's now when none.
    pub at: Option<Timestamp>,
    /// Where the time comes from.
    pub clock: Arc<dyn Clock>,
    /// File to write what was fetched to.
    pub record: Option<PathBuf>,
    /// Where runs are remembered and compared with; none for a run without past. A shard is neither remembered nor
    /// compared: the report that its shards give is, with [`crate::finish`].
    pub history: Option<crate::history::History>,
    /// Bounds on what is held in memory at once, whatever the number of clusters.
    pub budget: Budget,
    /// Clusters that are read at once. It does not change the report.
    pub clusters_at_once: NonZeroUsize,
    /// The part of the run that this process makes; the whole when none. The report then holds what merging needs
    /// ([`healthcore::report::Report::shard`]).
    pub shard: Option<Shard>,
    /// The image that the program runs in, where it is known: the report warns when its tag names another version.
    pub image: Option<String>,
    /// How certificates are looked at; a recording has what was seen when it was made.
    pub certificates: Certificates,
    /// Names in DNS that lead to the clusters; a recording has those that were known when it was made.
    pub hosts: Hosts,
    /// Registries that are asked for the platforms of images; a recording has what they told when it was made.
    pub registries: Registries,
}

impl RunSpec {
    /// A run over `input` with the defaults of the command line: seven days, all checks.
    #[must_use]
    pub fn new(input: Input) -> Self {
        Self {
            input,
            settings: Settings::default(),
            lookback: DEFAULT_LOOKBACK,
            step: None,
            name: None,
            at: None,
            clock: Arc::new(SystemClock),
            record: None,
            history: None,
            budget: Budget::default(),
            clusters_at_once: DEFAULT_CLUSTERS_AT_ONCE,
            shard: None,
            image: None,
            certificates: Certificates::default(),
            hosts: Hosts::default(),
            registries: Registries::default(),
        }
    }

    /// The step: the one given, else the smallest of 1 min, 5 min, 15 min and 1 h that needs at most 2,500
    /// samples a series.
    #[must_use]
    pub fn step(&self) -> Seconds {
        self.step.unwrap_or_else(|| step_for(self.lookback))
    }
}

/// The step of a look-back for which none is given.
pub(crate) fn step_for(lookback: Seconds) -> Seconds {
    let ladder = [60.0, 300.0, 900.0, 3600.0];
    let fits = |step: &f64| lookback.get() / step <= 2500.0;
    Seconds(ladder.into_iter().find(fits).unwrap_or(3600.0))
}

/// Where the data of a run come from.
#[derive(Clone)]
pub enum Input {
    /// Servers.
    Live(Vec<ClusterSources>),
    /// A recorded snapshot: a file or a folder.
    Recording(PathBuf),
    /// A recorded snapshot in memory, with the name that messages give it.
    Embedded(&'static str, &'static [u8]),
}

/// A cluster and the servers that know it.
#[derive(Clone, Default)]
pub struct ClusterSources {
    /// Name in the report.
    pub name: String,
    /// Its metrics server, if any.
    pub metrics: Option<Arc<dyn MetricsSource>>,
    /// Its Kubernetes API, if any.
    pub objects: Option<Arc<dyn ObjectSource>>,
    /// A keeper of its logs besides the Kubernetes API, if any.
    pub logs: Option<Arc<dyn LogSource>>,
    /// Namespaces to look into.
    pub selection: Selection,
}
