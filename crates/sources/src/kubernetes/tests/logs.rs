//! Logs of pods, over an API server made of a function.

use healthcore::fixture::{END, Fixture};
use healthcore::logs::LogSummary;

use super::*;
use crate::logs::{LogSettings, LogSource as _, LogsRead};

/// What the logs of the pods of a fixture say; and what was asked.
fn logs(
    text: &str,
    settings_of_logs: LogSettings,
    reply: impl FnMut(&str) -> Reply + Send + 'static,
) -> (Fetched<LogsRead>, Vec<String>) {
    run(async {
        let settings = KubernetesSettings { logs: settings_of_logs, ..settings() };
        let (source, log) = source(settings, reply);
        let objects = Fixture::new(text).snapshot.objects;
        let fetched = source.logs(&objects, END, true).await;
        let asked = log.lock().unwrap().clone();
        (fetched, asked)
    })
}

fn said(text: &str) -> Reply {
    (200, vec![], text.to_owned())
}

fn of<'s>(fetched: &'s Fetched<LogsRead>, workload: &str) -> &'s LogSummary {
    let found = fetched.value.summaries.iter().find(|s| s.workload.name == workload);
    found.unwrap_or_else(|| panic!("no summary of {workload}: {fetched:?}"))
}

fn told(fetched: &Fetched<LogsRead>) -> Vec<(&str, GapCause, &str)> {
    fetched.gaps.iter().map(|g| (g.scope.as_str(), g.cause, g.detail.as_str())).collect()
}

#[test]
fn every_container_is_read_in_bounds() {
    let (fetched, asked) = logs(
        "container web/api-0/app pods=6\ncontainer web/api-0/proxy",
        LogSettings { pods: 3, ..LogSettings::default() },
        |_| said("2026-11-20T00:00:00.5Z ERROR no route\n2026-11-20T00:00:01Z INFO up\n"),
    );
    // Of logs with errors is asked when they begin.
    let asked: Vec<String> = asked.into_iter().filter(|uri| uri.contains("sinceSeconds")).collect();
    let apps = asked.iter().filter(|uri| uri.contains("container=app")).count();
    assert_eq!((apps, asked.len()), (3, 4), "{asked:?}");
    assert!(asked.iter().all(|uri| {
        uri.contains("/api/v1/namespaces/web/pods/api-")
            && uri.contains("&timestamps=true&sinceSeconds=86400&tailLines=100&limitBytes=1048576")
    }));
    let app = fetched.value.summaries.iter().find(|s| s.container == "app").unwrap();
    assert_eq!((app.pods, app.pods_read, app.cut), (6, 3, false));
    assert_eq!((app.said.levels.error, app.said.levels.info, app.said.lines), (3, 3, 6));
    assert_eq!(app.since, END.plus_seconds(-86_400.0));
    let detail = "logs of 3 of 6 pods are read: the newest and the oldest of each workload";
    assert_eq!(told(&fetched), [("prod/pods/log", GapCause::Info, detail)]);
}

/// Far away, it is the number of answers on the way that counts.
#[test]
fn many_logs_are_read_at_once() {
    let seconds = |concurrency: usize| {
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let service = tower::service_fn(|_: Request<Body>| async {
                tokio::time::sleep(Duration::from_millis(200)).await;
                Ok::<_, std::convert::Infallible>(Response::new(Body::from(b"INFO up\n".to_vec())))
            });
            let settings = KubernetesSettings { concurrency, ..settings() };
            let client = kube::Client::new(service, "home");
            let source = KubernetesSource::with_client(client, "https://api.example", settings);
            let containers: Vec<String> = (0..160).map(|n| format!("container web/a{n}-0/app")).collect();
            let objects = Fixture::new(&containers.join("\n")).snapshot.objects;
            let began = tokio::time::Instant::now();
            let fetched = source.logs(&objects, END, true).await;
            assert_eq!((fetched.value.summaries.len(), fetched.gaps.len()), (160, 0));
            began.elapsed().as_secs_f64()
        })
    };
    assert!((1.9..2.5).contains(&seconds(4)), "{}", seconds(4));
    assert!((1.9..2.5).contains(&seconds(64)), "{}", seconds(64));
    assert!((7.9..8.5).contains(&seconds(1)), "{}", seconds(1));
}

/// A log of lines, each a second after the one before.
fn written(texts: impl IntoIterator<Item = String>) -> Vec<String> {
    let at = |n: usize| END.plus_seconds(n as f64 - 80_000.0).unix_seconds();
    let line =
        |(n, text): (usize, String)| format!("{:.9} {text}\n", jiff::Timestamp::from_second(at(n)).unwrap());
    texts.into_iter().enumerate().map(line).collect()
}

/// A kubelet with this log: it goes back by lines, and from there on by bytes (`ReadLogs` of k8s.io/cri-client).
fn kubelet(log: &[String], uri: &str) -> Reply {
    let log = &log[log.partition_point(|line| uri.contains("sinceSeconds") && is_older(line))..];
    let parts = || uri.split(['?', '&']).filter_map(|part| part.split_once('='));
    let number = |name| parts().find(|(n, _)| *n == name).map(|(_, value)| value.parse::<usize>().unwrap());
    let from = number("tailLines").map_or(0, |tail| log.len().saturating_sub(tail));
    let mut text = log[from..].concat();
    text.truncate(number("limitBytes").unwrap_or(usize::MAX));
    said(&text)
}

/// Whether a line was written more than a day before the end.
fn is_older(line: &str) -> bool {
    let at: jiff::Timestamp = line.split(' ').next().unwrap().parse().unwrap();
    END.seconds_since(Timestamp(at.as_millisecond())) > 86_400.0
}

fn bounded(bytes: f64) -> LogSettings {
    LogSettings { container: Bytes(bytes), ..LogSettings::default() }
}

#[test]
fn of_a_log_that_is_too_long_the_newest_part_is_read() {
    for length in [10, 70, 500, 5_000] {
        let word = |n: usize| if n < 2_500 { "INFO cart is paid" } else { "ERROR no route" };
        let log = written((0..3_000).map(|n| format!("{:length$}", word(n))));
        let newest = log.iter().rev().take(500).map(String::len).sum::<usize>() as f64;
        let (fetched, asked) =
            logs("container web/api-0/app", bounded(4.0 * newest), move |uri| kubelet(&log, uri));
        let api = of(&fetched, "api");
        assert_eq!((api.said.levels.error, api.cut), (500, true), "{length}: {asked:?}");
        assert_eq!(api.begins, api.said.first);
        assert_eq!(api.said.last, Some(END.plus_seconds(-77_001.0)));
        assert!((2.0 * newest..=4.0 * newest).contains(&(api.said.bytes as f64)), "{}", api.said.bytes);
    }
}

#[test]
fn the_newest_lines_are_read_also_behind_much_longer_ones() {
    let line =
        |n: usize| if n < 900 { "INFO ".to_owned() + &"x".repeat(3_000) } else { "ERROR no route".into() };
    let log = written((0..1_000).map(line));
    let (fetched, _) = logs("container web/api-0/app", bounded(262_144.0), move |uri| kubelet(&log, uri));
    let api = of(&fetched, "api");
    assert_eq!((api.said.levels.error, api.cut), (100, true), "{:?}", api.said);
    assert!(api.said.bytes <= 262_144);
}

/// A payload of a megabyte, and then 1,500 errors: the oldest and the newest of them alone would be no count.
#[test]
fn what_is_read_has_no_hole_where_older_lines_are_very_long() {
    let line = |n: usize| match n {
        0 | 1 => "ERROR payload ".to_owned() + &"x".repeat(200_000),
        _ => "ERROR no route".into(),
    };
    let log = written((0..1_502).map(line));
    let (fetched, asked) = logs("container web/api-0/app", bounded(262_144.0), move |uri| kubelet(&log, uri));
    let api = of(&fetched, "api");
    let [pattern] = &api.said.patterns[..] else { panic!("{:?}", api.said) };
    assert!(pattern.text == "no route" && (200..=1_500).contains(&pattern.count), "{pattern:?}");
    assert_eq!((api.said.levels.error, api.said.lines, api.cut), (pattern.count, pattern.count, true));
    let seconds = api.said.last.unwrap().seconds_since(api.begins.unwrap());
    assert_eq!(seconds, pattern.count as f64 - 1.0, "one a second, none left out");
    assert!(asked.len() <= 6, "{asked:?}");
}

#[test]
fn what_fits_is_read_once_and_is_not_cut() {
    for lines in [0, 1, 99, 100, 5_000] {
        let log = written((0..lines).map(|n| format!("ERROR order {n} lost")));
        let (fetched, asked) =
            logs("container web/api-0/app", LogSettings::default(), move |uri| kubelet(&log, uri));
        let api = of(&fetched, "api");
        assert_eq!((api.said.levels.error, api.said.lines, api.cut), (lines, lines, false), "{asked:?}");
    }
}

/// A kubelet has the newest file of a log only, which may hold minutes.
#[test]
fn a_log_whose_older_files_are_gone_tells_when_it_begins() {
    let begins = |text: &str, log: Vec<String>| {
        let (fetched, asked) = logs(text, LogSettings::default(), move |uri| kubelet(&log, uri));
        (of(&fetched, "api").begins.map(|at| END.seconds_since(at)), asked.len())
    };
    let errors = |n: usize| written((0..n).map(|_| "ERROR no route".to_owned()));
    let old = "container web/api-0/app state=running@5d";
    assert_eq!(begins(old, errors(50)), (Some(80_000.0), 2));
    // It has written nothing for a while: what is older is still there.
    let quiet: Vec<String> =
        ["2026-11-10T00:00:00.000000000Z INFO up\n".to_owned()].into_iter().chain(errors(50)).collect();
    assert_eq!(begins(old, quiet), (None, 2));
    // Its log is as old as itself.
    assert_eq!(begins("container web/api-0/app state=running@22h20m", errors(50)), (None, 1));
    // Without errors nobody asks when they began.
    assert_eq!(begins(old, written(["INFO up".to_owned()])), (None, 1));
}

/// What a container said before it was restarted is what is looked for.
#[test]
fn the_log_of_the_run_before_is_read_too() {
    let before = written((0..2_000).map(|_| "ERROR no route".to_owned()));
    let reply = move |uri: &str| match uri.contains("previous=true") {
        true => kubelet(&before, uri),
        false => said("2026-11-20T00:50:30.000000000Z INFO up\n"),
    };
    let restarted = "container web/api-0/app state=running@10m last=Error:1@11m restarts=1 created=5d";
    let (fetched, asked) = logs(restarted, LogSettings::default(), reply);
    let api = of(&fetched, "api");
    assert_eq!((api.said.levels.error, api.said.levels.info, api.pods_read), (2_000, 1, 1), "{asked:?}");
    assert_eq!(api.begins, Some(END.plus_seconds(-80_000.0)), "runs before that are gone");
    assert!(api.worst_previous, "that is where they are read");
    let (_, asked) = logs(&restarted.replace("@11m", "@2d"), LogSettings::default(), |_| said(""));
    assert!(asked.iter().all(|uri| !uri.contains("previous")), "{asked:?}");
    // The runtime may have cleaned it up, and a container that waits has the log of the run before as its own.
    let gone = |uri: &str| match uri.contains("previous=true") {
        true => status(400, "previous terminated container \"app\" in pod \"api-0\" not found"),
        false => said("2026-11-20T00:50:30.000000000Z ERROR no route\n"),
    };
    let (fetched, _) = logs(restarted, LogSettings::default(), gone);
    assert_eq!((of(&fetched, "api").said.levels.error, fetched.gaps.len()), (1, 0));
    // What fails is no log that is gone: of one in order nobody knows then.
    for (now, known) in [("INFO up", None), ("ERROR no route", Some(1))] {
        let fails = move |uri: &str| match uri.contains("previous=true") {
            true => status(500, "dial tcp 10.0.0.9:10250: i/o timeout"),
            false => said(&format!("2026-11-20T00:50:30.000000000Z {now}\n")),
        };
        let (fetched, _) = logs(restarted, LogSettings::default(), fails);
        let [(scope, cause, detail)] = told(&fetched)[..] else { panic!("{:?}", fetched.gaps) };
        assert_eq!((scope, cause), ("prod/pods/log", GapCause::Failed));
        assert!(detail.starts_with("the log of 1 container could not be read: web/api-0: "), "{detail}");
        assert_eq!(fetched.value.summaries.first().map(|log| log.said.levels.error), known);
    }
    let waiting = restarted.replace("running@10m", "waiting:CrashLoopBackOff");
    let (_, asked) = logs(&waiting, LogSettings::default(), |_| said(""));
    assert_eq!(asked.len(), 1, "{asked:?}");
}

#[test]
fn the_log_with_most_errors_tells_when_it_begins() {
    let flood = written((0..50).map(|_| "ERROR no route".to_owned()));
    let calm = written(["ERROR late".to_owned()]).concat().replace("2026", "2025");
    let (fetched, _) =
        logs("container web/api-0/app pods=2 state=running@5d", LogSettings::default(), move |uri| {
            if uri.contains("/api-0/") { kubelet(&flood, uri) } else { said(&calm) }
        });
    assert_eq!(of(&fetched, "api").begins, Some(END.plus_seconds(-80_000.0)));
    assert_eq!(of(&fetched, "api").worst_pod, "api-0");
}

#[test]
fn a_node_that_keeps_to_no_bound_is_cut_off() {
    let log = written((0..20_000).map(|n| format!("ERROR order {n} lost"))).concat();
    let (fetched, _) = logs("container web/api-0/app", bounded(65_536.0), move |_| said(&log));
    let api = of(&fetched, "api");
    assert!(api.cut && api.said.bytes <= 65_536, "{:?}", api.said);
    let [(scope, cause, detail)] = told(&fetched)[..] else { panic!("{:?}", fetched.gaps) };
    assert_eq!((scope, cause), ("prod/pods/log", GapCause::Thinned));
    assert!(detail.starts_with("of the log of 1 container only the newest part was read"), "{detail}");
}

#[test]
fn where_logs_are_forbidden_it_is_told_once() {
    let (fetched, asked) = logs(
        "container web/api-0/app\ncontainer web/api-0/proxy\ncontainer shop/api-0/app",
        LogSettings::default(),
        |uri| match uri.contains("/web/") {
            true => status(403, "pods \"api-0\" is forbidden: cannot get resource \"pods/log\""),
            false => said("ERROR no route\n"),
        },
    );
    assert!(asked.len() <= 3, "{asked:?}");
    assert_eq!(of(&fetched, "api").workload.namespace, "shop");
    assert_eq!(fetched.value.summaries.len(), 1);
    assert_eq!(
        told(&fetched),
        [("prod/pods/log", GapCause::AccessDenied, "not allowed to get pods/log in web")]
    );
    let denied = &fetched.value.unavailable[0];
    assert_eq!((denied.kind, denied.namespace.as_deref()), (ObjectKind::Logs, Some("web")));
    assert_eq!(denied.why.to_string(), "not allowed to get pods/log in namespace web");
}

#[test]
fn pods_that_are_gone_and_nodes_that_are_silent() {
    let (fetched, _) = logs(
        "container web/api-0/app pods=2\ncontainer web/gone-0/app\ncontainer web/lost-0/app",
        LogSettings::default(),
        |uri| match uri {
            _ if uri.contains("/api-0/") => said("ERROR no route\n"),
            _ if uri.contains("/lost-0/") => status(500, "dial tcp 10.0.0.9:10250: i/o timeout"),
            _ if uri.contains("/gone-0/") => status(400, "container \"app\" is waiting to start"),
            _ => status(404, "pods \"api-1\" not found"),
        },
    );
    assert_eq!((of(&fetched, "api").pods_read, fetched.value.summaries.len()), (1, 1));
    let detail = "the log of 1 container could not be read: web/lost-0: the server answered 500: dial tcp 10.0.0.9:10250: i/o timeout";
    assert_eq!(told(&fetched), [("prod/pods/log", GapCause::Failed, detail)]);
}

#[test]
fn when_time_is_over_the_rest_is_unread_and_told() {
    let settings = LogSettings { time: Duration::ZERO, ..LogSettings::default() };
    let (fetched, asked) =
        logs("container web/api-0/app\ncontainer web/b-0/app", settings, |_| said("ERROR x\n"));
    assert!(asked.is_empty() && fetched.value.summaries.is_empty());
    let detail =
        "the time for logs (0 s) was over before those of 2 containers were read; give more with `logs.time`";
    assert_eq!(told(&fetched), [("prod/pods/log", GapCause::Thinned, detail)]);
}

#[test]
fn the_api_has_no_logs_of_the_past() {
    let fetched = run(async {
        let (source, _) = source(settings(), |_| said("ERROR x\n"));
        let objects = Fixture::new("container web/api-0/app").snapshot.objects;
        source.logs(&objects, END, false).await
    });
    assert!(fetched.value.summaries.is_empty());
    assert!(fetched.gaps[0].detail.contains("leave `--at` out"));
}
