//! What the reader makes of YAML, compared with the serde_yaml family, and what it does with hostile texts.

use std::time::{Duration, Instant};

use belay_compiler::diagnostics::{Report, SourceFile, human};
use belay_compiler::{Sources, load};
use proptest::prelude::*;
use serde_json::Value as Json;

fn sources(model: &str, environment: &str) -> Sources {
    Sources {
        model: SourceFile::new("model.yaml", model),
        environments: vec![SourceFile::new("env.yaml", environment)],
        vars: Vec::new(),
    }
}

const MODEL: &str = "components: {web: {image: nginx}}";

/// The value of the variable `v`, written as `yaml` (indented below `v:` or behind it), as JSON; or the codes of the errors.
fn ours(yaml: &str) -> Result<Json, Vec<String>> {
    let mut report = Report::new();
    match load(sources(MODEL, yaml), &mut report) {
        Some(loaded) => Ok(loaded.environment.vars.get("v").cloned().unwrap_or_default()),
        None => Err(report.resolved().iter().map(|r| r.diagnostic.code.to_owned()).collect()),
    }
}

/// The same by the referee: parse into a `Value`, apply merges, take it as JSON.
fn referee(yaml: &str) -> Result<Json, String> {
    let mut value: serde_yaml::Value = serde_yaml::from_str(yaml).map_err(|e| e.to_string())?;
    value.apply_merge().map_err(|e| e.to_string())?;
    to_json(&value["vars"]["v"])
}

fn to_json(value: &serde_yaml::Value) -> Result<Json, String> {
    use serde_yaml::Value as Yaml;
    Ok(match value {
        Yaml::Null => Json::Null,
        Yaml::Bool(value) => Json::Bool(*value),
        Yaml::Number(number) => match (number.as_u64(), number.as_i64(), number.as_f64()) {
            (Some(number), ..) => number.into(),
            (_, Some(number), _) => number.into(),
            (.., Some(number)) if number.is_finite() => number.into(),
            _ => return Err("not a JSON number".into()),
        },
        Yaml::String(text) => text.clone().into(),
        Yaml::Sequence(items) => items.iter().map(to_json).collect::<Result<Vec<_>, _>>()?.into(),
        Yaml::Mapping(members) => {
            let mut out = serde_json::Map::new();
            for (key, value) in members {
                let key = key.as_str().ok_or("a key that is not text")?;
                out.insert(key.to_owned(), to_json(value)?);
            }
            out.into()
        }
        Yaml::Tagged(_) => return Err("a tag".into()),
    })
}

#[track_caller]
fn agree(yaml: &str) {
    match (ours(yaml), referee(yaml)) {
        (Ok(ours), Ok(referee)) => assert_eq!(ours, referee, "{yaml}"),
        (Err(_), Err(_)) => {}
        (ours, referee) => panic!("{yaml}\nours: {ours:?}\nreferee: {referee:?}"),
    }
}

#[test]
fn the_traps_of_yaml_are_read_like_serde_yaml_reads_them() {
    for scalar in [
        "yes",
        "no",
        "on",
        "off",
        "Yes",
        "y",
        "0755",
        "0o755",
        "0x1F",
        "0b11",
        "1e3",
        "1E3",
        "1.",
        ".5",
        "+.5",
        "-0",
        "~",
        "null",
        "Null",
        "nULL",
        "",
        "''",
        "\"\"",
        "true",
        "TRUE",
        "tRUE",
        "12:30:45",
        "2026-11-20",
        "2026-11-20T10:00:00Z",
        "1_000",
        "18446744073709551615",
        "-9223372036854775808",
        "1.10",
        "0.1",
        "1e-7",
        "- ",
        "'it''s'",
        "\"a\\tb\\x41\\u00e9\\n\"",
        "a b  c",
        "a#b",
        "a #b",
        "a: b",
        "[a, b: c, {d: e}]",
        "{a, b: , \"c\":d}",
        "[]",
        "{}",
        "|\n    a\n     b\n\n    c\n",
        "|-\n    a\n    b\n",
        "|+\n    a\n\n",
        ">\n    a\n    b\n\n    c\n",
        ">-\n    a\n      b\n    c\n",
        "|2\n      a\n",
        "a\n    b\n    c",
        "\"a\n    b\n\n    c\"",
        "&x [1, *x]",
        "[&x {a: 1}, *x, *x]",
        "!!str 12",
        "!!int '12'",
        "!!float 1",
        "!!bool yes",
        "? a\n  : b",
        "\u{e9}\u{1f600}",
        "'%x'",
        "@x",
        "`x",
        "%x",
        "-x",
        "?x",
        ":x",
        "a:b",
        "{a:1}",
        "1.0e+400",
        "0x",
        "0o8",
        "-0x10",
        "+12",
        "+-1",
        "--1",
        "1-1",
        "<<",
        "'<<'",
        "=",
        ".",
        "..",
        "...",
        "-.",
        "1.2.3",
    ] {
        agree(&format!("vars:\n  v: {scalar}\n"));
    }
    for document in [
        "vars: {v: {<<: {a: 1, b: 2}, b: 3}}",
        "base: &b {a: 1}\nvars: {v: {<<: *b, c: 1}}",
        "vars:\n  v:\n    <<: [{a: 1, b: 1}, {b: 2, c: 2}]\n    c: 3\n",
        "vars: {v: {<<: []}}",
        "vars: {v: {<<: 1}}",
        "vars: {v: {<<: [1]}}",
        "vars: {v: {a: 1, a: 2}}",
        "vars: {v: 1}\nvars: {v: 2}",
        "vars: {v: [*nope]}",
        "vars: {v: \"\t\"}",
        "\u{feff}vars: {v: 1}",
        "vars:\r\n  v: |\r\n    a\r\n    b\r\n",
        "%YAML 1.2\n---\nvars: {v: 1}\n...\n",
        "--- {vars: {v: 1}}",
        "vars: {v: 1}\n---\nvars: {v: 2}\n",
        "vars:\n\tv: 1\n",
        "vars: {v: a\tb}",
        "vars: {v: [a, b}",
    ] {
        agree(&document.replace("base: &b {a: 1}\n", "description: x\nname: &b y\n").replace("<<: *b", "<<: {a: 1}"));
    }
}

#[test]
fn what_is_stricter_than_serde_yaml_is_so_on_purpose() {
    // Beyond 64 bits serde_yaml refuses up to 128 bits and rounds above.
    for number in ["18446744073709551616", "-9223372036854775809", "340282366920938463463374607431768211456"] {
        assert_eq!(ours(&format!("vars: {{v: {number}}}")), Err(vec!["B013".to_owned()]), "{number}");
    }
    for number in [".inf", "-.INF", ".nan"] {
        assert_eq!(ours(&format!("vars: {{v: {number}}}")), Err(vec!["B016".to_owned()]), "{number}");
    }
    // serde_yaml leaves a merge inside of a merged mapping alone.
    let nested = serde_json::json!({"a": 1, "b": 2, "c": 3});
    assert_eq!(ours("vars: {v: {<<: {<<: {a: 1, b: 1}, b: 2}, c: 3}}"), Ok(nested));
    assert_eq!(ours("vars: {v: !mine 1}"), Err(vec!["B015".to_owned()]));
    // libyaml takes U+0085 for the end of a line, as YAML 1.1 did, and lets `-` stand before `}`.
    assert_eq!(ours("vars: {v: a\u{85}b}"), Ok("a\u{85}b".into()));
    assert_eq!(ours("vars: {v: -}"), Err(vec!["B006".to_owned()]));
    // A key may be written as a number; it is the text that was written.
    assert_eq!(
        ours("vars: {v: {0x10: a, 1.10: b, true: c}}"),
        Ok(serde_json::json!({"0x10": "a", "1.10": "b", "true": "c"}))
    );
}

/// YAML texts with a bit of everything, mostly valid.
fn documents() -> impl Strategy<Value = String> {
    let scalar = prop_oneof![
        "[a-zA-Z0-9_.+-]{0,8}".prop_filter("not YAML 1.2 before `,`, `]` and `}`", |text| text != "-"),
        "[ -~]{0,12}".prop_map(|text| format!("'{}'", text.replace('\'', "''"))),
        "[ -~\u{e9}\u{1f600}]{0,12}".prop_map(|text| Json::String(text).to_string()),
        "[-+]?(0x[0-9a-f]{1,4}|0o[0-7]{1,4}|0b[01]{1,4}|[0-9]{1,15})(\\.[0-9]{0,4})?([eE][-+]?[0-9]{1,2})?",
        Just("yes".to_owned()),
        Just("~".to_owned()),
        Just("true".to_owned()),
    ];
    let flow = scalar.prop_recursive(3, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(|items| format!("[{}]", items.join(", "))),
            prop::collection::btree_map("[a-z]{1,3}", inner, 0..4).prop_map(|members| {
                let members: Vec<String> = members.iter().map(|(k, v)| format!("{k}: {v}")).collect();
                format!("{{{}}}", members.join(", "))
            }),
        ]
    });
    let block = flow.clone().prop_recursive(3, 24, 4, |inner| {
        let indent = |text: &str| text.replace('\n', "\n  ");
        prop_oneof![
            prop::collection::vec(inner.clone(), 1..4)
                .prop_map(move |items| items.iter().map(|i| format!("\n- {}", indent(i))).collect::<String>()),
            prop::collection::btree_map("[a-z]{1,3}", inner, 1..4).prop_map(move |members| members
                .iter()
                .map(|(k, v)| format!("\n{k}: {}", indent(v)))
                .collect::<String>()),
        ]
    });
    prop_oneof![flow, block].prop_map(|value| format!("vars:\n  v: {}\n", value.replace('\n', "\n    ")))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn generated_documents_are_read_like_serde_yaml_reads_them(yaml in documents()) {
        // Substitution is ours alone, and so is what JSON or 64 bits cannot hold.
        prop_assume!(!yaml.contains("${"));
        match (ours(&yaml), referee(&yaml)) {
            (Ok(ours), Ok(referee)) => prop_assert_eq!(ours, referee),
            (Err(_), Err(_)) => {}
            (Err(codes), Ok(_)) if codes.iter().all(|c| c == "B013" || c == "B016") => {}
            (ours, referee) => prop_assert!(false, "ours: {ours:?}\nreferee: {referee:?}"),
        }
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        if let Ok(file) = SourceFile::from_bytes("x", bytes) {
            survive(&file.text);
        }
    }

    #[test]
    fn no_text_of_yaml_characters_makes_it_panic(text in "([-?:,\\[\\]{}#&*!|>'\"%@`~ \n\t\r]|\\$\\{|\\}\\}|<<: |a|1|\u{e9}|\u{2028}|%[0-9a-f]{2}){0,60}") {
        survive(&text);
    }

    #[test]
    fn no_damage_to_a_model_makes_it_panic(cut in 0usize..400, insert in "[ -~\n]{0,3}") {
        let model = "components:\n  web:\n    image: \"nginx:${tag-1}\"\n    env: {A: *x, B: !!str 1, <<: &x {C: ${{ n }}}}\n    args:\n      - |\n        text\n      - >-\n        more\n";
        let at = (0..=cut.min(model.len())).rev().find(|at| model.is_char_boundary(*at)).unwrap_or(0);
        survive(&format!("{}{insert}{}", &model[..at], &model[at..]));
        survive(&format!("{}{insert}", &model[..at]));
    }
}

/// As model and as environment, with rendering.
fn survive(text: &str) {
    for sources in [sources(text, "vars: {n: 1}"), sources(MODEL, text)] {
        let mut report = Report::new();
        let loaded = load(sources, &mut report);
        assert_eq!(loaded.is_none(), report.has_errors());
        human(&report, true);
    }
}

#[test]
fn nothing_small_costs_much() {
    let bomb = (1..10).fold("a0: &a0 [x, x, x, x, x, x, x, x, x]\n".to_owned(), |text, n| {
        let before = n - 1;
        format!("{text}a{n}: &a{n} [{}]\n", vec![format!("*a{before}"); 9].join(", "))
    });
    let maps = (1..30).fold("m0: &m0 {k: v}\n".to_owned(), |text, n| {
        format!("{text}m{n}: &m{n} {{l: *m{}, r: *m{}}}\n", n - 1, n - 1)
    });
    let anchored = format!("v: {}", (0..60).map(|n| format!("&n{n} [")).collect::<String>() + &"x, ".repeat(50_000));
    for (what, text, code) in [
        ("alias bomb", bomb, "B010"),
        ("alias tree", maps, "B010"),
        ("anchors around anchors", format!("{anchored}{}", "]".repeat(60)), "B010"),
        ("deep lists", "[".repeat(100_000), "B011"),
        ("deep mappings", "{a: ".repeat(100_000), "B011"),
        ("deep blocks", "- ".repeat(10_000), "B011"),
        (
            "deep through aliases",
            (1..200).fold("a0: &a0 [x]\n".to_owned(), |t, n| format!("{t}a{n}: &a{n} [*a{}]\n", n - 1)),
            "B011",
        ),
    ] {
        #[allow(clippy::disallowed_methods, reason = "the test takes the time; the library does not")]
        let start = Instant::now();
        let mut report = Report::new();
        assert!(load(sources(&text, "{}"), &mut report).is_none());
        let codes: Vec<&str> = report.resolved().iter().map(|r| r.diagnostic.code).collect();
        assert!(codes.contains(&code), "{what}: {codes:?}");
        // Generous: a debug build on a busy machine.
        assert!(start.elapsed() < Duration::from_secs(20), "{what} took {:?}", start.elapsed());
    }
}
