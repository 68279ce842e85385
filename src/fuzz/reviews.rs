//! AdmissionReviews: from the bytes of a request to those of its answer.

use crate::engine::Defaults;
use crate::fuzz::documents::patched;
use crate::fuzz::input::Source;
use crate::fuzz::input::documents::{self as generated, NAMESPACE, Of};
use crate::fuzz::world::World;
use crate::index::shared_index::SharedIndex;
use crate::telemetry::{ReviewOutcome, ReviewPath};
use crate::webhook::handler::Handler;
use crate::webhook::response::{ReviewResponse, Reviewer, answer};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};
use std::cell::LazyCell;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Runtime;
use tokio::time::Instant;

const PATHS: [ReviewPath; 4] = [
    ReviewPath::Mutate,
    ReviewPath::Validate,
    ReviewPath::ServiceDeletion,
    ReviewPath::DeclaredDown,
];

thread_local! {
    /// They are made once: most of a run would be that.
    static WEBHOOK: LazyCell<Webhook> = LazyCell::new(Webhook::new);
}

/// The first byte chooses whether the rest is the body itself, or makes a likely one.
pub(super) fn run(input: &[u8]) {
    let Some((choice, rest)) = input.split_first() else { return };
    WEBHOOK.with(|webhook| match choice % 4 {
        0 => {
            let path = PATHS[usize::from(choice / 4) % PATHS.len()];
            webhook.checked(path, rest);
        }
        _ => webhook.check_edits(&mut Source::new(rest)),
    });
}

/// Handlers with the facts of several clusters.
struct Webhook {
    runtime: Runtime,
    handlers: Vec<Handler>,
}

/// An answer, as far as the checks below need it.
pub(super) struct Answer {
    pub(super) patch: Option<json_patch::Patch>,
}

/// Has none of the Services that are looked up.
fn client() -> kube::Client {
    let service = tower::service_fn(|_: axum::http::Request<kube::client::Body>| {
        let status = json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": 404,
            "reason": "NotFound", "message": "not found"});
        let answer = axum::http::Response::builder()
            .status(404)
            .body(axum::body::Body::from(status.to_string()));
        std::future::ready(answer)
    });
    kube::Client::new(service, "default")
}

impl Webhook {
    fn new() -> Self {
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
        let handlers = {
            let _context = runtime.enter();
            // Everything serves; and some of the other cases.
            let worlds: [&[u8]; 6] = [
                &[],
                &[1; 12],
                &[255; 12],
                &[3, 0, 1, 0, 3, 3, 1],
                &[0, 0, 0, 3, 0, 1, 2, 2, 1],
                &[2, 1, 1, 2, 0, 1],
            ];
            worlds.iter().map(|facts| handler(facts)).collect()
        };
        Self { runtime, handlers }
    }

    fn answered(&self, path: ReviewPath, body: &[u8], of: usize) -> ReviewResponse {
        let handler = &self.handlers[of % self.handlers.len()];
        if let Some(response) = handler.precheck(path, body) {
            return response;
        }
        self.runtime.block_on(answer(handler, path, body, Instant::now() + Duration::from_secs(60)))
    }

    /// The answer to any body, checked.
    fn checked(&self, path: ReviewPath, body: &[u8]) -> Option<Answer> {
        checked(path, body, &self.answered(path, body, 0))
    }

    /// An object is created, and edited; both as an API server asks of it.
    fn check_edits(&self, source: &mut Source<'_>) {
        let (first, later) = (source.below(8), source.below(8));
        let of = Of::any(source);
        let created = generated::any(source, of);
        let created = self.check_edit(source, of, first, created, None);
        if source.one_in(2) {
            return;
        }
        let mut old = created;
        if !old["metadata"].is_object() {
            return;
        }
        old["metadata"]["uid"] = json!("u");
        old["metadata"]["resourceVersion"] = json!("7");
        let new = edited(source, of, &old);
        self.check_edit(source, of, later, new, Some(&old));
    }

    /// The object as it is after the mutating webhook, which is called twice.
    fn check_edit(
        &self,
        source: &mut Source<'_>,
        of: Of,
        facts: usize,
        object: Value,
        old: Option<&Value>,
    ) -> Value {
        let mut review = review(source, of, &object, old);
        if source.one_in(12) {
            source.damage(&mut review);
        }
        let ask = |path, review: &Value| {
            let body = review.to_string().into_bytes();
            checked(path, &body, &self.answered(path, &body, facts))
        };
        twice(&mut review, ask);
        review.pointer_mut("/request/object").map_or(Value::Null, Value::take)
    }
}

/// Both webhooks are asked, and again with what the first has made of the object: then nothing changes.
pub(super) fn twice(review: &mut Value, ask: impl Fn(ReviewPath, &Value) -> Option<Answer>) {
    ask(ReviewPath::Validate, review);
    let Some(patch) = ask(ReviewPath::Mutate, review).and_then(|answer| answer.patch) else {
        return;
    };
    let old = &review["request"]["oldObject"];
    if !old.is_null() && !old["metadata"]["resourceVersion"].is_string() {
        // No API server sends such a one, and by its version a second call is known for what it is.
        return;
    }
    review["request"]["object"] = patched(&review["request"]["object"], &patch);
    let again = ask(ReviewPath::Mutate, review).and_then(|answer| answer.patch);
    assert!(again.is_none(), "a second call changes more: {patch:?}, then {again:?}, {review}");
    ask(ReviewPath::Validate, review);
}

fn handler(facts: &[u8]) -> Handler {
    let (shared, _) = SharedIndex::new();
    let World { index, selector, me, .. } = World::of(&mut Source::new(facts));
    shared.update(|shared| {
        *shared = index;
        vec![]
    });
    Handler {
        client: client(),
        shared,
        selector: Arc::new(selector),
        rules: Arc::default(),
        defaults: Defaults::default(),
        me,
    }
}

/// An edit by another manifest, as `kubectl apply`, a merge patch or `kubectl replace` sends it.
fn edited(source: &mut Source<'_>, of: Of, old: &Value) -> Value {
    let mut manifest = generated::any(source, of);
    if !manifest["metadata"].is_object() {
        return manifest;
    }
    let mut new = old.clone();
    new["spec"] = manifest["spec"].take();
    match source.below(4) {
        // A weight, a pin: all else stays.
        0 => {
            new["spec"] = old["spec"].clone();
            source.damage(&mut new["spec"]);
        }
        1 => new["metadata"]["annotations"] = manifest["metadata"]["annotations"].take(),
        2 => new["metadata"]["labels"] = manifest["metadata"]["labels"].take(),
        _ => {
            let given = manifest["metadata"]["annotations"].take();
            let text = manifest.to_string();
            if let Some(all) = new["metadata"]["annotations"].as_object_mut() {
                all.extend(given.as_object().cloned().unwrap_or_default());
                if source.one_in(2) {
                    all.insert(
                        "kubectl.kubernetes.io/last-applied-configuration".into(),
                        json!(text),
                    );
                }
            }
        }
    }
    new
}

fn review(source: &mut Source<'_>, of: Of, object: &Value, old: Option<&Value>) -> Value {
    let version = object["apiVersion"]
        .as_str()
        .and_then(|text| text.split_once('/'))
        .map_or("v1", |(_, v)| v);
    let kind = json!({"group": of.group(), "version": version, "kind": of.kind()});
    let mut request = json!({"uid": "705ab4f5", "kind": kind, "name": "emoji", "namespace": NAMESPACE,
        "operation": if old.is_some() { "UPDATE" } else { "CREATE" }, "object": object, "oldObject": old});
    if source.one_in(2) {
        let manager = source.pick(&["helm", "kubectl-client-side-apply", "linkerd-failover", ""]);
        request["options"] = json!({"fieldManager": manager, "force": true});
    }
    if source.one_in(4) {
        request["dryRun"] = json!(source.one_in(2));
    }
    if source.one_in(4) {
        request["requestKind"] =
            json!({"group": of.group(), "version": "v1alpha1", "kind": of.kind()});
    }
    json!({"kind": "AdmissionReview", "apiVersion": "admission.k8s.io/v1", "request": request})
}

/// Whatever the body, the answer is one that an API server takes, for this very request; none where the body
/// has no uid.
fn checked(path: ReviewPath, body: &[u8], response: &ReviewResponse) -> Option<Answer> {
    let sent: Option<Value> = serde_json::from_slice(body).ok();
    let uid = sent.as_ref().and_then(|sent| sent.pointer("/request/uid")?.as_str());
    assert_ne!(response.outcome, ReviewOutcome::Panicked, "the review panicked");
    let Ok(bytes) = &response.review else {
        assert_eq!(uid, None, "a request without an answer");
        return None;
    };
    let review: Value = serde_json::from_slice(bytes).expect("an answer in JSON");
    let object = sent.as_ref().and_then(|sent| sent.pointer("/request/object"));
    Some(checked_answer(path, uid, object, &review))
}

pub(super) fn checked_answer(
    path: ReviewPath,
    uid: Option<&str>,
    object: Option<&Value>,
    review: &Value,
) -> Answer {
    assert_eq!(review["kind"], "AdmissionReview");
    assert_eq!(review["apiVersion"], "admission.k8s.io/v1");
    let response = &review["response"];
    let answered = response["uid"].as_str();
    assert!(
        answered.is_some() && (uid.is_none() || uid == answered),
        "{uid:?} is answered as {answered:?}"
    );
    let allowed = response["allowed"].as_bool().expect("a verdict");
    let code = response["status"]["code"].as_u64();
    match allowed {
        true => assert_eq!(code, None),
        // On 422 and 409 clients delete the object.
        false => assert!(matches!(code, Some(403 | 500)), "denied with {code:?}"),
    }
    let patch = response["patch"].as_str().map(|text| {
        assert_eq!((path, &response["patchType"]), (ReviewPath::Mutate, &json!("JSONPatch")));
        let bytes = BASE64_STANDARD.decode(text).expect("a patch in base64");
        serde_json::from_slice::<json_patch::Patch>(&bytes).expect("a JSON patch")
    });
    if let Some(patch) = &patch {
        patched(object.expect("a patch of nothing"), patch);
    }
    assert!(patch.is_none() || allowed, "a patch beside a denial");
    Answer { patch }
}
