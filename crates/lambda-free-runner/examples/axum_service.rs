//! Embeds daily runs in a service of one's own, here with axum:
//! `cargo run --example axum_service -p lambda-free-runner -- http://127.0.0.1:9090`, then
//! `curl -X POST http://127.0.0.1:8088/run` and `curl http://127.0.0.1:8088/report`.

use std::error::Error;
use std::sync::{Arc, RwLock};
use std::time::Duration;

use async_trait::async_trait;
use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use healthcore_report::{Format, RenderOptions, render};
use healthcore_sources::prometheus::{Prometheus, PrometheusSettings};
use lambda_free_runner::runner::{Done, Hooks, Runner};
use lambda_free_runner::schedule::Schedule;
use lambda_free_runner::{ClusterSources, Progress};

/// The latest report as JSON.
#[derive(Default)]
struct Latest(RwLock<Option<Arc<str>>>);

impl Progress for Latest {}

#[async_trait]
impl Hooks for Latest {
    async fn done(&self, run: &Done) {
        let Ok(report) = run.result.clone() else { return };
        // Rendering a large report takes its time, and requests wait on this thread.
        let rendering =
            tokio::task::spawn_blocking(move || render(&report, Format::Json, &RenderOptions::default()));
        if let (Ok(Ok(text)), Ok(mut latest)) = (rendering.await, self.0.write()) {
            *latest = Some(text.into());
        }
    }
}

#[derive(Clone)]
struct Service {
    latest: Arc<Latest>,
    runner: Arc<Runner>,
}

async fn report(State(service): State<Service>) -> Response {
    let latest = service.latest.0.read().ok().and_then(|latest| latest.clone());
    match latest {
        Some(text) => ([(header::CONTENT_TYPE, "application/json")], text.to_string()).into_response(),
        None => (StatusCode::SERVICE_UNAVAILABLE, "no report yet\n").into_response(),
    }
}

async fn run(State(service): State<Service>) -> Response {
    match service.runner.ask() {
        Ok(()) => (StatusCode::ACCEPTED, "a run starts\n").into_response(),
        Err(busy) => (StatusCode::CONFLICT, format!("{busy}\n")).into_response(),
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let url = std::env::args().nth(1).ok_or("give the address of a Prometheus")?;
    let cluster = ClusterSources {
        name: "example".to_owned(),
        metrics: Some(Arc::new(Prometheus::new(&PrometheusSettings::new(url))?)),
        ..ClusterSources::default()
    };
    let latest = Arc::new(Latest::default());
    let hooks: Arc<dyn Hooks> = latest.clone();
    let runner = Arc::new(Runner::builder().sources(vec![cluster]).hooks(hooks).build());
    let daily = Schedule::cron("0 9 * * *", Some("Asia/Taipei"))?;

    let service = Service { latest, runner: Arc::clone(&runner) };
    let pages = Router::new().route("/report", get(report)).route("/run", post(run)).with_state(service);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:8088").await?;
    let serving = axum::serve(listener, pages).with_graceful_shutdown(async {
        let _ = tokio::signal::ctrl_c().await;
    });
    let stop = async {
        let _ = tokio::signal::ctrl_c().await;
        Duration::from_secs(30)
    };
    let (served, _) = tokio::join!(serving, runner.run_on_schedule(&daily, None, stop));
    Ok(served?)
}
