//! Colour for listings, put on afterwards: the text itself stays as it is.
//!
//! Invariant: without its escape sequences, a painted listing is the listing.

const BOLD: &str = "1";
const DIM: &str = "2";
const GREEN: &str = "32";
const YELLOW: &str = "33";
const RED: &str = "31";
const CYAN: &str = "36";

/// The listing with colours.
pub fn paint(listing: &str) -> String {
    let mut out = String::with_capacity(listing.len() + listing.len() / 4);
    let mut section = "";
    for (index, line) in listing.split_inclusive('\n').enumerate() {
        let text = line.trim_end_matches('\n');
        let inner = text.trim_start();
        if inner.len() == text.len() && !text.is_empty() {
            section = text;
        }
        let style = match inner {
            "" => None,
            _ if index == 0 => Some(BOLD),
            _ if inner.starts_with("plan sha256:") => Some(DIM),
            "Components" | "Steps" => Some(BOLD),
            _ if text == inner && !inner.contains(' ') => Some(BOLD),
            _ if section == "Warnings" => Some(YELLOW),
            _ if section.starts_with("Destroyed") || section.starts_with("Cannot be undone") => Some(RED),
            _ if inner.starts_with("way back") || inner.starts_with("looks every") => Some(DIM),
            _ if inner.starts_with("no way back") => Some(RED),
            _ if inner.starts_with("────") => Some(CYAN),
            _ if section == "Components" => component(inner),
            _ if inner.contains("  [") && inner.contains(']') && section == "Steps" => Some(DIM),
            _ => None,
        };
        match style {
            Some(style) => {
                let indent = &text[..text.len() - inner.len()];
                out.push_str(&format!("{indent}\u{1b}[{style}m{inner}\u{1b}[0m"));
                out.push_str(&line[text.len()..]);
            }
            None => out.push_str(line),
        }
    }
    out
}

fn component(line: &str) -> Option<&'static str> {
    let word = |what: &str| line.contains(what);
    match () {
        () if word(" is created") => Some(GREEN),
        () if word(" is removed") => Some(RED),
        () if word(" is updated") || word(" is scaled") => Some(YELLOW),
        () if word(" stay") => Some(DIM),
        () => None,
    }
}

#[cfg(test)]
mod tests {
    use super::paint;

    #[test]
    fn paint_only_adds_escapes() {
        let listing = "deploy shop\nplan sha256:0\n\nComponents\n  web is created\n    image: a → b\n\nSteps\n  1  do\n     x  [ecs X]\n";
        let painted = paint(listing);
        assert!(painted.contains("\u{1b}[32mweb is created\u{1b}[0m\n"), "{painted}");
        let mut plain = painted.clone();
        for style in ["0", "1", "2", "31", "32", "33", "36"] {
            plain = plain.replace(&format!("\u{1b}[{style}m"), "");
        }
        assert_eq!(plain, listing);
    }
}
