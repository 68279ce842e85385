//! Tokens of ServiceAccounts.

use crate::pod::Pod;
use anyhow::Context;
use k8s_openapi::api::authentication::v1::{TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::ServiceAccount;
use kube::api::{Api, PostParams};

/// What a token is for, and for how long.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Purpose<'a> {
    /// Who is to accept it; by default the API server.
    pub audience: Option<&'a str>,
    pub seconds: i64,
}

/// A token of the pod's ServiceAccount.
pub(crate) async fn token(
    client: &kube::Client,
    pod: &Pod,
    purpose: Purpose<'_>,
) -> anyhow::Result<String> {
    let accounts: Api<ServiceAccount> = Api::namespaced(client.clone(), &pod.namespace);
    let request = TokenRequest {
        spec: TokenRequestSpec {
            audiences: purpose.audience.into_iter().map(Into::into).collect(),
            expiration_seconds: Some(purpose.seconds),
            ..TokenRequestSpec::default()
        },
        ..TokenRequest::default()
    };
    let account = &pod.service_account;
    let answer = accounts
        .create_token_request(account, &PostParams::default(), &request)
        .await
        .with_context(|| format!("no token for ServiceAccount {}/{account}", pod.namespace))?;
    let status = answer.status.context("the token request has no answer")?;
    Ok(status.token)
}
