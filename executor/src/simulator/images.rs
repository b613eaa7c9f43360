//! Registries: what an image reference stands for, and what its containers do.

use std::ops::Bound;

use belay_schemas::image;
use sha2::{Digest, Sha256};

use super::world::{Behaviour, Image, World};

/// `sha256:…` of a text.
pub(super) fn sha256(text: &str) -> String {
    format!("sha256:{}", crate::hex(&Sha256::digest(text.as_bytes())))
}

/// An image reference without tag and digest.
fn repository(image: &str) -> &str {
    image::Image::parse(image).repository
}

impl World {
    /// What a reference stands for in its registry now; nothing if there is no such image. A reference that holds a
    /// digest stands for that one.
    #[must_use]
    pub fn digest_of(&self, image: &str) -> Option<String> {
        let settings = self.images.get(image);
        if settings.is_some_and(|settings| settings.missing) {
            return None;
        }
        if let Some((_, digest)) = image.split_once('@') {
            return Some(digest.to_owned());
        }
        Some(settings.and_then(|settings| settings.digest.clone()).unwrap_or_else(|| sha256(image)))
    }

    /// What containers of an image do: what is said about the image that has this digest now, or about the reference
    /// itself if it says nothing of digests.
    pub(super) fn behaviour_of(&self, image: &str, digest: Option<&str>) -> Behaviour {
        let Some(digest) = digest else {
            let reason = format!("failed to resolve ref {image}: not found");
            return Behaviour::CannotPull { reason: Some(reason) };
        };
        self.settings_of(image, digest).map(|settings| settings.behaviour.clone()).unwrap_or_default()
    }

    /// What they do where a task overrides their command, if that is anything else.
    pub(super) fn overridden(&self, image: &str, digest: Option<&str>) -> Option<Behaviour> {
        self.settings_of(image, digest?).and_then(|settings| settings.overridden.clone())
    }

    /// What containers of an image write, if they are said to write anything.
    pub(super) fn image_output(&self, image: &str, digest: Option<&str>) -> Option<Vec<String>> {
        self.settings_of(image, digest?).map(|settings| settings.output.clone()).filter(|lines| !lines.is_empty())
    }

    /// Alarms that go off when containers of an image have had traffic for so many seconds.
    pub(super) fn alarms_of(&self, image: &str, digest: Option<&str>) -> std::collections::BTreeMap<String, u64> {
        digest.and_then(|d| self.settings_of(image, d)).map(|settings| settings.alarms.clone()).unwrap_or_default()
    }

    /// Whether anything is said about an image or others of its repository.
    pub(super) fn knows_image(&self, image: &str) -> bool {
        self.images.contains_key(image) || self.of_repository(image).next().is_some()
    }

    /// What is said about images of the same repository.
    fn of_repository<'w>(&'w self, image: &str) -> impl Iterator<Item = (&'w String, &'w Image)> {
        let own = repository(image);
        // Their references begin with its name, so they stand together.
        let from = self.images.range::<str, _>((Bound::Included(own), Bound::Unbounded));
        from.take_while(move |(reference, _)| reference.starts_with(own))
            .filter(move |(reference, _)| repository(reference) == own)
    }

    fn settings_of(&self, image: &str, digest: &str) -> Option<&Image> {
        if let Some(settings) = self.images.get(image)
            && (image.contains('@') || settings.digest.as_deref().is_none_or(|known| known == digest))
        {
            return Some(settings);
        }
        self.of_repository(image)
            .find(|(reference, _)| self.digest_of(reference).as_deref() == Some(digest))
            .map(|(_, settings)| settings)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repository_is_what_precedes_tag_and_digest() {
        for (image, name) in [
            ("nginx", "nginx"),
            ("nginx:1.13", "nginx"),
            ("localhost:5000/shop/web", "localhost:5000/shop/web"),
            ("localhost:5000/shop/web:2@sha256:00", "localhost:5000/shop/web"),
        ] {
            assert_eq!(repository(image), name);
        }
    }

    #[test]
    fn a_pinned_image_behaves_as_its_tag_does() {
        let mut world = World::default_account();
        let image = Image { behaviour: Behaviour::NeverHealthy, ..Image::default() };
        world.images.insert("shop/web:2".to_owned(), image);
        let digest = world.digest_of("shop/web:2").unwrap();
        let pinned = format!("shop/web@{digest}");
        assert_eq!(world.behaviour_of(&pinned, Some(&digest)), Behaviour::NeverHealthy);
        assert_eq!(world.behaviour_of("shop/other:2", Some(&digest)), Behaviour::Healthy);
        assert_eq!(world.behaviour_of("shop/web:2", Some("sha256:other")), Behaviour::NeverHealthy);
    }
}
