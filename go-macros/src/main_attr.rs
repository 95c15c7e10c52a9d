//! `#[main]`: the user's function becomes an inner one, which the runtime runs as the main
//! goroutine.
//!
//! The body stays unparsed, so that rustc reports what is wrong in it.

#[cfg(test)]
mod tests;

use proc_macro_crate::{FoundCrate, crate_name};
use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens, format_ident, quote, quote_spanned};
use syn::ext::IdentExt;
use syn::parse::{Parse, ParseStream, Parser};
use syn::{Abi, Attribute, Error, LitStr, Path, Result, Signature, Token, Visibility, token};

pub(crate) fn expand(arguments: TokenStream, item: TokenStream) -> TokenStream {
    let main = match syn::parse2::<Main>(item.clone()) {
        Ok(main) => main,
        Err(error) => {
            // Whatever the item is, the rest of the program may use it.
            let error = error.into_compile_error();
            return quote!(#error #item);
        }
    };
    match main.check().and_then(|()| runtime(arguments)) {
        Ok(krate) => main.expand(&krate),
        Err(error) => {
            // Without a stand-in rustc would report a missing `main` as well.
            let error = error.into_compile_error();
            let name = &main.signature.ident;
            quote!(#error fn #name() {})
        }
    }
}

struct Main {
    attributes: Vec<Attribute>,
    visibility: Visibility,
    signature: Signature,
    body: TokenStream,
}

impl Parse for Main {
    fn parse(input: ParseStream) -> Result<Main> {
        let attributes = input.call(Attribute::parse_outer)?;
        let visibility = input.parse()?;
        if !starts_function(input)? {
            return Err(input.error("#[main] goes on a function: fn main() { ... }"));
        }
        let signature = input.parse()?;
        if !input.peek(token::Brace) {
            return Err(input.error("expected the body of the function"));
        }
        Ok(Main {
            attributes,
            visibility,
            signature,
            body: input.parse()?,
        })
    }
}

fn starts_function(input: ParseStream) -> Result<bool> {
    let ahead = input.fork();
    ahead.parse::<Option<Token![const]>>()?;
    ahead.parse::<Option<Token![async]>>()?;
    ahead.parse::<Option<Token![unsafe]>>()?;
    ahead.parse::<Option<Abi>>()?;
    Ok(ahead.peek(Token![fn]))
}

impl Main {
    fn check(&self) -> Result<()> {
        let Signature {
            constness,
            asyncness,
            unsafety,
            abi,
            ident,
            generics,
            inputs,
            ..
        } = &self.signature;
        if let Some(asyncness) = asyncness {
            return Err(Error::new_spanned(
                asyncness,
                "remove `async`: a goroutine runs ordinary blocking code, and waits by parking",
            ));
        }
        let qualifier = constness
            .as_ref()
            .map(|token| (token.to_token_stream(), "const"));
        let qualifier = qualifier
            .or_else(|| {
                unsafety
                    .as_ref()
                    .map(|token| (token.to_token_stream(), "unsafe"))
            })
            .or_else(|| abi.as_ref().map(|abi| (abi.to_token_stream(), "extern")));
        if let Some((tokens, name)) = qualifier {
            return Err(Error::new_spanned(
                tokens,
                format!("remove `{name}`: #[main] calls an ordinary function"),
            ));
        }
        if !generics.params.is_empty() {
            return Err(Error::new_spanned(
                &generics.params,
                format!("`{ident}` takes no generic parameters: remove them"),
            ));
        }
        if !inputs.is_empty() {
            return Err(Error::new_spanned(
                inputs,
                format!(
                    "`{ident}` takes no parameters: remove them, the command line is in \
                     `std::env::args()`"
                ),
            ));
        }
        Ok(())
    }

    fn expand(self, krate: &TokenStream) -> TokenStream {
        let Main {
            attributes,
            visibility,
            signature,
            body,
        } = self;
        let Signature {
            fn_token,
            ident,
            paren_token,
            output,
            generics,
            ..
        } = signature;
        let clause = &generics.where_clause;
        let mut parens = TokenStream::new();
        paren_token.surround(&mut parens, |_| {});
        // What rustc says about the return type belongs at that type.
        let returned = match &output {
            syn::ReturnType::Default => ident.span(),
            syn::ReturnType::Type(_, returned) => syn::spanned::Spanned::span(returned),
        };
        let inner = format_ident!("__go_main", span = returned.resolved_at(Span::mixed_site()));
        let run = quote_spanned!(returned=> #krate::__private::run_main(#inner));
        quote! {
            #(#attributes)*
            #visibility #fn_token #ident #parens -> ::std::process::ExitCode {
                #fn_token #inner #parens #output #clause #body
                #run
            }
        }
    }
}

/// The path of the runtime: what `crate = ...` says, or else the name of the dependency.
fn runtime(arguments: TokenStream) -> Result<TokenStream> {
    if let Some(path) = runtime_argument.parse2(arguments)? {
        return Ok(path.into_token_stream());
    }
    match crate_name("go-runtime") {
        Ok(FoundCrate::Itself) => Ok(quote!(::go_runtime)),
        Ok(FoundCrate::Name(name)) => {
            let name = Ident::new(&name, Span::call_site());
            Ok(quote!(::#name))
        }
        Err(_) => Err(Error::new(
            Span::call_site(),
            "cannot find `go-runtime` among the dependencies: add it with `cargo add go-runtime`, \
             or say where it is: #[main(crate = path::to::go_runtime)]",
        )),
    }
}

fn runtime_argument(input: ParseStream) -> Result<Option<Path>> {
    const EXPECTED: &str = "expected the path of the runtime: `crate = path::to::go_runtime`";
    let mut path = None;
    while !input.is_empty() {
        if !input.peek(Token![crate]) {
            let unknown = input.call(Ident::parse_any)?;
            let message =
                format!("unknown argument `{unknown}`: #[main] takes `crate = path` only");
            return Err(Error::new(unknown.span(), message));
        }
        let name = input.parse::<Token![crate]>()?;
        if path.is_some() {
            return Err(Error::new_spanned(
                name,
                "`crate` is given twice: remove one",
            ));
        }
        if !input.peek(Token![=]) {
            return Err(Error::new_spanned(name, EXPECTED));
        }
        input.parse::<Token![=]>()?;
        path = Some(if input.peek(LitStr) {
            let text = input.parse::<LitStr>()?;
            text.parse_with(Path::parse_mod_style)
                .map_err(|_| Error::new_spanned(text, EXPECTED))?
        } else {
            input
                .call(Path::parse_mod_style)
                .map_err(|error| Error::new(error.span(), EXPECTED))?
        });
        if !input.is_empty() {
            input.parse::<Token![,]>()?;
        }
    }
    Ok(path)
}
