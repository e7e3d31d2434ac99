//! Which version runs, and whether the image that it runs in says the same.

use std::sync::OnceLock;

use healthcore::image::ImageReference;
use healthcore::phrase::phrase;
use healthcore::snapshot::{Gap, GapCause};

const PACKAGE: &str = env!("CARGO_PKG_VERSION");

/// The version of this build, `0.1.0+4f2c1aa`: that of the package, and the revision where the variable
/// `HEALTHCHECK_REVISION` named one when it was compiled, or a release was built in a checkout of git.
#[must_use]
pub fn version() -> &'static str {
    static VERSION: OnceLock<String> = OnceLock::new();
    VERSION.get_or_init(|| match option_env!("HEALTHCHECK_REVISION").map(str::trim) {
        Some(revision) if !revision.is_empty() => format!("{PACKAGE}+{revision}"),
        _ => PACKAGE.to_owned(),
    })
}

/// Says so when the tag of the running image names another version than this program has. A tag that names no version
/// (`latest`, a branch, a revision) says nothing.
pub(crate) fn mismatch(image: &str) -> Option<Gap> {
    let tag = ImageReference::new(image.trim()).tag?;
    let named = numbers(tag.strip_prefix('v').unwrap_or(tag))?;
    let own = numbers(PACKAGE)?;
    if own.starts_with(&named) {
        return None;
    }
    let said = phrase("gap-version").with("tag", tag).with("version", version());
    Some(Gap::new("healthcheck", GapCause::VersionMismatch, said))
}

/// The numbers of a version such as `0.3`, `1.2.0-alpine` or `23`; none for what is no version.
fn numbers(text: &str) -> Option<Vec<u32>> {
    let plain = text.split(['-', '+', '_']).next()?;
    let numbers: Option<Vec<u32>> = plain
        .split('.')
        .map(|part| part.parse().ok().filter(|_| part.len() <= 4 && part.bytes().all(|b| b.is_ascii_digit())))
        .collect();
    numbers.filter(|n| n.len() <= 3)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_of_another_version_is_told() {
        let own = PACKAGE;
        let minor = own.rsplit_once('.').unwrap().0;
        for fine in [
            format!("healthcheck:{own}"),
            format!("registry:5000/ops/healthcheck:v{own}-alpine@sha256:00"),
            format!("healthcheck:{minor}"),
            "registry:5000/ops/healthcheck".into(),
            "healthcheck:latest".into(),
            "healthcheck@sha256:00".into(),
            "healthcheck:4f2c1aa".into(),
            "healthcheck:20261120".into(),
            String::new(),
        ] {
            assert_eq!(mismatch(&fine), None, "{fine}");
        }
        for wrong in ["healthcheck:v23", "registry:5000/healthcheck:9.9.9", "healthcheck:v9.9-rc.1"] {
            let gap = mismatch(wrong).expect(wrong);
            assert!(gap.detail.contains(&format!("the program in it is version {}", version())), "{gap:?}");
            assert_eq!(gap.cause.name(), "version-mismatch");
        }
    }
}
