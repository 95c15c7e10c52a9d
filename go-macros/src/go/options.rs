//! Parses and expands the options in front of a goroutine's body, and the `;` after them.
//!
//! ```text
//! Prefix   : ( Spawner `;` | ( Spawner `,` )? Option ( `,` Option )* `,`? `;` )?
//! Option   : `name` `=` Expression | `stack_size` `=` Expression | `thread` | `local`
//! ```
//!
//! Options with a value, and `thread`, become methods of `Builder`, called in source order:
//! `let b = $crate::Builder::new().name(n).thread();`. `local` chooses the function that spawns.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens, quote, quote_spanned};
use syn::parse::ParseStream;
use syn::{Error, Expr, Lit, Result, Token, token};

use super::keyword;
use super::spawner::{After, Spawner};

#[derive(Default)]
pub(super) struct Options {
    spawner: Option<Spawner>,
    /// The methods of `Builder` to call, in source order, which is the order of evaluation.
    settings: Vec<Setting>,
    local: Option<Ident>,
}

/// An option that is a method of `Builder`.
struct Setting {
    name: Ident,
    /// The value, or `None` for a flag.
    value: Option<Expr>,
}

/// Options with a value.
const VALUES: [&str; 2] = ["name", "stack_size"];
/// Options that stand alone.
const FLAGS: [&str; 2] = ["thread", "local"];

fn is_value(name: &Ident) -> bool {
    VALUES.iter().any(|value| name == value)
}

pub(super) fn is_flag(name: &Ident) -> bool {
    FLAGS.iter().any(|flag| name == flag)
}

impl Options {
    /// Takes the spawner, the options and their `;`, if there are any.
    pub(super) fn parse(input: ParseStream) -> Result<Options> {
        let mut options = Options::default();
        match Spawner::parse(input)? {
            Some((spawner, After::Body)) => {
                refuse_options_in_body(&spawner, input)?;
                options.spawner = Some(spawner);
                return Ok(options);
            }
            Some((spawner, After::Options)) => {
                if !starts_option(input) {
                    let error = spawner.expected_options(input.span());
                    options.spawner = Some(spawner);
                    options.refuse_clones(input)?;
                    refuse_misspellings(input)?;
                    return Err(error);
                }
                options.spawner = Some(spawner);
            }
            None => refuse_misspellings(input)?,
        }
        if !starts_option(input) {
            return Ok(options);
        }
        let first: Ident = input.fork().parse()?;
        loop {
            options.parse_one(input)?;
            if !input.peek(Token![,]) {
                options.refuse_option_without_comma(input)?;
                break;
            }
            input.parse::<Token![,]>()?;
            if !starts_option(input) {
                options.refuse_clones(input)?;
                refuse_misspellings(input)?;
                break;
            }
        }
        if let (Some(spawner), Some(local)) = (&options.spawner, &options.local) {
            return Err(spawner.refuse_local(local));
        }
        let ended = input.peek(Token![;]);
        if ended {
            input.parse::<Token![;]>()?;
        }
        if ended {
            refuse_options_after_semicolon(input)?;
        }
        if options.spawner.is_none() {
            Spawner::refuse_behind_options(input, options.local.as_ref())?;
        }
        if ended {
            return Ok(options);
        }
        // At the end of the input, the error can only point at the tokens of the options.
        let place = if input.is_empty() {
            first.span()
        } else {
            input.span()
        };
        Err(Error::new(
            place,
            "expected `;` after the options, and then what is to run",
        ))
    }

    fn parse_one(&mut self, input: ParseStream) -> Result<()> {
        let option: Ident = input.parse()?;
        if !is_value(&option) && !is_flag(&option) {
            let message = format!(
                "unknown option `{option}`: the options are `name`, `stack_size`, `thread` and \
                 `local`; if this is an assignment, put the body into braces: \
                 go!({{ {option} = ...; }})"
            );
            return Err(Error::new(option.span(), message));
        }
        let settings = self.settings.iter().map(|setting| &setting.name);
        if settings.chain(&self.local).any(|name| *name == option) {
            let message = format!("the option `{option}` is given twice: remove one");
            return Err(Error::new(option.span(), message));
        }
        let value = if is_flag(&option) {
            if input.peek(Token![=]) {
                let message = format!("`{option}` takes no value: write `{option}` alone");
                return Err(input.error(message));
            }
            None
        } else {
            input.parse::<Token![=]>()?;
            Some(input.parse()?)
        };
        if option == "local" {
            self.local = Some(option.clone());
        } else {
            let name = option.clone();
            self.settings.push(Setting { name, value });
        }
        let on_thread = self.settings.iter().any(|setting| setting.name == "thread");
        if on_thread && self.local.is_some() {
            return Err(Error::new(
                option.span(),
                "`thread` and `local` exclude each other: a goroutine with a thread of its own \
                 cannot run on its caller's worker; remove one",
            ));
        }
        Ok(())
    }

    /// Refuses `name = "x" thread; ...`, which lacks a comma.
    fn refuse_option_without_comma(&self, input: ParseStream) -> Result<()> {
        match input.fork().parse::<Ident>() {
            Ok(option) if is_value(&option) || is_flag(&option) => {
                Err(missing_comma(&self.text(), &option))
            }
            _ => Ok(()),
        }
    }

    /// Refuses `thread, clone(a); { ... }`, where `clone(a)` belongs in front of the block.
    fn refuse_clones(&self, input: ParseStream) -> Result<()> {
        let ahead = input.fork();
        if !(ahead.peek(keyword::clone) && ahead.peek2(token::Paren)) {
            return Ok(());
        }
        let name: Ident = ahead.parse()?;
        let list;
        let parens = syn::parenthesized!(list in ahead);
        let names: TokenStream = list.parse()?;
        let before = self.text();
        let mut place = quote!(#name);
        parens.surround(&mut place, |_| {});
        let message = format!(
            "`clone({names})` goes in front of the block: \
             `go!({before}; clone({names}) {{ ... }})`"
        );
        Err(Error::new_spanned(place, message))
    }

    /// Returns the spawner and the options as text, for messages.
    fn text(&self) -> String {
        let spawner = self.spawner.iter().map(|spawner| spawner.text().to_owned());
        let settings = self.settings.iter().map(|setting| &setting.name);
        let options = settings.chain(&self.local).map(option_text);
        spawner.chain(options).collect::<Vec<_>>().join(", ")
    }

    /// Returns whether there is a spawner, so that the goroutine may borrow.
    pub(super) fn has_spawner(&self) -> bool {
        self.spawner.is_some()
    }

    /// Returns the statement that evaluates the options, if there are any to evaluate, and the
    /// expression that spawns. `end` is the span of the last token.
    pub(super) fn expand(
        self,
        krate: &TokenStream,
        closure: TokenStream,
        end: Span,
    ) -> (Option<TokenStream>, TokenStream) {
        if self.settings.is_empty() {
            if let Some(spawner) = self.spawner {
                return (None, spawner.call(closure, end));
            }
            let spawn = match self.local {
                Some(_) => quote!(spawn_local),
                None => quote!(spawn),
            };
            return (None, quote!(#krate::#spawn(#closure)));
        }
        let spawn = match self.local {
            Some(_) => quote!(spawn_local_with),
            None => quote!(spawn_with),
        };
        let builder = Ident::new("__go_builder", Span::mixed_site());
        let settings = self.settings.iter().map(|Setting { name, value }| {
            // The parentheses belong to the option as well: rustc names both in a type error.
            let call = quote_spanned!(name.span()=> (#value));
            quote!(.#name #call)
        });
        let evaluate = quote!(let #builder = #krate::Builder::new() #(#settings)*;);
        let spawn = match self.spawner {
            Some(spawner) => {
                let started = spawner.call_with(&builder, closure, end);
                quote!(#krate::__private::started(#started))
            }
            None => quote!(#krate::__private::#spawn(#builder, #closure)),
        };
        (Some(evaluate), spawn)
    }
}

fn option_text(name: &Ident) -> String {
    if is_value(name) {
        format!("{name} = ...")
    } else {
        name.to_string()
    }
}

fn missing_comma(before: &str, option: &Ident) -> Error {
    let text = option_text(option);
    let message = format!("options are separated by commas: go!({before}, {text}; ...)");
    Error::new(option.span(), message)
}

/// Refuses `name: "x"`, `name "x"`, `thread name = "x"`, `local f()` and `local { ... }`, which are
/// not Rust either.
fn refuse_misspellings(input: ParseStream) -> Result<()> {
    let ahead = input.fork();
    let Ok(option) = ahead.parse::<Ident>() else {
        return Ok(());
    };
    let colon = input.peek2(Token![:]) && !input.peek2(Token![::]);
    if colon && is_flag(&option) {
        let message = format!("`{option}` takes no value: write `{option}` alone");
        return Err(Error::new(option.span(), message));
    }
    if colon && is_value(&option) {
        let message = format!("options are written with `=`: `{option} = ...;`");
        return Err(Error::new(option.span(), message));
    }
    if is_value(&option) && !ahead.peek(Token![-]) && (ahead.peek(Lit) || ahead.peek(syn::Ident)) {
        let value = match ahead.parse::<Lit>() {
            Ok(value) => value.to_token_stream().to_string(),
            Err(_) => "...".to_owned(),
        };
        let message = format!("options are written with `=`: write `{option} = {value}`");
        return Err(Error::new(option.span(), message));
    }
    if let Ok(second) = ahead.fork().parse::<Ident>()
        && is_flag(&option)
    {
        if is_flag(&second) || is_value(&second) {
            return Err(missing_comma(&option.to_string(), &second));
        }
        let message = format!("expected `;` after the option: go!({option}; ...)");
        return Err(Error::new(option.span(), message));
    }
    if is_flag(&option) && (input.peek2(token::Brace) || input.peek2(Token![move])) {
        let message = format!("expected `;` after the option: go!({option}; {{ ... }})");
        return Err(Error::new(option.span(), message));
    }
    Ok(())
}

/// Refuses `s; name = "x"; ...`, which would assign to a variable.
fn refuse_options_in_body(spawner: &Spawner, input: ParseStream) -> Result<()> {
    let Ok(option) = input.fork().parse::<Ident>() else {
        return Ok(());
    };
    if (is_value(&option) || is_flag(&option)) && starts_option(input) {
        return Err(spawner.refuse_option_in_body(&option));
    }
    Ok(())
}

/// Refuses `name = "x"; stack_size = 1 << 20; ...`, which would assign to a variable.
fn refuse_options_after_semicolon(input: ParseStream) -> Result<()> {
    let Ok(option) = input.fork().parse::<Ident>() else {
        return Ok(());
    };
    if !starts_option(input) {
        return Ok(());
    }
    let message = if is_flag(&option) {
        format!("options are separated by commas: go!(name = ..., {option}; ...)")
    } else if is_value(&option) {
        format!(
            "options are separated by commas, go!(..., {option} = ...; ...); if this is an \
             assignment, put the body into braces: go!(...; {{ {option} = ...; }})"
        )
    } else {
        return Ok(());
    };
    Err(Error::new(option.span(), message))
}

/// Returns whether an option begins here: `name =`, but neither `name ==` nor `name =>`, or a flag
/// with `;` or `,` after it.
fn starts_option(input: ParseStream) -> bool {
    if !input.peek(syn::Ident) {
        return false;
    }
    let assigns = input.peek2(Token![=]) && !input.peek2(Token![==]) && !input.peek2(Token![=>]);
    let ends = input.peek2(Token![;]) || input.peek2(Token![,]);
    assigns || ends && input.fork().parse().is_ok_and(|name| is_flag(&name))
}
