//! The error messages about wrong arms, and how a wrong arm is recognized.

use proc_macro2::{Delimiter, Ident, Span, TokenStream, TokenTree};
use syn::parse::{ParseStream, Parser};
use syn::{Error, Pat, Result, Token, token};

const FORMS: &str = "an arm is recv(rx) -> pat, send(tx, value) -> pat, pat = <-rx, <-rx, \
                     tx <- value, default or default(duration)";

/// Returns whether the pattern cannot cover a `Result`, whatever its types. rustc finds the other
/// refutable patterns.
pub(super) fn is_refutable(pattern: &Pat) -> bool {
    let names = |path: &syn::Path, names: &[&str]| {
        path.segments
            .last()
            .is_some_and(|last| names.iter().any(|name| last.ident == name))
    };
    match pattern {
        Pat::Paren(outer) => is_refutable(&outer.pat),
        Pat::TupleStruct(pattern) => names(&pattern.path, &["Ok", "Err", "Some"]),
        Pat::Path(pattern) => names(&pattern.path, &["None"]),
        Pat::Ident(pattern) => pattern.ident == "None",
        Pat::Lit(_) | Pat::Range(_) => true,
        _ => false,
    }
}

pub(super) fn refutable(pattern: &Pat, operation: &str, binding: &str) -> Error {
    let message = format!(
        "`{operation}` gives a Result, and this pattern doesn't cover both Ok and Err: bind it \
         ({binding}) and match in the body"
    );
    Error::new_spanned(pattern, message)
}

/// Returns the message about `recv(rx) -> msg if condition`. (The message does not propose a test
/// in the body, which would run after the message has been taken.)
pub(super) fn guard(operation: &Ident) -> &'static str {
    if operation == "send" {
        "an arm takes no guard: switch it off with a channel that is never ready, \
         `let off = Sender::never();` and `send(if condition { &tx } else { &off }, value)`"
    } else {
        "an arm takes no guard: switch it off with a channel that is never ready, \
         `let off = channel::never();` and `recv(if condition { &rx } else { &off }) -> msg`"
    }
}

const BLOCK_WITHOUT_ARROW: &str = "expected `=>` between the operation of an arm and its body";

pub(super) fn missing_arrow(head: &TokenStream, input: ParseStream) -> Error {
    if input.peek(token::Brace) {
        return input.error(BLOCK_WITHOUT_ARROW);
    }
    let found = match input.cursor().token_tree() {
        Some((token, _)) if !input.peek(Token![,]) => format!(", but found `{token}`"),
        _ => String::new(),
    };
    Error::new_spanned(
        head,
        format!("expected `=>` and a body after `{head}`{found}"),
    )
}

/// Returns the error about a block without a `=>` before it, if the input is the end of an arm's
/// head, which `parse` accepts, and then such a block.
///
/// syn parses `v { ... }` as a pattern, or an expression, of a struct with the name `v`.
pub(super) fn block_without_arrow<T>(
    input: ParseStream,
    parse: fn(ParseStream) -> Result<T>,
) -> Option<Error> {
    let ahead = input.fork();
    let mut before = TokenStream::new();
    while !ahead.peek(token::Brace) {
        if ahead.peek(Token![=>]) || ahead.peek(Token![,]) {
            return None;
        }
        before.extend([ahead.parse::<TokenTree>().ok()?]);
    }
    let error = ahead.error(BLOCK_WITHOUT_ARROW);
    ahead.parse::<TokenTree>().ok()?;
    let ends = ahead.is_empty()
        || ahead.peek(Token![,])
        || ahead.peek(syn::Ident)
        || ahead.peek(Token![<]);
    (ends && parse.parse2(before).is_ok()).then_some(error)
}

pub(super) fn unknown_operation(input: ParseStream) -> Error {
    let head = head(input);
    if let Some((place, advice)) = misspelling(&head) {
        return Error::new(place, advice);
    }
    match input.fork().parse::<Ident>() {
        Ok(name) => Error::new(name.span(), format!("unknown operation `{name}`: {FORMS}")),
        Err(_) => input.error(format!("expected an arm: {FORMS}")),
    }
}

/// Returns the tokens up to the `=>`.
fn head(input: ParseStream) -> Vec<TokenTree> {
    let mut head = Vec::new();
    let ahead = input.fork();
    while !ahead.is_empty() && !ahead.peek(Token![=>]) {
        match ahead.parse() {
            Ok(token) => head.push(token),
            Err(_) => break,
        }
    }
    head
}

/// Recognizes a common mistake in the head of an arm, and returns its place and the advice.
pub(super) fn misspelling(head: &[TokenTree]) -> Option<(Span, &'static str)> {
    let is_word = |token: &TokenTree, words: &[&str]| match token {
        TokenTree::Ident(name) => words.iter().any(|word| name == word),
        _ => false,
    };
    let is_sign = |token: &TokenTree, sign: char| match token {
        TokenTree::Punct(punct) => punct.as_char() == sign,
        _ => false,
    };
    let first = head.first()?;
    if is_word(first, &["case"]) {
        return Some((
            first.span(),
            "an arm has no `case`: write `msg = <-rx => body` or `tx <- value => body`",
        ));
    }
    if is_word(first, &["biased"]) && head.get(1).is_some_and(|next| is_sign(next, ';')) {
        return Some((
            first.span(),
            "for the first ready arm in their order, write `select_biased! { ... }`, without \
             `biased;`",
        ));
    }
    if is_word(first, &["let"]) {
        return Some((first.span(), "an arm binds without `let`: drop it"));
    }
    if is_sign(first, '#') {
        return Some((
            first.span(),
            "an arm takes no attributes: put it on the whole `select!`, or test in the body",
        ));
    }
    let parens = |token: &TokenTree| match token {
        TokenTree::Group(group) => group.delimiter() == Delimiter::Parenthesis,
        _ => false,
    };
    if is_word(first, &["default"]) && head.get(1).is_some_and(|next| is_sign(next, ':')) {
        return Some((
            first.span(),
            "an arm has `=>` and no colon: write `default => ...`",
        ));
    }
    for (at, token) in head.iter().enumerate() {
        let after = head.get(at + 1);
        let operation = is_word(token, &["recv", "send"]);
        let called = after.is_some_and(parens);
        if is_sign(token, ':') && after.is_some_and(|next| is_sign(next, '=')) {
            return Some((
                token.span(),
                "an arm binds without `:=`: write `msg = <-rx`",
            ));
        }
        if operation && called && at > 0 {
            return Some((
                token.span(),
                "the operation comes first and is no method: write `recv(rx) -> msg` or `send(tx, \
                 value) -> res`",
            ));
        }
        if operation && at == 0 {
            return Some((
                token.span(),
                "the operation takes parentheses: write `recv(rx) -> msg` or `send(tx, value) -> \
                 res`",
            ));
        }
        if is_sign(token, '<') && after.is_some_and(|next| is_sign(next, '-')) {
            return Some((
                token.span(),
                "the arrow is one sign: write `<-` without a space in it",
            ));
        }
        // In `= < -` the fault is the space after `<`; the next token reports it.
        if is_sign(token, '=') && after.is_some_and(|next| !is_sign(next, '<')) {
            return Some((
                token.span(),
                "to receive, write an arrow before the channel: `msg = <-rx`",
            ));
        }
        if is_sign(token, '-')
            && after.is_some_and(|next| is_sign(next, '>'))
            && !head.get(1).is_some_and(parens)
        {
            return Some((
                first.span(),
                "to receive, name the operation: `recv(rx) -> msg`",
            ));
        }
    }
    None
}

/// Returns the error about tokens before a `<-` that are no pattern, such as Go's `v, ok = <-rx`.
pub(super) fn bad_pattern(tokens: TokenStream, error: &Error) -> Error {
    let list = tokens.clone().into_iter().collect::<Vec<_>>();
    let has_comma = list
        .iter()
        .any(|token| matches!(token, TokenTree::Punct(punct) if punct.as_char() == ','));
    if let Some((place, advice)) = misspelling(&list) {
        return Error::new(place, advice);
    }
    let message = if has_comma {
        "a receive gives one Result: bind it, `msg = <-rx`, and match in the body".to_owned()
    } else {
        format!("no pattern for the message: {error}")
    };
    Error::new_spanned(tokens, message)
}
