//! What a panic said.

use std::any::Any;

/// The text of a panic, from the payload that [`JoinHandle::join`](crate::JoinHandle::join) and its
/// like return.
///
/// That is a `&str` or a `String`, whichever the compiler has made of `panic!(...)`. A payload of
/// another type, as [`resume_unwind`](std::panic::resume_unwind) and `panic_any` can throw, has no
/// text: then it is what std prints, `Box<dyn Any>`. (`&payload` without the `*` is a payload, too:
/// a box in which the payload is. Its text is that of what is in it.)
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
