//! One list, page by page, each page cut down while the next is fetched.

use bytes::Bytes;
use healthcore::api_versions::WrittenAs;
use serde::de::DeserializeOwned;

use super::api_use;
use super::convert::Troubles;
use super::request::Resource;
use super::send::{ApiServer, Refusal};
use super::wire;

/// Objects of the first page of a list whose objects may be large.
const FEW: u32 = 20;
/// Bytes of a page up to which the next may have twice as many objects.
const SMALL: usize = 2 << 20;
/// Objects of a page where all of them are too large for one answer.
const FEWER_THAN_ALL: u32 = 500;

/// Times that a list whose continuation expired is begun anew or taken up again.
const MOST_EXPIRATIONS: u32 = 3;

/// How an object of the API becomes one of ours; none for objects that nothing reads.
pub(super) type Convert<T, U> = fn(T, &mut Troubles) -> Option<U>;

/// What came of a list.
#[derive(Debug)]
pub(super) struct Listed<U> {
    pub(super) items: Vec<U>,
    /// Objects that somebody wrote in a deprecated version.
    pub(super) written: Vec<WrittenAs>,
    /// Objects that could not be read, or fields of them.
    pub(super) invalid: Troubles,
    /// Why it is not whole.
    pub(super) refusal: Option<Refusal>,
}

/// Lists a resource in one namespace, or in all.
pub(super) async fn list<T, U>(
    server: &ApiServer,
    resource: &Resource,
    namespace: Option<&str>,
    page_size: u32,
    convert: Convert<T, U>,
) -> Listed<U>
where
    T: DeserializeOwned + 'static,
    U: Send + 'static,
{
    let mut listed = Listed { items: Vec::new(), written: Vec::new(), invalid: Vec::new(), refusal: None };
    let mut versions = resource.versions.iter().copied();
    let mut version = versions.next().unwrap_or("v1");
    let mut expirations = 0;
    let mut next = String::new();
    let mut size = if resource.large { FEW } else { page_size };
    let get = |version: &str, next: &str, size: u32| {
        let path = resource.path(version, namespace, size, next);
        async move { server.get(&path, resource.accept()).await }
    };
    let mut answer = get(version, &next, size).await;
    loop {
        answer = match answer {
            Ok(body) => {
                let head = match head(&body) {
                    Ok(head) => head,
                    Err(refusal) => {
                        listed.refusal = Some(refusal);
                        return listed;
                    }
                };
                if !head.is_empty() && head == next {
                    listed.refusal =
                        Some(Refusal::Broken("the server continues the list with the page just sent".into()));
                    return listed;
                }
                next = head;
                if resource.large {
                    size = if body.len() <= SMALL { (2 * size).min(page_size.max(FEW)) } else { FEW };
                }
                let plural = resource.plural;
                let read = tokio::task::spawn_blocking(move || {
                    read(&body, convert).map(|page| (page, api_use::written(&body, plural)))
                });
                let fetch =
                    async { if next.is_empty() { None } else { Some(get(version, &next, size).await) } };
                let (page, following) = tokio::join!(read, fetch);
                match page.expect("reading a page does not panic and is not cancelled") {
                    Ok(((items, invalid), written)) => {
                        listed.items.extend(items);
                        listed.written.extend(written);
                        listed.invalid.extend(invalid);
                    }
                    Err(refusal) => {
                        listed.refusal = Some(refusal);
                        return listed;
                    }
                }
                match following {
                    Some(following) => following,
                    None => return listed,
                }
            }
            Err(Refusal::Gone { next: again }) if expirations < MOST_EXPIRATIONS => {
                expirations += 1;
                match again {
                    // Names go on where they stopped; only the instant of the list is no longer one.
                    Some(again) => next = again,
                    None => {
                        listed.items.clear();
                        listed.written.clear();
                        listed.invalid.clear();
                        next.clear();
                    }
                }
                get(version, &next, size).await
            }
            Err(Refusal::TooLarge) if size != 1 => {
                size = if size == 0 { FEWER_THAN_ALL } else { size.div_ceil(8) };
                get(version, &next, size).await
            }
            Err(Refusal::NotFound) if next.is_empty() => match versions.next() {
                Some(older) => {
                    version = older;
                    get(version, &next, size).await
                }
                None => {
                    listed.refusal = (!resource.optional).then_some(Refusal::NotFound);
                    return listed;
                }
            },
            Err(refusal) => {
                let hidden = matches!(refusal, Refusal::Denied(_)) && resource.optional;
                listed.refusal = match hidden && !is_served(server, resource).await {
                    true => None,
                    false => Some(refusal),
                };
                return listed;
            }
        };
    }
}

/// Whether the API has the group of a resource. Of what is not installed an account without rights is told that it is
/// forbidden; which groups there are everyone who is known may read.
async fn is_served(server: &ApiServer, resource: &Resource) -> bool {
    let answer = server.get(&format!("/apis/{}", resource.group), "application/json").await;
    !matches!(answer, Err(Refusal::NotFound))
}

/// The continuation of a page; empty on the last.
fn head(body: &Bytes) -> Result<String, Refusal> {
    let head: wire::Head = serde_json::from_slice(body).map_err(|e| Refusal::Broken(e.to_string()))?;
    if head.items.is_none() && !head.kind.ends_with("List") {
        return Err(Refusal::Broken("expected a list of Kubernetes objects".into()));
    }
    Ok(head.metadata.next)
}

fn read<T: DeserializeOwned, U>(body: &Bytes, convert: Convert<T, U>) -> Result<(Vec<U>, Troubles), Refusal> {
    let page = wire::page::<T>(body).map_err(|e| Refusal::Broken(e.to_string()))?;
    let mut invalid = page.invalid;
    let mut items = Vec::with_capacity(page.items.len());
    for item in page.items {
        items.extend(convert(item, &mut invalid));
    }
    Ok((items, invalid))
}
