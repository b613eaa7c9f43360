//! Signatures of hardware keys, made here in software in the form in which such keys give them: the real `ssh-keygen -Y
//! verify` takes them, so they are of the right form, and so do we.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::path::Path;
use std::process::{Command, Stdio};

use base64::Engine;
use belay_executor::approval::{AllowedSigners, Approval, Judgement, NAMESPACE, Statement, Wanted, judge};
use sha2::{Digest, Sha256};
use ssh_key::public::{EcdsaPublicKey, KeyData, SkEcdsaSha2NistP256, SkEd25519};
use ssh_key::{Algorithm, HashAlg, PrivateKey, PublicKey, SigningKey, SshSig};

/// What the key is bound to.
const APPLICATION: &str = "ssh:";
/// Somebody touched the key (1); it has signed nine times.
const TRAILER: [u8; 5] = [1, 0, 0, 0, 9];

fn statement() -> Statement {
    Statement {
        project: "shop".into(),
        plan: format!("sha256:{:064}", 7),
        account: "123456789012".into(),
        region: "us-east-1".into(),
        cluster: None,
        expires: 2_000_000_000,
    }
}

fn raw_signature<K: SigningKey>(key: &K, message: &[u8]) -> Vec<u8> {
    key.try_sign(message).unwrap().as_bytes().to_vec()
}

/// The public key and the armoured signature of a hardware key with this secret: it signs the digests of application and
/// message around its flags and counter, and says flags and counter behind the signature. Written by hand, because the
/// crate writes only some of them rightly.
fn by_hardware(key: &PrivateKey, statement: &str, said: [u8; 5]) -> (PublicKey, String) {
    let (data, algorithm) = match key.public_key().key_data() {
        KeyData::Ed25519(point) => (KeyData::SkEd25519(SkEd25519::new(*point, APPLICATION)), Algorithm::SkEd25519),
        KeyData::Ecdsa(EcdsaPublicKey::NistP256(point)) => {
            let data = SkEcdsaSha2NistP256::new(*point, APPLICATION);
            (KeyData::SkEcdsaSha2NistP256(data), Algorithm::SkEcdsaSha2NistP256)
        }
        other => panic!("no hardware key is like {other:?}"),
    };
    let public = PublicKey::from(data);
    let message = SshSig::signed_data(NAMESPACE, HashAlg::Sha512, statement.as_bytes()).unwrap();
    let digests = [Sha256::digest(APPLICATION).to_vec(), TRAILER.to_vec(), Sha256::digest(&message).to_vec()];
    let signature = [text(algorithm.as_str().as_bytes()), text(&raw_signature(key, &digests.concat())), said.to_vec()];
    let blob = [
        b"SSHSIG\0\0\0\x01".to_vec(),
        text(&public.to_bytes().unwrap()),
        text(NAMESPACE.as_bytes()),
        text(b""),
        text(b"sha512"),
        text(&signature.concat()),
    ];
    let lines = base64::engine::general_purpose::STANDARD.encode(blob.concat());
    let lines: Vec<&str> = lines.as_bytes().chunks(70).map(|line| std::str::from_utf8(line).unwrap()).collect();
    (public, format!("-----BEGIN SSH SIGNATURE-----\n{}\n-----END SSH SIGNATURE-----\n", lines.join("\n")))
}

/// A string on SSH's wire: its length and its bytes.
fn text(bytes: &[u8]) -> Vec<u8> {
    [&u32::try_from(bytes.len()).unwrap().to_be_bytes(), bytes].concat()
}

/// Whether the real program takes a signature.
fn ssh_keygen_verifies(dir: &Path, text: &str) -> bool {
    use std::io::Write;
    let mut command = Command::new("ssh-keygen");
    command.args(["-Y", "verify", "-f", "signers", "-I", "ann@example.com", "-n", NAMESPACE, "-s", "signature"]);
    command.current_dir(dir).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    child.wait().unwrap().success()
}

fn judged(signers: &str, statement: &Statement, signature: &str) -> Judgement {
    let approval = Approval::new(statement.clone(), signature).unwrap();
    let allowed = AllowedSigners::parse(signers).unwrap();
    judge(&[approval], &allowed, Wanted { statement, now: 1_900_000_000, count: 1 })
}

#[test]
fn signatures_of_hardware_keys_are_taken_and_wrong_ones_are_not() {
    let dir = tempfile::TempDir::new().unwrap();
    for (name, kind) in [("ed", ["ed25519", "-q"]), ("ec", ["ecdsa", "-b256"])] {
        let mut make = Command::new("ssh-keygen");
        make.args(["-q", "-N", "", "-f", name, "-t"]).args(kind).current_dir(dir.path());
        let made = make.status().unwrap();
        assert!(made.success());
        let key = PrivateKey::read_openssh_file(&dir.path().join(name)).unwrap();
        let statement = statement();
        for (said, expected) in [(TRAILER, true), ([0, 0, 0, 0, 9], false), ([1, 0, 0, 0, 8], false)] {
            let (public, armoured) = by_hardware(&key, &statement.to_string(), said);
            let signers = format!("ann@example.com {}\n", public.to_openssh().unwrap());
            std::fs::write(dir.path().join("signers"), &signers).unwrap();
            std::fs::write(dir.path().join("signature"), &armoured).unwrap();
            let theirs = ssh_keygen_verifies(dir.path(), &statement.to_string());
            assert_eq!(theirs, expected, "ssh-keygen, {name}, {said:?}");
            let ours = judged(&signers, &statement, &armoured);
            assert_eq!(ours.enough, expected, "{name}, {said:?}: {ours:?}");
            assert_eq!(ours.rejected.is_empty(), expected);
        }
    }
}
