//! Samples on the grid of a run, with gaps, and where they are kept.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::metric::{Metric, SeriesOf, Shape};
use crate::snapshot::Missing;
use crate::time::{Timestamp, Window};
use crate::unit::Seconds;

/// Samples of one series on the grid of a run. A gap is kept as NaN inside and never handed out.
#[derive(Debug, Clone, Default)]
pub struct Samples {
    /// Grid index of `values[0]`.
    first: u32,
    values: Vec<f64>,
}

/// Equal samples at equal instants; a gap equals a gap.
impl PartialEq for Samples {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl Samples {
    /// Samples that start at grid index `first`; `None` is a gap. Values that are not finite or below zero become gaps.
    #[must_use]
    pub fn new(first: usize, values: impl IntoIterator<Item = Option<f64>>) -> Self {
        let mut samples = Self::default();
        for (offset, value) in values.into_iter().enumerate() {
            if let Some(value) = value {
                samples.put(first + offset, value);
            }
        }
        samples
    }

    /// Whether a value can be a measurement: a finite number from zero on.
    #[must_use]
    pub fn takes(value: f64) -> bool {
        value.is_finite() && value >= 0.0
    }

    /// Sets the sample at grid index `index`. Where there is one already the larger stays (several cgroup
    /// ids of one container, two Prometheus replicas). A value that is not finite, or below zero, which no metric can be, is
    /// left out.
    pub fn put(&mut self, index: usize, value: f64) {
        if !Self::takes(value) {
            return;
        }
        if self.values.is_empty() {
            self.first = index as u32;
        }
        let first = self.first as usize;
        if index < first {
            self.values.splice(0..0, std::iter::repeat_n(f64::NAN, first - index));
            self.first = index as u32;
        }
        let at = index - self.first as usize;
        if at >= self.values.len() {
            self.values.resize(at + 1, f64::NAN);
        }
        self.values[at] = self.values[at].max(value);
    }

    /// Keeps the larger of both at every instant.
    pub fn merge(&mut self, other: &Self) {
        for (index, value) in other.iter() {
            self.put(index, value);
        }
    }

    /// Makes room for `more` further samples.
    pub fn reserve(&mut self, more: usize) {
        self.values.reserve(more);
    }

    /// Gives spare memory back.
    pub fn shrink(&mut self) {
        self.values.shrink_to_fit();
    }

    /// Grid index and value of every sample, in order of time.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (usize, f64)> + '_ {
        let first = self.first as usize;
        self.values.iter().enumerate().filter(|(_, v)| !v.is_nan()).map(move |(i, v)| (first + i, *v))
    }

    /// Grid index of the first stored instant.
    #[must_use]
    pub fn first_index(&self) -> usize {
        self.first as usize
    }

    /// Values from the first to the last sample; a gap is `None`.
    pub fn values(&self) -> impl ExactSizeIterator<Item = Option<f64>> + '_ {
        self.values.iter().map(|v| if v.is_nan() { None } else { Some(*v) })
    }

    /// Number of samples, gaps not counted.
    #[must_use]
    pub fn count(&self) -> usize {
        self.values.iter().filter(|v| !v.is_nan()).count()
    }

    /// Whether there is no sample at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }
}

/// A view of one series over (a part of) the window.
#[derive(Debug, Clone, Copy)]
pub struct Series<'a> {
    window: &'a Window,
    /// Grid index of `values[0]`.
    first: usize,
    values: &'a [f64],
    /// Grid index where this view starts (at most `first`).
    from: usize,
    /// Grid index where this view ends, exclusive.
    to: usize,
}

impl<'a> Series<'a> {
    /// The whole series.
    #[must_use]
    pub fn new(window: &'a Window, samples: &'a Samples) -> Self {
        let first = samples.first as usize;
        let length = samples.values.len().min(window.points().saturating_sub(first));
        Self { window, first, values: &samples.values[..length], from: 0, to: window.points() }
    }

    /// The part at grid indices `from..to`.
    #[must_use]
    pub fn slice(&self, from: usize, to: usize) -> Self {
        let (from, to) = (from.max(self.from), to.min(self.to));
        let end = self.first + self.values.len();
        let (a, b) = (from.clamp(self.first, end), to.clamp(self.first, end));
        let (a, b) = (a, b.max(a));
        Self {
            window: self.window,
            first: a,
            values: &self.values[a - self.first..b - self.first],
            from,
            to: to.max(from),
        }
    }

    /// The part within the last `lookback` of the window.
    #[must_use]
    pub fn last(&self, lookback: Seconds) -> Self {
        let points = self.window.points();
        self.slice(points - self.window.points_in(lookback), points)
    }

    /// Grid index and value of every sample, in order of time.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (usize, f64)> + 'a {
        let first = self.first;
        self.values.iter().enumerate().filter(|(_, v)| !v.is_nan()).map(move |(i, v)| (first + i, *v))
    }

    /// The values alone, in order of time.
    pub fn values(&self) -> impl DoubleEndedIterator<Item = f64> + 'a {
        self.values.iter().copied().filter(|v| !v.is_nan())
    }

    /// Values as a slice in which a gap is NaN, and the grid index of its first element.
    #[must_use]
    pub fn raw(&self) -> (usize, &'a [f64]) {
        (self.first, self.values)
    }

    /// Hours from the start of the grid, and value, of every sample.
    pub fn hours(&self) -> impl Iterator<Item = (f64, f64)> + 'a {
        let step = f64::from(self.window.step_s()) / 3600.0;
        self.iter().map(move |(i, v)| (i as f64 * step, v))
    }

    /// Number of samples.
    #[must_use]
    pub fn count(&self) -> usize {
        self.values().count()
    }

    /// Whether there is no sample.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.values().next().is_none()
    }

    /// The latest sample.
    #[must_use]
    pub fn latest(&self) -> Option<(Timestamp, f64)> {
        self.iter().next_back().map(|(i, v)| (self.window.at(i), v))
    }

    /// Seconds between the first and the last sample.
    #[must_use]
    pub fn span_s(&self) -> f64 {
        match (self.iter().next(), self.iter().next_back()) {
            (Some((a, _)), Some((b, _))) => (b - a) as f64 * f64::from(self.window.step_s()),
            _ => 0.0,
        }
    }

    /// The grid.
    #[must_use]
    pub fn window(&self) -> &'a Window {
        self.window
    }

    /// At most `most` points that keep the extremes of every stretch: what a chart needs.
    #[must_use]
    pub fn thinned(&self, most: usize) -> Vec<(Timestamp, f64)> {
        let points: Vec<_> = self.iter().collect();
        let bucket = points.len().div_ceil((most / 2).max(1)).max(1);
        let mut kept = Vec::new();
        for chunk in points.chunks(bucket) {
            let low = chunk.iter().copied().min_by(|a, b| a.1.total_cmp(&b.1));
            let high = chunk.iter().copied().max_by(|a, b| a.1.total_cmp(&b.1));
            let (Some(low), Some(high)) = (low, high) else { continue };
            kept.push(low.min_by_index(high));
            if low.0 != high.0 {
                kept.push(low.max_by_index(high));
            }
        }
        kept.into_iter().map(|(i, v)| (self.window.at(i), v)).collect()
    }
}

trait ByIndex: Sized {
    fn min_by_index(self, other: Self) -> Self;
    fn max_by_index(self, other: Self) -> Self;
}
impl ByIndex for (usize, f64) {
    fn min_by_index(self, other: Self) -> Self {
        if self.0 <= other.0 { self } else { other }
    }
    fn max_by_index(self, other: Self) -> Self {
        if self.0 > other.0 { self } else { other }
    }
}

/// Which thing a series belongs to.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SeriesKey {
    /// Namespace of the pod, autoscaler or claim.
    pub namespace: Arc<str>,
    /// Name of the pod, of the autoscaler or of the claim.
    pub name: Arc<str>,
    /// Name of the container; empty for autoscalers and claims.
    pub container: Arc<str>,
}

impl SeriesKey {
    /// A container of a pod.
    #[must_use]
    pub fn container(namespace: &str, pod: &str, container: &str) -> Self {
        Self { namespace: namespace.into(), name: pod.into(), container: container.into() }
    }
    /// A PersistentVolumeClaim.
    #[must_use]
    pub fn volume_claim(namespace: &str, name: &str) -> Self {
        Self::container(namespace, name, "")
    }
    /// A HorizontalPodAutoscaler.
    #[must_use]
    pub fn autoscaler(namespace: &str, name: &str) -> Self {
        Self::container(namespace, name, "")
    }
}

/// All series of a partition, by metric and owner.
#[derive(Debug, Clone, Default)]
pub struct SeriesStore {
    metrics: BTreeMap<Metric, MetricSeries>,
    /// Namespace and name of pods whose series were not asked for, because their workload is too large.
    thinned: BTreeSet<(Arc<str>, Arc<str>)>,
}

/// What is known of one metric in a partition.
#[derive(Debug, Clone, Default)]
struct MetricSeries {
    series: BTreeMap<SeriesKey, Samples>,
    /// Why the metric is absent as a whole, or why a part of it may be missing.
    missing: Option<Missing>,
}

impl SeriesStore {
    /// Notes that `metric` was fetched, even when no series came back.
    pub fn fetched(&mut self, metric: Metric) {
        self.metrics.entry(metric).or_default();
    }

    /// Notes why `metric` could not be had. Series that arrived all the same stay usable.
    pub fn missing(&mut self, metric: Metric, why: Missing) {
        self.metrics.entry(metric).or_default().missing.get_or_insert(why);
    }

    /// Notes a pod whose series were not asked for, because its workload is too large for one partition.
    pub fn thin_out(&mut self, namespace: &str, pod: &str) {
        self.thinned.insert((namespace.into(), pod.into()));
    }

    /// Namespace and name of the pods that [`SeriesStore::thin_out`] has noted, in order.
    pub fn thinned(&self) -> impl Iterator<Item = (&str, &str)> {
        self.thinned.iter().map(|(namespace, pod)| (&**namespace, &**pod))
    }

    /// Adds samples; where the owner has some already, the larger value stays at every instant.
    pub fn insert(&mut self, metric: Metric, key: SeriesKey, samples: Samples) {
        let series = &mut self.metrics.entry(metric).or_default().series;
        match series.get_mut(&key) {
            Some(existing) => existing.merge(&samples),
            None => {
                series.insert(key, samples);
            }
        }
    }

    /// The samples of `key`, as the server gave them.
    ///
    /// # Errors
    /// The metric was not asked for, could not be fetched or is absent, this owner has no sample, or it was left out.
    /// For a [`Shape::Sparse`] metric that exists, no sample is not an error: `Ok(None)`.
    pub fn get(&self, metric: Metric, key: &SeriesKey) -> Result<Option<&Samples>, Missing> {
        let Some(found) = self.metrics.get(&metric) else { return Err(Missing::NotAsked { metric }) };
        match (found.series.get(key), &found.missing) {
            (Some(samples), _) if !samples.is_empty() => Ok(Some(samples)),
            _ if self.left_out(metric, key) => Err(Missing::Thinned),
            (_, Some(why)) => Err(why.clone()),
            (_, None) if metric.shape() == Shape::Sparse => Ok(None),
            _ => Err(Missing::NoSamples { metric }),
        }
    }

    fn left_out(&self, metric: Metric, key: &SeriesKey) -> bool {
        metric.of() == SeriesOf::Container
            && !self.thinned.is_empty()
            && self.thinned.contains(&(key.namespace.clone(), key.name.clone()))
    }

    /// Every metric that was asked for, with the reason when it could not be had.
    pub fn metrics(&self) -> impl Iterator<Item = (Metric, Option<&Missing>)> {
        self.metrics.iter().map(|(metric, found)| (*metric, found.missing.as_ref()))
    }

    /// Every series of a metric, in order of key.
    pub fn of(&self, metric: Metric) -> impl Iterator<Item = (&SeriesKey, &Samples)> {
        self.metrics.get(&metric).into_iter().flat_map(|m| m.series.iter())
    }

    /// Every key that has samples of a container metric, in order, each once.
    #[must_use]
    pub fn containers(&self) -> BTreeSet<&SeriesKey> {
        self.metrics
            .iter()
            .filter(|(m, _)| m.of() == SeriesOf::Container)
            .flat_map(|(_, m)| m.series.keys())
            .collect()
    }

    /// Keeps only the series whose key `keep` accepts.
    pub fn retain(&mut self, mut keep: impl FnMut(Metric, &SeriesKey) -> bool) {
        for (metric, found) in &mut self.metrics {
            found.series.retain(|key, _| keep(*metric, key));
        }
    }

    /// Number of samples in all series.
    #[must_use]
    pub fn samples(&self) -> u64 {
        self.metrics.values().flat_map(|m| m.series.values()).map(|s| s.count() as u64).sum()
    }

    /// Takes all series of `other` in.
    pub fn absorb(&mut self, other: Self) {
        self.thinned.extend(other.thinned);
        for (metric, found) in other.metrics {
            self.fetched(metric);
            if let Some(why) = found.missing {
                self.missing(metric, why);
            }
            for (key, samples) in found.series {
                self.insert(metric, key, samples);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window() -> Window {
        Window::ending(Timestamp::from_unix_seconds(36_000), Seconds(3600.0), Seconds(300.0)).unwrap()
    }

    #[test]
    fn samples_keep_gaps_and_the_larger_of_two() {
        let mut s = Samples::new(3, [Some(1.0), None, Some(f64::NAN), Some(4.0)]);
        s.put(1, 9.0);
        s.put(6, 2.0);
        s.put(7, f64::INFINITY);
        assert_eq!(s.iter().collect::<Vec<_>>(), [(1, 9.0), (3, 1.0), (6, 4.0)]);
        assert_eq!(s.values().collect::<Vec<_>>(), [Some(9.0), None, Some(1.0), None, None, Some(4.0)]);
        assert_eq!(s.count(), 3);
    }

    #[test]
    fn slices_know_their_place() {
        let w = window();
        let s = Samples::new(2, (0..10).map(|v| Some(f64::from(v))));
        let series = Series::new(&w, &s);
        assert_eq!(series.last(Seconds(900.0)).values().collect::<Vec<_>>(), [7.0, 8.0, 9.0]);
        assert_eq!(series.slice(0, 3).iter().collect::<Vec<_>>(), [(2, 0.0)]);
        assert!(series.slice(0, 2).is_empty());
        assert_eq!(series.slice(4, 6).slice(0, 5).values().collect::<Vec<_>>(), [2.0]);
        assert_eq!(series.span_s(), 2700.0);
    }

    #[test]
    fn store_says_why_nothing_is_there() {
        let mut store = SeriesStore::default();
        let key = SeriesKey::container("web", "api-0", "app");
        assert_eq!(store.get(Metric::Restarts, &key), Err(Missing::NotAsked { metric: Metric::Restarts }));
        store.fetched(Metric::Restarts);
        store.fetched(Metric::CpuUsage);
        assert_eq!(store.get(Metric::Restarts, &key), Ok(None));
        assert_eq!(store.get(Metric::CpuUsage, &key), Err(Missing::NoSamples { metric: Metric::CpuUsage }));
        store.missing(Metric::CpuUsage, Missing::MetricAbsent { metric: Metric::CpuUsage });
        assert_eq!(
            store.get(Metric::CpuUsage, &key),
            Err(Missing::MetricAbsent { metric: Metric::CpuUsage })
        );
        store.insert(Metric::CpuUsage, key.clone(), Samples::new(0, [Some(1.0)]));
        assert!(store.get(Metric::CpuUsage, &key).unwrap().is_some());
    }

    #[test]
    fn thinning_keeps_the_peak() {
        let w = Window::ending(Timestamp::from_unix_seconds(3_600_000), Seconds(300_000.0), Seconds(300.0))
            .unwrap();
        let s = Samples::new(0, (0..1000).map(|i| Some(if i == 777 { 99.0 } else { f64::from(i % 7) })));
        let thin = Series::new(&w, &s).thinned(100);
        assert!(thin.len() <= 100 && thin.iter().any(|p| p.1 == 99.0));
        assert!(thin.windows(2).all(|p| p[0].0 < p[1].0));
    }
}
