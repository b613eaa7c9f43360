//! Images in ECR, as far as their digests go.

use serde_json::{Value, json};

use super::errors::{missing, unknown_operation};
use super::request::{Answer, items, required, text};
use super::world::World;

pub(super) fn call(world: &World, operation: &str, input: &Value) -> Answer {
    if operation != "DescribeImages" {
        return Err(unknown_operation(format!("The simulated AWS does not model {operation} of ecr.")));
    }
    let repository = required(input, "repositoryName")?;
    let registry = text(input, "registryId").unwrap_or(&world.account);
    let host = format!("{registry}.dkr.ecr.{}.amazonaws.com/{repository}", world.region);
    let mut details = Vec::new();
    for id in items(input, "imageIds") {
        let (reference, tag) = match (text(id, "imageDigest"), text(id, "imageTag")) {
            (Some(digest), _) => (format!("{host}@{digest}"), None),
            (None, tag) => (format!("{host}:{}", tag.unwrap_or("latest")), tag),
        };
        let Some(digest) = world.digest_of(&reference) else {
            let message = format!(
                "The image with imageId {id} does not exist within the repository with name '{repository}' in the registry with id '{registry}'"
            );
            return Err(missing("ImageNotFoundException", message));
        };
        let mut detail = json!({
            "registryId": registry, "repositoryName": repository, "imageDigest": digest,
            "imagePushedAt": super::time::Time::START.seconds(),
        });
        if let Some(tag) = tag {
            detail["imageTags"] = json!([tag]);
        }
        details.push(detail);
    }
    Ok(json!({"imageDetails": details}).into())
}
