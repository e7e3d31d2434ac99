//! Which namespaces are listed, and how.

use std::collections::BTreeSet;

use futures::future::join_all;
use healthcore::finding::Value;
use healthcore::phrase::phrase;
use healthcore::snapshot::GapCause;
use wildmatch::WildMatch;

use super::list::{Listed, list};
use super::request::{NAMESPACES, Resource, encode};
use super::send::{ApiServer, Refusal};
use super::wire;

/// Names up to which namespaces are asked for one by one.
pub(super) const FEW: usize = 8;

/// Where namespaced resources are listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Scope {
    /// Everywhere.
    Cluster,
    /// In these namespaces.
    Namespaces {
        names: BTreeSet<String>,
        /// Whether one list of the whole cluster costs less than one for each of them.
        most: bool,
    },
}

/// A trouble with the selection: what it is about, cause, text.
pub(super) type Trouble = (String, GapCause, Value);

pub(super) fn is_glob(pattern: &str) -> bool {
    pattern.contains(['*', '?'])
}

/// Names of all namespaces.
pub(super) async fn namespaces(server: &ApiServer, page_size: u32) -> Listed<String> {
    list(server, &NAMESPACES, None, page_size, |raw: wire::MetaOnly, _| Some(raw.metadata.name)).await
}

/// The namespaces that patterns stand for.
pub(super) struct Found {
    pub(super) scope: Scope,
    pub(super) troubles: Vec<Trouble>,
    /// Names of which the server does not say whether they are there.
    pub(super) unsure: BTreeSet<String>,
}

/// Finds the namespaces that the patterns stand for.
pub(super) async fn resolve(server: &ApiServer, patterns: &[String], page_size: u32) -> Found {
    let (mut troubles, mut unsure) = (Vec::new(), BTreeSet::new());
    let scope = find(server, patterns, page_size, &mut troubles, &mut unsure).await;
    Found { scope, troubles, unsure }
}

async fn find(
    server: &ApiServer,
    patterns: &[String],
    page_size: u32,
    troubles: &mut Vec<Trouble>,
    unsure: &mut BTreeSet<String>,
) -> Scope {
    if patterns.is_empty() || patterns.iter().any(|p| p == "*") {
        return Scope::Cluster;
    }
    let literal: BTreeSet<&str> = patterns.iter().filter(|p| !is_glob(p)).map(String::as_str).collect();
    let globs: BTreeSet<&str> = patterns.iter().filter(|p| is_glob(p)).map(String::as_str).collect();

    if globs.is_empty() && literal.len() <= FEW {
        // Needs no right beyond the namespaces themselves.
        let ask = literal.iter().map(|name| {
            let path = format!("{}/{}", NAMESPACES.path("v1", None, 0, ""), encode(name));
            async move { (*name, server.get(&path, "application/json").await) }
        });
        let mut names = BTreeSet::new();
        for (name, answer) in join_all(ask).await {
            match answer {
                Err(Refusal::NotFound) => troubles.push(nothing(name)),
                Ok(_) => {
                    names.insert(name.to_owned());
                }
                // Not being allowed to look at a namespace says nothing about what is in it.
                Err(_) => {
                    names.insert(name.to_owned());
                    unsure.insert(name.to_owned());
                }
            }
        }
        return Scope::Namespaces { names, most: false };
    }

    let all = namespaces(server, page_size).await;
    match all.refusal {
        None => matching(&literal, &globs, &all.items.into_iter().collect(), troubles),
        Some(refusal) => {
            // Names are still good; globs can be tried on the namespace of the context only.
            let own = BTreeSet::from([server.client().default_namespace().to_owned()]);
            let mut names: BTreeSet<String> = literal.iter().map(|n| (*n).to_owned()).collect();
            unsure.clone_from(&names);
            for glob in globs {
                let (cause, why) = explain(&refusal, &NAMESPACES, None);
                let matched: BTreeSet<String> =
                    own.iter().filter(|n| WildMatch::new(glob).matches(n)).cloned().collect();
                let said = match matched.first() {
                    Some(own) => phrase("gap-unresolved-but-one").with("namespace", own.as_str()),
                    None => phrase("gap-unresolved"),
                };
                troubles.push((glob.to_owned(), cause, said.with("glob", glob).with("why", why).into()));
                names.extend(matched);
            }
            Scope::Namespaces { names, most: false }
        }
    }
}

fn matching(
    literal: &BTreeSet<&str>,
    globs: &BTreeSet<&str>,
    all: &BTreeSet<String>,
    troubles: &mut Vec<Trouble>,
) -> Scope {
    let mut names = BTreeSet::new();
    for name in literal {
        if all.contains(*name) {
            names.insert((*name).to_owned());
        } else {
            troubles.push(nothing(name));
        }
    }
    for glob in globs {
        let matcher = WildMatch::new(glob);
        let matched: Vec<&String> = all.iter().filter(|n| matcher.matches(n)).collect();
        if matched.is_empty() {
            troubles.push(nothing(glob));
        }
        names.extend(matched.into_iter().cloned());
    }
    let most = names.len() > FEW && names.len() * 2 >= all.len();
    Scope::Namespaces { names, most }
}

fn nothing(pattern: &str) -> Trouble {
    let key = if is_glob(pattern) { "gap-no-namespace-matches" } else { "gap-no-namespace" };
    (pattern.to_owned(), GapCause::NothingMatches, phrase(key).with("pattern", pattern).into())
}

/// That nothing is in a namespace of which the server does not say whether it is there.
pub(super) fn nothing_seen(name: &str) -> Trouble {
    let said = phrase("gap-nothing-in-namespace").with("namespace", name);
    (name.to_owned(), GapCause::NothingMatches, said.into())
}

/// A refusal in words that name verb, resource and namespace.
pub(super) fn explain(refusal: &Refusal, resource: &Resource, namespace: Option<&str>) -> (GapCause, Value) {
    let place = match namespace {
        Some(namespace) => phrase("in-namespace").with("namespace", namespace),
        None if resource.namespaced => phrase("in-all-namespaces"),
        None => phrase("in-cluster"),
    };
    let cause = match refusal {
        Refusal::Denied(_) => GapCause::AccessDenied,
        Refusal::Unauthorized(_) => GapCause::Unauthorized,
        Refusal::Timeout(_) => GapCause::Timeout,
        Refusal::Unreachable(_) => GapCause::Unreachable,
        _ => GapCause::Failed,
    };
    let said = match refusal {
        Refusal::Denied(said) => phrase("gap-denied").with("place", place).with("said", said.as_str()),
        Refusal::NotFound => phrase("gap-not-served"),
        _ => phrase("gap-listing").with("place", place).with("why", in_words(refusal)),
    };
    (cause, said.with("resource", resource.name()).into())
}

/// A refusal as a phrase.
fn in_words(refusal: &Refusal) -> Value {
    match refusal {
        Refusal::Denied(said) | Refusal::Unreachable(said) => said.as_str().into(),
        Refusal::Unauthorized(said) => phrase("refused-credentials").with("said", said.as_str()).into(),
        Refusal::Gone { .. } => phrase("refused-gone").into(),
        Refusal::NotFound => phrase("refused-not-found").into(),
        Refusal::Status { code, message } => {
            phrase("refused-status").with("code", u64::from(*code)).with("said", message.as_str()).into()
        }
        Refusal::Timeout(time) => phrase("refused-timeout").with("time", format!("{time:?}")).into(),
        Refusal::Broken(why) => phrase("refused-broken").with("why", why.as_str()).into(),
        Refusal::TooLarge => phrase("refused-too-large").into(),
    }
}
