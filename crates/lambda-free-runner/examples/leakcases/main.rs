//! Makes labelled cases of memory that leaks and memory that does not: `leakcases [--seed 1] [--per-family 60] --out NAME`
//! writes `NAME.inputs.ndjson.gz` and `NAME.labels.ndjson.gz`.
//!
//! Every family is a story of production; the numbers of each case are drawn from wide ranges. The same seed gives the
//! same cases.

mod draw;
mod operations;
mod production;
mod shapes;

use std::error::Error;
use std::fs::File;
use std::io::{BufWriter, Write};

use fastrand::Rng;
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};

use draw::Draw;
use operations::OPERATIONS;
use production::PRODUCTION;
use shapes::SHAPES;

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let (mut seed, mut count, mut out) = (1_u64, 60_usize, None);
    while let Some(arg) = args.next() {
        let mut value = || args.next().ok_or(format!("{arg}: a value is missing"));
        match arg.as_str() {
            "--seed" => seed = value()?.parse()?,
            "--per-family" => count = value()?.parse()?,
            "--out" => out = Some(value()?),
            _ => return Err(format!("unknown option `{arg}`; expected --seed, --per-family or --out").into()),
        }
    }
    let out = out.ok_or("--out NAME is missing")?;
    let writer = |part: &str| -> Result<_, Box<dyn Error>> {
        let file = File::create(format!("{out}.{part}.ndjson.gz"))?;
        Ok(GzEncoder::new(BufWriter::new(file), Compression::fast()))
    };
    let (mut inputs, mut labels) = (writer("inputs")?, writer("labels")?);
    let families = SHAPES.iter().chain(&PRODUCTION).chain(&OPERATIONS);
    for (f, (label, family, story)) in families.enumerate() {
        for k in 0..count {
            let rng = Rng::with_seed(seed.wrapping_mul(1_000_003) ^ ((f as u64) << 32) ^ k as u64);
            let mut draw = Draw::new(rng);
            let mut pods = story(&mut draw);
            let gaps = draw.rng.f64() < 0.15;
            let (no_limit, no_log) = (draw.rng.f64() < 0.12, draw.rng.f64() < 0.4);
            let id = format!("{family}-{k}");
            let series: Vec<Value> = pods
                .iter_mut()
                .enumerate()
                .map(|(p, pod)| {
                    let mut values: Vec<Value> =
                        pod.values.iter().map(|v| json!(v.clamp(0.0, draw.limit).round())).collect();
                    if gaps {
                        let (from, len) =
                            (draw.rng.usize(0..values.len()), draw.rng.usize(0..values.len() / 8 + 1));
                        values.iter_mut().skip(from).take(len).for_each(|v| *v = Value::Null);
                    }
                    let mut line =
                        json!({"pod": format!("app-{p}"), "start_unix": pod.start, "values": values});
                    if let Some(restarts) = pod.restarts.as_ref().filter(|_| draw.logged || !no_log) {
                        line["restarts_unix"] = json!(restarts);
                    }
                    if let Some(load) = &pod.load {
                        line["load"] = json!(load);
                    }
                    line
                })
                .collect();
            let end = draw.start + ((draw.samples() - 1) as f64 * draw.step_h * 3600.0) as i64;
            let case = json!({
                "id": id, "step_s": (draw.step_h * 3600.0).round(), "start_unix": draw.start, "end_unix": end,
                "limit_bytes": if no_limit { Value::Null } else { json!(draw.limit.round()) },
                "request_bytes": (draw.base * 1.2).round(), "series": series,
            });
            writeln!(inputs, "{case}")?;
            let label = json!({"id": id, "label": label, "family": family, "window_h": draw.hours});
            writeln!(labels, "{label}")?;
        }
    }
    inputs.finish()?.flush()?;
    labels.finish()?.flush()?;
    Ok(())
}
