//! Commands that change nothing in AWS: `observe`, `verify`, and `world`, which writes a file to play with.

use std::sync::Arc;

use belay_executor::observe::{Counted, observe as observe_target};
use belay_executor::progress::{Paint, Tone};
use belay_executor::run::{self, Setup};
use belay_executor::simulator::World;
use belay_schemas::observed::Observed;
use belay_schemas::plan::pretty;
use belay_schemas::scope::Scope;
use serde_json::json;

use crate::cli::{self, Format};
use crate::failure::Failure;
use crate::files;
use crate::place::{Place, Use};
use crate::say::say;

/// `belay observe`
pub async fn observe(args: &cli::Observe) -> Result<u8, Failure> {
    let scope: Scope = files::document(&args.scope, "a scope", "belayc scope")?;
    let place = Place::open(&args.place, Use::Look, scope.region.as_deref()).await?;
    let cloud = Counted::new(place.cloud.as_ref());
    let observed = observe_target(&scope, &cloud, place.clock.as_ref(), &place.region).await?;
    files::write(args.output.as_deref(), &pretty(&observed))?;
    let counts = cloud.counts();
    let services: usize = observed
        .outputs("ecs", "DescribeServices")
        .map(|(_, output)| output["services"].as_array().map_or(0, Vec::len))
        .sum();
    let (services, calls) = (number(services as u64, "service"), number(counts.total(), "call"));
    say(format_args!("observed {}: {services} in {calls}, nothing was changed", place.describe()));
    say(format_args!("  {counts}"));
    Ok(0)
}

/// `1 call`, `2 calls`.
fn number(count: u64, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

/// `belay verify`
pub async fn verify(args: &cli::Verify) -> Result<u8, Failure> {
    let plan = files::plan(&args.plan)?;
    let place = Place::open(&args.place, Use::Look, plan.target.region.as_deref()).await?;
    let setup = Setup::quiet(Arc::clone(&place.cloud), Arc::clone(&place.clock));
    let failures = run::verify(&plan, Some(&place.region), setup).await?;
    match args.format {
        Format::Json => {
            let document = json!({"plan": plan.digest, "holds": failures.is_empty(), "failures": failures});
            files::write(None, &format!("{document}\n"))?;
        }
        Format::Human => {
            let paint = Paint::of(&std::io::stderr());
            if failures.is_empty() {
                let text = format!("the plan's assumptions hold in {}", place.describe());
                say(paint.tone(Tone::Good, &text));
            } else {
                let text = format!("stale: {} is not as the plan assumes", place.describe());
                say(paint.tone(Tone::Bad, &text));
                for failure in &failures {
                    say(format_args!("  {failure}"));
                }
                say(format_args!(
                    "{} observe and compile again, and review the new plan",
                    paint.tone(Tone::Good, "next:")
                ));
            }
        }
    }
    Ok(if failures.is_empty() { 0 } else { 5 })
}

/// `belay world`
pub fn world(args: &cli::World) -> Result<u8, Failure> {
    let world = match &args.observed {
        None => World::default_account(),
        Some(path) => {
            let observed: Observed = files::document(path, "observed state", "belay observe")?;
            World::from_observed(&observed).map_err(|error| Failure::Input {
                path: path.display().to_string(),
                reason: error.to_string(),
                help: None,
            })?
        }
    };
    files::write(Some(&args.output), &pretty(&world))?;
    Ok(0)
}
