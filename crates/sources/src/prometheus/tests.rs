//! Faults and details of the wire, on a server that answers as it is told.

use std::collections::BTreeSet;
use std::time::Duration;

use healthcore::metric::Metric;
use healthcore::need::{Needs, Partition, Selector};
use healthcore::series::{SeriesKey, SeriesStore};
use healthcore::snapshot::{GapCause, Missing};
use healthcore::time::{Timestamp, Window};
use healthcore::unit::Seconds;
use wiremock::matchers::{body_string_contains, header, method, path, query_param};
use wiremock::{Mock, MockServer, ResponseTemplate};

use super::Prometheus;
use super::settings::{Auth, Dialect, PrometheusSettings, Secret};
use crate::{Fetched, MetricsSource as _, SourceError};

const MATRIX: &str = r#"{"status":"success","data":{"resultType":"matrix","result":[
    {"metric":{"namespace":"web","pod":"api-0","container":"app"},"values":[[1060,"5"],[1120,"7"],[1180,"6"]]},
    {"metric":{"namespace":"web","pod":"api-0","container":"POD"},"values":[[1060,"1"]]}]}}"#;

fn window() -> Window {
    Window::ending(Timestamp::from_unix_seconds(1200), Seconds(240.0), Seconds(60.0)).unwrap()
}

fn settings(server: &MockServer) -> PrometheusSettings {
    let mut settings = PrometheusSettings::new(format!("{}/prefix/", server.uri()));
    settings.timeout = Duration::from_millis(400);
    settings
}

/// Which metrics exist, and everything else that is asked once a run.
async fn facts(server: &MockServer) {
    let present = r#"{"status":"success","data":{"resultType":"vector","result":[{"metric":{"__name__":"container_memory_working_set_bytes"},"value":[1200,"1"]}]}}"#;
    Mock::given(path("/prefix/api/v1/query"))
        .and(body_string_contains("count+by+%28__name__%29"))
        .respond_with(ResponseTemplate::new(200).set_body_string(present))
        .with_priority(1)
        .mount(server)
        .await;
    let empty = r#"{"status":"success","data":{"resultType":"vector","result":[]}}"#;
    Mock::given(path("/prefix/api/v1/query"))
        .respond_with(ResponseTemplate::new(200).set_body_string(empty))
        .with_priority(9)
        .mount(server)
        .await;
}

async fn ask(settings: &PrometheusSettings) -> Fetched<SeriesStore> {
    let mut needs = Needs::default();
    needs.metric(Metric::MemoryWorkingSet);
    let partition = Partition {
        selector: Selector::Namespaces(vec!["web".into()]),
        workloads: BTreeSet::new(),
        samples: 12,
        thinned: None,
    };
    Prometheus::new(settings).unwrap().series(&needs, &partition, &window()).await
}

fn values(fetched: &Fetched<SeriesStore>) -> Vec<(usize, f64)> {
    let key = SeriesKey::container("web", "api-0", "app");
    let samples = fetched.value.get(Metric::MemoryWorkingSet, &key);
    samples.ok().flatten().map(|s| s.iter().collect()).unwrap_or_default()
}

async fn range(server: &MockServer, answer: ResponseTemplate, times: u64, priority: u8) {
    Mock::given(path("/prefix/api/v1/query_range"))
        .respond_with(answer)
        .up_to_n_times(times)
        .with_priority(priority)
        .mount(server)
        .await;
}

fn text(body: &str) -> ResponseTemplate {
    ResponseTemplate::new(200).set_body_string(body)
}

/// What comes of a first answer that is followed by a good one.
async fn after(first: ResponseTemplate) -> (Fetched<SeriesStore>, usize) {
    let server = MockServer::start().await;
    facts(&server).await;
    range(&server, first, 1, 1).await;
    range(&server, text(MATRIX), 9, 5).await;
    let fetched = ask(&settings(&server)).await;
    let asked = server.received_requests().await.unwrap();
    let asked = asked.iter().filter(|r| r.url.path().ends_with("query_range")).count();
    (fetched, asked)
}

const WHOLE: [(usize, f64); 3] = [(1, 5.0), (2, 7.0), (3, 6.0)];

#[tokio::test]
async fn an_answer_goes_onto_the_grid_without_the_pause_container() {
    let (fetched, asked) = after(text(MATRIX)).await;
    assert_eq!((values(&fetched), fetched.gaps.len(), asked), (WHOLE.to_vec(), 0, 1));
    assert_eq!(fetched.value.of(Metric::MemoryWorkingSet).count(), 1);
}

#[tokio::test]
async fn faults_that_may_pass_are_tried_again() {
    for first in [
        ResponseTemplate::new(429).insert_header("Retry-After", "0"),
        ResponseTemplate::new(503),
        ResponseTemplate::new(500).set_body_string("oops"),
        text(&MATRIX[..MATRIX.len() / 2]),
    ] {
        let (fetched, asked) = after(first).await;
        assert_eq!((values(&fetched), fetched.gaps.len(), asked), (WHOLE.to_vec(), 0, 2));
    }
}

#[tokio::test]
async fn faults_that_stay_are_gaps_and_are_not_tried_again() {
    for (answer, cause, words) in [
        (
            text(r#"{"status":"error","errorType":"execution","error":"too many samples"}"#),
            GapCause::Failed,
            "the server answers `execution`: too many samples",
        ),
        (
            ResponseTemplate::new(422)
                .set_body_string(r#"{"status":"error","errorType":"execution","error":"bad"}"#),
            GapCause::Failed,
            "the server answers HTTP 422: bad",
        ),
        (ResponseTemplate::new(401), GapCause::Unauthorized, "the server refuses the credentials (HTTP 401)"),
        (ResponseTemplate::new(403), GapCause::AccessDenied, "the server denies access (HTTP 403)"),
        (
            ResponseTemplate::new(302).insert_header("Location", "https://bob:hunter2@login/"),
            GapCause::Failed,
            "the server redirects (HTTP 302) to `https://login/`",
        ),
        (text("<html>sign in</html>"), GapCause::Failed, "is not that of a Prometheus API"),
        (
            ResponseTemplate::new(200).set_delay(Duration::from_secs(30)),
            GapCause::Timeout,
            "no whole answer in 400ms",
        ),
    ] {
        let (fetched, asked) = after(answer).await;
        assert_eq!((values(&fetched), asked), (vec![], 1), "{words}");
        assert_eq!(fetched.gaps[0].cause, cause, "{words}");
        assert!(fetched.gaps[0].detail.contains(words), "{:?}", fetched.gaps);
        let key = SeriesKey::container("web", "api-0", "app");
        let metric = Metric::MemoryWorkingSet;
        assert_eq!(fetched.value.get(metric, &key), Err(Missing::QueryFailed { metric }), "{words}");
    }
}

#[tokio::test]
async fn warnings_are_gaps_and_the_values_stay() {
    let warned =
        MATRIX.replacen("{\"status\"", "{\"warnings\":[\"store gone\"],\"infos\":[\"note\"],\"status\"", 1);
    let (fetched, _) = after(text(&warned)).await;
    assert_eq!(values(&fetched), WHOLE);
    assert_eq!((fetched.gaps.len(), fetched.gaps[0].cause), (1, GapCause::Warning));
    assert_eq!(fetched.gaps[0].detail, "store gone");
}

#[tokio::test]
async fn a_metric_that_the_server_lacks_is_absent_and_not_asked() {
    let server = MockServer::start().await;
    Mock::given(path("/prefix/api/v1/query"))
        .respond_with(text(r#"{"status":"success","data":{"resultType":"vector","result":[]}}"#))
        .mount(&server)
        .await;
    let fetched = ask(&settings(&server)).await;
    assert_eq!(fetched.gaps[0].cause, GapCause::MetricAbsent);
    let metric = Metric::MemoryWorkingSet;
    let key = SeriesKey::container("web", "api-0", "app");
    assert_eq!(fetched.value.get(metric, &key), Err(Missing::MetricAbsent { metric }));
}

#[tokio::test]
async fn a_proxy_that_lets_only_get_through_is_asked_by_get() {
    let server = MockServer::start().await;
    Mock::given(method("POST")).respond_with(ResponseTemplate::new(405)).mount(&server).await;
    Mock::given(method("GET"))
        .and(query_param("query", "1"))
        .respond_with(text(r#"{"status":"success","data":{"resultType":"scalar","result":[1,"1"]}}"#))
        .mount(&server)
        .await;
    Prometheus::new(&settings(&server)).unwrap().probe().await.unwrap();
}

#[tokio::test]
async fn arms_is_asked_by_post_with_parameters_in_the_address_and_whole_seconds() {
    let server = MockServer::start().await;
    Mock::given(method("POST"))
        .and(path("/prefix/api/v1/query_range"))
        .and(query_param("step", "60"))
        .and(query_param("start", "1020"))
        .and(query_param("end", "1200"))
        .and(header("authorization", "Basic a2V5OnNlY3JldA=="))
        .and(header("x-scope-orgid", "tenant"))
        .respond_with(text(MATRIX))
        .expect(1)
        .mount(&server)
        .await;
    Mock::given(method("POST"))
        .and(query_param("time", "1200"))
        .respond_with(text(
            r#"{"status":"success","data":{"resultType":"vector","result":[{"metric":{"__name__":"container_memory_working_set_bytes"},"value":[1200,"1"]}]}}"#,
        ))
        .mount(&server)
        .await;
    let mut settings = settings(&server);
    settings.dialect = Dialect::Arms;
    settings.auth = Auth::Basic { username: "key".into(), password: Secret::new("secret") };
    settings.headers.push(("X-Scope-OrgID".into(), Secret::new("tenant")));
    assert_eq!(values(&ask(&settings).await), WHOLE);
}

#[tokio::test]
async fn a_forwarder_is_told_from_a_query_endpoint() {
    let server = MockServer::start().await;
    let mut settings = settings(&server);
    settings.url = format!("{}/arms-prom-server/cluster", server.uri());
    settings.dialect = Dialect::Arms;
    let why = Prometheus::new(&settings).unwrap().probe().await.unwrap_err();
    assert!(matches!(why, SourceError::Unusable { .. }));
    assert!(why.to_string().contains("is the forwarder that agents write to, not a query endpoint"), "{why}");
    settings.url = format!("{}/nothing", server.uri());
    let why = Prometheus::new(&settings).unwrap().probe().await.unwrap_err();
    assert!(why.to_string().contains("check its path prefix"), "{why}");
}

#[tokio::test]
async fn a_server_that_has_gone_silent_is_not_waited_for_again_and_again() {
    let server = MockServer::start().await;
    Mock::given(path("/prefix/api/v1/query"))
        .respond_with(ResponseTemplate::new(200).set_delay(Duration::from_secs(60)))
        .mount(&server)
        .await;
    let mut settings = settings(&server);
    settings.timeout = Duration::from_millis(50);
    let prometheus = Prometheus::new(&settings).unwrap();
    for _ in 0..8 {
        let _ = prometheus.probe().await;
    }
    assert_eq!(server.received_requests().await.unwrap().len(), 4);
}
