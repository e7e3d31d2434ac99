//! What was read of images: a digest stands for one content, which need not be read twice.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

/// Images that are kept.
const MOST_KEPT: usize = 10_000;

/// Platforms of images that were read, by digest. Kept from run to run, it spares registries that count what is read.
#[derive(Default)]
pub struct ReadImages {
    /// By registry with repository, and digest.
    known: Mutex<BTreeMap<(String, String), Vec<String>>>,
}

impl ReadImages {
    pub(super) fn of(&self, name: &str, digest: &str) -> Option<Vec<String>> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(&(name.to_owned(), digest.to_owned())).cloned()
    }

    /// Whether any image of a repository is known.
    pub(super) fn has(&self, name: &str) -> bool {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let mut from = known.range((name.to_owned(), String::new())..);
        from.next().is_some_and(|((other, _), _)| other == name)
    }

    pub(super) fn keep(&self, name: &str, digest: &str, platforms: &[String]) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= MOST_KEPT {
            known.pop_first();
        }
        known.insert((name.to_owned(), digest.to_owned()), platforms.to_vec());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_bounded_and_of_its_repository() {
        let read = ReadImages::default();
        for n in 0..=MOST_KEPT {
            read.keep("r.example/b", &format!("{n:06}"), &[]);
        }
        assert_eq!(read.known.lock().unwrap().len(), MOST_KEPT);
        assert!(read.has("r.example/b") && !read.has("r.example/a") && !read.has("r.example/c"));
        assert!(read.of("r.example/b", "010000").is_some() && read.of("r.example/b", "000000").is_none());
    }
}
