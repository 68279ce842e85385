use super::*;
use crate::engine::Defaults;
use crate::kinds::Kind;
use kube::core::DynamicObject;
use serde_json::Value;

const NAMESPACE: &str = "ns";
const PROFILE: &str = "emoji-svc.ns.svc.cluster.local";
const US: &str = "linkerd-failover/linkerd-failover";

/// A cluster with one split on emoji-svc, and what its profile is, if there is one.
struct World {
    index: Index,
    split: ObjectRef,
    settings: ProfileSettings,
    profile: Option<Value>,
    version: u64,
}

impl World {
    fn new(profile: Option<Value>) -> Self {
        let settings = ProfileSettings {
            cluster_domain: "cluster.local".into(),
            by: US.into(),
            selector: "managed".parse().unwrap(),
        };
        let mut index = Index::default();
        index.writes_profiles = true;
        let split = ObjectRef::new(Kind::TrafficSplit, ObjectKey::new(NAMESPACE, "emoji"));
        let mut world = Self { index, split, settings, profile, version: 10 };
        world.manage("emoji", "emoji-svc", 100);
        world.observe_profile();
        world
    }

    fn manage(&mut self, name: &str, apex: &str, created: i64) {
        let object: DynamicObject = serde_json::from_value(json!({
            "metadata": {"name": name, "namespace": NAMESPACE, "uid": format!("uid-{name}")},
            "spec": {"service": apex, "backends": [
                {"service": "emoji-svc", "weight": 1}, {"service": "west", "weight": 0},
            ]},
        }))
        .unwrap();
        let mut managed = ManagedObject::read(Kind::TrafficSplit, &object, &Defaults::default());
        managed.created = created;
        let key = ObjectRef::new(Kind::TrafficSplit, ObjectKey::new(NAMESPACE, name));
        self.index.set_object(key, managed);
    }

    fn route(&mut self, created: i64) {
        let backend = |name: &str, weight: u32| json!({"name": name, "port": 80, "weight": weight});
        let object: DynamicObject = serde_json::from_value(json!({
            "metadata": {"name": "route", "namespace": NAMESPACE, "uid": "r"},
            "spec": {"parentRefs": [{"group": "core", "kind": "Service", "name": "emoji-svc"}],
                "rules": [{"backendRefs": [backend("emoji-svc", 1), backend("west", 0)]}]},
        }))
        .unwrap();
        let mut managed = ManagedObject::read(Kind::HttpRoute, &object, &Defaults::default());
        assert!(managed.sets.is_ok(), "{:?}", managed.sets);
        managed.created = created;
        let key = ObjectRef::new(Kind::HttpRoute, ObjectKey::new(NAMESPACE, "route"));
        self.index.set_object(key, managed);
    }

    /// Enters the profile into the index as it is.
    fn observe_profile(&mut self) {
        let key = ObjectKey::new(NAMESPACE, PROFILE);
        self.version += 1;
        match &mut self.profile {
            Some(profile) => {
                profile["metadata"]["name"] = json!(PROFILE);
                profile["metadata"]["resourceVersion"] = json!(self.version.to_string());
                let object = serde_json::from_value(profile.clone()).unwrap();
                self.index.set_profile(key, ProfileFacts::read(&object));
            }
            None => drop(self.index.remove_profile(&key)),
        }
    }

    fn plan(&self, weights: &[u32]) -> ProfilePlan {
        let managed = self.index.object(&self.split).unwrap();
        let (index, split, settings) = (&self.index, &self.split, &self.settings);
        SplitWithProfile { index, split, managed, settings }.plan(weights)
    }

    /// Does what the API server would.
    fn write(&mut self, write: ProfileWrite) -> Option<&Value> {
        match write.action {
            Action::Create(body) => self.profile = Some(body),
            Action::Delete => self.profile = None,
            Action::Patch(patch) => {
                assert_eq!(*write.resource_version, *self.version.to_string());
                json_patch::patch(self.profile.as_mut().unwrap(), &patch).unwrap();
            }
        }
        self.observe_profile();
        self.profile.as_ref()
    }

    fn carry(&mut self, weights: &[u32]) -> &Value {
        let ProfilePlan::Write(write) = self.plan(weights) else { panic!("nothing to write") };
        self.write(write);
        assert_eq!(self.plan(weights), ProfilePlan::Nothing, "{:?}", self.profile);
        self.profile.as_ref().unwrap()
    }

    fn restored(&mut self, standing: &UnmanagedSplit) -> Option<&Value> {
        self.index.remove_object(&self.split);
        let (key, facts) = orphan(&self.index, &self.split, &self.settings).expect("an orphan");
        let write = restore(key, facts, standing, &self.settings);
        self.write(write)
    }
}

fn overrides(weights: [u32; 2]) -> Value {
    json!([
        {"authority": PROFILE, "weight": weights[0].to_string()},
        {"authority": "west.ns.svc.cluster.local", "weight": weights[1].to_string()},
    ])
}

/// A profile of a user's, with all that one may hold.
fn users() -> Value {
    json!({
        "metadata": {"labels": {"team": "x"}, "annotations": {"note": "y"},
            "ownerReferences": [{"apiVersion": "v1", "kind": "ConfigMap", "name": "c", "uid": "c"}]},
        "spec": {
            "routes": [{"name": "GET /", "condition": {"method": "GET"}}],
            "retryBudget": {"minRetriesPerSecond": 1, "retryRatio": 0.2, "ttl": "10s"},
            "dstOverrides": overrides([1, 0]),
        },
    })
}

fn unmanaged(weights: [u32; 2]) -> UnmanagedSplit {
    let weights = [("emoji-svc", weights[0]), ("west", weights[1])];
    let weights = weights.map(|(name, weight)| (name.to_owned(), weight));
    UnmanagedSplit::Unmanaged { apex: "emoji-svc".into(), weights: Some(weights.into()) }
}

#[test]
fn a_profile_that_is_not_there_is_made_and_follows_every_flip() {
    let mut world = World::new(None);
    let made = world.carry(&[0, 1]).clone();
    assert_eq!(made["spec"], json!({"dstOverrides": overrides([0, 1])}));
    assert_eq!(made["metadata"]["annotations"][SKIP], "true");
    assert_eq!(made["metadata"]["ownerReferences"][0]["uid"], "uid-emoji");
    assert_eq!(made["metadata"]["labels"][LABEL], LABELLED);
    let back = world.carry(&[1, 0]);
    assert_eq!(back["spec"]["dstOverrides"], overrides([1, 0]));
}

#[test]
fn of_a_profile_with_routes_only_the_overrides_change_and_all_of_it_comes_back() {
    let mut world = World::new(Some(users()));
    let mut taken = world.carry(&[0, 1]).clone();
    assert_eq!(taken["spec"]["dstOverrides"], overrides([0, 1]));
    assert_eq!(taken["metadata"]["annotations"][SKIP], "true");
    let mut before = users();
    for profile in [&mut taken, &mut before] {
        profile["spec"]["dstOverrides"].take();
        profile["metadata"]["resourceVersion"].take();
        profile["metadata"]["name"].take();
    }
    assert_eq!(taken["spec"], before["spec"]);
    assert_eq!(taken["metadata"]["ownerReferences"], before["metadata"]["ownerReferences"]);
    let mut left = world.restored(&UnmanagedSplit::Gone).unwrap().clone();
    assert!(left["spec"].get("dstOverrides").is_none());
    before["spec"].as_object_mut().unwrap().remove("dstOverrides");
    for field in ["resourceVersion", "name"] {
        left["metadata"].as_object_mut().unwrap().remove(field);
        before["metadata"].as_object_mut().unwrap().remove(field);
    }
    assert_eq!(left, before);
}

#[test]
fn weights_that_stand_there_already_only_get_our_marks() {
    let mut world = World::new(Some(json!({"metadata": {}, "spec": {
        "dstOverrides": overrides([1, 0])}})));
    let taken = world.carry(&[1, 0]).clone();
    let mark = taken["metadata"]["annotations"][WRITTEN_FOR].as_str().and_then(Mark::parse);
    assert!(!mark.unwrap().created);
    assert!(taken["metadata"].get("ownerReferences").is_none());
}

#[test]
fn a_profile_without_a_spec_is_filled() {
    for profile in [json!({"metadata": {}}), json!({"metadata": {}, "spec": null})] {
        let mut world = World::new(Some(profile));
        assert_eq!(world.carry(&[0, 1])["spec"]["dstOverrides"], overrides([0, 1]));
    }
}

#[test]
fn what_others_do_to_it_is_put_right() {
    type Change = fn(&mut Value);
    let changes: [Change; 6] = [
        |p| p["spec"]["dstOverrides"] = overrides([5, 5]),
        |p| p["spec"]["dstOverrides"] = json!([]),
        |p| p["spec"]["dstOverrides"][0]["weight"] = json!("500m"),
        |p| drop(p["metadata"]["annotations"].as_object_mut().unwrap().remove(SKIP)),
        |p| p["metadata"]["ownerReferences"][0]["uid"] = json!("of-the-split-before"),
        |p| drop(p["metadata"].as_object_mut().unwrap().remove("ownerReferences")),
    ];
    for change in changes {
        let mut world = World::new(None);
        let made = world.carry(&[0, 1]).clone();
        change(world.profile.as_mut().unwrap());
        world.observe_profile();
        let mut right = world.carry(&[0, 1]).clone();
        right["metadata"]["resourceVersion"] = made["metadata"]["resourceVersion"].clone();
        assert_eq!(right, made);
    }
}

#[test]
fn a_profile_that_says_skip_by_somebody_else_is_left_alone() {
    let by_another = Mark::new("other", "u", true, "elsewhere/linkerd-failover").to_annotation();
    for annotations in [
        json!({SKIP: "true"}),
        json!({SKIP: ""}),
        json!({SKIP: "true", WRITTEN_FOR: "of a later version"}),
        json!({SKIP: "true", WRITTEN_FOR: by_another}),
    ] {
        let world = World::new(Some(json!({"metadata": {"annotations": annotations}})));
        let ProfilePlan::NotOurs(why) = world.plan(&[0, 1]) else { panic!("{annotations}") };
        let why = why.to_string();
        assert!(why.contains(PROFILE) && why.contains(SKIP), "{why}");
    }
}

#[test]
fn all_zero_is_never_written() {
    for profile in [None, Some(users())] {
        let world = World::new(profile);
        assert!(matches!(world.plan(&[0, 0]), ProfilePlan::NotOurs(_)));
    }
    let mut world = World::new(None);
    world.carry(&[0, 1]);
    let left = world.restored(&unmanaged([0, 0])).unwrap();
    assert!(left["spec"].get("dstOverrides").is_none());
}

#[test]
fn of_two_splits_on_an_apex_the_older_has_the_profile_and_the_other_inherits_it() {
    let mut world = World::new(None);
    world.carry(&[0, 1]);
    world.manage("older", "emoji-svc", 1);
    assert_eq!(world.plan(&[1, 0]), ProfilePlan::Nothing);
    let older = ObjectRef::new(Kind::TrafficSplit, ObjectKey::new(NAMESPACE, "older"));
    let younger = std::mem::replace(&mut world.split, older.clone());
    let taken = world.carry(&[1, 0]).clone();
    assert_eq!(taken["metadata"]["ownerReferences"][0]["uid"], "uid-older");
    // The younger is reported, and nothing is restored meanwhile.
    assert_eq!(world.index.remove_object(&older), [older.clone(), younger.clone()]);
    assert!(orphan(&world.index, &older, &world.settings).is_none());
    world.split = younger;
    let inherited = world.carry(&[1, 0]);
    assert_eq!(inherited["metadata"]["ownerReferences"][0]["uid"], "uid-emoji");
}

#[test]
fn an_older_route_is_not_hidden_by_a_profile() {
    let mut world = World::new(None);
    world.carry(&[0, 1]);
    world.route(200);
    assert_eq!(world.plan(&[0, 1]), ProfilePlan::Nothing, "the route is the younger");
    world.route(1);
    let ProfilePlan::Write(write) = world.plan(&[0, 1]) else { panic!("it stays") };
    assert_eq!(write.action, Action::Delete);
    world.write(write);
    assert_eq!(world.plan(&[0, 1]), ProfilePlan::Nothing);
}

#[test]
fn a_split_that_goes_to_another_apex_takes_its_profile_along() {
    let mut world = World::new(None);
    world.carry(&[0, 1]);
    world.manage("emoji", "web-svc", 100);
    let ProfilePlan::Write(write) = world.plan(&[0, 1]) else { panic!("nothing for web-svc") };
    assert!(
        matches!(&write.action, Action::Create(_)) && write.profile.name.starts_with("web-svc.")
    );
    let Action::Create(body) = &write.action else { unreachable!() };
    let mut body = body.clone();
    body["metadata"]["resourceVersion"] = json!("5");
    let facts = ProfileFacts::read(&serde_json::from_value(body).unwrap());
    world.index.set_profile(write.profile, facts);
    let ProfilePlan::Write(write) = world.plan(&[0, 1]) else { panic!("the old one stays") };
    assert_eq!((&*write.profile.name, write.action), (PROFILE, Action::Delete));
}

#[test]
fn a_profile_of_the_domain_that_was_set_before_goes() {
    let mut world = World::new(None);
    world.carry(&[0, 1]);
    world.settings.cluster_domain = "k8s.example.com".into();
    let ProfilePlan::Write(write) = world.plan(&[0, 1]) else { panic!("none in the new domain") };
    let Action::Create(mut body) = write.action else { panic!("it is there") };
    body["metadata"]["resourceVersion"] = json!("5");
    let facts = ProfileFacts::read(&serde_json::from_value(body).unwrap());
    world.index.set_profile(write.profile, facts);
    let ProfilePlan::Write(write) = world.plan(&[0, 1]) else { panic!("the old one stays") };
    assert_eq!((&*write.profile.name, write.action), (PROFILE, Action::Delete));
}

#[test]
fn given_back_a_profile_has_the_splits_weights_and_nothing_of_ours() {
    let mut world = World::new(None);
    world.carry(&[0, 1]);
    let left = world.restored(&unmanaged([1, 0])).unwrap();
    assert_eq!(left["spec"]["dstOverrides"], overrides([1, 0]));
    assert_eq!(left["metadata"]["annotations"], json!({}));
    assert_eq!(left["metadata"]["labels"], json!({}));
    assert_eq!(left["metadata"]["ownerReferences"], json!([]));
    assert!(orphan(&world.index, &world.split, &world.settings).is_none());
}

#[test]
fn a_profile_that_was_made_here_goes_with_its_split_unless_others_have_written_into_it() {
    let mut world = World::new(None);
    world.carry(&[0, 1]);
    assert_eq!(world.restored(&UnmanagedSplit::Gone), None);

    let mut world = World::new(None);
    world.carry(&[0, 1]);
    world.profile.as_mut().unwrap()["spec"]["routes"] = users()["spec"]["routes"].clone();
    world.observe_profile();
    // Kubernetes would remove it with the split.
    let kept = world.carry(&[0, 1]);
    assert_eq!(kept["metadata"]["ownerReferences"], json!([]));
    let left = world.restored(&UnmanagedSplit::Gone).unwrap();
    assert_eq!(left["spec"], json!({"routes": users()["spec"]["routes"]}));
}

#[test]
fn what_another_installation_writes_is_not_ours_to_restore() {
    let mark = Mark::new("gone", "u", true, "elsewhere/linkerd-failover").to_annotation();
    let mut world = World::new(Some(json!({"metadata": {"annotations": {WRITTEN_FOR: mark}}})));
    world.index.remove_object(&world.split.clone());
    let gone = ObjectRef::new(Kind::TrafficSplit, ObjectKey::new(NAMESPACE, "gone"));
    assert!(orphan(&world.index, &gone, &world.settings).is_none());
    assert!(world.index.object_refs().contains(&gone), "it is looked at");
}
