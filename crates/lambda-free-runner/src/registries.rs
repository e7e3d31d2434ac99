//! Which images registries are asked for, and what becomes of their answers.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use futures::future::join_all;
use healthcore::finding::Value;
use healthcore::image::ImageReference;
use healthcore::model::{Container, ContainerState, ObjectKind, Pod, PodPhase};
use healthcore::phrase::phrase;
use healthcore::snapshot::{Gap, GapCause, Objects};
use healthcore_sources::registry::{ImagePlatforms, PlatformSource, RegistryRun, RegistryTrouble};
use tokio::sync::OnceCell;

/// Most images of one cluster that registries are asked for.
const MOST_IMAGES: usize = 500;

/// Most registries that a plan names.
const MOST_NAMED: usize = 10;

/// What registries may be asked. The default asks none.
#[derive(Clone, Default)]
pub struct Registries {
    /// What asks them; none to ask no registry.
    pub source: Option<Arc<dyn PlatformSource>>,
    run: Arc<Run>,
    /// Whether nobody is asked, and only that which tells who would be is listed.
    planned: bool,
}

/// What is known in one run, by whichever cluster asked: clusters share images, and registries count how often they are
/// asked.
#[derive(Default)]
struct Run {
    /// Also of images that are being asked for: who wants one of them too waits for it alone.
    told: Mutex<BTreeMap<String, Told>>,
    registries: RegistryRun,
}

type Told = Arc<OnceCell<ImagePlatforms>>;

impl Run {
    fn of(&self, image: &str) -> Told {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(told.entry(image.to_owned()).or_default())
    }
}

impl Registries {
    /// Registries that a source may ask.
    #[must_use]
    pub fn new(source: Arc<dyn PlatformSource>) -> Self {
        Self { source: Some(source), ..Self::default() }
    }

    /// These for one run, which begins without knowing anything.
    pub(crate) fn of_run(&self) -> Self {
        Self { source: self.source.clone(), ..Self::default() }
    }

    /// These for a plan.
    pub(crate) fn without_asking(&self) -> Self {
        Self { planned: true, ..self.of_run() }
    }

    /// What to list of what is needed: where pods may be placed is only for those who know what images are built for.
    pub(crate) fn lists(&self, mut kinds: BTreeSet<ObjectKind>) -> BTreeSet<ObjectKind> {
        if self.source.is_none() {
            kinds.remove(&ObjectKind::ImagePlatforms);
        }
        kinds
    }

    /// Puts into the containers of a cluster what their registries tell of their images.
    pub(crate) async fn look(&self, cluster: &str, listed: &mut [Objects]) -> Vec<Gap> {
        let Some(source) = self.source.as_ref().filter(|_| !self.planned) else { return Vec::new() };
        let wanted = wanted(listed, &**source);
        let asked = &wanted[..wanted.len().min(MOST_IMAGES)];
        let told = self.ask(&**source, asked).await;
        let containers = listed.iter_mut().flat_map(|o| &mut o.pods).flat_map(|p| &mut p.containers);
        for container in containers.filter(|c| is_pulled(c)) {
            if let Some(found) = told.get(container.image.as_str()) {
                container.platforms.clone_from(&found.platforms);
            }
        }
        let mut gaps = silent(cluster, &told);
        if asked.len() < wanted.len() {
            let said = phrase("gap-some-images").with("asked", asked.len()).with("all", wanted.len());
            gaps.push(Gap::new(format!("{cluster}/registries"), GapCause::Thinned, said));
        }
        gaps
    }

    /// What is told of images; nobody is asked again for what was told in this run.
    async fn ask(&self, source: &dyn PlatformSource, images: &[String]) -> BTreeMap<String, ImagePlatforms> {
        let one = async |image: &String| {
            let told = self.run.of(image);
            let ask = async || source.platforms(&ImageReference::new(image), &self.run.registries).await;
            (image.clone(), told.get_or_init(ask).await.clone())
        };
        join_all(images.iter().map(one)).await.into_iter().collect()
    }

    /// What a run would ask, for `--dry-run`.
    pub(crate) fn plan(&self, listed: &[Objects]) -> Option<String> {
        let wanted = wanted(listed, &**self.source.as_ref()?);
        let mut by_registry: BTreeMap<&str, usize> = BTreeMap::new();
        for image in wanted.iter().take(MOST_IMAGES) {
            *by_registry.entry(ImageReference::new(image).registry()).or_default() += 1;
        }
        let source = self.source.as_ref()?;
        let name = |(name, images): (&&str, &usize)| match source.most(name) {
            Some(most) if most < *images => format!("{name} ({images}, at most {most} are read)"),
            _ => format!("{name} ({images})"),
        };
        let mut named: Vec<String> = by_registry.iter().take(MOST_NAMED).map(name).collect();
        if by_registry.len() > named.len() {
            named.push(format!("and {} more", by_registry.len() - named.len()));
        }
        (!named.is_empty()).then(|| format!("platforms of images: {}", named.join(", ")))
    }
}

/// Images whose platforms can make a difference, those of containers that do not run first: where all nodes that a pod may
/// be placed on have the platform on which it runs, nobody need be asked.
fn wanted(listed: &[Objects], source: &dyn PlatformSource) -> Vec<String> {
    let mut found: BTreeMap<&str, bool> = BTreeMap::new();
    let living = |pod: &&Pod| pod.phase != PodPhase::Succeeded && !pod.deleting;
    for pod in listed.iter().flat_map(|objects| &objects.pods).filter(living) {
        let elsewhere = may_be_elsewhere(pod);
        for container in pod.containers.iter().filter(|c| is_pulled(c)) {
            let runs = matches!(container.state, Some(ContainerState::Running { .. }));
            if elsewhere || !runs && pod.architecture.is_some() {
                *found.entry(&container.image).or_insert(true) &= runs;
            }
        }
    }
    let mut images: Vec<(bool, &str)> = found.into_iter().map(|(image, runs)| (runs, image)).collect();
    images.retain(|(_, image)| source.has(ImageReference::new(image).registry()));
    images.sort_unstable();
    images.into_iter().map(|(_, image)| image.to_owned()).collect()
}

/// Whether a pod may be placed on nodes of another platform than that of its own.
fn may_be_elsewhere(pod: &Pod) -> bool {
    let own = pod.platform();
    pod.places.keys().any(|platform| Some(platform) != own.as_ref())
}

/// Whether nodes ask a registry for the image of a container.
fn is_pulled(container: &Container) -> bool {
    !container.image.is_empty() && container.pull_policy != "Never"
}

/// What came of the questions to one registry.
#[derive(Default)]
struct Answers<'a> {
    all: usize,
    /// By image.
    troubles: Vec<(&'a str, &'a RegistryTrouble)>,
}

/// A gap for each registry that does not tell all: how many images that is about, and why.
fn silent(cluster: &str, told: &BTreeMap<String, ImagePlatforms>) -> Vec<Gap> {
    let mut by_registry: BTreeMap<&str, Answers<'_>> = BTreeMap::new();
    for (image, found) in told {
        let answers = by_registry.entry(ImageReference::new(image).registry()).or_default();
        answers.all += 1;
        answers.troubles.extend(found.trouble.as_ref().map(|trouble| (image.as_str(), trouble)));
    }
    let gap = |(registry, Answers { all, troubles }): (&str, Answers<'_>)| {
        let worst = troubles.iter().find(|(_, t)| t.lasting).or(troubles.first())?;
        let said = phrase("gap-registry")
            .with("registry", registry)
            .with("some", troubles.len())
            .with("all", all)
            .with("why", why(*worst, troubles.len()));
        Some(Gap::new(format!("{cluster}/registries"), worst.1.cause, said))
    };
    by_registry.into_iter().filter_map(gap).collect()
}

fn why((image, trouble): (&str, &RegistryTrouble), all: usize) -> Value {
    if trouble.lasting {
        return trouble.said.clone();
    }
    let one = phrase("image-and-why").with("image", image).with("why", trouble.said.clone());
    match all {
        0 | 1 => one.into(),
        _ => phrase("and-more").with("first", one).with("more", all - 1).into(),
    }
}

#[cfg(test)]
mod tests {
    use async_trait::async_trait;
    use healthcore::fixture::Fixture;

    use super::*;

    /// Knows images by their repository; of `limited.example` it knows nothing. Remembers what it was asked.
    #[derive(Default)]
    struct Fake {
        asked: Mutex<Vec<String>>,
    }

    #[async_trait]
    impl PlatformSource for Fake {
        fn has(&self, registry: &str) -> bool {
            registry != "docker.io"
        }
        fn most(&self, registry: &str) -> Option<usize> {
            (registry == "counts.example").then_some(1)
        }
        async fn platforms(&self, image: &ImageReference<'_>, _: &RegistryRun) -> ImagePlatforms {
            let trouble = |lasting| RegistryTrouble {
                cause: if lasting { GapCause::Timeout } else { GapCause::Failed },
                said: if lasting { phrase("registry-limits") } else { phrase("refused-not-found") }.into(),
                lasting,
            };
            self.asked.lock().unwrap().push(image.name.to_owned());
            match (image.registry(), &*image.repository()) {
                // It never answers.
                ("silent.example", _) => std::future::pending().await,
                ("limited.example", _) => ImagePlatforms::unknown(trouble(true)),
                (_, "gone") => ImagePlatforms::unknown(trouble(false)),
                _ => ImagePlatforms { platforms: vec!["linux/amd64".to_owned()], trouble: None },
            }
        }
    }

    fn fake() -> (Arc<Fake>, Registries) {
        let fake = Arc::new(Fake::default());
        (Arc::clone(&fake), Registries::new(fake))
    }

    fn objects(text: &str) -> Vec<Objects> {
        vec![Fixture::new(text).snapshot.objects]
    }

    const MIXED: &str = "node node-1\n\
        container web/a-0/app image=r.example/a:1\ncontainer web/a-0/side image=nginx\n\
        container web/a-0/preloaded image=r.example/b:1 policy=Never\n\
        container web/a-0/again image=r.example/a:1\n\
        pod web/a-0 places=linux/amd64:1,linux/arm64:1\n\
        container web/only-0/app image=r.example/only:1\npod web/only-0 places=linux/amd64:1\n\
        container web/loop-0/app image=r.example/z:1 state=waiting:CrashLoopBackOff\npod web/loop-0 places=linux/amd64:1\n\
        container web/done-0/app image=r.example/done:1 state=completed@1h\n\
        pod web/done-0 phase=Succeeded places=linux/arm64:1";

    #[tokio::test]
    async fn only_what_can_make_a_difference_is_asked() {
        let (fake, registries) = fake();
        let mut listed = objects(MIXED);
        assert_eq!(registries.plan(&listed).as_deref(), Some("platforms of images: r.example (2)"));
        assert_eq!(registries.look("c", &mut listed).await, []);
        assert_eq!(
            *fake.asked.lock().unwrap(),
            ["r.example/z", "r.example/a"],
            "what does not run comes first"
        );
        let known: Vec<(&str, usize)> = listed[0]
            .pods
            .iter()
            .flat_map(|p| &p.containers)
            .filter(|c| !c.platforms.is_empty())
            .map(|c| (c.name.as_str(), c.platforms.len()))
            .collect();
        assert_eq!(known, [("app", 1), ("again", 1), ("app", 1)]);
        // Another cluster of the run has an image in common, and another run begins anew.
        registries.look("d", &mut listed).await;
        assert_eq!(fake.asked.lock().unwrap().len(), 2);
        registries.of_run().look("d", &mut listed).await;
        assert_eq!(fake.asked.lock().unwrap().len(), 4);
    }

    #[tokio::test]
    async fn a_plan_tells_how_many_are_read() {
        let one = |image: &str| {
            format!(
                "container web/{image}-0/app image=counts.example/{image}\npod web/{image}-0 places=linux/arm64:1\n"
            )
        };
        let plan = |text: String| fake().1.plan(&objects(&text)).unwrap();
        assert_eq!(plan(one("a")), "platforms of images: counts.example (1)");
        let both = "platforms of images: counts.example (2, at most 1 are read)";
        assert_eq!(plan(one("a") + &one("b")), both);
    }

    /// Nodes of Windows beside those of Linux, all of them amd64.
    #[tokio::test]
    async fn another_operating_system_makes_a_difference() {
        let text = "node node-1\ncontainer web/a-0/app image=r.example/a:1\n\
            pod web/a-0 places=linux/amd64:1,windows/amd64:1";
        assert_eq!(fake().1.plan(&objects(text)).as_deref(), Some("platforms of images: r.example (1)"));
    }

    /// One cluster waits for a registry that never answers; another, with other images, does not.
    #[tokio::test]
    async fn clusters_do_not_wait_for_one_another() {
        let of = |image: &str| {
            objects(&format!("container web/a-0/app image={image}\npod web/a-0 places=linux/arm64:1"))
        };
        let (fake, registries) = fake();
        let (mut silent, mut other) = (of("silent.example/a"), of("r.example/b"));
        let waits = registries.look("c", &mut silent);
        tokio::pin!(waits);
        assert!(futures::poll!(&mut waits).is_pending());
        let told = registries.look("d", &mut other);
        tokio::pin!(told);
        assert!(futures::poll!(&mut told).is_ready());
        // Who wants the same image asks no second time.
        let mut same = of("silent.example/a");
        let waits_too = registries.look("e", &mut same);
        tokio::pin!(waits_too);
        assert!(futures::poll!(&mut waits_too).is_pending());
        assert_eq!(*fake.asked.lock().unwrap(), ["silent.example/a", "r.example/b"]);
    }

    #[tokio::test]
    async fn each_silent_registry_is_one_gap() {
        let image = |n: usize, image: &str| {
            format!(
                "container web/p{n}-0/app image={image}\npod web/p{n}-0 places=linux/amd64:1,linux/arm64:1\n"
            )
        };
        let text: String =
            ["limited.example/a", "limited.example/b", "r.example/gone:1", "r.example/gone:2", "r.example/a"]
                .iter()
                .enumerate()
                .map(|(n, name)| image(n, name))
                .collect();
        let (_, registries) = fake();
        let gaps = registries.look("c", &mut objects(&text)).await;
        let told: Vec<_> = gaps.iter().map(|g| (g.scope.as_str(), g.cause, g.detail.as_str())).collect();
        assert_eq!(
            told,
            [
                (
                    "c/registries",
                    GapCause::Timeout,
                    "limited.example does not tell the platforms of 2 of 2 images: it limits how often it may be asked (HTTP 429)"
                ),
                (
                    "c/registries",
                    GapCause::Failed,
                    "r.example does not tell the platforms of 2 of 3 images: r.example/gone:1: not found and 1 more"
                ),
            ]
        );
        assert!(gaps.iter().all(|gap| gap.words.is_some()));
    }

    #[tokio::test]
    async fn more_images_than_are_asked_are_told() {
        let one = |n: usize| {
            format!("container web/p{n}-0/app image=r.example/a{n}\npod web/p{n}-0 places=linux/arm64:1\n")
        };
        let text: String = (0..MOST_IMAGES + 2).map(one).collect();
        let (fake, registries) = fake();
        let gaps = registries.look("c", &mut objects(&text)).await;
        assert_eq!(gaps[0].detail, "registries were asked for 500 of 502 images");
        assert_eq!((gaps[0].cause, fake.asked.lock().unwrap().len()), (GapCause::Thinned, 500));
    }

    #[tokio::test]
    async fn without_access_nobody_is_asked() {
        let none = Registries::default();
        let kinds = BTreeSet::from([ObjectKind::Pods, ObjectKind::ImagePlatforms]);
        assert_eq!(none.lists(kinds.clone()), BTreeSet::from([ObjectKind::Pods]));
        assert_eq!(fake().1.lists(kinds.clone()), kinds);
        let mut listed = objects(MIXED);
        assert_eq!((none.look("c", &mut listed).await, none.plan(&listed)), (vec![], None));
        let hub = "container web/a-0/app image=nginx\npod web/a-0 places=linux/arm64:1";
        let (fake, registries) = fake();
        registries.look("c", &mut objects(hub)).await;
        assert!(fake.asked.lock().unwrap().is_empty(), "docker.io is not among those that may be asked");
    }
}
