//! The pages of `belayc explain`: every code has one, its examples are a row of the table of diagnostics, and so are
//! known to earn that diagnostic or not a word.
//!
//! `BELAY_UPDATE=1` writes the examples into the pages; what they mean and why is written by hand.

#![allow(clippy::disallowed_methods, reason = "pages are files that this test may write")]

use std::fmt::Write as _;
use std::path::Path;

use belay_compiler::diagnostics::codes::{CODES, explain, list};
use belay_schemas::plan::Mode;

use crate::case::Case;
use crate::support::{ENVIRONMENT, Input};

/// Lines of an example that are shown before its middle is left out.
const LINES: usize = 24;

/// Characters of a line that are shown.
const WIDTH: usize = 160;

#[test]
fn every_code_has_a_page_whose_examples_are_tested() {
    let tables = crate::tables();
    let update = std::env::var_os("BELAY_UPDATE").is_some();
    let mut wrong = Vec::new();
    for (code, _) in CODES {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("src/diagnostics/pages/{code}.md"));
        let page = std::fs::read_to_string(&path).expect("a page");
        let (meaning, why) = match (page.find("## Wrong"), page.find("## Why")) {
            (Some(wrong), Some(why)) => (&page[..wrong], &page[why..]),
            (None, Some(why)) => page.split_at(why),
            (_, None) => panic!("{code}: the page does not say why"),
        };
        assert!(meaning.trim().len() > 30 && why.trim().len() > 40, "{code}: the page says too little");
        let Some(case) = tables.iter().find(|c| c.code == *code) else {
            let elsewhere = crate::ELSEWHERE.iter().any(|(known, _)| known == code);
            assert!(elsewhere && page.contains("## Wrong") && page.contains("## Right"), "{code}: no example");
            continue;
        };
        let expected = format!("{}\n\n{}\n{}\n", meaning.trim(), examples(case), why.trim());
        if page != expected && update {
            std::fs::write(&path, &expected).expect("the page can be written");
        } else if page != expected {
            wrong.push(*code);
        }
    }
    assert!(wrong.is_empty(), "the examples of {wrong:?} are not those of the table; BELAY_UPDATE=1 writes them");
}

#[test]
fn pages_are_found_by_code() {
    let page = explain("b201").expect("a page");
    assert!(page.starts_with("# B201: unknown key\n"), "{page}");
    assert_eq!(explain("B2010"), None);
    assert_eq!(list().lines().count(), CODES.len());
}

/// The wrong and the right input of a case, as far as they are worth showing.
fn examples(case: &Case) -> String {
    let (wrong, right) = case.inputs();
    let mut out = String::new();
    for (title, input, other) in [("Wrong", wrong, right), ("Right", right, wrong)] {
        let _ = writeln!(out, "## {title}\n");
        let mut shown = false;
        let mut show = |name: &str, text: &str| {
            let _ = writeln!(out, "`{name}`:\n\n```yaml\n{}```\n", cut(text));
            shown = true;
        };
        let environment = &input.environments[0];
        // A file that is the same in both is shown when it is not the usual one, or when nothing else would be.
        if input.model != other.model || environment == &other.environments[0] {
            show("model.yaml", &input.model);
        }
        if environment != ENVIRONMENT || environment != &other.environments[0] {
            show("env.yaml", environment);
        }
        let command = command(input);
        if command != self::command(other) {
            let _ = writeln!(out, "```console\n{command}\n```\n");
        } else if input.model == other.model && environment == &other.environments[0] {
            let what = if title == "Wrong" {
                format!("What was observed makes it wrong: {}.", case.what)
            } else {
                "The same files, where what was observed allows it.".to_owned()
            };
            let _ = writeln!(out, "{what}\n");
        }
    }
    out.trim_end().to_owned() + "\n"
}

fn command(input: &Input) -> String {
    let options = &input.options;
    let mut command = format!(
        "belayc compile -p {} -m model.yaml -e env.yaml",
        if options.project.is_empty() { "''" } else { &options.project }
    );
    if options.mode == Mode::Teardown {
        command.push_str(" --mode teardown");
    }
    options.only.iter().for_each(|name| command.push_str(&format!(" --only {name}")));
    options.adopt.iter().for_each(|name| command.push_str(&format!(" --adopt {name}")));
    input.vars.iter().for_each(|(name, value)| command.push_str(&format!(" --var {name}={value}")));
    if input.world.is_some() {
        command.push_str(" --observed observed.json");
    }
    command
}

/// A text without the middle of what is long.
fn cut(text: &str) -> String {
    let lines: Vec<String> = text
        .lines()
        .map(|line| match line.char_indices().nth(WIDTH) {
            Some((at, _)) => format!("{}…", &line[..at]),
            None => line.replace(|c: char| c.is_control(), "\u{fffd}"),
        })
        .collect();
    let mut out = String::new();
    let skipped = if lines.len() > LINES { lines.len() - LINES + 1 } else { 0 };
    for (index, line) in lines.iter().enumerate() {
        if skipped > 0 && index == LINES - 4 {
            let _ = writeln!(out, "  # … {skipped} lines like these");
        }
        if skipped == 0 || index < LINES - 4 || index >= lines.len() - 3 {
            let _ = writeln!(out, "{line}");
        }
    }
    out
}
