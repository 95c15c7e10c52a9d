//! What stands for `#[test]` in tests that get a process of their own.

use proc_macro::TokenStream;
use quote::{format_ident, quote};
use syn::{ItemFn, parse_macro_input};

/// The numbers of workers that the tests in goroutines run with.
const GOMAXPROCS: [usize; 3] = [1, 2, 4];

/// A test that runs on a thread, in a process of its own.
#[proc_macro_attribute]
pub fn in_process(_: TokenStream, item: TokenStream) -> TokenStream {
    let ItemFn {
        attrs, sig, block, ..
    } = parse_macro_input!(item as ItemFn);
    let name = &sig.ident;
    quote! {
        #[::core::prelude::v1::test]
        #(#attrs)*
        #sig {
            fn body() #block
            ::conformance::run(::core::concat!(::core::module_path!(), "::", ::core::stringify!(#name)), None, body);
        }
    }
    .into()
}

/// Three tests, `..._gomaxprocs_1`, `2` and `4`, each of which runs in a goroutine, in a process of its own.
#[proc_macro_attribute]
pub fn in_goroutine(_: TokenStream, item: TokenStream) -> TokenStream {
    let ItemFn {
        attrs, sig, block, ..
    } = parse_macro_input!(item as ItemFn);
    let body = &sig.ident;
    let tests = GOMAXPROCS.iter().map(|workers| {
        let name = format_ident!("{body}_gomaxprocs_{workers}");
        quote! {
            #[::core::prelude::v1::test]
            #(#attrs)*
            fn #name() {
                ::conformance::run(
                    ::core::concat!(::core::module_path!(), "::", ::core::stringify!(#name)),
                    ::core::option::Option::Some(#workers),
                    #body,
                );
            }
        }
    });
    quote! {
        #sig #block
        #(#tests)*
    }
    .into()
}
