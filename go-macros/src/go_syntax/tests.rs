//! What `golang!` rewrites, and where it cannot tell.

use proc_macro2::TokenStream;
use quote::quote;

use super::expand;

#[track_caller]
fn becomes(input: &str, expected: &str) {
    let expected: TokenStream = expected.parse().unwrap();
    match expand(&quote!(rt), input.parse().unwrap()) {
        // Only the tokens are compared: the rewritten ones keep their spacing.
        Ok(tokens) => {
            let plain = |tokens: TokenStream| tokens.to_string().replace(' ', "");
            let mut expected = plain(expected);
            if input.contains("go!<") {
                // A rewritten `go!` names the runtime, unless the user wrote a path.
                expected = expected.replace("go!{", "rt::go!{");
                expected = expected.replace("a::rt::", "a::");
            }
            assert_eq!(plain(tokens), expected, "{input}");
        }
        Err(error) => panic!("{input}: {error}"),
    }
}

#[track_caller]
fn fails(input: &str, message: &str) {
    match expand(&quote!(rt), input.parse().unwrap()) {
        Ok(tokens) => panic!("{input} became {tokens}"),
        Err(error) => {
            let error = error.to_string();
            assert!(error.contains(message), "{input}: {error}");
        }
    }
}

#[test]
fn other_tokens_pass_through() {
    for code in [
        "",
        "fn f<T>(x: Vec<Vec<T>>) -> T { x >> 1 > go!(f()) }",
        "go!{ f() }",
        "go < x",
    ] {
        becomes(code, code);
    }
}

#[test]
fn simple_ones() {
    becomes("go!<f(x)>", "go!{f(x)}");
    becomes("a::go!<f(x)>.join()", "a::go!{f(x)}.join()");
    becomes("let h = go!<move || x>;", "let h = go!{move || x};");
    becomes("go!< clone(a) { a } >, b", "go!{ clone(a) { a } }, b");
    becomes("go!< name = n; f() >;", "go!{ name = n; f() };");
    becomes("go!<s; f(a)>;", "go!{s; f(a)};");
    becomes("go!< s, name = n; f() >", "go!{ s, name = n; f() }");
    becomes(
        "let h = go!<s; let b: Vec<u8> = a > c; b>;",
        "let h = go!{s; let b: Vec<u8> = a > c; b};",
    );
}

#[test]
fn at_any_depth() {
    becomes("fn f() { vec![(go!<f()>)] }", "fn f() { vec![(go!{f()})] }");
    becomes("go!< { g(go!<f()>) } >", "go!{ { g(go!{f()}) } }");
}

#[test]
fn several_on_one_level() {
    becomes("go!<f()>; go!<g()>;", "go!{f()}; go!{g()};");
    becomes("go!<f()> go!<g()>", "go!{f()} go!{g()}");
    becomes("go!<f()> let x = a > b;", "go!{f()} let x = a > b;");
    becomes(
        "go!<f()> g(); let x = a > b;",
        "go!{f()} g(); let x = a > b;",
    );
}

#[test]
fn nested_on_one_level() {
    becomes(
        "go!< let h = go!<f()>; h.join() >",
        "go!{ let h = go!{f()}; h.join() }",
    );
    becomes("go!<go!<f()>>", "go!{go!{f()}}");
    becomes("go!<go!<go!<f()>>>;", "go!{go!{go!{f()}}};");
    becomes(
        "go!< go!< f::<Vec<u8>>() >; g() >",
        "go!{ go!{ f::<Vec<u8>>() }; g() }",
    );
}

#[test]
fn generics_and_operators_inside() {
    becomes(
        "go!< let v: Vec<u8> = f(); g(v) >",
        "go!{ let v: Vec<u8> = f(); g(v) }",
    );
    becomes("go!<f::<T>(x)>", "go!{f::<T>(x)}");
    becomes(
        "go!< a.collect::<Vec<Vec<u8>>>(); f() >",
        "go!{ a.collect::<Vec<Vec<u8>>>(); f() }",
    );
    becomes(
        "go!< f(|x| -> T { x }); a >= b; c >> 1 >",
        "go!{ f(|x| -> T { x }); a >= b; c >> 1 }",
    );
    becomes("go!< match x { _ => 1 } >", "go!{ match x { _ => 1 } }");
    becomes(
        "go!< if a > b { c } else { d } >",
        "go!{ if a > b { c } else { d } }",
    );
    becomes("go!< let x = a > b; f(x) >", "go!{ let x = a > b; f(x) }");
}

#[test]
fn comparisons_after_it() {
    becomes("go!<f()> .join() > x", "go!{f()} .join() > x");
    becomes("[go!<f()>, a > b]", "[go!{f()}, a > b]");
}

#[test]
fn ambiguous() {
    let message = "this `>` could close `go!<` or compare two values: put the comparison in \
                   parentheses, `(a > b)`, or write `;` after the closing `>`";
    fails("go!< init(); a > b; c() >", message);
    becomes("go!< init(); (a > b); c() >", "go!{ init(); (a > b); c() }");
    fails("go!<f()> g(); x > y; z()", message);
    becomes("go!<f()>; g(); x > y; z()", "go!{f()}; g(); x > y; z()");
}

#[test]
fn unclosed() {
    fails("go!<f(x)", "unclosed `go!<`: write `>`");
    fails("{ go!<f(x) } >", "unclosed `go!<`");
    fails("go!< let x = >;", "unclosed `go!<`: cannot find the `>`");
    fails("go!< x > y", "unclosed `go!<`: cannot find the `>`");
    fails(
        "go!< let x = >; go!<>;",
        "unclosed `go!<`: cannot find the `>`",
    );
}

#[test]
fn what_go_refuses() {
    fails("go!<f>;", "`f` is none of them");
    fails("go!<>", "go! needs something to run");
    fails("(go!<f(x)?>)", "`?` has no function to return from");
}

#[test]
fn many_on_one_level_take_no_exponential_time() {
    let code = "go!<f()> g(); ".repeat(60);
    becomes(&code, &code.replace("go!<f()>", "go!{f()}"));
}
