//! Registries tell which platforms images are built for.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use healthcore::fixture::Fixture;
use healthcore::image::ImageReference;
use healthcore::report::{Cost, Report};
use healthcore::shard::Shard;
use healthcore::snapshot::GapCause;
use healthcore_sources::registry::{ImagePlatforms, PlatformSource, RegistryRun, RegistryTrouble};
use lambda_free_runner::{Input, Registries, RunSpec, Silent, dry_run, run_once};

use crate::fake::{Fake, spec};

/// Images for amd64, some of which its pods may miss; one of a registry that answers nothing.
const MIXED: &str = "node node-1\nnode node-2 arch=arm64\n\
    container shop/api-0/app image=r.example/shop/api:1 limit=1Gi request=512Mi cpu-request=250m\n\
    pod shop/api-0 places=linux/amd64:5,linux/arm64:3\n\
    container web/front-0/app image=r.example/web/front:1 limit=1Gi request=512Mi cpu-request=250m\n\
    pod web/front-0 places=linux/amd64:5\n\
    container web/gone-0/app image=silent.example/gone:1 limit=1Gi request=512Mi cpu-request=250m\n\
    pod web/gone-0 places=linux/amd64:5,linux/arm64:3";

#[derive(Default)]
struct Registry {
    asked: Mutex<Vec<String>>,
}

#[async_trait]
impl PlatformSource for Registry {
    fn has(&self, _: &str) -> bool {
        true
    }
    async fn platforms(&self, image: &ImageReference<'_>, _: &RegistryRun) -> ImagePlatforms {
        self.asked.lock().unwrap().push(image.name.to_owned());
        let silent = RegistryTrouble {
            cause: GapCause::Unreachable,
            said: "refused, password=hunter2".into(),
            lasting: true,
        };
        match image.registry() {
            "silent.example" => ImagePlatforms::unknown(silent),
            _ => ImagePlatforms { platforms: vec!["linux/amd64".to_owned()], trouble: None },
        }
    }
}

fn mixed() -> (Arc<Registry>, RunSpec) {
    let registry = Arc::new(Registry::default());
    let fake = Fake::new(Fixture::new(MIXED).snapshot);
    let registries = Registries::new(registry.clone());
    (registry, RunSpec { registries, ..spec(None, Some(fake)) })
}

fn run(spec: &RunSpec) -> Report {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(run_once(spec, &Silent)).unwrap()
}

fn told(report: &Report) -> Vec<(&str, &str)> {
    let own = report.findings.iter().filter(|f| f.check == "image-architecture");
    own.map(|f| (f.severity.name(), f.subject.name.as_str())).collect()
}

#[test]
fn what_registries_tell_is_judged_and_recorded() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s.ndjson");
    let (registry, spec) = mixed();
    let live = run(&RunSpec { record: Some(path.clone()), ..spec });
    assert_eq!(told(&live), [("warning", "api")]);
    assert_eq!(*registry.asked.lock().unwrap(), ["r.example/shop/api", "silent.example/gone"]);
    let gaps: Vec<String> = live
        .gaps
        .iter()
        .filter(|g| g.scope == "test/registries")
        .map(|g| format!("{} {}", g.cause.name(), g.detail))
        .collect();
    assert_eq!(
        gaps,
        [
            "unreachable silent.example does not tell the platforms of 1 of 1 image: refused, password=[redacted]"
        ]
    );
    let replay = run(&RunSpec::new(Input::Recording(path)));
    assert_eq!(Report { cost: Cost::default(), ..replay }, Report { cost: Cost::default(), ..live });
    assert_eq!(registry.asked.lock().unwrap().len(), 2, "a replay asks nobody");
}

#[test]
fn without_registries_nothing_changes() {
    let (registry, with) = mixed();
    let report = run(&RunSpec { registries: Registries::default(), ..with });
    assert_eq!(told(&report), []);
    assert!(report.gaps.iter().all(|gap| !gap.scope.contains("registries")), "{:?}", report.gaps);
    assert!(registry.asked.lock().unwrap().is_empty());
    let unknown = report.checks.iter().find(|c| c.id == "image-architecture").unwrap().tally.unknown;
    assert_eq!(unknown, 0, "what no registry tells makes nothing unknown");
}

#[test]
fn a_check_that_does_not_run_asks_nobody() {
    let (registry, mut spec) = mixed();
    spec.settings.skip.insert("image-architecture".to_owned());
    run(&spec);
    assert!(registry.asked.lock().unwrap().is_empty());
}

#[test]
fn a_shard_asks_for_its_own() {
    let all: Vec<Vec<String>> = (0..2)
        .map(|index| {
            let (registry, spec) = mixed();
            run(&RunSpec { shard: Some(Shard::new(index, 2).unwrap()), ..spec });
            registry.asked.lock().unwrap().clone()
        })
        .collect();
    let mut together: Vec<String> = all.concat();
    together.sort();
    assert_eq!(together, ["r.example/shop/api", "silent.example/gone"], "{all:?}");
}

#[test]
fn a_dry_run_names_registries_and_asks_none() {
    let (registry, spec) = mixed();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let lines = runtime.block_on(dry_run(&spec, &Silent)).unwrap();
    let expected = "  platforms of images: r.example (1), silent.example (1)";
    assert!(lines.iter().any(|line| line == expected), "{lines:#?}");
    assert!(registry.asked.lock().unwrap().is_empty());
    let silent =
        runtime.block_on(dry_run(&RunSpec { registries: Registries::default(), ..spec }, &Silent)).unwrap();
    assert!(!silent.iter().any(|line| line.contains("platforms of images")), "{silent:#?}");
}
