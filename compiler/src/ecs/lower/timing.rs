//! How long things take: limits of waits, raised where observed drain and health-check settings make the configured ones
//! impossible.
//!
//! Sources: ECS developer guide (a task counts as healthy after its load balancer's checks; an old task leaves after the
//! deregistration delay and its stop timeout), Elastic Load Balancing attributes as observed.

use crate::diagnostics::{Diagnostic, Report};
use crate::ecs::Context;
use crate::ecs::desired::{Balancer, Desired};
use crate::ecs::json::{items, number, text};
use crate::ecs::{groups, settings, shift};

use super::containers::{start_order, stop_timeout};

use serde_json::Value;

/// Seconds that a task may need from being placed to RUNNING (pull and start).
pub const START: u64 = 60;
/// Seconds from SIGTERM to SIGKILL unless a container says otherwise.
pub const STOP_TIMEOUT: u64 = 30;

/// Limits of one wait, in seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Without progress.
    pub no_progress: u64,
    /// In total.
    pub overall: u64,
    /// Of the final state.
    pub hold: u64,
    /// Between two looks.
    pub interval: u64,
}

/// What observed settings force upon a component's waits, in seconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Pace {
    /// From being placed to RUNNING, beyond what one container needs: containers that wait for others come later.
    pub order: u64,
    /// From RUNNING to healthy in every load balancer.
    pub healthy: u64,
    /// From the decision to stop a task to its end.
    pub stop: u64,
}

/// The pace of a component behind these load balancers.
pub fn pace(context: Context<'_>, desired: &Desired) -> Pace {
    let attachments = desired.attachments.iter().map(|a| &a.balancer);
    let (mut healthy, mut drain) = (0, 0);
    for balancer in attachments {
        let (h, d) = balancer_pace(context, balancer);
        healthy = healthy.max(h);
        drain = drain.max(d);
    }
    Pace { order: start_order(&desired.task), healthy, stop: drain + stop_timeout(&desired.task) }
}

/// The pace of a running service, from what it is attached to.
pub fn pace_of_service(context: Context<'_>, service: &Value) -> Pace {
    let (mut healthy, mut drain) = (0, 0);
    for entry in items(service, "loadBalancers") {
        let balancer = match (text(entry, "targetGroupArn"), text(entry, "loadBalancerName")) {
            (Some(arn), _) => Balancer::TargetGroup { arn: arn.to_owned() },
            (None, Some(name)) => Balancer::Classic { name: name.to_owned() },
            (None, None) => continue,
        };
        let (h, d) = balancer_pace(context, &balancer);
        healthy = healthy.max(h);
        drain = drain.max(d);
    }
    let task = text(service, "taskDefinition").and_then(|arn| context.facts.and_then(|f| f.definition(arn)));
    Pace {
        order: task.map_or(0, |d| start_order(d.task)),
        healthy,
        stop: drain + task.map_or(STOP_TIMEOUT, |d| stop_timeout(d.task)),
    }
}

fn balancer_pace(context: Context<'_>, balancer: &Balancer) -> (u64, u64) {
    let facts = context.facts;
    match balancer {
        Balancer::TargetGroup { arn } => {
            let group = facts.and_then(|f| f.target_group(arn));
            let interval = group.and_then(|g| number(g, "HealthCheckIntervalSeconds")).unwrap_or(30);
            let threshold = group.and_then(|g| number(g, "HealthyThresholdCount")).unwrap_or(5);
            let delay = facts.and_then(|f| f.target_group_attribute(arn, groups::DELAY));
            let found =
                (interval * threshold, delay.and_then(|d| d.parse().ok()).unwrap_or(u64::from(groups::DEFAULT_DELAY)));
            match (group, groups::pace(context, arn)) {
                // What the plan changes holds before, or after it.
                (Some(_), Some((healthy, delay))) => (found.0.max(healthy), found.1.max(delay)),
                (None, Some(wanted)) => wanted,
                (_, None) => found,
            }
        }
        Balancer::Classic { name } => {
            let check = facts.and_then(|f| f.classic(name)).and_then(|b| b.get("HealthCheck"));
            let interval = check.and_then(|c| number(c, "Interval")).unwrap_or(30);
            let threshold = check.and_then(|c| number(c, "HealthyThreshold")).unwrap_or(10);
            (
                interval * threshold,
                facts.and_then(|f| f.classic_drain(name)).unwrap_or(u64::from(groups::DEFAULT_DELAY)),
            )
        }
    }
}

/// A configured limit that observed settings make impossible.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Raise {
    /// The component.
    pub component: String,
    /// The environment's setting.
    pub setting: &'static str,
    /// What it says, in seconds.
    pub configured: u64,
    /// What it has to be, in seconds.
    pub raised: u64,
    /// What takes so long.
    pub needed: String,
}

/// Limits of the wait for a deployment, and the raise where the configured ones are impossible.
pub fn deployment(context: Context<'_>, desired: &Desired, replaces: bool) -> (Limits, Option<Raise>) {
    let pace = pace(context, desired);
    let stop = if replaces { pace.stop } else { 0 };
    let start = START + pace.order;
    let step = start + pace.healthy.max(stop);
    let count = desired.desired_count().unwrap_or(1);
    let waves = if replaces { waves(count, desired.percents()) } else { 1 };
    // Traffic is shifted from something that runs.
    let shift = shift::pauses(&desired.service).filter(|_| replaces);
    let (waves, pauses) = shift.map_or((waves, 0), |pauses| (1, pauses));
    let step = step + pauses;
    let total = waves * (start + pace.healthy + stop) + pauses;
    let settings = context.settings;
    let no_progress = settings.timeout.max(step);
    let overall = settings.overall_timeout.max(total).max(no_progress);
    let (setting, configured, raised) = if no_progress > settings.timeout {
        ("timeout", settings.timeout, no_progress)
    } else {
        ("overall_timeout", settings.overall_timeout, overall)
    };
    // Raising a limit that nobody wrote is no news.
    let config = context.loaded.environment.plugin_config.as_ref().and_then(|p| p.ecs.as_ref());
    let written = config.is_some_and(|c| match setting {
        "timeout" => c.timeout.is_some(),
        _ => c.overall_timeout.is_some(),
    });
    let raise = (raised > configured && written).then(|| {
        let mut parts = vec![match pace.order {
            0 => format!("{START} s to start"),
            _ => format!("{start} s until its containers have started, one after the other"),
        }];
        if pace.healthy > 0 {
            parts.push(format!("{} s until it is healthy in its load balancer", pace.healthy));
        }
        if stop > 0 {
            parts.push(format!("{stop} s until an old one has drained and stopped"));
        }
        if pauses > 0 {
            parts.push(format!("{pauses} s until all traffic is shifted and the old version may go"));
        }
        if waves > 1 {
            parts.push(format!("{waves} rounds of that"));
        }
        Raise { component: desired.component.clone(), setting, configured, raised, needed: parts.join(", ") }
    });
    let limits = Limits {
        no_progress,
        overall: overall + settings.update_monitor,
        hold: settings.update_monitor,
        interval: settings.poll_interval,
    };
    (limits, raise)
}

/// One warning for each setting that had to be raised.
pub fn warn(raises: &[Raise], report: &mut Report) {
    for setting in ["timeout", "overall_timeout"] {
        let all: Vec<&Raise> = raises.iter().filter(|r| r.setting == setting).collect();
        let Some(worst) = all.iter().max_by_key(|r| r.raised) else { continue };
        let mut names: Vec<String> = all.iter().take(5).map(|r| format!("`{}`", r.component)).collect();
        if all.len() > names.len() {
            names.push(format!("{} more", all.len() - names.len()));
        }
        report.push(
            Diagnostic::warning(
                "B436",
                format!(
                    "`{setting}` ({} s) is too short for {}: up to {} s are allowed instead",
                    worst.configured,
                    names.join(", "),
                    worst.raised
                ),
            )
            .at(settings::place(&[setting]))
            .label(format!("a task of `{}` may need {}", worst.component, worst.needed))
            .help(format!(
                "write `{setting}: {}`, or shorten the deregistration delay and the health check",
                worst.raised
            )),
        );
    }
}

/// How many rounds of replacing it takes: AWS starts up to the maximum and stops down to the minimum in each.
fn waves(count: u64, (minimum, maximum): (u64, u64)) -> u64 {
    if count == 0 {
        return 1;
    }
    let lowest = (count * minimum).div_ceil(100);
    let highest = count * maximum / 100;
    let a_wave = highest.saturating_sub(count) + count.saturating_sub(lowest);
    count.div_ceil(a_wave.max(1))
}

/// Limits of the wait for running tasks to come back to an old count or definition, with pauses while traffic is shifted.
pub fn restoring(context: Context<'_>, pace: Pace, count: u64, pauses: u64) -> Limits {
    let settings = context.settings;
    let start = START + pace.order;
    let step = start + pace.healthy.max(pace.stop) + pauses;
    Limits {
        no_progress: settings.timeout.max(step),
        overall: settings
            .overall_timeout
            .max(count.max(1) * (start + pace.healthy + pace.stop) + pauses)
            .max(settings.timeout.max(step)),
        hold: 0,
        interval: context.settings.poll_interval,
    }
}

/// Limits of the wait for tasks to stop.
pub fn draining(context: Context<'_>, pace: Pace) -> Limits {
    let step = pace.stop + START;
    Limits {
        no_progress: context.settings.timeout.max(step),
        overall: context.settings.overall_timeout.max(2 * step).max(context.settings.timeout),
        hold: 0,
        interval: context.settings.poll_interval,
    }
}

#[cfg(test)]
mod tests {
    use super::waves;

    #[test]
    fn waves_follow_the_percentages() {
        assert_eq!(waves(4, (100, 200)), 1);
        assert_eq!(waves(4, (100, 125)), 4);
        assert_eq!(waves(4, (50, 100)), 2);
        assert_eq!(waves(1, (0, 100)), 1);
        assert_eq!(waves(0, (100, 200)), 1);
    }
}
