//! Reads a file's functions, and where it asks for the model build, from its tokens.

use proc_macro2::{TokenStream, TokenTree};
use std::str::FromStr;

/// A function with a body.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Function {
    pub(crate) name: String,
    pub(crate) line: usize,
    /// From `fn` to the closing brace.
    pub(crate) lines: usize,
}

/// Where a file steps out of the plain way to have two builds.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Seam {
    /// Lines that are `#[cfg(phalanx_loom)]` or `#[cfg(not(phalanx_loom))]`.
    pub(crate) plain: Vec<usize>,
    /// Lines that name `phalanx_loom` in any other way.
    pub(crate) other: Vec<usize>,
    /// Lines with a `mod` inside of a macro's brackets, where rustfmt doesn't follow it.
    pub(crate) hidden_modules: Vec<usize>,
}

fn tokens(source: &str) -> Vec<TokenTree> {
    let stream = TokenStream::from_str(source).unwrap_or_else(|error| panic!("no Rust: {error}"));
    stream.into_iter().collect()
}

fn is_ident(token: Option<&TokenTree>, name: &str) -> bool {
    matches!(token, Some(TokenTree::Ident(ident)) if ident == name)
}

pub(crate) fn functions_in(source: &str) -> Vec<Function> {
    let mut found = Vec::new();
    walk_functions(&tokens(source), &mut found);
    found
}

fn walk_functions(tokens: &[TokenTree], found: &mut Vec<Function>) {
    for (at, token) in tokens.iter().enumerate() {
        if let TokenTree::Group(group) = token {
            walk_functions(&group.stream().into_iter().collect::<Vec<_>>(), found);
        }
        let [TokenTree::Ident(keyword), TokenTree::Ident(name), rest @ ..] = &tokens[at..] else {
            continue;
        };
        let ends = |token: &TokenTree| match token {
            TokenTree::Group(group) => group.delimiter() == proc_macro2::Delimiter::Brace,
            TokenTree::Punct(punct) => punct.as_char() == ';',
            _ => false,
        };
        if keyword == "fn"
            && let Some(TokenTree::Group(body)) = rest.iter().find(|token| ends(token))
        {
            let line = keyword.span().start().line;
            let lines = body.span_close().end().line - line + 1;
            found.push(Function { name: name.to_string(), line, lines });
        }
    }
}

pub(crate) fn seam_in(source: &str) -> Seam {
    let lines: Vec<&str> = source.lines().collect();
    let mut seam = Seam::default();
    walk_seam(&tokens(source), false, &lines, &mut seam);
    seam
}

fn walk_seam(tokens: &[TokenTree], in_macro: bool, lines: &[&str], seam: &mut Seam) {
    for (at, token) in tokens.iter().enumerate() {
        let line = token.span().start().line;
        match token {
            TokenTree::Ident(name) if name == "phalanx_loom" => {
                let text = lines[line - 1].trim();
                let is_plain = matches!(text, "#[cfg(phalanx_loom)]" | "#[cfg(not(phalanx_loom))]");
                if is_plain { &mut seam.plain } else { &mut seam.other }.push(line);
            }
            TokenTree::Ident(name) if name == "mod" && in_macro => seam.hidden_modules.push(line),
            TokenTree::Group(group) => {
                // `name! {…}` and `macro_rules! name {…}`.
                let bang = |back: usize| {
                    at >= back
                        && matches!(&tokens[at - back], TokenTree::Punct(p) if p.as_char() == '!')
                };
                let in_macro = in_macro
                    || bang(1) && at >= 2 && matches!(tokens[at - 2], TokenTree::Ident(_))
                    || bang(2) && at >= 3 && is_ident(tokens.get(at - 3), "macro_rules");
                let inner: Vec<_> = group.stream().into_iter().collect();
                walk_seam(&inner, in_macro, lines, seam);
            }
            _ => {}
        }
    }
}

#[test]
fn a_function_s_lines_are_counted_from_fn_to_its_brace() {
    let source = "/// Doc.\n#[inline]\nfn a(f: fn(u8) -> u8)\nwhere\n    T: X,\n{\n    fn b() {\n    }\n}\n\
                  trait X { fn none(&self); }\nconst_fn! {\n    fn c() {}\n}\n";
    let found = functions_in(source);
    let found: Vec<_> = found.iter().map(|it| (it.name.as_str(), it.line, it.lines)).collect();
    assert_eq!(found, [("a", 3, 7), ("b", 7, 2), ("c", 12, 1)]);
}

#[test]
fn modules_behind_a_macro_and_lines_that_ask_for_the_model_are_seen() {
    let seam = seam_in("by_build! {\n    machine {\n        mod raw;\n    }\n}\n");
    assert_eq!(seam.hidden_modules, [3]);
    let seam = seam_in("macro_rules! both {\n    () => { mod raw; }\n}\nmod plain;\n");
    assert_eq!(seam.hidden_modules, [2]);
    let seam = seam_in(
        "//! cfg(phalanx_loom)\n#[cfg(phalanx_loom)]\nmod spec;\n    #[cfg(not(phalanx_loom))]\nmod raw;\n",
    );
    assert_eq!(seam, Seam { plain: vec![2, 4], ..Seam::default() });
    let seam = seam_in(
        "fn f() -> bool {\n    cfg!(phalanx_loom)\n}\n#[cfg(any(phalanx_loom, test))]\nmod x;",
    );
    assert_eq!(seam.other, [2, 4]);
}
