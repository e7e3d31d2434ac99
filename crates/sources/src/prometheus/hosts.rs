//! Requests by host, as ingress controllers count them.

use futures::future::join_all;
use healthcore::inventory::HostRequests;
use healthcore::phrase::phrase;
use healthcore::snapshot::GapCause;
use healthcore::time::Window;
use healthcore::unit::Seconds;

use super::source::Prometheus;
use crate::Fetched;

/// Most hosts that are read. Clients may name any host, and some controllers count every one.
const MOST_HOSTS: usize = 2000;

/// The time in which requests are counted, where the window has as much.
const DAY_S: u64 = 86_400;

/// A counter of requests with the label that holds the host, and matchers without which it counts twice, or other things.
pub(super) struct Counter {
    pub(super) metric: &'static str,
    host: &'static str,
    matcher: &'static str,
}

pub(super) const COUNTERS: [Counter; 3] = [
    Counter { metric: "nginx_ingress_controller_requests", host: "host", matcher: "" },
    // `*` sums up all zones, and `total` all codes.
    Counter {
        metric: "nginx_vts_server_requests_total",
        host: "host",
        matcher: "host!=\"*\",code!=\"total\"",
    },
    // The gateway reports what it sends; the receiver reports it again.
    Counter { metric: "istio_requests_total", host: "request_host", matcher: "reporter=\"source\"" },
];

impl Prometheus {
    /// Requests by host up to the end of the window, by the first counter that has any; none when nobody counts them.
    pub(super) async fn count_by_host(&self, window: &Window) -> Fetched<Option<Vec<HostRequests>>> {
        let span_s = DAY_S.min(window.seconds() as u64);
        let mut out = Fetched::whole(None);
        let (facts, _) = self.known(window).await;
        let mut counters: Vec<&Counter> = COUNTERS.iter().filter(|c| !facts.lacks(c.metric)).collect();
        if counters.is_empty() {
            // One whose scrapes have stopped today still knows the hours before.
            counters.extend(&COUNTERS);
        }
        let end_s = window.end().unix_seconds();
        let asked = counters.iter().map(|counter| async move {
            (*counter, self.instant(&self.query_of(counter, span_s), end_s).await)
        });
        for (counter, answer) in join_all(asked).await {
            match answer {
                Ok((found, said)) => {
                    let notes =
                        said.notes.into_iter().map(|(cause, words)| self.gap("host-requests", cause, words));
                    out.gaps.extend(notes);
                    if found.is_empty() {
                        continue;
                    }
                    if found.len() >= MOST_HOSTS {
                        let said = phrase("gap-some-hosts").with("n", MOST_HOSTS);
                        out.gaps.push(self.gap("host-requests", GapCause::Thinned, said));
                    }
                    let host = |labels: &super::decode::Labels| {
                        let name = labels.get(counter.host)?;
                        // A client may name the port too, and write the name as it likes.
                        let name = name.split(':').next().unwrap_or_default();
                        Some(name.trim_end_matches('.').to_ascii_lowercase())
                    };
                    let one = |series: super::decode::InstantSeries| HostRequests {
                        host: host(&series.metric).unwrap_or_default(),
                        requests: series.value.max(0.0).round() as u64,
                        span: Seconds(span_s as f64),
                    };
                    out.value = Some(together(found.into_iter().map(one).collect()));
                    return out;
                }
                Err(e) => {
                    out.gaps.push(self.gap("host-requests", e.cause, e.detail));
                    return out;
                }
            }
        }
        out
    }

    fn query_of(&self, counter: &Counter, span_s: u64) -> String {
        let Counter { metric, host, matcher } = counter;
        let named = format!("{host}!=\"\",{host}!=\"_\"");
        let matchers = self.matchers(vec![named, (*matcher).to_owned()]);
        format!("topk({MOST_HOSTS}, sum by ({host}) (increase({metric}{{{matchers}}}[{span_s}s])))")
    }
}

/// One entry a host, in order.
fn together(mut counts: Vec<HostRequests>) -> Vec<HostRequests> {
    counts.sort_by(|a, b| a.host.cmp(&b.host));
    counts.dedup_by(|next, kept| {
        let same = next.host == kept.host;
        if same {
            kept.requests += next.requests;
        }
        same
    });
    counts.retain(|c| !c.host.is_empty());
    counts
}
