//! How virtual time passes: from one thing that happens to the next, never in small steps.
//!
//! Invariant: advancing in one go or in many gives the same world.

use super::time::Time;
use super::world::{TaskStatus, World};
use super::{autoscaling, ec2, ecs, targets};

impl World {
    /// When something happens next by itself.
    #[must_use]
    pub fn next_event(&self) -> Option<Time> {
        let tasks = self.tasks.iter().filter_map(|(_, task)| task.times.next());
        let services = self.services.values().filter_map(|service| service.due);
        let machines = ec2::next(self).into_iter().chain(autoscaling::next(self)).chain(ecs::next(self));
        let machines = machines.chain(ecs::next_of_providers(self));
        let names = self.dns_changes.values().copied().filter(|known| *known > self.now);
        tasks.chain(services).chain(names).chain(targets::next(self)).chain(machines).min()
    }

    /// Lets time pass until `to`, with everything that happens in between. Gives back whether there was anything, so
    /// that the world looks different now.
    pub fn advance(&mut self, to: Time) -> bool {
        let mut different = !self.dirty.is_empty();
        self.settle();
        while let Some(next) = self.next_event().filter(|next| *next <= to) {
            self.now = self.now.max(next);
            self.happen();
            different = true;
        }
        self.now = self.now.max(to);
        self.forget_old() || different
    }

    /// Everything that happens now.
    fn happen(&mut self) {
        for task in targets::pass_time(self) {
            ecs::refresh_health(self, &task);
        }
        ec2::pass_time(self);
        ecs::join_clusters(self);
        autoscaling::pass_time(self);
        ecs::pass_time_of_providers(self);
        ecs::pass_time(self);
        let now = self.now;
        let due = self.services.iter().filter(|(_, service)| service.due.is_some_and(|due| due <= now));
        let due: Vec<String> = due.map(|(key, _)| key.clone()).collect();
        self.dirty.extend(due);
        self.settle();
    }

    /// Lets the scheduler look at what changed.
    pub(super) fn settle(&mut self) {
        while let Some(key) = self.dirty.pop_first() {
            ecs::reconcile(self, &key);
        }
    }

    /// Drops what AWS no longer shows; whether there was anything.
    fn forget_old(&mut self) -> bool {
        let count = |world: &Self| (world.tasks.len(), world.instances.len());
        let before = count(self);
        let (now, keep) = (self.now, self.timings.stopped_task_retention_seconds);
        let old = |stopped: Option<Time>| stopped.is_some_and(|at| at.plus(keep) <= now);
        if self.tasks.iter().any(|(_, t)| t.last_status == TaskStatus::Stopped && old(t.times.stopped_at)) {
            self.tasks.retain(|task| !(task.last_status == TaskStatus::Stopped && old(task.times.stopped_at)));
        }
        ec2::forget_terminated(self);
        let deleted = ecs::forget_deleted(self);
        deleted || count(self) != before
    }
}
