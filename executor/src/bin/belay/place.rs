//! Where a command works: a simulated world, or AWS.
//!
//! Invariants: a run goes on only where it began; on AWS it is known who calls before anything else is done.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use belay_executor::cloud::{Clock, Cloud};
use belay_executor::lock::Lock;
use belay_executor::run::{Identity, RunError, RunStatus};
use belay_executor::simulator::SimulatedCloud;
use belay_executor::trace::Traced;

use crate::cli::Where;
use crate::failure::Failure;
use crate::say::say;

/// What answers calls, what tells the time, and what that is called.
#[derive(Clone)]
pub struct Place {
    pub cloud: Arc<dyn Cloud>,
    pub clock: Arc<dyn Clock>,
    /// The region that calls go to.
    pub region: String,
    /// The account.
    pub account: String,
    /// Who calls; `None` in a simulated world.
    pub caller: Option<Identity>,
    /// The simulated world's file, as an absolute path.
    pub world: Option<String>,
    /// Keeps others from changing the same simulated world; only who changes it holds it.
    _alone: Option<Arc<Lock>>,
}

/// What a command does there.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Use {
    /// It reads.
    Look,
    /// It changes things: nobody else may at the same time.
    Change,
}

impl Place {
    /// The place that the command line names. `region` is the one of what is worked on, if it names one.
    pub async fn open(place: &Where, purpose: Use, region: Option<&str>) -> Result<Self, Failure> {
        let Some(path) = &place.simulated else { return aws(place, region).await };
        let path =
            std::path::absolute(path).map_err(|source| Failure::Read { path: path.display().to_string(), source })?;
        Self::simulated(&path, place, purpose)
    }

    /// The place where a run began. Naming it again is allowed, naming another one is not.
    pub async fn again(place: &Where, run: &RunStatus) -> Result<Self, Failure> {
        let Some(world) = &run.world else {
            if place.simulated.is_some() {
                let reason = "this run works on AWS, not on a simulated world".to_owned();
                return Err(Failure::Usage { reason, help: Some("leave out --simulated".to_owned()) });
            }
            return aws(place, run.region.as_deref()).await;
        };
        let world = PathBuf::from(world);
        if let Some(named) = &place.simulated
            && std::path::absolute(named).ok().as_ref() != Some(&world)
        {
            let reason = format!("this run works on the simulated world {}", world.display());
            return Err(Failure::Usage {
                reason,
                help: Some("leave out --simulated: a run remembers its world".to_owned()),
            });
        }
        if !world.exists() {
            let reason = format!("the simulated world of this run, {}, is gone", world.display());
            return Err(Failure::Environment { reason });
        }
        Self::simulated(&world, place, Use::Change)
    }

    fn simulated(path: &Path, place: &Where, purpose: Use) -> Result<Self, Failure> {
        let fresh = !path.exists();
        if let Some(folder) = path.parent()
            && let Err(source) = std::fs::metadata(folder)
        {
            // Better now than at the first mutation.
            return Err(Failure::Write { path: path.display().to_string(), source });
        }
        let alone = match purpose {
            Use::Look => None,
            Use::Change => Some(Arc::new(Lock::world(path).map_err(RunError::Lock)?)),
        };
        let cloud = Arc::new(SimulatedCloud::open(path, place.pace)?);
        let world = cloud.world();
        if fresh {
            say(format_args!(
                "{} does not exist yet: starting from the default account ({}, {})",
                path.display(),
                world.account,
                world.region
            ));
        }
        if purpose == Use::Change {
            cloud.keep()?;
        }
        let clock = Arc::clone(&cloud) as Arc<dyn Clock>;
        Ok(Self {
            _alone: alone,
            cloud: traced(cloud, &clock, &world.region, place)?,
            clock,
            region: world.region,
            account: world.account,
            caller: None,
            world: Some(path.display().to_string()),
        })
    }

    /// The place in a few words.
    pub fn describe(&self) -> String {
        let world = self.world.as_ref().map(|world| {
            let name = Path::new(world).file_name().map_or(world.clone(), |name| name.to_string_lossy().into_owned());
            format!(", simulated world {name}")
        });
        format!("account {}, {}{}", self.account, self.region, world.unwrap_or_default())
    }
}

/// The cloud with a trace, where one is wanted.
fn traced(
    cloud: Arc<dyn Cloud>,
    clock: &Arc<dyn Clock>,
    region: &str,
    place: &Where,
) -> Result<Arc<dyn Cloud>, Failure> {
    let Some(path) = &place.trace else { return Ok(cloud) };
    let traced = Traced::new(cloud, Arc::clone(clock), region, path);
    Ok(Arc::new(traced.map_err(|source| Failure::Write { path: path.display().to_string(), source })?))
}

/// AWS, as the configuration of this process says. Who calls is asked first: without an answer nothing else would have one.
#[cfg(feature = "aws")]
async fn aws(place: &Where, region: Option<&str>) -> Result<Place, Failure> {
    use belay_executor::aws::{AwsCloud, WallClock};
    let cloud = AwsCloud::open(region).await?;
    let region = cloud.region().to_owned();
    let clock: Arc<dyn Clock> = Arc::new(WallClock);
    let cloud = traced(Arc::new(cloud), &clock, &region, place)?;
    let caller = belay_executor::run::identity(cloud.as_ref(), clock.as_ref()).await?;
    Ok(Place { region, account: caller.account.clone(), caller: Some(caller), world: None, cloud, clock, _alone: None })
}

/// This build has no AWS.
#[cfg(not(feature = "aws"))]
#[expect(clippy::unused_async, reason = "the other one waits")]
async fn aws(_: &Where, _: Option<&str>) -> Result<Place, Failure> {
    Err(Failure::NoAws)
}
