//! Reads the paths that a source file names, from its tokens.
//!
//! Tokens rather than lines: comments and strings fall away, a `use` tree may span lines, and what stands inside a
//! macro's braces is seen like everything else.

use proc_macro2::{Delimiter, Spacing, TokenStream, TokenTree};
use std::iter::Peekable;
use std::str::FromStr;
use std::vec::IntoIter;

/// A path as it is written, with the modules written around it in the same file.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Named {
    pub(crate) line: usize,
    /// The inline modules that the path stands in, outermost first.
    pub(crate) inside: Vec<String>,
    pub(crate) segments: Vec<String>,
    /// Whether it stands in an item under `#[cfg(test)]`.
    pub(crate) in_test: bool,
}

type Tokens = Peekable<IntoIter<TokenTree>>;

/// Every path in `source` that has at least two segments, or stands alone in a `use`.
///
/// # Panics
/// If the source can't be split into tokens.
pub(crate) fn named_in(source: &str) -> Vec<Named> {
    let tokens = TokenStream::from_str(source).unwrap_or_else(|error| panic!("no Rust: {error}"));
    let mut found = Vec::new();
    walk(tokens, false, &mut Vec::new(), &mut found);
    found
}

fn tokens(stream: TokenStream) -> Tokens {
    stream.into_iter().collect::<Vec<_>>().into_iter().peekable()
}

/// Whether this is the `[cfg(test)]` of an attribute.
fn is_test_attribute(token: Option<&TokenTree>) -> bool {
    let Some(TokenTree::Group(group)) = token else { return false };
    let text = group.to_string().replace(' ', "");
    text == "[cfg(test)]" || text.starts_with("[cfg(all(test,")
}

fn walk(stream: TokenStream, in_test: bool, inside: &mut Vec<String>, found: &mut Vec<Named>) {
    let mut rest = tokens(stream);
    // From a `#[cfg(test)]` to the end of its item: a semicolon, or what stands in braces.
    let mut item_in_test = in_test;
    while let Some(token) = rest.next() {
        match token {
            TokenTree::Punct(p) if p.as_char() == '#' && is_test_attribute(rest.peek()) => {
                item_in_test = true;
            }
            TokenTree::Punct(p) if p.as_char() == ';' => item_in_test = in_test,
            TokenTree::Ident(name) if name == "mod" => {
                let Some(TokenTree::Ident(module)) = rest.next() else { continue };
                if let Some(TokenTree::Group(body)) =
                    rest.next_if(|next| matches!(next, TokenTree::Group(_)))
                {
                    inside.push(module.to_string());
                    walk(body.stream(), item_in_test, inside, found);
                    inside.pop();
                    item_in_test = in_test;
                }
            }
            TokenTree::Ident(name) => {
                let line = name.span().start().line;
                let mut tree = vec![vec![name.to_string()]];
                extend(&mut rest, &mut tree);
                found.extend(tree.into_iter().filter(|segments| segments.len() > 1).map(
                    |segments| Named {
                        line,
                        inside: inside.clone(),
                        segments,
                        in_test: item_in_test,
                    },
                ));
            }
            TokenTree::Group(group) => {
                walk(group.stream(), item_in_test, inside, found);
                if group.delimiter() == Delimiter::Brace {
                    item_in_test = in_test;
                }
            }
            // `::name` after something that isn't a name, as in `<T as X>::name`: no path of its own.
            TokenTree::Punct(_) => skip_continuation(&mut rest),
            TokenTree::Literal(_) => {}
        }
    }
}

/// Whether `::` comes next; takes it.
fn takes_colons(rest: &mut Tokens) -> bool {
    let mut ahead = rest.clone();
    let is_colon = |token: Option<TokenTree>, spacing| matches!(token, Some(TokenTree::Punct(p)) if p.as_char() == ':' && (p.spacing() == spacing || spacing == Spacing::Alone));
    let both = is_colon(ahead.next(), Spacing::Joint) && is_colon(ahead.next(), Spacing::Alone);
    if both {
        *rest = ahead;
    }
    both
}

fn skip_continuation(rest: &mut Tokens) {
    let mut ahead = rest.clone();
    if matches!(ahead.next(), Some(TokenTree::Punct(p)) if p.as_char() == ':')
        && matches!(ahead.next(), Some(TokenTree::Ident(_)))
    {
        *rest = ahead;
    }
}

/// Continues each path of `tree` with what follows: `::name`, or `::{a, b::c}`.
fn extend(rest: &mut Tokens, tree: &mut Vec<Vec<String>>) {
    while takes_colons(rest) {
        match rest.peek() {
            Some(TokenTree::Ident(_)) => {
                let Some(TokenTree::Ident(name)) = rest.next() else { unreachable!() };
                tree.iter_mut().for_each(|path| path.push(name.to_string()));
            }
            Some(TokenTree::Group(group)) if group.delimiter() == Delimiter::Brace => {
                let Some(TokenTree::Group(group)) = rest.next() else { unreachable!() };
                let branches = branches(group.stream());
                *tree = tree
                    .iter()
                    .flat_map(|path| {
                        branches.iter().map(|branch| [path.clone(), branch.clone()].concat())
                    })
                    .collect();
                return;
            }
            // `::*` and `::<T>`: the path so far is what is named.
            _ => return,
        }
    }
}

/// The paths between the braces of a `use` tree.
fn branches(stream: TokenStream) -> Vec<Vec<String>> {
    let (mut rest, mut found) = (tokens(stream), Vec::new());
    while let Some(token) = rest.next() {
        let first = match token {
            TokenTree::Ident(name) => vec![name.to_string()],
            TokenTree::Punct(p) if p.as_char() == '*' => Vec::new(),
            _ => continue,
        };
        let mut tree = vec![first];
        extend(&mut rest, &mut tree);
        found.append(&mut tree);
        // `as name`, up to the comma.
        while rest
            .next_if(|next| !matches!(next, TokenTree::Punct(p) if p.as_char() == ','))
            .is_some()
        {}
    }
    found
}
