//! `select!` and `select_biased!`: parse the arms, and expand them into a `match`.
//!
//! # Grammar
//!
//! In the notation of the Rust reference:
//!
//! ```text
//! Select    : ( Arm `,`? )*
//! Arm       : Head `=>` Body
//! Head      : `recv` `(` Expression `,`? `)` ( `->` Pattern )?
//!           | `send` `(` Expression `,` Expression `,`? `)` ( `->` Pattern )?
//!           | ( Pattern `=` )? `<-` Expression
//!           | Expression `<-` Expression
//!           | `default` ( `(` ( Expression `,`? )? `)` )?
//! Body      : Expression
//! ```
//!
//! As in a `match`, the `,` is optional after the last arm, and after a body that is a block, an
//! `if`, a `match` or a loop. At most one arm is a `default`. A pattern matches a `Result` and has
//! to be irrefutable.
//!
//! # Expansion
//!
//! ```text
//! match (&(channel), ...) {              evaluates the channels, keeps temporaries alive
//!     (c0, ...) => {
//!         let a0 = c0.RECV(); ...              or c0.SEND()
//!         match select(&[a0.__arm(), ...], timeout, biased) {
//!             0 => { let result = a0.__take(); match result { PATTERN => BODY } }
//!             1 => { let _ = a1.__reserve().__send(VALUE); match () { () => BODY } } ...
//!             _ => BODY of the default
//!         }
//!     }
//! }
//! ```
//!
//! The first case is an arm with a pattern, the second one without. `timeout` is `Forever` without
//! a `default`, `Poll` with a plain one, and `After(duration)` with a duration. A `select!` without
//! arms becomes `park_forever()`; with a `default` alone it becomes `{ sleep(duration); BODY }`.
//!
//! Bodies and the values of sends stay in the caller's scope: there is no closure and no loop
//! around them, so `return`, `break` and `?` mean what they mean there.

mod errors;
mod parse;
#[cfg(test)]
mod tests;

use proc_macro2::{Ident, Literal, Span, TokenStream};
use quote::{ToTokens, format_ident, quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{Expr, Pat, Result, Stmt};

/// The methods that make a channel an arm. rustc prints the name if a value has no such method.
const RECV: &str = "__a_recv_arm_takes_a_Receiver_or_a_JoinHandle_of_go_runtime";
const SEND: &str = "__a_send_arm_takes_a_Sender_of_go_runtime";

pub(crate) fn expand(krate: TokenStream, input: TokenStream, biased: bool) -> Result<TokenStream> {
    let arms = parse::arms(input)?;
    if arms.is_empty() {
        return Ok(quote!(#krate::__private::park_forever()));
    }
    if let [
        Arm {
            operation: Operation::Default(duration),
            body,
            ..
        },
    ] = &*arms
    {
        let sleep = duration
            .as_ref()
            .map(|duration| quote!(#krate::__private::sleep(#duration);));
        let body = alone(body);
        return Ok(quote!({ #sleep #body }));
    }
    let mut select = Expansion::default();
    for arm in arms {
        select.add(arm);
    }
    Ok(select.finish(&krate, biased))
}

struct Arm {
    operation: Operation,
    /// The pattern for the result of the operation. Without a pattern the result is dropped.
    pattern: Option<Pat>,
    body: TokenStream,
}

enum Operation {
    Recv { channel: Expr },
    Send { channel: Expr, value: Expr },
    Default(Option<Expr>),
}

/// The parts of the expansion, in the order of the arms.
#[derive(Default)]
struct Expansion {
    /// The expressions evaluated on entering, and the variables that they are bound to.
    entering: Vec<TokenStream>,
    entered: Vec<Ident>,
    /// The runtime's arms, their variables, and the `match` arms that run when they are chosen.
    arms: Vec<TokenStream>,
    variables: Vec<Ident>,
    cases: Vec<TokenStream>,
    timeout: Option<TokenStream>,
    default: Option<TokenStream>,
}

impl Expansion {
    fn add(&mut self, arm: Arm) {
        let index = Literal::usize_suffixed(self.cases.len());
        match arm.operation {
            Operation::Recv { channel } => {
                let variable = self.channel(channel, RECV);
                let chosen = chosen(quote!(#variable.__take()), arm.pattern, arm.body);
                self.cases.push(quote!(#index => #chosen));
            }
            Operation::Send { channel, value } => {
                let variable = self.channel(channel, SEND);
                // The place in the channel is the method's receiver, so it is reserved before the
                // value is evaluated. The value is an argument, so rustc infers and coerces its
                // type.
                let method = Ident::new("__send", variable.span());
                let send = quote!(#variable.__reserve().#method(#value));
                let chosen = chosen(send, arm.pattern, arm.body);
                // rustc would warn that the body is unreachable, which is true: the value never
                // ends, so the body never runs.
                let allow = diverges(&value).then(|| quote!(#[allow(unreachable_code)]));
                self.cases.push(quote!(#allow #index => #chosen));
            }
            Operation::Default(duration) => {
                self.default = Some(arm.body);
                self.timeout = Some(match duration {
                    None => quote!(Poll),
                    Some(duration) => {
                        let variable = local("duration", self.entered.len(), duration.span());
                        self.entering.push(duration.into_token_stream());
                        self.entered.push(variable.clone());
                        quote!(After(#variable))
                    }
                });
            }
        }
    }

    /// Adds the channel to the expressions evaluated on entering, and makes it an arm of the
    /// runtime.
    fn channel(&mut self, channel: Expr, method: &str) -> Ident {
        // A value that is no channel is reported at this name: it lies where the user's tokens do.
        let span = channel.span().resolved_at(Span::mixed_site());
        let method = Ident::new(method, span);
        let variable = local("channel", self.entered.len(), span);
        let arm = local("arm", self.variables.len(), span);
        self.entering.push(quote!(&(#channel)));
        self.arms
            .push(quote_spanned!(span=> let #arm = #variable.#method();));
        self.entered.push(variable);
        self.variables.push(arm.clone());
        arm
    }

    fn finish(self, krate: &TokenStream, biased: bool) -> TokenStream {
        let Expansion {
            entering,
            entered,
            arms,
            variables,
            cases,
            timeout,
            default,
        } = self;
        let timeout = timeout.unwrap_or_else(|| quote!(Forever));
        let default = default.unwrap_or_else(|| quote!(::core::unreachable!()));
        // The outer braces end the lives of the temporaries here, and not with the statement that
        // the macro is a part of.
        quote!({
            match (#(#entering,)*) {
                (#(#entered,)*) => {
                    // Imports the traits whose hints rustc shows for values that are no channels.
                    #[allow(unused_imports)]
                    use #krate::__private::no_arms::*;
                    #(#arms)*
                    match #krate::__private::select(
                        &[#(#variables.__arm()),*],
                        #krate::__private::Timeout::#timeout,
                        #biased,
                    ) {
                        #(#cases)*
                        _ => #default,
                    }
                }
            }
        })
    }
}

/// Returns a variable of the expansion, which cannot clash with a name of the user's.
fn local(name: &str, index: usize, span: Span) -> Ident {
    format_ident!("{name}{index}", span = span.resolved_at(Span::mixed_site()))
}

/// Returns the expression that runs when an arm is chosen.
///
/// The body becomes the body of a `match` arm, because there rustc's lints accept every kind of
/// expression. The `match` is not on the operation itself, whose temporaries, and with `_` its
/// result, would then live until the end of the body.
fn chosen(operation: TokenStream, pattern: Option<Pat>, body: TokenStream) -> TokenStream {
    match pattern {
        None | Some(Pat::Wild(_)) => {
            let body = alone(&body);
            quote!({ let _ = #operation; #body })
        }
        Some(pattern) => {
            let result = local("result", 0, Span::mixed_site());
            quote!({
                let #result = #operation;
                match #result { #pattern => #body }
            })
        }
    }
}

/// Returns a body without a binding, as the body of a `match` arm (see [`chosen`] for why).
fn alone(body: &TokenStream) -> TokenStream {
    quote!(match () { () => #body })
}

/// Returns whether evaluating this expression visibly never ends in a value.
fn diverges(value: &Expr) -> bool {
    match value {
        Expr::Return(_) | Expr::Break(_) | Expr::Continue(_) => true,
        Expr::Paren(outer) => diverges(&outer.expr),
        Expr::Group(outer) => diverges(&outer.expr),
        Expr::Macro(call) => is_panic(&call.mac),
        Expr::Block(block) => match block.block.stmts.last() {
            Some(Stmt::Expr(last, _)) => diverges(last),
            Some(Stmt::Macro(last)) => is_panic(&last.mac),
            _ => false,
        },
        _ => false,
    }
}

fn is_panic(call: &syn::Macro) -> bool {
    const PANICS: [&str; 4] = ["panic", "todo", "unimplemented", "unreachable"];
    call.path
        .segments
        .last()
        .is_some_and(|last| PANICS.iter().any(|name| last.ident == name))
}
