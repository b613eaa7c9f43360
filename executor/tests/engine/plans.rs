//! Small plans over the things of the test world.

use std::collections::BTreeMap;

use belay_schemas::plan::{
    Action, Call, Edge, EdgeKind, Evidence, Fail, Gate, Guard, Inputs, Mode, Moment, Node, Phase, Plan, Probe, Target,
    UndoCase, Wait, When,
};
use serde_json::{Value, json};

pub fn call(operation: &str, input: Value) -> Call {
    Call { service: "test".into(), operation: operation.into(), input }
}

pub fn get(name: &str) -> Call {
    call("Get", json!({"name": name}))
}

pub fn node(id: &str, phase: Phase, action: Action) -> Node {
    Node {
        id: id.into(),
        component: Some("web".into()),
        phase,
        summary: format!("do {id}"),
        why: vec![],
        action,
        each: None,
        guards: vec![],
        unguarded: None,
        probe: None,
        unprobed: None,
        undo: vec![],
        irreversible: None,
        accepted: None,
        obligation: None,
        timeout: 120,
    }
}

fn run_bind() -> BTreeMap<String, Value> {
    BTreeMap::from([("run".to_owned(), json!({"$run": "id"}))])
}

fn put(id: &str, phase: Phase, name: &str, value: &str) -> Node {
    let input = json!({"name": name, "value": value, "run": {"$run": "id"}});
    let expect = Some("length(failures) == `0`".to_owned());
    let mut node = node(id, phase, Action::Call { call: call("Put", input), expect });
    node.probe = Some(Probe {
        read: get(name),
        applied: format!("thing.value == '{value}' && thing.run == $run"),
        answer: "{name: name, id: 'probed', failures: `[]`}".into(),
        bind: run_bind(),
    });
    node
}

/// A plan under construction.
#[derive(Default)]
pub struct Builder {
    pub nodes: Vec<Node>,
    pub edges: Vec<Edge>,
}

impl Builder {
    pub fn add(&mut self, node: Node) -> &mut Self {
        self.nodes.push(node);
        self
    }

    pub fn edge(&mut self, from: &str, to: &str, kind: EdgeKind) -> &mut Self {
        self.edges.push(Edge { from: from.into(), to: to.into(), kind });
        self
    }

    pub fn after(&mut self, from: &str, to: &str) -> &mut Self {
        self.edge(from, to, EdgeKind::After)
    }

    pub fn node(&mut self, id: &str) -> &mut Node {
        self.nodes.iter_mut().find(|node| node.id == id).unwrap()
    }

    /// Updates a thing from `old` to `new` and waits until it is ready, with the way back.
    pub fn update(&mut self, name: &str) -> &mut Self {
        let (set, ready) = (format!("{name}.set"), format!("{name}.ready"));
        let (undo, undone) = (format!("{name}.set.undo"), format!("{name}.set.undone"));
        let mut forward = put(&set, Phase::Deploy, name, "new");
        forward.guards.push(Guard {
            at: Some(Moment::Start),
            after: None,
            read: get(name),
            holds: BTreeMap::from([("thing.value".to_owned(), json!("old"))]),
            bind: BTreeMap::new(),
        });
        forward.undo.push(UndoCase { when: None, nodes: vec![undo.clone(), undone.clone()] });
        let mut back = put(&undo, Phase::Undo, name, "old");
        back.guards.push(Guard {
            at: None,
            after: Some(set.clone()),
            read: get(name),
            holds: BTreeMap::from([("thing.run".to_owned(), json!({"$run": "id"}))]),
            bind: BTreeMap::new(),
        });
        self.add(forward).add(wait(&ready, Phase::Deploy, name)).add(back).add(wait(&undone, Phase::Undo, name));
        self.after(&set, &ready);
        self.edge(&set, &undo, EdgeKind::Undo).edge(&set, &undone, EdgeKind::Undo);
        self.edge(&undo, &undone, EdgeKind::UndoAfter)
    }

    /// Updates `second` after `first`, and undoes it before.
    pub fn then(&mut self, first: &str, second: &str) -> &mut Self {
        self.after(&format!("{first}.ready"), &format!("{second}.set"));
        self.edge(&format!("{second}.set.undone"), &format!("{first}.set.undo"), EdgeKind::UndoAfter)
    }

    pub fn commit(&mut self) -> &mut Self {
        self.add(node("commit", Phase::Deploy, Action::Commit { commit: "everything is new".into() }))
    }

    /// Deletes a thing after the commit point.
    pub fn delete(&mut self, name: &str) -> &mut Self {
        let id = format!("{name}.delete");
        let input = json!({"name": name});
        let mut delete = node(&id, Phase::Finalize, Action::Call { call: call("Delete", input), expect: None });
        delete.probe = Some(Probe {
            read: get(name),
            applied: "@ == null".into(),
            answer: "{failures: `[]`}".into(),
            bind: BTreeMap::new(),
        });
        delete.irreversible = Some("it is gone".into());
        self.add(delete)
    }

    pub fn gate(&mut self, id: &str) -> &mut Self {
        self.add(node(id, Phase::Deploy, Action::Gate { gate: Gate { text: "really?".into() } }))
    }

    pub fn build(&mut self) -> Plan {
        Plan {
            format: 1,
            compiler: None,
            project: "shop".into(),
            mode: Mode::Deploy,
            target: Target {
                partition: "aws".into(),
                account: Some("123456789012".into()),
                region: Some("us-east-1".into()),
                cluster: Some("default".into()),
            },
            inputs: Inputs { model: "sha256:0".into(), environment: "sha256:0".into(), observed: None },
            components: BTreeMap::new(),
            notices: vec![],
            only: vec![],
            nodes: std::mem::take(&mut self.nodes),
            edges: std::mem::take(&mut self.edges),
            digest: String::new(),
        }
        .seal()
    }
}

pub fn wait(id: &str, phase: Phase, name: &str) -> Node {
    let wait = Wait {
        reads: vec![get(name)],
        until: "[0].thing.ready".into(),
        fail: vec![Fail { when: "[0].thing.broken".into(), reason: format!("{name} broke") }],
        progress: Some("[0].thing.left".into()),
        no_progress: 60,
        overall: 600,
        hold: 0,
        interval: 5,
        bind: BTreeMap::new(),
        evidence: vec![Evidence {
            title: "thing".into(),
            reads: vec![get(name)],
            lines: "[join(' ', ['value', [0].thing.value])]".into(),
            bind: BTreeMap::new(),
        }],
    };
    node(id, phase, Action::Wait { wait })
}

pub fn when(name: &str, is: &str) -> When {
    When { summary: None, read: get(name), is: is.into(), bind: BTreeMap::new() }
}

/// Updates each thing after the one before it.
pub fn chain(names: &[&str]) -> Builder {
    let mut builder = Builder::default();
    for name in names {
        builder.update(name);
    }
    for pair in names.windows(2) {
        builder.then(pair[0], pair[1]);
    }
    builder.commit();
    builder
}
