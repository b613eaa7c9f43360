//! The simulated AWS answers as the emulators do, where these are known to answer as AWS does.
//!
//! A scenario is a function of one [`Side`]: it makes calls, and what was answered is its transcript. It runs on the
//! simulator and on the peer; both transcripts are normalised (ids, moments and other random parts get names) and must be
//! equal but for the listed differences. Each of these has its reason, and one that no longer differs fails the test.

mod ecs;
mod elastic;
mod groups;
mod transcript;

use belay_executor::cloud::{Clock, Cloud};
use belay_executor::simulator::{SimulatedCloud, World};
use belay_tests::servers::{Client, Emulator, Server};
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use transcript::{Difference, Transcript, compare};

/// One of the two that are compared.
enum Side {
    Simulated(Box<SimulatedCloud>, Runtime),
    Peer(Client),
}

impl Side {
    fn simulated() -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        Self::Simulated(Box::new(SimulatedCloud::new(World::default_account())), runtime)
    }

    /// The output, or `{"error": {"code", "message"}}`.
    fn call(&mut self, service: &str, operation: &str, input: &Value) -> Value {
        match self {
            Self::Simulated(cloud, runtime) => match runtime.block_on(cloud.call(service, operation, input)) {
                Ok(output) => output,
                Err(error) => json!({"error": {"code": error.code, "message": error.message}}),
            },
            Self::Peer(client) => match client.call(service, operation, input) {
                Ok(Ok(output)) => output,
                Ok(Err(error)) => json!({"error": {"code": error.code, "message": error.message}}),
                Err(error) => panic!("{error}"),
            },
        }
    }

    /// Lets everything that was set off come to its end. The emulators do everything at once.
    fn settle(&mut self) {
        if let Self::Simulated(cloud, runtime) = self {
            let later = cloud.now() + 1_800_000;
            runtime.block_on(cloud.wait_until(later));
        }
    }
}

/// Runs a scenario on both and compares. `prepare` makes in the peer's empty account what the simulator's default
/// account holds, as far as the scenario needs it.
fn conforms(emulator: Emulator, prepare: fn(&mut Client), scenario: fn(&mut Transcript), differences: &[Difference]) {
    let server = Server::start(emulator).unwrap_or_else(|error| panic!("{error}"));
    let mut client = server.client().unwrap_or_else(|error| panic!("{error}"));
    prepare(&mut client);
    let mut transcripts = [Side::simulated(), Side::Peer(client)].map(Transcript::new);
    for transcript in &mut transcripts {
        scenario(transcript);
    }
    let [ours, theirs] = transcripts;
    compare(ours, theirs, differences);
}

/// A call of the preparation, which has to succeed.
fn must(client: &mut Client, service: &str, operation: &str, input: Value) -> Value {
    match client.call(service, operation, &input) {
        Ok(Ok(output)) => output,
        Ok(Err(error)) => panic!("{operation}: {error}"),
        Err(error) => panic!("{error}"),
    }
}
