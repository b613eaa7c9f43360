//! The emulators themselves: reachable on the loopback interface, and gone with their owner.

use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

use belay_tests::servers::{Emulator, Server};
use serde_json::json;

fn port(server: &Server) -> u16 {
    server.endpoint().strip_prefix("http://127.0.0.1:").unwrap().parse().unwrap()
}

fn answers(address: impl Into<std::net::IpAddr>, port: u16) -> bool {
    TcpStream::connect_timeout(&SocketAddr::new(address.into(), port), Duration::from_secs(2)).is_ok()
}

fn lives_and_ends(emulator: Emulator) {
    let server = Server::start(emulator).unwrap_or_else(|error| panic!("{error}"));
    let port = port(&server);
    assert!(answers(Ipv4Addr::LOCALHOST, port));
    // All of 127.0.0.0/8 is this machine; who listens on every address would answer there too.
    assert!(!answers(Ipv4Addr::new(127, 0, 0, 2), port), "{emulator:?} listens on more than 127.0.0.1");
    let mut client = server.client().unwrap_or_else(|error| panic!("{error}"));
    let who = client.call("sts", "GetCallerIdentity", &json!({})).unwrap().unwrap();
    assert_eq!(who["Account"], "123456789012");
    drop(client);
    drop(server);
    assert!(!answers(Ipv4Addr::LOCALHOST, port), "{emulator:?} outlives its owner");
}

#[test]
fn moto_lives_and_ends() {
    lives_and_ends(Emulator::Moto);
}

#[test]
fn ministack_lives_and_ends() {
    lives_and_ends(Emulator::Ministack);
}
