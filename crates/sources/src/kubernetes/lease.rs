//! A lease of the Kubernetes API (`coordination.k8s.io/v1`).

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use healthcore::time::Timestamp;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use kube::Api;
use kube::api::PostParams;

use super::connect::{self, KubernetesSettings};
use super::send::chain;
use crate::SourceError;
use crate::lease::{LeaseError, LeaseRecord, LeaseStore};

/// The annotation that holds the instant of the schedule that was served last.
const SERVED: &str = "healthcheck.io/last-served";

/// A lease object of a cluster.
#[derive(Clone)]
pub struct KubernetesLease {
    api: Api<Lease>,
    namespace: String,
    name: String,
    /// The object as it was last read or written. What others have put into it (labels, owners, annotations) is written back
    /// with it, as client-go does.
    last: Arc<Mutex<Lease>>,
}

impl KubernetesLease {
    /// The lease of a name. Nothing is sent yet, but for what an exec credential plugin sends.
    ///
    /// # Errors
    /// The kubeconfig cannot be used, with what to do.
    pub async fn connect(
        settings: &KubernetesSettings,
        namespace: &str,
        name: &str,
    ) -> Result<Self, SourceError> {
        let (client, _) = connect::client(settings).await?;
        let (namespace, name) = (namespace.to_owned(), name.to_owned());
        Ok(Self { api: Api::namespaced(client, &namespace), namespace, name, last: Arc::default() })
    }

    /// Keeps the object of an answer for the next write.
    fn read(&self, lease: Lease) -> LeaseRecord {
        let record = record(&lease);
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = lease;
        record
    }

    /// The object to write over the version that the record names. Where another one was read since, it brings nothing
    /// along, and the server refuses it.
    fn written(&self, record: &LeaseRecord) -> Lease {
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let is_known = last.metadata.resource_version.as_deref() == Some(&record.version);
        lease(&self.name, record, if is_known { last } else { Lease::default() })
    }

    fn failed(&self, verb: &str, error: kube::Error) -> LeaseError {
        let at = format!("lease {}/{}", self.namespace, self.name);
        match error {
            kube::Error::Api(status) if status.code == 409 => LeaseError::Conflict,
            kube::Error::Api(status) if status.code == 403 => LeaseError::Failed(format!(
                "{at}: the account may not {verb} leases; grant get, create and update on leases of coordination.k8s.io in the namespace `{}`",
                self.namespace
            )),
            kube::Error::Api(status) => LeaseError::Failed(format!("{at}: {}", status.message)),
            other => LeaseError::Failed(format!("{at}: {}", chain(&other))),
        }
    }
}

#[async_trait]
impl LeaseStore for KubernetesLease {
    async fn get(&self) -> Result<Option<LeaseRecord>, LeaseError> {
        let found = self.api.get_opt(&self.name).await.map_err(|e| self.failed("get", e))?;
        Ok(found.map(|lease| self.read(lease)))
    }

    async fn create(&self, record: &LeaseRecord) -> Result<LeaseRecord, LeaseError> {
        let lease = lease(&self.name, record, Lease::default());
        let made = self.api.create(&PostParams::default(), &lease).await;
        made.map(|lease| self.read(lease)).map_err(|e| match self.failed("create", e) {
            LeaseError::Failed(why) if why.contains("namespaces ") && why.contains("not found") => {
                LeaseError::Failed(format!("{why}; make the namespace, or name another one"))
            }
            other => other,
        })
    }

    async fn replace(&self, record: &LeaseRecord) -> Result<LeaseRecord, LeaseError> {
        let lease = self.written(record);
        let replaced = self.api.replace(&self.name, &PostParams::default(), &lease).await;
        replaced.map(|lease| self.read(lease)).map_err(|e| self.failed("update", e))
    }
}

fn record(lease: &Lease) -> LeaseRecord {
    let spec = lease.spec.clone().unwrap_or_default();
    let at = |time: Option<MicroTime>| time.map_or(Timestamp(0), |t| Timestamp(t.0.as_millisecond()));
    let seconds = u64::try_from(spec.lease_duration_seconds.unwrap_or(0)).unwrap_or(0);
    let served = lease.metadata.annotations.as_ref().and_then(|all| all.get(SERVED));
    let served = served.and_then(|text| text.parse::<jiff::Timestamp>().ok());
    LeaseRecord {
        holder: spec.holder_identity.unwrap_or_default(),
        lasts: Duration::from_secs(seconds),
        acquired_at: at(spec.acquire_time),
        renewed_at: at(spec.renew_time),
        transitions: u32::try_from(spec.lease_transitions.unwrap_or(0)).unwrap_or(0),
        served: served.map(|t| Timestamp(t.as_millisecond())),
        version: lease.metadata.resource_version.clone().unwrap_or_default(),
    }
}

/// A record as an object, in place of what `known` says of it.
fn lease(name: &str, record: &LeaseRecord, known: Lease) -> Lease {
    let time = |t: Timestamp| jiff::Timestamp::from_millisecond(t.0).ok().map(MicroTime);
    let served = record.served.and_then(|t| jiff::Timestamp::from_millisecond(t.0).ok());
    let version = (!record.version.is_empty()).then(|| record.version.clone());
    let mut annotations = known.metadata.annotations.clone().unwrap_or_default();
    match served {
        Some(t) => drop(annotations.insert(SERVED.to_owned(), t.to_string())),
        None => drop(annotations.remove(SERVED)),
    }
    let metadata = ObjectMeta {
        name: Some(name.to_owned()),
        resource_version: version,
        annotations: (!annotations.is_empty()).then_some(annotations),
        ..known.metadata
    };
    let spec = LeaseSpec {
        holder_identity: Some(record.holder.clone()),
        lease_duration_seconds: Some(i32::try_from(record.lasts.as_secs()).unwrap_or(i32::MAX)),
        acquire_time: time(record.acquired_at),
        renew_time: time(record.renewed_at),
        lease_transitions: Some(i32::try_from(record.transitions).unwrap_or(i32::MAX)),
        ..known.spec.unwrap_or_default()
    };
    Lease { metadata, spec: Some(spec) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn held() -> LeaseRecord {
        LeaseRecord {
            holder: "healthcheck-0_1".into(),
            lasts: Duration::from_secs(15),
            acquired_at: Timestamp(1_795_136_400_123),
            renewed_at: Timestamp(1_795_136_402_456),
            transitions: 3,
            served: Some(Timestamp(1_795_136_400_000)),
            version: "4711".into(),
        }
    }

    #[test]
    fn a_lease_and_its_record_are_the_same() {
        let held = held();
        assert_eq!(record(&lease("healthcheck", &held, Lease::default())), held);
        let free = LeaseRecord { holder: String::new(), served: None, version: String::new(), ..held };
        let made = lease("healthcheck", &free, Lease::default());
        assert_eq!(made.metadata.resource_version, None, "a lease that is new has no version");
        assert_eq!(made.metadata.annotations, None);
        assert_eq!(record(&made), free);
    }

    /// What is written over a lease of somebody else, whose fields it must leave alone.
    #[tokio::test]
    async fn a_renewal_keeps_what_others_have_put_there() {
        let server = wiremock::MockServer::start().await;
        let theirs = serde_json::json!({
            "apiVersion": "coordination.k8s.io/v1", "kind": "Lease",
            "metadata": {
                "name": "healthcheck", "namespace": "ops", "resourceVersion": "4711", "uid": "u-1",
                "labels": { "app.kubernetes.io/managed-by": "Helm" },
                "annotations": { "meta.helm.sh/release-name": "doctor", SERVED: "2020-01-01T00:00:00Z" },
                "ownerReferences": [{ "apiVersion": "apps/v1", "kind": "Deployment", "name": "doctor", "uid": "u-2" }],
                "finalizers": ["corp.net/keep"],
            },
            "spec": { "holderIdentity": "healthcheck-0_1", "leaseDurationSeconds": 15, "strategy": "OldestEmulationVersion" },
        });
        let answer = wiremock::ResponseTemplate::new(200).set_body_json(&theirs);
        wiremock::Mock::given(wiremock::matchers::any()).respond_with(answer).mount(&server).await;
        crate::tls::install_provider();
        let client = kube::Client::try_from(kube::Config::new(server.uri().parse().unwrap())).unwrap();
        let api = Api::namespaced(client, "ops");
        let store = KubernetesLease {
            api,
            namespace: "ops".into(),
            name: "healthcheck".into(),
            last: Arc::default(),
        };
        let found = store.get().await.unwrap().unwrap();
        store.replace(&LeaseRecord { version: found.version, ..held() }).await.unwrap();
        let requests = server.received_requests().await.unwrap();
        let sent: serde_json::Value = serde_json::from_slice(&requests[1].body).unwrap();
        let mut expected = theirs["metadata"].clone();
        expected["annotations"][SERVED] = "2026-11-20T01:00:00Z".into();
        assert_eq!((requests[1].method.as_str(), &sent["metadata"]), ("PUT", &expected));
        assert_eq!(sent["spec"]["strategy"], "OldestEmulationVersion");
        assert_eq!(sent["spec"]["leaseTransitions"], 3);
        // A version that was not read last brings nothing of another one along.
        store.replace(&LeaseRecord { version: "4700".into(), ..held() }).await.unwrap();
        let requests = server.received_requests().await.unwrap();
        let sent: serde_json::Value = serde_json::from_slice(&requests[2].body).unwrap();
        assert_eq!(sent["metadata"]["resourceVersion"], "4700");
        assert!(sent["metadata"]["labels"].is_null(), "{sent}");
    }

    /// As another program, or a person, may have left it.
    #[test]
    fn a_lease_without_anything_is_free() {
        let empty = record(&Lease::default());
        assert_eq!((empty.holder.as_str(), empty.lasts, empty.transitions), ("", Duration::ZERO, 0));
    }
}
