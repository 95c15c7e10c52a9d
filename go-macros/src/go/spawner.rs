//! Parses the spawner of `go!(s; ...)` and `go!(s, ...; ...)`, on which `spawn` is called.
//!
//! ```text
//! Spawner  : ( IDENTIFIER | `self` ) ( `.` ( IDENTIFIER | TUPLE_INDEX ) )*
//! ```
//!
//! The expansion is `s.spawn(closure)`, or `s.spawn_with(builder, closure)` after options. As a
//! statement a path without a call has no effect, so no useful block begins with one.

use proc_macro2::{Delimiter, Group, Ident, Span, TokenStream, TokenTree};
use quote::{ToTokens, quote, quote_spanned};
use syn::parse::ParseStream;
use syn::{Error, LitFloat, LitInt, Result, Token};

use super::options::is_flag;

/// The path of a spawner: `s`, `self.scope`, `pair.0`, `pair.0.1`.
pub(super) struct Spawner {
    path: TokenStream,
    /// The path as messages show it.
    text: String,
}

/// The separator after the path.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum After {
    /// `;`, and then something.
    Body,
    /// `,`
    Options,
}

impl Spawner {
    /// Takes the spawner and the `;` or `,` after it, if there is one.
    pub(super) fn parse(input: ParseStream) -> Result<Option<(Spawner, After)>> {
        if Spawner::parse_ahead(&input.fork())?.is_none() {
            return Ok(None);
        }
        Spawner::parse_ahead(input)
    }

    fn parse_ahead(ahead: ParseStream) -> Result<Option<(Spawner, After)>> {
        let mut path = TokenStream::new();
        let mut text = String::new();
        if ahead.peek(Token![self]) {
            path.extend(ahead.parse::<Token![self]>()?.into_token_stream());
            text.push_str("self");
        } else if ahead.peek(syn::Ident) {
            let name: Ident = ahead.parse()?;
            if is_flag(&name) && !ahead.peek(Token![.]) {
                return Ok(None);
            }
            text.push_str(&name.to_string());
            path.extend([TokenTree::Ident(name)]);
        } else {
            return Ok(None);
        }
        while ahead.peek(Token![.]) {
            path.extend(ahead.parse::<Token![.]>()?.into_token_stream());
            let field = if ahead.peek(syn::Ident) {
                ahead.parse::<Ident>()?.into_token_stream()
            } else if ahead.peek(LitInt) {
                ahead.parse::<LitInt>()?.into_token_stream()
            } else if ahead.peek(LitFloat) {
                // The `0.1` of `pair.0.1`; rustc takes it apart.
                ahead.parse::<LitFloat>()?.into_token_stream()
            } else {
                return Ok(None);
            };
            text.push('.');
            text.push_str(&field.to_string());
            path.extend(field);
        }
        let after = if ahead.peek(Token![;]) {
            ahead.parse::<Token![;]>()?;
            After::Body
        } else if ahead.peek(Token![,]) {
            ahead.parse::<Token![,]>()?;
            After::Options
        } else {
            return Ok(None);
        };
        // `s;` alone is a statement.
        let nothing_to_run = after == After::Body && ahead.is_empty();
        Ok((!nothing_to_run).then_some((Spawner { path, text }, after)))
    }

    /// Refuses a spawner that stands behind the options.
    pub(super) fn refuse_behind_options(input: ParseStream, local: Option<&Ident>) -> Result<()> {
        let Some((spawner, _)) = Spawner::parse_ahead(&input.fork())? else {
            return Ok(());
        };
        match local {
            Some(local) => Err(spawner.refuse_local(local)),
            None => {
                let text = &spawner.text;
                let message = format!(
                    "`{text}` goes in front of the options: go!({text}, name = ...; ...); if this \
                     is a statement, put the body into braces: go!(...; {{ {text}; ... }})"
                );
                Err(Error::new_spanned(&spawner.path, message))
            }
        }
    }

    pub(super) fn text(&self) -> &str {
        &self.text
    }

    pub(super) fn refuse_local(&self, local: &Ident) -> Error {
        let text = &self.text;
        let message = format!(
            "`local` starts a goroutine by itself, on the caller's worker, and `{text}.spawn` does \
             not: leave out `local`, go!({text}; ...), or leave out `{text}`, go!(local; ...)"
        );
        Error::new(local.span(), message)
    }

    /// Returns the error about an option after `s;`.
    pub(super) fn refuse_option_in_body(&self, option: &Ident) -> Error {
        if option == "local" {
            return self.refuse_local(option);
        }
        let text = &self.text;
        let message = if is_flag(option) {
            format!("options come after a comma: go!({text}, {option}; ...)")
        } else {
            format!(
                "options come after a comma: go!({text}, {option} = ...; ...); if this is an \
                 assignment, put the body into braces: go!({text}; {{ {option} = ...; }})"
            )
        };
        Error::new(option.span(), message)
    }

    pub(super) fn expected_options(&self, place: Span) -> Error {
        let text = &self.text;
        let message = format!(
            "expected an option after the comma, go!({text}, name = ...; ...), or `;` in its \
             place, go!({text}; ...)"
        );
        Error::new(place, message)
    }

    /// Returns `s.spawn(closure)`.
    pub(super) fn call(&self, closure: TokenStream, end: Span) -> TokenStream {
        self.method("spawn", closure, end)
    }

    /// Returns `s.spawn_with(builder, closure)`.
    pub(super) fn call_with(
        &self,
        builder: &Ident,
        closure: TokenStream,
        end: Span,
    ) -> TokenStream {
        self.method("spawn_with", quote!(#builder, #closure), end)
    }

    /// Returns the call of a method of the spawner. rustc reports errors about the call at the
    /// user's tokens, from `s` to their end.
    fn method(&self, name: &str, arguments: TokenStream, end: Span) -> TokenStream {
        let path = &self.path;
        let name = Ident::new(name, self.place());
        let method = quote_spanned!(self.place()=> .#name);
        let mut arguments = Group::new(Delimiter::Parenthesis, arguments);
        arguments.set_span(end.resolved_at(Span::call_site()));
        quote!(#path #method #arguments)
    }

    fn place(&self) -> Span {
        let last = self.path.clone().into_iter().last();
        let span = last.map_or_else(Span::call_site, |token| token.span());
        span.resolved_at(Span::call_site())
    }
}
