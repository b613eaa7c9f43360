//! A person's interruptions: the first turns the run back, the second stops it where it is.

use tokio::sync::mpsc;

/// The receiving end: what a run listens to.
#[derive(Debug)]
pub struct Signals(mpsc::UnboundedReceiver<()>);

/// The sending end: Ctrl-C, or a test.
#[derive(Debug, Clone)]
pub struct Interrupt(mpsc::UnboundedSender<()>);

/// A connected pair.
pub fn signals() -> (Interrupt, Signals) {
    let (sender, receiver) = mpsc::unbounded_channel();
    (Interrupt(sender), Signals(receiver))
}

impl Interrupt {
    /// Interrupts once.
    pub fn send(&self) {
        // A run that is over cannot be interrupted.
        let _ = self.0.send(());
    }
}

impl Signals {
    /// A run that nobody interrupts.
    pub fn none() -> Self {
        signals().1
    }

    /// The next interruption; never returns once nobody can interrupt any more.
    pub(super) async fn next(&mut self) {
        if self.0.recv().await.is_none() {
            std::future::pending::<()>().await;
        }
    }
}
