//! Reading, variables and structure: one case a code; the readers' own tests have the rest.

use crate::case::{Case, case};
use crate::support::web;

#[test]
fn inputs() {
    crate::check("inputs", table());
}

pub fn table() -> Vec<Case> {
    let none = "plugin_config: {ec2-ecs: {region: us-east-1}}\n";
    let with_vars = |vars: &str| format!("vars: {vars}\n{none}");
    let image = |image: &str| web("").replace("nginx:1.27", image);
    vec![
        case("B003", "control character").model(web("").replace("web", "w\u{1}eb"), web("")),
        case("B005", "empty model").model("# nothing yet\n", web("")),
        case("B006", "indentation").model(web("").replace("  web:", " - web:\n  web:"), web("")),
        case("B007", "two documents").env(format!("{none}---\nvars: {{}}\n"), none),
        case("B008", "component twice").model(web("") + "  web: {image: nginx:1.28}\n", web("")),
        case("B009", "unknown anchor").model(web("env: *common"), web("env: {A: b}")),
        case("B010", "aliases of aliases").env(
            format!(
                "{none}vars:\n  a: &a [x, x, x, x, x, x, x, x, x, x]\n{}",
                (0..7)
                    .map(|n| {
                        let (from, to) = (char::from(b'a' + n), char::from(b'b' + n));
                        let list = vec![format!("*{from}"); 10].join(", ");
                        format!("  {to}: &{to} [{list}]\n")
                    })
                    .collect::<String>()
            ),
            none,
        ),
        case("B011", "lists in lists").env(with_vars(&format!("{{a: {}{}}}", "[".repeat(150), "]".repeat(150))), none),
        case("B012", "list as a key").model(web("env: {[A, B]: c}"), web("env: {A: c}")),
        case("B013", "huge number").model(web("replicas: 99999999999999999999"), web("replicas: 9")).also("B202"),
        case("B014", "merge of a text").model(web("env: {<<: text}"), web("env: {<<: {A: b}}")),
        case("B015", "tag").model(web("env: {A: !secret b}"), web("env: {A: !!str b}")),
        case("B016", "not a number").model(
            web("").replace("mem: 128", "mem: 128, raw: {task_definition: {cpu: .inf}}"),
            web("").replace("mem: 128", "mem: 128, raw: {task_definition: {cpu: \"256\"}}"),
        ),
        case("B101", "typo in a variable")
            .model(image("nginx:${tga}"), image("nginx:${tag}"))
            .with_env(with_vars("{tag: 1.27}")),
        case("B102", "open brace")
            .model(image("nginx:${tag"), image("nginx:${tag}"))
            .with_env(with_vars("{tag: 1.27}")),
        case("B103", "circle").env(with_vars("{a: \"${b}\", b: \"${a}\"}"), with_vars("{a: \"${b}\", b: c}")),
        case("B104", "unknown filter")
            .model(image("nginx:${{ tag | uper }}"), image("nginx:${{ tag | upper }}"))
            .with_env(with_vars("{tag: 1.27}")),
        case("B105", "list in a text")
            .model(image("nginx:${tag}"), image("nginx:${tag}"))
            .env(with_vars("{tag: [1.27]}"), with_vars("{tag: 1.27}")),
        case("B106", "nobody wants it").vars(&[("tga", "1.28")]).warning(),
        case("B107", "variable in a key")
            .model(web("env: {\"${name}\": a}"), web("env: {NAME: a}"))
            .with_env(with_vars("{name: X}")),
        case("B201", "typo in a key").model(web("replcas: 2"), web("replicas: 2")),
        case("B202", "text for a number").model(web("replicas: many"), web("replicas: 2")),
        case("B203", "no image").model("components: {web: {replicas: 2}}\n", web("")),
        case("B204", "too many replicas").model(web("replicas: 5001"), web("replicas: 2")),
        case("B205", "port").model(web("provides: {ports: [http]}"), web("provides: {ports: [80]}")),
        case("B206", "network mode").model(
            web("").replace("mem: 128", "mem: 128, network_mode: brigde"),
            web("").replace("mem: 128", "mem: 128, network_mode: bridge"),
        ),
        case("B207", "listed twice")
            .model(web("env: {A: b}\nallow_plaintext: [A, A]"), web("env: {A_TOKEN: b}\nallow_plaintext: [A_TOKEN]")),
    ]
}
