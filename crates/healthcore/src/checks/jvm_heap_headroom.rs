//! `jvm-heap-headroom`: a JVM's heap leaves too little of the memory limit for the rest of the process.

use crate::chart::ChartSeries;
use crate::check::{Check, CheckInfo, Judgement, Outcome};
use crate::class::Class;
use crate::finding::{Advice, Problem, Severity, Text, Value};
use crate::jvm::{JvmMemory, heap_flag};
use crate::measure;
use crate::metric::Metric;
use crate::model::{Container, ObjectKind};
use crate::need::Needs;
use crate::phrase::phrase;
use crate::snapshot::{Missing, Origin};
use crate::unit::{Bytes, Ratio, Seconds};
use crate::view::{Member, View, WorkloadContainer};

/// A JVM's heap leaves too little of the memory limit for the rest of the process.
pub struct JvmHeapHeadroom;

const MIB: f64 = 1_048_576.0;

crate::params! {
    /// Parameters of `jvm-heap-headroom`.
    pub struct JvmHeapHeadroomParams {
        /// Metaspace (classes), where `-XX:MaxMetaspaceSize` does not bound it.
        metaspace: Bytes = Bytes(128.0 * MIB) => Bytes(0.0)..=Bytes(65536.0 * MIB),
        /// Compiled code, where `-XX:ReservedCodeCacheSize` does not bound it.
        code_cache: Bytes = Bytes(64.0 * MIB) => Bytes(0.0)..=Bytes(65536.0 * MIB),
        /// Buffers outside of the heap, where `-XX:MaxDirectMemorySize` does not bound them.
        direct: Bytes = Bytes(32.0 * MIB) => Bytes(0.0)..=Bytes(65536.0 * MIB),
        /// Threads that are expected.
        threads: u32 = 100 => 1..=100_000,
        /// Stack of a thread, where `-Xss` does not set it.
        thread_stack: Bytes = Bytes(MIB) => Bytes(4096.0)..=Bytes(1024.0 * MIB),
        /// What the garbage collector keeps for itself, as a share of the heap.
        collector: Ratio = Ratio(0.05) => Ratio(0.0)..=Ratio(1.0),
        /// Shortest history of what the JVM tells of its memory beside the heap and of its threads from which on that counts,
        /// and not the parameters; before, the larger of the two.
        min_history: Seconds = Seconds(21600.0) => Seconds(600.0)..=Seconds::from_days(365.0),
    }
}

impl Check for JvmHeapHeadroom {
    const INFO: CheckInfo = CheckInfo {
        id: "jvm-heap-headroom",
        title: "JVM heap too large for the limit",
        since: "0.1.0",
        checks: "Whether the memory limit of a container holds the largest heap of its JVM and what the JVM needs beside the heap.",
        why: "A JVM lets its heap grow up to its bound before it collects in earnest. If limit and heap are too close, the kernel \
              kills the process (exit 137) long before Java could throw an OutOfMemoryError and write a heap dump.",
        decides: "Heap: `jvm-heap-max` where the application exports it and it is not what the flags say (by up to an eighth less \
                  is, as the pools of some collectors leave a survivor space out, and by less than 32 MiB more, as HotSpot rounds up), else `-Xmx`, else `-XX:MaxRAMPercentage` of the limit (25% \
                  when unset; HotSpot's rules for little memory count too), from the arguments and from JAVA_TOOL_OPTIONS, \
                  JDK_JAVA_OPTIONS, JAVA_OPTS and the like, also where these come from ConfigMaps (env and envFrom) or refer to \
                  other variables; of two flags the one that a JVM reads last counts: JAVA_TOOL_OPTIONS, JDK_JAVA_OPTIONS, JAVA_OPTS \
                  and the like, arguments, _JAVA_OPTIONS. Of a `java` command, also one in a script (`sh -c`), only what stands before `-jar`, `-m` \
                  or the main class counts. What could not be read, and may set the heap, makes it unknown, unless an `-Xmx` that is read \
                  later sets it: a file of options (`@FILE`, `-XX:VMOptionsFile`, `-XX:Flags`), the output of a command, a variable that the pod \
                  does not define, more options than a program can be given. So does a flag with a value with which no JVM starts (`-Xmx12q`). Beside it: metaspace, code cache, direct memory and stacks, each as its \
                  own flag says, else `metaspace`, `code-cache`, `direct`, and `threads` times `thread-stack`; and `collector` of \
                  the heap. Where the application exports it, the largest `jvm-beside-heap` (metaspace, compiled code, buffers) \
                  counts in place of these three where no flag bounds any of them, and the largest `jvm-threads` in place of \
                  `threads`, both after `min-history`; before, and where a flag is set, only what is more than was reckoned. Heap and the rest above the limit: warning. The heap alone at or above the limit: critical. A container \
                  without limit, without such flags and metrics, and not of the class jvm, is not judged; where the server has \
                  `jvm-heap-max` and did not answer for it, it is unknown.",
        remedy: "Raise the limit, or give the heap less: `-XX:MaxRAMPercentage=60` keeps the two in step when the limit changes.",
        false_alarms: "A JVM with few classes and threads needs less beside its heap: lower the parameters for its class. A \
                       ConfigMap is read as it is now, and a pod keeps the values that it started with. Secrets are never read.",
        texts: &[
            (
                "short",
                "a heap of up to {heap} leaves {left} of the limit of {limit} for the rest of the JVM, which needs about {rest}",
            ),
            ("heap-over-limit", "the heap may grow to {heap}, and the limit is {limit}"),
            ("raise-limit", "raise the memory limit from {from} to {to}"),
            ("lower-heap", "to keep the limit, lower the heap to {to} at most (-Xmx{mib}m)"),
            (
                "lower-share",
                "to keep the limit, lower the heap to {to} at most (-XX:MaxRAMPercentage={percent})",
            ),
        ],
    };
    type Params = JvmHeapHeadroomParams;
    type Subject<'a> = WorkloadContainer<'a>;

    fn needs(_: &Self::Params, needs: &mut Needs) {
        needs
            .optional(Metric::JvmHeapMax)
            .shown(Metric::JvmHeapUsed)
            .optional(Metric::JvmBesideHeap)
            .optional(Metric::JvmThreads)
            .shown(Metric::MemoryWorkingSet)
            .chart()
            .objects(ObjectKind::Workloads)
            .objects(ObjectKind::Pods)
            .objects(ObjectKind::JvmOptions);
    }

    fn judge(params: &Self::Params, container: &WorkloadContainer<'_>, view: &View<'_>) -> Judgement {
        let is_jvm = view.class_of(&container.workload.id).is_some_and(|c| c.class == Class::Jvm);
        let mut worst: Option<(&Member<'_>, Budget)> = None;
        let mut unread: Option<Missing> = None;
        for member in container.live() {
            let missing = unread_heap(member, view);
            if missing.is_some() {
                unread = unread.or(missing);
                continue;
            }
            let budget = Budget::of(params, member, view, is_jvm);
            if let Some(budget) = budget
                && worst.as_ref().is_none_or(|(_, w)| budget.of_limit() > w.of_limit())
            {
                worst = Some((member, budget));
            }
        }
        let short = worst.as_ref().is_some_and(|(_, budget)| budget.is_short());
        if let (Some(why), false) = (unread, short) {
            return Err(why);
        }
        let Some((member, budget)) = worst else {
            let blind = is_jvm && view.snapshot.objects.origin == Origin::KubeStateMetrics;
            return match unanswered(container, view) {
                _ if blind => Err(Missing::NoKubernetesSource),
                Some(why) => Err(why),
                None => Ok(Outcome::NotApplicable),
            };
        };
        let distance = measure::below(budget.of_limit(), 1.0);
        if !view.keeps_watching(distance) && !budget.is_short() {
            return Ok(Outcome::Ok);
        }
        let problem = problem(container, member, view, &budget).chart(ChartSeries::of_member(
            view,
            container,
            member,
            Metric::MemoryWorkingSet,
        ));
        Ok(Outcome::when(budget.is_short(), distance, problem))
    }
}

/// Why there is no telling whether a container with a limit is a JVM: the server has a metric that only a JVM tells, and did
/// not answer for it.
fn unanswered(container: &WorkloadContainer<'_>, view: &View<'_>) -> Option<Missing> {
    let bound = |m: &&Member<'_>| {
        m.container.and_then(|c| c.resources.memory_limit).is_some_and(|limit| limit.get() > 0.0)
    };
    container.live().filter(bound).find_map(|member| view.unanswered(Metric::JvmHeapMax, &member.key))
}

/// What keeps the largest heap of a container with a limit from being known.
fn unread_heap(member: &Member<'_>, view: &View<'_>) -> Option<Missing> {
    let container = member.container.filter(|c| c.resources.memory_limit.is_some_and(|l| l.get() > 0.0))?;
    let unread = container.jvm_unread.iter().find(|options| !options.is_overruled(&container.jvm_flags))?;
    let is_measured = member.series(view, Metric::JvmHeapMax).is_ok_and(|s| s.latest().is_some());
    (!is_measured).then(|| Missing::JvmOptions { variable: unread.variable.clone(), why: unread.why.clone() })
}

/// The flag that tells the heap, and where it was found.
fn told_flag(container: &Container) -> Option<Value> {
    let flag = heap_flag(&container.jvm_flags)?;
    Some(match &flag.config_map {
        None => flag.flag.as_str().into(),
        Some(map) => {
            phrase("flag-of-config-map").with("flag", flag.flag.as_str()).with("from", map.as_str()).into()
        }
    })
}

fn problem(
    container: &WorkloadContainer<'_>,
    member: &Member<'_>,
    view: &View<'_>,
    budget: &Budget,
) -> Problem {
    let (heap, limit) = (Bytes(budget.heap), Bytes(budget.limit));
    let over = heap >= limit;
    let text = if over {
        Text::new("heap-over-limit")
    } else {
        Text::new("short").with("left", Bytes(budget.limit - budget.heap)).with("rest", Bytes(budget.rest()))
    };
    let severity = if over { Severity::Critical } else { Severity::Warning };
    let mut problem = Problem::new(severity, text.with("heap", heap).with("limit", limit))
        .measured("heap-and-rest", Bytes(budget.heap + budget.rest()), limit)
        .evidence("heap-max", heap)
        .evidence("heap-told-by", phrase(budget.told_by))
        .pod(member.pod_name());
    if let Some(flag) = member.container.and_then(told_flag) {
        problem = problem.evidence("heap-flag", flag);
    }
    let used = member.series(view, Metric::JvmHeapUsed).ok().and_then(|s| s.latest());
    if let Some((_, used)) = used {
        problem = problem.evidence("jvm-heap-used", Bytes(used));
    }
    if let Some(peak) = &budget.told.beside {
        problem = problem.evidence("jvm-beside-heap", Bytes(peak.value));
    }
    if let Some(peak) = &budget.told.threads {
        problem = problem.evidence("jvm-threads", peak.value.round() as usize);
    }
    if let Some(fits) = budget.fits {
        let to = measure::round_memory(Bytes(fits));
        let raise =
            Advice::new(Text::new("raise-limit")).change("memory.limit", Some(limit.into()), to.into());
        problem = problem.advise(measure::set_resource(raise, container, "limits=memory", &to.to_string()));
    }
    problem.advice.extend(lower_heap(budget));
    problem
}

/// How much heap the limit bears; none where half of it would be another application, and the limit can be raised.
fn lower_heap(budget: &Budget) -> Option<Advice> {
    let to = (budget.limit - budget.fixed) / (1.0 + budget.collector);
    let text = match budget.is_share {
        true => {
            let percent = (100.0 * to / budget.limit / 5.0).floor() * 5.0;
            (percent > 0.0).then(|| {
                let to = (percent / 100.0 * budget.limit / MIB).floor() * MIB;
                (Text::new("lower-share").with("percent", percent as u32), to)
            })
        }
        false => {
            let mib = (to / MIB / 16.0).floor() * 16.0;
            (mib > 0.0).then(|| (Text::new("lower-heap").with("mib", mib as u32), mib * MIB))
        }
    };
    let (text, to) = text.filter(|(_, to)| *to >= budget.heap / 2.0 || budget.fits.is_none())?;
    Some(Advice::new(text).change("jvm.max-heap", Some(Bytes(budget.heap).into()), Bytes(to).into()))
}

/// What a JVM may come to need, against the limit. All in bytes.
struct Budget {
    limit: f64,
    heap: f64,
    /// What is needed beside the heap, whatever its size.
    fixed: f64,
    /// What is needed beside it as a share of it.
    collector: f64,
    /// The limit that would do; none where there is none within reason, as when the heap grows with the limit.
    fits: Option<f64>,
    /// Whether the heap is a share of the limit.
    is_share: bool,
    /// Key of the phrase that says it.
    told_by: &'static str,
    /// What the JVM tells of the rest.
    told: Told,
}

/// What a JVM tells of itself beside its heap.
#[derive(Debug, Clone, Copy)]
struct Told {
    /// Metaspace, compiled code and buffers, in bytes.
    beside: Option<Peak>,
    threads: Option<Peak>,
}

/// The largest value of a series.
#[derive(Debug, Clone, Copy)]
struct Peak {
    value: f64,
    /// Whether the history is long enough for it to stand for what is needed.
    is_settled: bool,
}

impl Told {
    fn of(params: &JvmHeapHeadroomParams, member: &Member<'_>, view: &View<'_>) -> Self {
        let peak = |metric| {
            let series = member.series(view, metric).ok()?;
            let value = series.values().fold(f64::NEG_INFINITY, f64::max);
            let is_settled = measure::enough(&series, 3, params.min_history).is_ok();
            value.is_finite().then_some(Peak { value, is_settled })
        };
        Self { beside: peak(Metric::JvmBesideHeap), threads: peak(Metric::JvmThreads) }
    }
}

impl Peak {
    /// What counts: itself, or the larger of the two while it is not settled or another bound holds.
    fn or(peak: Option<Self>, reckoned: f64, is_bound: bool) -> f64 {
        match peak {
            Some(peak) if peak.is_settled && !is_bound => peak.value,
            Some(peak) => peak.value.max(reckoned),
            None => reckoned,
        }
    }
}

impl Budget {
    /// None when the container has no limit, or is not known to be a JVM.
    fn of(
        params: &JvmHeapHeadroomParams,
        member: &Member<'_>,
        view: &View<'_>,
        is_jvm: bool,
    ) -> Option<Self> {
        let measured = member.series(view, Metric::JvmHeapMax).ok().and_then(|s| s.latest());
        let container = member.container?;
        let flags = JvmMemory::of(&container.jvm_flags);
        if measured.is_none() && flags.is_none() && !is_jvm {
            return None;
        }
        let is_told = flags.is_some();
        let told = Told::of(params, member, view);
        let budget = Self::by_flags(params, container, &flags.unwrap_or_default(), told)?;
        Some(match measured {
            Some((_, heap)) if !(is_told && confirms(heap, budget.heap)) => {
                let fits = Some(budget.fixed + (1.0 + budget.collector) * heap);
                Self { heap, fits, is_share: false, told_by: "told-by-jvm-heap-max", ..budget }
            }
            _ => budget,
        })
    }

    fn by_flags(
        params: &JvmHeapHeadroomParams,
        container: &Container,
        flags: &JvmMemory,
        told: Told,
    ) -> Option<Self> {
        let limit = container.resources.memory_limit.filter(|l| l.get() > 0.0)?;
        let heap_in = |limit: f64| flags.heap_in(Bytes(limit)).get();
        let heap = heap_in(limit.get());
        let or = |flag: Option<Bytes>, default: Bytes| flag.unwrap_or(default).get();
        let threads = Peak::or(told.threads, f64::from(params.threads), false);
        let reckoned = or(flags.max_metaspace, params.metaspace)
            + or(flags.code_cache, params.code_cache)
            + or(flags.max_direct, params.direct);
        let bounds = [flags.max_metaspace, flags.code_cache, flags.max_direct];
        let beside = Peak::or(told.beside, reckoned, bounds.iter().any(Option::is_some));
        let fixed = beside + threads * or(flags.thread_stack, params.thread_stack);
        let collector = params.collector.get();
        Some(Self {
            limit: limit.get(),
            heap,
            fixed,
            collector,
            fits: fitting(limit.get(), |limit| fixed + (1.0 + collector) * heap_in(limit)),
            is_share: heap_in(2.0 * limit.get()) > heap,
            told_by: "told-by-flags",
            told,
        })
    }

    fn is_short(&self) -> bool {
        self.of_limit() > 1.0
    }

    /// What is needed beside the heap.
    fn rest(&self) -> f64 {
        self.fixed + self.collector * self.heap
    }

    fn of_limit(&self) -> f64 {
        (self.heap + self.rest()) / self.limit
    }
}

/// The least limit from this one on that holds what is needed under it, found from below, because a heap that is a share of
/// the limit grows with it; none within four times the present one.
fn fitting(limit: f64, needed: impl Fn(f64) -> f64) -> Option<f64> {
    let mut to = limit;
    while to <= 4.0 * limit {
        let needed = needed(to);
        // To the byte it would never end.
        if needed <= to + 1.0 {
            return Some(needed.max(limit));
        }
        to = needed;
    }
    None
}

/// What HotSpot rounds the heap up to at most: the largest region of G1, and cards of pages of 64 KiB. Unit: bytes.
const ALIGNMENT: f64 = 32.0 * MIB;

/// Whether a heap that was measured is the one that flags tell. The pools of the serial and the parallel collector hold one
/// survivor space only, so they are smaller by up to a ninth of the heap (HotSpot: a third of it is young, and with
/// `MinSurvivorRatio` 3 a third of that one survivor space). And the heap is rounded up.
fn confirms(measured: f64, told: f64) -> bool {
    (0.875 * told..told + ALIGNMENT).contains(&measured)
}

#[cfg(test)]
mod tests {
    use crate::fixture::{self, advice, findings, show};

    #[track_caller]
    fn check(text: &str, expected: &str) {
        fixture::check("jvm-heap-headroom", text, expected);
    }

    /// registercenter: 1024m of heap in 1280Mi was killed, in 1536Mi it held.
    #[test]
    fn seen_in_practice() {
        let text =
            |limit: &str| format!("container pigo/registercenter-0/app limit={limit} jvm=\"-Xmx1024m\"");
        check(
            &text("1280Mi"),
            "warning pigo/registercenter/app (registercenter-0): a heap of up to 1Gi leaves 256Mi of the limit of 1.25Gi for the rest of the JVM, which needs about 375.2Mi",
        );
        check(&text("1536Mi"), "1 ok");
        assert_eq!(
            advice("jvm-heap-headroom", &text("1280Mi")),
            [
                "raise the memory limit from 1.25Gi to 1.38Gi [kubectl -n pigo set resources statefulset/registercenter -c app --limits=memory=1408Mi]",
                "to keep the limit, lower the heap to 896Mi at most (-Xmx896m)"
            ]
        );
    }

    #[test]
    fn the_bound() {
        // 1024 + 128 + 64 + 32 + 100 + 51.2
        check("container web/api-0/app limit=1400Mi jvm=\"-Xmx1024m\"", "1 ok");
        let told =
            fixture::told("jvm-heap-headroom", "container web/api-0/app limit=1399Mi jvm=\"-Xmx1024m\"");
        assert!(told[0].starts_with("warning"), "{told:?}");
        check(
            "container web/api-0/app limit=1Gi jvm=\"-Xmx1g\"",
            "critical web/api/app (api-0): the heap may grow to 1Gi, and the limit is 1Gi",
        );
    }

    #[test]
    fn every_part_counts_as_its_flag_says() {
        let heap = "-XX:MaxRAMPercentage=50";
        check(&format!("container web/api-0/app limit=1Gi jvm=\"{heap}\""), "1 ok");
        for more in [
            "-XX:MaxMetaspaceSize=400m",
            "-XX:MaxDirectMemorySize=300m",
            "-Xss8m",
            "-XX:ReservedCodeCacheSize=300m",
        ] {
            let told = fixture::told(
                "jvm-heap-headroom",
                &format!("container web/api-0/app limit=1Gi jvm=\"{heap} {more}\""),
            );
            assert!(told[0].starts_with("warning"), "{more}: {told:?}");
        }
    }

    #[test]
    fn metrics_confirm_or_correct_the_flags() {
        let text = "container web/api-0/app limit=1280Mi jvm=\"-Xmx512m\"  heap-max: 1024x5 heap-used: 700x5";
        let found = findings("jvm-heap-headroom", text);
        let value = |name: &str| {
            found[0].evidence.iter().find(|e| e.name == name).map_or("none".into(), |e| show(&e.value))
        };
        assert_eq!(value("heap-told-by"), "jvm-heap-max");
        assert_eq!((value("heap-max"), value("jvm-heap-used")), ("1Gi".into(), "700Mi".into()));
        check("container web/api-0/app limit=1280Mi jvm=\"-Xmx1024m\"  heap-max: 512x5", "1 ok");
    }

    /// A heap that is a share of the limit grows with it: what is advised must do.
    #[test]
    fn the_advised_limit_does() {
        let of = |limit: &str, flag: &str| format!("container web/api-0/app limit={limit} jvm=\"{flag}\"");
        let advised = |limit: &str, flag: &str| advice("jvm-heap-headroom", &of(limit, flag));
        assert_eq!(
            advised("1Gi", "-XX:MaxRAMPercentage=75"),
            [
                "raise the memory limit from 1Gi to 1.5Gi [kubectl -n web set resources statefulset/api -c app --limits=memory=1536Mi]",
                "to keep the limit, lower the heap to 665Mi at most (-XX:MaxRAMPercentage=65)"
            ]
        );
        check(&of("1536Mi", "-XX:MaxRAMPercentage=75"), "1 ok");
        check(&of("1Gi", "-XX:MaxRAMPercentage=65"), "1 ok");
        // No limit holds the whole of it and more, and nobody has a machine for the next.
        assert_eq!(
            advised("1Gi", "-XX:MaxRAMPercentage=100"),
            ["to keep the limit, lower the heap to 665Mi at most (-XX:MaxRAMPercentage=65)"]
        );
        assert_eq!(
            advised("4Gi", "-Xmx1t"),
            ["to keep the limit, lower the heap to 3.5Gi at most (-Xmx3584m)"]
        );
    }

    /// Sums of the pools of OpenJDK 17 with `-Xmx1024m`: one survivor space is left out but by G1.
    #[test]
    fn pools_without_a_survivor_space_confirm_the_flag() {
        for (collector, pools) in [("serial", 989.875), ("parallel", 910.5), ("G1", 1024.0)] {
            let text = format!("container web/api-0/app limit=1280Mi jvm=\"-Xmx1024m\"  heap-max: {pools}x5");
            let told = fixture::told("jvm-heap-headroom", &text);
            assert!(told[0].contains("a heap of up to 1Gi leaves 256Mi"), "{collector}: {told:?}");
        }
        // What is less by more is another heap: the JVM never saw the flag.
        check("container web/api-0/app limit=1280Mi jvm=\"-Xmx1024m\"  heap-max: 890x5", "1 ok");
    }

    /// OpenJDK 17.0.15 with G1 makes 1742 MiB of 85 % of 2g, and 63872 MiB of 99 % of 63g.
    #[test]
    fn a_heap_that_is_rounded_up_confirms_the_flag() {
        let of = |limit: &str, percent: u32, heap: &str| {
            format!("container web/api-0/app limit={limit} jvm=\"-XX:MaxRAMPercentage={percent}\"  {heap}")
        };
        for (limit, percent, heap) in [("2Gi", 85, 1742), ("63Gi", 99, 63872)] {
            let by_flags = of(limit, percent, "");
            let measured = of(limit, percent, &format!("heap-max: {heap}x5"));
            let told = findings("jvm-heap-headroom", &measured);
            let by = told[0].evidence.iter().find(|e| e.name == "heap-told-by").map(|e| show(&e.value));
            assert_eq!(by.as_deref(), Some("flags"), "{measured}");
            assert_eq!(advice("jvm-heap-headroom", &measured), advice("jvm-heap-headroom", &by_flags));
        }
        // More by a whole region is another heap.
        check("container web/api-0/app limit=2Gi jvm=\"-Xmx512m\"  heap-max: 543x5", "1 ok");
        let other = findings(
            "jvm-heap-headroom",
            "container web/api-0/app limit=800Mi jvm=\"-Xmx512m\"  heap-max: 544x5",
        );
        assert_eq!(show(&other[0].evidence.iter().find(|e| e.name == "heap-max").unwrap().value), "544Mi");
    }

    /// 324 MiB are reckoned beside the heap: 128 + 64 + 32 and 100 threads of 1 MiB; the collector keeps 5 % of the heap.
    #[test]
    fn what_the_jvm_tells_beside_its_heap_counts() {
        let of = |flags: &str, hours: u32, beside: u32, threads: u32| {
            let text = format!(
                "window step=1h\ncontainer web/api-0/app limit=1280Mi jvm=\"-Xmx1024m {flags}\"  \
                 beside-heap: {beside}x{hours} threads: {threads}x{hours}"
            );
            let found = findings("jvm-heap-headroom", &text);
            let value = |name: &str| {
                let of = |f: &crate::finding::Finding| {
                    f.evidence.iter().find(|e| e.name == name).map(|e| show(&e.value))
                };
                found.first().and_then(of).unwrap_or_default()
            };
            [value("heap-and-rest"), value("jvm-beside-heap"), value("jvm-threads")].join(" ")
        };
        assert_eq!(of("", 12, 150, 30), "  ", "1024 + 51 + 150 + 30 hold");
        assert_eq!(of("", 12, 150, 90), "1.28Gi 150Mi 90");
        assert_eq!(of("", 3, 150, 30), "1.37Gi 150Mi 30", "too short to be less than reckoned");
        assert_eq!(of("", 3, 400, 300), "1.73Gi 400Mi 300", "and long enough to be more");
        assert_eq!(of("-XX:MaxMetaspaceSize=512m", 12, 150, 30), "1.67Gi 150Mi 30", "a flag lets it grow");
    }

    #[test]
    fn what_could_not_be_read_is_unknown_and_named() {
        let of = |more: &str| format!("container web/api-0/app limit=1Gi {more}");
        check(
            &of("jvm-unread=JAVA_OPTS:secret:env"),
            "1 unknown: JAVA_OPTS comes from Secret env, and Secrets are not read",
        );
        check(
            &of("jvm=\"-XX:MaxMetaspaceSize=64m\" jvm-unread=HEAP:undefined"),
            "1 unknown: the JVM options refer to HEAP, which is not defined before them",
        );
        check(
            &of("jvm-unread=JAVA_OPTS:no-config-map:env"),
            "1 unknown: JAVA_OPTS comes from ConfigMap env, which does not exist",
        );
        check(
            &of("jvm-unread=JAVA_OPTS:absent:env"),
            "1 unknown: JAVA_OPTS comes from ConfigMap env, which does not have it",
        );
        check(
            &of("jvm-unread=JAVA_OPTS:denied:env"),
            "1 unknown: JAVA_OPTS comes from ConfigMap env, which may not be read",
        );
        check(
            &of("jvm-unread=$(cat...):command"),
            "1 unknown: the JVM options depend on the output of a command: `$(cat...)`",
        );
        check(
            &of("jvm-unread=/etc/jvm.options:file"),
            "1 unknown: the JVM reads options from the file /etc/jvm.options, which is not read here",
        );
        check(
            &of("jvm-unread=-Xmx%HEAP%:template"),
            "1 unknown: the flag `-Xmx%HEAP%` is a template, which is filled in before the JVM starts",
        );
        check(
            &of("jvm-unread=JAVA_OPTS:too-long"),
            "1 unknown: the JVM options in JAVA_OPTS are more than is read here, with all that it refers to",
        );
        // With such a flag no JVM starts, whatever the others say; one that tells its heap did not see it.
        let malformed = "jvm=\"-Xmx512m\" jvm-unread=-Xmx12q:malformed";
        check(&of(malformed), "1 unknown: no JVM starts with the flag `-Xmx12q`");
        check(&of(&format!("{malformed}  heap-max: 512x5")), "1 ok");
        // A flag that is read later sets the heap, and so does what the application tells.
        check(&of("jvm=\"-Xmx512m\" jvm-unread=JAVA_OPTS:absent:env"), "1 ok");
        check(&of("jvm-unread=JAVA_OPTS:absent:env  heap-max: 512x5"), "1 ok");
        check("container web/api-0/app jvm-unread=JAVA_OPTS:absent:env", "nothing");
        let over = fixture::told("jvm-heap-headroom", &of("jvm=\"-Xmx1g\" jvm-unread=JAVA_OPTS:secret:env"));
        assert!(over[0].starts_with("critical"), "{over:?}");
    }

    #[test]
    fn the_flag_is_named_with_its_config_map() {
        let flag = |config_map: Option<&str>| {
            let mut f = fixture::Fixture::new("container web/api-0/app limit=1Gi jvm=\"-Xmx1g\"");
            let flags = &mut f.snapshot.objects.pods[0].containers[0].jvm_flags;
            flags[0].config_map = config_map.map(str::to_owned);
            let found = f.assess(&f.only("jvm-heap-headroom")).findings;
            show(&found[0].evidence.iter().find(|e| e.name == "heap-flag").unwrap().value)
        };
        assert_eq!(flag(None), "-Xmx1g");
        assert_eq!(flag(Some("api-env")), "-Xmx1g (ConfigMap api-env)");
    }

    #[test]
    fn whether_it_is_a_jvm_is_unknown_where_the_metric_did_not_come() {
        let of = |line: &str| format!("{line}\ncontainer web/api-0/app limit=1Gi");
        check(&of("failed heap-max"), "1 unknown: the query for jvm-heap-max failed");
        check(&of("absent heap-max"), "nothing");
        check("failed heap-max\ncontainer web/api-0/app", "nothing");
    }

    #[test]
    fn what_is_no_jvm_is_not_judged() {
        check("container web/api-0/app limit=128Mi", "nothing");
        check("container web/api-0/app jvm=\"-Xmx1g\"", "nothing");
        check(
            "workload web/StatefulSet/api note:healthcheck/class=jvm\ncontainer web/api-0/app limit=2Gi",
            "1 ok",
        );
        check(
            "origin kube-state-metrics\nworkload web/StatefulSet/api note:healthcheck/class=jvm\ncontainer web/api-0/app",
            "1 unknown: no access to the Kubernetes API",
        );
    }
}
