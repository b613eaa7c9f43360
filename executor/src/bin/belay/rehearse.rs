//! `rehearse`: every step of a plan failing in every way, on a simulated AWS made from observed state.

use belay_executor::rehearse::{self, Options, WorldSettings, rehearse};
use belay_executor::simulator::World;
use belay_schemas::observed::Observed;
use belay_schemas::plan::pretty;

use crate::cli::{self, Format};
use crate::failure::Failure;
use crate::files;

/// `belay rehearse`
pub fn command(args: &cli::Rehearse) -> Result<u8, Failure> {
    let plan = files::plan(&args.plan)?;
    let observed: Observed = files::document(&args.observed, "observed state", "belay observe")?;
    let input = |path: &std::path::Path, reason: String| Failure::Input {
        path: path.display().to_string(),
        reason,
        help: None,
    };
    let mut world = World::from_observed(&observed).map_err(|e| input(&args.observed, e.to_string()))?;
    if let Some(path) = &args.world_settings {
        let settings: WorldSettings = serde_json::from_str(&files::read(path)?)
            .map_err(|e| input(path, format!("not settings of a world: {e}")))?;
        settings.apply(&mut world);
    }
    let (seed, pairs, concurrency) = (args.seed, args.pairs, args.concurrency);
    let options = Options { seed, pairs, concurrency, apart: !args.whole };
    let report = rehearse(&plan, &world, Some(&observed), &options)?;
    let text = match args.format {
        Format::Human => rehearse::text(&report),
        Format::Json => pretty(&report),
    };
    files::write(None, &text)?;
    Ok(if report.holds { 0 } else { 1 })
}
