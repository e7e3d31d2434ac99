//! Loki over the wire: pages, bounds, refusals.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use futures::StreamExt as _;
use healthcore::fixture::Fixture;
use healthcore::snapshot::{Gap, GapCause, Objects};
use healthcore::time::Timestamp;
use healthcore::unit::{Bytes, Seconds};
use serde_json::{Value, json};
use tokio::time::Instant;
use wiremock::{Mock, MockServer, Request, Respond, ResponseTemplate};

use super::page::{Page, PageError};
use super::server::{Places, Refusal, Server, Span};
use super::{Loki, LokiSettings};
use crate::Fetched;
use crate::logs::{LogSource as _, LogsRead};
use crate::prometheus::{Answer, Auth, PrometheusSettings, QueryRequest, Secret, Transport, TransportError};

/// 2026-11-20T01:00:00Z.
const NOW: Timestamp = Timestamp(1_795_136_400_000);

/// What `query_range` of Loki documents: the newest lines of the span up to the limit, the start in it and the end not.
#[derive(Clone, Default)]
struct Kept {
    /// Seconds before now, pod, line.
    lines: Vec<(f64, &'static str, String)>,
    /// The largest limit that is taken.
    most: Option<usize>,
    asked: Arc<Mutex<Vec<BTreeMap<String, String>>>>,
}

impl Respond for Kept {
    fn respond(&self, request: &Request) -> ResponseTemplate {
        let params: BTreeMap<String, String> = request.url.query_pairs().into_owned().collect();
        self.asked.lock().unwrap().push(params.clone());
        let number = |name: &str| params[name].parse::<i64>().unwrap();
        let (start, end, limit) = (number("start"), number("end"), number("limit") as usize);
        if let Some(most) = self.most.filter(|most| limit > *most) {
            let why = format!(
                "max entries limit per query exceeded, limit > max_entries_limit_per_query ({limit} > {most})"
            );
            return ResponseTemplate::new(400).set_body_string(why);
        }
        let at = |ago: f64| NOW.0 * 1_000_000 - (ago * 1e9) as i64;
        let mut found: Vec<(i64, &str, &str)> =
            self.lines.iter().map(|(ago, pod, line)| (at(*ago), *pod, line.as_str())).collect();
        found.retain(|(at, ..)| (start..end).contains(at));
        found.sort_by_key(|(at, ..)| std::cmp::Reverse(*at));
        found.truncate(limit);
        let mut streams: BTreeMap<(&str, bool), Vec<Value>> = BTreeMap::new();
        for (at, pod, line) in found {
            // As Loki 3 does, lines of a pod come in several streams.
            let level = line.contains("ERROR");
            streams.entry((pod, level)).or_default().push(json!([at.to_string(), line, {}]));
        }
        let result: Vec<Value> = streams
            .into_iter()
            .map(|((pod, level), values)| json!({"stream": {"pod": pod, "detected_level": level.to_string()}, "values": values}))
            .collect();
        ResponseTemplate::new(200).set_body_json(
            json!({"status": "success", "data": {"resultType": "streams", "result": result, "stats": {}}}),
        )
    }
}

fn objects() -> Objects {
    Fixture::new("container web/api-0/app\ncontainer web/api-1/app").snapshot.objects
}

fn settings(url: &str) -> LokiSettings {
    let server =
        PrometheusSettings { timeout: Duration::from_secs(20), retries: 1, ..PrometheusSettings::new(url) };
    LokiSettings { cluster: "prod".into(), ..LokiSettings::new(server) }
}

fn run<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap()
        .block_on(future)
}

fn ask(respond: impl Respond + 'static, change: impl FnOnce(&mut LokiSettings)) -> Fetched<LogsRead> {
    run(async {
        let server = MockServer::start().await;
        Mock::given(wiremock::matchers::path("/loki/api/v1/query_range"))
            .respond_with(respond)
            .mount(&server)
            .await;
        let mut settings = settings(&server.uri());
        change(&mut settings);
        Loki::new(settings).unwrap().logs(&objects(), NOW, false).await
    })
}

fn gap(found: &Fetched<LogsRead>) -> (GapCause, &str) {
    let [Gap { scope, cause, detail, .. }] = &found.gaps[..] else { panic!("{:?}", found.gaps) };
    assert_eq!(scope, "prod/loki");
    (*cause, detail)
}

#[test]
fn lines_of_all_pages_are_counted_once() {
    // Two lines of each instant, so that every page ends between two of one.
    let lines = (0..6_001)
        .flat_map(|n| ["api-0", "api-1"].map(|pod| (f64::from(n), pod, format!("ERROR order {n} failed"))));
    let kept = Kept { lines: lines.collect(), ..Kept::default() };
    let found = ask(kept.clone(), |_| {});
    assert_eq!(found.gaps, []);
    let [summary] = &found.value.summaries[..] else { panic!("{found:?}") };
    assert_eq!((summary.said.lines, summary.said.levels.error, summary.cut), (12_002, 12_002, false));
    assert_eq!(summary.said.patterns[0].text, "order <*> failed");
    assert_eq!((summary.said.first, summary.said.last), (Some(NOW.plus_seconds(-6000.0)), Some(NOW)));
    let asked = kept.asked.lock().unwrap();
    assert_eq!(asked.len(), 4);
    assert_eq!(asked[0]["query"], r#"{namespace="web", pod=~"api-[0-9]+", container="app"}"#);
    assert_eq!((asked[0]["direction"].as_str(), asked[0]["limit"].as_str()), ("backward", "1000"));
    assert_eq!(asked[1]["limit"], "5000", "lines are short");
    assert_eq!(asked[0]["end"], (NOW.0 * 1_000_000 + 1).to_string());
    assert_eq!(asked[0]["start"], ((NOW.0 - 86_400_000) * 1_000_000).to_string());
}

#[test]
fn a_stack_trace_is_one_error_though_its_lines_are_of_two_streams() {
    let trace = ["2026-11-20 ERROR order lost", "java.io.IOException: gone", "\tat a.B.c(B.java:1)"];
    let lines =
        trace.iter().enumerate().map(|(n, line)| (5.0 - n as f64 / 10.0, "api-0", (*line).to_owned()));
    let found = ask(Kept { lines: lines.collect(), ..Kept::default() }, |_| {});
    let said = &found.value.summaries[0].said;
    assert_eq!((said.lines, said.levels.error), (3, 1));
    assert_eq!(said.patterns[0].text, "order lost: java.io.IOException: gone");
}

#[test]
fn more_lines_of_one_instant_than_a_page_has_are_a_lower_bound() {
    let lines = (0..20).map(|n| (60.0, "api-0", format!("ERROR {n}"))).chain([(
        61.0,
        "api-0",
        "ERROR old".to_owned(),
    )]);
    let kept = Kept { lines: lines.collect(), most: Some(10), ..Kept::default() };
    let found = ask(kept.clone(), |_| {});
    let summary = &found.value.summaries[0];
    assert_eq!(summary.said.patterns.len(), 2, "what is older is read all the same");
    assert!(summary.cut && summary.said.lines < 21, "{summary:?}");
    let asked = kept.asked.lock().unwrap();
    assert!(
        asked.last().unwrap()["limit"].parse::<u32>().unwrap() <= 10,
        "a smaller limit than that of the server"
    );
}

#[test]
fn the_bound_on_bytes_leaves_out_the_oldest() {
    let lines = (0..9_000).map(|n| (f64::from(n), "api-0", format!("INFO {n:0>94}")));
    let kept = Kept { lines: lines.collect(), ..Kept::default() };
    let found = ask(kept.clone(), |s| s.logs.container = Bytes(65_536.0));
    let summary = &found.value.summaries[0];
    // 64 KiB of each of two pods, in lines of 100 bytes.
    assert!(summary.cut && (1_310..=1_315).contains(&summary.said.lines), "{}", summary.said.lines);
    assert_eq!((summary.begins, summary.said.last), (summary.said.first, Some(NOW)));
    assert_eq!(kept.asked.lock().unwrap().len(), 2);
    let young = ask(kept, |s| s.logs.lookback = Seconds(9.0));
    assert_eq!((young.value.summaries[0].said.lines, young.value.summaries[0].cut), (10, false));
    assert_eq!(young.value.summaries[0].begins, None);
}

/// Memory for logs is bounded by the size of answers, whatever the length of lines.
#[test]
fn pages_of_long_lines_have_few() {
    let lines = (0..900).map(|n| (f64::from(n), "api-0", format!("INFO {n:0>12000}")));
    let kept = Kept { lines: lines.collect(), ..Kept::default() };
    let found = ask(kept.clone(), |s| s.logs.container = Bytes::from_mib(64.0));
    let summary = &found.value.summaries[0];
    assert_eq!((summary.said.lines, summary.cut), (900, false), "{:?}", found.gaps);
    let limits: Vec<u32> = kept.asked.lock().unwrap().iter().map(|a| a["limit"].parse().unwrap()).collect();
    // 1,000 lines are too large for one answer, and a quarter of that is more than a page is to have.
    assert_eq!(limits[..2], [1000, 250]);
    assert!(limits[2..].iter().all(|limit| (85..90).contains(limit)), "{limits:?}");
}

#[test]
fn what_loki_does_not_know_has_no_summary() {
    let found = ask(Kept::default(), |_| {});
    assert!(found.value.summaries.is_empty());
    let (cause, detail) = gap(&found);
    assert_eq!(cause, GapCause::NothingMatches);
    assert!(detail.contains("has no line of any container; check `loki.selector`"), "{detail}");
}

#[test]
fn refusals_are_gaps() {
    let status = |code: u16, body: &str| ResponseTemplate::new(code).set_body_string(body);
    for (answer, expected, words) in [
        (status(401, "no org id\n"), GapCause::Unauthorized, "X-Scope-OrgID: no org id"),
        (status(403, ""), GapCause::AccessDenied, "HTTP 403"),
        (status(404, "404 page not found"), GapCause::Failed, "give the address of Loki"),
        (status(302, ""), GapCause::Failed, "redirects (HTTP 302)"),
        (status(400, "parse error at line 1"), GapCause::Failed, "HTTP 400: parse error at line 1"),
        (
            status(429, "too many outstanding requests").insert_header("retry-after", "0"),
            GapCause::Failed,
            "too many outstanding requests",
        ),
        (status(200, "<html>"), GapCause::Failed, "the answer is not that of Loki"),
        (
            ResponseTemplate::new(200)
                .set_body_json(json!({"status": "success", "data": {"resultType": "matrix", "result": []}})),
            GapCause::Failed,
            "the selector gives `matrix`",
        ),
        (
            status(400, "max entries limit per query exceeded"),
            GapCause::Failed,
            "one line alone is too large",
        ),
    ] {
        let found = ask(answer, |_| {});
        let (cause, detail) = gap(&found);
        assert_eq!(cause, expected, "{detail}");
        assert!(detail.contains(words), "{detail}");
        assert!(found.value.summaries.is_empty() && found.value.unavailable.is_empty());
    }
}

#[test]
fn time_that_is_over_and_a_server_that_is_gone() {
    let slow = ResponseTemplate::new(200).set_delay(Duration::from_secs(60));
    let found = ask(slow, |s| s.logs.time = Duration::ZERO);
    assert_eq!(gap(&found).0, GapCause::Thinned);
    let mut nowhere = settings("http://127.0.0.1:1");
    nowhere.server.retries = 0;
    let gone = run(Loki::new(nowhere).unwrap().logs(&objects(), NOW, true));
    let (cause, detail) = gap(&gone);
    assert_eq!(cause, GapCause::Unreachable);
    assert!(detail.contains("127.0.0.1:1") && detail.contains("Connection refused"), "{detail}");
}

/// Answers at once, and then word by word in virtual time: a Loki whose network is slow.
struct Trickle {
    chunks: Vec<&'static str>,
    every: Duration,
}

#[async_trait]
impl Transport for Trickle {
    fn target(&self) -> String {
        "trickle".to_owned()
    }
    fn via(&self) -> String {
        "direct".to_owned()
    }
    async fn send(&self, _: &QueryRequest) -> Result<Answer, TransportError> {
        let every = self.every;
        let chunks = futures::stream::iter(self.chunks.clone()).then(move |chunk| async move {
            tokio::time::sleep(every).await;
            Ok(bytes::Bytes::from_static(chunk.as_bytes()))
        });
        Ok(Answer { status: 200, retry_after: None, location: None, body: chunks.boxed() })
    }
}

const EMPTY: [&str; 2] = [r#"{"status":"success","#, r#""data":{"resultType":"streams","result":[]}}"#];

const SPAN: Span<'static> = Span { query: "{}", start: 0, end: 1, limit: 1 };

fn trickle(chunks: usize, every: Duration, places: &Places) -> Server {
    let mut chunks = vec![" "; chunks];
    chunks.extend(EMPTY);
    let transport = Trickle { chunks, every };
    Server::new(Box::new(transport), Duration::from_secs(30), 0, places.clone())
}

#[tokio::test(start_paused = true)]
async fn a_slow_server_leaves_places_to_others() {
    let places = Places::default();
    let slow = trickle(100, Duration::from_secs(9), &places);
    let fast = trickle(0, Duration::ZERO, &places);
    let begun = Instant::now();
    let deadline = begun + Duration::from_secs(120);
    let all = futures::future::join_all((0..4).map(|_| slow.page(SPAN, deadline)));
    let other = async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        fast.page(SPAN, deadline).await.map(|held| (held.page.lines, begun.elapsed())).ok()
    };
    let (slow, other) = futures::join!(all, other);
    assert_eq!(other, Some((0, Duration::from_secs(1))), "it waited for places of the slow one");
    assert!(slow.iter().all(|page| matches!(page, Err(Refusal::Failed(GapCause::Timeout, _)))));
    // Of four answers two waited for the others, and had their own 30 s after that.
    assert_eq!(begun.elapsed(), Duration::from_secs(60));
}

/// Two slow servers have all places: who waits for one is not blamed.
#[tokio::test(start_paused = true)]
async fn the_wait_for_a_place_is_no_time_of_the_server() {
    let places = Places::default();
    let slow = [(); 2].map(|()| trickle(100, Duration::from_secs(9), &places));
    let patient = trickle(0, Duration::from_secs(9), &places);
    let deadline = Instant::now() + Duration::from_secs(120);
    let all = futures::future::join_all(slow.iter().flat_map(|s| (0..2).map(|_| s.page(SPAN, deadline))));
    let other = async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        let soon = Instant::now() + Duration::from_secs(5);
        let hasty = patient.page(SPAN, soon).await.err();
        (hasty, patient.page(SPAN, deadline).await.is_ok())
    };
    let (_, other) = futures::join!(all, other);
    assert_eq!(other, (Some(Refusal::Late), true));
}

#[test]
fn tenant_and_credentials_are_sent_and_never_shown() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&seen);
    let respond = move |request: &Request| {
        let header =
            |name: &str| request.headers.get(name).and_then(|v| v.to_str().ok()).unwrap_or("").to_owned();
        log.lock().unwrap().push((header("x-scope-orgid"), header("authorization")));
        ResponseTemplate::new(403)
    };
    let found = ask(respond, |s| {
        s.server.headers = vec![("X-Scope-OrgID".into(), Secret::new("team-a"))];
        s.server.auth = Auth::Basic { username: "bob".into(), password: Secret::new("hunter2") };
        assert!(!format!("{s:?}").contains("hunter2"));
    });
    assert_eq!(*seen.lock().unwrap(), [("team-a".to_owned(), "Basic Ym9iOmh1bnRlcjI=".to_owned())]);
    assert!(!format!("{found:?}").contains("hunter2"));
}

#[test]
fn the_plan_names_the_query() {
    let plan = Loki::new(settings("http://loki:3100")).unwrap().plan(&objects());
    assert_eq!(
        plan,
        r#"logs of 1 container from Loki at http://loki:3100, at most 16Mi a pod and 1Gi in all, in at most 120 s, as {namespace="web", pod=~"api-[0-9]+", container="app"}"#
    );
}

#[test]
fn names_are_quoted() {
    let mut own = settings("http://loki");
    own.selector = r#"{ns="{namespace}", pod=~"{pod_pattern}", c="{container}"} != "debug""#.into();
    let dotted = Fixture::new("container web/a.b-0/app").snapshot.objects;
    let plan = Loki::new(own).unwrap().plan(&dotted);
    assert!(plan.ends_with(r#"as {ns="web", pod=~"a\\.b-[0-9]+", c="app"} != "debug""#), "{plan}");
}

#[test]
fn damaged_answers_are_told() {
    for (body, expected) in [
        ("", "EOF"),
        ("{\"status\":\"success\"}", "missing field `data`"),
        ("{\"status\":\"error\",\"data\":{\"resultType\":\"streams\"}}", "its status is `error`"),
        (
            "{\"status\":\"success\",\"data\":{\"resultType\":\"streams\",\"result\":[{\"values\":[[\"x\",\"y\"]]}]}}",
            "Unix nanoseconds",
        ),
        (
            "{\"status\":\"success\",\"data\":{\"resultType\":\"streams\",\"result\":[{\"values\":[[\"1\"]]}]}}",
            "a time in nanoseconds and a line",
        ),
    ] {
        let why = Page::read(body.as_bytes()).unwrap_err();
        assert!(matches!(&why, PageError::NotLoki(text) if text.contains(expected)), "{why}");
    }
}
