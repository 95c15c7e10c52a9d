//! `#[test]` for a test that runs in a goroutine.

use proc_macro::TokenStream;
use quote::quote;
use syn::{ItemFn, parse_macro_input};

/// Like the built-in `#[test]`, but the body runs in a goroutine, by itself, with as many workers as the target's `WORKERS` says.
#[proc_macro_attribute]
pub fn test(_: TokenStream, item: TokenStream) -> TokenStream {
    let ItemFn {
        attrs, sig, block, ..
    } = parse_macro_input!(item as ItemFn);
    quote! {
        #[::core::prelude::v1::test]
        #(#attrs)*
        #sig {
            ::conformance::in_goroutine(crate::WORKERS, || #block)
        }
    }
    .into()
}
