//! `#[main]`: makes the user's function an inner one, which the runtime runs as the main goroutine.
//!
//! # Grammar
//!
//! ```text
//! Main      : `#` `[` `main` ( `(` ( Argument ( `,` Argument )* `,`? )? `)` )? `]` Function
//! Argument  : ( `workers` | `stack_size` | `blocking_threads` ) `=` Expression
//!           | `crate` `=` ( SimplePath | STRING_LITERAL )
//! Function  : OuterAttribute* Visibility? `fn` IDENTIFIER `(` `)` ( `->` Type )? WhereClause?
//!             BlockExpression
//! ```
//!
//! Each argument may be given once. The value of a setting that is a literal has to be in the
//! setting's range.
//!
//! # Expansion
//!
//! ```text
//! ATTRIBUTES VISIBILITY fn NAME() -> ::std::process::ExitCode {
//!     fn __go_main() -> TYPE WHERE_CLAUSE { BODY }
//!     PATH::__private::run_main(__go_main, PATH::Config::new().workers(EXPRESSION)...)
//! }
//! ```
//!
//! `PATH` is `::go_runtime`, or what `crate = ...` says. The body stays unparsed, so that rustc
//! reports what is wrong in it.

#[cfg(test)]
mod tests;

use std::ops::RangeInclusive;

use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens, format_ident, quote, quote_spanned};
use syn::ext::IdentExt;
use syn::parse::{Parse, ParseStream, Parser};
use syn::{
    Abi, Attribute, Error, Expr, Lit, LitInt, LitStr, Path, Result, Signature, Token, Visibility,
    token,
};

pub(crate) fn expand(arguments: TokenStream, item: TokenStream) -> TokenStream {
    let main = match syn::parse2::<Main>(item.clone()) {
        Ok(main) => main,
        Err(error) => {
            // The item is kept beside the error, because the rest of the program may use it.
            let error = error.into_compile_error();
            return quote!(#error #item);
        }
    };
    let arguments = main
        .check()
        .and_then(|()| Arguments::parse.parse2(arguments));
    match arguments {
        Ok(arguments) => main.expand(&arguments.runtime(), &arguments.settings),
        Err(error) => {
            // The error comes with a stand-in for the function: otherwise rustc would report a
            // missing `main` as well.
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

    fn expand(self, krate: &TokenStream, settings: &[Setting]) -> TokenStream {
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
        // rustc's errors about the return type belong at that type.
        let returned = match &output {
            syn::ReturnType::Default => ident.span(),
            syn::ReturnType::Type(_, returned) => syn::spanned::Spanned::span(returned),
        };
        let inner = format_ident!("__go_main", span = returned.resolved_at(Span::mixed_site()));
        let settings = settings.iter().map(|Setting { name, value }| {
            // The parentheses belong to the setting as well: rustc names both in a type error.
            let call = quote_spanned!(name.span()=> (#value));
            quote!(.#name #call)
        });
        let config = quote!(#krate::Config::new() #(#settings)*);
        let run = quote_spanned!(returned=> #krate::__private::run_main(#inner, #config));
        quote! {
            #(#attributes)*
            #visibility #fn_token #ident #parens -> ::std::process::ExitCode {
                #fn_token #inner #parens #output #clause #body
                #run
            }
        }
    }
}

/// The arguments in the parentheses of `#[main(...)]`.
#[derive(Default)]
struct Arguments {
    /// The path of the runtime.
    krate: Option<Path>,
    /// The settings in source order, which is the order of evaluation.
    settings: Vec<Setting>,
}

/// A method of `Config`.
struct Setting {
    name: Ident,
    value: Expr,
}

const ARGUMENTS: &str = "#[main] takes `workers`, `stack_size` and `blocking_threads`, each with \
                         a number, and `crate = path`";

/// The settings, and the range of each, as `Config` checks it when the program runs.
const SETTINGS: [(&str, RangeInclusive<u64>); 3] = [
    ("workers", 1..=1024),
    ("stack_size", 32 << 10..=1 << 30),
    ("blocking_threads", 1..=32_000),
];

impl Arguments {
    fn parse(input: ParseStream) -> Result<Arguments> {
        let mut arguments = Arguments::default();
        while !input.is_empty() {
            arguments.parse_one(input)?;
            if !input.is_empty() {
                input.parse::<Token![,]>()?;
            }
        }
        Ok(arguments)
    }

    fn parse_one(&mut self, input: ParseStream) -> Result<()> {
        let Ok(name) = input.call(Ident::parse_any) else {
            return Err(expected_setting(input));
        };
        let setting = SETTINGS.iter().find(|(setting, _)| name == setting);
        if setting.is_none() && name != "crate" {
            let message = format!("unknown argument `{name}`: {ARGUMENTS}");
            return Err(Error::new(name.span(), message));
        }
        let mut settings = self.settings.iter();
        let is_second = match setting {
            Some(_) => settings.any(|earlier| earlier.name == name),
            None => self.krate.is_some(),
        };
        if is_second {
            let message = format!("`{name}` is given twice: remove one");
            return Err(Error::new(name.span(), message));
        }
        let Some((_, range)) = setting else {
            self.krate = Some(parse_path(&name, input)?);
            return Ok(());
        };
        if !input.peek(Token![=]) {
            let message = format!("expected a number: `{name} = {}`", range.start());
            return Err(Error::new(name.span(), message));
        }
        input.parse::<Token![=]>()?;
        let value = input.parse()?;
        check_value(&name, &value, range)?;
        self.settings.push(Setting { name, value });
        Ok(())
    }

    /// Returns the path of the runtime: that of `crate = ...`, or else the crate's own name.
    ///
    /// An attribute has no `$crate`. Without `crate = ...` in a program that has renamed the
    /// runtime, rustc reports `go_runtime` as unresolved, at the attribute.
    fn runtime(&self) -> TokenStream {
        match &self.krate {
            Some(path) => path.to_token_stream(),
            None => quote!(::go_runtime),
        }
    }
}

/// Returns the error about an argument without a name, such as the `2` of `#[main(2)]`.
fn expected_setting(input: ParseStream) -> Error {
    let [(name, range), ..] = &SETTINGS;
    let number = input.fork().parse::<LitInt>();
    let number = number.ok().and_then(|number| number.base10_parse().ok());
    let advice = match number {
        Some(number) if range.contains(&number) => format!("; write `{name} = {number}`"),
        _ => String::new(),
    };
    input.error(format!("expected a setting: {ARGUMENTS}{advice}"))
}

/// Refuses a literal that is out of the setting's range. `Config` checks the values of other
/// expressions when the program runs.
fn check_value(name: &Ident, value: &Expr, range: &RangeInclusive<u64>) -> Result<()> {
    let literal = match value {
        Expr::Lit(literal) => &literal.lit,
        // `-1`
        Expr::Unary(unary) if matches!(*unary.expr, Expr::Lit(_)) => {
            return Err(out_of_range(name, value, range));
        }
        _ => return Ok(()),
    };
    let number = match literal {
        Lit::Int(number) => number.base10_parse().ok(),
        _ => None,
    };
    match number {
        Some(number) if range.contains(&number) => Ok(()),
        _ => Err(out_of_range(name, value, range)),
    }
}

fn out_of_range(name: &Ident, value: &Expr, range: &RangeInclusive<u64>) -> Error {
    let (least, most) = (range.start(), range.end());
    let message = format!("`{name}` has to be a whole number from {least} to {most}");
    Error::new_spanned(value, message)
}

/// Parses the rest of `crate = path`.
fn parse_path(name: &Ident, input: ParseStream) -> Result<Path> {
    const EXPECTED: &str = "expected the path of the runtime: `crate = path::to::go_runtime`";
    if !input.peek(Token![=]) {
        return Err(Error::new(name.span(), EXPECTED));
    }
    input.parse::<Token![=]>()?;
    if input.peek(LitStr) {
        let text = input.parse::<LitStr>()?;
        return text
            .parse_with(Path::parse_mod_style)
            .map_err(|_| Error::new_spanned(text, EXPECTED));
    }
    input
        .call(Path::parse_mod_style)
        .map_err(|error| Error::new(error.span(), EXPECTED))
}
