//! Sinks against stand-ins that keep the documented rules of the real ones. Pauses are counted, not waited for.

mod digests;
#[path = "../../tests/it/slack_rules.rs"]
mod slack_rules;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use healthcore::finding::State;
use healthcore::history::{Changes, Gone, Kept};
use healthcore::time::Timestamp;
use healthcore_report::Chat;
use healthcore_sources::prometheus::Secret;
use ring::hmac;
use serde_json::{Value, json};
use wiremock::matchers::any;
use wiremock::{Mock, MockServer, Request, Respond, ResponseTemplate};

use super::http::Wait;
use super::*;
use crate::history::Retention;
use crate::{Input, RunSpec, Silent, run_once};

const TOKEN: &str = "xoxb-1234-5678-AbCdEf";

async fn fixture(name: &str) -> Report {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures").join(name);
    run_once(&RunSpec::new(Input::Recording(path)), &Silent).await.unwrap()
}

async fn delivery(name: &str) -> Delivery {
    on_its_way(Content::of(fixture(name).await))
}

fn on_its_way(content: Content) -> Delivery {
    Delivery { content, options: RenderOptions::default(), key: "k-1".into() }
}

/// Notes the pauses that are asked for.
fn counting() -> (Wait, Arc<Mutex<Vec<u64>>>) {
    let pauses = Arc::new(Mutex::new(Vec::new()));
    let noted = Arc::clone(&pauses);
    let wait: Wait = Arc::new(move |time: Duration| {
        noted.lock().unwrap().push(time.as_secs());
        Box::pin(async {})
    });
    (wait, pauses)
}

/// The length that was announced, the bytes that came, and whether they were shared.
type File = (usize, Vec<u8>, bool);

/// A workspace of Slack with one channel.
#[derive(Default)]
struct Workspace {
    /// Answers that stand before the rules, by the end of the path; each is given once.
    script: Mutex<Vec<(&'static str, ResponseTemplate)>>,
    posts: Mutex<Vec<Value>>,
    files: Mutex<BTreeMap<String, File>>,
    address: Mutex<String>,
}

#[derive(Clone)]
struct Rules(Arc<Workspace>);

impl Respond for Rules {
    fn respond(&self, request: &Request) -> ResponseTemplate {
        let path = request.url.path().to_owned();
        let mut script = self.0.script.lock().unwrap();
        if let Some(at) = script.iter().position(|(end, _)| path.ends_with(end)) {
            return script.remove(at).1;
        }
        let answer = if path.starts_with("/upload/") {
            return self.bytes(request);
        } else if path.starts_with("/services/") {
            return self.webhook(request);
        } else if request.headers.get("authorization").is_none_or(|v| v != &format!("Bearer {TOKEN}")) {
            Err("invalid_auth")
        } else {
            match path.trim_start_matches("/api/") {
                "chat.postMessage" => self.post(request),
                "files.getUploadURLExternal" => self.place(request),
                "files.completeUploadExternal" => self.share(request),
                _ => Err("unknown_method"),
            }
        };
        ResponseTemplate::new(200)
            .set_body_json(answer.unwrap_or_else(|error| json!({ "ok": false, "error": error })))
    }
}

impl Rules {
    fn post(&self, request: &Request) -> Result<Value, &'static str> {
        let message: Value = serde_json::from_slice(&request.body).map_err(|_| "invalid_json")?;
        if !["#ops", "C1"].contains(&message["channel"].as_str().unwrap_or_default()) {
            return Err("channel_not_found");
        }
        if let Some(why) = slack_rules::broken(&message) {
            return Ok(
                json!({ "ok": false, "error": "invalid_blocks", "response_metadata": { "messages": [why] } }),
            );
        }
        let mut posts = self.0.posts.lock().unwrap();
        let thread = message["thread_ts"].as_str();
        if thread.is_some_and(|ts| ts != "1000.0001" || posts.is_empty()) {
            return Err("thread_not_found");
        }
        posts.push(message);
        Ok(json!({ "ok": true, "channel": "C1", "ts": format!("1000.{:04}", posts.len()) }))
    }

    fn place(&self, request: &Request) -> Result<Value, &'static str> {
        let form = String::from_utf8_lossy(&request.body).into_owned();
        let length = form.split('&').find_map(|pair| pair.strip_prefix("length=")?.parse().ok());
        let (Some(length), true) = (length, form.contains("filename=")) else {
            return Err("invalid_arguments");
        };
        let mut files = self.0.files.lock().unwrap();
        let id = format!("F{}", files.len());
        files.insert(id.clone(), (length, Vec::new(), false));
        Ok(
            json!({ "ok": true, "upload_url": format!("{}/upload/{id}", self.0.address.lock().unwrap()), "file_id": id }),
        )
    }

    fn bytes(&self, request: &Request) -> ResponseTemplate {
        let mut files = self.0.files.lock().unwrap();
        let id = request.url.path().trim_start_matches("/upload/");
        let token_kept_away = request.headers.get("authorization").is_none();
        match files.get_mut(id) {
            Some((length, bytes, _)) if *length == request.body.len() && token_kept_away => {
                bytes.clone_from(&request.body);
                ResponseTemplate::new(200)
            }
            _ => ResponseTemplate::new(400),
        }
    }

    fn share(&self, request: &Request) -> Result<Value, &'static str> {
        let body: Value = serde_json::from_slice(&request.body).map_err(|_| "invalid_json")?;
        if body["channel_id"] != "C1" || body["thread_ts"] != "1000.0001" {
            return Err("channel_not_found");
        }
        let mut files = self.0.files.lock().unwrap();
        let file =
            body["files"][0]["id"].as_str().and_then(|id| files.get_mut(id)).ok_or("file_not_found")?;
        file.2 = !file.1.is_empty();
        if file.2 { Ok(json!({ "ok": true })) } else { Err("file_upload_not_complete") }
    }

    fn webhook(&self, request: &Request) -> ResponseTemplate {
        let message: Value = serde_json::from_slice(&request.body).unwrap_or_default();
        if slack_rules::broken(&message).is_some() || message["blocks"].is_null() {
            return ResponseTemplate::new(400).set_body_string("invalid_blocks");
        }
        self.0.posts.lock().unwrap().push(message);
        ResponseTemplate::new(200).set_body_string("ok")
    }
}

async fn workspace(script: Vec<(&'static str, ResponseTemplate)>) -> (MockServer, Arc<Workspace>) {
    let server = MockServer::start().await;
    let workspace = Arc::new(Workspace { script: Mutex::new(script), ..Workspace::default() });
    *workspace.address.lock().unwrap() = server.uri();
    Mock::given(any()).respond_with(Rules(Arc::clone(&workspace))).mount(&server).await;
    (server, workspace)
}

fn settings(server: &MockServer) -> SlackSettings {
    SlackSettings {
        channel: Some("#ops".into()),
        token: Some(Secret::new(TOKEN)),
        webhook: None,
        files: vec![Format::Html.into()],
        api: format!("{}/api", server.uri()),
        http: HttpSettings::default(),
    }
}

fn webhook_of(server: &MockServer) -> Option<Secret> {
    Some(Secret::new(format!("{}/services/T024BE7LD/B01ABCDEF12/x7Kq2LmPa9wErT4yUiOp0ZcV", server.uri())))
}

#[test]
fn what_was_never_filled_in_is_refused() {
    let slack = |token: Option<&str>, webhook: Option<&str>| SlackSettings {
        channel: Some("#ops".into()),
        token: token.map(Secret::new),
        webhook: webhook.map(Secret::new),
        files: vec![],
        api: DEFAULT_API.into(),
        http: HttpSettings::default(),
    };
    let host = "https://hooks.slack.com";
    for path in ["", "/", "/services/", "/services/T024BE7LD", "/services/T024BE7LD/B01ABCDEF12/"] {
        let why = slack(None, Some(&format!("{host}{path}"))).check().unwrap_err();
        assert!(why.contains("it is a placeholder, parts of it are missing"), "{path}: {why}");
    }
    let whole = format!("{host}/services/T024BE7LD/B01ABCDEF12/x7Kq2LmPa9wErT4yUiOp0ZcV");
    assert_eq!(slack(None, Some(&whole)).check(), Ok(()));
    for token in ["xoxb-<token>", "xoxb-<your-bot-token>", "xoxb-1234 5678 abcd"] {
        let why = slack(Some(token), None).check().unwrap_err();
        assert!(why.contains("it is a placeholder") && !why.contains(token), "{why}");
    }
    assert_eq!(slack(Some(TOKEN), None).check(), Ok(()));
}

fn refusal(error: &str) -> ResponseTemplate {
    ResponseTemplate::new(200).set_body_json(json!({ "ok": false, "error": error }))
}

#[tokio::test]
async fn a_message_its_thread_and_the_page() {
    let (server, workspace) = workspace(vec![]).await;
    let (wait, pauses) = counting();
    let sink = Slack::new(settings(&server)).unwrap().waiting(wait);
    let delivery = delivery("pods-in-trouble").await;
    let receipt = sink.deliver(&delivery).await.unwrap();
    let posts = workspace.posts.lock().unwrap().clone();
    assert_eq!(receipt, Receipt::of("message, 1 reply, 1 file"));
    assert_eq!(posts.len(), 2);
    assert_eq!(posts[0]["channel"], "#ops");
    assert!(posts[1..].iter().all(|p| p["thread_ts"] == "1000.0001" && p["channel"] == "C1"));
    assert_eq!(*pauses.lock().unwrap(), vec![1; posts.len() + 1], "a second after each message and file");
    let files = workspace.files.lock().unwrap();
    let page = delivery.render(Format::Html).unwrap();
    assert_eq!(files["F0"], (page.len(), page.into_bytes(), true));
}

#[tokio::test]
async fn a_thousand_findings_and_hostile_names_keep_the_limits() {
    let (server, workspace) = workspace(vec![]).await;
    for name in ["hostile-names", "pods-in-trouble"] {
        let mut report = fixture(name).await;
        let mut calling = report.findings[0].clone();
        calling.subject.name = "@here <!channel> @Channel `rm` @everyone <http://x|y> & ".repeat(40);
        report.findings.push(calling);
        let few = report.findings.clone();
        report.findings = few.iter().cycle().take(1000).cloned().collect();
        let cluster = report.clusters[0].clone();
        report.clusters = vec![cluster; 100];
        let delivery = on_its_way(Content::of(report));
        workspace.posts.lock().unwrap().clear();
        let receipt =
            Slack::new(settings(&server)).unwrap().waiting(counting().0).deliver(&delivery).await.unwrap();
        assert_eq!(receipt.what, "message, 10 replies, 1 file", "bounded");
        for post in workspace.posts.lock().unwrap().iter() {
            assert_eq!(slack_rules::calls_somebody(post), None);
        }
    }
}

#[tokio::test]
async fn what_slack_refuses_is_explained() {
    for (answer, expected) in [
        (refusal("not_in_channel"), "Slack answered `not_in_channel`: the bot is no member of #ops; invite it"),
        (refusal("channel_not_found"), "Slack answered `channel_not_found`: there is no #ops that the bot can see"),
        (refusal("invalid_auth"), "Slack answered `invalid_auth`: Slack does not take the bot token"),
        (refusal("ratelimited"), "Slack answered `ratelimited`: too many messages"),
        (refusal("msg_too_long"), "Slack answered `msg_too_long`: the message breaks a rule"),
        (
            ResponseTemplate::new(200).set_body_json(
                json!({ "ok": false, "error": "invalid_blocks", "response_metadata": { "messages": ["bad [json-pointer:/blocks/0]"] } }),
            ),
            "Slack answered `invalid_blocks`: the message breaks a rule of Slack, which is a fault of this program; please report it with the output of `--format slack` (`bad [json-pointer:/blocks/0]`)",
        ),
        (
            ResponseTemplate::new(200).set_body_json(json!({ "ok": false, "error": "missing_scope", "needed": "chat:write" })),
            "Slack answered `missing_scope`: the bot lacks the scope `chat:write`",
        ),
        (ResponseTemplate::new(400).set_body_string(format!("bad {TOKEN}")), "answered 400: `bad [redacted]`"),
        (ResponseTemplate::new(302), "answered 302: no words; give the address that it leads to"),
        (ResponseTemplate::new(429).insert_header("retry-after", "3600"), "too many requests: asked to wait 3600 s"),
    ] {
        let (server, workspace) = workspace(vec![("chat.postMessage", answer)]).await;
        let sink = Slack::new(settings(&server)).unwrap().waiting(counting().0);
        let why = sink.deliver(&delivery("healthy").await).await.unwrap_err().to_string();
        assert!(why.starts_with(expected), "{why}");
        assert!(workspace.posts.lock().unwrap().is_empty(), "{why}: sent again");
    }
}

#[tokio::test]
async fn who_stays_busy_is_not_said_to_ask_for_a_long_pause() {
    let busy = || ("chat.postMessage", ResponseTemplate::new(429).insert_header("retry-after", "1"));
    let (server, _workspace) = workspace((0..4).map(|_| busy()).collect()).await;
    let sink = Slack::new(settings(&server)).unwrap().waiting(counting().0);
    let why = sink.deliver(&delivery("healthy").await).await.unwrap_err().to_string();
    assert_eq!(
        why,
        "too many requests: refused 4 times, also after the pauses that it asked for; deliver less often, or to fewer channels"
    );
}

#[tokio::test]
async fn faults_that_pass_are_waited_out() {
    let busy = |seconds| ResponseTemplate::new(429).insert_header("retry-after", seconds);
    let (server, workspace) = workspace(vec![
        ("chat.postMessage", refusal("ratelimited").insert_header("retry-after", "3")),
        ("chat.postMessage", busy("7")),
        ("getUploadURLExternal", ResponseTemplate::new(500)),
        ("upload/F0", ResponseTemplate::new(503)),
    ])
    .await;
    let (wait, pauses) = counting();
    let sink = Slack::new(settings(&server)).unwrap().waiting(wait);
    let receipt = sink.deliver(&delivery("healthy").await).await.unwrap();
    assert_eq!(receipt.missed, Vec::<String>::new());
    assert_eq!(
        *pauses.lock().unwrap(),
        [3, 7, 1, 1, 1, 1, 1],
        "as asked, with 200 or 429, the pace, and once more for what may come twice: an address and the bytes"
    );
    // The channel of another day: a thread hangs on its own first message.
    workspace.posts.lock().unwrap().clear();
    workspace.script.lock().unwrap().extend((0..4).map(|_| ("upload/F1", ResponseTemplate::new(500))));
    let receipt = sink.deliver(&delivery("healthy").await).await.unwrap();
    assert_eq!(receipt.missed, ["the html file: answered 500: no words"]);
}

/// Slack, or a proxy before it, fails after the message may have been posted.
#[tokio::test]
async fn what_slack_may_have_taken_is_not_posted_again() {
    for (answer, expected) in [
        (refusal("fatal_error"), "Slack answered `fatal_error`"),
        (refusal("internal_error"), "Slack answered `internal_error`"),
        (ResponseTemplate::new(500), "answered 500: no words"),
        (ResponseTemplate::new(502).set_body_string("Bad Gateway"), "answered 502: `Bad Gateway`"),
        (ResponseTemplate::new(504), "answered 504: no words"),
    ] {
        let (server, workspace) = workspace(vec![("chat.postMessage", answer)]).await;
        let both = SlackSettings { webhook: webhook_of(&server), ..settings(&server) };
        let sink = Slack::new(both).unwrap().waiting(counting().0);
        let why = sink.deliver(&delivery("healthy").await).await.unwrap_err();
        assert!(matches!(why, DeliverError::Unclear(_)), "{why}");
        assert_eq!(why.to_string(), format!("{expected}; it may have arrived, so it is not sent again"));
        assert!(workspace.posts.lock().unwrap().is_empty(), "{why}: sent again");
    }
}

#[tokio::test]
async fn what_a_webhook_of_a_chat_may_have_taken_is_not_posted_again() {
    let (server, workspace) = workspace(vec![("ZcV", ResponseTemplate::new(502))]).await;
    let alone =
        SlackSettings { token: None, files: vec![], webhook: webhook_of(&server), ..settings(&server) };
    let sink = Slack::new(alone).unwrap().waiting(counting().0);
    let why = sink.deliver(&delivery("healthy").await).await.unwrap_err().to_string();
    assert_eq!(why, "answered 502: no words; it may have arrived, so it is not sent again");
    assert!(workspace.posts.lock().unwrap().is_empty(), "sent again");
    let server = receiver(vec![ResponseTemplate::new(503), ResponseTemplate::new(202)]).await;
    let why = chat(&server, Chat::Teams, None).deliver(&delivery("healthy").await).await.unwrap_err();
    assert_eq!(why.to_string(), "answered 503: no words; it may have arrived, so it is not sent again");
    assert_eq!(server.received_requests().await.unwrap().len(), 1);
}

#[tokio::test]
async fn what_does_not_arrive_with_the_message_is_told() {
    let (server, workspace) = workspace(vec![
        ("getUploadURLExternal", refusal("missing_scope")),
        ("upload/F0", ResponseTemplate::new(500)),
    ])
    .await;
    let sink = Slack::new(settings(&server)).unwrap().waiting(counting().0);
    let receipt = sink.deliver(&delivery("healthy").await).await.unwrap();
    assert_eq!(receipt.missed.len(), 1);
    assert!(
        receipt.missed[0].starts_with("the html file: Slack answered `missing_scope`"),
        "{:?}",
        receipt.missed
    );
    let posts = workspace.posts.lock().unwrap().len();
    assert!(posts > 0);
}

#[tokio::test]
async fn the_webhook_stands_in_for_a_token_that_is_refused() {
    let (server, workspace) = workspace(vec![("chat.postMessage", refusal("token_revoked"))]).await;
    let both = SlackSettings { webhook: webhook_of(&server), ..settings(&server) };
    let receipt = Slack::new(both)
        .unwrap()
        .waiting(counting().0)
        .deliver(&delivery("pods-in-trouble").await)
        .await
        .unwrap();
    assert_eq!(receipt.what, "message by the webhook");
    assert!(receipt.missed[0].contains("`token_revoked`"), "{:?}", receipt.missed);
    assert_eq!(workspace.posts.lock().unwrap().len(), 1);
    let gone = ResponseTemplate::new(404).set_body_string("no_service");
    workspace.script.lock().unwrap().push(("ZcV", gone));
    let alone =
        SlackSettings { token: None, files: vec![], webhook: webhook_of(&server), ..settings(&server) };
    let why = Slack::new(alone)
        .unwrap()
        .waiting(counting().0)
        .deliver(&delivery("pods-in-trouble").await)
        .await
        .unwrap_err();
    assert_eq!(
        why.to_string(),
        "the webhook answered 404 `no_service`: the webhook is not valid any more; make a new one under Incoming Webhooks"
    );
}

#[tokio::test]
async fn who_does_not_answer_is_told_and_not_asked_twice() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let http = HttpSettings { timeout: Duration::from_millis(50), ..HttpSettings::default() };
    let to = |api: String| SlackSettings {
        channel: Some("#ops".into()),
        token: Some(Secret::new(TOKEN)),
        webhook: None,
        files: vec![],
        api,
        http: http.clone(),
    };
    let (wait, pauses) = counting();
    let silent = Slack::new(to(format!("http://127.0.0.1:{port}/api/"))).unwrap().waiting(wait);
    let why = silent.deliver(&delivery("healthy").await).await.unwrap_err();
    assert!(matches!(why, DeliverError::Unclear(_)), "{why}");
    assert_eq!(why.to_string(), "no answer in time; it may have arrived, so it is not sent again");
    assert_eq!(*pauses.lock().unwrap(), [1], "no pause before a repetition");
    drop(listener);
    let (wait, pauses) = counting();
    let closed = Slack::new(to(format!("http://127.0.0.1:{port}/api/"))).unwrap().waiting(wait);
    let why = closed.deliver(&delivery("healthy").await).await.unwrap_err().to_string();
    assert!(why.starts_with("cannot be reached: ") && !why.contains("xoxb"), "{why}");
    assert_eq!(pauses.lock().unwrap()[..3], [1, 2, 4]);
}

/// What a receiver got: path, headers, body.
async fn receiver(answers: Vec<ResponseTemplate>) -> MockServer {
    let server = MockServer::start().await;
    for answer in answers {
        Mock::given(any()).respond_with(answer).up_to_n_times(1).mount(&server).await;
    }
    server
}

#[tokio::test]
async fn a_webhook_gets_the_report_signed() {
    let server = receiver(vec![
        ResponseTemplate::new(500),
        ResponseTemplate::new(204),
        ResponseTemplate::new(403).set_body_string("no: sesame-1"),
    ])
    .await;
    let settings = WebhookSettings {
        url: Secret::new(format!("{}/in/hidden-path", server.uri())),
        secret: Some(Secret::new("sesame-1")),
        http: HttpSettings {
            headers: vec![("x-team".into(), Secret::new("core"))],
            ..HttpSettings::default()
        },
    };
    let sink = Webhook::new(settings).unwrap().waiting(counting().0);
    let delivery = delivery("pods-in-trouble").await;
    sink.deliver(&delivery).await.unwrap();
    let requests = server.received_requests().await.unwrap();
    let last = &requests[1];
    assert_eq!(last.body, delivery.render(Format::Json).unwrap().into_bytes());
    let header = |name: &str| last.headers[name].to_str().unwrap();
    assert_eq!((header("idempotency-key"), header("x-team")), ("k-1", "core"));
    let signature = header("x-healthcheck-signature-256").strip_prefix("sha256=").unwrap();
    let key = hmac::Key::new(hmac::HMAC_SHA256, b"sesame-1");
    let bytes: Vec<u8> =
        (0..64).step_by(2).map(|at| u8::from_str_radix(&signature[at..at + 2], 16).unwrap()).collect();
    hmac::verify(&key, &last.body, &bytes).unwrap();
    let why = sink.deliver(&delivery).await.unwrap_err().to_string();
    assert_eq!(why, "answered 403: `no: [redacted]`; check the credentials");
}

#[tokio::test]
async fn a_pushgateway_gets_samples_in_place_of_the_last() {
    let server = receiver(vec![ResponseTemplate::new(200)]).await;
    let settings = PushgatewaySettings {
        url: format!("{}/push/", server.uri()),
        job: "healthcheck".into(),
        http: HttpSettings::default(),
    };
    Pushgateway::new(settings)
        .unwrap()
        .waiting(counting().0)
        .deliver(&delivery("pods-in-trouble").await)
        .await
        .unwrap();
    let requests = server.received_requests().await.unwrap();
    assert_eq!(
        (requests[0].method.as_str(), requests[0].url.path()),
        ("PUT", "/push/metrics/job/healthcheck")
    );
    assert!(String::from_utf8_lossy(&requests[0].body).ends_with("# EOF\n"));
}

#[tokio::test]
async fn files_have_the_name_of_their_report_and_stay_in_their_folder() {
    let folder = tempfile::tempdir().unwrap();
    let settings = FileSettings {
        path: folder.path().join("new/{cluster}-{date}.{format}"),
        format: Format::Markdown.into(),
    };
    let sink = FileSink::new(settings).unwrap();
    let mut report = fixture("healthy").await;
    sink.deliver(&on_its_way(Content::of(report.clone()))).await.unwrap();
    report.clusters[0].name = "../../etc/x".into();
    let delivery = on_its_way(Content::of(report));
    sink.deliver(&delivery).await.unwrap();
    let mut names: Vec<String> = std::fs::read_dir(folder.path().join("new"))
        .unwrap()
        .map(|e| e.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(names, ["-..-etc-x-2026-11-20.md", "prod-2026-11-20.md"]);
    let nowhere = FileSettings {
        path: folder.path().join("new/prod-2026-11-20.md/x.md"),
        format: Format::Markdown.into(),
    };
    let why = FileSink::new(nowhere).unwrap().deliver(&delivery).await.unwrap_err().to_string();
    assert!(why.contains("x.md: cannot be written: "), "{why}");
}

/// A template of a user.
fn template() -> healthcore_report::Template {
    healthcore_report::Template::new("templates/daily.md.j2", "# {{ verdict }}\n".to_owned()).unwrap()
}

#[tokio::test]
async fn a_file_is_written_by_a_template() {
    let folder = tempfile::tempdir().unwrap();
    let written = |source: &str| {
        let template = healthcore_report::Template::new("daily.md.j2", source.to_owned()).unwrap();
        let path = folder.path().join("{cluster}.{format}");
        FileSink::new(FileSettings { path, format: Writing::Own(Box::new(template)) }).unwrap()
    };
    let delivery = on_its_way(Content::of(fixture("healthy").await));
    written("# {{ verdict }}\n").deliver(&delivery).await.unwrap();
    assert_eq!(std::fs::read_to_string(folder.path().join("prod.md")).unwrap(), "# healthy\n");
    let why = written("{{ verdikt }}").deliver(&delivery).await.unwrap_err().to_string();
    assert!(why.starts_with("template daily.md.j2:1: "), "{why}");
    assert_eq!(
        std::fs::read_to_string(folder.path().join("prod.md")).unwrap(),
        "# healthy\n",
        "what was there stays"
    );
}

/// A mistake is told before anybody sees half of it.
#[tokio::test]
async fn slack_has_files_by_templates() {
    let (server, workspace) = workspace(vec![]).await;
    let sink = |template| {
        let files = vec![Writing::Own(Box::new(template))];
        Slack::new(SlackSettings { files, ..settings(&server) }).unwrap().waiting(counting().0)
    };
    let delivery = on_its_way(Content::of(fixture("healthy").await));
    let wrong = healthcore_report::Template::new("daily.md.j2", "a\n{{ verdikt }}".to_owned()).unwrap();
    let why = sink(wrong).deliver(&delivery).await.unwrap_err().to_string();
    assert!(why.starts_with("template daily.md.j2:2: "), "{why}");
    assert!(workspace.posts.lock().unwrap().is_empty(), "a message without its file");
    sink(template()).deliver(&delivery).await.unwrap();
    assert_eq!(workspace.files.lock().unwrap()["F0"], (10, b"# healthy\n".to_vec(), true));
}

/// Takes everything, and notes it; or fails. What is last tells it from others.
struct Notes(Arc<Mutex<Vec<Content>>>, bool, &'static str);

#[async_trait]
impl Sink for Notes {
    fn name(&self) -> String {
        "notes".into()
    }
    fn target(&self) -> String {
        self.2.into()
    }
    async fn deliver(&self, delivery: &Delivery) -> Result<Receipt, DeliverError> {
        self.0.lock().unwrap().push(delivery.content.clone());
        if self.1 { Ok(Receipt::of("all")) } else { Err(DeliverError::Refused("no".into())) }
    }
}

/// The reports that were noted.
fn reports(seen: &Mutex<Vec<Content>>) -> Vec<Report> {
    let seen = seen.lock().unwrap().clone().into_iter();
    seen.filter_map(|content| if let Content::Report(report) = content { Some(*report) } else { None })
        .collect()
}

fn notes(works: bool) -> (Route, Arc<Mutex<Vec<Content>>>) {
    let seen = Arc::new(Mutex::new(Vec::new()));
    (Route::new(Box::new(Notes(Arc::clone(&seen), works, "notes"))), seen)
}

fn notes_at(target: &'static str) -> Route {
    Route::new(Box::new(Notes(Arc::default(), true, target)))
}

/// Notes its name when its turn comes.
struct Turn(&'static str, bool, Arc<Mutex<Vec<&'static str>>>);

#[async_trait]
impl Sink for Turn {
    fn name(&self) -> String {
        self.0.into()
    }
    fn has_template(&self) -> bool {
        self.1
    }
    async fn deliver(&self, _: &Delivery) -> Result<Receipt, DeliverError> {
        self.2.lock().unwrap().push(self.0);
        Ok(Receipt::of("all"))
    }
}

/// A template that takes all memory ends the program: everybody else was told by then.
#[tokio::test]
async fn templates_of_users_come_last() {
    let turns = Arc::new(Mutex::new(Vec::new()));
    let route = |name, own| Route::new(Box::new(Turn(name, own, Arc::clone(&turns))));
    let routes = vec![route("a", true), route("b", false), route("c", true), route("d", false)];
    let deliverer = Deliverer { routes, ..Deliverer::default() };
    let outcomes = deliverer.deliver(&fixture("healthy").await).await;
    assert_eq!(*turns.lock().unwrap(), ["b", "d", "a", "c"]);
    let told: Vec<&str> = outcomes.iter().map(|outcome| &*outcome.to).collect();
    assert_eq!(told, ["deliver (a)", "deliver (b)", "deliver (c)", "deliver (d)"]);
    let own = || Writing::Own(Box::new(template()));
    let path = || std::path::PathBuf::from("x.{format}");
    let file = |format| FileSink::new(FileSettings { path: path(), format }).unwrap().has_template();
    assert_eq!([file(own()), file(Format::Html.into())], [true, false]);
    assert_eq!([StdoutSink(own()), StdoutSink(Format::Html.into())].map(|s| s.has_template()), [true, false]);
}

#[tokio::test]
async fn who_gets_what_and_when() {
    let demo = fixture("demo").await;
    let (mut route, seen) = notes(true);
    route.selection = Selection {
        floor: Severity::Critical,
        clusters: vec!["pr*".into()],
        namespaces: vec!["wallet".into(), "log*".into()],
    };
    let (mut elsewhere, none) = notes(true);
    elsewhere.selection.clusters = vec!["stg".into()];
    elsewhere.when = When::Problems;
    let (mut calm, nothing) = notes(true);
    calm.selection =
        Selection { namespaces: vec!["shop".into()], floor: Severity::Critical, ..Selection::default() };
    calm.when = When::Problems;
    let deliverer = Deliverer { routes: vec![route, elsewhere, calm], ..Deliverer::default() };
    let outcomes = deliverer.deliver(&demo).await;
    let seen = reports(&seen);
    let own = |f: &&healthcore::finding::Finding| {
        ["wallet", "logging"].contains(&f.subject.namespace.as_str()) && f.severity == Severity::Critical
    };
    assert!(!seen[0].findings.is_empty() && seen[0].findings.iter().eq(demo.findings.iter().filter(own)));
    assert_eq!(seen[0].clusters[0].namespaces.len(), 2);
    assert_eq!(seen[0].clusters[0].found.critical, seen[0].findings.len() as u64);
    assert!(seen[0].clusters[0].pods < demo.clusters[0].pods);
    assert!(reports(&none)[0].is_blind(), "a route that no cluster fits sees nothing, and says so");
    assert!(nothing.lock().unwrap().is_empty());
    assert_eq!(outcomes[2].result.as_ref().unwrap(), &Delivered::NotSent("there is no problem"));
}

#[tokio::test]
async fn a_change_is_what_the_report_calls_one() {
    let mut report = fixture("pods-in-trouble").await;
    let refuses = |report: &Report| When::Changes.refuses(&Content::of(report.clone()));
    assert_eq!(refuses(&report), None, "nothing to compare with");
    report.changes = Some(Changes::default());
    assert_eq!(refuses(&report), None, "the first run");
    let before = BTreeMap::from([("prod".to_owned(), Timestamp(0))]);
    report.changes = Some(Changes { before, ..Changes::default() });
    report.findings.iter_mut().for_each(|f| f.state = Some(State::Ongoing));
    assert_eq!(refuses(&report), Some("nothing has changed"));
    report.findings[1].state = Some(State::Worse);
    assert_eq!(refuses(&report), None);
}

#[tokio::test]
async fn what_could_not_be_looked_for_yesterday_either_is_no_change() {
    let mut report = fixture("pods-in-trouble").await;
    report.findings.iter_mut().for_each(|f| f.state = Some(State::Ongoing));
    let finding = report.findings[0].clone();
    let mut gone = |state, last| {
        let was = Kept {
            fingerprint: finding.fingerprint.clone(),
            check: finding.check.to_string(),
            severity: finding.severity,
            subject: finding.subject.clone(),
            summary: finding.summary.clone(),
            first: Timestamp(0),
            last: Timestamp(last),
            told: None,
            near: None,
        };
        let before = BTreeMap::from([(finding.subject.cluster.clone(), Timestamp(2))]);
        report.changes = Some(Changes { before, gone: vec![Gone { state, was }], ..Changes::default() });
        When::Changes.refuses(&Content::of(report.clone()))
    };
    assert_eq!(gone(State::NotChecked, 2), None, "the run before saw it");
    assert_eq!(
        gone(State::NotChecked, 1),
        Some("nothing has changed"),
        "the run before could not look either"
    );
    assert_eq!(gone(State::Resolved, 1), None);
}

#[tokio::test]
async fn the_same_report_is_sent_once_and_a_failure_again() {
    let folder = tempfile::tempdir().unwrap();
    let history = History::open(&folder.path().display().to_string(), Retention::default()).unwrap();
    let (works, seen) = notes(true);
    let (fails, tried) = notes(false);
    let fails = Route { place: "deliver[1]".into(), required: true, ..fails };
    let deliverer = Deliverer { routes: vec![works, fails], history: Some(history), ..Deliverer::default() };
    let mut report = fixture("healthy").await;
    let first = deliverer.deliver(&report).await;
    assert!(first[0].faults().is_empty());
    assert_eq!((first[1].faults(), first[1].required), (vec!["deliver[1] (notes): no".to_owned()], true));
    // What it cost is another each time.
    report.cost.seconds += 1.0;
    let again = deliverer.deliver(&report).await;
    assert_eq!(again[0].result.as_ref().unwrap(), &Delivered::NotSent("this report was sent there already"));
    assert_eq!((seen.lock().unwrap().len(), tried.lock().unwrap().len()), (1, 2));
    report.taken_at = report.taken_at.plus_seconds(60.0);
    deliverer.deliver(&report).await;
    assert_eq!(seen.lock().unwrap().len(), 2);
}

/// A program that has reports in a folder, and no history, knows what it sent all the same.
#[tokio::test]
async fn what_was_sent_is_known_without_a_history() {
    let folder = tempfile::tempdir().unwrap();
    let reports = crate::reports::ReportFolder::open(folder.path(), 1).unwrap();
    let (route, seen) = notes(true);
    let deliverer =
        Deliverer { routes: vec![route], sent: Some(reports.deliveries().unwrap()), ..Deliverer::default() };
    let report = fixture("healthy").await;
    deliverer.deliver(&report).await;
    let again = deliverer.deliver(&report).await;
    assert_eq!(again[0].result.as_ref().unwrap(), &Delivered::NotSent("this report was sent there already"));
    assert_eq!(seen.lock().unwrap().len(), 1);
    assert_eq!(reports.latest_instant().unwrap(), None, "what is remembered is no report");
}

/// Who puts an entry above another changes nothing for the readers of the other.
#[tokio::test]
async fn what_was_sent_is_known_wherever_the_entry_stands() {
    let folder = tempfile::tempdir().unwrap();
    let history = History::open(&folder.path().display().to_string(), Retention::default()).unwrap();
    let report = fixture("healthy").await;
    let sent = |routes: Vec<Route>| {
        let (history, report) = (history.clone(), &report);
        async move {
            let deliverer = Deliverer { routes, history: Some(history), ..Deliverer::default() };
            let outcomes = deliverer.deliver(report).await;
            outcomes.iter().map(|o| matches!(o.result, Ok(Delivered::Sent(_)))).collect::<Vec<_>>()
        }
    };
    let (one, two) = ("https://hooks.corp.net/s3cret-1", "https://hooks.corp.net/s3cret-2");
    assert_eq!(sent(vec![notes_at(one), notes_at(two)]).await, [true, true]);
    let moved = |route: Route, place: &str| Route { place: place.into(), ..route };
    let again = vec![
        moved(notes_at("stdout"), "deliver[0]"),
        moved(notes_at(two), "deliver[1]"),
        moved(notes_at(one), "deliver[2]"),
    ];
    assert_eq!(sent(again).await, [true, false, false]);
    let mut narrower = notes_at(one);
    narrower.selection.floor = Severity::Critical;
    assert_eq!(sent(vec![narrower]).await, [true], "another choice is another entry");
    assert_eq!(sent(vec![notes_at(one), notes_at(one)]).await, [false, true], "two that are all the same");
    for file in std::fs::read_dir(folder.path().join("deliveries")).unwrap() {
        let path = file.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(!format!("{} {text}", path.display()).contains("s3cret"), "{text}");
    }
}

/// Says always the same, and counts how often it was asked.
pub(crate) struct Says(
    pub(crate) Arc<AtomicUsize>,
    pub(crate) fn() -> Result<Receipt, DeliverError>,
    pub(crate) bool,
);

#[async_trait]
impl Sink for Says {
    fn name(&self) -> String {
        "says".into()
    }
    fn takes_key(&self) -> bool {
        self.2
    }
    async fn deliver(&self, _delivery: &Delivery) -> Result<Receipt, DeliverError> {
        self.0.fetch_add(1, Ordering::Relaxed);
        (self.1)()
    }
}

/// A Job makes another pod where one failed: because of one entry only, or of a full disk.
#[tokio::test]
async fn a_run_that_is_made_again_sends_only_what_did_not_arrive() {
    let folder = tempfile::tempdir().unwrap();
    let history = History::open(&folder.path().display().to_string(), Retention::default()).unwrap();
    let refuses: fn() -> _ = || Err(DeliverError::Refused("answered 400".into()));
    let unclear: fn() -> _ = || Err(DeliverError::Unclear("answered 502".into()));
    let answers = [(|| Ok(Receipt::of("message"))) as fn() -> _, refuses, unclear, unclear];
    let asked: [Arc<AtomicUsize>; 4] = Default::default();
    let route = |at: usize| Route::new(Box::new(Says(Arc::clone(&asked[at]), answers[at], at == 3)));
    let routes = (0..4).map(route).collect();
    let mut deliverer = Deliverer { routes, history: Some(history), ..Deliverer::default() };
    let mut report = fixture("healthy").await;
    let mut counts = Vec::new();
    let mut told = Vec::new();
    for run in [Some("job-1"), Some("job-1"), Some("job-2"), None, None] {
        report.taken_at = report.taken_at.plus_seconds(60.0);
        deliverer.run = run.map(Into::into);
        told.push(deliverer.deliver(&report).await);
        counts.push(asked.each_ref().map(|n| n.load(Ordering::Relaxed)));
    }
    assert_eq!(counts, [[1, 1, 1, 1], [1, 2, 1, 2], [2, 3, 2, 3], [3, 4, 3, 4], [4, 5, 4, 5]]);
    assert_eq!(
        told[1][0].result.as_ref().unwrap(),
        &Delivered::NotSent("this report was sent there already")
    );
    assert_eq!(
        told[1][2].faults(),
        [
            "deliver (says): an earlier try to send it has no answer so far; it may have arrived, so it is not sent again"
        ],
        "who wants to be sure that it arrived is told each time"
    );
}

/// Tells that it was asked, and never answers.
pub(crate) struct Hangs(pub(crate) Arc<tokio::sync::Notify>);

#[async_trait]
impl Sink for Hangs {
    fn name(&self) -> String {
        "says".into()
    }
    async fn deliver(&self, _delivery: &Delivery) -> Result<Receipt, DeliverError> {
        self.0.notify_one();
        std::future::pending().await
    }
}

#[tokio::test]
async fn what_a_program_was_sending_when_it_was_killed_is_not_sent_again() {
    let folder = tempfile::tempdir().unwrap();
    let history = History::open(&folder.path().display().to_string(), Retention::default()).unwrap();
    let deliverer = |sink: Box<dyn Sink>| Deliverer {
        routes: vec![Route::new(sink)],
        history: Some(history.clone()),
        run: Some("job-1".into()),
        ..Deliverer::default()
    };
    let report = fixture("healthy").await;
    let sending = Arc::new(tokio::sync::Notify::new());
    let killed = deliverer(Box::new(Hangs(Arc::clone(&sending))));
    tokio::select! {
        _ = killed.deliver(&report) => unreachable!("it hangs"),
        () = sending.notified() => {}
    }
    let asked = Arc::new(AtomicUsize::new(0));
    let next = deliverer(Box::new(Says(Arc::clone(&asked), || Ok(Receipt::of("message")), false)));
    let outcomes = next.deliver(&report).await;
    assert!(matches!(outcomes[0].result, Err(DeliverError::Unclear(_))), "{outcomes:?}");
    assert_eq!(asked.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn of_programs_that_begin_at_once_one_sends() {
    let folder = tempfile::tempdir().unwrap();
    let history = History::open(&folder.path().display().to_string(), Retention::default()).unwrap();
    let asked = Arc::new(AtomicUsize::new(0));
    let one = || Deliverer {
        routes: vec![Route::new(Box::new(Says(Arc::clone(&asked), || Ok(Receipt::of("message")), false)))],
        history: Some(history.clone()),
        run: Some("job-1".into()),
        ..Deliverer::default()
    };
    let report = fixture("healthy").await;
    let programs: Vec<Deliverer> = (0..8).map(|_| one()).collect();
    let told = futures::future::join_all(programs.iter().map(|program| program.deliver(&report))).await;
    assert_eq!(asked.load(Ordering::Relaxed), 1, "{told:?}");
}

/// Pods of one Job may look at a cluster each.
#[tokio::test]
async fn programs_of_one_run_that_look_at_other_clusters_send_each() {
    let folder = tempfile::tempdir().unwrap();
    let history = History::open(&folder.path().display().to_string(), Retention::default()).unwrap();
    let asked = Arc::new(AtomicUsize::new(0));
    let deliverer = Deliverer {
        routes: vec![Route::new(Box::new(Says(Arc::clone(&asked), || Ok(Receipt::of("message")), false)))],
        history: Some(history),
        run: Some("job-1".into()),
        ..Deliverer::default()
    };
    for (cluster, expected) in [("a", 1), ("b", 2), ("a", 2)] {
        let mut report = fixture("healthy").await;
        report.clusters[0].name = cluster.to_owned();
        deliverer.deliver(&report).await;
        assert_eq!(asked.load(Ordering::Relaxed), expected, "{cluster}");
    }
}

#[tokio::test]
async fn a_sink_that_panics_costs_its_delivery_only() {
    struct Panics;
    #[async_trait]
    impl Sink for Panics {
        fn name(&self) -> String {
            "panics".into()
        }
        async fn deliver(&self, _delivery: &Delivery) -> Result<Receipt, DeliverError> {
            panic!("a mistake")
        }
    }
    let asked = Arc::new(AtomicUsize::new(0));
    let says = Says(Arc::clone(&asked), || Ok(Receipt::of("message")), false);
    let routes = vec![Route::new(Box::new(Panics)), Route::new(Box::new(says))];
    let told = Deliverer { routes, ..Deliverer::default() }.deliver(&fixture("healthy").await).await;
    assert_eq!(
        told[0].faults(),
        [
            "deliver (panics): the delivery panicked, which is a bug; it may have arrived, so it is not sent again"
        ]
    );
    assert_eq!(asked.load(Ordering::Relaxed), 1);
}

/// The second try of a run saw more than the first, whose report was sent.
#[tokio::test]
async fn what_came_between_two_tries_of_a_run_is_news_in_the_next_run() {
    let folder = tempfile::tempdir().unwrap();
    let history = History::open(&folder.path().display().to_string(), Retention::default()).unwrap();
    let (route, seen) = notes(true);
    let mut deliverer =
        Deliverer { routes: vec![route], history: Some(history.clone()), ..Deliverer::default() };
    for (run, minutes, findings) in [("job-1", 0.0, 1), ("job-1", 10.0, 3), ("job-2", 1440.0, 3)] {
        deliverer.run = Some(run.into());
        deliverer.deliver(&later(&history, minutes, findings).await).await;
    }
    let seen = seen.lock().unwrap();
    assert_eq!(seen.len(), 2);
    assert_eq!(states(&seen[1]), [State::Ongoing, State::New, State::New]);
}

#[tokio::test]
async fn a_target_is_told_from_others_on_the_same_host() {
    let http = HttpSettings::default;
    let webhook = |url: &str| {
        let settings = WebhookSettings { url: Secret::new(url), secret: None, http: http() };
        Webhook::new(settings).unwrap().target()
    };
    assert_ne!(webhook("https://hooks.corp.net/in/1"), webhook("https://hooks.corp.net/in/2"));
    let group = |url: &str| {
        let settings =
            ChatSettings { chat: Chat::DingTalk, url: Secret::new(url), secret: None, http: http() };
        ChatSink::new(settings).unwrap().target()
    };
    let robot = "https://oapi.dingtalk.com/robot/send?access_token=";
    assert_ne!(group(&format!("{robot}0123abcd")), group(&format!("{robot}4567cdef")));
    let mail = |to: &[&str]| {
        let settings = EmailSettings {
            host: "smtp.corp.net".into(),
            port: 587,
            security: Security::StartTls,
            credentials: None,
            from: "healthcheck@corp.net".into(),
            to: to.iter().map(|&to| to.to_owned()).collect(),
            attach: Vec::new(),
            timeout: Duration::from_secs(1),
            ca_file: None,
        };
        Email::new(settings).unwrap().target()
    };
    assert_ne!(mail(&["a@corp.net", "b@corp.net"]), mail(&["a@corp.net", "c@corp.net"]));
    assert_eq!(mail(&["a@corp.net", "b@corp.net"]), mail(&["b@corp.net", "a@corp.net"]));
}

/// A report of some minutes later, compared with the history and remembered, as a run does it.
async fn later(history: &History, minutes: f64, findings: usize) -> Report {
    let mut report = fixture("pods-in-trouble").await;
    report.findings.truncate(findings);
    report.taken_at = report.taken_at.plus_seconds(minutes * 60.0);
    crate::finish(&mut report, Some(history), None).await;
    report
}

fn states(content: &Content) -> Vec<State> {
    let Content::Report(report) = content else { return Vec::new() };
    states_of(report)
}

fn states_of(report: &Report) -> Vec<State> {
    report.findings.iter().filter_map(|f| f.state).collect()
}

/// A run is remembered before its report is delivered, so the next one finds in the history what nobody has read.
#[tokio::test]
async fn a_change_is_news_until_it_has_arrived() {
    for when in [When::Changes, When::Always] {
        let folder = tempfile::tempdir().unwrap();
        let history = History::open(&folder.path().display().to_string(), Retention::default()).unwrap();
        let deliverer = |(route, seen): (Route, Arc<Mutex<Vec<Content>>>)| {
            let routes = vec![Route { when, ..route }];
            (Deliverer { routes, history: Some(history.clone()), ..Deliverer::default() }, seen)
        };
        let (up, seen) = deliverer(notes(true));
        let (down, tried) = deliverer(notes(false));
        up.deliver(&later(&history, 0.0, 1).await).await;
        // Two findings come while the receiver is down, for two runs.
        for minutes in [10.0, 20.0] {
            let failed = down.deliver(&later(&history, minutes, 3).await).await;
            assert!(failed[0].result.is_err());
            assert_eq!(
                states(tried.lock().unwrap().last().unwrap()),
                [State::Ongoing, State::New, State::New]
            );
        }
        let report = later(&history, 30.0, 3).await;
        assert_eq!(states_of(&report), [State::Ongoing; 3], "what the history says");
        let outcome = up.deliver(&report).await;
        assert_eq!(outcome[0].faults(), Vec::<String>::new());
        let told = seen.lock().unwrap().last().unwrap().clone();
        assert_eq!(states(&told), [State::Ongoing, State::New, State::New], "{when:?}");
        // Once told, they are no news.
        let again = up.deliver(&later(&history, 40.0, 3).await).await;
        match when {
            When::Changes => {
                assert_eq!(again[0].result.as_ref().unwrap(), &Delivered::NotSent("nothing has changed"));
            }
            _ => assert_eq!(states(seen.lock().unwrap().last().unwrap()), [State::Ongoing; 3]),
        }
    }
}

/// Its first delivery failed, or it is new in the configuration.
#[tokio::test]
async fn a_route_that_was_never_told_anything_gets_what_there_is() {
    let folder = tempfile::tempdir().unwrap();
    let history = History::open(&folder.path().display().to_string(), Retention::default()).unwrap();
    let (route, seen) = notes(true);
    let routes = vec![Route { when: When::Changes, ..route }];
    let deliverer = Deliverer { routes, history: Some(history.clone()), ..Deliverer::default() };
    later(&history, 0.0, 3).await;
    for minutes in [10.0, 20.0, 30.0] {
        deliverer.deliver(&later(&history, minutes, 3).await).await;
    }
    assert_eq!(seen.lock().unwrap().len(), 1);
}

fn chat(server: &MockServer, chat: Chat, secret: Option<&str>) -> ChatSink {
    let url = Secret::new(format!("{}/robot/send?access_token=0123abcd", server.uri()));
    let settings = ChatSettings { chat, url, secret: secret.map(Secret::new), http: HttpSettings::default() };
    ChatSink::new(settings).unwrap().at(|| 1_700_000_000_123, counting().0)
}

#[tokio::test]
async fn cards_are_posted_and_signed() {
    let server = receiver(vec![
        ResponseTemplate::new(202),
        ResponseTemplate::new(200).set_body_json(json!({ "errcode": 0, "errmsg": "ok" })),
        ResponseTemplate::new(200).set_body_json(json!({ "code": 0, "msg": "success" })),
    ])
    .await;
    let delivery = delivery("healthy").await;
    for (kind, secret) in
        [(Chat::Teams, None), (Chat::DingTalk, Some("SEC-1")), (Chat::Feishu, Some("SEC-1"))]
    {
        chat(&server, kind, secret).deliver(&delivery).await.unwrap();
    }
    let requests = server.received_requests().await.unwrap();
    let body = |at: usize| serde_json::from_slice::<Value>(&requests[at].body).unwrap();
    assert_eq!(body(0)["attachments"][0]["content"]["type"], "AdaptiveCard");
    // By `printf '1700000000123\nSEC-1' | openssl dgst -sha256 -hmac SEC-1 -binary | base64`.
    let query: BTreeMap<_, _> = requests[1].url.query_pairs().into_owned().collect();
    assert_eq!(query["timestamp"], "1700000000123");
    assert_eq!(query["sign"], "/a/uoNVy17gHG2phLfKU8/Eji6zgPiFznbl7txqzD34=");
    // By `printf '' | openssl dgst -sha256 -hmac $'1700000000\nSEC-1' -binary | base64`.
    assert_eq!(
        (body(2)["timestamp"].as_str(), body(2)["sign"].as_str()),
        (Some("1700000000"), Some("iM5Yj8eLG1nzQQPovxKpmJsQN2AfAQJJxVjOse+vaRM="))
    );
}

#[tokio::test]
async fn what_chats_refuse_is_explained() {
    for (kind, answer, expected) in [
        (
            Chat::DingTalk,
            ResponseTemplate::new(200)
                .set_body_json(json!({ "errcode": 310000, "errmsg": "keywords not in content" })),
            "answered 310000: `keywords not in content`; the text lacks the keyword of the bot",
        ),
        (
            Chat::Feishu,
            ResponseTemplate::new(200)
                .set_body_json(json!({ "code": 19021, "msg": "sign match fail, 0123abcd" })),
            "answered 19021: `sign match fail, [redacted]`; the signature is wrong",
        ),
        (Chat::Teams, ResponseTemplate::new(401), "answered 401: no words; check the credentials"),
    ] {
        let server = receiver(vec![answer]).await;
        let why =
            chat(&server, kind, None).deliver(&delivery("healthy").await).await.unwrap_err().to_string();
        assert!(why.starts_with(expected), "{why}");
    }
}

/// A server of SMTP that takes mail unless the recipient is `nobody`, and for `later` at the second time; what it was sent.
fn smtp() -> (u16, Arc<Mutex<String>>) {
    use std::io::{BufRead as _, BufReader, Write as _};
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let heard = Arc::new(Mutex::new(String::new()));
    let noted = Arc::clone(&heard);
    std::thread::spawn(move || {
        let times = |line: &str| noted.lock().unwrap().lines().filter(|heard| *heard == line).count();
        for stream in listener.incoming() {
            let mut out = stream.unwrap();
            let mut lines = BufReader::new(out.try_clone().unwrap()).lines();
            let mut in_data = false;
            out.write_all(b"220 sink\r\n").unwrap();
            while let Some(Ok(line)) = lines.next() {
                noted.lock().unwrap().push_str(&format!("{line}\n"));
                let answer = match &line[..line.len().min(4)] {
                    "." => "250 taken",
                    _ if in_data => continue,
                    "DATA" => "354 go on",
                    "RCPT" if line.contains("nobody") => "550 no such user",
                    "RCPT" if line.contains("later") && times(&line) == 1 => "451 come back",
                    "QUIT" => "221 bye",
                    _ => "250 ok",
                };
                in_data = answer.starts_with("354");
                out.write_all(format!("{answer}\r\n").as_bytes()).unwrap();
                if answer.starts_with("221") {
                    break;
                }
            }
        }
    });
    (port, heard)
}

/// Mail by a server on this machine.
fn mail_by(port: u16, to: &[&str]) -> EmailSettings {
    EmailSettings {
        host: "127.0.0.1".into(),
        port,
        security: Security::None,
        credentials: None,
        from: "Doctor <doctor@corp.net>".into(),
        to: to.iter().map(|address| (*address).to_owned()).collect(),
        attach: vec![],
        timeout: Duration::from_secs(20),
        ca_file: None,
    }
}

#[tokio::test]
async fn one_wrong_address_costs_nobody_else_the_mail() {
    let delivery = on_its_way(Content::of(fixture("healthy").await));
    let (port, heard) = smtp();
    let (wait, pauses) = counting();
    let to = ["nobody@corp.net", "sre@corp.net", "later@corp.net"];
    let receipt = Email::new(mail_by(port, &to)).unwrap().waiting(wait).deliver(&delivery).await.unwrap();
    assert_eq!(receipt.what, "mail to 2 of 3");
    let [missed] = &receipt.missed[..] else { panic!("{:?}", receipt.missed) };
    assert!(missed.starts_with("nobody@corp.net: ") && missed.contains("no such user"), "{missed}");
    // Who has it does not get it again, and a mailbox that is not there is not asked again.
    let count = |line: &str| heard.lock().unwrap().lines().filter(|heard| *heard == line).count();
    let asked = to.map(|address| count(&format!("RCPT TO:<{address}>")));
    assert_eq!((asked, count("DATA"), pauses.lock().unwrap().len()), ([1, 1, 2], 2, 1));

    let (port, heard) = smtp();
    let to = ["nobody@corp.net", "nobody-else@corp.net"];
    let why = Email::new(mail_by(port, &to)).unwrap().deliver(&delivery).await.unwrap_err().to_string();
    assert!(to.iter().all(|address| why.contains(&format!("{address}: "))), "{why}");
    assert!(!heard.lock().unwrap().contains("DATA"), "there is nobody to send it to");
}

#[tokio::test]
async fn a_mail_has_text_and_html_and_no_foreign_header() {
    let (port, heard) = smtp();
    let settings = EmailSettings {
        attach: vec![Format::Json.into(), Writing::Own(Box::new(template()))],
        ..mail_by(port, &["sre@corp.net", "Ops <ops@corp.net>"])
    };
    let mut report = fixture("healthy").await;
    report.clusters[0].name = "prod\r\nBcc: all@corp.net\r\n\r\nx".into();
    let delivery = on_its_way(Content::of(report));
    Email::new(settings.clone()).unwrap().deliver(&delivery).await.unwrap();
    let mail = heard.lock().unwrap().clone();
    for part in [
        "MAIL FROM:<doctor@corp.net>",
        "RCPT TO:<sre@corp.net>",
        "RCPT TO:<ops@corp.net>",
        "Message-ID: <k-1@corp.net>",
        "Subject: Health report of prod",
        "multipart/alternative",
        "text/html",
        "healthcheck-prod--Bcc",
        // The file of the template, and what it makes.
        "-2026-11-20.md\"",
        "# healthy",
    ] {
        assert!(mail.contains(part), "{part}\n{mail}");
    }
    assert!(!mail.lines().any(|l| l.starts_with("Bcc")), "{mail}");
    let to_nobody = EmailSettings { to: vec!["nobody@corp.net".into()], ..settings.clone() };
    let why = Email::new(to_nobody).unwrap().deliver(&delivery).await.unwrap_err().to_string();
    assert!(why.contains("no such user") && why.contains("check `from` and `to`"), "{why}");
    let tls = EmailSettings { security: Security::StartTls, ..settings.clone() };
    let why = Email::new(tls).unwrap().deliver(&delivery).await.unwrap_err().to_string();
    assert!(why.to_lowercase().contains("starttls"), "{why}");
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let (wait, pauses) = counting();
    let nobody = Email::new(EmailSettings { port: closed, ..settings.clone() }).unwrap().waiting(wait);
    let why = nobody.deliver(&delivery).await.unwrap_err();
    assert!(matches!(why, DeliverError::Unreachable(_)), "{why}");
    assert_eq!(*pauses.lock().unwrap(), [2, 4]);
    let open = EmailSettings {
        host: "mail.corp.net".into(),
        credentials: Some(("doctor".into(), Secret::new("sesame"))),
        ..settings
    };
    assert!(open.check().unwrap_err().starts_with("security: expected `starttls` or `tls`"));
}
