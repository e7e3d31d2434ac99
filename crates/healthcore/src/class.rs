//! Workload classes: what kind of work a workload does decides which thresholds fit.

use serde::{Deserialize, Serialize};
use wildmatch::WildMatch;

use crate::model::{ContainerRole, Pod, Workload};

/// Kind of work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Class {
    /// Answers requests and runs all the time.
    Service,
    /// Runs jobs of a CI system.
    Runner,
    /// Runs to its end: Job, CronJob.
    Batch,
    /// A Java virtual machine.
    Jvm,
    /// Keeps data.
    Database,
    /// Part of the cluster itself.
    System,
}

impl Class {
    /// Every class.
    pub const ALL: &'static [Self] =
        &[Self::Service, Self::Runner, Self::Batch, Self::Jvm, Self::Database, Self::System];

    /// The name in settings and reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Service => "service",
            Self::Runner => "runner",
            Self::Batch => "batch",
            Self::Jvm => "jvm",
            Self::Database => "database",
            Self::System => "system",
        }
    }

    /// What workloads of the class do.
    #[must_use]
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::Service => "answers requests and runs all the time",
            Self::Runner => "runs jobs of a CI system",
            Self::Batch => "runs to its end",
            Self::Jvm => "a Java virtual machine",
            Self::Database => "keeps data",
            Self::System => "part of the cluster itself",
        }
    }

    /// The class that a person has written, in any case.
    fn written(text: &str) -> Option<Self> {
        Self::from_name(&text.trim().to_ascii_lowercase())
    }

    /// The class of a name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|c| c.name() == name)
    }
}

/// A class and where it comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Classified {
    /// The class.
    pub class: Class,
    /// Where it comes from.
    pub origin: ClassOrigin,
}

/// Where a class comes from, strongest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum ClassOrigin {
    /// A rule of the configuration.
    Config,
    /// The annotation or label `healthcheck/class`.
    Annotation,
    /// The kind of the owner.
    OwnerKind,
    /// The namespace, where it is one of the cluster's own.
    Namespace,
    /// The image of the first container.
    Image,
    /// The name of the workload.
    Name,
    /// Nothing said otherwise.
    Default,
}

impl ClassOrigin {
    /// The name in reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Config => "config",
            Self::Annotation => "annotation",
            Self::OwnerKind => "owner-kind",
            Self::Namespace => "namespace",
            Self::Image => "image",
            Self::Name => "name",
            Self::Default => "default",
        }
    }
}

/// Annotation and label that names a class.
pub const CLASS_ANNOTATION: &str = "healthcheck/class";

/// What the annotation or label of a workload names, where that is no class: the workload keeps the class that is inferred.
#[must_use]
pub fn misnamed(workload: &Workload) -> Option<&str> {
    let named = workload.annotations.get(CLASS_ANNOTATION)?.trim();
    Class::written(named).is_none().then_some(named)
}

/// A line of the table by which classes are inferred.
#[derive(Debug, Clone, Copy)]
pub struct Inference {
    /// What is compared: owner kind, namespace, image or name.
    pub origin: ClassOrigin,
    /// The class of what matches.
    pub class: Class,
    /// Globs (`*`, `?`). Of an image, its name without registry, folder and digest is compared; where the glob has a colon,
    /// the name with the tag.
    pub globs: &'static [&'static str],
}

/// The table, strongest first: the first line that matches decides.
pub const INFERENCES: &[Inference] = &[
    Inference {
        origin: ClassOrigin::OwnerKind,
        class: Class::Runner,
        globs: &["EphemeralRunner", "Runner", "RunnerSet", "RunnerReplicaSet", "TaskRun", "PipelineRun"],
    },
    Inference {
        origin: ClassOrigin::OwnerKind,
        class: Class::Batch,
        globs: &["Job", "CronJob", "Workflow", "CronWorkflow", "SparkApplication"],
    },
    Inference { origin: ClassOrigin::OwnerKind, class: Class::Database, globs: &["StrimziPodSet"] },
    Inference {
        origin: ClassOrigin::Namespace,
        class: Class::System,
        globs: &["kube-system", "kube-public", "kube-node-lease", "openshift-*"],
    },
    Inference {
        origin: ClassOrigin::Image,
        class: Class::Runner,
        globs: &[
            "gitlab-runner",
            "gitlab-runner-helper",
            "actions-runner",
            "github-runner",
            "act_runner",
            "drone-runner-*",
            "woodpecker-agent",
            "inbound-agent",
            "jnlp-slave",
            "teamcity-agent",
        ],
    },
    Inference {
        origin: ClassOrigin::Image,
        class: Class::Database,
        globs: &[
            "mysql",
            "mysql-server",
            "percona-server",
            "percona-xtradb-cluster",
            "mariadb",
            "mariadb-galera",
            "postgres",
            "postgresql",
            "postgresql-repmgr",
            "postgis",
            "spilo-*",
            "timescaledb",
            "redis",
            "redis-cluster",
            "redis-stack-server",
            "valkey",
            "keydb",
            "memcached",
            "mongo",
            "mongodb",
            "kafka",
            "cp-kafka",
            "rabbitmq",
            "zookeeper",
            "etcd",
            "nacos",
            "nacos-server",
            "consul",
            "elasticsearch",
            "opensearch",
            "clickhouse",
            "clickhouse-server",
            "cassandra",
            "scylla",
            "influxdb",
            "minio",
            "oracle",
            "mssql-server",
        ],
    },
    Inference {
        origin: ClassOrigin::Image,
        class: Class::System,
        globs: &[
            "coredns",
            "k8s-dns-node-cache",
            "kube-proxy",
            "kube-apiserver",
            "kube-controller-manager",
            "kube-scheduler",
            "metrics-server",
            "kube-state-metrics",
            "node-exporter",
            "node-problem-detector",
            "cluster-autoscaler",
            "cilium",
            "flannel",
            "csi-*",
            "local-path-provisioner",
            "logtail*",
            "ilogtail*",
        ],
    },
    Inference {
        origin: ClassOrigin::Image,
        class: Class::Jvm,
        globs: &[
            "openjdk",
            "eclipse-temurin",
            "temurin",
            "amazoncorretto",
            "corretto",
            "zulu-openjdk*",
            "ibm-semeru-runtimes",
            "sapmachine",
            "java",
            "java-*",
            "tomcat",
            "jetty",
            "wildfly",
            "keycloak",
            "*-jre",
            "*-jdk",
            "*:*jre*",
            "*:*jdk*",
            "*:*temurin*",
        ],
    },
    Inference {
        origin: ClassOrigin::Name,
        class: Class::Runner,
        globs: &[
            "runner-*-project-*",
            "*gitlab-runner*",
            "*github-runner*",
            "*actions-runner*",
            "*ci-runner*",
            "*-runner",
            "*-runners",
            "runner",
            "runners",
        ],
    },
    Inference {
        origin: ClassOrigin::Name,
        class: Class::Database,
        globs: &[
            "mysql",
            "*-mysql",
            "mariadb",
            "*-mariadb",
            "postgres",
            "*-postgres",
            "postgresql",
            "*-postgresql",
            "redis",
            "*-redis",
            "mongodb",
            "*-mongodb",
            "kafka",
            "*-kafka",
            "rabbitmq",
            "*-rabbitmq",
            "zookeeper",
            "*-zookeeper",
            "etcd",
            "*-etcd",
            "nacos",
            "*-nacos",
            "elasticsearch",
            "*-elasticsearch",
            "clickhouse",
            "*-clickhouse",
        ],
    },
    Inference {
        origin: ClassOrigin::Name,
        class: Class::System,
        globs: &[
            "coredns",
            "kube-proxy",
            "metrics-server",
            "kube-state-metrics",
            "*-node-exporter",
            "node-exporter",
            "*logtail*",
        ],
    },
];

/// A rule of the user: workloads that match everything it names are of a class.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClassRule {
    /// The class.
    pub class: Class,
    /// Name of the cluster; any when none.
    pub cluster: Option<String>,
    /// Glob of the namespace; any when none.
    pub namespace: Option<String>,
    /// Glob of the owner's kind; any when none.
    pub kind: Option<String>,
    /// Glob of the workload's name; any when none.
    pub name: Option<String>,
    /// Glob of the first container's image as the pod has it, with registry and tag; any when none.
    pub image: Option<String>,
    /// Where it stands, for messages: `classes[0]`.
    pub place: String,
}

impl ClassRule {
    /// A rule for everything.
    #[must_use]
    pub fn new(class: Class, place: &str) -> Self {
        Self {
            class,
            cluster: None,
            namespace: None,
            kind: None,
            name: None,
            image: None,
            place: place.to_owned(),
        }
    }

    fn globs(&self) -> [&Option<String>; 4] {
        [&self.namespace, &self.kind, &self.name, &self.image]
    }

    /// How closely it says what it means: a rule of one cluster before one of all, then by the number of globs, then by
    /// their characters that are no wildcards.
    fn closeness(&self) -> (bool, usize, usize) {
        let globs = || self.globs().into_iter().flatten();
        (self.cluster.is_some(), globs().count(), globs().map(|g| literal(g)).sum())
    }

    fn matches(&self, cluster: &str, workload: &Workload, image: Option<&str>) -> bool {
        let fits = |glob: &Option<String>, text: Option<&str>| {
            glob.as_ref().is_none_or(|glob| text.is_some_and(|text| WildMatch::new(glob).matches(text)))
        };
        self.cluster.as_ref().is_none_or(|own| own == cluster)
            && fits(&self.namespace, Some(&workload.id.namespace))
            && (fits(&self.kind, Some(&workload.id.kind)) || fits(&self.kind, Some(workload.id.bare_kind())))
            && fits(&self.name, Some(&workload.id.name))
            && fits(&self.image, image)
    }
}

/// Characters of a glob that stand for themselves.
pub(crate) fn literal(glob: &str) -> usize {
    glob.chars().filter(|c| !"*?".contains(*c)).count()
}

/// Two rules that say different things of the same workloads.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{place}: gives class `{class}` to what {other} gives class `{otherwise}`; leave one of them out, or say more closely what it is for"
)]
pub struct Contradiction {
    /// The later rule.
    pub place: String,
    /// Its class.
    pub class: &'static str,
    /// The earlier rule.
    pub other: String,
    /// Its class.
    pub otherwise: &'static str,
}

/// Gives workloads their class.
#[derive(Debug, Clone, Default)]
pub struct Classifier {
    /// The closest first.
    rules: Vec<ClassRule>,
}

impl Classifier {
    /// Takes the user's rules. Where several match, the closest wins: one of a single cluster before one of all, then
    /// the one with more globs, then the one whose globs have more characters that are no wildcards, then the later.
    ///
    /// # Errors
    /// Two rules name the same workloads in the same words, and different classes.
    pub fn new(rules: &[ClassRule]) -> Result<Self, Contradiction> {
        for (i, rule) in rules.iter().enumerate() {
            let same = |r: &&ClassRule| {
                r.globs() == rule.globs() && r.cluster == rule.cluster && r.class != rule.class
            };
            if let Some(other) = rules[..i].iter().find(same) {
                return Err(Contradiction {
                    place: rule.place.clone(),
                    class: rule.class.name(),
                    other: other.place.clone(),
                    otherwise: other.class.name(),
                });
            }
        }
        let mut rules: Vec<ClassRule> = rules.iter().rev().cloned().collect();
        rules.sort_by_key(|rule| std::cmp::Reverse(rule.closeness()));
        Ok(Self { rules })
    }

    /// The class of a workload: by the user's rules, else its annotation or label, else what the table infers, else
    /// `service`. `image` is that of its first container, where it is known.
    #[must_use]
    pub fn classify(&self, cluster: &str, workload: &Workload, image: Option<&str>) -> Classified {
        if let Some(rule) = self.rules.iter().find(|r| r.matches(cluster, workload, image)) {
            return Classified { class: rule.class, origin: ClassOrigin::Config };
        }
        let named = workload.annotations.get(CLASS_ANNOTATION);
        if let Some(class) = named.and_then(|name| Class::written(name)) {
            return Classified { class, origin: ClassOrigin::Annotation };
        }
        let found = INFERENCES.iter().find(|line| {
            let text = match line.origin {
                ClassOrigin::OwnerKind => Some(workload.id.bare_kind()),
                ClassOrigin::Namespace => Some(workload.id.namespace.as_str()),
                ClassOrigin::Name => Some(workload.id.name.as_str()),
                ClassOrigin::Image => image,
                _ => None,
            };
            text.is_some_and(|text| infers(line, text))
        });
        found.map_or(Classified { class: Class::Service, origin: ClassOrigin::Default }, |line| Classified {
            class: line.class,
            origin: line.origin,
        })
    }
}

fn infers(line: &Inference, text: &str) -> bool {
    if line.origin != ClassOrigin::Image {
        return line.globs.iter().any(|glob| WildMatch::new(glob).matches(text));
    }
    let (tagged, name) = image_name(text);
    line.globs.iter().any(|glob| {
        let text = if glob.contains(':') { tagged } else { name };
        WildMatch::new(glob).matches(text)
    })
}

/// The class that the name of an image tells, if it tells one.
#[must_use]
pub fn class_of_image(image: &str) -> Option<Class> {
    let of_images = INFERENCES.iter().filter(|line| line.origin == ClassOrigin::Image);
    of_images.into_iter().find(|line| infers(line, image)).map(|line| line.class)
}

/// Name of an image without registry, folder and digest: with its tag, and without.
fn image_name(image: &str) -> (&str, &str) {
    let image = image.split('@').next().unwrap_or_default();
    let tagged = image.rsplit('/').next().unwrap_or_default();
    (tagged, tagged.split(':').next().unwrap_or_default())
}

/// Containers that are put into pods of others, sometimes as the first.
const INJECTED: &[&str] =
    &["istio-proxy", "linkerd-proxy", "consul-dataplane", "vault-agent", "dapr-sidecar"];

/// The image that tells what a workload is: of its first pod by name, the first container that is neither an init container nor put
/// there by a mesh.
#[must_use]
pub fn telling_image<'a>(pods: &[&'a Pod]) -> Option<&'a str> {
    let containers = pods.first()?.containers.iter();
    let mut own = containers.filter(|c| {
        c.role == ContainerRole::Main && !INJECTED.contains(&c.name.as_str()) && !c.image.is_empty()
    });
    own.next().map(|c| c.image.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::WorkloadId;

    fn workload(path: &str, note: Option<&str>) -> Workload {
        let [namespace, kind, name] = path.split('/').collect::<Vec<_>>()[..] else { panic!("{path}") };
        let note = note.map(|n| (CLASS_ANNOTATION.to_owned(), n.to_owned()));
        let id = WorkloadId::new(namespace, kind, name);
        Workload { annotations: note.into_iter().collect(), ..Workload::new(id) }
    }

    #[track_caller]
    fn check(rules: &[ClassRule], path: &str, note: Option<&str>, image: Option<&str>, expected: &str) {
        let classifier = Classifier::new(rules).unwrap();
        let found = classifier.classify("prod", &workload(path, note), image);
        assert_eq!(format!("{} {}", found.class.name(), found.origin.name()), expected, "{path} {image:?}");
    }

    #[test]
    fn every_origin_and_their_order() {
        let rule = ClassRule { name: Some("api".into()), ..ClassRule::new(Class::Jvm, "classes[0]") };
        let redis = Some("docker.io/library/redis:7.2@sha256:0123");
        check(&[rule], "shop/Job/api", Some("batch"), redis, "jvm config");
        check(&[], "shop/Job/api", Some(" Runner "), redis, "runner annotation");
        check(&[], "shop/Job/api", Some("runnner"), redis, "batch owner-kind");
        check(&[], "shop/Job/api", Some("no-class"), redis, "batch owner-kind");
        check(&[], "kube-system/StatefulSet/cache", None, redis, "system namespace");
        check(&[], "shop/StatefulSet/coredns", None, redis, "database image");
        check(&[], "shop/Deployment/etcd", None, Some("registry:5000/team/app:1"), "database name");
        check(&[], "shop/Deployment/api", None, None, "service default");
    }

    #[test]
    fn what_images_and_names_tell() {
        for (image, expected) in [
            ("gitlab/gitlab-runner:v17", "runner image"),
            ("ghcr.io/actions/actions-runner", "runner image"),
            ("nacos/nacos-server:v2.3", "database image"),
            ("quay.io/strimzi/kafka:0.40-kafka-3.7", "database image"),
            ("prom/mysqld-exporter:v0.15", "service default"),
            ("oliver006/redis_exporter", "service default"),
            ("eclipse-temurin:21", "jvm image"),
            ("registry.example:5000/pay/card:1.4-jre17", "jvm image"),
            ("registry.jdk.example/pay/card:1.4", "service default"),
            ("registry.k8s.io/kube-state-metrics/kube-state-metrics:v2", "system image"),
            ("nginx:1.27", "service default"),
        ] {
            check(&[], "shop/Deployment/web", None, Some(image), expected);
        }
        for (name, expected) in [
            ("runner-abc-project-7-concurrent-0-x", "runner name"),
            ("build-runner", "runner name"),
            ("runner", "runner name"),
            ("gitlab-ci-runner-1", "runner name"),
            ("runners-api", "service default"),
            ("pay-mysql", "database name"),
            ("mysql-exporter", "service default"),
            ("mysql-backup", "service default"),
        ] {
            check(&[], &format!("shop/Deployment/{name}"), None, None, expected);
        }
    }

    #[test]
    fn the_closest_rule_wins() {
        let of = |class, namespace: &str, name: Option<&str>| ClassRule {
            namespace: Some(namespace.into()),
            name: name.map(str::to_owned),
            ..ClassRule::new(class, "classes[0]")
        };
        let rules = [
            of(Class::Batch, "ci-jobs", None),
            of(Class::Runner, "ci-*", None),
            of(Class::Database, "ci-*", Some("*")),
            ClassRule { cluster: Some("stg".into()), ..of(Class::System, "ci-*", None) },
        ];
        check(&rules[..2], "ci-jobs/Deployment/a", None, None, "batch config");
        check(&rules[..2], "ci-x/Deployment/a", None, None, "runner config");
        check(&rules, "ci-jobs/Deployment/a", None, None, "database config");
        let found =
            Classifier::new(&rules).unwrap().classify("stg", &workload("ci-x/Deployment/a", None), None);
        assert_eq!(found.class, Class::System);
        let later = [of(Class::Jvm, "a-*", None), of(Class::Batch, "*-a", None)];
        check(&later, "a-a/Deployment/a", None, None, "batch config");
        check(
            &[ClassRule { image: Some("*".into()), ..ClassRule::new(Class::Jvm, "c") }],
            "a/Deployment/a",
            None,
            None,
            "service default",
        );
    }

    #[test]
    fn rules_that_contradict_each_other_are_refused() {
        let of = |class, place| ClassRule { namespace: Some("ci".into()), ..ClassRule::new(class, place) };
        let why =
            Classifier::new(&[of(Class::Runner, "classes[0]"), of(Class::Batch, "classes[1]")]).unwrap_err();
        assert_eq!(
            why.to_string(),
            "classes[1]: gives class `batch` to what classes[0] gives class `runner`; leave one of them out, or say more closely what it is for"
        );
        let same = [of(Class::Runner, "a"), of(Class::Runner, "b")];
        assert!(Classifier::new(&same).is_ok(), "saying it twice is no contradiction");
    }

    #[test]
    fn the_first_own_container_tells() {
        let fixture = crate::fixture::Fixture::new(
            "container web/api-0/istio-proxy image=istio/proxyv2\ncontainer web/api-0/app image=redis:7",
        );
        let pods: Vec<&Pod> = fixture.snapshot.objects.pods.iter().collect();
        assert_eq!(telling_image(&pods), Some("redis:7"));
        assert_eq!(telling_image(&[]), None);
    }

    #[test]
    fn no_line_of_the_table_is_dead() {
        for line in INFERENCES {
            for glob in line.globs {
                let sample = glob.replace('*', "x");
                let at = match line.origin {
                    ClassOrigin::OwnerKind => (format!("n/{sample}/x"), None),
                    ClassOrigin::Namespace => (format!("{sample}/Deployment/x"), None),
                    ClassOrigin::Name => (format!("n/Deployment/{sample}"), None),
                    _ => ("n/Deployment/x".to_owned(), Some(sample)),
                };
                let found = Classifier::default().classify("c", &workload(&at.0, None), at.1.as_deref());
                assert_eq!((found.class, found.origin), (line.class, line.origin), "{glob}");
            }
        }
    }
}
