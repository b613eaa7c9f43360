//! Help, usage, and documents that are not what they should be.

use insta::assert_snapshot;

use crate::belay::Desk;
use crate::plans;

#[test]
fn help_of_every_command() {
    let desk = Desk::new();
    assert_snapshot!(desk.belay(&["--help"]).expect(0).out);
    let all = [
        "observe",
        "verify",
        "approve",
        "apply",
        "resume",
        "rollback",
        "status",
        "rehearse",
        "world",
        "man",
        "completions",
    ];
    for command in all {
        let help = desk.belay(&[command, "--help"]).expect(0).out;
        assert!(
            help.contains("\nExample") && help.contains(&format!("  belay {command}")) || help.contains("| belay"),
            "{help}"
        );
        assert_snapshot!(format!("help_{command}"), desk.belay(&[command, "--help"]).expect(0).out);
    }
}

#[test]
fn wrong_usage_ends_with_2() {
    let desk = Desk::new();
    desk.write("plan.json", &plans::create("nginx:1"));
    assert_snapshot!(desk.belay(&["aply"]).said(), @r#"
    error: unrecognized subcommand 'aply'

      tip: a similar subcommand exists: 'apply'

    Usage: belay [OPTIONS] <COMMAND>

    For more information, try '--help'.
    exit 2
    "#);
    assert_snapshot!(desk.belay(&["apply", "plan.json", "--simulated", "w.json", "--pace=-1"]).said(), @r#"
    error: invalid value '-1' for '--pace <FACTOR>': a number of 0 or more, such as 0.1

    For more information, try '--help'.
    exit 2
    "#);
    assert_snapshot!(desk.belay(&["status"]).said(), @r#"
    error: no run in .belay yet
    help: `--journal DIR` names another journal directory
    exit 2
    "#);
    assert_snapshot!(desk.belay(&["resume", "nonesuch"]).said(), @r#"
    error: no run nonesuch
    help: `belay status --list` lists the runs
    exit 2
    "#);
    assert_snapshot!(desk.belay(&["status", "--list"]).said(), @r#"
    no runs in .belay yet
    exit 0
    "#);
}

#[cfg(not(feature = "aws"))]
#[test]
fn a_build_without_aws_says_so() {
    let desk = Desk::new();
    desk.write("plan.json", &plans::create("nginx:1"));
    desk.write("scope.json", r#"{"format": 1, "project": "shop"}"#);
    assert_snapshot!(desk.belay(&["apply", "plan.json"]).said(), @r#"
    error: this build of belay knows only the simulated AWS
    help: give `--simulated WORLD.json` to work on a simulated world (a missing file starts from the default account); a build with the feature `aws` connects to AWS
    exit 6
    "#);
    assert_eq!(desk.belay(&["verify", "plan.json"]).code, 6);
    assert_eq!(desk.belay(&["observe", "scope.json"]).code, 6);
}

#[cfg(feature = "aws")]
#[test]
fn without_a_simulated_world_there_have_to_be_credentials() {
    let desk = Desk::new();
    desk.write("plan.json", &plans::create("nginx:1"));
    desk.write("scope.json", r#"{"format": 1, "project": "shop"}"#);
    assert_snapshot!(desk.belay(&["apply", "plan.json"]).said(), @r#"
    error: no AWS credentials: no credentials found in chain. Attempted:
      Environment: environment variable not set
      Profile: the credential provider was not enabled
      WebIdentityToken: $AWS_WEB_IDENTITY_TOKEN_FILE was not set
      EcsContainer: ECS provider not configured
      Ec2InstanceMetadata: IMDS disabled by AWS_EC2_METADATA_DISABLED env var set to `true`
    help: set AWS_PROFILE, log in (`aws sso login`), or set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY; `--simulated WORLD.json` works on a simulated world without any
    exit 6
    "#);
    assert_snapshot!(desk.belay(&["observe", "scope.json"]).said(), @r#"
    error: no region: neither the environment file nor the AWS configuration names one
    help: write `region` into the environment file, or set AWS_REGION
    exit 6
    "#);
    assert_eq!(desk.belay(&["verify", "plan.json"]).code, 6);
}

#[test]
fn plans_that_are_none() {
    let desk = Desk::new();
    let apply = |name: &str| desk.belay(&["apply", name, "--simulated", "w.json"]).said();
    assert_snapshot!(apply("missing.json"), @r#"
    error: cannot read missing.json: No such file or directory (os error 2)
    exit 1
    "#);
    desk.write("torn.json", "{\"format\": 1,");
    assert_snapshot!(apply("torn.json"), @r#"
    error: torn.json: not JSON, at line 1, column 13: EOF while parsing a value
    exit 1
    "#);
    desk.write("later.json", r#"{"format": 2}"#);
    assert_snapshot!(apply("later.json"), @r#"
    error: later.json: the plan has format 2, which is newer than this program's 1: use the belay that belongs to its belayc
    exit 1
    "#);
    desk.write("foreign.json", r#"{"resources": []}"#);
    assert_snapshot!(apply("foreign.json"), @r#"
    error: foreign.json: this is not a plan: it has no `format`
    exit 1
    "#);
    desk.write("edited.json", &plans::create("nginx:1").replace("nginx:1", "nginx:2"));
    assert_snapshot!(apply("edited.json"), @r#"
    error: edited.json: the plan was changed after it was compiled: its digest says sha256:DIGEST, its content has sha256:DIGEST
    help: a plan runs only as it was reviewed: compile it again instead of editing it
    exit 1
    "#);
    let mut unguarded = plans::create_json("nginx:1");
    unguarded["nodes"][2]["guards"] = serde_json::json!([]);
    desk.write("unguarded.json", &plans::sealed(unguarded));
    assert_snapshot!(apply("unguarded.json"), @r#"
    error: unguarded.json: the plan breaks 1 of the rules for plans:
      P601 web.service.create: a mutation has at least one guard, or says in `unguarded` why it needs none
    help: compile it again with the belayc of this version
    exit 1
    "#);
    assert!(!desk.path("w.json").exists(), "a refused plan must not make a world");
}

#[test]
fn scopes_and_observed_state_that_are_none() {
    let desk = Desk::new();
    desk.write("typo.json", r#"{"format": 1, "project": "shop", "loadBalancer": []}"#);
    assert_snapshot!(desk.belay(&["observe", "typo.json", "--simulated", "w.json"]).said(), @r#"
    error: typo.json: not a scope as `belayc scope` writes it: unknown field `loadBalancer`, expected one of `format`, `project`, `region`, `ecs`, `asg`, `loadBalancers`, `targetGroups`, `balancers`, `images` at line 1 column 47
    exit 1
    "#);
    let later = desk.belay_with(&["observe", "-", "--simulated", "w.json"], r#"{"format": 7}"#);
    assert_snapshot!(later.said(), @r#"
    error: standard input: a scope of format 7; this version reads format 1
    help: write it again with the `belayc scope` of this version
    exit 1
    "#);
    desk.write("observed.json", "[]");
    assert_snapshot!(desk.belay(&["world", "--observed", "observed.json", "-o", "w.json"]).said(), @r#"
    error: observed.json: this is not observed state: it has no `format`
    help: `belay observe` writes one
    exit 1
    "#);
}

#[test]
fn worlds_that_are_none() {
    let desk = Desk::new();
    desk.write("plan.json", &plans::create("nginx:1"));
    let verify = || desk.belay(&["verify", "plan.json", "--simulated", "w.json"]).said();
    desk.write("w.json", "{\"format\": 1,\n \"acount\": 1}");
    assert_snapshot!(verify(), @r#"
    error: DIR/w.json:2:9: this is no simulated world: unknown field `acount`, expected one of `format`, `account`, `partition`, `region`, `now`, `counters`, `timings`, `throttling`, `images`, `vpcs`, `subnets`, `securityGroups`, `clusters`, `capacityProviders`, `containerInstances`, `taskDefinitions`, `services`, `tasks`, `classicLoadBalancers`, `loadBalancers`, `targetGroups`, `machineImages`, `keyPairs`, `instanceProfiles`, `instances`, `capacity`, `launchTemplates`, `launchConfigurations`, `refusesLaunchConfigurations`, `autoScalingGroups`, `objects`, `hostVpc`, `httpHandlers`, `httpRequests`, `afflictions`, `logGroups`, `scalableTargets`, `namespaces`, `registries`, `alarms`, `eventRules`, `quotas`, `hostedZones`, `dnsChanges`, `schedules`, `log`
    exit 1
    "#);
    desk.write("w.json", "{\"format\": 2}");
    assert_snapshot!(verify(), @r#"
    error: DIR/w.json: this simulated world has format 2; this program reads format 1
    exit 1
    "#);
    let nowhere = desk.belay(&["world", "-o", "no/such/folder/w.json"]);
    assert_snapshot!(nowhere.said(), @r#"
    error: cannot write no/such/folder/w.json: No such file or directory (os error 2)
    exit 6
    "#);
    assert_eq!(desk.belay(&["apply", "plan.json", "--simulated", "no/w.json"]).code, 6);
}

#[test]
fn colour_only_when_asked_for() {
    let desk = Desk::new();
    assert!(!desk.belay(&["apply", "missing.json"]).err.contains('\u{1b}'));
    assert!(desk.belay(&["apply", "missing.json", "--color", "always"]).err.contains('\u{1b}'));
}

#[test]
fn manual_pages_of_every_command() {
    let desk = Desk::new();
    desk.belay(&["man", "man1"]).expect(0);
    let help = desk.belay(&["--help"]).expect(0).out;
    let (_, commands) = help.split_once("Commands:\n").unwrap();
    let names = commands.lines().take_while(|line| !line.is_empty()).filter_map(|line| line.strip_prefix("  "));
    let names: Vec<&str> = names.filter(|line| !line.starts_with(' ')).filter_map(|l| l.split(' ').next()).collect();
    assert!(names.len() > 10 && names.contains(&"approve"), "{names:?}");
    for name in names.into_iter().filter(|name| *name != "help") {
        let page = desk.read(&format!("man1/belay-{name}.1"));
        assert!(page.starts_with(".ie") && page.contains(".SH SYNOPSIS") && page.contains("Example"), "{name}: {page}");
    }
    assert!(desk.read("man1/belay.1").contains("belay\\-apply(1)"));
}

#[test]
fn completions_name_every_command() {
    let script = Desk::new().belay(&["completions", "bash"]).expect(0).out;
    for command in ["observe", "verify", "approve", "apply", "resume", "rollback", "status", "rehearse", "world", "man"]
    {
        assert!(script.contains(&format!("belay__{command}")) || script.contains(&format!("belay__subcmd__{command}")));
    }
}
