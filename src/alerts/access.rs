//! Whether the sender of an alert may patch its Service, by a SubjectAccessReview. It is asked every time:
//! a right that is taken away ends at once.

use crate::kinds::ObjectKey;
use k8s_openapi::api::authentication::v1::UserInfo;
use k8s_openapi::api::authorization::v1::{
    ResourceAttributes, SubjectAccessReview, SubjectAccessReviewSpec,
};
use kube::api::PostParams;
use kube::{Api, Client};

/// Whether a user may patch a Service.
pub(super) async fn may_patch(
    client: &Client,
    user: &UserInfo,
    service: &ObjectKey,
) -> kube::Result<bool> {
    let api: Api<SubjectAccessReview> = Api::all(client.clone());
    let reviewed = api.create(&PostParams::default(), &review(user, service)).await?;
    Ok(reviewed.status.is_some_and(|status| status.allowed && status.denied != Some(true)))
}

/// All that the token's review says of the user counts: an authorizer may decide by any of it.
fn review(user: &UserInfo, service: &ObjectKey) -> SubjectAccessReview {
    let resource = ResourceAttributes {
        group: Some(String::new()),
        version: Some("v1".into()),
        resource: Some("services".into()),
        namespace: Some(service.namespace.to_string()),
        name: Some(service.name.to_string()),
        verb: Some("patch".into()),
        ..ResourceAttributes::default()
    };
    let UserInfo { username, groups, uid, extra } = user.clone();
    let resource_attributes = Some(resource);
    let spec = SubjectAccessReviewSpec {
        user: username,
        groups,
        uid,
        extra,
        resource_attributes,
        ..SubjectAccessReviewSpec::default()
    };
    SubjectAccessReview { spec, ..SubjectAccessReview::default() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_review_asks_with_all_that_is_known_of_the_user_about_this_one_service() {
        let user = json!({
            "username": "system:serviceaccount:monitoring:alertmanager",
            "uid": "4f2c",
            "groups": ["system:serviceaccounts"],
            "extra": {"authentication.kubernetes.io/pod-name": ["alertmanager-0"]},
        });
        let user: UserInfo = serde_json::from_value(user).unwrap();
        let review = review(&user, &ObjectKey::new("emojivoto", "emoji-svc"));
        insta::assert_json_snapshot!(review.spec, @r#"
        {
          "extra": {
            "authentication.kubernetes.io/pod-name": [
              "alertmanager-0"
            ]
          },
          "groups": [
            "system:serviceaccounts"
          ],
          "resourceAttributes": {
            "group": "",
            "name": "emoji-svc",
            "namespace": "emojivoto",
            "resource": "services",
            "verb": "patch",
            "version": "v1"
          },
          "uid": "4f2c",
          "user": "system:serviceaccount:monitoring:alertmanager"
        }
        "#);
    }
}
