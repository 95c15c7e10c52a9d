//! Channels and selects.

mod channels;
mod dynamic_select;
mod fairness;
mod go_behaviour;
mod stress;
mod wide_selects;
