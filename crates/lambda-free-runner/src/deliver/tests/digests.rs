//! Digests by every sink, and what makes two of them the same.

use healthcore::finding::{SubjectRef, Text};
use healthcore::history::{DigestBuilder, Kept, PastRun, Rules as DigestRules};

use super::*;

const DAY_S: f64 = 86_400.0;

fn at(day: f64) -> Timestamp {
    Timestamp::from_unix_seconds(1_795_136_400).plus_seconds(day * DAY_S)
}

/// Daily runs of the clusters, of which the week from day 1 to day 8 is told. A finding is its namespace and name, its
/// severity, and the days on which it was there.
fn digest(findings: &[(&str, Severity, std::ops::Range<i32>)]) -> DigestReport {
    let mut builder = DigestBuilder::new("prod", at(1.0), at(8.0), DigestRules::default());
    for day in 0..9 {
        let there = findings.iter().filter(|(_, _, days)| days.contains(&day));
        let kept = |(subject, severity, days): &(&str, Severity, std::ops::Range<i32>)| {
            let (namespace, name) = subject.split_once('/').unwrap();
            Kept {
                fingerprint: (*subject).to_owned(),
                check: "memory-usage".to_owned(),
                severity: *severity,
                subject: SubjectRef {
                    namespace: namespace.to_owned(),
                    kind: "Deployment".to_owned(),
                    name: name.to_owned(),
                    ..SubjectRef::default()
                },
                summary: Text::new("near-limit"),
                first: at(f64::from(days.start)),
                last: at(f64::from(day)),
                told: None,
                near: None,
            }
        };
        let findings = there.map(kept).collect();
        builder.add(PastRun {
            cluster: "prod".into(),
            taken_at: at(f64::from(day)),
            findings,
            ..PastRun::default()
        });
    }
    let digests = vec![builder.finish()];
    let (start, end, gaps) = (at(1.0), at(8.0), Vec::new());
    DigestReport { version: "0.0.0".into(), start, end, digests, gaps, part: None }
}

fn of_a_week() -> DigestReport {
    digest(&[
        ("shop/cart", Severity::Critical, 5..9),
        ("shop/old", Severity::Warning, 0..9),
        ("pay/ledger", Severity::Warning, 0..3),
        ("pay/quiet", Severity::Info, 0..9),
    ])
}

fn delivery_of(digest: DigestReport) -> Delivery {
    on_its_way(Content::Digest(digest))
}

/// The route of a sink that takes digests and notes them.
fn noting() -> (Route, Arc<Mutex<Vec<Content>>>) {
    let (route, seen) = notes(true);
    (Route { what: What::Digest, ..route }, seen)
}

fn digests(seen: &Mutex<Vec<Content>>) -> Vec<DigestReport> {
    let seen = seen.lock().unwrap().clone().into_iter();
    seen.filter_map(|content| if let Content::Digest(digest) = content { Some(digest) } else { None })
        .collect()
}

#[tokio::test]
async fn slack_has_a_message_a_thread_and_the_markdown() {
    let (server, workspace) = workspace(vec![]).await;
    let settings = SlackSettings { files: vec![Format::Markdown.into()], ..settings(&server) };
    let sink = Slack::new(settings).unwrap().waiting(counting().0);
    let delivery = delivery_of(of_a_week());
    let receipt = sink.deliver(&delivery).await.unwrap();
    assert_eq!(receipt, Receipt::of("message, 1 reply, 1 file"));
    let posts = workspace.posts.lock().unwrap().clone();
    assert_eq!(posts[0]["blocks"][0]["text"]["text"], ":red_circle: Health digest (prod)");
    let text = posts[0]["text"].as_str().unwrap();
    assert!(text.contains("1 new, 1 resolved, 0 coming and going, 2 open since before"), "{text}");
    let files = workspace.files.lock().unwrap();
    let markdown = delivery.render(Format::Markdown).unwrap();
    assert_eq!(files["F0"], (markdown.len(), markdown.into_bytes(), true));
}

#[tokio::test]
async fn a_file_is_written_by_a_template_of_digests() {
    let folder = tempfile::tempdir().unwrap();
    let written = |source: &str| {
        let template = healthcore_report::Template::new("weekly.md.j2", source.to_owned()).unwrap();
        let path = folder.path().join("{cluster}.{format}");
        FileSink::new(FileSettings { path, format: Writing::Own(Box::new(template)) }).unwrap()
    };
    let delivery = delivery_of(of_a_week());
    written("{% for c in clusters %}{{ c.new | length }} new{% endfor %}").deliver(&delivery).await.unwrap();
    let path = folder.path().join("prod.md");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "1 new\n");
    let why = written("\n{{ verdict }}").deliver(&delivery).await.unwrap_err().to_string();
    assert!(why.starts_with("template weekly.md.j2:2: undefined value: `verdict`"), "{why}");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "1 new\n", "what was there stays");
}

#[tokio::test]
async fn a_fleet_of_hostile_names_keeps_the_limits_of_slack() {
    let (server, workspace) = workspace(vec![]).await;
    let mut whole = of_a_week();
    let one = &mut whole.digests[0];
    one.cluster = "<!channel> `prod` @here".to_owned();
    let mut calling = one.new[0].clone();
    calling.kept.subject.name = "@here <!channel> @Channel `rm` @everyone <http://x|y> & ".repeat(40);
    one.new = vec![calling; 300];
    whole.digests = vec![whole.digests[0].clone(); 40];
    let webhook =
        SlackSettings { token: None, files: vec![], webhook: webhook_of(&server), ..settings(&server) };
    for settings in [SlackSettings { files: vec![], ..settings(&server) }, webhook] {
        let sink = Slack::new(settings).unwrap().waiting(counting().0);
        sink.deliver(&delivery_of(whole.clone())).await.unwrap();
    }
    let posts = workspace.posts.lock().unwrap();
    assert_eq!(posts.len(), 12, "a message with ten replies, and one by the webhook");
    for post in posts.iter() {
        assert_eq!(slack_rules::calls_somebody(post), None);
    }
}

#[tokio::test]
async fn chats_a_webhook_and_a_mail_get_it_too() {
    let server = receiver(vec![ResponseTemplate::new(200); 4]).await;
    let delivery = delivery_of(of_a_week());
    for kind in Chat::ALL {
        chat(&server, *kind, None).deliver(&delivery).await.unwrap();
    }
    let settings = WebhookSettings {
        url: Secret::new(format!("{}/in", server.uri())),
        secret: None,
        http: HttpSettings::default(),
    };
    Webhook::new(settings).unwrap().deliver(&delivery).await.unwrap();
    let requests = server.received_requests().await.unwrap();
    for request in &requests[..3] {
        let body = String::from_utf8_lossy(&request.body);
        assert!(body.contains("Health digest (prod)") && body.contains("shop/deploy/cart"), "{body}");
    }
    let json: Value = serde_json::from_slice(&requests[3].body).unwrap();
    assert_eq!(json["format"]["name"], "healthcheck-digest");
    assert_eq!(requests[3].headers["idempotency-key"], "k-1");

    let (port, heard) = smtp();
    let settings = EmailSettings {
        host: "127.0.0.1".into(),
        port,
        security: Security::None,
        credentials: None,
        from: "Doctor <doctor@corp.net>".into(),
        to: vec!["sre@corp.net".into()],
        attach: vec![Format::Markdown.into()],
        timeout: Duration::from_secs(20),
        ca_file: None,
    };
    Email::new(settings).unwrap().deliver(&delivery).await.unwrap();
    let mail = heard.lock().unwrap().clone();
    for part in [
        "Subject: Health digest (prod): 1 new, 1 resolved",
        "text/html",
        "healthcheck-digest-prod-2026-11-28.md",
    ] {
        assert!(mail.contains(part), "{part}\n{mail}");
    }
}

#[tokio::test]
async fn a_file_has_the_day_of_the_end_and_a_pushgateway_gets_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("{cluster}-{date}.{format}");
    let sink = FileSink::new(FileSettings { path, format: Format::Text.into() }).unwrap();
    sink.deliver(&delivery_of(of_a_week())).await.unwrap();
    let text = std::fs::read_to_string(folder.path().join("prod-2026-11-28.txt")).unwrap();
    assert!(text.starts_with("Health digest\n"), "{text}");
    let mut fleet = of_a_week();
    fleet.digests.push(fleet.digests[0].clone());
    sink.deliver(&delivery_of(fleet)).await.unwrap();
    assert!(folder.path().join("fleet-2026-11-28.txt").exists());

    let server = receiver(vec![]).await;
    let settings =
        PushgatewaySettings { url: server.uri(), job: "healthcheck".into(), http: HttpSettings::default() };
    let why = Pushgateway::new(settings).unwrap().deliver(&delivery_of(of_a_week())).await.unwrap_err();
    assert!(why.to_string().contains("expected a format of digests"), "{why}");
    assert!(server.received_requests().await.unwrap().is_empty());
}

#[tokio::test]
async fn reports_and_digests_go_by_their_own_routes() {
    let (of_reports, reports_seen) = notes(true);
    let (of_digests, digests_seen) = noting();
    let deliverer = Deliverer { routes: vec![of_reports, of_digests], ..Deliverer::default() };
    assert_eq!(deliverer.deliver(&fixture("healthy").await).await.len(), 1);
    assert_eq!((reports(&reports_seen).len(), digests(&digests_seen).len()), (1, 0));
    assert_eq!(deliverer.deliver_digest(&of_a_week()).await.len(), 1);
    assert_eq!((reports_seen.lock().unwrap().len(), digests(&digests_seen).len()), (1, 1));
}

#[tokio::test]
async fn a_route_narrows_a_digest() {
    let (mut own, seen) = noting();
    own.selection = Selection { namespaces: vec!["pay*".into()], ..Selection::default() };
    let (mut loud, critical) = noting();
    loud.selection = Selection { floor: Severity::Critical, ..Selection::default() };
    let (mut elsewhere, nothing) = noting();
    elsewhere.selection = Selection { clusters: vec!["stg-*".into()], ..Selection::default() };
    let deliverer = Deliverer { routes: vec![own, loud, elsewhere], ..Deliverer::default() };
    deliverer.deliver_digest(&of_a_week()).await;
    let pay = &digests(&seen)[0].digests[0];
    assert_eq!((pay.new.len(), pay.resolved.len(), pay.open.len()), (0, 1, 1));
    assert_eq!((pay.found_before.warning, pay.found.warning, pay.found.info), (1, 0, 1));
    let loud = &digests(&critical)[0].digests[0];
    assert_eq!((loud.new.len(), loud.resolved.len(), loud.open.len()), (1, 0, 0));
    assert!(digests(&nothing)[0].digests.is_empty());
}

/// Why a digest is not delivered: by `changes`, and by `problems`.
fn refused(digest: &DigestReport) -> (bool, bool) {
    let content = Content::Digest(digest.clone());
    (When::Changes.refuses(&content).is_some(), When::Problems.refuses(&content).is_some())
}

#[test]
fn when_is_judged_on_the_digest() {
    let week = |severity, days| digest(&[("shop/cart", severity, days)]);
    let warning = |days| week(Severity::Warning, days);
    assert_eq!(refused(&digest(&[])), (true, true), "nothing was there at any time");
    assert_eq!(refused(&warning(0..9)), (true, false), "it was there all the time");
    assert_eq!(refused(&warning(4..9)), (false, false), "new");
    assert_eq!(refused(&warning(0..4)), (false, true), "resolved");
    let mut worse = warning(0..9);
    worse.digests[0].open[0].kept.severity = Severity::Critical;
    assert_eq!(refused(&worse), (false, false), "its severity changed");
    let mut unread = digest(&[]);
    unread.gaps.push(healthcore::snapshot::Gap::new(
        "prod/history",
        healthcore::snapshot::GapCause::Partial,
        healthcore::phrase::phrase("history-other-time"),
    ));
    assert_eq!(refused(&unread), (true, false), "runs that cannot be read may have found something");
    let mut silent = digest(&[]);
    silent.digests[0].last_run = None;
    assert_eq!(refused(&silent), (false, false), "no run is no good news");
    silent.digests.clear();
    assert_eq!(refused(&silent), (false, false), "nor is no cluster");
}

#[tokio::test]
async fn the_same_digest_is_sent_once() {
    let folder = tempfile::tempdir().unwrap();
    let history = History::open(&folder.path().display().to_string(), Retention::default()).unwrap();
    let (route, seen) = noting();
    let deliverer = Deliverer { routes: vec![route], history: Some(history), ..Deliverer::default() };
    let first = of_a_week();
    // A Job that is tried again asks some seconds later, when the silence is longer and a run is out of the period.
    let mut again = first.clone();
    again.end = again.end.plus_seconds(40.0);
    again.start = again.start.plus_seconds(40.0);
    again.digests[0].longest_silence_s += 40.0;
    again.digests[0].runs -= 1;
    deliverer.deliver_digest(&first).await;
    let outcomes = deliverer.deliver_digest(&again).await;
    assert_eq!(
        outcomes[0].result.as_ref().unwrap(),
        &Delivered::NotSent("this digest was sent there already")
    );
    assert_eq!(seen.lock().unwrap().len(), 1);
    let week = 7.0 * DAY_S;
    let next = DigestReport {
        start: first.start.plus_seconds(week),
        end: first.end.plus_seconds(week),
        ..first.clone()
    };
    let longer = DigestReport { start: first.start.plus_seconds(-week), ..first.clone() };
    let mut other = first;
    other.digests[0].new.clear();
    for (sent, digest) in [next, longer, other].iter().enumerate() {
        deliverer.deliver_digest(digest).await;
        assert_eq!(seen.lock().unwrap().len(), sent + 2);
    }
}

#[tokio::test]
async fn a_run_that_is_made_again_sends_its_digest_once() {
    let folder = tempfile::tempdir().unwrap();
    let history = History::open(&folder.path().display().to_string(), Retention::default()).unwrap();
    let (route, seen) = noting();
    let mut deliverer = Deliverer { routes: vec![route], history: Some(history), ..Deliverer::default() };
    let mut digest = of_a_week();
    for run in ["job-1", "job-1", "job-2"] {
        deliverer.run = Some(run.into());
        deliverer.deliver_digest(&digest).await;
        // Another one by its content.
        digest.end = digest.end.plus_seconds(86_400.0);
    }
    assert_eq!(seen.lock().unwrap().len(), 2);
}
