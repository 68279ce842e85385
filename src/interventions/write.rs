//! Writes patches as the person who runs a command: with the API server's warnings, and again on a conflict.

use crate::interventions::edit::Changed;
use crate::kinds::one_line::one_line;
use crate::kinds::{CLI_MANAGER, Edit, get_known};
use http::HeaderMap;
use k8s_openapi::api::authentication::v1::SelfSubjectReview;
use kube::api::{Patch, PatchParams, PostParams};
use kube::client::Body;
use kube::core::{Request, Status};
use kube::{Api, Client, Resource};
use serde::de::DeserializeOwned;
use std::fmt::Debug;
use std::time::Duration;

/// How often a write that meets a conflict is decided again.
const ATTEMPTS: u32 = 8;
const FIRST_PAUSE: Duration = Duration::from_millis(50);

/// What the API server answered to a write.
#[derive(Debug)]
pub(crate) struct Written<K> {
    /// As it is now, or would be; none where nothing had to be written.
    pub object: Option<K>,
    pub warnings: Vec<String>,
}

/// Why nothing was written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WriteError {
    #[error("there is no such object any more")]
    Gone,
    #[error("somebody else changed it each of {ATTEMPTS} times; try again")]
    Conflicts,
    /// What the write was decided by is not there any more.
    #[error("somebody else changed it meanwhile: {0}")]
    Changed(String),
    /// With the warnings that came with it.
    #[error("{}", .0)]
    Failed(kube::Error, Vec<String>),
}

impl From<kube::Error> for WriteError {
    fn from(error: kube::Error) -> Self {
        Self::Failed(error, vec![])
    }
}

impl From<Changed> for WriteError {
    fn from(Changed(what): Changed) -> Self {
        Self::Changed(what)
    }
}

impl WriteError {
    /// Whether it may have been written all the same: the API server has not refused it.
    pub(crate) fn is_unanswered(&self) -> bool {
        match self {
            Self::Failed(kube::Error::Api(status), _) => status.code >= 500,
            Self::Failed(..) => true,
            Self::Gone | Self::Conflicts | Self::Changed(_) => false,
        }
    }

    /// The denial of an admission webhook or policy, as the API server reports it.
    pub(crate) fn denial(&self) -> Option<&Status> {
        match self {
            Self::Failed(kube::Error::Api(status), _) if is_denial(&status.message) => Some(status),
            _ => None,
        }
    }
}

/// Whether a patch was made for an older version: 409 by its guard, or 422 where what it removes has gone
/// already, which is found before the guard is looked at. A schema says which field it refuses.
pub(crate) fn is_outdated(error: &kube::Error) -> bool {
    const NOT_APPLIED: &str = "the server rejected our request due to an error in our request";
    let kube::Error::Api(status) = error else { return false };
    status.code == 409 || status.code == 422 && status.message.contains(NOT_APPLIED)
}

fn is_denial(message: &str) -> bool {
    message.contains("denied the request") || message.contains("denied request")
}

/// Patches the newest version of an object by what `edit` makes of it; on a conflict it is read again, and `edit`
/// decides again whether that version may be written to. With `dry_run` the API server stores nothing.
pub(crate) async fn write<K>(
    client: &Client,
    api: &Api<K>,
    name: &str,
    dry_run: bool,
    edit: impl Fn(&K) -> Result<Option<Edit>, WriteError>,
) -> Result<Written<K>, WriteError>
where
    K: Resource + Clone + DeserializeOwned + Debug,
{
    let mut pause = FIRST_PAUSE;
    for _ in 0..ATTEMPTS {
        let object = get_known(api, name).await?.ok_or(WriteError::Gone)?;
        let Some(edit) = edit(&object)? else {
            return Ok(Written { object: None, warnings: vec![] });
        };
        match patch(client, api, name, dry_run, edit).await {
            Err(WriteError::Failed(error, _)) if is_outdated(&error) => {}
            Ok((object, warnings)) => return Ok(Written { object: Some(object), warnings }),
            Err(error) => return Err(error),
        }
        tokio::time::sleep(pause.mul_f64(0.5 + fastrand::f64())).await;
        pause *= 2;
    }
    Err(WriteError::Conflicts)
}

async fn patch<K: Resource, T: DeserializeOwned>(
    client: &Client,
    api: &Api<K>,
    name: &str,
    dry_run: bool,
    edit: Edit,
) -> Result<(T, Vec<String>), WriteError> {
    let params =
        PatchParams { field_manager: Some(CLI_MANAGER.into()), dry_run, ..Default::default() };
    let patch = Patch::<()>::Json(edit.into_patch());
    let request = Request::new(api.resource_url()).patch(name, &params, &patch);
    let request = request.map_err(kube::Error::BuildRequest)?.map(Body::from);
    let response = client.send(request).await?;
    let warnings = warnings(response.headers());
    let is_success = response.status().is_success();
    let code = response.status().as_u16();
    let body = response.into_body().collect_bytes().await?;
    if is_success {
        let object = serde_json::from_slice(&body).map_err(kube::Error::SerdeError)?;
        return Ok((object, warnings));
    }
    Err(WriteError::Failed(error_of(&body, code), warnings))
}

/// The error that an API server, or whatever stands before it, answered with.
fn error_of(body: &[u8], code: u16) -> kube::Error {
    let unreadable = || {
        let text: String = String::from_utf8_lossy(body).chars().take(200).collect();
        Status::failure(&text, "no answer of an API server").with_code(code)
    };
    let status = serde_json::from_slice::<Status>(body).unwrap_or_else(|_| unreadable());
    kube::Error::Api(status.boxed())
}

/// The texts of the headers `Warning: 299 - "text"`.
fn warnings(headers: &HeaderMap) -> Vec<String> {
    let values = headers.get_all("warning").iter().filter_map(|value| value.to_str().ok());
    values.filter_map(warning_text).collect()
}

fn warning_text(value: &str) -> Option<String> {
    let (_, quoted) = value.split_once('"')?;
    let (mut text, mut escaped) = (String::new(), false);
    for c in quoted.chars() {
        match c {
            '\\' if !escaped => escaped = true,
            '"' if !escaped => break,
            other => {
                text.push(other);
                escaped = false;
            }
        }
    }
    Some(text)
}

/// Who the API server takes the person for who runs a command.
pub(crate) async fn person(client: &Client) -> kube::Result<String> {
    let api: Api<SelfSubjectReview> = Api::all(client.clone());
    let review = api.create(&PostParams::default(), &SelfSubjectReview::default()).await?;
    let user = review.status.and_then(|status| status.user_info);
    let name = user.and_then(|user| user.username).filter(|name| !name.is_empty());
    Ok(name.map_or("an unnamed user".into(), |name| one_line(&name).into_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_warning_is_read_as_the_api_server_quotes_it() {
        let mut headers = HeaderMap::new();
        for value in [r#"299 - "a pin \"wins\" over health""#, r#"299 - "second" "date""#, "x"] {
            headers.append("warning", value.parse().unwrap());
        }
        assert_eq!(warnings(&headers), [r#"a pin "wins" over health"#, "second"]);
    }

    #[test]
    fn a_denial_is_told_from_a_right_that_is_missing() {
        let denial = |message: &str| {
            let status = Status::failure(message, "Forbidden").with_code(403);
            WriteError::from(kube::Error::Api(status.boxed())).denial().is_some()
        };
        assert!(denial("admission webhook \"validate.x\" denied the request: no"));
        assert!(denial(
            "trafficsplits \"e\" is forbidden: ValidatingAdmissionPolicy 'p' with binding 'b' denied request: no"
        ));
        assert!(!denial("trafficsplits \"emoji\" is forbidden: User \"x\" cannot patch"));
    }

    #[test]
    fn a_patch_that_does_not_fit_any_more_is_made_again_and_a_refused_field_is_not() {
        let outdated = |code: u16, message: &str| {
            let status = Status::failure(message, "Invalid").with_code(code);
            is_outdated(&kube::Error::Api(status.boxed()))
        };
        assert!(outdated(409, "the object has been modified"));
        assert!(outdated(422, "the server rejected our request due to an error in our request"));
        assert!(!outdated(422, "TrafficSplit \"emoji\" is invalid: spec.service: Required value"));
        assert!(!outdated(403, "forbidden"));
    }

    #[test]
    fn what_is_no_answer_of_an_api_server_is_an_error_with_its_code() {
        let error = error_of(b"<html>bad gateway</html>", 502);
        let kube::Error::Api(status) = error else { panic!("{error}") };
        assert_eq!((status.code, status.message.as_str()), (502, "<html>bad gateway</html>"));
    }
}
