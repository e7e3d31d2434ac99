//! `image-untagged`: nobody can say which image runs.

use crate::check::{Check, CheckInfo, Judgement, Outcome};
use crate::finding::{Advice, Problem, Severity, Text};
use crate::image::ImageReference;
use crate::model::ObjectKind;
use crate::need::Needs;
use crate::phrase::or;
use crate::snapshot::{Field, Missing};
use crate::view::{View, WorkloadContainer};

/// Nobody can say which image runs.
pub struct ImageUntagged;

crate::params! {
    /// Parameters of `image-untagged`.
    pub struct ImageUntaggedParams {
        /// Whether the tag `latest` counts as none.
        latest: bool = true,
    }
}

impl Check for ImageUntagged {
    const INFO: CheckInfo = CheckInfo {
        id: "image-untagged",
        title: "Image without version",
        since: "0.1.0",
        checks: "Whether the image of each container has a tag or a digest that names a version.",
        why: "The next pod may run another version than its neighbours, and there is nothing to roll back to.",
        decides: "Info when the image of the newest living pod has no digest and no tag, or the tag `latest` (parameter \
                  `latest`). Whether pods of one tag really differ, other checks tell.",
        remedy: "Name a version, best with the digest of the image.",
        false_alarms: "Images that are made and thrown away in a test cluster.",
        texts: &[
            ("untagged", "image {image} has no tag"),
            ("latest", "image {image} has the tag latest, which names no version"),
            ("pin", "pin it to what runs now: {running}"),
            ("tag", "give the image a tag that names its version"),
        ],
    };
    type Params = ImageUntaggedParams;
    type Subject<'a> = WorkloadContainer<'a>;

    fn needs(_: &Self::Params, needs: &mut Needs) {
        needs.objects(ObjectKind::Workloads).objects(ObjectKind::Pods);
    }

    fn judge(params: &Self::Params, container: &WorkloadContainer<'_>, _: &View<'_>) -> Judgement {
        let Some(found) = container.newest() else { return Ok(Outcome::NotApplicable) };
        if found.image.is_empty() {
            return Err(Missing::NotReported { field: Field::Image });
        }
        let ImageReference { tag, digest, .. } = ImageReference::new(&found.image);
        let key = match (digest, tag) {
            (None, None | Some("")) => "untagged",
            (None, Some("latest")) if params.latest => "latest",
            _ => return Ok(Outcome::Ok),
        };
        let problem = Problem::new(Severity::Info, Text::new(key).with("image", found.image.as_str()))
            .evidence("image", found.image.as_str());
        let running = found.image_id.trim_start_matches("docker-pullable://");
        let advice = if running.contains('@') {
            let advice = Advice::new(Text::new("pin").with("running", running));
            let id = &container.workload.id;
            let kind = id.kind.to_ascii_lowercase();
            let (namespace, name) = (&id.namespace, &id.name);
            let command =
                format!("kubectl -n {namespace} set image {kind}/{name} {}={running}", container.name);
            // `@` is a plain character in every shell.
            let plain = running.replace('@', ":");
            match kind.as_str() {
                "deployment" | "statefulset" | "daemonset" => {
                    advice.command(command, &[namespace, name, &container.name, &plain])
                }
                _ => advice,
            }
        } else {
            Advice::new(Text::new("tag"))
        };
        Ok(problem.evidence("running", or(running, "not-reported")).advise(advice).into())
    }
}

#[cfg(test)]
mod tests {
    use crate::fixture::{self, advice};

    #[track_caller]
    fn check(text: &str, expected: &str) {
        fixture::check("image-untagged", text, expected);
    }

    #[test]
    fn without_a_version() {
        check("container web/api-0/app image=nginx", "info web/api/app: image nginx has no tag");
        let latest = "container web/api-0/app image=shop/api:latest";
        check(latest, "info web/api/app: image shop/api:latest has the tag latest, which names no version");
        check(&format!("set latest=false\n{latest}"), "1 ok");
        check("container web/api-0/app image=shop/api:1.2", "1 ok");
        check("container web/api-0/app image=shop/api@sha256:aa", "1 ok");
    }

    #[test]
    fn the_newest_pod_counts() {
        let old = "container web/api-0/app image=nginx created=9d\n";
        check(&format!("{old}container web/api-1/app image=nginx:1.2 created=1d"), "1 ok");
        check(
            "container web/load-x2x9z/app owner=Job/load state=completed@1h\npod web/load-x2x9z phase=Succeeded",
            "nothing",
        );
    }

    #[test]
    fn advice_pins_what_runs() {
        assert_eq!(
            advice("image-untagged", "container web/api-0/app image=shop/api image-id=shop/api@sha256:aa"),
            [
                "pin it to what runs now: shop/api@sha256:aa [kubectl -n web set image statefulset/api app=shop/api@sha256:aa]"
            ]
        );
        assert_eq!(
            advice("image-untagged", "container web/api-0/app image=shop/api"),
            ["give the image a tag that names its version"]
        );
    }

    #[test]
    fn missing_is_unknown() {
        check("container web/api-0/app image=", "1 unknown: image is not reported");
        check("denied pods", "1 unknown: not allowed to list pods in all namespaces");
    }
}
