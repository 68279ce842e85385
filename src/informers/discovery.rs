//! The version in which the cluster serves a kind, if it has the kind at all.

use crate::kinds::Kind;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::APIGroup;
use kube::Client;

/// The best version of a kind of failover object that the cluster serves and we read; none where
/// there is none.
pub(crate) async fn served_kind(client: &Client, kind: Kind) -> kube::Result<Option<&'static str>> {
    served(client, kind.group(), kind.plural(), kind.versions()).await
}

/// The versions of a kind that the cluster serves, whether we read them or not.
pub(crate) async fn other_versions(client: &Client, kind: Kind) -> kube::Result<Vec<String>> {
    let mut versions = vec![];
    for version in
        group_of(client, kind.group()).await?.map(|group| group.versions).unwrap_or_default()
    {
        if has_kind(client, kind.group(), &version.version, kind.plural()).await? {
            versions.push(version.version);
        }
    }
    Ok(versions)
}

/// The first of these versions in which the cluster serves a kind.
pub(crate) async fn served(
    client: &Client,
    group: &str,
    plural: &str,
    versions: &[&'static str],
) -> kube::Result<Option<&'static str>> {
    let Some(there) = group_of(client, group).await? else { return Ok(None) };
    for version in versions.iter().filter(|version| has_version(&there, version)) {
        // Not every kind of a group is in each of its versions.
        if has_kind(client, group, version, plural).await? {
            return Ok(Some(version));
        }
    }
    Ok(None)
}

/// Whether the cluster serves a kind in this version.
pub(crate) async fn serves(
    client: &Client,
    group: &str,
    plural: &str,
    version: &str,
) -> kube::Result<bool> {
    let there = group_of(client, group).await?;
    let there = there.is_some_and(|there| has_version(&there, version));
    Ok(there && has_kind(client, group, version, plural).await?)
}

fn has_version(group: &APIGroup, version: &str) -> bool {
    group.versions.iter().any(|there| there.version == version)
}

async fn has_kind(client: &Client, group: &str, version: &str, plural: &str) -> kube::Result<bool> {
    let list = client.list_api_group_resources(&format!("{group}/{version}")).await?;
    Ok(list.resources.iter().any(|resource| resource.name == plural))
}

/// A group as the cluster serves it; none where it does not have it. From the list of all groups, which only
/// an API server answers; a 404 for the group is the same plain text from a load balancer whose API server is
/// down.
async fn group_of(client: &Client, name: &str) -> kube::Result<Option<APIGroup>> {
    let all = client.list_api_groups().await?;
    if all.groups.is_empty() {
        let why = "the list of API groups is empty";
        return Err(kube::Error::Service(why.into()));
    }
    Ok(all.groups.into_iter().find(|group| group.name == name))
}
