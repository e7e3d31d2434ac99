//! Ways through the Kubernetes API to a Prometheus that only the cluster can reach.

use std::fmt;
use std::str::FromStr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::StreamExt as _;
use futures::stream;
use http::header::{CONTENT_TYPE, HOST, HeaderMap, LOCATION, RETRY_AFTER};
use http::{Method, Request, Response};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_util::rt::TokioIo;
use k8s_openapi::api::core::v1::{Pod, Service};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use kube::api::{Api, AttachParams, ListParams};
use kube::client::Body;
use kube::{Client, ResourceExt as _};
use tokio::io::AsyncReadExt as _;
use tokio::sync::Mutex;

use super::exec::{self, Outcome, Ran};
use super::request::encode;
use super::rights::Right;
use super::send::chain;
use super::wire;
use crate::SourceError;
use crate::prometheus::{Answer, QueryRequest, Style, Transport, TransportError};

/// Longest address that is asked with GET, which needs fewer rights than POST. Unit: bytes.
const LONGEST_GET: usize = 6000;

/// Largest answer of a command in a pod, and of a refusal. Unit: bytes.
const LARGEST_OUTPUT: u64 = 128 << 20;
const LARGEST_REFUSAL: usize = 64 << 10;

/// Port of Prometheus where none is given.
const USUAL_PORT: u16 = 9090;

/// A way through the Kubernetes API.
///
/// Text form: `service-proxy:NAMESPACE/[https:]SERVICE:PORT`, `port-forward:NAMESPACE/POD:PORT`,
/// `port-forward:NAMESPACE/svc/SERVICE:PORT`, `exec:NAMESPACE/POD[/CONTAINER][:PORT]`; a path after the port is
/// put before that of every request.
///
/// ```
/// use healthcore_sources::kubernetes::Reach;
/// let reach: Reach = "service-proxy:monitoring/prometheus:9090".parse().unwrap();
/// assert_eq!(reach.to_string(), "service-proxy monitoring/prometheus:9090");
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reach {
    namespace: String,
    way: Way,
    /// Put before the path of every request; empty or `/...` without a slash at the end.
    prefix: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Way {
    /// The API server forwards single requests to a service: right `services/proxy`.
    ServiceProxy { service: String, https: bool, port: String },
    /// The API server forwards a connection to a pod: right `pods/portforward`.
    PortForward { to: ForwardTo, port: u16 },
    /// A command in a pod asks: right `pods/exec`.
    Exec { pod: String, container: Option<String>, port: u16 },
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum ForwardTo {
    Pod(String),
    Service(String),
}

/// A text that names no way through the Kubernetes API.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{why}; expected `service-proxy:NAMESPACE/SERVICE:PORT`, `port-forward:NAMESPACE/POD:PORT`, `port-forward:NAMESPACE/svc/SERVICE:PORT` or `exec:NAMESPACE/POD[/CONTAINER][:PORT]`, got `{given}`"
)]
pub struct ReachError {
    why: String,
    given: String,
}

impl Reach {
    /// Whether credentials of the metrics server get there: the API server keeps those that it forwards, and arguments of a
    /// command are seen by others.
    #[must_use]
    pub fn carries_credentials(&self) -> bool {
        matches!(self.way, Way::PortForward { .. })
    }
}

impl FromStr for Reach {
    type Err = ReachError;

    fn from_str(given: &str) -> Result<Self, ReachError> {
        let refuse = |why: &str| ReachError { why: why.to_owned(), given: given.to_owned() };
        let (kind, rest) = given.split_once(':').ok_or_else(|| refuse("there is no colon"))?;
        if !matches!(kind, "service-proxy" | "port-forward" | "exec") {
            return Err(refuse(&format!("`{kind}` is no way")));
        }
        let (namespace, target) = rest.split_once('/').ok_or_else(|| refuse("there is no namespace"))?;
        if !is_name(namespace) {
            return Err(refuse(&format!("`{namespace}` is no name of a namespace")));
        }
        let (target, https) = match target.strip_prefix("https:") {
            Some(_) if kind != "service-proxy" => {
                return Err(refuse("only service-proxy can use https"));
            }
            Some(target) => (target, true),
            None => (target.strip_prefix("http:").unwrap_or(target), false),
        };
        let (target, port, prefix) = match target.split_once(':') {
            Some((target, port)) => {
                let (port, prefix) = port.split_at(port.find('/').unwrap_or(port.len()));
                (target, Some(port), prefix.trim_end_matches('/'))
            }
            None => (target, None, ""),
        };
        if prefix.contains(['?', '#', ' ', '%']) {
            return Err(refuse(&format!("`{prefix}` is no plain path")));
        }
        let number = |port: &str| {
            port.parse::<u16>()
                .ok()
                .filter(|port| *port > 0)
                .ok_or_else(|| refuse(&format!("`{port}` is no port number")))
        };
        let name = |name: &str, of: &str| match is_name(name) {
            true => Ok(name.to_owned()),
            false => Err(refuse(&format!("`{name}` is no name of a {of}"))),
        };
        let way = match kind {
            "service-proxy" => {
                let port = port.ok_or_else(|| refuse("there is no port"))?;
                if port.is_empty() || !port.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-') {
                    return Err(refuse(&format!("`{port}` is no port number or port name")));
                }
                Way::ServiceProxy { service: name(target, "service")?, https, port: port.to_owned() }
            }
            "port-forward" => {
                let port = number(port.ok_or_else(|| refuse("there is no port"))?)?;
                let to = match target.split_once('/') {
                    Some(("svc" | "service", service)) => ForwardTo::Service(name(service, "service")?),
                    Some(("pod", pod)) => ForwardTo::Pod(name(pod, "pod")?),
                    _ => ForwardTo::Pod(name(target, "pod")?),
                };
                Way::PortForward { to, port }
            }
            _ => {
                let (pod, container) = match target.split_once('/') {
                    Some((pod, container)) => (pod, Some(name(container, "container")?)),
                    None => (target, None),
                };
                let port = port.map_or(Ok(USUAL_PORT), number)?;
                Way::Exec { pod: name(pod, "pod")?, container, port }
            }
        };
        Ok(Self { namespace: namespace.to_owned(), way, prefix: prefix.to_owned() })
    }
}

impl Reach {
    /// What an account must be allowed to go this way.
    pub(super) fn rights(&self) -> Vec<Right> {
        let right = |verb, resource, name| Right::within(&self.namespace, verb, resource, name);
        match &self.way {
            // Long queries are POSTs, which RBAC calls `create`.
            Way::ServiceProxy { service, https, port } => {
                let name = format!("{}{service}:{port}", if *https { "https:" } else { "" });
                ["get", "create"].map(|verb| right(verb, "services/proxy", Some(&name))).into()
            }
            // A WebSocket is begun by a GET; newer servers want the right to `create` as well.
            Way::PortForward { to: ForwardTo::Pod(pod), .. } => {
                ["get", "create"].map(|verb| right(verb, "pods/portforward", Some(pod))).into()
            }
            Way::PortForward { to: ForwardTo::Service(service), .. } => vec![
                right("get", "services", Some(service)),
                right("list", "pods", None),
                right("get", "pods/portforward", None),
                right("create", "pods/portforward", None),
            ],
            Way::Exec { pod, .. } => ["get", "create"].map(|verb| right(verb, "pods/exec", Some(pod))).into(),
        }
    }
}

/// Whether Kubernetes takes the text as a name of an object (DNS subdomain).
fn is_name(text: &str) -> bool {
    let edge = |b: Option<&u8>| b.is_some_and(u8::is_ascii_alphanumeric);
    let bytes = text.as_bytes();
    bytes.len() <= 253
        && edge(bytes.first())
        && edge(bytes.last())
        && bytes.iter().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'.'))
}

impl fmt::Display for Reach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { namespace, way, prefix } = self;
        match way {
            Way::ServiceProxy { service, https, port } => {
                let scheme = if *https { "https:" } else { "" };
                write!(f, "service-proxy {namespace}/{scheme}{service}:{port}{prefix}")
            }
            Way::PortForward { to: ForwardTo::Pod(pod), port } => {
                write!(f, "port-forward {namespace}/{pod}:{port}{prefix}")
            }
            Way::PortForward { to: ForwardTo::Service(service), port } => {
                write!(f, "port-forward {namespace}/svc/{service}:{port}{prefix}")
            }
            Way::Exec { pod, container, port } => {
                let container = container.as_ref().map(|c| format!("/{c}")).unwrap_or_default();
                write!(f, "exec {namespace}/{pod}{container}:{port}{prefix}")
            }
        }
    }
}

/// Requests that go through the Kubernetes API.
pub(super) struct Tunnel {
    client: Client,
    reach: Reach,
    headers: HeaderMap,
    /// The pod and its port behind a service, once found.
    found: Mutex<Option<(String, u16)>>,
    /// The command that the pod has, as an index into [`exec::TOOLS`].
    tool: AtomicUsize,
}

impl Tunnel {
    /// `headers` are sent to the metrics server.
    ///
    /// # Errors
    /// The way cannot carry the headers.
    pub(super) fn new(client: Client, reach: Reach, headers: HeaderMap) -> Result<Self, SourceError> {
        let refuse = |why: &str| SourceError::Setting { what: reach.to_string(), why: why.to_owned() };
        if matches!(reach.way, Way::Exec { .. }) && !headers.is_empty() {
            return Err(refuse(
                "headers and credentials would show in the list of processes of the pod; use service-proxy or port-forward",
            ));
        }
        let credentials = headers.contains_key(http::header::AUTHORIZATION);
        if matches!(reach.way, Way::ServiceProxy { .. }) && credentials {
            return Err(refuse("the API server does not pass credentials on; use port-forward"));
        }
        Ok(Self { client, reach, headers, found: Mutex::new(None), tool: AtomicUsize::new(0) })
    }

    /// The request with its parameters where they belong. What may be a GET is one.
    fn request(&self, base: &str, request: &QueryRequest) -> (Method, String, String) {
        let body: String =
            form_urlencoded::Serializer::new(String::new()).extend_pairs(&request.params).finish();
        let path = format!("{base}{}{}", self.reach.prefix, request.path);
        let short = path.len() + body.len() < LONGEST_GET;
        match request.style {
            Style::Form if !short => (Method::POST, path, body),
            Style::Form | Style::Get => (Method::GET, format!("{path}?{body}"), String::new()),
            Style::Url => (Method::POST, format!("{path}?{body}"), String::new()),
        }
    }

    fn http<B>(
        &self,
        (method, uri, form): (Method, String, String),
        body: impl FnOnce(Bytes) -> B,
    ) -> Result<Request<B>, TransportError> {
        let mut built = Request::builder().method(method).uri(uri);
        if !form.is_empty() {
            built = built.header(CONTENT_TYPE, "application/x-www-form-urlencoded");
        }
        let mut built = built.body(body(form.into())).map_err(|e| lasting(e.to_string()))?;
        for (name, value) in &self.headers {
            built.headers_mut().append(name, value.clone());
        }
        Ok(built)
    }

    async fn through_proxy(
        &self,
        service: &str,
        https: bool,
        port: &str,
        request: &QueryRequest,
    ) -> Result<Answer, TransportError> {
        let namespace = &self.reach.namespace;
        let scheme = if https { "https:" } else { "" };
        let base = format!(
            "/api/v1/namespaces/{}/services/{scheme}{}:{port}/proxy",
            encode(namespace),
            encode(service)
        );
        let request = self.http(self.request(&base, request), Body::from)?;
        let verb = if request.method() == Method::GET { "get" } else { "create" };
        let answer = self.client.send(request).await.map_err(|e| fleeting(chain(&e)))?;
        if answer.status().is_success() {
            return Ok(answer_of(answer));
        }
        // Both the API server and Prometheus may have refused; only the former answers with a Status.
        let (head, body) = answer.into_parts();
        let body = Limited::new(body, LARGEST_REFUSAL).collect().await;
        let body = body.map(http_body_util::Collected::to_bytes).unwrap_or_default();
        if let Ok(said) = serde_json::from_slice::<wire::Status>(&body)
            && said.kind == "Status"
        {
            let why = match head.status.as_u16() {
                403 => {
                    format!("not allowed to {verb} services/proxy in namespace {namespace}: {}", said.message)
                }
                code => format!("the API server answers {code}: {}", said.message),
            };
            let may_pass = matches!(head.status.as_u16(), 429 | 500 | 502 | 503 | 504);
            return Err(TransportError { why, may_pass });
        }
        Ok(answer_of(Response::from_parts(head, Full::new(body))))
    }

    async fn through_forward(
        &self,
        to: &ForwardTo,
        port: u16,
        request: &QueryRequest,
    ) -> Result<Answer, TransportError> {
        let (pod, port) = match to {
            ForwardTo::Pod(pod) => (pod.clone(), port),
            ForwardTo::Service(service) => {
                let mut found = self.found.lock().await;
                match &*found {
                    Some(found) => found.clone(),
                    None => found.insert(self.behind(service, port).await?).clone(),
                }
            }
        };
        let answer = self.forward(&pod, port, request).await;
        if answer.is_err() {
            // The pod may be gone; the next attempt looks again.
            *self.found.lock().await = None;
        }
        answer
    }

    async fn forward(&self, pod: &str, port: u16, request: &QueryRequest) -> Result<Answer, TransportError> {
        let namespace = &self.reach.namespace;
        let api: Api<Pod> = Api::namespaced(self.client.clone(), namespace);
        let mut forwarder = api
            .portforward(pod, &[port])
            .await
            .map_err(|e| refused(&e, "create pods/portforward", namespace))?;
        let stream = forwarder.take_stream(port).ok_or_else(|| lasting("the port was not opened".into()))?;
        let trouble = forwarder.take_error(port);
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
            .await
            .map_err(|e| fleeting(chain(&e)))?;
        // Lives until the answer has been read, and keeps the forwarding alive.
        tokio::spawn(async move {
            let _ = connection.await;
            drop(forwarder);
        });
        let mut request = self.http(self.request("", request), Full::<Bytes>::new)?;
        let host = format!("127.0.0.1:{port}");
        request.headers_mut().insert(HOST, host.parse().map_err(|_| lasting("no host".into()))?);
        match sender.send_request(request).await {
            Ok(answer) => Ok(answer_of(answer)),
            Err(e) => {
                // What the kubelet says is worth more than that the connection ended.
                let said = match trouble {
                    Some(trouble) => {
                        tokio::time::timeout(Duration::from_secs(1), trouble).await.ok().flatten()
                    }
                    None => None,
                };
                let said = said.unwrap_or_else(|| chain(&e));
                Err(fleeting(format!("pod {namespace}/{pod}, port {port}: {}", said.trim())))
            }
        }
    }

    /// A ready pod behind a service, and its port.
    async fn behind(&self, service: &str, port: u16) -> Result<(String, u16), TransportError> {
        let namespace = &self.reach.namespace;
        let services: Api<Service> = Api::namespaced(self.client.clone(), namespace);
        let found = services.get(service).await.map_err(|e| refused(&e, "get services", namespace))?;
        let spec = found.spec.unwrap_or_default();
        let selector: Vec<String> =
            spec.selector.unwrap_or_default().iter().map(|(k, v)| format!("{k}={v}")).collect();
        if selector.is_empty() {
            return Err(lasting(format!("service {namespace}/{service} selects no pods")));
        }
        let ports = spec.ports.unwrap_or_default();
        let Some(wanted) = ports.iter().find(|p| p.port == i32::from(port)) else {
            let known: Vec<String> = ports.iter().map(|p| p.port.to_string()).collect();
            return Err(lasting(format!(
                "service {namespace}/{service} has no port {port}; it has {}",
                known.join(", ")
            )));
        };
        let pods: Api<Pod> = Api::namespaced(self.client.clone(), namespace);
        let params = ListParams::default().labels(&selector.join(",")).limit(100);
        let pods = pods.list(&params).await.map_err(|e| refused(&e, "list pods", namespace))?;
        let Some(pod) = pods.items.iter().find(|pod| is_ready(pod)) else {
            return Err(fleeting(format!("no pod behind service {namespace}/{service} is ready")));
        };
        let port = match &wanted.target_port {
            Some(IntOrString::Int(port)) => u16::try_from(*port).ok(),
            Some(IntOrString::String(name)) => named_port(pod, name),
            None => Some(port),
        };
        let port = port.ok_or_else(|| {
            lasting(format!(
                "pod {namespace}/{} has no port of the name that the service uses",
                pod.name_any()
            ))
        })?;
        Ok((pod.name_any(), port))
    }

    async fn through_exec(
        &self,
        pod: &str,
        container: Option<&str>,
        port: u16,
        request: &QueryRequest,
    ) -> Result<Answer, TransportError> {
        let base = format!("http://127.0.0.1:{port}{}", self.reach.prefix);
        let mut missing = Vec::new();
        let known = self.tool.load(Ordering::Relaxed);
        for (i, tool) in exec::TOOLS.iter().enumerate().skip(known) {
            let Some(command) = tool.command(&base, request) else { continue };
            let ran = self.run(pod, container, command).await?;
            match tool.read(request, ran) {
                Outcome::Answer { status, body } => {
                    self.tool.store(i, Ordering::Relaxed);
                    let body = stream::once(async move { Ok(Bytes::from(body)) }).boxed();
                    return Ok(Answer { status, retry_after: None, location: None, body });
                }
                Outcome::Failed { why, may_pass } => return Err(TransportError { why, may_pass }),
                Outcome::Missing => missing.push(tool.name()),
            }
        }
        Err(lasting(format!(
            "pod {}/{pod} has none of {}; name another container, or use service-proxy or port-forward",
            self.reach.namespace,
            missing.join(", ")
        )))
    }

    async fn run(
        &self,
        pod: &str,
        container: Option<&str>,
        command: Vec<String>,
    ) -> Result<Ran, TransportError> {
        let namespace = &self.reach.namespace;
        let api: Api<Pod> = Api::namespaced(self.client.clone(), namespace);
        let params = AttachParams {
            container: container.map(str::to_owned),
            max_stdout_buf_size: Some(1 << 20),
            ..AttachParams::default()
        };
        let mut process =
            api.exec(pod, command, &params).await.map_err(|e| refused(&e, "create pods/exec", namespace))?;
        let status = process.take_status();
        let (stdout, stderr) = (process.stdout(), process.stderr());
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let broken = |e: std::io::Error| fleeting(format!("pod {namespace}/{pod}: {e}"));
        let read_out = async {
            if let Some(stdout) = stdout {
                stdout.take(LARGEST_OUTPUT).read_to_end(&mut out).await.map_err(broken)?;
            }
            // Said at once: a command that is not read any more does not end.
            if out.len() as u64 >= LARGEST_OUTPUT {
                return Err(lasting(
                    "the answer is larger than 128 MiB; use service-proxy or port-forward".into(),
                ));
            }
            Ok(())
        };
        let read_err = async {
            if let Some(stderr) = stderr {
                stderr.take(LARGEST_REFUSAL as u64).read_to_end(&mut err).await.map_err(broken)?;
            }
            Ok(())
        };
        tokio::try_join!(read_out, read_err)?;
        let status = match status {
            Some(status) => status.await,
            None => None,
        };
        let Some(status) = status else {
            return Err(fleeting(format!(
                "pod {namespace}/{pod}: the connection ended before the command did"
            )));
        };
        let code = match status.status.as_deref() {
            Some("Success") => Some(0),
            _ => {
                let causes = status.details.iter().flat_map(|d| d.causes.iter().flatten());
                let code = causes.filter(|c| c.reason.as_deref() == Some("ExitCode"));
                code.filter_map(|c| c.message.as_deref()).find_map(|text| text.parse().ok())
            }
        };
        let said = status.message.unwrap_or_default();
        Ok(Ran { stdout: out, stderr: String::from_utf8_lossy(&err).into_owned(), code, said })
    }
}

fn is_ready(pod: &Pod) -> bool {
    let conditions = pod.status.as_ref().and_then(|s| s.conditions.as_deref()).unwrap_or_default();
    pod.metadata.deletion_timestamp.is_none()
        && conditions.iter().any(|c| c.type_ == "Ready" && c.status == "True")
}

fn named_port(pod: &Pod, name: &str) -> Option<u16> {
    let containers = pod.spec.as_ref().map(|s| s.containers.as_slice()).unwrap_or_default();
    let mut ports = containers.iter().flat_map(|c| c.ports.as_deref().unwrap_or_default());
    let port = ports.find(|p| p.name.as_deref() == Some(name))?;
    u16::try_from(port.container_port).ok()
}

fn answer_of<B>(answer: Response<B>) -> Answer
where
    B: hyper::body::Body<Data = Bytes> + Send + 'static,
    B::Error: std::error::Error + 'static,
{
    let (head, body) = answer.into_parts();
    let header = |name| head.headers.get(name).and_then(|v| v.to_str().ok());
    let data = body.into_data_stream().map(|chunk| chunk.map_err(|e| fleeting(chain(&e))));
    Answer {
        status: head.status.as_u16(),
        retry_after: header(RETRY_AFTER).and_then(|v| v.parse().ok()).map(Duration::from_secs),
        location: header(LOCATION).map(str::to_owned),
        body: data.boxed(),
    }
}

fn lasting(why: String) -> TransportError {
    TransportError { why, may_pass: false }
}

fn fleeting(why: String) -> TransportError {
    TransportError { why, may_pass: true }
}

/// Why the API server did not open the way.
fn refused(error: &kube::Error, what: &str, namespace: &str) -> TransportError {
    match error {
        kube::Error::Api(status) if status.code == 403 => {
            lasting(format!("not allowed to {what} in namespace {namespace}: {}", status.message))
        }
        kube::Error::Api(status) => TransportError {
            why: format!("the API server answers {}: {}", status.code, status.message),
            may_pass: matches!(status.code, 429 | 500 | 502 | 503 | 504),
        },
        other => fleeting(chain(other)),
    }
}

#[async_trait]
impl Transport for Tunnel {
    fn target(&self) -> String {
        self.reach.to_string()
    }

    fn via(&self) -> String {
        self.reach.to_string()
    }

    async fn send(&self, request: &QueryRequest) -> Result<Answer, TransportError> {
        match &self.reach.way {
            Way::ServiceProxy { service, https, port } => {
                self.through_proxy(service, *https, port, request).await
            }
            Way::PortForward { to, port } => self.through_forward(to, *port, request).await,
            Way::Exec { pod, container, port } => {
                self.through_exec(pod, container.as_deref(), *port, request).await
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex as SyncMutex;

    #[test]
    fn ways_are_read_and_shown() {
        let check = |given: &str, shown: &str| {
            assert_eq!(given.parse::<Reach>().map(|r| r.to_string()).as_deref(), Ok(shown));
        };
        check("service-proxy:monitoring/prometheus:9090", "service-proxy monitoring/prometheus:9090");
        check("service-proxy:m/https:thanos:http-web/x/", "service-proxy m/https:thanos:http-web/x");
        check("service-proxy:m/http:prometheus:web", "service-proxy m/prometheus:web");
        check("port-forward:m/prometheus-0:9090", "port-forward m/prometheus-0:9090");
        check("port-forward:m/pod/prometheus-0:9090", "port-forward m/prometheus-0:9090");
        check(
            "port-forward:m/svc/prometheus:80/select/0/prometheus",
            "port-forward m/svc/prometheus:80/select/0/prometheus",
        );
        check("exec:m/prometheus-0", "exec m/prometheus-0:9090");
        check("exec:m/prometheus-0/prometheus:9091", "exec m/prometheus-0/prometheus:9091");
    }

    #[test]
    fn texts_that_are_no_way_say_why() {
        let check = |given: &str, why: &str| {
            let said = given.parse::<Reach>().unwrap_err().to_string();
            assert!(said.starts_with(&format!("{why}; expected `service-proxy:")), "{said}");
            assert!(said.ends_with(&format!("got `{given}`")), "{said}");
        };
        check("prometheus", "there is no colon");
        check("http://prometheus:9090", "`http` is no way");
        check("exec:prometheus-0", "there is no namespace");
        check("service-proxy:m/prometheus", "there is no port");
        check("service-proxy:m/prometheus:90 90", "`90 90` is no port number or port name");
        check("port-forward:m/prometheus:web", "`web` is no port number");
        check("port-forward:m/prometheus:0", "`0` is no port number");
        check("port-forward:m/deploy/x:1", "`deploy/x` is no name of a pod");
        check("port-forward:m/https:x:1", "only service-proxy can use https");
        check("exec:M/p", "`M` is no name of a namespace");
        check("exec:m/p/c/d", "`c/d` is no name of a container");
        check("service-proxy:m/p:1/a?b", "`/a?b` is no plain path");
        check("exec:m/../x", "`..` is no name of a pod");
    }

    fn query(text: &str) -> QueryRequest {
        QueryRequest {
            path: "/api/v1/query",
            params: vec![("query", text.to_owned()), ("time", "5".to_owned())],
            style: Style::Form,
        }
    }

    /// What a tunnel asks, and what it makes of the answer.
    fn send(
        reach: &str,
        request: &QueryRequest,
        status: u16,
        body: &str,
    ) -> (String, Result<(u16, String), String>) {
        let asked = std::sync::Arc::new(SyncMutex::new(String::new()));
        let (seen, body) = (std::sync::Arc::clone(&asked), body.to_owned());
        let service = tower::service_fn(move |request: Request<Body>| {
            let (seen, body) = (std::sync::Arc::clone(&seen), body.clone());
            async move {
                let (head, form) = request.into_parts();
                let form = form.collect_bytes().await.unwrap_or_default();
                let org = head.headers.get("x-scope-orgid").map(|v| v.to_str().unwrap_or_default());
                *seen.lock().unwrap() =
                    format!("{} {} {} {}", head.method, head.uri, form.len(), org.unwrap_or("-"));
                let answer = Response::builder().status(status).body(Body::from(body.into_bytes())).unwrap();
                Ok::<_, std::convert::Infallible>(answer)
            }
        });
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let answer = runtime.block_on(async {
            let client = Client::new(service, "default");
            let headers = HeaderMap::from_iter([("x-scope-orgid".parse().unwrap(), "7".parse().unwrap())]);
            let tunnel = Tunnel::new(client, reach.parse().unwrap(), headers).unwrap();
            let mut answer = tunnel.send(request).await.map_err(|e| format!("{} {}", e.may_pass, e.why))?;
            let mut body = Vec::new();
            while let Some(chunk) = answer.body.next().await {
                body.extend_from_slice(&chunk.map_err(|e| e.why)?);
            }
            Ok((answer.status, String::from_utf8(body).unwrap()))
        });
        let asked = asked.lock().unwrap().clone();
        (asked, answer)
    }

    #[test]
    fn the_service_proxy_asks_with_get_while_it_can() {
        let (asked, answer) =
            send("service-proxy:m/https:prometheus:web/x", &query("up{a=\"b c\"}"), 200, "{}");
        assert_eq!(
            asked,
            "GET /api/v1/namespaces/m/services/https:prometheus:web/proxy/x/api/v1/query?query=up%7Ba%3D%22b+c%22%7D&time=5 0 7"
        );
        assert_eq!(answer, Ok((200, "{}".to_owned())));
        let (asked, _) = send("service-proxy:m/prometheus:9090", &query(&"a".repeat(7000)), 200, "{}");
        assert_eq!(asked, "POST /api/v1/namespaces/m/services/prometheus:9090/proxy/api/v1/query 7013 7");
    }

    #[test]
    fn the_api_servers_refusal_is_told_from_prometheus_own() {
        let way = "service-proxy:m/prometheus:9090";
        let forbidden = r#"{"kind":"Status","message":"services \"prometheus:9090\" is forbidden"}"#;
        let (_, answer) = send(way, &query("up"), 403, forbidden);
        assert_eq!(
            answer,
            Err("false not allowed to get services/proxy in namespace m: services \"prometheus:9090\" is forbidden".into())
        );
        let away = r#"{"kind":"Status","message":"no endpoints available for service \"prometheus\""}"#;
        let (_, answer) = send(way, &query("up"), 503, away);
        assert!(answer.unwrap_err().starts_with("true the API server answers 503: no endpoints"));
        let own = r#"{"status":"error","errorType":"bad_data","error":"parse error"}"#;
        let (_, answer) = send(way, &query("up{"), 400, own);
        assert_eq!(answer, Ok((400, own.to_owned())));
    }

    #[test]
    fn the_rights_that_other_ways_need_are_named() {
        let forbidden =
            r#"{"kind":"Status","code":403,"status":"Failure","reason":"Forbidden","message":"no"}"#;
        let runtime = |reach: &str| {
            let service = tower::service_fn(move |_: Request<Body>| async move {
                let answer = Response::builder().status(403).body(Body::from(forbidden.as_bytes().to_vec()));
                Ok::<_, std::convert::Infallible>(answer.unwrap())
            });
            tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
                let client = Client::new(service, "default");
                let tunnel = Tunnel::new(client, reach.parse().unwrap(), HeaderMap::new()).unwrap();
                tunnel.send(&query("up")).await.map(|_| ()).unwrap_err().why
            })
        };
        assert_eq!(
            runtime("port-forward:m/p:1"),
            "not allowed to create pods/portforward in namespace m: no"
        );
        assert_eq!(runtime("port-forward:m/svc/p:1"), "not allowed to get services in namespace m: no");
        assert_eq!(runtime("exec:m/p"), "not allowed to create pods/exec in namespace m: no");
    }

    #[test]
    fn secrets_do_not_go_where_they_would_show() {
        let check = |reach: &str, header: &str, allowed: bool| {
            let service = tower::service_fn(|_: Request<Body>| async {
                Ok::<_, std::convert::Infallible>(Response::new(Body::empty()))
            });
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            let client = runtime.block_on(async { Client::new(service, "default") });
            let headers = HeaderMap::from_iter([(header.parse().unwrap(), "hunter2".parse().unwrap())]);
            let made = Tunnel::new(client, reach.parse().unwrap(), headers);
            assert_eq!(made.is_ok(), allowed, "{reach} {header}");
            let way: Reach = reach.parse().unwrap();
            assert!(header != "authorization" || way.carries_credentials() == allowed, "{reach}");
            assert!(!made.err().map(|e| e.to_string()).unwrap_or_default().contains("hunter2"));
        };
        check("exec:m/p", "x-scope-orgid", false);
        check("service-proxy:m/p:1", "x-scope-orgid", true);
        check("exec:m/p", "authorization", false);
        check("service-proxy:m/p:1", "authorization", false);
        check("port-forward:m/p:1", "authorization", true);
    }
}
