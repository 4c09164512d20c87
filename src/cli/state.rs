//! The counters' state: opened at the start, waited for while another process has it, and measured.

use std::path::PathBuf;
use std::time::Duration;

use crate::ledger::{Ledger, Opening, StoreError};
use crate::telemetry::events::StateOpened;
use crate::telemetry::{SelfMetrics, error_chain};

/// How often the file is measured, and asked for while another process has it. The one that this one
/// takes the place of in a rolling update ends within seconds.
const OFTEN: Duration = Duration::from_secs(5);

/// Opens it. Whatever is wrong with it, the exporter serves.
pub async fn open(directory: Option<PathBuf>, metrics: &SelfMetrics) -> Ledger {
    let Some(directory) = directory else {
        StateOpened::InMemory.emit(metrics);
        return Ledger::in_memory();
    };
    let opening = tokio::task::spawn_blocking(move || Ledger::open(&directory));
    match opening.await {
        Ok((ledger, opening)) => {
            tell(opening, metrics);
            ledger
        }
        Err(error) => {
            let error = &error_chain(&error);
            StateOpened::Unusable { error }.emit(metrics);
            Ledger::in_memory()
        }
    }
}

/// Takes the file as soon as another process has left it, and keeps the metric of its size. Never ends.
pub async fn keep(ledger: Ledger, metrics: SelfMetrics) {
    let mut ticks = tokio::time::interval(OFTEN);
    let mut told = String::new();
    loop {
        ticks.tick().await;
        let (ledger, metrics) = (ledger.clone(), metrics.clone());
        let mut before = std::mem::take(&mut told);
        let looking = tokio::task::spawn_blocking(move || {
            if ledger.is_waiting() {
                match ledger.retry() {
                    Ok(opening) => tell(opening, &metrics),
                    Err(StoreError::Held { .. }) => {}
                    Err(error) => {
                        let error = error_chain(&error);
                        // Once, not every time.
                        if error != before {
                            StateOpened::NotYetUsable { error: &error }.emit(&metrics);
                        }
                        before = error;
                    }
                }
            }
            metrics.set_state_bytes(ledger.size().unwrap_or(0));
            before
        });
        told = looking.await.unwrap_or_default();
    }
}

fn tell(opening: Opening, metrics: &SelfMetrics) {
    match opening {
        Opening::Opened | Opening::Created => StateOpened::Opened.emit(metrics),
        Opening::SetAside { aside, error } => StateOpened::SetAside {
            aside: &aside,
            error: &error_chain(&error),
        }
        .emit(metrics),
        Opening::Held { error } => StateOpened::Held {
            error: &error_chain(&error),
        }
        .emit(metrics),
        Opening::InMemory { error } => StateOpened::Unusable {
            error: &error_chain(&error),
        }
        .emit(metrics),
    }
}
