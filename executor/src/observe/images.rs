//! The digest that each wanted image has in its registry now.
//!
//! Invariants: images in ECR of the observed region are asked of ECR itself, many a call, with the same credentials as
//! everything else; an image that is pinned already is not asked for; no error here fails the observation, because it
//! concerns only the component that wants the image.

use std::collections::BTreeMap;

use belay_schemas::image::Image;
use belay_schemas::observed::ImageObservation;
use futures_util::future::{join, join_all};
use serde_json::{Value, json};

use super::items;
use super::reader::Reader;
use crate::cloud::{CloudError, ErrorKind};

/// Images that DescribeImages takes at a time.
const IMAGES: usize = 100;

/// A repository in ECR: account and name. The region is the observed one.
type Repository<'a> = (&'a str, &'a str);

pub(super) async fn observe<'a>(
    reader: &Reader<'_>,
    region: &str,
    wanted: impl IntoIterator<Item = &'a String>,
) -> BTreeMap<String, ImageObservation> {
    let mut pinned = Vec::new();
    let mut elsewhere = Vec::new();
    let mut repositories: BTreeMap<Repository<'_>, BTreeMap<&str, &String>> = BTreeMap::new();
    for image in wanted {
        let parsed = Image::parse(image);
        if let Some(digest) = parsed.digest {
            pinned.push((image, Ok(digest.to_owned())));
        } else if let Some(account) = ecr_account(parsed.registry(), region) {
            let name = &parsed.repository[parsed.registry().len() + 1..];
            repositories.entry((account, name)).or_default().insert(parsed.tag.unwrap_or("latest"), image);
        } else {
            elsewhere.push(image);
        }
    }
    let elsewhere =
        join_all(elsewhere.into_iter().map(|image| async move { (image, reader.image_digest(image).await) }));
    let ecr = join_all(repositories.into_iter().map(|(repository, tags)| describe(reader, repository, tags)));
    let (elsewhere, ecr) = join(elsewhere, ecr).await;
    let all = pinned.into_iter().chain(elsewhere).chain(ecr.into_iter().flatten());
    all.map(|(image, answer)| {
        let observation = match answer {
            Ok(digest) => ImageObservation { digest: Some(digest), error: None },
            Err(error) => ImageObservation { digest: None, error: Some(error.to_string()) },
        };
        (image.clone(), observation)
    })
    .collect()
}

/// The account of a registry in ECR, if it is one of the region: `ACCOUNT.dkr.ecr.REGION.amazonaws.com`, or the same
/// for FIPS, for dual-stack endpoints and in China
/// (<https://docs.aws.amazon.com/AmazonECR/latest/userguide/Registries.html>).
fn ecr_account<'a>(registry: &'a str, region: &str) -> Option<&'a str> {
    let (account, rest) = registry.split_once('.')?;
    let rest = ["dkr.ecr.", "dkr.ecr-fips.", "dkr-ecr.", "dkr-ecr-fips."].iter().find_map(|p| rest.strip_prefix(p))?;
    let domain = rest.strip_prefix(region)?;
    let known = matches!(domain, ".amazonaws.com" | ".amazonaws.com.cn" | ".on.aws" | ".on.amazonwebservices.com.cn");
    (known && account.len() == 12 && account.bytes().all(|b| b.is_ascii_digit())).then_some(account)
}

/// Asks for the tags of one repository. One that is missing spoils a call for all, so a call that fails for it is
/// halved until it stands alone.
async fn describe<'a>(
    reader: &Reader<'_>,
    (account, name): Repository<'_>,
    tags: BTreeMap<&str, &'a String>,
) -> Vec<(&'a String, Result<String, CloudError>)> {
    let tags: Vec<(&str, &String)> = tags.into_iter().collect();
    let mut open: Vec<&[(&str, &'a String)]> = tags.chunks(IMAGES).collect();
    let mut answers = Vec::new();
    while let Some(part) = open.pop() {
        let ids: Vec<Value> = part.iter().map(|(tag, _)| json!({"imageTag": tag})).collect();
        let input = json!({"registryId": account, "repositoryName": name, "imageIds": ids});
        match reader.one("ecr", "DescribeImages", &input).await {
            Ok(output) => answers.extend(part.iter().map(|(tag, image)| (*image, digest_of(&output, tag, image)))),
            Err(error) if part.len() > 1 && error.code == "ImageNotFoundException" => {
                let (left, right) = part.split_at(part.len() / 2);
                open.extend([right, left]);
            }
            // Without the repository or the permission, the rest of the tags fares no better.
            Err(error) => answers.extend(part.iter().map(|(_, image)| (*image, Err(error.clone())))),
        }
    }
    answers
}

/// The digest of a tag. Of an image for several platforms it is the one of its index.
fn digest_of(output: &Value, tag: &str, image: &str) -> Result<String, CloudError> {
    let tagged = |detail: &&Value| items(detail, "imageTags").any(|known| known == tag);
    let found = items(output, "imageDetails").find(tagged).and_then(|detail| detail["imageDigest"].as_str());
    let missing =
        || CloudError::new(ErrorKind::NotFound, "ImageNotFoundException", format!("ECR tells none of {image}"));
    found.map(str::to_owned).ok_or_else(missing)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn registries_of_ecr_in_the_observed_region_are_known() {
        let account = |registry| ecr_account(registry, "us-east-1");
        for registry in [
            "123456789012.dkr.ecr.us-east-1.amazonaws.com",
            "123456789012.dkr.ecr-fips.us-east-1.amazonaws.com",
            "123456789012.dkr-ecr.us-east-1.on.aws",
        ] {
            assert_eq!(account(registry), Some("123456789012"), "{registry}");
        }
        for registry in [
            "docker.io",
            "public.ecr.aws",
            "123456789012.dkr.ecr.us-east-2.amazonaws.com",
            "123456789012.dkr.ecr.us-east-1.amazonaws.com.example.com",
            "12345.dkr.ecr.us-east-1.amazonaws.com",
            "123456789012.dkr.ecr.us-east-1.amazonaws.com:443",
        ] {
            assert_eq!(account(registry), None, "{registry}");
        }
        let china = "123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn";
        assert_eq!(ecr_account(china, "cn-north-1"), Some("123456789012"));
    }
}
