//! Takes secrets out of words that other systems wrote: messages of events, terminations and errors.

use std::borrow::Cow;
use std::sync::LazyLock;

use healthcore::inventory::Inventory;
use healthcore::logs::{SECRET_NAMES, SECRET_TOKENS, SECRET_WORDS};
use healthcore::model::{Condition, ContainerState, Pod, Termination};
use healthcore::snapshot::{Gap, Objects};
use healthcore_sources::prometheus::without_tokens;
use regex::{Captures, Regex};

/// What stands where a secret stood.
const HIDDEN: &str = "[redacted]";

/// A quoted value, with quotation marks that may themselves be escaped. A text that was cut may lack the closing one.
const QUOTED: &str = r#"(?:\\+"[^"]*"?|"(?s:[^"\\]|\\.)*"?|\\*'[^']*'?)"#;

/// What stands between an option and its value, also in a list of JSON.
const GAP: &str = r#"["']?[\s,]+["']?"#;

/// Behind the name of a program, up to an option.
const TO_OPTION: &str = r#"["']?[\s,](?:[^\r\n]*?[\s"',])?"#;

/// The one list of what looks like a secret, in the order in which it is looked for. Of a match the groups `before` and
/// `after` stay; one whose group `word` stands behind a space and is one of [`ORDINARY`] stays whole. Each
/// row reads a long text once: no row has alternatives of which one can run to the end of the text while another one ends
/// soon.
static SECRETS: LazyLock<Vec<Regex>> = LazyLock::new(|| {
    let (names, words) = (names(), SECRET_WORDS.join("|"));
    let capitals = SECRET_WORDS.map(with_capital).join("|");
    let name = format!(
        r"[a-z0-9_.-]*(?:{names})[a-z0-9_.-]*|(?:[a-z0-9_.-]*[_.-])?(?:{words})|[a-z0-9_.-]*(?-i:[a-z0-9](?:{capitals}))"
    );
    let token = |(prefix, least): (&str, usize)| format!(r"{prefix}(?:\.?[A-Za-z0-9_-]){{{least},}}");
    let tokens = SECRET_TOKENS.map(token).join("|");
    [
        // A private key in PEM, to its end or to that of the text.
        r"(?s)(?P<before>-----BEGIN [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----).*?(?P<after>-----END [A-Z0-9 ]*-----|\z)"
            .to_owned(),
        // user:password@ in a URL: up to the last @ before path and query; and a password with a slash, where what stands
        // behind the colon is no port.
        r#"(?i)(?P<before>[a-z][a-z0-9+.-]*://)(?:[^\s/?\#"'<>]+|[^\s/?\#@:"'<>]*:[0-9]*[^\s/?\#@"'<>0-9][^\s"'<>]*)(?P<after>@)"#
            .to_owned(),
        // The same as drivers of Go write it: user:password@tcp(host:port)
        r#"(?i)(?P<before>[^\s:@/"'=(]+:)[^\s"'<>]+(?P<after>@(?:tcp[46]?|udp|unix|cloudsql[a-z-]*)?\()"#.to_owned(),
        // Addresses that are a secret from here on: Slack, Discord, Microsoft Teams, Feishu and Lark, Telegram.
        r#"(?i)(?P<before>\b(?:hooks\.slack(?:-gov)?\.com/[a-z]+/|discord(?:app)?\.com/api/(?:v[0-9]+/)?webhooks/|webhook\.office\.com/webhookb2/|open-apis/bot/(?:v2/)?hook/|api\.telegram\.org/bot))[^\s"'<>?\#,;)]+"#
            .to_owned(),
        // The key of a webhook of WeCom, and a long one of any query.
        r#"(?i)(?P<before>webhook/[a-z_]+\?(?:[^\s"'<>\#]*&)?key=)[^\s"'<>&\#,;)]+"#.to_owned(),
        r"(?i)(?P<before>[?&]key=)[a-z0-9_-]{20,}".to_owned(),
        // password=..., "token": "...", SECRET_KEY: ...; not `volume "token" : secret ...`
        format!(r#"(?i)(?P<before>\b(?:{name})(?:\\*["']?[:=]>?|\s+[:=]>?)\s*)(?:{QUOTED}|\[redacted\]|(?P<word>[^\s,;"'&]+))"#),
        format!(r#"(?i)(?P<before>\b(?:{name})\\*["']\s+[:=]>?\s*){QUOTED}"#),
        // --db-password ...; a name that goes on (--password-file) is that of something else.
        format!(
            r#"(?i)(?P<before>(?:^|[\s"'(\[,=])--?(?:[a-z0-9_.-]*(?:{names})[a-z]*|(?:[a-z0-9_.-]*[_.-])?(?:{words})){GAP})(?P<word>[^\s,;"'&-][^\s,;"'&]*)"#
        ),
        // Short options of clients: a number behind -p is a port, unless nothing stands between.
        format!(r#"(?P<before>\b(?:mysql|mariadb)[a-z_-]*{TO_OPTION}-p)[^\s,;"'&]+"#),
        format!(
            r#"(?P<before>\b(?:mysql|mariadb|mongo|psql|pg_|sshpass|(?:docker|podman|nerdctl|buildah|skopeo|crane|oras|helm|registry) login)[a-z_-]*{TO_OPTION}-p{GAP})(?P<word>[0-9]*[^\s,;"'&0-9-][^\s,;"'&]*)"#
        ),
        format!(r#"(?P<before>\bredis-cli{TO_OPTION}-a{GAP})(?P<word>[^\s,;"'&-][^\s,;"'&]*)"#),
        format!(r#"(?P<before>\bldap[a-z]+{TO_OPTION}-w{GAP})(?P<word>[^\s,;"'&-][^\s,;"'&]*)"#),
        format!(r#"(?P<before>\bsqlcmd{TO_OPTION}-P{GAP})(?P<word>[^\s,;"'&-][^\s,;"'&]*)"#),
        format!(
            r#"(?P<before>\bcurl{TO_OPTION}(?:-[a-zA-Z]*[uU]|--(?:proxy-)?user)(?:{GAP}|["'=]*)[^\s:"',]+:)(?:[^\s"'/]|/[^\s"'/])[^\s"']*"#
        ),
        // passwd ...; and behind the words for it what is quoted or has letters and digits.
        r#"(?i)(?P<before>(?:^|[\s"'(])passwd\s+["']?)(?P<word>[^\s,;"'&]+)"#.to_owned(),
        r#"(?i)(?P<before>\bpass(?:word|phrase|code)\s+)(?:"[^"\s]+"|'[^'\s]+'|[^\s,;"'&]*(?:[0-9][^\s,;"'&]*[a-z]|[a-z][^\s,;"'&]*[0-9])[^\s,;"'&]*)"#
            .to_owned(),
        // Headers whose whole value is secret, with the quoted parameters in it.
        r#"(?i)(?P<before>[a-z0-9_.-]*(?:authorization|cookies?)\\*["']?\s*[:=]\s*)(?:\\+"[^"]*"?|"[^"]*"?|'[^']*'?|(?:[^"'\r\n=]|=(?:"[^"\s][^"\r\n]*"|"")?)+)"#
            .to_owned(),
        // What stands behind the scheme of one.
        r"(?i)(?P<before>\b(?:bearer|basic)\s+)(?P<word>[a-z0-9._~+/=-]{8,})".to_owned(),
        // The id of a key of AWS, and the key where it stands behind.
        r#"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b(?:[\s"':,;|/]+[A-Za-z0-9/+]{40}\b)?"#.to_owned(),
        // Tokens that tell what they are.
        format!(r"\b(?:{tokens})"),
    ]
    .iter()
    .map(|pattern| Regex::new(pattern).expect("a constant expression, compiled in a test"))
    .collect()
});

/// What stands behind `--password` or `password:` in a sentence, and in the help of a program. In lower case.
const ORDINARY: &str = "a an and are argument as at authentication authorization be by can cannot could credentials does \
    entry expired field file flag for from given has if in instead int invalid is may missing must no not of on option or \
    provided required set should string strings the to unset was were when will with without";

fn is_ordinary(word: &str) -> bool {
    let word = word.trim_end_matches(['.', ':', ')', ']']).to_ascii_lowercase();
    ORDINARY.split(' ').any(|ordinary| ordinary == word)
}

/// Parts of names behind which a secret stands, those of headers aside: their value goes further than a word.
fn names() -> String {
    let named = SECRET_NAMES.iter().filter(|name| !matches!(**name, "authorization" | "cookie"));
    named.map(|name| with_separators(name)).collect::<Vec<_>>().join("|")
}

/// A pattern for a name with or without `-` and `_` within.
fn with_separators(name: &str) -> String {
    name.chars().map(String::from).collect::<Vec<_>>().join("[_-]?")
}

fn with_capital(word: &str) -> String {
    word[..1].to_uppercase() + &word[1..]
}

/// The text without anything that looks like a secret. What is taken out changes what its neighbours look like, so the
/// list is gone through until nothing is found any more: the same text redacted again stays as it is.
pub(crate) fn text(text: &str) -> Cow<'_, str> {
    // A text that is made to need more rounds is redacted as well, but may change once more.
    const MOST_ROUNDS: usize = 8;
    let mut out = once(text);
    for _ in 1..MOST_ROUNDS {
        let Cow::Owned(before) = &out else { return out };
        let again = once(before).into_owned();
        if again == *before {
            break;
        }
        out = Cow::Owned(again);
    }
    out
}

/// The text gone through once.
fn once(text: &str) -> Cow<'_, str> {
    let mut out = without_tokens(text);
    for regex in SECRETS.iter() {
        if let Cow::Owned(replaced) = regex.replace_all(&out, hidden) {
            out = Cow::Owned(replaced);
        }
    }
    out
}

/// What takes the place of a match.
fn hidden(found: &Captures<'_>) -> String {
    let part = |name: &str| found.name(name).map_or("", |m| m.as_str());
    let (before, after) = (part("before"), part("after"));
    let behind_space = before.ends_with(|c: char| c.is_whitespace());
    if behind_space && is_ordinary(part("word")) {
        return found[0].to_owned();
    }
    format!("{before}{HIDDEN}{after}")
}

fn scrub(message: &mut String) {
    if let Cow::Owned(clean) = text(message) {
        *message = clean;
    }
}

/// Redacts every free text of objects. No field is left out by `..`: whoever adds one says here whether it is free text.
pub(crate) fn objects(objects: &mut Objects) {
    let Objects { origin: _, workloads, pods, hpas, events, nodes, logs, inventory, unavailable: _ } =
        objects;
    workloads.iter_mut().for_each(|w| conditions(&mut w.conditions));
    pods.iter_mut().for_each(pod);
    events.iter_mut().for_each(|e| scrub(&mut e.message));
    hpas.iter_mut().for_each(|h| conditions(&mut h.conditions));
    nodes.iter_mut().for_each(|n| conditions(&mut n.conditions));
    logs.iter_mut().flat_map(|l| &mut l.said.patterns).for_each(|p| scrub(&mut p.text));
    let Inventory {
        services: _,
        routes: _,
        tls_secrets,
        managed_certificates,
        served,
        certificates_skipped: _,
        dns_names: _,
        host_requests: _,
        disruption_budgets,
        volume_claims: _,
        quotas: _,
        jobs,
        cron_jobs: _,
        volumes,
        namespaces,
        api_services,
        // Found later, in what is redacted here.
        starts: _,
        api_use: _,
        server_version: _,
    } = inventory;
    tls_secrets.iter_mut().filter_map(|s| s.broken.as_mut()).for_each(scrub);
    served.iter_mut().filter_map(|s| s.failed.as_mut()).for_each(scrub);
    managed_certificates.iter_mut().for_each(|c| conditions(&mut c.conditions));
    disruption_budgets.iter_mut().for_each(|b| conditions(&mut b.conditions));
    jobs.iter_mut().for_each(|j| conditions(&mut j.conditions));
    volumes.iter_mut().for_each(|v| scrub(&mut v.message));
    namespaces.iter_mut().for_each(|n| conditions(&mut n.conditions));
    api_services.iter_mut().for_each(|a| conditions(&mut a.conditions));
}

fn conditions(conditions: &mut [Condition]) {
    conditions.iter_mut().for_each(|c| scrub(&mut c.message));
}

fn pod(pod: &mut Pod) {
    let termination = |t: &mut Termination| scrub(&mut t.message);
    if let Some(eviction) = &mut pod.eviction {
        scrub(&mut eviction.message);
    }
    if let Some(unschedulable) = &mut pod.unschedulable {
        scrub(&mut unschedulable.message);
    }
    for container in &mut pod.containers {
        match &mut container.state {
            Some(ContainerState::Waiting { message, .. }) => scrub(message),
            Some(ContainerState::Terminated(t)) => termination(t),
            _ => {}
        }
        if let Some(t) = &mut container.last_termination {
            termination(t);
        }
    }
}

/// Redacts the details of gaps.
pub(crate) fn gaps(gaps: &mut [Gap]) {
    gaps.iter_mut().for_each(|g| g.change_texts(&mut scrub));
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use healthcore::inventory::{
        ApiService, Inventory, ManagedCertificate, Namespace, ServedCertificate, Volume,
    };
    use healthcore::model::{Condition, Workload, WorkloadId};
    use healthcore::snapshot::Objects;
    use healthcore_sources::SourceError;
    use proptest::prelude::*;

    use super::text;

    /// cert-manager puts the words of its issuer into a condition, an admission webhook its own into a Deployment's.
    #[test]
    fn conditions_are_redacted() {
        let said = "vault: POST https://u:hunter2@vault/v1 password=hunter2 failed";
        let condition = Condition {
            kind: "Ready".to_owned(),
            status: Some(false),
            reason: "Failed".to_owned(),
            message: said.to_owned(),
            since: None,
        };
        let managed =
            ManagedCertificate { conditions: vec![condition.clone()], ..ManagedCertificate::default() };
        let served = ServedCertificate { failed: Some(said.to_owned()), ..ServedCertificate::default() };
        let conditions = || vec![condition.clone()];
        let inventory = Inventory {
            managed_certificates: vec![managed],
            served: vec![served],
            volumes: vec![Volume { message: said.to_owned(), ..Volume::default() }],
            namespaces: vec![Namespace { conditions: conditions(), ..Namespace::default() }],
            api_services: vec![ApiService { conditions: conditions(), ..ApiService::default() }],
            ..Inventory::default()
        };
        let rollout = Workload {
            id: WorkloadId::new("web", "Deployment", "api"),
            replicas: None,
            created: None,
            revisions: Vec::new(),
            annotations: BTreeMap::new(),
            conditions: vec![condition],
        };
        let mut objects = Objects { inventory, workloads: vec![rollout], ..Objects::default() };
        super::objects(&mut objects);
        let whole = format!("{objects:?}");
        assert!(!whole.contains("hunter2") && whole.contains("[redacted]@vault"), "{whole}");
    }

    #[test]
    fn secrets_are_hidden_and_words_stay() {
        for (given, expected) in [
            ("dial https://bob:s3cr3t@prom:9090/api", "dial https://[redacted]@prom:9090/api"),
            ("dial https://bob:s3@X@prom", "dial https://[redacted]@prom"),
            ("dial postgres://app:x/X@db/shop failed", "dial postgres://[redacted]@db/shop failed"),
            (
                "pull docker://img.example:5000/shop/api@sha256:0123 failed",
                "pull docker://img.example:5000/shop/api@sha256:0123 failed",
            ),
            ("Authorization: Bearer abcdef.123456789", "Authorization: [redacted]"),
            ("-H 'Authorization: ApiKey k-123' sent", "-H 'Authorization: [redacted]' sent"),
            ("Cookie: session=abc; theme=dark", "Cookie: [redacted]"),
            ("asked with bearer abcdef.123456789", "asked with bearer [redacted]"),
            ("Server=db;Pwd=hunter2;Encrypt=yes", "Server=db;Pwd=[redacted];Encrypt=yes"),
            ("DB_PASS_PHRASE=hunter2 retry=3", "DB_PASS_PHRASE=[redacted] retry=3"),
            ("failed: DB_PASSWORD=hunter2 retry=3", "failed: DB_PASSWORD=[redacted] retry=3"),
            (r#"{"api_key": "k-123", "n": 4}"#, r#"{"api_key": [redacted], "n": 4}"#),
            ("jwt eyJhbGciOiJI.eyJzdWIiOiIx.c2lnbmF0 end", "jwt [redacted] end"),
            (
                "Back-off pulling image \"img.example/shop/api:1.2\": not found",
                "Back-off pulling image \"img.example/shop/api:1.2\": not found",
            ),
            (
                "write to http://cn-x.arms.aliyuncs.com/api/v1/prometheus/abc123/7/c/cn-x failed",
                "write to http://cn-x.arms.aliyuncs.com/api/v1/prometheus/[redacted]/7/c/cn-x failed",
            ),
            ("login with pass=hunter2 failed", "login with pass=[redacted] failed"),
            ("DB_PASS=hunter2 userPass: hunter2 n", "DB_PASS=[redacted] userPass: [redacted] n"),
            ("GET /c?sv=x&sig=a%2Fb%3D&se=x", "GET /c?sv=x&sig=[redacted]&se=x"),
            ("bypass=yes signal: killed compass: n", "bypass=yes signal: killed compass: n"),
            ("exec /app/server: exec format error", "exec /app/server: exec format error"),
        ] {
            assert_eq!(text(given), expected);
        }
        let refused = SourceError::Unauthorized { what: "the server".into(), why: "Unauthorized".into() };
        assert_eq!(text(&refused.to_string()), refused.to_string(), "our own words are none");
    }

    /// Texts of command lines, addresses and keys: each secret in them has the letters `PW`.
    #[test]
    fn secrets_in_the_ways_they_are_written() {
        for (given, expected) in [
            ("app --password PWhunter77 -v", "app --password [redacted] -v"),
            ("app --db-password PW --token-ttl 5m", "app --db-password [redacted] --token-ttl 5m"),
            (
                "exec [\"app\",\"--api-key\",\"PW\",\"-v\"]",
                "exec [\"app\",\"--api-key\",\"[redacted]\",\"-v\"]",
            ),
            ("java -jar x.jar -password PW", "java -jar x.jar -password [redacted]"),
            ("mysql -h db -u app -pPW shop", "mysql -h db -u app -p[redacted] shop"),
            ("mysqldump -p PW shop", "mysqldump -p [redacted] shop"),
            ("sh -c 'mysqladmin ping -p3306PW'", "sh -c 'mysqladmin ping -p[redacted]'"),
            ("psql -p 5432 -h db", "psql -p 5432 -h db"),
            ("redis-cli -h r -a PW ping", "redis-cli -h r -a [redacted] ping"),
            ("docker login -u bob -p PW img.example", "docker login -u bob -p [redacted] img.example"),
            ("it said passwd PWhunter twice", "it said passwd [redacted] twice"),
            ("no login with password PW77", "no login with password [redacted]"),
            ("no login with password 'PW'", "no login with password [redacted]"),
            ("curl -sS -u bob:PW:x https://h/", "curl -sS -u bob:[redacted] https://h/"),
            (
                "[\"curl\",\"-u\",\"bob:PW\",\"https://h/\"]",
                "[\"curl\",\"-u\",\"bob:[redacted]\",\"https://h/\"]",
            ),
            ("curl -fsu'bob:PW' h", "curl -fsu'bob:[redacted]' h"),
            ("DSN=app:MYPW/D@x@tcp(db:3306)/shop", "DSN=app:[redacted]@tcp(db:3306)/shop"),
            (
                "post https://hooks.slack.com/services/T0/B0/PWx: 404",
                "post https://hooks.slack.com/services/[redacted] 404",
            ),
            (
                "https://qyapi.weixin.qq.com/cgi-bin/webhook/send?key=PW-1&debug=1",
                "https://qyapi.weixin.qq.com/cgi-bin/webhook/send?key=[redacted]&debug=1",
            ),
            (
                "https://oapi.dingtalk.com/robot/send?access_token=PW",
                "https://oapi.dingtalk.com/robot/send?access_token=[redacted]",
            ),
            (
                "https://open.feishu.cn/open-apis/bot/v2/hook/PW-4a-b",
                "https://open.feishu.cn/open-apis/bot/v2/hook/[redacted]",
            ),
            ("used xoxb-12-34-PWabcdef here", "used [redacted] here"),
            ("used ghp_PW0123456789abcdef.", "used [redacted]."),
            ("used github_pat_11PW_0123456789abcdef", "used [redacted]"),
            ("used glpat-PW_0123456789abcdef", "used [redacted]"),
            ("key sk_live_PW0123456789", "key [redacted]"),
            ("keys AKIAPW34567890ABCDEF PWlrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY1 x", "keys [redacted] x"),
            ("jwt eyJhbGciOiJI.eyJPWWIiOiIx.cPWnbmF0 end", "jwt [redacted] end"),
            ("jwt cut eyJhbGciPWJI", "jwt cut [redacted]"),
            (
                "key -----BEGIN RSA PRIVATE KEY-----\nPWMII\nPW=\n-----END RSA PRIVATE KEY----- read",
                "key -----BEGIN RSA PRIVATE KEY-----[redacted]-----END RSA PRIVATE KEY----- read",
            ),
            ("cut -----BEGIN PRIVATE KEY-----\\nPWMII", "cut -----BEGIN PRIVATE KEY-----[redacted]"),
            ("Authorization: Bearer PWabc.defghi secret_key=\"PWlrXUtn\"", "Authorization: [redacted]"),
            ("Authorization: Digest username=\"m\", response=\"PW\" x", "Authorization: [redacted]"),
            ("Cookie: theme=\"dark\"; session=PW", "Cookie: [redacted]"),
            ("-H \"Authorization: Basic PWdzdw==\" -d \"x\"", "-H \"Authorization: [redacted]\" -d \"x\""),
            (
                r#"said {\"password\": \"PW hunter\", \"n\": 4}"#,
                r#"said {\"password\": [redacted], \"n\": 4}"#,
            ),
            (r#"{"password":"PW\"PW"}"#, r#"{"password":[redacted]}"#),
            ("cut {\"token\": \"PW hunter", "cut {\"token\": [redacted]"),
        ] {
            let told = text(given);
            assert_eq!(told, expected);
            assert!(!told.contains("PW"), "{told}");
            assert_eq!(text(&told), told, "redacted again");
        }
    }

    #[test]
    fn ordinary_texts_stay_readable() {
        for ordinary in [
            "Back-off pulling image \"img.example:5000/shop/mysql:8.0-p1\"",
            "pulled img.example/shop/api:1.2@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
            "0/3 nodes are available: 1 node(s) didn't match label app=web,tier=front,key=value",
            "kubectl port-forward svc/web -p 8080",
            "psql: error: connection to server at \"db\", port 5432 failed",
            "password reset page not found",
            "unknown flag: --password is required",
            "flags: --token string  the token to use",
            "--password-file /run/secrets/db --token-ttl",
            "FATAL: password authentication failed for user \"app\"",
            "open /etc/passwd: no such file",
            "passwd file not found",
            "the password: is missing, token: not found",
            "secret \"shop/db-password\" not found",
            "MountVolume.SetUp failed for volume \"token\" : secret \"token\" not found",
            "basic authentication failed",
            "GET http://web:8080/items?key=shoes&page=2 answered 503",
            "curl: (22) The requested URL returned error: 404",
            "curl -u https://web:8080/healthz",
            "pod ghp-5d4f8c7b9f-z2x4b of sk-frontend-7d9c5bd4f7-x2x9z on ip-10-0-0-1",
            "at Store.load:12 (store.js) from tcp 10.0.0.1:3306",
        ] {
            assert_eq!(text(ordinary), ordinary);
        }
    }

    /// Each piece calls for another look behind it, and none for a second reading of the whole.
    #[test]
    fn long_texts_are_read_through() {
        for piece in [
            "password=\"",
            "Authorization: ",
            "mysql ",
            "curl -u a:b ",
            "sqlcmd redis-cli -a x ",
            "a://b:x",
            "eyJ",
            "x:y@",
            "-----BEGIN PRIVATE KEY-----",
            "--password ",
            "a:",
            "passwd is ",
            "webhook/x?",
            "=\"x\"",
        ] {
            let long = piece.repeat(100_000 / piece.len());
            assert!(text(&long).len() <= 4 * long.len());
        }
    }

    /// Pieces of texts with secrets.
    const PIECES: [&str; 40] = [
        "password",
        "=",
        ":",
        " ",
        "\"",
        "'",
        "\\\"",
        "hunter2",
        "Authorization",
        "Bearer ",
        "secret_key",
        "--token",
        "-p",
        "mysql ",
        "curl ",
        "-u ",
        "bob:",
        "@tcp(",
        "@",
        "://",
        "https",
        "/",
        "passwd ",
        "eyJhbGciOiJI",
        ".",
        "AKIA",
        "ABCDEFGH12345678",
        "-----BEGIN PRIVATE KEY-----",
        "-----END PRIVATE KEY-----",
        "ghp_0123456789abcdef",
        "Cookie: ",
        "&",
        "?key=",
        "webhook/send",
        ",",
        ";",
        "\n",
        "[redacted]",
        "is",
        "hooks.slack.com/services/",
    ];

    proptest! {
        #[test]
        fn a_redacted_text_stays_as_it_is(
            pieces in prop::collection::vec(prop::sample::select(&PIECES[..]), 0..24)
        ) {
            let told = text(&pieces.concat()).into_owned();
            prop_assert_eq!(text(&told), told.as_str());
        }

        #[test]
        fn a_named_secret_never_stays(
            secret in "[a-zA-Z0-9!$%^*._/+]{6,30}",
            before in prop::sample::select(&["password=", "--password ", "{\"client_secret\": \"", "X-Api-Key: ", "curl -u bob:", "mysql -p", "Authorization: Bearer "][..]),
            behind in "[a-z \"',:=@-]{0,20}",
        ) {
            let given = format!("cannot log in with {before}{secret} {behind}");
            prop_assert!(!text(&given).contains(&secret), "{}", text(&given));
        }
    }
}
