//! The answers of a linked cluster's API server, as distinct from those of a proxy before it.
//!
//! kube takes any response with an error status for one of Kubernetes: the page of a load balancer whose API
//! server is down would count as an answer of the API server.

use axum::body::{Body, to_bytes};
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue, Response};
use kube::client::DynBody;
use serde::Deserialize;
use serde_json::json;
use thiserror::Error;
use tower::BoxError;

/// Longer than any `Status` of an API server.
const LONGEST: usize = 256 * 1024;

/// Headers that the API server's priority and fairness writes into every response; also into those whose
/// body is no `Status`, as most with 429.
const KUBERNETES: &str = "x-kubernetes-pf-";

/// A response that shows no sign of an API server.
#[derive(Debug, Error)]
#[error("an answer that is not Kubernetes' ({code})")]
pub(crate) struct Foreign {
    pub code: u16,
}

/// The fields that every `Status` has. kube's own type reads any JSON object.
#[derive(Deserialize)]
struct Status {
    kind: String,
    code: u16,
}

/// Passes errors of Kubernetes, as a `Status` each, and turns all others into [`Foreign`].
pub(crate) async fn classify(response: Response<Box<DynBody>>) -> Result<Response<Body>, BoxError> {
    let (mut head, body) = response.into_parts();
    let body = Body::new(body);
    if !head.status.is_client_error() && !head.status.is_server_error() {
        return Ok(Response::from_parts(head, body));
    }
    let code = head.status.as_u16();
    let is_kubernetes = is_by_headers(&head.headers);
    let read = match to_bytes(body, LONGEST).await {
        Ok(read) => read,
        Err(_) if is_kubernetes => Default::default(),
        Err(error) => return Err(error.into_inner()),
    };
    if is_status(&read) {
        return Ok(Response::from_parts(head, Body::from(read)));
    }
    if !is_kubernetes {
        return Err(Box::new(Foreign { code }));
    }
    let status = json!({"apiVersion": "v1", "kind": "Status", "status": "Failure", "code": code});
    head.headers.clear();
    head.headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Ok(Response::from_parts(head, Body::from(status.to_string())))
}

fn is_by_headers(headers: &HeaderMap) -> bool {
    headers.keys().any(|name| name.as_str().starts_with(KUBERNETES))
}

fn is_status(body: &[u8]) -> bool {
    let read = serde_json::from_slice::<Status>(body);
    read.is_ok_and(|status| status.kind == "Status" && status.code >= 400)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_has_a_kind_and_a_code() {
        for (body, is) in [
            (
                r#"{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"x","code":503}"#,
                true,
            ),
            (r#"{"kind":"Status","code":429}"#, true),
            (r#"{"kind":"Status"}"#, false),
            (r#"{"kind":"Status","code":0}"#, false),
            (r#"{"kind":"Status","code":"503"}"#, false),
            (r#"{"code":503,"message":"no healthy upstream"}"#, false),
            (r#"{"kind":"Error","code":503}"#, false),
            ("{}", false),
            ("[]", false),
            ("", false),
            ("<html>503</html>", false),
            ("\u{feff}{}", false),
        ] {
            assert_eq!(is_status(body.as_bytes()), is, "{body}");
        }
        assert!(!is_status(b"\xff\xfe"));
    }
}
