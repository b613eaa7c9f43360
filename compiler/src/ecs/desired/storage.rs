//! Volumes of Amazon EFS and Amazon EBS.

use belay_schemas::environment::{Ebs, Efs};
use belay_schemas::model::Component;
use serde_json::{Map, Value, json};

use crate::ecs::Context;
use crate::ecs::settings::VolumeKind;

use super::task::role_arn;

/// Members of `efsVolumeConfiguration`, and the keys that say them.
pub const EFS: [(&str, &str); 3] =
    [("fileSystemId", "file_system"), ("rootDirectory", "root"), ("transitEncryption", "encrypt")];

/// Members of `managedEBSVolume`, and the keys that say them.
pub const EBS: [(&str, &str); 8] = [
    ("roleArn", "role"),
    ("volumeType", "type"),
    ("filesystemType", "file_system"),
    ("sizeInGiB", "size"),
    ("iops", "iops"),
    ("throughput", "throughput"),
    ("snapshotId", "snapshot"),
    ("encrypted", "encrypted"),
];

/// `efsVolumeConfiguration`. Mounting with a role or an access point needs encryption on the way.
pub fn efs(efs: &Efs) -> Value {
    let mut out = Map::from_iter([("fileSystemId".to_owned(), json!(efs.file_system))]);
    if let Some(root) = &efs.root {
        out.insert("rootDirectory".to_owned(), json!(root));
    }
    let needed = efs.access_point.is_some() || efs.iam == Some(true);
    if efs.encrypt.unwrap_or(needed) {
        out.insert("transitEncryption".to_owned(), json!("ENABLED"));
    }
    if needed {
        let mut authorization = Map::new();
        if let Some(point) = &efs.access_point {
            authorization.insert("accessPointId".to_owned(), json!(point));
        }
        if efs.iam == Some(true) {
            authorization.insert("iam".to_owned(), json!("ENABLED"));
        }
        out.insert("authorizationConfig".to_owned(), Value::Object(authorization));
    }
    Value::Object(out)
}

/// The service's `volumeConfigurations`: one for each EBS volume that its containers mount, by name.
pub fn configurations(context: Context<'_>, component: &Component) -> Vec<(String, Value)> {
    let mounted = component.volumes.keys().chain(component.containers.values().flat_map(|c| c.volumes.keys()));
    let mut names: Vec<&String> = mounted.collect();
    names.sort();
    names.dedup();
    names
        .into_iter()
        .filter_map(|name| match &context.settings.volumes.get(name)?.kind {
            VolumeKind::Ebs(ebs) => {
                Some((name.clone(), json!({"name": name, "managedEBSVolume": managed(context, ebs)})))
            }
            _ => None,
        })
        .collect()
}

fn managed(context: Context<'_>, ebs: &Ebs) -> Value {
    let mut out = Map::from_iter([
        ("roleArn".to_owned(), json!(role_arn(context, &ebs.role))),
        ("volumeType".to_owned(), json!(ebs.kind.as_deref().unwrap_or("gp3"))),
        ("filesystemType".to_owned(), json!(ebs.file_system.as_deref().unwrap_or("xfs"))),
    ]);
    for (name, value) in [("sizeInGiB", ebs.size), ("iops", ebs.iops), ("throughput", ebs.throughput)] {
        if let Some(value) = value {
            out.insert(name.to_owned(), json!(value));
        }
    }
    if let Some(snapshot) = &ebs.snapshot {
        out.insert("snapshotId".to_owned(), json!(snapshot));
    }
    if let Some(encrypted) = ebs.encrypted {
        out.insert("encrypted".to_owned(), json!(encrypted));
    }
    Value::Object(out)
}
