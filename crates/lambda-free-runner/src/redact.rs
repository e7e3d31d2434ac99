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

/// Programs with a `login` at a registry.
const REGISTRY_CLIENTS: &str = "docker|podman|nerdctl|buildah|skopeo|crane|oras|helm|registry";

/// Behind the name of a program, up to the first of an option.
const TO_OPTION: &str = r#"["']?[\s,](?:[^\r\n]*?[\s"',])??"#;

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
        r#"(?i)(?P<before>[a-z][a-z0-9+.-]*://)(?:[^\s/?\#"'<>]+|[^\s/?\#@:"'<>]*:[0-9]*[^\s/?\#@"'<>0-9](?:[^\s"'<>]|<\*>)*)(?P<after>@)"#
            .to_owned(),
        // The same as drivers of Go write it: user:password@tcp(host:port)
        r#"(?i)(?P<before>[^\s:@/"'=(]+:)(?:[^\s"'<>]|<\*>)+(?P<after>@(?:tcp[46]?|udp|unix|cloudsql[a-z-]*)?\()"#.to_owned(),
        // User and password of Oracle: jdbc:oracle:thin:user/password@host
        r#"(?i)(?P<before>\bjdbc:oracle:[a-z0-9]+:[^\s/@"']+/)[^\s"']*(?P<after>@)"#.to_owned(),
        // What an element of XML holds, and the beginning of it where the text was cut. Logs have `<*>` within.
        format!(r#"(?i)(?P<before><(?:[a-z0-9_.-]+:)?(?:{name})(?:\s[^<>]*)?>)(?:[^<]|<\*>)+(?P<after></)"#),
        format!(r#"(?i)(?P<before><(?:[a-z0-9_.-]+:)?(?:{name})(?:\s[^<>]*)?>)(?:[^\s<]|<\*>)+"#),
        // SQL that makes a user.
        format!(r#"(?i)(?P<before>\bidentified\s+(?:with\s+\S+\s+)?(?:by|as)\s+(?:password\s+|values\s+)?){QUOTED}"#),
        r#"(?P<before>\bIDENTIFIED\s+BY\s+(?:PASSWORD\s+)?)(?P<word>[^\s,;"'&]+)"#.to_owned(),
        // Of a registry, as Docker keeps it: no word, as `"auth": "required"` is one.
        r#"(?P<before>"auth\\*"\s*:\s*\\*")[A-Za-z0-9+/<*>]*(?:[0-9+/>]|[a-z][A-Z])[A-Za-z0-9+/<*>]*={0,2}"#.to_owned(),
        // Names that stand for something else before a colon: `cannot make the session: time-out`.
        format!(r#"(?i)(?P<before>\b(?:[a-z0-9_.-]*[_.-])?session=)(?:{QUOTED}|[^\s,;"'&]+)"#),
        // The configuration of Redis.
        format!(r#"(?i)(?P<before>\b(?:requirepass|masterauth)(?:{GAP}|\s*[:=]\s*))(?P<word>[^\s,;"'&]+)"#),
        // Password in Chinese, before what can be one.
        format!(r#"(?P<before>(?:密[碼码]|口令)\\*["']?\s*[:=：＝是為为]\s*)(?:{QUOTED}|[!-~&&[^,;"'&]][^\s,;"'&，。；、]*)"#),
        // Addresses that are a secret from here on: Slack, Discord, Microsoft Teams, Feishu and Lark, Telegram.
        r#"(?i)(?P<before>\b(?:hooks\.slack(?:-gov)?\.com/[a-z]+/|discord(?:app)?\.com/api/(?:v[0-9]+/)?webhooks/|webhook\.office\.com/webhookb2/|open-apis/bot/(?:v2/)?hook/|api\.telegram\.org/bot))(?:[^\s"'<>?\#,;)]|<\*>)+"#
            .to_owned(),
        // The key of a webhook of WeCom, and a long one of any query.
        r#"(?i)(?P<before>webhook/[a-z_]+\?(?:(?:[^\s"'<>\#]|<\*>)*&)?key=)(?:[^\s"'<>&\#,;)]|<\*>)+"#.to_owned(),
        r"(?i)(?P<before>[?&]key=)[a-z0-9_-]{20,}".to_owned(),
        // What DingTalk and Feishu are shown in place of a secret, in a query and in a body, and the secret of DingTalk.
        r"(?i)(?P<before>[?&](?:sign|auth_key)=)(?:[a-z0-9%+/=_-]|<\*>){8,}".to_owned(),
        r#"(?P<before>["']sign\\*["']\s*:\s*\\*["'])[A-Za-z0-9+/=]{20,}"#.to_owned(),
        r"\bSEC[a-f0-9]{64}\b".to_owned(),
        // What is handed to programs that set or take a password: by a pipe, or by `<<<`.
        r#"(?P<before>[^\s:@/"'=(|]+:)[^\s|]*[^\s|"'](?P<after>["']?\s*\|\s*(?:sudo\s+)?(?:[^\s|]*/)?chpasswd\b)"#.to_owned(),
        r#"(?P<before>\bchpasswd\b[^<|;\r\n]*<<(?:<|-?\s*["']?[A-Za-z_]+["']?\s)\s*["']?[^\s:"'<]+:)[^\s"']+"#.to_owned(),
        r#"(?P<before>\b(?:echo|printf)\s+(?:-[a-zA-Z]+\s+)*)(?:"[^"|\r\n]*"|'[^'|\r\n]*'|[^\s"'|]+)(?P<after>\s*\|\s*(?:sudo\s+-S\b|(?:sudo\s+)?(?:[^\s|]*/)?passwd\s[^|\r\n]*--stdin\b|[^|\r\n]*\s--(?:password-stdin|with-token)\b))"#
            .to_owned(),
        // What a Secret is made of, whatever its name.
        format!(r#"(?P<before>--from-literal(?:=|{GAP})["']?[^\s=,"']+=)(?:{QUOTED}|[^\s"']+)"#),
        // password=..., "token": "...", SECRET_KEY: ...; not `volume "token" : secret ...`
        format!(r#"(?i)(?P<before>\b(?:{name})(?:\\*["']?[:=]>?|\s+[:=]>?)\s*)(?:{QUOTED}|\[redacted\]|(?P<word>[^\s,;"'&]+))"#),
        format!(r#"(?i)(?P<before>\b(?:{name})\\*["']\s+[:=]>?\s*){QUOTED}"#),
        // --db-password ...; a name that goes on (--password-file) is that of something else.
        format!(
            r#"(?i)(?P<before>(?:^|[\s"'(\[,=])--?(?:[a-z0-9_.-]*(?:{names})[a-z]*|(?:[a-z0-9_.-]*[_.-])?(?:{words})){GAP})(?P<word>[^\s,;"'&-][^\s,;"'&]*)"#
        ),
        // Short options of clients: a number behind -p is a port, unless nothing stands between.
        format!(
            r#"(?P<before>\b(?:(?:mysql|mariadb)[a-z_-]*|(?:{REGISTRY_CLIENTS}) login){TO_OPTION}-p["']?)[^\s,;"'&]+"#
        ),
        format!(r#"(?P<before>\bsshpass{GAP}-p["']?)[^\s,;"'&]+"#),
        format!(
            r#"(?P<before>\b(?:mysql|mariadb|mongo|psql|pg_|sshpass|(?:{REGISTRY_CLIENTS}) login)[a-z_-]*{TO_OPTION}-p{GAP})(?P<word>[0-9]*[^\s,;"'&0-9-][^\s,;"'&]*)"#
        ),
        // The last word of `htpasswd -b FILE USER PASSWORD`, and of `htpasswd -nb USER PASSWORD`, which writes no file.
        format!(
            r#"(?P<before>\bhtpasswd{GAP}(?:-[a-mo-zA-Z]+{GAP})*-[a-mo-zA-Z]*b[a-mo-zA-Z]*{GAP}(?:-[a-mo-zA-Z]+{GAP}|(?:[0-9]+|<\*>){GAP})*(?:[^\s,"'-][^\s,"']*{GAP}){{2}})[^\s,;"'&]+"#
        ),
        format!(
            r#"(?P<before>\bhtpasswd{GAP}(?:-[a-zA-Z]+{GAP})*-[a-zA-Z]*(?:n[a-zA-Z]*b|b[a-zA-Z]*n)[a-zA-Z]*{GAP}(?:-[a-zA-Z]+{GAP}|(?:[0-9]+|<\*>){GAP})*[^\s,"'-][^\s,"']*{GAP})[^\s,;"'&]+"#
        ),
        format!(
            r#"(?P<before>(?:^|[\s"'(\[,])-(?:src|dest)?(?:store|key)pass{GAP})(?P<word>[^\s,;"'&-][^\s,;"'&]*)"#
        ),
        format!(r#"(?P<before>\bredis-cli{TO_OPTION}-a{GAP})(?P<word>[^\s,;"'&-][^\s,;"'&]*)"#),
        format!(r#"(?P<before>\bldap[a-z]+{TO_OPTION}-w{GAP})(?P<word>[^\s,;"'&-][^\s,;"'&]*)"#),
        format!(r#"(?P<before>\bsqlcmd{TO_OPTION}-P{GAP})(?P<word>[^\s,;"'&-][^\s,;"'&]*)"#),
        format!(
            r#"(?P<before>\bcurl{TO_OPTION}(?:-[a-zA-Z]*[uU]|--(?:proxy-)?user)(?:{GAP}|["'=]*)[^\s:"',]+:)(?:[^\s"'/]|/[^\s"'/])[^\s"']*"#
        ),
        // passwd ...; and behind the words for it what is quoted or has letters and digits.
        r#"(?i)(?P<before>(?:^|[\s"'(])passwd\s+["']?)(?P<word>[^\s,;"'&-][^\s,;"'&]*)"#.to_owned(),
        r#"(?i)(?P<before>\bpass(?:word|phrase|code)\s+)(?:"[^"\s]+"|'[^'\s]+'|[^\s,;"'&]*(?:[0-9][^\s,;"'&]*[a-z]|[a-z][^\s,;"'&]*[0-9])[^\s,;"'&]*)"#
            .to_owned(),
        // Headers whose whole value is secret, with the quoted parameters in it.
        r#"(?i)(?P<before>[a-z0-9_.-]*(?:authorization|cookies?)\\*["']?\s*[:=]\s*)(?:\\+"[^"]*"?|"[^"]*"?|'[^']*'?|(?:[^"'\r\n=]|=(?:"[^"\s][^"\r\n]*"|"")?)+)"#
            .to_owned(),
        // What stands behind the scheme of one.
        r"(?i)(?P<before>\b(?:bearer|basic)\s+)(?P<word>[a-z0-9._~+/=-]{8,})".to_owned(),
        // The id of a key of AWS or Alibaba Cloud, and the key where it stands behind.
        r#"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b(?:[\s"':,;|/]+[A-Za-z0-9/+]{40}\b)?"#.to_owned(),
        r#"\bLTAI[A-Za-z0-9]{12,20}\b(?:[\s"':,;|/]+[A-Za-z0-9]{30}\b)?"#.to_owned(),
        // Such a key behind its name alone, as in `aws configure set aws_secret_access_key ...`.
        r#"(?i)(?P<before>\b[a-z0-9_.-]*(?:access|secret)[_-]?key[a-z0-9_-]*\s+["']?)[a-z/+=]*(?:[0-9]|<\*>)(?:[a-z0-9/+=]|<\*>){8,}"#.to_owned(),
        // Passwords in variables whose names tell of none.
        r#"(?P<before>(?:\b(?:REDISCLI|NEO4J)_AUTH|[\s:]_auth)\s*=\s*["']?)[^\s,;"'&]+"#.to_owned(),
        // Tokens that tell what they are.
        format!(r"\b(?:{tokens})"),
    ]
    .iter()
    .map(|pattern| Regex::new(pattern).expect("a constant expression, compiled in a test"))
    .collect()
});

/// What stands behind `--password` or `password:` in a sentence, and in the help of a program. In lower case.
const ORDINARY: &str = "a an and are argument as at authentication authorization be by can cannot could credentials does \
    entry expired field file flag for from given has if in instead int invalid is line may missing must no not of on option or \
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
        // Warnings about them are given later, and are redacted where they lie.
        services: _,
        routes,
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
        all_namespaces: _,
        server_version: _,
    } = inventory;
    tls_secrets.iter_mut().filter_map(|s| s.broken.as_mut()).for_each(scrub);
    routes.iter_mut().flat_map(|r| &mut r.parents).for_each(|p| conditions(&mut p.refused));
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

    use healthcore::fixture::Fixture;
    use healthcore::inventory::{
        ApiService, Inventory, ManagedCertificate, Namespace, Route, RouteParent, ServedCertificate, Volume,
    };
    use healthcore::logs::{LogStream, LogTally};
    use healthcore::model::{Condition, ContainerState, Termination, Workload, WorkloadId};
    use healthcore::snapshot::{Gap, GapCause, Objects};
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
        let parent = RouteParent { refused: vec![condition.clone()], ..RouteParent::default() };
        let route = Route { parents: vec![parent], ..Route::default() };
        let served = ServedCertificate { failed: Some(said.to_owned()), ..ServedCertificate::default() };
        let conditions = || vec![condition.clone()];
        let inventory = Inventory {
            managed_certificates: vec![managed],
            served: vec![served],
            volumes: vec![Volume { message: said.to_owned(), ..Volume::default() }],
            namespaces: vec![Namespace { conditions: conditions(), ..Namespace::default() }],
            api_services: vec![ApiService { conditions: conditions(), ..ApiService::default() }],
            routes: vec![route],
            ..Inventory::default()
        };
        let id = WorkloadId::new("web", "Deployment", "api");
        let rollout = Workload { conditions: vec![condition], ..Workload::new(id) };
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
    const WRITTEN: &[(&str, &str)] = &[
        ("app --password PWhunter77 -v", "app --password [redacted] -v"),
        ("app --db-password PW --token-ttl 5m", "app --db-password [redacted] --token-ttl 5m"),
        ("exec [\"app\",\"--api-key\",\"PW\",\"-v\"]", "exec [\"app\",\"--api-key\",\"[redacted]\",\"-v\"]"),
        ("java -jar x.jar -password PW", "java -jar x.jar -password [redacted]"),
        ("mysql -h db -u app -pPW shop", "mysql -h db -u app -p[redacted] shop"),
        ("mysqldump -p PW shop", "mysqldump -p [redacted] shop"),
        ("mysql -pPW -pipe", "mysql -p[redacted] -pipe"),
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
        ("echo root:PW | chpasswd", "echo root:[redacted] | chpasswd"),
        (
            "sh -c \"echo 'bob:PW:!'|sudo /usr/sbin/chpasswd\"",
            "sh -c \"echo 'bob:[redacted]'|sudo /usr/sbin/chpasswd\"",
        ),
        ("chpasswd <<< \"root:PW\"", "chpasswd <<< \"root:[redacted]\""),
        ("chpasswd -e <<EOF\nroot:PW\nEOF", "chpasswd -e <<EOF\nroot:[redacted]\nEOF"),
        ("echo PW | passwd --stdin root", "echo [redacted] | passwd --stdin root"),
        ("echo -n 'PW x' | sudo passwd --stdin root", "echo -n [redacted] | sudo passwd --stdin root"),
        (
            "printf PW | docker login -u bob --password-stdin r",
            "printf [redacted] | docker login -u bob --password-stdin r",
        ),
        ("echo PW|sudo -S reboot", "echo [redacted]|sudo -S reboot"),
        ("mysql -u app -p'PW' shop", "mysql -u app -p'[redacted]' shop"),
        ("mysql: [\"mysql\",\"-pPW\",\"-h\"]", "mysql: [\"mysql\",\"-p[redacted]\",\"-h\"]"),
        ("PGPASSWORD=PW psql -h db", "PGPASSWORD=[redacted] psql -h db"),
        ("REDISCLI_AUTH=PW redis-cli ping", "REDISCLI_AUTH=[redacted] redis-cli ping"),
        ("//npm.example/:_auth=PW== read", "//npm.example/:_auth=[redacted] read"),
        ("sshpass -p PW ssh -p 2222 bob@host", "sshpass -p [redacted] ssh -p 2222 bob@host"),
        ("sshpass -pPW ssh -p2222 host", "sshpass -p[redacted] ssh -p2222 host"),
        ("sshpass -p'PW' scp x", "sshpass -p'[redacted]' scp x"),
        ("htpasswd -b /etc/.htpasswd bob PW done", "htpasswd -b /etc/.htpasswd bob [redacted] done"),
        ("htpasswd -c -bB -C 10 f bob PW", "htpasswd -c -bB -C 10 f bob [redacted]"),
        ("htpasswd -nbB bob PW > f", "htpasswd -nbB bob [redacted] > f"),
        (
            "[\"htpasswd\",\"-bc\",\"f\",\"bob\",\"PW\"]",
            "[\"htpasswd\",\"-bc\",\"f\",\"bob\",\"[redacted]\"]",
        ),
        (
            "kubectl create secret generic db --from-literal=user=PWbob --from-literal k='PW x' -n shop",
            "kubectl create secret generic db --from-literal=user=[redacted] --from-literal k=[redacted] -n shop",
        ),
        (
            "kubectl create secret docker-registry r --docker-password=PW",
            "kubectl create secret docker-registry r --docker-password=[redacted]",
        ),
        (
            "aws configure set aws_secret_access_key PWlrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY1",
            "aws configure set aws_secret_access_key [redacted]",
        ),
        ("aws_secret_access_key = PWlrXUtn", "aws_secret_access_key = [redacted]"),
        ("keys LTAI5tPW34567890ABCDEFgh PW34567890abcdefghij1234567890 x", "keys [redacted] x"),
        (
            "--access-key-id LTAI5tPW34567890ABCDEFgh --access-key-secret PW",
            "--access-key-id [redacted] --access-key-secret [redacted]",
        ),
        ("docker login -u bob -pPW img.example", "docker login -u bob -p[redacted] img.example"),
        (
            "keytool -list -storepass PW -keypass PW",
            "keytool -list -storepass [redacted] -keypass [redacted]",
        ),
        (
            "https://oapi.dingtalk.com/robot/send?access_token=PW1&timestamp=1700000000000&sign=PWab%2Bcd%3D",
            "https://oapi.dingtalk.com/robot/send?access_token=[redacted]&timestamp=1700000000000&sign=[redacted]",
        ),
        (
            r#"{"timestamp":"1","sign":"PW3456789012345678901234567890=","x":1}"#,
            r#"{"timestamp":"1","sign":"[redacted]","x":1}"#,
        ),
        ("redis://:PW@cache:6379/0 refused", "redis://[redacted]@cache:6379/0 refused"),
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
        (r#"said {\"password\": \"PW hunter\", \"n\": 4}"#, r#"said {\"password\": [redacted], \"n\": 4}"#),
        (r#"{"password":"PW\"PW"}"#, r#"{"password":[redacted]}"#),
        ("cut {\"token\": \"PW hunter", "cut {\"token\": [redacted]"),
    ];

    #[test]
    fn secrets_in_the_ways_they_are_written() {
        for (given, expected) in WRITTEN.iter().copied() {
            let told = text(given);
            assert_eq!(told, expected);
            assert!(!told.contains("PW"), "{told}");
            assert_eq!(text(&told), told, "redacted again");
        }
        let logged = WRITTEN.iter().map(|(given, _)| (given, logged(given)));
        let kept: Vec<_> = logged.filter(|(_, told)| told.contains("PW")).collect();
        assert!(kept.is_empty(), "{kept:#?}");
    }

    /// What a report tells of a message in a log.
    fn logged(message: &str) -> String {
        let (mut tally, mut stream) = (LogTally::default(), LogStream::new());
        stream.push(format!("ERROR {message}\n").as_bytes(), &mut tally);
        stream.end(&mut tally);
        tally.content().patterns.iter().map(|pattern| text(&pattern.text)).collect::<Vec<_>>().join("\n")
    }

    /// In events, and in logs, where the parts that change are masked before: each secret has the letters `PW`.
    #[test]
    fn secrets_of_files_databases_and_languages() {
        for (given, expected) in [
            ("login with \"password\" => \"PW\" failed", "login with \"password\" => [redacted] failed"),
            ("{\"user\"=>{\"password\"=>\"PW hunter\"}}", "{\"user\"=>{\"password\"=>[redacted]}}"),
            ("secret_key => PW x", "secret_key => [redacted] x"),
            ("<password>PW-1-x hunter</password> refused", "<password>[redacted]</password> refused"),
            (
                "<wsse:Password Type=\"t#Text\">PWx12y3z</wsse:Password><n>1</n>",
                "<wsse:Password Type=\"t#Text\">[redacted]</wsse:Password><n>1</n>",
            ),
            ("cut <db-password>PW", "cut <db-password>[redacted]"),
            ("CREATE USER x IDENTIFIED BY 'PW x' failed", "CREATE USER x IDENTIFIED BY [redacted] failed"),
            ("alter user x identified by \"PW\"", "alter user x identified by [redacted]"),
            (
                "IDENTIFIED WITH mysql_native_password AS '*PW'",
                "IDENTIFIED WITH mysql_native_password AS [redacted]",
            ),
            ("IDENTIFIED BY PASSWORD '*PW-12-a'", "IDENTIFIED BY PASSWORD [redacted]"),
            ("ALTER USER x IDENTIFIED BY PWtiger;", "ALTER USER x IDENTIFIED BY [redacted];"),
            (
                r#"{"auths":{"r":{"auth":"aHVudGVyPW/hdW50+ZXIy=="}}}"#,
                r#"{"auths":{"r":{"auth":"[redacted]"}}}"#,
            ),
            (r#"said {\"auth\": \"aHVuPWly\"}"#, r#"said {\"auth\": \"[redacted]\"}"#),
            ("encryption_key=PW wrong", "encryption_key=[redacted] wrong"),
            ("signing-key: PW wrong", "signing-key: [redacted] wrong"),
            ("MASTER_KEY=PW", "MASTER_KEY=[redacted]"),
            ("GET /a?session=PW-1-x&n=1", "GET /a?session=[redacted]&n=1"),
            ("shop_session=\"PW\" n", "shop_session=[redacted] n"),
            ("connection with pw=PW failed", "connection with pw=[redacted] failed"),
            ("dbPw: PW n", "dbPw: [redacted] n"),
            ("CONFIG SET requirepass PW", "CONFIG SET requirepass [redacted]"),
            (
                "[\"redis-server\",\"--requirepass\",\"PW\"]",
                "[\"redis-server\",\"--requirepass\",\"[redacted]\"]",
            ),
            ("masterauth \"PW\"", "masterauth \"[redacted]\""),
            ("jdbc:oracle:thin:app/PW@db:1521:x", "jdbc:oracle:thin:app/[redacted]@db:1521:x"),
            ("jdbc:oracle:oci:app/MYPW@1@//db:1521/x", "jdbc:oracle:oci:app/[redacted]@//db:1521/x"),
            ("資料庫密碼=PW 錯誤", "資料庫密碼=[redacted] 錯誤"),
            ("密码：PW-1-x，错误", "密码：[redacted]，错误"),
            ("密碼是 PW", "密碼是 [redacted]"),
        ] {
            let told = text(given);
            assert_eq!(told, expected);
            assert_eq!(text(&told), told, "redacted again");
            assert!(!logged(given).contains("PW"), "{}", logged(given));
        }
    }

    /// In the message of an event, that of an end, a pattern of a log, and the detail of a gap.
    #[test]
    fn secrets_in_every_free_text() {
        let fixture = Fixture::new(
            "container web/api-0/app state=exited:1@1h message=m last=Error:1@2h said=m\n\
             event web/Pod/api-0 reason=Unhealthy message=m\n\
             log web/StatefulSet/api container=app line=\"ERROR m\"",
        );
        for (given, _) in WRITTEN {
            let mut objects = fixture.snapshot.objects.clone();
            objects.events[0].message = (*given).to_owned();
            let container = &mut objects.pods[0].containers[0];
            let said = |end: &mut Termination| end.message = (*given).to_owned();
            container.last_termination.iter_mut().for_each(said);
            let Some(ContainerState::Terminated(end)) = &mut container.state else { panic!() };
            end.message = (*given).to_owned();
            objects.logs[0].said.patterns[0].text = (*given).to_owned();
            super::objects(&mut objects);
            let mut gaps = [Gap::new("prod", GapCause::Failed, *given)];
            super::gaps(&mut gaps);
            let whole = format!("{objects:?} {gaps:?}");
            assert!(!whole.contains("PW"), "{whole}");
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
            "chpasswd: line 1: missing new password",
            "failed: echo ok | tee /tmp/x:1",
            "passwd --stdin is for root only",
            "echo hello | git hash-object --stdin",
            "htpasswd -c /etc/nginx/.htpasswd bob",
            "htpasswd: cannot open file /etc/nginx/.htpasswd for writing",
            "sshpass: failed to run command: no such file",
            "ssh -p 2222 bob@host",
            "mysqld --port=3306 --pid-file=/run/mysqld.pid",
            "error: --from-literal must be a pair, --from-file=./key.txt is another",
            "docker login failed with status 401",
            "redis-cli -h cache -p 6379 ping",
            "aws_secret_access_key is not set",
            "the AccessKey InvalidAccessKeyId is not known, as LTAI is cut",
            "GET /shoes?sign=asc&signal=1 answered 503",
            "{\"sign\": \"plus\"}",
            "proxy_auth = basic",
            "keytool -list -keystore a.jks -storetype PKCS12",
            "the SEC said so",
            "usage: login <user> <password> [options]",
            "the pod is identified by its name",
            "{\"auth\": \"required\"}",
            "failed to create session: context deadline exceeded",
            "requirepass is not set",
            "jdbc:oracle:thin:@//db:1521/shop",
            "密碼：不正確，密码是必填",
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
            "x:y|",
            "x:y | chpasswd ",
            "chpasswd <<< x:y ",
            "echo a | ",
            "echo a | passwd --stdin ",
            "htpasswd -b a b c ",
            "htpasswd -n -n ",
            "--from-literal=a=b ",
            "--from-literal=a=\"",
            "access_key a1 ",
            "<password>x",
            "<password ",
            "identified with x ",
            "\"auth\":\"a",
            "jdbc:oracle:thin:a/b",
            "requirepass ",
            "密碼：a",
        ] {
            let long = piece.repeat(100_000 / piece.len());
            assert!(text(&long).len() <= 4 * long.len());
        }
    }

    /// Pieces of texts with secrets.
    const PIECES: [&str; 52] = [
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
        "echo ",
        " | ",
        "chpasswd",
        " <<< ",
        "--stdin",
        "htpasswd ",
        "-nb ",
        "--from-literal",
        "sshpass",
        "LTAI",
        "access_key",
        "sign",
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
            // Behind `curl -u bob:` two slashes are an address.
            secret in "[a-zA-Z0-9!$%^*._+][a-zA-Z0-9!$%^*._/+]{5,29}",
            before in prop::sample::select(&["password=", "--password ", "{\"client_secret\": \"", "X-Api-Key: ", "curl -u bob:", "mysql -p", "Authorization: Bearer "][..]),
            behind in "[a-z \"',:=@-]{0,20}",
        ) {
            let given = format!("cannot log in with {before}{secret} {behind}");
            prop_assert!(!text(&given).contains(&secret), "{}", text(&given));
        }
    }
}
