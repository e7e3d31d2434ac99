//! `healthcheck digest`: what happened over a period, from the runs that history keeps.

use std::io::IsTerminal as _;
use std::path::Path;

use anyhow::{Context as _, anyhow, bail};
use healthcore::unit::Seconds;
use healthcore_report::{DigestFormat, DigestReport, RenderOptions};
use lambda_free_runner::clock::{Clock as _, SystemClock};
use lambda_free_runner::config::{Config, holds_credentials};
use lambda_free_runner::deliver::{Deliverer, Route, What};
use lambda_free_runner::history::{History, Period};

use crate::args::{Color, Digest, DigestFormatArg};
use crate::commands::{done, read_config, run_name, runtime};
use crate::exit::Exit;
use crate::signals::Stage;
use crate::{delivery, output};

/// Length of a period that nobody named.
const USUAL: f64 = 7.0;

pub(crate) fn run(args: &Digest, color: Color, quiet: bool) -> anyhow::Result<Exit> {
    let config = read_config(args.config.as_deref())?;
    let file = args.output.as_deref().filter(|path| path.as_os_str() != "-");
    let format = format(args.format, file)?;
    let deliverer = deliverer(args, &config, file.is_none())?;
    if args.dry_run {
        let lines: Vec<String> = deliverer.routes.iter().map(Route::plan).collect();
        return done(&(lines.join("\n") + "\n"));
    }
    let history = history(args, &config)?;
    let runtime = runtime()?;
    let report = runtime.block_on(read(args, &history))?;
    let options = RenderOptions {
        color: file.is_none() && format == DigestFormat::Text && color.on(&std::io::stdout()),
        width: terminal_size::terminal_size().map_or(120, |(width, _)| usize::from(width.0)),
        ..output::options(args.lang, args.time_zone.clone(), &config)
    };
    let text = report.render(format, &options)?;
    match file {
        None => output::print(&text)?,
        Some(path) => output::replace(path, text.as_bytes())?,
    }
    let deliverer = Deliverer { history: Some(history), run: run_name(), ..deliverer };
    Stage::Delivering.reached();
    let outcomes = runtime.block_on(deliverer.deliver_digest(&report));
    Stage::Done.reached();
    let failed = delivery::told(outcomes, quiet, &output::note).into_iter();
    delivery::all_told(failed.map(|why| anyhow!("{why}; the digest is written all the same")).collect())?;
    // Silence is no good news.
    let is_silent = report.digests.iter().all(|d| d.runs == 0);
    if is_silent {
        output::note("exit 3: the history has no run of this period, so that nothing found is no good news");
        return Ok(Exit::TooLittleData);
    }
    Ok(Exit::Success)
}

async fn read(args: &Digest, history: &History) -> anyhow::Result<DigestReport> {
    let period = period(args);
    let (digests, gaps) = history.digests(period, args.cluster.as_deref()).await?;
    if digests.is_empty() && !gaps.is_empty() {
        bail!("{}: {}", gaps[0].scope, gaps[0].detail);
    }
    let version = lambda_free_runner::version().to_owned();
    Ok(DigestReport { version, start: period.start, end: period.end, digests, gaps, part: None })
}

/// What delivers digests; to nobody unless that is asked for.
fn deliverer(args: &Digest, config: &Config, is_printed: bool) -> anyhow::Result<Deliverer> {
    let options = output::options(args.lang, args.time_zone.clone(), config);
    if !args.deliver {
        return Ok(Deliverer { options, ..Deliverer::default() });
    }
    // What is only planned prints nothing.
    let deliverer = delivery::open(What::Digest, config, options, is_printed && !args.dry_run)?;
    if deliverer.routes.is_empty() {
        let file = args.config.as_deref().unwrap_or(Path::new("--config"));
        bail!(
            "{}: no entry of `deliver` says `what: digest`; add it to one, or leave --deliver out",
            file.display()
        );
    }
    Ok(deliverer)
}

/// The place of the arguments, else that of the file. No folder is made there.
fn history(args: &Digest, config: &Config) -> anyhow::Result<History> {
    let given = args.history.as_deref();
    if given.is_some_and(holds_credentials) {
        bail!(
            "--history: the address holds credentials, which every user of the machine can see; give them in the environment"
        );
    }
    let of_file = || config.history.as_ref().map(|h| &*h.location);
    let place = given.or_else(of_file).with_context(|| match &args.config {
        Some(file) => format!("{}: names no `history`; add it, or give `--history PLACE`", file.display()),
        None => "no history to read: give `--history PLACE`, or `--config FILE` with `history`".to_owned(),
    })?;
    Ok(History::existing(place)?)
}

fn period(args: &Digest) -> Period {
    let end = args.at.unwrap_or_else(|| SystemClock.now());
    let length = args.lookback.unwrap_or(Seconds::from_days(USUAL));
    Period { start: end.plus_seconds(-length.get()), end }
}

/// The format of the arguments, else that of the file's ending, else text on a terminal and Markdown elsewhere.
fn format(given: Option<DigestFormatArg>, file: Option<&Path>) -> anyhow::Result<DigestFormat> {
    if let Some(given) = given {
        return Ok(given.into());
    }
    let Some(file) = file else {
        let on_terminal = std::io::stdout().is_terminal();
        return Ok(if on_terminal { DigestFormat::Text } else { DigestFormat::Markdown });
    };
    match file.extension().and_then(|e| e.to_str()).unwrap_or_default() {
        "txt" => Ok(DigestFormat::Text),
        "md" | "markdown" => Ok(DigestFormat::Markdown),
        "json" => Ok(DigestFormat::Json),
        _ => bail!(
            "--output {}: no format of digests has this ending; name one with --format: text, markdown, json or slack",
            file.display()
        ),
    }
}
