//! The example programs, in processes of their own, and what they print.

mod by_example;
mod programs;
mod talks;
mod wordcount;
