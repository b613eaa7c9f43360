//! Names in Auto Scaling: the naming template, its rules, and which names AWS takes.
//!
//! Sources: CreateAutoScalingGroup (AutoScalingGroupName: up to 255 printable ASCII characters without spaces and colons),
//! CreateLaunchTemplate (LaunchTemplateName: 3 to 128 of letters, digits and `().-/_`).

use std::fmt;

/// The slots of a component.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Side {
    /// The first one.
    A,
    /// The other one.
    B,
}

impl Side {
    /// Both.
    pub const BOTH: [Self; 2] = [Self::A, Self::B];

    /// The other one.
    pub fn other(self) -> Self {
        match self {
            Self::A => Self::B,
            Self::B => Self::A,
        }
    }
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::A => "A",
            Self::B => "B",
        })
    }
}

/// The template where the environment has none.
pub const DEFAULT_TEMPLATE: &str = "{prj}.{comp}_{slot}";

/// What stands in a naming template.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Text(String),
    Project,
    Component,
    Slot,
}

/// A naming template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Naming(Vec<Piece>);

/// Why a text is no naming template.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// A placeholder stands there twice.
    #[error("`{{{0}}}` stands in the naming template more than once")]
    Repeated(&'static str),
    /// Braces around something else.
    #[error("`{{{0}}}` is no placeholder of a naming template")]
    Unknown(String),
    /// A brace without its other half.
    #[error("the naming template has a `{0}` without its other half")]
    Brace(char),
    /// Nothing between two placeholders.
    #[error("nothing stands between two placeholders of the naming template")]
    Adjacent,
    /// The project is missing.
    #[error("the naming template lacks `{{prj}}`")]
    NoProject,
}

impl Naming {
    /// Reads a template; `_{slot}` is added to one without a slot.
    ///
    /// # Errors
    /// See [`TemplateError`].
    pub fn parse(text: &str) -> Result<Self, TemplateError> {
        let mut pieces: Vec<Piece> = Vec::new();
        let mut rest = text;
        while let Some(at) = rest.find(['{', '}']) {
            if rest.as_bytes()[at] == b'}' {
                return Err(TemplateError::Brace('}'));
            }
            if at > 0 {
                pieces.push(Piece::Text(rest[..at].to_owned()));
            }
            let inner = &rest[at + 1..];
            let end = inner.find(['{', '}']).filter(|&end| inner.as_bytes()[end] == b'}');
            let Some(end) = end else { return Err(TemplateError::Brace('{')) };
            let (piece, name) = match &inner[..end] {
                "prj" => (Piece::Project, "prj"),
                "comp" => (Piece::Component, "comp"),
                "slot" | "side" => (Piece::Slot, "slot"),
                other => return Err(TemplateError::Unknown(other.to_owned())),
            };
            if pieces.contains(&piece) {
                return Err(TemplateError::Repeated(name));
            }
            if matches!(pieces.last(), Some(Piece::Project | Piece::Component | Piece::Slot)) {
                return Err(TemplateError::Adjacent);
            }
            pieces.push(piece);
            rest = &inner[end + 1..];
        }
        if !rest.is_empty() {
            pieces.push(Piece::Text(rest.to_owned()));
        }
        if !pieces.contains(&Piece::Project) {
            return Err(TemplateError::NoProject);
        }
        if !pieces.contains(&Piece::Slot) {
            pieces.push(Piece::Text("_".to_owned()));
            pieces.push(Piece::Slot);
        }
        Ok(Self(pieces))
    }

    /// Whether the name says which component it is of.
    pub fn names_component(&self) -> bool {
        self.0.contains(&Piece::Component)
    }

    /// The name of a slot of a component.
    pub fn name(&self, project: &str, component: &str, side: Side) -> String {
        self.0
            .iter()
            .map(|piece| match piece {
                Piece::Text(text) => text.clone(),
                Piece::Project => project.to_owned(),
                Piece::Component => component.to_owned(),
                Piece::Slot => side.to_string(),
            })
            .collect()
    }

    /// The component and the slot that a name is of, if it is one of this project's.
    pub fn parse_name(&self, project: &str, name: &str) -> Option<(String, Side)> {
        // Every placeholder but the component has known texts, so the component is what is left between them.
        Side::BOTH.into_iter().find_map(|side| {
            let marker = "\u{0}";
            let whole = self.name(project, marker, side);
            let (before, after) = whole.split_once(marker).unwrap_or((whole.as_str(), ""));
            if !self.names_component() {
                return (name == whole).then(|| ("main".to_owned(), side));
            }
            let component = name.strip_prefix(before)?.strip_suffix(after)?;
            (!component.is_empty()).then(|| (component.to_owned(), side))
        })
    }
}

/// What is wrong with a name of a group, if anything. `template`: a launch template has the same name.
pub fn fault(name: &str, template: bool) -> Option<String> {
    let most = if template { 128 } else { 255 };
    if name.len() > most {
        let of = if template { "launch templates" } else { "Auto Scaling groups" };
        return Some(format!("it has {} characters; names of {of} have at most {most}", name.len()));
    }
    let legal = |c: char| match template {
        true => c.is_ascii_alphanumeric() || "().-/_".contains(c),
        false => c.is_ascii_graphic() && c != ':',
    };
    name.chars().find(|c| !legal(*c)).map(|c| match template {
        true => format!("`{c}` stands in it; names of launch templates have letters, digits and `( ) . - / _`"),
        false => {
            format!("`{c}` stands in it; names of Auto Scaling groups have printable characters but spaces and colons")
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_made_and_taken_apart() {
        let naming = Naming::parse("x-{comp}.{prj}").unwrap();
        assert_eq!(naming.name("shop", "web", Side::B), "x-web.shop_B");
        assert_eq!(naming.parse_name("shop", "x-web.shop_A"), Some(("web".to_owned(), Side::A)));
        assert_eq!(naming.parse_name("other", "x-web.shop_A"), None);
        let alone = Naming::parse("{prj}-{side}").unwrap();
        assert_eq!(alone.name("shop", "main", Side::A), "shop-A");
        assert_eq!(alone.parse_name("shop", "shop-B"), Some(("main".to_owned(), Side::B)));
    }

    #[test]
    fn what_is_no_template_is_told_why() {
        let error = |text: &str| Naming::parse(text).unwrap_err();
        assert_eq!(error("{prj}.{comp}.{prj}"), TemplateError::Repeated("prj"));
        assert_eq!(error("{prj}.{slot}.{side}"), TemplateError::Repeated("slot"));
        assert_eq!(error("{prj}.{name}"), TemplateError::Unknown("name".to_owned()));
        assert_eq!(error("{prj}.{}"), TemplateError::Unknown(String::new()));
        assert_eq!(error("{prj}.{comp"), TemplateError::Brace('{'));
        assert_eq!(error("{prj}.{{comp}}"), TemplateError::Brace('{'));
        assert_eq!(error("{prj}.comp}"), TemplateError::Brace('}'));
        assert_eq!(error("{prj}{comp}"), TemplateError::Adjacent);
        assert_eq!(error("app.{comp}"), TemplateError::NoProject);
    }

    #[test]
    fn illegal_names_are_told_why() {
        assert_eq!(fault("shop.web_A", true), None);
        assert!(fault("shop+web_A", true).is_some_and(|f| f.contains('+')));
        assert_eq!(fault("shop+web_A", false), None);
        assert!(fault("shop web", false).is_some());
        assert!(fault(&"n".repeat(129), true).is_some_and(|f| f.contains("129")));
        assert_eq!(fault(&"n".repeat(129), false), None);
    }
}
