//! The example programs, in processes of their own, and their output.

mod by_example;
mod programs;
mod talks;
mod wordcount;
