mod unknown {
    #[go_runtime::main(threads = 2)]
    fn main() {}
}

mod out_of_range {
    #[go_runtime::main(workers = 2, stack_size = 4096)]
    fn main() {}
}

mod no_number {
    #[go_runtime::main(workers = "two")]
    fn main() {}
}

mod wrong_type {
    const WORKERS: i32 = 2;

    #[go_runtime::main(workers = WORKERS)]
    fn main() {}
}

fn main() {}
