//! Annotations of the Lease, in which replicas record what the next leader has to know.

use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use kube::api::PostParams;
use kube::{Api, ResourceExt};

/// One annotation of the Lease, read past every cache and written beside the election.
#[derive(Clone)]
pub(crate) struct LeaseAnnotation {
    api: Api<Lease>,
    lease: String,
    name: &'static str,
    /// There is no election: the first write creates the Lease.
    creates: bool,
}

impl LeaseAnnotation {
    /// The annotation `name` of a Lease that the election creates.
    pub(crate) fn new(api: Api<Lease>, lease: String, name: &'static str) -> Self {
        Self { api, lease, name, creates: false }
    }

    /// The same, where no election creates the Lease.
    pub(crate) fn without_election(self) -> Self {
        Self { creates: true, ..self }
    }

    /// Whether no candidate uses this Lease: it is there for its annotations alone.
    pub(crate) fn is_without_election(&self) -> bool {
        self.creates
    }

    /// The name of the Lease.
    pub(crate) fn lease(&self) -> &str {
        &self.lease
    }

    /// Its committed value: the request has no resourceVersion, so that no cache answers it.
    pub(crate) async fn read(&self) -> kube::Result<Option<String>> {
        let lease = self.api.get_opt(&self.lease).await?;
        Ok(lease.and_then(|lease| self.value(&lease)))
    }

    /// Replaces the value by what `next` makes of it, or leaves it where that is none. Returns the value
    /// that stands afterwards.
    ///
    /// The leader renews the Lease meanwhile: on a conflict the value is read again, `attempts` times in
    /// all, and `next` is called with it.
    pub(crate) async fn update(
        &self,
        attempts: usize,
        mut next: impl FnMut(Option<&str>) -> Option<String>,
    ) -> kube::Result<Option<String>> {
        let mut attempt = 1;
        loop {
            let lease = self.lease_to_write().await?;
            let present = self.value(&lease);
            let Some(value) = next(present.as_deref()) else { return Ok(present) };
            match self.write(lease, value.clone()).await {
                Ok(()) => return Ok(Some(value)),
                Err(kube::Error::Api(status)) if status.code == 409 && attempt < attempts => {}
                Err(error) => return Err(error),
            }
            attempt += 1;
        }
    }

    /// The Lease as it is committed, or a new one where this replica creates it.
    async fn lease_to_write(&self) -> kube::Result<Lease> {
        if !self.creates {
            return self.api.get(&self.lease).await;
        }
        Ok(self.api.get_opt(&self.lease).await?.unwrap_or_else(|| {
            let mut lease = Lease { spec: Some(LeaseSpec::default()), ..Lease::default() };
            lease.metadata.name = Some(self.lease.clone());
            lease
        }))
    }

    async fn write(&self, mut lease: Lease, value: String) -> kube::Result<()> {
        lease.metadata.annotations.get_or_insert_default().insert(self.name.into(), value);
        let params = PostParams::default();
        match lease.metadata.resource_version {
            Some(_) => self.api.replace(&self.lease, &params, &lease).await,
            None => self.api.create(&params, &lease).await,
        }
        .map(drop)
    }

    fn value(&self, lease: &Lease) -> Option<String> {
        lease.annotations().get(self.name).cloned()
    }
}
