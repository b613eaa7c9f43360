//! Belay against its peers: AWS's own models as botocore carries them, and the emulators moto and ministack.
//!
//! Everything is set up by the tests themselves, from pinned lists, on the loopback interface. What cannot be set up fails.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests")]

mod agreement;
mod authorization;
mod bucket;
mod conformance;
mod gaps;
mod groups;
mod hosts;
mod proxy;
mod pusher;
mod referee;
mod round_trip;
mod servers;
mod shapes;
mod shim;

use std::sync::{Arc, Mutex, OnceLock};

use belay_tests::account::Account;
use belay_tests::python::{Python, Requirements};
use belay_tests::servers::{Client, Emulator, Server};
use serde_json::Value;

/// The environment with botocore.
fn botocore() -> Python {
    Python::with(Requirements::Aws).unwrap_or_else(|error| panic!("{error}"))
}

/// An emulator and a client of it.
type Shared = (Server, Arc<Mutex<Client>>);

/// Emulators of one kind at most: each is one Python process, which answers one request after the other.
const AT_MOST: usize = 3;

/// An emulator that the tests of this process share. Whoever changes something has an account of its own there. It ends
/// with the process, whose end it notices.
fn emulator(which: Emulator) -> &'static Shared {
    match which {
        Emulator::Shimmed => shimmed(0),
        Emulator::Ministack => {
            static MINISTACK: OnceLock<Shared> = OnceLock::new();
            MINISTACK.get_or_init(|| started(which))
        }
        Emulator::Moto => panic!("without the shim it is started by whoever needs it"),
    }
}

/// One of several emulators, for those who share the work between them.
fn shimmed(number: usize) -> &'static Shared {
    static SHIMMED: [OnceLock<Shared>; AT_MOST] = [const { OnceLock::new() }; AT_MOST];
    SHIMMED[number % AT_MOST].get_or_init(|| started(Emulator::Shimmed))
}

fn started(which: Emulator) -> Shared {
    let server = Server::start(which).unwrap_or_else(|error| panic!("{error}"));
    let client = server.client().unwrap_or_else(|error| panic!("{error}"));
    (server, Arc::new(Mutex::new(client)))
}

/// All items of a list of ECS, page by page.
fn listed(account: &Account, operation: &str, member: &str, mut input: Value) -> Vec<Value> {
    let mut all = Vec::new();
    loop {
        let mut page = account.must("ecs", operation, &input);
        all.extend(page[member].as_array().cloned().unwrap_or_default());
        match page["nextToken"].take() {
            Value::Null => return all,
            token => input["nextToken"] = token,
        }
    }
}
