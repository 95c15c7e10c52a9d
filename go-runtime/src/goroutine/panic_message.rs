//! [`panic_message`]: the text of a panic.

use std::any::Any;

/// Returns the text of a panic, from the payload that [`JoinHandle::join`](crate::JoinHandle::join)
/// and similar methods return.
///
/// The payload of `panic!(...)` is a `&str` or a `String`. A payload of another type, as
/// [`resume_unwind`](std::panic::resume_unwind) and `panic_any` can throw, has no text: then the
/// result is `Box<dyn Any>`, which std prints too. (`&payload` without the `*` is accepted too: it
/// is a payload that is a box, whose text is that of the payload in the box.)
///
/// ```
/// use go_runtime::{go, panic_message};
///
/// let n = 3;
/// let failed = go! { if n > 2 { panic!("{n} is too many") } };
/// let payload = failed.join().unwrap_err();
/// assert_eq!(panic_message(&*payload), "3 is too many");
/// assert_eq!(panic_message(&payload), "3 is too many");
/// ```
#[must_use]
pub fn panic_message(payload: &(dyn Any + Send)) -> &str {
    if let Some(text) = payload.downcast_ref::<&'static str>() {
        text
    } else if let Some(text) = payload.downcast_ref::<String>() {
        text
    } else if let Some(boxed) = payload.downcast_ref::<Box<dyn Any + Send>>() {
        panic_message(&**boxed)
    } else {
        "Box<dyn Any>"
    }
}
