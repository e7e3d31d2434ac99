//! Registries that are made of answers.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use healthcore::image::ImageReference;
use healthcore::phrase::plain;
use healthcore::snapshot::GapCause;
use serde_json::{Value, json};
use wiremock::matchers::{basic_auth, bearer_token, header_exists, method, path, path_regex, query_param};
use wiremock::{Mock, MockServer, Request, ResponseTemplate};

use super::{ImagePlatforms, PlatformSource as _, ReadImages, RegistryClient, RegistryRun, RegistrySettings};
use crate::prometheus::{Auth, Secret};

const PASSWORD: &str = "hunter2-registry";

fn host(server: &MockServer) -> String {
    server.address().to_string()
}

fn settings(server: &MockServer) -> RegistrySettings {
    RegistrySettings { plain_http: true, ..RegistrySettings::new(&host(server)) }
}

fn with_password(server: &MockServer) -> RegistrySettings {
    let auth = Auth::Basic { username: "reader".to_owned(), password: Secret::new(PASSWORD) };
    RegistrySettings { auth, ..settings(server) }
}

/// What a registry tells of images of its own, by `REPOSITORY:TAG`.
async fn told(settings: RegistrySettings, images: &[&str]) -> Vec<ImagePlatforms> {
    let texts: Vec<String> = images.iter().map(|image| format!("{}/{image}", settings.host)).collect();
    all(&RegistryClient::new(&[settings]).unwrap(), &texts, &RegistryRun::default()).await
}

async fn all(client: &RegistryClient, texts: &[String], run: &RegistryRun) -> Vec<ImagePlatforms> {
    let references: Vec<_> = texts.iter().map(|text| ImageReference::new(text)).collect();
    futures::future::join_all(references.iter().map(|image| client.platforms(image, run))).await
}

/// Platforms, or why there are none.
fn words(told: &[ImagePlatforms]) -> Vec<String> {
    let one = |image: &ImagePlatforms| match &image.trouble {
        None => image.platforms.join(" "),
        Some(trouble) => format!("{}: {}", trouble.cause.name(), plain(&trouble.said)),
    };
    told.iter().map(one).collect()
}

fn index() -> Value {
    json!({"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": [
        {"digest": "sha256:1", "platform": {"os": "linux", "architecture": "arm64", "variant": "v8"}},
        {"digest": "sha256:2", "platform": {"os": "linux", "architecture": "amd64"}},
        {"digest": "sha256:3", "platform": {"os": "unknown", "architecture": "unknown"}}]})
}

fn answer(body: &Value) -> ResponseTemplate {
    ResponseTemplate::new(200).set_body_raw(body.to_string(), "application/octet-stream")
}

async fn serve(server: &MockServer, at: &str, answer: ResponseTemplate) {
    Mock::given(method("GET")).and(path(at)).respond_with(answer).mount(server).await;
}

async fn asked(server: &MockServer) -> Vec<String> {
    server.received_requests().await.unwrap().iter().map(|r| r.url.path().to_owned()).collect()
}

#[tokio::test]
async fn an_index_is_asked_for_by_tag_and_by_digest() {
    let server = MockServer::start().await;
    let digest = format!("sha256:{}", "ab".repeat(32));
    for reference in ["1.0", "latest", &digest] {
        serve(&server, &format!("/v2/shop/api/manifests/{reference}"), answer(&index())).await;
    }
    let both = "linux/amd64 linux/arm64/v8";
    let images = ["shop/api:1.0", "shop/api", &format!("shop/api:old@{digest}")];
    assert_eq!(words(&told(settings(&server), &images).await), [both, both, both]);
    let requests = server.received_requests().await.unwrap();
    let accept = requests[0].headers["accept"].to_str().unwrap().to_owned();
    assert!(
        accept.starts_with("application/vnd.oci.image.index.v1+json, application/vnd.docker."),
        "{accept}"
    );
}

#[tokio::test]
async fn the_platform_of_a_single_image_stands_in_its_configuration() {
    let server = MockServer::start().await;
    let config = format!("sha256:{}", "cd".repeat(32));
    let manifest = json!({"schemaVersion": 2, "config": {"digest": config, "size": 99}, "layers": []});
    serve(&server, "/v2/tool/manifests/1", answer(&manifest)).await;
    let elsewhere = ResponseTemplate::new(307).insert_header("location", "/cdn/config");
    serve(&server, &format!("/v2/tool/blobs/{config}"), elsewhere).await;
    serve(&server, "/cdn/config", answer(&json!({"os": "linux", "architecture": "amd64", "config": {}})))
        .await;
    serve(&server, "/v2/chart/manifests/1", answer(&json!({"config": {"digest": "none"}}))).await;
    let told = told(settings(&server), &["tool:1", "chart:1"]).await;
    assert_eq!(words(&told), ["linux/amd64", ""]);
    assert!(told[1].trouble.is_none(), "what is no image is no trouble");
}

/// As Docker Hub, GitHub and most others do it.
async fn with_tokens(server: &MockServer) {
    let challenge = format!(
        r#"Bearer realm="{}/token",service="registry.example",scope="repository:shop/api:pull""#,
        server.uri()
    );
    let token = json!({"access_token": "t-1", "expires_in": 300});
    Mock::given(path("/token"))
        .and(basic_auth("reader", PASSWORD))
        .and(query_param("service", "registry.example"))
        .and(query_param("scope", "repository:shop/api:pull"))
        .respond_with(answer(&token))
        .mount(server)
        .await;
    serve(server, "/token", ResponseTemplate::new(401)).await;
    Mock::given(path("/v2/shop/api/manifests/1"))
        .and(bearer_token("t-1"))
        .respond_with(answer(&index()))
        .mount(server)
        .await;
    let refused = ResponseTemplate::new(401).insert_header("www-authenticate", challenge.as_str());
    serve(server, "/v2/shop/api/manifests/1", refused).await;
}

#[tokio::test]
async fn credentials_are_exchanged_for_a_token() {
    let server = MockServer::start().await;
    with_tokens(&server).await;
    let client = RegistryClient::new(&[with_password(&server)]).unwrap();
    let text = format!("{}/shop/api:1", host(&server));
    for _ in 0..2 {
        let told = all(&client, std::slice::from_ref(&text), &RegistryRun::default()).await;
        assert_eq!(words(&told), ["linux/amd64 linux/arm64/v8"]);
    }
    let manifest = "/v2/shop/api/manifests/1";
    assert_eq!(asked(&server).await, [manifest, "/token", manifest, manifest], "the token is kept");
}

#[tokio::test]
async fn wrong_credentials_are_told_once_and_never_shown() {
    let server = MockServer::start().await;
    with_tokens(&server).await;
    let auth = Auth::Basic { username: "reader".to_owned(), password: Secret::new("wrong-one") };
    let refused = told(RegistrySettings { auth, ..settings(&server) }, &["shop/api:1", "shop/api:1"]).await;
    let expected = "unauthorized: it refuses the credentials";
    assert_eq!(words(&refused), [expected, expected]);
    assert!(refused[0].trouble.as_ref().unwrap().lasting);
    assert!(!format!("{refused:?}").contains("wrong-one"));
    let anonymous = words(&told(settings(&server), &["shop/api:1"]).await);
    assert_eq!(
        anonymous,
        ["unauthorized: it wants credentials; give them in `registries` of the configuration"]
    );
}

/// Each refusal counts against the account, which may be locked after a few.
#[tokio::test]
async fn a_password_that_is_refused_is_shown_once_a_run() {
    let server = MockServer::start().await;
    let refused = ResponseTemplate::new(401).insert_header("www-authenticate", r#"Basic realm="registry""#);
    Mock::given(method("GET")).respond_with(refused).mount(&server).await;
    let client = RegistryClient::new(&[with_password(&server)]).unwrap();
    let run = RegistryRun::default();
    let of_cluster = |n: usize| [format!("{}/a:{n}", host(&server)), format!("{}/b:{n}", host(&server))];
    let clusters = [of_cluster(1), of_cluster(2), of_cluster(3)];
    let told = futures::future::join_all(clusters.iter().map(|texts| all(&client, texts, &run))).await;
    let expected = "unauthorized: it refuses the credentials";
    assert!(told.iter().flat_map(|told| words(told)).all(|words| words == expected), "{told:?}");
    let shown = || async {
        let all = server.received_requests().await.unwrap();
        all.iter().filter(|request| request.headers.contains_key("authorization")).count()
    };
    assert_eq!(shown().await, 1);
    all(&client, &of_cluster(4), &run).await;
    assert_eq!(shown().await, 1, "a later cluster of the run");
    all(&client, &of_cluster(4), &RegistryRun::default()).await;
    assert_eq!(shown().await, 2, "the next run");
}

#[tokio::test]
async fn basic_credentials_and_tokens_are_sent_as_they_are() {
    let server = MockServer::start().await;
    let manifest = "/v2/app/manifests/1";
    Mock::given(path(manifest))
        .and(basic_auth("reader", PASSWORD))
        .respond_with(answer(&index()))
        .mount(&server)
        .await;
    Mock::given(path(manifest)).and(bearer_token("own")).respond_with(answer(&index())).mount(&server).await;
    let refused = ResponseTemplate::new(401).insert_header("www-authenticate", r#"Basic realm="registry""#);
    serve(&server, manifest, refused).await;
    let both = "linux/amd64 linux/arm64/v8";
    assert_eq!(words(&told(with_password(&server), &["app:1"]).await), [both]);
    let bearer =
        |token: &str| RegistrySettings { auth: Auth::Bearer(Secret::new(token)), ..settings(&server) };
    assert_eq!(words(&told(bearer("own"), &["app:1"]).await), [both]);
    let refused = "unauthorized: it refuses the credentials";
    assert_eq!(words(&told(bearer("other"), &["app:1"]).await), [refused]);
    let auth = Auth::Basic { username: "reader".to_owned(), password: Secret::new("wrong-one") };
    assert_eq!(words(&told(RegistrySettings { auth, ..settings(&server) }, &["app:1"]).await), [refused]);
    let none = told(settings(&server), &["app:1"]).await;
    assert!(words(&none)[0].starts_with("unauthorized: it wants credentials"), "{none:?}");
}

/// A realm that is not encrypted would show the password to everybody on the way.
#[tokio::test]
async fn credentials_go_nowhere_without_tls() {
    let server = MockServer::start().await;
    let secure = RegistrySettings { plain_http: false, ..with_password(&server) };
    let registry = super::server::Registry::new(&secure, Arc::default()).unwrap();
    let trouble = registry.token_of(&format!("{}/token", server.uri())).await.unwrap_err();
    assert_eq!(
        plain(&trouble.said),
        format!("it wants credentials sent to {}, which has no TLS", server.uri())
    );
    assert!(asked(&server).await.is_empty());
}

#[tokio::test]
async fn a_blob_that_lies_elsewhere_is_read_without_credentials() {
    let (server, cdn) = (MockServer::start().await, MockServer::start().await);
    let config = format!("sha256:{}", "cd".repeat(32));
    let manifest = json!({"config": {"digest": config}});
    Mock::given(path("/v2/tool/manifests/1")).respond_with(answer(&manifest)).mount(&server).await;
    // Another name of the same address is another host.
    let elsewhere = format!("http://localhost:{}/config", cdn.address().port());
    let redirect = ResponseTemplate::new(307).insert_header("location", elsewhere.as_str());
    Mock::given(path(format!("/v2/tool/blobs/{config}"))).respond_with(redirect).mount(&server).await;
    Mock::given(header_exists("authorization")).respond_with(ResponseTemplate::new(400)).mount(&cdn).await;
    Mock::given(path("/config"))
        .respond_with(answer(&json!({"os": "linux", "architecture": "arm64"})))
        .mount(&cdn)
        .await;
    let bearer = RegistrySettings { auth: Auth::Bearer(Secret::new("own")), ..settings(&server) };
    assert_eq!(words(&told(bearer, &["tool:1"]).await), ["linux/arm64"]);
}

#[tokio::test]
async fn a_limit_ends_the_questions() {
    let server = MockServer::start().await;
    Mock::given(method("GET")).respond_with(ResponseTemplate::new(429)).mount(&server).await;
    let images: Vec<String> = (0..40).map(|n| format!("app:{n}")).collect();
    let images: Vec<&str> = images.iter().map(String::as_str).collect();
    let told = told(settings(&server), &images).await;
    let limited = "failed: it limits how often it may be asked (HTTP 429)";
    assert!(words(&told).iter().all(|words| words == limited), "{told:?}");
    let sent = asked(&server).await.len();
    assert!(sent <= 4, "{sent} requests");
}

/// As Docker Hub does it: manifests are told with the reads that are left, and only those that are read count.
async fn counted(server: &MockServer, all: usize, left: usize) {
    let left = Arc::new(AtomicUsize::new(left));
    let respond = move |request: &Request| {
        let used = usize::from(request.method == "GET");
        let left = left.fetch_sub(used, Ordering::Relaxed) - used;
        // All tags of a repository are one image.
        let repository = request.url.path().split('/').nth(2).unwrap();
        let digest = format!("sha256:{}", repository.repeat(64));
        answer(&index())
            .insert_header("docker-content-digest", digest)
            .insert_header("ratelimit-limit", format!("{all};w=21600"))
            .insert_header("ratelimit-remaining", format!("{left};w=21600"))
    };
    Mock::given(path_regex("^/v2/[a-z]/manifests/")).respond_with(respond).mount(server).await;
}

/// What is asked, one after the other: by method and tag.
async fn one_by_one(client: &RegistryClient, server: &MockServer, images: &[&str]) -> Vec<ImagePlatforms> {
    let run = RegistryRun::default();
    let mut told = Vec::new();
    for image in images {
        told.extend(all(client, &[format!("{}/{image}", host(server))], &run).await);
    }
    told
}

async fn methods(server: &MockServer) -> Vec<String> {
    let name = |r: &Request| format!("{} {}", r.method, r.url.path().replace("manifests/", ""));
    server.received_requests().await.unwrap().iter().map(name).collect()
}

const BOTH: &str = "linux/amd64 linux/arm64/v8";

/// Nodes pull by the same limit: who uses it up keeps pods from starting.
#[tokio::test]
async fn half_of_what_a_registry_lets_be_read_is_left_to_the_nodes() {
    let server = MockServer::start().await;
    counted(&server, 10, 7).await;
    let client = RegistryClient::new(&[settings(&server)]).unwrap();
    let told = one_by_one(&client, &server, &["a:1", "b:1", "c:1", "a:2", "d:1"]).await;
    let spared = "thinned: 5 of the 10 reads that it allows in 6 h are left, and half of the 10 is kept for the nodes' \
        own pulls; give credentials in `registries` of the configuration, which raise the limit, or ask for fewer \
        images with a lower `most`";
    assert_eq!(words(&told), [BOTH, BOTH, spared, BOTH, spared]);
    assert_eq!(methods(&server).await, ["GET /v2/a/1", "GET /v2/b/1", "HEAD /v2/a/2"]);

    let account = RegistryClient::new(&[with_password(&server)]).unwrap();
    let told = words(&one_by_one(&account, &server, &["a:1", "b:1"]).await);
    assert!(
        told[1].contains("allows this account") && told[1].contains("an account with a higher"),
        "{told:?}"
    );
}

/// Before anything is read, the registry is asked what is left.
#[tokio::test]
async fn a_limit_that_the_nodes_used_up_costs_no_read() {
    let server = MockServer::start().await;
    counted(&server, 100, 12).await;
    let client = RegistryClient::new(&[RegistrySettings { most: Some(25), ..settings(&server) }]).unwrap();
    let told = words(&one_by_one(&client, &server, &["a:1", "b:1"]).await);
    assert!(told.iter().all(|words| words.starts_with("thinned: 12 of the 100 reads")), "{told:?}");
    assert_eq!(methods(&server).await, ["HEAD /v2/a/1"]);
}

#[tokio::test]
async fn no_more_images_are_read_than_may_be() {
    let server = MockServer::start().await;
    serve_all(&server).await;
    let client = RegistryClient::new(&[RegistrySettings { most: Some(3), ..settings(&server) }]).unwrap();
    let texts: Vec<String> = (0..40).map(|n| format!("{}/app:{n}", host(&server))).collect();
    let told = words(&all(&client, &texts, &RegistryRun::default()).await);
    let read = told.iter().filter(|words| *words == BOTH).count();
    let left = "thinned: 3 images of it were read, the most that a run may; raise `most` in `registries` of the \
        configuration where the limit of the registry leaves room";
    assert_eq!((read, told.iter().filter(|words| *words == left).count()), (3, 37));
    let asked = methods(&server).await;
    let gets = asked.iter().filter(|method| method.starts_with("GET")).count();
    assert_eq!(gets, 3);
    assert!(
        asked.len() <= 3 + 4,
        "where no limit is told, only the first ones are asked for their digest: {asked:?}"
    );
}

async fn serve_all(server: &MockServer) {
    Mock::given(path_regex("^/v2/")).respond_with(answer(&index())).mount(server).await;
}

/// A later run of one process asks only whether a tag still stands for what it read.
#[tokio::test]
async fn what_was_read_is_not_read_again() {
    let server = MockServer::start().await;
    counted(&server, 100, 100).await;
    let (digest, read) = (format!("sha256:{}", "a".repeat(64)), Arc::new(ReadImages::default()));
    let counts = [RegistrySettings { most: Some(1), ..settings(&server) }];
    let first = RegistryClient::knowing(&counts, &read).unwrap();
    assert_eq!(words(&one_by_one(&first, &server, &["a:1", &format!("a:9@{digest}")]).await), [BOTH, BOTH]);
    let later = RegistryClient::knowing(&counts, &read).unwrap();
    let told = one_by_one(&later, &server, &["a:1", "a:2", "b:1", "c:1"]).await;
    assert_eq!(words(&told)[..3], [BOTH, BOTH, BOTH]);
    assert!(words(&told)[3].starts_with("thinned: "), "{told:?}");
    let asked = methods(&server).await;
    let expected = ["HEAD /v2/a/1", "GET /v2/a/1", "HEAD /v2/a/1", "HEAD /v2/a/2", "GET /v2/b/1"];
    assert_eq!(asked, expected, "a digest that is known is asked for by nobody");
}

/// A tag that moved is read anew.
#[tokio::test]
async fn another_digest_is_read() {
    let server = MockServer::start().await;
    let told = |digest: &str, platform: &str| {
        let one = json!({"manifests": [{"platform": {"os": "linux", "architecture": platform}}]});
        answer(&one).insert_header("docker-content-digest", format!("sha256:{}", digest.repeat(64)))
    };
    let counts = [RegistrySettings { most: Some(9), ..settings(&server) }];
    let client = RegistryClient::new(&counts).unwrap();
    for (digest, platform) in [("a", "amd64"), ("b", "arm64")] {
        server.reset().await;
        Mock::given(path("/v2/app/manifests/1")).respond_with(told(digest, platform)).mount(&server).await;
        let found = one_by_one(&client, &server, &["app:1"]).await;
        assert_eq!(words(&found), [format!("linux/{platform}")]);
        assert_eq!(methods(&server).await, ["HEAD /v2/app/1", "GET /v2/app/1"]);
    }
}

/// The method is of the specification, and not every gateway lets it through.
#[tokio::test]
async fn who_knows_no_head_is_read() {
    let server = MockServer::start().await;
    let refused = ResponseTemplate::new(405);
    Mock::given(method("HEAD")).respond_with(refused).mount(&server).await;
    serve(&server, "/v2/app/manifests/1", answer(&index())).await;
    let counts = RegistrySettings { most: Some(9), ..settings(&server) };
    assert_eq!(words(&told(counts, &["app:1"]).await), [BOTH]);
}

#[tokio::test]
async fn an_image_in_trouble_is_alone_in_it() {
    let server = MockServer::start().await;
    let error = json!({"errors": [{"code": "NAME_INVALID", "message": "no\nsuch name", "detail": {}}]});
    serve(&server, "/v2/a/manifests/odd", ResponseTemplate::new(400).set_body_json(error)).await;
    let denied = ResponseTemplate::new(403);
    serve(&server, "/v2/a/manifests/secret", denied).await;
    serve(&server, "/v2/a/manifests/page", answer(&json!("<html>"))).await;
    let large = "x".repeat((4 << 20) + 1);
    serve(&server, "/v2/a/manifests/large", ResponseTemplate::new(200).set_body_string(large)).await;
    serve(&server, "/v2/a/manifests/good", answer(&index())).await;
    let images = ["a:odd", "a:secret", "a:gone", "a:page", "a:large", "a/../b:1", "a:..", "a:good"];
    let told = words(&told(with_password(&server), &images).await);
    assert_eq!(
        told[..3],
        [
            "failed: the server answered 400: NAME_INVALID: nosuch name",
            "access-denied: it denies access",
            "failed: not found",
        ]
    );
    assert!(told[3].starts_with("failed: the answer cannot be read: invalid type"), "{told:?}");
    assert!(told[4].starts_with("failed: the answer is larger than "), "{told:?}");
    assert_eq!(
        told[5..],
        [
            "invalid-object: this is no reference to an image",
            "invalid-object: this is no reference to an image",
            "linux/amd64 linux/arm64/v8",
        ]
    );
    assert!(!asked(&server).await.iter().any(|path| path.contains("..") || path.contains("/b/")));
}

#[tokio::test]
async fn a_server_that_fails_is_asked_once_more() {
    let server = MockServer::start().await;
    let failed = Mock::given(path("/v2/a/manifests/1")).respond_with(ResponseTemplate::new(503));
    failed.up_to_n_times(1).mount(&server).await;
    serve(&server, "/v2/a/manifests/1", answer(&index())).await;
    assert_eq!(words(&told(settings(&server), &["a:1"]).await), ["linux/amd64 linux/arm64/v8"]);
    assert_eq!(asked(&server).await.len(), 2);
}

#[tokio::test]
async fn who_is_not_there_or_silent_is_told() {
    let server = MockServer::start().await;
    let late = answer(&index()).set_delay(Duration::from_secs(60));
    serve(&server, "/v2/a/manifests/1", late).await;
    let hasty = RegistrySettings { timeout: Duration::from_millis(50), ..settings(&server) };
    let told_late = told(hasty, &["a:1"]).await;
    assert_eq!(words(&told_late), ["timeout: no answer within 50ms"]);
    assert!(told_late[0].trouble.as_ref().unwrap().lasting);

    let mut client = RegistryClient::new(&[settings(&server)]).unwrap();
    client.time = Duration::ZERO;
    let text = format!("{}/a:1", host(&server));
    let over = all(&client, &[text], &RegistryRun::default()).await;
    assert_eq!(words(&over), ["timeout: the 0 s for registries were over"]);

    let closed = RegistrySettings { plain_http: true, ..RegistrySettings::new("127.0.0.1:1") };
    let gone = told(closed, &["a:1"]).await;
    assert_eq!(gone[0].trouble.as_ref().unwrap().cause, GapCause::Unreachable);
    let no_tls = told(RegistrySettings { plain_http: false, ..settings(&server) }, &["a:1"]).await;
    assert!(words(&no_tls)[0].ends_with("without TLS it needs `plain-http: true`"), "{no_tls:?}");
    let missing = RegistrySettings { ca_file: Some("/nowhere/ca.pem".into()), ..settings(&server) };
    let why = words(&told(missing, &["a:1"]).await).remove(0);
    assert!(why.starts_with("failed: /nowhere/ca.pem: cannot be read: "), "{why}");
}

#[tokio::test]
async fn registries_without_access_are_never_asked() {
    let client = RegistryClient::new(&[RegistrySettings::new("Registry.Example")]).unwrap();
    assert!(client.has("registry.example") && client.has("REGISTRY.example") && !client.has("docker.io"));
    let told = all(&client, &["nginx".to_owned(), "r.example/a".to_owned()], &RegistryRun::default()).await;
    let nothing = ImagePlatforms { platforms: Vec::new(), trouble: None };
    assert_eq!(told, [nothing.clone(), nothing]);
}
