//! Signals that end a program which is the first of its container.
//!
//! To such a process Linux delivers no signal that it has no handler for: without one, SIGTERM would be left out, and every
//! drain and deadline would wait for the whole grace period and then kill. Anywhere else the default does what is right. A
//! report that is not finished has no name yet, so nothing half is left.

/// Ends the program by SIGTERM and SIGINT with the exit codes that a shell gives for them.
pub(crate) fn end_by() {
    #[cfg(unix)]
    if std::process::id() == 1 {
        std::thread::spawn(wait);
    }
}

#[cfg(unix)]
#[expect(clippy::exit, reason = "the signal asks for just that, whatever the other threads wait for")]
fn wait() {
    use tokio::signal::unix::{SignalKind, signal};

    let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else { return };
    let (name, code) = runtime.block_on(async {
        let (Ok(mut term), Ok(mut int)) = (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
        else {
            return std::future::pending().await;
        };
        tokio::select! {
            _ = term.recv() => ("SIGTERM", 143),
            _ = int.recv() => ("SIGINT", 130),
        }
    });
    crate::output::note(&format!("{name}: stopped; the report is not finished"));
    std::process::exit(code);
}
