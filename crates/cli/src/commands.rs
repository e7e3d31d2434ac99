//! What each command does.

use std::ffi::OsString;
use std::path::Path;
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use clap::{CommandFactory as _, FromArgMatches as _};
use healthcore::check::Check as _;
use healthcore::checks::CHECKS;
use healthcore::checks::error_logs::ErrorLogs;
use healthcore::settings::{Settings, nearest};
use healthcore::time::Timestamp;
use healthcore::unit::Seconds;
use healthcore_sources::recording::Recording;
use healthcore_sources::registry::{ReadImages, RegistryClient, RegistrySettings};
use healthcore_sources::tls::{CertificateSource, TlsProbe};
use lambda_free_runner::config::{CertificatesConfig, Config, holds_credentials, schema, template};
use lambda_free_runner::history::History;
use lambda_free_runner::{
    Certificates, DEFAULT_LOOKBACK, Hosts, Input, Registries, RunSpec, decide, dry_run, run_once,
};

use crate::args::{Check, Choice, Cli, Color, Command, ConfigCommand, Demo, FailOnArg, Record, Sources};
use crate::delivery::Publication;
use crate::exit::{Exit, decided};
use crate::progress::Bar;
use crate::{delivery, docs, leaks, output, serve, signals, sources};

/// The sample of `demo`, recorded as any snapshot.
const SAMPLE: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/sample.ndjson.zst"));

/// Runs the command that the arguments name. What the parser itself says, help and mistakes, has `color` too.
pub(crate) fn run(args: Vec<OsString>, color: Color) -> anyhow::Result<Exit> {
    let mut command = Cli::command().color(color.of_parser());
    let name =
        args.first().map(Path::new).and_then(Path::file_stem).and_then(|n| n.to_str()).unwrap_or_default();
    if name == "kubectl-healthcheck" {
        // As a plugin of kubectl.
        command = command.bin_name("kubectl healthcheck");
    }
    let cli = match command.clone().try_get_matches_from(args).and_then(|m| Cli::from_arg_matches(&m)) {
        Ok(cli) => cli,
        Err(e) => {
            // Help and version go to standard output and are a success; mistakes go to standard error.
            let wrong = e.use_stderr();
            match e.print() {
                Err(io) if io.kind() != std::io::ErrorKind::BrokenPipe => return Err(io.into()),
                _ => return Ok(if wrong { Exit::CouldNotRun } else { Exit::Success }),
            }
        }
    };
    let io = Io { quiet: cli.quiet, verbose: cli.verbose, color: cli.color };
    // `serve` has its own.
    if !matches!(cli.command, Command::Serve(_)) {
        signals::end_by();
    }
    match cli.command {
        Command::Check(args) => check(&args, io),
        Command::Demo(args) => demo(&args, io),
        Command::Record(args) => record(&args, io),
        Command::Serve(args) => serve::run(*args, io.quiet, io.verbose),
        Command::Leaks(args) => leaks::run(&args, io.quiet),
        Command::Explain { check: Some(id) } => done(&docs::page(docs::find(&id)?)),
        Command::Explain { check: None } => {
            let pages: Vec<String> = CHECKS.iter().map(|c| docs::page(*c)).collect();
            done(&pages.join("\n"))
        }
        Command::List => {
            let listed = done(&docs::list());
            // Beside the list, so that each of its lines is a check.
            if !io.quiet {
                output::note(&docs::number());
            }
            listed
        }
        Command::Config(command) => config(&command),
        Command::Merge(args) => crate::merge::run(&args, io.color, io.quiet),
        Command::Digest(args) => crate::digest::run(&args, io.color, io.quiet),
        Command::Rbac(args) => crate::rbac::run(&args),
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut command, "healthcheck", &mut script);
            done(&String::from_utf8_lossy(&script))
        }
        Command::Man { command: of } => {
            let mut page = Vec::new();
            clap_mangen::Man::new(manual_of(command, of.as_deref())?).render(&mut page)?;
            done(&String::from_utf8_lossy(&page))
        }
    }
}

/// The command whose manual page is asked for; the whole program without a name.
fn manual_of(mut program: clap::Command, name: Option<&str>) -> anyhow::Result<clap::Command> {
    program.build();
    let Some(name) = name else { return Ok(program) };
    let found = program.find_subcommand(name).cloned();
    found.with_context(|| {
        let hint = nearest(name, program.get_subcommands().map(clap::Command::get_name))
            .map_or_else(String::new, |n| format!(", did you mean `{n}`?"));
        format!("unknown command `{name}`{hint}")
    })
}

/// How to talk to the one who started the command.
#[derive(Clone, Copy)]
struct Io {
    quiet: bool,
    verbose: u8,
    color: Color,
}

pub(crate) fn done(text: &str) -> anyhow::Result<Exit> {
    output::print(text).map(|()| Exit::Success)
}

/// The async runtime of a command. However the command ends, nobody waits for a thread that hangs, such as that of a look-up
/// of a name, or of a credential plugin.
pub(crate) struct Runtime(Option<tokio::runtime::Runtime>);

impl Runtime {
    pub(crate) fn block_on<F: Future>(&self, future: F) -> F::Output {
        self.0.as_ref().expect("it is there until it is dropped").block_on(future)
    }

    /// Ends it, with some time for its threads.
    pub(crate) fn shutdown_timeout(mut self, time: Duration) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_timeout(time);
        }
    }
}

impl Drop for Runtime {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

pub(crate) fn runtime() -> anyhow::Result<Runtime> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    Ok(Runtime(Some(runtime.context("the async runtime cannot start")?)))
}

fn check(args: &Check, io: Io) -> anyhow::Result<Exit> {
    let started = Instant::now();
    let shard = crate::merge::shard(args)?;
    if let Some(path) = &args.record {
        output::recordable(path)?;
    }
    let config = read_config(args.sources.config.as_deref())?;
    let targets = output::targets(&args.output, &config, shard.map(|_| healthcore_report::Format::Json))?;
    if shard.is_some() {
        crate::merge::only_json(&targets)?;
    }
    let read = read(&args.sources, &config).chain(args.snapshot.iter().flat_map(|path| {
        Recording::files(path).into_iter().filter_map(|file| output::used("--snapshot", Some(&file)))
    }));
    output::separate(
        read.chain(output::templates(&targets)),
        output::used("--record", args.record.as_ref()).into_iter().chain(output::written(&targets)),
    )?;
    let settings = settings(&args.judging.choice, &config)?;
    let deliverer = delivery::deliverer(args, &config, &targets)?;
    let runtime = runtime()?;
    let bar = Bar::new(io.quiet);
    let spec = match &args.snapshot {
        Some(path) => {
            fit(&args.judging.choice, Seconds(Recording::open(path)?.header().window.seconds()))?;
            RunSpec {
                settings,
                image: image(),
                certificates: certificates(&config.certificates)?,
                ..RunSpec::new(Input::Recording(path.clone()))
            }
        }
        None => {
            fit(&args.judging.choice, lookback(&args.sources, &config))?;
            let clusters = runtime.block_on(sources::connect(&args.sources, &config, io.verbose))?;
            RunSpec {
                record: args.record.clone(),
                ..live(&args.sources, &config, settings, Input::Live(clusters))?
            }
        }
    };
    // What changed is for the merged report to say.
    let alone = args.no_history || args.dry_run || shard.is_some();
    let history = history(args.history.as_deref(), alone, &config)?;
    let spec = RunSpec { history, shard, ..spec };
    if args.dry_run {
        let mut lines = runtime.block_on(dry_run(&spec, &bar))?;
        lines.extend(delivery::plan(&deliverer, &config, args.no_deliver));
        return done(&(lines.join("\n") + "\n"));
    }
    let report = runtime.block_on(run_once(&spec, &bar))?;
    let publication = Publication {
        output: &args.output,
        config: &config,
        targets: &targets,
        color: io.color,
        quiet: io.quiet,
        history: spec.history.as_ref(),
        deliverer,
        started,
    };
    runtime.block_on(publication.publish(&report))?;
    if shard.is_some() {
        // A part has found what it has found; the whole decides.
        return Ok(Exit::Success);
    }
    Ok(decided(decide(&report, args.judging.fail_on.unwrap_or(FailOnArg::Critical).into())))
}

/// Where the run is remembered: the place of the arguments, else that of the file.
pub(crate) fn history(given: Option<&str>, off: bool, config: &Config) -> anyhow::Result<Option<History>> {
    if off {
        return Ok(None);
    }
    let retention = config.history.as_ref().map(|h| h.retention).unwrap_or_default();
    if given.is_some_and(holds_credentials) {
        anyhow::bail!(
            "--history: the address holds credentials, which every user of the machine can see; give them in the environment"
        );
    }
    let place = given.or(config.history.as_ref().map(|h| &*h.location));
    Ok(place.map(|place| History::open(place, retention)).transpose()?)
}

fn demo(args: &Demo, io: Io) -> anyhow::Result<Exit> {
    if args.history.is_some() {
        anyhow::bail!(
            "--history: the sample of `demo` is of one time, and no run is before it to be compared with; runs of your own clusters are remembered by `healthcheck check --history PLACE`"
        );
    }
    let targets = output::targets(&args.output, &Config::default(), None)?;
    output::separate(output::templates(&targets), output::written(&targets))?;
    let settings = settings(&args.judging.choice, &Config::default())?;
    let spec = RunSpec { settings, ..RunSpec::new(Input::Embedded("the sample", SAMPLE)) };
    let report = runtime()?.block_on(run_once(&spec, &Bar::new(true)))?;
    delivery::all_told(output::write(&report, &args.output, &Config::default(), &targets, io.color).faults)?;
    // The sample is full of problems on purpose; showing them is a success.
    Ok(decided(decide(&report, args.judging.fail_on.unwrap_or(FailOnArg::Never).into())))
}

fn record(args: &Record, io: Io) -> anyhow::Result<Exit> {
    output::recordable(&args.output)?;
    let config = read_config(args.sources.config.as_deref())?;
    output::separate(read(&args.sources, &config), output::used("--output", Some(&args.output)))?;
    let settings = settings(&args.choice, &config)?;
    fit(&args.choice, lookback(&args.sources, &config))?;
    let runtime = runtime()?;
    let bar = Bar::new(io.quiet);
    let clusters = runtime.block_on(sources::connect(&args.sources, &config, io.verbose))?;
    if clusters.is_empty() {
        anyhow::bail!("no source to read: give `--prometheus URL`, a Kubernetes context or `--config FILE`");
    }
    let spec = RunSpec {
        record: Some(args.output.clone()),
        ..live(&args.sources, &config, settings, Input::Live(clusters))?
    };
    let report = runtime.block_on(run_once(&spec, &bar))?;
    let pods: u64 = report.clusters.iter().map(|c| c.pods).sum();
    let workloads: u64 = report.clusters.iter().map(|c| c.workloads).sum();
    if !io.quiet {
        output::note(&format!(
            "{}: {}, {}, {}",
            args.output.display(),
            counted(report.clusters.len() as u64, "cluster"),
            counted(pods, "pod"),
            counted(report.cost.samples, "sample")
        ));
        for gap in &report.gaps {
            output::note(&format!("gap: {} ({}): {}", gap.scope, gap.cause.name(), gap.detail));
        }
    }
    Ok(if pods + workloads == 0 { Exit::TooLittleData } else { Exit::Success })
}

pub(crate) fn counted(n: u64, what: &str) -> String {
    format!("{n} {what}{}", if n == 1 { "" } else { "s" })
}

/// How far a run of servers looks back.
pub(crate) fn lookback(args: &Sources, config: &Config) -> Seconds {
    args.lookback.or(config.lookback).unwrap_or(DEFAULT_LOOKBACK)
}

pub(crate) fn live(
    args: &Sources,
    config: &Config,
    settings: Settings,
    input: Input,
) -> anyhow::Result<RunSpec> {
    let now = jiff::Timestamp::now();
    if let Some(at) = args.at
        && at.age_at(Timestamp(now.as_millisecond())).is_none()
    {
        let now = now.strftime("%Y-%m-%dT%H:%M:%SZ");
        anyhow::bail!("--at: expected an instant up to now ({now}), got one that lies ahead");
    }
    let defaults = RunSpec::new(input);
    Ok(RunSpec {
        settings,
        lookback: lookback(args, config),
        step: args.step.or(config.step),
        at: args.at,
        image: image(),
        certificates: certificates(&config.certificates)?,
        hosts: hosts(args, config),
        registries: registries(&config.registries)?,
        clusters_at_once: sources::at_once(args, config),
        ..defaults
    })
}

/// Names in DNS are those of all clusters of the file: where some are left out, these may serve a name.
fn hosts(args: &Sources, config: &Config) -> Hosts {
    let names = config.hosts.names.clone();
    let left_out = config.clusters.len() > 1 && (args.naming_sources().is_some() || args.cluster.is_some());
    let why = "the arguments leave clusters of the configuration out, and these may serve them";
    Hosts { not_judged: (left_out && !names.is_empty()).then(|| why.to_owned()), names }
}

/// The TLS servers of routes are asked for their certificates, unless `SKIP_TLS_CHECK` says that no certificate is to be
/// looked at, as the k8s-health-monitor had it.
pub(crate) fn certificates(config: &CertificatesConfig) -> anyhow::Result<Certificates> {
    let skip = match std::env::var("SKIP_TLS_CHECK").unwrap_or_default().trim().to_ascii_lowercase().as_str()
    {
        "true" | "yes" | "on" | "1" => true,
        "" | "false" | "no" | "off" | "0" => false,
        other => anyhow::bail!("SKIP_TLS_CHECK: expected `true` or `false`, got `{other}`"),
    };
    Ok(Certificates {
        source: (config.ask && !skip).then(|| Arc::new(TlsProbe::new()) as Arc<dyn CertificateSource>),
        skip: skip.then(|| "SKIP_TLS_CHECK is set".to_owned()),
        servers: config.servers.clone(),
        skip_namespaces: config.skip.clone(),
    })
}

/// What the runs of this process read of images: registries count what `serve` would read again and again.
static READ_IMAGES: LazyLock<Arc<ReadImages>> = LazyLock::new(Arc::default);

/// Registries that may be asked; none to ask nobody.
fn registries(config: &[RegistrySettings]) -> anyhow::Result<Registries> {
    if config.is_empty() {
        return Ok(Registries::default());
    }
    Ok(Registries::new(Arc::new(RegistryClient::knowing(config, &READ_IMAGES)?)))
}

/// The image that this program runs in, as the manifest of its pod says.
pub(crate) fn image() -> Option<String> {
    std::env::var("HEALTHCHECK_IMAGE").ok()
}

/// The name of this run, as the manifest of its Job says: a pod that is made anew in the place of one that failed has the
/// same one. Where a label is missing, it is empty.
pub(crate) fn run_name() -> Option<String> {
    std::env::var("HEALTHCHECK_RUN").ok().filter(|name| !name.trim().is_empty())
}

pub(crate) fn read_config(path: Option<&Path>) -> anyhow::Result<Config> {
    match path {
        Some(path) => Ok(Config::read(path, &|name| std::env::var(name).ok())?),
        None => Ok(Config::default()),
    }
}

/// Files that a run reads, apart from a recording.
fn read<'a>(args: &'a Sources, config: &'a Config) -> impl Iterator<Item = output::Used> + 'a {
    let given = [
        ("--config", &args.config),
        ("--kubeconfig", &args.kubeconfig),
        ("--prometheus-ca", &args.prometheus_ca),
    ];
    let named = config.files.iter().filter_map(|path| output::used("the configuration", Some(path)));
    given.into_iter().filter_map(|(what, path)| output::used(what, path.as_ref())).chain(named)
}

fn config(command: &ConfigCommand) -> anyhow::Result<Exit> {
    match command {
        ConfigCommand::Init { path, .. } if path.as_os_str() == "-" => done(&template()),
        ConfigCommand::Init { path, force } => {
            if path.exists() && !force {
                anyhow::bail!(
                    "{}: is there already; give another name, or --force to write over it",
                    path.display()
                );
            }
            output::replace(path, template().as_bytes())?;
            output::note(&format!(
                "{}: written; run with `healthcheck check --config {}`",
                path.display(),
                path.display()
            ));
            Ok(Exit::Success)
        }
        ConfigCommand::Show { config: path, cluster, namespace, choice } => {
            let config = read_config(path.as_deref())?;
            let settings = settings(choice, &config)?;
            fit(choice, config.lookback.unwrap_or(DEFAULT_LOOKBACK))?;
            let is_set = |name: &str| std::env::var_os(name).is_some_and(|v| !v.is_empty());
            let site = docs::Place { cluster: cluster.as_deref(), namespace: namespace.as_deref() };
            done(&docs::effective(&config, &settings, choice, site, &is_set)?)
        }
        ConfigCommand::Import { thresholds, queries, cluster } => {
            let import = lambda_free_runner::config::Import {
                thresholds: thresholds.clone(),
                queries: queries.clone(),
                cluster: cluster.clone(),
                environment: &|name| std::env::var(name).ok(),
            };
            done(&import.configuration()?)
        }
        ConfigCommand::Schema => done(&format!(
            "{:#}
",
            schema()
        )),
    }
}

/// The choices of the command line, refused here when they cannot be used, before any server is asked.
pub(crate) fn settings(args: &Choice, config: &Config) -> anyhow::Result<Settings> {
    let mut settings = config.settings.clone();
    set(&args.set, &mut settings)?;
    if !args.only.is_empty() {
        settings.only = args.only.iter().cloned().collect();
    }
    settings.skip.extend(args.skip.iter().cloned());
    if args.logs {
        let id = ErrorLogs::INFO.id;
        settings.checks.entry(id.to_owned()).or_default().enabled = Some(true);
        if !settings.only.is_empty() {
            settings.only.insert(id.to_owned());
        }
    }
    settings.resolve(CHECKS)?;
    Ok(settings)
}

/// Takes over the parameters of `--set`.
fn set(texts: &[String], settings: &mut Settings) -> anyhow::Result<()> {
    for text in texts {
        let (path, value) = text
            .split_once('=')
            .with_context(|| format!("--set: expected `CHECK.PARAMETER=VALUE`, got `{text}`"))?;
        let (check, param) = path
            .split_once('.')
            .with_context(|| format!("--set: expected `CHECK.PARAMETER=VALUE`, got `{text}`"))?;
        settings
            .checks
            .entry(check.trim().to_owned())
            .or_default()
            .params
            .insert(param.trim().to_owned(), value.trim().to_owned());
        // An argument wins over what the file says of single clusters and namespaces.
        for scope in &mut settings.scopes {
            let own = scope.checks.get_mut(check.trim()).and_then(|c| c.params.get_mut(param.trim()));
            own.into_iter().for_each(|own| value.trim().clone_into(own));
        }
    }
    Ok(())
}

/// Refuses a check that arguments tell to look back further than the run does. What a file says of it is compared with
/// the look-back of the file.
pub(crate) fn fit(args: &Choice, run: Seconds) -> anyhow::Result<()> {
    let mut own = Settings::default();
    set(&args.set, &mut own)?;
    Ok(own.fit(CHECKS, run)?)
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;

    #[test]
    fn a_command_that_ends_waits_for_no_thread() {
        let (release, hangs) = channel();
        let runtime = runtime().unwrap();
        runtime.block_on(async {
            drop(tokio::task::spawn_blocking(move || hangs.recv_timeout(Duration::from_secs(10))));
        });
        drop(runtime);
        assert!(release.send(()).is_ok(), "it still hangs");
    }
}
