//! `certificate-expiring`: a TLS certificate has ended, ends soon, or is not one that clients accept for its host.

use std::cmp::Ordering;
use std::net::IpAddr;

use crate::check::{Check, CheckInfo, Judgement, Outcome, Subject};
use crate::finding::{Advice, Problem, Severity, SubjectRef, Text, Value};
use crate::inventory::{
    Certificate, Inventory, ManagedCertificate, RouteTls, ServedCertificate, TlsSecret, names_cover,
};
use crate::measure;
use crate::model::{Condition, ObjectKind, Workload};
use crate::need::Needs;
use crate::phrase::{first_and_more, phrase};
use crate::snapshot::{Field, Missing};
use crate::time::{SKEW_S, Timestamp};
use crate::unit::Seconds;
use crate::view::View;

/// A TLS certificate has ended, ends soon, or is not one that clients accept for its host.
pub struct CertificateExpiring;

crate::params! {
    /// Parameters of `certificate-expiring`.
    pub struct CertificateExpiringParams {
        /// Time left at which a warning is due; the bound itself counts.
        warning: Seconds = Seconds::from_days(30.0) => Seconds(0.0)..=Seconds::from_days(3650.0),
        /// Time left at which it is critical; the bound itself counts.
        critical: Seconds = Seconds::from_days(7.0) => Seconds(0.0)..=Seconds::from_days(3650.0),
        /// How long a Certificate of cert-manager may wait to be issued or renewed.
        overdue: Seconds = Seconds::from_hours(1.0) => Seconds(60.0)..=Seconds::from_days(90.0),
        /// Whole life of a certificate that only machines renew, whoever issued it.
        short_lived: Seconds = Seconds::from_days(7.0) => Seconds(0.0)..=Seconds::from_days(90.0),
    }
    where |p| p.critical <= p.warning, "critical must not be above warning";
}

impl Check for CertificateExpiring {
    const INFO: CheckInfo = CheckInfo {
        id: "certificate-expiring",
        title: "Certificate expires",
        since: "0.1.0",
        checks: "How long the certificates of TLS Secrets are still valid, whether they are made for the hosts that use them, \
                 and whether their chain fits together; the same of the certificates that TLS servers show. Servers of \
                 hosts for which a route ends TLS are asked at port 443 from where the run is made, and those that the \
                 configuration names. Whether cert-manager can issue and renew its Certificates.",
        why: "From the second on at which a certificate ends every client refuses the host, all at once.",
        decides: "Critical when `critical` or less is left or the certificate has ended, a warning when `warning` or less \
                  is left. The certificate of the chain that ends first counts, roots above the server's own aside; where a server shows that \
                  the first ones lead to a root that is known here, those behind them do not count. What \
                  machines renew is told when a third of its life is left at most, and is critical at a tenth at most: a \
                  certificate that cert-manager keeps, one that names where its issuer's certificate is found, as those of \
                  public authorities do (47 days, 6 days), and one whose whole life is `short-lived` or less. Where \
                  cert-manager says when it renews, nothing is told before that. Where the names, the chain or what the server shows are \
                  wrong as well, that is told with the time that is left, and as badly as the worse of both. A warning when a Secret holds no readable certificate, when its chain cannot be \
                  read to its end or has more than 20 certificates (the first are judged), when its names do not cover \
                  a host of a route that uses it (RFC 9525: a wildcard stands for one label; info when the common name alone does), or when neighbours in its \
                  chain do not fit (info where clients that know their roots accept it; what stands behind a root breaks nothing) or the \
                  server's own certificate is not the first. Of a server that shows such a certificate this is critical, and it is a warning when \
                  it shows a certificate that was issued earlier than the one in the Secret of its route (by the same authority, or with an \
                  earlier end: another one is that of a proxy in front), or does not send the certificate of \
                  its issuer though a public authority or the Secret has one. Where nobody here knows the issuer of the \
                  only certificate, and neither tells, this is info, as is a self-signed one. Info as well when a Secret holds the \
                  server's own certificate alone, though its issuer is an intermediate: it says where that is found, or another \
                  Secret has it. A server without an answer is unknown, and no \
                  problem: not every host can be reached from everywhere. A Certificate of cert-manager that is not ready, whose \
                  last attempt failed, or whose renewal is overdue, each for `overdue` or longer, is a warning; where \
                  its Secret is told, it is told there. A Secret that no route uses is info at most, a warning \
                  when a pod that runs mounts it or cert-manager keeps it, and told by the server that shows what it holds. Without the right to list Secrets only servers are judged.",
        remedy: "Renew the certificate. Where cert-manager keeps it, the Certificate object tells why it did not.",
        false_alarms: "A Secret that a controller reads by its name, and that no pod mounts, is told as info only. A host that a \
                       proxy in front of the cluster serves with a certificate of its own. A private CA that signs servers \
                       directly.",
        texts: &[
            ("expired", "{what} expired {ago} ago: clients refuse {hosts}"),
            ("expires", "{what} expires in {left}, for {hosts}"),
            ("not-yet", "{what} is valid only from {after} on: clients refuse {hosts}"),
            ("unused-expired", "{what} expired {ago} ago; {use}"),
            ("unused-expires", "{what} expires in {left}; {use}"),
            ("unused-not-yet", "{what} is valid only from {after} on; {use}"),
            ("uncovered-expires", "{what} expires in {left}; its names cover no host that uses it"),
            ("broken", "holds no readable certificate: {why}"),
            ("unreadable", "its chain cannot be read behind certificate {n}: {why}"),
            ("too-long", "holds a chain of {n} certificates, and no more than {most} are looked at"),
            (
                "shows-too-long",
                "the server shows a chain of {n} certificates, and no more than {most} are looked at",
            ),
            ("wrong-host", "the certificate is not made for {host}: its names are {names}"),
            (
                "wrong-host-ends",
                "the certificate is not made for {host}: its names are {names}; and {what} expires in {left}",
            ),
            (
                "wrong-order",
                "the chain begins with {issuer}, which issued {subject}: the server's own certificate must come first",
            ),
            ("chain", "the chain is broken: {below} is issued by {issuer}, and {above} comes next"),
            (
                "chain-ends",
                "the chain is broken: {below} is issued by {issuer}, and {above} comes next; and {what} expires in {left}",
            ),
            (
                "common-name",
                "the certificate names {host} in its common name alone, which current clients do not read",
            ),
            ("alone", "the server shows no certificate of the issuer {issuer}, which is not known here"),
            (
                "intermediate",
                "the server does not send the intermediate certificate {issuer}: clients that do not have it refuse {host}",
            ),
            (
                "intermediate-ends",
                "the server does not send the intermediate certificate {issuer}: clients that do not have it refuse {host}; and {what} expires in {left}",
            ),
            (
                "lacks-intermediate",
                "its chain lacks the intermediate certificate {issuer}: clients that do not have it refuse {hosts}",
            ),
            ("self-signed", "the server shows a self-signed certificate, which is not known here"),
            (
                "stale-expired",
                "the server shows a certificate that expired {ago} ago: clients refuse {hosts}; Secret {secret} holds a newer one",
            ),
            (
                "stale",
                "the server shows a certificate that expires in {left}, Secret {secret} holds a newer one",
            ),
            ("not-issued", "cert-manager does not issue this certificate: {why}"),
            ("not-renewed", "cert-manager fails to renew this certificate: {why}"),
            ("overdue", "cert-manager should have renewed this certificate {ago} ago, and does not try"),
            ("look-managed", "see what cert-manager says of it"),
            ("look-issuing", "see which step does not come to its end"),
            ("renew", "renew the certificate and put it into the Secret"),
            ("renew-managed", "cert-manager keeps this Secret: see why it was not renewed"),
            ("order", "put the server's own certificate first, and behind each one that of its issuer"),
            (
                "shorten",
                "leave the server's own certificate and those of its issuers, and take out the others: clients have their roots",
            ),
            ("renew-served", "renew the certificate where the server keeps it, and let the server load it"),
            ("look", "look at the certificate"),
            ("look-served", "look at what the server shows"),
            ("reload", "let the server load the new certificate, by a restart when it does not by itself"),
            ("add-chain", "put the certificate of the issuer behind the server's own"),
            (
                "delete",
                "delete the Secret only when nothing needs it: a controller that reads it by its name is not seen here",
            ),
        ],
    };
    type Params = CertificateExpiringParams;
    type Subject<'a> = Certified<'a>;

    fn needs(_: &Self::Params, needs: &mut Needs) {
        needs
            .objects(ObjectKind::TlsSecrets)
            .objects(ObjectKind::ManagedCertificates)
            .objects(ObjectKind::ServedCertificates)
            .objects(ObjectKind::Routes)
            .objects(ObjectKind::Pods);
    }

    fn judge(params: &Self::Params, subject: &Certified<'_>, view: &View<'_>) -> Judgement {
        let inventory = &view.snapshot.objects.inventory;
        if inventory.skips_certificates(&subject.reference().namespace) {
            return Ok(Outcome::NotApplicable);
        }
        let problem = match subject {
            Certified::Secret(secret) => match of_secret(params, secret, view) {
                // So it is here: by the server that shows it, where no route tells who uses it.
                Some(_) if is_shown(secret, inventory) => return Ok(Outcome::NotApplicable),
                problem => problem,
            },
            Certified::Managed(managed) => match managed_secret(inventory, managed) {
                // One root cause is told once: by the Secret.
                Some(secret) if of_secret(params, secret, view).is_some() => {
                    return Ok(Outcome::NotApplicable);
                }
                _ => of_managed(params, managed, view)?,
            },
            Certified::Server(server) => of_server(params, server, view)?,
        };
        Ok(problem.map_or_else(|| ends_next(params, subject, view), Into::into))
    }
}

/// What holds a certificate.
#[derive(Debug, Clone, Copy)]
pub enum Certified<'a> {
    /// A TLS Secret.
    Secret(&'a TlsSecret),
    /// A Certificate of cert-manager.
    Managed(&'a ManagedCertificate),
    /// A TLS server that was asked.
    Server(&'a ServedCertificate),
}

impl<'a> Subject<'a> for Certified<'a> {
    fn all(view: &View<'a>) -> Vec<Self> {
        let inventory = &view.snapshot.objects.inventory;
        let secrets = inventory.tls_secrets.iter().map(Self::Secret);
        let managed = inventory.managed_certificates.iter().map(Self::Managed);
        secrets.chain(managed).chain(inventory.served.iter().map(Self::Server)).collect()
    }
    fn reference(&self) -> SubjectRef {
        let (id, kind) = match self {
            Self::Secret(secret) => (&secret.id, "Secret"),
            Self::Managed(managed) => (&managed.id, "Certificate"),
            Self::Server(server) => (&server.id, "Host"),
        };
        SubjectRef {
            namespace: id.namespace.clone(),
            kind: kind.to_owned(),
            name: id.name.clone(),
            ..SubjectRef::default()
        }
    }
    fn workload(&self) -> Option<&'a Workload> {
        None
    }
    fn lists() -> &'static [ObjectKind] {
        &[ObjectKind::TlsSecrets, ObjectKind::ManagedCertificates]
    }
    /// What a server shows is known without any right.
    fn made_of(&self) -> &'static [ObjectKind] {
        match self {
            Self::Secret(_) => &[ObjectKind::TlsSecrets],
            Self::Managed(_) => &[ObjectKind::ManagedCertificates],
            Self::Server(_) => &[],
        }
    }
}

/// Who relies on a Secret, which decides how loud it is told.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Use<'a> {
    /// A route, or nobody can tell.
    Routed,
    /// A pod of this name mounts it, and no route names it.
    Mounted(&'a str),
    /// cert-manager keeps it, and no route names it.
    Kept,
    None,
}

impl Use<'_> {
    const fn most(self) -> Severity {
        match self {
            Self::Routed => Severity::Critical,
            Self::Mounted(_) | Self::Kept => Severity::Warning,
            Self::None => Severity::Info,
        }
    }

    /// What is said of a Secret that no route uses.
    fn beside_routes(self) -> Option<Text> {
        match self {
            Self::Routed => None,
            Self::Mounted(pod) => Some(phrase("pod-mounts-it").with("pod", pod)),
            Self::Kept | Self::None => Some(phrase("no-route-uses-it")),
        }
    }
}

/// The Certificate of cert-manager that renews what a Secret holds.
#[derive(Debug, Clone, Copy)]
enum Keeper<'a> {
    Known(&'a ManagedCertificate),
    /// The Secret names one that cannot be seen.
    Named,
    None,
}

impl Keeper<'_> {
    /// Whether a certificate is to be renewed, and the time for that has not come, or came just now.
    fn renews_later(
        self,
        certificate: &Certificate,
        params: &CertificateExpiringParams,
        now: Timestamp,
    ) -> bool {
        let Self::Known(managed) = self else { return false };
        let ahead = |t: Timestamp| t.age_at(now).is_none_or(|ago| ago < params.overdue.get());
        managed.not_after == Some(certificate.not_after) && managed.renewal.is_some_and(ahead)
    }
}

fn of_secret(params: &CertificateExpiringParams, secret: &TlsSecret, view: &View<'_>) -> Option<Problem> {
    let inventory = &view.snapshot.objects.inventory;
    let hosts = hosts_of(inventory, secret);
    let used = match (&hosts, &secret.used_by) {
        (Some(_), _) => Use::Routed,
        _ if view.unavailable(ObjectKind::Routes, &secret.id.namespace).is_some() => Use::Routed,
        (None, Some(pod)) => Use::Mounted(pod),
        (None, None) if secret.managed_by.is_some() => Use::Kept,
        (None, None) => Use::None,
    };
    let keeper = match inventory.managed_certificates.iter().find(|m| keeps(m, secret)) {
        Some(managed) => Keeper::Known(managed),
        None if secret.managed_by.is_some() => Keeper::Named,
        None => Keeper::None,
    };
    let chain = &secret.chain[..];
    let found = if let [own, ..] = chain {
        let hosts = hosts.as_deref().unwrap_or_default();
        let half_read = worst([unreadable(secret), too_long("too-long", chain, secret.unread)]);
        let fault = wrong_order(Severity::Warning, chain)
            .or_else(|| worst([mismatch(own, hosts, inventory), half_read, broken_chain(chain, inventory)]))
            .or_else(|| lacks_intermediate(chain, hosts, inventory));
        let dated = dated(params, chain, view, used, keeper);
        told_together(fault, dated.map(|dated| dated.of_hosts(own, hosts)))
    } else {
        let why = secret.broken.as_deref().map_or_else(|| phrase("empty").into(), Value::from);
        Some(Problem::new(Severity::Warning, Text::new("broken").with("why", why)))
    }?;
    let problem = Problem { severity: found.severity.min(used.most()), ..found };
    Some(advice_for_secret(secret, used, &problem).into_iter().fold(problem, Problem::advise))
}

fn renew(secret: &TlsSecret) -> Advice {
    let (namespace, name) = (secret.id.namespace.as_str(), secret.id.name.as_str());
    match &secret.managed_by {
        Some(keeper) => Advice::new(Text::new("renew-managed"))
            .command(format!("kubectl -n {namespace} describe certificate {keeper}"), &[namespace, keeper]),
        None => Advice::new(Text::new("renew")).command(
            format!(
                "kubectl -n {namespace} create secret tls {name} --cert=tls.crt --key=tls.key --dry-run=client -o yaml | kubectl apply -f -"
            ),
            &[namespace, name],
        ),
    }
}

fn advice_for_secret(secret: &TlsSecret, used: Use<'_>, problem: &Problem) -> Vec<Advice> {
    let (namespace, name) = (secret.id.namespace.as_str(), secret.id.name.as_str());
    let look = Advice::new(Text::new("look")).command(
        format!(
            r"kubectl -n {namespace} get secret {name} -o jsonpath='{{.data.tls\.crt}}' | base64 -d | openssl x509 -noout -subject -issuer -dates -ext subjectAltName"
        ),
        &[namespace, name],
    );
    match used {
        Use::None => vec![look, Advice::new(Text::new("delete"))],
        _ if matches!(problem.summary.key.as_ref(), "wrong-order" | "chain") => {
            vec![Advice::new(Text::new("order")), look]
        }
        _ if problem.summary.key == "chain-ends" => {
            vec![Advice::new(Text::new("order")), renew(secret), look]
        }
        _ if problem.summary.key == "too-long" => vec![Advice::new(Text::new("shorten")), look],
        _ if problem.summary.key == "lacks-intermediate" => vec![Advice::new(Text::new("add-chain")), look],
        _ => vec![renew(secret), look],
    }
}

/// The Secret that cert-manager keeps a Certificate in, where it can be seen.
fn managed_secret<'a>(inventory: &'a Inventory, managed: &ManagedCertificate) -> Option<&'a TlsSecret> {
    inventory.tls_secrets.iter().find(|s| keeps(managed, s))
}

fn keeps(managed: &ManagedCertificate, secret: &TlsSecret) -> bool {
    secret.id.namespace == managed.id.namespace && secret.id.name == managed.secret
}

/// What cert-manager says of its Certificate.
fn of_managed(
    params: &CertificateExpiringParams,
    managed: &ManagedCertificate,
    view: &View<'_>,
) -> Result<Option<Problem>, Missing> {
    let now = view.snapshot.taken_at;
    let lasting = |since: Option<Timestamp>| {
        since.or(managed.created).and_then(|t| t.age_at(now)).is_some_and(|age| age >= params.overdue.get())
    };
    let Some(ready) = managed.condition("Ready") else {
        // The controller has not looked at it: it is new, or does not run.
        let why = || Missing::NotReported { field: Field::CertificateReady };
        return if view.is_younger(managed.created, params.overdue) { Ok(None) } else { Err(why()) };
    };
    let failed = managed.condition("Issuing").filter(|c| managed.failed_attempts > 0 || c.reason == "Failed");
    let overdue = managed.renewal.and_then(|t| t.age_at(now)).filter(|ago| *ago >= params.overdue.get());
    let problem = if ready.status != Some(true) && lasting(ready.since) {
        told("not-issued", failed.unwrap_or(ready)).since(ready.since)
    } else if let Some(failed) = failed.filter(|c| lasting(c.since)) {
        told("not-renewed", failed).since(failed.since)
    } else if let Some(ago) = overdue {
        Problem::new(Severity::Warning, Text::new("overdue").with("ago", Seconds(ago)))
    } else {
        return Ok(None);
    };
    Ok(Some(advise_managed(problem, managed, now)))
}

fn told(key: &'static str, condition: &Condition) -> Problem {
    let why = match condition.message.trim() {
        "" => condition.reason.clone(),
        message => format!("{}: {message}", condition.reason),
    };
    Problem::new(Severity::Warning, Text::new(key).with("why", why))
}

fn advise_managed(problem: Problem, managed: &ManagedCertificate, now: Timestamp) -> Problem {
    let (namespace, name) = (managed.id.namespace.as_str(), managed.id.name.as_str());
    let problem = match managed.failed_attempts {
        0 => problem,
        failed => problem.evidence("failed-attempts", failed),
    };
    let problem = match managed.not_after {
        Some(end) => problem.evidence("left", Seconds(end.seconds_since(now).max(0.0))),
        None => problem,
    };
    problem
        .evidence("secret", managed.secret.as_str())
        .advise(
            Advice::new(Text::new("look-managed"))
                .command(format!("kubectl -n {namespace} describe certificate {name}"), &[namespace, name]),
        )
        .advise(Advice::new(Text::new("look-issuing")).command(
            format!("kubectl -n {namespace} get certificaterequests,orders,challenges"),
            &[namespace],
        ))
}

fn of_server(
    params: &CertificateExpiringParams,
    server: &ServedCertificate,
    view: &View<'_>,
) -> Result<Option<Problem>, Missing> {
    let [own, ..] = &server.chain[..] else {
        return Err(Missing::NoHandshake);
    };
    let inventory = &view.snapshot.objects.inventory;
    let stored: Vec<&TlsSecret> = secrets_for(inventory, &server.host);
    let stale = stale(own, &stored, view.snapshot.taken_at);
    let reload = stale.is_some();
    let fault = wrong_order(Severity::Critical, &server.chain).or_else(|| {
        worst([
            (!names_cover(&own.names, &server.host))
                .then(|| wrong_host(Severity::Critical, own, &server.host)),
            stale,
            too_long("shows-too-long", &server.chain, server.unread),
            broken_chain(&server.chain, inventory),
            alone(server, &stored),
        ])
    });
    // One root cause is told once: by the Secret, where it can be read.
    let dated = match is_stored(server, inventory) {
        true => None,
        false => dated(params, &server.chain, view, Use::Routed, Keeper::None),
    };
    let found = told_together(fault, dated.map(|dated| dated.of(server.host.as_str().into())));
    let (host, port) = (&server.host, server.port);
    // An address has no name to ask for, and one of IPv6 stands in brackets.
    let (at, asked) = match host.parse::<IpAddr>() {
        Ok(IpAddr::V6(_)) => (format!("[{host}]:{port}"), String::new()),
        Ok(IpAddr::V4(_)) => (format!("{host}:{port}"), String::new()),
        Err(_) => (format!("{host}:{port}"), format!(" -servername {host}")),
    };
    let look = Advice::new(Text::new("look-served"))
        .command(format!("openssl s_client -connect {at}{asked} -showcerts </dev/null"), &[host]);
    let first = |p: &Problem| match p.summary.key.as_ref() {
        _ if reload => Some(Advice::new(Text::new("reload"))),
        "alone" | "intermediate" | "intermediate-ends" => Some(Advice::new(Text::new("add-chain"))),
        "wrong-order" | "chain" | "chain-ends" => Some(Advice::new(Text::new("order"))),
        "shows-too-long" => Some(Advice::new(Text::new("shorten"))),
        "expired" | "expires" => Some(renew_shown(own, inventory)),
        _ => None,
    };
    Ok(found.map(|p| first(&p).into_iter().chain([look]).fold(p, Problem::advise)))
}

/// How to renew what a server shows: in the Secret that holds it, though no route of the host names it.
fn renew_shown(own: &Certificate, inventory: &Inventory) -> Advice {
    let holds = |s: &&TlsSecret| s.chain.first().is_some_and(|c| c.fingerprint == own.fingerprint);
    inventory.tls_secrets.iter().find(holds).map_or_else(|| Advice::new(Text::new("renew-served")), renew)
}

/// A fault of a certificate and the time that it has left, as one problem: the time must not hide the fault. What has
/// ended is refused whatever else is wrong with it.
fn told_together(fault: Option<Problem>, dated: Option<Problem>) -> Option<Problem> {
    let (mut fault, dated) = match (fault, dated) {
        (Some(fault), Some(dated)) => (fault, dated),
        (one, other) => return one.or(other),
    };
    let key = match (fault.summary.key.as_ref(), dated.summary.key.as_ref()) {
        ("stale", "expired") => "stale-expired",
        ("stale", "expires") => "stale",
        ("wrong-order", _) => "wrong-order",
        ("wrong-host", "expires" | "unused-expires" | "uncovered-expires") => "wrong-host-ends",
        ("chain", "expires" | "unused-expires" | "uncovered-expires") => "chain-ends",
        ("intermediate", "expires") => "intermediate-ends",
        _ => return worst([Some(dated), Some(fault)]),
    };
    fault.summary.key = key.into();
    for (name, value) in dated.summary.args {
        fault.summary.args.entry(name).or_insert(value);
    }
    let known: Vec<_> = fault.evidence.iter().map(|e| e.name.clone()).collect();
    let more: Vec<_> = dated.evidence.into_iter().filter(|e| !known.contains(&e.name)).collect();
    fault.evidence.splice(0..0, more);
    Some(Problem { severity: fault.severity.max(dated.severity), since: dated.since, ..fault })
}

/// The first of the most severe.
fn worst<const N: usize>(found: [Option<Problem>; N]) -> Option<Problem> {
    found.into_iter().flatten().reduce(|a, b| if b.severity > a.severity { b } else { a })
}

/// What the dates of a chain tell, before it is said of which hosts.
struct Dated(Problem);

impl Dated {
    fn of(self, hosts: Value) -> Problem {
        let Self(mut problem) = self;
        problem.summary = problem.summary.with("hosts", hosts);
        problem
    }

    /// Of the hosts that a Secret is used for. What ends later ends only for those that it is made for; without any, nobody
    /// can tell which they are.
    fn of_hosts(self, own: &Certificate, hosts: &[String]) -> Problem {
        if self.0.summary.key.starts_with("unused") {
            return self.0;
        }
        if self.0.summary.key != "expires" || hosts.is_empty() {
            return self.of(in_words(hosts));
        }
        match &covered(own, hosts)[..] {
            [] => {
                let Self(mut problem) = self;
                problem.summary.key = "uncovered-expires".into();
                problem
            }
            covered => self.of(in_words(covered)),
        }
    }
}

/// The hosts that a certificate is made for, also by its common name alone.
fn covered(own: &Certificate, hosts: &[String]) -> Vec<String> {
    let common = common_name(own).filter(|_| own.names.is_empty()).map(str::to_owned);
    let names: Vec<String> = own.names.iter().cloned().chain(common).collect();
    hosts.iter().filter(|host| names_cover(&names, host)).cloned().collect()
}

/// What the dates of a chain tell; of one that nobody uses in other words.
fn dated(
    params: &CertificateExpiringParams,
    chain: &[Certificate],
    view: &View<'_>,
    used: Use<'_>,
    keeper: Keeper<'_>,
) -> Option<Dated> {
    let now = view.snapshot.taken_at;
    let (at, first) = first_to_end(chain, &view.snapshot.objects.inventory)?;
    let what = named(at, first);
    let (warning, critical) = bounds(params, first, keeper);
    let left = first.not_after.seconds_since(now);
    let wait = first.not_before.seconds_since(now);
    let (severity, keys, name, value) = if left <= 0.0 {
        (Severity::Critical, ("expired", "unused-expired"), "ago", Seconds(-left).into())
    } else if wait > SKEW_S {
        (Severity::Critical, ("not-yet", "unused-not-yet"), "after", first.not_before.into())
    } else if left <= warning && !keeper.renews_later(first, params, now) {
        let severity = if left <= critical { Severity::Critical } else { Severity::Warning };
        (severity, ("expires", "unused-expires"), "left", Value::from(Seconds(left)))
    } else {
        return None;
    };
    let text = match used.beside_routes() {
        None => Text::new(keys.0),
        Some(said) => Text::new(keys.1).with("use", said),
    };
    let text = text.with("what", what).with(name, value);
    let bound = if severity == Severity::Critical { critical } else { warning };
    Some(Dated(
        Problem::new(severity, text)
            .measured("left", Seconds(left), Seconds(bound))
            .evidence("not-after", first.not_after)
            .evidence("issuer", first.issuer.as_str())
            .since((left <= 0.0).then_some(first.not_after)),
    ))
}

/// In order, and to be watched when a certificate that a person renews comes near its end. One that a machine renews is
/// near the time of its renewal each time, and then renewed.
fn ends_next(params: &CertificateExpiringParams, subject: &Certified<'_>, view: &View<'_>) -> Outcome {
    let inventory = &view.snapshot.objects.inventory;
    let (chain, hosts): (_, Value) = match subject {
        Certified::Secret(secret) if secret.managed_by.is_none() => {
            let hosts = hosts_of(inventory, secret).unwrap_or_default();
            let covered = secret.chain.first().map(|own| covered(own, &hosts)).unwrap_or_default();
            if covered.is_empty() {
                return Outcome::Ok;
            }
            (&secret.chain, in_words(&covered))
        }
        Certified::Server(server) if !is_stored(server, inventory) => {
            (&server.chain, server.host.as_str().into())
        }
        _ => return Outcome::Ok,
    };
    let Some((at, first)) =
        first_to_end(chain, inventory).filter(|(_, c)| !by_machine(params, c, Keeper::None))
    else {
        return Outcome::Ok;
    };
    let left = first.not_after.seconds_since(view.snapshot.taken_at);
    let distance = measure::above(left, params.warning.get());
    if !view.keeps_watching(distance) {
        return Outcome::Ok;
    }
    let text = Text::new("expires").with("what", named(at, first)).with("left", Seconds(left));
    let problem = Problem::new(Severity::Info, text.with("hosts", hosts))
        .measured("left", Seconds(left), params.warning)
        .evidence("not-after", first.not_after)
        .evidence("issuer", first.issuer.as_str());
    Outcome::when(false, distance, problem)
}

/// Whether a Secret holds what a server shows.
fn is_stored(server: &ServedCertificate, inventory: &Inventory) -> bool {
    let Some(own) = server.chain.first() else { return false };
    let holds = |s: &TlsSecret| s.chain.first().is_some_and(|c| c.fingerprint == own.fingerprint);
    secrets_for(inventory, &server.host).into_iter().any(holds)
}

/// A certificate of a chain in words, by its place.
fn named(at: usize, certificate: &Certificate) -> Text {
    match at {
        0 => phrase("certificate"),
        _ => phrase("issuer").with("subject", certificate.subject.as_str()),
    }
}

/// The certificate of a chain that ends first, and its place. Self-signed ones above the server's own are roots, which
/// clients have of their own, and so are those behind what clients need.
fn first_to_end<'a>(chain: &'a [Certificate], inventory: &Inventory) -> Option<(usize, &'a Certificate)> {
    let chain = accepted(chain, inventory).unwrap_or(chain);
    let counts = |(at, c): &(usize, &Certificate)| *at == 0 || c.subject != c.issuer;
    chain.iter().enumerate().filter(counts).min_by_key(|(_, c)| c.not_after)
}

/// Seconds left at which a warning is due and at which it is critical. Clients of ACME renew when a third of the life is left.
fn bounds(params: &CertificateExpiringParams, certificate: &Certificate, keeper: Keeper<'_>) -> (f64, f64) {
    let (warning, critical) = (params.warning.get(), params.critical.get());
    if !by_machine(params, certificate, keeper) {
        return (warning, critical);
    }
    let life = life(certificate);
    (warning.min(life / 3.0), critical.min(life / 10.0))
}

/// Whether a machine renews a certificate.
fn by_machine(params: &CertificateExpiringParams, certificate: &Certificate, keeper: Keeper<'_>) -> bool {
    !matches!(keeper, Keeper::None)
        || certificate.issuer_url.is_some()
        || life(certificate) <= params.short_lived.get()
}

/// Seconds from the first to the last instant at which it is valid.
fn life(certificate: &Certificate) -> f64 {
    certificate.not_after.seconds_since(certificate.not_before)
}

/// A host of a route that the stored certificate does not cover. Where the server of the host was asked, its answer
/// decides.
fn mismatch(own: &Certificate, hosts: &[String], inventory: &Inventory) -> Option<Problem> {
    let asked = |host: &str| inventory.served.iter().any(|s| s.host == host && !s.chain.is_empty());
    let wrong = hosts.iter().find(|host| !names_cover(&own.names, host) && !asked(host))?;
    if own.names.is_empty() && common_name(own).is_some_and(|name| names_cover(&[name.to_owned()], wrong)) {
        return Some(Problem::new(Severity::Info, Text::new("common-name").with("host", wrong.as_str())));
    }
    Some(wrong_host(Severity::Warning, own, wrong))
}

/// The common name of the subject, which RFC 9525 does not count as a name of the server.
fn common_name(certificate: &Certificate) -> Option<&str> {
    certificate.subject.split(", ").find_map(|part| part.strip_prefix("CN="))
}

fn wrong_host(severity: Severity, own: &Certificate, host: &str) -> Problem {
    const MOST: usize = 5;
    let shown = own.names.iter().take(MOST).map(String::as_str).collect::<Vec<_>>().join(", ");
    let names: Value = match own.names.len() {
        0 => phrase("none").into(),
        all if all > MOST => phrase("and-more").with("first", shown).with("more", all - MOST).into(),
        _ => shown.into(),
    };
    Problem::new(severity, Text::new("wrong-host").with("host", host).with("names", names))
        .evidence("subject", own.subject.as_str())
        .evidence("issuer", own.issuer.as_str())
}

/// A chain whose first certificate issued another one of it, and so is not that of the server.
fn wrong_order(severity: Severity, chain: &[Certificate]) -> Option<Problem> {
    let (first, rest) = chain.split_first()?;
    let below = rest.iter().find(|c| c.issuer == first.subject && c.subject != first.subject)?;
    let text = Text::new("wrong-order")
        .with("issuer", first.subject.as_str())
        .with("subject", below.subject.as_str());
    Some(Problem::new(severity, text).evidence("certificates", chain.len()))
}

/// The certificates of a chain that clients need, where a server shows that those lead to a root that is known.
fn accepted<'a>(chain: &'a [Certificate], inventory: &Inventory) -> Option<&'a [Certificate]> {
    inventory.served.iter().find_map(|server| {
        let needed = server.chain.get(..server.needed?)?;
        chain.starts_with(needed).then(|| &chain[..needed.len()])
    })
}

/// Neighbours of a chain of which the upper did not issue the lower (RFC 8446, section 4.4.2). Behind a root the chain is at
/// its end, whatever comes next.
fn broken_chain(chain: &[Certificate], inventory: &Inventory) -> Option<Problem> {
    let (chain, severity) = match accepted(chain, inventory) {
        Some(needed) => (needed, Severity::Info),
        None => (chain, Severity::Warning),
    };
    let fits = |lower: &Certificate, upper: &Certificate| {
        lower.issuer == upper.subject || lower.issuer == lower.subject
    };
    let pair = chain.windows(2).find(|pair| !fits(&pair[0], &pair[1]))?;
    let text = Text::new("chain")
        .with("below", pair[0].subject.as_str())
        .with("issuer", pair[0].issuer.as_str())
        .with("above", pair[1].subject.as_str());
    Some(Problem::new(severity, text).evidence("certificates", chain.len()))
}

/// A chain that cannot be read behind its first certificates.
fn unreadable(secret: &TlsSecret) -> Option<Problem> {
    let why = secret.broken.as_deref()?;
    let text = Text::new("unreadable").with("n", secret.chain.len()).with("why", why);
    Some(Problem::new(Severity::Warning, text))
}

/// A chain of more certificates than are read.
fn too_long(key: &'static str, chain: &[Certificate], unread: u32) -> Option<Problem> {
    let all = chain.len() + unread as usize;
    let text = Text::new(key).with("n", all).with("most", chain.len());
    (unread > 0).then(|| Problem::new(Severity::Warning, text).evidence("certificates", all))
}

/// Who issued a certificate. Authorities sign with several keys by turns, each with a name of its own.
fn authority(certificate: &Certificate) -> &str {
    let issuer = certificate.issuer.as_str();
    issuer.split(", ").find_map(|part| part.strip_prefix("O=")).unwrap_or(issuer)
}

/// A server that shows a certificate which was issued before the one in a Secret of its route. That it ends later does not
/// make it newer, but if another authority issued it, a proxy in front may have it.
fn stale(own: &Certificate, stored: &[&TlsSecret], now: Timestamp) -> Option<Problem> {
    let renews = |c: &Certificate| match c.not_before.cmp(&own.not_before) {
        Ordering::Less => false,
        Ordering::Equal => c.not_after > own.not_after,
        Ordering::Greater => c.not_after > own.not_after || authority(c) == authority(own),
    };
    let newer = |s: &&&TlsSecret| s.chain.first().is_some_and(renews);
    let differs = stored.iter().all(|s| s.chain.first().is_some_and(|c| c.fingerprint != own.fingerprint));
    let secret = stored.iter().find(newer).filter(|_| differs)?;
    let left = Seconds(own.not_after.seconds_since(now).max(0.0));
    let name = format!("{}/{}", secret.id.namespace, secret.id.name);
    let text = Text::new("stale").with("left", left).with("secret", name);
    Some(Problem::new(Severity::Warning, text).evidence("not-after", own.not_after))
}

/// A Secret that holds only the server's own certificate, whose issuer is an intermediate: a public authority tells where
/// that is found, and else another Secret has it. Where a server of its hosts was asked, its answer decides.
fn lacks_intermediate(chain: &[Certificate], hosts: &[String], inventory: &Inventory) -> Option<Problem> {
    let [own] = chain else { return None };
    let asked = inventory.served.iter().any(|s| !s.chain.is_empty() && hosts.contains(&s.host));
    if hosts.is_empty() || asked || own.subject == own.issuer {
        return None;
    }
    let is_intermediate = |c: &Certificate| c.subject == own.issuer && c.subject != c.issuer;
    let known = || inventory.tls_secrets.iter().any(|s| s.chain.iter().skip(1).any(is_intermediate));
    if own.issuer_url.is_none() && !known() {
        return None;
    }
    let text =
        Text::new("lacks-intermediate").with("issuer", own.issuer.as_str()).with("hosts", in_words(hosts));
    let problem = Problem::new(Severity::Info, text).evidence("certificates", 1usize);
    Some(match &own.issuer_url {
        Some(url) => problem.evidence("issuer-url", url.as_str()),
        None => problem,
    })
}

/// A server that shows one certificate, of an issuer that is not known here: an intermediate is missing, or the CA is
/// private.
fn alone(server: &ServedCertificate, stored: &[&TlsSecret]) -> Option<Problem> {
    let [own] = &server.chain[..] else { return None };
    if !server.unknown_issuer {
        return None;
    }
    if own.subject == own.issuer {
        let problem = Problem::new(Severity::Info, Text::new("self-signed"));
        return Some(problem.evidence("subject", own.subject.as_str()));
    }
    let holds_issuer = stored.iter().any(|s| s.chain.iter().skip(1).any(|c| c.subject == own.issuer));
    let problem = if own.issuer_url.is_some() || holds_issuer {
        let text = Text::new("intermediate").with("host", server.host.as_str());
        Problem::new(Severity::Warning, text.with("issuer", own.issuer.as_str()))
    } else {
        Problem::new(Severity::Info, Text::new("alone").with("issuer", own.issuer.as_str()))
    };
    let problem = problem.evidence("certificates", 1usize);
    Some(match &own.issuer_url {
        Some(url) => problem.evidence("issuer-url", url.as_str()),
        None => problem,
    })
}

/// Whether a server shows what a Secret holds that no route uses: the default certificate of a controller, for instance.
fn is_shown(secret: &TlsSecret, inventory: &Inventory) -> bool {
    let looked_at = |server: &&ServedCertificate| !inventory.skips_certificates(&server.id.namespace);
    let holds = |own: &Certificate| secret.chain.first().is_some_and(|c| c.fingerprint == own.fingerprint);
    let mut shown = inventory.served.iter().filter(looked_at).filter_map(|server| server.chain.first());
    hosts_of(inventory, secret).is_none() && shown.any(holds)
}

/// Hosts for which routes use a Secret, in order; none when no route does.
fn hosts_of(inventory: &Inventory, secret: &TlsSecret) -> Option<Vec<String>> {
    let mut used = false;
    let mut hosts = Vec::new();
    for (route, tls) in inventory.routes.iter().flat_map(|r| r.tls.iter().map(move |tls| (r, tls))) {
        if tls.secret.as_ref() == Some(&secret.id) {
            used = true;
            hosts.extend(tls.hosts_of(route).iter().cloned());
        }
    }
    hosts.sort();
    hosts.dedup();
    used.then_some(hosts)
}

/// Secrets that routes use for a host and that hold a certificate: those of any host where none is for this one.
fn secrets_for<'a>(inventory: &'a Inventory, host: &str) -> Vec<&'a TlsSecret> {
    let all = || inventory.routes.iter().flat_map(|route| route.tls.iter().map(move |tls| (route, tls)));
    let held = |tls: &RouteTls| {
        let id = tls.secret.as_ref()?;
        inventory.tls_secrets.iter().find(|s| s.id == *id && !s.chain.is_empty())
    };
    let named = all().filter(|(route, tls)| names_cover(tls.hosts_of(route), host));
    let own: Vec<_> = named.filter_map(|(_, tls)| held(tls)).collect();
    if !own.is_empty() {
        return own;
    }
    all().filter(|(route, tls)| tls.hosts_of(route).is_empty()).filter_map(|(_, tls)| held(tls)).collect()
}

fn in_words(hosts: &[String]) -> Value {
    first_and_more(hosts, "any-host")
}

#[cfg(test)]
mod tests {
    use crate::finding::Severity;
    use crate::fixture;
    use crate::inventory::Certificate;

    #[track_caller]
    fn check(text: &str, expected: &str) {
        fixture::check("certificate-expiring", text, expected);
    }

    /// A Secret that a route uses for `a.example`.
    fn used(secret: &str) -> String {
        format!(
            "route web/Ingress/front hosts=a.example tls=a.example@tls created=30d\nsecret web/tls {secret}"
        )
    }

    #[test]
    fn the_time_left_decides() {
        let told = |expires: &str, expected: &str| {
            check(&used(&format!("names=a.example since=60d expires={expires}")), expected);
        };
        told("80d", "1 ok");
        told("31d", "1 ok");
        told("30d", "warning web/tls: the certificate expires in 30d, for a.example");
        told("9d", "warning web/tls: the certificate expires in 9d, for a.example");
        told("7d", "critical web/tls: the certificate expires in 7d, for a.example");
        told("-3d", "critical web/tls: the certificate expired 3d ago: clients refuse a.example");
    }

    #[test]
    fn what_nothing_uses_is_info() {
        check(
            "secret web/tls names=a.example since=60d expires=-3d",
            "info web/tls: the certificate expired 3d ago; no route uses it",
        );
        check(
            "secret web/tls names=a.example since=60d expires=9d managed=front",
            "warning web/tls: the certificate expires in 9d; no route uses it",
        );
        check(
            "secret web/tls names=a.example since=60d expires=-3d used-by=mq-0",
            "warning web/tls: the certificate expired 3d ago; pod mq-0 mounts it",
        );
        // Nobody can tell whether a route uses it.
        check(
            "secret web/tls names=a.example since=60d expires=-3d\ndenied routes",
            "critical web/tls: the certificate expired 3d ago: clients refuse any host",
        );
    }

    #[test]
    fn a_secret_is_not_deleted_before_anybody_has_looked() {
        let advice = |more: &str| {
            let secret = format!("secret web/tls names=a.example since=60d expires=-3d {more}");
            fixture::advice("certificate-expiring", &secret)
        };
        let unused = advice("");
        assert!(unused[0].starts_with("look at the certificate"), "{unused:?}");
        assert!(unused.iter().all(|advice| !advice.contains("kubectl -n web delete")), "{unused:?}");
        let mounted = advice("used-by=mq-0");
        assert!(mounted[0].starts_with("renew the certificate and put it into the Secret"), "{mounted:?}");
        assert!(mounted.iter().all(|advice| !advice.contains("delete the Secret")), "{mounted:?}");
    }

    /// The default certificate of a controller: its route names no Secret.
    #[test]
    fn what_a_server_shows_is_told_by_it_alone() {
        let route = "route web/Ingress/front hosts=a.example tls=a.example@ created=30d";
        let held = "secret edge/default names=a.example since=300d expires=5d";
        let served = "served web/a.example:443 names=a.example since=300d expires=5d";
        let text = format!("{route}\n{held}\n{served}");
        check(&text, "critical web/a.example:443: the certificate expires in 5d, for a.example");
        let advice = fixture::advice("certificate-expiring", &text);
        assert!(advice[0].contains("[kubectl -n edge create secret tls default "), "{advice:?}");
        let idle = "info edge/default: the certificate expires in 5d; no route uses it";
        // The server shows another one, or is not to be looked at.
        check(
            &format!("{route}\n{held}\n{} fingerprint=ff", served.replace("=5d", "=90d")),
            &format!("{idle}\n1 ok"),
        );
        check(&format!("{text}\nskip-certificates \"by hand\" namespace=web"), idle);
    }

    #[test]
    fn what_machines_renew_daily_is_no_alarm() {
        check(&used("names=a.example since=12h expires=12h"), "1 ok");
        check(
            &used("names=a.example since=20h expires=4h"),
            "warning web/tls: the certificate expires in 4h, for a.example",
        );
        check(
            &used("names=a.example since=23h expires=1h"),
            "critical web/tls: the certificate expires in 1h, for a.example",
        );
    }

    #[test]
    fn shares_of_the_life_hold_for_what_machines_renew() {
        let told = |what: &str| {
            let told = fixture::told("certificate-expiring", &used(&format!("names=a.example {what}")));
            told[0].split(' ').next().unwrap_or_default().to_owned()
        };
        // Let's Encrypt's shortlived profile (160 h), an hour old.
        assert_eq!(told("since=1h expires=159h"), "1");
        assert_eq!(told("since=107h expires=53h"), "warning");
        // 47 days by a public authority; the same by hand.
        let public = "issuer-url=http://ca.example/1.crt chain=2";
        assert_eq!(told(&format!("since=18d expires=29d {public}")), "1");
        assert_eq!(told(&format!("since=32d expires=15d {public}")), "warning");
        assert_eq!(told(&format!("since=43d expires=4d {public}")), "critical");
        assert_eq!(told("since=18d expires=29d"), "warning");
        assert_eq!(told("expires=9d since=0s"), "warning");
        // No bound is wider than the parameters say.
        assert_eq!(told(&format!("since=324d expires=41d {public}")), "1");
    }

    #[test]
    fn what_cert_manager_will_renew_is_no_alarm() {
        let told = |renewal: &str, expires: &str| {
            let text = used(&format!("names=a.example managed=front since=80d expires={expires}"));
            let managed = format!("managed web/front secret=tls expires=10d renewal={renewal} Ready=yes");
            fixture::told("certificate-expiring", &format!("{text}\n{managed}")).join("; ")
        };
        assert_eq!(told("2d", "10d"), "2 ok");
        // It is due, and takes a moment.
        assert_eq!(told("-30m", "10d"), "2 ok");
        let loud = "warning web/tls: the certificate expires in 10d, for a.example";
        assert!(told("-3h", "10d").starts_with(loud), "{}", told("-3h", "10d"));
        // The Secret holds another certificate than the one that cert-manager speaks of.
        assert!(told("2d", "9d").starts_with("warning web/tls"), "{}", told("2d", "9d"));
    }

    #[test]
    fn names_must_cover_the_hosts() {
        check(
            &used("names=b.example,c.example"),
            "warning web/tls: the certificate is not made for a.example: its names are b.example, c.example",
        );
        check(&used("names=*.example"), "1 ok");
        check(&used(""), "warning web/tls: the certificate is not made for a.example: its names are none");
        // The subject of a fixture's certificate is the name of its Secret.
        check(
            "route web/Ingress/front hosts=a.example tls=a.example@a.example created=30d\nsecret web/a.example",
            "info web/a.example: the certificate names a.example in its common name alone, which current clients do not read",
        );
    }

    /// A listener without a hostname takes the hosts that no other one names.
    #[test]
    fn a_certificate_for_any_host_is_not_that_of_the_others() {
        let gateway = "route edge/Gateway/public hosts=a.example tls=a.example@tls,@default created=30d";
        let tls = "secret edge/tls names=a.example";
        check(&format!("{gateway}\n{tls}\nsecret edge/default names=b.example"), "2 ok");
        check(
            &format!("{gateway}\n{tls}\nsecret edge/default names=b.example since=60d expires=3d"),
            "critical edge/default: the certificate expires in 3d, for any host\n1 ok",
        );
        // A host that nobody names is shown the certificate for any host, and that is told once.
        let served = "served /b.example:443 names=b.example since=60d expires=3d fingerprint=bb";
        check(
            &format!(
                "{gateway}\n{tls}\nsecret edge/default names=b.example since=60d expires=3d fingerprint=bb\n{served}"
            ),
            "critical edge/default: the certificate expires in 3d, for any host\n2 ok",
        );
    }

    #[test]
    fn a_broken_secret_is_told() {
        let broken = r#"broken="`tls.crt` is empty""#;
        check(&used(broken), "warning web/tls: holds no readable certificate: `tls.crt` is empty");
        check(
            &format!("secret web/tls {broken}"),
            "info web/tls: holds no readable certificate: `tls.crt` is empty",
        );
    }

    #[test]
    fn a_chain_that_is_read_in_part_is_judged_as_far_as_it_is() {
        let broken = r#"names=a.example chain=2 broken="`tls.crt`: block 3 is not in base64""#;
        let told = "its chain cannot be read behind certificate 2: `tls.crt`: block 3 is not in base64";
        check(&used(broken), &format!("warning web/tls: {told}"));
        check(&format!("secret web/tls {broken}"), &format!("info web/tls: {told}"));
        check(
            &used(&format!("{broken} expires=5d")),
            "critical web/tls: the certificate expires in 5d, for a.example",
        );
        let long = "names=a.example chain=20 unread=15";
        let told = "a chain of 35 certificates, and no more than 20 are looked at";
        check(&used(long), &format!("warning web/tls: holds {told}"));
        check(
            &used(&format!("{long} expires=5d")),
            "critical web/tls: the certificate expires in 5d, for a.example",
        );
        check(&format!("secret web/tls {long}"), &format!("info web/tls: holds {told}"));
        check(
            &format!("served web/a.example:443 {long}"),
            &format!("warning web/a.example:443: the server shows {told}"),
        );
    }

    #[test]
    fn an_issuer_that_ends_first_counts() {
        let mut fixture = fixture::Fixture::new(&used("names=a.example chain=2 since=60d"));
        fixture.snapshot.objects.inventory.tls_secrets[0].chain[1].not_after =
            fixture::END.plus_seconds(5.0 * 86_400.0);
        let found = fixture.assess(&fixture.only("certificate-expiring")).findings;
        let [found] = &found[..] else { panic!("{found:?}") };
        assert_eq!(fixture::show(&found.summary.args["what"]), "the issuer CN=ca");
        // A root of its own is what clients do not read.
        fixture.snapshot.objects.inventory.tls_secrets[0].chain[1].issuer = "CN=ca".to_owned();
        assert_eq!(fixture.assess(&fixture.only("certificate-expiring")).findings, []);
    }

    #[test]
    fn a_chain_in_the_wrong_order_is_told() {
        let mut fixture = fixture::Fixture::new(&used("names=a.example chain=2"));
        fixture.snapshot.objects.inventory.tls_secrets[0].chain[1].subject = "CN=other".to_owned();
        let found = fixture.assess(&fixture.only("certificate-expiring")).findings;
        assert_eq!(found[0].summary.key, "chain");
        assert_eq!(found[0].advice[0].text.key, "order");
    }

    /// A second root behind the first, which a client that has either accepts.
    #[test]
    fn what_stands_behind_a_root_breaks_nothing() {
        let mut fixture = fixture::Fixture::new(&used("names=a.example chain=4"));
        let chain = &mut fixture.snapshot.objects.inventory.tls_secrets[0].chain;
        chain[1].issuer = "CN=root".to_owned();
        for (at, root) in [(2, "CN=root"), (3, "CN=other root")] {
            (chain[at].subject, chain[at].issuer) = (root.to_owned(), root.to_owned());
        }
        assert_eq!(fixture.assess(&fixture.only("certificate-expiring")).findings, []);
    }

    /// A root that another one has signed too, for clients of old: those of today have it themselves.
    #[test]
    fn what_clients_do_not_need_hides_nothing_and_refuses_nobody() {
        let told = |needed: Option<usize>, change: &dyn Fn(&mut Vec<Certificate>)| {
            let served = "served web/a.example:443 names=a.example chain=3";
            let mut fixture =
                fixture::Fixture::new(&format!("{}\n{served}", used("names=a.example chain=3")));
            let inventory = &mut fixture.snapshot.objects.inventory;
            let [secret, server] = [&mut inventory.tls_secrets[0].chain, &mut inventory.served[0].chain];
            for chain in [secret, server] {
                chain[0].subject = "CN=a.example".to_owned();
                chain[2].subject = "CN=root".to_owned();
                chain[2].issuer = "CN=old root".to_owned();
                change(chain);
            }
            inventory.served[0].needed = needed;
            let found = fixture.assess(&fixture.only("certificate-expiring")).findings;
            found.iter().map(|f| (f.severity, f.summary.key.to_string())).collect::<Vec<_>>()
        };
        let ended = |chain: &mut Vec<Certificate>| chain[2].not_after = fixture::END.plus_seconds(-86_400.0);
        assert_eq!(told(Some(2), &ended), []);
        assert_eq!(told(Some(3), &ended), [(Severity::Critical, "expired".to_owned())]);
        assert_eq!(told(None, &ended), [(Severity::Critical, "expired".to_owned())]);
        // One between them that is of no use.
        let strange = |chain: &mut Vec<Certificate>| chain.swap(1, 2);
        let both = |severity| vec![(severity, "chain".to_owned()); 2];
        assert_eq!(told(Some(3), &strange), both(Severity::Info));
        assert_eq!(told(None, &strange), both(Severity::Warning));
    }

    #[test]
    fn an_issuer_before_the_servers_own_certificate_is_told() {
        let swapped = |text: &str| {
            let mut fixture = fixture::Fixture::new(text);
            let inventory = &mut fixture.snapshot.objects.inventory;
            inventory.tls_secrets.iter_mut().for_each(|s| s.chain.reverse());
            inventory.served.iter_mut().for_each(|s| s.chain.reverse());
            let found = fixture.assess(&fixture.only("certificate-expiring")).findings.remove(0);
            (found.severity, found.summary.key.into_owned(), found.advice[0].text.key.clone().into_owned())
        };
        let told = |severity| (severity, "wrong-order".to_owned(), "order".to_owned());
        let chain = "names=a.example chain=2 since=60d";
        assert_eq!(swapped(&used(&format!("{chain} expires=80d"))), told(Severity::Warning));
        // The time left is told with it, and does not hide it.
        assert_eq!(swapped(&used(&format!("{chain} expires=3d"))), told(Severity::Critical));
        assert_eq!(
            swapped(&format!("served web/a.example:443 {chain} expires=80d")),
            told(Severity::Critical)
        );
    }

    #[test]
    fn what_a_server_shows_is_judged() {
        check("served web/a.example:443 names=a.example", "1 ok");
        check(
            "served web/a.example:443 names=a.example since=60d expires=-1d",
            "critical web/a.example:443: the certificate expired 1d ago: clients refuse a.example",
        );
        check(
            "served web/a.example:443 names=b.example",
            "critical web/a.example:443: the certificate is not made for a.example: its names are b.example",
        );
        check(
            "served web/a.example:443 names=a.example unknown-issuer",
            "info web/a.example:443: the server shows no certificate of the issuer CN=ca, which is not known here",
        );
        check("served web/a.example:443 names=a.example chain=2 unknown-issuer", "1 ok");
        check(
            "served web/a.example:443 names=a.example unknown-issuer issuer-url=http://ca.example/1.crt",
            "warning web/a.example:443: the server does not send the intermediate certificate CN=ca: clients that do not have it refuse a.example",
        );
        check(
            &format!(
                "{}\nserved web/a.example:443 names=a.example unknown-issuer",
                used("names=a.example chain=2")
            ),
            "warning web/a.example:443: the server does not send the intermediate certificate CN=ca: clients that do not have it refuse a.example\n1 ok",
        );
        check("served web/a.example:443 failed=timeout", "1 unknown: no answer to a TLS handshake");
    }

    #[test]
    fn one_root_cause_is_told_once() {
        let stored = used("names=a.example since=60d expires=9d");
        // The same certificate: fixtures have the fingerprint of their place in the chain.
        check(
            &format!("{stored}\nserved web/a.example:443 names=a.example since=60d expires=9d"),
            "warning web/tls: the certificate expires in 9d, for a.example\n1 ok",
        );
        // The server decides on names.
        check(
            &format!("{}\nserved web/a.example:443 names=a.example fingerprint=ff", used("names=b.example")),
            "2 ok",
        );
    }

    #[test]
    fn an_older_certificate_than_the_stored_one() {
        let stored = used("names=a.example since=1d expires=89d");
        let served = "served web/a.example:443 names=a.example since=30d fingerprint=ff";
        check(
            &format!("{stored}\n{served} expires=60d"),
            "warning web/a.example:443: the server shows a certificate that expires in 60d, Secret web/tls holds a newer one\n1 ok",
        );
        // A proxy in front with a certificate of its own.
        check(&format!("{stored}\n{served} expires=200d issuer=CN=front"), "2 ok");
        // Lives become shorter: the newer one ends earlier.
        check(
            &format!("{stored}\n{served} expires=335d"),
            "warning web/a.example:443: the server shows a certificate that expires in 335d, Secret web/tls holds a newer one\n1 ok",
        );
        let by = |issuer: &str| format!("\"issuer=C=US, O=Some CA, CN={issuer}\"");
        let renewed = format!("{stored} {}\n{served} expires=335d {}", by("R11"), by("R10"));
        assert!(fixture::told("certificate-expiring", &renewed)[0].starts_with("warning web/a.example:443"));
        // And the older one is what lies in the Secret.
        check(
            &format!(
                "{}\nserved web/a.example:443 names=a.example since=1d fingerprint=ff expires=89d",
                used("names=a.example since=30d expires=335d")
            ),
            "2 ok",
        );
    }

    #[test]
    fn a_secret_without_the_intermediate_is_told() {
        let lacks = "info web/tls: its chain lacks the intermediate certificate CN=ca: clients that do not have it refuse a.example";
        let public = "issuer-url=http://ca.example/1.crt";
        check(&used(&format!("names=a.example {public}")), lacks);
        let advice = fixture::advice("certificate-expiring", &used(&format!("names=a.example {public}")));
        assert!(advice[0].starts_with("put the certificate of the issuer behind"), "{advice:?}");
        check(&used(&format!("names=a.example chain=2 {public}")), "1 ok");
        // A private CA, unless another Secret shows that the issuer is no root.
        check(&used("names=a.example"), "1 ok");
        check(
            &format!("{}\nsecret web/other names=b.example chain=2", used("names=a.example")),
            &format!("{lacks}\n1 ok"),
        );
        check(&used(&format!("names=a.example issuer=CN=tls {public}")), "1 ok");
        // Nobody uses it; its time is worse; the server sends more than the Secret holds.
        check(&format!("secret web/tls names=a.example {public}"), "1 ok");
        check(
            &used(&format!("names=a.example since=80d expires=9d {public}")),
            "warning web/tls: the certificate expires in 9d, for a.example",
        );
        check(
            &format!(
                "{}\nserved web/a.example:443 names=a.example chain=2",
                used(&format!("names=a.example {public}"))
            ),
            "2 ok",
        );
    }

    #[test]
    fn a_self_signed_certificate_that_is_shown_is_told() {
        let shown = "served web/a.example:443 names=a.example issuer=CN=a.example:443";
        check(
            &format!("{shown} unknown-issuer"),
            "info web/a.example:443: the server shows a self-signed certificate, which is not known here",
        );
        check(shown, "1 ok");
    }

    /// The commonest incident: it was renewed, and the server still shows the old one.
    #[test]
    fn what_was_renewed_and_not_loaded_is_told_however_little_is_left() {
        let stored = used("names=a.example since=1d expires=85d");
        let served = "served web/a.example:443 names=a.example since=80d fingerprint=ff";
        let told = |expires: &str| {
            fixture::told("certificate-expiring", &format!("{stored}\n{served} expires={expires}")).remove(0)
        };
        let newer = "Secret web/tls holds a newer one";
        assert_eq!(
            told("20d"),
            format!("warning web/a.example:443: the server shows a certificate that expires in 20d, {newer}")
        );
        assert_eq!(
            told("5d"),
            format!("critical web/a.example:443: the server shows a certificate that expires in 5d, {newer}")
        );
        assert_eq!(
            told("-2d"),
            format!(
                "critical web/a.example:443: the server shows a certificate that expired 2d ago: clients refuse a.example; {newer}"
            )
        );
        let advice = fixture::advice("certificate-expiring", &format!("{stored}\n{served} expires=5d"));
        assert!(advice[0].starts_with("let the server load the new certificate"), "{advice:?}");
        // The old one is for another host too.
        let other = served.replace("names=a.example", "names=b.example");
        let advice = fixture::advice("certificate-expiring", &format!("{stored}\n{other} expires=20d"));
        assert!(advice[0].starts_with("let the server load the new certificate"), "{advice:?}");
    }

    #[test]
    fn the_time_left_hides_no_fault() {
        check(
            &used("names=b.example since=60d expires=19d"),
            "warning web/tls: the certificate is not made for a.example: its names are b.example; and the certificate expires in 19d",
        );
        check(
            &used("names=b.example since=60d expires=3d"),
            "critical web/tls: the certificate is not made for a.example: its names are b.example; and the certificate expires in 3d",
        );
        // What has ended is refused whatever its names are.
        check(
            &used("names=b.example since=60d expires=-3d"),
            "critical web/tls: the certificate expired 3d ago: clients refuse a.example",
        );
        check(
            "served web/a.example:443 names=a.example since=60d expires=9d unknown-issuer issuer-url=http://ca.example/1.crt",
            "warning web/a.example:443: the server does not send the intermediate certificate CN=ca: clients that do not have it refuse a.example; and the certificate expires in 9d",
        );
    }

    /// `for` names no host that the certificate is not made for.
    #[test]
    fn a_certificate_ends_for_the_hosts_it_is_made_for() {
        let two = |names: &str, more: &str| {
            let route = "route web/Ingress/front hosts=a.example,b.example tls=@tls created=30d";
            let text = format!("{route}\nsecret web/tls names={names} since=60d expires=19d\n{more}");
            fixture::told("certificate-expiring", &text).remove(0)
        };
        let expires = "warning web/tls: the certificate expires in 19d";
        assert_eq!(two("a.example,b.example", ""), format!("{expires}, for a.example and 1 more"));
        assert_eq!(
            two("a.example", ""),
            "warning web/tls: the certificate is not made for b.example: its names are a.example; and the certificate expires in 19d"
        );
        // The servers decide on the names.
        let b = "served web/b.example:443 names=b.example fingerprint=bb expires=300d";
        assert_eq!(two("a.example", b), format!("{expires}, for a.example"));
        let a = "served web/a.example:443 names=a.example fingerprint=aa expires=300d";
        assert_eq!(
            two("c.example", &format!("{a}\n{b}")),
            format!("{expires}; its names cover no host that uses it")
        );
    }

    #[test]
    fn what_a_server_shows_is_renewed_where_it_is_kept() {
        let served = "served web/a.example:443 names=a.example since=60d expires=3d";
        let advice = fixture::advice("certificate-expiring", served);
        assert!(advice[0].starts_with("renew the certificate where the server keeps it"), "{advice:?}");
        // A Secret holds it that no route names.
        let kept = format!("{served}\nsecret web/old names=a.example since=60d expires=3d managed=front");
        let told = fixture::findings("certificate-expiring", &kept);
        let host = told.iter().find(|f| f.subject.kind == "Host").expect("the server is told");
        assert_eq!(host.advice[0].command.as_deref(), Some("kubectl -n web describe certificate front"));
    }

    #[test]
    fn what_cert_manager_does_not_issue_is_told() {
        check("managed web/front secret=tls renewal=20d created=30d Ready=yes:Ready@30d", "1 ok");
        check(
            "managed web/front secret=tls created=2h Ready=no:DoesNotExist@2h",
            "warning web/front: cert-manager does not issue this certificate: DoesNotExist",
        );
        // It takes its time.
        check("managed web/front secret=tls created=59m Ready=no:DoesNotExist@59m", "1 ok");
        check(
            "managed web/front secret=tls created=9d failed=3 Ready=no:DoesNotExist@9d Issuing=no:Failed@2h",
            "warning web/front: cert-manager does not issue this certificate: Failed",
        );
        check(
            "managed web/front secret=tls created=2h",
            "1 unknown: whether the certificate is ready is not reported",
        );
        check("managed web/front secret=tls created=10m", "1 ok");
        check(
            "denied managed-certificates",
            "1 unknown: not allowed to list certificates.cert-manager.io in all namespaces",
        );
    }

    #[test]
    fn what_cert_manager_does_not_renew_is_told_once() {
        let failing = "managed web/front secret=tls failed=3 renewal=-2d expires=28d created=90d Ready=yes:Ready@90d Issuing=no:Failed@2d";
        check(failing, "warning web/front: cert-manager fails to renew this certificate: Failed");
        let advice = fixture::advice("certificate-expiring", failing);
        assert!(advice[0].ends_with("[kubectl -n web describe certificate front]"), "{advice:?}");
        check(
            "managed web/front secret=tls renewal=-3h created=90d Ready=yes:Ready@90d",
            "warning web/front: cert-manager should have renewed this certificate 3h ago, and does not try",
        );
        check("managed web/front secret=tls renewal=-59m created=90d Ready=yes:Ready@90d", "1 ok");
        // The Secret is fine for a while yet, or tells it.
        check(
            &format!("{failing}\n{}", used("names=a.example since=60d expires=31d managed=front")),
            "warning web/front: cert-manager fails to renew this certificate: Failed\n1 ok",
        );
        check(
            &format!("{failing}\n{}", used("names=a.example since=60d expires=28d managed=front")),
            "warning web/tls: the certificate expires in 28d, for a.example",
        );
        check(&format!("{failing}\nskip-certificates \"by hand\" namespace=web"), "nothing");
    }

    #[test]
    fn skipped_is_not_applicable() {
        let all =
            format!("{}\nserved web/a.example:443 names=b.example", used("names=a.example expires=-1d"));
        check(&format!("{all}\nskip-certificates \"behind a VPN\""), "nothing");
        check(&format!("{all}\nskip-certificates \"behind a VPN\" namespace=web"), "nothing");
    }

    #[test]
    fn without_the_right_servers_are_judged() {
        check(
            "denied tls-secrets\nserved web/a.example:443 names=a.example",
            "1 ok\n1 unknown: not allowed to list secrets in all namespaces",
        );
    }

    #[test]
    fn advice_can_be_pasted() {
        let advice = fixture::advice("certificate-expiring", &used("names=a.example since=60d expires=9d"));
        assert!(advice[0].contains("[kubectl -n web create secret tls tls --cert=tls.crt "), "{advice:?}");
        assert!(advice[1].contains(r"-o jsonpath='{.data.tls\.crt}' | base64 -d"), "{advice:?}");
        let kept = used("names=a.example since=60d expires=9d managed=front");
        let advice = fixture::advice("certificate-expiring", &kept);
        assert!(advice[0].ends_with("[kubectl -n web describe certificate front]"), "{advice:?}");
    }
}
