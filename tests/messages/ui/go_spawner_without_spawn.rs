use go_runtime::go;

struct Own;

fn main() {
    let (own, number) = (Own, 5);
    go!(own; f());
    go!(number; { f() });
    go!(own, name = "x"; f());
}

fn f() {}
