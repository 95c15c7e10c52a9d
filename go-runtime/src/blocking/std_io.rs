//! `Read` and `Write` on the threads of the pool, for wrappers of std's types. Each method is one
//! call of the pool that runs std's method of the same name, which may know more than a loop over
//! `read` would: a file's length, for instance.
//!
//! `blocking_io` returns after the call has ended, so buffers of any size are lent where they lie.
//! The calls name their traits so that modules that use a macro need not import them.

/// Implements `Read` for the type and its reference. `reads!(Type, owned)` implements it for the
/// type only, for an inner type that does not read by reference.
macro_rules! reads {
    ($name:ident) => { $crate::blocking::reads! { @methods shared $name } };
    ($name:ident, owned) => { $crate::blocking::reads! { @methods owned $name } };
    (@methods $how:ident $name:ident) => {
        $crate::blocking::reads! { @$how $name:
            read(&mut [u8]) -> usize;
            read_vectored(&mut [std::io::IoSliceMut<'_>]) -> usize;
            read_to_end(&mut Vec<u8>) -> usize;
            read_to_string(&mut String) -> usize;
            read_exact(&mut [u8]) -> ();
        }
    };
    (@shared $name:ident: $($method:ident($buffer:ty) -> $result:ty;)*) => {
        impl std::io::Read for &$name {
            $(fn $method(&mut self, buffer: $buffer) -> std::io::Result<$result> {
                $crate::blocking::blocking_io(|| std::io::Read::$method(&mut &self.0, buffer))
            })*
        }

        impl std::io::Read for $name {
            $(fn $method(&mut self, buffer: $buffer) -> std::io::Result<$result> {
                std::io::Read::$method(&mut &*self, buffer)
            })*
        }
    };
    (@owned $name:ident: $($method:ident($buffer:ty) -> $result:ty;)*) => {
        impl std::io::Read for $name {
            $(fn $method(&mut self, buffer: $buffer) -> std::io::Result<$result> {
                $crate::blocking::blocking_io(|| std::io::Read::$method(&mut self.0, buffer))
            })*
        }
    };
}
pub(crate) use reads;

/// Implements `Write` for the type and its reference, for an inner type without a buffer: a flush
/// does nothing.
macro_rules! writes {
    ($name:ident) => {
        $crate::blocking::writes! { $name:
            write(&[u8]) -> usize;
            write_vectored(&[std::io::IoSlice<'_>]) -> usize;
            write_all(&[u8]) -> ();
        }
    };
    ($name:ident: $($method:ident($buffer:ty) -> $result:ty;)*) => {
        impl std::io::Write for &$name {
            $(fn $method(&mut self, buffer: $buffer) -> std::io::Result<$result> {
                $crate::blocking::blocking_io(|| std::io::Write::$method(&mut &self.0, buffer))
            })*

            fn flush(&mut self) -> std::io::Result<()> {
                Ok(())
            }
        }

        impl std::io::Write for $name {
            $(fn $method(&mut self, buffer: $buffer) -> std::io::Result<$result> {
                std::io::Write::$method(&mut &*self, buffer)
            })*

            fn flush(&mut self) -> std::io::Result<()> {
                Ok(())
            }
        }
    };
}
pub(crate) use writes;
