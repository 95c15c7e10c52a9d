//! What `select!` expands to, and what it says about wrong input.

use proc_macro2::TokenStream;
use quote::quote;

use super::expand;

#[track_caller]
fn becomes(input: &str, expected: &str) {
    let expected: TokenStream = expected.parse().unwrap();
    match expand(quote!(rt), input.parse().unwrap(), false) {
        Ok(tokens) => assert_eq!(tokens.to_string(), expected.to_string(), "{input}"),
        Err(error) => panic!("{input}: {error}"),
    }
}

/// The errors have to be these, in order.
#[track_caller]
fn fails(input: &str, messages: &[&str]) {
    match expand(quote!(rt), input.parse().unwrap(), false) {
        Ok(tokens) => panic!("{input} became {tokens}"),
        Err(errors) => {
            let errors: Vec<_> = errors.into_iter().map(|error| error.to_string()).collect();
            assert_eq!(errors.len(), messages.len(), "{input}: {errors:#?}");
            for (error, message) in errors.iter().zip(messages) {
                assert!(error.contains(message), "{input}: {error}");
            }
        }
    }
}

/// The patterns that bind, and the bodies, of arms on the channel `a`.
#[track_caller]
fn same(left: &str, right: &str) {
    let expansion = |input: &str| match expand(quote!(rt), input.parse().unwrap(), true) {
        Ok(tokens) => tokens.to_string(),
        Err(error) => panic!("{input}: {error}"),
    };
    assert_eq!(expansion(left), expansion(right));
}

#[test]
fn all_kinds_of_arms() {
    becomes(
        "recv(a) -> x => f(x), default(d) => {} send(b, v) => {}",
        "{ match (&(a), d, &(b),) { (channel0, duration1, channel2,) => {
            #[allow(unused_imports)]
            use rt::__private::no_arms:: * ;
            let arm0 = channel0.__a_recv_arm_takes_a_Receiver_or_a_JoinHandle_of_go_runtime();
            let arm1 = channel2.__a_send_arm_takes_a_Sender_of_go_runtime();
            match rt::__private::select(
                &[arm0.__arm(), arm1.__arm()], rt::__private::Timeout::After(duration1), false,
            ) {
                0usize => { let result0 = arm0.__take(); match result0 { x => f(x) } }
                1usize => { let _ = arm1.__reserve().__send(v); match () { () => {} } }
                _ => {},
            }
        } } }",
    );
}

#[test]
fn without_channels() {
    becomes("", "rt::__private::park_forever()");
    becomes("default => 5", "{ match () { () => 5 } }");
    becomes(
        "default(d,) => f(),",
        "{ rt::__private::sleep(d); match () { () => f() } }",
    );
}

#[test]
fn arrows_are_the_same_arms() {
    same("x = <-a => x", "recv(a) -> x => x");
    same("x =<-a => x", "recv(a) -> x => x");
    same("<-a => 1", "recv(a) => 1");
    same("<-a.b() => 1", "recv(a.b()) -> _ => 1");
    same("a <- 5 => 1", "send(a, 5) => 1");
    same("a <-b => 1", "send(a, b) -> _ => 1");
    same("a[0] <- -x => 1", "send(a[0], -x) => 1");
    same("(x, y) = <-a => 1", "recv(a) -> (x, y) => 1");
}

#[test]
fn channels_named_like_operations() {
    same("recv <- 5 => 1", "send(recv, 5) => 1");
    same("<-send => 1", "recv(send) => 1");
    same("default <- 5 => 1", "send(default, 5) => 1");
    same("default = <-a => 1", "recv(a) -> default => 1");
}

#[test]
fn commas_are_those_of_match() {
    same(
        "recv(a,) => {} send(a, 1,) => {}, default() => {}",
        "recv(a) => {}, send(a, 1) => {}, default => {}",
    );
    same(
        "recv(a) => if x {} default => y",
        "recv(a) => if x {}, default => y,",
    );
    same(
        "recv(a) => match x {} <-a => y",
        "recv(a) => match x {}, recv(a) => y,",
    );
    same(
        "recv(a) => {}.f(), <-a => 7.",
        "recv(a) => {}.f(), recv(a) => 7.,",
    );
    fails(
        "recv(a) => f() recv(b) => {}",
        &["expected `,` between the body of an arm and the next"],
    );
    fails(
        "recv(a) => {}; recv(b) => {}",
        &["arms are separated by `,`"],
    );
}

#[test]
fn a_value_that_never_comes_allows_the_unreachable_body() {
    let expansion = |input: &str| {
        expand(quote!(rt), input.parse().unwrap(), false)
            .unwrap()
            .to_string()
    };
    assert!(expansion("a <- return => 1").contains("allow (unreachable_code)"));
    assert!(expansion("a <- { f(); panic!() } => 1").contains("allow (unreachable_code)"));
    assert!(!expansion("a <- f()? => 1").contains("unreachable_code"));
}

#[test]
fn heads_without_a_body() {
    fails(
        "recv(a) -> x",
        &["expected `=>` and a body after `recv (a) -> x`"],
    );
    fails(
        "recv(a), <-b => {}",
        &["expected `=>` and a body after `recv (a)`"],
    );
    fails("default", &["expected `=>` and a body after `default`"]);
    fails("recv(a) =>", &["expected a body after `=>`"]);
    fails(
        "recv(a) => , recv(b) => {}",
        &["expected a body after `=>`"],
    );
}

#[test]
fn blocks_without_an_arrow() {
    for arm in [
        "recv(a) -> v { f(v); }",
        "recv(a) -> v {}",
        "recv(a) -> v { x }",
        "recv(a) -> _ { x }",
        "recv(a) { x }",
        "send(a, 1) -> sent { x }",
        "v = <-a { f(v); }",
        "<-a { x }",
        "a <- 1 { x }",
        "a <- b { f(); }",
        "default { x }",
        "default(d) { x }",
    ] {
        let message = "expected `=>` between the operation of an arm and its body";
        fails(arm, &[message]);
        fails(&format!("{arm}, recv(b) => {{}}"), &[message]);
        fails(&format!("{arm} recv(b) -> w {{ f(w); }}"), &[message; 2]);
    }
    same("recv(a) -> S { x } => {}", "S { x } = <-a => {}");
    fails(
        "a <- if b { 1 } else { x y } => {}",
        &["unexpected token, expected `;`"],
    );
    fails("a <- S { x y }.f() => {}", &["expected `,`"]);
    same("a <- S { x } => {}", "send(a, S { x }) => {}");
    fails("recv(a) -> S { x y } => {}", &["expected `,`"]);
}

#[test]
fn unknown_operations() {
    fails(
        "receive(a) -> x => {}",
        &["unknown operation `receive`: an arm is recv(rx) -> pat, send"],
    );
    fails("a => {}", &["unknown operation `a`"]);
    fails("_ => {}", &["expected an arm: "]);
}

#[test]
fn near_misses() {
    fails("case v := <-rx => {}", &["an arm has no `case`"]);
    fails(
        "biased; recv(rx) -> v => {}",
        &["write `select_biased! { ... }`"],
    );
    fails("v := <-rx => {}", &["binds without `:=`"]);
    fails("v, ok = <-rx => {}", &["a receive gives one Result"]);
    fails("v = rx => {}", &["write an arrow before the channel"]);
    fails("v = recv(rx) => {}", &["write an arrow before the channel"]);
    fails("rx.recv() -> v => {}", &["is no method"]);
    fails("recv rx -> v => {}", &["the operation takes parentheses"]);
    fails("rx -> v => {}", &["name the operation"]);
    fails("v = < -rx => {}", &["without a space"]);
    fails("#[cfg(unix)] recv(rx) => {}", &["takes no attributes"]);
}

#[test]
fn wrong_arguments() {
    fails("recv() => {}", &["`recv` takes one argument"]);
    fails("recv(a, b) => {}", &["`recv` takes one argument"]);
    fails("send(a) => {}", &["`send` takes two arguments"]);
    fails("send(a, b, c) => {}", &["`send` takes two arguments"]);
    fails(
        "default(a, b) => {}",
        &["`default` takes at most one argument"],
    );
}

#[test]
fn wrong_defaults() {
    fails(
        "default => {} default => {}",
        &["this is the second `default`"],
    );
    fails("default -> x => {}", &["`default` has no result to bind"]);
    fails(
        "default(d) -> x => {}",
        &["`default` has no result to bind"],
    );
}

#[test]
fn wrong_patterns() {
    let refutable = "gives a Result, and this pattern doesn't cover both Ok and Err: bind it";
    for pattern in [
        "Ok(x)", "Err(_)", "Some(x)", "None", "5", "(Ok(x))", "1..=2",
    ] {
        fails(&format!("recv(a) -> {pattern} => {{}}"), &[refutable]);
        fails(&format!("{pattern} = <-a => {{}}"), &[refutable]);
    }
    fails("send(a, 1) -> Ok(()) => {}", &["(send(tx, value) -> res)"]);
    fails("recv(a) -> => {}", &["expected a pattern after `->`"]);
    fails("= <-a => {}", &["expected a pattern before `=`"]);
    fails("let x = <-a => {}", &["an arm binds without `let`"]);
    fails("recv(a) -> x if x => {}", &["an arm takes no guard"]);
}

#[test]
fn wrong_arrows() {
    fails("<- => {}", &["expected a channel or a value after `<-`"]);
    fails("a <- => {}", &["expected a channel or a value after `<-`"]);
    fails("a. <- 5 => {}", &["no channel to send to"]);
    fails("a b = <-c => {}", &["no pattern for the message"]);
}

#[test]
fn all_errors_are_reported() {
    fails(
        "recv() => {} default => {}, <- => 5, default => {}",
        &[
            "`recv` takes one",
            "expected a channel",
            "the second `default`",
        ],
    );
}
