//! `golang!`: rewrites each `go!< ... >` into a call of `go!`, and leaves all other tokens alone.
//!
//! # Grammar
//!
//! ```text
//! Golang   : ( GoAngle | `(` Golang `)` | `[` Golang `]` | `{` Golang `}` | TOKEN )*
//! GoAngle  : `go` `!` `<` Go `>`          Go, rewritten, is the input of `go!` (see `go.rs`)
//! TOKEN    : any token that does not begin a GoAngle
//! ```
//!
//! Angle brackets do not group tokens, so this module searches for the closing `>`. It is the first
//! `>` of the level that leaves a complete input for `go!` before it. If that `>` could be a
//! comparison, and a later `>` could close as well, the macro reports an error. The documentation
//! of the macro states the rule in full.
//!
//! # Expansion
//!
//! `go!< body >` becomes `$crate::go! { body }`, and `path::go!< body >` becomes
//! `path::go! { body }`.

#[cfg(test)]
mod tests;

use std::collections::HashMap;

use proc_macro2::{Delimiter, Group, Spacing, TokenStream, TokenTree};
use quote::quote;
use syn::{Error, Result};

use crate::go::{self, Verdict};

pub(crate) fn expand(krate: &TokenStream, code: TokenStream) -> Result<TokenStream> {
    Ok(rewrite(krate, code.clone())?.unwrap_or(code))
}

/// Rewrites the tokens of one level, or returns `None` if there is no `go!<` in them: a group that
/// is built anew loses the spans of its delimiters, so the caller keeps the original.
fn rewrite(krate: &TokenStream, code: TokenStream) -> Result<Option<TokenStream>> {
    let mut changed = false;
    let mut tokens = Vec::new();
    for mut token in code {
        if let TokenTree::Group(group) = &mut token {
            match rewrite(krate, group.stream()) {
                Ok(None) => {}
                Ok(Some(inner)) => {
                    changed = true;
                    let span = group.span();
                    *group = Group::new(group.delimiter(), inner);
                    group.set_span(span);
                }
                // The macro reports one error at a time: two errors make no expression, and an
                // outer error follows from the inner one.
                Err(error) => return Err(error),
            }
        }
        tokens.push(token);
    }

    let mut level = Level {
        krate,
        tokens,
        closed: HashMap::new(),
    };
    let mut out = Vec::with_capacity(level.tokens.len());
    let mut at = 0;
    while at < level.tokens.len() {
        if !level.opens(at) {
            out.push(level.tokens[at].clone());
            at += 1;
            continue;
        }
        changed = true;
        let closed = level.close(at, false)?;
        out.extend(level.replacement(at, closed.body));
        at = closed.end;
    }
    Ok(changed.then(|| out.into_iter().collect()))
}

/// The tokens between two delimiters, with the groups among them rewritten.
struct Level<'a> {
    /// The path of the runtime.
    krate: &'a TokenStream,
    tokens: Vec<TokenTree>,
    /// Results of `close`, which are kept because the search for a later `>` meets the same `go!<`
    /// many times.
    closed: HashMap<(usize, bool), Result<Closed>>,
}

#[derive(Clone)]
struct Closed {
    /// The tokens between `go!<` and `>`, rewritten.
    body: TokenStream,
    /// The position after the `>`.
    end: usize,
}

impl Level<'_> {
    /// Returns whether `go!<` begins at the position.
    fn opens(&self, at: usize) -> bool {
        matches!(self.tokens.get(at), Some(TokenTree::Ident(name)) if name == "go")
            && self.is_punct(at + 1, '!')
            && self.is_punct(at + 2, '<')
    }

    /// Returns `go! { body }` for the `go!<` at the position.
    fn replacement(&self, at: usize, body: TokenStream) -> TokenStream {
        let mut group = Group::new(Delimiter::Brace, body);
        group.set_span(self.tokens[at + 2].span());
        let name = &self.tokens[at..at + 2];
        if at > 0 && self.is_punct(at - 1, ':') {
            // The user wrote a path in front of `go!`, which is kept.
            return quote!(#(#name)* #group);
        }
        let krate = self.krate;
        quote!(#krate::#(#name)* #group)
    }

    /// Finds the `>` for the `go!<` at the position. `nested` says that another `go!<` of this
    /// level is around it, so that `>>` may close both.
    fn close(&mut self, at: usize, nested: bool) -> Result<Closed> {
        if let Some(known) = self.closed.get(&(at, nested)) {
            return known.clone();
        }
        let closed = self.find_close(at, nested);
        self.closed.insert((at, nested), closed.clone());
        closed
    }

    fn find_close(&mut self, at: usize, nested: bool) -> Result<Closed> {
        let mut walk = Walk {
            at: at + 3,
            from: at + 3,
            nested,
            body: Vec::new(),
        };
        let mut refused = None;
        let mut candidates = false;
        // Whether a `>` at the end of an expression was found, which is most likely the closing
        // one.
        let mut likely = false;
        loop {
            match walk.next_candidate(self) {
                Ok(true) => candidates = true,
                Ok(false) => break,
                Err(_) if likely => break,
                Err(error) => return Err(error),
            }
            let body: TokenStream = walk.body.iter().cloned().collect();
            let end = walk.at + 1;
            let ends = self.ends_expression(end);
            likely |= ends;
            match go::check(body.clone()) {
                Verdict::Accepted => {
                    if ends || !walk.closes_later(self) {
                        return Ok(Closed { body, end });
                    }
                    return Err(Error::new(
                        self.tokens[end - 1].span(),
                        "this `>` could close `go!<` or compare two values: put the comparison in \
                         parentheses, `(a > b)`, or write `;` after the closing `>`",
                    ));
                }
                Verdict::Refused(error) if refused.is_none() && ends => {
                    refused = Some((error, body.is_empty()));
                }
                Verdict::Refused(_) | Verdict::Incomplete => {}
            }
            walk.pass(self);
        }
        let opening: TokenStream = self.tokens[at..at + 3].iter().cloned().collect();
        Err(match refused {
            Some((error, false)) => error,
            Some((error, true)) => Error::new_spanned(opening, error),
            None if candidates => Error::new_spanned(
                opening,
                "unclosed `go!<`: cannot find the `>` that closes this `go!<`: parenthesise \
                 comparisons in it, and check that what is inside is complete",
            ),
            None => Error::new_spanned(
                opening,
                "unclosed `go!<`: write `>` after what the goroutine runs",
            ),
        })
    }

    /// Returns whether the token at the position cannot begin the right operand of a comparison.
    fn ends_expression(&self, at: usize) -> bool {
        const KEYWORDS: [&str; 18] = [
            "as", "const", "else", "enum", "fn", "for", "impl", "let", "loop", "mod", "pub",
            "return", "static", "struct", "trait", "type", "use", "while",
        ];
        match self.tokens.get(at) {
            None => true,
            Some(TokenTree::Punct(punct)) => ";,.?>=".contains(punct.as_char()),
            Some(TokenTree::Ident(name)) => {
                KEYWORDS.iter().any(|keyword| name == keyword)
                    || name == "go" && self.is_punct(at + 1, '!')
            }
            Some(_) => false,
        }
    }

    fn is_punct(&self, at: usize, char: char) -> bool {
        matches!(self.tokens.get(at), Some(TokenTree::Punct(punct)) if punct.as_char() == char)
    }

    /// Returns whether the punctuation at the position and the next one may form one operator.
    fn is_joint(&self, at: usize, char: char) -> bool {
        matches!(self.tokens.get(at), Some(TokenTree::Punct(punct))
            if punct.as_char() == char && punct.spacing() == Spacing::Joint)
    }
}

/// A walk along a level, from a `go!<` on.
#[derive(Clone)]
struct Walk {
    at: usize,
    /// Tokens before this one are no part of an operator: they belong to a `go!<` or its end.
    from: usize,
    nested: bool,
    body: Vec<TokenTree>,
}

impl Walk {
    /// Advances to the next `>` that may close, and collects the tokens before it. Returns `false`
    /// at the end of the level.
    fn next_candidate(&mut self, level: &mut Level<'_>) -> Result<bool> {
        while self.at < level.tokens.len() {
            if level.opens(self.at) {
                let closed = level.close(self.at, true)?;
                self.body.extend(level.replacement(self.at, closed.body));
                self.at = closed.end;
                self.from = closed.end;
            } else if self.is_candidate(level) {
                return Ok(true);
            } else {
                self.pass(level);
            }
        }
        Ok(false)
    }

    fn pass(&mut self, level: &Level<'_>) {
        self.body.push(level.tokens[self.at].clone());
        self.at += 1;
    }

    fn is_candidate(&self, level: &Level<'_>) -> bool {
        if !level.is_punct(self.at, '>') {
            return false;
        }
        // The operator this may be a part of: `->`, `=>`, or `>`s with a `=` at the end.
        let mut first = self.at;
        while first > self.from && level.is_joint(first - 1, '>') {
            first -= 1;
        }
        let mut last = self.at;
        while level.is_joint(last, '>') && level.is_punct(last + 1, '>') {
            last += 1;
        }
        let after_arrow =
            first > self.from && (level.is_joint(first - 1, '-') || level.is_joint(first - 1, '='));
        let before_equals = level.is_joint(last, '>') && level.is_punct(last + 1, '=');
        !after_arrow && !before_equals && (first == last || self.nested)
    }

    /// Returns whether a `>` after this candidate could close as well.
    fn closes_later(&self, level: &mut Level<'_>) -> bool {
        let mut ahead = self.clone();
        ahead.pass(level);
        // An error further on is reported when the walk reaches that place.
        while let Ok(true) = ahead.next_candidate(level) {
            if let Verdict::Accepted = go::check(ahead.body.iter().cloned().collect()) {
                return true;
            }
            ahead.pass(level);
        }
        false
    }
}
