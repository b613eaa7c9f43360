//! The command line: commands, options and their help.

use std::path::PathBuf;

use belay_schemas::json_schema::Kind;
use belay_schemas::plan::Mode;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, Parser, Subcommand, ValueEnum};

/// Compiles a model and an environment into a plan of concrete AWS API calls.
#[derive(Debug, Parser)]
#[command(name = "belayc", version, about, long_about = LONG, after_help = AFTER, max_term_width = 100)]
pub struct Arguments {
    /// When to use colour; `NO_COLOR` is respected
    #[arg(long, global = true, value_enum, default_value_t = Color::Auto, value_name = "WHEN")]
    pub color: Color,
    #[command(subcommand)]
    pub command: Command,
}

const LONG: &str = "\
Compiles a model (what an application is) and an environment (where it runs) into a plan: a graph of the exact AWS \
API calls, each with what it expects, what it waits for and what undoes it. The plan is a file to review; `belay` \
replays exactly that. belayc opens no network connection and needs no credentials.";

const AFTER: &str = "\
The whole way:
  belayc scope   -p shop -m model.yaml -e prod.yaml | belay observe - -o observed.json
  belayc compile -p shop -m model.yaml -e prod.yaml --observed observed.json -o plan.json
  belayc show    plan.json
  belay  apply   plan.json

Exit codes: 0 done (warnings too), 1 input or plan invalid, 2 usage, 6 a file cannot be written,
9 there are changes (with --exit-code), 70 a bug of belayc.";

const TEST: &str = "\
A case is a folder below DIR with a `case.yaml` or a `model.yaml`. It holds:
  model.yaml        the model
  *.yaml            the environment files, merged in the order of their names
  observed.json     what runs; without it, nothing does
  case.yaml         instead of all that, or some of it (paths are relative to the folder):
                    project, model, environments: [...], observed, vars: {...}, mode, replace_all, only: [...]
  plan.txt          expected: the listing, without the digest
  diagnostics.txt   expected: errors and warnings; not there when there are none
  plan.json         expected, if the file is there: the plan, to the byte

Examples:
  belayc test tests/plans
  belayc test tests/plans --accept            writes what is expected from now on
  belayc test tests/plans --junit report.xml

Exit codes: 0 all cases are as expected, 1 some are not, 2 no case was found.";

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Compile a plan
    #[command(after_help = "\
Examples:
  belayc compile -p shop -m model.yaml -e prod.yaml --observed observed.json -o plan.json
  belayc compile -p shop -m model.yaml -e base.yaml -e prod.yaml --var tag=1.4.2
  belayc compile -p shop -m model.yaml -e prod.yaml --live -o plan.json
  belayc compile -p shop -m model.yaml -e prod.yaml --observed observed.json --mode teardown
  belayc compile -p shop -m model.yaml -e staging=base.yaml,staging.yaml -e prod=base.yaml,prod.yaml \\
                 --observed '{environment}.observed.json' -o '{environment}.plan.json'")]
    Compile(Compile),
    /// Check the inputs and tell what is wrong with them
    #[command(after_help = "\
Examples:
  belayc check -p shop -m model.yaml -e prod.yaml
  belayc check -p shop -m model.yaml -e prod.yaml --format github --deny-warnings")]
    Check(Check),
    /// Print what must be observed before a plan can be compiled, as JSON
    #[command(after_help = "\
Example:
  belayc scope -p shop -m model.yaml -e prod.yaml | belay observe - -o observed.json")]
    Scope(Scope),
    /// Write a model and an environment from services that run already
    ///
    /// Without --observed it prints what has to be observed: the services of the components that are named.
    #[command(after_help = "\
Examples:
  belayc init -p shop --cluster default web api | belay observe - -o observed.json
  belayc init --observed observed.json -o shop
  belayc scope   -p shop -m shop/model.yaml -e shop/prod.yaml --adopt web --adopt api | belay observe - -o observed.json
  belayc compile -p shop -m shop/model.yaml -e shop/prod.yaml --adopt web --adopt api --observed observed.json -o plan.json

Component `web` of project `shop` is the service `shop_web`. The plan takes the services over by tagging them, and changes
nothing else.")]
    Init(Init),
    /// Show a plan
    #[command(after_help = "\
Examples:
  belayc show plan.json
  belayc show plan.json --node web.service.update
  belayc show plan.json --format markdown --rehearsal rehearsal.json
  belayc show plan.json --format html -o plan.html
  belayc show plan.json --format dot | dot -Tsvg -o plan.svg
  belayc compile … | belayc show -")]
    Show(Show),
    /// Tell what changed between two plans, and why an approval of the one does not cover the other
    #[command(after_help = "\
Examples:
  belayc diff approved.json plan.json
  belayc diff approved.json plan.json --exit-code     ends with 9 unless both mean the same
  belayc diff staging.plan.json prod.plan.json        what two environments differ in")]
    Diff(Diff),
    /// Print the model and the environment as they are after merging, variables and defaults, each value with its origin
    #[command(after_help = "\
Examples:
  belayc render -p shop -m model.yaml -e base.yaml -e prod.yaml --var tag=1.4.2
  belayc render -p shop -m model.yaml -e prod.yaml -o resolved.yaml")]
    Render(Scope),
    /// Print the least IAM policy under which a plan runs, forward and back
    #[command(after_help = "\
Examples:
  belayc policy plan.json -o policy.json
  belayc policy plan.json --profile-role app=app-role -o policy.json
  aws iam put-role-policy --role-name deployer --policy-name belay --policy-document file://policy.json

It covers every call, read, wait, guard, probe and compensation of the plan; observing is not part of it. What does not
fit into one policy is printed as a list of policies, all of which are needed.")]
    Policy(Policy),
    /// Write the manual pages
    #[command(after_help = "\
Example:
  belayc man /usr/local/share/man/man1")]
    Man {
        /// The folder to write them to
        #[arg(value_name = "DIR")]
        folder: PathBuf,
    },
    /// Run snapshot tests of models and environments
    #[command(after_help = TEST)]
    Test(Test),
    /// Explain a diagnostic: what its code means, a wrong and a right example, and why
    #[command(after_help = "\
Examples:
  belayc explain B201
  belayc explain              lists all codes")]
    Explain {
        /// The code; without one, all are listed
        code: Option<String>,
    },
    /// Print the JSON Schema of a kind of file
    #[command(after_help = "\
Example, for editors that check YAML against a schema:
  belayc schema model -o model.schema.json")]
    Schema(Schema),
    /// Print a completion script for a shell
    #[command(after_help = "\
Example:
  belayc completions bash > /etc/bash_completion.d/belayc")]
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
}

/// What a plan is compiled from.
#[derive(Debug, Clone, Args)]
pub struct Inputs {
    /// Project: the prefix of every name that is created
    #[arg(short, long, value_name = "PROJECT")]
    pub project: String,
    /// The model; `-` is standard input
    #[arg(short, long, value_name = "MODEL.yaml")]
    pub model: PathBuf,
    /// The environment; given several times, later files win: mappings are merged, lists and scalars replaced. Or
    /// NAME=FILE[,FILE…] for each of several environments, which all get a plan: `{environment}` stands for the name in
    /// `--observed` and `--output`
    #[arg(short, long = "environment", visible_alias = "env", value_name = "ENV.yaml", required = true)]
    pub environments: Vec<PathBuf>,
    /// Set a variable; wins over the environment's `vars`
    #[arg(long = "var", value_name = "NAME=VALUE", value_parser = variable)]
    pub vars: Vec<(String, String)>,
    /// What runs now, as `belay observe` writes it; without it the target is taken as empty
    #[arg(long, value_name = "OBSERVED.json")]
    pub observed: Option<PathBuf>,
    /// What the plan is for
    #[arg(long, value_enum, default_value_t = ModeArgument::Deploy)]
    pub mode: ModeArgument,
    /// Replace the instances of every component, changed or not
    #[arg(long)]
    pub replace_all: bool,
    /// Limit the plan to this component: nothing else of the project is compared or changes; given several times
    #[arg(long, value_name = "COMPONENT")]
    pub only: Vec<String>,
    /// Take over this component's service, which runs already and belongs to nobody: the plan tags it; given several times
    #[arg(long, value_name = "COMPONENT")]
    pub adopt: Vec<String>,
    /// Treat warnings as errors
    #[arg(long)]
    pub deny_warnings: bool,
}

#[derive(Debug, Args)]
pub struct Compile {
    #[command(flatten)]
    pub inputs: Inputs,
    /// Where to write the plan; without it, or with `-`, to standard output
    #[arg(short, long, value_name = "PLAN.json")]
    pub output: Option<PathBuf>,
    /// End with exit code 9 when there are changes
    #[arg(long)]
    pub exit_code: bool,
    /// Ask `belay observe` for what runs, instead of reading it from a file; `belay` has to be beside belayc or in the PATH
    #[arg(long, conflicts_with = "observed")]
    pub live: bool,
    /// Hand an option to `belay observe`, such as `--simulated=world.json`; given several times
    #[arg(long, value_name = "OPTION", requires = "live", allow_hyphen_values = true)]
    pub observe_option: Vec<String>,
}

#[derive(Debug, Args)]
pub struct Check {
    #[command(flatten)]
    pub inputs: Inputs,
    /// For people (to standard error), or for programs and GitHub Actions (to standard output)
    #[arg(long, value_enum, default_value_t = CheckFormat::Human)]
    pub format: CheckFormat,
}

#[derive(Debug, Args)]
pub struct Scope {
    #[command(flatten)]
    pub inputs: Inputs,
    /// Where to write the scope; without it, or with `-`, to standard output
    #[arg(short, long, value_name = "SCOPE.json")]
    pub output: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub struct Init {
    /// Project: what the services' names begin with
    #[arg(short, long, value_name = "PROJECT", required_unless_present = "observed")]
    pub project: Option<String>,
    /// The components: what follows `PROJECT_` in the services' names
    #[arg(value_name = "COMPONENT", required_unless_present = "observed")]
    pub components: Vec<String>,
    /// The cluster that they run in
    #[arg(long, value_name = "CLUSTER", default_value = "default")]
    pub cluster: String,
    /// The region
    #[arg(long, value_name = "REGION")]
    pub region: Option<String>,
    /// What ownership tags begin with
    #[arg(long, value_name = "PREFIX", default_value = "belay")]
    pub tag_prefix: String,
    /// What `belay observe` wrote for that scope: write model.yaml and prod.yaml from it
    #[arg(long, value_name = "OBSERVED.json", conflicts_with_all = ["project", "components", "cluster", "region", "tag_prefix"])]
    pub observed: Option<PathBuf>,
    /// The folder to write to
    #[arg(short, long, value_name = "DIR", requires = "observed", default_value = ".")]
    pub output: PathBuf,
}

#[derive(Debug, Args)]
pub struct Show {
    /// The plan; `-` is standard input
    #[arg(value_name = "PLAN.json")]
    pub plan: PathBuf,
    /// For whom
    #[arg(long, value_enum, default_value_t = ShowFormat::Text)]
    pub format: ShowFormat,
    /// Explain one step: the input line that asks for it, the rule, the call, its guards and its way back
    #[arg(long, value_name = "ID")]
    pub node: Option<String>,
    /// What `belay rehearse` found out about this plan, for `markdown` and `html`
    #[arg(long, value_name = "REHEARSAL.json")]
    pub rehearsal: Option<PathBuf>,
    /// Where to write it; without it, or with `-`, to standard output
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub struct Policy {
    /// The plan; `-` is standard input
    #[arg(value_name = "PLAN.json")]
    pub plan: PathBuf,
    /// The role (name or ARN) behind an instance profile of the plan, which only IAM knows; without it every role may be
    /// handed to EC2. Given several times
    #[arg(long, value_name = "PROFILE=ROLE", value_parser = pair)]
    pub profile_role: Vec<(String, String)>,
    /// Where to write it; without it, or with `-`, to standard output
    #[arg(short, long, value_name = "POLICY.json")]
    pub output: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub struct Test {
    /// The folder with the cases
    #[arg(value_name = "DIR")]
    pub folder: PathBuf,
    /// Write what came out as what is expected
    #[arg(long)]
    pub accept: bool,
    /// Only cases whose path holds this text
    #[arg(long, value_name = "TEXT")]
    pub filter: Option<String>,
    /// Write the results as JUnit XML, which CI systems show
    #[arg(long, value_name = "FILE")]
    pub junit: Option<PathBuf>,
    /// How many cases run at the same time; as many as there are processors without it
    #[arg(long, value_name = "N")]
    pub jobs: Option<std::num::NonZeroUsize>,
}

#[derive(Debug, Args)]
pub struct Diff {
    /// The plan that was there before; `-` is standard input
    #[arg(value_name = "OLD.json")]
    pub old: PathBuf,
    /// The plan that is there now; `-` is standard input
    #[arg(value_name = "NEW.json")]
    pub new: PathBuf,
    /// End with exit code 9 when they mean different things
    #[arg(long)]
    pub exit_code: bool,
}

#[derive(Debug, Args)]
pub struct Schema {
    /// The kind of file
    #[arg(value_parser = kind())]
    pub kind: Kind,
    /// Where to write the schema; without it, or with `-`, to standard output
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Color {
    /// On a terminal, unless `NO_COLOR` is set
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ModeArgument {
    /// Bring what runs to what the model says
    Deploy,
    /// Take away everything that the project owns in the target
    Teardown,
}

impl From<ModeArgument> for Mode {
    fn from(mode: ModeArgument) -> Self {
        match mode {
            ModeArgument::Deploy => Self::Deploy,
            ModeArgument::Teardown => Self::Teardown,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum CheckFormat {
    /// With excerpts of the files
    Human,
    /// One JSON document
    Json,
    /// Workflow commands, which GitHub shows at the line in a pull request
    Github,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ShowFormat {
    /// A listing for people
    Text,
    /// A comment for a pull request, always under 60,000 characters
    Markdown,
    /// A diagram that GitHub and GitLab draw
    Mermaid,
    /// A graph for Graphviz
    Dot,
    /// One file to look around in with a browser; it needs no network
    Html,
    /// The plan as it stands in the file
    Json,
}

fn kind() -> impl TypedValueParser<Value = Kind> {
    PossibleValuesParser::new(Kind::ALL.map(Kind::name))
        .try_map(|name| Kind::parse(&name).ok_or_else(|| "no such kind of file".to_owned()))
}

/// `PROFILE=ROLE`.
fn pair(text: &str) -> Result<(String, String), String> {
    let both = text.split_once('=').filter(|(profile, role)| !profile.is_empty() && !role.is_empty());
    let (profile, role) = both.ok_or("write PROFILE=ROLE, for example app=app-role")?;
    Ok((profile.to_owned(), role.to_owned()))
}

/// `NAME=VALUE`.
fn variable(text: &str) -> Result<(String, String), String> {
    let Some((name, value)) = text.split_once('=') else {
        return Err("write NAME=VALUE".into());
    };
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) || !name.chars().all(word) {
        return Err(format!("`{name}` is not the name of a variable: use letters, digits and `_`"));
    }
    Ok((name.to_owned(), value.to_owned()))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn variables_keep_later_equals_signs() {
        assert_eq!(variable("a=b=c"), Ok(("a".into(), "b=c".into())));
        assert!(variable("a").is_err() && variable("=a").is_err() && variable("a-b=c").is_err());
    }
}
