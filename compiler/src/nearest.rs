//! The name that was probably meant.

/// The nearest of `names` to a name that is none of them, if it is near enough to be a slip of the hand.
pub fn nearest<'a>(name: &str, names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let limit = (name.chars().count() / 3).clamp(1, 4);
    let folded = |text: &str| text.to_ascii_lowercase().replace('-', "_");
    let wanted = folded(name);
    names
        .into_iter()
        .filter(|known| *known != name)
        .map(|known| (strsim::damerau_levenshtein(&wanted, &folded(known)), known))
        .filter(|(distance, known)| *distance <= limit && *distance < known.chars().count())
        .min()
        .map(|(_, known)| known)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_are_recognised_and_other_words_are_not() {
        assert_eq!(nearest("replica", ["image", "replicas", "env"]), Some("replicas"));
        assert_eq!(nearest("mem-reserve", ["mem", "mem_reserve"]), Some("mem_reserve"));
        assert_eq!(nearest("Image", ["image"]), Some("image"));
        assert_eq!(nearest("volumes", ["image", "env"]), None);
    }
}
