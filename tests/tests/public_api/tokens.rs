//! Functions that inspect tokens of Rust code.

use proc_macro2::{Delimiter, Group, TokenTree};

pub(crate) type Tokens = [TokenTree];

/// Returns all identifiers in these tokens and in their groups.
pub(crate) fn names(tokens: &Tokens) -> Vec<String> {
    let words = tokens.iter().flat_map(|token| match token {
        TokenTree::Group(group) => names(&group.stream().into_iter().collect::<Vec<_>>()),
        TokenTree::Ident(name) => vec![name.to_string()],
        _ => Vec::new(),
    });
    words.collect()
}

/// Returns the source of these tokens in one line, without comments.
pub(crate) fn text(tokens: &Tokens) -> String {
    let ends = tokens.first().zip(tokens.last());
    let span = ends.and_then(|(first, last)| first.span().join(last.span()));
    let source = span.and_then(|span| span.source_text()).unwrap_or_default();
    let lines = source.lines().map(str::trim);
    let lines: Vec<_> = lines.filter(|line| !line.starts_with("//")).collect();
    lines.join(" ").replace("( ", "(").replace(", )", ")")
}

/// Returns the name at the end of a path, perhaps after `impl<...>`, without generics.
pub(crate) fn last_name(path: &str) -> String {
    let path = path.split(" where ").next().unwrap_or_default();
    let (mut depth, mut name) = (0, String::new());
    for sign in path.replace("->", "").chars() {
        match sign {
            '<' => depth += 1,
            '>' => depth -= 1,
            _ if depth > 0 => {}
            ' ' | ':' | '&' => name.clear(),
            sign => name.push(sign),
        }
    }
    name
}

/// Returns the group, if this token is one in braces.
pub(crate) fn body(token: &TokenTree) -> Option<&Group> {
    match token {
        TokenTree::Group(group) if group.delimiter() == Delimiter::Brace => Some(group),
        _ => None,
    }
}

pub(crate) fn is_sign(token: &TokenTree, sign: char) -> bool {
    matches!(token, TokenTree::Punct(punct) if punct.as_char() == sign)
}

/// Returns the token after this word.
pub(crate) fn after(tokens: &Tokens, word: &str) -> Option<String> {
    let is_word = |token: &TokenTree| matches!(token, TokenTree::Ident(name) if name == word);
    let at = tokens.iter().position(is_word)?;
    tokens.get(at + 1).map(TokenTree::to_string)
}
