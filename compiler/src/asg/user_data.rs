//! User data: how the image comes into it, and how AWS takes it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_yaml::Value as Yaml;

use super::pattern;
use super::settings::ImageRule;

/// Bytes that EC2 takes, before encoding (EC2 user guide, "Run commands when you launch an EC2 instance").
pub const MOST: usize = 16 * 1024;

/// Why the image cannot come into the user data.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InsertError {
    /// The pattern of `image_id_subst` matches nowhere.
    #[error("`image_id_subst` matches nothing in the user data")]
    NoMatch,
    /// The user data is no YAML document.
    #[error("the user data is not YAML: {0}")]
    NotYaml(String),
    /// The path leads nowhere.
    #[error("the user data has no mapping at `{0}`")]
    NoMapping(String),
}

/// The user data with the image in it.
///
/// # Errors
/// See [`InsertError`].
pub fn insert(rule: &ImageRule, text: &str, image: &str) -> Result<String, InsertError> {
    match rule {
        ImageRule::None => Ok(text.to_owned()),
        ImageRule::Subst(regex) => pattern::replace(regex, text, image).ok_or(InsertError::NoMatch),
        ImageRule::Path(keys) => insert_at(text, keys, image),
    }
}

/// The document is written anew, but for the comment lines that it begins with: `#cloud-config` has to stay first.
fn insert_at(text: &str, keys: &[String], image: &str) -> Result<String, InsertError> {
    let mut document: Yaml = serde_yaml::from_str(text).map_err(|error| InsertError::NotYaml(error.to_string()))?;
    let mut here = &mut document;
    let mut walked: Vec<&str> = Vec::new();
    let Some((last, parents)) = keys.split_last() else { return Ok(text.to_owned()) };
    for key in parents {
        walked.push(key);
        let missing = || InsertError::NoMapping(walked.join("."));
        here = here.get_mut(key.as_str()).filter(|v| v.is_mapping()).ok_or_else(missing)?;
    }
    let Some(mapping) = here.as_mapping_mut() else {
        return Err(InsertError::NotYaml("it is not a mapping of keys and values".to_owned()));
    };
    mapping.insert(Yaml::from(last.as_str()), Yaml::from(image));
    let written = serde_yaml::to_string(&document).map_err(|error| InsertError::NotYaml(error.to_string()))?;
    let head: String = text.lines().take_while(|line| line.starts_with('#')).map(|line| format!("{line}\n")).collect();
    Ok(head + &written)
}

/// As the API takes it.
pub fn encode(text: &str) -> String {
    STANDARD.encode(text)
}

/// As people wrote it; nothing when it is no text.
pub fn decode(encoded: &str) -> Option<String> {
    String::from_utf8(STANDARD.decode(encoded).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> ImageRule {
        ImageRule::Path(text.split('.').map(str::to_owned).collect())
    }

    #[test]
    fn the_first_line_of_a_cloud_config_stays_first() {
        let text = "#cloud-config\nwrite_files: []\napp:\n  image: none\n  port: 80\n";
        let inserted = insert(&path("app.image"), text, "shop/web:1.0").unwrap();
        assert_eq!(inserted, "#cloud-config\nwrite_files: []\napp:\n  image: shop/web:1.0\n  port: 80\n");
    }

    #[test]
    fn a_new_last_key_is_added_and_a_missing_way_there_told() {
        assert_eq!(insert(&path("app.image"), "app: {port: 80}\n", "i").unwrap(), "app:\n  port: 80\n  image: i\n");
        assert_eq!(insert(&path("a.b.c"), "a: {x: 1}\n", "i"), Err(InsertError::NoMapping("a.b".to_owned())));
        assert!(matches!(insert(&path("a"), "- 1\n", "i"), Err(InsertError::NotYaml(_))));
    }

    #[test]
    fn what_is_encoded_can_be_read_again() {
        assert_eq!(decode(&encode("#!/bin/sh\n")).as_deref(), Some("#!/bin/sh\n"));
        assert_eq!(decode("!"), None);
    }
}
