//! A notification as a CloudEvent 1.0 in structured JSON.

use crate::notifications::notification::{Notification, NotificationData};
use jiff::Timestamp;
use serde::Serialize;

/// The media type of a CloudEvent in structured mode.
pub(super) const CONTENT_TYPE: &str = "application/cloudevents+json";

#[derive(Serialize)]
struct CloudEvent<'a> {
    specversion: &'static str,
    id: &'a str,
    source: &'a str,
    r#type: String,
    subject: String,
    time: Timestamp,
    datacontenttype: &'static str,
    data: Data<'a>,
}

#[derive(Serialize)]
struct Data<'a> {
    object: ObjectData<'a>,
    #[serde(flatten)]
    rest: &'a NotificationData,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ObjectData<'a> {
    api_version: &'a str,
    kind: &'a str,
    namespace: &'a str,
    name: &'a str,
    uid: &'a str,
}

impl Notification {
    /// The CloudEvent with this id, from this source.
    pub(super) fn to_json(&self, id: &str, source: &str) -> serde_json::Result<Vec<u8>> {
        let (key, resource) = (self.about.key(), self.about.api_resource());
        let object = ObjectData {
            api_version: &resource.api_version,
            kind: &resource.kind,
            namespace: &key.namespace,
            name: &key.name,
            uid: self.about.uid(),
        };
        let event = CloudEvent {
            specversion: "1.0",
            id,
            source,
            r#type: format!("io.linkerd.failover.{}.v1", self.what.as_str()),
            subject: format!("namespaces/{}/{}/{}", key.namespace, resource.plural, key.name),
            time: self.at,
            datacontenttype: "application/json",
            data: Data { object, rest: &self.data },
        };
        serde_json::to_vec(&event)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::notifications::notification::tests::failover;
    use crate::notifications::{HoldCause, SetData};
    use crate::telemetry::NotificationType;
    use serde_json::Value;

    #[test]
    fn a_failover_as_it_is_sent() {
        let notification = failover("web", 1_764_150_000);
        let json = notification.to_json(&notification.id(), "/clusters/east").unwrap();
        let json: Value = serde_json::from_slice(&json).unwrap();
        let expected = serde_json::json!({
            "specversion": "1.0",
            "id": notification.id(),
            "source": "/clusters/east",
            "type": "io.linkerd.failover.failover.v1",
            "subject": "namespaces/ns/trafficsplits/web",
            "time": "2025-11-26T09:40:00Z",
            "datacontenttype": "application/json",
            "data": {
                "object": {
                    "apiVersion": "split.smi-spec.io/v1alpha2",
                    "kind": "TrafficSplit",
                    "namespace": "ns",
                    "name": "web",
                    "uid": "a-uid",
                },
                "message": "Traffic of web moved from web to web-b: web: no endpoints",
                "sets": [
                    {"apexes": ["web"], "from": ["web"], "to": ["web-b"], "pinned": false},
                ],
            },
        });
        assert_eq!(json, expected);
    }

    /// The JSON blocks of the page, which has an example of each type, and the schema of `data`.
    fn documented() -> Vec<Value> {
        let page = include_str!("../../docs/notifications.md");
        let blocks = page.split("```json\n").skip(1).filter_map(|rest| rest.split("```").next());
        blocks.map(|block| serde_json::from_str(block).unwrap()).collect()
    }

    #[test]
    fn the_page_has_an_example_of_each_type_with_the_attributes_that_are_sent() {
        let notification = failover("web", 1_764_150_000);
        let sent = notification.to_json(&notification.id(), "/clusters/east").unwrap();
        let sent: Value = serde_json::from_slice(&sent).unwrap();
        let keys = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
        let documented = documented();
        let examples = || documented.iter().filter(|block| block["type"] != "object");
        let types: Vec<&str> = examples().filter_map(|example| example["type"].as_str()).collect();
        let known = NotificationType::ALL.iter();
        let known: Vec<_> =
            known.map(|what| format!("io.linkerd.failover.{}.v1", what.as_str())).collect();
        assert_eq!(types, known);
        for example in examples() {
            assert_eq!(keys(example), keys(&sent));
            assert_eq!(keys(&example["data"]["object"]), keys(&sent["data"]["object"]));
        }
        let first = examples().next().unwrap();
        assert_eq!(keys(&first["data"]), keys(&sent["data"]));
        assert_eq!(keys(&first["data"]["sets"][0]), keys(&sent["data"]["sets"][0]));
    }

    #[test]
    fn the_schema_on_the_page_names_everything_that_data_may_have() {
        let documented = documented();
        let schema = documented.iter().find(|block| block["type"] == "object").unwrap();
        let everything = NotificationData {
            message: "why".into(),
            cause: Some(HoldCause::Brake),
            sets: vec![SetData {
                rule: "0".into(),
                from: vec!["web".into()],
                ..SetData::default()
            }],
            by: Some("flagger".into()),
            times: Some(2),
            cluster: Some("west".into()),
        };
        let sent =
            Notification { data: everything, ..failover("web", 1) }.to_json("id", "/").unwrap();
        let sent: Value = serde_json::from_slice(&sent).unwrap();
        let names = |value: &Value| {
            let mut names: Vec<_> = value.as_object().unwrap().keys().cloned().collect();
            names.sort();
            names
        };
        let data = &schema["properties"];
        assert_eq!(names(data), names(&sent["data"]));
        assert_eq!(names(&data["object"]["properties"]), names(&sent["data"]["object"]));
        let set = &data["sets"]["items"]["properties"];
        assert_eq!(names(set), names(&sent["data"]["sets"][0]));
    }
}
