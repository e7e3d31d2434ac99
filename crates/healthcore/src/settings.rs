//! Which checks run, and with which parameters.

use std::collections::{BTreeMap, BTreeSet};

use wildmatch::WildMatch;

use crate::check::{AnyCheck, AnyParams};
use crate::class::{Class, ClassRule, Classifier, Contradiction, literal};
use crate::need::Needs;
use crate::params::{Param, within};
use crate::unit::{Ratio, Seconds};
use crate::view::WATCH_SHARE;

/// Choices of the user, as text. [`Settings::resolve`] turns them into values or says what is wrong.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Settings {
    /// By id of the check.
    pub checks: BTreeMap<String, CheckSettings>,
    /// When not empty, only these checks run.
    pub only: BTreeSet<String>,
    /// These checks do not run.
    pub skip: BTreeSet<String>,
    /// Rules that give workloads their class.
    pub classes: Vec<ClassRule>,
    /// What holds in one cluster, or in some of its namespaces.
    pub scopes: Vec<Scope>,
    /// Share of a bound within which a value that has not reached it is on the watch list, as text; [`WATCH_SHARE`]
    /// without a word.
    pub watch_share: Option<String>,
}

/// Choices that hold in one cluster or in some of its namespaces. What they do not say is as in the cluster, and what that does
/// not say as everywhere.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Scope {
    /// Name of the cluster.
    pub cluster: String,
    /// Name or glob of the namespaces; the whole cluster when none.
    pub namespace: Option<String>,
    /// By id of the check.
    pub checks: BTreeMap<String, CheckSettings>,
    /// Where it stands, for messages: `clusters[0].namespaces[1]`.
    pub place: String,
}

impl Scope {
    fn holds(&self, cluster: &str, namespace: &str) -> bool {
        self.cluster == cluster
            && match &self.namespace {
                None => true,
                // What belongs to no namespace is of the cluster.
                Some(glob) => !namespace.is_empty() && WildMatch::new(glob).matches(namespace),
            }
    }

    /// How closely it names namespaces: a name before a glob, a longer glob before a shorter, the cluster last.
    fn closeness(&self) -> (bool, bool, usize) {
        let glob = self.namespace.as_deref().unwrap_or_default();
        (self.namespace.is_some(), !glob.contains(['*', '?']), literal(glob))
    }
}

/// Choices for one check.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CheckSettings {
    /// Whether it runs; without a word it does, unless it is one that has to be asked for.
    pub enabled: Option<bool>,
    /// Values by name of the parameter.
    pub params: BTreeMap<String, String>,
    /// Values that hold for workloads of a class, by class name.
    pub classes: BTreeMap<String, BTreeMap<String, String>>,
}

/// A setting that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SettingsError {
    /// No check has that id.
    #[error("unknown check `{name}`{}; known checks: {}", did_you_mean(.nearest), .known.join(", "))]
    UnknownCheck {
        /// What was given.
        name: String,
        /// The id that looks most like it.
        nearest: Option<String>,
        /// All ids.
        known: Vec<String>,
    },
    /// The check has no parameter of that name.
    #[error("checks.{check}: unknown parameter `{name}`{}; known parameters: {}", did_you_mean(.nearest), .known.join(", "))]
    UnknownParam {
        /// The check.
        check: String,
        /// What was given.
        name: String,
        /// The parameter that looks most like it.
        nearest: Option<String>,
        /// All parameters of the check.
        known: Vec<String>,
    },
    /// No class has that name.
    #[error("checks.{check}.classes: unknown class `{name}`; known classes: {}", known_classes())]
    UnknownClass {
        /// The check.
        check: String,
        /// What was given.
        name: String,
    },
    /// The text is no value of that parameter.
    #[error("checks.{check}.{param}: {why}")]
    Value {
        /// The check.
        check: String,
        /// The parameter.
        param: String,
        /// What was expected and what was given.
        why: String,
    },
    /// The values do not fit together.
    #[error("checks.{check}: {why}")]
    Rule {
        /// The check.
        check: String,
        /// What does not fit.
        why: String,
    },
    /// A setting of one cluster or namespace.
    #[error("{place}.{why}")]
    Scope {
        /// Where it stands.
        place: String,
        /// What is wrong with it.
        why: Box<Self>,
    },
    /// The share of a bound that is watched.
    #[error("watch-share: {0}")]
    WatchShare(String),
    /// Two rules of classes contradict each other.
    #[error(transparent)]
    Classes(#[from] Contradiction),
    /// Every check is switched off.
    #[error("no check is left to run; loosen `--only`, `--skip` or `enabled: false`")]
    NothingLeft,
}

fn did_you_mean(nearest: &Option<String>) -> String {
    nearest.as_ref().map_or_else(String::new, |n| format!(", did you mean `{n}`?"))
}

fn known_classes() -> String {
    Class::ALL.iter().map(|c| c.name()).collect::<Vec<_>>().join(", ")
}

/// The candidate that `given` is a slip away from, if there is one: one character in three may be wrong, missing, too many or
/// in the place of its neighbour. A hint at anything farther would be a guess.
#[must_use]
pub fn nearest<'a>(given: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<String> {
    let length = |text: &str| text.chars().count();
    let is_near = |slips: usize, candidate: &str| 3 * slips <= length(given).max(length(candidate));
    let likeness = |candidate: &str| strsim::jaro_winkler(given, candidate);
    candidates
        .into_iter()
        .map(|c| (strsim::osa_distance(given, c), c))
        .filter(|(slips, c)| is_near(*slips, c))
        .min_by(|a, b| a.0.cmp(&b.0).then_with(|| likeness(b.1).total_cmp(&likeness(a.1))))
        .map(|(_, c)| c.to_owned())
}

/// The checks that run, with values for every parameter.
#[derive(Clone)]
pub struct Resolved {
    checks: Vec<ResolvedCheck>,
    /// The closest first.
    scopes: Vec<Scope>,
    classifier: Classifier,
    watch_share: Ratio,
    digest: String,
}

/// A check that runs somewhere, with its values.
#[derive(Clone)]
pub struct ResolvedCheck {
    /// The check.
    pub check: &'static dyn AnyCheck,
    /// Where no scope holds.
    everywhere: Option<Values>,
    /// In each scope.
    scopes: Vec<Option<Values>>,
}

/// Values of a check by class.
#[derive(Clone)]
struct Values {
    base: AnyParams,
    by_class: BTreeMap<Class, AnyParams>,
}

impl Values {
    fn of(&self, class: Option<Class>) -> &AnyParams {
        class.and_then(|c| self.by_class.get(&c)).unwrap_or(&self.base)
    }
}

/// Where and for what a check is to run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Site<'a> {
    /// Name of the cluster.
    pub cluster: &'a str,
    /// The namespace; empty for what belongs to none.
    pub namespace: &'a str,
    /// Class of the workload, if there is one.
    pub class: Option<Class>,
}

impl Resolved {
    /// The same for the same choices of the user, and another one for others.
    #[must_use]
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// Checks that run somewhere, in the order of the list.
    #[must_use]
    pub fn checks(&self) -> &[ResolvedCheck] {
        &self.checks
    }

    /// The values of a check at a site; none where it does not run.
    #[must_use]
    pub fn params<'r>(&self, check: &'r ResolvedCheck, site: Site<'_>) -> Option<&'r AnyParams> {
        let scope = self.scopes.iter().position(|s| s.holds(site.cluster, site.namespace));
        let values = scope.map_or(&check.everywhere, |at| &check.scopes[at]);
        Some(values.as_ref()?.of(site.class))
    }

    /// The scope that holds at a site, if one does.
    #[must_use]
    pub fn scope(&self, cluster: &str, namespace: &str) -> Option<&Scope> {
        self.scopes.iter().find(|s| s.holds(cluster, namespace))
    }

    /// Whether a check runs anywhere in a cluster.
    #[must_use]
    pub fn runs_in(&self, check: &ResolvedCheck, cluster: &str) -> bool {
        let own = || self.scopes.iter().zip(&check.scopes).filter(|(scope, _)| scope.cluster == cluster);
        let whole = own().find(|(scope, _)| scope.namespace.is_none());
        let rest = whole.map_or(&check.everywhere, |(_, values)| values);
        rest.is_some() || own().any(|(_, values)| values.is_some())
    }

    /// What gives workloads their class.
    #[must_use]
    pub fn classifier(&self) -> &Classifier {
        &self.classifier
    }

    /// Share of a bound within which a value is on the watch list.
    #[must_use]
    pub fn watch_share(&self) -> Ratio {
        self.watch_share
    }

    /// What all checks together read.
    #[must_use]
    pub fn needs(&self) -> Needs {
        let mut needs = Needs::default();
        for resolved in &self.checks {
            for values in resolved.scopes.iter().chain([&resolved.everywhere]).flatten() {
                for params in values.by_class.values().chain([&values.base]) {
                    resolved.check.needs(params, &mut needs);
                }
            }
        }
        needs
    }
}

impl std::fmt::Debug for Resolved {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.checks.iter().map(|c| c.check.info().id)).finish()
    }
}

impl Settings {
    /// Chooses from `checks` and gives every parameter its value.
    ///
    /// # Errors
    /// The first setting that cannot be used, with what was expected.
    pub fn resolve(&self, checks: &'static [&'static dyn AnyCheck]) -> Result<Resolved, SettingsError> {
        self.know_ids(checks)?;
        let classifier = Classifier::new(&self.classes)?;
        let watch_share = self.watched().map_err(SettingsError::WatchShare)?;
        let mut scopes: Vec<Scope> = self.scopes.iter().rev().cloned().collect();
        scopes.sort_by_key(|scope| std::cmp::Reverse(scope.closeness()));
        let mut resolved = Vec::new();
        for &check in checks {
            let everywhere = self.values(check, &[&self.checks])?;
            let within = scopes.iter().map(|scope| {
                let cluster = scopes.iter().find(|s| s.cluster == scope.cluster && s.namespace.is_none());
                let cluster = cluster.filter(|_| scope.namespace.is_some()).map(|s| &s.checks);
                let layers: Vec<_> =
                    [Some(&self.checks), cluster, Some(&scope.checks)].into_iter().flatten().collect();
                let located = |why| SettingsError::Scope { place: scope.place.clone(), why: Box::new(why) };
                self.values(check, &layers).map_err(located)
            });
            let within = within.collect::<Result<Vec<_>, _>>()?;
            if everywhere.is_some() || within.iter().any(Option::is_some) {
                resolved.push(ResolvedCheck { check, everywhere, scopes: within });
            }
        }
        if resolved.is_empty() {
            Err(SettingsError::NothingLeft)
        } else {
            let digest = crate::shard::digest(&format!("{self:?}"));
            Ok(Resolved { checks: resolved, scopes, classifier, watch_share, digest })
        }
    }

    fn watched(&self) -> Result<Ratio, String> {
        let Some(text) = &self.watch_share else { return Ok(WATCH_SHARE) };
        let share = Ratio::read(text)?;
        within(&share, text, &(Ratio(0.0)..=Ratio(0.5)))?;
        Ok(share)
    }

    fn know_ids(&self, checks: &[&'static dyn AnyCheck]) -> Result<(), SettingsError> {
        let ids: Vec<&str> = checks.iter().map(|c| c.info().id).collect();
        let scoped = self.scopes.iter().flat_map(|s| s.checks.keys());
        let unknown = self.checks.keys().chain(&self.only).chain(&self.skip).chain(scoped);
        match unknown.into_iter().find(|name| !ids.contains(&name.as_str())) {
            None => Ok(()),
            Some(name) => Err(SettingsError::UnknownCheck {
                name: name.clone(),
                nearest: nearest(name, ids.iter().copied()),
                known: ids.iter().map(|&i| i.to_owned()).collect(),
            }),
        }
    }

    /// The values of a check where several layers of choices hold, the closest last; none where it does not run.
    fn values<'s>(
        &'s self,
        check: &'static dyn AnyCheck,
        layers: &[&'s BTreeMap<String, CheckSettings>],
    ) -> Result<Option<Values>, SettingsError> {
        let id = check.info().id;
        let own: Vec<&CheckSettings> = layers.iter().filter_map(|layer| layer.get(id)).collect();
        let base = configure(check, own.iter().map(|c| &c.params))?;
        let mut classes: BTreeSet<Class> = check.class_defaults().iter().map(|(class, ..)| *class).collect();
        for name in own.iter().flat_map(|c| c.classes.keys()) {
            let class = Class::from_name(name);
            classes.insert(
                class.ok_or_else(|| SettingsError::UnknownClass {
                    check: id.to_owned(),
                    name: name.clone(),
                })?,
            );
        }
        let mut by_class = BTreeMap::new();
        for class in classes {
            let defaults = check.class_defaults().iter().filter(|(of, ..)| *of == class);
            let defaults = defaults.map(|(_, param, value)| ((*param).to_owned(), (*value).to_owned()));
            let defaults: BTreeMap<String, String> = defaults.collect();
            let of_class = |c: &&'s CheckSettings| [Some(&c.params), c.classes.get(class.name())];
            // The default of a class is closer than what is chosen for all, and farther than all other choices.
            let (first, rest) = match own.split_first() {
                Some((first, rest)) => (of_class(first), rest),
                None => ([None, None], &[][..]),
            };
            let [all, own_class] = first;
            let layers = [all, Some(&defaults), own_class].into_iter().chain(rest.iter().flat_map(of_class));
            by_class.insert(class, configure(check, layers.flatten())?);
        }
        let switched = |layers: &[&BTreeMap<String, CheckSettings>]| {
            layers.iter().rev().find_map(|layer| layer.get(id)?.enabled)
        };
        // `only` says what runs; a cluster or namespace may still be left out.
        let (chosen, layers) = match self.only.is_empty() {
            true => (true, layers),
            false => (self.only.contains(id), layers.get(1..).unwrap_or_default()),
        };
        let without_word = !check.on_request() || self.only.contains(id);
        let runs = chosen && !self.skip.contains(id) && switched(layers).unwrap_or(without_word);
        Ok(runs.then_some(Values { base, by_class }))
    }

    /// Whether no check of metrics is told to look back further than the run does: it would see no more.
    ///
    /// # Errors
    /// The first one that is.
    pub fn fit(&self, checks: &[&'static dyn AnyCheck], run: Seconds) -> Result<(), SettingsError> {
        for check in checks {
            let id = check.info().id;
            let layers = self.scopes.iter().map(|scope| &scope.checks).chain([&self.checks]);
            let own: Vec<&CheckSettings> = layers.filter_map(|layer| layer.get(id)).collect();
            let values = own.iter().flat_map(|own| std::iter::once(&own.params).chain(own.classes.values()));
            let longer = values
                .filter_map(|values| values.get("lookback"))
                .find(|text| text.parse::<Seconds>().is_ok_and(|lookback| lookback > run));
            let reads_metrics = || {
                let mut needs = Needs::default();
                check.configure(&[]).is_ok_and(|params| {
                    check.needs(&params, &mut needs);
                    !needs.metrics.is_empty()
                })
            };
            if let Some(text) = longer
                && reads_metrics()
            {
                return Err(SettingsError::Value {
                    check: id.to_owned(),
                    param: "lookback".to_owned(),
                    why: format!("expected at most the look-back of the run, `{run}`, got `{text}`"),
                });
            }
        }
        Ok(())
    }
}

fn configure<'a>(
    check: &'static dyn AnyCheck,
    layers: impl IntoIterator<Item = &'a BTreeMap<String, String>>,
) -> Result<AnyParams, SettingsError> {
    let id = check.info().id.to_owned();
    let infos = check.param_infos();
    let values: Vec<(&str, &str)> =
        layers.into_iter().flat_map(|layer| layer.iter().map(|(k, v)| (k.as_str(), v.as_str()))).collect();
    if let Some((name, _)) = values.iter().find(|(name, _)| infos.iter().all(|i| i.name != *name)) {
        return Err(SettingsError::UnknownParam {
            check: id,
            name: (*name).to_owned(),
            nearest: nearest(name, infos.iter().map(|i| i.name.as_str())),
            known: infos.iter().map(|i| i.name.clone()).collect(),
        });
    }
    check.configure(&values).map_err(|(param, why)| match param {
        Some(param) => SettingsError::Value { check: id, param, why },
        None => SettingsError::Rule { check: id, why },
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::CHECKS;

    fn choices(params: &[(&str, &str)], enabled: Option<bool>) -> BTreeMap<String, CheckSettings> {
        let params = params.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        [("memory-usage".to_owned(), CheckSettings { enabled, params, ..Default::default() })].into()
    }

    #[test]
    fn a_hint_is_a_slip_away() {
        for (given, candidate) in [
            ("memory-leek", "memory-leak"),
            ("chanel", "channel"),
            ("urll", "url"),
            ("clutsers", "clusters"),
            ("Asia/Taipeh", "Asia/Taipei"),
        ] {
            assert_eq!(nearest(given, ["x", candidate, "lookback"]).as_deref(), Some(candidate));
        }
        for (given, candidate) in [
            ("Mars/Base", "America/Boise"),
            ("leak growth pct", "memory warning"),
            ("leak_growth_pct", "memory_warning"),
            ("memory", "memory-leak"),
            ("", "url"),
        ] {
            assert_eq!(nearest(given, [candidate]), None, "{given}");
        }
        assert_eq!(
            nearest("piga", ["pigs", "pigo", "piga2"]).as_deref(),
            Some("piga2"),
            "the likest of the nearest"
        );
    }

    fn scope(cluster: &str, namespace: Option<&str>, checks: BTreeMap<String, CheckSettings>) -> Scope {
        let place = format!("{cluster}/{}", namespace.unwrap_or("-"));
        Scope { cluster: cluster.into(), namespace: namespace.map(str::to_owned), checks, place }
    }

    /// What `memory-usage.warning` is at a site; `off` where the check does not run.
    #[track_caller]
    fn check(settings: &Settings, cluster: &str, namespace: &str, class: Option<Class>, expected: &str) {
        let resolved = settings.resolve(CHECKS).unwrap();
        let found =
            resolved.checks().iter().find(|c| c.check.info().id == "memory-usage").and_then(|check| {
                let params = resolved.params(check, Site { cluster, namespace, class })?;
                check.check.show(params, "warning")
            });
        assert_eq!(found.as_deref().unwrap_or("off"), expected, "{cluster}/{namespace} {class:?}");
    }

    #[test]
    fn the_closest_scope_holds_over_its_cluster_over_all() {
        let mut settings = Settings {
            checks: choices(&[("warning", "60%")], None),
            scopes: vec![
                scope("prod", Some("pay-*"), choices(&[("warning", "50%")], None)),
                scope("prod", None, choices(&[("warning", "55%")], None)),
                scope("prod", Some("pay-card"), choices(&[("critical", "90%")], None)),
                scope("prod", Some("pay-lab-*"), choices(&[], Some(false))),
            ],
            ..Settings::default()
        };
        check(&settings, "stg", "pay-x", None, "60%");
        check(&settings, "prod", "shop", None, "55%");
        check(&settings, "prod", "pay-x", None, "50%");
        check(&settings, "prod", "pay-card", None, "55%");
        check(&settings, "prod", "pay-lab-1", None, "off");
        check(&settings, "prod", "", None, "55%");
        let batch = BTreeMap::from([("warning".to_owned(), "80%".to_owned())]);
        let own = settings.checks.get_mut("memory-usage").unwrap();
        own.classes.insert("batch".into(), batch);
        check(&settings, "stg", "pay-x", Some(Class::Batch), "80%");
        check(&settings, "prod", "pay-x", Some(Class::Batch), "50%");
        settings.only.insert("memory-usage".into());
        settings.checks.get_mut("memory-usage").unwrap().enabled = Some(false);
        check(&settings, "stg", "x", None, "60%");
        check(&settings, "prod", "pay-lab-1", None, "off");
    }

    /// `cpu-throttled.warning` is 10%, and 20% for runners.
    #[test]
    fn the_default_of_a_class_gives_way_to_what_is_chosen_closer() {
        let runner = |settings: &Settings, namespace: &str| {
            let resolved = settings.resolve(CHECKS).unwrap();
            let check = resolved.checks().iter().find(|c| c.check.info().id == "cpu-throttled").unwrap();
            let site = Site { cluster: "prod", namespace, class: Some(Class::Runner) };
            check.check.show(resolved.params(check, site).unwrap(), "warning").unwrap()
        };
        let warning = |value: &str| BTreeMap::from([("warning".to_owned(), value.to_owned())]);
        let chosen = |all: Option<&str>, runners: Option<&str>| {
            let classes = runners.map(|value| ("runner".to_owned(), warning(value)));
            let params = all.map(warning).unwrap_or_default();
            let own = CheckSettings { params, classes: classes.into_iter().collect(), ..Default::default() };
            BTreeMap::from([("cpu-throttled".to_owned(), own)])
        };
        let settings = |checks| Settings { checks, ..Settings::default() };
        assert_eq!(runner(&Settings::default(), "ci"), "20%");
        assert_eq!(runner(&settings(chosen(Some("15%"), None)), "ci"), "20%");
        assert_eq!(runner(&settings(chosen(None, Some("50%"))), "ci"), "50%");
        assert_eq!(runner(&settings(chosen(Some("15%"), Some("12%"))), "ci"), "12%");
        let mut near = settings(chosen(None, Some("50%")));
        near.scopes = vec![scope("prod", Some("ci"), chosen(Some("30%"), None))];
        assert_eq!((runner(&near, "ci"), runner(&near, "web")), ("30%".to_owned(), "50%".to_owned()));
    }

    #[test]
    fn a_check_may_run_in_one_namespace_alone() {
        let settings = Settings {
            checks: choices(&[], Some(false)),
            scopes: vec![scope("prod", Some("pay"), choices(&[], Some(true)))],
            ..Settings::default()
        };
        check(&settings, "prod", "pay", None, "70%");
        check(&settings, "prod", "shop", None, "off");
        let resolved = settings.resolve(CHECKS).unwrap();
        let usage = resolved.checks().iter().find(|c| c.check.info().id == "memory-usage").unwrap();
        assert!(resolved.runs_in(usage, "prod") && !resolved.runs_in(usage, "stg"));
    }

    #[test]
    fn what_does_not_fit_is_told_with_its_place() {
        let refused = |scope: Scope| {
            let settings = Settings { scopes: vec![scope], ..Settings::default() };
            settings.resolve(CHECKS).unwrap_err().to_string()
        };
        assert_eq!(
            refused(scope("prod", Some("pay"), choices(&[("warning", "95%")], None))),
            "prod/pay.checks.memory-usage: warning must not be above critical: warning `95%`, critical `85%`"
        );
        let unknown = [("memory-leek".to_owned(), CheckSettings::default())].into();
        assert!(
            refused(scope("prod", None, unknown)).starts_with("unknown check `memory-leek`, did you mean")
        );
        let long = Settings {
            scopes: vec![scope("prod", None, choices(&[("lookback", "9d")], None))],
            ..Settings::default()
        };
        assert!(long.fit(CHECKS, Seconds::from_days(7.0)).is_err());
    }
}
