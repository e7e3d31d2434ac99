//! ConfigMaps that variables of a JVM come from: only those that a container names, and of them only what it reads.

use std::collections::{BTreeMap, BTreeSet};

use futures::future::join_all;
use healthcore::jvm::Unread;
use healthcore::model::{ObjectKind, PodPhase};
use healthcore::snapshot::{Gap, GapCause};

use super::convert::PodEntry;
use super::jvm::{ConfigMaps, Read, Wanted};
use super::request::encode;
use super::send::Refusal;
use super::source::{KubernetesSource, Run};
use super::wire;

/// ConfigMaps that are asked for at most; a cluster has them by workload and not by pod.
const MOST: usize = 2000;

/// ConfigMaps that a gap names one by one; more are counted.
const MOST_NAMED: usize = 5;

/// By namespace and name, what of a ConfigMap is read.
type Questions = BTreeMap<(String, String), BTreeSet<Wanted>>;

impl KubernetesSource {
    /// Gives the containers the flags of their JVMs.
    pub(super) async fn give_jvm_flags(&self, run: &Run<'_>, pods: &mut [PodEntry], gaps: &mut Vec<Gap>) {
        if !run.asks(ObjectKind::JvmOptions) {
            return;
        }
        let maps = self.config_maps(questions(pods), gaps).await;
        let none = ConfigMaps::new();
        for entry in pods {
            let maps = maps.get(&entry.pod.workload.namespace).unwrap_or(&none);
            for (at, options) in entry.options.drain(..) {
                let (flags, unread) = options.resolve(maps);
                let container = &mut entry.pod.containers[at];
                (container.jvm_flags, container.jvm_unread) = (flags, unread);
            }
        }
    }

    /// The ConfigMaps that are asked for, by namespace.
    async fn config_maps(
        &self,
        mut questions: Questions,
        gaps: &mut Vec<Gap>,
    ) -> BTreeMap<String, ConfigMaps> {
        let left = questions.len().saturating_sub(MOST);
        if left > 0 {
            let detail = format!("ConfigMaps of JVM options are read up to {MOST}; {left} are left out");
            gaps.push(self.gap(None, "configmaps", GapCause::Thinned, detail));
        }
        let left_out: Vec<_> = questions.keys().skip(MOST).cloned().collect();
        for key in &left_out {
            questions.remove(key);
        }
        let reads = questions.into_iter().map(|((namespace, name), wanted)| async move {
            let read = self.config_map(&namespace, &name, &wanted).await;
            (namespace, name, read)
        });
        let mut out: BTreeMap<String, ConfigMaps> = BTreeMap::new();
        let mut refused: BTreeMap<(String, GapCause), Vec<(String, String)>> = BTreeMap::new();
        for (namespace, name, read) in join_all(reads).await {
            let read: Read = read.map_err(|refusal| {
                let (why, cause) = meaning(&refusal, &name);
                if let Some(cause) = cause {
                    let of = refused.entry((namespace.clone(), cause)).or_default();
                    of.push((name.clone(), refusal.to_string()));
                }
                why
            });
            out.entry(namespace).or_default().insert(name, read);
        }
        for (namespace, name) in left_out {
            let why = Unread::Failed { name: name.clone() };
            out.entry(namespace).or_default().insert(name, Err(why));
        }
        gaps.extend(refused.iter().map(|((namespace, cause), of)| self.told(namespace, *cause, of)));
        out
    }

    async fn config_map(
        &self,
        namespace: &str,
        name: &str,
        wanted: &BTreeSet<Wanted>,
    ) -> Result<BTreeMap<String, String>, Refusal> {
        let path = format!("/api/v1/namespaces/{}/configmaps/{}", encode(namespace), encode(name));
        let body = self.server.get(&path, "application/json").await?;
        let map: wire::ConfigMapData =
            serde_json::from_slice(&body).map_err(|e| Refusal::Broken(e.to_string()))?;
        let mut data = map.data;
        data.retain(|key, _| wanted.iter().any(|wanted| wanted.takes(key)));
        Ok(data)
    }

    fn told(&self, namespace: &str, cause: GapCause, of: &[(String, String)]) -> Gap {
        let named: Vec<&str> = of.iter().take(MOST_NAMED).map(|(name, _)| name.as_str()).collect();
        let more = match of.len() - named.len() {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        let said = of.first().map_or("", |(_, said)| said.as_str());
        let detail = match cause {
            GapCause::AccessDenied => "not allowed to get configmaps",
            _ => "cannot get configmaps",
        };
        let detail = format!("{detail} {}{more}, which JVM options come from: {said}", named.join(", "));
        self.gap(Some(namespace), "configmaps", cause, detail)
    }
}

/// What a refusal says of a ConfigMap, and the gap that it makes.
fn meaning(refusal: &Refusal, name: &str) -> (Unread, Option<GapCause>) {
    let name = name.to_owned();
    match refusal {
        Refusal::NotFound => (Unread::NoConfigMap { name }, None),
        Refusal::Denied(_) => (Unread::Denied { name }, Some(GapCause::AccessDenied)),
        Refusal::Timeout(_) => (Unread::Failed { name }, Some(GapCause::Timeout)),
        _ => (Unread::Failed { name }, Some(GapCause::Failed)),
    }
}

/// What containers of pods that have not ended read of ConfigMaps.
fn questions(pods: &[PodEntry]) -> Questions {
    let mut out = Questions::new();
    let lives = |entry: &&PodEntry| !matches!(entry.pod.phase, PodPhase::Succeeded | PodPhase::Failed);
    for entry in pods.iter().filter(lives) {
        for (name, wanted) in entry.options.iter().flat_map(|(_, options)| options.config_maps()) {
            let key = (entry.pod.workload.namespace.clone(), name.to_owned());
            out.entry(key).or_default().insert(wanted);
        }
    }
    out
}
