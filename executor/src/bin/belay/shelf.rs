//! Where runs are journalled: a directory, or `s3://BUCKET/PREFIX`.

use std::path::Path;
use std::sync::Arc;

use belay_executor::journal::{Runs, Shelf};

use crate::failure::Failure;

/// What an address in S3 begins with.
const S3: &str = "s3://";

/// The place that `--journal` names.
pub async fn open(journal: &Path) -> Result<Arc<dyn Shelf>, Failure> {
    match journal.to_str().filter(|name| name.starts_with(S3)) {
        Some(url) => bucket(url).await,
        None => Ok(Arc::new(Runs::new(journal))),
    }
}

/// Whether the lock of a journal covers only who uses the same directory of this machine.
pub fn is_local(journal: &Path) -> bool {
    !journal.to_str().is_some_and(|name| name.starts_with(S3))
}

#[cfg(feature = "aws")]
async fn bucket(url: &str) -> Result<Arc<dyn Shelf>, Failure> {
    let bucket = belay_executor::journal::bucket::Bucket::s3(url).await?;
    Ok(Arc::new(bucket.telling(|text| crate::say::say(text))))
}

#[cfg(not(feature = "aws"))]
async fn bucket(_url: &str) -> Result<Arc<dyn Shelf>, Failure> {
    Err(Failure::NoAws)
}
