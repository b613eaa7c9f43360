//! Runs that are journalled in S3, over real HTTP at moto: by the built program, killed on one machine and taken up on
//! another; two at once; places that are none.

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use belay_executor::journal::Shelf;
use belay_executor::journal::bucket::{Bucket, PATIENCE};
use belay_executor::simulator::World;
use belay_tests::binaries::program;
use belay_tests::fixtures::{Fixture, read};
use belay_tests::servers::{Client, Emulator, REGION, Server};
use object_store::aws::AmazonS3Builder;
use serde_json::{Value, json};

const JOURNAL: &str = "s3://journals/team/prod";

/// S3 with a bucket, and machines that share it.
struct Site {
    server: Server,
    client: Client,
    world: tempfile::TempDir,
    plan: String,
}

/// How a program ended.
struct Done {
    code: i32,
    out: String,
    err: String,
}

impl Site {
    fn new() -> Self {
        let server = Server::start(Emulator::Moto).unwrap_or_else(|error| panic!("{error}"));
        let mut client = server.client().unwrap_or_else(|error| panic!("{error}"));
        client.call("s3", "CreateBucket", &json!({"Bucket": "journals"})).unwrap().unwrap();
        let fixture = Fixture::named("upgrade");
        let world = tempfile::tempdir().unwrap();
        std::fs::copy(fixture.dir().join("world.json"), world.path().join("world.json")).unwrap();
        let plan = fixture.dir().join("plan.json").display().to_string();
        Self { server, client, world, plan }
    }

    fn world(&self) -> World {
        serde_json::from_str(&read(&self.world.path().join("world.json"))).unwrap()
    }

    /// `belay ARGS` on a machine with nothing on it.
    fn command(&self, machine: &Path, args: &[&str]) -> Command {
        let mut command = program("belay", machine);
        command.args(args).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).envs([
            ("AWS_ENDPOINT_URL", self.server.endpoint()),
            ("AWS_REGION", REGION),
            ("AWS_ACCESS_KEY_ID", "testing"),
            ("AWS_SECRET_ACCESS_KEY", "testing"),
        ]);
        command
    }

    fn belay(&self, args: &[&str]) -> Done {
        let machine = tempfile::tempdir().unwrap();
        let output = self.command(machine.path(), args).output().unwrap();
        assert!(!machine.path().join(".belay").exists(), "{args:?} left something on the machine");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Done { code: output.status.code().unwrap_or(-1), out: text(&output.stdout), err: text(&output.stderr) }
    }

    fn apply<'a>(&'a self, world: &'a str, journal: &'a str) -> Vec<&'a str> {
        vec!["apply", &self.plan, "--simulated", world, "--pace", "0.02", "--journal", journal]
    }

    /// Objects of the bucket below a prefix.
    fn objects(&mut self, below: &str) -> Vec<String> {
        let found = self.client.call("s3", "ListObjectsV2", &json!({"Bucket": "journals", "Prefix": below}));
        let found = found.unwrap().unwrap();
        let keys = found["Contents"].as_array().cloned().unwrap_or_default();
        keys.iter().map(|object| object["Key"].as_str().unwrap().to_owned()).collect()
    }

    /// The bucket as another machine sees it.
    fn bucket(&self) -> Bucket {
        // Whoever came first has named it already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let store = AmazonS3Builder::new()
            .with_bucket_name("journals")
            .with_region(REGION)
            .with_endpoint(self.server.endpoint())
            .with_allow_http(true)
            .with_access_key_id("testing")
            .with_secret_access_key("testing")
            .build()
            .unwrap();
        Bucket::new(Arc::new(store), JOURNAL, "team/prod", PATIENCE).unwrap()
    }
}

#[test]
fn a_run_whose_machine_died_is_resumed_on_another_one_and_taken_back_on_a_third() {
    let mut site = Site::new();
    let world = site.world.path().join("world.json").display().to_string();
    let machine = tempfile::tempdir().unwrap();
    let mut child = site.command(machine.path(), &site.apply(&world, JOURNAL)).spawn().unwrap();
    let begun = Instant::now();
    while site.objects("team/prod/runs/").len() < 8 {
        assert!(begun.elapsed() < Duration::from_secs(60), "{:?}", site.objects(""));
        assert!(child.try_wait().unwrap().is_none(), "it ended before it could be killed");
        std::thread::sleep(Duration::from_millis(20));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    drop(machine);

    let list = site.belay(&["status", "--list", "--journal", JOURNAL]);
    assert_eq!(list.code, 0, "{}", list.err);
    assert_eq!(list.out.lines().count(), 1, "{}", list.out);
    let status = site.belay(&["status", "--format", "json", "--journal", JOURNAL]);
    let status: Value = serde_json::from_str(&status.out).unwrap();
    assert_eq!(status["status"]["outcome"], Value::Null, "{status}");

    let resumed = site.belay(&["resume", "--journal", JOURNAL]);
    assert_eq!(resumed.code, 0, "{}", resumed.err);
    assert!(resumed.err.contains("looking for up to 30 s whether it is still alive"), "{}", resumed.err);
    assert!(resumed.err.contains("Done: "), "{}", resumed.err);
    let registered = site.world().log.iter().filter(|call| call.operation == "RegisterTaskDefinition").count();
    let wanted = read(Path::new(&site.plan)).matches("\"operation\": \"RegisterTaskDefinition\"").count();
    assert_eq!(registered, wanted, "each revision once");

    // Once more the same plan: it is stale, and the run that is over stays the latest.
    let stale = site.belay(&site.apply(&world, JOURNAL));
    assert_eq!(stale.code, 5, "{}", stale.err);
    let back = site.belay(&["rollback", "--journal", &format!("{JOURNAL}/")]);
    assert_eq!(back.code, 0, "{}", back.err);

    // Of two runs one changed nothing.
    let bucket = site.bucket();
    assert_eq!(bucket.ids().unwrap().len(), 2);
    let (contents, _) = bucket.open(&bucket.find(None).unwrap()).unwrap();
    assert_eq!(contents.records.len() + 1, contents.records.last().unwrap().seq as usize + 1);
    assert_eq!(site.objects("team/prod/plans/").len(), 2);
}

#[test]
fn of_two_executors_one_works_and_the_other_is_told_who() {
    let site = Site::new();
    let world = site.world.path().join("world.json").display().to_string();
    let first = site.belay(&site.apply(&world, JOURNAL));
    assert_eq!(first.code, 0, "{}", first.err);
    let bucket = site.bucket();
    let run = bucket.find(None).unwrap();
    let header = bucket.open(&run).unwrap().0.header;
    let held = bucket.lock(&header).unwrap();
    for args in [site.apply(&world, JOURNAL), vec!["rollback", "--journal", JOURNAL]] {
        let before = site.world().log.len();
        let second = site.belay(&args);
        assert_eq!(second.code, 6, "{}", second.err);
        let who = format!("process {}, since 20", std::process::id());
        assert!(second.err.contains(&who), "{}", second.err);
        assert!(second.err.contains(&format!("run {run}) works on this project and target; lock ")), "{}", second.err);
        // Nothing was changed.
        assert_eq!(site.world().log.len(), before);
    }
    drop(held);
    let back = site.belay(&["rollback", "--journal", JOURNAL]);
    assert_eq!(back.code, 0, "{}", back.err);
}

#[test]
fn a_place_that_is_none_is_refused_before_anything_is_called() {
    let site = Site::new();
    let world = site.world.path().join("world.json").display().to_string();
    for (journal, words) in [
        ("s3://missing/team", "The specified bucket does not exist (NoSuchBucket)"),
        ("s3:///team", "it names no bucket: s3://BUCKET/PREFIX"),
    ] {
        for args in [site.apply(&world, journal), vec!["status", "--list", "--journal", journal]] {
            let refused = site.belay(&args);
            assert_eq!(refused.code, 6, "{}", refused.err);
            assert!(refused.err.contains(journal) && refused.err.contains(words), "{}", refused.err);
        }
    }
    assert!(site.world().log.is_empty(), "{:?}", site.world().log);
}
