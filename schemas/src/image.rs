//! Image references: `[registry/]repository[:tag][@digest]`.
//!
//! Invariant: compiler, simulated registries and registry client read a reference the same way, because they read it
//! here. The rules are those of the reference grammar that Docker and ECS use
//! (<https://github.com/distribution/reference>): what precedes the first `/` is a registry if it has a dot or a port or
//! is `localhost`; without one it is Docker Hub, whose official images live under `library/`.

use std::borrow::Cow;

/// The registry of references that name none.
pub const DOCKER_HUB: &str = "docker.io";

/// An image reference taken apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Image<'a> {
    /// Registry and repository.
    pub repository: &'a str,
    /// The tag, if one is written.
    pub tag: Option<&'a str>,
    /// `sha256:…`, if one is written.
    pub digest: Option<&'a str>,
}

impl<'a> Image<'a> {
    /// Takes a reference apart; whether its parts are well-formed is judged by [`Image::fault`].
    pub fn parse(text: &'a str) -> Self {
        let (name, digest) = text.split_once('@').map_or((text, None), |(n, d)| (n, Some(d)));
        let path_start = name.rfind('/').map_or(0, |at| at + 1);
        match name[path_start..].find(':') {
            Some(colon) => {
                let at = path_start + colon;
                Self { repository: &name[..at], tag: Some(&name[at + 1..]), digest }
            }
            None => Self { repository: name, tag: None, digest },
        }
    }

    /// The registry's host, with its port if one is written.
    pub fn registry(&self) -> &'a str {
        match self.host() {
            None | Some("index.docker.io" | "registry-1.docker.io") => DOCKER_HUB,
            Some(host) => host,
        }
    }

    /// The repository as its registry knows it.
    pub fn path(&self) -> Cow<'a, str> {
        let path = self.host().map_or(self.repository, |host| &self.repository[host.len() + 1..]);
        if self.registry() == DOCKER_HUB && !path.contains('/') {
            Cow::from(format!("library/{path}"))
        } else {
            Cow::from(path)
        }
    }

    /// What is written before the first `/`, if that is a registry.
    fn host(&self) -> Option<&'a str> {
        let (host, _) = self.repository.split_once('/')?;
        (host.contains(['.', ':']) || host == "localhost").then_some(host)
    }

    /// The reference that always means the same bytes.
    pub fn pinned(&self, digest: &str) -> String {
        format!("{}@{digest}", self.repository)
    }

    /// What is wrong with the reference, if anything.
    pub fn fault(text: &str) -> Option<String> {
        let image = Image::parse(text);
        if text.is_empty() || image.repository.is_empty() {
            return Some("the image has no name".to_owned());
        }
        if text.chars().any(|c| c.is_whitespace() || c.is_control()) {
            return Some("an image reference has no white space".to_owned());
        }
        if text.len() > 255 && image.digest.is_none() {
            return Some(format!("the image reference has {} characters; ECS takes at most 255", text.len()));
        }
        if let Some((scheme, _)) = text.split_once("://") {
            return Some(format!("an image reference has no scheme such as `{scheme}://`"));
        }
        if let Some(digest) = image.digest {
            let hex = digest.strip_prefix("sha256:").unwrap_or_default();
            if hex.len() != 64 || !hex.bytes().all(|b| b.is_ascii_hexdigit()) {
                return Some(format!("`{digest}` is not a digest: it is `sha256:` and 64 hexadecimal digits"));
            }
        }
        if image.tag == Some("") {
            return Some("the tag after `:` is empty".to_owned());
        }
        if let Some(tag) = image.tag {
            let good = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-');
            if tag.len() > 128 || !tag.bytes().all(good) || tag.starts_with(['.', '-']) {
                return Some(format!("`{tag}` is not a tag: it has up to 128 letters, digits, `_`, `.` and `-`"));
            }
        }
        let name = image.host().map_or(image.repository, |host| &image.repository[host.len() + 1..]);
        if name.bytes().any(|b| b.is_ascii_uppercase()) {
            return Some(format!("`{name}` has capitals; repository names are lower case"));
        }
        let good = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'_' | b'.' | b'-');
        if name.split('/').any(|part| part.is_empty() || !part.bytes().all(good)) {
            return Some(format!(
                "`{name}` is not the name of a repository: it has lower-case letters, digits, `_`, `.`, `-` and `/`"
            ));
        }
        None
    }

    /// Whether the tag may come to mean other bytes without anybody editing the model.
    pub fn is_floating(&self) -> bool {
        self.digest.is_none() && matches!(self.tag, None | Some("latest"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_registry_port_is_not_a_tag() {
        let image = Image::parse("registry:5000/team/app");
        assert_eq!((image.repository, image.tag), ("registry:5000/team/app", None));
        let image = Image::parse("registry:5000/team/app:1.2");
        assert_eq!((image.repository, image.tag), ("registry:5000/team/app", Some("1.2")));
    }

    #[test]
    fn registry_and_path_are_what_docker_takes_them_for() {
        for (text, registry, path, tag) in [
            ("nginx", "docker.io", "library/nginx", None),
            ("nginx:1.13", "docker.io", "library/nginx", Some("1.13")),
            ("shop/web:2.4.0", "docker.io", "shop/web", Some("2.4.0")),
            ("docker.io/nginx:1", "docker.io", "library/nginx", Some("1")),
            ("index.docker.io/shop/web", "docker.io", "shop/web", None),
            ("localhost/web:1", "localhost", "web", Some("1")),
            ("localhost:5000/web", "localhost:5000", "web", None),
            ("registry:5000/team/app:1.2", "registry:5000", "team/app", Some("1.2")),
            ("quay.io/a/b/c:x", "quay.io", "a/b/c", Some("x")),
            ("[::1]:5000/web:1", "[::1]:5000", "web", Some("1")),
        ] {
            let image = Image::parse(text);
            assert_eq!((image.registry(), &*image.path(), image.tag), (registry, path, tag), "{text}");
        }
    }

    #[test]
    fn faults_are_named() {
        assert_eq!(Image::fault("nginx:1.13"), None);
        assert_eq!(Image::fault(&format!("nginx@sha256:{}", "a".repeat(64))), None);
        assert!(Image::fault("nginx@sha256:abc").is_some_and(|f| f.contains("64 hexadecimal")));
        assert!(Image::fault("Nginx:1").is_some_and(|f| f.contains("capitals")));
        assert!(Image::fault("nginx:").is_some());
        assert!(Image::fault(&"n".repeat(256)).is_some_and(|f| f.contains("255")));
    }
}
