//! What a registry says of how much may still be read. Pure.

use reqwest::header::HeaderMap;

/// How many manifests a registry lets an address or an account read, as Docker Hub tells it with each answer:
/// `ratelimit-limit: 100;w=21600` and `ratelimit-remaining: 76;w=21600`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Limit {
    /// Reads that it allows in the window.
    pub(super) all: u64,
    /// Of these, those that are left.
    pub(super) left: u64,
    /// Unit: seconds.
    pub(super) window: u32,
}

impl Limit {
    /// None where an answer tells none, or one without window: that is about requests of all kinds, and soon over.
    pub(super) fn of(headers: &HeaderMap) -> Option<Self> {
        let (all, window) = counted(headers, "ratelimit-limit")?;
        let (left, _) = counted(headers, "ratelimit-remaining")?;
        (all > 0).then_some(Self { all, left, window })
    }

    pub(super) const fn is_half_used(self) -> bool {
        self.left <= self.all / 2
    }
}

/// A number with its window, `100;w=21600`.
fn counted(headers: &HeaderMap, name: &str) -> Option<(u64, u32)> {
    let (number, window) = headers.get(name)?.to_str().ok()?.split_once(";w=")?;
    Some((number.trim().parse().ok()?, window.trim().parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(limit: &str, left: &str, expected: Option<(u64, u64, u32, bool)>) {
        let mut headers = HeaderMap::new();
        headers.insert("ratelimit-limit", limit.parse().unwrap());
        headers.insert("ratelimit-remaining", left.parse().unwrap());
        let found = Limit::of(&headers).map(|l| (l.all, l.left, l.window, l.is_half_used()));
        assert_eq!(found, expected, "{limit} {left}");
    }

    #[test]
    fn limits_have_a_window() {
        check("100;w=21600", "51;w=21600", Some((100, 51, 21600, false)));
        check("100;w=21600", "50;w=21600", Some((100, 50, 21600, true)));
        check("200; w=21600", "0; w=21600", None);
        check("1;w=60", "0;w=60", Some((1, 0, 60, true)));
        check("0;w=60", "0;w=60", None);
        check("60", "59", None);
        check("many;w=60", "59;w=60", None);
        assert_eq!(Limit::of(&HeaderMap::new()), None);
    }
}
