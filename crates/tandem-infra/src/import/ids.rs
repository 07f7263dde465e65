//! The id by which a type is imported.
//!
//! Intuition: most types are imported by the id in their state, some by another one, which the
//! provider then looks up.
//! Source: section "Import" of each type's page in the documentation of aws 5.100 and google 6.50.

use serde_json::Value;

/// Types whose import takes another id than the state's, written with what their state holds.
const WRITTEN: [(&str, &str); 6] = [
    // The state's id is the resource id (`db-ABC...`), which stays when the instance is renamed.
    ("aws_db_instance", "{identifier}"),
    ("aws_route", "{route_table_id}_{destination_cidr_block}"),
    (
        "aws_route_table_association",
        "{subnet_id}/{route_table_id}",
    ),
    (
        "google_service_networking_connection",
        "{network}:{service}",
    ),
    // The state's id is the bare name, which an import looks for in the provider's own project.
    (
        "google_sql_database_instance",
        "projects/{project}/instances/{name}",
    ),
    // The state's id is `NAME//INSTANCE`; this is PostgreSQL's, whose users have no host.
    ("google_sql_user", "{project}/{instance}/{name}"),
];

/// The id that an import of this resource takes; none if its state does not hold what makes it up.
pub(super) fn import_id(kind: &str, values: &Value) -> Option<String> {
    let Some((_, text)) = WRITTEN.iter().find(|row| row.0 == kind) else {
        return Some(values["id"].as_str()?.to_owned());
    };
    let mut id = String::new();
    for part in text.split_inclusive('}') {
        let (before, member) = part.split_once('{').unwrap_or((part, ""));
        id.push_str(before);
        if let Some(member) = member.strip_suffix('}') {
            id.push_str(values[member].as_str()?);
        }
    }
    Some(id)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn ids_are_those_that_an_import_takes() {
        for (kind, values, id) in [
            ("aws_vpc", json!({"id": "vpc-1"}), Some("vpc-1")),
            (
                "aws_db_instance",
                json!({"id": "db-ABC", "identifier": "crm"}),
                Some("crm"),
            ),
            (
                "aws_route",
                json!({"id": "r-rtb-11080289494", "route_table_id": "rtb-1", "destination_cidr_block": "0.0.0.0/0"}),
                Some("rtb-1_0.0.0.0/0"),
            ),
            (
                "google_sql_user",
                json!({"id": "crmadmin//pg", "project": "p", "instance": "pg", "name": "crmadmin"}),
                Some("p/pg/crmadmin"),
            ),
            ("google_sql_user", json!({"id": "crmadmin//pg"}), None),
            ("aws_vpc", json!({}), None),
        ] {
            assert_eq!(import_id(kind, &values).as_deref(), id, "{kind} {values}");
        }
    }
}
