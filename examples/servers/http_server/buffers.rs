//! The buffers of a connection, which has them while it has something to do.

use go_example_servers::input::Input;

/// One that has grown beyond this is not kept.
const KEPT: usize = 64 << 10;

#[derive(Default)]
pub(crate) struct Buffers {
    pub(crate) input: Input,
    pub(crate) output: Vec<u8>,
}

impl Buffers {
    pub(crate) fn reset(&mut self) {
        self.input.reset();
        self.output.clear();
        if self.output.capacity() > KEPT {
            self.output = Vec::new();
        }
    }
}
