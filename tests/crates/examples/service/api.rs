//! The requests of the service, and its answers.

use std::time::Duration;

use axum::extract::rejection::JsonRejection;
use axum::extract::{DefaultBodyLimit, Json, Path, Request, State};
use axum::http::StatusCode;
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Router, http};
use go_runtime::go;
use serde_json::json;
use tokio::time::timeout;

use crate::store::{Account, Failure, NewAccount, Store, Transfer};

/// Time limit from the end of a request's header to the beginning of its answer.
const REQUEST: Duration = Duration::from_secs(15);
/// Maximum length of a request's body, in bytes.
const BODY: usize = 16 << 10;

type Answer<T> = Result<T, Error>;
type Body<T> = Result<Json<T>, JsonRejection>;

pub(crate) fn routes(store: &'static Store) -> Router {
    Router::new()
        .route("/accounts", get(list).post(create))
        .route("/accounts/{id}", get(show))
        .route("/transfers", post(transfer))
        .fallback(async || Error(StatusCode::NOT_FOUND, "there is no such page".to_owned()))
        .layer(DefaultBodyLimit::max(BODY))
        .layer(middleware::from_fn(in_time))
        .with_state(store)
}

async fn list(State(store): State<&'static Store>) -> Answer<Json<Vec<Account>>> {
    in_goroutine(move || store.list()).await.map(Json)
}

async fn create(
    State(store): State<&'static Store>,
    body: Body<NewAccount>,
) -> Answer<(StatusCode, Json<Account>)> {
    let Json(account) = body?;
    let account = in_goroutine(move || store.create(&account)).await?;
    Ok((StatusCode::CREATED, Json(account)))
}

async fn show(State(store): State<&'static Store>, Path(id): Path<i64>) -> Answer<Json<Account>> {
    in_goroutine(move || store.show(id)).await.map(Json)
}

async fn transfer(
    State(store): State<&'static Store>,
    body: Body<Transfer>,
) -> Answer<(StatusCode, Json<Transfer>)> {
    let Json(transfer) = body?;
    in_goroutine(move || store.transfer(&transfer).map(|()| transfer))
        .await
        .map(|transfer| (StatusCode::CREATED, Json(transfer)))
}

/// Computes the answer in a goroutine, which finishes its work even when the client has gone.
async fn in_goroutine<T: Send + 'static>(
    find: impl FnOnce() -> Result<T, Failure> + Send + 'static,
) -> Answer<T> {
    match go!({ find() }).await {
        Ok(found) => found.map_err(Error::from),
        // The panic hook has reported the panic.
        Err(_panic) => Err(Error(
            StatusCode::INTERNAL_SERVER_ERROR,
            "a fault of ours".to_owned(),
        )),
    }
}

/// Limits the time for a request, its body included.
async fn in_time(request: Request, next: Next) -> Response {
    let late = || {
        Error(
            StatusCode::GATEWAY_TIMEOUT,
            "the request took too long".to_owned(),
        )
    };
    timeout(REQUEST, next.run(request))
        .await
        .unwrap_or_else(|_| late().into_response())
}

/// An answer that is an error: `{"error": "why"}`.
struct Error(StatusCode, String);

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        let Error(status, why) = self;
        let mut response = (status, Json(json!({ "error": why }))).into_response();
        if status == StatusCode::SERVICE_UNAVAILABLE {
            let seconds = http::HeaderValue::from_static("1");
            response
                .headers_mut()
                .insert(http::header::RETRY_AFTER, seconds);
        }
        response
    }
}

impl From<JsonRejection> for Error {
    fn from(rejection: JsonRejection) -> Error {
        Error(rejection.status(), rejection.body_text())
    }
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Error {
        let status = match &failure {
            Failure::NoAccount(_) => StatusCode::NOT_FOUND,
            Failure::Invalid(_) => StatusCode::UNPROCESSABLE_ENTITY,
            Failure::NotCovered => StatusCode::CONFLICT,
            Failure::Busy => StatusCode::SERVICE_UNAVAILABLE,
            Failure::Database(error) => {
                // Details are for the operator; the client is not told them.
                eprintln!("service: {error}");
                StatusCode::INTERNAL_SERVER_ERROR
            }
        };
        Error(status, failure.to_string())
    }
}
