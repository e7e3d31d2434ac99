//! Which checks run, and with which parameters.

use std::collections::{BTreeMap, BTreeSet};

use crate::check::{AnyCheck, AnyParams, Check};
use crate::class::Class;
use crate::need::Needs;
use crate::unit::Seconds;

/// Choices of the user, as text. [`Settings::resolve`] turns them into values or says what is wrong.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Settings {
    /// By id of the check.
    pub checks: BTreeMap<String, CheckSettings>,
    /// When not empty, only these checks run.
    pub only: BTreeSet<String>,
    /// These checks do not run.
    pub skip: BTreeSet<String>,
}

/// Choices for one check.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CheckSettings {
    /// Whether it runs; it does unless told otherwise.
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

/// The candidate that looks most like `given`, when one looks like it at all.
#[must_use]
pub fn nearest<'a>(given: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<String> {
    candidates
        .into_iter()
        .map(|c| (strsim::jaro_winkler(given, c), c))
        .filter(|(likeness, _)| *likeness > 0.75)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, c)| c.to_owned())
}

/// The checks that run, with values for every parameter.
#[derive(Clone)]
pub struct Resolved {
    checks: Vec<ResolvedCheck>,
}

/// A check with its values.
#[derive(Clone)]
pub struct ResolvedCheck {
    /// The check.
    pub check: &'static dyn AnyCheck,
    base: AnyParams,
    by_class: BTreeMap<Class, AnyParams>,
}

impl ResolvedCheck {
    /// The values for a class; the general ones when there are none for it.
    #[must_use]
    pub fn params(&self, class: Option<Class>) -> &AnyParams {
        class.and_then(|c| self.by_class.get(&c)).unwrap_or(&self.base)
    }
}

impl Resolved {
    /// Checks in the order of the list.
    #[must_use]
    pub fn checks(&self) -> &[ResolvedCheck] {
        &self.checks
    }

    /// The values of a check for a class; the defaults when the check does not run.
    #[must_use]
    pub fn params<C: Check>(&self, class: Option<Class>) -> C::Params {
        self.checks
            .iter()
            .find(|c| c.check.info().id == C::INFO.id)
            .and_then(|c| c.params(class).downcast_ref::<C::Params>().cloned())
            .unwrap_or_default()
    }

    /// What all checks together read.
    #[must_use]
    pub fn needs(&self) -> Needs {
        let mut needs = Needs::default();
        for resolved in &self.checks {
            resolved.check.needs(&resolved.base, &mut needs);
            for params in resolved.by_class.values() {
                resolved.check.needs(params, &mut needs);
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
        let ids: Vec<&str> = checks.iter().map(|c| c.info().id).collect();
        for name in self.checks.keys().chain(&self.only).chain(&self.skip) {
            if !ids.contains(&name.as_str()) {
                return Err(SettingsError::UnknownCheck {
                    name: name.clone(),
                    nearest: nearest(name, ids.iter().copied()),
                    known: ids.iter().map(|&i| i.to_owned()).collect(),
                });
            }
        }
        let none = CheckSettings::default();
        let mut resolved = Vec::new();
        for &check in checks {
            let id = check.info().id;
            let own = self.checks.get(id).unwrap_or(&none);
            let base = configure(check, [&own.params])?;
            let mut by_class = BTreeMap::new();
            for (name, params) in &own.classes {
                let class = Class::from_name(name).ok_or_else(|| SettingsError::UnknownClass {
                    check: id.to_owned(),
                    name: name.clone(),
                })?;
                by_class.insert(class, configure(check, [&own.params, params])?);
            }
            let chosen =
                if self.only.is_empty() { own.enabled.unwrap_or(true) } else { self.only.contains(id) };
            if chosen && !self.skip.contains(id) {
                resolved.push(ResolvedCheck { check, base, by_class });
            }
        }
        if resolved.is_empty() { Err(SettingsError::NothingLeft) } else { Ok(Resolved { checks: resolved }) }
    }

    /// Whether no check of metrics is told to look back further than the run does: it would see no more.
    ///
    /// # Errors
    /// The first one that is.
    pub fn fit(&self, checks: &[&'static dyn AnyCheck], run: Seconds) -> Result<(), SettingsError> {
        for check in checks {
            let id = check.info().id;
            let Some(own) = self.checks.get(id) else { continue };
            let values = std::iter::once(&own.params).chain(own.classes.values());
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
