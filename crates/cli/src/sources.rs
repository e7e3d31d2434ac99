//! From arguments and environment to servers.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use healthcore_sources::kubernetes::{KubernetesSettings, KubernetesSource, Reach};
use healthcore_sources::logs::LogSource;
use healthcore_sources::loki::{Loki, LokiSettings, Places};
use healthcore_sources::prometheus::{Auth, Dialect, Prometheus, PrometheusSettings, Secret};
use healthcore_sources::{BrokenSource, MetricsSource, ObjectSource, Selection, SourceError};
use lambda_free_runner::config::{ClusterConfig, Config, credential, holds_credentials};
use lambda_free_runner::{ClusterSources, DEFAULT_CLUSTERS_AT_ONCE};

use crate::args::{DialectArg, Sources};
use crate::output;

/// Connects to the servers that the arguments name, or else those of the configuration file.
pub(crate) async fn connect(
    args: &Sources,
    config: &Config,
    verbose: u8,
) -> anyhow::Result<Vec<ClusterSources>> {
    let named = args.naming_sources();
    if named.is_none() && !config.clusters.is_empty() {
        if let Some((argument, key)) = args.of_named_server().first() {
            bail!(
                "{argument}: counts for the server of --prometheus or --prometheus-via only, and the clusters come from the configuration file; give `prometheus.{key}` there, or name the server by an argument"
            );
        }
        let lone = lone_credentials(config)?;
        let places = Places::default();
        // Made before they are polled: a closure in the stream would keep callers from spawning this.
        let chosen = chosen(args.cluster.as_deref(), config)?;
        let all: Vec<_> = (config.clusters.iter().enumerate())
            .filter(|(_, c)| chosen.iter().any(|one| one.name == c.name))
            .map(|(at, c)| configured(at, c, config, args, &lone, &places, verbose))
            .collect();
        // A credential plugin of one cluster may take its time.
        return stream::iter(all).buffered(at_once(args, config).get()).try_collect().await;
    }
    if let (Some(argument), false) = (named, config.clusters.is_empty()) {
        let names: Vec<&str> = config.clusters.iter().map(|c| c.name.as_str()).collect();
        output::note(&format!(
            "{argument} names what is read, so the clusters of the configuration file are left out ({}); without {argument} they are read, and one alone by `--cluster NAME`",
            names.join(", ")
        ));
    }
    let server = args.prometheus.is_some() || args.prometheus_via.is_some();
    let api = args.kubeconfig.is_some() || args.context.is_some();
    if args.prometheus.as_deref().is_some_and(holds_credentials) {
        bail!(
            "--prometheus: the address holds credentials, which every user of the machine can see; give them as PROMETHEUS_USERNAME and PROMETHEUS_PASSWORD"
        );
    }
    let url = args.prometheus.clone().or_else(|| default_url().filter(|_| !server));
    if let (None, None, Some((argument, _))) = (&url, &args.prometheus_via, args.of_named_server().first()) {
        bail!(
            "{argument}: no metrics server is named; give --prometheus or --prometheus-via, or leave {argument} out"
        );
    }
    // A mistake in an argument, while a file that the configuration names may be missing on one machine of many.
    if let Some(path) = &args.kubeconfig {
        std::fs::File::open(path)
            .with_context(|| format!("{}: cannot read the kubeconfig", path.display()))?;
    }
    let in_cluster = std::env::var_os("KUBERNETES_SERVICE_HOST").is_some();
    let found = api || in_cluster || std::env::var_os("KUBECONFIG").is_some_and(|v| !v.is_empty());
    // A kubeconfig that merely lies in the home folder may be of another cluster than the Prometheus that was named, so
    // it counts only without one.
    let use_api = args.prometheus_via.is_some()
        || !args.no_kubernetes && (found || (url.is_none() && home_kubeconfig().is_some()));
    let mut cluster = args.cluster.clone();
    let api = if use_api {
        let mut settings =
            KubernetesSettings { logs: config.logs.unwrap_or_default(), ..KubernetesSettings::default() };
        settings.kubeconfig.clone_from(&args.kubeconfig);
        settings.context.clone_from(&args.context);
        bounds(args, &mut settings.timeout, &mut settings.concurrency);
        let name =
            cluster.get_or_insert_with(|| args.context.clone().unwrap_or_else(|| "cluster".to_owned()));
        settings.cluster.clone_from(name);
        Some(Api::connect(settings).await)
    } else {
        None
    };
    let metrics = metrics(args, url, &config.queries, api.as_ref(), verbose)?;
    if metrics.is_none() && api.is_none() {
        if let Some(file) = &args.config {
            bail!(
                "no source to read, for {} names no clusters: give `clusters` there, `--prometheus URL` or a Kubernetes context",
                file.display()
            );
        }
        return Ok(Vec::new());
    }
    Ok(vec![ClusterSources {
        name: cluster.unwrap_or_else(|| "cluster".to_owned()),
        metrics,
        objects: api.filter(|_| !args.no_kubernetes).map(Api::objects),
        logs: None,
        selection: Selection { namespaces: args.namespace.clone() },
    }])
}

/// How many clusters are read at once.
pub(crate) fn at_once(args: &Sources, config: &Config) -> NonZeroUsize {
    let given = args.clusters_at_once.and_then(|n| NonZeroUsize::new(usize::from(n)));
    given.or(config.clusters_at_once).unwrap_or(DEFAULT_CLUSTERS_AT_ONCE)
}

/// The clusters of the configuration file that are meant: the one that `--cluster` names, or all.
pub(crate) fn chosen<'c>(name: Option<&str>, config: &'c Config) -> anyhow::Result<Vec<&'c ClusterConfig>> {
    let Some(name) = name else { return Ok(config.clusters.iter().collect()) };
    let found = config.clusters.iter().find(|c| c.name == name);
    found.map(|c| vec![c]).with_context(|| {
        let names: Vec<&str> = config.clusters.iter().map(|c| c.name.as_str()).collect();
        let there = if names.is_empty() {
            "none; name a file that has it with --config".into()
        } else {
            names.join(", ")
        };
        format!("--cluster {name}: the configuration has no cluster of this name; it has {there}")
    })
}

/// What the command line says of every request, whoever names the server.
fn bounds(args: &Sources, timeout: &mut Duration, concurrency: &mut usize) {
    *timeout = args.timeout.unwrap_or(*timeout);
    *concurrency = args.concurrency.map_or(*concurrency, usize::from);
}

/// Credentials of the environment for the only metrics server of the configuration file, as for that of `--prometheus`,
/// where the file names none. Of several servers none is shown what may be meant for another.
fn lone_credentials(config: &Config) -> anyhow::Result<Auth> {
    let mut servers = config.clusters.iter().filter_map(|c| Some((c, c.prometheus.as_ref()?)));
    let (Some((cluster, server)), None) = (servers.next(), servers.next()) else { return Ok(Auth::None) };
    let way: Option<Reach> = cluster.prometheus_via.as_deref().and_then(|via| via.parse().ok());
    let can_carry = way.is_none_or(|way| way.carries_credentials());
    if server.has_credentials() || !can_carry { Ok(Auth::None) } else { credentials() }
}

/// A cluster of the configuration file, by its number there. Namespaces, time-out and concurrency on the command line win over those of the file.
async fn configured(
    at: usize,
    cluster: &ClusterConfig,
    config: &Config,
    args: &Sources,
    lone: &Auth,
    places: &Places,
    verbose: u8,
) -> anyhow::Result<ClusterSources> {
    let objects = match &cluster.kubernetes {
        Some(api) => {
            let mut settings = KubernetesSettings {
                cluster: cluster.name.clone(),
                kubeconfig: api.kubeconfig.clone(),
                context: api.context.clone(),
                place: Some(format!("clusters[{at}].kubernetes")),
                logs: config.logs.unwrap_or_default(),
                ..KubernetesSettings::default()
            };
            bounds(args, &mut settings.timeout, &mut settings.concurrency);
            Some(Api::connect(settings).await)
        }
        None => None,
    };
    let server = cluster.prometheus.clone().map(|mut settings| {
        bounds(args, &mut settings.timeout, &mut settings.concurrency);
        if !settings.has_credentials() {
            settings.auth = lone.clone();
        }
        settings
    });
    let metrics = match (&server, &cluster.prometheus_via) {
        (Some(settings), Some(via)) => {
            let at = format!("{}: prometheus.via", cluster.name);
            let reach = via.parse().with_context(|| at.clone())?;
            let api = objects.as_ref().with_context(|| format!("{at}: needs `kubernetes` beside it"))?;
            Some(usable(api.prometheus(reach, settings), verbose).with_context(|| at.clone())?)
        }
        (Some(settings), None) => {
            let made = usable(Prometheus::new(settings), verbose);
            Some(made.with_context(|| format!("{}: prometheus", cluster.name))?)
        }
        (None, _) => None,
    };
    let logs = cluster.loki.as_ref().map(|loki| {
        let mut settings = LokiSettings {
            cluster: cluster.name.clone(),
            logs: config.logs.unwrap_or_default(),
            ..loki.clone()
        };
        bounds(args, &mut settings.server.timeout, &mut settings.server.concurrency);
        Loki::sharing(settings, places).map(|loki| Arc::new(loki) as Arc<dyn LogSource>)
    });
    let namespaces =
        if args.namespace.is_empty() { cluster.namespaces.clone() } else { args.namespace.clone() };
    Ok(ClusterSources {
        name: cluster.name.clone(),
        metrics,
        objects: objects.filter(|_| !args.no_kubernetes).map(Api::objects),
        logs: logs.transpose().with_context(|| format!("{}: loki", cluster.name))?,
        selection: Selection { namespaces },
    })
}

/// The API of a cluster, or why there is none. One that cannot be set up (no kubeconfig, a credential plugin that fails)
/// must not take the report of the others with it.
enum Api {
    Connected(Arc<KubernetesSource>),
    Broken(SourceError),
}

impl Api {
    async fn connect(settings: KubernetesSettings) -> Self {
        match KubernetesSource::connect(settings).await {
            Ok(source) => Self::Connected(Arc::new(source)),
            Err(why) => Self::Broken(why),
        }
    }

    fn objects(self) -> Arc<dyn ObjectSource> {
        match self {
            Self::Connected(source) => source,
            Self::Broken(why) => Arc::new(BrokenSource::new(why)),
        }
    }

    fn prometheus(&self, reach: Reach, settings: &PrometheusSettings) -> Result<Prometheus, SourceError> {
        match self {
            Self::Connected(source) => source.prometheus(reach, settings),
            // What is no setting of the metrics server is a matter of this cluster.
            Self::Broken(why) => Err(SourceError::Unreachable {
                what: format!("prometheus by way of {reach}"),
                why: why.to_string(),
            }),
        }
    }
}

/// A metrics server; one whose settings are wrong is refused, one whose files are not there is a gap.
fn usable(made: Result<Prometheus, SourceError>, verbose: u8) -> Result<Arc<dyn MetricsSource>, SourceError> {
    match made {
        Ok(prometheus) => Ok(logged(prometheus, verbose)),
        Err(why @ SourceError::Setting { .. }) => Err(why),
        Err(why) => Ok(Arc::new(BrokenSource::new(why))),
    }
}

/// With `-v` every request is told.
fn logged(prometheus: Prometheus, verbose: u8) -> Arc<dyn MetricsSource> {
    if verbose > 0 { Arc::new(prometheus.log_to(Arc::new(output::note))) } else { Arc::new(prometheus) }
}

fn metrics(
    args: &Sources,
    url: Option<String>,
    queries: &BTreeMap<String, String>,
    api: Option<&Api>,
    verbose: u8,
) -> anyhow::Result<Option<Arc<dyn MetricsSource>>> {
    let named = url.is_some();
    let mut settings = PrometheusSettings::new(url.unwrap_or_default());
    settings.queries.clone_from(queries);
    settings.dialect = match args.dialect {
        None | Some(DialectArg::Prometheus) => Dialect::Prometheus,
        Some(DialectArg::Arms) => Dialect::Arms,
    };
    settings.auth = credentials()?;
    for header in &args.prometheus_header {
        let (name, value) = header.split_once(':').with_context(|| {
            "--prometheus-header: expected `Name: value`, got a text without colon".to_owned()
        })?;
        let (name, value) = (name.trim(), value.trim());
        if value.is_empty() {
            bail!("--prometheus-header: expected `Name: value`, got no value for `{name}`");
        }
        settings.headers.push((name.to_owned(), Secret::new(value)));
    }
    settings.ca_file.clone_from(&args.prometheus_ca);
    settings.insecure_skip_verify = args.prometheus_insecure;
    settings.matchers.clone_from(&args.prometheus_matcher);
    bounds(args, &mut settings.timeout, &mut settings.concurrency);
    if let (Some(reach), Some(api)) = (&args.prometheus_via, api) {
        return Ok(Some(usable(api.prometheus(reach.clone(), &settings), verbose)?));
    }
    if !named {
        return Ok(None);
    }
    Ok(Some(usable(Prometheus::new(&settings), verbose)?))
}

/// Credentials from the environment, or from files that it names; never from the command line, where every user of the
/// machine could read them.
fn credentials() -> anyhow::Result<Auth> {
    let token = secret("PROMETHEUS_TOKEN")?;
    let (username, password) = (secret("PROMETHEUS_USERNAME")?, secret("PROMETHEUS_PASSWORD")?);
    match (token, username, password) {
        (Some(token), None, None) => Ok(Auth::Bearer(Secret::new(token))),
        (None, Some(username), Some(password)) => {
            Ok(Auth::Basic { username, password: Secret::new(password) })
        }
        (None, None, None) => Ok(Auth::None),
        (Some(_), _, _) => bail!("PROMETHEUS_TOKEN and PROMETHEUS_USERNAME are both set; unset one of them"),
        (None, Some(_), None) => bail!("PROMETHEUS_USERNAME is set, and PROMETHEUS_PASSWORD is not"),
        (None, None, Some(_)) => bail!("PROMETHEUS_PASSWORD is set, and PROMETHEUS_USERNAME is not"),
    }
}

/// The value of an environment variable, or of the file that `NAME_FILE` names.
pub(crate) fn secret(name: &str) -> anyhow::Result<Option<String>> {
    if let Some(value) = std::env::var_os(name).filter(|v| !v.is_empty()) {
        let value = value.into_string().map_err(|_| anyhow::anyhow!("{name}: its value is not UTF-8"))?;
        return Ok(Some(credential(&value).with_context(|| name.to_owned())?));
    }
    let file = format!("{name}_FILE");
    let Some(path) = std::env::var_os(&file).filter(|v| !v.is_empty()).map(PathBuf::from) else {
        return Ok(None);
    };
    let text = std::fs::read_to_string(&path)
        .with_context(|| format!("{file}: {} cannot be read", path.display()))?;
    Ok(Some(credential(&text).with_context(|| format!("{file}: {}", path.display()))?))
}

/// The server that the environment names; an empty text names none.
fn default_url() -> Option<String> {
    std::env::var("PROMETHEUS_URL").ok().filter(|url| !url.trim().is_empty())
}

fn home_kubeconfig() -> Option<PathBuf> {
    let path = PathBuf::from(std::env::var_os("HOME")?).join(".kube/config");
    path.is_file().then_some(path)
}
