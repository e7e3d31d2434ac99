use super::*;
use crate::checks::CHECKS;
use crate::fixture::Fixture;
use crate::report::ClusterSummary;
use crate::settings::{CheckSettings, Scope, Settings};

/// Runs a day apart, each over the objects of a text.
struct Story {
    past: BTreeMap<String, Vec<PastRun>>,
    day: i64,
    settings: Settings,
    /// The namespaces that a source of all objects was asked for.
    asked: Option<Vec<String>>,
}

impl Story {
    fn new() -> Self {
        let mut settings = Settings::default();
        settings.only.extend(["memory-usage".to_owned(), "requests-missing".to_owned()]);
        Self { past: BTreeMap::new(), day: 0, settings, asked: None }
    }

    fn report(&self, text: &str) -> Report {
        let checks = self.settings.resolve(CHECKS).expect("ids of checks");
        let fixture = Fixture::new(text);
        let snapshot = &fixture.snapshot;
        let summary = ClusterSummary {
            name: snapshot.cluster.clone(),
            objects_from: Some(snapshot.objects.origin),
            metrics_via: Some("direct".to_owned()),
            ..ClusterSummary::default()
        };
        let mut assessment = fixture.assess(&checks);
        if let Some(asked) = &self.asked {
            assessment.coverage.asked(asked);
        }
        let parts = vec![(summary, assessment)];
        let at = snapshot.taken_at.plus_seconds(86_400.0 * self.day as f64);
        Report::new("0", at, snapshot.window, parts, Vec::new(), CHECKS)
    }

    /// The next run: what it says of its findings, of the watch list, and of those that are gone.
    fn run(&mut self, text: &str) -> String {
        let mut report = self.report(text);
        self.day += 1;
        for run in compare(&mut report, &self.past, &Rules::default()) {
            self.past.entry(run.cluster.clone()).or_default().push(run);
        }
        told(&report)
    }
}

fn told(report: &Report) -> String {
    let of = |f: &Finding| {
        let state = f.state.map_or("-", State::name);
        let days = f.since.map_or(0.0, |since| report.taken_at.seconds_since(since) / 86_400.0);
        format!("{state} {}@{days}", f.subject.name)
    };
    let found = report.findings.iter().map(of);
    let watch = report.watch.iter().map(|f| format!("watch {}", of(f)));
    let gone = report.changes.iter().flat_map(|c| &c.gone);
    let gone = gone.map(|g| format!("{} {}", g.state.name(), g.was.subject.name));
    let unwatched = report.changes.iter().flat_map(|c| &c.unwatched);
    let unwatched = unwatched.map(|g| format!("{} {}", g.why.name(), g.was.subject.name));
    found.chain(watch).chain(gone).chain(unwatched).collect::<Vec<_>>().join(", ")
}

/// A container that uses so many per cent of its limit.
fn at(percent: u32) -> String {
    format!("container web/api-0/app limit=1000Mi request=900Mi cpu-request=1  memory: {}x5", percent * 10)
}

/// The states of a container over runs with these uses.
#[track_caller]
fn check(uses: &[u32], expected: &[&str]) {
    let mut story = Story::new();
    let told: Vec<String> = uses.iter().map(|u| story.run(&at(*u))).collect();
    assert_eq!(told, expected);
}

#[test]
fn a_life() {
    check(
        &[50, 75, 75, 86, 75, 50, 50],
        &["", "new api@0", "ongoing api@1", "worse api@2", "better api@3", "resolved api", ""],
    );
}

#[test]
fn the_first_run_has_nothing_to_compare_with() {
    check(&[75, 75], &["- api@0", "ongoing api@1"]);
}

#[test]
fn noise_is_no_change_and_creeping_is() {
    check(
        &[50, 70, 76, 71, 77, 78, 84],
        &["", "new api@0", "ongoing api@1", "ongoing api@2", "ongoing api@3", "worse api@4", "ongoing api@5"],
    );
}

#[test]
fn three_changes_are_flapping() {
    check(&[50, 75, 50, 75, 50], &["", "new api@0", "resolved api", "flapping api@0", "flapping api"]);
    let calm = [50; 8];
    let mut uses = vec![50, 75, 50];
    uses.extend(calm);
    uses.push(75);
    let mut story = Story::new();
    let last = uses.iter().map(|u| story.run(&at(*u))).last();
    assert_eq!(last.as_deref(), Some("new api@0"), "what lies back is forgiven");
}

/// What has come and stays is there since it came, and does not flap while it stays.
#[test]
fn what_stays_flaps_no_more() {
    check(
        &[75, 50, 75, 50, 75, 75, 76, 86, 50],
        &[
            "- api@0",
            "resolved api",
            "new api@0",
            "flapping api",
            "flapping api@0",
            "ongoing api@1",
            "ongoing api@2",
            "worse api@3",
            "flapping api",
        ],
    );
}

/// A check may know since when it is so now; the history knows that it was so before, and what the check knew then.
#[test]
fn since_is_the_earliest_that_check_and_history_ever_knew() {
    let mut story = Story::new();
    story.run(&at(75));
    let since = |story: &mut Story, hours_ago: f64| {
        let mut report = story.report(&at(75));
        story.day += 1;
        report.findings[0].since = Some(report.taken_at.plus_seconds(-3600.0 * hours_ago));
        for run in compare(&mut report, &story.past, &Rules::default()) {
            story.past.entry(run.cluster.clone()).or_default().push(run);
        }
        report.findings[0].since.map(|since| report.taken_at.seconds_since(since) / 3600.0)
    };
    let told = [1.0, 1.0, 100.0, 72.0, 200.0, 72.0].map(|hours_ago| since(&mut story, hours_ago));
    assert_eq!(told, [24.0, 48.0, 100.0, 124.0, 200.0, 224.0].map(Some));

    let runs = story.past.values().next().expect("one cluster").clone();
    let (start, end) = (runs[2].taken_at, runs[6].taken_at);
    let mut digest = DigestBuilder::new("c", start, end, Rules::default());
    runs.into_iter().for_each(|run| digest.add(run));
    let open = &digest.finish().open[0];
    assert_eq!(end.seconds_since(open.kept.first) / 3600.0, 224.0, "the digest tells what the report told");

    story.run(&at(50));
    assert_eq!(since(&mut story, 1.0), Some(1.0), "what comes again begins anew");
}

/// The bound is 70 %: near it is from 56 % on, and not far from it from 49 % on.
#[test]
fn what_is_near_is_watched() {
    check(
        &[40, 65, 66, 75, 65],
        &["", "watch new api@0", "watch ongoing api@1", "new api@0", "watch better api@3, resolved api"],
    );
    check(&[40, 56, 62, 57], &["", "watch new api@0", "watch worse api@1", "watch ongoing api@2"]);
}

/// Near or over its bound without a break is one stretch, and the list tells that a part of it was a finding.
#[test]
fn what_was_a_finding_is_watched_since_it_came_near() {
    let mut story = Story::new();
    let mut until = |percent| {
        let mut report = story.report(&at(percent));
        let told = story.run(&at(percent));
        compare(&mut report, &story.past, &Rules::default());
        let until = report.changes.iter().flat_map(|c| c.were_findings.values()).next().copied();
        (told, until.map(|t| report.taken_at.seconds_since(t) / 86_400.0))
    };
    let told = [65, 75, 76, 65, 75, 65, 66, 40, 65].map(&mut until);
    let expected = [
        ("watch - api@0", None),
        ("new api@0", None),
        ("ongoing api@1", None),
        ("watch better api@3, resolved api", Some(1.0)),
        ("flapping api@0", None),
        ("watch better api@5, flapping api", Some(1.0)),
        ("watch ongoing api@6", Some(2.0)),
        ("away api", None),
        ("watch new api@0", None),
    ];
    assert_eq!(told, expected.map(|(told, until)| (told.to_owned(), until)));
}

#[test]
fn what_wavers_stays_on_the_watch_list() {
    check(
        &[40, 50, 57, 50, 57, 48, 50],
        &["", "", "watch new api@0", "watch better api@1", "watch worse api@2", "away api", ""],
    );
    // What was a problem and is mended does not stay for that.
    check(&[75, 50, 50], &["- api@0", "resolved api", ""]);
}

#[test]
fn nothing_stays_for_ever_that_is_not_near() {
    let uses = [[57].as_slice(), &[50; 9]].concat();
    let mut story = Story::new();
    let told: Vec<String> = uses.iter().map(|u| story.run(&at(*u))).collect();
    assert_eq!(told[7], "watch ongoing api@7");
    assert_eq!(told[8..], ["away api", ""]);
}

#[test]
fn a_watch_that_no_run_could_keep_is_carried() {
    let mut story = Story::new();
    let hidden = "absent memory\ncontainer web/api-0/app limit=1000Mi request=900Mi cpu-request=1";
    assert_eq!(story.run(&at(60)), "watch - api@0");
    assert_eq!(story.run(hidden), "unjudged api");
    assert_eq!(story.run(hidden), "unjudged api");
    assert_eq!(story.run(&at(60)), "watch ongoing api@3");
}

/// Only where a run looked and saw all is something told to be gone, and only that leaves the list.
#[test]
fn why_something_left_the_watch_list_is_told() {
    let cart = "container web/cart-0/app limit=1000Mi request=900Mi cpu-request=1  memory: 500x5";
    let elsewhere = cart.replace("web/", "shop/");
    let both = |percent| format!("{}\n{cart}", at(percent));
    let scaled_to_zero = format!("workload web/StatefulSet/api created=30d\n{cart}");
    let denied = format!("denied pods namespace=web\n{cart}");
    for (then, expected, again) in [
        (both(40), "away api", "watch new api@0"),
        (cart.to_owned(), "not-there api", "watch new api@0"),
        (scaled_to_zero, "not-running api", "watch new api@0"),
        (elsewhere, "out-of-sight api", "watch ongoing api@2"),
        (denied, "unjudged api", "watch ongoing api@2"),
    ] {
        let mut story = Story::new();
        story.run(&both(60));
        assert_eq!(story.run(&then), expected, "{then}");
        assert_eq!(story.run(&both(60)), again, "{then}");
    }
}

#[test]
fn what_was_not_asked_for_stays_watched() {
    let quota = |used: u32| format!("{}\nquota shop/team pods={used}/100", at(60));
    #[track_caller]
    fn check(off: impl FnOnce(&mut Settings), text: &str, expected: &str) {
        let mut story = Story::new();
        story.settings.only = ["memory-usage".to_owned(), "quota-near-limit".to_owned()].into();
        let asked = story.settings.clone();
        story.run(text);
        off(&mut story.settings);
        assert_eq!(story.run(text), expected);
        story.settings = asked;
        assert_eq!(story.run(text), "watch ongoing team@2, watch ongoing api@2");
    }
    let told = "watch ongoing team@1, not-asked api";
    check(|s| s.only.retain(|id| id != "memory-usage"), &quota(80), told);
    check(|s| s.skip.extend(["memory-usage".to_owned()]), &quota(80), told);
    let scope = |namespace: Option<&str>| {
        let off = CheckSettings { enabled: Some(false), ..CheckSettings::default() };
        Scope {
            cluster: "test".to_owned(),
            namespace: namespace.map(str::to_owned),
            checks: [("memory-usage".to_owned(), off)].into(),
            ..Scope::default()
        }
    };
    check(|s| s.scopes.push(scope(None)), &quota(80), told);
    check(|s| s.scopes.push(scope(Some("web"))), &quota(80), told);
}

#[test]
fn the_share_that_is_watched_is_chosen() {
    let told = |share: &str| {
        let mut story = Story::new();
        story.settings.watch_share = Some(share.to_owned());
        story.run(&at(57))
    };
    assert_eq!(["0%", "18%", "19%", "50%"].map(told), ["", "", "watch - api@0", "watch - api@0"]);
    for (share, hint) in [("60%", ""), ("0.6", ""), ("20", ", did you mean `20%` or `0.2`?"), ("57", "")] {
        let settings = Settings { watch_share: Some(share.into()), ..Settings::default() };
        let why = settings.resolve(CHECKS).expect_err("too wide").to_string();
        assert_eq!(why, format!("watch-share: expected a share from `0%` to `50%`, got `{share}`{hint}"));
    }
}

/// A report is compared with the runs of the history, and for a route that missed some with those before.
#[test]
fn what_stays_depends_on_the_past_that_it_is_compared_with() {
    let mut story = Story::new();
    story.run(&at(57));
    let mut report = story.report(&at(50));
    let mut watched = |past: &BTreeMap<String, Vec<PastRun>>| {
        compare(&mut report, past, &Rules::default());
        report.watch.len()
    };
    assert_eq!([watched(&story.past), watched(&BTreeMap::new()), watched(&story.past)], [1, 0, 1]);
}

#[test]
fn what_was_not_looked_at_is_not_resolved() {
    let other = "container shop/cart-0/app limit=1000Mi request=900Mi cpu-request=1  memory: 500x5";
    let both = |percent| format!("{}\n{other}", at(percent));
    for hidden in [
        other.to_owned(),
        format!("{}\nabsent memory", both(50).replace("memory: 500x5", "")),
        format!("denied pods namespace=web\n{other}"),
    ] {
        let mut story = Story::new();
        story.run(&both(50));
        assert_eq!(story.run(&both(75)), "new api@0");
        assert_eq!(story.run(&hidden), "not-checked api", "{hidden}");
        assert_eq!(story.run(&hidden), "not-checked api", "{hidden}");
        assert_eq!(story.run(&both(75)), "ongoing api@3", "{hidden}");
        assert_eq!(story.run(&hidden), "not-checked api", "{hidden}");
        assert_eq!(story.run(&both(50)), "resolved api", "{hidden}");
    }
}

#[test]
fn what_is_gone_with_its_namespace_is_resolved_where_all_was_looked_at() {
    let cart = "container shop/cart-0/app limit=1000Mi request=900Mi cpu-request=1  memory: 500x5";
    let told = |asked: Option<&[&str]>, then: &str| {
        let mut story = Story::new();
        story.asked = asked.map(|names| names.iter().map(|n| (*n).to_owned()).collect());
        story.run(&format!("{}\n{cart}", at(75)));
        story.run(then)
    };
    assert_eq!(told(Some(&[]), cart), "resolved api");
    assert_eq!(told(Some(&["*"]), cart), "resolved api");
    assert_eq!(told(Some(&["web", "shop"]), cart), "resolved api");
    assert_eq!(
        told(None, cart),
        "not-checked api",
        "nobody knows whether it is not there or was not asked for"
    );
    assert_eq!(told(Some(&["shop"]), cart), "not-checked api");
    assert_eq!(told(Some(&["w*", "shop"]), cart), "not-checked api", "the glob may not have been understood");
    let denied = |place: &str| format!("denied pods{place}\n{cart}");
    assert_eq!(told(Some(&[]), &denied(" namespace=web")), "not-checked api");
    assert_eq!(told(Some(&[]), &denied("")), "not-checked api");
    assert_eq!(told(Some(&[]), &denied(" namespace=shop")), "resolved api");
}

/// A namespace may hold a Secret and a quota, and no pod at all.
#[test]
fn what_is_no_pod_is_seen_too() {
    let told = |check: &str, bad: &str, good: &str| {
        let mut story = Story::new();
        story.settings.only = [check.to_owned()].into();
        let pod = "container web/api-0/app";
        story.run(&format!("{pod}\n{bad}"));
        story.run(&format!("{pod}\n{good}"))
    };
    assert_eq!(
        told("quota-near-limit", "quota shop/team pods=10/10", "quota shop/team pods=1/10"),
        "resolved team"
    );
    assert_eq!(
        told(
            "certificate-expiring",
            "secret shop/tls names=a.example since=60d expires=-3d",
            "secret shop/tls names=a.example since=1d expires=89d"
        ),
        "resolved tls"
    );
    let dump = "cronjob shop/dump schedule=\"0 3 * * *\" created=30d last-schedule=22h";
    assert_eq!(
        told("cronjob-stale", &format!("{dump} last-success=47h"), &format!("{dump} last-success=22h")),
        "resolved dump"
    );
    assert_eq!(
        told(
            "volume-claim-pending",
            "claim shop/data phase=Pending created=2d",
            "claim shop/data created=2d"
        ),
        "resolved data"
    );
}

#[test]
fn what_was_not_looked_at_yesterday_either_is_no_news() {
    let mut story = Story::new();
    let cart = "container shop/cart-0/app limit=1000Mi request=900Mi cpu-request=1  memory: 500x5";
    let both = format!("{}\n{cart}", at(75));
    let mut news = |text: &str| {
        let mut report = story.report(text);
        story.day += 1;
        for run in compare(&mut report, &story.past, &Rules::default()) {
            story.past.entry(run.cluster.clone()).or_default().push(run);
        }
        let changes = report.changes.expect("it was compared");
        changes.gone.iter().map(|gone| changes.is_news(gone)).collect::<Vec<_>>()
    };
    assert_eq!([news(&both), news(cart), news(cart), news(&both)], [vec![], vec![true], vec![false], vec![]]);
    let calm = format!("{}\n{cart}", at(50));
    assert_eq!([news(&calm), news(&calm)], [vec![true], vec![]], "resolved");
}

#[test]
fn a_check_that_does_not_run_resolves_nothing() {
    let mut story = Story::new();
    story.run(&at(50));
    story.run(&at(75));
    story.settings.only.remove("memory-usage");
    assert_eq!(story.run(&at(50)), "not-checked api");
}

#[test]
fn what_nobody_could_check_for_a_month_is_forgotten() {
    let mut story = Story::new();
    story.run(&at(75));
    let other = "container shop/cart-0/app limit=1000Mi request=900Mi cpu-request=1  memory: 500x5";
    story.day = 30;
    assert_eq!(story.run(other), "not-checked api");
    story.day = 31;
    assert_eq!(story.run(other), "");
    assert_eq!(story.past["test"].last().unwrap().findings, []);
}

#[test]
fn a_workload_that_is_gone_has_no_problem() {
    let mut story = Story::new();
    let other = "container web/cart-0/app limit=1000Mi request=900Mi cpu-request=1  memory: 500x5";
    story.run(&format!("{}\n{other}", at(75)));
    assert_eq!(story.run(other), "resolved api");
}

#[test]
fn a_report_made_again_is_the_same() {
    let mut story = Story::new();
    story.run(&at(50));
    let first = story.run(&at(75));
    story.day -= 1;
    assert_eq!(story.run(&at(75)), first, "its own record is no past");
}

/// What goes on as it was is not worse for going on.
#[test]
fn time_that_passes_is_no_change() {
    #[track_caller]
    fn check<const N: usize>(id: &str, days: [String; N], expected: [&str; N]) {
        let mut story = Story::new();
        story.settings.only = [id.to_owned()].into();
        let told = days.map(|text| story.run(&format!("container web/api-0/app limit=1Gi\n{text}")));
        assert_eq!(told.each_ref().map(|told| told.split(' ').next().unwrap()), expected, "{id}: {told:?}");
    }
    let lasting = ["-", "ongoing", "ongoing", "ongoing"];
    check("node-cordoned", ["2d", "3d", "4d", "5d"].map(|t| format!("node n1 cordoned={t}")), lasting);
    let waits = ["2h", "26h", "50h", "74h"];
    check(
        "volume-claim-pending",
        waits.map(|t| format!("claim web/data phase=Pending created={t}")),
        lasting,
    );
    check(
        "load-balancer-pending",
        waits.map(|t| format!("service web/front type=LoadBalancer address=no created={t}")),
        lasting,
    );
    let runs = ["13h", "37h", "61h", "85h"];
    check("job-unfinished", runs.map(|t| format!("job web/load active=1 created={t}")), lasting);
    check(
        "pod-unschedulable",
        waits.map(|t| format!("pod web/api-0 phase=Pending unschedulable=\"no node\" since={t}")),
        lasting,
    );
    let hpa = "hpa web/api target=StatefulSet/api min=2 max=10";
    check(
        "hpa-at-max",
        waits.map(|t| format!("{hpa} now=10 cpu=95%/70% ScalingLimited=yes:TooManyReplicas@{t}")),
        lasting,
    );
    check(
        "hpa-metrics-unknown",
        waits.map(|t| format!("{hpa} now=4 ScalingActive=no:FailedGetResourceMetric@{t}")),
        lasting,
    );

    // The bound from which on it is a warning is told.
    let cordoned = ["2d", "6d", "7d", "9d"].map(|t| format!("node n1 cordoned={t}"));
    check("node-cordoned", cordoned, ["-", "ongoing", "worse", "ongoing"]);
    // Time that runs out is a change; when it has run out, nothing more happens.
    let expires = |t: &str| format!("secret web/tls names=a.example since=60d expires={t} managed=front");
    let days = ["6d", "5d", "1d", "-1d", "-2d", "-9d"].map(expires);
    check("certificate-expiring", days, ["-", "worse", "worse", "worse", "ongoing", "ongoing"]);
}

#[test]
fn less_is_worse_below_a_lower_bound() {
    let value = |value, bound| MainValue { name: "left".into(), value, bound };
    assert!(value(5.0, 30.0).worsening(&value(10.0, 30.0)) > 0.4);
    assert!(value(50.0, 30.0).worsening(&value(40.0, 30.0)) > 0.2);
    assert_eq!(value(0.0, 0.0).worsening(&value(0.0, 0.0)), 0.0);
}

#[test]
fn every_bound_of_a_number_has_its_last_fifth() {
    let watched = |check: &str, text: &str| {
        let mut story = Story::new();
        story.settings.only = [check.to_owned()].into();
        // Without the days: a check may know since when it is so.
        story.run(text).split('@').next().map(str::to_owned).unwrap_or_default()
    };
    let cpu = |use_: f64| {
        watched("cpu-underprovisioned", &format!("container web/api-0/app cpu-limit=1  cpu: {use_}x30"))
    };
    assert_eq!([cpu(0.67), cpu(0.70), cpu(0.85), cpu(0.90)], ["", "watch - api", "watch - api", "- api"]);
    let memory = |use_: u32, request: u32| {
        let text = format!("container web/api-0/app limit=1000Mi request={request}Mi  memory: {use_}x30");
        watched("memory-underprovisioned", &text)
    };
    assert_eq!([memory(670, 700), memory(700, 700), memory(900, 700)], ["", "watch - api", "- api"]);
    assert_eq!(memory(800, 100), "- api", "short of its request, and near its limit: one finding");

    let quota = |used: u32| watched("quota-near-limit", &format!("quota shop/team pods={used}/100"));
    assert_eq!([quota(71), quota(72), quota(89), quota(90)], ["", "watch - team", "watch - team", "- team"]);
    let secret = |left: &str, of: &str| {
        let text = format!(
            "route web/Ingress/front hosts=a.example tls=a.example@tls\nsecret web/tls names=a.example since=300d expires={left} {of}"
        );
        watched("certificate-expiring", &text)
    };
    assert_eq!(
        [secret("37d", ""), secret("36d", ""), secret("31d", ""), secret("30d", "")],
        ["", "watch - tls", "watch - tls", "- tls"]
    );
    assert_eq!(secret("31d", "managed=front"), "", "a machine renews it");
    let hpa =
        |now: u32, more: &str| watched("hpa-at-max", &format!("hpa web/api min=2 max=10 now={now} {more}"));
    let pinned = "ScalingLimited=yes:TooManyReplicas@";
    assert_eq!(
        [hpa(7, ""), hpa(8, ""), hpa(10, &format!("{pinned}1m")), hpa(10, &format!("{pinned}1h"))],
        ["", "watch - api", "watch - api", "- api"]
    );
    let busy = |use_: f64| {
        let text = format!(
            "hpa web/api target=StatefulSet/api min=1 max=8 now=1\ncontainer web/api-0/app cpu-request=1  cpu: {use_}x23"
        );
        watched("hpa-under-scaled", &text)
    };
    assert_eq!([busy(0.63), busy(0.64), busy(0.81)], ["", "watch - api", "- api"]);
    let free = |mib: u32| {
        let claim = "window lookback=12h step=1h\nclaim data/db used-by=db-0 capacity=10Gi created=30d";
        watched("volume-filling", &format!("{claim}  volume-size: 1000x11 volume-free: {mib}x11"))
    };
    assert_eq!(
        [free(181), free(180), free(30), free(29)],
        ["", "watch - db", "watch - db", "- db"],
        "what does not fill is no problem until nothing is left"
    );
    let errors = |times: u32| {
        let log = format!("log web/StatefulSet/api times={times} line=\"ERROR no route {{n}}\"");
        watched("error-logs", &format!("container web/api-0/app\n{log}"))
    };
    assert_eq!([errors(79), errors(80), errors(100)], ["", "watch - api", "- api"]);
    let throttled = |per_mille: u32, class: &str| {
        let text = format!(
            "workload ci/Deployment/w revisions=w-7d9c5bd4f7 note:healthcheck/class={class}\n\
             container ci/w-7d9c5bd4f7-x2x9z/app cpu-limit=1  cpu: 0.1x24 periods: 10000x24 throttled: {}x24",
            per_mille * 10
        );
        watched("cpu-throttled", &text)
    };
    assert_eq!(
        [
            throttled(119, "runner"),
            throttled(161, "runner"),
            throttled(200, "runner"),
            throttled(275, "runner")
        ],
        ["", "watch - w", "watch - w", "- w"]
    );
}

/// A run is compared with the last one that the same checks were asked of, and a part has no score of its cluster.
#[test]
fn scores_are_kept_and_compared() {
    let mut story = Story::new();
    let report = |story: &mut Story, text: &str| {
        let mut report = story.report(text);
        story.day += 1;
        let runs = compare(&mut report, &story.past, &Rules::default());
        runs.into_iter().for_each(|run| story.past.entry(run.cluster.clone()).or_default().push(run));
        report
    };
    let before = |report: &Report| {
        let of = |namespace| {
            let changes = report.changes.as_ref().expect("it was compared");
            let score = changes.score_before(&report.clusters[0].name, namespace)?;
            Some((score.points, score.grade()?.letter()))
        };
        (of(None), of(Some("web")), of(Some("shop")))
    };
    assert_eq!(before(&report(&mut story, &at(95))), (None, None, None), "the first run");
    let second = report(&mut story, &at(50));
    assert_eq!(before(&second), (Some((70, "C")), Some((70, "C")), None));
    assert_eq!(second.clusters[0].score.as_ref().map(|s| s.points), Some(100));
    let part = second.narrowed(Severity::Info, &[], &["shop".to_owned()], &|glob, name| glob == name);
    assert_eq!(before(&part), (None, None, None));
    let part = second.narrowed(Severity::Info, &[], &["web".to_owned()], &|glob, name| glob == name);
    assert_eq!(before(&part), (None, Some((70, "C")), None));

    story.settings.only.remove("requests-missing");
    assert_eq!(before(&report(&mut story, &at(50))), (None, None, None), "another check is missing");
    assert_eq!(before(&report(&mut story, &at(95))).0, Some((100, "A")));

    story.settings.only.insert("requests-missing".to_owned());
    let usual = report(&mut story, &at(95));
    assert_eq!(before(&usual).0, Some((100, "A")), "the last run of the same checks, and not the last run");
}

/// What a metrics server did not answer for is no good news.
#[test]
fn lost_metrics_are_no_change() {
    let of = |only: &str| {
        let mut story = Story::new();
        story.settings.only = [only.to_owned()].into();
        story
    };
    // Only its metrics tell that it is a JVM.
    let jvm = "container web/api-0/app limit=1Gi  heap-max: 1024x5";
    let mut story = of("jvm-heap-headroom");
    for (lost, expected) in
        [("", "- api@0"), ("failed heap-max", "not-checked api"), ("partial heap-max", "not-checked api")]
    {
        let series = if lost.is_empty() { jvm } else { "container web/api-0/app limit=1Gi" };
        assert_eq!(story.run(&format!("{lost}\n{series}")), expected, "{lost}");
    }
    assert_eq!(story.run(jvm), "ongoing api@3");
    assert_eq!(
        story.run("container web/api-0/app limit=1Gi"),
        "resolved api",
        "the server has no such metric"
    );

    // Its flags say less than its metrics did.
    let flags = |rest: &str| format!("container web/api-0/app limit=1Gi jvm=\"-Xmx256m\"  {rest}");
    let mut story = of("jvm-heap-headroom");
    assert_eq!(story.run(&flags("heap-max: 1024x5")), "- api@0");
    assert_eq!(story.run(&format!("failed heap-max\n{}", flags(""))), "not-checked api");
    assert_eq!(story.run(&flags("heap-max: 1024x5")), "ongoing api@2");
    assert_eq!(story.run(&flags("heap-max: 256x5")), "resolved api");
}

/// By RSS alone a leak has no time left: it is no better for that, and no worse when the working set is back.
#[test]
fn a_severity_that_misses_a_metric_is_no_change() {
    let mut story = Story::new();
    story.settings.only = ["memory-leak".to_owned()].into();
    let method =
        CheckSettings { params: [("method".to_owned(), "linear".to_owned())].into(), ..Default::default() };
    story.settings.checks.insert("memory-leak".to_owned(), method);
    let leak =
        |rest: &str| format!("container web/api-0/app limit=1100Mi  memory: 300+12x59 rss: 300+12x59 {rest}");
    let severity = |story: &mut Story, text: &str| {
        let states = story.run(text).split('@').next().map(str::to_owned);
        let kept =
            story.past.values().next().and_then(|runs| runs.last()).expect("a run").findings[0].severity;
        (states.unwrap_or_default(), kept)
    };
    assert_eq!(severity(&mut story, &leak("")), ("- api".to_owned(), Severity::Critical));
    let lost = "failed memory\ncontainer web/api-0/app limit=1100Mi  rss: 300+12x59";
    let report = story.report(lost);
    assert_eq!(report.findings[0].severity, Severity::Warning);
    let evidence =
        report.findings[0].evidence.iter().find(|e| e.name == "judged-without").expect("it says so");
    assert_eq!(crate::fixture::show(&evidence.value), "memory-working-set");
    assert_eq!(severity(&mut story, lost), ("ongoing api".to_owned(), Severity::Critical));
    assert_eq!(severity(&mut story, &leak("")).0, "ongoing api");
}

/// The look-back moves on, and a leak that began before it does not begin anew.
#[test]
fn a_sentence_tells_one_beginning() {
    let mut story = Story::new();
    story.settings.only = ["memory-leak".to_owned()].into();
    let leak = "container web/api-0/app limit=4Gi  memory: 300+12x335";
    let mut onsets = Vec::new();
    for _ in 0..2 {
        let mut report = story.report(leak);
        let by_check = report.findings[0].since.expect("the check knows when it began");
        // As if the look-back had moved on with the clock.
        let moved = by_check.plus_seconds(86_400.0 * story.day as f64);
        report.findings[0].since = Some(moved);
        report.findings[0].summary.args.insert("onset".into(), Value::Time(moved));
        story.day += 1;
        for run in compare(&mut report, &story.past, &Rules::default()) {
            story.past.entry(run.cluster.clone()).or_default().push(run);
        }
        let finding = &report.findings[0];
        assert_eq!(finding.summary.args["onset"], Value::Time(finding.since.expect("it is known")));
        onsets.push(finding.since);
    }
    assert_eq!(onsets[0], onsets[1]);
}
