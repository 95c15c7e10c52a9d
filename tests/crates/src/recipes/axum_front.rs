//! axum in front, goroutines behind.

use axum::{Router, extract::Path, http::StatusCode, routing::get};
use go_runtime::{go, time::sleep};
use std::{io, time::Duration};

/// A handler is an async function that awaits a goroutine.
async fn greet(Path(name): Path<String>) -> Result<String, StatusCode> {
    // An `Err` is the goroutine's panic, which the panic hook has reported.
    go!(greeting(name))
        .await
        .map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)
}

/// Ordinary code, which may wait for whatever it likes.
fn greeting(name: String) -> String {
    sleep(Duration::from_millis(10));
    format!("hello, {name}\n")
}

/// Serves until `stop` is done; requests that run then get their answers.
pub async fn serve(
    listener: tokio::net::TcpListener,
    stop: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    let app = Router::new().route("/greet/{name}", get(greet));
    axum::serve(listener, app)
        .with_graceful_shutdown(stop)
        .await
}
