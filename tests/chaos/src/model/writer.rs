//! Who made a change of an object, by its managedFields.

use crate::model::object::PROGRAM;
use serde_json::Value;

/// Who wrote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Writer {
    /// The program itself.
    Program,
    /// Somebody else, by the name of the field manager.
    Other(String),
    /// It does not show: two writes within one second look alike, but for who owns the weights.
    Unknown,
}

/// Where the weights are: lists that are owned as a whole, by who wrote them last.
const LISTS: [&str; 2] = ["backends", "rules"];

/// Who made `after` of `before`. The API server gives the manager's entry a new time where its fields changed,
/// to the second: within one, replicas can fight several times, and who owns the weights tells.
pub fn writer(before: Option<&Value>, after: &Value) -> Writer {
    let entries = |object: &Value| -> Vec<Value> {
        object["metadata"]["managedFields"].as_array().cloned().unwrap_or_default()
    };
    let known = before.map(entries).unwrap_or_default();
    let now = entries(after);
    let of = |entry: &Value| {
        (entry["manager"].clone(), entry["operation"].clone(), entry["subresource"].clone())
    };
    let time_before = |entry: &Value| {
        known.iter().find(|old| of(old) == of(entry)).map(|old| old["time"].clone())
    };
    let changed: Vec<&Value> =
        now.iter().filter(|entry| time_before(entry) != Some(entry["time"].clone())).collect();
    let named = |entry: &Value| match entry["manager"].as_str().unwrap_or_default() {
        PROGRAM => Writer::Program,
        other => Writer::Other(other.to_owned()),
    };
    let wrote = match changed.as_slice() {
        [one] => Some(*one),
        [] => before.and_then(|before| owner_of_changed_weights(before, after, &now)),
        _ => None,
    };
    wrote.map_or(Writer::Unknown, named)
}

/// The only one of these entries that owns a list of weights which has changed; none also where somebody only takes
/// an annotation away.
fn owner_of_changed_weights<'a>(
    before: &Value,
    after: &Value,
    entries: &'a [Value],
) -> Option<&'a Value> {
    let is_changed = |list: &str| before["spec"][list] != after["spec"][list];
    let owns = |entry: &&Value| {
        let mut changed = LISTS.iter().filter(|list| is_changed(list));
        changed.any(|list| entry["fieldsV1"]["f:spec"][format!("f:{list}")].is_object())
    };
    let mut owners = entries.iter().filter(owns);
    owners.next().filter(|_| owners.next().is_none())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn object(entries: &[(&str, &str)]) -> Value {
        let entries: Vec<_> = entries
            .iter()
            .map(|(manager, second)| json!({ "manager": manager, "operation": "Update", "time": second }))
            .collect();
        json!({ "metadata": { "managedFields": entries } })
    }

    #[test]
    fn the_writer_is_the_manager_whose_entry_has_another_time() {
        let before = object(&[("kubectl", "1"), (PROGRAM, "1")]);
        let wrote = |entries| writer(Some(&before), &object(entries));
        assert_eq!(wrote(&[("kubectl", "1"), (PROGRAM, "2")]), Writer::Program);
        assert_eq!(wrote(&[("kubectl", "2"), (PROGRAM, "1")]), Writer::Other("kubectl".into()));
        assert_eq!(wrote(&[("kubectl", "1"), (PROGRAM, "1")]), Writer::Unknown);
        assert_eq!(wrote(&[("kubectl", "2"), (PROGRAM, "2")]), Writer::Unknown);
        assert_eq!(writer(None, &object(&[("author", "1")])), Writer::Other("author".into()));
    }

    #[test]
    fn within_a_second_the_writer_of_weights_is_who_owns_them_alone() {
        let stored = |owners: &[&str], list: &str, weight: u64| {
            let mut object = object(&[("kubectl", "1"), (PROGRAM, "1")]);
            for entry in object["metadata"]["managedFields"].as_array_mut().unwrap() {
                if owners.iter().any(|owner| entry["manager"] == *owner) {
                    entry["fieldsV1"] = json!({ "f:spec": { format!("f:{list}"): {} } });
                }
            }
            object["spec"][list] = json!([{ "weight": weight }]);
            object
        };
        for list in LISTS {
            let before = stored(&[PROGRAM], list, 1);
            let wrote =
                |owners: &[&str], weight| writer(Some(&before), &stored(owners, list, weight));
            assert_eq!(wrote(&[PROGRAM], 0), Writer::Program, "{list}");
            assert_eq!(wrote(&["kubectl"], 0), Writer::Other("kubectl".into()), "{list}");
            assert_eq!(wrote(&["kubectl", PROGRAM], 0), Writer::Unknown, "{list}");
            assert_eq!(wrote(&[PROGRAM], 1), Writer::Unknown, "{list}: the weights are the same");
        }
    }

    #[test]
    fn who_only_takes_away_or_writes_again_in_the_same_second_does_not_show() {
        let twice = object(&[("kubectl", "1"), (PROGRAM, "2")]);
        assert_eq!(writer(Some(&twice), &twice), Writer::Unknown);
        assert_eq!(writer(Some(&twice), &object(&[("kubectl", "1")])), Writer::Unknown);
    }
}
