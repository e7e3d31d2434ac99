//! Addresses as messages may show them.

use std::borrow::Cow;

/// What stands where a secret stood.
const HIDDEN: &str = "[redacted]";

/// What comes before the token that ARMS has in the path of its addresses.
const BEFORE_TOKEN: [&str; 3] = ["/api/v1/prometheus/", "/arms-prom-server/", "/prometheus/"];

/// The text without the access tokens that addresses of Alibaba Cloud ARMS have in their path, as in
/// `https://cn-x.arms.aliyuncs.com:9443/api/v1/prometheus/<token>/<account>/<instance>/cn-x`.
#[must_use]
pub fn without_tokens(text: &str) -> Cow<'_, str> {
    let next = |rest: &str| BEFORE_TOKEN.iter().filter_map(|m| rest.find(m).map(|at| (at, *m))).min();
    let (mut out, mut rest) = (String::new(), text);
    while let Some((at, mark)) = next(rest) {
        let (kept, behind) = rest.split_at(at + mark.len());
        let ends = |c: char| c.is_whitespace() || "/?#&\"'`<>\\,;)".contains(c);
        let (token, behind) = behind.split_at(behind.find(ends).unwrap_or(behind.len()));
        // Other servers stand behind `/prometheus/` too, with the API or a short name below.
        let secret = match mark {
            "/prometheus/" => token.len() >= 16 && token.bytes().all(|b| b.is_ascii_alphanumeric()),
            _ => !matches!(token, "" | "api"),
        };
        if secret {
            out.push_str(kept);
            out.push_str(HIDDEN);
            rest = behind;
        } else {
            // The last slash may begin the next mark.
            out.push_str(&kept[..kept.len() - 1]);
            rest = &rest[kept.len() - 1..];
        }
    }
    if out.is_empty() {
        return Cow::Borrowed(text);
    }
    out.push_str(rest);
    Cow::Owned(out)
}

/// An address without credentials, neither before the host nor in the path.
pub(crate) fn shown(url: &str) -> String {
    without_tokens(&without_userinfo(url)).into_owned()
}

fn without_userinfo(url: &str) -> String {
    match (url.find("://"), url.rfind('@')) {
        (Some(scheme), Some(at)) if at > scheme => format!("{}{}", &url[..scheme + 3], &url[at + 1..]),
        (None, Some(at)) => url[at + 1..].to_owned(),
        _ => url.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::shown;

    #[test]
    fn tokens_in_paths_are_hidden_and_names_stay() {
        for (given, expected) in [
            (
                "https://u:p@cn-x.arms.aliyuncs.com:9443/api/v1/prometheus/SECRET/12/c3/cn-x?a=b",
                "https://cn-x.arms.aliyuncs.com:9443/api/v1/prometheus/[redacted]/12/c3/cn-x?a=b",
            ),
            ("no /api/v1/prometheus/SECRET, go", "no /api/v1/prometheus/[redacted], go"),
            ("http://x/api/v1/prometheus/S1/a http://x/prometheus/api/v1/prometheus/S2", {
                "http://x/api/v1/prometheus/[redacted]/a http://x/prometheus/api/v1/prometheus/[redacted]"
            }),
            (
                "http://cn-x.arms.aliyuncs.com/prometheus/0123456789abcdef0123/12/c3/cn-x/api/v3/write",
                "http://cn-x.arms.aliyuncs.com/prometheus/[redacted]/12/c3/cn-x/api/v3/write",
            ),
            ("http://x/arms-prom-server/SECRET", "http://x/arms-prom-server/[redacted]"),
            ("http://gw/prometheus/api/v1/query", "http://gw/prometheus/api/v1/query"),
            ("http://gw/select/0/prometheus/prod-eu", "http://gw/select/0/prometheus/prod-eu"),
            ("http://gw/api/v1/prometheus/", "http://gw/api/v1/prometheus/"),
        ] {
            assert_eq!(shown(given), expected);
        }
    }
}
