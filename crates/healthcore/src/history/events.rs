//! Events remembered: Kubernetes forgets an event after an hour, and a problem of the night has no other witness.
//!
//! A run leaves the events that it saw and those that it remembers, so the newest run of a cluster holds all that is
//! known. An event that is remembered says which run saw it ([`Event::seen`]).

use std::collections::{BTreeMap, BTreeSet};

use crate::model::Event;
use crate::snapshot::Objects;
use crate::time::Timestamp;
use crate::unit::Seconds;

/// Age from which on an event is forgotten.
const KEPT_FOR: Seconds = Seconds(7.0 * 86_400.0);
/// Events that a cluster keeps at most, the newest.
const MOST: usize = 5000;
/// Events of one object and reason that are kept, the newest: messages with a number in them would fill the memory.
const MOST_ALIKE: usize = 3;

impl Objects {
    /// Adds the events that earlier runs saw of what is still there: in namespaces with workloads or pods, and about
    /// nodes. What Kubernetes still tells of is not there twice.
    pub fn recall(&mut self, remembered: &[Event]) {
        let pods = self.pods.iter().map(|p| p.workload.namespace.as_str());
        let namespaces: BTreeSet<&str> =
            pods.chain(self.workloads.iter().map(|w| w.id.namespace.as_str())).collect();
        let nodes: BTreeSet<&str> = self.nodes.iter().map(|n| n.name.as_str()).collect();
        let in_sight = |e: &&Event| match e.kind.as_str() {
            "Node" => nodes.contains(e.name.as_str()),
            _ => namespaces.contains(e.namespace.as_str()),
        };
        let past: Vec<Event> = remembered.iter().filter(in_sight).cloned().collect();
        self.events = together(std::mem::take(&mut self.events), past);
    }
}

/// Events of now and of the past, each once. Spans of equal events that touch are one event, whose count is the larger:
/// Kubernetes counts on while it remembers, and begins anew when it has forgotten.
pub(crate) fn together(now: Vec<Event>, past: Vec<Event>) -> Vec<Event> {
    let mut known: BTreeMap<[String; 5], Vec<Event>> = BTreeMap::new();
    for event in now {
        known.entry(key(&event)).or_default().push(event);
    }
    for was in past {
        let alike = known.entry(key(&was)).or_default();
        match alike.iter_mut().find(|e| touch(e, &was)) {
            Some(event) => {
                event.count = event.count.max(was.count);
                event.first = [event.first, was.first].into_iter().flatten().min();
                event.last = event.last.max(was.last);
            }
            None => alike.push(was),
        }
    }
    known.into_values().flatten().collect()
}

fn key(event: &Event) -> [String; 5] {
    [&event.namespace, &event.kind, &event.name, &event.reason, &event.message].map(Clone::clone)
}

fn touch(a: &Event, b: &Event) -> bool {
    let begins_before = |a: &Event, b: &Event| match (a.first.or(a.last), b.last.or(b.first)) {
        (Some(begin), Some(end)) => begin <= end,
        _ => true,
    };
    begins_before(a, b) && begins_before(b, a)
}

/// What a run leaves of its events: those with a time that are not too old, the newest where there are many. Each says
/// which run saw it.
pub(crate) fn keep(events: Vec<Event>, taken_at: Timestamp) -> Vec<Event> {
    let time = |e: &Event| e.last.or(e.first);
    let young =
        |e: &Event| time(e).is_some_and(|t| t.age_at(taken_at).is_some_and(|age| age <= KEPT_FOR.get()));
    let mut events: Vec<Event> = events.into_iter().filter(young).collect();
    events.sort_by(|a, b| time(b).cmp(&time(a)).then_with(|| key(a).cmp(&key(b))));
    let mut alike: BTreeMap<[String; 4], usize> = BTreeMap::new();
    events.retain(|e| {
        let [namespace, kind, name, reason, _] = key(e);
        let count = alike.entry([namespace, kind, name, reason]).or_default();
        *count += 1;
        *count <= MOST_ALIKE
    });
    events.truncate(MOST);
    for event in &mut events {
        event.seen = event.seen.or(Some(taken_at));
    }
    events
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{END, Fixture};

    fn hours(ago: f64) -> Timestamp {
        END.plus_seconds(-3600.0 * ago)
    }

    /// An event between two times, in hours before now.
    fn event(name: &str, count: u32, first: f64, last: f64) -> Event {
        Event {
            namespace: "web".into(),
            kind: "Pod".into(),
            name: name.into(),
            reason: "Unhealthy".into(),
            message: "probe failed".into(),
            count,
            first: Some(hours(first)),
            last: Some(hours(last)),
            seen: None,
        }
    }

    /// Events as `name count first..last`, in hours before now, and `*` for those that are remembered.
    fn told(events: &[Event]) -> Vec<String> {
        let ago = |t: Option<Timestamp>| t.map_or(f64::NAN, |t| END.seconds_since(t) / 3600.0);
        let seen = |e: &Event| if e.seen.is_some() { "*" } else { "" };
        let one = |e: &Event| format!("{}{} {} {}..{}", seen(e), e.name, e.count, ago(e.first), ago(e.last));
        events.iter().map(one).collect()
    }

    #[test]
    fn what_kubernetes_has_forgotten_is_remembered() {
        let mut objects = Fixture::new("container web/api-0/app\nnode n1").snapshot.objects;
        let past = keep(vec![event("api-0", 5, 8.0, 7.0), event("gone-0", 1, 8.0, 8.0)], hours(6.5));
        objects.events = vec![event("api-0", 2, 1.0, 0.5)];
        objects.recall(&past);
        assert_eq!(told(&objects.events), ["api-0 2 1..0.5", "*api-0 5 8..7", "*gone-0 1 8..8"]);
        assert_eq!(objects.events[1].seen, Some(hours(6.5)));
        let later = keep(objects.events, END);
        assert_eq!(later.iter().map(|e| e.seen).max(), Some(Some(END)), "each keeps the run that saw it");
        assert_eq!(later.iter().map(|e| e.seen).min(), Some(Some(hours(6.5))));
    }

    #[test]
    fn what_goes_on_is_one_event() {
        let past = keep(vec![event("api-0", 5, 2.0, 1.5)], hours(1.2));
        let now = vec![event("api-0", 9, 2.0, 0.1)];
        assert_eq!(told(&together(now.clone(), past.clone())), ["api-0 9 2..0.1"]);
        // Kubernetes has begun to count anew, of a part that it had told of before.
        let now = vec![event("api-0", 3, 1.6, 0.1)];
        assert_eq!(told(&together(now, past)), ["api-0 5 2..0.1"]);
    }

    #[test]
    fn other_namespaces_are_not_looked_into() {
        let mut objects = Fixture::new("container shop/api-0/app").snapshot.objects;
        let node = Event { kind: "Node".into(), name: "n1".into(), ..event("", 1, 3.0, 3.0) };
        objects.recall(&keep(vec![event("api-0", 5, 8.0, 7.0), node], hours(2.0)));
        assert_eq!(told(&objects.events), [""; 0]);
    }

    #[test]
    fn memory_is_bounded() {
        let old = event("api-0", 1, 24.0 * 8.0, 24.0 * 7.0 + 0.1);
        let timeless = Event { first: None, last: None, ..event("api-1", 1, 0.0, 0.0) };
        assert_eq!(told(&keep(vec![old, timeless], END)), [""; 0]);
        let numbered =
            |n: usize| Event { message: format!("try {n}"), ..event("api-0", 1, 3.0, n as f64 / 100.0) };
        let kept = keep((0..100).map(numbered).collect(), END);
        assert_eq!(told(&kept), ["*api-0 1 3..0", "*api-0 1 3..0.01", "*api-0 1 3..0.02"]);
        let many = (0..6000).map(|n| event(&format!("api-{n:04}"), 1, 3.0, f64::from(n) / 6000.0)).collect();
        let kept = keep(many, END);
        assert_eq!((kept.len(), kept[0].name.as_str()), (5000, "api-0000"));
    }
}
