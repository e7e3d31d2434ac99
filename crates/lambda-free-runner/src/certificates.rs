//! Which TLS servers are asked for their certificates, and where that is left out.

use std::collections::BTreeSet;
use std::sync::Arc;

use healthcore::finding::{Text, Value};
use healthcore::inventory::{CertificatesSkipped, Inventory, Route, ServedCertificate};
use healthcore::phrase::phrase;
use healthcore::snapshot::{Gap, GapCause};
use healthcore_sources::tls::{CertificateSource, TlsServer};
use wildmatch::WildMatch;

/// Most TLS servers of one cluster that are asked.
const MOST_SERVERS: usize = 1000;

/// Most servers without an answer that one gap names.
const MOST_NAMED: usize = 10;

/// How certificates are looked at. The default asks no server and judges what Secrets hold.
#[derive(Clone, Default)]
pub struct Certificates {
    /// What asks the TLS servers of routes; none to ask no server.
    pub source: Option<Arc<dyn CertificateSource>>,
    /// Why no certificate is looked at, those of Secrets neither; none to look.
    pub skip: Option<String>,
    /// TLS servers to ask besides those of routes. They are told with the first cluster.
    pub servers: Vec<TlsServer>,
    /// Names or globs of namespaces whose certificates are not looked at: each with the reason.
    pub skip_namespaces: Vec<(String, String)>,
}

impl Certificates {
    /// These for the cluster at a place of the configuration.
    #[must_use]
    pub(crate) fn of_cluster(&self, at: usize) -> Self {
        let servers = if at == 0 { self.servers.clone() } else { Vec::new() };
        Self { servers, ..self.clone() }
    }

    /// Puts into the inventory of a cluster what its TLS servers show.
    pub(crate) async fn look(&self, cluster: &str, inventory: &mut Inventory) -> Vec<Gap> {
        let gap = |cause, said: Text| Gap::new(scope(cluster, None), cause, said);
        let mut gaps = Vec::new();
        for skip in self.skipped(inventory) {
            gaps.push(not_looked_at(cluster, &skip));
            inventory.certificates_skipped.push(skip);
        }
        let Some(source) = self.source.as_ref().filter(|_| self.skip.is_none()) else { return gaps };
        let (servers, all) = self.asked(inventory);
        inventory.served = source.served(&servers).await;
        inventory.sort();
        if all > MOST_SERVERS {
            let said = phrase("gap-some-tls-servers").with("asked", MOST_SERVERS).with("all", all);
            gaps.push(gap(GapCause::Thinned, said));
        }
        gaps.extend(silent(&inventory.served).map(|said| gap(GapCause::Partial, said)));
        gaps
    }

    /// Leaves out of a recorded inventory what is not to be looked at today, as [`Self::look`] would have. What the
    /// recording left out stays so. `gaps` are those of the cluster.
    pub(crate) fn leave_out(&self, cluster: &str, inventory: &mut Inventory, gaps: &mut Vec<Gap>) {
        let known = std::mem::take(&mut inventory.certificates_skipped);
        let of_recording = |namespace: Option<&str>| {
            known.iter().any(|k| k.namespace.is_none() || k.namespace.as_deref() == namespace)
        };
        let mut skipped = self.skipped(inventory);
        skipped.retain(|skip| !of_recording(skip.namespace.as_deref()));
        inventory.certificates_skipped = known;
        if skipped.is_empty() {
            return;
        }
        let told: Vec<Gap> = skipped.iter().map(|skip| not_looked_at(cluster, skip)).collect();
        let nothing_asked = skipped.iter().any(|skip| skip.namespace.is_none());
        inventory.certificates_skipped.extend(skipped);
        // Who is not asked is not silent either.
        let mut served = std::mem::take(&mut inventory.served);
        let was_silent = silent(&served).is_some();
        let asked = servers_of(inventory);
        served.retain_mut(|server| {
            if !inventory.skips_certificates(&server.id.namespace) {
                return true;
            }
            // A host of several namespaces is that of the first.
            let of_another = asked.iter().find(|a| server.id.name == a.address());
            of_another.map(|other| server.id.namespace.clone_from(&other.namespace)).is_some()
        });
        inventory.served = served;
        inventory.sort();
        if was_silent || nothing_asked {
            let is_outdated = |gap: &Gap| nothing_asked || gap.cause == GapCause::Partial;
            gaps.retain(|gap| gap.scope != scope(cluster, None) || !is_outdated(gap));
            let said = silent(&inventory.served);
            gaps.extend(said.map(|said| Gap::new(scope(cluster, None), GapCause::Partial, said)));
        }
        for gap in told {
            if !gaps.contains(&gap) {
                gaps.push(gap);
            }
        }
    }

    /// The TLS servers that are asked, and how many there are in all.
    fn asked(&self, inventory: &Inventory) -> (Vec<TlsServer>, usize) {
        let mut servers = self.servers.clone();
        servers.extend(servers_of(inventory));
        let mut seen = BTreeSet::new();
        servers.retain(|server| seen.insert((server.host.clone(), server.port)));
        let all = servers.len();
        servers.truncate(MOST_SERVERS);
        (servers, all)
    }

    /// What a run would ask, for `--dry-run`.
    pub(crate) fn plan(&self, inventory: &Inventory) -> Option<String> {
        if self.skip.is_some() || self.source.is_none() {
            return None;
        }
        let mut inventory = inventory.clone();
        inventory.certificates_skipped = self.skipped(&inventory);
        let (servers, _) = self.asked(&inventory);
        let named: Vec<String> = servers.iter().take(MOST_NAMED).map(TlsServer::address).collect();
        let more = match servers.len() - named.len() {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        (!named.is_empty()).then(|| format!("TLS handshake: {}{more}", named.join(", ")))
    }

    /// What is not to be looked at: all, or namespaces with certificates.
    fn skipped(&self, inventory: &Inventory) -> Vec<CertificatesSkipped> {
        if let Some(reason) = &self.skip {
            return vec![CertificatesSkipped { namespace: None, reason: reason.clone() }];
        }
        let of_secrets = inventory.tls_secrets.iter().map(|s| &s.id.namespace);
        let of_managed = inventory.managed_certificates.iter().map(|m| &m.id.namespace);
        let of_routes = inventory.routes.iter().filter(|r| !r.tls.is_empty()).map(|r| &r.id.namespace);
        let namespaces: BTreeSet<&String> = of_secrets.chain(of_managed).chain(of_routes).collect();
        let skip = |namespace: &String| {
            let (_, reason) =
                self.skip_namespaces.iter().find(|(glob, _)| WildMatch::new(glob).matches(namespace))?;
            Some(CertificatesSkipped { namespace: Some(namespace.clone()), reason: reason.clone() })
        };
        namespaces.into_iter().filter_map(skip).collect()
    }
}

/// What a gap about certificates is about.
fn scope(cluster: &str, namespace: Option<&str>) -> String {
    namespace
        .map_or_else(|| format!("{cluster}/certificates"), |name| format!("{cluster}/{name}/certificates"))
}

/// Tells what is skipped, and why.
fn not_looked_at(cluster: &str, skip: &CertificatesSkipped) -> Gap {
    let said = phrase("gap-certificates-skipped").with("reason", skip.reason.as_str());
    Gap::new(scope(cluster, skip.namespace.as_deref()), GapCause::Skipped, said)
}

/// The TLS servers of routes, one for each host, in order. A wildcard names no server.
fn servers_of(inventory: &Inventory) -> Vec<TlsServer> {
    let of_route = |route: &Route| {
        let hosts = route.tls.iter().flat_map(|tls| tls.hosts_of(route));
        let server = |host: &String| TlsServer {
            namespace: route.id.namespace.clone(),
            host: host.clone(),
            port: 443,
        };
        hosts.filter(|host| !host.contains('*')).map(server).collect::<Vec<_>>()
    };
    let looked_at = |route: &&Route| !inventory.skips_certificates(&route.id.namespace);
    let mut servers: Vec<TlsServer> = inventory.routes.iter().filter(looked_at).flat_map(of_route).collect();
    servers.sort();
    servers
}

/// Who gave no certificate, and why.
fn silent(served: &[ServedCertificate]) -> Option<Text> {
    let silent: Vec<String> =
        served.iter().filter_map(|s| s.failed.as_ref().map(|why| format!("{} ({why})", s.id.name))).collect();
    let named = silent.iter().take(MOST_NAMED).map(String::as_str).collect::<Vec<_>>().join(", ");
    let names: Value = match silent.len().saturating_sub(MOST_NAMED) {
        0 => named.into(),
        more => phrase("and-more").with("first", named).with("more", more).into(),
    };
    let told = phrase("gap-silent-tls-servers").with("some", silent.len()).with("all", served.len());
    (!silent.is_empty()).then(|| told.with("names", names))
}

#[cfg(test)]
mod tests {
    use super::*;
    use healthcore::fixture::Fixture;
    use healthcore::inventory::ObjectId;
    use healthcore_sources::tls::TlsProbe;

    const ROUTES: &str = "route web/Ingress/a hosts=a.example,b.example tls=a.example@tls\n\
        route shop/Ingress/b hosts=a.example,*.c.example,d.example tls=@other\n\
        route web/Ingress/plain hosts=e.example";

    /// Asks servers that are all silent, those of routes and these.
    fn asking(servers: Vec<TlsServer>) -> Certificates {
        Certificates { source: Some(Arc::new(Silent)), servers, ..Certificates::default() }
    }

    #[test]
    fn every_host_with_tls_is_asked_once() {
        let inventory = Fixture::new(ROUTES).snapshot.objects.inventory;
        let asked: Vec<String> = asking(Vec::new())
            .asked(&inventory)
            .0
            .iter()
            .map(|s| format!("{}/{}:{}", s.namespace, s.host, s.port))
            .collect();
        assert_eq!(asked, ["shop/a.example:443", "shop/d.example:443"]);
        let again = TlsServer { namespace: String::new(), host: "d.example".to_owned(), port: 443 };
        let certificates = asking(vec![again]);
        let plan = certificates.plan(&inventory);
        assert_eq!(plan.as_deref(), Some("TLS handshake: d.example:443, a.example:443"));
        assert_eq!(Certificates { source: None, ..certificates }.plan(&inventory), None);
    }

    #[tokio::test]
    async fn skipped_is_told_with_the_reason_and_nobody_is_asked() {
        let mut inventory = Fixture::new(ROUTES).snapshot.objects.inventory;
        let source: Arc<dyn CertificateSource> = Arc::new(TlsProbe::new());
        let skip = Some("SKIP_TLS_CHECK is set".to_owned());
        let gaps = Certificates { source: Some(source), skip, ..Certificates::default() }
            .look("c", &mut inventory)
            .await;
        assert!(inventory.skips_certificates("web") && inventory.served.is_empty());
        assert_eq!(gaps[0].detail, "N/A: certificates are not looked at: SKIP_TLS_CHECK is set");
    }

    /// Says that every server is silent.
    struct Silent;

    #[async_trait::async_trait]
    impl CertificateSource for Silent {
        async fn served(&self, servers: &[TlsServer]) -> Vec<ServedCertificate> {
            let one = |server: &TlsServer| ServedCertificate {
                id: ObjectId::new(&server.namespace, &format!("{}:{}", server.host, server.port)),
                host: server.host.clone(),
                failed: Some("no answer".to_owned()),
                ..ServedCertificate::default()
            };
            servers.iter().map(one).collect()
        }
    }

    #[tokio::test]
    async fn namespaces_may_be_skipped_and_servers_added() {
        let mut inventory = Fixture::new(ROUTES).snapshot.objects.inventory;
        let server = TlsServer { namespace: String::new(), host: "api.example".to_owned(), port: 8443 };
        let skip_namespaces = vec![("sh*".to_owned(), "self-signed on purpose".to_owned())];
        let certificates = Certificates { skip_namespaces, ..asking(vec![server]) };
        let gaps = certificates.of_cluster(0).look("c", &mut inventory).await;
        let asked: Vec<&str> = inventory.served.iter().map(|s| s.id.name.as_str()).collect();
        assert_eq!(asked, ["api.example:8443", "a.example:443"]);
        let told: Vec<String> = gaps.iter().map(|g| format!("{}: {}", g.scope, g.detail)).collect();
        assert_eq!(
            told[0],
            "c/shop/certificates: N/A: certificates are not looked at: self-signed on purpose"
        );
        assert!(told[1].starts_with("c/certificates: 2 of 2 TLS servers gave no certificate: "), "{told:?}");
        let mut other = Inventory::default();
        assert!(certificates.of_cluster(1).look("d", &mut other).await.is_empty() && other.served.is_empty());
    }

    #[tokio::test]
    async fn a_recording_is_judged_as_the_cluster_would_be() {
        let mut recorded = Fixture::new(ROUTES).snapshot.objects.inventory;
        let of_recording = asking(Vec::new()).look("c", &mut recorded).await;
        assert!(of_recording[0].detail.starts_with("2 of 2 TLS servers gave no certificate"));
        let skip_namespaces = vec![("sh*".to_owned(), "self-signed on purpose".to_owned())];
        let some = Certificates { skip_namespaces, ..asking(Vec::new()) };
        let all = Certificates { skip: Some("SKIP_TLS_CHECK is set".to_owned()), ..asking(Vec::new()) };
        for certificates in [&some, &all, &asking(Vec::new())] {
            let mut live = Fixture::new(ROUTES).snapshot.objects.inventory;
            let expected = certificates.look("c", &mut live).await;
            let (mut replayed, mut gaps) = (recorded.clone(), of_recording.clone());
            certificates.leave_out("c", &mut replayed, &mut gaps);
            gaps.sort();
            let mut expected = expected;
            expected.sort();
            assert_eq!(gaps, expected);
            assert_eq!(replayed.certificates_skipped, live.certificates_skipped);
            assert_eq!(replayed.served, live.served);
            // Another part of the same cluster says it no second time, and a recording that skips already neither.
            certificates.leave_out("c", &mut replayed, &mut gaps);
            certificates.leave_out("c", &mut live, &mut gaps);
            assert_eq!(gaps.len(), expected.len());
        }
    }

    #[test]
    fn who_was_silent_is_named() {
        let one = |n: usize| {
            let failed = (n > 0).then(|| "no answer".to_owned());
            let id = ObjectId::new("web", &format!("h{n}:443"));
            ServedCertificate { id, failed, ..ServedCertificate::default() }
        };
        let served: Vec<_> = (0..13).map(one).collect();
        let told = healthcore::phrase::plain(&silent(&served).expect("twelve are silent").into());
        assert!(told.starts_with("12 of 13 TLS servers gave no certificate: h1:443 (no answer), "), "{told}");
        assert!(told.ends_with("h10:443 (no answer) and 2 more"), "{told}");
        assert_eq!(silent(&served[..1]), None);
    }
}
