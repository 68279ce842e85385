//! In which version the cluster serves a kind, if it has it at all.

use crate::resources::Kind;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::APIGroup;
use kube::Client;

/// The best version of a kind of failover object that the cluster serves and we read; none where
/// there is none.
pub async fn served_kind(client: &Client, kind: Kind) -> kube::Result<Option<&'static str>> {
    served(client, kind.group(), kind.plural(), kind.versions()).await
}

/// The first of these versions in which the cluster serves a kind.
pub async fn served(
    client: &Client,
    group: &str,
    plural: &str,
    versions: &[&'static str],
) -> kube::Result<Option<&'static str>> {
    let Some(there) = group_of(client, group).await? else { return Ok(None) };
    let serves = |version: &&&'static str| there.versions.iter().any(|v| v.version == **version);
    for version in versions.iter().filter(serves) {
        // Not every kind of a group is in each of its versions.
        match client.list_api_group_resources(&format!("{group}/{version}")).await {
            Ok(list) if list.resources.iter().any(|r| r.name == plural) => {
                return Ok(Some(version));
            }
            Ok(_) => {}
            // It has gone since.
            Err(kube::Error::Api(status)) if status.code == 404 => {}
            Err(error) => return Err(error),
        }
    }
    Ok(None)
}

/// What the cluster says of a group; none where it does not have it.
async fn group_of(client: &Client, name: &str) -> kube::Result<Option<APIGroup>> {
    let request = http::Request::get(format!("/apis/{name}"));
    let request = request.body(vec![]).map_err(kube::Error::HttpError)?;
    match client.request(request).await {
        Ok(group) => Ok(Some(group)),
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(None),
        Err(error) => Err(error),
    }
}
