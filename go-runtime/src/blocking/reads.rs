//! `Read` on the threads of the pool, for what wraps one of std's types whose reference reads.

/// Implements it for the type and its reference. Every method goes to the pool as a whole: one call of it, and std's knowledge of the file's length.
macro_rules! reads {
    ($name:ident) => {
        $crate::blocking::reads! { $name:
            read(&mut [u8]) -> usize;
            read_vectored(&mut [std::io::IoSliceMut<'_>]) -> usize;
            read_to_end(&mut Vec<u8>) -> usize;
            read_to_string(&mut String) -> usize;
            read_exact(&mut [u8]) -> ();
        }
    };
    ($name:ident: $($method:ident($buffer:ty) -> $result:ty;)*) => {
        // `blocking_io` returns when the call has ended, so buffers of any size and place are lent as they are.
        impl std::io::Read for &$name {
            $(fn $method(&mut self, buffer: $buffer) -> std::io::Result<$result> {
                $crate::blocking::blocking_io(|| (&self.0).$method(buffer))
            })*
        }

        impl std::io::Read for $name {
            $(fn $method(&mut self, buffer: $buffer) -> std::io::Result<$result> {
                (&*self).$method(buffer)
            })*
        }
    };
}
pub(crate) use reads;
