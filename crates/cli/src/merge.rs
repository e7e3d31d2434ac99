//! Shards: which one a process is, and `healthcheck merge`.

use std::path::Path;
use std::time::Instant;

use anyhow::{Context as _, bail};
use healthcore::checks::CHECKS;
use healthcore::report::{Cost, Report};
use healthcore::shard::{Partial, Shard, merge};
use healthcore::time::Timestamp;
use healthcore::unit::Seconds;
use healthcore_report::{Format, read_shard};
use lambda_free_runner::clock::{Clock as _, SystemClock};
use lambda_free_runner::{decide, finish};

use crate::args::{Check, Color, FailOnArg, Merge};
use crate::commands::{history, image, read_config, runtime};
use crate::delivery::{self, Publication};
use crate::exit::{Exit, decided};
use crate::output::{self, Target, Writing};

/// Age from which on a shard is of an earlier run: well beyond the latest start and the longest run of the CronJobs in
/// `deploy`, and less than half a day.
const OLD: Seconds = Seconds(6.0 * 3600.0);

/// What an Indexed Job tells each of its pods.
const INDEX: &str = "JOB_COMPLETION_INDEX";

/// The part that the arguments ask for, if any.
pub(crate) fn shard(args: &Check) -> anyhow::Result<Option<Shard>> {
    let Some(of) = args.shards else { return Ok(args.shard) };
    let Ok(index) = std::env::var(INDEX) else {
        bail!("--shards {of}: {INDEX} is not set; an Indexed Job sets it, elsewhere give `--shard I/{of}`");
    };
    let number = index.parse().with_context(|| format!("{INDEX}: expected a number, got `{index}`"))?;
    Ok(Some(Shard::new(number, of).with_context(|| INDEX.to_owned())?))
}

/// Refuses formats that cannot hold a part.
pub(crate) fn only_json(targets: &[Target]) -> anyhow::Result<()> {
    let json = |writing: &Writing| matches!(writing, Writing::Known(Format::Json));
    match targets.iter().find(|(writing, _)| !json(writing)) {
        Some((other, _)) => bail!(
            "a shard is a part of a report, and {} cannot hold it: give `--format json`, and the other formats to `merge`",
            other.name()
        ),
        None => Ok(()),
    }
}

pub(crate) fn run(args: &Merge, color: Color, quiet: bool) -> anyhow::Result<Exit> {
    let started = Instant::now();
    let config = read_config(args.config.as_deref())?;
    let targets = output::targets(&args.output, &config, None)?;
    let read = args.reports.iter().flat_map(|path| output::used("a shard", Some(path)));
    output::separate(read.chain(output::templates(&targets)), output::written(&targets))?;
    let history = history(args.history.as_deref(), args.no_history, &config)?;
    let deliverer = delivery::open_unless(args.no_deliver, &config, args.output.options(&config), &targets)?;
    let parts = parts(args)?;
    let cost = parts.iter().map(|(_, cost)| *cost).reduce(Cost::and).unwrap_or_default();
    let parts: Vec<Partial> = parts.into_iter().map(|(part, _)| part).collect();
    let whole = parts.first().is_some_and(|p| p.shard.count() as usize == parts.len());
    let mut report = Report { cost, ..merge(parts, args.partial, CHECKS)? };
    // What nobody looked at must not be remembered as resolved.
    let history = history.filter(|_| whole);
    let runtime = runtime()?;
    runtime.block_on(finish(&mut report, history.as_ref(), image().as_deref()));
    let publication = Publication {
        output: &args.output,
        config: &config,
        targets: &targets,
        color,
        quiet,
        history: history.as_ref(),
        deliverer,
        started,
    };
    runtime.block_on(publication.publish(&report))?;
    Ok(decided(decide(&report, args.fail_on.unwrap_or(FailOnArg::Critical).into())))
}

/// The shards, with what each has cost. With `--partial` those that cannot be read, or are of an earlier run, count as
/// missing.
fn parts(args: &Merge) -> anyhow::Result<Vec<(Partial, Cost)>> {
    let at = args.at.unwrap_or_else(|| SystemClock.now());
    let mut parts = Vec::new();
    for path in &args.reports {
        match part(path, at) {
            Ok(part) => parts.push(part),
            Err(why) if args.partial => output::note(&format!("left out: {why:#}")),
            Err(why) => return Err(why),
        }
    }
    if args.partial {
        leave_out_the_old(&mut parts);
    }
    if parts.is_empty() {
        bail!("none of the reports can be merged");
    }
    Ok(parts)
}

/// What a shard left the day before is none of today's run.
fn leave_out_the_old(parts: &mut Vec<(Partial, Cost)>) {
    let Some(latest) = parts.iter().map(|(part, _)| part.taken_at).max() else { return };
    parts.retain(|(part, _)| {
        let fresh = latest.seconds_since(part.taken_at) <= healthcore::shard::MOST_APART.get();
        if !fresh {
            output::note(&format!("left out: shard {} is of an earlier run", part.shard));
        }
        fresh
    });
}

fn part(path: &Path, at: Timestamp) -> anyhow::Result<(Partial, Cost)> {
    let name = || path.display().to_string();
    let text =
        std::fs::read_to_string(path).with_context(|| format!("{}: cannot be read", path.display()))?;
    let (part, cost) = read_shard(&text).with_context(name)?;
    is_of_this_run(&part, at).with_context(name)?;
    Ok((part, cost))
}

/// Files of the day before lie where those of today should be when no shard of today has ended.
fn is_of_this_run(part: &Partial, at: Timestamp) -> anyhow::Result<()> {
    let age = Seconds(at.seconds_since(part.taken_at));
    if age <= OLD {
        return Ok(());
    }
    let taken_at = jiff::Timestamp::from_second(part.taken_at.unix_seconds())?;
    bail!(
        "was taken at {taken_at}, and a shard older than {OLD} is of an earlier run; see why there is no newer one, or give `--at {taken_at}` to merge shards of that time"
    )
}
