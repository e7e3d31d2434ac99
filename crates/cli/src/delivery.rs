//! After the report is written: where else it goes.

use anyhow::bail;
use healthcore::report::Report;
use healthcore_report::RenderOptions;
use lambda_free_runner::config::{Config, SinkConfig};
use lambda_free_runner::deliver::{Delivered, Deliverer};

use crate::args::Check;
use crate::output::Target;

/// What delivers reports, as the configuration says. A shard is a part of a report, and is sent nowhere.
pub(crate) fn deliverer(args: &Check, config: &Config, targets: &[Target]) -> anyhow::Result<Deliverer> {
    let off = args.no_deliver || args.shard.is_some() || args.shards.is_some();
    // What is only planned prints nothing.
    let printed = if args.dry_run { &[] } else { targets };
    open(off, config, args.output.options(config), printed)
}

/// The routes of a configuration, none when delivery is off; `printed` is where the report goes besides.
pub(crate) fn open(
    off: bool,
    config: &Config,
    options: RenderOptions,
    printed: &[Target],
) -> anyhow::Result<Deliverer> {
    let mut routes = Vec::new();
    for route in config.deliver.iter().filter(|_| !off) {
        let prints = matches!(route.sink, Ok(SinkConfig::Stdout(_)));
        if prints && printed.iter().any(|(_, path)| path.is_none()) {
            bail!(
                "{}: standard output has the report already; give --output FILE, or leave `type: stdout` out",
                route.place
            );
        }
        routes.push(route.open()?);
    }
    Ok(Deliverer { routes, options, history: None })
}

/// Delivers a report, tells how that went, and says why the run counts as failed when it does.
pub(crate) async fn deliver(
    deliverer: &Deliverer,
    report: &Report,
    quiet: bool,
    tell: &(dyn Fn(&str) + Send + Sync),
) -> Option<String> {
    let mut failed = None;
    for outcome in deliverer.deliver(report).await {
        if !quiet {
            match &outcome.result {
                Ok(Delivered::Sent(receipt)) => tell(&format!("{}: sent: {}", outcome.to, receipt.what)),
                Ok(Delivered::NotSent(why)) => tell(&format!("{}: not sent: {why}", outcome.to)),
                Err(_) => {}
            }
        }
        for fault in outcome.faults() {
            if outcome.required && failed.is_none() {
                failed = Some(fault);
            } else {
                tell(&format!("warning: {fault}"));
            }
        }
    }
    failed
}
