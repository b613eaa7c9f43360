//! The time on the wall.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;

use crate::cloud::Clock;

/// The clock of this machine.
#[derive(Debug, Clone, Copy, Default)]
pub struct WallClock;

#[async_trait]
impl Clock for WallClock {
    fn now(&self) -> u64 {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    }

    async fn wait_until(&self, at: u64) {
        tokio::time::sleep(Duration::from_millis(at.saturating_sub(self.now()))).await;
    }

    fn is_virtual(&self) -> bool {
        false
    }
}
