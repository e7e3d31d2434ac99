//! The rights that are printed, and the manifests that are kept equal to them.

use std::path::{Path, PathBuf};

use super::{refused, run};

/// When the demo was recorded, and more than six hours later.
const TAKEN: &str = "2026-11-20T01:00:00Z";
const LATER: &str = "2026-11-20T07:00:01Z";

/// `UPDATE_DOCS=1 cargo test -p healthcore-cli` writes what is made by the program.
#[track_caller]
fn is_made_by_the_program(path: &str, text: &str) {
    let file: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy").join(path);
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&file, text).unwrap();
    }
    let found = std::fs::read_to_string(&file).unwrap_or_default();
    assert!(found == text, "deploy/{path} differs from what the program prints; run with UPDATE_DOCS=1");
}

/// A file of the repository.
#[track_caller]
fn read(path: &str) -> String {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(path);
    std::fs::read_to_string(&file).unwrap_or_else(|e| panic!("{path}: {e}"))
}

#[track_caller]
fn printed(args: &[&str]) -> String {
    let out = run(args);
    assert_eq!(out.status.code(), Some(0), "{args:?}: {}", String::from_utf8_lossy(&out.stderr));
    String::from_utf8(out.stdout).unwrap()
}

/// The documents of the role by which several programs elect one, and of its binding.
fn lease_role(args: &[&str]) -> String {
    let all = printed(&[&["rbac", "--lease", "healthcheck/healthcheck"], args].concat());
    let of_lease = all.split("---\n").filter(|document| document.contains("healthcheck-lease"));
    of_lease.collect::<Vec<_>>().join("---\n")
}

/// The rules of the only role in it.
fn rules(manifest: &str) -> &str {
    let (_, rules) = manifest.split_once("\nrules:\n").expect("a role");
    assert!(!rules.contains("---"), "one role");
    rules
}

#[test]
fn roles_in_the_repository_are_those_of_the_program() {
    let cluster = ["rbac"];
    let namespace = ["rbac", "--scope", "namespace", "-n", "exchange"];
    let all = |args: &[&'static str]| printed(&[args, &["--all"]].concat());
    is_made_by_the_program("kustomize/overlays/dev/account.yaml", &all(&cluster));
    is_made_by_the_program("kustomize/overlays/prod/account.yaml", &all(&cluster));
    is_made_by_the_program("kustomize/overlays/exchange/account.yaml", &all(&namespace));
    is_made_by_the_program("helm/healthcheck/files/rules-cluster.yaml", rules(&printed(&cluster)));
    is_made_by_the_program("helm/healthcheck/files/rules-namespace.yaml", rules(&printed(&namespace)));
    let by =
        "# Made by `healthcheck rbac --all --lease healthcheck/healthcheck`: the part about the lease.\n";
    is_made_by_the_program(
        "kustomize/components/serve/lease.yaml",
        &format!("{by}{}", lease_role(&["--all"])),
    );
    is_made_by_the_program("helm/healthcheck/files/rules-lease.yaml", rules(&lease_role(&[])));
}

/// The configurations of the manifests are taken as they are, on a machine that has none of the credentials.
#[test]
fn configurations_of_the_manifests_are_taken() {
    for (path, has_slack) in [("base", false), ("overlays/prod", false), ("overlays/exchange", true)] {
        let file = format!("{}/../../deploy/kustomize/{path}/healthcheck.yaml", env!("CARGO_MANIFEST_DIR"));
        let shown = printed(&["config", "show", "--config", &file]);
        assert!(shown.contains("time-zone: Asia/Taipei"), "{path}: {shown}");
        assert!(shown.contains("# clusters[0].prometheus.url: http"), "{path}: {shown}");
        assert_eq!(shown.contains("- type: \"slack\""), has_slack, "{path}: {shown}");
        // In what is commented out, too.
        assert!(read(&format!("deploy/kustomize/{path}/healthcheck.yaml")).contains("- type: slack"));
    }
}

/// The values of the chart: keys of the configuration and time zones are those that the program knows.
#[test]
fn the_chart_knows_what_the_program_knows() {
    let path = "helm/healthcheck/values.schema.json";
    let mut values: serde_json::Value = serde_json::from_str(&read(&format!("deploy/{path}"))).unwrap();
    let schema: serde_json::Value = serde_json::from_str(&printed(&["config", "schema"])).unwrap();
    let keys = schema["properties"].as_object().unwrap().keys();
    values["properties"]["config"]["properties"] =
        keys.map(|key| (key.clone(), serde_json::Value::from(true))).collect();
    is_made_by_the_program(path, &(serde_json::to_string_pretty(&values).unwrap() + "\n"));
    let mut zones: Vec<String> =
        jiff::tz::TimeZoneDatabase::bundled().available().map(|name| name.to_string()).collect();
    zones.sort();
    assert!(zones.iter().any(|name| name == "Asia/Taipei"));
    is_made_by_the_program("helm/healthcheck/files/zones.txt", &(zones.join("\n") + "\n"));
}

/// Which image is built: that of the architecture of the nodes, or of one that was named for it.
#[test]
fn an_image_for_other_nodes_is_refused_until_it_is_meant() {
    let file = read("deploy/image/Dockerfile");
    let (_, rest) = file.split_once("RUN case \" $ARCHITECTURES \"").unwrap();
    let (rest, _) = rest.split_once("esac\n").unwrap();
    let script = format!("case \" $ARCHITECTURES \"{rest}esac");
    let (_, usual) = file.split_once("ARG ARCHITECTURES=").unwrap();
    let usual = usual.lines().next().unwrap();
    let built = |architectures: &str, target: &str| {
        let mut sh = std::process::Command::new("sh");
        sh.args(["-ec", &script]).env("ARCHITECTURES", architectures).env("TARGETARCH", target);
        let out = sh.output().unwrap();
        (out.status.code(), String::from_utf8(out.stderr).unwrap())
    };
    assert_eq!(built(usual, "amd64").0, Some(0));
    assert_eq!(built("amd64 arm64", "arm64").0, Some(0));
    assert_eq!(built("arm64", "arm64").0, Some(0));
    let (code, said) = built(usual, "arm64");
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("got `arm64`: give --platform linux/amd64"), "{said}");
    for path in ["base/cronjob.yaml", "components/serve/deployment.yaml", "components/shards/merge.yaml"] {
        let manifest = read(&format!("deploy/kustomize/{path}"));
        assert!(manifest.contains(&format!("kubernetes.io/arch: {usual}\n")), "{path} selects other nodes");
    }
}

/// The ports of addresses such as `https://loki.example:3100` or `smtp.example:587` in a text.
fn ports(text: &str) -> Vec<(String, u16)> {
    let word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | ':' | '-');
    let words = text.split(|c| !word(c)).filter_map(|word| word.trim_matches([':', '.']).rsplit_once(':'));
    let named =
        words.filter(|(host, _)| host.contains('.') && host.contains(|c: char| c.is_ascii_alphabetic()));
    named.filter_map(|(host, port)| Some((host.to_owned(), port.parse().ok()?))).collect()
}

#[test]
fn the_network_policy_lets_out_to_every_port_that_the_documents_name() {
    let kustomize = read("deploy/kustomize/base/networkpolicy.yaml");
    let mut open: Vec<u16> = kustomize
        .lines()
        .filter_map(|line| line.split_once("port: ")?.1.strip_suffix(", protocol: TCP}")?.parse().ok())
        .filter(|port| *port != 53)
        .collect();
    let values = read("deploy/helm/healthcheck/values.yaml");
    let (_, list) = values.split_once("egressPorts: [").unwrap();
    let mut chart: Vec<u16> =
        list.split_once(']').unwrap().0.split(", ").map(|port| port.parse().unwrap()).collect();
    open.sort_unstable();
    chart.sort_unstable();
    assert_eq!(open, chart, "kustomize and the chart");
    let mut named = 0;
    for path in [
        "README.md",
        "docs/CONFIG.md",
        "docs/DEPLOYMENT.md",
        "docs/RUNBOOK.md",
        "docs/certificates-and-hosts.md",
        "docs/delivery.md",
        "docs/fleets.md",
        "docs/history.md",
        "docs/logs.md",
        "docs/serve.md",
        "deploy/kustomize/base/healthcheck.yaml",
        "deploy/kustomize/overlays/exchange/healthcheck.yaml",
        "deploy/kustomize/overlays/prod/healthcheck.yaml",
        "deploy/helm/healthcheck/values.yaml",
    ] {
        for (host, port) in ports(&read(path)) {
            // 8080 is our own, and a service in a message of an example is nobody that is asked.
            let asked = !host.starts_with("127.") && !host.starts_with("0.0.0.0") && host != "apm-server.apm";
            if asked {
                named += 1;
                assert!(
                    open.contains(&port),
                    "{path} names {host}:{port}, which no network policy lets out to"
                );
            }
        }
    }
    assert!(named >= 6, "{named} addresses");
    // Those that the documents have no example of: ARMS, VictoriaMetrics, SMTP with TLS from the start.
    assert!([443, 6443, 9443, 8428, 465].iter().all(|port| open.contains(port)));
}

#[test]
fn every_pod_has_the_same_memory_limit() {
    let values = read("deploy/helm/healthcheck/values.yaml");
    let (_, limit) = values.split_once("limits: {memory: ").unwrap();
    let (limit, _) = limit.split_once('}').unwrap();
    let mut pods = 0;
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/kustomize")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let manifest = std::fs::read_to_string(&path).unwrap();
            for (_, limited) in manifest.match_indices("limits:").map(|(at, _)| manifest.split_at(at)) {
                pods += 1;
                let (_, memory) = limited.split_once("memory: ").unwrap();
                let memory = memory.split(|c: char| !c.is_ascii_alphanumeric()).next().unwrap();
                assert_eq!(memory, limit, "{}", path.display());
            }
        }
    }
    assert!(pods >= 4, "{pods} pods");
}

#[test]
fn every_alert_is_in_the_runbook() {
    let runbook = read("docs/RUNBOOK.md");
    let files = [
        "deploy/kustomize/components/alerts/prometheusrule.yaml",
        "deploy/kustomize/components/serve-monitoring/prometheusrule.yaml",
        "deploy/helm/healthcheck/templates/prometheusrule.yaml",
    ];
    let mut alerts = std::collections::BTreeSet::new();
    for line in files.map(read).iter().flat_map(|text| text.lines()) {
        if let Some(alert) = line.trim().strip_prefix("- alert: ") {
            let sign = format!("`{alert}`");
            assert!(
                runbook.lines().any(|l| l.starts_with("| ") && l.contains(&sign)),
                "no sign {sign} in RUNBOOK.md"
            );
            alerts.insert(alert.to_owned());
        }
        if let Some((_, place)) = line.split_once("runbook: docs/RUNBOOK.md, ") {
            let heading = format!("## {}", place.trim_matches('"'));
            assert!(runbook.lines().any(|l| l == heading), "no `{heading}` in RUNBOOK.md");
        }
    }
    assert_eq!(alerts.len(), 8, "{alerts:?}");
}

/// What the chart adds where Secrets may be read is what the program adds.
#[test]
fn the_chart_adds_secrets_as_the_program_does() {
    let with = printed(&["rbac", "--secrets"]);
    let added: Vec<&str> = rules(&with).lines().filter(|line| line.contains("secrets")).collect();
    assert_eq!(added.len(), 1, "{added:?}");
    let chart =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/helm/healthcheck/templates/account.yaml");
    assert!(std::fs::read_to_string(chart).unwrap().contains(added[0]));
}

/// The CronJob of the digest is that of the check but for what it does, when, and by which account: the same bounds.
#[test]
fn the_digest_runs_as_the_check_does() {
    let read = |path: &str| {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/kustomize").join(path);
        std::fs::read_to_string(file).unwrap()
    };
    let mut expected = read("base/cronjob.yaml");
    let arguments =
        expected.split_once("              args:\n").unwrap().1.split_once("              env").unwrap().0;
    let arguments = arguments.to_owned();
    for (of_check, of_digest) in [
        ("  name: healthcheck\n  namespace", "  name: healthcheck-digest\n  namespace"),
        ("component: check", "component: digest"),
        (
            "  schedule: \"0 9 * * *\"",
            "  # When the check of the day, and the merge of its shards, have had their time.\n  schedule: \"0 10 * * 1\"",
        ),
        (
            "serviceAccountName: healthcheck\n",
            "serviceAccountName: healthcheck-digest\n          automountServiceAccountToken: false\n",
        ),
        (
            &*arguments,
            "                - digest\n                - --config=/etc/healthcheck/healthcheck.yaml\n                - --deliver\n",
        ),
    ] {
        assert_eq!(expected.matches(of_check).count(), 1, "{of_check}");
        expected = expected.replace(of_check, of_digest);
    }
    assert_eq!(read("components/digest/cronjob.yaml"), expected);
    let account = read("components/digest/account.yaml");
    assert!(!account.contains("Role"), "it has no right: {account}");
}

#[test]
fn rights_follow_configuration_and_arguments() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("h.yaml");
    let text = "clusters:\n\
                - {name: a, namespaces: [shop], kubernetes: {}, prometheus: {via: 'service-proxy:mon/prom:9090'}}\n\
                - {name: b, namespaces: [pay], kubernetes: {context: b}}\nonly: [pod-not-running]\n";
    std::fs::write(&config, text).unwrap();
    let config = config.to_str().unwrap();
    let of_file = printed(&["rbac", "--config", config, "--scope", "namespace"]);
    for part in [
        "namespace: shop\n",
        "namespace: pay\n",
        "namespace: mon\n",
        "services/proxy",
        "- pods # pod-not-running",
    ] {
        assert!(of_file.contains(part), "{part}: {of_file}");
    }
    assert!(!of_file.contains("ingresses"), "{of_file}");
    let of_one = printed(&["rbac", "--config", config, "--scope", "namespace", "--cluster", "b"]);
    assert!(!of_one.contains("shop") && !of_one.contains("namespace: mon"), "{of_one}");
    let other =
        printed(&["rbac", "--all", "--account", "ops/doctor", "--name", "doctor", "--only", "node-pressure"]);
    assert!(other.contains("  - kind: ServiceAccount\n    name: doctor\n    namespace: ops\n"), "{other}");
}

#[test]
fn wrong_rights_are_refused_with_what_to_do() {
    refused(
        &["rbac", "--scope", "namespace"],
        &["none is named: give the namespaces with -n, or `--scope cluster`"],
    );
    refused(&["rbac", "--scope", "namespace", "-n", "pay-*"], &["`pay-*` may stand for several"]);
    refused(&["rbac", "--account", "ops"], &["expected `NAMESPACE/NAME`, got `ops`"]);
    // What is printed is applied, so no name may hold more than a name.
    refused(&["rbac", "--account", "ns/x\nevil: true"], &["expected `NAMESPACE/NAME`"]);
    refused(&["rbac", "--name", "Bad Name!"], &["expected lower-case letters", "got `Bad Name!`"]);
    refused(
        &["rbac", "--lease", "ops"],
        &["expected a namespace and a name such as `monitoring/healthcheck`, got `ops`"],
    );
    refused(&["rbac", "--only", "memory-leek"], &["did you mean `memory-leak`?"]);
    refused(&["rbac", "--prometheus-via", "proxy:a/b"], &["`proxy` is no way"]);
    refused(&["rbac", "--context", "prod"], &["--check"]);
    refused(&["rbac", "--as", "system:serviceaccount:a:b"], &["--check"]);
    for wrong in ["system:serviceaccount:doctor", "system:serviceaccount:Ops:doctor"] {
        refused(
            &["rbac", "--check", "--as", wrong],
            &["expected `system:serviceaccount:NAMESPACE:NAME`", &format!("got `{wrong}`")],
        );
    }
    refused(&["rbac", "--check", "--as", ""], &["expected the name of a user"]);
    refused(
        &["rbac", "--check", "--kubeconfig", "/no/kubeconfig"],
        &["/no/kubeconfig: cannot read the kubeconfig"],
    );
}

#[test]
fn shards_are_merged_into_the_whole() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let demo = super::fixture("demo");
    for shard in ["0/3", "1/3", "2/3"] {
        let file = path(&format!("{}.json", &shard[..1]));
        let out = run(&["check", "--snapshot", &demo, "--shard", shard, "-o", &file]);
        assert_eq!(out.status.code(), Some(0), "a shard decides nothing");
    }
    let parts = [path("2.json"), path("0.json"), path("1.json")];
    // The demo was recorded then.
    let merge = |args: &[&str]| run(&[&["merge", "--at", TAKEN], args, &["-f", "markdown"]].concat());
    let all: Vec<&str> = parts.iter().map(String::as_str).collect();
    let whole = run(&["check", "--snapshot", &demo, "-f", "markdown"]);
    let merged = merge(&all);
    assert_eq!(merged.status.code(), Some(1), "{}", String::from_utf8_lossy(&merged.stderr));
    let without_cost = |out: &[u8]| -> Vec<String> {
        let text = String::from_utf8(out.to_vec()).unwrap();
        text.lines().filter(|l| !l.contains("queries")).map(str::to_owned).collect()
    };
    assert_eq!(without_cost(&merged.stdout), without_cost(&whole.stdout));
    let at =
        |args: &[&str], expected: &[&str]| refused(&[&["merge", "--at", TAKEN], args].concat(), expected);
    at(&[&parts[0], &parts[1]], &["shard 1/3 is missing", "--partial"]);
    at(&[&parts[0], &parts[0]], &["shard 2/3 is given twice"]);
    at(&[&parts[0], "/no/such.json"], &["/no/such.json: cannot be read"]);
    let other = path("other.json");
    run(&["check", "--snapshot", &demo, "--shard", "1/3", "--set", "memory-usage.warning=1%", "-o", &other]);
    at(&[&parts[0], &parts[1], &other], &["shard 0/3 and shard 1/3 differ in parameters of checks"]);
    let partial = merge(&["--partial", &parts[0], &parts[1], "/no/such.json"]);
    let told = String::from_utf8(partial.stdout).unwrap();
    assert!(told.contains("partly seen: missing shard ") && !told.contains("cluster not seen"), "{told}");
    assert!(told.contains("shard 1/3"), "{told}");
    assert!(String::from_utf8(partial.stderr).unwrap().contains("left out: /no/such.json: cannot be read"));
}

/// When no shard of today has ended, those of yesterday still lie there.
#[test]
fn shards_of_an_earlier_run_are_not_merged() {
    let folder = tempfile::tempdir().unwrap();
    let shard = folder.path().join("0.json").display().to_string();
    run(&["check", "--snapshot", &super::fixture("demo"), "--shard", "0/1", "-o", &shard]);
    let old = format!(
        "0.json: was taken at {TAKEN}, and a shard older than 6h is of an earlier run; see why there is no newer one, or give `--at {TAKEN}`"
    );
    refused(&["merge", "--at", LATER, &shard], &[&old]);
    refused(&["merge", "--at", LATER, "--partial", &shard], &[&old, "none of the reports can be merged"]);
    let merged = run(&["merge", "--at", TAKEN, "--fail-on", "never", "-f", "json", &shard]);
    assert_eq!(merged.status.code(), Some(0), "{}", String::from_utf8_lossy(&merged.stderr));
}

#[test]
fn wrong_shards_are_refused_with_what_to_do() {
    let demo = super::fixture("demo");
    let check = |args: &[&'static str]| -> Vec<String> {
        ["check", "--snapshot", &demo].iter().chain(args).map(ToString::to_string).collect()
    };
    for (args, expected) in [
        (&["--shard", "3/3"][..], "expected a shard such as `0/4`, from `0/3` to `2/3`, got `3/3`"),
        (&["--shard", "one"], "expected a shard such as `0/4`, got `one`"),
        (&["--shards", "3"], "JOB_COMPLETION_INDEX is not set"),
        (&["--shard", "0/3", "-f", "html"], "html cannot hold it: give `--format json`"),
        (&["--shard", "0/3", "--history", "h"], "cannot be used with"),
    ] {
        let args = check(args);
        refused(&args.iter().map(String::as_str).collect::<Vec<_>>(), &[expected]);
    }
    refused(&["merge", &format!("{demo}/snapshot.ndjson")], &["expected the JSON report of a shard"]);
}
