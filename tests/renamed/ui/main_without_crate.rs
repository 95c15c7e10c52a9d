mod renamed {
    #[goroutines::main]
    fn main() {}
}

mod returns_a_result {
    #[goroutines::main(workers = 2)]
    fn main() -> Result<(), String> {
        Ok(())
    }
}

mod reexported {
    #[framework::main]
    fn main() {}
}

fn main() {}
