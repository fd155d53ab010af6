//! Sees what other gateways change in a database that is shared: a key that was made or taken away there is so here a second later.

use crate::App;
use std::sync::Arc;
use std::time::Duration;

/// How often it is looked.
const LOOK: Duration = Duration::from_secs(1);

/// For as long as the process lives, if the database is shared.
pub async fn watch(app: Arc<App>) {
    if !app.store.is_shared() {
        return;
    }
    let mut well = true;
    loop {
        tokio::time::sleep(LOOK).await;
        match app.store.refresh().await {
            Ok(_) if !well => {
                tracing::warn!("the database is back");
                well = true;
            }
            Err(e) if well => {
                tracing::warn!("the database cannot be asked, what is known goes on being served: {e}");
                well = false;
            }
            _ => {}
        }
    }
}
