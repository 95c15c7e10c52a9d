//! What `go!` expands to, and what it says about wrong input.

use quote::quote;

use super::{Verdict, check, expand};

#[track_caller]
fn expansion(input: &str) -> String {
    match expand(quote!(rt), input.parse().unwrap()) {
        Ok(tokens) => tokens.to_string(),
        Err(error) => panic!("{input}: {error}"),
    }
}

/// Only the tokens are compared, because the user's tokens and the macro's differ in their spacing.
#[track_caller]
fn becomes(input: &str, expected: &str) {
    let expected: proc_macro2::TokenStream = expected.parse().unwrap();
    let plain = |tokens: String| tokens.replace(' ', "");
    assert_eq!(
        plain(expansion(input)),
        plain(expected.to_string()),
        "{input}"
    );
}

#[track_caller]
fn fails(input: &str, message: &str) {
    match expand(quote!(rt), input.parse().unwrap()) {
        Ok(tokens) => panic!("{input} became {tokens}"),
        Err(error) => {
            let error = error.to_string();
            assert!(error.contains(message), "{input}: {error}");
        }
    }
}

#[test]
fn statements_run_in_a_move_closure() {
    becomes("{ a; b }", "rt::spawn(move || { a; b })");
    becomes("let x = f(); x", "rt::spawn(move || { let x = f(); x })");
    becomes("f(x);", "rt::spawn(move || { f(x); })");
    becomes("println!(\"x\")", "rt::spawn(move || { println!(\"x\") })");
    becomes(
        "if a { b } else { c }",
        "rt::spawn(move || { if a { b } else { c } })",
    );
    becomes("'a: loop {}", "rt::spawn(move || { 'a: loop {} })");
    becomes("{}", "rt::spawn(move || {})");
    becomes("return 5", "rt::spawn(move || { return 5 })");
}

#[test]
fn a_block_is_a_statement_and_no_callee() {
    becomes(
        "if a { b } (c, d)",
        "rt::spawn(move || { if a { b } (c, d) })",
    );
    becomes(
        "match a {} *b = c;",
        "rt::spawn(move || { match a {} *b = c; })",
    );
}

#[test]
fn what_does_not_parse_is_left_to_rustc() {
    becomes("f(x) g(y)", "rt::spawn(move || { f(x) g(y) })");
}

#[test]
fn closures_are_spawned_unchanged() {
    becomes("move || f(x)", "rt::spawn(move || f(x))");
    becomes("|| 5", "rt::spawn(|| 5)");
    becomes("(|| 5)", "rt::spawn(|| 5)");
}

#[test]
fn arguments_are_evaluated_before_the_spawn() {
    becomes(
        "f(a, g(b))",
        "{ let __go0 = a; let __go1 = g(b); rt::spawn(move || { f(__go0, __go1) }) }",
    );
    becomes("m::f()", "rt::spawn(move || { m::f() })");
    becomes(
        "(s.f)(a,)",
        "{ #[allow(unused_mut)] let mut __go0 = s.f; let __go1 = a; \
         rt::spawn(move || { __go0(__go1,) }) }",
    );
}

#[test]
fn a_function_the_arguments_mention_is_bound_first() {
    becomes(
        "f({ f = g; 1 })",
        "{ #[allow(unused_mut)] let mut __go0 = f; let __go1 = { f = g; 1 }; \
         rt::spawn(move || { __go0(__go1) }) }",
    );
}

#[test]
fn closures_at_the_end_stay_in_the_call() {
    becomes(
        "f(a, move |x| x)",
        "{ let __go0 = a; rt::spawn(move || { f(__go0, move |x| x) }) }",
    );
    becomes(
        "f(move |x| x, a)",
        "{ let __go0 = move |x| x; let __go1 = a; rt::spawn(move || { f(__go0, __go1) }) }",
    );
    becomes("f(|x| x)", "rt::spawn(move || { f(|x| x) })");
}

#[test]
fn statics_stay_in_the_call() {
    becomes("GROUP.done()", "rt::spawn(move || { GROUP.done() })");
    becomes(
        "m::LIST2.lock().unwrap().push(x)",
        "{ let __go0 = x; rt::spawn(move || { m::LIST2.lock().unwrap().push(__go0) }) }",
    );
}

#[test]
fn near_misses_of_options_and_clones() {
    fails("name: \"x\"; f()", "written with `=`: `name = ...;`");
    fails("local { f() }", "expected `;` after the option");
    for code in ["clone(tx) move || 1", "clone(tx), { 1 }", "clone tx { 1 }"] {
        fails(code, "clone(...) goes in front of a block");
    }
    fails("clone(mut tx) { 1 }", "without `mut`");
    fails("clone(self) { 1 }", "let this = self.clone();");
    fails("&x.f()", "go!((&x).method())");
}

#[test]
fn receivers_are_evaluated_before_the_spawn() {
    becomes(
        "a.b().c::<T>(d)",
        "{ #[allow(unused_mut)] let mut __go0 = a.b(); let __go1 = d; \
         rt::spawn(move || { __go0.c::<T>(__go1) }) }",
    );
}

#[test]
fn what_is_called_on_a_view_belongs_to_the_call() {
    becomes(
        "rx.iter().map(|n| n + k).fold(zero(), add)",
        "{
            #[allow(unused_mut)] let mut __go0 = rx;
            let __go1 = zero();
            let __go2 = add;
            rt::spawn(move || { __go0.iter().map(|n| n + k).fold(__go1, __go2) })
        }",
    );
    becomes(
        "self.names.lock().unwrap().len()",
        "{
            #[allow(unused_mut)] let mut __go0 = self.names;
            rt::spawn(move || { __go0.lock().unwrap().len() })
        }",
    );
    becomes(
        "make(a).iter().sum()",
        "{
            #[allow(unused_mut)] let mut __go0 = make(a);
            rt::spawn(move || { __go0.iter().sum() })
        }",
    );
}

#[test]
fn unpacking_belongs_to_the_call() {
    becomes(
        "rx.recv().ok().expect(m)",
        "{ #[allow(unused_mut)] let mut __go0 = rx; let __go1 = m; \
         rt::spawn(move || { __go0.recv().ok().expect(__go1) }) }",
    );
    becomes("f().unwrap()", "rt::spawn(move || { f().unwrap() })");
    becomes(
        "get(url).map_err(F).and_then(G)",
        "{ let __go0 = url; let __go1 = F; let __go2 = G; \
         rt::spawn(move || { get(__go0).map_err(__go1).and_then(__go2) }) }",
    );
    becomes(
        "x.unwrap()",
        "{ #[allow(unused_mut)] let mut __go0 = x; rt::spawn(move || { __go0.unwrap() }) }",
    );
}

#[test]
fn clones_are_made_before_the_spawn() {
    becomes(
        "clone(a, b,) { a.f(b) }",
        "{ let a = ::core::clone::Clone::clone(&a); let b = ::core::clone::Clone::clone(&b); \
         rt::spawn(move || { a.f(b) }) }",
    );
    becomes("clone() {}", "rt::spawn(move || {})");
    becomes(
        "clone(a)",
        "{ let __go0 = a; rt::spawn(move || { clone(__go0) }) }",
    );
    fails(
        "clone(self.tx) {}",
        "clone(...) takes plain variables; bind it first",
    );
    fails(
        "thread, clone(a); { a }",
        "`clone(a)` goes in front of the block: `go!(thread; clone(a) { ... })`",
    );
    fails(
        "name = n, clone(a) { a }",
        "`go!(name = ...; clone(a) { ... })`",
    );
    fails("s, clone(a); { a }", "`go!(s; clone(a) { ... })`");
    fails("clone(a, &b) {}", "clone(...) takes plain variables");
    fails("clone(mut a) {}", "clone(...) takes plain variables");
}

#[test]
fn options() {
    becomes("local; f()", "rt::spawn_local(move || { f() })");
    becomes(
        "stack_size = 1 << 20, name = n; { f() }",
        "{ let __go_builder = rt::Builder::new().stack_size(1 << 20).name(n); \
         rt::__private::spawn_with(__go_builder, move || { f() }) }",
    );
    becomes(
        "local, name = n,; clone(a) {}",
        "{ let __go_builder = rt::Builder::new().name(n); \
         let a = ::core::clone::Clone::clone(&a); \
         rt::__private::spawn_local_with(__go_builder, move || {}) }",
    );
    fails(
        "nme = 1; f()",
        "unknown option `nme`: the options are `name`, `stack_size`, `thread` and `local`",
    );
    fails(
        "nme = 1; f()",
        "put the body into braces: go!({ nme = ...; })",
    );
    fails("name = 1, name = 2; f()", "`name` is given twice");
    fails("name = 1", "expected `;` after the options");
    fails("name = 1, f()", "expected `;` after the options");
    fails("local = 1; f()", "`local` takes no value");
    for code in [
        "name \"db\"; f()",
        "thread, name \"db\"; f()",
        "s, name \"db\"; f()",
    ] {
        fails(code, "write `name = \"db\"`");
    }
    fails("name n; f()", "write `name = ...`");
    fails("name = 1;", "go! needs something to run");
    fails(
        "name = 1; stack_size = 2; f()",
        "options are separated by commas, go!(..., stack_size = ...; ...)",
    );
    fails(
        "name = 1; thread; f()",
        "options are separated by commas: go!(name = ..., thread;",
    );
    fails(
        "s, name = 1; stack_size = 2; f()",
        "options are separated by commas",
    );
    fails(
        "thread name = 1; f()",
        "options are separated by commas: go!(thread, name = ...; ...)",
    );
    fails(
        "name = 1 thread; f()",
        "options are separated by commas: go!(name = ..., thread; ...)",
    );
    fails(
        "s, name = 1 stack_size = 2; f()",
        "options are separated by commas: go!(s, name = ..., stack_size = ...; ...)",
    );
    fails(
        "s, thread name = 1; f()",
        "options are separated by commas: go!(thread, name = ...; ...)",
    );
}

#[test]
fn a_thread_of_its_own() {
    becomes(
        "thread; f(x)",
        "{ let __go_builder = rt::Builder::new().thread(); let __go0 = x; \
         rt::__private::spawn_with(__go_builder, move || { f(__go0) }) }",
    );
    becomes(
        "thread, name = n; { a }",
        "{ let __go_builder = rt::Builder::new().thread().name(n); \
         rt::__private::spawn_with(__go_builder, move || { a }) }",
    );
    becomes(
        "s, name = n, thread; { a }",
        "{ let __go_builder = rt::Builder::new().name(n).thread(); \
         rt::__private::started(s.spawn_with(__go_builder, || { a })) }",
    );
    becomes("thread.s; { a }", "thread.s.spawn(|| { a })");
    becomes("thread::park()", "rt::spawn(move || { thread::park() })");
    for code in ["thread, local; f()", "local, name = n, thread; f()"] {
        fails(code, "`thread` and `local` exclude each other");
    }
    fails("thread, thread; f()", "`thread` is given twice");
    fails("thread = 1; f()", "`thread` takes no value");
    fails("thread: true; f()", "`thread` takes no value");
    fails(
        "thread { f() }",
        "expected `;` after the option: go!(thread; { ... })",
    );
    fails("thread, s; f()", "`s` goes in front of the options");
    fails(
        "s; thread; f()",
        "options come after a comma: go!(s, thread; ...)",
    );
    fails(
        "thread f()",
        "expected `;` after the option: go!(thread; ...)",
    );
    fails(
        "thread",
        "`thread` is an option as well: `go!(thread; f())`",
    );
    fails("local", "`local` is an option as well: `go!(local; f())`");
    fails("thread;", "go! needs something to run");
}

#[test]
fn a_block_of_a_spawner_borrows() {
    becomes("s; { a; b }", "s.spawn(|| { a; b })");
    becomes("s; a; b", "s.spawn(|| { a; b })");
    becomes("s; total = f(x);", "s.spawn(|| { total = f(x); })");
    becomes("self.scope; { a }", "self.scope.spawn(|| { a })");
    becomes("self; { a }", "self.spawn(|| { a })");
    becomes("pair.0; { a }", "pair.0.spawn(|| { a })");
    becomes("pair.0.1; { a }", "pair.0.1.spawn(|| { a })");
    becomes("trees.1.0.2.s; { a }", "trees.1.0.2.s.spawn(|| { a })");
    becomes("s; move || x", "s.spawn(move || x)");
    becomes("s; move { a; b }", "s.spawn(move || { a; b })");
    becomes("s; || x", "s.spawn(|| x)");
    becomes("s; s; x", "s.spawn(|| { s; x })");
}

#[test]
fn a_call_of_a_spawner_is_evaluated_now() {
    becomes(
        "s; f(&a, b)",
        "{ let __go0 = &a; let __go1 = b; s.spawn(move || { f(__go0, __go1) }) }",
    );
    becomes("s; f()", "s.spawn(move || { f() })");
}

#[test]
fn clones_for_a_spawner_are_moved_alone() {
    becomes(
        "s; clone(a, b) { a.f(b, c) }",
        "{
            let a = rt::__private::Cloned(::core::clone::Clone::clone(&a));
            let b = rt::__private::Cloned(::core::clone::Clone::clone(&b));
            s.spawn(|| {
                let a = rt::__private::Cloned::take(a);
                let b = rt::__private::Cloned::take(b);
                a.f(b, c)
            })
        }",
    );
    becomes("s; clone() {}", "s.spawn(|| {})");
}

#[test]
fn options_of_a_spawner() {
    becomes(
        "s, name = n, stack_size = 1; f(&a)",
        "{ let __go_builder = rt::Builder::new().name(n).stack_size(1); let __go0 = &a; \
         rt::__private::started(s.spawn_with(__go_builder, move || { f(__go0) })) }",
    );
    becomes(
        "self.scope, name = n,; { a }",
        "{ let __go_builder = rt::Builder::new().name(n); \
         rt::__private::started(self.scope.spawn_with(__go_builder, || { a })) }",
    );
    for code in [
        "s, local; f()",
        "s, name = n, local; f()",
        "local, s; f()",
        "local; s; f()",
        "local, name = n; s; f()",
        "s; local; f()",
    ] {
        fails(code, "leave out `local`, go!(s; ...)");
    }
    fails(
        "name = n, self.s; f()",
        "`self.s` goes in front of the options: go!(self.s, name",
    );
    fails("name = n; s; f()", "`s` goes in front of the options");
    fails(
        "s; name = n; f()",
        "options come after a comma: go!(s, name = ...; ...)",
    );
    fails("s, f()", "or `;` in its place, go!(s; ...)");
    fails("s,", "expected an option after the comma");
    fails("s, nme = 1; f()", "unknown option `nme`");
    fails("s, name = 1;", "go! needs something to run");
    fails("s; x", "`x` is none of them");
}

#[test]
fn what_is_no_spawner() {
    becomes("s;", "rt::spawn(move || { s; })");
    becomes("s.a;", "rt::spawn(move || { s.a; })");
    becomes("a..b; c", "rt::spawn(move || { a..b; c })");
    becomes("f(); s; g()", "rt::spawn(move || { f(); s; g() })");
    becomes("{ s; g() }", "rt::spawn(move || { s; g() })");
    becomes("return; g()", "rt::spawn(move || { return; g() })");
    becomes("s.f(); g()", "rt::spawn(move || { s.f(); g() })");
    becomes("local; s;", "rt::spawn_local(move || { s; })");
}

#[test]
fn what_cannot_run() {
    fails("", "go! needs something to run: `go! { statements }`");
    fails(
        "f",
        "`f` is none of them: write `go!(f())` to call it, or `go!({ f })`",
    );
    fails("s . f", "`go!((s . f)())`");
    fails("(f)", "`f` is none of them");
    fails("tx <- v + 1", "none of them");
    fails("tx <- 1", "send with `go!(tx.send(1))`");
    fails("self.tx <- x.y", "send with `go!(self . tx.send(x . y))`");
    fails("1 + 2", "`1 + 2` is none of them: call a function");
    fails(
        "a + b + c + d + e + f + g + h + i + j + k + l",
        "and this is none of them",
    );
    fails("f(x)?", "`?` has no function to return from here");
    fails("|x| x", "a goroutine's closure takes no arguments");
    fails("async || 5", "drop `async`");
    fails("async { 5 }", "drop `async`");
    fails("f().await", "drop `.await`");
    fails("#[x] f()", "no place for an attribute");
}

#[test]
fn verdicts() {
    let verdict = |input: &str| check(input.parse().unwrap());
    assert!(matches!(verdict("f(x)"), Verdict::Accepted));
    assert!(matches!(
        verdict("name = n; let x = 1; x"),
        Verdict::Accepted
    ));
    assert!(matches!(verdict("let x ="), Verdict::Incomplete));
    assert!(matches!(verdict("x"), Verdict::Refused(_)));
    assert!(matches!(verdict(""), Verdict::Refused(_)));
}
