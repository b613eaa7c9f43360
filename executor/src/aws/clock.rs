//! The time on the wall.
//!
//! Invariant: it never goes back and never jumps while this process runs, whatever happens to the machine's clock: limits
//! of waits are spans, and a span does not depend on what somebody sets the clock to.

use std::sync::OnceLock;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;

use crate::cloud::Clock;

/// The clock of this machine, as it stood when it was first looked at, and what has passed since.
#[derive(Debug, Clone, Copy, Default)]
pub struct WallClock;

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

#[async_trait]
impl Clock for WallClock {
    fn now(&self) -> u64 {
        static FIRST: OnceLock<(u64, Instant)> = OnceLock::new();
        let (then, began) = FIRST.get_or_init(|| {
            let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            (millis(since), Instant::now())
        });
        then.saturating_add(millis(began.elapsed()))
    }

    async fn wait_until(&self, at: u64) {
        tokio::time::sleep(Duration::from_millis(at.saturating_sub(self.now()))).await;
    }

    fn is_virtual(&self) -> bool {
        false
    }
}
