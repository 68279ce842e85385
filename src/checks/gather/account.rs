//! What the program's ServiceAccount may do.

use super::{REVIEWS, not_known};
use crate::checks::access::Access;
use crate::checks::account_access::of_account;
use crate::checks::facts::Asked;
use crate::kinds::Kind;
use crate::snapshot::Settings;
use futures::{StreamExt, stream};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::authorization::v1::{SubjectAccessReview, SubjectAccessReviewSpec};
use kube::api::PostParams;
use kube::{Api, Client};

/// What it may not, of all that it needs.
pub(super) async fn denied(
    client: &Client,
    settings: &Settings,
    deployment: Option<&Deployment>,
    kinds: &[Kind],
) -> Asked<Vec<Access>> {
    let pod = deployment.and_then(|d| d.spec.as_ref()?.template.spec.as_ref());
    let account = pod.and_then(|pod| pod.service_account_name.as_deref()).unwrap_or("default");
    let namespace = &settings.installation.namespace;
    let (user, groups) =
        (format!("system:serviceaccount:{namespace}:{account}"), groups(namespace));
    if deployment.is_none() {
        return Ok(vec![]);
    }
    let asked = of_account(settings, kinds).into_iter().map(async |access| {
        let spec = SubjectAccessReviewSpec {
            user: Some(user.clone()),
            groups: Some(groups.clone()),
            resource_attributes: Some(access.attributes()),
            ..SubjectAccessReviewSpec::default()
        };
        let review = SubjectAccessReview { spec, ..SubjectAccessReview::default() };
        let reviews: Api<SubjectAccessReview> = Api::all(client.clone());
        let answer = reviews.create(&PostParams::default(), &review).await;
        let answer = answer.map_err(|error| not_known(&error))?;
        let is_allowed = answer.status.is_some_and(|status| status.allowed);
        Ok((!is_allowed).then_some(access))
    });
    let denied: Vec<Asked<Option<Access>>> = stream::iter(asked).buffered(REVIEWS).collect().await;
    let denied: Asked<Vec<Option<Access>>> = denied.into_iter().collect();
    Ok(denied?.into_iter().flatten().collect())
}

/// Those of every ServiceAccount.
fn groups(namespace: &str) -> Vec<String> {
    let own = format!("system:serviceaccounts:{namespace}");
    ["system:serviceaccounts", &own, "system:authenticated"].map(str::to_owned).to_vec()
}
