//! Parses the arms of a select, by the grammar at the head of `select.rs`.
//!
//! An arm's head ends at its `=>`. Rust reads `tx <- value` as `tx < -value`, so this module looks
//! for the arrow among the tokens before syn parses them. An error in a head is kept and the next
//! arm parsed, so that rustc reports the errors of all arms at once.

use proc_macro2::{Ident, Punct, Spacing, TokenStream, TokenTree};
use quote::ToTokens;
use syn::buffer::Cursor;
use syn::parse::{Parse, ParseStream, Parser};
use syn::punctuated::Punctuated;
use syn::{Error, Expr, Pat, Result, Token, token};

use super::errors::{
    bad_pattern, block_without_arrow, guard, is_refutable, missing_arrow, misspelling, refutable,
    unknown_operation,
};
use super::{Arm, Operation};

pub(super) fn arms(input: TokenStream) -> Result<Vec<Arm>> {
    let parser = |input: ParseStream| {
        let mut arms = Arms::default();
        // After an error in a body, the rest of the input cannot be parsed, and is skipped.
        let end = arms.parse(input);
        if end.is_err() {
            input.parse::<TokenStream>()?;
        }
        match (arms.errors, end) {
            (None, Ok(())) => Ok(arms.arms),
            (None, Err(error)) | (Some(error), Ok(())) => Err(error),
            (Some(mut error), Err(last)) => {
                error.combine(last);
                Err(error)
            }
        }
    };
    parser.parse2(input)
}

#[derive(Default)]
struct Arms {
    arms: Vec<Arm>,
    has_default: bool,
    errors: Option<Error>,
}

impl Arms {
    fn parse(&mut self, input: ParseStream) -> Result<()> {
        while !input.is_empty() {
            let start = input.cursor();
            let (operation, pattern) = match self.head(input) {
                Ok(head) => head,
                Err(error) => {
                    self.report(error);
                    skip_arm(input)?;
                    continue;
                }
            };
            if !input.peek(Token![=>]) {
                let head = tokens_between(start, input);
                self.report(missing_arrow(&head, input));
                skip_arm(input)?;
                continue;
            }
            let arrow = input.parse::<Token![=>]>()?;
            let body = self.body(input, arrow)?;
            if let Some(operation) = operation {
                self.arms.push(Arm {
                    operation,
                    pattern,
                    body,
                });
            }
        }
        Ok(())
    }

    fn report(&mut self, error: Error) {
        match &mut self.errors {
            Some(errors) => errors.combine(error),
            none => *none = Some(error),
        }
    }

    /// Parses everything before the `=>`. The operation is `None` if an error in its arguments has
    /// been reported.
    fn head(&mut self, input: ParseStream) -> Result<(Option<Operation>, Option<Pat>)> {
        if input.peek(syn::Ident) && input.peek2(token::Paren) {
            let name = input.fork().parse::<Ident>()?;
            if name == "recv" || name == "send" || name == "default" {
                return self.operation(input);
            }
        }
        if let Some(name) = plain_default(input)? {
            input.parse::<Ident>()?;
            self.no_second_default(&name);
            self.no_pattern_of_default(input)?;
            return Ok((Some(Operation::Default(None)), None));
        }
        match tokens_before_arrow(input) {
            Some(before) => self.arrow(input, before),
            None => Err(unknown_operation(input)),
        }
    }

    /// Parses `recv(rx) -> pat`, `send(tx, value) -> pat` or `default(duration)`.
    fn operation(&mut self, input: ParseStream) -> Result<(Option<Operation>, Option<Pat>)> {
        let name: Ident = input.parse()?;
        let list;
        let parens = syn::parenthesized!(list in input);
        let arguments = Punctuated::<Expr, Token![,]>::parse_terminated(&list);
        let operation = arguments.and_then(|arguments| {
            let count = arguments.len();
            let mut arguments = arguments.into_iter();
            let wrong = |expected: &str| {
                let mut place = name.to_token_stream();
                parens.surround(&mut place, |_| {});
                Error::new_spanned(place, format!("`{name}` takes {expected}: found {count}"))
            };
            match (
                &*name.to_string(),
                arguments.next(),
                arguments.next(),
                count,
            ) {
                ("recv", Some(channel), None, _) => Ok(Operation::Recv { channel }),
                ("recv", ..) => Err(wrong("one argument, as in recv(rx)")),
                ("send", Some(channel), Some(value), 2) => Ok(Operation::Send { channel, value }),
                ("send", ..) => Err(wrong("two arguments, as in send(tx, value)")),
                (_, duration, None, _) => Ok(Operation::Default(duration)),
                _ => Err(wrong("at most one argument, as in default(duration)")),
            }
        });
        let operation = operation.map_err(|error| self.report(error)).ok();
        if name == "default" {
            self.no_second_default(&name);
            self.no_pattern_of_default(input)?;
            return Ok((operation, None));
        }
        if !input.peek(Token![->]) {
            return Ok((operation, None));
        }
        let arrow = input.parse::<Token![->]>()?;
        if input.peek(Token![=>]) || input.is_empty() {
            return Err(Error::new_spanned(
                arrow,
                "expected a pattern after `->`: write `-> _` or leave the `->` out to drop the \
                 result",
            ));
        }
        let pattern = before_arrow(input, Pat::parse_multi_with_leading_vert)?;
        if input.peek(Token![if]) {
            return Err(input.error(guard(&name)));
        }
        if is_refutable(&pattern) {
            let binding = match &operation {
                Some(Operation::Send { .. }) => "send(tx, value) -> res",
                _ => "recv(rx) -> msg",
            };
            self.report(refutable(&pattern, &name.to_string(), binding));
        }
        Ok((operation, Some(pattern)))
    }

    /// Parses `pat = <-rx`, `<-rx` or `tx <- value`, with the tokens before the `<-`.
    fn arrow(
        &mut self,
        input: ParseStream,
        mut before: Vec<TokenTree>,
    ) -> Result<(Option<Operation>, Option<Pat>)> {
        for _ in 0..before.len() {
            input.parse::<TokenTree>()?;
        }
        let arrow: TokenStream = [input.parse::<TokenTree>()?, input.parse::<TokenTree>()?]
            .into_iter()
            .collect();
        if input.is_empty() || input.peek(Token![=>]) {
            return Err(Error::new_spanned(
                arrow,
                "expected a channel or a value after `<-`",
            ));
        }
        if before.is_empty() {
            let channel = before_arrow(input, Expr::parse)?;
            return Ok((Some(Operation::Recv { channel }), None));
        }
        if !ends_with_assignment(&before) {
            let tokens: TokenStream = before.into_iter().collect();
            let channel = syn::parse2(tokens.clone()).map_err(|error| {
                let list: Vec<_> = tokens.clone().into_iter().collect();
                match misspelling(&list) {
                    Some((place, advice)) => Error::new(place, advice),
                    None => Error::new_spanned(tokens, format!("no channel to send to: {error}")),
                }
            })?;
            let value = before_arrow(input, Expr::parse)?;
            return Ok((Some(Operation::Send { channel, value }), None));
        }
        let assign = before.pop();
        let tokens: TokenStream = before.into_iter().collect();
        if tokens.is_empty() {
            return Err(Error::new_spanned(
                assign,
                "expected a pattern before `=`: write `<-rx` alone to drop the message",
            ));
        }
        let pattern = Pat::parse_multi_with_leading_vert
            .parse2(tokens.clone())
            .map_err(|error| bad_pattern(tokens, &error))?;
        if is_refutable(&pattern) {
            self.report(refutable(&pattern, "<-", "msg = <-rx"));
        }
        let channel = before_arrow(input, Expr::parse)?;
        Ok((Some(Operation::Recv { channel }), Some(pattern)))
    }

    fn no_second_default(&mut self, name: &Ident) {
        if self.has_default {
            self.report(Error::new_spanned(
                name,
                "this is the second `default`: a select has one at most",
            ));
        }
        self.has_default = true;
    }

    fn no_pattern_of_default(&mut self, input: ParseStream) -> Result<()> {
        if input.peek(Token![->]) {
            return Err(input.error("`default` has no result to bind: write `default => body`"));
        }
        Ok(())
    }

    /// Parses the body and the comma after it, by the rules of `match`.
    fn body(&mut self, input: ParseStream, arrow: Token![=>]) -> Result<TokenStream> {
        if input.is_empty() || input.peek(Token![,]) || input.peek(Token![;]) {
            return Err(Error::new_spanned(
                arrow,
                "expected a body after `=>`: write `{}` to do nothing",
            ));
        }
        // A block goes to rustc unparsed, because rustc's own messages explain best what is wrong
        // in it.
        let is_block =
            input.peek(token::Brace) && !input.peek2(Token![.]) && !input.peek2(Token![?]);
        let (body, ends_itself) = if is_block {
            (input.parse::<TokenTree>()?.into_token_stream(), true)
        } else {
            let body = Expr::parse_with_earlier_boundary_rule(input)?;
            (body.to_token_stream(), is_block_like(&body))
        };
        if input.peek(Token![;]) {
            let semicolon = input.parse::<Token![;]>()?;
            self.report(Error::new_spanned(
                semicolon,
                "arms are separated by `,`: write that instead of `;`",
            ));
        } else if input.peek(Token![,]) {
            input.parse::<Token![,]>()?;
        } else if !ends_itself && !input.is_empty() {
            return Err(input.error("expected `,` between the body of an arm and the next arm"));
        }
        Ok(body)
    }
}

/// Returns the name of a `default` without arguments, which is neither a channel nor a pattern.
fn plain_default(input: ParseStream) -> Result<Option<Ident>> {
    let ahead = input.fork();
    if !ahead.peek(syn::Ident) {
        return Ok(None);
    }
    let name: Ident = ahead.parse()?;
    let ends = ahead.is_empty()
        || ahead.peek(Token![=>])
        || ahead.peek(Token![->])
        || ahead.peek(Token![,])
        || ahead.peek(Token![;])
        || ahead.peek(token::Brace);
    Ok((name == "default" && ends).then_some(name))
}

/// Parses the end of an arm's head.
fn before_arrow<T>(input: ParseStream, parse: fn(ParseStream) -> Result<T>) -> Result<T> {
    let ahead = input.fork();
    let fits = parse(&ahead).is_ok() && (ahead.peek(Token![=>]) || ahead.peek(Token![if]));
    if !fits && let Some(error) = block_without_arrow(input, parse) {
        return Err(error);
    }
    parse(input)
}

/// Returns the tokens before the `<-` of this arm's head, if there is one.
fn tokens_before_arrow(input: ParseStream) -> Option<Vec<TokenTree>> {
    let mut before = Vec::new();
    let mut cursor = input.cursor();
    while let Some((token, after)) = cursor.token_tree() {
        if is_joint(&token, '<') && next_is(after, '-') {
            return Some(before);
        }
        if is_joint(&token, '=') && next_is(after, '>') {
            return None;
        }
        before.push(token);
        cursor = after;
    }
    None
}

fn is_joint(token: &TokenTree, char: char) -> bool {
    matches!(token, TokenTree::Punct(punct)
        if punct.as_char() == char && punct.spacing() == Spacing::Joint)
}

fn next_is(cursor: Cursor, char: char) -> bool {
    cursor
        .punct()
        .is_some_and(|(punct, _)| punct.as_char() == char)
}

/// Returns whether the tokens end with a `=` that is no part of `==`, `<=` and the like.
fn ends_with_assignment(tokens: &[TokenTree]) -> bool {
    let joins = |punct: &Punct| punct.spacing() == Spacing::Joint;
    match tokens {
        [.., TokenTree::Punct(before), TokenTree::Punct(last)] => {
            last.as_char() == '=' && !joins(before)
        }
        [.., TokenTree::Punct(last)] => last.as_char() == '=',
        _ => false,
    }
}

/// Skips to where the next arm seems to start.
fn skip_arm(input: ParseStream) -> Result<()> {
    while !input.is_empty() {
        if input.peek(Token![,]) {
            input.parse::<Token![,]>()?;
            return Ok(());
        }
        // A block, and then what starts an arm as a rule.
        if input.peek(token::Brace) && input.peek2(syn::Ident) {
            input.parse::<TokenTree>()?;
            return Ok(());
        }
        let ends = input.peek(Token![=>]) && input.peek3(token::Brace);
        if input.peek(Token![=>]) {
            input.parse::<Token![=>]>()?;
        } else {
            input.parse::<TokenTree>()?;
        }
        if ends {
            input.parse::<TokenTree>()?;
            input.parse::<Option<Token![,]>>()?;
            return Ok(());
        }
    }
    Ok(())
}

/// Returns whether the expression ends an arm without a comma.
fn is_block_like(expr: &Expr) -> bool {
    match expr {
        // A `block` fragment of a `macro_rules` macro.
        Expr::Group(outer) => is_block_like(&outer.expr),
        Expr::Block(_)
        | Expr::Unsafe(_)
        | Expr::Const(_)
        | Expr::TryBlock(_)
        | Expr::If(_)
        | Expr::Match(_)
        | Expr::ForLoop(_)
        | Expr::While(_)
        | Expr::Loop(_) => true,
        _ => false,
    }
}

fn tokens_between(start: Cursor, input: ParseStream) -> TokenStream {
    let mut tokens = TokenStream::new();
    let mut cursor = start;
    while cursor != input.cursor()
        && let Some((token, after)) = cursor.token_tree()
    {
        tokens.extend([token]);
        cursor = after;
    }
    tokens
}
