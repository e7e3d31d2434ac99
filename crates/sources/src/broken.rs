use std::collections::BTreeSet;

use async_trait::async_trait;
use healthcore::model::ObjectKind;
use healthcore::need::{Needs, Partition};
use healthcore::series::SeriesStore;
use healthcore::snapshot::{Missing, Objects, Unavailable};
use healthcore::time::Window;

use crate::{Fetched, MetricsSource, ObjectSource, Selection, SourceError, Usage};

/// A source that could not even be set up: a kubeconfig that cannot be read, a credential plugin that fails. Its probe
/// says why, so that a run goes on with what is left, as it does for a server that does not answer.
#[derive(Debug, Clone)]
pub struct BrokenSource {
    why: SourceError,
}

impl BrokenSource {
    /// A source that is missing for this reason.
    #[must_use]
    pub fn new(why: SourceError) -> Self {
        Self { why }
    }
}

#[async_trait]
impl ObjectSource for BrokenSource {
    async fn probe(&self) -> Result<(), SourceError> {
        Err(self.why.clone())
    }

    async fn objects(&self, _: &Selection, kinds: &BTreeSet<ObjectKind>) -> Fetched<Objects> {
        Fetched::whole(unavailable(kinds))
    }

    fn plan(&self, _: &BTreeSet<ObjectKind>) -> Vec<(String, String)> {
        Vec::new()
    }

    fn usage(&self) -> Usage {
        Usage::default()
    }
}

#[async_trait]
impl MetricsSource for BrokenSource {
    fn via(&self) -> String {
        String::new()
    }

    async fn probe(&self) -> Result<(), SourceError> {
        Err(self.why.clone())
    }

    async fn objects(&self, _: &Selection, kinds: &BTreeSet<ObjectKind>, _: &Window) -> Fetched<Objects> {
        Fetched::whole(unavailable(kinds))
    }

    async fn series(&self, needs: &Needs, _: &Partition, _: &Window) -> Fetched<SeriesStore> {
        let mut store = SeriesStore::default();
        needs.metrics.keys().for_each(|m| store.missing(*m, Missing::NoMetricsSource));
        Fetched::whole(store)
    }

    fn plan(&self, _: &Needs, _: &Partition, _: &Window) -> Vec<String> {
        Vec::new()
    }

    fn usage(&self) -> Usage {
        Usage::default()
    }
}

fn unavailable(kinds: &BTreeSet<ObjectKind>) -> Objects {
    let of = |kind: &ObjectKind| Unavailable::new(*kind, None, Missing::NoKubernetesSource);
    Objects { unavailable: kinds.iter().map(of).collect(), ..Objects::default() }
}
