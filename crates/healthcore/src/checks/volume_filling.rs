//! `volume-filling`: a volume will soon have no room left.

use crate::chart::ChartSeries;
use crate::check::{Check, CheckInfo, Judgement, Outcome};
use crate::finding::{Advice, Problem, Severity, Text, Value};
use crate::inventory::VolumeClaim;
use crate::measure;
use crate::metric::Metric;
use crate::model::ObjectKind;
use crate::need::Needs;
use crate::phrase::phrase;
use crate::series::{Series, SeriesKey};
use crate::snapshot::Missing;
use crate::stats;
use crate::unit::{Bytes, Ratio, Seconds};
use crate::view::View;

/// A volume will soon have no room left.
pub struct VolumeFilling;

crate::params! {
    /// Parameters of `volume-filling`.
    pub struct VolumeFillingParams {
        /// Share of free room below which it is critical.
        critical_free: Ratio = Ratio(0.03) => Ratio(0.0)..=Ratio(1.0),
        /// Share of free room below which the trend counts.
        watched_free: Ratio = Ratio(0.15) => Ratio(0.0)..=Ratio(1.0),
        /// It is a warning when the volume will be full within this time.
        horizon: Seconds = Seconds(345_600.0) => Seconds(3600.0)..=Seconds::from_days(90.0),
        /// It is critical when the volume will be full within this time.
        critical_horizon: Seconds = Seconds(86_400.0) => Seconds(0.0)..=Seconds::from_days(90.0),
        /// Length of the trend.
        trend: Seconds = Seconds(21_600.0) => Seconds(600.0)..=Seconds::from_days(30.0),
    }
    where |p| p.critical_free <= p.watched_free, "critical-free must not be above watched-free";
    where |p| p.critical_horizon <= p.horizon, "critical-horizon must not be above horizon";
}

impl Check for VolumeFilling {
    const INFO: CheckInfo = CheckInfo {
        id: "volume-filling",
        title: "Volume filling up",
        since: "0.1.0",
        checks: "Whether a mounted PersistentVolumeClaim has room, in bytes and in inodes, and when it will be full.",
        why: "A database whose volume is full stops, and often does not start again until somebody makes room.",
        decides: "Free room divided by capacity (`volume-free`, `volume-size`), and the same of inodes. Critical below \
                  `critical-free`. Below `watched-free` a line is fitted to the last `trend` by least squares: a warning when \
                  it reaches zero within `horizon`, critical within `critical-horizon`. These are the rules of \
                  KubePersistentVolumeFillingUp of kubernetes-mixin, and the critical time. A claim that no pod mounts has \
                  no measurements and is left out, and one that may be mounted as ReadOnlyMany is filled once and only read.",
        remedy: "Enlarge the claim, when its storage class allows it (`allowVolumeExpansion`), or remove what is not needed.",
        false_alarms: "A volume that is filled once and then only read, where its access modes do not say so. A database that keeps its volume full and reuses \
                       it.",
        texts: &[
            ("full-soon", "{share} of its {what} is free ({free} of {size}); full in {time} at this rate"),
            ("nearly-full", "only {share} of its {what} is free ({free} of {size})"),
            ("enlarge", "enlarge the claim from {from} to {to}, or remove what is not needed"),
            (
                "inodes",
                "remove small files: a larger volume has more inodes only when its file system grows with it",
            ),
        ],
    };
    type Params = VolumeFillingParams;
    type Subject<'a> = &'a VolumeClaim;

    fn needs(_: &Self::Params, needs: &mut Needs) {
        needs
            .optional(Metric::VolumeFree)
            .optional(Metric::VolumeSize)
            .optional(Metric::VolumeInodesFree)
            .optional(Metric::VolumeInodes)
            .objects(ObjectKind::VolumeClaims)
            .objects(ObjectKind::Pods);
    }

    fn judge(params: &Self::Params, claim: &&VolumeClaim, view: &View<'_>) -> Judgement {
        let pods = view.unavailable(ObjectKind::Pods, &claim.id.namespace);
        let is_read_only = claim.access_modes.iter().any(|mode| mode == "ReadOnlyMany");
        if claim.phase != "Bound" || is_read_only || (claim.used_by.is_none() && pods.is_none()) {
            return Ok(Outcome::NotApplicable);
        }
        let room = Room::new("room", [Metric::VolumeFree, Metric::VolumeSize], params, claim, view);
        // Many file systems have no fixed number of inodes, and report none.
        let inodes =
            Room::new("inodes", [Metric::VolumeInodesFree, Metric::VolumeInodes], params, claim, view).ok();
        // What is known to be short is told, whatever is not known of the other.
        let short = inodes.iter().chain(&room).filter_map(|r| Some((r.severity(params).ok()??, r)));
        let (severity, tightest) = match short.max_by_key(|(severity, _)| *severity) {
            Some((severity, tightest)) => (Some(severity), tightest),
            None => {
                let room = room.as_ref().map_err(Clone::clone)?;
                room.severity(params)?;
                inodes.as_ref().map_or(Ok(None), |inodes| inodes.severity(params))?;
                (None, room)
            }
        };
        let distance = measure::above(tightest.share().get(), params.watched_free.get());
        if severity.is_none() && !view.keeps_watching(distance) {
            return Ok(Outcome::Ok);
        }
        let problem = problem(severity.unwrap_or(Severity::Info), tightest, params, claim, view);
        Ok(Outcome::when(severity.is_some(), distance, problem))
    }
}

/// What a volume has of one thing.
struct Room {
    what: &'static str,
    free: f64,
    size: f64,
    /// Seconds until nothing is free; none when the free room does not shrink.
    full_in: Result<Option<f64>, Missing>,
}

impl Room {
    fn new(
        what: &'static str,
        [free, size]: [Metric; 2],
        params: &VolumeFillingParams,
        claim: &VolumeClaim,
        view: &View<'_>,
    ) -> Result<Self, Missing> {
        let key = SeriesKey::volume_claim(&claim.id.namespace, &claim.id.name);
        let series = |metric| view.series(metric, &key)?.ok_or(Missing::NoSamples { metric });
        let recent = Seconds(1800.0);
        let history = series(free)?;
        let size_now = measure::now(&series(size)?, recent)?;
        if size_now <= 0.0 {
            return Err(Missing::NoSamples { metric: size });
        }
        let free_now = measure::now(&history, recent)?;
        Ok(Self { what, free: free_now, size: size_now, full_in: full_in(&history, params.trend) })
    }

    fn share(&self) -> Ratio {
        Ratio(self.free / self.size)
    }

    fn severity(&self, params: &VolumeFillingParams) -> Result<Option<Severity>, Missing> {
        if self.share() < params.critical_free {
            return Ok(Some(Severity::Critical));
        }
        if self.share() >= params.watched_free {
            return Ok(None);
        }
        Ok(match self.full_in.clone()? {
            Some(s) if s <= params.critical_horizon.get() => Some(Severity::Critical),
            Some(s) if s <= params.horizon.get() => Some(Severity::Warning),
            _ => None,
        })
    }

    fn amount(&self, amount: f64) -> Value {
        if self.what == "inodes" { Value::Number(amount) } else { Value::Bytes(amount) }
    }
}

/// Seconds until a line through the last samples reaches zero; none when it does not fall.
fn full_in(history: &Series<'_>, trend: Seconds) -> Result<Option<f64>, Missing> {
    let recent = history.last(trend);
    // Half of the trend is enough: a volume that is new and fills fast is the worst.
    measure::enough(&recent, 3, Seconds(trend.get() / 2.0))?;
    let line = stats::linregress(recent.hours()).ok_or(Missing::TooFewSamples { have: 0, need: 3 })?;
    let (end, _) = recent.hours().last().unwrap_or_default();
    let left = line.at(end);
    Ok((line.slope < 0.0).then(|| (left / -line.slope * 3600.0).max(0.0)))
}

fn problem(
    severity: Severity,
    room: &Room,
    params: &VolumeFillingParams,
    claim: &VolumeClaim,
    view: &View<'_>,
) -> Problem {
    let full_in = room.full_in.clone().ok().flatten().filter(|s| *s <= params.horizon.get());
    let text = match full_in {
        Some(s) => Text::new("full-soon").with("time", Seconds(s)),
        None => Text::new("nearly-full"),
    };
    let text = text
        .with("what", phrase(room.what))
        .with("share", room.share())
        .with("free", room.amount(room.free))
        .with("size", room.amount(room.size));
    let bound = if room.share() < params.critical_free { params.critical_free } else { params.watched_free };
    let mut problem = Problem::new(severity, text)
        .measured("free-share", room.share(), bound)
        .evidence("free", room.amount(room.free))
        .evidence("size", room.amount(room.size));
    if let Some(s) = full_in {
        problem = problem.measured("full-in", Seconds(s), params.horizon);
    }
    if let Some(pod) = &claim.used_by {
        problem = problem.evidence("mounted-by", pod.as_str());
    }
    problem.advise(advice(room, claim)).chart(ChartSeries::of_volume(view, claim))
}

fn advice(room: &Room, claim: &VolumeClaim) -> Advice {
    if room.what == "inodes" {
        return Advice::new(Text::new("inodes"));
    }
    let (namespace, name) = (&claim.id.namespace, &claim.id.name);
    let size = claim.capacity.unwrap_or(Bytes(room.size));
    let to = Bytes((size.get() * 1.5 / GIB).ceil() * GIB);
    let patch = format!(r#"{{"spec":{{"resources":{{"requests":{{"storage":"{}Gi"}}}}}}}}"#, to.get() / GIB);
    let command = format!("kubectl -n {namespace} patch pvc {name} -p '{patch}'");
    Advice::new(Text::new("enlarge"))
        .change("storage.request", Some(size.into()), to.into())
        .command(command, &[namespace, name])
}

const GIB: f64 = 1024.0 * 1024.0 * 1024.0;

#[cfg(test)]
mod tests {
    use crate::fixture::{self, advice, findings};

    #[track_caller]
    fn check(text: &str, expected: &str) {
        fixture::check("volume-filling", text, expected);
    }

    /// A claim of 1000 MiB with the free room of the series, a sample an hour.
    fn claim(free: &str) -> String {
        format!(
            "window lookback=12h step=1h\nclaim data/db used-by=db-0 capacity=10Gi created=30d  volume-size: 1000x11 volume-free: {free}"
        )
    }

    #[test]
    fn below_three_percent_is_critical() {
        check(&claim("29x11"), "critical data/db: only 2.9% of its room is free (29Mi of 1000Mi)");
        check(&claim("30x11"), "1 ok");
    }

    // From 160 to 105 MiB: 5 MiB an hour, full in 21 h.
    #[test]
    fn below_fifteen_percent_the_trend_counts() {
        check(
            &claim("160-5x11"),
            "critical data/db: 10.5% of its room is free (105Mi of 1000Mi); full in 21h at this rate",
        );
        check(
            &claim("107-1x11"),
            "warning data/db: 9.6% of its room is free (96Mi of 1000Mi); full in 4d at this rate",
        );
        check(&claim("108-1x11"), "1 ok");
        check(&claim("140+1x8 148x2"), "1 ok");
    }

    #[test]
    fn with_room_the_trend_does_not_count() {
        check(
            &claim("690-50x11"),
            "critical data/db: 14% of its room is free (140Mi of 1000Mi); full in 168m at this rate",
        );
        check(&claim("700-50x11"), "1 ok");
    }

    #[test]
    fn inodes_run_out_too() {
        let claim = claim("900x11");
        check(
            &format!("{claim} inodes: 1000x11 inodes-free: 20x11"),
            "critical data/db: only 2% of its inodes is free (20 of 1000)",
        );
        check(&format!("{claim} inodes: 0x11 inodes-free: 0x11"), "1 ok");
    }

    /// Two hours of history are too few for a trend.
    #[test]
    fn what_is_short_is_told_though_the_other_is_not_known() {
        let claim = |free: u32, inodes: &str| {
            format!(
                "window lookback=12h step=1h\nclaim data/db used-by=db-0 created=2h  volume-size: _x10 1000x1 volume-free: _x10 {free}x1 {inodes}"
            )
        };
        let inodes = |free: u32| format!("inodes: _x10 1000x1 inodes-free: _x10 {free}x1");
        let full = "critical data/db: only 1% of its room is free (10Mi of 1000Mi)";
        check(&claim(10, &inodes(100)), full);
        check(&claim(10, &inodes(20)), full);
        check(&claim(100, &inodes(20)), "critical data/db: only 2% of its inodes is free (20 of 1000)");
        check(
            "window lookback=12h step=1h\nfailed volume-free\n\
             claim data/db used-by=db-0 created=2h  inodes: 1000x11 inodes-free: 20x11",
            "critical data/db: only 2% of its inodes is free (20 of 1000)",
        );
        check(&claim(900, &inodes(100)), "1 unknown: 2 samples, 3 needed");
        check(&claim(100, &inodes(900)), "1 unknown: 2 samples, 3 needed");
    }

    #[test]
    fn what_has_no_measurements() {
        check("claim data/db phase=Pending used-by=db-0 created=30d", "nothing");
        // It is filled once.
        let full = claim("29x11");
        check(&full.replace("used-by", "modes=ReadOnlyMany used-by"), "nothing");
        let written = full.replace("used-by", "modes=ReadWriteOnce used-by");
        check(&written, "critical data/db: only 2.9% of its room is free (29Mi of 1000Mi)");
        check("claim data/db capacity=10Gi created=30d", "nothing");
        check("claim data/db used-by=db-0 created=30d", "1 unknown: no samples of volume-free");
        check(
            &format!("{}\nfailed volume-free", claim("_x12")),
            "1 unknown: the query for volume-free failed",
        );
        check(&claim("_x10 100-1x1"), "1 unknown: 2 samples, 3 needed");
        check(&claim("_x10 20x1"), "critical data/db: only 2% of its room is free (20Mi of 1000Mi)");
        check("denied volume-claims", "1 unknown: not allowed to list volume-claims in all namespaces");
    }

    #[test]
    fn advice_enlarges_by_half() {
        let text = claim("29x11");
        assert_eq!(
            advice("volume-filling", &text),
            [
                r#"enlarge the claim from 10Gi to 15Gi, or remove what is not needed [kubectl -n data patch pvc db -p '{"spec":{"resources":{"requests":{"storage":"15Gi"}}}}']"#
            ]
        );
        assert!(findings("volume-filling", &text)[0].series.is_some(), "it has a chart");
    }
}
