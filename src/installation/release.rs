//! Gives an object back to its author.

use crate::housekeeping::leftover_weights::LeftoverWeights;
use crate::installation::local_release::{disclaim, is_released, label_of, release_here, unlabel};
use crate::interventions::write::{WriteError, Written, write};
use crate::kinds::{CLI_MANAGER, ObjectRef};
use crate::snapshot::{Settings, Snapshot};
use kube::core::DynamicObject;
use kube::{Api, Client, ResourceExt};
use std::cell::RefCell;
use std::time::{Duration, Instant};

/// Of our webhooks, in the answer of an API server that has asked one in vain.
const WEBHOOK: &str = ".failover.linkerd.io";

/// Everything that objects are released by.
pub(crate) struct Release<'a> {
    pub client: &'a Client,
    pub snapshot: &'a Snapshot,
    pub settings: &'a Settings,
    /// Nothing is stored.
    pub dry_run: bool,
    /// The webhooks have just been removed: an API server has forgotten them then.
    pub forgotten: Instant,
}

/// How an object was released.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum By {
    Webhook,
    /// No replica runs.
    Here,
    /// It was not managed any more.
    Nobody,
}

/// Why an object was not released.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NotReleased {
    #[error("no label of it has it managed, by {0}: change the selector, or delete the object")]
    NoLabel(String),
    #[error(
        "no replica runs, and the API server asks the webhook all the same; start one, or delete the webhook configurations as `uninstall` does"
    )]
    NobodyAnswers,
    /// The webhook looked at a trial, and not at the write itself.
    #[error("{0}")]
    LeftBehind(String),
    #[error(transparent)]
    Write(#[from] WriteError),
}

fn is_unanswered(message: &str) -> bool {
    message.contains("failed calling webhook") && message.contains(WEBHOOK)
}

impl Release<'_> {
    /// Releases an object, and gives the warnings of that.
    pub(crate) async fn release(
        &self,
        object: &ObjectRef,
    ) -> Result<(By, Vec<String>), NotReleased> {
        loop {
            match self.try_to(object).await {
                Err(NotReleased::NobodyAnswers) if Instant::now() < self.forgotten => {
                    tokio::time::sleep(Duration::from_millis(500)).await;
                }
                other => return other,
            }
        }
    }

    async fn try_to(&self, object: &ObjectRef) -> Result<(By, Vec<String>), NotReleased> {
        let (by, written) = match self.by_webhook(object).await? {
            Some(written) => (By::Webhook, written),
            None => (By::Here, self.here(object).await?),
        };
        let Written { object: released, mut warnings } = written;
        let Some(released) = released else { return Ok((By::Nobody, warnings)) };
        if !self.dry_run {
            let selector = &self.settings.watch.selector;
            if let Some(left) = LeftoverWeights::read(object, &released, selector) {
                return Err(NotReleased::LeftBehind(left.full()));
            }
            warnings.extend(self.disclaim(object).await);
        }
        Ok((by, warnings))
    }

    /// Gives up what the write has claimed of `spec`: who applies server-side would meet a conflict. A write that
    /// changes `spec` cannot give it up itself.
    async fn disclaim(&self, object: &ObjectRef) -> Option<String> {
        let selector = &self.settings.watch.selector;
        let edit = |found: &DynamicObject| {
            let is_managed = selector.matches(found.labels());
            Ok(disclaim(object.kind, found).filter(|_| !is_managed))
        };
        match write(self.client, &self.api(object), object.name(), false, edit).await {
            Ok(_) | Err(WriteError::Gone) => None,
            Err(error) => Some(format!(
                "{object}: {CLI_MANAGER} still owns its weights, so that who applies it server-side meets a conflict ({error})"
            )),
        }
    }

    /// None where no webhook has looked at it.
    async fn by_webhook(
        &self,
        object: &ObjectRef,
    ) -> Result<Option<Written<DynamicObject>>, NotReleased> {
        let tried = self.unlabel(object, true).await?;
        match &tried.object {
            Some(unlabelled) if !is_released(unlabelled) => Ok(None),
            Some(_) if !self.dry_run => Ok(Some(self.unlabel(object, false).await?)),
            _ => Ok(Some(tried)),
        }
    }

    async fn unlabel(
        &self,
        object: &ObjectRef,
        dry_run: bool,
    ) -> Result<Written<DynamicObject>, NotReleased> {
        let is_unlabelled = RefCell::new(None);
        let edit = |found: &DynamicObject| {
            let label = self.label(found, &is_unlabelled);
            Ok(label.map(|label| unlabel(found, &label)))
        };
        let written = write(self.client, &self.api(object), object.name(), dry_run, edit).await;
        self.known(written, is_unlabelled.into_inner())
    }

    /// By the admission code of this program.
    async fn here(&self, object: &ObjectRef) -> Result<Written<DynamicObject>, NotReleased> {
        let (no_label, notes) = (RefCell::new(None), RefCell::new(vec![]));
        let rules = self.settings.rules.clone().unwrap_or_default();
        let looked_up = self.snapshot.lookups(object);
        let mut view = self.snapshot.view(object, &looked_up, &rules, self.settings);
        view.takes_text = self.version(object) == "v1alpha1";
        view.manager = Some(CLI_MANAGER);
        let edit = |found: &DynamicObject| {
            let Some(label) = self.label(found, &no_label) else { return Ok(None) };
            let released = release_here(found, &label, &view);
            let (edit, of_admission) = released.map_err(kube::Error::SerdeError)?;
            notes.replace(of_admission);
            Ok(Some(edit))
        };
        let api = self.api(object);
        let written = write(self.client, &api, object.name(), self.dry_run, edit).await;
        let mut written = self.known(written, no_label.into_inner())?;
        written.warnings.extend(notes.into_inner());
        Ok(written)
    }

    /// The label that comes off; none where the object is not managed, or has no such label.
    fn label(
        &self,
        found: &DynamicObject,
        missing: &RefCell<Option<NotReleased>>,
    ) -> Option<String> {
        let selector = &self.settings.watch.selector;
        if !selector.matches(found.labels()) {
            return None;
        }
        let label = label_of(found.labels(), selector);
        if label.is_none() {
            missing.replace(Some(NotReleased::NoLabel(selector.as_str().to_owned())));
        }
        label
    }

    fn known(
        &self,
        written: Result<Written<DynamicObject>, WriteError>,
        missing: Option<NotReleased>,
    ) -> Result<Written<DynamicObject>, NotReleased> {
        match (written, missing) {
            (_, Some(missing)) => Err(missing),
            (Err(WriteError::Failed(kube::Error::Api(status), _)), _)
                if is_unanswered(&status.message) =>
            {
                Err(NotReleased::NobodyAnswers)
            }
            // What has gone needs nothing.
            (Err(WriteError::Gone), _) => Ok(Written { object: None, warnings: vec![] }),
            (written, None) => Ok(written?),
        }
    }

    fn version(&self, object: &ObjectRef) -> &'static str {
        self.snapshot.index.served(object.kind).unwrap_or(object.kind.versions()[0])
    }

    fn api(&self, object: &ObjectRef) -> Api<DynamicObject> {
        let resource = object.kind.api_resource(self.version(object));
        Api::namespaced_with(self.client.clone(), object.namespace(), &resource)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_webhook_of_ours_that_does_not_answer_lacks_a_replica() {
        let asked = |webhook: &str| {
            is_unanswered(&format!("Internal error occurred: failed calling webhook \"{webhook}\""))
        };
        assert!(asked("validate.failover.linkerd.io"));
        assert!(!asked("linkerd-policy-validator.linkerd.io"));
    }
}
