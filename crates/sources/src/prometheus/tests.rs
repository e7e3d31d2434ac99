//! Faults and details of the wire, on a server that answers as it is told.

use std::collections::BTreeSet;
use std::time::Duration;

use healthcore::inventory::HostRequests;
use healthcore::metric::Metric;
use healthcore::model::{ContainerRole, ContainerState, ObjectKind, PodPhase};
use healthcore::need::{Needs, Partition, Selector};
use healthcore::series::{SeriesKey, SeriesStore};
use healthcore::snapshot::{GapCause, Missing, Objects};
use healthcore::time::{Timestamp, Window};
use healthcore::unit::Seconds;
use wiremock::matchers::{body_string_contains, header, method, path, query_param};
use wiremock::{Mock, MockServer, ResponseTemplate};

use super::Prometheus;
use super::settings::{Auth, Dialect, PrometheusSettings, Secret};
use crate::{Fetched, MetricsSource as _, Selection, SourceError};

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
    exists(server, "container_memory_working_set_bytes").await;
}

/// The one metric that exists, and nothing else that is asked once a run.
async fn exists(server: &MockServer, metric: &str) {
    let present = vector(&[(metric, "", "1")]);
    Mock::given(path("/prefix/api/v1/query"))
        .and(body_string_contains("count+by+%28__name__%29"))
        .respond_with(text(&present))
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
    ask_for(settings, Metric::MemoryWorkingSet, Selector::Namespaces(vec!["web".into()])).await
}

/// The answer for one metric.
async fn ask_for(settings: &PrometheusSettings, metric: Metric, selector: Selector) -> Fetched<SeriesStore> {
    let mut needs = Needs::default();
    needs.metric(metric);
    let partition = Partition { selector, workloads: BTreeSet::new(), samples: 12, thinned: None };
    let prometheus = Prometheus::new(settings).unwrap();
    prometheus.series(&needs, &partition, &window()).await
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
async fn a_volume_belongs_to_its_claim() {
    let server = MockServer::start().await;
    exists(&server, "kubelet_volume_stats_available_bytes").await;
    let answer = r#"{"status":"success","data":{"resultType":"matrix","result":[
        {"metric":{"namespace":"data","persistentvolumeclaim":"db"},"values":[[1060,"5"],[1120,"7"]]}]}}"#;
    range(&server, text(answer), 9, 5).await;
    let selector = Selector::Namespaces(vec!["data".into()]);
    let fetched = ask_for(&settings(&server), Metric::VolumeFree, selector).await;
    let key = SeriesKey::volume_claim("data", "db");
    let samples = fetched.value.get(Metric::VolumeFree, &key).unwrap().unwrap();
    assert_eq!(samples.iter().collect::<Vec<_>>(), [(1, 5.0), (2, 7.0)]);
    assert_eq!(fetched.gaps, []);
}

#[tokio::test]
async fn faults_that_may_pass_are_tried_again() {
    for first in [
        ResponseTemplate::new(429).insert_header("Retry-After", "0"),
        ResponseTemplate::new(503),
        ResponseTemplate::new(500).set_body_string("oops"),
        text(&MATRIX[..MATRIX.len() / 2]),
        text(MATRIX).set_delay(Duration::from_secs(30)),
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
        (ResponseTemplate::new(401), GapCause::Unauthorized, "the server answers HTTP 401, not authorized"),
        (ResponseTemplate::new(403), GapCause::AccessDenied, "the server denies access (HTTP 403)"),
        (
            ResponseTemplate::new(302).insert_header("Location", "https://bob:hunter2@login/"),
            GapCause::Failed,
            "the server redirects (HTTP 302) to `https://login/`",
        ),
        (text("<html>sign in</html>"), GapCause::Failed, "is not that of a Prometheus API"),
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
    let told: Vec<_> = fetched.gaps.iter().map(|g| (g.cause, g.detail.as_str())).collect();
    assert_eq!(told, [(GapCause::Warning, "store gone"), (GapCause::Info, "note")]);
}

#[tokio::test]
async fn that_a_counter_may_be_none_by_its_name_is_no_gap() {
    let guess = r#"PromQL info: metric might not be a counter, name does not end in _total/_sum/_count/_bucket: \"a\" (1:36)"#;
    for field in ["infos", "warnings"] {
        let answer = MATRIX.replacen('{', &format!("{{\"{field}\":[\"{guess}\",\"PromQL info: b\"],"), 1);
        let (fetched, _) = after(text(&answer)).await;
        assert_eq!(values(&fetched), WHOLE);
        let told: Vec<_> = fetched.gaps.iter().map(|g| (g.cause, g.detail.as_str())).collect();
        assert_eq!(told, [(GapCause::Info, "PromQL info: b")], "{field}");
    }
}

/// What is known of the restarts of a container that is in an answer, and of one that is not.
async fn restarts_in(answer: &str) -> [Result<bool, Missing>; 2] {
    let server = MockServer::start().await;
    exists(&server, "kube_pod_container_status_restarts_total").await;
    range(&server, text(&answer.replace("RESULT", MATRIX.split_once("\"data\":").unwrap().1)), 9, 5).await;
    let fetched =
        ask_for(&settings(&server), Metric::Restarts, Selector::Namespaces(vec!["web".into()])).await;
    ["api-0", "api-1"].map(|pod| {
        let key = SeriesKey::container("web", pod, "app");
        fetched.value.get(Metric::Restarts, &key).map(|found| found.is_some())
    })
}

#[tokio::test]
async fn what_is_not_in_a_partial_answer_is_unknown() {
    let unknown = Err(Missing::PartialAnswer { metric: Metric::Restarts });
    for words in ["\"isPartial\":true", "\"warnings\":[\"store gone\"]"] {
        let answer = format!("{{\"status\":\"success\",{words},\"data\":RESULT");
        assert_eq!(restarts_in(&answer).await, [Ok(true), unknown.clone()], "{words}");
    }
    for words in ["\"isPartial\":false", "\"infos\":[\"a\"]", "\"warnings\":[\"PromQL info: a\"]"] {
        let answer = format!("{{\"status\":\"success\",{words},\"data\":RESULT");
        assert_eq!(restarts_in(&answer).await, [Ok(true), Ok(false)], "{words}");
    }
}

#[tokio::test]
async fn a_partial_list_of_kube_state_metrics_is_not_whole() {
    let partial = vector(PODS).replacen('{', "{\"isPartial\":true,", 1);
    let fetched = told("kube_pod_owner", text(&partial), 99).await;
    assert!(!fetched.value.pods.is_empty(), "what came is told");
    let why = Missing::PartialList { resource: "kube-state-metrics".into() };
    let lists: Vec<_> = fetched.value.unavailable.into_iter().map(|u| (u.kind, u.why)).collect();
    assert_eq!(lists, [(ObjectKind::Pods, why.clone()), (ObjectKind::Workloads, why)]);
}

/// Asks of a server that answers the question for labels in use with these marks.
async fn asked_with_labels(marks: &[(&str, &str)]) -> (Vec<String>, Vec<String>) {
    let server = MockServer::start().await;
    let rows: Vec<(&str, &str, &str)> = marks.iter().map(|(mark, count)| ("x", *mark, *count)).collect();
    Mock::given(body_string_contains("%22mark%22"))
        .and(body_string_contains("exported"))
        .respond_with(text(&vector(&rows)))
        .with_priority(1)
        .mount(&server)
        .await;
    facts(&server).await;
    range(&server, text(MATRIX), 9, 5).await;
    let fetched = ask(&settings(&server)).await;
    let queries = server.received_requests().await.unwrap();
    let queries = queries.iter().filter(|r| r.url.path().ends_with("query_range"));
    let query = |r: &wiremock::Request| {
        let mut params = form_urlencoded::parse(&r.body);
        params.find(|(name, _)| name == "query").unwrap().1.into_owned()
    };
    let by = |query: String| query.split(&['(', ')'][..]).nth(1).unwrap().to_owned();
    (queries.map(|r| by(query(r))).collect(), fetched.gaps.into_iter().map(|g| g.detail).collect())
}

#[tokio::test]
async fn labels_are_chosen_by_the_number_of_series_that_have_them() {
    let witness = "mark=container_memory_working_set_bytes";
    let (plain, exported) = (format!("{witness}/plain"), format!("{witness}/exported"));
    let (asked, gaps) = asked_with_labels(&[(&exported, "3"), (&plain, "900")]).await;
    assert_eq!((asked, gaps), (vec!["namespace, pod, container".to_owned()], vec![]), "three are strays");
    let (asked, gaps) = asked_with_labels(&[(&exported, "300"), (&plain, "900")]).await;
    assert_eq!(asked, ["namespace, pod, container", "exported_namespace, exported_pod, exported_container"]);
    assert_eq!(
        gaps,
        ["900 series of container_memory_working_set_bytes are labelled namespace, pod, container and 300 \
          exported_namespace, exported_pod, exported_container; both are read"]
    );
}

#[tokio::test]
async fn what_goes_into_an_address_is_short_enough_for_gateways() {
    let server = MockServer::start().await;
    let present = vector(&[("container_memory_working_set_bytes", "", "1")]);
    Mock::given(path("/prefix/api/v1/query")).respond_with(text(&present)).mount(&server).await;
    range(&server, text(MATRIX), 99, 5).await;
    let patterns: Vec<String> =
        (0..200).map(|n| format!("workload-{n:03}-[a-z0-9]+-[a-z0-9]{{5}}")).collect();
    let selector = Selector::Pods { namespace: "web".into(), patterns: patterns.clone() };
    let settings = PrometheusSettings { dialect: Dialect::Arms, ..settings(&server) };
    let mut needs = Needs::default();
    needs.metric(Metric::MemoryWorkingSet);
    let partition = Partition { selector, workloads: BTreeSet::new(), samples: 12, thinned: None };
    let prometheus = Prometheus::new(&settings).unwrap();
    let fetched = prometheus.series(&needs, &partition, &window()).await;
    assert_eq!((values(&fetched), fetched.gaps.len()), (WHOLE.to_vec(), 0));
    let planned = prometheus.plan(&needs, &partition, &window());
    let asked = server.received_requests().await.unwrap();
    let asked: Vec<_> = asked.iter().filter(|r| r.url.path().ends_with("query_range")).collect();
    let longest = asked.iter().filter_map(|r| r.url.query()).map(str::len).max().unwrap();
    assert!(asked.len() > 1 && longest < 6_100, "{} queries, {longest} bytes", asked.len());
    assert_eq!(planned.len(), asked.len());
    let all: String =
        asked.iter().flat_map(|r| r.url.query_pairs()).map(|(_, value)| value.into_owned()).collect();
    assert!(patterns.iter().all(|p| all.contains(p)), "no pattern is lost");
}

#[tokio::test]
async fn a_query_that_is_too_long_for_the_server_says_what_to_do() {
    let limit = r#"{"status":"error","errorType":"422","error":"too long query; got 20000 bytes; mustn't exceed `-search.maxQueryLen=16384` bytes"}"#;
    for answer in [
        ResponseTemplate::new(414),
        ResponseTemplate::new(413),
        ResponseTemplate::new(422).set_body_string(limit),
    ] {
        let (fetched, asked) = after(answer).await;
        let detail = &fetched.gaps[0].detail;
        assert!(
            detail.contains("the query of 128 bytes (182 in a URL)")
                && detail.contains("choose fewer namespaces (`-n`)"),
            "{detail}"
        );
        assert_eq!(asked, 1, "not tried again");
    }
}

/// The gaps of a server where metrics exist only in answers to the question for them that holds `mark`.
async fn absent(mark: &str, change: impl FnOnce(&mut PrometheusSettings)) -> (String, Result<(), Missing>) {
    let server = MockServer::start().await;
    let row = format!("metric=container_memory_working_set_bytes mark={mark}");
    Mock::given(body_string_contains(format!("%22{mark}%22")))
        .respond_with(text(&vector(&[("x", &row, "1")])))
        .with_priority(1)
        .mount(&server)
        .await;
    exists(&server, "up").await;
    let nothing = r#"{"status":"success","data":{"resultType":"matrix","result":[]}}"#;
    range(&server, text(nothing), 9, 5).await;
    let mut settings = settings(&server);
    change(&mut settings);
    let fetched = ask(&settings).await;
    let key = SeriesKey::container("web", "api-0", "app");
    let known = fetched.value.get(Metric::MemoryWorkingSet, &key).map(drop);
    (fetched.gaps.into_iter().map(|g| g.detail).collect::<Vec<_>>().join("; "), known)
}

#[tokio::test]
async fn why_a_metric_is_absent_is_told() {
    let metric = Metric::MemoryWorkingSet;
    let name = "container_memory_working_set_bytes";
    assert_eq!(
        absent("nothing", |_| {}).await,
        (format!("the server has no series of {name}"), Err(Missing::MetricAbsent { metric }))
    );
    assert_eq!(
        absent("nothing", |s| s.headers.push(("X-Scope-OrgID".into(), Secret::new("team")))).await.0,
        format!("the server has no series of {name} for the tenant that the header X-Scope-OrgID names")
    );
    assert_eq!(
        absent("excluded", |s| s.matchers.push("cluster=\"prdo\"".into())).await,
        (
            format!(
                "the server has series of {name}, but none that matches cluster=\"prdo\"; check the configured matchers"
            ),
            Err(Missing::MatchersExclude { metric })
        )
    );
    assert_eq!(
        absent("ended", |_| {}).await,
        (
            format!(
                "samples of {name} ended at 1970-01-01 00:00 UTC: what was there until then is judged; see why nobody exports or scrapes it any more"
            ),
            Err(Missing::NoSamples { metric })
        )
    );
}

/// A server whose scrapes stopped at 1117.5 s, at the end of the last minute but one: seen by a look at 1100 s.
async fn stopped(server: &MockServer, metric: &str) {
    let seen = vector(&[("x", &format!("metric={metric} mark=ended"), "1100")]);
    Mock::given(body_string_contains("%22ended%22"))
        .respond_with(text(&seen))
        .with_priority(1)
        .mount(server)
        .await;
    Mock::given(body_string_contains(format!("query=max%28max_over_time%28timestamp%28{metric}")))
        .and(body_string_contains("time=1200"))
        .respond_with(text(&vector(&[("x", "", "1117.5")])))
        .with_priority(1)
        .mount(server)
        .await;
    exists(server, "up").await;
}

#[tokio::test]
async fn what_was_there_until_the_scrapes_stopped_is_read_with_the_labels_of_then() {
    let server = MockServer::start().await;
    let labels = vector(&[("x", "mark=container_memory_working_set_bytes/exported", "3")]);
    Mock::given(body_string_contains("exported_container"))
        .and(body_string_contains("time=1118"))
        .respond_with(text(&labels))
        .with_priority(2)
        .mount(&server)
        .await;
    stopped(&server, "container_memory_working_set_bytes").await;
    range(&server, text(MATRIX), 9, 5).await;
    let fetched = ask(&settings(&server)).await;
    assert_eq!(values(&fetched), WHOLE);
    let told: Vec<_> = fetched.gaps.iter().map(|g| (g.cause, g.detail.as_str())).collect();
    assert_eq!(
        told,
        [(
            GapCause::MetricAbsent,
            "samples of container_memory_working_set_bytes ended at 1970-01-01 00:18 UTC: what was there until then is judged; see why nobody exports or scrapes it any more"
        )]
    );
    let asked = server.received_requests().await.unwrap();
    let by_labels_of_then = |r: &&wiremock::Request| {
        r.url.path().ends_with("query_range")
            && String::from_utf8_lossy(&r.body).contains("exported_namespace%2C+exported_pod")
    };
    assert_eq!(asked.iter().filter(by_labels_of_then).count(), 1);
}

#[tokio::test]
async fn objects_are_those_of_the_newest_samples_while_these_are_young() {
    for (ended, known) in [(1117, 1), (1200 - 3601, 0)] {
        let server = MockServer::start().await;
        let seen = vector(&[("x", "metric=kube_pod_info mark=ended", &ended.to_string())]);
        Mock::given(body_string_contains("%22ended%22"))
            .respond_with(text(&seen))
            .with_priority(1)
            .mount(&server)
            .await;
        Mock::given(body_string_contains("kube_pod_owner"))
            .and(body_string_contains(format!("time={ended}")))
            .respond_with(text(&vector(PODS)))
            .with_priority(2)
            .mount(&server)
            .await;
        exists(&server, "up").await;
        let prometheus = Prometheus::new(&settings(&server)).unwrap();
        let kinds = [ObjectKind::Pods].into();
        let fetched = prometheus.objects(&Selection::default(), &kinds, &window()).await;
        assert_eq!(usize::from(!fetched.value.pods.is_empty()), known, "{ended}");
        assert_eq!(fetched.value.unavailable.len(), 1 - known, "{ended}");
        let told = &fetched.gaps[0].detail;
        assert!(told.starts_with("samples of kube_pod_info ended at "), "{told}");
        assert_eq!(told.contains("no workload is known"), known == 0, "{told}");
    }
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
async fn credentials_that_are_refused_are_told_from_none() {
    let server = MockServer::start().await;
    Mock::given(wiremock::matchers::any()).respond_with(ResponseTemplate::new(401)).mount(&server).await;
    let said = async |settings: &PrometheusSettings| {
        Prometheus::new(settings).unwrap().probe().await.unwrap_err().to_string()
    };
    let mut settings = settings(&server);
    let none = said(&settings).await;
    assert!(none.contains("none were sent: set PROMETHEUS_USERNAME and PROMETHEUS_PASSWORD"), "{none}");
    settings.dialect = Dialect::Arms;
    settings.auth = Auth::Basic { username: "key".into(), password: Secret::new("hunter2") };
    let refused = said(&settings).await;
    assert!(
        refused.ends_with(
            "credentials were sent and are refused: check them (for ARMS: AccessKey id and secret)"
        ),
        "{refused}"
    );
    assert!(!refused.contains("hunter2") && !refused.contains("key:"), "{refused}");
    settings.auth = Auth::None;
    settings.headers.push(("authorization".into(), Secret::new("Bearer hunter2")));
    assert!(said(&settings).await.contains("credentials were sent and are refused"));
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
async fn the_token_in_an_address_of_arms_is_never_told() {
    let token = "SECRETTOKEN";
    let server = MockServer::start().await;
    let mut settings = settings(&server);
    settings.dialect = Dialect::Arms;
    settings.url = format!("{}/api/v1/prometheus/{token}/12/c3/cn-x", server.uri());
    let shown = format!("{}/api/v1/prometheus/[redacted]/12/c3/cn-x", server.uri());
    assert!(format!("{settings:?}").contains(&format!("url: \"{shown}\"")), "{settings:?}");
    let below = format!("/api/v1/prometheus/{token}/12/c3/cn-x/api/v1/query");
    for answer in [
        ResponseTemplate::new(404).set_body_string(format!("Cannot POST {below}")),
        text(&format!("<p>Cannot POST {below}</p>")),
        ResponseTemplate::new(302).insert_header("Location", below.as_str()),
        ResponseTemplate::new(422)
            .set_body_string(format!(r#"{{"status":"error","errorType":"bad","error":"no {below}"}}"#)),
        ResponseTemplate::new(401),
    ] {
        server.reset().await;
        Mock::given(path(&below)).respond_with(answer).mount(&server).await;
        let why = Prometheus::new(&settings).unwrap().probe().await.unwrap_err();
        assert!(!format!("{why} {why:?}").contains(token) && why.to_string().contains(&shown), "{why}");
        let fetched = ask(&settings).await;
        assert!(!fetched.gaps.is_empty() && !format!("{fetched:?}").contains(token), "{:?}", fetched.gaps);
    }
    settings.url = format!("gw/api/v1/prometheus/{token}/12");
    let why = Prometheus::new(&settings).err().unwrap().to_string();
    assert!(!why.contains(token), "{why}");
}

#[tokio::test]
async fn a_server_that_has_gone_silent_is_not_waited_for_again_and_again() {
    let server = MockServer::start().await;
    Mock::given(path("/prefix/api/v1/query"))
        .respond_with(ResponseTemplate::new(200).set_delay(Duration::from_secs(60)))
        .mount(&server)
        .await;
    let mut settings = settings(&server);
    settings.timeout = Duration::from_millis(150);
    let prometheus = Prometheus::new(&settings).unwrap();
    let mut why = String::new();
    for _ in 0..20 {
        why = prometheus.probe().await.unwrap_err().to_string();
    }
    assert!(why.contains("not asked: the server has answered nothing for 600ms"), "{why}");
    let asked = server.received_requests().await.unwrap().len();
    assert!((2..=6).contains(&asked), "{asked} of 40");
}

/// The answer to an instant query: rows of a name, labels and a value.
fn vector(rows: &[(&str, &str, &str)]) -> String {
    let row = |(name, labels, value): &(&str, &str, &str)| {
        let mut metric = serde_json::Map::from_iter([("__name__".to_owned(), (*name).into())]);
        for label in labels.split_whitespace() {
            let (label, value) = label.split_once('=').unwrap();
            metric.insert(label.to_owned(), value.into());
        }
        serde_json::json!({"metric": metric, "value": [1200, value]})
    };
    let rows: Vec<serde_json::Value> = rows.iter().map(row).collect();
    serde_json::json!({"status": "success", "data": {"resultType": "vector", "result": rows}}).to_string()
}

const STATES: &[(&str, &str, &str)] = &[
    ("kube_pod_status_phase", "namespace=web pod=api-7d-x phase=Running", "1"),
    ("kube_pod_status_phase", "namespace=web pod=gone phase=Failed", "1"),
    (
        "kube_pod_container_status_waiting_reason",
        "namespace=web pod=api-7d-x container=app reason=CrashLoopBackOff",
        "1",
    ),
    (
        "kube_pod_container_status_last_terminated_reason",
        "namespace=web pod=api-7d-x container=app reason=OOMKilled",
        "1",
    ),
    (
        "kube_horizontalpodautoscaler_status_condition",
        "namespace=web horizontalpodautoscaler=api condition=ScalingActive status=false",
        "1",
    ),
    ("kube_deployment_status_condition", "namespace=web deployment=api condition=Available status=true", "1"),
    (
        "kube_deployment_status_condition",
        "namespace=web deployment=api condition=Progressing status=false reason=ProgressDeadlineExceeded",
        "1",
    ),
];

/// When the autoscaler was last active, and when it first was not.
const TIMES: &[(&str, &str, &str)] = &[
    ("", "namespace=web horizontalpodautoscaler=api condition=ScalingActive status=false", "300"),
    ("", "namespace=web horizontalpodautoscaler=api condition=ScalingActive status=true", "720"),
];

const PODS: &[(&str, &str, &str)] = &[
    ("kube_pod_container_state_started", "namespace=web pod=api-7d-x container=app", "900"),
    ("kube_pod_container_state_started", "namespace=web pod=api-7d-x container=proxy", "901"),
    ("kube_pod_container_status_last_terminated_exitcode", "namespace=web pod=api-7d-x container=app", "137"),
    (
        "kube_pod_owner",
        "namespace=ksm exported_namespace=web pod=ksm-0 exported_pod=api-7d-x owner_kind=ReplicaSet owner_name=api-7d",
        "1",
    ),
    ("kube_pod_info", "namespace=web pod=api-7d-x node=n1 created_by_kind=X created_by_name=y", "1"),
    ("kube_pod_container_info", "namespace=web pod=api-7d-x container=app image=api:2", "1"),
    (
        "kube_pod_container_resource_limits",
        "namespace=web pod=api-7d-x container=app resource=memory",
        "1048576",
    ),
    ("kube_pod_container_status_restarts_total", "namespace=web pod=api-7d-x container=app", "4"),
    (
        "kube_pod_init_container_info",
        "namespace=web pod=api-7d-x container=mesh image=mesh:1 restart_policy=Always",
        "1",
    ),
    (
        "kube_pod_init_container_resource_requests",
        "namespace=web pod=api-7d-x container=mesh resource=memory",
        "2097152",
    ),
    (
        "kube_pod_init_container_resource_limits",
        "namespace=web pod=api-7d-x container=mesh resource=cpu",
        "0.5",
    ),
    ("kube_pod_init_container_status_restarts_total", "namespace=web pod=api-7d-x container=mesh", "2"),
];

const WORKLOADS: &[(&str, &str, &str)] = &[
    ("kube_replicaset_owner", "namespace=web replicaset=api-7d owner_kind=Deployment owner_name=api", "1"),
    ("kube_deployment_spec_replicas", "namespace=web deployment=api", "2"),
    ("kube_deployment_status_replicas_ready", "namespace=web deployment=api", "0"),
    ("kube_horizontalpodautoscaler_spec_max_replicas", "namespace=web horizontalpodautoscaler=api", "5"),
    (
        "kube_horizontalpodautoscaler_info",
        "namespace=web horizontalpodautoscaler=api scaletargetref_kind=Deployment scaletargetref_name=api",
        "1",
    ),
];

/// What kube-state-metrics tells when the query that names `broken` is answered by `first` the first `times` times.
async fn told(broken: &str, first: ResponseTemplate, times: u64) -> Fetched<Objects> {
    told_without(&[], broken, first, times).await
}

/// The same without some metrics.
async fn told_without(
    dropped: &[&str],
    broken: &str,
    first: ResponseTemplate,
    times: u64,
) -> Fetched<Objects> {
    let server = MockServer::start().await;
    exists(&server, "kube_pod_info").await;
    let answers =
        [("kube_pod_status_phase", STATES), ("kube_pod_owner", PODS), ("kube_job_owner", WORKLOADS)];
    let kept = |rows: &[(&'static str, &'static str, &'static str)]| -> Vec<_> {
        rows.iter().filter(|(name, ..)| !dropped.contains(name)).copied().collect()
    };
    Mock::given(body_string_contains(broken))
        .respond_with(first)
        .up_to_n_times(times)
        .with_priority(2)
        .mount(&server)
        .await;
    for (name, rows) in answers {
        Mock::given(body_string_contains(name))
            .respond_with(text(&vector(&kept(rows))))
            .with_priority(3)
            .mount(&server)
            .await;
    }
    Mock::given(body_string_contains("max_over_time%28timestamp"))
        .respond_with(text(&vector(TIMES)))
        .with_priority(3)
        .mount(&server)
        .await;
    let kinds = BTreeSet::from([ObjectKind::Pods, ObjectKind::Workloads, ObjectKind::Autoscalers]);
    Prometheus::new(&settings(&server)).unwrap().objects(&Selection::default(), &kinds, &window()).await
}

#[tokio::test]
async fn a_phase_that_is_not_told_is_no_phase() {
    let gap = "the server has no series of kube_pod_status_phase; pods that are ready count as running, of others that is not known";
    let phase = async |dropped: &[&str]| {
        let fetched = told_without(dropped, "nothing", text(""), 1).await;
        let gaps: Vec<String> = fetched.gaps.into_iter().map(|g| g.detail).collect();
        assert_eq!(gaps, [gap]);
        assert_eq!(fetched.value.unavailable, []);
        fetched.value.pods[0].phase
    };
    assert_eq!(phase(&["kube_pod_status_phase"]).await, PodPhase::Running, "a container runs");
    let started = "kube_pod_container_state_started";
    assert_eq!(phase(&["kube_pod_status_phase", started]).await, PodPhase::NotReported);
}

#[tokio::test]
async fn objects_are_put_together_from_the_rows_of_kube_state_metrics() {
    let whole = vector(STATES);
    // Cut off behind its last row: all of them come twice.
    let cut = text(&whole[..whole.len() - 3]);
    let fetched = told("kube_pod_status_phase", cut, 1).await;
    assert_eq!(fetched.gaps, [], "it was asked again");
    let objects = fetched.value;
    assert_eq!(objects.unavailable, []);
    let [pod] = &objects.pods[..] else { panic!("{:?}", objects.pods) };
    assert_eq!(
        (pod.name.as_str(), pod.phase, pod.workload.to_string()),
        ("api-7d-x", PodPhase::Running, "web/deployment/api".to_owned())
    );
    assert_eq!(pod.node.as_deref(), Some("n1"));
    let [app, mesh, proxy] = &pod.containers[..] else { panic!("{:?}", pod.containers) };
    assert_eq!((mesh.role, mesh.image.as_str(), mesh.restarts), (ContainerRole::Sidecar, "mesh:1", Some(2)));
    assert_eq!(mesh.resources.memory_request, Some(healthcore::unit::Bytes(2_097_152.0)));
    assert_eq!(mesh.resources.cpu_limit, Some(healthcore::unit::Cores(0.5)));
    let waiting = ContainerState::Waiting { reason: "CrashLoopBackOff".into(), message: String::new() };
    assert_eq!((app.state.as_ref(), app.image.as_str(), app.restarts), (Some(&waiting), "api:2", Some(4)));
    assert_eq!(app.resources.memory_limit, Some(healthcore::unit::Bytes(1_048_576.0)));
    let ended = app.last_termination.as_ref().unwrap();
    assert_eq!((ended.reason.as_str(), ended.exit_code), ("OOMKilled", Some(137)));
    let started = Some(Timestamp::from_unix_seconds(901));
    assert_eq!(proxy.state, Some(ContainerState::Running { started }));
    let [workload] = &objects.workloads[..] else { panic!("{:?}", objects.workloads) };
    let replicas = workload.replicas.unwrap();
    assert_eq!((replicas.desired, replicas.ready, workload.revisions.len()), (2, 0, 1));
    let rollout: Vec<_> =
        workload.conditions.iter().map(|c| (c.kind.as_str(), c.status, c.reason.as_str())).collect();
    assert_eq!(rollout, [("Progressing", Some(false), "ProgressDeadlineExceeded")]);
    let [hpa] = &objects.hpas[..] else { panic!("{:?}", objects.hpas) };
    assert_eq!((hpa.max_replicas, hpa.target.name.as_str()), (5, "api"));
    let conditions: Vec<_> = hpa.conditions.iter().map(|c| (c.kind.as_str(), c.status)).collect();
    assert_eq!(conditions, [("ScalingActive", Some(false))]);
    assert_eq!(hpa.conditions[0].since, Some(Timestamp::from_unix_seconds(780)), "after it was last active");
}

#[tokio::test]
async fn half_an_answer_of_kube_state_metrics_tells_nothing() {
    let whole = vector(PODS);
    let fetched = told("kube_pod_owner", text(&whole[..whole.len() - 3]), 99).await;
    assert_eq!(fetched.gaps.len(), 1, "{:?}", fetched.gaps);
    assert_eq!(
        (fetched.gaps[0].scope.as_str(), fetched.gaps[0].cause),
        ("prometheus/pods", GapCause::Partial)
    );
    assert_eq!(fetched.value.pods, []);
    let without: Vec<ObjectKind> = fetched.value.unavailable.iter().map(|u| u.kind).collect();
    assert_eq!(without, [ObjectKind::Pods, ObjectKind::Workloads]);
    assert_eq!(fetched.value.workloads[0].id.to_string(), "web/deployment/api");
}

#[tokio::test]
async fn a_namespace_that_kube_state_metrics_does_not_know_is_told() {
    let server = MockServer::start().await;
    exists(&server, "kube_pod_info").await;
    let pods = vector(&[("kube_pod_info", "namespace=web pod=api-0", "1")]);
    Mock::given(path("/prefix/api/v1/query"))
        .and(body_string_contains("kube_pod_created"))
        .respond_with(text(&pods))
        .with_priority(1)
        .mount(&server)
        .await;
    let phases = vector(&[("kube_pod_status_phase", "namespace=web pod=api-0 phase=Running", "1")]);
    Mock::given(body_string_contains("kube_pod_status_phase"))
        .respond_with(text(&phases))
        .with_priority(1)
        .mount(&server)
        .await;
    let prometheus = Prometheus::new(&settings(&server)).unwrap();
    let told = async |names: &[&str]| -> Vec<(String, GapCause)> {
        let selection = Selection { namespaces: names.iter().map(|n| (*n).to_owned()).collect() };
        let fetched = prometheus.objects(&selection, &BTreeSet::from([ObjectKind::Pods]), &window()).await;
        fetched.gaps.into_iter().map(|g| (g.detail, g.cause)).collect()
    };
    assert_eq!(told(&[]).await, []);
    assert_eq!(told(&["web", "w*"]).await, []);
    assert_eq!(
        told(&["web", "nope", "nope-*"]).await,
        [
            ("kube-state-metrics tells of nothing in namespace `nope`".to_owned(), GapCause::NothingMatches),
            (
                "kube-state-metrics tells of nothing in namespaces that match `nope-*`".to_owned(),
                GapCause::NothingMatches
            ),
        ]
    );
}

#[tokio::test]
async fn an_answer_without_the_labels_of_a_container_is_told() {
    let server = MockServer::start().await;
    facts(&server).await;
    let matrix = r#"{"status":"success","data":{"resultType":"matrix","result":[
        {"metric":{"namespace":"web"},"values":[[1060,"5"]]},{"metric":{},"values":[[1060,"5"]]}]}}"#;
    range(&server, text(matrix), 9, 1).await;
    let patient = PrometheusSettings { timeout: Duration::from_secs(30), ..settings(&server) };
    let fetched = ask(&patient).await;
    let told: Vec<_> = fetched.gaps.iter().map(|g| (g.cause, g.detail.as_str())).collect();
    assert_eq!(
        told,
        [(
            GapCause::Failed,
            "none of its 2 series has all the labels namespace, pod and container; an own query must keep them, as `sum by (namespace, pod, container) (...)` does"
        )]
    );
    let why = fetched.value.metrics().next().unwrap().1.cloned();
    assert_eq!(why, Some(Missing::QueryFailed { metric: Metric::MemoryWorkingSet }));
}

#[tokio::test]
async fn deprecated_versions_that_were_asked_for() {
    let server = MockServer::start().await;
    let row = |labels: &str| format!(r#"{{"metric":{{{labels}}},"value":[1200,"1"]}}"#);
    let rows = [
        row(r#""group":"batch","version":"v1beta1","resource":"cronjobs","removed_release":"1.25""#),
        row(r#""group":"","version":"v1","resource":"componentstatuses","removed_release":"1.40""#),
        row(r#""group":"batch","version":"v2","resource":"cronjobs","removed_release":"2.0""#),
        row(r#""group":"batch","version":"v2""#),
    ];
    let answer =
        format!(r#"{{"status":"success","data":{{"resultType":"vector","result":[{}]}}}}"#, rows.join(","));
    exists(&server, super::deprecated::GAUGE).await;
    Mock::given(body_string_contains("removed_release")).respond_with(text(&answer)).mount(&server).await;
    let prometheus = Prometheus::new(&settings(&server)).unwrap();
    let found = prometheus.requested_apis(&window()).await;
    let told: Vec<_> = found
        .value
        .iter()
        .map(|api| format!("{} {} 1.{}", api.api_version, api.resource, api.removed_in))
        .collect();
    assert_eq!(told, ["batch/v1beta1 cronjobs 1.25", "v1 componentstatuses 1.40"]);
    assert_eq!(
        prometheus.asked().last().unwrap(),
        "1 instant query: max by (group, version, resource, removed_release) (apiserver_requested_deprecated_apis{removed_release!=\"\"})"
    );
}

#[tokio::test]
async fn nobody_asks_for_deprecated_versions_of_a_server_that_does_not_know_them() {
    let server = MockServer::start().await;
    facts(&server).await;
    let prometheus = Prometheus::new(&settings(&server)).unwrap();
    let found = prometheus.requested_apis(&window()).await;
    assert!(found.value.is_empty() && found.gaps.is_empty());
    assert!(!prometheus.asked().iter().any(|query| query.contains("removed_release")));
}

/// Requests by host, and the questions for them, when the server has `metric`, and the answer for queries that hold `words`.
async fn by_host(
    metric: &str,
    words: &str,
    answer: &str,
) -> (Fetched<Option<Vec<HostRequests>>>, Vec<String>) {
    let server = MockServer::start().await;
    exists(&server, metric).await;
    Mock::given(body_string_contains("topk"))
        .and(body_string_contains(words))
        .respond_with(text(answer))
        .with_priority(2)
        .mount(&server)
        .await;
    let prometheus = Prometheus::new(&settings(&server)).unwrap();
    let found = prometheus.host_requests(&window()).await;
    let asked = prometheus.asked().into_iter().filter(|query| query.contains("topk"));
    (found, asked.collect())
}

#[tokio::test]
async fn requests_are_counted_by_host() {
    let answer = r#"{"status":"success","data":{"resultType":"vector","result":[
        {"metric":{"host":"Forex-UI.example"},"value":[1200,"20592.6"]},
        {"metric":{"host":"forex-ui.example:443"},"value":[1200,"7"]},
        {"metric":{"host":"a.example"},"value":[1200,"0"]}]}}"#;
    let (found, asked) = by_host("nginx_ingress_controller_requests", "nginx_ingress", answer).await;
    let counts: Vec<_> =
        found.value.iter().flatten().map(|c| (c.host.as_str(), c.requests, c.span.get())).collect();
    assert_eq!(counts, [("a.example", 0, 240.0), ("forex-ui.example", 20_600, 240.0)]);
    assert_eq!(
        asked,
        [
            "1 instant query: topk(2000, sum by (host) (increase(nginx_ingress_controller_requests{host!=\"\",host!=\"_\"}[240s])))"
        ]
    );
}

#[tokio::test]
async fn the_first_controller_that_counts_is_taken() {
    let answer = r#"{"status":"success","data":{"resultType":"vector","result":[
        {"metric":{"request_host":"a.example"},"value":[1200,"5"]}]}}"#;
    let istio = "istio_requests_total";
    let (found, asked) = by_host(istio, istio, answer).await;
    assert_eq!(
        (found.value.map(|counts| counts[0].requests), asked.len()),
        (Some(5), 1),
        "the others are not there"
    );
    let (found, asked) = by_host("none_of_them", istio, answer).await;
    let counted = found.value.map(|counts| counts[0].requests);
    assert_eq!((counted, asked.len()), (Some(5), 3), "its scrapes have stopped");
    let (found, asked) = by_host("none_of_them", "no_such_metric", answer).await;
    assert_eq!((found.value, found.gaps.len(), asked.len()), (None, 0, 3));
    let refused = r#"{"status":"error","errorType":"bad_data","error":"no"}"#;
    let (found, _) = by_host("none_of_them", "nginx_ingress", refused).await;
    assert_eq!((found.value, found.gaps[0].scope.as_str()), (None, "prometheus/host-requests"));
}
