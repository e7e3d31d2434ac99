//! What is told of the configuration file: a commented default, and a JSON schema, both from the tables that the reader
//! itself uses.

use healthcore::checks::CHECKS;
use healthcore::class::Class;
use healthcore_report::Lang;
use serde_json::{Map, Value, json};

/// The beginning of the commented default.
const HEAD: &str = include_str!("default.yaml");

/// The default configuration with comments. Lines that begin with `#~ ` are defaults, to be changed by taking the mark away.
#[must_use]
pub fn template() -> String {
    let mut text = HEAD.to_owned();
    for check in CHECKS {
        let info = check.info();
        text.push_str(&format!("\n  # {}: {}\n", info.id, info.title));
        let Ok(defaults) = check.configure(&[]) else { continue };
        let params = check.param_infos();
        if params.is_empty() {
            continue;
        }
        text.push_str(&format!("#~   {}:\n", info.id));
        if check.on_request() {
            text.push_str("  #   It runs only when it is asked for.\n#~     enabled: false\n");
        }
        for p in params {
            let value = check.show(&defaults, &p.name).unwrap_or_default();
            text.push_str(&format!("  #   {}\n#~     {}: {value}\n", p.doc, p.name));
        }
    }
    text
}

/// A JSON schema of the file (draft 2020-12), for editors.
#[must_use]
pub fn schema() -> Value {
    let text = || json!({ "type": ["string", "number", "boolean"] });
    let object = |properties: Map<String, Value>| json!({ "type": ["object", "null"], "additionalProperties": false, "properties": properties });
    let texts =
        || json!({ "oneOf": [{ "type": "array", "items": { "type": "string" } }, { "type": "string" }] });
    let keyed = |keys: &[&str]| keys.iter().map(|k| ((*k).to_owned(), text())).collect::<Map<_, _>>();

    let mut checks = Map::new();
    for check in CHECKS {
        let mut params = Map::new();
        let usual = check.configure(&[]).expect("the defaults fit together");
        for p in check.param_infos() {
            let usual = check.show(&usual, &p.name);
            params.insert(p.name.clone(), json!({ "type": ["string", "number", "boolean"], "default": usual, "description": format!("{} Expected: {}{}.", p.doc, p.expected, p.bounds.map_or_else(String::new, |(low, high)| format!(", from `{low}` to `{high}`"))) }));
        }
        let classes = Class::ALL.iter().map(|c| (c.name().to_owned(), object(params.clone()))).collect();
        params.insert("enabled".into(), json!({ "type": "boolean" }));
        params.insert("classes".into(), object(classes));
        let mut entry = object(params);
        entry["description"] = check.info().title.into();
        checks.insert(check.info().id.to_owned(), entry);
    }

    let mut prometheus = keyed(super::PROMETHEUS);
    prometheus.insert("dialect".into(), json!({ "enum": ["prometheus", "arms"] }));
    prometheus.insert("compression".into(), json!({ "enum": ["auto", "on", "off"] }));
    prometheus.insert("insecure-skip-verify".into(), json!({ "type": "boolean" }));
    prometheus.insert("matchers".into(), texts());
    prometheus.insert("headers".into(), json!({ "type": "array", "items": object(keyed(super::HEADER)) }));
    let mut loki = keyed(super::loki::LOKI);
    for key in ["compression", "headers", "insecure-skip-verify"] {
        loki.insert(key.into(), prometheus[key].clone());
    }
    let class = || json!({ "enum": Class::ALL.iter().map(|c| c.name()).collect::<Vec<_>>() });
    let mut rule = keyed(super::RULE);
    rule.insert("class".into(), class());
    let mut rule = object(rule);
    rule["required"] = json!(["class"]);
    let rules = || json!({ "type": "array", "items": rule });
    let checks = object(checks);

    let mut namespace = keyed(super::NAMESPACE);
    namespace.insert("extends".into(), texts());
    namespace.insert("class".into(), class());
    namespace.insert("classes".into(), rules());
    namespace.insert("checks".into(), json!({ "$ref": "#/$defs/checks" }));
    let mut namespace = object(namespace);
    namespace["required"] = json!(["name"]);
    let namespaces = json!({ "oneOf": [
        { "type": "string" },
        { "type": "array", "items": { "oneOf": [{ "type": "string" }, namespace] } }
    ] });

    let shared = |keys: &[&str]| {
        let mut map = keyed(keys);
        map.insert("extends".into(), texts());
        map.insert("namespaces".into(), namespaces.clone());
        map.insert("kubernetes".into(), object(keyed(super::KUBERNETES)));
        map.insert("prometheus".into(), object(prometheus.clone()));
        map.insert("loki".into(), object(loki.clone()));
        map.insert("checks".into(), json!({ "$ref": "#/$defs/checks" }));
        map.insert("classes".into(), rules());
        object(map)
    };
    let mut cluster = shared(super::CLUSTER);
    cluster["required"] = json!(["name"]);

    let mut history = keyed(super::HISTORY);
    history.insert("required".into(), json!({ "type": "boolean" }));
    let mut history = object(history);
    history["required"] = json!(["location"]);

    let mut route = keyed(&super::deliver::keys());
    let types: Vec<&str> = super::deliver::TYPES.iter().map(|(name, ..)| *name).collect();
    route.insert("type".into(), json!({ "enum": types }));
    route.insert("what".into(), json!({ "enum": ["report", "digest"] }));
    route.insert("when".into(), json!({ "enum": ["always", "changes", "problems"] }));
    route.insert("severity".into(), json!({ "enum": ["info", "warning", "critical"] }));
    route.insert("on-failure".into(), json!({ "enum": ["warn", "fail"] }));
    route.insert("clusters".into(), texts());
    route.insert("namespaces".into(), texts());
    route.insert("files".into(), texts());
    route.insert("to".into(), texts());
    route.insert("attach".into(), texts());
    route.insert("headers".into(), json!({ "type": "array", "items": object(keyed(super::HEADER)) }));
    let mut route = object(route);
    route["required"] = json!(["type"]);

    let mut top = keyed(super::TOP);
    top.insert("deliver".into(), json!({ "type": "array", "items": route }));
    top.insert("lang".into(), json!({ "enum": Lang::ALL.iter().map(|l| l.tag()).collect::<Vec<_>>() }));
    top.insert("templates".into(), json!({ "type": ["object", "null"], "additionalProperties": text() }));
    top.insert("history".into(), history);
    let mut certificates = keyed(super::certificates::CERTIFICATES);
    certificates.insert("ask".into(), json!({ "type": "boolean" }));
    certificates.insert("servers".into(), texts());
    let mut skip = object(keyed(super::certificates::SKIP));
    skip["required"] = json!(["namespace", "reason"]);
    certificates.insert("skip".into(), json!({ "type": "array", "items": skip }));
    top.insert("certificates".into(), object(certificates));
    let hosts = super::hosts::HOSTS.iter().map(|key| ((*key).to_owned(), texts())).collect();
    top.insert("hosts".into(), object(hosts));
    let mut registry = keyed(super::registries::REGISTRIES);
    registry.insert("plain-http".into(), json!({ "type": "boolean" }));
    registry.insert("most".into(), json!({ "type": "integer", "minimum": 1 }));
    let mut registry = object(registry);
    registry["required"] = json!(["host"]);
    top.insert("registries".into(), json!({ "type": "array", "items": registry }));
    top.insert("logs".into(), object(keyed(super::logs::LOGS)));
    top.insert("clusters".into(), json!({ "type": "array", "items": cluster }));
    let profile = shared(super::profile::PROFILE);
    top.insert("profiles".into(), json!({ "type": ["object", "null"], "additionalProperties": profile }));
    top.insert("only".into(), texts());
    top.insert("skip".into(), texts());
    top.insert("classes".into(), rules());
    top.insert("checks".into(), json!({ "$ref": "#/$defs/checks" }));
    let mut schema = object(top);
    schema["$defs"] = json!({ "checks": checks });
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema".into();
    schema["title"] = "configuration of healthcheck".into();
    super::keys::describe(&mut schema);
    schema
}
