//! References to images, as pods write them, and the platforms that images are built for.

use std::borrow::Cow;

/// The registry of references that name none.
pub const DOCKER_HUB: &str = "docker.io";

/// The parts of `registry:5000/folder/name:tag@sha256:...`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ImageReference<'a> {
    /// Registry, folders and name.
    pub name: &'a str,
    /// The tag, where one is written; a registry takes `latest` otherwise.
    pub tag: Option<&'a str>,
    /// The digest, where one is written: what runs is then always the same.
    pub digest: Option<&'a str>,
}

impl<'a> ImageReference<'a> {
    /// Reads a reference. Any text is one.
    #[must_use]
    pub fn new(text: &'a str) -> Self {
        let (rest, digest) = match text.split_once('@') {
            Some((rest, digest)) => (rest, Some(digest)),
            None => (text, None),
        };
        // A colon before the last slash is that of a port.
        let (name, tag) = match rest.rsplit_once(':') {
            Some((name, tag)) if !tag.contains('/') => (name, Some(tag)),
            _ => (rest, None),
        };
        Self { name, tag, digest }
    }

    /// The registry that it is pulled from, with its port where one is written: `docker.io` where none is, as container
    /// runtimes have it.
    #[must_use]
    pub fn registry(&self) -> &'a str {
        match self.parts().0 {
            // An older name of the same.
            "index.docker.io" => DOCKER_HUB,
            registry => registry,
        }
    }

    /// Whether its registry is another one in each cluster, by the same name: one on the node itself, or behind a Service.
    #[must_use]
    pub fn is_of_one_cluster(&self) -> bool {
        let registry = self.registry();
        let host = match registry.rsplit_once(':') {
            Some((host, port)) if port.bytes().all(|b| b.is_ascii_digit()) => host,
            _ => registry,
        };
        let address = host.trim_matches(['[', ']']).parse();
        host == "localhost"
            || [".localhost", ".svc", ".svc.cluster.local"].iter().any(|end| host.ends_with(end))
            || address.is_ok_and(|address: std::net::IpAddr| address.is_loopback())
    }

    /// Folders and name within the registry. A single name at `docker.io` stands for one of its own images (`library/`).
    #[must_use]
    pub fn repository(&self) -> Cow<'a, str> {
        match self.parts().1 {
            name if self.registry() == DOCKER_HUB && !name.contains('/') => {
                Cow::Owned(format!("library/{name}"))
            }
            name => Cow::Borrowed(name),
        }
    }

    /// The one spelling of all that stand for the same: `nginx` is `docker.io/library/nginx:latest`.
    #[must_use]
    pub fn canonical(&self) -> String {
        let mut out = format!("{}/{}", self.registry(), self.repository());
        if let Some(tag) = self.tag.or(self.digest.is_none().then_some("latest")) {
            out.push(':');
            out.push_str(tag);
        }
        if let Some(digest) = self.digest {
            out.push('@');
            out.push_str(digest);
        }
        out
    }

    /// Registry and repository: what stands before the first slash is a registry only if it cannot be a folder.
    fn parts(&self) -> (&'a str, &'a str) {
        let is_registry = |first: &str| first.contains(['.', ':']) || first == "localhost";
        match self.name.split_once('/') {
            Some((first, rest)) if is_registry(first) => (first, rest),
            _ => (DOCKER_HUB, self.name),
        }
    }

    /// Whether another image may stand under the same reference tomorrow, going by what the tag is called: none, `latest`,
    /// or the name of a branch or an environment. Tags with a number in them are taken for versions, unless it is that of a
    /// platform or of a runtime (`main-amd64`, `stable-jdk17`).
    #[must_use]
    pub fn is_mutable(&self) -> bool {
        let moving = |tag: &str| {
            let tag = tag.to_ascii_lowercase();
            let mut words = tag.split(['-', '_', '.']);
            let first = words.next().unwrap_or_default();
            let counts = |word: &str| word.contains(|c: char| c.is_ascii_digit()) && !is_variant(word);
            MOVING_TAGS.contains(&first) && !words.any(counts)
        };
        self.digest.is_none() && self.tag.is_none_or(moving)
    }
}

/// Whether a word of a tag, in lower case, says for which platform or on which runtime an image is built, and not which build
/// it is.
fn is_variant(word: &str) -> bool {
    const PLATFORMS: [&str; 12] = [
        "amd64", "x64", "x86", "64", "386", "i386", "arm64", "aarch64", "arm64v8", "armv7", "s390x",
        "ppc64le",
    ];
    const RUNTIMES: [&str; 10] =
        ["jdk", "jre", "java", "node", "python", "py", "go", "php", "alpine", "ubuntu"];
    let is_number = |rest: &str| !rest.is_empty() && rest.bytes().all(|b| b.is_ascii_digit());
    PLATFORMS.contains(&word)
        || RUNTIMES.iter().any(|runtime| word.strip_prefix(runtime).is_some_and(is_number))
}

/// First words of tags that are given to one image after another.
const MOVING_TAGS: [&str; 24] = [
    "latest",
    "main",
    "master",
    "trunk",
    "develop",
    "development",
    "dev",
    "edge",
    "nightly",
    "snapshot",
    "canary",
    "staging",
    "stage",
    "stg",
    "test",
    "testing",
    "qa",
    "uat",
    "rel",
    "release",
    "prod",
    "production",
    "stable",
    "current",
];

/// The digest in what a container runtime reports: `docker-pullable://registry/app@sha256:...` or
/// `registry/app@sha256:...`. None for an id without a registry, which is that of a local image and cannot be compared.
#[must_use]
pub fn digest_of(image_id: &str) -> Option<&str> {
    image_id.split_once('@').map(|(_, digest)| digest).filter(|digest| !digest.is_empty())
}

/// The name of a platform as images have it: `linux/amd64`. An operating system that is not told is Linux.
#[must_use]
pub fn platform(system: &str, architecture: &str) -> String {
    let system = if system.is_empty() { "linux" } else { system };
    format!("{system}/{architecture}")
}

/// Whether a node of a platform (`linux/amd64`) runs an image that is built for another (`linux/arm/v7`), as containerd
/// matches them: 64-bit processors run programs of the 32-bit ones that they descend from. Variants are not compared,
/// because a node does not tell its own.
#[must_use]
pub fn runs_on(image: &str, node: &str) -> bool {
    let (mut image, mut node) = (image.split('/'), node.split('/'));
    let same_system = image.next() == node.next();
    let fits = match (image.next(), node.next()) {
        (Some("386"), Some("amd64")) | (Some("arm"), Some("arm64")) => true,
        (image, node) => image == node,
    };
    same_system && fits
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn registries_and_repositories() {
        let of = |text| {
            let reference = ImageReference::new(text);
            (reference.registry(), reference.repository().into_owned())
        };
        for (text, registry, repository) in [
            ("nginx", "docker.io", "library/nginx"),
            ("nginx:1.27@sha256:ab", "docker.io", "library/nginx"),
            ("bitnami/redis:7", "docker.io", "bitnami/redis"),
            ("docker.io/nginx", "docker.io", "library/nginx"),
            ("index.docker.io/library/nginx", "docker.io", "library/nginx"),
            ("localhost/app", "localhost", "app"),
            ("reg:5000/app:1", "reg:5000", "app"),
            ("ghcr.io/a/b/c:1", "ghcr.io", "a/b/c"),
        ] {
            assert_eq!(of(text), (registry, repository.to_owned()), "{text}");
        }
    }

    #[test]
    fn spellings_of_one_reference() {
        for (text, expected) in [
            ("nginx", "docker.io/library/nginx:latest"),
            ("nginx:latest", "docker.io/library/nginx:latest"),
            ("docker.io/nginx", "docker.io/library/nginx:latest"),
            ("docker.io/library/nginx:latest", "docker.io/library/nginx:latest"),
            ("forex/spell:stable", "docker.io/forex/spell:stable"),
            ("index.docker.io/forex/spell:stable", "docker.io/forex/spell:stable"),
            ("reg:5000/app", "reg:5000/app:latest"),
            ("app@sha256:ab", "docker.io/library/app@sha256:ab"),
            ("app:1@sha256:ab", "docker.io/library/app:1@sha256:ab"),
        ] {
            assert_eq!(ImageReference::new(text).canonical(), expected, "{text}");
        }
    }

    #[test]
    fn platforms_that_a_node_runs() {
        for (image, node) in [
            ("linux/amd64", "linux/amd64"),
            ("linux/386", "linux/amd64"),
            ("linux/arm64/v8", "linux/arm64"),
            ("linux/arm/v7", "linux/arm64"),
            ("linux/arm/v7", "linux/arm"),
        ] {
            assert!(runs_on(image, node), "{image} on {node}");
        }
        for (image, node) in [
            ("linux/amd64", "linux/arm64"),
            ("linux/arm64", "linux/arm"),
            ("windows/amd64", "linux/amd64"),
            ("", "linux/amd64"),
        ] {
            assert!(!runs_on(image, node), "{image} on {node}");
        }
    }

    #[test]
    fn parts_of_a_reference() {
        let parts = |text| {
            let ImageReference { name, tag, digest } = ImageReference::new(text);
            (name, tag, digest)
        };
        assert_eq!(parts("nginx"), ("nginx", None, None));
        assert_eq!(parts("nginx:1.27"), ("nginx", Some("1.27"), None));
        assert_eq!(parts("reg:5000/a/app"), ("reg:5000/a/app", None, None));
        assert_eq!(parts("reg:5000/a/app:v1@sha256:ab"), ("reg:5000/a/app", Some("v1"), Some("sha256:ab")));
        assert_eq!(parts("app@sha256:ab"), ("app", None, Some("sha256:ab")));
        assert_eq!(parts(""), ("", None, None));
        let whole = "registry.example:5000/shop/api";
        assert_eq!(parts(whole), (whole, None, None));
        assert_eq!(parts("registry.example:5000/shop/api:1.2"), (whole, Some("1.2"), None));
        assert_eq!(parts("nginx:latest@sha256:aa"), ("nginx", Some("latest"), Some("sha256:aa")));
    }

    #[test]
    fn tags_that_move() {
        for text in [
            "app",
            "app:latest",
            "app:dev",
            "app:main-debug",
            "app:PROD",
            "r:5000/app",
            "app:latest-arm64",
            "app:main-x86_64",
            "app:stable-JDK17",
        ] {
            assert!(ImageReference::new(text).is_mutable(), "{text}");
        }
        for text in [
            "app:1",
            "app:v23",
            "app:1.27-alpine",
            "app:dev-20261120",
            "app:latest@sha256:ab",
            "app:3f2a",
            "app:main-7-amd64",
        ] {
            assert!(!ImageReference::new(text).is_mutable(), "{text}");
        }
    }

    #[test]
    fn digests_of_runtimes() {
        assert_eq!(digest_of("docker-pullable://r/app@sha256:ab"), Some("sha256:ab"));
        assert_eq!(digest_of("r/app@sha256:ab"), Some("sha256:ab"));
        assert_eq!(digest_of("sha256:ab"), None);
        assert_eq!(digest_of(""), None);
    }

    #[test]
    fn a_registry_on_the_node_or_behind_a_service_is_of_one_cluster() {
        for (image, expected) in [
            ("localhost/app", true),
            ("localhost:32000/app:dev", true),
            ("k3d-registry.localhost:5000/app", true),
            ("127.0.0.1:5000/app", true),
            ("[::1]:5000/app", true),
            ("registry.kube-system.svc:5000/app", true),
            ("registry.kube-system.svc.cluster.local/app:1", true),
            ("app", false),
            ("localhost-mirror.example/app", false),
            ("10.0.0.9:5000/app", false),
            ("registry.example:5000/team/app:1", false),
        ] {
            assert_eq!(ImageReference::new(image).is_of_one_cluster(), expected, "{image}");
        }
    }
}
