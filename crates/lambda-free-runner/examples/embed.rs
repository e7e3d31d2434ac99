//! Embeds a whole pass in another program: `cargo run --example embed -p lambda-free-runner -- http://127.0.0.1:9090`.

use std::error::Error;
use std::sync::Arc;

use healthcore_sources::prometheus::{Prometheus, PrometheusSettings};
use lambda_free_runner::{ClusterSources, Input, RunSpec, Silent, run_once};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let url = std::env::args().nth(1).ok_or("give the address of a Prometheus")?;
    let cluster = ClusterSources {
        name: "example".to_owned(),
        metrics: Some(Arc::new(Prometheus::new(&PrometheusSettings::new(url))?)),
        ..ClusterSources::default()
    };
    let report = run_once(&RunSpec::new(Input::Live(vec![cluster])), &Silent).await?;
    #[expect(clippy::print_stdout, reason = "an example program that shows its result")]
    {
        println!("{}: {} findings, {:?}", report.verdict().name(), report.findings.len(), report.cost);
        println!("clusters: {:?}\ngaps: {:#?}", report.clusters, report.gaps);
    }
    Ok(())
}
