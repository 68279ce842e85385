//! The reasons and actions of Events: a contract, since people select Events by them.

/// Declares an enum whose variants have their names as text.
macro_rules! named {
    ($(#[doc = $of_all:literal])+ $enum:ident { $($(#[doc = $doc:literal])+ $name:ident,)+ }) => {
        $(#[doc = $of_all])+
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum $enum { $($(#[doc = $doc])+ $name,)+ }

        impl $enum {
            /// Every one of them, in the order of the declaration.
            #[cfg(test)]
            pub(crate) const ALL: &[Self] = &[$(Self::$name,)+];

            /// As it stands in an Event.
            pub(crate) fn as_str(self) -> &'static str {
                match self { $(Self::$name => stringify!($name),)+ }
            }
        }
    };
}

named! {
    /// Why an Event is published. The strings are a contract: dashboards and alerts select by them.
    EventReason {
        /// Traffic moved: a Warning where it left the primary, Normal where it returned.
        Failover,
        /// A write of weights failed and is tried again.
        FailoverRefused,
        /// Traffic should move and does not: paused, frozen, or stopped by the brake.
        FailoverHeld,
        /// A person has changed an object by a command: who, how, until when and why.
        ChangedByPerson,
        /// Weights that somebody wrote past the webhook are the author's from now on.
        WeightsTaken,
        /// Another writer keeps replacing the weights.
        WeightsUndone,
        /// An object cannot be read, or a part of it cannot.
        Unreadable,
        /// Rules of a route do not fail over until their author names their primaries.
        NoPrimary,
        /// Linkerd does not route by the object as it stands.
        RouteNotInUse,
        /// An object lacks something of the protection that is asked for, until it is applied again.
        ProtectionIncomplete,
        /// A backend does not serve a port that callers ask for.
        PortNotServed,
        /// No backend is ready: a Warning where that begins, Normal where it ends.
        NothingReady,
        /// The weights of a split do not reach Linkerd: its ServiceProfile is not ours to write.
        ProfileNotWritten,
        /// A write of a ServiceProfile failed and is tried again.
        ProfileRefused,
        /// Another writer keeps replacing the overrides in a ServiceProfile.
        ProfileUndone,
        /// A Service, or a whole linked cluster, is declared down: a Warning where that begins, Normal where it
        /// ends.
        DeclaredDown,
        /// What should declare a Service down cannot be read, and counts as absent.
        DeclaredDownUnreadable,
        /// A linked cluster cannot be reached; the health of its Services is unknown.
        RemoteUnreachable,
        /// A linked cluster was out of reach for too long; its Services count as down.
        RemoteDown,
        /// A linked cluster answers with a certificate that cannot be verified.
        RemoteUnverified,
        /// A linked cluster answers with errors.
        RemoteFailing,
        /// The credentials of a linked cluster are not used.
        RemoteRefused,
        /// A linked cluster is watched again.
        RemoteReachable,
        /// The program's own namespace lacks the label of a Linkerd extension.
        NamespaceNotLabelled,
        /// Linkerd's values, which have the failfast timeout of callers' proxies, are not known.
        LinkerdConfigNotKnown,
        /// Namespaces may not be read, so that what they ask for is not known.
        NamespacesNotRead,
        /// Fewer namespaces are managed than before.
        NamespacesLeft,
        /// An object has the label of a failover object, and its kind does not fail over.
        NotManaged,
        /// The selector no longer matches an object that still has our weights.
        LeftBehind,
        /// An alert changed nothing: its sender is not known or may not, it names no Service, or it was not written.
        AlertRefused,
        /// Alertmanager has not got the CA by which it trusts the webhook's certificate.
        AlertsCaNotPublished,
        /// Notifications are not delivered: a Warning where that begins, Normal where it ends.
        NotificationsNotDelivered,
    }
}

named! {
    /// What the program did when the reason occurred.
    EventAction {
        /// Moving traffic away from a primary, or restoring weights.
        Failover,
        /// Moving traffic back to the primary.
        Failback,
        /// Recording weights as the author's.
        Record,
        /// Reading an object.
        Read,
        /// Writing a ServiceProfile.
        Write,
        /// Watching a linked cluster.
        Watch,
        /// Labelling a namespace.
        Label,
        /// Taking alerts of Alertmanager.
        Receive,
        /// Sending notifications.
        Notify,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_and_actions_are_camel_case_within_what_the_api_takes() {
        let reasons = EventReason::ALL.iter().map(|reason| reason.as_str());
        for text in reasons.chain(EventAction::ALL.iter().map(|action| action.as_str())) {
            assert!(text.chars().all(|c| c.is_ascii_alphabetic()) && text.len() <= 128, "{text}");
            assert!(text.starts_with(|c: char| c.is_ascii_uppercase()), "{text}");
        }
    }
}
