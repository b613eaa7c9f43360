//! What IAM is asked for each operation: action, resource types, condition keys, from AWS's Service Authorization
//! Reference (`schemas/aws/authorization.py` derives the data).
//!
//! Invariant: an operation that asks for no permission is told from one that nothing is known of.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde::Deserialize;

/// The whole reference, as far as plans need it.
#[derive(Debug, Default, Deserialize)]
pub struct Reference {
    /// By the AWS CLI's name of the service and by operation: `prefix:Action`; `None` where no permission is asked for.
    operations: BTreeMap<String, BTreeMap<String, Option<String>>>,
    /// By IAM's prefix.
    services: BTreeMap<String, Service>,
}

#[derive(Debug, Deserialize)]
struct Service {
    actions: BTreeMap<String, Action>,
    /// ARN patterns by resource type: `arn:${Partition}:ecs:…`.
    resources: BTreeMap<String, String>,
}

/// What one action takes.
#[derive(Debug, Deserialize)]
pub struct Action {
    /// `Read`, `List`, `Write`, `Tagging`, `Permissions management`; `Unknown` for one newer than the reference.
    pub access: String,
    /// Condition keys of the request itself.
    pub conditions: Vec<String>,
    /// Actions of other services that it needs.
    pub dependent: Vec<String>,
    /// Resource types; none: only `*`.
    pub resources: BTreeMap<String, Taken>,
}

/// How an action takes a resource type.
#[derive(Debug, Deserialize)]
pub struct Taken {
    /// Whether one has to be named.
    pub required: bool,
    /// Condition keys that it brings.
    pub conditions: Vec<String>,
}

static REFERENCE: LazyLock<Reference> = LazyLock::new(|| {
    // A test reads it; a file that were none would leave every operation unknown.
    serde_json::from_str(include_str!("../../aws/authorization.json")).unwrap_or_default()
});

/// The reference.
pub fn reference() -> &'static Reference {
    &REFERENCE
}

impl Reference {
    /// The action of an operation: `None` when nothing is known of it, `Some(None)` when it asks for no permission.
    pub fn operation(&self, service: &str, operation: &str) -> Option<Option<&str>> {
        self.operations.get(service)?.get(operation).map(Option::as_deref)
    }

    /// What `prefix:Action` takes.
    pub fn action(&self, name: &str) -> Option<&Action> {
        let (prefix, action) = name.split_once(':')?;
        self.services.get(prefix)?.actions.get(action)
    }

    /// The ARN pattern of a resource type of the service of `prefix:Action`.
    pub fn arn(&self, action: &str, resource: &str) -> Option<&str> {
        let (prefix, _) = action.split_once(':')?;
        self.services.get(prefix)?.resources.get(resource).map(String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operations_have_their_actions() {
        let known = reference();
        assert_eq!(known.operation("ecs", "UpdateService"), Some(Some("ecs:UpdateService")));
        assert_eq!(
            known.operation("elbv2", "DescribeTargetHealth"),
            Some(Some("elasticloadbalancing:DescribeTargetHealth"))
        );
        assert_eq!(known.operation("sts", "GetCallerIdentity"), Some(None));
        assert_eq!(known.operation("ecs", "Nothing"), None);
        let update = known.action("ecs:UpdateService").unwrap();
        assert!(update.resources["service"].required);
        assert!(known.arn("ecs:UpdateService", "service").unwrap().ends_with("service/${ClusterName}/${ServiceName}"));
    }
}
