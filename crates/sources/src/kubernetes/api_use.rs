//! Objects that somebody wrote in a version of their API that is gone or will be. Pure.
//!
//! The server shows every object in the version that it is asked for. In which version it was written, the annotation of
//! `kubectl apply` and the managed fields tell. A page is read for it only where it names such a version at all.

use std::fmt;

use healthcore::api_versions::{REMOVALS, Removal, WrittenAs};
use healthcore::inventory::ObjectId;
use serde::de::{IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::wire::{Time, or_default};

/// The annotation in which `kubectl apply` keeps the manifest.
const APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// What a page of a resource tells.
pub(super) fn written(page: &[u8], resource: &str) -> Vec<WrittenAs> {
    let named = |removal: &&Removal| {
        removal.resource == resource && memchr::memmem::find(page, removal.api_version.as_bytes()).is_some()
    };
    let removals: Vec<&Removal> = REMOVALS.iter().filter(named).collect();
    if removals.is_empty() {
        return Vec::new();
    }
    let Ok(Page { items }) = serde_json::from_slice::<Page>(page) else { return Vec::new() };
    items.into_iter().flat_map(|Item { metadata }| of_object(metadata, &removals)).collect()
}

/// The versions of one object: of a version that was applied, its managers say nothing more.
fn of_object(meta: Meta, removals: &[&Removal]) -> Vec<WrittenAs> {
    let mut out = Vec::new();
    for removal in removals {
        let written = WrittenAs {
            api_version: removal.api_version.to_owned(),
            resource: removal.resource.to_owned(),
            id: ObjectId::new(&meta.namespace, &meta.name),
            ..WrittenAs::default()
        };
        if meta.annotations.version.as_deref() == Some(removal.api_version) {
            out.push(WrittenAs { applied: true, ..written });
            continue;
        }
        let own = meta.managed_fields.iter().filter(|field| field.api_version == removal.api_version);
        if let Some(last) = own.max_by_key(|field| field.time.map(|t| t.0)) {
            out.push(WrittenAs { manager: last.manager.clone(), at: last.time.map(|t| t.0), ..written });
        }
    }
    out
}

#[derive(Deserialize)]
struct Page {
    #[serde(default, deserialize_with = "or_default")]
    items: Vec<Item>,
}

#[derive(Deserialize)]
struct Item {
    metadata: Meta,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Meta {
    #[serde(default, deserialize_with = "or_default")]
    name: String,
    #[serde(default, deserialize_with = "or_default")]
    namespace: String,
    #[serde(default, deserialize_with = "or_default")]
    annotations: Applied,
    #[serde(default, deserialize_with = "or_default")]
    managed_fields: Vec<ManagedField>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ManagedField {
    #[serde(default, deserialize_with = "or_default")]
    api_version: String,
    #[serde(default, deserialize_with = "or_default")]
    manager: String,
    #[serde(default)]
    time: Option<Time>,
}

/// The version of the manifest that was applied last. The rest of it may hold secrets, and is not kept.
#[derive(Default)]
struct Applied {
    version: Option<String>,
}

impl<'de> Deserialize<'de> for Applied {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct Map;
        impl<'de> Visitor<'de> for Map {
            type Value = Applied;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a map of texts")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Applied, A::Error> {
                let mut applied = Applied::default();
                while let Some(key) = map.next_key::<String>()? {
                    if key == APPLIED {
                        applied.version = map.next_value::<Manifest>()?.0;
                    } else {
                        map.next_value::<IgnoredAny>()?;
                    }
                }
                Ok(applied)
            }
        }
        d.deserialize_map(Map)
    }
}

/// A manifest within a text, of which only the version is read.
struct Manifest(Option<String>);

impl<'de> Deserialize<'de> for Manifest {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct Text;
        impl Visitor<'_> for Text {
            type Value = Manifest;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a manifest in a text")
            }
            fn visit_str<E>(self, text: &str) -> Result<Manifest, E> {
                #[derive(Deserialize)]
                #[serde(rename_all = "camelCase")]
                struct Head {
                    api_version: String,
                }
                Ok(Manifest(serde_json::from_str::<Head>(text).ok().map(|head| head.api_version)))
            }
        }
        d.deserialize_str(Text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Versions as `version resource namespace/name applied|manager`.
    #[track_caller]
    fn check(metadata: &str, expected: &[&str]) {
        let page = format!(r#"{{"kind":"CronJobList","items":[{{"metadata":{metadata}}}]}}"#);
        let told: Vec<String> = written(page.as_bytes(), "cronjobs")
            .into_iter()
            .map(|w| {
                let by = if w.applied { "applied".to_owned() } else { w.manager };
                format!("{} {} {}/{} {by}", w.api_version, w.resource, w.id.namespace, w.id.name)
            })
            .collect();
        assert_eq!(told, expected, "{page}");
    }

    #[test]
    fn the_version_of_the_manifest_that_was_applied() {
        let applied = |manifest: &str| {
            let text = serde_json::Value::from(manifest).to_string();
            format!(
                r#"{{"name":"dump","namespace":"ops","annotations":{{"a":"batch/v1beta1","{APPLIED}":{text}}}}}"#
            )
        };
        let manifest =
            r#"{"apiVersion":"batch/v1beta1","kind":"CronJob","spec":{"env":[{"value":"hunter2"}]}}"#;
        check(&applied(manifest), &["batch/v1beta1 cronjobs ops/dump applied"]);
        check(&applied(&manifest.replace("v1beta1", "v1")), &[]);
        check(&applied("batch/v1beta1, and no manifest"), &[]);
    }

    #[test]
    fn the_last_manager_of_a_version() {
        let fields = r#"{"name":"dump","namespace":"ops","managedFields":[
            {"manager":"old","apiVersion":"batch/v1beta1","time":"2026-01-01T00:00:00Z","fieldsV1":{"f:spec":{}}},
            {"manager":"helm","apiVersion":"batch/v1beta1","time":"2026-02-01T00:00:00Z"},
            {"manager":"kube-controller-manager","apiVersion":"batch/v1","time":"2026-03-01T00:00:00Z"}]}"#;
        check(fields, &["batch/v1beta1 cronjobs ops/dump helm"]);
    }

    #[test]
    fn versions_of_other_resources_are_none() {
        check(r#"{"name":"dump","managedFields":[{"apiVersion":"policy/v1beta1","manager":"x"}]}"#, &[]);
        assert_eq!(written(b"no page, with batch/v1beta1", "cronjobs"), []);
    }
}
