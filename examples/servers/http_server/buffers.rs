//! The buffers of connections; a connection holds them only while it has a request to answer.

use go_example_servers::input::Input;

/// A buffer that has grown beyond this size (in bytes) is not kept.
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
