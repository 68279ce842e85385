//! What the Lease records of the brake, for every replica and for the next leader.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// Version of the JSON shape that this program writes and reads.
const VERSION: u32 = 1;

/// The content of `failover.linkerd.io/brake` on the Lease: the last time that the brake held.
///
/// Unknown fields are ignored; another `v` is not read at all. All times go by a wall clock.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct BrakeRecord {
    /// Version of this shape.
    pub v: u32,
    /// Grows with each write: of two records the newer one is known by it, in whichever order
    /// answers arrive.
    pub n: u64,
    /// Since when it holds, or held last. It names the hold, too.
    pub since: Option<Timestamp>,
    /// The release that stood on the namespace at that time: it was meant for an earlier hold.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub standing: Option<Timestamp>,
    /// When it ended; absent while it holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<Timestamp>,
    /// The release that ended it; absent where the primaries were back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub released: Option<Timestamp>,
    /// The replica that wrote it.
    #[serde(default)]
    pub by: String,
}

impl Default for BrakeRecord {
    fn default() -> Self {
        Self {
            v: VERSION,
            n: 0,
            since: None,
            standing: None,
            ended: None,
            released: None,
            by: String::new(),
        }
    }
}

impl BrakeRecord {
    /// The brake begins to hold.
    pub(crate) fn engaged(&self, now: Timestamp, standing: Option<Timestamp>) -> Self {
        let since = Some(to_the_millisecond(now));
        Self { n: self.n, since, standing, ..Self::default() }
    }

    /// It holds no more.
    pub(crate) fn ended(&self, now: Timestamp, released: Option<Timestamp>) -> Self {
        Self { ended: Some(to_the_millisecond(now)), released, ..self.clone() }
    }

    /// Since when it holds.
    pub(crate) fn holds_since(&self) -> Option<Timestamp> {
        self.since.filter(|_| self.ended.is_none())
    }

    /// Whether it says the same, whoever wrote it.
    pub(crate) fn has_same_content_as(&self, other: &Self) -> bool {
        let story = |r: &Self| (r.since, r.standing, r.ended, r.released);
        story(self) == story(other)
    }

    /// The record in the annotation. One that cannot be read counts as absent: it is ours, and is
    /// written again.
    pub(crate) fn parse(annotation: Option<&str>) -> Self {
        let record = annotation.and_then(|text| serde_json::from_str(text).ok());
        record.filter(|record: &Self| record.v == VERSION).unwrap_or_default()
    }

    /// The content of the annotation.
    pub(crate) fn to_json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }
}

fn to_the_millisecond(at: Timestamp) -> Timestamp {
    Timestamp::from_millisecond(at.as_millisecond()).unwrap_or(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_reads_back_as_it_was_written() {
        let at = Timestamp::UNIX_EPOCH;
        let record =
            BrakeRecord { n: 7, by: "a".into(), ..BrakeRecord::default().engaged(at, Some(at)) };
        for record in [record.ended(at, Some(at)), record, BrakeRecord::default()] {
            assert_eq!(BrakeRecord::parse(Some(&record.to_json())), record);
        }
    }

    #[test]
    fn what_cannot_be_read_is_as_if_absent_and_what_is_newer_is_ignored() {
        for text in ["", "{", "null", "[]", r#"{"v":2,"n":1}"#, r#"{"v":1}"#] {
            assert_eq!(BrakeRecord::parse(Some(text)), BrakeRecord::default(), "{text}");
        }
        assert_eq!(BrakeRecord::parse(None), BrakeRecord::default());
        assert_eq!(BrakeRecord::parse(Some(r#"{"v":1,"n":3,"later":true}"#)).n, 3);
    }
}
