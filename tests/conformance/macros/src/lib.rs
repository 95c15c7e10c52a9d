//! Attributes in place of `#[test]`, for tests that run in their own processes.

use proc_macro::TokenStream;
use quote::{format_ident, quote};
use syn::parse::{Parse, ParseStream};
use syn::{Attribute, ItemFn, LitInt, LitStr, Token, parse_macro_input};

/// The numbers of workers that the tests in goroutines run with.
const GOMAXPROCS: [usize; 3] = [1, 2, 8];
/// The number of workers of the tests that run only on request, to save time.
const ON_REQUEST: usize = 2;

/// Makes a test that runs on a thread, in its own process.
#[proc_macro_attribute]
pub fn in_process(_: TokenStream, item: TokenStream) -> TokenStream {
    let ItemFn {
        attrs, sig, block, ..
    } = parse_macro_input!(item as ItemFn);
    let name = &sig.ident;
    let attempts = attempts(&attrs);
    quote! {
        #[::core::prelude::v1::test]
        #(#attrs)*
        #sig {
            fn body() #block
            ::conformance::run(
                ::core::concat!(::core::module_path!(), "::", ::core::stringify!(#name)),
                None,
                #attempts,
                body,
            );
        }
    }
    .into()
}

/// Makes three tests, `..._gomaxprocs_1`, `2` and `8`, each of which runs in a goroutine, in its
/// own process. The tests with two workers cover nothing that the others do not, so they run only
/// on request:
///
/// ```sh
/// cargo test -p conformance gomaxprocs_2 -- --include-ignored
/// ```
///
/// An attribute `#[left_out(workers, "why")]` ignores the tests with this many workers or fewer.
#[proc_macro_attribute]
pub fn in_goroutine(_: TokenStream, item: TokenStream) -> TokenStream {
    let ItemFn {
        mut attrs,
        sig,
        block,
        ..
    } = parse_macro_input!(item as ItemFn);
    let mut left_out = None;
    for attr in attrs.extract_if(.., |attr| attr.path().is_ident("left_out")) {
        match attr.parse_args() {
            Ok(found) => left_out = Some(found),
            Err(error) => return error.into_compile_error().into(),
        }
    }
    let body = &sig.ident;
    let attempts = attempts(&attrs);
    let tests = GOMAXPROCS.iter().map(|&workers| {
        let name = format_ident!("{body}_gomaxprocs_{workers}");
        let ignore = left_out.as_ref().and_then(|left_out: &LeftOut| {
            let why = &left_out.why;
            (workers <= left_out.workers).then(|| quote!(#[ignore = #why]))
        });
        let ignore = ignore.or_else(|| {
            (workers == ON_REQUEST).then(|| quote!(#[ignore = "with two workers, on request"]))
        });
        quote! {
            #[::core::prelude::v1::test]
            #ignore
            #(#attrs)*
            fn #name() {
                ::conformance::run(
                    ::core::concat!(::core::module_path!(), "::", ::core::stringify!(#name)),
                    ::core::option::Option::Some(#workers),
                    #attempts,
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

/// Returns the number of attempts: a test that has to panic would fail each time, so it has one.
fn attempts(attrs: &[Attribute]) -> usize {
    let panics = attrs
        .iter()
        .any(|attr| attr.path().is_ident("should_panic"));
    if panics { 1 } else { 2 }
}

/// The arguments of `#[left_out(...)]`.
struct LeftOut {
    workers: usize,
    why: LitStr,
}

impl Parse for LeftOut {
    fn parse(input: ParseStream<'_>) -> syn::Result<LeftOut> {
        let workers: LitInt = input.parse()?;
        input.parse::<Token![,]>()?;
        Ok(LeftOut {
            workers: workers.base10_parse()?,
            why: input.parse()?,
        })
    }
}
