//! Keeps this gateway's parts of limits that others spend from as well: the task beside the requests that goes to the database for more.

use crate::{App, clock};
use slip_store::Keeper;
use std::sync::Arc;
use std::time::Duration;

/// From now on no more is spent of any limit than is lent to this gateway. To be called before the first request; `None` where the
/// database is not shared.
pub fn begin(app: &App, lasts: Duration) -> Option<Keeper> {
    app.store.lend(lasts)
}

/// For as long as the process lives; when it drains, until nothing is under way any more. Then everything is given back.
pub async fn keep(app: Arc<App>, mut keeper: Keeper, mut stopped: tokio::sync::oneshot::Receiver<()>) {
    let (mut well, mut pause) = (true, Duration::ZERO);
    loop {
        tokio::select! {
            () = keeper.wait(pause) => {}
            _ = &mut stopped => break,
        }
        match keeper.turn(clock::moment()).await {
            Ok(turned) => {
                if turned.buried {
                    tracing::warn!("the leases of this gateway had run out and were given to others; it begins anew");
                }
                if !well {
                    tracing::warn!("leases are renewed again");
                }
                (well, pause) = (true, turned.pause);
            }
            Err(e) => {
                if well {
                    tracing::warn!("leases cannot be renewed, what is left of them goes on being spent: {e}");
                }
                (well, pause) = (false, Keeper::rest());
            }
        }
    }
    // Whatever was under way has been settled by now, and what is still to be written goes before this.
    if let Err(e) = keeper.leave().await {
        tracing::warn!("leases could not be given back, and run out by themselves: {e}");
    }
    drop(app);
}
